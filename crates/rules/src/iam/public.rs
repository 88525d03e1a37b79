//! Statements that grant to anybody.

use std::sync::Arc;

use keyblind_resource::{Data, Fragment, Reason, Unknown, Value};

use crate::cidr::Block;
use crate::truth::Truth;
use crate::views::maybe;

/// Canonical ids and addresses of S3's groups of everybody.
const EVERYBODY_IN_S3: &[&str] = &[
    "http://acs.amazonaws.com/groups/global/allusers",
    "http://acs.amazonaws.com/groups/global/authenticatedusers",
    "allusers",
    "authenticatedusers",
];

/// Condition keys that name who calls or through what: a closed list of values confines.
const CALLER_KEYS: &[&str] = &[
    "aws:principalaccount",
    "aws:principalarn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "aws:principalservicename",
    "aws:sourceaccount",
    "aws:sourcearn",
    "aws:sourceorgid",
    "aws:sourceorgpaths",
    "aws:sourceowner",
    "aws:sourcevpc",
    "aws:sourcevpce",
    "aws:sourcevpcarn",
    "aws:vpceaccount",
    "aws:vpceorgid",
    "aws:vpceorgpaths",
    "aws:userid",
    "cognito-identity.amazonaws.com:aud",
    "kms:calleraccount",
    "kms:viaservice",
    "lambda:eventsourcetoken",
    "s3:dataaccesspointaccount",
    "s3:dataaccesspointarn",
    "s3:accesspointnetworkorigin",
    "elasticfilesystem:accesspointarn",
    "elasticfilesystem:accessedviamounttarget",
    "sns:endpoint",
];

/// Of a policy's statements those that grant to anybody and whose conditions don't confine the caller, each with a `witness`.
///
/// Where a statement may be one or not, that is left open.
pub(crate) fn public_statements(all: &Value) -> Option<Value> {
    Some(match &all.data {
        Data::Unknown(unknown) if !unknown.candidates.is_empty() => {
            let candidates = unknown.candidates.iter().map(|candidate| public_of(candidate).unwrap_or_else(Value::null)).collect();
            Value::new(Data::Unknown(Arc::new(Unknown { candidates, ..Unknown::new(unknown.reason.clone()) })))
        }
        Data::Unknown(_) => all.clone(),
        _ => public_of(all)?,
    })
}

fn public_of(all: &Value) -> Option<Value> {
    let (mut public, mut open) = (Vec::new(), None);
    for statement in all.as_items()? {
        match grants_to_anybody(statement) {
            Truth::True => public.push(with_witness(statement)),
            Truth::Unknown => open = open.or_else(|| first_reason(statement)),
            Truth::False => {}
        }
    }
    Some(maybe(all, public, open))
}

/// The first reason for which something in a value is unknown.
pub(super) fn first_reason(value: &Value) -> Option<Reason> {
    match &value.data {
        Data::Unknown(unknown) => Some(unknown.reason.clone()),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => items.iter().find_map(first_reason),
        Data::Map(entries) | Data::Object(entries) => entries.iter().find_map(|(_, value)| first_reason(value)),
        _ => None,
    }
}

/// Whether a statement allows something to everybody in the world (or in AWS), without a condition that confines it.
pub(crate) fn grants_to_anybody(statement: &Value) -> Truth {
    if statement.is_unknown() {
        return Truth::Unknown;
    }
    let allows = statement
        .get("effect")
        .map_or(Truth::True, |effect| crate::compare::equals_literal(effect, &keyblind_rule_language::Literal::Text("Allow".into()), true));
    if allows == Truth::False {
        return Truth::False;
    }
    let open = open_principals(statement);
    if open == Truth::False {
        return Truth::False;
    }
    allows.and(open).and(!confined(statement))
}

fn open_principals(statement: &Value) -> Truth {
    let list = |name: &str| statement.get(name);
    // All but some: everybody.
    let excluded = match list("not_principals") {
        Some(value) if value.is_unknown() => Truth::Unknown,
        Some(value) => value.as_items().is_some_and(|items| !items.is_empty()).into(),
        None => Truth::False,
    };
    let named = match list("principals") {
        None => Truth::False,
        Some(value) => match value.as_items() {
            Some(items) => items.iter().map(is_anybody).fold(Truth::False, Truth::or),
            None => Truth::Unknown,
        },
    };
    excluded.or(named)
}

/// Whether a principal stands for everybody.
pub(crate) fn is_anybody(principal: &Value) -> Truth {
    let (Some(kind), Some(id)) = (principal.get("type"), principal.get("id")) else { return Truth::Unknown };
    let kind = kind.as_str().unwrap_or("AWS");
    match &id.data {
        Data::String(id) => is_anybody_text(kind, id).into(),
        Data::Unknown(unknown) if !unknown.candidates.is_empty() => crate::compare::agree(
            unknown.candidates.iter().map(|candidate| candidate.as_str().map_or(Truth::Unknown, |id| is_anybody_text(kind, id).into())),
        ),
        // A service or a provider of identities is somebody.
        Data::Unknown(_) if !matches!(kind, "AWS" | "*") => Truth::False,
        // `arn:aws:iam::${account}:root` is an account, whichever; so is what another resource says of itself.
        Data::Unknown(unknown) if unknown.fragments.is_empty() && !unknown.references.is_empty() => Truth::False,
        Data::Unknown(unknown)
            if unknown.fragments.iter().any(|fragment| matches!(fragment, Fragment::Literal(text) if !text.is_empty())) =>
        {
            Truth::False
        }
        // The account that a template is deployed to is one.
        Data::Unknown(unknown) if crate::computed::is_never_everything(unknown) => Truth::False,
        Data::Unknown(_) => Truth::Unknown,
        _ => Truth::False,
    }
}

fn is_anybody_text(kind: &str, id: &str) -> bool {
    let id = id.trim();
    if id == "*" {
        return !kind.eq_ignore_ascii_case("Service");
    }
    if EVERYBODY_IN_S3.contains(&id.to_ascii_lowercase().as_str()) {
        return true;
    }
    // `arn:aws:iam::*:root`: any account.
    let mut parts = id.splitn(6, ':');
    matches!(
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next()),
        (Some("arn"), Some(_), Some("iam" | "sts"), Some(_), Some("*"))
    )
}

/// Whether the conditions leave only certain callers. All conditions of a statement must hold, so one suffices.
pub(super) fn confined(statement: &Value) -> Truth {
    match statement.get("conditions") {
        None => Truth::False,
        Some(value) => match value.as_items() {
            Some(items) => items.iter().map(confines).fold(Truth::False, Truth::or),
            None => Truth::Unknown,
        },
    }
}

fn confines(condition: &Value) -> Truth {
    let part = |name: &str| condition.get(name);
    let (Some(operator), Some(key), Some(values)) = (part("operator"), part("key"), part("values")) else { return Truth::Unknown };
    let (Some(operator), Some(key)) = (operator.as_str(), key.as_str()) else { return Truth::Unknown };
    let (operator, key) = (operator.to_ascii_lowercase(), key.to_ascii_lowercase());
    // "For all values" is true of a request without the key; "if exists" likewise: both let strangers in.
    if operator.starts_with("forallvalues:") || operator.ends_with("ifexists") {
        return Truth::False;
    }
    let operator = operator.strip_prefix("foranyvalue:").unwrap_or(&operator);
    // A request with the key absent fails a positive test and passes a negative one.
    let is_text = matches!(operator, "stringequals" | "stringequalsignorecase" | "stringlike" | "arnequals" | "arnlike");
    if key == "aws:sourceip" || key == "aws:vpcsourceip" {
        return if operator == "ipaddress" {
            every_value(values, |text| Block::parse(text).is_some_and(|block| !block.is_nearly_world()))
        } else {
            Truth::False
        };
    }
    // Only a service's own call carries these.
    if matches!(key.as_str(), "aws:principalisawsservice" | "aws:viaawsservice") {
        return if operator == "bool" { every_value(values, |text| text.eq_ignore_ascii_case("true")) } else { Truth::False };
    }
    let names_caller =
        CALLER_KEYS.contains(&key.as_str()) || key.starts_with("aws:principaltag/") || key.contains(":sub") || key.ends_with(":aud");
    if !names_caller || !(is_text || operator == "bool" && key == "elasticfilesystem:accessedviamounttarget") {
        return Truth::False;
    }
    if key == "elasticfilesystem:accessedviamounttarget" {
        return every_value(values, |text| text.eq_ignore_ascii_case("true"));
    }
    let confines = every_value(values, |text| !is_open_pattern(text));
    // Without patterns, whatever the value is stands for itself; and nobody writes an account as a pattern.
    let is_exact = matches!(operator, "stringequals" | "stringequalsignorecase") || key.ends_with("account") || key.ends_with("orgid");
    if confines == Truth::Unknown && is_exact { Truth::True } else { confines }
}

/// Whether a pattern fits anybody: nothing but stars, or an ARN whose account and resource are stars.
fn is_open_pattern(text: &str) -> bool {
    let only_stars = |part: &str| part.chars().all(|character| matches!(character, '*' | '?'));
    if !text.starts_with("arn:") {
        return only_stars(text);
    }
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    match &parts[..] {
        // Of a bucket's ARN the name alone tells whose it is.
        [_, _, _, _, "", resource] => only_stars(resource),
        [_, _, _, _, account, _] => only_stars(account),
        _ => true,
    }
}

/// Whether a test holds for each of the values: one of them suffices to let somebody in.
fn every_value(values: &Value, holds: impl Fn(&str) -> bool) -> Truth {
    let each = |item: &Value| match &item.data {
        Data::String(text) => holds(text).into(),
        Data::Bool(value) => holds(if *value { "true" } else { "false" }).into(),
        Data::Number(number) => holds(&number.to_string()).into(),
        // What another resource says of itself isn't a pattern that fits anybody.
        Data::Unknown(unknown) if !unknown.references.is_empty() => Truth::True,
        Data::Unknown(_) => Truth::Unknown,
        _ => Truth::False,
    };
    let Some(items) = values.as_items() else { return each(values) };
    items.iter().map(each).fold(Truth::from(!items.is_empty()), Truth::and)
}

fn with_witness(statement: &Value) -> Value {
    let witness =
        format!("anybody may call {} on {}", named(statement, "actions", "not_actions"), named(statement, "resources", "not_resources"));
    let Some(entries) = statement.as_mapping() else { return statement.clone() };
    let entries = entries.iter().map(|(key, value)| (key.clone(), value.clone()));
    Value { data: Value::object(entries.chain([(Arc::from("witness"), Value::string(witness))])).data, ..statement.clone() }
}

/// A statement's actions or resources in words.
pub(super) fn named(statement: &Value, name: &str, all_but: &str) -> String {
    let words = |value: &Value| match &value.data {
        Data::String(text) => format!("`{text}`"),
        _ => "something unknown".to_owned(),
    };
    let list = |name: &str| statement.get(name).and_then(Value::as_items).filter(|items| !items.is_empty());
    let shorten = |items: &[Value]| {
        let shown = items.iter().take(3).map(words).collect::<Vec<_>>().join(", ");
        if items.len() > 3 { format!("{shown} and {} more", items.len() - 3) } else { shown }
    };
    match (list(name), list(all_but)) {
        (Some(items), _) => shorten(items),
        (None, Some(items)) => format!("all but {}", shorten(items)),
        // A trust policy or a policy of one resource names none.
        (None, None) => "it".to_owned(),
    }
}
