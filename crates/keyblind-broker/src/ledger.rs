//! `keyblind-broker ledger`: the record, handed out while no broker runs.

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Subcommand, ValueEnum};
use keyblind_broker::ledger::{ExportForm, Ledger};

use crate::configuration::Configuration;
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
    let (_lock, _hardened) = run::enter(configuration, &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::open(configuration).await?;
        let ledger = Ledger::open(store.database.clone(), &store.vault, Arc::clone(&store.clock)).await?;
        match &arguments.command {
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
