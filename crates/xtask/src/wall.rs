//! The wall: what each program must never be able to do.
//!
//! Looks from outside: at the dependency graph, at the features of what is linked, and at the finished program. They are
//! evidence; the defence itself is what a process is allowed to do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::process;

/// A program, and what it is made of.
struct Program {
    package: &'static str,
    /// The finished file.
    file: &'static str,
    /// Packages of this repository that it may link; no other.
    own: &'static [&'static str],
    /// Packages of others (or beginnings of their names, with `*`) that it must not link.
    forbidden: &'static [&'static str],
    /// Features of packages that would bring what is forbidden by another door.
    features: &'static [(&'static str, &'static str)],
    /// Functions of the C library that it must not import.
    imports: &'static [&'static str],
    /// Texts that are in the finished program if what it must not link is, and those that show that texts can be found in it.
    texts: Texts,
}

struct Texts {
    absent: &'static [&'static str],
    present: &'static [&'static str],
}

/// A text of the rules that are compiled in.
const RULE_TEXT: &str = "s3-bucket-acl-public-read";
/// A text of the sealed store, from which its keys are derived.
const VAULT_TEXT: &str = "keyblind vault v1";

const PROGRAMS: &[Program] = &[
    // The blind side: the command line, and the leaf that reads hostile text.
    Program {
        package: "keyblind",
        file: "keyblind",
        own: &[
            "keyblind",
            "keyblind-syntax",
            "keyblind-resource",
            "keyblind-dialects",
            "keyblind-rule-language",
            "keyblind-rules",
            "keyblind-scan",
            "keyblind-explain",
            "keyblind-roles",
            "keyblind-fix",
            "keyblind-git",
            "keyblind-report",
            "keyblind-intent",
            "keyblind-ledger",
            "keyblind-harden",
        ],
        forbidden: NETWORK_AND_SECRETS,
        features: &[("rustix", "net"), ("rustix", "io_uring"), ("nix", "socket"), ("nix", "net")],
        imports: SOCKETS,
        texts: Texts { absent: &[VAULT_TEXT], present: &[RULE_TEXT] },
    },
    // The side that holds credentials: it parses no infrastructure code and starts no program.
    Program {
        package: "keyblind-broker-program",
        file: "keyblind-broker",
        own: &[
            "keyblind-broker-program",
            "keyblind-broker",
            "keyblind-client",
            "keyblind-secret",
            "keyblind-ledger",
            "keyblind-intent",
            "keyblind-harden",
        ],
        forbidden: &["openssl*", "native-tls", "curl*", "git2", "libgit2-sys", "isahc", "ureq", "attohttpc"],
        features: &[("tokio", "process")],
        imports: &["system", "popen", "wordexp", "execvp", "execlp"],
        texts: Texts { absent: &[RULE_TEXT], present: &[] },
    },
    // The side that people see: it has the application's database, and no credential of a provider.
    Program {
        package: "keyblind-server",
        file: "keyblind-server",
        own: &["keyblind-server", "keyblind-web", "keyblind-mission", "keyblind-store", "keyblind-client", "keyblind-intent"],
        forbidden: CLIENTS_AND_VAULTS,
        // The libraries that serve pages could ask for some, too.
        features: &[("hyper", "client"), ("hyper-util", "client"), ("hyper-util", "client-legacy")],
        imports: &["system", "popen", "wordexp"],
        texts: Texts { absent: &[RULE_TEXT, VAULT_TEXT], present: &[] },
    },
];

/// What asks others over HTTP, or works with a provider's credentials.
const CLIENTS_AND_VAULTS: &[&str] = &[
    "reqwest",
    "ureq",
    "curl*",
    "isahc",
    "attohttpc",
    "hyper-rustls",
    "native-tls",
    "openssl*",
    "aws-config",
    "aws-sdk*",
    "aws-sigv4",
    "octocrab",
    "git2",
    "libgit2-sys",
    "tonic*",
    "rusqlite",
];

/// What opens sockets, speaks HTTP or TLS, holds a database or a cipher.
const NETWORK_AND_SECRETS: &[&str] = &[
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
    "keyblind-client",
    "keyblind-secret",
    "keyblind-store",
    "keyblind-web",
    "keyblind-mission",
];

/// Functions of the C library that a program without a network doesn't import.
const SOCKETS: &[&str] = &[
    "socket",
    "socketpair",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    "send",
    "sendto",
    "sendmsg",
    "recv",
    "recvfrom",
    "recvmsg",
    "getaddrinfo",
    "gethostbyname",
    "res_query",
];

pub(crate) fn run() -> Result<()> {
    let text =
        process::output("cargo", &["metadata", "--format-version", "1", "--locked", "--filter-platform", "x86_64-unknown-linux-gnu"])?;
    let metadata: Value = serde_json::from_str(&text).context("`cargo metadata` printed no JSON")?;
    let graph = Graph::of(&metadata);
    for program in PROGRAMS {
        println!("\n── the wall: what `{}` is made of", program.file);
        let (reachable, broken) = graph.look(program)?;
        println!("{reachable} packages reachable, {} forbidden", broken.len());
        ensure!(broken.is_empty(), "`{}` must not link:\n  {}", program.file, broken.join("\n  "));
        check_features(program)?;
        check_program(program)?;
    }
    Ok(())
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |beginning| name.starts_with(beginning))
}

/// Which package links which: normal dependencies only, since build scripts and tests don't ship.
struct Graph {
    names: BTreeMap<String, String>,
    own: BTreeSet<String>,
    edges: BTreeMap<String, Vec<String>>,
}

impl Graph {
    fn of(metadata: &Value) -> Self {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let mut edges = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let is_normal = |dependency: &Value| list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null());
            let targets = list(&node["deps"]).iter().filter(|dependency| is_normal(dependency)).filter_map(|it| text(&it["pkg"])).collect();
            edges.insert(text(&node["id"]).unwrap_or_default(), targets);
        }
        let names = list(&metadata["packages"]).iter().filter_map(|it| Some((text(&it["id"])?, text(&it["name"])?))).collect();
        Self { names, own: list(&metadata["workspace_members"]).iter().filter_map(text).collect(), edges }
    }

    /// How many packages a program is made of, and the way to each that it must not link.
    fn look(&self, program: &Program) -> Result<(usize, Vec<String>)> {
        let start = self.names.iter().find(|(_, name)| *name == program.package).map(|(id, _)| id.clone());
        let start = start.with_context(|| format!("there is no package `{}`", program.package))?;
        let mut via: BTreeMap<&str, &str> = BTreeMap::new();
        let mut seen = BTreeSet::from([start.as_str()]);
        let mut open = vec![start.as_str()];
        let mut broken = Vec::new();
        while let Some(id) = open.pop() {
            let name = &self.names[id];
            let pattern = program.forbidden.iter().find(|pattern| matches(pattern, name)).map(|pattern| format!("as `{pattern}`"));
            let is_foreign = self.own.contains(id) && !program.own.contains(&name.as_str());
            if let Some(reason) = pattern.or(is_foreign.then(|| "it is another program's".to_owned())) {
                let way: Vec<&str> = std::iter::successors(Some(id), |id| via.get(id).copied()).map(|id| self.names[id].as_str()).collect();
                broken.push(format!("{} (forbidden: {reason})", way.into_iter().rev().collect::<Vec<_>>().join(" → ")));
            }
            for next in self.edges.get(id).into_iter().flatten() {
                if seen.insert(next) {
                    via.insert(next, id);
                    open.push(next);
                }
            }
        }
        Ok((seen.len(), broken))
    }
}

/// Looks at the features with which a program's packages are built when it is built by itself.
fn check_features(program: &Program) -> Result<()> {
    let target = "x86_64-unknown-linux-gnu";
    let arguments = [
        "tree",
        "--locked",
        "--package",
        program.package,
        "--edges",
        "normal",
        "--target",
        target,
        "--prefix",
        "none",
        "--format",
        "{p}\t{f}",
    ];
    let tree = process::output("cargo", &arguments)?;
    let broken = forbidden_features(&tree, program);
    ensure!(broken.is_empty(), "`{}` must not be built with: {}", program.file, broken.join(", "));
    Ok(())
}

fn forbidden_features(tree: &str, program: &Program) -> Vec<String> {
    let mut broken = BTreeSet::new();
    for line in tree.lines() {
        let (package, features) = line.split_once('\t').unwrap_or((line, ""));
        let name = package.split(' ').next().unwrap_or_default();
        let features: BTreeSet<&str> = features.trim_end_matches(" (*)").split(',').collect();
        let found = program.features.iter().filter(|(package, feature)| *package == name && features.contains(feature));
        broken.extend(found.map(|(package, feature)| format!("{package}/{feature}")));
    }
    broken.into_iter().collect()
}

/// Looks at what the finished program imports and holds.
fn check_program(program: &Program) -> Result<()> {
    process::run("cargo", &["build", "--release", "--locked", "--package", program.package])?;
    let file = process::target().join("release").join(program.file);
    println!("\n── the wall: {}", file.display());
    let imports = process::output("nm", &["--dynamic", "--undefined-only", "--format=just-symbols", &file.to_string_lossy()])?;
    let names: BTreeSet<&str> = imports.lines().map(|line| line.split('@').next().unwrap_or(line)).collect();
    ensure!(names.contains("read") || names.contains("write"), "{} shows no imports: the look at it means nothing", file.display());
    let found: Vec<&str> = program.imports.iter().copied().filter(|name| names.contains(name)).collect();
    println!("{} imports, {} forbidden", names.len(), found.len());
    ensure!(found.is_empty(), "the finished program imports {}", found.join(", "));
    check_texts(program, &file)
}

fn check_texts(program: &Program, file: &Path) -> Result<()> {
    let bytes = std::fs::read(file).with_context(|| format!("{} can't be read", file.display()))?;
    let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
    for text in program.texts.present {
        ensure!(holds(text), "{} doesn't hold `{text}`: the look for texts means nothing", file.display());
    }
    match program.texts.absent.iter().find(|text| holds(text)) {
        Some(text) => bail!("{} holds `{text}`: it links what it must not", file.display()),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyblind() -> &'static Program {
        &PROGRAMS[0]
    }

    /// A graph of `keyblind` with some packages behind it, each linked by the one before.
    fn graph(chain: &[&str], kind: Value) -> Graph {
        let names: Vec<&str> = ["keyblind"].into_iter().chain(chain.iter().copied()).collect();
        let packages: Vec<Value> = names.iter().map(|name| serde_json::json!({ "id": name, "name": name })).collect();
        let dependency = |next: &&str| serde_json::json!([{ "pkg": next, "dep_kinds": [{ "kind": kind }] }]);
        let node = |(at, name): (usize, &&str)| serde_json::json!({ "id": name, "deps": names.get(at + 1).map_or(serde_json::json!([]), dependency) });
        let nodes: Vec<Value> = names.iter().enumerate().map(node).collect();
        let members: Vec<&&str> = names.iter().filter(|name| name.starts_with("keyblind")).collect();
        Graph::of(&serde_json::json!({ "packages": packages, "workspace_members": members, "resolve": { "nodes": nodes } }))
    }

    #[test]
    fn what_must_not_be_linked_is_found_with_the_way_to_it() {
        let (count, broken) = graph(&["keyblind-scan", "innocent", "hyper-util"], Value::Null).look(keyblind()).unwrap();
        assert_eq!((count, broken), (4, vec!["keyblind → keyblind-scan → innocent → hyper-util (forbidden: as `hyper*`)".to_owned()]));
        let (_, broken) = graph(&["keyblind-scan", "keyblind-testkit"], Value::Null).look(keyblind()).unwrap();
        assert_eq!(broken, ["keyblind → keyblind-scan → keyblind-testkit (forbidden: it is another program's)"]);
    }

    #[test]
    fn what_only_builds_or_tests_is_no_part_of_a_program() {
        let (count, broken) = graph(&["tokio"], Value::from("dev")).look(keyblind()).unwrap();
        assert_eq!((count, broken.len()), (1, 0));
        assert!(graph(&["keyblind-harden"], Value::Null).look(keyblind()).unwrap().1.is_empty());
    }

    #[test]
    fn a_feature_that_opens_sockets_is_found() {
        let tree = "keyblind v0.1.0 (/x)\t\nrustix v1.1.6\tfs,net,std\nrustix v1.1.6\tfs,net,std (*)\nother v1.0.0\tnet\n";
        assert_eq!(forbidden_features(tree, keyblind()), ["rustix/net"]);
        assert!(forbidden_features("rustix v1.1.6\tfs,std\n", keyblind()).is_empty());
    }
}
