//! Entries in the form of the Open Cybersecurity Schema Framework, version 1.3.0, for what collects security events.
//!
//! Logins are events of the class Authentication (3002), everything else is of the class API Activity (6003): see
//! <https://schema.ocsf.io/1.3.0/classes/authentication> and <https://schema.ocsf.io/1.3.0/classes/api_activity>. What the schema
//! has no attribute for stands in `unmapped`, the entry as it is included. This form can't be verified: it is made of a
//! verified export, not instead of one.

use serde_json::{Map, Value, json};

use crate::chain::EntryHash;
use crate::entries::{ApprovalMethod, CallResult, Effect, Entry, Event, LoginMethod};

/// The schema's version.
const VERSION: &str = "1.3.0";

const CREATE: u8 = 1;
const READ: u8 = 2;
const UPDATE: u8 = 3;
const DELETE: u8 = 4;
const OTHER: u8 = 99;

const SUCCESS: (u8, &str) = (1, "Success");
const FAILURE: (u8, &str) = (2, "Failure");
const UNKNOWN: (u8, &str) = (0, "Unknown");

/// One entry as an event of the schema.
pub fn to_ocsf(entry: &Entry, hash: &EntryHash) -> Value {
    let subject = entry.who.as_ref().map_or("keyblind-broker", |who| who.subject.as_str());
    let user = json!({"name": subject, "uid": subject});
    let metadata = json!({
        "version": VERSION,
        "product": {"name": "Keyblind", "vendor_name": "Keyblind", "version": env!("CARGO_PKG_VERSION")},
        "uid": hash.to_string(),
        "sequence": entry.sequence.get(),
        "event_code": entry.event.name(),
        "log_name": "ledger",
        "tenant_uid": entry.who.as_ref().map(|who| who.tenant.as_str()),
        "correlation_uid": entry.mission.map(|mission| mission.to_string()),
    });
    let mut event = match &entry.event {
        Event::LoggedIn { method } => authentication(1, "Logon", SUCCESS, Some(*method)),
        Event::LoginFailed { method, reason } => {
            let mut event = authentication(1, "Logon", FAILURE, Some(*method));
            event.insert("status_code".to_owned(), json!(reason.as_str()));
            event
        }
        Event::LoggedOut {} => authentication(2, "Logoff", SUCCESS, None),
        other => api(other, &user),
    };
    event.insert("user".to_owned(), user);
    if event["class_uid"] == 6003 {
        event.remove("user");
    }
    event.insert("time".to_owned(), json!(entry.time.get()));
    event.insert("metadata".to_owned(), without_nulls(metadata));
    event.insert("unmapped".to_owned(), json!({"entry": entry}));
    Value::Object(event)
}

fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fields.into_iter().filter(|(_, value)| !value.is_null()).collect()),
        other => other,
    }
}

fn classified(
    category: (u16, &str),
    class: (u16, &str),
    activity: (u8, &str),
    severity: (u8, &str),
    status: (u8, &str),
) -> Map<String, Value> {
    let fields = json!({
        "category_uid": category.0,
        "category_name": category.1,
        "class_uid": class.0,
        "class_name": class.1,
        "activity_id": activity.0,
        "activity_name": activity.1,
        "type_uid": u64::from(class.0) * 100 + u64::from(activity.0),
        "type_name": format!("{}: {}", class.1, activity.1),
        "severity_id": severity.0,
        "severity": severity.1,
        "status_id": status.0,
        "status": status.1,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn authentication(activity: u8, name: &str, status: (u8, &str), method: Option<LoginMethod>) -> Map<String, Value> {
    let severity = if status == FAILURE { (2, "Low") } else { (1, "Informational") };
    let mut event = classified((3, "Identity & Access Management"), (3002, "Authentication"), (activity, name), severity, status);
    event.insert("service".to_owned(), json!({"name": "keyblind-broker"}));
    if let Some(method) = method {
        let (protocol_id, protocol) = match method {
            LoginMethod::Oidc => (6, "OpenID"),
            LoginMethod::Passkey => (99, "FIDO2"),
            LoginMethod::LocalLink => (99, "one-time link"),
            LoginMethod::Socket => (99, "peer credentials"),
        };
        event.insert("auth_protocol_id".to_owned(), json!(protocol_id));
        event.insert("auth_protocol".to_owned(), json!(protocol));
        event.insert("is_mfa".to_owned(), json!(method == LoginMethod::Passkey));
    }
    event
}

fn api(event: &Event, user: &Value) -> Map<String, Value> {
    let (activity, name) = match event {
        Event::CallStarted { effect: Effect::Read, .. } | Event::ModelAsked { .. } | Event::RegistryAsked { .. } => (READ, "Read"),
        Event::CallStarted { effect: Effect::Write { .. }, .. } | Event::ChangeApplied { .. } | Event::ChangeUndone { .. } => {
            (UPDATE, "Update")
        }
        Event::ApprovalAsked { .. }
        | Event::PeopleTold { .. }
        | Event::LeaseAnnounced { .. }
        | Event::TokenBorn { .. }
        | Event::Connected { .. } => (CREATE, "Create"),
        Event::TokenEnded { .. } | Event::Disconnecting { .. } | Event::Disconnected { .. } => (DELETE, "Delete"),
        _ => (OTHER, event.name()),
    };
    let severity = match event {
        Event::Killed { .. } | Event::Restored {} => (4, "High"),
        Event::RevocationFailed { .. }
        | Event::PolicyProposed { .. }
        | Event::PolicyAgreed { .. }
        | Event::PolicyChanged { .. }
        | Event::VaultKeyChanged {}
        | Event::PasskeyAdded {}
        | Event::PasskeyRemoved {}
        | Event::ArmAsked {}
        | Event::Armed { .. } => (3, "Medium"),
        Event::ApprovalVoted { method: ApprovalMethod::UnverifiedLocal, .. } | Event::Refused { .. } => (2, "Low"),
        _ => (1, "Informational"),
    };
    let status = match event {
        Event::CallEnded { result: CallResult::Failed { .. }, .. } | Event::Refused { .. } | Event::RevocationFailed { .. } => FAILURE,
        Event::CallEnded { result: CallResult::Unknown { .. }, .. } | Event::CallStarted { .. } | Event::LeaseAnnounced { .. } => UNKNOWN,
        Event::ModelAsked { .. } | Event::PeopleTold { .. } | Event::RegistryAsked { .. } => UNKNOWN,
        _ => SUCCESS,
    };
    let mut fields = classified((6, "Application Activity"), (6003, "API Activity"), (activity, name), severity, status);
    let operation = match event {
        Event::CallStarted { operation, .. } => operation.as_str(),
        other => other.name(),
    };
    fields.insert("api".to_owned(), json!({"operation": operation, "service": {"name": "keyblind-broker"}}));
    fields.insert("actor".to_owned(), json!({"user": user, "app_name": "keyblind-broker"}));
    // Required by the class. Where a request came from is said by the entry (`origin`); all of them come over the broker's own socket.
    fields.insert("src_endpoint".to_owned(), json!({"name": "keyblind-broker", "svc_name": "keyblind-broker"}));
    if let Event::CallEnded { result: CallResult::Failed { reason } | CallResult::Unknown { reason }, .. } | Event::Refused { reason, .. } =
        event
    {
        fields.insert("status_code".to_owned(), json!(reason.as_str()));
    }
    fields
}
