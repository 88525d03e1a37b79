//! Checks on the text of Dockerfiles, and how the instructions of one correspond to those of the other.

use std::collections::BTreeMap;

use keyblind_syntax::dockerfile::{self, Dockerfile, Instruction, Keyword, parameter_names};
use keyblind_syntax::{TextRange, shell};

use super::{Check, Disproof, INSTRUCTION, Stated};

/// What a fix says about an instruction, or about the place in front of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// Its arguments or flags are different.
    Changed,
    /// It is another instruction, of this name.
    Keyword(String),
    /// It runs this program, which it didn't before.
    Program(String),
    /// It is gone.
    Gone,
    /// Another stands in front of it: the one of this number there.
    Added(usize),
}

impl Part {
    /// The path that it is stated by.
    pub(crate) fn path(&self) -> String {
        match self {
            Self::Changed => "changed".to_owned(),
            Self::Keyword(name) => format!("keyword:{name}"),
            Self::Program(name) => format!("program:{name}"),
            Self::Gone => "gone".to_owned(),
            Self::Added(number) => format!("added:{number}"),
        }
    }

    fn of(path: &str) -> Option<Self> {
        Some(match path.split_once(':') {
            None if path == "changed" => Self::Changed,
            None if path == "gone" => Self::Gone,
            Some(("keyword", name)) => Self::Keyword(name.to_owned()),
            Some(("program", name)) => Self::Program(name.to_owned()),
            Some(("added", number)) => Self::Added(number.parse().ok()?),
            _ => return None,
        })
    }
}

/// What is stated about the instructions of a file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plan {
    parts: BTreeMap<usize, Vec<Part>>,
}

/// Where an instruction of the new text comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The old instruction of this number.
    Old(usize),
    /// It was added in front of the old one of this number.
    Added(usize),
}

impl Plan {
    /// What is stated about a file.
    pub(crate) fn of(path: &str, stated: &[Stated]) -> Self {
        let mut plan = Self::default();
        for stated in stated.iter().filter(|stated| stated.file == path && stated.type_key == INSTRUCTION) {
            if let (Ok(number), Some(part)) = (stated.name.parse(), Part::of(&stated.path)) {
                plan.add(number, part);
            }
        }
        plan
    }

    pub(crate) fn add(&mut self, number: usize, part: Part) {
        let parts = self.parts.entry(number).or_default();
        if !parts.contains(&part) {
            parts.push(part);
        }
    }

    /// It as it is written down.
    pub(crate) fn stated(&self, path: &str) -> Vec<Stated> {
        let of_number = |(number, parts): (&usize, &Vec<Part>)| {
            let number = number.to_string();
            let stated =
                |part: &Part| Stated { file: path.to_owned(), type_key: INSTRUCTION.to_owned(), name: number.clone(), path: part.path() };
            parts.iter().map(stated).collect::<Vec<_>>()
        };
        self.parts.iter().flat_map(of_number).collect()
    }

    fn parts(&self, number: usize) -> &[Part] {
        self.parts.get(&number).map_or(&[], Vec::as_slice)
    }

    fn is_gone(&self, number: usize) -> bool {
        self.parts(number).contains(&Part::Gone)
    }

    fn added(&self, number: usize) -> usize {
        self.parts(number).iter().filter(|part| matches!(part, Part::Added(_))).count()
    }

    /// Whether an instruction of the old text may be different.
    pub(crate) fn is_stated(&self, number: usize) -> bool {
        self.parts(number).iter().any(|part| !matches!(part, Part::Added(_)))
    }

    /// Where the first instructions of the new text come from, as many as are asked for.
    pub(crate) fn sources(&self, count: usize) -> Vec<Source> {
        let mut sources = Vec::with_capacity(count);
        let last = self.parts.keys().next_back().copied().unwrap_or(0) + count;
        for number in 0..=last {
            sources.extend((0..self.added(number)).map(|_| Source::Added(number)));
            if !self.is_gone(number) {
                sources.push(Source::Old(number));
            }
            if sources.len() >= count {
                break;
            }
        }
        sources.truncate(count);
        sources
    }

    /// What both come to: the second speaks of the text that the first made.
    pub(crate) fn then(&self, second: &Self) -> Self {
        let mut joined = self.clone();
        let count = second.parts.keys().next_back().map_or(0, |last| last + 1);
        let sources = self.sources(count);
        for (number, parts) in &second.parts {
            let Some(source) = sources.get(*number).copied() else { continue };
            for part in parts {
                match (source, part) {
                    (Source::Old(at) | Source::Added(at), Part::Added(_)) => joined.add(at, Part::Added(joined.added(at))),
                    (Source::Old(at), Part::Gone) => {
                        let kept = joined.parts(at).iter().filter(|part| matches!(part, Part::Added(_))).cloned().collect();
                        joined.parts.insert(at, kept);
                        joined.add(at, Part::Gone);
                    }
                    (Source::Old(at), part) => joined.add(at, part.clone()),
                    (Source::Added(at), Part::Gone) => {
                        let last = joined.added(at).saturating_sub(1);
                        if let Some(parts) = joined.parts.get_mut(&at) {
                            parts.retain(|part| *part != Part::Added(last));
                        }
                    }
                    // What is new is what it says.
                    (Source::Added(_), _) => {}
                }
            }
        }
        joined
    }
}

/// What earlier and later changes of some texts state together.
pub(crate) fn joined(first: &[Stated], second: &[Stated]) -> Vec<Stated> {
    let mut all: Vec<Stated> = first.iter().filter(|stated| stated.type_key != INSTRUCTION).cloned().collect();
    for stated in second.iter().filter(|stated| stated.type_key != INSTRUCTION) {
        if !all.contains(stated) {
            all.push(stated.clone());
        }
    }
    let of_instructions = first.iter().chain(second).filter(|stated| stated.type_key == INSTRUCTION);
    let mut files: Vec<&str> = of_instructions.map(|stated| stated.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    all.extend(files.into_iter().flat_map(|file| Plan::of(file, first).then(&Plan::of(file, second)).stated(file)));
    all
}

/// Checks one file: only instructions that are stated may be different, gone or new; stages, comments and parser directives
/// stay.
pub(super) fn check(path: &str, before: &str, after: &str, stated: &[Stated]) -> Result<(), Disproof> {
    let (old, new) = (dockerfile::parse(before), dockerfile::parse(after));
    let wrong = |check: Check, detail: String| Err(Disproof::new(check, format!("`{path}`: {detail}")));
    if new.errors.len() > old.errors.len() {
        let message = new.errors.last().map(|error| error.message.clone()).unwrap_or_default();
        return wrong(Check::Parses, message);
    }
    let directives = |parsed: &Dockerfile, text: &str| -> Vec<String> {
        parsed.directives.iter().map(|directive| text[directive.range.as_usize()].to_owned()).collect()
    };
    if directives(&old, before) != directives(&new, after) {
        return wrong(Check::DeclarationsKept, "a parser directive is different".to_owned());
    }
    let plan = Plan::of(path, stated);
    let sources = plan.sources(new.instructions.len());
    let mut kept = vec![false; old.instructions.len()];
    for (instruction, source) in new.instructions.iter().zip(&sources) {
        match *source {
            Source::Old(number) => {
                let Some(other) = old.instructions.get(number) else {
                    return wrong(Check::DeclarationsKept, format!("`{}` is new", instruction.keyword.name()));
                };
                kept[number] = true;
                check_instruction((before, other), (after, instruction), plan.parts(number))
                    .map_err(|detail| Disproof::new(Check::DeclarationsKept, format!("`{path}`: {detail}")))?;
            }
            Source::Added(_) if instruction.keyword == Keyword::From || instruction.onbuild.is_some() => {
                return wrong(Check::DeclarationsKept, format!("`{}` is new", instruction.keyword.name()));
            }
            Source::Added(_) => {}
        }
    }
    for (number, instruction) in old.instructions.iter().enumerate().filter(|(number, _)| !kept[*number]) {
        if !plan.is_gone(number) || instruction.keyword == Keyword::From {
            return wrong(Check::DeclarationsKept, format!("`{}` is gone", instruction.keyword.name()));
        }
    }
    check_comments(path, (before, &old), (after, &new), &plan)
}

/// Compares an instruction with what it was: what isn't stated is the same, byte for byte.
fn check_instruction((before, old): (&str, &Instruction), (after, new): (&str, &Instruction), parts: &[Part]) -> Result<(), String> {
    let name = old.keyword.name();
    if before.get(old.range.as_usize()) == after.get(new.range.as_usize()) {
        return Ok(());
    }
    let keyword = parts.iter().find_map(|part| if let Part::Keyword(name) = part { Some(name.as_str()) } else { None });
    if new.keyword.name() != keyword.unwrap_or(name) || new.onbuild.is_some() != old.onbuild.is_some() {
        return Err(format!("`{name}` is another instruction"));
    }
    if keyword.is_none() && !parts.contains(&Part::Changed) {
        return Err(format!("`{name}` is different"));
    }
    let heredocs = |instruction: &Instruction| instruction.heredocs.iter().map(|heredoc| heredoc.name.clone()).collect::<Vec<_>>();
    if heredocs(old) != heredocs(new) || old.exec.is_some() != new.exec.is_some() {
        return Err(format!("`{name}` has another form"));
    }
    if old.keyword == Keyword::From && repository(old) != repository(new) {
        return Err("`FROM` names another image".to_owned());
    }
    let used = |text: &str, instruction: &Instruction| -> Vec<String> {
        parameter_names(text.get(instruction.range.as_usize()).unwrap_or_default()).map(str::to_owned).collect()
    };
    let known = used(before, old);
    if let Some(variable) = used(after, new).into_iter().find(|variable| !known.contains(variable)) {
        return Err(format!("`{name}` uses the variable `{variable}`, which it didn't"));
    }
    let allowed: Vec<&str> =
        parts.iter().filter_map(|part| if let Part::Program(name) = part { Some(name.as_str()) } else { None }).collect();
    let (ran, runs) = (programs(before, old), programs(after, new));
    let total = |programs: &BTreeMap<String, usize>| programs.values().sum::<usize>();
    let is_known = |(name, count): (&String, &usize)| ran.get(name).is_some_and(|known| known >= count) || allowed.contains(&name.as_str());
    if total(&runs) > total(&ran) || !runs.iter().all(is_known) {
        return Err(format!("`{name}` runs what it didn't run before"));
    }
    Ok(())
}

/// The image of a `FROM` without tag and digest.
fn repository(instruction: &Instruction) -> String {
    let image = instruction.arguments.text.split_whitespace().next().unwrap_or_default();
    let image = image.split('@').next().unwrap_or_default();
    match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository.to_owned(),
        _ => image.to_owned(),
    }
}

/// The programs that an instruction runs, and how often.
fn programs(text: &str, instruction: &Instruction) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    if !matches!(instruction.keyword, Keyword::Run | Keyword::Cmd | Keyword::Entrypoint | Keyword::Healthcheck) {
        return found;
    }
    let scripts = instruction.heredocs.iter().filter_map(|heredoc| text.get(heredoc.content.as_usize()));
    for script in std::iter::once(instruction.arguments.text.as_str()).chain(scripts) {
        for command in shell::parse(script).commands {
            if let Some(name) = command.invocation().name {
                *found.entry(name.to_owned()).or_default() += 1;
            }
        }
    }
    found
}

/// Comments may go only with what they stand in, or right above.
fn check_comments(path: &str, (before, old): (&str, &Dockerfile), (after, new): (&str, &Dockerfile), plan: &Plan) -> Result<(), Disproof> {
    let gone: Vec<TextRange> = old
        .instructions
        .iter()
        .enumerate()
        .filter(|(number, _)| plan.is_stated(*number))
        .map(|(number, instruction)| {
            let start =
                if plan.is_gone(number) { above(before, instruction.range.start as usize) } else { instruction.range.start as usize };
            TextRange::new(start as u32, instruction.range.end)
        })
        .collect();
    let counted = |text: &str, comments: &[TextRange], without: &[TextRange]| {
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for comment in comments.iter().filter(|comment| !without.iter().any(|range| range.contains(**comment))) {
            *found.entry(text[comment.as_usize()].to_owned()).or_default() += 1;
        }
        found
    };
    let (all, kept) = (counted(before, &old.comments, &[]), counted(before, &old.comments, &gone));
    let now = counted(after, &new.comments, &[]);
    let wrong = |comment: &str, what: &str| Err(Disproof::new(Check::CommentsKept, format!("`{path}`: the comment `{comment}` is {what}")));
    if let Some((comment, _)) = now.iter().find(|(comment, count)| all.get(*comment).is_none_or(|known| known < count)) {
        return wrong(comment, "new");
    }
    if let Some((comment, _)) = kept.iter().find(|(comment, count)| now.get(*comment).is_none_or(|known| known < count)) {
        return wrong(comment, "gone");
    }
    Ok(())
}

/// Where the comment lines right above a line begin; where the line does, if there are none.
pub(crate) fn above(text: &str, at: usize) -> usize {
    let mut start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    while start > 0 {
        let line_start = text[..start - 1].rfind('\n').map_or(0, |newline| newline + 1);
        if !text[line_start..start].trim_start().starts_with('#') {
            break;
        }
        start = line_start;
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(parts: &[(usize, Part)]) -> Plan {
        let mut plan = Plan::default();
        parts.iter().for_each(|(number, part)| plan.add(*number, part.clone()));
        plan
    }

    #[test]
    fn later_changes_speak_of_what_earlier_ones_made() {
        let first = plan(&[(1, Part::Added(0)), (2, Part::Gone)]);
        assert_eq!(first.sources(4), [Source::Old(0), Source::Added(1), Source::Old(1), Source::Old(3)]);
        let second = plan(&[(1, Part::Changed), (2, Part::Changed), (3, Part::Gone)]);
        let both = first.then(&second);
        let expected = plan(&[(1, Part::Added(0)), (1, Part::Changed), (2, Part::Gone), (3, Part::Gone)]);
        assert_eq!(both.parts, expected.parts);
        assert!(first.then(&plan(&[(1, Part::Gone)])).sources(2) == [Source::Old(0), Source::Old(1)]);
    }

    #[test]
    fn only_what_is_stated_may_differ() {
        let before = "# syntax=docker/dockerfile:1\nFROM a:1\n# why\nRUN x -k \\\n  y\nCMD z\n";
        let stated = plan(&[(1, Part::Changed)]).stated("Dockerfile");
        let checked = |after: &str, stated: &[Stated]| check("Dockerfile", before, after, stated).map_err(|disproof| disproof.check);
        let good = before.replace(" -k", "");
        assert_eq!(checked(&good, &stated), Ok(()));
        assert_eq!(checked(&good, &[]), Err(Check::DeclarationsKept));
        assert_eq!(checked(&before.replace("# why\n", ""), &stated), Err(Check::CommentsKept));
        assert_eq!(checked(&before.replace("CMD z", "CMD w"), &stated), Err(Check::DeclarationsKept));
        assert_eq!(checked(&before.replace("x -k", "x && curl y"), &stated), Err(Check::DeclarationsKept));
        assert_eq!(checked(&before.replace("CMD z\n", "CMD z\nUSER 1\n"), &stated), Err(Check::DeclarationsKept));
        assert_eq!(checked(&before.replace("dockerfile:1", "dockerfile:2"), &stated), Err(Check::DeclarationsKept));
        assert_eq!(checked(&before.replace("CMD z\n", ""), &plan(&[(2, Part::Gone)]).stated("Dockerfile")), Ok(()));
    }
}
