//! What may be changed in a script, the likeliest to be meant first.

use keyblind_syntax::TextRange;
use keyblind_syntax::shell::{self, Command, Word};

use super::{Place, Script, modes, package_words, scripts};
use crate::dockerfile::Goal;
use crate::dockerfile::surgery::without_word;

/// The most words of an instruction that are looked at.
const MOST_WORDS: usize = 2_000;
/// Options that take the next word as their value.
const WITH_VALUE: &[&str] = &["--trusted-host", "--extra-index-url"];
/// What a condition may be, and its contrary.
const CONTRARIES: &[(&str, &str)] = &[("false", "true"), ("0", "1"), ("no", "yes"), ("off", "on")];
/// Options of installers that take no value.
const SWITCHES: &[&str] = &["-y", "-q", "-qq", "-yq", "-yqq", "-qy", "-qqy", "--yes", "--quiet", "--assume-yes"];
/// What `apt` and `apt-get` have in common, and what is `apt-cache`'s.
const APT_GET_VERBS: &[&str] = &[
    "autoclean",
    "autopurge",
    "autoremove",
    "build-dep",
    "clean",
    "dist-upgrade",
    "download",
    "install",
    "purge",
    "remove",
    "source",
    "update",
    "upgrade",
];
const APT_CACHE_VERBS: &[&str] = &["depends", "madison", "policy", "rdepends", "search", "show", "showpkg"];

/// A changed text.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) text: String,
    /// What is different.
    pub(super) place: &'static str,
    /// A program that is run now, and wasn't.
    pub(super) program: Option<String>,
}

/// A command and where it stands.
struct Line<'l> {
    script: &'l Script<'l>,
    commands: &'l [Command],
    command: &'l Command,
}

type Kind = fn(&Place<'_>, &Goal<'_>, &Line<'_>) -> Vec<Candidate>;

/// All that may be changed in an instruction.
pub(super) fn candidates(site: &Place<'_>, goal: &Goal<'_>) -> Vec<Candidate> {
    const KINDS: &[Kind] = &[
        rewritten,
        inserted,
        without_assignments,
        without_letters,
        contrary,
        without_options,
        without_wrapper,
        mode,
        without_package,
        without_command,
    ];
    let scripts = scripts(site.text, site.instruction);
    let parsed: Vec<(&Script<'_>, Vec<Command>)> = scripts.iter().map(|script| (script, shell::parse(&script.text).commands)).collect();
    let words: usize = parsed.iter().flat_map(|(_, commands)| commands).map(|command| command.words.len()).sum();
    if words > MOST_WORDS {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for (script, commands) in &parsed {
        lines.extend(commands.iter().map(|command| Line { script, commands, command }));
    }
    KINDS.iter().flat_map(|kind| lines.iter().flat_map(move |line| kind(site, goal, line))).collect()
}

impl Candidate {
    fn of(place: &'static str) -> impl Fn(String) -> Self {
        move |text| Self { text, place, program: None }
    }
}

impl Line<'_> {
    /// The bytes of a word, if it stands there as it is, but for quotes around it.
    fn written<'t>(&self, site: &Place<'t>, word: &Word) -> Option<(TextRange, &'t str)> {
        let range = self.script.locate(word.range);
        let written = site.text.get(range.as_usize())?;
        let within = |quote: char| written.strip_prefix(quote).and_then(|inner| inner.strip_suffix(quote));
        let inner = within('"').or_else(|| within('\''));
        (written == word.text || inner == Some(&*word.text)).then_some((range, written))
    }

    /// The text with a word replaced.
    fn with(&self, site: &Place<'_>, word: &Word, new: &str) -> Option<String> {
        let (range, written) = self.written(site, word)?;
        let quote = if written == word.text { "" } else { written.get(..1)? };
        Some([&site.text[..range.start as usize], quote, new, quote, &site.text[range.end as usize..]].concat())
    }

    /// The text without some words, the first of which stands first.
    fn without(&self, site: &Place<'_>, words: &[&Word]) -> Option<String> {
        let mut text = site.text.to_owned();
        for word in words.iter().rev() {
            let (range, _) = self.written(site, word)?;
            text = without_word(&text, range, site.head(), site.escape())?;
        }
        Some(text)
    }

    fn program(&self) -> &str {
        self.command.invocation().name.unwrap_or_default()
    }
}

/// Words as a good example has them.
fn rewritten(site: &Place<'_>, goal: &Goal<'_>, line: &Line<'_>) -> Vec<Candidate> {
    let invocation = line.command.invocation();
    let name_at = line.command.words.len() - invocation.arguments.len();
    let mut found = Vec::new();
    for (index, word) in line.command.words.iter().enumerate() {
        let is_name = index + 1 == name_at && invocation.name.is_some();
        for new in goal.lessons.rewritten(&word.text) {
            // An option that is given already would be given twice.
            let option = new.split('=').next().unwrap_or_default();
            if option.starts_with("--") && line.command.words.iter().any(|other| other.text.split('=').next() == Some(option)) {
                continue;
            }
            if !is_name {
                found.extend(line.with(site, word, &new).map(Candidate::of("commands.arguments")));
            } else if let Some(program) = renamed(line.command, &new) {
                let directory = word.text.rfind('/').map_or("", |slash| &word.text[..=slash]);
                let text = line.with(site, word, &[directory, &program].concat());
                found.extend(text.map(|text| Candidate { text, place: "commands.name", program: Some(program) }));
            }
        }
    }
    found
}

/// The program that takes another's place; none, if it doesn't know what that one is told.
fn renamed(command: &Command, new: &str) -> Option<String> {
    let new = new.rsplit('/').next().unwrap_or(new);
    if new != "apt-get" {
        return Some(new.to_owned());
    }
    let verb = command.invocation().arguments.iter().find(|word| !word.text.starts_with('-'))?;
    match &*verb.text {
        verb if APT_GET_VERBS.contains(&verb) => Some("apt-get".to_owned()),
        verb if APT_CACHE_VERBS.contains(&verb) => Some("apt-cache".to_owned()),
        _ => None,
    }
}

/// Options as a good example has them, behind the word that they belong to and its switches.
fn inserted(site: &Place<'_>, goal: &Goal<'_>, line: &Line<'_>) -> Vec<Candidate> {
    let words = &line.command.words;
    let insert = |(_, anchor, option): &(String, String, String)| {
        let at = words.iter().position(|word| word.text == *anchor)?;
        let is_switch = |word: &&Word| SWITCHES.contains(&&*word.text);
        let last = words[at + 1..].iter().take_while(is_switch).last().unwrap_or(&words[at]);
        let (range, _) = line.written(site, last)?;
        let end = range.end as usize;
        Some([&site.text[..end], " ", option, &site.text[end..]].concat())
    };
    // `apt` takes the options of `apt-get`.
    let own = if line.program() == "apt" { "apt-get" } else { line.program() };
    let of_program = goal.lessons.inserted.iter().filter(|(program, ..)| program == own);
    of_program.filter_map(insert).map(Candidate::of("commands.arguments")).collect()
}

/// Without `NAME=value` in front of a program, or among what is exported.
fn without_assignments(site: &Place<'_>, _: &Goal<'_>, line: &Line<'_>) -> Vec<Candidate> {
    let invocation = line.command.invocation();
    let is_alone = matches!(invocation.name, None | Some("export"));
    let assignments: Vec<&Word> = match invocation.name {
        Some("export") => invocation.arguments.iter().filter(|word| word.text.contains('=')).collect(),
        _ => invocation.assignments,
    };
    let texts: Vec<String> = match &assignments[..] {
        [_] if is_alone => without_pipeline(site, line).into_iter().collect(),
        words => words.iter().filter_map(|word| line.without(site, &[word])).collect(),
    };
    texts.into_iter().map(Candidate::of("commands.assignments")).collect()
}

/// Without one letter of several in an option.
fn without_letters(site: &Place<'_>, _: &Goal<'_>, line: &Line<'_>) -> Vec<Candidate> {
    let is_cluster = |word: &&Word| {
        let letters = word.text.strip_prefix('-').unwrap_or_default();
        (2..12).contains(&letters.len()) && letters.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    let mut found = Vec::new();
    for word in line.command.words.iter().filter(is_cluster) {
        let shorter = (1..word.text.len()).map(|at| [&word.text[..at], &word.text[at + 1..]].concat());
        found.extend(shorter.filter_map(|shorter| line.with(site, word, &shorter)).map(Candidate::of("commands.arguments")));
    }
    found
}

/// The contrary of what a word says.
fn contrary(site: &Place<'_>, _: &Goal<'_>, line: &Line<'_>) -> Vec<Candidate> {
    let mut found = Vec::new();
    for word in line.command.invocation().arguments {
        let value_at = word.text.rfind('=').map_or(0, |equals| equals + 1);
        let (key, value) = word.text.split_at(value_at);
        let contrary = CONTRARIES.iter().find(|(is, _)| value.eq_ignore_ascii_case(is));
        let text = contrary.and_then(|(_, contrary)| line.with(site, word, &[key, contrary].concat()));
        found.extend(text.map(Candidate::of("commands.arguments")));
    }
    found
}

/// Without an option, and its value.
fn without_options(site: &Place<'_>, goal: &Goal<'_>, line: &Line<'_>) -> Vec<Candidate> {
    let words = line.command.invocation().arguments;
    let without = |(index, word): (usize, &Word)| {
        let value = words.get(index + 1).filter(|_| WITH_VALUE.contains(&&*word.text));
        let gone: Vec<&Word> = std::iter::once(word).chain(value).collect();
        line.without(site, &gone)
    };
    // What has another in its place isn't dispensable.
    let options = words.iter().enumerate().filter(|(_, word)| word.text.starts_with('-') && goal.lessons.rewritten(&word.text).is_empty());
    options.filter_map(without).map(Candidate::of("commands.arguments")).collect()
}

/// Without `sudo`, where the step is root's anyway.
fn without_wrapper(site: &Place<'_>, _: &Goal<'_>, line: &Line<'_>) -> Vec<Candidate> {
    if !line.command.invocation().wrappers.contains(&"sudo") || !site.is_root() {
        return Vec::new();
    }
    let words = &line.command.words;
    let Some(at) = words.iter().position(|word| word.text == "sudo" || word.text.ends_with("/sudo")) else { return Vec::new() };
    let options: Vec<&Word> = words[at + 1..].iter().take_while(|word| word.text.starts_with('-')).collect();
    // Others run the program as somebody else, or not at all.
    if !options.iter().all(|word| matches!(&*word.text, "-E" | "-H" | "-n" | "-S" | "-EH" | "-HE" | "--")) {
        return Vec::new();
    }
    let gone: Vec<&Word> = std::iter::once(&words[at]).chain(options).collect();
    line.without(site, &gone).into_iter().map(Candidate::of("commands.wrappers")).collect()
}

/// A mode that gives less; a command that only gave too much goes.
fn mode(site: &Place<'_>, _: &Goal<'_>, line: &Line<'_>) -> Vec<Candidate> {
    if line.program() != "chmod" {
        return Vec::new();
    }
    let Some(word) = line.command.invocation().arguments.iter().find(|word| !word.text.starts_with('-')) else { return Vec::new() };
    let text = match modes::without_fault(&word.text) {
        Some(Some(mode)) => line.with(site, word, &mode),
        Some(None) => without_pipeline(site, line),
        None => None,
    };
    text.into_iter().map(Candidate::of("commands.arguments")).collect()
}

/// Without a package that nothing else in the file speaks of; without the command, if it installs no other.
fn without_package(site: &Place<'_>, _: &Goal<'_>, line: &Line<'_>) -> Vec<Candidate> {
    let packages = package_words(line.command);
    let is_used = |package: &str| {
        // A server's program is called after what it serves.
        let stem = package.strip_suffix("-server").map_or(package, |stem| stem.strip_prefix("open").unwrap_or(stem));
        let range = site.instruction.range.as_usize();
        site.text[..range.start].contains(stem) || site.text[range.end..].contains(stem)
    };
    let without = |package: &&Word| if packages.len() > 1 { line.without(site, &[package]) } else { without_pipeline(site, line) };
    packages.iter().filter(|package| !is_used(&package.text)).filter_map(without).map(Candidate::of("commands.arguments")).collect()
}

/// Without a command that no good example runs, and what it is connected with by pipes.
fn without_command(site: &Place<'_>, goal: &Goal<'_>, line: &Line<'_>) -> Vec<Candidate> {
    let of_pipeline = line.commands.iter().filter(|other| other.pipeline == line.command.pipeline);
    let programs: Vec<&str> = of_pipeline.filter_map(|command| command.invocation().name).collect();
    if programs.is_empty() || !goal.lessons.takes_out(&programs) {
        return Vec::new();
    }
    without_pipeline(site, line).into_iter().map(Candidate::of("commands")).collect()
}

/// The text without a pipeline and the operator that connects it; `None` if nothing else is run, or if it stands where the
/// shell's grammar needs a command.
fn without_pipeline(site: &Place<'_>, line: &Line<'_>) -> Option<String> {
    let of_pipeline = line.commands.iter().filter(|other| other.pipeline == line.command.pipeline);
    let whole = of_pipeline.map(|command| command.range).reduce(TextRange::cover)?;
    let script = &line.script.text;
    let (before, after) = (script.get(..whole.start as usize)?, script.get(whole.end as usize..)?);
    let (left, right) = (before.trim_end(), after.trim_start());
    let place = |start: usize, end: usize| line.script.locate(TextRange::new(start as u32, end as u32)).as_usize();
    let is_list = right.starts_with("&&") || (right.starts_with(';') && !right.starts_with(";;"));
    if line.script.is_heredoc() {
        // A line of its own goes as a whole.
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let gap = after.len() - after.trim_start_matches([' ', '\t', '\r']).len();
        if before[line_start..].trim().is_empty() && after[gap..].starts_with('\n') {
            let range = place(line_start, whole.end as usize + gap + 1);
            return Some([&site.text[..range.start], &site.text[range.end..]].concat());
        }
    }
    if !is_list && !right.is_empty() && !after.trim_start_matches([' ', '\t', '\r']).starts_with('\n') {
        return None;
    }
    if let Some(rest) = left.strip_suffix("&&").or_else(|| left.strip_suffix(';')) {
        // What connected it goes, with the end of the line before.
        let range = place(rest.len(), whole.end as usize);
        return Some([trimmed_end(&site.text[..range.start], site.escape()), &site.text[range.end..]].concat());
    }
    if left.is_empty() && is_list && !line.script.is_heredoc() {
        let rest = right.strip_prefix("&&").or_else(|| right.strip_prefix(';'))?.trim_start();
        let next = script.len() - rest.len();
        if rest.is_empty() {
            return None;
        }
        let (start, end) = (place(whole.start as usize, whole.end as usize).start, place(next, next + 1).start);
        return Some([&site.text[..start], &site.text[end..]].concat());
    }
    None
}

/// A text without white space and continuations at its end.
fn trimmed_end(text: &str, escape: u8) -> &str {
    let mut text = text;
    loop {
        let trimmed = text.trim_end();
        // Only what continues a line is taken off: there is the end of one behind it.
        match trimmed.strip_suffix(char::from(escape)) {
            Some(rest) if text[trimmed.len()..].contains('\n') => text = rest,
            _ => return trimmed,
        }
    }
}
