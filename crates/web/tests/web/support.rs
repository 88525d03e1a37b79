//! A web tier for tests, and people who visit it.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode, header};
use keyblind_intent::{Digest, SubjectId, TenantId, UnixMillis};
use keyblind_mission::{Clock, Leaf, LeafWork};
use keyblind_store::{Document, Limits, MissionId, MissionState, NewEvent, NewMission, Next, Person, Place, Store, Turn};
use keyblind_testkit::Folder;
use keyblind_web::{Logins, Origin, Rates, Role, Roles, Settings, Web};
use serde_json::{Value, json};
use tokio::sync::watch;
use tower::ServiceExt as _;

pub(crate) const ORIGIN: &str = "http://127.0.0.1:8700";
pub(crate) const NOON: u64 = 1_800_000_000_000;

/// A clock that stands still until somebody sets it.
#[derive(Debug)]
pub(crate) struct Still(std::sync::atomic::AtomicU64);

impl Clock for Still {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

pub(crate) struct App {
    pub(crate) store: Store,
    pub(crate) web: Web,
    pub(crate) folder: Folder,
    pub(crate) origin: String,
    clock: Arc<Still>,
    close: watch::Sender<bool>,
}

/// What was answered.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }
}

/// Somebody who is logged in.
#[derive(Clone)]
pub(crate) struct Somebody {
    pub(crate) cookie: String,
    pub(crate) form_token: String,
}

pub(crate) fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

pub(crate) fn subject(name: &str) -> SubjectId {
    SubjectId::new(name).unwrap()
}

impl App {
    pub(crate) async fn new() -> Self {
        Self::with(ORIGIN, Rates::default()).await
    }

    pub(crate) async fn with(origin: &str, rates: Rates) -> Self {
        Self::open(origin, rates, None).await
    }

    pub(crate) async fn open(origin: &str, rates: Rates, logins: Option<Arc<dyn Logins>>) -> Self {
        let folder = Folder::new([("code/shop/main.tf", "# nothing\n"), ("secret/main.tf", "")]);
        let store = Store::open(&Place::File(folder.path().join("web.db"))).await.unwrap();
        let leaf = Leaf { program: "/bin/false".into(), sandbox: "available", time: Duration::from_secs(1), output: 1 };
        let allowed = vec![folder.path().join("code")];
        let parsed: Origin = origin.parse().unwrap();
        let settings = Settings {
            origin: parsed,
            door: logins.as_ref().map(|_| "http://approve.localhost:8701".to_owned()),
            local: (tenant("a"), subject("mia")),
            roles: Roles { groups: vec![("platform".to_owned(), Role::Operator)], otherwise: None },
            rates,
            idle: Duration::from_secs(600),
            longest: Duration::from_secs(3_600),
            address_header: None,
            example: Some(folder.path().join("code/shop")),
            allowed: allowed.clone(),
            scanner: "/bin/false".into(),
        };
        let clock = Arc::new(Still(NOON.into()));
        let (close, closing) = watch::channel(false);
        let web = Web::new(store.clone(), settings, LeafWork::new(leaf, allowed, clock.clone()), clock.clone(), closing, logins);
        Self { store, web, folder, origin: origin.to_owned(), clock, close }
    }

    pub(crate) fn router(&self) -> Router {
        self.web.router()
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1_000, std::sync::atomic::Ordering::SeqCst);
    }

    /// Tells streams to end.
    pub(crate) fn close(&self) {
        self.close.send(true).unwrap();
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> axum::http::request::Builder {
        Request::builder().method(method).uri(path).header(header::HOST, self.origin.split_once("://").unwrap().1)
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        Answer { status: parts.status, headers: parts.headers, text: String::from_utf8_lossy(&bytes).into_owned() }
    }

    pub(crate) async fn get(&self, who: &Somebody, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).header(header::COOKIE, &who.cookie).body(Body::empty()).unwrap()).await
    }

    /// Sends a form as a page of ours would.
    pub(crate) async fn post(&self, who: &Somebody, path: &str, fields: &[(&str, &str)]) -> Answer {
        let encode = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
        let all = fields.iter().copied().chain([("form_token", who.form_token.as_str())]);
        let body: Vec<String> = all.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let request = self.request(Method::POST, path).header(header::COOKIE, &who.cookie).header(header::ORIGIN, &self.origin);
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.send(request.body(Body::from(body.join("&"))).unwrap()).await
    }

    /// Asks the API with a token.
    pub(crate) async fn api(&self, token: &str, method: Method, path: &str, body: Option<Value>, extra: &[(&str, &str)]) -> Answer {
        let mut request = self.request(method, path).header(header::AUTHORIZATION, format!("Bearer {token}"));
        for (name, value) in extra {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    /// Logs somebody in.
    pub(crate) async fn person(&self, whose: &str, name: &str, role: Role) -> Somebody {
        let secret = format!("{:0>52}", format!("{whose}{name}").bytes().map(|byte| format!("{byte:02x}")).collect::<String>());
        let person =
            Person { tenant: tenant(whose), subject: subject(name), name: name.to_owned(), role: role.word().to_owned(), handle: None };
        let now = self.clock.now();
        self.store.begin_session(&Digest::of(secret.as_bytes()), &person, now, Duration::from_secs(3_600)).await.unwrap();
        let cookie = format!("{}={secret}", if self.origin.starts_with("https") { "__Host-keyblind" } else { "keyblind" });
        let mut somebody = Somebody { cookie, form_token: String::new() };
        somebody.form_token = form_token(&self.get(&somebody, "/missions").await.text);
        somebody
    }

    /// A token that may do everything of a tenant.
    pub(crate) async fn token(&self, whose: &str, name: &str) -> String {
        let (tenant, subject) = (tenant(whose), subject(name));
        let who = (&tenant, &subject, Role::Admin);
        keyblind_web::make_token(&self.store, who, "test", &keyblind_web::Scope::ALL, 1, self.clock.now()).await.unwrap().text
    }

    pub(crate) async fn begin(&self, whose: &str, request: &Value) -> MissionId {
        let (tenant, owner) = (tenant(whose), subject("mia"));
        let request = request.to_string();
        let mission = NewMission { tenant: &tenant, owner: &owner, kind: "scan-path", request: &request, step: "scan", idempotency: None };
        self.store.begin(&mission, self.clock.now()).await.unwrap().id()
    }

    /// Ends the next mission with events and documents.
    pub(crate) async fn end(&self, events: &[Value], documents: Vec<(&'static str, Vec<u8>)>) {
        let wide = Limits { total: 100, tenant: 100, owner: 100 };
        let claim = self.store.claim("worker", wide, self.clock.now(), Duration::from_secs(30)).await.unwrap().unwrap();
        let documents = documents.into_iter();
        let document = |(name, bytes): (&'static str, Vec<u8>)| Document { name, digest: Digest::of(&bytes).to_string(), bytes };
        let events = events.iter().map(|body| {
            let kind: &'static str = Box::leak(body["event"].as_str().unwrap().to_owned().into_boxed_str());
            NewEvent { kind, body: body.to_string() }
        });
        let turn = Turn {
            events: events.collect(),
            documents: documents.map(document).collect(),
            checkpoint: None,
            audit: Some("done".to_owned()),
            next: Next::End(MissionState::Done),
        };
        self.store.commit(&claim.ticket, &turn, "worker", self.clock.now()).await.unwrap();
    }

    /// A mission that has ended with a report of so many findings, in which one text stands wherever a text of others may.
    pub(crate) async fn reported(&self, whose: &str, findings: usize, foreign: &str) -> MissionId {
        let id = self.begin(whose, &json!({"kind": "scan-path", "path": format!("/srv/{foreign}")})).await;
        let events = [
            json!({"event": "said", "line": foreign}),
            json!({"event": "scanned", "failed": {"critical": 0, "high": findings, "medium": 0, "low": 0, "info": 0}, "unknown": 2, "resources": 7, "is_incomplete": true}),
            json!({"event": "fixed", "safe": findings, "unsafe": 0, "needs_input": 0, "none": 0}),
            json!({"event": "done"}),
        ];
        let documents = vec![("page-data.jsonl", page_data(findings, foreign)), ("report.json", b"{}".to_vec())];
        self.end(&events, documents).await;
        id
    }
}

/// The token in a page's forms.
pub(crate) fn form_token(page: &str) -> String {
    let (_, rest) = page.split_once("data-form-token=\"").unwrap_or_else(|| panic!("{page}"));
    rest.split('"').next().unwrap().to_owned()
}

/// A document as the scanner writes it.
pub(crate) fn page_data(findings: usize, foreign: &str) -> Vec<u8> {
    let head = json!({
        "schema": "keyblind/page-data/1", "tool": "keyblind", "version": "0", "place": foreign,
        "summary": {
            "failed": findings, "passed": 9, "unknown": 2, "suppressed": 1, "not_applicable": 3,
            "failed_by_severity": {"critical": 0, "high": findings, "medium": 0, "low": 0, "info": 0},
            "unknown_by_reason": {foreign: 2}, "suppressed_by": {}, "missing_modules": {foreign: 1}, "baseline_gone": 0,
            "rules": 1311, "resources": 7, "roots": 1,
            "files": {"read": 3, "unread": 1, "not_judged": {foreign: 1}, "other": 4, "skipped": []}, "incomplete": true,
        },
        "fixes": "all have a fix", "unread": [[foreign, foreign, foreign]], "findings": findings,
    });
    let mut lines = vec![head.to_string()];
    let part = json!([{"is_code": false, "text": foreign}, {"is_code": true, "text": foreign}]);
    for number in 0..findings {
        let finding = json!({
            "status": "failed", "severity": "high", "rule": format!("rule-{}", number % 40), "aliases": foreign, "dialect": "terraform",
            "message": format!("finding {number} {foreign}"), "resource": foreign, "place": format!("{foreign}:1:1"), "fingerprint": "ab12",
            "remedy": part, "attack": part, "here": [part], "reach": [part], "check": part, "by_hand": part,
            "fix": {
                "class": "safe", "command": "keyblind fix --finding ab12", "conditions": [part],
                "files": [{"path": "a.tf", "hunks": [[
                    {"class": "del", "number": 1, "sign": "-", "tokens": [{"class": "", "text": format!("a = {foreign}")}]},
                    {"class": "add", "number": 1, "sign": "+", "tokens": [{"class": "s", "text": "a = private"}]},
                ]]}],
                "patch": format!("--- a/a.tf\n+++ b/a.tf\n@@ -1 +1 @@\n-{foreign}\n+private\n"),
            },
            "hindrance": "", "silenced": foreign, "references": ["https://example.com/", "javascript:alert(1)"],
            "lines": [[1, true, [{"class": "k", "text": foreign}]]],
            "picture": "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>",
            "file": format!("{foreign}{}", number % 7), "line": 1, "column": 1, "end_line": 1, "end_column": 4,
            "evidence": [{"path": foreign, "value": foreign, "expected": foreign, "missing": false, "place": foreign, "origin": [[foreign, foreign]]}],
            "edits": [{"path": "a.tf", "start": 0, "end": 1, "replacement": foreign}],
        });
        lines.push(finding.to_string());
    }
    lines.push(json!({"file": "a.tf", "text": format!("x{foreign}\n")}).to_string());
    lines.push(String::new());
    lines.join("\n").into_bytes()
}
