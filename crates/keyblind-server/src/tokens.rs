//! `keyblind-server token …`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use keyblind_intent::Foreign;
use keyblind_mission::{Clock as _, SystemClock};
use keyblind_store::Store;
use keyblind_web::{Role, Scope, TokenError, make_token};

use crate::configuration::Configuration;
use crate::missions::moment;
use crate::print;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a token for a program, and print it: it is told once.
    Make(MakeArguments),
    /// The tokens of whoever uses this command line.
    List,
    /// End a token.
    End {
        /// Its identifier.
        id: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct MakeArguments {
    /// What it is for.
    name: String,
    /// What it may do: missions:read, missions:write, rules:read, metrics:read; may be given several times.
    #[arg(long = "scope", value_name = "SCOPE", required = true)]
    scopes: Vec<String>,
    /// How many days it lives.
    #[arg(long, default_value_t = 90)]
    days: u64,
}

/// What was asked can't be done, for a reason that whoever asked can mend.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Refused(String);

pub(crate) async fn run(command: Command, configuration: &Configuration, store: &Store) -> anyhow::Result<ExitCode> {
    let (tenant, owner) = (&configuration.tenant, &configuration.owner);
    match command {
        Command::Make(arguments) => {
            let scope = |word: &String| Scope::of(word).ok_or_else(|| Refused(format!("`{word}` is nothing that a token may do")));
            let scopes = arguments.scopes.iter().map(scope).collect::<Result<Vec<_>, _>>()?;
            // Whoever may read the server's database may do all that its pages can.
            let who = (tenant, owner, Role::Admin);
            let made = make_token(store, who, &arguments.name, &scopes, arguments.days, SystemClock.now()).await;
            let made = made.map_err(|error| match error {
                TokenError::Wrong(text) => anyhow::Error::from(Refused(text)),
                TokenError::Store(error) => error.into(),
            })?;
            print(&format!("{}\n", made.text))?;
        }
        Command::List => {
            for token in store.tokens(tenant, owner).await? {
                let used = token.used.map_or_else(|| "never used".to_owned(), |used| format!("used {}", moment(used.get())));
                let name = Foreign::new(&token.name).for_terminal();
                print(&format!("{}  {}  ends {}  {used}  {name}\n", token.id, token.scopes, moment(token.ends.get())))?;
            }
        }
        Command::End { id } => {
            if !store.end_token(tenant, owner, &id, SystemClock.now()).await? {
                return Err(Refused(format!("there is no token `{}`", Foreign::new(&id).for_terminal())).into());
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}
