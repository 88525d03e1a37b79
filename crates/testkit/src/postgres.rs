//! The real server of Postgres, for one test program: its own data, no network, gone with the test.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The server doesn't run as root; this is Debian's `nobody`.
const NOBODY: u32 = 65_534;
/// A fresh cluster takes a second or two on a busy machine a good deal more.
const PATIENCE: Duration = Duration::from_secs(120);

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    server: Option<Child>,
}

impl Postgres {
    /// Makes a cluster and starts the server: on a Unix socket in its own folder only, as an ordinary user.
    ///
    /// # Panics
    /// If there is no server on the machine, or it can't be started: the test can't go on.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("keyblind-postgres").tempdir().expect("a temporary folder can be made");
        if is_root() {
            std::os::unix::fs::chown(folder.path(), Some(NOBODY), Some(NOBODY)).expect("root gives folders away");
        }
        let mut started = Self { programs: programs(), folder, server: None };
        let data = started.data();
        let made = started
            .program("initdb")
            .args(["--auth=trust", "--username=keyblind", "--encoding=UTF8", "--no-locale", "--no-sync", "--pgdata"])
            .arg(&data)
            .output()
            .expect("initdb can be started");
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        started.begin();
        started
    }

    /// Its address.
    pub fn address(&self) -> String {
        format!("postgres://keyblind@localhost/postgres?host={}", self.folder.path().display())
    }

    /// Stops the server as a power cut does, and starts it again on the same data.
    ///
    /// # Panics
    /// If it doesn't come back.
    pub fn restart(&mut self) {
        self.end();
        self.begin();
    }

    fn begin(&mut self) {
        let begun = Instant::now();
        self.server = Some(self.serve());
        while !self.program("pg_isready").args(["--quiet", "--host"]).arg(self.folder.path()).status().expect("pg_isready runs").success() {
            assert!(begun.elapsed() < PATIENCE, "the server isn't ready");
            // After a power cut it refuses to start until the old one's other processes have noticed.
            if self.server.as_mut().is_some_and(|server| server.try_wait().expect("a child can be asked").is_some()) {
                self.server = Some(self.serve());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn serve(&self) -> Child {
        let mut command = self.program("postgres");
        command.args(["-c", "listen_addresses=", "-c", "max_connections=200", "-D"]).arg(self.data()).arg("-k").arg(self.folder.path());
        command.spawn().expect("the server can be started")
    }

    fn end(&mut self) {
        if let Some(mut server) = self.server.take() {
            // Its other processes see that it is gone, and end; the lock file names a process that isn't there any more.
            let _ = server.kill();
            let _ = server.wait();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.join(name));
        command.env_clear().env("LC_ALL", "C").current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        if name == "initdb" {
            command.stderr(Stdio::piped());
        }
        if is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.end();
    }
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// Debian keeps the server's programs beside the path.
fn programs() -> PathBuf {
    let mut versions: Vec<PathBuf> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|version| version.path().join("bin"))
        .filter(|folder| folder.join("postgres").is_file())
        .collect();
    versions.sort();
    let found = versions.pop().or_else(|| {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path).find(|folder: &PathBuf| Path::new(folder).join("postgres").is_file())
    });
    found.expect("Postgres is on the machine (Debian: apt-get install postgresql); `cargo xtask test` installs it")
}
