//! The broker's own commands: a request on the socket, and its answer for people.

use std::fmt::Write as _;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use keyblind_broker::socket::{BulkFile, ClientError};
use keyblind_intent::{Answer, CheckState, Control, DoctorArea, Outcome, Provider, Refusal, Report, Request, SubjectId};

use crate::configuration::{Configuration, ConnectError, Way};
use crate::{print, say, stop};

#[derive(Debug, Args)]
pub(crate) struct DoctorArguments {
    /// Only that part.
    pub(crate) area: Option<Area>,
}

/// A part of the set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Area {
    /// The process, its state and its socket.
    Process,
    /// The identity provider: logging in, connected accounts, questions on devices.
    Login,
    /// GitHub.
    Github,
    /// AWS.
    Aws,
}

impl Area {
    fn covers(self, area: DoctorArea) -> bool {
        self == match area {
            DoctorArea::Process | DoctorArea::State | DoctorArea::Socket | DoctorArea::Egress => Self::Process,
            DoctorArea::Provider(Provider::Auth0 | Provider::Oidc) | DoctorArea::Approvals => Self::Login,
            DoctorArea::Provider(Provider::Github) => Self::Github,
            DoctorArea::Provider(Provider::Aws) => Self::Aws,
            DoctorArea::Provider(_) => return false,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct EndAccessArguments {
    /// Who: as the approval policy calls them, or by the identity provider's own name for them.
    pub(crate) person: SubjectId,
}

/// Asks, and prints the answer; of what was checked only that part, if one is named.
pub(crate) fn run(way: &Way, control: Control, area: Option<Area>) -> anyhow::Result<ExitCode> {
    let (answer, _) = way.connect(b"")?.ask(&Request::Control(control), None)?;
    match answer {
        Answer::Report(report) => show(&report, area),
        Answer::Outcome(outcome) => {
            say(format_args!("{}", shown(&outcome)));
            Ok(ExitCode::from(3))
        }
    }
}

fn asked(way: &Way, control: Control) -> Result<(Answer, Option<BulkFile>), ConnectError> {
    Ok(way.connect(b"")?.ask(&Request::Control(control), None)?)
}

pub(crate) fn shown(outcome: &Outcome) -> String {
    match outcome {
        Outcome::NotConfigured { missing } => format!("not configured: {missing:?}"),
        Outcome::Refused(refusal) => format!("refused: {refusal:?}"),
        other => format!("{other:?}"),
    }
}

fn show(report: &Report, area: Option<Area>) -> anyhow::Result<ExitCode> {
    let mut text = String::new();
    let mut is_broken = false;
    match report {
        Report::Checks { checks: steps } | Report::AccessEnded { steps } => {
            for check in steps.iter().filter(|check| area.is_none_or(|area| area.covers(check.area))) {
                let state = match check.state {
                    CheckState::Sound => "sound",
                    CheckState::Weak => "weak",
                    CheckState::Broken => "broken",
                    CheckState::NotChecked => "not checked",
                };
                is_broken |= check.state == CheckState::Broken;
                write!(text, "{state:<12}{}", check.subject)?;
                if let Some(said) = &check.said {
                    write!(text, ": {}", said.for_terminal())?;
                }
                text.push('\n');
                if let Some(advice) = &check.advice {
                    writeln!(text, "            → {advice}")?;
                }
            }
        }
        Report::Stopped { epoch, revoked, waiting } => {
            writeln!(
                text,
                "stopped (stop {epoch}): {revoked} revoked, {waiting} waiting to be revoked; `keyblind-broker arm` takes up work again"
            )?;
        }
        Report::LogInAt { page, .. } => writeln!(text, "open {page}\nIt logs you in once, within five minutes. Give it to nobody.")?,
        Report::Armed { epoch } => writeln!(text, "armed: stop {epoch} has ended")?,
        other => writeln!(text, "{other:?}")?,
    }
    print(&text)?;
    Ok(if is_broken { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// A broker that needs longer to say that it has stopped is stopped by its file.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Stops a broker, also one that doesn't answer: then by the file, which it looks at before anything that it does.
pub(crate) fn kill(configuration: &Configuration) -> anyhow::Result<ExitCode> {
    let way = configuration.way();
    let (told, answer) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("kill".to_owned()).spawn(move || {
        let asked = asked(&way, Control::Kill);
        // Nobody waits any more if the file was taken instead.
        let _ = told.send(asked);
    })?;
    let reason = match answer.recv_timeout(PATIENCE) {
        Ok(Ok((Answer::Report(report), _))) => return show(&report, None),
        Ok(Ok((Answer::Outcome(outcome), _))) => shown(&outcome),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "it doesn't answer".to_owned(),
    };
    anyhow::ensure!(configuration.way().is_near(), "the broker can't be asked ({reason}): stop it where it runs");
    say(format_args!("the broker can't be asked ({reason}): stopping it by its file"));
    stop::stop(&configuration.state)?;
    print("stopped by file; what was borrowed before is revoked by the broker as soon as it can\n")?;
    Ok(ExitCode::SUCCESS)
}

/// How long a running broker may take to see that it is armed.
const ARMING: std::time::Duration = std::time::Duration::from_secs(3);

/// Arms a broker. Whoever may write its state folder may do that without its socket: the files are theirs.
pub(crate) fn arm(configuration: &Configuration) -> anyhow::Result<ExitCode> {
    let way = configuration.way();
    let runs = match asked(&way, Control::Arm) {
        Ok((Answer::Report(report), _)) => return show(&report, None),
        Ok((Answer::Outcome(outcome), _)) => anyhow::bail!("{}", shown(&outcome)),
        Err(error) if !way.is_near() => return Err(error.into()),
        Err(ConnectError::Client(ClientError::NotRunning { .. })) => false,
        // Also where the stop file is there: the broker itself never takes it away.
        Err(ConnectError::Client(ClientError::Refused(
            Refusal::NotAllowed | Refusal::UnknownPeer | Refusal::BadToken | Refusal::Halted,
        ))) => true,
        Err(error) => return Err(error.into()),
    };
    stop::arm(&configuration.state)?;
    if !runs {
        print("armed: the broker takes up work again when it runs\n")?;
        return Ok(ExitCode::SUCCESS);
    }
    let ends = std::time::Instant::now() + ARMING;
    while stop::is_arming(&configuration.state) {
        anyhow::ensure!(std::time::Instant::now() < ends, "the broker doesn't look at its state folder: is it the one that runs?");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    print("armed\n")?;
    Ok(ExitCode::SUCCESS)
}
