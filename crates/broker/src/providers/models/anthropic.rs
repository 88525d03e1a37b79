//! Anthropic's Messages: <https://docs.anthropic.com/en/api/messages>.

use keyblind_intent::{ModelTask, Stopped};
use serde_json::{Value, json};

use super::{Answered, tasks};

/// The version of the interface that is spoken.
pub(super) const VERSION: &str = "2023-06-01";
/// The tool through which an answer is given in the form of a schema.
const TOOL: &str = "answer";

pub(super) fn request(model: &str, task: ModelTask, material: &str, most_tokens: u64, schema: Option<Value>) -> Value {
    let mut request = json!({
        "model": model,
        "max_tokens": most_tokens,
        "system": tasks::instructions(task),
        "messages": [{"role": "user", "content": material}],
    });
    if let Some(schema) = schema {
        request["tools"] = json!([{"name": TOOL, "description": "Gives the answer.", "input_schema": schema}]);
        request["tool_choice"] = json!({"type": "tool", "name": TOOL});
    }
    request
}

pub(super) fn answered(value: &Value) -> Option<Answered> {
    let mut text = String::new();
    let mut given = None;
    for block in value["content"].as_array()? {
        match block["type"].as_str()? {
            "text" => text.push_str(block["text"].as_str()?),
            "tool_use" if block["name"] == TOOL => given = Some(block["input"].to_string()),
            _ => {}
        }
    }
    let stopped = match value["stop_reason"].as_str()? {
        "end_turn" | "stop_sequence" | "tool_use" => Stopped::Finished,
        "max_tokens" | "model_context_window_exceeded" => Stopped::TokenLimit,
        "refusal" => Stopped::Declined,
        _ => return None,
    };
    let usage = &value["usage"];
    let count = |name: &str| usage[name].as_u64().unwrap_or_default();
    let read_tokens = usage["input_tokens"]
        .as_u64()?
        .saturating_add(count("cache_creation_input_tokens"))
        .saturating_add(count("cache_read_input_tokens"));
    Some(Answered { text: given.unwrap_or(text), stopped, read_tokens, written_tokens: usage["output_tokens"].as_u64()? })
}
