//! The API's description, to read.

use askama::Template;
use axum::Router;
use axum::response::Response;
use axum::routing::get;
use serde_json::Value;

use crate::Web;
use crate::failure::PageFailure;
use crate::frame::{Frame, Section, page};
use crate::visitor::Visitor;

/// The routes of this file.
pub(crate) fn router() -> Router<Web> {
    Router::new().route("/api", get(show))
}

#[derive(Template)]
#[template(path = "api_reference.html")]
struct ApiPage {
    frame: Frame,
    operations: Vec<Operation>,
    schemas: Vec<(String, String)>,
}

/// Something that can be asked.
struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: String,
    parameters: Vec<[String; 4]>,
    body: Option<String>,
    answers: Vec<[String; 3]>,
}

async fn show(visitor: Visitor) -> Result<Response, PageFailure> {
    let document: Value = serde_json::from_str(&crate::openapi()).unwrap_or_default();
    let mut operations = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            operations.push(Operation::of(path, method, operation));
        }
    }
    let schemas = document["components"]["schemas"].as_object().into_iter().flatten();
    let schemas = schemas.map(|(name, schema)| (name.clone(), serde_json::to_string_pretty(schema).unwrap_or_default())).collect();
    Ok(page(&ApiPage { frame: Frame::of(&visitor, "API", Section::Api), operations, schemas }))
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// The name of a schema, or its type.
fn kind(schema: &Value) -> String {
    match (schema["$ref"].as_str(), &schema["type"]) {
        (Some(reference), _) => reference.rsplit('/').next().unwrap_or_default().to_owned(),
        (None, Value::String(kind)) if kind == "array" => format!("list of {}", self::kind(&schema["items"])),
        (None, Value::String(kind)) => kind.clone(),
        (None, Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect::<Vec<_>>().join(" or ")
        }
        _ => String::new(),
    }
}

impl Operation {
    fn of(path: &str, method: &str, operation: &Value) -> Self {
        let content = |part: &Value| {
            let mut kinds = part["content"].as_object().into_iter().flatten();
            kinds.next().map(|(media, content)| (media.clone(), kind(&content["schema"])))
        };
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let answers = operation["responses"].as_object().into_iter().flatten();
        Self {
            id: text(&operation["operationId"]),
            method: method.to_uppercase(),
            path: path.to_owned(),
            summary: text(&operation["summary"]),
            description: text(&operation["description"]),
            parameters: parameters
                .map(|parameter| {
                    [text(&parameter["name"]), text(&parameter["in"]), kind(&parameter["schema"]), text(&parameter["description"])]
                })
                .collect(),
            body: content(&operation["requestBody"]).map(|(_, kind)| kind),
            answers: answers
                .map(|(status, answer)| {
                    let (media, kind) = content(answer).unwrap_or_default();
                    let what = if kind.is_empty() { media } else { kind };
                    [status.clone(), what, text(&answer["description"])]
                })
                .collect(),
        }
    }
}
