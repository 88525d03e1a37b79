//! What every request passes, and what every answer carries.

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use keyblind_web::{Rates, Role};

use crate::support::{App, ORIGIN};

#[tokio::test]
async fn another_host_name_shows_nothing() {
    let app = App::new().await;
    let mia = app.person("a", "mia", Role::Admin).await;
    for host in ["evil.example", "evil.example:8700", "127.0.0.1", "localhost:8700", ""] {
        let request = axum::http::Request::builder().uri("/missions").header(header::HOST, host).header(header::COOKIE, &mia.cookie);
        let answer = app.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        assert!(!answer.text.contains("Missions"));
    }
    let probe = axum::http::Request::builder().uri("/health").header(header::HOST, "10.0.0.7").body(Body::empty()).unwrap();
    assert_eq!(app.send(probe).await.text, "alive\n");
    let probe = axum::http::Request::builder().uri("/ready").header(header::HOST, "10.0.0.7").body(Body::empty()).unwrap();
    assert_eq!(app.send(probe).await.text, "ready\n");
    app.close();
    let probe = axum::http::Request::builder().uri("/ready").header(header::HOST, "10.0.0.7").body(Body::empty()).unwrap();
    assert_eq!(app.send(probe).await.status, StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn a_form_of_another_site_or_session_does_nothing() {
    let app = App::new().await;
    let (mia, olga) = (app.person("a", "mia", Role::Admin).await, app.person("a", "olga", Role::Admin).await);
    let send = async |origin: Option<&str>, site: Option<&str>, token: &str| {
        let mut request = app.request(Method::POST, "/missions").header(header::COOKIE, &mia.cookie);
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        for (name, value) in [("origin", origin), ("sec-fetch-site", site)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        app.send(request.body(Body::from(format!("example=shop&form_token={token}"))).unwrap()).await.status
    };
    for origin in [None, Some("null"), Some("http://evil.example"), Some("http://127.0.0.1:8701"), Some("https://127.0.0.1:8700")] {
        assert_eq!(send(origin, None, &mia.form_token).await, StatusCode::FORBIDDEN, "{origin:?}");
    }
    assert_eq!(send(Some(ORIGIN), Some("same-site"), &mia.form_token).await, StatusCode::FORBIDDEN);
    for token in ["", "0", &olga.form_token] {
        assert_eq!(send(Some(ORIGIN), None, token).await, StatusCode::FORBIDDEN, "{token}");
    }
    assert!(app.get(&mia, "/missions").await.text.contains("No mission yet"), "nothing was begun");
    assert_eq!(send(Some(ORIGIN), Some("same-origin"), &mia.form_token).await, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn every_answer_says_what_browsers_may_do() {
    let app = App::new().await;
    let mia = app.person("a", "mia", Role::Admin).await;
    for path in ["/missions", "/nothing", "/settings", "/api/v1/nothing", "/login"] {
        let answer = app.get(&mia, path).await;
        let policy = answer.header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{path}: {policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert!(answer.headers.get("strict-transport-security").is_none(), "there is no TLS");
        for inline in ["<style", " style=", " onclick=", "<script>", "javascript:"] {
            assert!(!answer.text.contains(inline), "{path}: {inline}");
        }
    }
    let page = app.get(&mia, "/missions").await.text;
    for asset in page.split('"').filter(|text| text.starts_with("/assets/")) {
        let answer = app.get(&mia, asset).await;
        assert_eq!((answer.status, answer.header("cache-control")), (StatusCode::OK, "public, max-age=31536000, immutable"), "{asset}");
    }
    assert_eq!(app.get(&mia, "/assets/web-0000000000000000.css").await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn what_is_too_large_or_too_often_is_refused() {
    let app = App::with(ORIGIN, Rates { requests: 60, ..Rates::default() }).await;
    let mia = app.person("a", "mia", Role::Admin).await;
    let huge = "x".repeat(70 << 10);
    assert_eq!(app.post(&mia, "/missions", &[("path", &huge)]).await.status, StatusCode::BAD_REQUEST);
    assert!(app.get(&mia, "/missions").await.text.contains("No mission yet"));
    let put = app.send(app.request(Method::PUT, "/missions").body(Body::empty()).unwrap()).await;
    assert_eq!(put.status, StatusCode::METHOD_NOT_ALLOWED);
    let mut last = StatusCode::OK;
    for _ in 0..60 {
        last = app.get(&mia, "/missions").await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn figures_are_for_those_who_may_read_them() {
    let app = App::new().await;
    app.reported("a", 1, "x").await;
    let viewer = app.person("a", "olga", Role::Viewer).await;
    assert_eq!(app.get(&viewer, "/metrics").await.status, StatusCode::FORBIDDEN);
    let token = app.token("b", "root").await;
    let answer = app.api(&token, Method::GET, "/metrics", None, &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    for line in ["keyblind_missions{state=\"done\"} 1", "keyblind_web_request_seconds_count{route=\"/metrics\",status=\"403\"} 1"] {
        assert!(answer.text.contains(line), "{line}: {}", answer.text);
    }
}
