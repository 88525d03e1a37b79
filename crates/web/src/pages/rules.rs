//! What rules there are, and what one of them says.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::get;
use serde::Deserialize;

use crate::Web;
use crate::failure::{Failure, PageFailure};
use crate::frame::{Frame, Section, page};
use crate::report::encoded;
use crate::rules::Rule;
use crate::text::visible;
use crate::visitor::Visitor;

/// Rules on one page.
const A_PAGE: usize = 50;
/// Severities, the worst first.
const SEVERITIES: [&str; 5] = ["critical", "high", "medium", "low", "info"];

/// The routes of this file.
pub(crate) fn router() -> Router<Web> {
    Router::new().route("/rules", get(show)).route("/rules/{id}", get(show_one))
}

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    frame: Frame,
    wanted: Wanted,
    severities: Vec<(&'static str, bool)>,
    dialects: Vec<(String, bool)>,
    rules: Vec<Rule>,
    total: usize,
    all: usize,
    page: usize,
    pages: usize,
    before: Option<String>,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "rule.html")]
struct RulePage {
    frame: Frame,
    rule: Rule,
    parts: Vec<Part>,
}

/// A part of an explanation.
struct Part {
    title: String,
    /// Whether its lines are paragraphs, and no list.
    is_prose: bool,
    lines: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    pub(crate) words: String,
    pub(crate) severity: String,
    pub(crate) dialect: String,
    pub(crate) page: Option<usize>,
}

impl Wanted {
    /// The rules that are wanted: by words of their names, titles, aliases and controls.
    pub(crate) fn of<'r>(&self, rules: &'r [Rule]) -> Vec<&'r Rule> {
        let words: Vec<String> = self.words.split_whitespace().take(20).map(str::to_lowercase).collect();
        let has = |rule: &Rule, word: &String| {
            let texts = [&rule.id, &rule.title].into_iter().chain(&rule.aliases).chain(&rule.controls);
            texts.into_iter().any(|text| text.to_lowercase().contains(word.as_str()))
        };
        let takes = |rule: &&Rule| {
            (self.severity.is_empty() || rule.severity == self.severity)
                && (self.dialect.is_empty() || rule.dialects.contains(&self.dialect))
                && words.iter().all(|word| has(rule, word))
        };
        rules.iter().filter(takes).collect()
    }

    fn query(&self, page: usize) -> String {
        format!("/rules?words={}&severity={}&dialect={}&page={page}", encoded(&self.words), encoded(&self.severity), encoded(&self.dialect))
    }
}

async fn show(State(web): State<Web>, visitor: Visitor, Query(wanted): Query<Wanted>) -> Result<Response, PageFailure> {
    let all = web.rules.all().await?;
    let found = wanted.of(&all);
    let pages = found.len().div_ceil(A_PAGE).max(1);
    let here = wanted.page.unwrap_or(1).clamp(1, pages);
    let mut dialects: Vec<String> = all.iter().flat_map(|rule| rule.dialects.iter().cloned()).collect();
    dialects.sort();
    dialects.dedup();
    Ok(page(&RulesPage {
        frame: Frame::of(&visitor, "Rules", Section::Rules),
        severities: SEVERITIES.map(|name| (name, name == wanted.severity)).into(),
        dialects: dialects.into_iter().map(|name| (name.clone(), name == wanted.dialect)).collect(),
        rules: found.iter().skip((here - 1) * A_PAGE).take(A_PAGE).map(|rule| (*rule).clone()).collect(),
        total: found.len(),
        all: all.len(),
        page: here,
        pages,
        before: (here > 1).then(|| wanted.query(here - 1)),
        after: (here < pages).then(|| wanted.query(here + 1)),
        wanted,
    }))
}

async fn show_one(State(web): State<Web>, visitor: Visitor, Path(id): Path<String>) -> Result<Response, PageFailure> {
    let all = web.rules.all().await?;
    let rule = all.iter().find(|rule| rule.id == id).ok_or(Failure::Unknown)?.clone();
    let text = web.rules.explain(&rule.id).await?;
    Ok(page(&RulePage { frame: Frame::of(&visitor, visible(&rule.title), Section::Rules), parts: parts(&text), rule }))
}

/// Parts the scanner's explanation, which is set for a terminal: headings at the margin, what belongs to them indented.
fn parts(text: &str) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    let mut is_new = true;
    // The first two lines say what stands above already.
    for line in text.lines().skip(2) {
        let words = visible(line.trim());
        match (line.starts_with(' '), words.is_empty()) {
            (_, true) => is_new = true,
            (false, false) => {
                let is_prose = matches!(words.as_str(), "Why" | "What to do");
                parts.push(Part { title: words, is_prose, lines: Vec::new() });
                is_new = true;
            }
            (true, false) => {
                if parts.is_empty() {
                    parts.push(Part { title: String::new(), is_prose: true, lines: Vec::new() });
                }
                let Some(part) = parts.last_mut() else { continue };
                match part.lines.last_mut().filter(|_| part.is_prose && !is_new) {
                    Some(paragraph) => {
                        paragraph.push(' ');
                        paragraph.push_str(&words);
                    }
                    None => part.lines.push(words),
                }
                is_new = false;
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explanation_is_set_anew() {
        let text = "id: Title\nhigh severity\n\nWhy\n  One two\n  three.\n\n  Four.\n\nControls\n  cis: 1\n  pci: 2\n";
        let parts: Vec<_> = parts(text).into_iter().map(|part| (part.title, part.lines)).collect();
        let own = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        assert_eq!(parts, [("Why".to_owned(), own(&["One two three.", "Four."])), ("Controls".to_owned(), own(&["cis: 1", "pci: 2"]))]);
        assert!(super::parts("").is_empty() && super::parts("a\nb\n  c").len() == 1);
    }
}
