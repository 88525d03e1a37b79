//! Changes of instructions that no shell reads: images, files, ports, directories.

use keyblind_resource::Value;
use keyblind_syntax::TextRange;
use keyblind_syntax::dockerfile::{Keyword, words};

use super::surgery::{without_instruction, without_word};
use super::{Change, Document, Goal};
use crate::hindrance::Hindrance;
use crate::image::{Image, is_digest};
use crate::proof::dockerfile::Part;

/// Base images whose working directory is the root directory.
const ROOTED_IMAGES: &[&str] = &[
    "alpine",
    "amazonlinux",
    "almalinux",
    "busybox",
    "centos",
    "debian",
    "fedora",
    "nginx",
    "node",
    "oraclelinux",
    "python",
    "rockylinux",
    "scratch",
    "ubuntu",
];
/// What ADD unpacks by itself.
const ARCHIVES: &[&str] = &[".tar", ".tgz", ".tbz", ".txz", ".gz", ".bz2", ".xz", ".zst", ".lzma"];
/// The flags that ADD and COPY have both.
const COMMON_FLAGS: &[&str] = &["chown", "chmod", "link", "exclude"];

/// The text without an instruction.
pub(super) fn removed(document: &Document<'_>, number: usize) -> Change {
    let text = without_instruction(document.text, &document.parsed, document.instruction(number));
    Change { text, parts: vec![(number, Part::Gone)], places: Vec::new() }
}

/// Another instruction with the same arguments.
pub(super) fn renamed(document: &Document<'_>, goal: &Goal<'_>, number: usize) -> Result<Vec<Change>, Hindrance> {
    let instruction = document.instruction(number);
    let (keyword, before, after) = goal.lessons.renaming(instruction.keyword).ok_or(Hindrance::NeedsRedesign)?;
    let mut text = document.text.to_owned();
    if !(before.is_empty() && after.is_empty()) {
        let arguments = instruction.arguments.whole();
        let written = instruction.arguments.text.trim();
        let quoted = if before.ends_with('"') && after.starts_with('"') {
            let bare =
                written.strip_prefix('"').and_then(|inner| inner.strip_suffix('"')).filter(|inner| !inner.contains('"')).unwrap_or(written);
            bare.replace('\\', "\\\\").replace('"', "\\\"").replace('$', "\\$")
        } else {
            written.to_owned()
        };
        text = document.replaced(arguments, &[before, &quoted, after].concat());
    }
    text.replace_range(instruction.keyword_range.as_usize(), &in_case(document, number, keyword.name()));
    let parts = vec![(number, Part::Keyword(keyword.name().to_owned()))];
    Ok(vec![Change { text, parts, places: Vec::new() }])
}

/// A name as the others are written: in lower case, if this one is.
fn in_case(document: &Document<'_>, number: usize, name: &str) -> String {
    let written = &document.text[document.instruction(number).keyword_range.as_usize()];
    if written.bytes().all(|byte| byte.is_ascii_lowercase()) { name.to_ascii_lowercase() } else { name.to_owned() }
}

/// ADD and COPY.
pub(super) fn copied(document: &Document<'_>, goal: &Goal<'_>, number: usize) -> Result<Vec<Change>, Hindrance> {
    let instruction = document.instruction(number);
    if goal.lessons.renaming(instruction.keyword).is_some() {
        return if copies_only(document, number) { renamed(document, goal, number) } else { Err(Hindrance::NeedsDecision) };
    }
    if goal.lessons.adds_flag(instruction.keyword, "checksum") {
        let checksum = goal.wanted("checksum", "sha256:CHECKSUM", "The SHA-256 of the file", is_digest)?;
        let at = instruction.keyword_range.end;
        let text = document.replaced(TextRange::new(at, at), &format!(" --checksum={checksum}"));
        return Ok(vec![Change::of(text, number, ("ADD", "flags"))]);
    }
    // What a later step reads it must get in another way.
    let from = document.stage_of(number).ok_or(Hindrance::NeedsRedesign)?;
    let is_read = (number + 1..document.end_of(from)).any(|other| document.instruction(other).keyword == Keyword::Run)
        || (0..document.resources.len()).any(|other| other != from && document.chain_holds(other, from));
    if is_read || !instruction.heredocs.is_empty() {
        return Err(Hindrance::NeedsRedesign);
    }
    listed(document, goal, number)
}

/// Whether ADD does nothing that COPY doesn't: it unpacks archives and downloads.
fn copies_only(document: &Document<'_>, number: usize) -> bool {
    let instruction = document.instruction(number);
    let sources = document.resources[number].body.get("sources").and_then(Value::as_items).unwrap_or_default();
    let is_plain = |source: &Value| {
        let Some(path) = source.as_str() else { return false };
        let lower = path.to_ascii_lowercase();
        let name = lower.rsplit('/').next().unwrap_or(&lower);
        let is_remote = lower.contains("://") || lower.starts_with("git@") || lower.ends_with(".git");
        // A pattern may match archives, unless it says how the names end.
        let is_open = name.contains(['*', '?', '[']) && (name.ends_with(['*', '?', ']']) || !name.contains('.'));
        !is_remote && !is_open && !ARCHIVES.iter().any(|end| name.ends_with(end))
    };
    sources.iter().all(is_plain) && instruction.flags.iter().all(|flag| COMMON_FLAGS.contains(&&*flag.name))
}

/// The elements of EXPOSE, VOLUME, COPY and ADD that the rule fails go; with all of them, the instruction does.
pub(super) fn listed(document: &Document<'_>, goal: &Goal<'_>, number: usize) -> Result<Vec<Change>, Hindrance> {
    let instruction = document.instruction(number);
    let (place, has_destination) = match instruction.keyword {
        Keyword::Expose => (("EXPOSE", "ports"), false),
        Keyword::Volume => (("VOLUME", "items"), false),
        Keyword::Add => (("ADD", "sources"), true),
        _ => (("COPY", "sources"), true),
    };
    let gone = || Ok(vec![Change { places: vec![place], ..removed(document, number) }]);
    let mut elements: Vec<TextRange> = match &instruction.exec {
        Some(items) => items.iter().map(|item| item.range).collect(),
        None => words(&instruction.arguments, document.parsed.escape).iter().map(|word| word.range).collect(),
    };
    if has_destination {
        elements.pop();
    }
    if elements.len() < 2 {
        return gone();
    }
    let head = instruction.flags.last().map_or(instruction.keyword_range.end, |flag| flag.range.end) as usize;
    let mut text = document.text.to_owned();
    let mut left = elements.len();
    for (index, range) in elements.iter().enumerate().rev() {
        let before = goal.standing(&text, Some(number));
        if before == 0 {
            break;
        }
        if left == 1 {
            return gone();
        }
        let without = match &instruction.exec {
            None => without_word(&text, *range, head, document.parsed.escape.byte()),
            // With the comma behind it, or with the one before it.
            Some(_) => {
                let cut = match (elements.get(index + 1), index.checked_sub(1)) {
                    (Some(next), _) if next.start > range.end && left > index + 1 => range.start as usize..next.start as usize,
                    (_, Some(previous)) => elements[previous].end as usize..range.end as usize,
                    _ => return Err(Hindrance::NotProven),
                };
                Some([&text[..cut.start], &text[cut.end..]].concat())
            }
        };
        if let Some(without) = without.filter(|without| goal.standing(without, Some(number)) < before) {
            text = without;
            left -= 1;
        }
    }
    if goal.standing(&text, Some(number)) > 0 {
        return Err(Hindrance::NeedsRedesign);
    }
    Ok(vec![Change::of(text, number, place)])
}

/// WORKDIR as an absolute path, where the file says beneath which one it is.
pub(super) fn directory(document: &Document<'_>, goal: &Goal<'_>, number: usize) -> Result<Vec<Change>, Hindrance> {
    let instruction = document.instruction(number);
    let written = instruction.arguments.text.trim();
    let is_absolute = |path: &str| path.starts_with('/');
    let path = match directory_above(document, number) {
        _ if goal.given("path").is_some_and(is_absolute) => goal.wanted("path", "", "", is_absolute)?,
        None => {
            let sample = format!("/{}", written.trim_start_matches("./"));
            goal.wanted("path", &sample, "The directory as an absolute path", is_absolute)?
        }
        Some(above) => {
            let mut rest = written;
            while let Some(inner) = rest.strip_prefix("./") {
                rest = inner;
            }
            let is_plain =
                !rest.is_empty() && !rest.contains(['"', '\'', '\\', '`', ' ']) && !rest.split('/').any(|part| part == ".." || part == ".");
            if !is_plain {
                return Err(Hindrance::NeedsValue);
            }
            format!("{}/{rest}", above.trim_end_matches('/'))
        }
    };
    Ok(vec![Change::of(document.replaced(instruction.arguments.whole(), &path), number, ("WORKDIR", "path"))])
}

/// The working directory that an instruction starts from.
fn directory_above(document: &Document<'_>, number: usize) -> Option<String> {
    let chain = document.chain(document.stage_of(number)?);
    let mut end = number;
    for from in &chain {
        let last = (*from..end)
            .rev()
            .find(|&other| document.instruction(other).keyword == Keyword::Workdir && document.instruction(other).onbuild.is_none());
        if let Some(last) = last {
            let path = document.resources[last].body.get("path").and_then(Value::as_str)?;
            return path.starts_with('/').then(|| path.to_owned());
        }
        let below = chain.iter().skip_while(|other| *other != from).nth(1);
        end = below.map_or(0, |below| document.end_of(*below));
    }
    ROOTED_IMAGES.contains(&super::user::official(document, *chain.last()?)).then(|| "/".to_owned())
}

/// FROM: the tag or digest that was given for the image, or no name where another stage has the same.
pub(super) fn image(document: &Document<'_>, goal: &Goal<'_>, number: usize) -> Result<Vec<Change>, Hindrance> {
    let instruction = document.instruction(number);
    let words = words(&instruction.arguments, document.parsed.escape);
    if document.is(number, "repeats_name") && goal.lessons.removes_stage_name() {
        let [_, _, name] = &words[..] else { return Err(Hindrance::NeedsDecision) };
        if (number + 1..document.resources.len()).any(|other| document.refers_to(other, &name.text)) {
            return Err(Hindrance::NeedsDecision);
        }
        let range = TextRange::new(words[0].range.end, name.range.end);
        return Ok(vec![Change::of(document.replaced(range, ""), number, ("FROM", "name"))]);
    }
    let image = words.first().ok_or(Hindrance::NeedsValue)?;
    let place = Image::without_digest(&image.text).ok_or(Hindrance::NeedsValue)?;
    let (sample, description) = place.asked();
    let written = place.with(&goal.wanted(place.name(), sample, description, |value| place.takes(value))?);
    Ok(vec![Change::of(document.replaced(image.range, &written), number, ("FROM", "image"))])
}

impl Document<'_> {
    /// Whether an instruction begins a stage that is built upon another, or copies from it.
    fn chain_holds(&self, number: usize, from: usize) -> bool {
        match self.instruction(number).keyword {
            Keyword::From => self.chain(number).contains(&from) && number != from,
            _ => self.stage_name(from).is_some_and(|name| self.refers_to(number, name)),
        }
    }

    /// Whether an instruction copies from a stage, mounts it, or is built upon it.
    fn refers_to(&self, number: usize, stage: &str) -> bool {
        let instruction = self.instruction(number);
        if instruction.keyword == Keyword::From {
            return self.base_name(number).is_some_and(|base| base.eq_ignore_ascii_case(stage));
        }
        let values = instruction.flags.iter().filter_map(|flag| Some((&*flag.name, flag.value.as_ref()?.text.as_str())));
        let mut named = values.filter_map(|(name, value)| match name {
            "from" => Some(value),
            "mount" => value.split(',').find_map(|part| part.strip_prefix("from=")),
            _ => None,
        });
        named.any(|name| name.eq_ignore_ascii_case(stage))
    }
}
