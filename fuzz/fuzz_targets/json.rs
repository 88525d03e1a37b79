//! Any text as JSON: nothing panics, and what another reader takes, ours takes too and sees the same.
#![no_main]

use keyblind_syntax::json::{self, Node, NodeKind};
use keyblind_syntax::limits;

#[allow(dead_code, reason = "the tests' checks, of which each target uses some")]
#[path = "../../crates/syntax/tests/syntax/walk.rs"]
mod walk;

libfuzzer_sys::fuzz_target!(|text: &str| {
    walk::check_json(text);
    // The other reader allows one level less or more at the bound; what lies there isn't compared.
    let nested = text.bytes().filter(|byte| matches!(byte, b'[' | b'{')).count() >= limits::JSON_NESTING;
    if let (false, Ok(expected)) = (nested, serde_json::from_str::<serde_json::Value>(text)) {
        let found = json::parse(text).expect("another reader takes this");
        assert_eq!(to_serde(&found), expected);
    }
});

fn to_serde(node: &Node) -> serde_json::Value {
    match &node.kind {
        NodeKind::Null => serde_json::Value::Null,
        NodeKind::Bool(value) => (*value).into(),
        NodeKind::Number(text) => serde_json::from_str(text).expect("a number"),
        NodeKind::String(text) => (&**text).into(),
        NodeKind::Array(elements) => elements.iter().map(to_serde).collect(),
        NodeKind::Object(members) => {
            serde_json::Value::Object(members.iter().map(|member| (member.key.to_string(), to_serde(&member.value))).collect())
        }
    }
}
