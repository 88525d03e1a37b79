//! The broker's program: arguments and wiring.

mod ask;
mod aws;
mod backup;
mod configuration;
mod examined;
mod keep;
mod ledger;
mod opened;
mod relay;
mod run;
mod stop;
mod vault;

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use keyblind_intent::Control;

use crate::configuration::Configuration;

/// Copies that libraries make of a credential are overwritten as soon as they are freed.
#[cfg(target_os = "linux")]
#[global_allocator]
static MEMORY: keyblind_harden::Wiping = keyblind_harden::Wiping::of_the_system();

/// The one part of Keyblind that touches credentials.
#[derive(Debug, Parser)]
#[command(name = "keyblind-broker", version, max_term_width = 120, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(Debug, Args)]
struct Global {
    /// The configuration. Without one (here or in KEYBLIND_BROKER_CONFIG), the broker serves the user that starts it, in that user's own
    /// folders.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The socket (also KEYBLIND_BROKER_SOCKET), instead of the configuration's, and of a broker on another machine.
    #[arg(long, global = true, value_name = "PATH")]
    socket: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the socket until SIGTERM. SIGUSR1 stops all borrowing of authority at once.
    Run(run::Arguments),
    /// Pass frames between standard input and output and the socket, for a program that can't open one. Holds no authority.
    Relay(relay::Arguments),
    /// Put a secret, read from standard input, into the sealed store, while no broker runs.
    Keep(keep::Arguments),
    /// Hand out what is recorded, by the broker if it runs.
    Ledger(ledger::Arguments),
    /// Change the sealed store's key, while no broker runs.
    Vault(vault::Arguments),
    /// Copy the database into a new file, while no broker runs, and print which state it is: to be noted elsewhere.
    Backup(backup::BackUp),
    /// Put a copy of the database back, while no broker runs, unless it is older than what is there or was noted.
    Restore(backup::PutBack),
    /// Get a link that logs you in at the broker's own pages, once.
    Login,
    /// Check each step of the set-up.
    Doctor(ask::DoctorArguments),
    /// End all that somebody who has left still has: sessions, connected accounts, refresh tokens and grants.
    EndAccess(ask::EndAccessArguments),
    /// Stop: no authority is borrowed any more until `arm`.
    Kill,
    /// Take up work again after `kill`.
    Arm,
    /// What the broker needs at AWS.
    Aws(aws::Arguments),
    /// Read the configuration and print what it comes to.
    Config,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let is_wrong = error.use_stderr();
            // Should not even this be writable, the code says it all.
            let _ = error.print();
            return if is_wrong { ExitCode::from(2) } else { ExitCode::SUCCESS };
        }
    };
    match execute(cli) {
        Ok(code) => code,
        Err(error) => {
            let code = if error.downcast_ref::<configuration::ConfigurationError>().is_some() { 2 } else { 4 };
            say(format_args!("error: {error:#}"));
            ExitCode::from(code)
        }
    }
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let mut configuration = Configuration::load(cli.global.config.or_else(|| variable("KEYBLIND_BROKER_CONFIG")).as_deref())?;
    if let Some(socket) = cli.global.socket.or_else(|| variable("KEYBLIND_BROKER_SOCKET")) {
        configuration.socket.path = socket;
        configuration.remote = None;
    }
    match cli.command {
        Command::Run(arguments) => run::run(configuration, &arguments),
        Command::Relay(arguments) => relay::run(&configuration.way(), &arguments),
        Command::Keep(arguments) => keep::keep(&configuration, &arguments),
        Command::Ledger(arguments) => ledger::run(&configuration, &arguments),
        Command::Vault(arguments) => vault::run(&configuration, &arguments),
        Command::Login => ask::run(&configuration.way(), Control::LogIn, None),
        Command::Doctor(arguments) => ask::run(&configuration.way(), Control::Doctor, arguments.area),
        Command::EndAccess(arguments) => ask::run(&configuration.way(), Control::EndAccess { person: arguments.person }, None),
        Command::Backup(arguments) => backup::back_up(&configuration, &arguments),
        Command::Restore(arguments) => backup::put_back(&configuration, &arguments),
        Command::Kill => ask::kill(&configuration),
        Command::Arm => ask::arm(&configuration),
        Command::Aws(arguments) => aws::run(&configuration, arguments),
        Command::Config => {
            print(&configuration.to_string())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Says something to whoever started the program.
fn say(message: impl Display) {
    // If nobody can be told, nobody can be told that either.
    let _ = writeln!(std::io::stderr(), "keyblind-broker: {message}");
}

/// Prints what was asked for.
fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
