//! Pages that list rules: by provider and service, by dialect, and by other tools' ids.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use keyblind_rule_language::{Language, Severity};

use super::catalogue::{Catalogue, RuleNumber, language_title, provider_title};
use super::markdown::cell;

/// Makes the pages (name and text) and appends them, and those of the rules, to the book's summary.
pub(super) fn pages(catalogue: &Catalogue, summary: &mut String) -> Vec<(String, String)> {
    let mut groups: BTreeMap<&str, BTreeMap<&str, Vec<RuleNumber>>> = BTreeMap::new();
    for &rule in catalogue.rules() {
        let (provider, service) = catalogue.group(rule);
        groups.entry(provider).or_default().entry(service).or_default().push(rule);
    }
    let mut pages = vec![("rules/index.md".to_owned(), index(catalogue, &groups)), ("rules/aliases.md".to_owned(), aliases(catalogue))];
    summary.push_str("- [All rules](rules/index.md)\n");
    for &language in Language::ALL {
        let name = format!("rules/dialects/{}.md", language.name());
        let _ = writeln!(summary, "  - [For {}]({name})", language_title(language));
        let rules: Vec<RuleNumber> = catalogue.rules().iter().copied().filter(|rule| is_about(catalogue, *rule, language)).collect();
        let text = format!("# Rules for {}\n\n{}\n{}", language_title(language), sentence(&rules), table(catalogue, &rules, "../"));
        pages.push((name, text));
    }
    summary.push_str("- [Other tools' ids](rules/aliases.md)\n");
    for (provider, services) in &groups {
        let name = format!("rules/providers/{provider}.md");
        let title = provider_title(provider);
        let _ = writeln!(summary, "- [{title}]({name})");
        let mut text = format!("# {title}\n\n| service | rules |\n|---|---|\n");
        for (service, rules) in services {
            let _ = writeln!(text, "| [{service}](../services/{provider}-{service}.md) | {} |", rules.len());
            let own = format!("rules/services/{provider}-{service}.md");
            let _ = writeln!(summary, "  - [{service}]({own})");
            for &rule in rules {
                let _ = writeln!(summary, "    - [{}]({})", cell(&catalogue.head(rule).title), catalogue.page(rule));
            }
            pages.push((own, format!("# {title}: {service}\n\n{}\n{}", sentence(rules), table(catalogue, rules, "../"))));
        }
        pages.push((name, text));
    }
    pages
}

fn is_about(catalogue: &Catalogue, rule: RuleNumber, language: Language) -> bool {
    catalogue.head(rule).types.iter().any(|(of, _)| *of == language)
}

fn sentence(rules: &[RuleNumber]) -> String {
    match rules.len() {
        1 => "One rule.\n".to_owned(),
        count => format!("{count} rules.\n"),
    }
}

fn index(catalogue: &Catalogue, groups: &BTreeMap<&str, BTreeMap<&str, Vec<RuleNumber>>>) -> String {
    let severities = || Severity::ALL.iter().rev();
    let mut text = format!(
        "# All rules\n\nKeyblind has {} rules. Each has a page that says what it looks for and why, what to do, and how to silence it, with a text that fails \
         and one that passes; the search finds them by their words, by resource types and by other tools' ids.\n\n| provider |",
        catalogue.rules().len()
    );
    for severity in severities() {
        let _ = write!(text, " {severity} |");
    }
    text.push_str(" all |\n|---|---|---|---|---|---|---|\n");
    for (provider, services) in groups {
        let rules: Vec<RuleNumber> = services.values().flatten().copied().collect();
        let _ = write!(text, "| [{}](providers/{provider}.md) |", provider_title(provider));
        for severity in severities() {
            let _ = write!(text, " {} |", rules.iter().filter(|rule| catalogue.head(**rule).severity == *severity).count());
        }
        let _ = writeln!(text, " {} |", rules.len());
    }
    text.push_str("\n| dialect | rules |\n|---|---|\n");
    for &language in Language::ALL {
        let count = catalogue.rules().iter().filter(|rule| is_about(catalogue, **rule, language)).count();
        let _ = writeln!(text, "| [{}](dialects/{}.md) | {count} |", language_title(language), language.name());
    }
    text.push_str(
        "\nWhat severity, confidence and persona mean is in [Contributing](../contributing.md#severity-confidence-persona); \
         rules of your own are written in [the rule language](../rule-language.md).\n",
    );
    text
}

fn table(catalogue: &Catalogue, rules: &[RuleNumber], up: &str) -> String {
    let mut text = String::from("| severity | rule | id |\n|---|---|---|\n");
    for &rule in rules {
        let meta = catalogue.head(rule);
        let _ = writeln!(
            text,
            "| <span class=\"severity {0}\">{0}</span> | [{1}]({up}{2}.md) | `{2}` |",
            meta.severity,
            cell(&meta.title),
            meta.id
        );
    }
    text
}

/// Each id of another tool, and the rules that carry it.
fn aliases(catalogue: &Catalogue) -> String {
    let mut names: BTreeMap<Vec<Part>, (&str, Vec<RuleNumber>)> = BTreeMap::new();
    for &rule in catalogue.rules() {
        for alias in &catalogue.head(rule).aliases {
            names.entry(parts(alias)).or_insert_with(|| (alias, Vec::new())).1.push(rule);
        }
    }
    let mut text = String::from(
        "# Other tools' ids\n\nEach of these ids works wherever Keyblind takes a rule: on the command line, in `keyblind.toml`, in comments that were written \
         for the other tool.\n\n| id | rule |\n|---|---|\n",
    );
    for (alias, rules) in names.values() {
        let links: Vec<String> = rules.iter().map(|rule| format!("[`{0}`]({0}.md)", catalogue.head(*rule).id)).collect();
        let _ = writeln!(text, "| `{alias}` | {} |", links.join(", "));
    }
    text
}

/// A part of an id: numbers are in the order of their value.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Text(String),
    Number(u64),
}

fn parts(id: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = id;
    while !rest.is_empty() {
        let is_digit = rest.starts_with(|character: char| character.is_ascii_digit());
        let length = rest.find(|character: char| character.is_ascii_digit() != is_digit).unwrap_or(rest.len());
        let (part, behind) = rest.split_at(length);
        parts.push(match part.parse() {
            Ok(number) => Part::Number(number),
            Err(_) => Part::Text(part.to_lowercase()),
        });
        rest = behind;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_in_the_order_of_their_numbers() {
        let mut ids = ["CKV_AWS_100", "CKV2_AWS_1", "CKV_AWS_20", "AVD-AWS-0086"];
        ids.sort_by_key(|id| parts(id));
        assert_eq!(ids, ["AVD-AWS-0086", "CKV2_AWS_1", "CKV_AWS_20", "CKV_AWS_100"]);
    }
}
