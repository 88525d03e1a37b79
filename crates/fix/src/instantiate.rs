//! Pieces of good examples, made to fit the resource that is fixed.
//!
//! What an example writes out is taken as it is, unless it is made up for the example; what refers to the example's own
//! resource comes to refer to the one that is fixed; all else is a value that only a person knows.

use keyblind_resource::{Data, Value};
use keyblind_rule_language::Literal;
use keyblind_syntax::hcl;
use keyblind_syntax::hcl::ast::{Expr, ExprKind};
use serde::{Deserialize, Serialize};

use crate::examples::is_literal;
use crate::terraform::children;

/// A value that only a person knows: a variable that the fix declares or, in a dialect without such, a place in the text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Input {
    /// The variable's name; where none is declared, the attribute's.
    pub variable: String,
    /// The attribute that it is for.
    pub attribute: String,
    /// What it is, for its declaration.
    pub description: String,
    /// Its type as Terraform writes it.
    pub kind: String,
    /// A value of the sort that is wanted, with which the proof was made.
    pub assumed: String,
    /// What declares it: the directory of a module, or the path of a template. None: what is assumed stands in the text itself, and has to be given
    /// before the fix may be written.
    pub module: Option<String>,
}

/// What a piece of an example becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// This text.
    Text(String),
    /// A value that only a person knows, of this type, such as this.
    Asked { kind: &'static str, assumed: String },
}

/// The type and name of the example's resource, and how the one that is fixed is referred to.
#[derive(Clone, Debug)]
pub(crate) struct Renaming {
    pub(crate) from: String,
    pub(crate) to: String,
}

/// What an example's expression becomes.
pub(crate) fn expression(text: &str, value: Option<&Value>, attribute: &str, renamings: &[Renaming]) -> Piece {
    let (expr, errors) = hcl::parse_expression(text);
    if errors.is_empty() {
        // A label in words names nobody.
        let is_name = names_somebody(attribute) && !text.contains(' ');
        if is_literal(&expr.kind) && !is_made_up(text) && !is_name {
            return Piece::Text(text.to_owned());
        }
        if let Some(renamed) = renamed(text, &expr, renamings) {
            return Piece::Text(renamed);
        }
    }
    let (kind, assumed) = assumption(value, attribute);
    Piece::Asked { kind, assumed }
}

/// What an expression refers to, each once: `aws_kms_key.data`, `data.aws_region.current`. `None` if it refers to anything
/// but resources.
pub(crate) fn references(text: &str) -> Option<Vec<String>> {
    let (expr, errors) = hcl::parse_expression(text);
    let mut ranges = Vec::new();
    if !errors.is_empty() || !collect_references(&expr, &mut ranges) {
        return None;
    }
    let mut found: Vec<String> = Vec::new();
    for reference in ranges.into_iter().map(|range| text[range.as_usize()].to_owned()) {
        if !found.contains(&reference) {
            found.push(reference);
        }
    }
    Some(found)
}

/// The text with the example's resources renamed; `None` if it refers to anything else, or holds what is made up.
fn renamed(text: &str, expr: &Expr, renamings: &[Renaming]) -> Option<String> {
    let mut references = Vec::new();
    if !collect_references(expr, &mut references) || references.is_empty() {
        return None;
    }
    references.sort_by_key(|range| range.start);
    let (mut result, mut rest_is_own, mut done) = (String::new(), true, 0);
    for range in references {
        let range = range.as_usize();
        let renaming = renamings.iter().find(|renaming| renaming.from == text[range.clone()])?;
        rest_is_own &= !is_made_up(&text[done..range.start]);
        result.push_str(&text[done..range.start]);
        result.push_str(&renaming.to);
        done = range.end;
    }
    result.push_str(&text[done..]);
    (rest_is_own && !is_made_up(&text[done..])).then_some(result)
}

/// The ranges of the resources that an expression refers to; `false` if it refers to anything else.
fn collect_references(expr: &Expr, found: &mut Vec<keyblind_syntax::TextRange>) -> bool {
    match &expr.kind {
        ExprKind::Attribute { base, .. } => match &base.kind {
            ExprKind::Variable(root) if &**root == "data" => false,
            ExprKind::Variable(root) if matches!(&**root, "var" | "local" | "module" | "each" | "count" | "path" | "self") => false,
            ExprKind::Variable(_) => {
                found.push(expr.range);
                true
            }
            ExprKind::Attribute { base: inner, .. } if matches!(&inner.kind, ExprKind::Variable(root) if &**root == "data") => {
                found.push(expr.range);
                true
            }
            _ => collect_references(base, found),
        },
        ExprKind::Variable(_) | ExprKind::Error => false,
        _ => children(expr).into_iter().all(|child| collect_references(child, found)),
    }
}

/// A value of the sort that an example shows.
fn assumption(value: Option<&Value>, attribute: &str) -> (&'static str, String) {
    match value.map(|value| &value.data) {
        Some(Data::String(text)) => ("string", text.to_string()),
        Some(Data::Number(number)) => ("number", number.to_string()),
        Some(Data::Bool(value)) => ("bool", value.to_string()),
        Some(Data::List(items) | Data::Set(items) | Data::Tuple(items)) => {
            let items: Vec<String> = items.iter().map(|item| quoted(item.as_str().unwrap_or(placeholder(attribute)))).collect();
            ("list(string)", format!("[{}]", items.join(", ")))
        }
        Some(Data::Map(entries) | Data::Object(entries)) => {
            let entries: Vec<String> = entries
                .iter()
                .map(|(key, value)| format!("{} = {}", key_text(key), quoted(value.as_str().unwrap_or(placeholder(attribute)))))
                .collect();
            ("map(string)", format!("{{ {} }}", entries.join(", ")))
        }
        _ if is_plural(attribute) => ("list(string)", format!("[{}]", quoted(placeholder(attribute)))),
        _ => ("string", placeholder(attribute).to_owned()),
    }
}

/// A text of the sort that an attribute of such a name has.
fn placeholder(attribute: &str) -> &'static str {
    let has = |part: &str| attribute.contains(part);
    if has("arn") || has("kms_key_id") || has("kms_master_key") {
        "arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    } else if has("email") {
        "security@example.org"
    } else if has("cidr") || has("ranges") {
        "192.0.2.0/24"
    } else if has("kms") || has("key") {
        "projects/example/locations/europe/keyRings/example/cryptoKeys/example"
    } else {
        "example"
    }
}

/// RFC 1918, section 3.
const PRIVATE_NETWORKS: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"];

/// Whether a text of an example stands for something of a person's own: a name, an account, an address.
pub(crate) fn is_made_up(text: &str) -> bool {
    let mut lower = text.to_lowercase();
    // All private networks together are nobody's in particular.
    if PRIVATE_NETWORKS.iter().all(|network| lower.contains(network)) {
        PRIVATE_NETWORKS.iter().for_each(|network| lower = lower.replace(network, ""));
    }
    let holds_number = text.split(|character: char| !character.is_ascii_digit()).any(|digits| digits.len() >= 9);
    let is_address =
        lower.split(['"', ' ', '/']).any(|part| part.parse::<std::net::IpAddr>().is_ok_and(|address| !address.is_unspecified()));
    let marks = ["acme", "example", "arn:", "@", "://", "projects/", "subscriptions/", "admins"];
    holds_number || is_address || marks.iter().any(|mark| lower.contains(mark))
}

/// Whether an attribute of such a name holds who somebody is, or what somebody may do.
fn names_somebody(attribute: &str) -> bool {
    let says_who = ["username", "_user", "login", "object_id", "email"].iter().any(|end| attribute.ends_with(end)) || attribute == "user";
    // Which rights are needed depends on who is to have them.
    says_who || matches!(attribute, "actions" | "data_actions" | "permissions")
}

/// Whether an attribute of such a name holds several things.
pub(crate) fn is_plural(attribute: &str) -> bool {
    ["_ids", "_cidrs", "_ranges", "_blocks", "_emails", "_prefixes", "_ips", "_arns", "_groups"].iter().any(|end| attribute.ends_with(end))
}

/// A name as a key of an object.
pub(crate) fn key_text(name: &str) -> String {
    let mut characters = name.chars();
    let is_plain = characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'));
    if is_plain { name.to_owned() } else { quoted(name) }
}

/// A literal as Terraform writes it.
pub(crate) fn literal_text(literal: &Literal) -> String {
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
pub(crate) fn quoted(text: &str) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_out_is_taken_and_the_rest_asked_for() {
        let renamings = [Renaming { from: "aws_s3_bucket.site".into(), to: "aws_s3_bucket.mine".into() }];
        let piece = |text: &str| expression(text, None, "kms_key_id", &renamings);
        assert_eq!(piece("\"AES256\""), Piece::Text("\"AES256\"".into()));
        assert_eq!(piece("aws_s3_bucket.site.id"), Piece::Text("aws_s3_bucket.mine.id".into()));
        let within = piece("[aws_s3_bucket.site.arn, \"${aws_s3_bucket.site.arn}/*\"]");
        assert_eq!(within, Piece::Text("[aws_s3_bucket.mine.arn, \"${aws_s3_bucket.mine.arn}/*\"]".into()));
        assert!(matches!(piece("var.x"), Piece::Asked { .. }));
        assert!(matches!(piece("aws_kms_key.data.arn"), Piece::Asked { kind: "string", .. }));
        assert!(matches!(piece("\"acme-logs\""), Piece::Asked { .. }));
        assert!(matches!(piece("[\"10.0.0.0/8\"]"), Piece::Asked { .. }));
        let private = "[\"10.0.0.0/8\", \"172.16.0.0/12\", \"192.168.0.0/16\"]";
        assert_eq!(piece(private), Piece::Text(private.into()));
    }

    #[test]
    fn texts_are_escaped() {
        assert_eq!(quoted("a\"b\\${c}"), "\"a\\\"b\\\\$${c}\"");
        assert_eq!(literal_text(&Literal::List(vec![Literal::Int(1), Literal::Text("x".into())])), "[1, \"x\"]");
    }
}
