//! The finished server with the finished scanner.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod brokered;
mod browsing;
// What the browser's other tests don't need here.
#[allow(dead_code, reason = "the broker's pages open tabs, these don't")]
#[path = "../../../broker/tests/door/chromium.rs"]
mod chromium;
mod started;

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyblind_testkit::{Folder, Outcome, Postgres, Program};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_keyblind-server");

/// The scanner, which `cargo test --workspace` builds beside the server.
pub(crate) fn scanner() -> PathBuf {
    let scanner = Path::new(PROGRAM).with_file_name("keyblind");
    assert!(scanner.is_file(), "`keyblind` isn't built: run `cargo xtask test`");
    scanner
}

const TREE: [(&str, &str); 2] = [
    (
        "shop/main.tf",
        "resource \"aws_s3_bucket\" \"logs\" {\n  bucket = \"logs\"\n}\n\nresource \"aws_s3_bucket_acl\" \"logs\" {\n  bucket = aws_s3_bucket.logs.id\n  acl    = \"public-read\"\n}\n",
    ),
    ("secret/main.tf", ""),
];

struct World {
    folder: Folder,
    address: String,
}

impl World {
    fn new(database: Option<&Postgres>) -> Self {
        let folder = Folder::new(TREE);
        let address = database.map_or_else(|| folder.path().join("server.db").display().to_string(), Postgres::address);
        let allowed = folder.path().join("shop");
        // A kernel without Landlock can't require it; the scanner's own tests say what is enforced.
        let text = format!("[scan]\nprogram = {:?}\nallowed = [{allowed:?}]\nsandbox = \"available\"\n", scanner());
        folder.write("server.toml", text);
        Self { folder, address }
    }

    fn ask(&self, arguments: &[&str]) -> Outcome {
        let configuration = self.folder.path().join("server.toml").display().to_string();
        let program = Program::new(PROGRAM).with(["--config", &configuration]).with(arguments.iter().copied());
        program.within(self.folder.path()).variable("KEYBLIND_DATABASE_URL", &self.address).run()
    }

    fn runner(&self) -> Running {
        let mut runner = Command::new(PROGRAM);
        runner.args(["runner", "--config"]).arg(self.folder.path().join("server.toml")).env_clear();
        runner.env("KEYBLIND_DATABASE_URL", &self.address).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut runner = runner.spawn().unwrap();
        let mut said = String::new();
        BufReader::new(runner.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "keyblind-server: ready\n");
        Running(runner)
    }
}

/// A runner, which is gone with its test however that ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn end(mut runner: Running) {
    rustix::process::kill_process(rustix::process::Pid::from_child(&runner.0), rustix::process::Signal::TERM).unwrap();
    assert!(runner.0.wait().unwrap().success());
}

fn a_folder_is_scanned_and_its_report_is_there(world: &World) {
    let runner = world.runner();
    let scan = world.ask(&["mission", "scan", "shop", "--wait"]);
    assert_eq!(scan.code, Some(0), "{}{}", scan.output, scan.errors);
    let id = scan.output.split_whitespace().next().unwrap().to_owned();
    for wanted in ["scan begins", "2 resources: 0 critical, 1 high", "proven fixes: ", "the report is ready", "Z  done"] {
        assert!(scan.output.contains(wanted), "{wanted}: {}", scan.output);
    }
    let report: serde_json::Value = serde_json::from_str(&world.ask(&["mission", "document", &id]).output).unwrap();
    let fixed = report["results"]
        .as_array()
        .unwrap()
        .iter()
        .any(|result| result["rule"] == "s3-bucket-acl-public-read" && result["fix"].is_object());
    assert!(fixed, "{report}");
    assert!(world.ask(&["mission", "document", &id, "report.html"]).output.to_lowercase().starts_with("<!doctype html>"));
    assert!(world.ask(&["mission", "list"]).output.contains(&format!("{id}  ")));
    let stored = world.ask(&["mission", "inspect", &id]).output;
    for table in ["missions\n", "mission_events\n", "audit\n", "documents\n"] {
        assert!(stored.contains(table), "{table}: {stored}");
    }
    end(runner);
}

#[test]
fn a_folder_is_scanned_on_sqlite() {
    a_folder_is_scanned_and_its_report_is_there(&World::new(None));
}

#[test]
fn a_folder_is_scanned_on_postgres() {
    let server = Postgres::start();
    a_folder_is_scanned_and_its_report_is_there(&World::new(Some(&server)));
}

#[test]
fn nothing_above_the_allowed_folder_is_read() {
    let world = World::new(None);
    // The repository begins above, and a module lies beside what is allowed.
    world.folder.write(".git/HEAD", "ref: refs/heads/main\n");
    world.folder.write("shop/module.tf", "module \"beside\" {\n  source = \"../secret\"\n}\n");
    world
        .folder
        .write("secret/main.tf", "resource \"aws_s3_bucket_acl\" \"beside\" {\n  bucket = \"b\"\n  acl    = \"public-read-write\"\n}\n");
    let runner = world.runner();
    let scan = world.ask(&["mission", "scan", "shop", "--wait"]);
    assert_eq!(scan.code, Some(0), "{}{}", scan.output, scan.errors);
    let id = scan.output.split_whitespace().next().unwrap().to_owned();
    let report = world.ask(&["mission", "document", &id]).output;
    assert!(report.contains("aws_s3_bucket_acl.logs") && !report.contains("aws_s3_bucket_acl.beside"), "{report}");
    end(runner);
}

#[test]
fn what_a_killed_runner_began_another_ends() {
    let world = World::new(None);
    let begun = world.ask(&["mission", "scan", "shop", "--idempotency-key", "k1"]);
    let id = begun.output.trim().to_owned();
    assert_eq!(world.ask(&["mission", "scan", "shop", "--idempotency-key", "k1"]).output.trim(), id, "asked twice, begun once");
    let first = world.runner();
    let asked = Instant::now();
    while !world.ask(&["mission", "show", &id]).output.contains("scan begins") {
        assert!(asked.elapsed() < Duration::from_secs(60), "nobody takes it");
    }
    drop(first);
    let second = world.runner();
    // What the first one held is free after half a minute.
    let shown = world.ask(&["mission", "show", &id, "--follow"]);
    assert_eq!(shown.code, Some(0), "{}", shown.output);
    assert_eq!(shown.output.matches("Z  done").count(), 1, "{}", shown.output);
    end(second);
}

#[test]
fn what_is_wrong_is_said_with_its_mend() {
    let world = World::new(None);
    let refused = world.ask(&["mission", "scan", "secret"]);
    assert_eq!(refused.code, Some(2));
    assert!(refused.errors.contains("isn't a folder that may be scanned here: name the folder"), "{}", refused.errors);
    let unknown = world.ask(&["mission", "show", "aaaaaaaaaaaaaaaaaaaaaaaaaa"]);
    assert_eq!(
        (unknown.code, unknown.errors.as_str()),
        (Some(2), "keyblind-server: error: there is no mission aaaaaaaaaaaaaaaaaaaaaaaaaa\n")
    );
    let other = world.ask(&["mission", "scan", "shop", "--idempotency-key", "k"]);
    assert_eq!(other.code, Some(0), "{}", other.errors);
    for (text, wanted) in
        [("[scan]\nprogram = \"bin/keyblind\"\n", "`bin/keyblind` should be an absolute path"), ("[runner]\nowner = 0\n", "a limit of 0")]
    {
        world.folder.write("server.toml", text);
        let refused = world.ask(&["config"]);
        assert!(refused.code == Some(2) && refused.errors.contains(wanted), "{}", refused.errors);
    }
    world.folder.write("server.toml", "[scan]\nallow = []\n");
    let wrong = world.ask(&["config"]);
    assert_eq!(wrong.code, Some(2));
    assert!(wrong.errors.contains("server.toml:2:1: unknown field `allow`"), "{}", wrong.errors);
}

#[test]
fn the_databases_password_is_nowhere() {
    let world = World { address: "postgres://keyblind:hunter2@localhost:1/none".to_owned(), ..World::new(None) };
    let shown = world.ask(&["config"]);
    assert_eq!(shown.code, Some(0));
    let failed = world.ask(&["mission", "list"]);
    assert_eq!(failed.code, Some(4));
    for said in [&shown.output, &shown.errors, &failed.output, &failed.errors] {
        assert!(!said.contains("hunter2"), "{said}");
    }
}
