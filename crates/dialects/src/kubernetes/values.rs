//! From the nodes of a text to values, as Kubernetes reads YAML: `yes` and `on` are booleans, `0644` is an octal number.

use std::sync::Arc;

use keyblind_resource::{Data, HopKind, Mapping, Number, Origin, Value};
use keyblind_syntax::yaml::{self, Style};
use keyblind_syntax::{FileId, Site, TextRange, json};

/// Reads the nodes of one file.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    pub(crate) file: FileId,
    /// What carries the values to where they count, if they don't stand in the object itself.
    pub(crate) carrier: Option<&'a HopKind>,
    /// Where the text lies in the file, if it is a text within it.
    pub(crate) embedded: Option<&'a Embedded>,
}

impl<'a> Reader<'a> {
    /// Reads the file's own nodes.
    pub(crate) fn of(file: FileId) -> Self {
        Self { file, carrier: None, embedded: None }
    }

    /// Where a part of the text lies.
    pub(crate) fn site(self, range: TextRange) -> Site {
        Site::new(self.file, self.embedded.map_or(range, |embedded| embedded.place(range)))
    }
    /// A value of YAML, with merge keys applied. The parser bounds how deep it is and how much aliases repeat.
    pub(crate) fn yaml(self, node: &yaml::Node) -> Value {
        let data = match &node.kind {
            yaml::NodeKind::Null => Data::Null,
            yaml::NodeKind::Bool(value) => Data::Bool(*value),
            yaml::NodeKind::Number(text) => number(text),
            yaml::NodeKind::String(text) if node.style == Style::Plain => plain(text),
            yaml::NodeKind::String(text) => Data::String(text.clone()),
            yaml::NodeKind::Sequence(items) => Data::Tuple(Arc::new(items.iter().map(|item| self.yaml(item)).collect())),
            yaml::NodeKind::Mapping(_) => {
                let entries = node.entries().into_iter();
                let entry = |entry: &yaml::Entry| Some((Arc::from(entry.key.as_key()?), self.yaml(&entry.value)));
                Data::Object(Arc::new(entries.filter_map(entry).collect()))
            }
        };
        let written = self.site(node.range);
        let origin = match node.alias {
            Some(alias) => Origin::Site(written).carried(HopKind::Alias, self.site(alias)),
            None => Origin::Site(written),
        };
        self.carried(Value { data, origin, sensitive: false })
    }

    /// A value of JSON.
    pub(crate) fn json(self, node: &json::Node) -> Value {
        let data = match &node.kind {
            json::NodeKind::Null => Data::Null,
            json::NodeKind::Bool(value) => Data::Bool(*value),
            json::NodeKind::Number(text) => number(text),
            json::NodeKind::String(text) => Data::String(text.clone()),
            json::NodeKind::Array(items) => Data::Tuple(Arc::new(items.iter().map(|item| self.json(item)).collect())),
            json::NodeKind::Object(members) => {
                let entries = members.iter().map(|member| (member.key.clone(), self.json(&member.value)));
                Data::Object(Arc::new(entries.collect()))
            }
        };
        self.carried(Value::at(data, self.site(node.range)))
    }

    fn carried(self, value: Value) -> Value {
        match (self.carrier, value.origin.used_at()) {
            (Some(kind), Some(site)) => value.carried(kind.clone(), site),
            _ => value,
        }
    }
}

/// Where the lines of a text within a file (a YAML block) lie in it.
pub(crate) struct Embedded {
    whole: TextRange,
    /// For each line where it starts in the text and in the file; empty if the text isn't in the file line by line.
    lines: Vec<(u32, u32)>,
}

impl Embedded {
    /// Finds the lines of `text` in the part of a file that holds it.
    pub(crate) fn new(text: &str, file: &str, whole: TextRange) -> Self {
        let mut lines = Vec::new();
        let mut outer_start = whole.start;
        let mut outer = file.get(whole.as_usize()).unwrap_or_default().split('\n').map(|line| {
            let start = outer_start;
            outer_start += line.len() as u32 + 1;
            (start, line.trim_end_matches('\r'))
        });
        let mut inner_start = 0;
        for inner in text.split('\n') {
            // Above the first line there may be the block's own sign.
            let place = match lines.is_empty() {
                true => outer.find(|(_, line)| !inner.trim().is_empty() && line.ends_with(inner)),
                false => outer.next(),
            };
            match place {
                Some((start, line)) if line.ends_with(inner) => lines.push((inner_start, start + (line.len() - inner.len()) as u32)),
                // What is behind the last line end is no line.
                _ if inner.is_empty() => {}
                _ => return Self { whole, lines: Vec::new() },
            }
            inner_start += inner.len() as u32 + 1;
        }
        Self { whole, lines }
    }

    fn place(&self, range: TextRange) -> TextRange {
        let offset = |at: u32| {
            let line = self.lines.partition_point(|(start, _)| *start <= at).checked_sub(1)?;
            let (inner, outer) = self.lines[line];
            Some(outer + (at - inner))
        };
        match (offset(range.start), offset(range.end)) {
            (Some(start), Some(end)) if self.whole.start <= start && start <= end && end <= self.whole.end => TextRange::new(start, end),
            _ => self.whole,
        }
    }
}

fn number(text: &Arc<str>) -> Data {
    text.parse::<Number>().map_or_else(|_| Data::String(text.clone()), Data::Number)
}

/// A text without quotes that isn't one to a reader of YAML 1.1.
///
/// Source: "YAML Ain't Markup Language 1.1", boolean and integer types; the reader of Kubernetes follows it in these.
fn plain(text: &Arc<str>) -> Data {
    match &**text {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Data::Bool(true),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Data::Bool(false),
        _ => {}
    }
    let octal = text.strip_prefix("0o").or_else(|| text.strip_prefix('0')).filter(|digits| !digits.is_empty());
    match octal.and_then(|digits| i64::from_str_radix(digits, 8).ok()) {
        Some(value) if !text.contains(['+', '-']) => Data::Number(Number::from(value)),
        _ => Data::String(text.clone()),
    }
}

/// The text of a scalar, as a name or label has it.
pub(crate) fn text(value: &Value) -> Option<Arc<str>> {
    match &value.data {
        Data::String(text) => Some(text.clone()),
        Data::Number(number) => Some(number.to_string().into()),
        Data::Bool(true) => Some("true".into()),
        Data::Bool(false) => Some("false".into()),
        _ => None,
    }
}

/// The value at a path of names.
pub(crate) fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| value.get(name)).filter(|value| !value.is_null())
}

/// The entries of an object; none of anything else.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&Arc<str>, &Value)> {
    value.as_mapping().into_iter().flat_map(Mapping::iter)
}

/// The elements of a list; none of anything else.
pub(crate) fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_items).unwrap_or_default()
}

/// Whether a value is nested deeper than so many levels.
pub(crate) fn is_deeper(value: &Value, levels: usize) -> bool {
    let Some(levels) = levels.checked_sub(1) else { return true };
    match &value.data {
        Data::Object(mapping) => mapping.iter().any(|(_, inner)| is_deeper(inner, levels)),
        Data::Tuple(items) => items.iter().any(|inner| is_deeper(inner, levels)),
        _ => false,
    }
}

/// The mapping to change at a path; what isn't one on the way becomes one, at the origin given.
pub(crate) fn mapping_at<'v>(value: &'v mut Value, path: &[&str], origin: &Origin) -> &'v mut Mapping {
    if !matches!(value.data, Data::Object(_)) {
        *value = Value { data: Data::Object(Arc::default()), origin: origin.clone(), sensitive: false };
    }
    let Data::Object(mapping) = &mut value.data else { unreachable!("it was just made one") };
    let mapping = Arc::make_mut(mapping);
    match path {
        [] => mapping,
        [name, rest @ ..] => mapping_at(mapping.entry(name), rest, origin),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_in_a_block_is_a_place_in_its_file() {
        let file = "patches:\n- patch: |-\n    - op: add\n\n      path: /a\n  target: {}\n";
        let (start, end) = (file.find('|').unwrap() as u32, file.find("  target").unwrap() as u32);
        let text = "- op: add\n\n  path: /a";
        let embedded = Embedded::new(text, file, TextRange::new(start, end));
        let place = |word: &str| {
            let at = text.find(word).unwrap() as u32;
            &file[embedded.place(TextRange::new(at, at + word.len() as u32)).as_usize()]
        };
        assert_eq!(place("add"), "add");
        assert_eq!(place("/a"), "/a");
        let quoted = Embedded::new("a\nb", r#"patch: "a\nb""#, TextRange::new(7, 13));
        assert_eq!(quoted.place(TextRange::new(0, 1)), TextRange::new(7, 13));
    }
}
