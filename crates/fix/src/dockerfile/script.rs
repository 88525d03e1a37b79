//! Changes in the scripts of RUN, CMD, ENTRYPOINT and HEALTHCHECK: word by word, the smallest that helps.

mod candidates;
mod modes;

use keyblind_syntax::TextRange;
use keyblind_syntax::dockerfile::{self, Dockerfile, Instruction, Keyword};
use keyblind_syntax::shell::{self, Command, Word};

use super::{Change, Document, Goal, instruction};
use crate::hindrance::Hindrance;
use crate::proof::dockerfile::Part;
use candidates::{Candidate, candidates};

/// The most changes of one instruction.
const MOST_CHANGES: usize = 40;
/// Programs that install packages, and the words by which they do.
const INSTALLERS: &[&str] = &["apt-get", "apt", "apk", "yum", "dnf", "microdnf", "zypper"];
const INSTALL_VERBS: &[&str] = &["install", "add"];
const REFRESH_VERBS: &[&str] = &["update", "makecache", "refresh"];

/// A script in an instruction: its text, and where that stands.
struct Script<'s> {
    text: String,
    place: ScriptPlace<'s>,
}

enum ScriptPlace<'s> {
    /// The arguments, continued lines joined.
    Arguments(&'s Instruction),
    /// A here-document, from this offset on.
    Heredoc(u32),
}

impl Script<'_> {
    fn locate(&self, range: TextRange) -> TextRange {
        match self.place {
            ScriptPlace::Arguments(instruction) => instruction.arguments.locate(range),
            ScriptPlace::Heredoc(start) => TextRange::new(range.start + start, range.end + start),
        }
    }

    fn is_heredoc(&self) -> bool {
        matches!(self.place, ScriptPlace::Heredoc(_))
    }
}

/// The scripts of an instruction; none of one in exec form, which no shell reads.
fn scripts<'s>(text: &str, instruction: &'s Instruction) -> Vec<Script<'s>> {
    if instruction.exec.is_some() {
        return Vec::new();
    }
    let mut arguments = instruction.arguments.text.clone();
    if instruction.keyword == Keyword::Healthcheck
        && let Some(rest) = arguments.get(..3).filter(|word| word.eq_ignore_ascii_case("cmd")).and(arguments.get(3..))
    {
        arguments = format!("   {rest}");
    }
    let mut found = vec![Script { text: arguments, place: ScriptPlace::Arguments(instruction) }];
    for heredoc in &instruction.heredocs {
        let content = text.get(heredoc.content.as_usize()).unwrap_or_default();
        found.push(Script { text: content.to_owned(), place: ScriptPlace::Heredoc(heredoc.content.start) });
    }
    found
}

/// What makes the rule pass an instruction that runs something.
pub(super) fn run(document: &Document<'_>, goal: &Goal<'_>, number: usize) -> Result<Vec<Change>, Hindrance> {
    let keyword = document.instruction(number).keyword;
    let (type_key, mut text) = (keyword.name(), document.text.to_owned());
    let mut change = Change { text: String::new(), parts: vec![(number, Part::Changed)], places: Vec::new() };
    for _ in 0..MOST_CHANGES {
        let standing = goal.standing(&text, Some(number));
        if standing == 0 {
            change.text = text;
            return Ok(vec![change]);
        }
        let parsed = dockerfile::parse(&text);
        let Some(instruction) = parsed.instructions.get(number) else { break };
        let site = Place { document, text: &text, parsed: &parsed, instruction, number };
        let helps = |candidate: &Candidate| goal.standing(&candidate.text, Some(number)) < standing;
        let found = without_flag(&site).into_iter().chain(candidates(&site, goal)).find(helps);
        match found {
            Some(candidate) => {
                text = candidate.text;
                change.places.push((type_key, candidate.place));
                change.parts.extend(candidate.program.map(|program| (number, Part::Program(program))));
            }
            None => return whole(&site, goal, number, type_key),
        }
    }
    Err(Hindrance::NeedsRedesign)
}

/// An instruction whose script is to be changed, in a text that may have been changed already.
struct Place<'p> {
    document: &'p Document<'p>,
    text: &'p str,
    parsed: &'p Dockerfile,
    instruction: &'p Instruction,
    number: usize,
}

impl Place<'_> {
    fn escape(&self) -> u8 {
        self.parsed.escape.byte()
    }

    /// Where the name and the flags end.
    fn head(&self) -> usize {
        self.instruction.flags.last().map_or(self.instruction.keyword_range.end, |flag| flag.range.end) as usize
    }

    /// Whether the step is run as root, as far as the file says.
    fn is_root(&self) -> bool {
        let Some(from) = self.document.stage_of(self.number) else { return true };
        let chain = self.document.chain(from);
        let before = |stage: &usize| if *stage == from { self.number } else { self.document.end_of(*stage) };
        let user = chain.iter().flat_map(|stage| (*stage..before(stage)).rev()).find(|&number| {
            self.document.instruction(number).keyword == Keyword::User && self.document.instruction(number).onbuild.is_none()
        });
        let name = user.and_then(|number| self.document.resources[number].body.get("user")).and_then(|user| user.as_str());
        user.is_none() || matches!(name, Some("root" | "0"))
    }
}

/// The text without one of the instruction's flags.
fn without_flag(site: &Place<'_>) -> Vec<Candidate> {
    let cut = |flag: &dockerfile::Flag| {
        let end = flag.range.end as usize;
        let gap = site.text[end..].len() - site.text[end..].trim_start_matches([' ', '\t']).len();
        let text = [&site.text[..flag.range.start as usize], &site.text[end + gap..]].concat();
        Candidate { text, place: "flags", program: None }
    };
    // Mounts and networks are what the step works with.
    site.instruction.flags.iter().filter(|flag| !matches!(&*flag.name, "mount" | "network")).map(cut).collect()
}

/// The instruction as a whole, where all that it does is wrong.
fn whole(site: &Place<'_>, goal: &Goal<'_>, number: usize, type_key: &'static str) -> Result<Vec<Change>, Hindrance> {
    if type_key != Keyword::Run.name() {
        return Err(Hindrance::NeedsRedesign);
    }
    let commands: Vec<Command> =
        scripts(site.text, site.instruction).iter().flat_map(|script| shell::parse(&script.text).commands).collect();
    let programs: Vec<&str> = commands.iter().filter_map(|command| command.invocation().name).collect();
    let is_dispensable = !programs.is_empty() && goal.lessons.takes_out(&programs);
    if is_dispensable || refreshes_for_nothing(site, &commands) || sets_nothing_but_modes(&commands) || installs_only(&commands) {
        return Ok(vec![Change { places: vec![(type_key, "commands")], ..instruction::removed(site.document, number) }]);
    }
    Err(Hindrance::NeedsRedesign)
}

/// Whether a step does nothing but to give programs the rights of their owners.
fn sets_nothing_but_modes(commands: &[Command]) -> bool {
    matches!(commands, [command] if command.invocation().name == Some("chmod")
        && command.words.iter().any(|word| modes::without_fault(&word.text) == Some(None)))
}

/// Whether a step does nothing but to install one package.
fn installs_only(commands: &[Command]) -> bool {
    matches!(commands, [command] if package_words(command).len() == 1)
}

/// Whether a step does nothing but to fetch package lists which no later step uses.
fn refreshes_for_nothing(site: &Place<'_>, commands: &[Command]) -> bool {
    let refreshes = |command: &Command| {
        let invocation = command.invocation();
        let verb = invocation.arguments.iter().find(|word| !word.text.starts_with('-'));
        invocation.name.is_some_and(|name| INSTALLERS.contains(&name)) && verb.is_some_and(|verb| REFRESH_VERBS.contains(&&*verb.text))
    };
    let uses = |number: usize| {
        let document = site.document;
        document.is(number, "installs_packages") && !document.is(number, "refreshes_packages")
    };
    !commands.is_empty() && commands.iter().all(refreshes) && !(site.number + 1..site.document.parsed.instructions.len()).any(uses)
}

/// The packages that a command installs: the words behind the verb that are no options.
fn package_words(command: &Command) -> Vec<&Word> {
    let invocation = command.invocation();
    if !invocation.name.is_some_and(|name| INSTALLERS.contains(&name)) {
        return Vec::new();
    }
    let behind = invocation.arguments.iter().skip_while(|word| !INSTALL_VERBS.contains(&&*word.text)).skip(1);
    behind.filter(|word| !word.text.starts_with('-')).collect()
}
