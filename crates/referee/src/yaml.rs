//! YAML documents, read by libYAML; JSON documents, read by `serde_json`.

use serde::Deserialize as _;
use yaml_serde::Value;

use crate::Invariant;
use crate::structure::Change;

const MAX_DEPTH: usize = 120;
/// What a text with many aliases may unfold to.
const MAX_NODES: usize = 2_000_000;

/// Compares; tells whether the text before could be read.
pub(crate) fn compare(change: &Change<'_>, faults: &mut Vec<(Invariant, String)>) -> bool {
    documents(change, faults, parse)
}

pub(crate) fn compare_json(change: &Change<'_>, faults: &mut Vec<(Invariant, String)>) -> bool {
    documents(change, faults, |text| serde_json::from_str(text).ok().map(|document| vec![document]))
}

fn parse(text: &str) -> Option<Vec<Value>> {
    let documents: Option<Vec<Value>> =
        yaml_serde::Deserializer::from_str(text).map(|document| Value::deserialize(document).ok()).collect();
    // One with nothing in it, or only comments, has no number in what a fix states.
    documents.map(|documents| documents.into_iter().filter(|document| !document.is_null()).collect())
}

fn documents(change: &Change<'_>, faults: &mut Vec<(Invariant, String)>, parse: impl Fn(&str) -> Option<Vec<Value>>) -> bool {
    let Some(before) = parse(change.before) else { return false };
    let Some(after) = parse(change.after) else {
        faults.push((Invariant::Parses, format!("`{}` can't be read any more", change.path)));
        return true;
    };
    if before.len() != after.len() {
        faults.push((Invariant::Structure, format!("`{}` has {} documents rather than {}", change.path, after.len(), before.len())));
        return true;
    }
    for (number, (a, b)) in before.iter().zip(&after).enumerate() {
        let name = number.to_string();
        let stated = change.stated.iter().filter(|stated| stated.type_key == "node" && stated.name == name);
        let stated: Vec<&str> = stated.map(|stated| stated.path.as_str()).collect();
        let mut walk = Walk { stated: &stated, pointer: String::new(), left: MAX_NODES, different: Vec::new() };
        walk.compare(Some(a), Some(b), MAX_DEPTH);
        faults.extend(
            walk.different
                .into_iter()
                .map(|pointer| (Invariant::Structure, format!("`{}` document {number}: `{pointer}` is different", change.path))),
        );
    }
    true
}

struct Walk<'w> {
    stated: &'w [&'w str],
    pointer: String,
    left: usize,
    different: Vec<String>,
}

impl Walk<'_> {
    fn compare(&mut self, a: Option<&Value>, b: Option<&Value>, depth: usize) {
        let is_stated = |stated: &&str| self.pointer.strip_prefix(*stated).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if self.stated.iter().any(is_stated) {
            return;
        }
        let (Some(depth), Some(left)) = (depth.checked_sub(1), self.left.checked_sub(1)) else {
            self.different.push(format!("{} (too deep or too large)", self.pointer));
            return;
        };
        self.left = left;
        match (a, b) {
            (Some(Value::Mapping(a)), Some(Value::Mapping(b))) => {
                for (key, value) in a {
                    self.part(&shown(key), Some(value), b.get(key), depth);
                }
                for (key, value) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                    self.part(&shown(key), None, Some(value), depth);
                }
            }
            (Some(Value::Sequence(a)), Some(Value::Sequence(b))) => self.sequences(a, b, depth),
            (Some(Value::Tagged(a)), Some(Value::Tagged(b))) if a.tag == b.tag => self.compare(Some(&a.value), Some(&b.value), depth),
            (Some(a), Some(b)) if a == b => {}
            _ => self.different.push(self.pointer.clone()),
        }
    }

    /// Of a list that became shorter what is stated may be gone; what is left keeps its order.
    fn sequences(&mut self, a: &[Value], b: &[Value], depth: usize) {
        let is_gone = |number: usize| a.len() > b.len() && self.stated.contains(&format!("{}/{number}", self.pointer).as_str());
        let kept: Vec<usize> = (0..a.len()).filter(|number| !is_gone(*number)).collect();
        for (place, &number) in kept.iter().enumerate() {
            self.part(&number.to_string(), a.get(number), b.get(place), depth);
        }
        for (number, value) in b.iter().enumerate().skip(kept.len()) {
            self.part(&number.to_string(), None, Some(value), depth);
        }
    }

    fn part(&mut self, name: &str, a: Option<&Value>, b: Option<&Value>, depth: usize) {
        let length = self.pointer.len();
        self.pointer.push('/');
        self.pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
        self.compare(a, b, depth);
        self.pointer.truncate(length);
    }
}

fn shown(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        _ => "?".to_owned(),
    }
}
