//! One module a command.

mod account;
pub(crate) mod apply;
mod baseline;
mod config;
mod connect;
mod describe;
mod diff;
mod explain;
mod fix;
mod fixes;
mod import;
mod ledger;
mod models;
#[cfg(target_os = "linux")]
mod prove;
mod remote;
mod rules;
mod scan;
#[cfg(unix)]
mod serve;
#[cfg_attr(not(target_os = "linux"), path = "commands/started/elsewhere.rs")]
mod started;

use std::path::Path;

use anyhow::Context;
use clap::CommandFactory;
use keyblind_intent::UnixMillis;
use keyblind_rules::RuleTable;
use keyblind_rules::suppressions::Date;
use keyblind_syntax::Diagnostic;

use crate::arguments::{Cli, Command, TableArguments};
use crate::exit::{Exit, UsageError};
use crate::{leaf, output, terminal};

/// How deep evaluation may go is bounded by count; threads have stack enough for it.
const STACK_BYTES: usize = 16 * 1024 * 1024;

/// Runs a command.
///
/// # Errors
/// If it can't be done; a [`UsageError`] in the chain if asking differently would help.
pub(crate) fn run(cli: Cli) -> anyhow::Result<Exit> {
    std::panic::set_hook(Box::new(|panic| terminal::say(format_args!("error in keyblind itself: {panic}"))));
    started::settle(cli.global)?;
    match cli.command {
        Command::Scan(arguments) => scan::run(&arguments, cli.global),
        Command::Fix(arguments) => fix::run(&arguments, cli.global),
        Command::Diff(arguments) => diff::run(&arguments, cli.global),
        Command::Import(arguments) => import::run(&arguments, cli.global),
        Command::Rules { command } => rules::run(&command, cli.global),
        Command::Explain(arguments) => explain::run(&arguments, cli.global),
        Command::Apply(arguments) => apply::run(&arguments, cli.global),
        Command::Connect { provider } => connect::run(provider),
        Command::Config { command } => config::run(&command),
        Command::Baseline { command } => baseline::run(&command, cli.global),
        Command::Ledger { command } => ledger::run(&command, cli.global),
        #[cfg(target_os = "linux")]
        Command::Prove => prove::run(),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "keyblind", &mut script);
            output::print_with(|out| out.write_all(&script)).map(|()| Exit::Clean)
        }
        #[cfg(unix)]
        Command::Serve { config } => serve::run(config.as_deref()),
        Command::Man => output::print_with(|out| manual(out)).map(|()| Exit::Clean),
        Command::Leaf => leaf::inside::run(),
    }
}

/// The manual page of the program, then those of its commands.
fn manual(out: &mut dyn std::io::Write) -> std::io::Result<()> {
    let mut command = Cli::command();
    command.build();
    let mut page = Vec::new();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for part in command.get_subcommands() {
        clap_mangen::Man::new(part.clone()).render(&mut page)?;
    }
    out.write_all(&page)
}

/// The rules that are built in and those of the folders, and what is wrong with the unsound ones: the others are used, but
/// a rule that is left out must not look like a pass.
///
/// # Errors
/// If there is no such folder, or a rule has the name of another.
fn load_rules(folders: &[impl AsRef<Path>], builtin: bool) -> anyhow::Result<(RuleTable, Vec<Diagnostic>)> {
    let (mut rules, mut diagnostics) = (Vec::new(), Vec::new());
    for folder in folders {
        let folder = folder.as_ref();
        if !folder.is_dir() {
            return Err(UsageError::new(format_args!("there is no folder `{}` with rules", folder.display())).into());
        }
        let found = keyblind_rule_language::read_folder(folder);
        diagnostics.extend(found.errors.into_iter().map(|error| {
            let place = folder.join(&error.path).display().to_string();
            let place = if error.line > 0 { format!("{place}:{}:{}", error.line, error.column) } else { place };
            let help = error.help.unwrap_or_else(|| "mend the rule: it was left out".to_owned());
            Diagnostic::unread("unsound-rule", place, error.message).with_help(help)
        }));
        rules.extend(found.rules);
    }
    let table = match (builtin, rules.is_empty()) {
        (true, true) => RuleTable::embedded(),
        (true, false) => RuleTable::with_team_rules(&rules),
        (false, _) => RuleTable::of(&rules),
    };
    match table {
        Err(error @ keyblind_rules::TableError::NameTaken { .. }) => {
            Err(UsageError::new(format_args!("{error}, or use only your own rules with `--no-builtin-rules`")).into())
        }
        table => Ok((table.context("can't load the rules")?, diagnostics)),
    }
}

/// The same for commands that are about rules alone: what is wrong with them is said at once. The exit code is that of a
/// command that could do the rest.
fn load_table(arguments: &TableArguments) -> anyhow::Result<(RuleTable, Exit)> {
    let (table, diagnostics) = load_rules(&arguments.folders, !arguments.no_builtin_rules)?;
    for diagnostic in &diagnostics {
        terminal::say(format_args!("error: {}: {}", diagnostic.path.as_deref().unwrap_or_default(), diagnostic.message));
    }
    Ok((table, if diagnostics.is_empty() { Exit::Clean } else { Exit::Incomplete }))
}

/// Gives the worker threads their stack. That somebody did it before is no error.
fn start_threads() {
    // None of a leaf's own looking: it would see nothing.
    let threads = leaf::inside().map_or(0, leaf::inside::Inside::threads);
    let _ = rayon::ThreadPoolBuilder::new().num_threads(threads).stack_size(STACK_BYTES).build_global();
}

/// The current day (UTC).
fn today() -> Date {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Date::from_days_since_epoch(since_epoch.as_secs() / 86_400)
}

/// A moment (UTC), as RFC 3339 has it.
fn moment(time: UnixMillis) -> String {
    let seconds = time.get() / 1_000;
    let (day, rest) = (Date::from_days_since_epoch(seconds / 86_400), seconds % 86_400);
    format!("{day}T{:02}:{:02}:{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_everybody_reads_it() {
        assert_eq!(moment(UnixMillis::new(1_795_351_567_999)), "2026-11-22T12:46:07Z");
        assert_eq!(moment(UnixMillis::new(u64::MAX)).get(..10), Some("9999-12-31"));
    }
}
