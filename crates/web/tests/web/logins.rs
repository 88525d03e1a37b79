//! Coming in and leaving.

use axum::body::Body;
use axum::http::{Method, StatusCode, header};
use keyblind_web::{Origin, Rates, Role, login_link};

use crate::support::{App, Somebody, form_token, subject, tenant};

async fn link(app: &App) -> String {
    let origin: Origin = app.origin.parse().unwrap();
    let now = keyblind_intent::UnixMillis::new(crate::support::NOON);
    let link = login_link(&app.store, &origin, (&tenant("a"), &subject("mia")), now).await.unwrap();
    link.strip_prefix(&app.origin).unwrap().to_owned()
}

#[tokio::test]
async fn a_link_logs_in_once() {
    let app = App::new().await;
    let link = link(&app).await;
    let first = app.send(app.request(Method::GET, &link).body(Body::empty()).unwrap()).await;
    assert_eq!((first.status, first.header("location")), (StatusCode::SEE_OTHER, "/missions"));
    let cookie = first.header("set-cookie");
    assert!(cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict; Max-Age=3600"), "{cookie}");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let mut mia = Somebody { cookie, form_token: String::new() };
    let page = app.get(&mia, "/missions").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains("you, on this machine") && page.text.contains("admin in a"), "{}", page.text);
    let second = app.send(app.request(Method::GET, &link).body(Body::empty()).unwrap()).await;
    assert_eq!(second.status, StatusCode::FORBIDDEN);
    assert!(second.text.contains("was used already") && second.headers.get(header::SET_COOKIE).is_none());

    mia.form_token = form_token(&page.text);
    let left = app.post(&mia, "/logout", &[]).await;
    assert_eq!((left.status, left.header("location")), (StatusCode::SEE_OTHER, "/login"));
    assert_eq!(app.get(&mia, "/missions").await.status, StatusCode::SEE_OTHER, "the session is over, whatever the browser keeps");
}

#[tokio::test]
async fn a_link_that_is_old_or_made_up_opens_nothing() {
    let app = App::new().await;
    let link = link(&app).await;
    app.wait(901);
    for path in [link.as_str(), "/login/once", "/login/once?token=%00", &format!("/login/once?token={}", "a".repeat(52))] {
        let answer = app.send(app.request(Method::GET, path).body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{path}");
        assert!(answer.headers.get(header::SET_COOKIE).is_none());
    }
}

#[tokio::test]
async fn whoever_guesses_links_waits() {
    let app = App::with(crate::support::ORIGIN, Rates { logins: 3, ..Rates::default() }).await;
    let path = format!("/login/once?token={}", "a".repeat(52));
    let mut last = StatusCode::OK;
    for _ in 0..4 {
        last = app.send(app.request(Method::GET, &path).body(Body::empty()).unwrap()).await.status;
    }
    assert_eq!(last, StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_in_any_case() {
    let app = App::new().await;
    let mia = app.person("a", "mia", Role::Viewer).await;
    for _ in 0..6 {
        app.wait(590);
        assert_eq!(app.get(&mia, "/missions").await.status, StatusCode::OK);
    }
    app.wait(61);
    assert_eq!(app.get(&mia, "/missions").await.header("location"), "/login", "an hour, however it is used");
    let olga = app.person("a", "olga", Role::Viewer).await;
    app.wait(601);
    assert_eq!(app.get(&olga, "/missions").await.header("location"), "/login", "ten minutes without use");
}

#[tokio::test]
async fn nobody_sees_anything_without_a_session() {
    let app = App::new().await;
    for path in ["/", "/missions", "/rules", "/settings", "/api", "/missions/aaaaaaaaaaaaaaaaaaaaaaaaaa/report"] {
        let nobody = Somebody { cookie: "keyblind=x; other=y".to_owned(), form_token: String::new() };
        let answer = app.get(&nobody, path).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}");
    }
    let mia = app.person("a", "mia", Role::Viewer).await;
    let twice = Somebody { cookie: format!("{}; {}", mia.cookie, mia.cookie), ..mia };
    assert_eq!(app.get(&twice, "/missions").await.header("location"), "/login", "two cookies of a name: one may be anybody's");
}

#[tokio::test]
async fn with_tls_the_cookie_is_bound_to_it() {
    let app = App::with("https://keyblind.example", Rates::default()).await;
    let answer = app.send(app.request(Method::GET, &link(&app).await).body(Body::empty()).unwrap()).await;
    let cookie = answer.header("set-cookie");
    assert!(cookie.starts_with("__Host-keyblind=") && cookie.ends_with("; Secure"), "{cookie}");
    assert!(answer.header("strict-transport-security").starts_with("max-age="));
}
