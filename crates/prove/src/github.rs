//! A GitHub of one repository on loopback, whose every credential is a canary.
//!
//! It takes the App's word only with a signature of the App's key, gives out a token once, knows it until it is ended, and counts what
//! is done with it. What it can't show: how the real one reads permissions, its rate limits, its other hosts.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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

/// A token that was given out.
struct Token {
    value: String,
    writes: bool,
    is_dead: bool,
}

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
            self.forge().tokens.iter().enumerate().map(|(number, token)| Canary {
                name: format!("installation token {}", number + 1),
                bytes: token.value.clone().into_bytes(),
            }),
        );
        Ok(canaries)
    }

    /// How many tokens were given out, and how many of them live.
    #[must_use]
    pub fn tokens(&self) -> (usize, usize) {
        let forge = self.forge();
        (forge.tokens.len(), forge.tokens.iter().filter(|token| !token.is_dead).count())
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
        let commit = self.commit("Everything begins", &tree, &[]);
        self.heads.insert("main".to_owned(), commit);
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

    fn commit(&mut self, message: &str, tree: &str, parents: &[String]) -> String {
        let number = self.commits.len();
        let hash = object("commit", format!("{message} {tree} {parents:?} {number}").as_bytes());
        self.commits.insert(hash.clone(), json!({"sha": hash, "tree": {"sha": tree}, "message": message, "parents": parents}));
        hash
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
        self.tokens.push(Token { value: value.clone(), writes, is_dead: false });
        let is_selected = asked["repositories"].is_array();
        json!({
            "token": value, "expires_at": "2099-01-01T00:00:00Z", "permissions": permissions,
            "repository_selection": if is_selected { "selected" } else { "all" },
            "repositories": if is_selected { json!([{"full_name": REPOSITORY}]) } else { Value::Null },
        })
    }
}

async fn answer(State(github): State<Github>, request: Request) -> Response {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let credential = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let credential = credential.unwrap_or_default().to_owned();
    let bytes = axum::body::to_bytes(request.into_body(), 8 << 20).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let path = uri.path().trim_start_matches('/');
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
    match result {
        Ok(Some((status, value))) => (status, [(header::CONTENT_TYPE, "application/json")], value.to_string()).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(()) => StatusCode::UNAUTHORIZED.into_response(),
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
    write(forge, inside, body)
}

fn read(forge: &Forge, inside: &str, described: Value) -> Option<Value> {
    let reference = |head: &String| json!({"object": {"sha": head, "type": "commit"}});
    match inside.split_once("git/").map_or(("", inside), |(_, rest)| rest.split_once('/').unwrap_or(("", rest))) {
        ("", "") => Some(described),
        ("", "pulls") => Some(Value::Array(forge.pulls.clone())),
        ("ref", name) => forge.heads.get(name.strip_prefix("heads/")?).map(reference),
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
            made(forge.commit(body["message"].as_str()?, body["tree"].as_str()?, &parents))
        }
        "git/refs" => {
            let name = body["ref"].as_str()?.strip_prefix("refs/heads/")?.to_owned();
            forge.heads.insert(name, body["sha"].as_str()?.to_owned());
            Some((StatusCode::CREATED, json!({})))
        }
        "pulls" => {
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
