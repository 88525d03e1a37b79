//! Independent servers that tests talk to over the wire: each is a process of its own on loopback, which dies with its test.
//!
//! `cargo xtask peers` installs them (`cargo xtask test` does it first). One that isn't there fails the test; it is never
//! left out. What each of them can't show is written in `docs/evidence.md`.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

/// The scripts that start them.
const SCRIPTS: &[(&str, &str)] = &[
    ("peer.mjs", include_str!("../peers/peer.mjs")),
    ("oidc.mjs", include_str!("../peers/oidc.mjs")),
    ("github.mjs", include_str!("../peers/github.mjs")),
    ("aws.mjs", include_str!("../peers/aws.mjs")),
    ("aws.py", include_str!("../peers/aws.py")),
    ("aws_signature.py", include_str!("../peers/aws_signature.py")),
    ("iam.mjs", include_str!("../peers/iam.mjs")),
    ("slack.mjs", include_str!("../peers/slack.mjs")),
    ("registry.mjs", include_str!("../peers/registry.mjs")),
    ("models.mjs", include_str!("../peers/models.mjs")),
    ("models.py", include_str!("../peers/models.py")),
    ("auth0-my-account.json", include_str!("../peers/auth0-my-account.json")),
];

/// The keys of the emulated account's root: the ones that AWS's documentation uses in its examples.
pub const AWS_KEY_ID: &str = "AKIAIOSFODNN7EXAMPLE";
/// See [`AWS_KEY_ID`].
pub const AWS_SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
/// The emulated account.
pub const AWS_ACCOUNT: &str = "123456789012";

/// A running server, with a second port at which a test asks it for what it saw and makes it fail.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    // Its end tells the server that the test is gone, however the test went.
    _lifeline: ChildStdin,
    told: Value,
    errors: Arc<Mutex<String>>,
}

impl Peer {
    /// An OpenID provider with Auth0's paths (npm `oidc-provider`). `options` are those of `peers/oidc.mjs`.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn oidc(options: &Value) -> Self {
        Self::start("oidc.mjs", options)
    }

    /// GitHub (npm `emulate`), each request judged by GitHub's OpenAPI. `options` are those of `peers/github.mjs`.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn github(options: &Value) -> Self {
        let mut options = options.clone();
        options["openapi"] = Value::from(tools().join("api.github.com.json").to_string_lossy().into_owned());
        Self::start("github.mjs", &options)
    }

    /// AWS as far as it checks who may do what (PyPI `ministack`).
    ///
    /// # Panics
    /// If it can't be started.
    pub fn ministack() -> Self {
        Self::aws("ministack")
    }

    /// AWS with more services, without authorization (PyPI `moto`).
    ///
    /// # Panics
    /// If it can't be started.
    pub fn moto() -> Self {
        Self::aws("moto")
    }

    fn aws(kind: &str) -> Self {
        let folder = tools().join("scratch");
        std::fs::create_dir_all(&folder).expect("a folder for what the emulator writes can be made");
        let folder = folder.to_string_lossy();
        Self::start(
            "aws.mjs",
            &json!({"kind": kind, "account": AWS_ACCOUNT, "key_id": AWS_KEY_ID, "secret": AWS_SECRET_KEY, "folder": folder}),
        )
    }

    /// IAM's evaluation of policies, and its catalogue of actions (npm `@cloud-copilot/iam-simulate`).
    ///
    /// # Panics
    /// If it can't be started.
    pub fn iam() -> Self {
        Self::start("iam.mjs", &json!({}))
    }

    /// Slack's incoming webhooks (npm `emulate`).
    ///
    /// # Panics
    /// If it can't be started.
    pub fn slack() -> Self {
        Self::start("slack.mjs", &json!({}))
    }

    /// A module registry, played by us after the protocol's description. `options` are those of `peers/registry.mjs`.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn registry(options: &Value) -> Self {
        Self::start("registry.mjs", options)
    }

    /// Models that say what a test tells them to; requests and answers by the definitions of Anthropic's and OpenAI's own clients.
    /// Whoever shows another key is turned away; none is asked for where `key` is empty.
    ///
    /// # Panics
    /// If it can't be started.
    pub fn models(key: &str) -> Self {
        Self::start("models.mjs", &json!({"key": key}))
    }

    fn start(script: &str, options: &Value) -> Self {
        let tools = tools();
        let mut child = Command::new(tools.join("node"))
            .arg(scripts(&tools).join(script))
            .arg(options.to_string())
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server can be started");
        let lifeline = child.stdin.take().expect("standard input is a pipe");
        let errors = Arc::new(Mutex::new(String::new()));
        let (said, stderr) = (Arc::clone(&errors), child.stderr.take().expect("standard error is a pipe"));
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.push_str(&line);
                said.push('\n');
            }
        });
        let mut first = String::new();
        let mut output = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        output.read_line(&mut first).expect("the server says where it listens");
        let told = serde_json::from_str(&first).unwrap_or_else(|_| {
            let status = child.wait();
            panic!("{script} said {first:?} and ended ({status:?}): {}", errors.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Self { child, _lifeline: lifeline, told, errors }
    }

    /// Where it listens: `http://127.0.0.1:port`.
    pub fn url(&self) -> &str {
        self.told("url")
    }

    /// The port at which it listens.
    ///
    /// # Panics
    /// If its address has none.
    pub fn port(&self) -> u16 {
        self.url().rsplit(':').next().and_then(|port| port.parse().ok()).expect("the address has a port")
    }

    /// What it said of itself when it began (a key that it made, say).
    ///
    /// # Panics
    /// If it said nothing of that name.
    pub fn told(&self, name: &str) -> &str {
        self.told[name].as_str().unwrap_or_else(|| panic!("the server told no `{name}`"))
    }

    /// Asks its control port.
    ///
    /// # Panics
    /// If it has no answer.
    pub fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let address = self.told("control").trim_start_matches("http://");
        let mut stream = TcpStream::connect(address).expect("the control port listens");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out can be set");
        let body = if body.is_null() { String::new() } else { body.to_string() };
        write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .expect("the control port takes the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the control port answers");
        let (head, text) = answer.split_once("\r\n\r\n").expect("the answer has a head");
        let said = || self.errors.lock().unwrap_or_else(PoisonError::into_inner).clone();
        assert!(head.starts_with("HTTP/1.1 200 "), "{method} {path}: {text}\n{}", said());
        serde_json::from_str(text).expect("the control port speaks JSON")
    }

    /// The requests that it got, in order.
    ///
    /// # Panics
    /// If it doesn't say.
    pub fn requests(&self) -> Vec<Value> {
        match self.ask("GET", "/requests", &Value::Null) {
            Value::Array(requests) => requests,
            other => panic!("no list of requests: {other}"),
        }
    }

    /// What its OpenAPI description said against the requests that it got: nothing, if all is well.
    pub fn violations(&self) -> Value {
        self.ask("GET", "/violations", &Value::Null)
    }

    /// Makes it answer the next request of a path (a regular expression) with a fault.
    pub fn fail(&self, fault: &Value) {
        self.ask("POST", "/faults", fault);
    }

    /// How many requests stand still, by faults with `hold`: `before` they are passed on, or `after` it and before their answer.
    pub fn held(&self) -> u64 {
        self.ask("GET", "/held", &Value::Null).as_u64().unwrap_or_default()
    }

    /// Lets what stands still go on.
    pub fn release(&self) {
        self.ask("POST", "/release", &Value::Null);
    }

    /// Takes back all faults.
    pub fn heal(&self) {
        self.ask("POST", "/heal", &Value::Null);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Where they are installed: beside the test's own program.
fn tools() -> PathBuf {
    let program = std::env::current_exe().expect("a test knows its own program");
    let found = program.ancestors().map(|folder| folder.join("tools/peers")).find(|folder| folder.join("installed").is_file());
    found.expect("the servers to test against are not installed: run `cargo xtask peers`")
}

/// Puts the scripts beside the packages that they import, in a folder that is named after what they say.
fn scripts(tools: &Path) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    SCRIPTS.hash(&mut hasher);
    let folder = tools.join(format!("scripts-{:016x}", hasher.finish()));
    if !folder.is_dir() {
        let half = tempfile::tempdir_in(tools).expect("a folder for the scripts can be made");
        for (name, text) in SCRIPTS {
            std::fs::write(half.path().join(name), text).expect("the scripts can be written");
        }
        // Another test may have been faster; what it wrote is the same.
        if std::fs::rename(half.path(), &folder).is_ok() {
            let _moved = half.keep();
        }
    }
    folder
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_dies_with_what_holds_its_lifeline() {
        let mut peer = Peer::oidc(&json!({"details": []}));
        let process = peer.child.id();
        assert!(peer.ask("GET", "/violations", &Value::Null).as_array().is_some_and(Vec::is_empty));
        // What a killed test leaves behind: no `drop`, only a closed pipe.
        let (lifeline, other) = (peer.child.stdin.take(), Command::new("true").stdin(Stdio::piped()).spawn().unwrap());
        assert!(lifeline.is_none(), "the lifeline is the one end of the pipe");
        let mut other = other;
        drop(std::mem::replace(&mut peer._lifeline, other.stdin.take().unwrap()));
        let ended = peer.child.wait().unwrap();
        assert!(ended.success(), "process {process} ended with {ended}");
        other.wait().unwrap();
    }

    #[test]
    fn githubs_own_description_judges_requests() {
        let peer = Peer::github(
            &json!({"repositories": [{"owner": "acme", "name": "infra", "private": true}], "permissions": {"contents": "write"}}),
        );
        let send = |request: &str| {
            let mut stream = TcpStream::connect(("127.0.0.1", peer.port())).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            answer
        };
        let token = peer.told("owner_token");
        let body = r#"{"ref":"refs/heads/x","sha":"da39a3ee","forced":true}"#;
        send(&format!(
            "POST /repos/acme/infra/git/refs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        assert!(
            send("GET /repos/acme/infra HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer nobody\r\nConnection: close\r\n\r\n")
                .contains(" 401 ")
        );
        send("GET /repos/acme HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        let violations = peer.violations().to_string();
        assert!(violations.contains("no such field: forced"), "{violations}");
        assert!(violations.contains("no such operation: get /repos/acme\""), "{violations}");
        assert_eq!(violations.matches("/repos/").count() - violations.matches("operation: ").count(), 2, "{violations}");
    }
}
