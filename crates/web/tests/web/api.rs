//! The JSON API.

use axum::http::{Method, StatusCode};
use keyblind_web::Role;
use serde_json::{Value, json};

use crate::support::App;

#[test]
fn the_description_is_the_one_in_the_repository() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    let now = format!("{}\n", keyblind_web::openapi());
    if std::env::var_os("KEYBLIND_UPDATE").is_some() {
        std::fs::write(&path, &now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(kept == now, "the API has changed: look at it, then run this test with KEYBLIND_UPDATE=1");
    let document: Value = serde_json::from_str(&now).unwrap();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[tokio::test]
async fn a_mission_is_begun_once_for_a_key_and_followed_to_its_end() {
    let app = App::new().await;
    let token = app.token("a", "mia").await;
    let shop = app.folder.path().join("code/shop");
    let body = json!({"path": shop});
    let key = [("idempotency-key", "k1")];
    let begun = app.api(&token, Method::POST, "/api/v1/missions", Some(body.clone()), &key).await;
    assert_eq!(begun.status, StatusCode::CREATED, "{}", begun.text);
    let mission = begun.json();
    let address = format!("/api/v1/missions/{}", mission["id"].as_str().unwrap());
    assert_eq!(begun.header("location"), address);
    assert_eq!(
        (&mission["state"], &mission["steps"], &mission["begun"]),
        (&json!("queued"), &json!(["scan", "fix", "report"]), &json!("2027-01-15T08:00:00Z"))
    );
    let again = app.api(&token, Method::POST, "/api/v1/missions", Some(body), &key).await;
    assert_eq!((again.status, &again.json()["id"]), (StatusCode::OK, &mission["id"]));
    let other = json!({"path": app.folder.path().join("code")});
    assert_eq!(app.api(&token, Method::POST, "/api/v1/missions", Some(other), &key).await.status, StatusCode::CONFLICT);

    app.end(&[json!({"event": "said", "line": "hello"}), json!({"event": "done"})], vec![("report.json", b"{}".to_vec())]).await;
    let shown = app.api(&token, Method::GET, &address, None, &[]).await.json();
    assert_eq!((&shown["state"], &shown["events"]), (&json!("done"), &json!(3)));
    let events = app.api(&token, Method::GET, &format!("{address}/events?after=1&most=1"), None, &[]).await.json();
    assert_eq!((&events["events"][0]["body"]["line"], &events["last"]), (&json!("hello"), &json!(2)));
    let documents = app.api(&token, Method::GET, &format!("{address}/documents"), None, &[]).await.json();
    assert_eq!((&documents["documents"][0]["name"], &documents["documents"][0]["bytes"]), (&json!("report.json"), &json!(2)));
    assert_eq!(app.api(&token, Method::GET, &format!("{address}/documents/report.json"), None, &[]).await.text, "{}");
    assert_eq!(app.api(&token, Method::POST, &format!("{address}/cancel"), None, &[]).await.status, StatusCode::CONFLICT, "it has ended");
}

#[tokio::test]
async fn a_stream_goes_on_after_the_last_event_that_was_seen() {
    let app = App::new().await;
    let token = app.token("a", "mia").await;
    let id = app.reported("a", 1, "x").await;
    let address = format!("/api/v1/missions/{id}/events/stream");
    let all = app.api(&token, Method::GET, &address, None, &[]).await.text;
    assert_eq!(all.matches("event: event\n").count(), 5, "{all}");
    let rest = app.api(&token, Method::GET, &address, None, &[("last-event-id", "3")]).await.text;
    assert!(rest.contains("id: 4\n") && rest.contains("id: 5\n") && !rest.contains("id: 3\n"), "{rest}");
    assert!(rest.contains("event: end\n"));
}

#[tokio::test]
async fn missions_come_page_by_page() {
    let app = App::new().await;
    let token = app.token("a", "mia").await;
    let mut begun = Vec::new();
    for number in 0..5 {
        app.wait(1);
        begun.push(app.begin("a", &json!({"kind": "scan-path", "path": format!("/srv/{number}")})).await.to_string());
    }
    begun.reverse();
    let (mut seen, mut path) = (Vec::new(), "/api/v1/missions?most=2".to_owned());
    loop {
        let list = app.api(&token, Method::GET, &path, None, &[]).await.json();
        let ids = list["missions"].as_array().unwrap().iter().map(|mission| mission["id"].as_str().unwrap().to_owned());
        seen.extend(ids);
        let Some(next) = list["next"].as_str() else { break };
        path = format!("/api/v1/missions?most=2&after={next}");
    }
    assert_eq!(seen, begun);
}

#[tokio::test]
async fn what_is_wrong_is_said_in_one_form() {
    let app = App::new().await;
    let token = app.token("a", "mia").await;
    let (post, get) = (Method::POST, Method::GET);
    let shop = json!({"path": app.folder.path().join("code/shop")});
    let wrong: [(&Method, &str, Option<Value>, StatusCode); 8] = [
        (&post, "/api/v1/missions", Some(json!({"path": "/etc"})), StatusCode::BAD_REQUEST),
        (&post, "/api/v1/missions", Some(json!({"path": "relative"})), StatusCode::BAD_REQUEST),
        (&post, "/api/v1/missions", Some(json!({"folder": "x"})), StatusCode::BAD_REQUEST),
        (&post, "/api/v1/missions", None, StatusCode::BAD_REQUEST),
        (&get, "/api/v1/missions?state=dreaming", None, StatusCode::BAD_REQUEST),
        (&get, "/api/v1/missions?after=1", None, StatusCode::BAD_REQUEST),
        (&get, "/api/v1/missions/x", None, StatusCode::NOT_FOUND),
        (&get, "/api/v1/nothing", None, StatusCode::NOT_FOUND),
    ];
    for (method, path, body, status) in wrong {
        let answer = app.api(&token, method.clone(), path, body, &[]).await;
        assert_eq!((answer.status, answer.header("content-type")), (status, "application/problem+json"), "{path}: {}", answer.text);
        let problem = answer.json();
        assert_eq!(problem["status"], status.as_u16());
        assert!(!problem["detail"].as_str().unwrap().is_empty());
    }
    for wrong in ["", "kb_", "kb_'", &format!("kb_{}", "a".repeat(52)), &token.to_uppercase()] {
        let answer = app.api(wrong, Method::GET, "/api/v1/missions", None, &[]).await;
        assert_eq!((answer.status, answer.header("www-authenticate")), (StatusCode::UNAUTHORIZED, "Bearer"), "{wrong}");
    }
    for _ in 0..5 {
        assert_eq!(app.api(&token, Method::POST, "/api/v1/missions", Some(shop.clone()), &[]).await.status, StatusCode::CREATED);
    }
    let often = app.api(&token, Method::POST, "/api/v1/missions", Some(shop), &[]).await;
    assert_eq!((often.status, often.header("content-type")), (StatusCode::TOO_MANY_REQUESTS, "application/problem+json"));
}

#[tokio::test]
async fn a_token_does_what_it_was_made_for_and_ends_when_it_is_told_to() {
    let app = App::new().await;
    let mia = app.person("a", "mia", Role::Operator).await;
    let page = app.post(&mia, "/settings/tokens", &[("name", "build <b>"), ("missions:read", "yes"), ("days", "30")]).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    let token = page.text.split('"').find(|text| text.starts_with("kb_")).unwrap().to_owned();
    assert!(page.text.contains("build &#60;b&#62;"), "{}", page.text);
    assert!(!app.get(&mia, "/settings").await.text.contains(&token), "it is shown once");
    assert_eq!(app.api(&token, Method::GET, "/api/v1/missions", None, &[]).await.status, StatusCode::OK);
    let refused = app.api(&token, Method::POST, "/api/v1/missions", Some(json!({"path": "/etc"})), &[]).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{}", refused.text);
    assert_eq!(app.api(&token, Method::GET, "/missions", None, &[]).await.header("location"), "/login", "pages are for people");
    for fields in [
        &[("name", ""), ("missions:read", "yes"), ("days", "30")][..],
        &[("name", "x"), ("days", "30")],
        &[("name", "x"), ("missions:read", "yes"), ("days", "9000")],
        &[("name", "x"), ("missions:read", "yes"), ("days", "many")],
        &[("name", "x"), ("metrics:read", "yes"), ("days", "1")],
    ] {
        assert_eq!(app.post(&mia, "/settings/tokens", fields).await.status, StatusCode::BAD_REQUEST, "{fields:?}");
    }
    let settings = app.get(&mia, "/settings").await.text;
    let end = settings.split('"').find(|text| text.starts_with("/settings/tokens/")).unwrap();
    assert_eq!(app.post(&mia, end, &[]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(app.api(&token, Method::GET, "/api/v1/missions", None, &[]).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_session_alone_changes_nothing_through_the_api() {
    let app = App::new().await;
    let mia = app.person("a", "mia", Role::Admin).await;
    assert_eq!(app.get(&mia, "/api/v1/missions").await.status, StatusCode::OK);
    let send = async |token: &str| {
        let request = app.request(Method::POST, "/api/v1/missions").header("cookie", &mia.cookie).header("origin", &app.origin);
        let request = request.header("content-type", "application/json").header("x-form-token", token);
        let body = json!({"path": app.folder.path().join("code/shop")}).to_string();
        app.send(request.body(axum::body::Body::from(body)).unwrap()).await.status
    };
    assert_eq!(send("").await, StatusCode::FORBIDDEN);
    assert_eq!(send(&mia.form_token).await, StatusCode::CREATED);
}
