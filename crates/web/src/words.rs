//! What happens in missions, in words. It reads what events and requests say as they lie in the database, so that one of a newer runner
//! shows too.

use keyblind_mission::Request;
use keyblind_store::{EventRow, MissionRow};
use serde_json::Value;

use crate::text::visible;

/// What a mission is about.
pub(crate) struct About {
    /// What it does, like `Scan of a folder`.
    pub(crate) what: String,
    /// With what: text of others.
    pub(crate) target: String,
}

impl About {
    pub(crate) fn of(mission: &MissionRow) -> Self {
        let request: Value = serde_json::from_str(&mission.request).unwrap_or_default();
        let what = match mission.kind.as_str() {
            "scan-path" => "Scan of a folder".to_owned(),
            "scan-repository" => "Scan of a repository".to_owned(),
            "fix-repository" => "Pull request for a repository".to_owned(),
            "scan-account" => "Scan of an account".to_owned(),
            "remediate" => "Change of an account".to_owned(),
            "undo" => "A change taken back".to_owned(),
            "reverify" => "Look whether a finding is gone".to_owned(),
            kind => sentence(kind),
        };
        // The request's own fields, but its kind, in order.
        let fields = request.as_object().into_iter().flatten().filter(|(name, _)| *name != "kind");
        let target: Vec<String> = fields.filter_map(|(_, value)| plain(value)).collect();
        Self { what, target: visible(&target.join(" · ")) }
    }

    /// The last part of a path, for headings.
    pub(crate) fn short(&self) -> &str {
        self.target.trim_end_matches('/').rsplit('/').next().filter(|part| !part.is_empty()).unwrap_or(&self.target)
    }
}

/// Turns a word of ours, like `scan-path`, into the start of a sentence.
fn sentence(word: &str) -> String {
    let text = word.replace('-', " ");
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(_) | Value::Null => None,
        Value::Array(items) => Some(items.iter().filter_map(plain).collect::<Vec<_>>().join(", ")),
        Value::Object(fields) => Some(fields.values().filter_map(plain).collect::<Vec<_>>().join(" ")),
    }
}

/// The steps of a mission, as its request has them.
pub(crate) fn steps(mission: &MissionRow) -> Vec<&'static str> {
    let request = serde_json::from_str::<Request>(&mission.request);
    request.map(|request| request.steps().iter().map(|step| step.word()).collect()).unwrap_or_default()
}

/// What a step does.
pub(crate) fn step(word: &str) -> String {
    match word {
        "fetch" => "Read".to_owned(),
        "scan" => "Judge".to_owned(),
        "plan" => "Propose".to_owned(),
        "approval" => "Wait for a yes".to_owned(),
        "apply" => "Change".to_owned(),
        "verify" => "Judge again".to_owned(),
        "fix" => "Derive fixes".to_owned(),
        "report" => "Write the report".to_owned(),
        other => sentence(other),
    }
}

/// How a line of the terminal is set.
pub(crate) fn tone(kind: &str) -> &'static str {
    match kind {
        "step-begun" => "step",
        "approval-wanted" | "waits" => "warn",
        "said" => "said",
        "failed" | "cancelled" => "bad",
        "retried" => "warn",
        "done" => "good",
        _ => "plain",
    }
}

fn people(count: u64) -> String {
    if count == 1 { "one person".to_owned() } else { format!("{count} people") }
}

/// What an event says.
pub(crate) fn event(event: &EventRow) -> String {
    let body: Value = serde_json::from_str(&event.body).unwrap_or_default();
    let text = |name: &str| body[name].as_str().map(visible).unwrap_or_default();
    let number = |name: &str| body[name].as_u64().unwrap_or_default();
    match event.kind.as_str() {
        "begun" => "mission begun".to_owned(),
        "step-begun" => match number("attempt") {
            0 | 1 => format!("{} begins", text("step")),
            attempt => format!("{} begins, attempt {attempt}", text("step")),
        },
        "said" => text("line"),
        "scanned" => {
            let failed = &body["failed"];
            let count = |severity: &str| failed[severity].as_u64().unwrap_or_default();
            format!(
                "{} resources judged: {} critical, {} high, {} medium, {} low, {} informational; {} undecided{}",
                number("resources"),
                count("critical"),
                count("high"),
                count("medium"),
                count("low"),
                count("info"),
                number("unknown"),
                if body["is_incomplete"] == true { "; a part of the input couldn’t be read" } else { "" }
            )
        }
        "fixed" => format!(
            "proven fixes: {} safe, {} with a price, {} that need a value; {} without one",
            number("safe"),
            number("unsafe"),
            number("needs_input"),
            number("none")
        ),
        "reported" => format!("the report is ready ({})", crate::text::size(number("bytes"))),
        "fetched" => match number("missing") {
            0 => format!("read {} ({} parts)", text("what"), number("parts")),
            missing => format!("read {} ({} parts; {missing} aren’t there)", text("what"), number("parts")),
        },
        "approval-wanted" => format!("asks for a yes of {}: {} (code {})", people(number("wanted")), text("what"), text("code")),
        "approved" => format!("{} of {} said yes", number("approved"), people(number("wanted"))),
        "decided" => format!("{}: {}", text("state"), text("said")),
        "waits" => format!("waits: {}", text("reason")),
        "verified" => format!("judged again: {} findings are gone, {} are still there", number("gone"), number("left")),
        "retried" => format!("tried again in {} s: {}", number("after").div_ceil(1_000), text("reason")),
        "failed" => format!("failed: {}", text("reason")),
        "cancelled" => "cancelled".to_owned(),
        "done" => "done".to_owned(),
        kind => {
            let fields = body.as_object().into_iter().flatten().filter(|(name, _)| *name != "event");
            let said: Vec<String> = fields.filter_map(|(name, value)| Some(format!("{name} {}", plain(value)?))).collect();
            visible(&format!("{}: {}", kind.replace('-', " "), said.join(", "))).trim_end_matches(": ").to_owned()
        }
    }
}
