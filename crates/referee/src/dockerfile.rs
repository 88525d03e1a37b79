//! Dockerfiles, read by `parse-dockerfile`.

use parse_dockerfile::{Instruction, Span};

use crate::Invariant;
use crate::structure::Change;

/// An instruction: its keyword, and its text without what is no matter.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    keyword: String,
    text: String,
}

/// Compares; tells whether the text before could be read.
///
/// A stage keeps its image and its name unless that is stated, stages keep their order, and no instruction of another
/// keyword than a stated one goes.
pub(crate) fn compare(change: &Change<'_>, faults: &mut Vec<(Invariant, String)>) -> bool {
    let Some(before) = parse(change.before) else { return false };
    let Some(after) = parse(change.after) else {
        faults.push((Invariant::Parses, format!("`{}` can't be read any more", change.path)));
        return true;
    };
    let mut wrong = |detail: String| faults.push((Invariant::Structure, format!("`{}`: {detail}", change.path)));
    let of = |lines: &[Line], keyword: &str| -> Vec<String> {
        lines.iter().filter(|line| line.keyword == keyword).map(|line| line.text.clone()).collect()
    };
    let (old, new) = (of(&before, "FROM"), of(&after, "FROM"));
    if old.len() != new.len() {
        wrong(format!("there are {} stages rather than {}", new.len(), old.len()));
    } else if old != new && change.stated.is_empty() {
        wrong("the image of a stage is different".to_owned());
    }
    for keyword in ["ENTRYPOINT", "CMD", "COPY", "WORKDIR", "VOLUME", "SHELL", "ONBUILD", "STOPSIGNAL", "LABEL"] {
        let (old, new) = (of(&before, keyword), of(&after, keyword));
        if new.len() < old.len() && change.stated.is_empty() {
            wrong(format!("an instruction {keyword} is gone"));
        }
    }
    true
}

fn parse(text: &str) -> Option<Vec<Line>> {
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
