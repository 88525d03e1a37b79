//! A rule's own page.

use keyblind_rule_language::{Language, Persona};

use super::catalogue::{Catalogue, RuleNumber, language_title, provider_title};
use super::markdown::{cell, fenced, prose};

/// Writes the page.
pub(super) fn write(catalogue: &Catalogue, rule: RuleNumber) -> String {
    let (meta, docs) = (catalogue.head(rule), catalogue.docs(rule));
    let mut page = format!("# {}\n\n", prose(&meta.title));
    facts(catalogue, rule, &mut page);
    for (title, text) in [("Why it matters", &docs.why), ("What to do", &docs.fix)] {
        if !text.is_empty() {
            page.push_str(&format!("\n## {title}\n\n{}\n", prose(text)));
        }
    }
    page.push_str(&format!(
        "\n`keyblind fix --rule {}` shows the change as a diff wherever it can be derived and [proven](../fixes.md).\n",
        meta.id
    ));
    page.push_str("\n## Examples\n");
    for examples in &docs.examples {
        let title = language_title(examples.language);
        for (texts, what) in [(&examples.bad, "fails"), (&examples.good, "passes")] {
            for (number, text) in texts.iter().enumerate() {
                let number = if texts.len() > 1 { format!(" ({} of {})", number + 1, texts.len()) } else { String::new() };
                let class = if what == "fails" { "bad" } else { "good" };
                page.push_str(&format!("\n<p class=\"example {class}\">{title}: {what}{number}</p>\n\n"));
                page.push_str(&fenced(fence_language(examples.language, text), text));
            }
        }
    }
    silence(catalogue, rule, &mut page);
    if !docs.controls.is_empty() {
        page.push_str("\n## Controls\n\n| framework | numbers |\n|---|---|\n");
        for control in &docs.controls {
            page.push_str(&format!("| {} | {} |\n", cell(&control.framework), cell(&control.numbers.join(", "))));
        }
    }
    if !docs.references.is_empty() {
        page.push_str("\n## Read on\n\n");
        for reference in &docs.references {
            page.push_str(&format!("- <{reference}>\n"));
        }
    }
    page
}

fn facts(catalogue: &Catalogue, rule: RuleNumber, page: &mut String) {
    let meta = catalogue.head(rule);
    let codes = |words: &mut dyn Iterator<Item = &str>| words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let (provider, service) = catalogue.group(rule);
    let dialects = meta.types.iter().map(|(language, _)| format!("[{}](dialects/{}.md)", language_title(*language), language.name()));
    let types = meta.types.iter().flat_map(|(_, types)| types).map(|pattern| &*pattern.0);
    let severity = format!("<span class=\"severity {0}\">{0}</span>", meta.severity);
    let mut rows = vec![
        ("rule", format!("`{}`", meta.id)),
        ("severity", format!("{severity}, with {} confidence", meta.confidence)),
        ("for", audience(meta.persona).to_owned()),
        ("dialects", dialects.collect::<Vec<_>>().join(", ")),
        ("looks at", codes(&mut { types })),
        ("belongs to", format!("[{}, {service}](services/{provider}-{service}.md)", provider_title(provider))),
    ];
    let fixes = catalogue.fixes(rule);
    if !fixes.is_empty() {
        rows.push(("[fix](../fixes.md) of its examples", fixes_in_words(fixes)));
    }
    if !meta.aliases.is_empty() {
        rows.push(("also known as", codes(&mut meta.aliases.iter().map(|alias| &**alias))));
    }
    if !meta.related.is_empty() {
        let related = meta.related.iter().map(|name| match catalogue.named(name) {
            [other] => format!("[`{name}`]({}.md)", catalogue.head(*other).id),
            _ => format!("`{name}`"),
        });
        rows.push(("related to", related.collect::<Vec<_>>().join(", ")));
    }
    let mut rows = rows.into_iter();
    if let Some((name, value)) = rows.next() {
        page.push_str(&format!("| {name} | {value} |\n|---|---|\n"));
    }
    for (name, value) in rows {
        page.push_str(&format!("| {name} | {value} |\n"));
    }
}

/// One sentence where all dialects are alike, or one for each.
fn fixes_in_words(fixes: &[(String, String)]) -> String {
    let in_words = |class: &str| match class {
        "safe" => "safe".to_owned(),
        "unsafe" => "unsafe: it does something beside (`--all`)".to_owned(),
        "needs-input" => "takes a value that only you know (`--set`)".to_owned(),
        hindrance => format!("none (`{hindrance}`)"),
    };
    let title = |dialect: &str| Language::ALL.iter().find(|language| language.name() == dialect).map_or("", |of| language_title(*of));
    match fixes {
        [(_, first), rest @ ..] if rest.iter().all(|(_, class)| class == first) => in_words(first),
        _ => fixes.iter().map(|(dialect, class)| format!("{}: {}", title(dialect), in_words(class))).collect::<Vec<_>>().join("; "),
    }
}

fn audience(persona: Persona) -> &'static str {
    match persona {
        Persona::Regular => "everybody",
        Persona::Pedantic => "people who want it neat (`--persona pedantic`)",
        Persona::Auditor => "auditors (`--persona auditor`)",
    }
}

fn silence(catalogue: &Catalogue, rule: RuleNumber, page: &mut String) {
    let meta = catalogue.head(rule);
    let is_about = |language| meta.types.iter().any(|(of, _)| *of == language);
    page.push_str("\n## How to silence it\n\n");
    page.push_str("With a comment above what it is about, a reason, and a last day if there is one:\n\n");
    page.push_str(&fenced("sh", &format!("# keyblind:ignore[{}] until=2027-06-30 reason=\"…\"", meta.id)));
    page.push_str("\nWhere no comment can stand, or for many files at once, in `keyblind.toml`:\n\n");
    page.push_str(&fenced("toml", &format!("[[ignore]]\nrules = [\"{}\"]\npaths = [\"legacy/**\"]\nreason = \"…\"", meta.id)));
    let checkov = meta.aliases.iter().find(|alias| alias.starts_with("CKV"));
    if let Some(alias) = checkov {
        page.push_str(&format!("\nA comment that was written for another tool counts as well: `checkov:skip={alias}:…`"));
        if is_about(Language::Kubernetes) {
            page.push_str(&format!(", or the annotation `checkov.io/skip1: {alias}=…`"));
        }
        if is_about(Language::CloudFormation) {
            page.push_str(&format!(", or `Metadata: {{checkov: {{skip: [{{id: {alias}, comment: …}}]}}}}`"));
        }
        page.push_str(".\n");
    }
    page.push_str(&format!(
        "\n`--skip-rule {}` leaves it out of one scan. More: [silencing a finding](../scanning.md#silencing-a-finding).\n",
        meta.id
    ));
}

/// The word by which the highlighter knows the language.
fn fence_language(language: Language, text: &str) -> &'static str {
    match language {
        Language::Terraform => "hcl",
        Language::Dockerfile => "dockerfile",
        Language::CloudFormation | Language::Kubernetes if text.trim_start().starts_with('{') => "json",
        Language::CloudFormation | Language::Kubernetes | Language::GithubActions => "yaml",
    }
}
