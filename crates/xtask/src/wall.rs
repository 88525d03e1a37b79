//! The wall: what the `keyblind` program must never be able to do.
//!
//! Two looks, from outside: at the dependency graph, and at the finished program. They are evidence; the defence itself
//! is what a process is allowed to do.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::process;

/// Packages (or beginnings of their names, with `*`) that open sockets, speak HTTP or TLS, hold a database or a cipher.
const FORBIDDEN: &[&str] = &[
    "tokio",
    "mio",
    "socket2",
    "async-std",
    "smol",
    "hyper*",
    "h2",
    "h3",
    "quinn*",
    "reqwest",
    "ureq",
    "curl*",
    "isahc",
    "attohttpc",
    "rustls*",
    "native-tls",
    "openssl*",
    "aws-lc*",
    "ring",
    "aws-*",
    "sqlx*",
    "rusqlite",
    "libsqlite3-sys",
    "postgres*",
    "tokio-postgres",
    "diesel*",
    "redis",
    "aes*",
    "chacha20*",
    "age",
    "orion",
    "secrecy",
    "tonic*",
    "axum*",
    "tungstenite",
    "git2",
    "libgit2-sys",
    "keyblind-broker",
    "keyblind-secret",
    "keyblind-store",
    "keyblind-web",
    "keyblind-mission",
];

/// Functions of the C library that a program without a network doesn't import.
const FORBIDDEN_IMPORTS: &[&str] = &[
    "socket",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    "sendto",
    "recvfrom",
    "sendmsg",
    "recvmsg",
    "getaddrinfo",
    "gethostbyname",
    "res_query",
];

pub(crate) fn run() -> Result<()> {
    check_graph()?;
    check_program()
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |beginning| name.starts_with(beginning))
}

/// Walks the normal dependencies of the `keyblind` package (build scripts and tests don't ship).
fn check_graph() -> Result<()> {
    println!("\n── the wall: dependency graph of `keyblind`");
    let text =
        process::output("cargo", &["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])?;
    let metadata: Value = serde_json::from_str(&text).context("`cargo metadata` printed no JSON")?;
    let empty = Vec::new();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let names: BTreeMap<String, String> = list(&metadata["packages"])
        .iter()
        .filter_map(|package| Some((package["id"].as_str()?.to_owned(), package["name"].as_str()?.to_owned())))
        .collect();
    let mut edges: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"]) {
        let normal =
            list(&node["deps"]).into_iter().filter(|dependency| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()));
        let targets = normal.filter_map(|dependency| Some(dependency["pkg"].as_str()?.to_owned())).collect();
        edges.insert(node["id"].as_str().unwrap_or_default().to_owned(), targets);
    }
    let start = names.iter().find(|(_, name)| *name == "keyblind").map(|(id, _)| id.clone()).context("there is no package `keyblind`")?;
    let mut via: BTreeMap<String, String> = BTreeMap::new();
    let mut seen = BTreeSet::from([start.clone()]);
    let mut open = vec![start];
    let mut broken = Vec::new();
    while let Some(id) = open.pop() {
        if let Some(pattern) = FORBIDDEN.iter().find(|pattern| matches(pattern, &names[&id])) {
            let mut path = vec![names[&id].clone()];
            let mut current = &id;
            while let Some(parent) = via.get(current) {
                path.push(names[parent].clone());
                current = parent;
            }
            path.reverse();
            broken.push(format!("{} (forbidden as `{pattern}`)", path.join(" → ")));
        }
        for next in edges.get(&id).unwrap_or(&empty) {
            if seen.insert(next.clone()) {
                via.insert(next.clone(), id.clone());
                open.push(next.clone());
            }
        }
    }
    println!("{} packages reachable, {} forbidden", seen.len(), broken.len());
    if broken.is_empty() { Ok(()) } else { bail!("`keyblind` must not link:\n  {}", broken.join("\n  ")) }
}

/// Looks at what the finished program imports.
fn check_program() -> Result<()> {
    process::run("cargo", &["build", "--release", "--locked", "--package", "keyblind"])?;
    let program = process::target().join("release/keyblind");
    println!("\n── the wall: imports of {}", program.display());
    let imports = process::output("nm", &["--dynamic", "--undefined-only", "--format=just-symbols", &program.to_string_lossy()])?;
    let found: Vec<&str> =
        imports.lines().map(|line| line.split('@').next().unwrap_or(line)).filter(|name| FORBIDDEN_IMPORTS.contains(name)).collect();
    println!("{} imports, {} forbidden", imports.lines().count(), found.len());
    if found.is_empty() { Ok(()) } else { bail!("the finished program imports {}", found.join(", ")) }
}
