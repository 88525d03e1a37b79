//! What is another tenant's isn't there, whatever is asked.

use std::path::Path;

use axum::http::{Method, StatusCode};
use keyblind_web::Role;
use serde_json::json;

use crate::support::{App, subject, tenant};

/// Every route with something of a tenant's in its address, and how it is asked: a route that isn't here fails the test below.
const OWNED: &[(&str, &str)] = &[
    ("GET", "/missions/{id}"),
    ("GET", "/missions/{id}/events"),
    ("POST", "/missions/{id}/cancel"),
    ("GET", "/missions/{id}/documents/{name}"),
    ("GET", "/missions/{id}/report"),
    ("GET", "/missions/{id}/findings/{number}"),
    ("GET", "/missions/{id}/findings/{number}/fix.patch"),
    ("GET", "/missions/{id}/findings/{number}/picture.svg"),
    ("POST", "/settings/tokens/{id}/end"),
    ("GET", "/api/v1/missions/{id}"),
    ("POST", "/api/v1/missions/{id}/cancel"),
    ("GET", "/api/v1/missions/{id}/events"),
    ("GET", "/api/v1/missions/{id}/events/stream"),
    ("GET", "/api/v1/missions/{id}/documents"),
    ("GET", "/api/v1/missions/{id}/documents/{name}"),
];
/// Routes whose names are the same for everybody.
const COMMON: &[&str] = &["/assets/{name}", "/rules/{id}", "/api/v1/rules/{id}", "/api/v1/{*rest}"];

/// The routes with something in their addresses, as the sources have them.
fn routes(folder: &Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            routes(&path, found);
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let named = text.split("route(\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
        found.extend(named.filter(|route| route.contains('{')));
    }
}

#[test]
fn every_route_is_known_here() {
    let mut found = Vec::new();
    routes(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
    assert!(found.len() > 10);
    for route in found {
        assert!(
            OWNED.iter().any(|(_, known)| *known == route) || COMMON.contains(&route.as_str()),
            "{route} isn't asked for with another tenant"
        );
    }
}

#[tokio::test]
async fn another_tenant_finds_nothing_on_any_route() {
    let app = App::new().await;
    let theirs = app.reported("b", 2, "theirs").await;
    app.begin("b", &json!({"kind": "scan-path", "path": "/srv/theirs-2"})).await;
    let their_token = app.token("b", "mia").await;
    let their_token_id = app.store.tokens(&tenant("b"), &subject("mia")).await.unwrap()[0].id.clone();
    let mia = app.person("a", "mia", Role::Admin).await;
    let token = app.token("a", "mia").await;
    let own = app.reported("a", 2, "ours").await;
    for (method, route) in OWNED {
        let fill = |id: &str| route.replace("{number}", "0").replace("{name}", "report.json").replace("{id}", id);
        let (is_api, is_token) = (route.starts_with("/api/"), route.contains("tokens"));
        let path = if is_token { fill(&their_token_id) } else { fill(&theirs.to_string()) };
        let answer = match (*method, is_api) {
            ("GET", false) => app.get(&mia, &path).await,
            (_, false) => app.post(&mia, &path, &[]).await,
            (method, true) => app.api(&token, method.parse::<Method>().unwrap(), &path, None, &[]).await,
        };
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method} {path}");
        assert!(!answer.text.contains("theirs"), "{}", answer.text);
        // It is the same answer as for what nobody has.
        let nobody = fill("aaaaaaaaaaaaaaaaaaaaaaaaaa");
        let none = if is_api {
            app.api(&token, method.parse::<Method>().unwrap(), &nobody, None, &[]).await
        } else if *method == "GET" {
            app.get(&mia, &nobody).await
        } else {
            app.post(&mia, &nobody, &[]).await
        };
        assert_eq!((none.status, none.text), (answer.status, answer.text), "{method} {path}");
        if *method == "GET" {
            let ours = fill(&own.to_string());
            let answer = if is_api { app.api(&token, Method::GET, &ours, None, &[]).await } else { app.get(&mia, &ours).await };
            assert!(answer.status.is_success(), "{ours}: {}: the question itself was right", answer.text);
        }
    }
    for path in ["/missions", "/api/v1/missions", "/settings", "/missions?state=done"] {
        let answer =
            if path.starts_with("/api/") { app.api(&token, Method::GET, path, None, &[]).await } else { app.get(&mia, path).await };
        assert!(!answer.text.contains("theirs") && !answer.text.contains(&theirs.to_string()), "{path}: {}", answer.text);
    }
    assert!(
        app.api(&their_token, Method::GET, &format!("/api/v1/missions/{theirs}"), None, &[]).await.status.is_success(),
        "they have it still"
    );
}
