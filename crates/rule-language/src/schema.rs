//! The JSON Schema of a rule file, for editors. The reader's own checks say more and say it better.

use serde_json::{Map, Value, json};

use crate::matcher::{Kind, Missing};
use crate::read::{CONDITION_WORDS, DECISION_KEYS, MATCHER_OPTIONS, MATCHER_TESTS, PORTS_KEYS, QUANTIFIER_KEYS, RULE_KEYS};
use crate::rule::{Confidence, Language, Persona, Severity};

/// The schema as JSON text, with a line end at the end.
pub fn rule_schema() -> String {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A rule of Keyblind",
        "description": "See docs/rule-language.md.",
        "type": "object",
        "properties": properties(RULE_KEYS.iter().copied().chain(Language::ALL.iter().map(|language| language.name())), rule_key),
        "additionalProperties": false,
        "required": ["id"],
        "anyOf": [{ "required": ["family"] }, { "required": ["title", "severity", "confidence", "why", "fix", "examples"] }],
        "$defs": {
            "text": { "type": ["string", "number", "boolean"] },
            "texts": one_or_many(&json!({ "$ref": "#/$defs/text" })),
            "types": one_or_many(&json!({ "type": "string", "pattern": r"^[A-Za-z0-9_.*:-]+$" })),
            "decision": {
                "type": "object",
                "properties": properties(DECISION_KEYS.iter().copied(), decision_key),
                "additionalProperties": false,
                "required": ["resources"],
                "oneOf": [{ "required": ["fail"] }, { "required": ["pass"] }, { "required": ["decide", "otherwise"] }],
            },
            "case": {
                "type": "object",
                "properties": {
                    "pass": { "$ref": "#/$defs/condition" },
                    "fail": { "$ref": "#/$defs/condition" },
                    "unknown": { "$ref": "#/$defs/condition" },
                    "not-applicable": { "$ref": "#/$defs/condition" },
                    "message": { "type": "string" },
                },
                "additionalProperties": false,
            },
            "condition": {
                "anyOf": [
                    { "type": "boolean" },
                    {
                        "type": "object",
                        "minProperties": 1,
                        "properties": properties(CONDITION_WORDS.iter().copied(), condition_word),
                        "additionalProperties": { "$ref": "#/$defs/matcher" },
                    },
                ],
            },
            "quantifier": mapping(QUANTIFIER_KEYS, &["in", "where"], quantifier_key),
            "matcher": {
                "anyOf": [
                    { "type": ["string", "number", "boolean", "null"] },
                    { "type": "array", "minItems": 1 },
                    {
                        "type": "object",
                        "minProperties": 1,
                        "properties": properties(MATCHER_TESTS.iter().chain(MATCHER_OPTIONS).copied(), matcher_key),
                        "additionalProperties": false,
                    },
                ],
            },
        },
    });
    let mut text = serde_json::to_string_pretty(&schema).unwrap_or_default();
    text.push('\n');
    text
}

fn properties<'k>(keys: impl Iterator<Item = &'k str>, schema: fn(&str) -> Value) -> Value {
    Value::Object(keys.map(|key| (key.to_owned(), schema(key))).collect::<Map<_, _>>())
}

fn mapping(keys: &[&str], required: &[&str], schema: fn(&str) -> Value) -> Value {
    json!({ "type": "object", "properties": properties(keys.iter().copied(), schema), "additionalProperties": false, "required": required })
}

fn one_or_many(item: &Value) -> Value {
    json!({ "anyOf": [item, { "type": "array", "items": item, "minItems": 1 }] })
}

fn words(names: impl Iterator<Item = &'static str>) -> Value {
    json!({ "enum": names.collect::<Vec<_>>() })
}

fn rule_key(key: &str) -> Value {
    match key {
        "id" => {
            json!({ "type": "string", "pattern": "^[a-z0-9]+(-[a-z0-9]+)*$", "description": "The problem's name, the same as the file's." })
        }
        "severity" => words(Severity::ALL.iter().map(|word| word.name())),
        "confidence" => words(Confidence::ALL.iter().map(|word| word.name())),
        "persona" => words(Persona::ALL.iter().map(|word| word.name())),
        "aliases" | "related" => json!({ "$ref": "#/$defs/texts" }),
        "controls" => json!({ "type": "object", "additionalProperties": { "$ref": "#/$defs/texts" } }),
        "references" => one_or_many(&json!({ "type": "string", "pattern": "^https://" })),
        "with" => json!({ "type": "object" }),
        "examples" => {
            let sides = json!({
                "type": "object",
                "properties": { "bad": { "$ref": "#/$defs/texts" }, "good": { "$ref": "#/$defs/texts" } },
                "additionalProperties": false,
                "required": ["bad", "good"],
            });
            let languages = Language::ALL.iter().map(|language| (language.name().to_owned(), sides.clone()));
            json!({ "type": "object", "properties": languages.collect::<Map<_, _>>(), "additionalProperties": false })
        }
        language if language.parse::<Language>().is_ok() => one_or_many(&json!({ "$ref": "#/$defs/decision" })),
        _ => json!({ "type": "string" }),
    }
}

fn decision_key(key: &str) -> Value {
    match key {
        "resources" => json!({ "$ref": "#/$defs/types" }),
        "when" | "fail" | "pass" => json!({ "$ref": "#/$defs/condition" }),
        "decide" => json!({ "type": "array", "items": { "$ref": "#/$defs/case" }, "minItems": 1 }),
        "otherwise" => json!({ "enum": ["pass", "fail", "unknown", "not-applicable"] }),
        _ => json!({ "type": "string" }),
    }
}

fn condition_word(key: &str) -> Value {
    let condition = || json!({ "$ref": "#/$defs/condition" });
    match key {
        "all" | "any" => json!({ "type": "array", "items": condition(), "minItems": 1 }),
        "not" => condition(),
        "count" => json!({
            "type": "object",
            "properties": { "in": { "type": "string" }, "where": condition(), "is": { "$ref": "#/$defs/matcher" } },
            "additionalProperties": false,
            "required": ["in", "is"],
        }),
        "linked" => json!({
            "type": "object",
            "properties": {
                "to": { "$ref": "#/$defs/types" },
                "by": { "type": "string" },
                "direction": { "enum": ["out", "in", "any"] },
                "match": { "type": "object", "additionalProperties": { "type": "string" } },
                "where": condition(),
            },
            "additionalProperties": false,
            "required": ["to"],
        }),
        "present" => json!({
            "type": "object",
            "properties": { "resource": { "$ref": "#/$defs/types" }, "where": condition() },
            "additionalProperties": false,
            "required": ["resource"],
        }),
        "ports" => mapping(PORTS_KEYS, &["covers"], |key| match key {
            "covers" => one_or_many(&json!({ "type": ["integer", "string"] })),
            _ => json!({ "type": "string" }),
        }),
        _ => json!({ "$ref": "#/$defs/quantifier" }),
    }
}

fn quantifier_key(key: &str) -> Value {
    if key == "in" { json!({ "type": "string" }) } else { json!({ "$ref": "#/$defs/condition" }) }
}

fn matcher_key(key: &str) -> Value {
    match key {
        "in" | "not-in" | "contains-any" | "contains-all" => json!({ "type": "array", "minItems": 1 }),
        "exists" | "empty" | "fold" | "unknown" => json!({ "type": "boolean" }),
        "less-than" | "at-most" | "greater-than" | "at-least" => json!({ "type": "number" }),
        "starts-with" | "ends-with" => json!({ "$ref": "#/$defs/texts" }),
        "matches" | "glob" => json!({ "$ref": "#/$defs/text" }),
        "equals-path" | "less-than-path" | "within-path" => json!({ "type": "string" }),
        "length" | "not" => json!({ "$ref": "#/$defs/matcher" }),
        "all" | "any" => json!({ "type": "array", "items": { "$ref": "#/$defs/matcher" }, "minItems": 1 }),
        "type" => words(Kind::ALL.iter().map(|word| word.name())),
        "missing" => {
            let names: Vec<Value> =
                Missing::ALL.iter().map(|word| word.name().parse::<bool>().map_or_else(|_| json!(word.name()), Value::Bool)).collect();
            json!({ "enum": names })
        }
        "cidr" => json!({
            "anyOf": [
                { "enum": ["world", "public", "private"] },
                {
                    "type": "object",
                    "properties": { "wider-than": { "type": "integer", "minimum": 0, "maximum": 128 } },
                    "additionalProperties": false,
                    "required": ["wider-than"],
                },
            ],
        }),
        "port" => json!({ "type": ["integer", "string"] }),
        "refers-to" => json!({ "$ref": "#/$defs/types" }),
        // Any value: what is compared with.
        _ => json!(true),
    }
}
