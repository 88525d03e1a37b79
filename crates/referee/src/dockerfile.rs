//! Dockerfiles, read by `parse-dockerfile`.

use std::collections::{BTreeMap, BTreeSet};

use parse_dockerfile::{Instruction, Span};

use crate::Invariant;
use crate::structure::Change;

/// An instruction: its keyword, and its text without what is no matter.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    keyword: String,
    text: String,
}

/// How the instructions of a file before and after a change correspond. Addresses hold numbers, so that what is added or
/// taken out gives others other ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// By the address before: the one after; none for what was taken out.
    pub addresses: BTreeMap<String, Option<String>>,
    /// How many fewer instructions there are.
    pub fewer: isize,
}

/// By path, how the instructions of Dockerfiles moved.
pub type Moves = BTreeMap<String, Moved>;

/// Adds what a later change of a file moved.
pub(crate) fn add_moved(moves: &mut Moves, path: &str, next: &Moved) {
    let Some(known) = moves.get_mut(path) else {
        moves.insert(path.to_owned(), next.clone());
        return;
    };
    for address in known.addresses.values_mut() {
        if let Some(new) = address.as_ref().and_then(|old| next.addresses.get(old)) {
            *address = new.clone();
        }
    }
    known.fewer += next.fewer;
}

/// Compares; tells whether the text before could be read, and how its instructions moved.
///
/// Instructions that aren't stated are the same, and in the same order; stages keep their image and name; a step runs no
/// program that isn't stated and that the file didn't name before.
pub(crate) fn compare(change: &Change<'_>, faults: &mut Vec<(Invariant, String)>) -> (bool, Option<Moved>) {
    let Some(before) = parse(change.before) else { return (false, None) };
    let Some(after) = parse(change.after) else {
        faults.push((Invariant::Parses, format!("`{}` can't be read any more", change.path)));
        return (true, None);
    };
    let mut wrong = |detail: String| faults.push((Invariant::Structure, format!("`{}`: {detail}", change.path)));
    let sources = sources(change, before.len());
    if sources.len() != after.len() {
        wrong(format!("there are {} instructions rather than {}", after.len(), sources.len()));
    }
    for (number, line) in before.iter().enumerate() {
        if line.keyword == "FROM" && !sources.contains(&Some(number)) {
            wrong("a stage is gone".to_owned());
        }
    }
    for (source, new) in sources.iter().zip(&after) {
        match source {
            Some(number) => {
                let line = &before[*number];
                // Of two stages with one name the second may lose it, unless something later says the name.
                let name = stage(&line.text).1;
                let is_repeated = !name.is_empty()
                    && before[..*number].iter().any(|other| is_stage_called(other, name))
                    && !before[number + 1..].iter().any(|later| says(&later.text, name));
                let parts = parts(change, *number);
                if let Err(detail) = compare_lines(line, new, &Lines { parts: &parts, is_repeated, file: change.before }) {
                    wrong(detail);
                }
            }
            None if new.keyword == "FROM" || new.keyword == "ONBUILD" => wrong(format!("`{} {}` is new", new.keyword, new.text)),
            None => {}
        }
    }
    let (old_addresses, new_addresses) = (addresses(&before), addresses(&after));
    let mut moved = Moved { addresses: BTreeMap::new(), fewer: before.len() as isize - after.len() as isize };
    for (number, old) in old_addresses.into_iter().enumerate() {
        let place = sources.iter().position(|source| *source == Some(number));
        moved.addresses.insert(old, place.and_then(|place| new_addresses.get(place).cloned()));
    }
    (true, Some(moved))
}

/// What is stated about an instruction.
fn parts<'c>(change: &Change<'c>, number: usize) -> Vec<&'c str> {
    let number = number.to_string();
    let of_number = change.stated.iter().filter(|stated| stated.type_key == "instruction" && stated.name == number);
    of_number.map(|stated| stated.path.as_str()).collect()
}

/// For each instruction that the new text is to have: which one of the old text it is; none for one that is added.
fn sources(change: &Change<'_>, count: usize) -> Vec<Option<usize>> {
    let mut sources = Vec::with_capacity(count);
    for number in 0..=count {
        let parts = parts(change, number);
        sources.extend(parts.iter().filter(|part| part.starts_with("added:")).map(|_| None));
        if number < count && !parts.contains(&"gone") {
            sources.push(Some(number));
        }
    }
    sources
}

/// Whether a text has that word in it, of letters, digits and what else a stage's name may have.
fn says(text: &str, name: &str) -> bool {
    let is_apart = |character: char| !character.is_alphanumeric() && !matches!(character, '-' | '_' | '.');
    text.split(is_apart).any(|word| word.eq_ignore_ascii_case(name))
}

fn is_stage_called(line: &Line, name: &str) -> bool {
    line.keyword == "FROM" && stage(&line.text).1.eq_ignore_ascii_case(name)
}

/// What is known of an instruction beside its text.
struct Lines<'c> {
    /// What is stated about it.
    parts: &'c [&'c str],
    /// Whether an earlier stage has the same name.
    is_repeated: bool,
    /// The file before.
    file: &'c str,
}

fn compare_lines(old: &Line, new: &Line, known: &Lines<'_>) -> Result<(), String> {
    if old == new {
        return Ok(());
    }
    let Lines { parts, is_repeated, file } = *known;
    let keyword = parts.iter().find_map(|part| part.strip_prefix("keyword:"));
    if new.keyword != keyword.unwrap_or(&old.keyword) {
        return Err(format!("`{} {}` became `{} {}`", old.keyword, old.text, new.keyword, new.text));
    }
    if keyword.is_none() && !parts.contains(&"changed") {
        return Err(format!("`{} {}` is different", old.keyword, old.text));
    }
    if old.keyword == "FROM" {
        let (a, b) = (stage(&old.text), stage(&new.text));
        let keeps_name = a.1 == b.1 || is_repeated && b.1.is_empty();
        if a.0 != b.0 || !keeps_name {
            return Err(format!("a stage is `{} {}` rather than `{} {}`", b.0, b.1, a.0, a.1));
        }
    }
    if new.keyword == "RUN" {
        let known: BTreeSet<&str> = file.split(|character: char| !is_of_word(character)).collect();
        let stated: Vec<&str> = parts.iter().filter_map(|part| part.strip_prefix("program:")).collect();
        for program in programs(&new.text) {
            if !known.contains(program) && !stated.contains(&program) {
                return Err(format!("`{program}` is run, which wasn't"));
            }
        }
    }
    Ok(())
}

fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || "_-./+".contains(character)
}

/// The image of a stage without tag and digest, and its name.
fn stage(text: &str) -> (&str, &str) {
    let words: Vec<&str> = text.split_whitespace().filter(|word| !word.starts_with("--")).collect();
    let image = words.first().copied().unwrap_or_default();
    let image = image.split_once('@').map_or(image, |(image, _)| image);
    // A colon before a slash is a port's.
    let image = match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => image,
    };
    (image, words.get(2).copied().unwrap_or_default())
}

/// The words at which commands of a script may begin, as far as that can be told without a shell's grammar.
fn programs(script: &str) -> BTreeSet<&str> {
    let starts = script.split(['\n', ';', '|', '&', '(', '`']).filter_map(|command| {
        let words = command.split_whitespace().filter(|word| !word.starts_with("--mount") && !word.contains('='));
        words.map(|word| word.trim_matches(['"', '\'', '[', ']', ','])).find(|word| !word.is_empty())
    });
    starts.filter(|word| word.chars().all(is_of_word) && !word.starts_with('-')).collect()
}

/// The addresses by which reports name the instructions.
fn addresses(lines: &[Line]) -> Vec<String> {
    let mut stage_number = 0;
    let mut prefix = String::new();
    let mut names = BTreeSet::new();
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut found = Vec::with_capacity(lines.len());
    for line in lines {
        if line.keyword == "FROM" {
            let name = stage(&line.text).1.to_lowercase();
            // A name that an earlier stage has already doesn't tell this one.
            let is_told = !name.is_empty() && names.insert(name.clone());
            prefix = if is_told { format!("{name}.") } else { format!("stage[{stage_number}].") };
            stage_number += 1;
            found.push(format!("{prefix}FROM"));
            continue;
        }
        let keyword = match line.keyword.as_str() {
            "ONBUILD" => line.text.split_whitespace().next().unwrap_or_default().to_ascii_uppercase(),
            keyword => keyword.to_owned(),
        };
        let number = counts.entry((prefix.clone(), keyword.clone())).or_default();
        found.push(format!("{prefix}{keyword}[{number}]"));
        *number += 1;
    }
    found
}

fn parse(text: &str) -> Option<Vec<Line>> {
    // The parser counts from behind a byte-order mark.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut starts = Vec::new();
    for instruction in parse_dockerfile::parse_iter(text).ok()? {
        starts.push(keyword(&instruction.ok()?)?);
    }
    let mut lines = Vec::new();
    for (number, keyword) in starts.iter().enumerate() {
        let end = starts.get(number + 1).map_or(text.len(), |next| next.start);
        let body = text.get(keyword.end..end)?;
        let kept: Vec<&str> = body.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        lines.push(Line { keyword: text.get(keyword.clone())?.to_ascii_uppercase(), text: kept.join("\n") });
    }
    Some(lines)
}

/// Where the keyword of an instruction stands; `None` for one that a later version of the parser knows.
fn keyword(instruction: &Instruction<'_>) -> Option<Span> {
    let keyword = match instruction {
        Instruction::Add(instruction) => &instruction.add,
        Instruction::Arg(instruction) => &instruction.arg,
        Instruction::Cmd(instruction) => &instruction.cmd,
        Instruction::Copy(instruction) => &instruction.copy,
        Instruction::Entrypoint(instruction) => &instruction.entrypoint,
        Instruction::Env(instruction) => &instruction.env,
        Instruction::Expose(instruction) => &instruction.expose,
        Instruction::From(instruction) => &instruction.from,
        Instruction::Healthcheck(instruction) => &instruction.healthcheck,
        Instruction::Label(instruction) => &instruction.label,
        Instruction::Maintainer(instruction) => &instruction.maintainer,
        Instruction::Onbuild(instruction) => &instruction.onbuild,
        Instruction::Run(instruction) => &instruction.run,
        Instruction::Shell(instruction) => &instruction.shell,
        Instruction::Stopsignal(instruction) => &instruction.stopsignal,
        Instruction::User(instruction) => &instruction.user,
        Instruction::Volume(instruction) => &instruction.volume,
        Instruction::Workdir(instruction) => &instruction.workdir,
        _ => return None,
    };
    Some(keyword.span.clone())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails loudly")]

    use super::{addresses, parse};
    use crate::check_structure;
    use crate::output::Stated;

    const TWICE: &str = "FROM debian:12.8 AS build\nRUN make\nFROM alpine:3.20 AS build\nRUN make test\n";

    #[test]
    fn a_stage_with_the_name_of_another_is_told_by_its_number() {
        let names = addresses(&parse(TWICE).unwrap());
        assert_eq!(names, ["build.FROM", "build.RUN[0]", "stage[1].FROM", "stage[1].RUN[0]"]);
    }

    #[test]
    fn a_byte_order_mark_moves_nothing() {
        let lines = parse("\u{feff}FROM debian:12.8\nCMD [\"a\"]\n").unwrap();
        assert_eq!(lines.iter().map(|line| &*line.keyword).collect::<Vec<_>>(), ["FROM", "CMD"]);
        assert_eq!(lines[1].text, "[\"a\"]");
    }

    #[test]
    fn only_a_name_that_another_stage_has_may_go() {
        let stated = |number: usize| {
            let stated =
                serde_json::json!({"file": "Dockerfile", "type_key": "instruction", "name": number.to_string(), "path": "changed"});
            vec![serde_json::from_value::<Stated>(stated).unwrap()]
        };
        let faults = |after: String, number: usize| check_structure("Dockerfile", TWICE, &after, &stated(number), &[]).faults;
        assert_eq!(faults(TWICE.replace("3.20 AS build", "3.20"), 2), []);
        let used = format!("{TWICE}FROM scratch\nCOPY --from=build /a /a\n");
        let after = used.replace("3.20 AS build", "3.20");
        assert!(!check_structure("Dockerfile", &used, &after, &stated(2), &[]).faults.is_empty(), "another image is copied from");
        assert!(!faults(TWICE.replace("3.20 AS build", "3.20 AS other"), 2).is_empty());
        assert!(!faults(TWICE.replace("12.8 AS build", "12.8"), 0).is_empty());
    }
}
