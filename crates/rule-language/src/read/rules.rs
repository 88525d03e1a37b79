//! A rule as a whole.

use super::Reader;
use crate::rule::{Confidence, Control, Docs, Examples, Language, Persona, Rule, Severity};
use crate::yaml::{Node, NodeKind, Position};

/// The keys of a rule, without the names of languages.
pub(crate) const RULE_KEYS: &[&str] = &[
    "id",
    "title",
    "severity",
    "confidence",
    "persona",
    "aliases",
    "related",
    "controls",
    "why",
    "fix",
    "references",
    "family",
    "with",
    "examples",
];
/// How long a text may be, in bytes. A title is one line of a report.
const MAX_TITLE: usize = 160;

/// Reads a rule whose family has been filled in already. `stem` is the file's name without `.yaml`.
pub(crate) fn read_rule(reader: &mut Reader, node: &Node, stem: &str) -> Option<Rule> {
    let entries = reader.map(node, "a rule (a mapping with `id`, `title` …)")?;
    let before = reader.errors.len();
    let (mut id, mut title, mut severity, mut confidence, mut persona) = (None, None, None, None, Some(Persona::Regular));
    let (mut aliases, mut related, mut decisions, mut docs) = (Vec::new(), Vec::new(), Vec::new(), Docs::default());
    let mut seen: Vec<&str> = Vec::new();
    for entry in entries {
        seen.push(&entry.key);
        let value = &entry.value;
        match entry.key.as_str() {
            "id" => id = read_id(reader, value, stem),
            "title" => title = read_title(reader, value),
            "severity" => severity = reader.word::<Severity>(value, "a severity"),
            "confidence" => confidence = reader.word::<Confidence>(value, "a confidence"),
            "persona" => persona = reader.word::<Persona>(value, "a persona"),
            "aliases" => aliases = reader.boxed_texts(value, "an id"),
            "related" => related = reader.boxed_texts(value, "an id"),
            "controls" => docs.controls = read_controls(reader, value),
            "why" => docs.why = reader.text(value, "a text").unwrap_or_default().into(),
            "fix" => docs.fix = reader.text(value, "a text").unwrap_or_default().into(),
            "references" => docs.references = read_references(reader, value),
            "examples" => docs.examples = read_examples(reader, value),
            // Both were used up when the family was filled in.
            "family" | "with" => {}
            key => match key.parse::<Language>() {
                Ok(language) => decisions.push((language, reader.decisions(value, language))),
                Err(_) => {
                    let known: Vec<_> = RULE_KEYS.iter().copied().chain(Language::ALL.iter().map(|language| language.name())).collect();
                    reader.unknown_key(entry, "key of a rule", &known);
                }
            },
        }
    }
    for required in ["id", "title", "severity", "confidence", "why", "fix", "examples"] {
        if !seen.contains(&required) {
            reader.error(&node.at, format!("`{required}` is missing"));
        }
    }
    if decisions.is_empty() {
        reader.error(&node.at, "nothing is decided: a key such as `terraform` is missing");
    }
    check_aliases(reader, &node.at, &aliases, &related);
    for (language, _) in &decisions {
        let examples = docs.examples.iter().find(|examples| examples.language == *language);
        if seen.contains(&"examples") && examples.is_none_or(|examples| examples.bad.is_empty() || examples.good.is_empty()) {
            reader.error(&node.at, format!("`examples` has no `{language}` with both `bad` and `good`"));
        }
    }
    if reader.errors.len() > before {
        return None;
    }
    Some(Rule {
        id: id?,
        title: title?,
        severity: severity?,
        confidence: confidence?,
        persona: persona?,
        aliases,
        related,
        decisions,
        docs,
    })
}

fn read_id(reader: &mut Reader, node: &Node, stem: &str) -> Option<Box<str>> {
    let id = reader.text(node, "an id")?;
    let kebab = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if !id.split('-').all(kebab) || id.len() > 100 {
        reader.error(&node.at, format!("`{id}` is no id: kebab case, such as `s3-bucket-acl-public-read`, at most 100 characters"));
        return None;
    }
    if id != stem {
        reader.error_with_help(
            &node.at,
            format!("the id `{id}` isn't the file's name `{stem}`"),
            format!("rename the file to `{id}.yaml`"),
        );
        return None;
    }
    Some(id.into())
}

fn read_title(reader: &mut Reader, node: &Node) -> Option<Box<str>> {
    let title = reader.text(node, "a title")?;
    if title.contains('\n') || title.len() > MAX_TITLE {
        reader.error(&node.at, format!("a title is one line of at most {MAX_TITLE} bytes"));
        return None;
    }
    Some(title.trim_end_matches('.').into())
}

fn read_controls(reader: &mut Reader, node: &Node) -> Vec<Control> {
    let Some(entries) = reader.map(node, "a mapping of frameworks to lists of numbers") else { return Vec::new() };
    let mut controls: Vec<Control> = entries
        .iter()
        .map(|entry| Control { framework: entry.key.as_str().into(), numbers: reader.boxed_texts(&entry.value, "a control's number") })
        .collect();
    controls.sort_by(|a, b| a.framework.cmp(&b.framework));
    controls
}

fn read_references(reader: &mut Reader, node: &Node) -> Vec<Box<str>> {
    let mut references = Vec::new();
    for (text, at) in reader.texts(node, "an address") {
        if !text.starts_with("https://") || text.contains(char::is_whitespace) {
            reader.error(at, format!("`{text}` is no https address"));
        } else {
            references.push(text.into());
        }
    }
    references
}

fn read_examples(reader: &mut Reader, node: &Node) -> Vec<Examples> {
    let Some(entries) = reader.map(node, "a mapping of languages to `bad` and `good`") else { return Vec::new() };
    let mut found = Vec::new();
    for entry in entries {
        let Ok(language) = entry.key.parse::<Language>() else {
            let known: Vec<_> = Language::ALL.iter().map(|language| language.name()).collect();
            reader.unknown_key(entry, "language of examples", &known);
            continue;
        };
        let mut examples = Examples { language, bad: Vec::new(), good: Vec::new() };
        for side in reader.map(&entry.value, "a mapping with `bad` and `good`").unwrap_or_default() {
            match side.key.as_str() {
                "bad" => examples.bad = read_example_texts(reader, &side.value),
                "good" => examples.good = read_example_texts(reader, &side.value),
                _ => reader.unknown_key(side, "side of an example", &["bad", "good"]),
            }
        }
        found.push(examples);
    }
    found
}

/// Examples keep their white space: a first line may be indented.
fn read_example_texts(reader: &mut Reader, node: &Node) -> Vec<Box<str>> {
    let items = if let NodeKind::List(items) = &node.kind { &items[..] } else { std::slice::from_ref(node) };
    let mut texts = Vec::new();
    for item in items {
        match &item.kind {
            NodeKind::Scalar { text, .. } if !text.trim().is_empty() => texts.push(text.as_str().into()),
            _ => reader.expected(item, "an example text"),
        }
    }
    texts
}

fn check_aliases(reader: &mut Reader, at: &Position, aliases: &[Box<str>], related: &[Box<str>]) {
    for (index, alias) in aliases.iter().chain(related).enumerate() {
        if alias.contains(char::is_whitespace) || alias.contains(',') {
            reader.error(at, format!("`{alias}` is no id of another tool"));
        }
        if aliases.iter().chain(related).take(index).any(|earlier| earlier.eq_ignore_ascii_case(alias)) {
            reader.error(at, format!("`{alias}` stands twice in `aliases` and `related`"));
        }
    }
}
