//! OpenAI's Chat Completions, and what other servers made of them: <https://platform.openai.com/docs/api-reference/chat>.

use keyblind_intent::{ModelTask, Stopped};
use serde_json::{Value, json};

use super::{Answered, Style, tasks};

pub(super) fn request(style: Style, model: &str, task: ModelTask, material: &str, most_tokens: u64, schema: Option<Value>) -> Value {
    let is_own = style == Style::Openai;
    let mut request = json!({
        "model": model,
        "messages": [
            {"role": if is_own { "developer" } else { "system" }, "content": tasks::instructions(task)},
            {"role": "user", "content": material},
        ],
    });
    if is_own {
        request["max_completion_tokens"] = json!(most_tokens);
        // Nothing of it is to be kept there beyond what it takes to answer.
        request["store"] = json!(false);
    } else {
        request["max_tokens"] = json!(most_tokens);
    }
    if let Some(schema) = schema {
        request["response_format"] = json!({"type": "json_schema", "json_schema": {"name": "answer", "strict": true, "schema": schema}});
    }
    request
}

pub(super) fn answered(value: &Value) -> Option<Answered> {
    let choice = value["choices"].as_array()?.first()?;
    let message = &choice["message"];
    let declined = message["refusal"].as_str();
    let stopped = match choice["finish_reason"].as_str()? {
        _ if declined.is_some() => Stopped::Declined,
        "stop" => Stopped::Finished,
        "length" => Stopped::TokenLimit,
        "content_filter" => Stopped::Declined,
        _ => return None,
    };
    let text = declined.or_else(|| message["content"].as_str()).unwrap_or_default().to_owned();
    // Some servers count nothing; then the limits of a day count what was reserved.
    let count = |name: &str| value["usage"][name].as_u64().unwrap_or_default();
    Some(Answered { text, stopped, read_tokens: count("prompt_tokens"), written_tokens: count("completion_tokens") })
}
