//! One access key of a user: switched off, or on again.
//!
//! The state is all keys that the user has, each with whether it can be used. When a key was used last isn't asked: the permission doesn't fit
//! into a role that has those of all other actions.

use std::collections::BTreeMap;

use keyblind_intent::{AccessKeyId, Action, ApplyAction};
use serde_json::{Value, json};

use super::{At, Found, NOTHING_TO_DO, Trouble};
use crate::providers::aws::xml::{items, text};
use crate::providers::aws::{ApiError, Asking, AwsError, Form, Interface};

/// Pages of an answer that are read: a user has two keys at most.
const PAGES: usize = 4;

pub(super) async fn look(at: &At<'_>, request: &ApplyAction, key: &AccessKeyId, active: bool) -> Result<Found, Trouble> {
    let mut keys = read(at, request).await?;
    let state = written(request, &keys);
    let wanted = word(active);
    let found = keys.get_mut(key.as_str()).ok_or(ApiError::NotSet)?;
    if found.status == wanted {
        return Err(NOTHING_TO_DO);
    }
    wanted.clone_into(&mut found.status);
    let made = match &found.made {
        Some(day) => format!("The key was made on {day}."),
        None => "When the key was made isn’t told.".to_owned(),
    };
    let others = keys.iter().filter(|(id, other)| id.as_str() != key.as_str() && other.status == word(true)).count();
    let reach = vec![
        made,
        if others == 0 {
            "The user has no other key that can be used.".to_owned()
        } else {
            "Another key of the user can be used.".to_owned()
        },
    ];
    let inverse = Action::SetAccessKeyActive { key: key.clone(), active: !active };
    Ok(Found { state, after: written(request, &keys), reach, inverse })
}

pub(super) async fn state(at: &At<'_>, request: &ApplyAction) -> Result<Value, Trouble> {
    Ok(written(request, &read(at, request).await?))
}

/// The part of a state that is this key's: whether it can be used; nothing if it isn't there.
pub(super) fn own(state: &Value, key: &AccessKeyId) -> Value {
    state.get("keys").and_then(|keys| keys.get(key.as_str())).cloned().unwrap_or_default()
}

pub(super) async fn act(at: &At<'_>, request: &ApplyAction, key: &AccessKeyId, active: bool) -> Result<(), Trouble> {
    let fields = vec![user(request), ("AccessKeyId".to_owned(), key.to_string()), ("Status".to_owned(), word(active).to_owned())];
    at.api.write(at.keys, &asking(request, "UpdateAccessKey", fields)).await?;
    Ok(())
}

/// A key of the user.
struct Key {
    /// `Active` or `Inactive`.
    status: String,
    /// The day.
    made: Option<String>,
}

async fn read(at: &At<'_>, request: &ApplyAction) -> Result<BTreeMap<String, Key>, Trouble> {
    let mut keys = BTreeMap::new();
    let mut marker: Option<String> = None;
    for _ in 0..PAGES {
        let mut fields = vec![user(request)];
        fields.extend(marker.take().map(|marker| ("Marker".to_owned(), marker)));
        let page = at.api.read(at.keys, &asking(request, "ListAccessKeys", fields)).await?.of("ListAccessKeysResponse")?;
        let page = page.get("ListAccessKeysResult").ok_or(ApiError::from(AwsError::Unintelligible))?;
        for found in items(page, "AccessKeyMetadata") {
            let (Some(id), Some(status)) = (text(found, "AccessKeyId"), text(found, "Status")) else {
                return Err(ApiError::from(AwsError::Unintelligible).into());
            };
            let day = text(found, "CreateDate").and_then(|date| date.get(..10));
            let made = day.filter(|day| day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')).map(ToOwned::to_owned);
            keys.insert(id.to_owned(), Key { status: status.to_owned(), made });
        }
        marker = text(page, "Marker").map(ToOwned::to_owned);
        if marker.is_none() {
            return Ok(keys);
        }
    }
    Err(ApiError::from(AwsError::Unintelligible).into())
}

const fn word(active: bool) -> &'static str {
    if active { "Active" } else { "Inactive" }
}

/// IAM names users without their path.
fn user(request: &ApplyAction) -> (String, String) {
    ("UserName".to_owned(), request.resource().resource().rsplit('/').next().unwrap_or_default().to_owned())
}

fn asking<'a>(request: &'a ApplyAction, call: &'a str, fields: Vec<(String, String)>) -> Asking<'a> {
    Asking { interface: Interface::Iam, region: request.region(), account: request.account(), form: Form::Query(call, fields), lists: &[] }
}

fn written(request: &ApplyAction, keys: &BTreeMap<String, Key>) -> Value {
    let keys: BTreeMap<&str, &str> = keys.iter().map(|(id, key)| (id.as_str(), key.status.as_str())).collect();
    json!({"user": request.resource(), "keys": keys})
}
