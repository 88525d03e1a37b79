//! A user's session with a keyring: the bus (`dbus-daemon`) and GNOME's keyring, as Debian has them, in a folder of their own.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What unlocks the keyring.
const PASSWORD: &[u8] = b"the password of a desktop";
/// How long a busy machine may take to start them.
const PATIENCE: Duration = Duration::from_secs(60);

/// A session's bus, and the keyring on it while there is one.
#[derive(Debug)]
pub struct KeyringSession {
    folder: TempDir,
    bus: Child,
    // Its end tells the shell around the bus that the test is gone, however the test went; the keyring ends with the bus.
    lifeline: Option<ChildStdin>,
    keyring: Option<Child>,
}

impl KeyringSession {
    /// Starts the bus and an unlocked keyring.
    ///
    /// # Panics
    /// If one of them isn't installed or doesn't start.
    pub fn start() -> Self {
        let folder = tempfile::Builder::new().prefix("keyblind-session").tempdir().expect("a temporary folder can be made");
        let configuration = folder.path().join("bus.conf");
        let socket = folder.path().join("bus");
        std::fs::write(
            &configuration,
            format!(
                "<busconfig><type>session</type><listen>unix:path={}</listen><auth>EXTERNAL</auth><policy context=\"default\">\
                 <allow send_destination=\"*\"/><allow receive_sender=\"*\"/><allow own=\"*\"/></policy></busconfig>",
                socket.display()
            ),
        )
        .expect("the bus's configuration can be written");
        let mut bus = Command::new("sh")
            .args(["-c", "exec 3<&0; dbus-daemon --nofork --nopidfile --config-file=\"$1\" </dev/null & cat <&3; kill $!", "bus"])
            .arg(&configuration)
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell can be started");
        let lifeline = bus.stdin.take().expect("standard input is a pipe");
        let mut started = Self { folder, bus, lifeline: Some(lifeline), keyring: None };
        wait("dbus-daemon (Debian: apt-get install dbus-daemon)", || std::os::unix::net::UnixStream::connect(&socket).is_ok());
        started.unlock();
        started
    }

    /// The socket of the bus.
    pub fn bus(&self) -> PathBuf {
        self.folder.path().join("bus")
    }

    /// Starts the keyring anew, unlocked.
    ///
    /// # Panics
    /// If it doesn't start.
    pub fn unlock(&mut self) {
        self.serve(true);
        // It is unlocked as soon as this file is there, or was there before.
        let login = self.folder.path().join("data/keyrings/login.keyring");
        wait("gnome-keyring-daemon (Debian: apt-get install gnome-keyring)", || login.is_file() && self.has_keyring());
    }

    /// Starts the keyring anew, as it is before somebody logs in.
    ///
    /// # Panics
    /// If it doesn't start.
    pub fn lock(&mut self) {
        self.serve(false);
        wait("gnome-keyring-daemon", || self.has_keyring());
    }

    /// Ends the keyring.
    pub fn end_keyring(&mut self) {
        if let Some(mut keyring) = self.keyring.take() {
            drop(keyring.kill());
            drop(keyring.wait());
        }
        let _ = std::fs::remove_dir_all(self.folder.path().join("keyring"));
    }

    fn has_keyring(&self) -> bool {
        self.folder.path().join("keyring/control").exists()
    }

    fn serve(&mut self, is_unlocked: bool) {
        self.end_keyring();
        let mut command = Command::new("gnome-keyring-daemon");
        command.args(["--foreground", "--components=secrets"]).args(is_unlocked.then_some("--unlock"));
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", self.folder.path());
        command.env("XDG_DATA_HOME", self.folder.path().join("data")).env("XDG_RUNTIME_DIR", self.folder.path());
        command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}", self.bus().display()));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut keyring = command.spawn().expect("gnome-keyring-daemon can be started (Debian: apt-get install gnome-keyring)");
        let mut input = keyring.stdin.take().expect("standard input is a pipe");
        if is_unlocked {
            input.write_all(PASSWORD).expect("the keyring takes its password");
        }
        drop(input);
        self.keyring = Some(keyring);
    }
}

impl Drop for KeyringSession {
    fn drop(&mut self) {
        self.end_keyring();
        // The shell ends the bus when its standard input ends.
        self.lifeline = None;
        drop(self.bus.wait());
    }
}

fn wait(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what} doesn't start");
        std::thread::sleep(Duration::from_millis(20));
    }
}
