//! The user that an image runs as.

use keyblind_resource::Value;
use keyblind_syntax::dockerfile::Keyword;
use keyblind_syntax::shell;

use super::{Change, Document, Goal, instruction};
use crate::hindrance::Hindrance;
use crate::proof::dockerfile::{Part, above};

/// A number that no account of a usual image has.
const NOBODY_ELSE: &str = "10001";
/// The account without privileges of Windows' base images.
const WINDOWS_USER: &str = "ContainerUser";
/// Official images that bring an account without privileges along for what they run.
const ACCOUNTS: &[(&str, &str)] = &[
    ("mariadb", "mysql"),
    ("memcached", "memcache"),
    ("mongo", "mongodb"),
    ("mysql", "mysql"),
    ("node", "node"),
    ("postgres", "postgres"),
    ("rabbitmq", "rabbitmq"),
    ("redis", "redis"),
];
/// Official images whose own program starts as root, and takes the account that its configuration names.
const STARTED_AS_ROOT: &[&str] = &["httpd", "nginx"];
/// Programs that start others under another account: what begins as root doesn't stay so.
const SWITCHES_OF_USERS: &[&str] = &["gosu", "su-exec", "setpriv", "s6-overlay"];

/// What is missing in the file as a whole.
pub(super) fn of_file(document: &Document<'_>, goal: &Goal<'_>) -> Result<Vec<Change>, Hindrance> {
    if goal.lessons.adds(Keyword::User) {
        settled(document, goal)?;
        return added(document, goal).map(|change| vec![change]).ok_or(Hindrance::NotProven);
    }
    if goal.lessons.adds(Keyword::Healthcheck) {
        let command = goal.wanted("command", "COMMAND", "The command that asks the service whether it is well", |_| true)?;
        let change = inserted(document, &format!("HEALTHCHECK CMD {command}")).ok_or(Hindrance::NotProven)?;
        return Ok(vec![Change { places: Vec::new(), ..change }]);
    }
    Err(Hindrance::NeedsRedesign)
}

/// A `USER` that names root: the account is another, or becomes another behind what needs root.
pub(super) fn of_instruction(document: &Document<'_>, goal: &Goal<'_>, number: usize) -> Result<Vec<Change>, Hindrance> {
    let last = document.resources.len().checked_sub(1).and_then(|last| document.stage_of(last)).ok_or(Hindrance::NotProven)?;
    settled(document, goal)?;
    let needs_root = (number + 1..document.parsed.instructions.len()).any(|other| document.instruction(other).keyword == Keyword::Run);
    if needs_root || document.stage_of(number) != Some(last) {
        return added(document, goal).map(|change| vec![change]).ok_or(Hindrance::NotProven);
    }
    let user = account(document, goal);
    let is_user = |other: &usize| document.instruction(*other).keyword == Keyword::User && document.instruction(*other).onbuild.is_none();
    let before = (last..number).rev().find(is_user);
    if before.is_some_and(|before| document.instruction(before).arguments.text.trim() == user) {
        // The account that it was already, and nothing in between needs another.
        return Ok(vec![Change { places: vec![("USER", "user")], ..instruction::removed(document, number) }]);
    }
    let range = document.instruction(number).arguments.whole();
    Ok(vec![Change::of(document.replaced(range, &user), number, ("USER", "user"))])
}

/// Whether it can be told that another account will do: not where a program of the image changes from root to one by itself.
fn settled(document: &Document<'_>, goal: &Goal<'_>) -> Result<(), Hindrance> {
    let from = document.resources.len().checked_sub(1).and_then(|last| document.stage_of(last)).ok_or(Hindrance::NotProven)?;
    if goal.given("user").is_some() {
        return Ok(());
    }
    let chain = document.chain(from);
    let texts = || chain.iter().flat_map(|&stage| stage..document.end_of(stage)).map(|number| document.instruction(number));
    if texts().any(|instruction| SWITCHES_OF_USERS.iter().any(|program| instruction.arguments.text.contains(program))) {
        return Err(Hindrance::NeedsDecision);
    }
    let starts = texts().any(|instruction| matches!(instruction.keyword, Keyword::Cmd | Keyword::Entrypoint));
    if !starts && chain.last().is_some_and(|&from| STARTED_AS_ROOT.contains(&official(document, from))) {
        return Err(Hindrance::NeedsRedesign);
    }
    Ok(())
}

/// The name of the official image that a stage is built upon, or of another image as it is written, without its tag.
pub(super) fn official<'d>(document: &'d Document<'_>, from: usize) -> &'d str {
    let image = document.resources[from].body.get("image").and_then(Value::as_str).unwrap_or_default();
    let name = image.split(['@', ':']).next().unwrap_or_default();
    let name = name.strip_prefix("docker.io/").unwrap_or(name);
    name.strip_prefix("library/").unwrap_or(name)
}

/// The text with a `USER` behind what needs root.
fn added(document: &Document<'_>, goal: &Goal<'_>) -> Option<Change> {
    inserted(document, &format!("USER {}", account(document, goal)))
}

/// The text with an instruction before the last stage says what is run, and behind all that is run to build it.
fn inserted(document: &Document<'_>, line: &str) -> Option<Change> {
    let instructions = &document.parsed.instructions;
    let from = (0..instructions.len()).rev().find(|&number| instructions[number].keyword == Keyword::From)?;
    let last_run = (from..instructions.len()).rev().find(|&number| instructions[number].keyword == Keyword::Run).unwrap_or(from);
    let is_start = |number: &usize| {
        matches!(instructions[*number].keyword, Keyword::Cmd | Keyword::Entrypoint) && instructions[*number].onbuild.is_none()
    };
    let anchor = (last_run + 1..instructions.len()).find(is_start);
    let ending = document.line_ending();
    let (at, inserted, number) = match anchor {
        Some(number) => {
            let line_start = document.text[..instructions[number].range.start as usize].rfind('\n').map_or(0, |newline| newline + 1);
            let at = above(document.text, line_start);
            let has_comment = at < line_start;
            let before = &document.text[..at];
            let is_paragraph = before.ends_with("\n\n") || before.ends_with("\n\r\n");
            let gap = if has_comment && is_paragraph { ending } else { "" };
            (at, format!("{line}{ending}{gap}"), number)
        }
        None => {
            let range = instructions.last()?.range.as_usize();
            // Behind several lines it is a paragraph of its own, where others are.
            let is_apart =
                document.text[range.clone()].contains('\n') && (document.text.contains("\n\n") || document.text.contains("\n\r\n"));
            let gap = if is_apart { ending } else { "" };
            let line_end = document.text[range.end..].find('\n').map(|newline| range.end + newline + 1);
            match line_end {
                Some(at) => (at, format!("{gap}{line}{ending}"), instructions.len()),
                None => (document.text.len(), format!("{ending}{gap}{line}"), instructions.len()),
            }
        }
    };
    let text = [&document.text[..at], &inserted, &document.text[at..]].concat();
    Some(Change { text, parts: vec![(number, Part::Added(0))], places: vec![("USER", "user")] })
}

/// The account that the image should run as: the one that is asked for, that the file uses or makes, that the image brings, or
/// a number.
fn account(document: &Document<'_>, goal: &Goal<'_>) -> String {
    if let Some(user) = goal.given("user") {
        return user.to_owned();
    }
    let Some(from) = document.resources.len().checked_sub(1).and_then(|last| document.stage_of(last)) else {
        return NOBODY_ELSE.to_owned();
    };
    let chain = document.chain(from);
    let in_chain: Vec<usize> = chain.iter().flat_map(|&stage| (stage..document.end_of(stage)).rev()).collect();
    let used = in_chain.iter().filter(|&&number| document.instruction(number).keyword == Keyword::User).find_map(|&number| {
        let user = document.resources[number].body.get("user").and_then(Value::as_str)?;
        let is_root = matches!(user, "root" | "0" | "ContainerAdministrator" | "Administrator");
        (!is_root).then(|| document.instruction(number).arguments.text.trim().to_owned())
    });
    if let Some(user) = used {
        return user;
    }
    if let Some(user) = made(document, &in_chain) {
        return user;
    }
    let base = chain.last().copied().unwrap_or(from);
    let image = document.resources[base].body.get("image").and_then(Value::as_str).unwrap_or_default();
    let repository = official(document, base);
    if ["windows", "nanoserver", "servercore"].iter().any(|name| image.contains(name)) {
        return WINDOWS_USER.to_owned();
    }
    if repository.starts_with("gcr.io/distroless/") {
        return "nonroot".to_owned();
    }
    ACCOUNTS.iter().find(|(name, _)| *name == repository).map_or(NOBODY_ELSE, |(_, user)| user).to_owned()
}

/// The one account that the build makes.
fn made(document: &Document<'_>, numbers: &[usize]) -> Option<String> {
    let mut found: Vec<String> = Vec::new();
    for &number in numbers.iter().filter(|&&number| document.instruction(number).keyword == Keyword::Run) {
        let instruction = document.instruction(number);
        let heredocs = instruction.heredocs.iter().filter_map(|heredoc| document.text.get(heredoc.content.as_usize()));
        for script in std::iter::once(instruction.arguments.text.as_str()).chain(heredocs) {
            for command in shell::parse(script).commands {
                let invocation = command.invocation();
                if !matches!(invocation.name, Some("useradd" | "adduser")) {
                    continue;
                }
                // The name stands last; where another follows it, that is a group, and the account was there before.
                let (last, before) = invocation.arguments.split_last()?;
                let is_name = |text: &str| {
                    text.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
                        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-'))
                };
                let is_value = |word: &shell::Word| word.text.starts_with('-') || !is_name(&word.text);
                let is_account = match before {
                    [] => true,
                    [only] => is_value(only),
                    [.., option, value] => is_value(value) || option.text.starts_with('-'),
                };
                if !last.is_literal || !is_name(&last.text) || !is_account {
                    return None;
                }
                found.push(last.text.clone());
            }
        }
    }
    match &found[..] {
        [user] if user != "root" => Some(user.clone()),
        _ => None,
    }
}
