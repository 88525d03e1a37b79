//! A managed policy of a role, a user or a group: detached, or attached again.
//!
//! The state is all that is attached to it. What the policy says counts as well: people who approve see whether it allows everything,
//! and with another text it is another change.

use std::collections::BTreeSet;

use keyblind_intent::{Action, ApplyAction, Arn, Digest};
use serde_json::{Value, json};

use super::{At, Found, NOTHING_TO_DO, Trouble};
use crate::providers::aws::xml::{items, text};
use crate::providers::aws::{ApiError, Asking, AwsError, Form, Interface, percent_decoded};

/// Pages of an answer that are read: AWS attaches twenty at most.
const PAGES: usize = 20;

/// What a policy is attached to: how IAM's calls name its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Role,
    User,
    Group,
}

impl Kind {
    fn of(request: &ApplyAction) -> Result<(Self, &str), Trouble> {
        let resource = request.resource().resource();
        let kind = match resource.split('/').next() {
            Some("role") => Self::Role,
            Some("user") => Self::User,
            Some("group") => Self::Group,
            _ => return Err(super::NOT_OFFERED),
        };
        // IAM names them without their path.
        Ok((kind, resource.rsplit('/').next().unwrap_or_default()))
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Role => "Role",
            Self::User => "User",
            Self::Group => "Group",
        }
    }
}

pub(super) async fn look(at: &At<'_>, request: &ApplyAction, policy: &Arn, attached: bool) -> Result<Found, Trouble> {
    let mut all = read(at, request).await?;
    let state = written(request, &all);
    if all.contains(policy.as_str()) == attached {
        return Err(if attached { NOTHING_TO_DO } else { ApiError::NotSet.into() });
    }
    if attached {
        all.insert(policy.to_string());
    } else {
        all.remove(policy.as_str());
    }
    let after = written(request, &all);
    let mut reach = what_it_says(at, request, policy).await?;
    let others = all.len() - usize::from(attached);
    reach.push(match others {
        0 => "No other managed policy is attached here.".to_owned(),
        1 => "One other managed policy stays attached.".to_owned(),
        others => format!("{others} other managed policies stay attached."),
    });
    let inverse = Action::SetPolicyAttached { policy: policy.clone(), attached: !attached };
    Ok(Found { state, after, reach, inverse })
}

pub(super) async fn state(at: &At<'_>, request: &ApplyAction) -> Result<Value, Trouble> {
    Ok(written(request, &read(at, request).await?))
}

/// The part of a state that is this policy's: whether it is attached.
pub(super) fn own(state: &Value, policy: &Arn) -> Value {
    items(state, "attached").iter().any(|attached| attached == policy.as_str()).into()
}

pub(super) async fn act(at: &At<'_>, request: &ApplyAction, policy: &Arn, attached: bool) -> Result<(), Trouble> {
    let (kind, name) = Kind::of(request)?;
    let verb = if attached { "Attach" } else { "Detach" };
    let call = format!("{verb}{}Policy", kind.word());
    let fields = vec![(format!("{}Name", kind.word()), name.to_owned()), ("PolicyArn".to_owned(), policy.to_string())];
    at.api.write(at.keys, &asking(request, &call, fields)).await?;
    Ok(())
}

async fn read(at: &At<'_>, request: &ApplyAction) -> Result<BTreeSet<String>, Trouble> {
    let (kind, name) = Kind::of(request)?;
    let call = format!("ListAttached{}Policies", kind.word());
    let mut all = BTreeSet::new();
    let mut marker: Option<String> = None;
    for _ in 0..PAGES {
        let mut fields = vec![(format!("{}Name", kind.word()), name.to_owned())];
        fields.extend(marker.take().map(|marker| ("Marker".to_owned(), marker)));
        let page = at.api.read(at.keys, &asking(request, &call, fields)).await?.of(&format!("{call}Response"))?;
        let page = page.get(format!("{call}Result")).ok_or(ApiError::from(AwsError::Unintelligible))?;
        all.extend(items(page, "AttachedPolicies").iter().filter_map(|policy| text(policy, "PolicyArn")).map(ToOwned::to_owned));
        marker = text(page, "Marker").map(ToOwned::to_owned);
        if marker.is_none() {
            return Ok(all);
        }
    }
    Err(ApiError::from(AwsError::Unintelligible).into())
}

/// Whether the policy allows everything, and which text that is about.
async fn what_it_says(at: &At<'_>, request: &ApplyAction, policy: &Arn) -> Result<Vec<String>, Trouble> {
    let arn = || ("PolicyArn".to_owned(), policy.to_string());
    let of = |answer: Value, result: &str, part: &str| {
        answer.get(result).and_then(|result| result.get(part)).cloned().ok_or(ApiError::from(AwsError::Unintelligible))
    };
    let found = at.api.read(at.keys, &asking(request, "GetPolicy", vec![arn()])).await?.of("GetPolicyResponse")?;
    let found = of(found, "GetPolicyResult", "Policy")?;
    let version = text(&found, "DefaultVersionId").ok_or(ApiError::from(AwsError::Unintelligible))?;
    let fields = vec![arn(), ("VersionId".to_owned(), version.to_owned())];
    let found = at.api.read(at.keys, &asking(request, "GetPolicyVersion", fields)).await?.of("GetPolicyVersionResponse")?;
    let found = of(found, "GetPolicyVersionResult", "PolicyVersion")?;
    let document = text(&found, "Document").map(percent_decoded).ok_or(ApiError::from(AwsError::Unintelligible))?;
    let digest = Digest::of(&document).to_string();
    let digest = digest.get(..16).unwrap_or_default();
    Ok(vec![match serde_json::from_slice::<Value>(&document) {
        Ok(document) if allows_everything(&document) => format!("The policy allows everything on everything (text {digest})."),
        Ok(_) => format!("The policy doesn’t allow everything on everything (text {digest})."),
        Err(_) => format!("What the policy allows couldn’t be read (text {digest})."),
    }])
}

/// Whether one of its statements allows all actions on all resources, under no condition.
fn allows_everything(document: &Value) -> bool {
    let is_star = |value: Option<&Value>| match value {
        Some(Value::String(text)) => text == "*",
        Some(Value::Array(values)) => values.iter().any(|value| value == "*"),
        _ => false,
    };
    let allows = |statement: &Value| {
        text(statement, "Effect") == Some("Allow")
            && (is_star(statement.get("Action")) || statement.get("Action").and_then(Value::as_str) == Some("*:*"))
            && is_star(statement.get("Resource"))
            && statement.get("Condition").is_none()
    };
    match document.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().any(allows),
        Some(statement) => allows(statement),
        None => false,
    }
}

fn asking<'a>(request: &'a ApplyAction, call: &'a str, fields: Vec<(String, String)>) -> Asking<'a> {
    Asking { interface: Interface::Iam, region: request.region(), account: request.account(), form: Form::Query(call, fields), lists: &[] }
}

fn written(request: &ApplyAction, attached: &BTreeSet<String>) -> Value {
    json!({"principal": request.resource(), "attached": attached})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_that_allows_everything_is_known() {
        let allows = |statement: Value| allows_everything(&json!({"Version": "2012-10-17", "Statement": statement}));
        assert!(allows(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}])));
        assert!(allows(json!({"Effect": "Allow", "Action": ["s3:Get*", "*"], "Resource": ["*"]})));
        for less in [
            json!([{"Effect": "Deny", "Action": "*", "Resource": "*"}]),
            json!([{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]),
            json!([{"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::a"}]),
            json!([{"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}]),
            json!([]),
        ] {
            assert!(!allows(less.clone()), "{less}");
        }
        assert_eq!(percent_decoded("%7B%22a%22%3A1%7D"), br#"{"a":1}"#);
    }
}
