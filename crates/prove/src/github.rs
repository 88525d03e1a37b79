//! A GitHub of one repository on loopback, whose every credential is a canary.
//!
//! It takes the App's word only with a signature of the App's key, gives out a token once, knows it until it is ended, and counts what
//! is done with it. Tests can interfere with each request: have it fail, or have something happen right before or after its effect.
//! What it can't show: how the real one reads permissions, its rate limits, its other hosts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use data_encoding::{BASE64, BASE64_MIME, BASE64URL_NOPAD, HEXLOWER};
use serde_json::{Value, json};

use crate::canary::Canary;
use crate::random;

/// The App's id.
pub const APP: u64 = 4242;
/// The App's slug.
pub const SLUG: &str = "keyblind-proof";
/// The repository's owner and name.
pub const REPOSITORY: &str = "acme/infra";
/// The file in it, which has a fault.
pub const FILE: &str = "main.tf";
/// What is in that file.
pub const CONTENTS: &str = "resource \"aws_db_instance\" \"shop\" {\n  engine              = \"mysql\"\n  publicly_accessible = true\n}\n";

/// What the canaries of tokens are called, before their numbers.
pub const TOKEN: &str = "installation token";
/// How long a token lives that nobody ends: an hour, as at GitHub.
const LIFE: Duration = Duration::from_secs(3_600);
/// The login of what was made with a token of the App.
const BOT: &str = "keyblind-proof[bot]";

/// A token that was given out.
struct Token {
    value: String,
    writes: bool,
    is_dead: bool,
    /// Unix milliseconds.
    expires: u64,
}

/// A request that somebody may interfere with.
pub struct Seen<'r> {
    /// How many there were until now, this one included.
    pub number: usize,
    /// Whether it has had its effect.
    pub is_done: bool,
    /// Its method and its path, without the first slash.
    pub request: &'r str,
    /// The credential that came with it.
    pub credential: &'r str,
}

/// What becomes of a request that somebody interferes with.
pub enum Fault {
    /// It is never answered.
    Silence,
    /// This is the answer, with these headers.
    Answer(u16, Vec<(&'static str, String)>, String),
}

/// Decides about each request, twice: before its effect and after it.
pub type Interference = Arc<dyn Fn(&Seen<'_>) -> Option<Fault> + Send + Sync>;

/// What is in the repository, and what was done.
#[derive(Default)]
struct Forge {
    tokens: Vec<Token>,
    /// By their hashes: blobs with their bytes, trees and commits as the interface shows them.
    blobs: BTreeMap<String, Vec<u8>>,
    trees: BTreeMap<String, Value>,
    commits: BTreeMap<String, Value>,
    heads: BTreeMap<String, String>,
    pulls: Vec<Value>,
    /// Requests that change something, in order.
    writes: Vec<String>,
    /// How many requests came.
    requests: usize,
    interference: Option<Interference>,
}

/// A running one.
#[derive(Clone)]
pub struct Github {
    forge: Arc<Mutex<Forge>>,
    key: Arc<KeyPair>,
    address: SocketAddr,
}

impl Github {
    /// Starts it on a free port of loopback.
    ///
    /// # Errors
    /// If it can't listen, or a key can't be made.
    pub async fn start() -> Result<Self> {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        let key = KeyPair::generate(KeySize::Rsa2048).context("a key can't be made")?;
        let github = Self { forge: Arc::default(), key: Arc::new(key), address: listener.local_addr()? };
        github.forge().fill();
        let service = Router::new().fallback(answer).with_state(github.clone());
        tokio::spawn(async move { axum::serve(listener, service).await });
        Ok(github)
    }

    fn forge(&self) -> MutexGuard<'_, Forge> {
        self.forge.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The App's private key, in PEM.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn key(&self) -> Result<String> {
        let der = self.der()?;
        Ok(format!("-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----\n", BASE64_MIME.encode(&der).replace("\r\n", "\n")))
    }

    fn der(&self) -> Result<Vec<u8>> {
        let der: Pkcs8V1Der<'_> = self.key.as_der().context("the key can't be written")?;
        Ok(der.as_ref().to_vec())
    }

    /// Every credential that it knows until now. Of the key, the part in which its secret numbers are.
    ///
    /// # Errors
    /// If the key can't be written.
    pub fn canaries(&self) -> Result<Vec<Canary>> {
        let der = self.der()?;
        // Header and modulus come first, and the modulus is public.
        let secret = der.get(320..der.len() - 16).context("the key is too short")?;
        let mut canaries = vec![Canary { name: "the App's private key".to_owned(), bytes: secret.to_vec() }];
        canaries.extend(
            self.forge()
                .tokens
                .iter()
                .enumerate()
                .map(|(number, token)| Canary { name: format!("{TOKEN} {}", number + 1), bytes: token.value.clone().into_bytes() }),
        );
        Ok(canaries)
    }

    /// How many tokens were given out, and how many of them live.
    #[must_use]
    pub fn tokens(&self) -> (usize, usize) {
        let forge = self.forge();
        (forge.tokens.len(), forge.tokens.iter().filter(|token| !token.is_dead).count())
    }

    /// When the tokens that live die by themselves, in Unix milliseconds.
    #[must_use]
    pub fn lives(&self) -> Vec<u64> {
        self.forge().tokens.iter().filter(|token| !token.is_dead).map(|token| token.expires).collect()
    }

    /// Lets somebody decide about each request from now on, or nobody.
    pub fn interfere(&self, interference: Option<Interference>) {
        self.forge().interference = interference;
    }

    /// How many requests came.
    #[must_use]
    pub fn requests(&self) -> usize {
        self.forge().requests
    }

    /// The branches that pull requests were opened from, in order.
    #[must_use]
    pub fn proposed(&self) -> Vec<String> {
        self.forge().pulls.iter().filter_map(|pull| pull["head"]["ref"].as_str().map(str::to_owned)).collect()
    }

    /// What becomes of a request now, if somebody interferes.
    fn fault(&self, number: usize, is_done: bool, request: &str, credential: &str) -> Option<Fault> {
        let interference = self.forge().interference.clone()?;
        interference(&Seen { number, is_done, request, credential })
    }

    /// Requests that changed something, in order.
    #[must_use]
    pub fn writes(&self) -> Vec<String> {
        self.forge().writes.clone()
    }

    /// How many pull requests there are.
    #[must_use]
    pub fn pulls(&self) -> usize {
        self.forge().pulls.len()
    }

    /// The commit at the head of the main branch.
    #[must_use]
    pub fn head(&self) -> String {
        self.forge().heads["main"].clone()
    }

    /// Whether the App's own key signed this word.
    fn is_app(&self, word: &str) -> bool {
        let Some((signed, signature)) = word.rsplit_once('.') else { return false };
        let Ok(signature) = BASE64URL_NOPAD.decode(signature.as_bytes()) else { return false };
        let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, self.key.public_key().as_ref());
        key.verify(signed.as_bytes(), &signature).is_ok()
    }
}

/// The hash of a git object.
fn object(kind: &str, bytes: &[u8]) -> String {
    let whole = [format!("{kind} {}\0", bytes.len()).as_bytes(), bytes].concat();
    HEXLOWER.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, &whole).as_ref())
}

impl Forge {
    fn fill(&mut self) {
        let blob = self.blob(CONTENTS.as_bytes().to_vec());
        let tree = self.tree(&[(FILE.to_owned(), "100644".to_owned(), blob)]);
        let commit = self.commit("Everything begins", &tree, &[], "alice");
        self.heads.insert("main".to_owned(), commit.clone());
        // Somebody's own pull request.
        self.heads.insert("pull/7/head".to_owned(), commit);
    }

    fn blob(&mut self, bytes: Vec<u8>) -> String {
        let hash = object("blob", &bytes);
        self.blobs.insert(hash.clone(), bytes);
        hash
    }

    /// A tree of files in one folder: path, mode, hash.
    fn tree(&mut self, files: &[(String, String, String)]) -> String {
        let mut bytes = Vec::new();
        let mut nodes = Vec::new();
        for (path, mode, hash) in files {
            bytes.extend_from_slice(format!("{mode} {path}\0").as_bytes());
            bytes.extend(HEXLOWER.decode(hash.as_bytes()).unwrap_or_default());
            let size = self.blobs.get(hash).map_or(0, Vec::len);
            nodes.push(json!({"path": path, "mode": mode, "type": "blob", "sha": hash, "size": size}));
        }
        let hash = object("tree", &bytes);
        self.trees.insert(hash.clone(), json!({"sha": hash, "tree": nodes, "truncated": false}));
        hash
    }

    fn commit(&mut self, message: &str, tree: &str, parents: &[String], author: &str) -> String {
        let number = self.commits.len();
        let hash = object("commit", format!("{message} {tree} {parents:?} {number}").as_bytes());
        let commit = json!({
            "sha": hash, "tree": {"sha": tree}, "message": message, "parents": parents,
            "author": {"login": author}, "committer": {"login": author},
        });
        self.commits.insert(hash.clone(), commit);
        hash
    }

    /// A commit and all before it, the nearest first.
    fn history(&self, head: &str) -> Vec<String> {
        let mut history = vec![head.to_owned()];
        let mut at = 0;
        while let Some(hash) = history.get(at).cloned() {
            let parents = self.commits.get(&hash).and_then(|commit| commit["parents"].as_array());
            for parent in parents.into_iter().flatten().filter_map(Value::as_str) {
                if !history.iter().any(|known| known == parent) {
                    history.push(parent.to_owned());
                }
            }
            at += 1;
        }
        history
    }

    fn compare(&self, base: &str, head: &str) -> Option<Value> {
        let (old, new) = (self.history(base), self.history(head));
        let ahead: Vec<&Value> = new.iter().filter(|hash| !old.contains(hash)).filter_map(|hash| self.commits.get(hash)).collect();
        let shared = new.iter().find(|hash| old.contains(hash))?;
        Some(json!({"total_commits": ahead.len(), "commits": ahead, "merge_base_commit": {"sha": shared}}))
    }

    /// The entries of a base tree with some of them put in.
    fn changed(&mut self, base: &str, nodes: &[Value]) -> Option<String> {
        let mut files: BTreeMap<String, (String, String)> = BTreeMap::new();
        for node in self.trees.get(base)?["tree"].as_array()?.iter().chain(nodes) {
            let text = |name: &str| node[name].as_str().map(str::to_owned);
            files.insert(text("path")?, (text("mode")?, text("sha")?));
        }
        let files: Vec<_> = files.into_iter().map(|(path, (mode, hash))| (path, mode, hash)).collect();
        Some(self.tree(&files))
    }

    fn give_token(&mut self, asked: &Value) -> Value {
        let value = format!("ghs_{}", random(27));
        let permissions = asked["permissions"].clone();
        let writes = permissions.as_object().is_some_and(|all| all.values().any(|level| level == "write"));
        // GitHub tells whole seconds.
        let expires = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() + LIFE.as_secs();
        self.tokens.push(Token { value: value.clone(), writes, is_dead: false, expires: expires * 1_000 });
        let is_selected = asked["repositories"].is_array();
        let mut given = json!({
            "token": value, "expires_at": rfc3339(expires), "permissions": permissions,
            "repository_selection": if is_selected { "selected" } else { "all" },
        });
        if is_selected {
            given["repositories"] = json!([{"full_name": REPOSITORY}]);
        }
        given
    }
}

/// A time as GitHub tells it (the civil calendar from days, as Howard Hinnant's "chrono-compatible low-level date algorithms" has it).
fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3_600, second / 60 % 60, second % 60)
}

async fn answer(State(github): State<Github>, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let credential = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let credential = credential.unwrap_or_default().to_owned();
    let bytes = axum::body::to_bytes(request.into_body(), 8 << 20).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let path = uri.path().trim_start_matches('/');
    let told = format!("{method} {path}");
    let number = {
        let mut forge = github.forge();
        forge.requests += 1;
        forge.requests
    };
    if let Some(fault) = github.fault(number, false, &told, &credential) {
        return faulty(fault).await;
    }
    let result = if path.starts_with("app/") || path.ends_with("/installation") {
        if github.is_app(&credential) { Ok(as_app(&mut github.forge(), path, &body)) } else { Err(()) }
    } else {
        let mut forge = github.forge();
        let found = forge.tokens.iter().position(|token| token.value == credential && !token.is_dead);
        match found {
            Some(token) if method == Method::GET || method == Method::DELETE || forge.tokens[token].writes => {
                Ok(with_token(&mut forge, token, &method, path, &body))
            }
            _ => Err(()),
        }
    };
    if let Some(fault) = github.fault(number, true, &told, &credential) {
        return faulty(fault).await;
    }
    match result {
        Ok(Some((status, value))) => (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(()) => StatusCode::UNAUTHORIZED.into_response(),
    }
}

async fn faulty(fault: Fault) -> Response {
    match fault {
        Fault::Silence => std::future::pending().await,
        Fault::Answer(status, headers, body) => {
            let mut response = (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body).into_response();
            for (name, value) in headers {
                response.headers_mut().extend(value.parse().ok().map(|value| (header::HeaderName::from_static(name), value)));
            }
            response
        }
    }
}

fn as_app(forge: &mut Forge, path: &str, body: &Value) -> Option<(StatusCode, Value)> {
    let installation = json!({"id": 1, "app_id": APP, "account": {"login": "acme"}});
    match path {
        "app/installations" => Some((StatusCode::OK, json!([installation]))),
        "app/installations/1/access_tokens" => Some((StatusCode::CREATED, forge.give_token(body))),
        _ if path == format!("repos/{REPOSITORY}/installation") => Some((StatusCode::OK, installation)),
        _ => None,
    }
}

fn with_token(forge: &mut Forge, token: usize, method: &Method, path: &str, body: &Value) -> Option<(StatusCode, Value)> {
    let (owner, name) = REPOSITORY.split_once('/')?;
    let described = json!({"name": name, "owner": {"login": owner}, "private": true, "default_branch": "main"});
    match (method, path) {
        (&Method::DELETE, "installation/token") => {
            forge.tokens[token].is_dead = true;
            return Some((StatusCode::NO_CONTENT, Value::Null));
        }
        (&Method::GET, "installation/repositories") => return Some((StatusCode::OK, json!({"repositories": [described]}))),
        _ => {}
    }
    let inside = path.strip_prefix("repos/")?.strip_prefix(REPOSITORY)?.trim_start_matches('/');
    if *method == Method::GET {
        return Some((StatusCode::OK, read(forge, inside, described)?));
    }
    forge.writes.push(format!("{method} {inside}"));
    if *method == Method::PATCH { rewrite(forge, inside, body) } else { write(forge, inside, body) }
}

fn read(forge: &Forge, inside: &str, described: Value) -> Option<Value> {
    let reference = |head: &String| json!({"object": {"sha": head, "type": "commit"}});
    match inside.split_once("git/").map_or(("", inside), |(_, rest)| rest.split_once('/').unwrap_or(("", rest))) {
        ("", "") => Some(described),
        ("", "pulls") => Some(Value::Array(forge.pulls.clone())),
        ("", range) if range.starts_with("compare/") => {
            let (base, head) = range.strip_prefix("compare/")?.split_once("...")?;
            forge.compare(base, head)
        }
        ("ref", name) => forge.heads.get(name.strip_prefix("heads/").unwrap_or(name)).map(reference),
        ("commits", hash) => forge.commits.get(hash).cloned(),
        ("trees", hash) => forge.trees.get(hash).cloned(),
        ("blobs", hash) => forge.blobs.get(hash).map(|bytes| json!({"content": BASE64.encode(bytes), "encoding": "base64"})),
        _ => None,
    }
}

fn write(forge: &mut Forge, inside: &str, body: &Value) -> Option<(StatusCode, Value)> {
    let made = |hash: String| Some((StatusCode::CREATED, json!({"sha": hash})));
    match inside {
        "git/blobs" => made(forge.blob(BASE64.decode(body["content"].as_str()?.as_bytes()).ok()?)),
        "git/trees" => made(forge.changed(body["base_tree"].as_str()?, body["tree"].as_array()?)?),
        "git/commits" => {
            let parents = body["parents"].as_array()?.iter().filter_map(|parent| parent.as_str().map(str::to_owned)).collect::<Vec<_>>();
            made(forge.commit(body["message"].as_str()?, body["tree"].as_str()?, &parents, BOT))
        }
        "git/refs" => {
            let name = body["ref"].as_str()?.strip_prefix("refs/heads/")?.to_owned();
            if forge.heads.contains_key(&name) {
                return refused("Reference already exists");
            }
            forge.heads.insert(name, body["sha"].as_str()?.to_owned());
            Some((StatusCode::CREATED, json!({})))
        }
        "pulls" => {
            if forge.pulls.iter().any(|pull| pull["head"]["ref"] == body["head"] && pull["base"]["ref"] == body["base"]) {
                return refused("A pull request already exists");
            }
            let number = forge.pulls.len() + 1;
            forge.pulls.push(json!({
                "number": number, "title": body["title"], "body": body["body"], "state": "open", "merged_at": null,
                "head": {"ref": body["head"]}, "base": {"ref": body["base"]},
            }));
            Some((StatusCode::CREATED, json!({"number": number})))
        }
        _ => None,
    }
}

/// What changes something that is there: our branch moves forward, our pull request gets another text.
fn rewrite(forge: &mut Forge, inside: &str, body: &Value) -> Option<(StatusCode, Value)> {
    if let Some(name) = inside.strip_prefix("git/refs/heads/") {
        let (to, from) = (body["sha"].as_str()?.to_owned(), forge.heads.get(name)?);
        if !forge.history(&to).contains(from) {
            return refused("Update is not a fast forward");
        }
        forge.heads.insert(name.to_owned(), to);
        return Some((StatusCode::OK, json!({})));
    }
    let number: u64 = inside.strip_prefix("pulls/")?.parse().ok()?;
    let pull = forge.pulls.iter_mut().find(|pull| pull["number"].as_u64() == Some(number))?;
    for field in ["title", "body"] {
        pull[field] = body[field].clone();
    }
    Some((StatusCode::OK, json!({"number": number})))
}

/// What GitHub says of a request that it understands and doesn't follow.
fn refused(why: &str) -> Option<(StatusCode, Value)> {
    Some((StatusCode::UNPROCESSABLE_ENTITY, json!({"message": why})))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_the_calendar_has_them() {
        for (seconds, told) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(seconds), told);
        }
    }
}
