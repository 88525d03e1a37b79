//! `keyblind-broker ledger`: the record, handed out by the broker that runs, or read while none does.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use keyblind_broker::ledger::{ExportForm, Ledger};
use keyblind_broker::socket::{Client, ClientError};
use keyblind_intent::{Answer, Control, LedgerForm, Refusal, Report, Request};

use crate::ask::shown;
use crate::configuration::{Configuration, ConnectError};
use crate::opened::Store;
use crate::{print, run};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write all that is recorded to standard output.
    Export {
        /// In which form.
        #[arg(long, value_enum, default_value_t)]
        form: Form,
    },
    /// Print the public key that verifies it: to be kept where the broker can't change it.
    Key,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum Form {
    /// JSON Lines with signatures: what `keyblind ledger verify` reads.
    #[default]
    Verifiable,
    /// Events of the Open Cybersecurity Schema Framework.
    Ocsf,
}

pub(crate) fn run(configuration: &Configuration, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let way = configuration.way();
    // Who runs has its database for itself, and is asked.
    match way.connect(b"") {
        Ok(mut client) => ask(&mut client, &arguments.command),
        Err(ConnectError::Client(ClientError::NotRunning { .. })) if way.is_near() => read(configuration, &arguments.command),
        Err(ConnectError::Client(ClientError::Refused(refusal))) => Err(refused(refusal)),
        Err(error) => Err(error.into()),
    }
}

fn refused(refusal: Refusal) -> anyhow::Error {
    match refusal {
        Refusal::NotAllowed | Refusal::UnknownPeer | Refusal::BadToken => anyhow::anyhow!(
            "the broker runs and hands its ledger to a [[peer]] with `role = \"operator\"`, or to the user that it runs as: be one of them, or stop it and read the ledger as its user"
        ),
        refusal => anyhow::anyhow!("the broker refused: {refusal:?}"),
    }
}

fn ask(client: &mut Client, command: &Command) -> anyhow::Result<ExitCode> {
    let control = match command {
        Command::Key => Control::LedgerKey,
        Command::Export { form: Form::Verifiable } => Control::ExportLedger { form: LedgerForm::Verifiable },
        Command::Export { form: Form::Ocsf } => Control::ExportLedger { form: LedgerForm::Ocsf },
    };
    match client.ask(&Request::Control(control), None) {
        Ok((Answer::Report(Report::LedgerKey { key }), _)) => print(&format!("{key}\n"))?,
        Ok((Answer::Report(Report::Ledger { .. }), Some(export))) => export.copy_to(&mut std::io::stdout())?,
        Ok((Answer::Outcome(outcome), _)) => anyhow::bail!("{}", shown(&outcome)),
        Ok(_) => anyhow::bail!("the broker answered something else than what was asked"),
        Err(ClientError::Refused(refusal)) => return Err(refused(refusal)),
        Err(error) => return Err(error.into()),
    }
    Ok(ExitCode::SUCCESS)
}

fn read(configuration: &Configuration, command: &Command) -> anyhow::Result<ExitCode> {
    let (_lock, _hardened) = run::enter(configuration, &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::open(configuration).await?;
        let ledger = Ledger::open(store.database.clone(), &store.vault, Arc::clone(&store.clock)).await?;
        match command {
            Command::Export { form } => {
                let form = match form {
                    Form::Verifiable => ExportForm::Verifiable,
                    Form::Ocsf => ExportForm::Ocsf,
                };
                ledger.export(form, std::io::stdout()).await?;
            }
            Command::Key => print(&format!("{}\n", ledger.key()))?,
        }
        store.database.close().await;
        Ok(ExitCode::SUCCESS)
    })
}
