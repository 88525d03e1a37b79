//! What would take credentials out of texts.
//!
//! Keys of the cloud itself go: what runs there has a role. Whatever else is one has to come from somebody, and not from
//! the text.

use keyblind_resource::{Data, Fragment, Value};
use keyblind_rule_language::{Literal, View};

use super::{Change, Inversion, Key, Remedy, Wanted};
use crate::views::secrets;
use crate::walk::{Label, Trail};

/// The most places of one value that are cleaned.
const MOST_PLACES: usize = 32;

impl Inversion<'_, '_> {
    /// Whether a list is that of a value's credentials.
    pub(super) fn is_secrets(trail: &Trail<'_>) -> bool {
        matches!(trail.label, Label::View(View::Secrets))
    }

    /// The way to have none in the value that is looked at.
    pub(super) fn cleaned(&self, trail: &Trail<'_>) -> Vec<Remedy> {
        let Some(up) = trail.up else { return Vec::new() };
        let Some(keys) = super::keys_of(up) else { return Vec::new() };
        self.clean(up.value, keys).into_iter().collect()
    }

    fn clean(&self, value: &Value, keys: Vec<Key>) -> Option<Remedy> {
        let Some(entries) = value.as_mapping() else {
            let lines = guilty_lines(value);
            let change = Change::Set(Wanted::WithoutLines(lines.clone().into()));
            return (!lines.is_empty()).then(|| Remedy::wish(self.subject, keys, change));
        };
        let mut remedy = Remedy::default();
        for (name, inner) in entries.iter().filter(|(name, inner)| !detectors_of(name, inner).is_empty()).take(MOST_PLACES) {
            let place: Vec<Key> = keys.iter().cloned().chain([Key::Name(name.clone())]).collect();
            let change = if detectors_of(name, inner).iter().all(|detector| detector.starts_with("aws-")) {
                Change::Remove
            } else {
                Change::Set(Wanted::Asked(Literal::Text("from-a-secret-store".into())))
            };
            remedy = remedy.and(&Remedy::wish(self.subject, place, change))?;
        }
        (!remedy.wishes.is_empty()).then_some(remedy)
    }
}

/// Which credentials a value is that has a name.
fn detectors_of(name: &str, value: &Value) -> Vec<String> {
    let found = secrets::secrets(&Value::object([(name.into(), value.clone())]));
    let names = found.as_items().unwrap_or_default().iter().filter_map(|found| found.get("detector")?.as_str().map(str::to_owned));
    names.collect()
}

/// The lines of a text that give a name to a credential, and do nothing else.
fn guilty_lines(value: &Value) -> Vec<Box<str>> {
    let texts: Vec<String> = match &value.data {
        Data::String(text) => vec![secrets::decoded(text).unwrap_or_else(|| text.to_string())],
        Data::Unknown(unknown) => unknown
            .fragments
            .iter()
            .filter_map(|fragment| if let Fragment::Literal(text) = fragment { Some(text.to_string()) } else { None })
            .collect(),
        _ => Vec::new(),
    };
    let holds = |line: &str| secrets::holds_credential(&Value::string(line.to_owned()));
    let lines = texts.iter().flat_map(|text| text.lines()).map(str::trim).filter(|line| is_assignment(line) && holds(line));
    lines.map(Into::into).take(MOST_PLACES).collect()
}

/// Whether a line of a script or of settings only gives a name a value.
fn is_assignment(line: &str) -> bool {
    let line = ["export ", "set ", "$env:", "- "].iter().find_map(|word| line.strip_prefix(word)).unwrap_or(line).trim_start();
    let end = line.find(|character: char| !(character.is_ascii_alphanumeric() || "_.-".contains(character))).unwrap_or(line.len());
    let rest = line[end..].trim_start();
    end > 0 && rest.starts_with(['=', ':']) && !line.contains(';') && !line.contains("&&") && !line.contains('|')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_lines_that_are_nothing_else_go() {
        assert!(is_assignment("export AWS_ACCESS_KEY_ID=x"));
        assert!(is_assignment("password: \"x\""));
        assert!(!is_assignment("mysql --password=x < dump"));
        assert!(!is_assignment("A=x && run"));
        let script = "#!/bin/sh\nexport AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\nrun\n";
        assert_eq!(guilty_lines(&Value::string(script)), ["export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE".into()]);
    }
}
