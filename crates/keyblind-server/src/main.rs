//! The server's program: arguments and wiring. It reads no infrastructure code and holds no credential of a provider.

mod configuration;
mod example;
mod logins;
mod missions;
mod runner;
mod schedules;
mod serve;
mod tokens;
mod wishes;

use std::fmt::Display;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Args, Parser, Subcommand};
use keyblind_store::Store;

use crate::configuration::{Configuration, ConfigurationError};

/// Missions: scans that survive whatever happens to the machine, and the pages that show them.
#[derive(Debug, Parser)]
#[command(name = "keyblind-server", version, max_term_width = 120, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: Global,
}

#[derive(Debug, Args)]
struct Global {
    /// The configuration (also KEYBLIND_SERVER_CONFIG). Without one, the database lies in the folder for state of the user that starts it,
    /// and no path may be scanned.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the pages and do missions' steps, on this machine, for this machine: what one person needs. It prints a link that logs in once.
    Serve,
    /// Serve the pages and the API until SIGTERM.
    Web,
    /// Do missions' steps until SIGTERM; then each worker ends the step that it is at.
    Runner,
    /// Print a link to the pages that logs in once, within fifteen minutes.
    Link,
    /// Make tokens for programs, look at them, end them.
    #[command(subcommand)]
    Token(tokens::Command),
    /// Begin missions, look at them, end them.
    #[command(subcommand)]
    Mission(missions::Command),
    /// Missions that begin by themselves, at times.
    #[command(subcommand)]
    Schedule(schedules::Command),
    /// Read the configuration and print what it comes to. The database's password isn't printed.
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
            let is_wrong = error.is::<ConfigurationError>() || error.is::<missions::Refused>() || error.is::<tokens::Refused>();
            say(format_args!("error: {error:#}"));
            ExitCode::from(if is_wrong { 2 } else { 4 })
        }
    }
}

fn execute(cli: Cli) -> anyhow::Result<ExitCode> {
    let path = cli.global.config.or_else(|| std::env::var_os("KEYBLIND_SERVER_CONFIG").map(PathBuf::from));
    let mut configuration = Configuration::load(path.as_deref())?;
    if matches!(cli.command, Command::Config) {
        print(&configuration.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::open(&configuration.database).await.context("the server's database can't be used")?;
        let code = match cli.command {
            Command::Serve => serve::all(&mut configuration, &store).await,
            Command::Web => serve::web(&configuration, &store).await,
            Command::Link => serve::link(&configuration, &store).await,
            Command::Token(command) => tokens::run(command, &configuration, &store).await,
            Command::Runner => runner::run(&configuration, &store).await,
            Command::Mission(command) => missions::run(command, &configuration, &store).await,
            Command::Schedule(command) => schedules::run(command, &configuration, &store).await,
            Command::Config => Ok(ExitCode::SUCCESS),
        };
        store.close().await;
        code
    })
}

/// Says something to whoever started the program.
fn say(message: impl Display) {
    // If nobody can be told, nobody can be told that either.
    let _ = writeln!(std::io::stderr(), "keyblind-server: {message}");
}

/// Prints what was asked for.
fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}
