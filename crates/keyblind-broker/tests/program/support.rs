//! A broker in folders of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_keyblind-broker");

pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    /// What stands in the configuration beside state, socket and peers.
    pub(crate) more: String,
    /// What whoever asks without a token is.
    pub(crate) role: &'static str,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::Builder::new().permissions(std::fs::Permissions::from_mode(0o700)).tempdir().unwrap();
        Self { folder, more: String::new(), role: "person" }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket/broker.sock")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// With a person and, where a token is shown, a runner, both running as this test's user.
    pub(crate) fn configured(&self) -> PathBuf {
        let path = self.folder.path().join("broker.toml");
        let user = rustix::process::geteuid().as_raw();
        let text = format!(
            "state = {:?}\n[socket]\npath = {:?}\n\
             [[peer]]\nuser = {user}\ntenant = \"octo\"\nsubject = \"local:alice\"\nrole = {:?}\n\
             [[peer]]\nuser = {user}\ntenant = \"octo\"\nsubject = \"runner\"\nrole = \"runner\"\none-time-token = true\n{}",
            self.state(),
            self.socket(),
            self.role,
            self.more,
        );
        std::fs::write(&path, text).unwrap();
        path
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(PROGRAM);
        command.arg("--config").arg(self.configured()).args(arguments).env_clear().env("HOME", self.folder.path());
        command
    }

    pub(crate) fn ask(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub(crate) fn start(&self) -> Running {
        let mut child = self.command(&["run"]).stderr(Stdio::piped()).spawn().unwrap();
        let mut errors = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("listening at") {
            let before = said.len();
            errors.read_line(&mut said).unwrap();
            assert!(said.len() > before, "it ended before it listened: {said}");
        }
        Running { child, errors, said }
    }
}

pub(crate) struct Running {
    pub(crate) child: Child,
    errors: BufReader<std::process::ChildStderr>,
    /// What it said until it listened.
    pub(crate) said: String,
}

impl Running {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it as a service manager does. Says what it said meanwhile.
    pub(crate) fn terminate(mut self) -> (Option<i32>, String) {
        self.signal(Signal::TERM);
        let mut said = String::new();
        self.errors.read_to_string(&mut said).unwrap();
        (self.child.wait().unwrap().code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Waits until something is so, and fails if it never is.
pub(crate) fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < end, "{what} never came true");
        std::thread::sleep(Duration::from_millis(10));
    }
}
