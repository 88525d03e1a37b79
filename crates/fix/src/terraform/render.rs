//! Wishes as text.

use std::fmt::Write;

use keyblind_resource::Resource;
use keyblind_rule_language::Literal;
use keyblind_rules::{Change, Subject, Wanted};
use keyblind_syntax::hcl;

use super::insert::Rendered;
use super::{Drafting, Spot};
use crate::examples::{Form, is_literal};
use crate::hindrance::Hindrance;
use crate::wishes::Wishes;

/// What is wished for at a name, with all that lies in it.
enum Content {
    Expression(String),
    Block(Vec<Rendered>),
}

impl<'t> Drafting<'t> {
    /// A change as an expression.
    pub(super) fn render_change(&self, change: &Change, resource: &'t Resource, companions: &[String]) -> Result<String, Hindrance> {
        match change {
            Change::Set(Wanted::Literal(literal)) => Ok(literal_text(literal)),
            Change::Set(Wanted::Suggested(number)) => self.suggested_text(*number),
            Change::Refer(Subject::Companion(index)) => {
                companions.get(*index).map(|name| format!("{name}.id")).ok_or(Hindrance::NeedsRedesign)
            }
            Change::Refer(Subject::Resource(id)) => {
                let other = &self.trial.graph.resources[*id];
                (other.header.file == resource.header.file || other.calls == resource.calls)
                    .then(|| format!("{}.{}.id", other.type_key, other.name))
                    .ok_or(Hindrance::NeedsRedesign)
            }
            Change::Remove => Err(Hindrance::NeedsDecision),
        }
    }

    /// An example's value, if it is one that isn't made up for the example.
    fn suggested_text(&self, number: usize) -> Result<String, Hindrance> {
        let shown = self.examples.shown(number).ok_or(Hindrance::NeedsValue)?;
        let (expr, errors) = hcl::parse_expression(shown.text);
        if !errors.is_empty() || !is_literal(&expr.kind) || is_made_up(shown.text) {
            return Err(Hindrance::NeedsValue);
        }
        Ok(shown.text.to_owned())
    }

    /// A new attribute or block.
    pub(super) fn render_item(
        &self,
        spot: &Spot<'_>,
        name: &str,
        wish: &Wishes,
        resource: &'t Resource,
        companions: &[String],
    ) -> Result<Rendered, Hindrance> {
        Ok(match self.content(spot, wish, resource, companions)? {
            Content::Expression(text) => Rendered::attribute(name, &text),
            Content::Block(items) => Rendered::block(name, items),
        })
    }

    /// What lies in a list or object that is new.
    pub(super) fn render_expression(
        &self,
        spot: &Spot<'_>,
        wish: &Wishes,
        resource: &'t Resource,
        companions: &[String],
    ) -> Result<String, Hindrance> {
        if let Some(change) = &wish.change {
            return self.render_change(change, resource, companions);
        }
        if !wish.names.is_empty() {
            let mut text = "{".to_owned();
            for (index, (name, inner)) in wish.names.iter().enumerate() {
                let value = self.render_expression(&spot.inner(name), inner, resource, companions)?;
                let _ = write!(text, "{} {} = {value}", if index > 0 { "," } else { "" }, key_text(name));
            }
            text.push_str(" }");
            return Ok(text);
        }
        let items = wish.indices.values().map(|inner| self.render_expression(spot, inner, resource, companions));
        Ok(format!("[{}]", items.collect::<Result<Vec<_>, _>>()?.join(", ")))
    }

    fn content(&self, spot: &Spot<'_>, wish: &Wishes, resource: &'t Resource, companions: &[String]) -> Result<Content, Hindrance> {
        let form = self.examples.form(spot.type_key, &spot.path);
        if let Some(change) = &wish.change {
            return match change {
                Change::Set(Wanted::Literal(Literal::Map(entries))) if form == Some(Form::Block) => {
                    Ok(Content::Block(entries.iter().map(|(name, value)| Rendered::attribute(name, &literal_text(value))).collect()))
                }
                change => self.render_change(change, resource, companions).map(Content::Expression),
            };
        }
        // The first of several new blocks stands for all: one is what a condition asks for.
        let inner = if wish.names.is_empty() { wish.indices.values().next() } else { Some(wish) };
        let Some(inner) = inner else { return Err(Hindrance::NeedsDecision) };
        let is_list_of_values = wish.names.is_empty() && inner.names.is_empty();
        if form == Some(Form::Attribute) || form.is_none() && (is_list_of_values || is_map(&spot.path)) {
            return self.render_expression(spot, wish, resource, companions).map(Content::Expression);
        }
        let items = inner.names.iter().filter(|(_, inner)| !inner.is_removal());
        let items = items.map(|(name, inner)| self.render_item(&spot.inner(name), name, inner, resource, companions));
        Ok(Content::Block(items.collect::<Result<_, _>>()?))
    }
}

/// Names under which Terraform's providers keep maps rather than blocks.
fn is_map(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    matches!(
        name,
        "tags"
            | "tags_all"
            | "labels"
            | "annotations"
            | "metadata"
            | "variables"
            | "parameters"
            | "match_labels"
            | "app_settings"
            | "config"
            | "options"
    )
}

/// Whether a text of an example stands for something of a person's own: a name, an account, an address.
pub(super) fn is_made_up(text: &str) -> bool {
    let lower = text.to_lowercase();
    let holds_number = text.split(|character: char| !character.is_ascii_digit()).any(|digits| digits.len() >= 9);
    let is_address =
        text.split(['"', ' ', '/']).any(|part| part.parse::<std::net::IpAddr>().is_ok_and(|address| !address.is_unspecified()));
    holds_number
        || is_address
        || ["acme", "example", "arn:", "@", "://", "projects/", "subscriptions/"].iter().any(|mark| lower.contains(mark))
}

/// A name as a key of an object.
pub(super) fn key_text(name: &str) -> String {
    let mut characters = name.chars();
    let is_plain = characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'));
    if is_plain { name.to_owned() } else { quoted(name) }
}

/// A literal as Terraform writes it.
pub(super) fn literal_text(literal: &Literal) -> String {
    match literal {
        Literal::Null => "null".to_owned(),
        Literal::Bool(value) => value.to_string(),
        Literal::Int(value) => value.to_string(),
        Literal::Decimal(text) => text.to_string(),
        Literal::Text(text) => quoted(text),
        Literal::List(items) => format!("[{}]", items.iter().map(literal_text).collect::<Vec<_>>().join(", ")),
        Literal::Map(entries) if entries.is_empty() => "{}".to_owned(),
        Literal::Map(entries) => {
            let entries: Vec<String> = entries.iter().map(|(key, value)| format!("{} = {}", key_text(key), literal_text(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// A text in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut result = String::with_capacity(text.len() + 2);
    result.push('"');
    for character in text.chars() {
        match character {
            '"' => result.push_str("\\\""),
            '\\' => result.push_str("\\\\"),
            '\n' => result.push_str("\\n"),
            '\r' => result.push_str("\\r"),
            '\t' => result.push_str("\\t"),
            other => result.push(other),
        }
    }
    result.push('"');
    // What begins an interpolation is doubled.
    result.replace("${", "$${").replace("%{", "%%{")
}
