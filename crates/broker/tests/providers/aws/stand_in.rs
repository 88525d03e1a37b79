//! A stand-in of ours for what no emulator does: it enforces the session policy of `AssumeRoleWithWebIdentity`, checks what the token
//! claims against a trust policy, and gives AWS's answers that a test names: refusals, broken answers, sessions that are other than was
//! asked for. It is written after AWS's documentation by the same people as the client, so that it shows that the client does what we
//! read there, and not that AWS does it. Of a token it believes the signature (another test has npm's `jose` check that), and of a
//! call to a service it only looks at the session's token, the action and the resource.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use data_encoding::BASE64URL_NOPAD;
use serde_json::Value;

use super::*;

/// What the trust policy of the role says.
#[derive(Clone, Copy)]
pub(super) struct Trusted {
    pub(super) issuer: &'static str,
    pub(super) audience: &'static str,
    pub(super) subject: &'static str,
}

/// An answer that a test asked for.
#[derive(Clone)]
pub(super) enum Answer {
    Refuse(u16, &'static str, &'static str, Option<&'static str>),
    Raw(u16, String),
    /// The right answer with something replaced.
    Changed(&'static str, &'static str),
}

#[derive(Default)]
struct Kept {
    trusted: Option<Trusted>,
    answers: VecDeque<Answer>,
    forms: Vec<BTreeMap<String, String>>,
    sessions: BTreeMap<String, Value>,
}

#[derive(Clone, Default)]
pub(super) struct StandIn {
    kept: Arc<Mutex<Kept>>,
    port: u16,
}

type Fields = Form<BTreeMap<String, String>>;

impl StandIn {
    pub(super) async fn start(trusted: Option<Trusted>) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let kept = Arc::new(Mutex::new(Kept { trusted, ..Kept::default() }));
        let stand_in = Self { kept, port: listener.local_addr().unwrap().port() };
        let router = Router::new().route("/", post(sts)).route("/use", post(service)).with_state(stand_in.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        stand_in
    }

    pub(super) fn origin(&self) -> Origin {
        Origin::parse(&format!("http://127.0.0.1:{}", self.port)).unwrap()
    }

    pub(super) fn egress(&self) -> Egress {
        Egress::new([AllowedHost::private(self.origin())], b"").unwrap()
    }

    pub(super) fn sts(&self) -> Sts {
        Sts::new(self.egress(), Arc::new(SystemClock::new()), home()).unwrap().at(self.origin())
    }

    pub(super) fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        self.kept.lock().unwrap().answers.extend(answers);
    }

    /// The requests that it got.
    pub(super) fn forms(&self) -> Vec<BTreeMap<String, String>> {
        self.kept.lock().unwrap().forms.clone()
    }

    /// Calls a service with a session: the status of the answer.
    pub(super) async fn call(&self, session: &Secret, action: &str, resource: &str) -> u16 {
        let form = FormBody::new().with("Action", action).with("Resource", resource);
        let call = Call::form(Target::new(&self.origin()).path("/use"), form);
        send(&self.egress(), call, session, &home(), "s3").await.0
    }
}

fn refusal(status: u16, code: &str, message: &str, wait: Option<&str>) -> Response {
    let text = format!(
        "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error><RequestId>1</RequestId></ErrorResponse>"
    );
    let mut response = (StatusCode::from_u16(status).unwrap(), text).into_response();
    if let Some(wait) = wait {
        response.headers_mut().insert("retry-after", wait.parse().unwrap());
    }
    dated(response)
}

/// AWS dates its answers.
fn dated(mut response: Response) -> Response {
    let now = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&jiff::Timestamp::now()).unwrap();
    response.headers_mut().insert("date", now.parse().unwrap());
    response
}

async fn sts(State(stand_in): State<StandIn>, Form(fields): Fields) -> Response {
    let mut kept = stand_in.kept.lock().unwrap();
    kept.forms.push(fields.clone());
    let answer = kept.answers.pop_front();
    match answer {
        Some(Answer::Refuse(status, code, message, wait)) => return refusal(status, code, message, wait),
        Some(Answer::Raw(status, text)) => return (StatusCode::from_u16(status).unwrap(), text).into_response(),
        Some(Answer::Changed(..)) | None => {}
    }
    let action = fields["Action"].clone();
    let policy = fields.get("Policy").map(String::as_str).unwrap_or_default();
    if policy.len() > 2_048 {
        return refusal(400, "ValidationError", "Member must have length less than or equal to 2048", None);
    }
    let Ok(document) = serde_json::from_str::<Value>(policy) else {
        return refusal(400, "MalformedPolicyDocument", "This policy contains invalid Json", None);
    };
    let seconds: i64 = fields["DurationSeconds"].parse().unwrap();
    if !(900..=3_600).contains(&seconds) {
        return refusal(400, "ValidationError", "Member must have value greater than or equal to 900", None);
    }
    if let (Some(trusted), Some(token)) = (kept.trusted, fields.get("WebIdentityToken"))
        && let Some((code, message)) = distrust(trusted, token)
    {
        return refusal(if code == "AccessDenied" { 403 } else { 400 }, code, message, None);
    }
    let number = kept.sessions.len();
    let token = format!("session-{number}-EXAMPLE");
    kept.sessions.insert(token.clone(), document);
    let expires = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(seconds);
    let role = fields["RoleArn"].rsplit('/').next().unwrap();
    let mut text = format!(
        "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{action}Result><AssumedRoleUser><AssumedRoleId>AROAEXAMPLE:{name}</AssumedRoleId>\
         <Arn>arn:aws:sts::{AWS_ACCOUNT}:assumed-role/{role}/{name}</Arn></AssumedRoleUser><Credentials><AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>\
         <SecretAccessKey>{AWS_SECRET_KEY}</SecretAccessKey><SessionToken>{token}</SessionToken><Expiration>{expires:.0}</Expiration></Credentials>\
         <PackedPolicySize>12</PackedPolicySize></{action}Result><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>",
        name = fields["RoleSessionName"],
    );
    if let Some(Answer::Changed(from, to)) = answer {
        assert!(text.contains(from), "{from} isn't in {text}");
        text = text.replace(from, to);
    }
    dated(text.into_response())
}

/// Why a token isn't trusted.
fn distrust(trusted: Trusted, token: &str) -> Option<(&'static str, &'static str)> {
    let claims = token.split('.').nth(1).and_then(|claims| BASE64URL_NOPAD.decode(claims.as_bytes()).ok());
    let Some(claims) = claims.and_then(|claims| serde_json::from_slice::<Value>(&claims).ok()) else {
        return Some(("InvalidIdentityToken", "Provided Token is not a JWT"));
    };
    let now = jiff::Timestamp::now().as_second();
    if claims["iss"] != trusted.issuer {
        return Some(("InvalidIdentityToken", "No OpenIDConnect provider found in your account"));
    }
    if claims["exp"].as_i64().unwrap() < now {
        return Some(("ExpiredTokenException", "Token expired"));
    }
    if claims["aud"] != trusted.audience {
        return Some(("InvalidIdentityToken", "Incorrect token audience"));
    }
    let is_named = claims["https://aws.amazon.com/source_identity"].as_str().is_some_and(|source| source.starts_with("kb."));
    if claims["sub"] != trusted.subject || !is_named {
        return Some(("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity"));
    }
    None
}

/// A call to a service: what the session's policy allows, now.
async fn service(State(stand_in): State<StandIn>, headers: HeaderMap, Form(fields): Fields) -> Response {
    let token = headers.get("x-amz-security-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
    let kept = stand_in.kept.lock().unwrap();
    let Some(policy) = kept.sessions.get(token) else { return refusal(403, "InvalidClientTokenId", "unknown", None) };
    let now = jiff::Timestamp::now();
    let is_allowed = policy["Statement"].as_array().unwrap().iter().any(|statement| {
        let names = |value: &Value, wanted: &str| match value {
            Value::Array(values) => values.iter().any(|value| value == wanted),
            other => other == wanted || other == "*",
        };
        let end = statement["Condition"]["DateLessThan"]["aws:CurrentTime"].as_str().map(|end| end.parse::<jiff::Timestamp>().unwrap());
        statement["Effect"] == "Allow"
            && names(&statement["Action"], &fields["Action"])
            && names(&statement["Resource"], &fields["Resource"])
            && end.is_none_or(|end| now < end)
    });
    if is_allowed { StatusCode::OK.into_response() } else { refusal(403, "AccessDenied", "no session policy allows it", None) }
}
