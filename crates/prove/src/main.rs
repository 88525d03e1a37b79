//! The program: arguments, and the other names that it is started under.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Parser;
use keyblind_prove::{controls, prove, relay};

/// Test the claim that no credential ever exists outside of the broker, on this machine, with the programs that are installed here.
#[derive(Debug, Parser)]
#[command(name = "keyblind-prove", version, max_term_width = 120)]
struct Cli {
    /// The folder with `keyblind` and `keyblind-broker`; without it, the one that this program is in.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            // If nobody can be told, the code says it.
            let _ = writeln!(std::io::stderr(), "keyblind-prove: error: {error:#}");
            ExitCode::from(4)
        }
    }
}

fn run() -> Result<ExitCode> {
    let own = std::env::current_exe().context("this program doesn't know where it is")?;
    // Under the name of the broker's program it stands in the way of the relay, and keeps what passes.
    if own.file_name().is_some_and(|name| name == "keyblind-broker") {
        return relay::run(&own, std::env::args_os().skip(1));
    }
    if std::env::args().nth(1).as_deref() == Some(controls::HOLD) {
        controls::hold()?;
        return Ok(ExitCode::SUCCESS);
    }
    let cli = Cli::parse();
    let beside = own.parent().context("this program is in a folder")?;
    let proof = prove(&cli.programs.unwrap_or_else(|| beside.to_owned()))?;
    write!(std::io::stdout(), "{proof}")?;
    Ok(match (proof.faults().is_empty(), proof.not_checked().is_empty()) {
        (true, true) => ExitCode::SUCCESS,
        (false, _) => ExitCode::from(1),
        (true, false) => ExitCode::from(3),
    })
}
