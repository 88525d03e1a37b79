//! Logging in at the broker.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Method, StatusCode};
use keyblind_intent::{Foreign, HandOverCode, HandOverState, HandedOver, Handle, UnixMillis};
use keyblind_web::{Answering, Logins, Rates};

use crate::support::{App, NOON, ORIGIN, Somebody, form_token, subject, tenant};

const CODE: &str = "CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA";
const HANDLE: &str = "HHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHHA";

/// Gives a person for one code, once, as the broker does.
struct Broker {
    group: &'static str,
    codes: Mutex<Vec<&'static str>>,
    ended: Mutex<Vec<String>>,
}

impl Logins for Broker {
    fn take_over(&self, code: HandOverCode, _: HandOverState) -> Answering<'_, HandedOver> {
        let taken = {
            let mut codes = self.codes.lock().unwrap();
            codes.iter().position(|known| *known == code.expose()).map(|place| codes.remove(place))
        };
        Box::pin(async move {
            taken.ok_or("the code was used before")?;
            Ok(HandedOver {
                subject: subject("oidc:mia"),
                tenant: tenant("a"),
                name: Foreign::new("Mia <b>"),
                groups: vec![Foreign::new("other"), Foreign::new(self.group)],
                roles: Vec::new(),
                handle: Handle::new(HANDLE).unwrap(),
                expires: UnixMillis::new(NOON + 60_000),
            })
        })
    }

    fn end(&self, handle: Handle) -> Answering<'_, ()> {
        self.ended.lock().unwrap().push(handle.expose().to_owned());
        Box::pin(async { Ok(()) })
    }
}

async fn world(group: &'static str) -> (App, Arc<Broker>) {
    let broker = Arc::new(Broker { group, codes: Mutex::new(vec![CODE]), ended: Mutex::default() });
    (App::open(ORIGIN, Rates::default(), Some(broker.clone())).await, broker)
}

/// Begins a login: the cookie and the state.
async fn begin(app: &App) -> (String, String) {
    let answer = app.send(app.request(Method::GET, "/login/start").body(Body::empty()).unwrap()).await;
    let state = answer.header("location").strip_prefix("http://approve.localhost:8701/hand-over?state=").unwrap().to_owned();
    let cookie = answer.header("set-cookie");
    assert!(HandOverState::new(state.as_str()).is_ok() && cookie.contains("HttpOnly; SameSite=Lax; Max-Age=600"), "{cookie}");
    (cookie.split(';').next().unwrap().to_owned(), state)
}

async fn come_back(app: &App, cookie: &str, code: &str, state: &str) -> crate::support::Answer {
    let request = app.request(Method::GET, &format!("/login/return?code={code}&state={state}")).header("cookie", cookie);
    app.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn somebody_who_logged_in_at_the_broker_comes_in_with_the_role_of_a_group() {
    let (app, broker) = world("platform").await;
    assert!(app.send(app.request(Method::GET, "/login").body(Body::empty()).unwrap()).await.text.contains("id=\"log-in\""));
    let (cookie, state) = begin(&app).await;
    let answer = come_back(&app, &cookie, CODE, &state).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(answer.text.contains("http-equiv=\"refresh\" content=\"0;url=/missions\""));
    let set = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap().to_owned())
        .find(|value| value.starts_with("keyblind="));
    let mut mia = Somebody { cookie: set.unwrap().split(';').next().unwrap().to_owned(), form_token: String::new() };
    let page = app.get(&mia, "/missions").await.text;
    assert!(page.contains("operator in a") && page.contains("Mia &#60;b&#62;"), "{page}");
    assert_eq!(come_back(&app, &cookie, CODE, &state).await.status, StatusCode::FORBIDDEN, "once");
    mia.form_token = form_token(&page);
    app.post(&mia, "/logout", &[]).await;
    assert_eq!(*broker.ended.lock().unwrap(), [HANDLE], "the handle ends with the session");
}

#[tokio::test]
async fn a_session_lasts_no_longer_than_the_brokers_handle() {
    let (app, _) = world("platform").await;
    let (cookie, state) = begin(&app).await;
    let answer = come_back(&app, &cookie, CODE, &state).await;
    let set = answer
        .headers
        .get_all("set-cookie")
        .iter()
        .map(|value| value.to_str().unwrap().to_owned())
        .find(|value| value.starts_with("keyblind="));
    let mia = Somebody { cookie: set.unwrap().split(';').next().unwrap().to_owned(), form_token: String::new() };
    app.wait(59);
    assert_eq!(app.get(&mia, "/missions").await.status, StatusCode::OK);
    app.wait(2);
    assert_eq!(app.get(&mia, "/missions").await.header("location"), "/login");
}

#[tokio::test]
async fn a_login_of_another_browser_or_group_opens_nothing() {
    let (app, broker) = world("nobody").await;
    let ((cookie, state), (_, other)) = (begin(&app).await, begin(&app).await);
    for (cookie, code, state) in [
        ("", CODE, state.as_str()),
        (&cookie, CODE, other.as_str()),
        (&cookie, CODE, ""),
        (&cookie, "x", &state),
        ("keyblind-login=", CODE, ""),
    ] {
        let answer = come_back(&app, cookie, code, state).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{cookie} {code} {state}");
    }
    assert_eq!(broker.codes.lock().unwrap().len(), 1, "the code wasn't even asked for");
    let answer = come_back(&app, &cookie, CODE, &state).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert!(answer.text.contains("None of your groups may come in here"), "{}", answer.text);
    assert_eq!(*broker.ended.lock().unwrap(), [HANDLE], "nobody speaks for somebody who didn't come in");
}
