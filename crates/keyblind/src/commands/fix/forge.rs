//! Fixes for a repository at a forge: the broker reads it, a leaf unpacks it, another one looks for fixes and proves them, and the broker
//! proposes them as a pull request once somebody has said yes. Nothing here has a credential or a socket.

mod explanation;
mod follow;
mod parts;
mod request;
#[cfg(test)]
mod samples;
mod standing;

use anyhow::Context as _;
use keyblind_intent::{Intent, Line, Proposed, Request};
use keyblind_rules::RuleTable;

use self::explanation::Place;
use self::follow::{Followed, follow};
use self::request::Wanted;
use self::standing::{Document, Ending, Standing};
use super::proposal::Inbox;
use crate::arguments::{FixArguments, FixOutput, Global, When};
use crate::broker::Broker;
use crate::commands::moment;
use crate::commands::remote::{Fetched, Remote};
use crate::commands::scan::further;
use crate::commands::started;
use crate::exit::{Exit, UsageError};
use crate::interrupt::Interrupt;
use crate::leaf::outside;
use crate::progress::Bar;
use crate::{output, terminal};

/// Shows the fixes as for files that lie here, or proposes them.
///
/// # Errors
/// If the repository can't be read, or what is asked for would write to it.
pub(super) fn run(remote: Remote, arguments: &FixArguments, global: Global) -> anyhow::Result<Exit> {
    if arguments.writes() || arguments.verify.is_some() {
        let help = "leave `--write`, `--interactive` and `--verify` out, and propose the fixes with `--pr`";
        return Err(UsageError::new(format_args!("a repository at a forge isn't written to from here: {help}")).into());
    }
    if !arguments.pull_request {
        return look(&fetched(remote, arguments, global)?, arguments, None, global);
    }
    if arguments.output == Some(FixOutput::Patch) {
        return Err(UsageError::new("`--pr` prints no patch: leave `--pr` out to see it, or take `--output json`").into());
    }
    propose(remote, arguments, global)
}

/// The repository's files: those that were handed over, or else those that the broker reads.
fn fetched(remote: Remote, arguments: &FixArguments, global: Global) -> anyhow::Result<Fetched> {
    let sandbox = arguments.sandbox.at_least_available();
    match &arguments.handed {
        Some(commit) => remote.handed(started::handed()?, commit, sandbox, global),
        None => remote.fetch(sandbox, global),
    }
}

/// Looks for fixes in a leaf. With an inbox it hands them over, and shows none.
fn look(fetched: &Fetched, arguments: &FixArguments, inbox: Option<&Inbox>, global: Global) -> anyhow::Result<Exit> {
    outside::run(outside::Confined {
        root: fetched.folder.path(),
        reads_input: false,
        is_in_tree: true,
        further: further(&arguments.what),
        files: inbox.map(Inbox::files).unwrap_or_default(),
        sandbox: arguments.sandbox.at_least_available(),
        global,
        bar: &Bar::new(When::Auto, global.quiet),
        models: crate::commands::models::direct(arguments.models)?,
    })
}

fn propose(remote: Remote, arguments: &FixArguments, global: Global) -> anyhow::Result<Exit> {
    let remote = if arguments.handed.is_some() { remote } else { remote.into_branch(arguments.base.as_ref())? };
    let fetched = fetched(remote, arguments, global)?;
    let base = arguments.base.clone().or_else(|| fetched.branch.clone());
    let base = base.ok_or_else(|| UsageError::new("the broker doesn't say which branch the default one is: add `--base BRANCH`"))?;
    let place = Place { repository: &fetched.repository, base: &base, commit: &fetched.commit };
    let inbox = Inbox::new()?;
    let exit = look(&fetched, arguments, Some(&inbox), global)?;
    let mut all = wanted(&inbox, &fetched, &place, arguments)?;
    if arguments.handed.is_some() {
        hand_back(all)?;
        return Ok(exit);
    }
    let is_json = arguments.output == Some(FixOutput::Json);
    if all.is_empty() {
        if !global.quiet && matches!(exit, Exit::Clean | Exit::Findings | Exit::Incomplete) {
            terminal::say("nothing to propose");
        }
    } else {
        let interrupt = Interrupt::watch()?;
        let mut broker = Some(Broker::connect()?);
        for (wanted, standing) in &mut all {
            let asked = ask(&mut broker, wanted);
            // The relay got the signal as well: what was sent may stand.
            if asked.is_err() && interrupt.happened() {
                terminal::say("interrupted while asking: the request may stand; whoever may approve sees it on the broker's pages");
                print_json(&place, &all, is_json)?;
                return Ok(Exit::Interrupted);
            }
            *standing = asked.unwrap_or_else(|error| Standing::Ended(Ending::failed(&error)));
            show(wanted, standing, is_json)?;
        }
        if wait(broker, &mut all, &interrupt, arguments, is_json, global)? == Followed::Interrupted {
            print_json(&place, &all, is_json)?;
            return Ok(Exit::Interrupted);
        }
    }
    print_json(&place, &all, is_json)?;
    Ok(standing::exit(all.iter().map(|(_, standing)| standing), exit))
}

/// What a leaf handed over, as requests that nobody has answered yet.
fn wanted(inbox: &Inbox, fetched: &Fetched, place: &Place<'_>, arguments: &FixArguments) -> anyhow::Result<Vec<(Wanted, Standing)>> {
    let tree = fetched.folder.path();
    let Some((proposal, contents)) = inbox.take(tree)? else { return Ok(Vec::new()) };
    // Without it a rule of the repository's own may have the name of one that is built in.
    let table = (!arguments.what.table.no_builtin_rules).then(RuleTable::embedded).transpose().context("can't load the rules")?;
    let parts = parts::divide(&proposal);
    let composed = parts.iter().map(|part| request::compose(&proposal, &contents, part, place, tree, table.as_ref()));
    composed.map(|wanted| Ok((wanted?, Standing::Ended(Ending::not_asked())))).collect()
}

/// Gives what is to be proposed to whoever handed the repository over.
fn hand_back(all: Vec<(Wanted, Standing)>) -> anyhow::Result<()> {
    for (wanted, _) in all {
        let fingerprints = wanted.fingerprints.iter().filter_map(|fingerprint| Line::new(fingerprint.as_str()).ok()).collect();
        let proposed = Proposed { request: wanted.request, fingerprints };
        let head = proposed.head().context("the fixes can't be handed back")?;
        output::print_with(|out| out.write_all(&head).and_then(|()| out.write_all(&wanted.contents)))?;
    }
    Ok(())
}

fn ask(broker: &mut Option<Broker>, wanted: &Wanted) -> anyhow::Result<Standing> {
    let mut asked = match broker.take() {
        Some(broker) => broker,
        None => Broker::connect()?,
    };
    let request = Request::Intent(Intent::ProposePullRequest(wanted.request.clone()));
    // After an error there is no knowing what comes next on this connection: it is left behind.
    let answer = asked.ask_with(&request, &wanted.contents)?;
    *broker = Some(asked);
    Ok(standing::asked(answer))
}

/// Shows what people have to do, or what came of it at once. What programs read comes at the end.
fn show(wanted: &Wanted, standing: &Standing, is_json: bool) -> anyhow::Result<()> {
    let text = match standing {
        Standing::Open(open) => standing::open_in_words(wanted, open),
        over => standing::end_in_words(wanted, over).unwrap_or_default(),
    };
    if is_json {
        terminal::say(text.trim_end());
        return Ok(());
    }
    output::print_with(|out| out.write_all(text.as_bytes()))
}

/// Waits for what is open, and shows what becomes of it.
fn wait(
    broker: Option<Broker>,
    all: &mut [(Wanted, Standing)],
    interrupt: &Interrupt,
    arguments: &FixArguments,
    is_json: bool,
    global: Global,
) -> anyhow::Result<Followed> {
    let open: Vec<usize> = (0..all.len()).filter(|number| matches!(all[*number].1, Standing::Open(_))).collect();
    if open.is_empty() || arguments.no_wait && !arguments.wait {
        return Ok(Followed::Decided);
    }
    if !global.quiet {
        terminal::say("waiting for an answer; Ctrl-C ends the waiting, not the request");
    }
    let followed = follow(broker, all, interrupt, global);
    for (wanted, standing) in open.iter().map(|number| &all[*number]) {
        match standing {
            Standing::Open(open) => {
                let until = moment(open.expires);
                terminal::say(format_args!("interrupted: the request {} stands until {until}, and is done once it is approved", open.code));
            }
            over => show(wanted, over, is_json)?,
        }
    }
    Ok(followed)
}

fn print_json(place: &Place<'_>, all: &[(Wanted, Standing)], is_json: bool) -> anyhow::Result<()> {
    if !is_json {
        return Ok(());
    }
    let document = Document::new(place.repository, place.commit, all);
    output::print_with(|out| {
        serde_json::to_writer_pretty(&mut *out, &document).map_err(std::io::Error::from)?;
        out.write_all(b"\n")
    })
}
