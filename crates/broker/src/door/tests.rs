mod handing_over;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use keyblind_intent::{ChangeFields, Digest};
use tower::ServiceExt as _;

use super::*;
use crate::approvals::changes::{self, Wanted};
use crate::approvals::passkey::Algorithm;
use crate::approvals::passkey::tests::Device;
use crate::approvals::policy::Identity;
use crate::approvals::tests::{Bench, identity};
use crate::approvals::{Act, Entry, State};

const ORIGIN: &str = "http://approve.localhost:4200";

#[derive(Default)]
struct TestSwitch(Mutex<Option<StopReport>>);

impl Switch for TestSwitch {
    fn state(&self) -> BoxFuture<'_, Result<Option<StopReport>, SwitchError>> {
        Box::pin(async { Ok(self.0.lock().unwrap().clone()) })
    }

    fn stop(&self, _: Identity) -> BoxFuture<'_, Result<(), SwitchError>> {
        let ends = vec![
            ("GitHub token for acme/shop<b>".to_owned(), End::Revoked),
            ("AWS session".to_owned(), End::DiesAt(crate::approvals::tests::NOON)),
            ("GitHub token for acme/web".to_owned(), End::Waiting),
        ];
        *self.0.lock().unwrap() = Some(StopReport { since: crate::approvals::tests::NOON, epoch: 1, ends });
        Box::pin(async { Ok(()) })
    }

    fn arm(&self, _: Identity) -> BoxFuture<'_, Result<(), SwitchError>> {
        *self.0.lock().unwrap() = None;
        Box::pin(async { Ok(()) })
    }
}

struct OneConnection;

impl Connections for OneConnection {
    fn list<'a>(&'a self, tenant: &'a str) -> BoxFuture<'a, Vec<Connection>> {
        let name = format!("github of {tenant}");
        let state = "can be used".to_owned();
        Box::pin(async {
            vec![Connection { name, provider: "GitHub".to_owned(), reaches: Some("acme".to_owned()), is_sound: true, state }]
        })
    }
}

struct Visitor {
    bench: Bench,
    router: Router,
    sessions: Sessions,
    origin: String,
    cookies: BTreeMap<String, String>,
}

struct Answered {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Visitor {
    async fn at(origin: &str) -> Self {
        let bench = Bench::new().await;
        let application = Origin::parse("http://keyblind.localhost:4300").unwrap();
        let hand_overs = Arc::new(HandOvers::new(bench.database.clone(), bench.approvals.clone(), bench.clock.clone()));
        let parts = Parts {
            origin: Origin::parse(origin).unwrap(),
            database: bench.database.clone(),
            approvals: bench.approvals.clone(),
            switch: Arc::new(TestSwitch::default()),
            connections: Arc::new(OneConnection),
            clock: bench.clock.clone(),
        };
        let sessions = Sessions::new(bench.database.clone(), bench.clock.clone());
        Self {
            router: router(Pages::from(parts).with_application(application, hand_overs)),
            bench,
            sessions,
            origin: origin.to_owned(),
            cookies: BTreeMap::new(),
        }
    }

    async fn logged_in(who: &str) -> Self {
        let mut visitor = Self::at(ORIGIN).await;
        visitor.log_in(identity(who)).await;
        visitor
    }

    async fn log_in(&mut self, who: Identity) {
        self.cookies.clear();
        let link = self.sessions.issue_link(who, "acme").await.unwrap();
        let secret = link.path().rsplit('/').next().unwrap().to_owned();
        let answered = self.post("/login/link", &[("link", &secret)]).await;
        assert_eq!(answered.status, StatusCode::SEE_OTHER, "{}", answered.text);
    }

    async fn send(&mut self, request: axum::http::request::Builder, body: String) -> Answered {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = if cookies.is_empty() { request } else { request.header(header::COOKIE, cookies.join("; ")) };
        let response = self.router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(header::SET_COOKIE) {
            let (name, value) = cookie.to_str().unwrap().split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        let text = String::from_utf8(to_bytes(body, 10 << 20).await.unwrap().to_vec()).unwrap();
        Answered { status: parts.status, headers: parts.headers, text }
    }

    fn host(&self) -> String {
        self.origin.split("//").nth(1).unwrap().to_owned()
    }

    async fn get(&mut self, path: &str) -> Answered {
        let request = Request::get(path).header(header::HOST, self.host());
        self.send(request, String::new()).await
    }

    fn form(&self, path: &str) -> axum::http::request::Builder {
        Request::post(path)
            .header(header::HOST, self.host())
            .header(header::ORIGIN, &self.origin)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
    }

    async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Answered {
        let request = self.form(path);
        self.send(request, encoded(fields)).await
    }

    fn wanted(&self, id: u8) -> Wanted {
        self.bench.wanted(id)
    }

    async fn state(&self, digest: Digest) -> State {
        self.bench.approvals.progress("acme", digest).await.unwrap().state
    }
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let escape = |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
    fields.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect::<Vec<_>>().join("&")
}

/// The value of a hidden field.
fn field(page: &str, name: &str) -> String {
    let start = page.find(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("no {name} in {page}"));
    page[start..].split('"').nth(3).unwrap().to_owned()
}

#[tokio::test]
async fn a_person_logs_in_looks_and_approves() {
    let mut visitor = Visitor::logged_in("ada").await;
    let raised = visitor.bench.raise(changes::calm(&visitor.wanted(1))).await.unwrap();
    let home = visitor.get("/").await;
    assert!(home.text.contains("Open a pull request") && home.text.contains(&raised.digest.short_code().to_string()));
    let path = format!("/change/{}", raised.digest);
    let page = visitor.get(&path).await;
    assert_eq!(page.status, StatusCode::OK);
    for words in [
        "acme/shop at github",
        "Make the shop’s bucket private",
        "public-read",
        "Close the pull request",
        "5 minutes at most",
        "1 file in one repository",
    ] {
        assert!(page.text.contains(words), "{words} in {}", page.text);
    }
    let answered = visitor
        .post(
            &format!("{path}/decide"),
            &[("seal", &field(&page.text, "seal")), ("nonce", &field(&page.text, "nonce")), ("answer", "approve")],
        )
        .await;
    assert_eq!(answered.status, StatusCode::SEE_OTHER, "{}", answered.text);
    assert_eq!(visitor.state(raised.digest).await, State::Approved);
    assert!(visitor.get(&path).await.text.contains("Approved. It is applied once"));
}

/// Threat 32: every way to have the button pressed from elsewhere, each with the one thing missing that protects.
#[tokio::test]
async fn no_other_site_can_press_the_button() {
    let mut visitor = Visitor::logged_in("ada").await;
    let raised = visitor.bench.raise(changes::calm(&visitor.wanted(1))).await.unwrap();
    let other = visitor.bench.raise(changes::calm(&visitor.wanted(2))).await.unwrap();
    let page = visitor.get(&format!("/change/{}", raised.digest)).await.text;
    let path = format!("/change/{}/decide", raised.digest);
    let (seal, nonce) = (field(&page, "seal"), field(&page, "nonce"));
    let fields = [("seal", seal.as_str()), ("nonce", nonce.as_str()), ("answer", "approve")];
    let body = encoded(&fields);
    let bare =
        |host: &str| Request::post(&path).header(header::HOST, host).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");

    let answered = visitor.send(bare("approve.localhost:4200"), body.clone()).await;
    assert_eq!(answered.status, StatusCode::FORBIDDEN, "without an origin");
    for origin in [
        "null",
        "http://evil.example",
        "https://approve.localhost:4200",
        "http://approve.localhost:4201",
        "http://approve.localhost:4200.evil.example",
    ] {
        let answered = visitor.send(bare("approve.localhost:4200").header(header::ORIGIN, origin), body.clone()).await;
        assert_eq!(answered.status, StatusCode::FORBIDDEN, "{origin}");
    }
    let request = visitor.form(&path).header(header::ORIGIN, ORIGIN);
    assert_eq!(visitor.send(request, body.clone()).await.status, StatusCode::FORBIDDEN, "two origins");
    let request = visitor.form(&path).header("sec-fetch-site", "cross-site");
    assert_eq!(visitor.send(request, body.clone()).await.status, StatusCode::FORBIDDEN);
    let request = Request::post(&path)
        .header(header::HOST, "approve.localhost:4200")
        .header(header::ORIGIN, ORIGIN)
        .header(header::CONTENT_TYPE, "text/plain");
    assert_eq!(visitor.send(request, body.clone()).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "what a form elsewhere could send");
    // DNS rebinding: the right address under another name.
    for host in ["evil.example", "evil.example:4200", "127.0.0.1:4200", "approve.localhost", "APPROVE.localhost:4200"] {
        let answered = visitor.send(bare(host).header(header::ORIGIN, format!("http://{host}")), body.clone()).await;
        assert_eq!(answered.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
        let answered = visitor.send(Request::get("/").header(header::HOST, host), String::new()).await;
        assert_eq!(answered.status, StatusCode::MISDIRECTED_REQUEST, "{host}");
    }
    // The seal: of another change, another page, another session, none.
    let answered = visitor.post(&format!("/change/{}/decide", other.digest), &fields).await;
    assert_eq!(answered.status, StatusCode::FORBIDDEN, "the seal of one change on another");
    for (seal, nonce) in [("", nonce.as_str()), ("AAAA", &nonce), (&seal, "another page")] {
        assert_eq!(visitor.post(&path, &[("seal", seal), ("nonce", nonce), ("answer", "approve")]).await.status, StatusCode::FORBIDDEN);
    }
    let cookies = visitor.cookies.clone();
    visitor.log_in(identity("olga")).await;
    assert_eq!(visitor.post(&path, &fields).await.status, StatusCode::FORBIDDEN, "another session's seal");
    visitor.cookies.clear();
    assert_eq!(visitor.post(&path, &fields).await.headers[header::LOCATION], "/login", "no session");
    assert_eq!(visitor.state(raised.digest).await, State::Waiting);
    // With everything right it counts, once: the very same form again is refused.
    visitor.cookies = cookies;
    assert_eq!(visitor.post(&path, &fields).await.status, StatusCode::SEE_OTHER);
    assert_eq!(visitor.state(raised.digest).await, State::Approved);
    assert_eq!(visitor.post(&path, &fields).await.status, StatusCode::CONFLICT);
    assert_eq!(visitor.state(other.digest).await, State::Waiting);
}

#[tokio::test]
async fn every_answer_carries_the_headers() {
    let mut visitor = Visitor::logged_in("ada").await;
    for path in ["/", "/login", "/nothing", "/door.css", "/door.js", "/stop", "/change/zzz", "/policy", "/connections", "/passkeys"] {
        let answered = visitor.get(path).await;
        let policy = answered.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(
            policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answered.headers[header::X_CONTENT_TYPE_OPTIONS], "nosniff", "{path}");
        assert_eq!(answered.headers[header::X_FRAME_OPTIONS], "DENY");
        assert_eq!(answered.headers[header::REFERRER_POLICY], "same-origin");
        assert_eq!(answered.headers["cross-origin-opener-policy"], "same-origin");
        assert_eq!(answered.headers["cross-origin-resource-policy"], "same-origin");
        assert!(!answered.headers.contains_key(header::STRICT_TRANSPORT_SECURITY), "there is no TLS here");
        assert_eq!(answered.headers[header::CACHE_CONTROL] == "no-store", !path.starts_with("/door."), "{path}");
        assert!(
            !answered.text.contains("style=\"") && !answered.text.contains("<script>") && !answered.text.contains("onclick"),
            "{path}: inline"
        );
    }
    let mut visitor = Visitor::at("https://approve.example.com").await;
    visitor.log_in(identity("ada")).await;
    assert_eq!(visitor.get("/login").await.headers[header::STRICT_TRANSPORT_SECURITY], "max-age=15768000");
    assert_eq!(visitor.cookies.keys().collect::<Vec<_>>(), ["__Host-keyblind-door"]);
}

#[tokio::test]
async fn the_cookie_is_for_this_host_and_this_site_only() {
    for (origin, expected) in
        [(ORIGIN, "Path=/; HttpOnly; SameSite=Strict"), ("https://approve.example.com", "Path=/; HttpOnly; SameSite=Strict; Secure")]
    {
        let mut visitor = Visitor::at(origin).await;
        let link = visitor.sessions.issue_link(identity("ada"), "acme").await.unwrap();
        let answered = visitor.post("/login/link", &[("link", link.path().rsplit('/').next().unwrap())]).await;
        let cookie = answered.headers[header::SET_COOKIE].to_str().unwrap();
        assert_eq!(cookie.split_once("; ").unwrap().1, expected);
        assert!(!cookie.contains("Domain"));
    }
    // A second cookie of the same name was set by somebody else: neither counts.
    let mut visitor = Visitor::logged_in("ada").await;
    let value = visitor.cookies["keyblind-door"].clone();
    visitor.cookies.clear();
    let twice =
        Request::get("/").header(header::HOST, visitor.host()).header(header::COOKIE, format!("keyblind-door={value}; keyblind-door=x"));
    assert_eq!(visitor.send(twice, String::new()).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_link_logs_in_once_and_only_when_the_button_is_pressed() {
    let mut visitor = Visitor::at(ORIGIN).await;
    let link = visitor.sessions.issue_link(Identity::local(1000), "acme").await.unwrap();
    let secret = link.path().rsplit('/').next().unwrap().to_owned();
    for _ in 0..3 {
        let page = visitor.get(&link.path()).await;
        assert!(page.text.contains("1000 at local") && page.text.contains("Log in"), "a preview uses nothing up");
        assert!(visitor.cookies.is_empty());
    }
    assert_eq!(visitor.post("/login/link", &[("link", &secret)]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(visitor.get("/").await.status, StatusCode::OK);
    visitor.cookies.clear();
    assert_eq!(visitor.post("/login/link", &[("link", &secret)]).await.status, StatusCode::GONE);
    let link = visitor.sessions.issue_link(Identity::local(1000), "acme").await.unwrap();
    visitor.bench.clock.advance(Duration::from_secs(5 * 60));
    assert_eq!(visitor.get(&link.path()).await.status, StatusCode::GONE);
    assert_eq!(visitor.post("/login/link", &[("link", link.path().rsplit('/').next().unwrap())]).await.status, StatusCode::GONE);
    assert_eq!(visitor.get("/").await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn a_login_that_cant_be_recorded_is_none_and_what_has_died_is_removed() {
    let mut visitor = Visitor::at(ORIGIN).await;
    let link = visitor.sessions.issue_link(identity("ada"), "acme").await.unwrap();
    let secret = link.path().rsplit('/').next().unwrap().to_owned();
    visitor.bench.notes.fails.store(true, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(visitor.post("/login/link", &[("link", &secret)]).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(visitor.cookies.is_empty());
    visitor.bench.notes.fails.store(false, std::sync::atomic::Ordering::SeqCst);
    assert_eq!(visitor.post("/login/link", &[("link", &secret)]).await.status, StatusCode::SEE_OTHER, "and it isn't used up");
    let logged_in =
        |entry: &Entry| matches!(entry, Entry::LoggedIn { who, method: crate::ledger::LoginMethod::LocalLink, .. } if who == "ada");
    assert_eq!(visitor.bench.notes.entries.lock().unwrap().iter().filter(|entry| logged_in(entry)).count(), 1);

    visitor.sessions.issue_link(identity("ada"), "acme").await.unwrap();
    assert_eq!(visitor.sessions.tidy().await.unwrap(), 0, "all of it lives");
    visitor.bench.clock.advance(Duration::from_secs(13 * 60 * 60));
    assert_eq!(visitor.sessions.tidy().await.unwrap(), 2, "a session and a link");
    assert_eq!(visitor.sessions.tidy().await.unwrap(), 0);
}

#[tokio::test]
async fn sessions_end() {
    let mut visitor = Visitor::logged_in("ada").await;
    for _ in 0..24 {
        visitor.bench.clock.advance(Duration::from_secs(29 * 60));
        assert_eq!(visitor.get("/").await.status, StatusCode::OK, "in use");
    }
    visitor.bench.clock.advance(Duration::from_secs(29 * 60));
    assert_eq!(visitor.get("/").await.status, StatusCode::SEE_OTHER, "after the day");
    visitor.log_in(identity("ada")).await;
    visitor.bench.clock.advance(Duration::from_secs(30 * 60));
    assert_eq!(visitor.get("/").await.status, StatusCode::SEE_OTHER, "idle");
    visitor.log_in(identity("ada")).await;
    let seal = field(&visitor.get("/").await.text, "seal");
    let cookies = visitor.cookies.clone();
    assert_eq!(visitor.post("/logout", &[("seal", &seal)]).await.status, StatusCode::SEE_OTHER);
    visitor.cookies = cookies;
    assert_eq!(visitor.get("/").await.status, StatusCode::SEE_OTHER, "logged out, whoever kept the cookie");
    visitor.log_in(identity("ada")).await;
    assert_eq!(visitor.sessions.end_of(&identity("sam")).await.unwrap(), 0);
    assert_eq!(visitor.get("/").await.status, StatusCode::OK, "somebody else's are somebody else's");
    assert_eq!(visitor.sessions.end_of(&identity("ada")).await.unwrap(), 1);
    assert_eq!(visitor.get("/").await.status, StatusCode::SEE_OTHER, "of somebody who left");
}

#[tokio::test]
async fn a_link_from_a_chat_goes_on_by_itself() {
    let mut visitor = Visitor::at(ORIGIN).await;
    let path = format!("/change/{}", Digest::of(b"x"));
    let request = Request::get(&path).header(header::HOST, visitor.host()).header("sec-fetch-site", "cross-site");
    let page = visitor.send(request, String::new()).await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(page.text.contains(&format!("content=\"0; url={path}\"")), "{}", page.text);
    // From our own page there is no second round.
    let request = Request::get(&path).header(header::HOST, visitor.host()).header("sec-fetch-site", "same-origin");
    assert_eq!(visitor.send(request, String::new()).await.status, StatusCode::SEE_OTHER);
}

/// Threats 16, 18, 31: whatever an outsider can name shows as text, and what hides is marked.
#[tokio::test]
async fn hostile_text_is_inert_and_marked() {
    let mut visitor = Visitor::logged_in("ada").await;
    let raised = visitor.bench.raise(changes::hostile(&visitor.wanted(1))).await.unwrap();
    for path in ["/".to_owned(), format!("/change/{}", raised.digest), format!("/change/{}/whole", raised.digest)] {
        let page = visitor.get(&path).await;
        assert_eq!(page.status, StatusCode::OK);
        for raw in ["<script>alert", "<img", "<h1>Approved", "\u{202e}", "\u{200b}", "</pre><"] {
            assert!(!page.text.contains(raw) || (raw == "<img" && page.text.matches(raw).count() == 1), "{raw:?} on {path}");
        }
    }
    let page = visitor.get(&format!("/change/{}", raised.digest)).await.text;
    assert!(page.contains("&#60;script&#62;alert(1)&#60;/script&#62;") || page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{page}");
    assert!(page.contains("<mark title=\"hidden character\">U+202E</mark>"));
    assert!(page.contains("<mark title=\"not an ASCII letter\">\u{430}</mark>"));
    assert!(page.contains("more characters</mark>"), "a long line says that it is cut");
    assert!(page.contains("more lines:"), "and so does a long file");
    assert!(page.contains("pull request that changes what CI runs"));
    let whole = visitor.get(&format!("/change/{}/whole", raised.digest)).await.text;
    assert_eq!(whole.matches("another line that only wants to push").count(), 600, "the whole change is all of it");
}

#[tokio::test]
async fn what_is_too_large_or_too_often_is_refused() {
    let mut visitor = Visitor::logged_in("ada").await;
    let answered = visitor.post("/stop", &[("seal", &"x".repeat(FORM_BYTES))]).await;
    assert_eq!(answered.status, StatusCode::BAD_REQUEST);
    let mut refused = 0;
    for _ in 0..60 {
        refused += usize::from(visitor.post("/login/link", &[("link", "guess")]).await.status == StatusCode::TOO_MANY_REQUESTS);
    }
    assert!(refused >= 30, "{refused}");
    assert_eq!(visitor.get("/").await.status, StatusCode::OK, "looking has a rate of its own");
    visitor.bench.clock.advance(Duration::from_secs(60));
    assert_eq!(visitor.post("/login/link", &[("link", "guess")]).await.status, StatusCode::GONE);
    let request = Request::delete("/").header(header::HOST, visitor.host());
    assert_eq!(visitor.send(request, String::new()).await.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_passkey_approves_by_signing_the_digest() {
    let mut visitor = Visitor::logged_in("ada").await;
    let mut device = Device::new(Algorithm::Es256);
    device.party = RelyingParty { id: "approve.localhost".to_owned(), origin: ORIGIN.to_owned() };
    let page = visitor.get("/passkeys").await.text;
    let (seal, challenge) = (field(&page, "seal"), field(&page, "challenge"));
    let bytes: [u8; 32] = data_encoding::BASE64URL_NOPAD.decode(challenge.as_bytes()).unwrap().try_into().unwrap();
    let registration = serde_json::to_string(&device.register(&bytes)).unwrap();
    let fields = [("seal", seal.as_str()), ("challenge", &challenge), ("registration", &registration), ("name", "Phone <b>")];
    assert_eq!(visitor.post("/passkeys/add", &fields).await.headers[header::LOCATION], "/passkeys");
    assert_eq!(visitor.post("/passkeys/add", &fields).await.status, StatusCode::FORBIDDEN, "the same answer again");
    // The last one isn't removed in passing, nor by somebody else, nor by a login of this morning.
    let page = visitor.get("/passkeys").await.text;
    let remove = &page[page.find("/passkeys/remove").unwrap()..];
    let (seal, id) = (field(remove, "seal"), field(remove, "id"));
    assert_eq!(visitor.post("/passkeys/remove", &[("seal", &seal), ("id", &id)]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(visitor.post("/passkeys/remove", &[("seal", &seal), ("id", "AAAA"), ("typed", "last")]).await.status, StatusCode::FORBIDDEN);
    let cookies = visitor.cookies.clone();
    visitor.log_in(identity("olga")).await;
    assert_eq!(visitor.post("/passkeys/remove", &[("seal", &seal), ("id", &id), ("typed", "last")]).await.status, StatusCode::FORBIDDEN);
    visitor.cookies = cookies;
    assert!(visitor.get("/passkeys").await.text.contains("/passkeys/remove"), "it is still there");

    // A high one, which a session alone can't approve.
    let raised = visitor.bench.raise(changes::hostile(&visitor.wanted(1))).await.unwrap();
    let other = visitor.bench.raise(changes::hostile(&visitor.wanted(2))).await.unwrap();
    let path = format!("/change/{}", raised.digest);
    let decide = async |visitor: &mut Visitor, assertion: &str| {
        let page = visitor.get(&path).await.text;
        let fields = [
            ("seal", field(&page, "seal")),
            ("nonce", field(&page, "nonce")),
            ("answer", "approve".to_owned()),
            ("assertion", assertion.to_owned()),
        ];
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        visitor.post(&format!("{path}/decide"), &fields).await
    };
    let answered = decide(&mut visitor, "").await;
    assert_eq!(answered.status, StatusCode::CONFLICT);
    assert!(answered.text.contains("use passkey or phone"), "{}", answered.text);
    device.counter = 2;
    let of_other = serde_json::to_string(&device.sign(&other.digest)).unwrap();
    let answered = decide(&mut visitor, &of_other).await;
    assert!(answered.text.contains("signed something else than this change"), "{}", answered.text);
    let stranger = Device { party: device.party.clone(), id: device.id.clone(), ..Device::new(Algorithm::Es256) };
    let forged = serde_json::to_string(&stranger.sign(&raised.digest)).unwrap();
    assert_eq!(decide(&mut visitor, &forged).await.status, StatusCode::FORBIDDEN);
    assert_eq!(visitor.state(raised.digest).await, State::Waiting);
    let signed = serde_json::to_string(&device.sign(&raised.digest)).unwrap();
    assert_eq!(decide(&mut visitor, &signed).await.status, StatusCode::SEE_OTHER);
    assert_eq!(visitor.state(raised.digest).await, State::Approved);
    let entries = visitor.bench.notes.entries.lock().unwrap();
    assert!(entries.iter().any(|entry| matches!(entry, Entry::Word { counted, .. } if counted.channel.assurance().contains("passkey"))));
}

#[tokio::test]
async fn a_passkey_that_was_copied_is_removed() {
    let mut visitor = Visitor::logged_in("ada").await;
    for name in ["one", "two"] {
        let mut device = Device::new(Algorithm::Es256);
        device.party = RelyingParty { id: "approve.localhost".to_owned(), origin: ORIGIN.to_owned() };
        let page = visitor.get("/passkeys").await.text;
        let add = &page[page.find("/passkeys/add").unwrap()..];
        let (seal, challenge) = (field(add, "seal"), field(add, "challenge"));
        let bytes: [u8; 32] = data_encoding::BASE64URL_NOPAD.decode(challenge.as_bytes()).unwrap().try_into().unwrap();
        device.id = name.as_bytes().to_vec();
        let registration = serde_json::to_string(&device.register(&bytes)).unwrap();
        let fields = [("seal", seal.as_str()), ("challenge", &challenge), ("registration", &registration), ("name", name)];
        assert_eq!(visitor.post("/passkeys/add", &fields).await.status, StatusCode::SEE_OTHER);
    }
    let of = async |visitor: &mut Visitor| {
        let page = visitor.get("/passkeys").await.text;
        let remove = page.find("/passkeys/remove").map(|start| page[start..].to_owned());
        remove.map(|remove| (field(&remove, "seal"), field(&remove, "id")))
    };
    let (seal, id) = of(&mut visitor).await.unwrap();
    visitor.bench.clock.advance(Duration::from_secs(6 * 60));
    assert_eq!(visitor.post("/passkeys/remove", &[("seal", &seal), ("id", &id)]).await.status, StatusCode::FORBIDDEN, "not fresh");
    visitor.log_in(identity("ada")).await;
    let (seal, id) = of(&mut visitor).await.unwrap();
    assert_eq!(visitor.post("/passkeys/remove", &[("seal", &seal), ("id", &id)]).await.status, StatusCode::SEE_OTHER);
    let (seal, id) = of(&mut visitor).await.unwrap();
    assert_eq!(visitor.post("/passkeys/remove", &[("seal", &seal), ("id", &id)]).await.status, StatusCode::FORBIDDEN, "the last one");
    let last = [("seal", seal.as_str()), ("id", &id), ("typed", "Last")];
    assert_eq!(visitor.post("/passkeys/remove", &last).await.status, StatusCode::SEE_OTHER);
    assert!(of(&mut visitor).await.is_none());
    let acts: Vec<Act> = visitor
        .bench
        .notes
        .entries
        .lock()
        .unwrap()
        .iter()
        .filter_map(|entry| match entry {
            Entry::Act { who, act, .. } if who == "ada" => Some(*act),
            _ => None,
        })
        .collect();
    assert_eq!(acts, [Act::PasskeyAdded, Act::PasskeyAdded, Act::PasskeyRemoved, Act::PasskeyRemoved]);
}

/// A change as large as may be asked for: the page stays small, and says what it leaves out.
#[tokio::test]
async fn a_change_of_many_megabytes_makes_no_page_of_many_megabytes() {
    let mut visitor = Visitor::logged_in("ada").await;
    let wanted = visitor.wanted(1);
    let after = "x\n".repeat(4 << 20);
    let raised = visitor.bench.raise(changes::pull_request(&wanted, "large", &[("main.tf", Some("a\n"), &after)])).await.unwrap();
    for path in [format!("/change/{}", raised.digest), format!("/change/{}/whole", raised.digest)] {
        let page = visitor.get(&path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.text.len() < 4 << 20, "{path}: {} bytes", page.text.len());
        assert!(page.text.contains("too large to be compared") && page.text.contains("more lines"), "{path}");
    }
    let one_line = "y".repeat(8 << 20);
    let raised = visitor.bench.raise(changes::pull_request(&visitor.wanted(2), "wide", &[("main.tf", None, &one_line)])).await.unwrap();
    let page = visitor.get(&format!("/change/{}/whole", raised.digest)).await;
    assert!(page.text.len() < 1 << 20 && page.text.contains("more characters"), "{} bytes", page.text.len());
}

#[tokio::test]
async fn a_critical_change_is_approved_by_two_people_with_its_code() {
    let mut visitor = Visitor::logged_in("sam").await;
    let approvals = keyblind_intent::Approvals {
        wanted: keyblind_intent::Count::new(2).unwrap(),
        policy: visitor.bench.policy,
        may_be_requester: false,
    };
    let fields = ChangeFields { approvals, ..changes::open_database(&visitor.wanted(1)) };
    let raised = visitor.bench.raise((fields, Vec::new())).await.unwrap();
    let page = visitor.get(&format!("/change/{}", raised.digest)).await.text;
    for words in [
        "Critical",
        "0 of 2 people have approved",
        "Type the code to approve",
        "takes protection away",
        "arn:aws:rds:eu-central-1:111122223333:db:orders",
    ] {
        assert!(page.contains(words), "{words}");
    }
    assert!(!page.contains("approve all"));
}

#[tokio::test]
async fn stopping_takes_one_act_and_arming_a_second() {
    let mut visitor = Visitor::logged_in("ada").await;
    let raised = visitor.bench.raise(changes::calm(&visitor.wanted(1))).await.unwrap();
    let seal = field(&visitor.get("/stop").await.text, "seal");
    assert_eq!(visitor.post("/stop", &[("seal", "x")]).await.status, StatusCode::FORBIDDEN);
    assert_eq!(visitor.post("/stop", &[("seal", &seal)]).await.status, StatusCode::SEE_OTHER);
    assert_eq!(visitor.state(raised.digest).await, State::Void);
    let page = visitor.get("/stop").await.text;
    for words in ["revoked, confirmed by the provider", "can’t be revoked, dies at 2026-07-15T08:00:00.000Z", "not revoked yet"] {
        assert!(page.contains(words), "{words} in {page}");
    }
    assert!(!page.contains("shop<b>"));
    assert!(visitor.get("/").await.text.contains("Stopped."));
    let arm = field(&page[page.find("action=\"/arm\"").unwrap()..], "seal");
    assert_eq!(
        visitor.post("/arm", &[("seal", &seal), ("typed", "arm")]).await.status,
        StatusCode::FORBIDDEN,
        "the stop's seal doesn't arm"
    );
    assert_eq!(visitor.post("/arm", &[("seal", &arm), ("typed", "")]).await.status, StatusCode::CONFLICT);
    assert_eq!(visitor.post("/arm", &[("seal", &arm), ("typed", "arm")]).await.status, StatusCode::FORBIDDEN, "ada is no owner");
    visitor.log_in(identity("olga")).await;
    let page = visitor.get("/stop").await.text;
    let arm = field(&page[page.find("action=\"/arm\"").unwrap()..], "seal");
    visitor.bench.clock.advance(Duration::from_secs(6 * 60));
    assert_eq!(visitor.post("/arm", &[("seal", &arm), ("typed", "arm")]).await.status, StatusCode::FORBIDDEN, "her login is too old");
    visitor.log_in(identity("olga")).await;
    let page = visitor.get("/stop").await.text;
    let arm = field(&page[page.find("action=\"/arm\"").unwrap()..], "seal");
    assert_eq!(visitor.post("/arm", &[("seal", &arm), ("typed", " ARM ")]).await.status, StatusCode::SEE_OTHER);
    assert!(!visitor.get("/").await.text.contains("Stopped."));
    let entries = visitor.bench.notes.entries.lock().unwrap();
    let acts = entries.iter().filter_map(|entry| match entry {
        Entry::Act { who, act, .. } => Some((who.as_str(), *act)),
        _ => None,
    });
    assert_eq!(acts.collect::<Vec<_>>(), [("ada", Act::StopAsked), ("olga", Act::ArmAsked)]);
}

#[tokio::test]
async fn a_proposed_policy_is_on_every_page_until_two_owners_agree() {
    let mut visitor = Visitor::logged_in("olga").await;
    let loose = crate::approvals::tests::TEAM.replace("approvals = 2", "approvals = 1");
    let proposed = visitor.bench.approvals.propose_policy(&loose).await.unwrap();
    assert!(visitor.get("/").await.text.contains("proposed another approval policy"));
    for (who, status) in
        [("ada", StatusCode::CONFLICT), ("olga", StatusCode::SEE_OTHER), ("olga", StatusCode::CONFLICT), ("omar", StatusCode::SEE_OTHER)]
    {
        visitor.log_in(identity(who)).await;
        let page = visitor.get("/policy").await.text;
        let seal = field(&page[page.find("/agree").unwrap()..], "seal");
        assert_eq!(visitor.post(&format!("/policy/{proposed}/agree"), &[("seal", &seal)]).await.status, status, "{who}");
    }
    assert!(visitor.get("/policy").await.text.contains("Agreed. In force from"));
}

#[tokio::test]
async fn another_tenants_pages_do_not_exist() {
    let mut visitor = Visitor::logged_in("ada").await;
    let raised = visitor.bench.raise(changes::calm(&visitor.wanted(1))).await.unwrap();
    let link = visitor.sessions.issue_link(identity("eve"), "evil").await.unwrap();
    visitor.cookies.clear();
    visitor.post("/login/link", &[("link", link.path().rsplit('/').next().unwrap())]).await;
    for path in [format!("/change/{}", raised.digest), format!("/change/{}/whole", raised.digest)] {
        assert_eq!(visitor.get(&path).await.status, StatusCode::NOT_FOUND);
    }
    assert!(visitor.get("/").await.text.contains("Nothing waits for you"));
    assert!(visitor.get("/connections").await.text.contains("github of evil"));
}

#[test]
fn an_origin_is_a_name_with_tls_or_of_this_machine() {
    for origin in ["http://approve.localhost:4200", "http://localhost", "https://approve.example.com", "https://approve.example.com:8443"] {
        assert_eq!(Origin::parse(origin).unwrap().as_str(), origin);
    }
    for origin in [
        "",
        "approve.localhost",
        "http://",
        "http://127.0.0.1:4200",
        "https://[::1]",
        "https://a.example/",
        "https://A.example",
        "https://a..example",
        "https://user@a.example",
        "https://a.example:443",
        "http://localhost:80",
        "https://a.example:0443",
        "https://a.example:70000",
        "ftp://localhost",
        "https://a.example:",
        "https://-a.example",
        "javascript:alert(1)",
    ] {
        assert!(matches!(Origin::parse(origin), Err(DoorError::Origin(_))), "{origin}");
    }
    assert!(matches!(Origin::parse("http://approve.example.com"), Err(DoorError::Plain(_))));
    assert!(matches!(Origin::parse("http://localhost.evil.example"), Err(DoorError::Plain(_))));
}
