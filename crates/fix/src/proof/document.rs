//! Checks on the text of YAML and JSON documents.

use std::collections::BTreeMap;

use keyblind_syntax::TextRange;
use keyblind_syntax::yaml::{self, Node, NodeKind, Stream};

use super::{Check, Disproof, NODE, Stated, pointer};

/// The deepest nesting that is compared.
const MAX_DEPTH: usize = 200;

/// Checks one file: only nodes that are stated may be different.
pub(super) fn check(path: &str, before: &str, after: &str, stated: &[Stated]) -> Result<(), Disproof> {
    let (old, new) = (yaml::parse(before), yaml::parse(after));
    if let Some(error) = new.errors.first().or(old.errors.first()) {
        return Err(Disproof::new(Check::Parses, format!("`{path}`: {}", error.message)));
    }
    if old.documents.len() != new.documents.len() {
        return Err(Disproof::new(Check::DeclarationsKept, format!("`{path}` has another number of documents")));
    }
    let mut gone = Vec::new();
    for (index, (a, b)) in old.documents.iter().zip(&new.documents).enumerate() {
        let name = index.to_string();
        let stated: Vec<&str> = stated
            .iter()
            .filter(|stated| stated.file == path && stated.type_key == NODE && stated.name == name)
            .map(|stated| stated.path.as_str())
            .collect();
        let mut comparison = Comparison { stated: &stated, names: Vec::new(), changed: Vec::new() };
        if let Err(names) = comparison.nodes(a, b) {
            return Err(Disproof::new(Check::DeclarationsKept, format!("`{path}`: `{}` is different", names.join("."))));
        }
        gone.extend(comparison.changed);
    }
    check_comments(path, (before, &old), (after, &new), &gone)
}

/// The most nodes that one change is told to differ in.
const MOST_DIFFERENCES: usize = 64;

/// The nodes that are different, each by the number of its document and the names that lead to it; `None` where the documents can't be compared
/// so, or too many are.
pub(crate) fn differences(before: &str, after: &str) -> Option<Vec<(usize, Vec<String>)>> {
    let (old, new) = (yaml::parse(before), yaml::parse(after));
    if !old.errors.is_empty() || !new.errors.is_empty() || old.documents.len() != new.documents.len() {
        return None;
    }
    let mut found = Vec::new();
    for (index, (a, b)) in old.documents.iter().zip(&new.documents).enumerate() {
        let mut stated: Vec<String> = Vec::new();
        loop {
            let known: Vec<&str> = stated.iter().map(String::as_str).collect();
            let mut comparison = Comparison { stated: &known, names: Vec::new(), changed: Vec::new() };
            let Err(names) = comparison.nodes(a, b) else { break };
            if names.is_empty() || found.len() >= MOST_DIFFERENCES {
                return None;
            }
            stated.push(pointer(&names));
            found.push((index, names));
        }
    }
    Some(found)
}

struct Comparison<'s> {
    /// Pointers to nodes that may be different.
    stated: &'s [&'s str],
    names: Vec<String>,
    /// The ranges of old nodes that are different, or gone, as is stated.
    changed: Vec<TextRange>,
}

impl Comparison<'_> {
    /// Compares two nodes; gives the names that lead to the first difference that isn't stated.
    fn nodes(&mut self, a: &Node, b: &Node) -> Result<(), Vec<String>> {
        if self.is_stated() {
            if a != b {
                self.changed.push(a.place());
            }
            return Ok(());
        }
        // What an anchor names, and what an alias stands for, is the same for a reader only as long as it is written so.
        let writing = |node: &Node| (node.tag.as_ref().map(|tag| tag.name.clone()), node.alias.is_some(), node.anchored);
        if self.names.len() > MAX_DEPTH || writing(a) != writing(b) {
            return Err(self.names.clone());
        }
        match (&a.kind, &b.kind) {
            (NodeKind::Mapping(old), NodeKind::Mapping(new)) => {
                // A key that stands there twice is compared with its like; one more of it is new.
                for (index, entry) in old.iter().enumerate() {
                    let number = old[..index].iter().filter(|other| other.key.as_key() == entry.key.as_key()).count();
                    let other = new.iter().filter(|other| other.key.as_key() == entry.key.as_key()).nth(number);
                    self.part(key(&entry.key), |this| match other {
                        Some(other) => this.nodes(&entry.value, &other.value),
                        None => this.gone(entry.range()),
                    })?;
                }
                for (index, entry) in new.iter().enumerate() {
                    let of_key = |entries: &[yaml::Entry]| entries.iter().filter(|other| other.key.as_key() == entry.key.as_key()).count();
                    if of_key(&new[..index]) >= of_key(old) {
                        self.part(key(&entry.key), Self::must_be_stated)?;
                    }
                }
                Ok(())
            }
            (NodeKind::Sequence(old), NodeKind::Sequence(new)) => {
                // Elements that are stated may be gone; the others stand in their order.
                let removes = new.len() < old.len();
                let mut rest = new.iter();
                for (index, item) in old.iter().enumerate() {
                    self.part(index.to_string(), |this| {
                        if removes && this.is_stated() {
                            return this.gone(item.place());
                        }
                        match rest.next() {
                            Some(other) => this.nodes(item, other),
                            None => this.gone(item.place()),
                        }
                    })?;
                }
                for (index, _) in rest.enumerate() {
                    self.part((old.len() + index).to_string(), Self::must_be_stated)?;
                }
                Ok(())
            }
            (old, new) if old == new => Ok(()),
            _ => Err(self.names.clone()),
        }
    }

    fn part(&mut self, name: String, compare: impl FnOnce(&mut Self) -> Result<(), Vec<String>>) -> Result<(), Vec<String>> {
        self.names.push(name);
        let result = compare(self);
        self.names.pop();
        result
    }

    fn gone(&mut self, range: TextRange) -> Result<(), Vec<String>> {
        self.changed.push(range);
        self.must_be_stated()
    }

    fn must_be_stated(&mut self) -> Result<(), Vec<String>> {
        if self.is_stated() { Ok(()) } else { Err(self.names.clone()) }
    }

    fn is_stated(&self) -> bool {
        let own = pointer(&self.names);
        self.stated.iter().any(|stated| own.strip_prefix(stated).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    }
}

fn key(node: &Node) -> String {
    node.as_key().unwrap_or_default().to_owned()
}

/// Comments may go only with what they stand in, or behind on its last line.
fn check_comments(path: &str, (before, old): (&str, &Stream), (after, new): (&str, &Stream), gone: &[TextRange]) -> Result<(), Disproof> {
    let counted = |text: &str, comments: &[TextRange], without: &[TextRange]| {
        let mut found: BTreeMap<String, usize> = BTreeMap::new();
        for comment in comments.iter().filter(|comment| !without.iter().any(|range| range.contains(**comment))) {
            *found.entry(text[comment.as_usize()].trim_end().to_owned()).or_default() += 1;
        }
        found
    };
    let to_line_end = |range: &TextRange| {
        let end = before[range.end as usize..].find('\n').map_or(before.len(), |end| range.end as usize + end);
        TextRange::new(range.start, end as u32)
    };
    let gone: Vec<TextRange> = gone.iter().map(to_line_end).collect();
    let (all, kept) = (counted(before, &old.comments, &[]), counted(before, &old.comments, &gone));
    let now = counted(after, &new.comments, &[]);
    // The version behind the commit of an action changes with it.
    let says_versions: Vec<TextRange> = new.comments.iter().copied().filter(|comment| is_version_of_commit(after, *comment)).collect();
    let added = counted(after, &new.comments, &says_versions);
    if let Some((comment, _)) = added.iter().find(|(comment, count)| all.get(*comment).is_none_or(|known| known < count)) {
        return Err(Disproof::new(Check::CommentsKept, format!("`{path}`: the comment `{comment}` is new")));
    }
    if let Some((comment, _)) = kept.iter().find(|(comment, count)| now.get(*comment).is_none_or(|known| known < count)) {
        return Err(Disproof::new(Check::CommentsKept, format!("`{path}`: the comment `{comment}` is gone")));
    }
    Ok(())
}

/// Whether a comment is nothing but the version of the commit that stands before it (`uses: owner/name@commit # v1.2.3`).
fn is_version_of_commit(text: &str, comment: TextRange) -> bool {
    let version = text[comment.as_usize()].trim_start_matches('#').trim().trim_start_matches('v');
    let line = text[..comment.start as usize].rsplit('\n').next().unwrap_or_default().trim_end();
    let is_commit = |name: &str| name.len() == 40 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    line.rsplit_once('@').is_some_and(|(_, commit)| is_commit(commit.trim_end_matches(['"', '\''])))
        && version.split('.').all(|part| part.parse::<u32>().is_ok())
}
