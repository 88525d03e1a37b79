//! A whole installation in a folder of its own: the programs, a broker with its pages, and the person who uses it.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::door::Visitor;
use crate::github::{APP, Github, SLUG};
use crate::random;

/// The users of the two sides, if root proves: each a number that no account has, without any rights.
const BROKER: u32 = 64_101;
pub(crate) const BLIND: u32 = 64_102;

/// As whom the two sides run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Users {
    /// The broker.
    pub broker: u32,
    /// Everybody else.
    pub blind: u32,
}

impl Users {
    /// Users of their own if this process may give them, and otherwise its own for both.
    fn new() -> Self {
        let own = rustix::process::geteuid();
        if own.is_root() { Self { broker: BROKER, blind: BLIND } } else { Self { broker: own.as_raw(), blind: own.as_raw() } }
    }

    /// Whether the kernel keeps the two apart.
    #[must_use]
    pub fn are_distinct(self) -> bool {
        self.broker != self.blind
    }
}

/// How long the broker may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// An installation.
pub struct World {
    folder: tempfile::TempDir,
    users: Users,
    port: u16,
    broker: Option<Child>,
    /// What an operator left in the environment that the broker is started in.
    variable: String,
}

impl World {
    /// Sets it up beside nothing of the user's own: the App's key goes into the sealed store, and its file is deleted.
    ///
    /// # Errors
    /// If a program isn't there, or doesn't do its part.
    pub fn set_up(programs: &Path, github: &Github) -> Result<Self> {
        let users = Users::new();
        // The two sides come as far as what is theirs.
        let mode = if users.are_distinct() { 0o711 } else { 0o700 };
        let folder = tempfile::Builder::new().prefix("keyblind-prove-").permissions(fs::Permissions::from_mode(mode)).tempdir()?;
        let port = free_port()?;
        let world = Self { folder, users, port, broker: None, variable: random(20) };
        for part in ["programs", "programs/installed"] {
            fs::DirBuilder::new().mode(0o755).create(world.path(part))?;
        }
        let theirs = [("home", users.blind), ("captured", users.blind), ("work", users.blind)];
        let brokers = [("state", users.broker), ("vault", users.broker), ("socket", users.broker), ("broker", users.broker)];
        for (part, user) in theirs.into_iter().chain(brokers) {
            fs::DirBuilder::new().mode(0o700).create(world.path(part))?;
            if users.are_distinct() {
                std::os::unix::fs::chown(world.path(part), Some(user), Some(user))?;
            }
        }
        // What speaks with the broker for `keyblind` is this very program: it starts the real relay and keeps a copy of all that passes.
        place(&programs.join("keyblind"), &world.path("programs/keyblind"))?;
        place(&std::env::current_exe()?, &world.path("programs/keyblind-broker"))?;
        place(&programs.join("keyblind-broker"), &world.broker_program())?;
        fs::write(world.path("programs/real"), world.broker_program().as_os_str().as_encoded_bytes())?;
        fs::write(
            world.path("policy.toml"),
            "version = 1\nsolo = \"me\"\n[people.me]\nidentities = [{ issuer = \"local\", subject = \"me\" }]\n\
             roles = [\"owner\", \"approver\", \"security\"]\ntenants = [\"proof\"]\n\
             [[rules]]\nname = \"all\"\nchannels = [\"session\"]\n",
        )?;
        let user = users.blind;
        fs::write(
            world.configuration(),
            format!(
                "state = {:?}\n[vault]\nkey-file = {:?}\n[socket]\npath = {:?}\n[approvals]\npolicy = {:?}\n\
                 [door]\norigin = \"http://approve.localhost:{port}\"\nlisten = \"127.0.0.1:{port}\"\n\
                 [github]\napp = {APP}\nslug = {SLUG:?}\napi = {:?}\nprivate = true\n[github.owners]\nproof = [\"acme\"]\n\
                 [[peer]]\nuser = {user}\ntenant = \"proof\"\nsubject = \"local:me\"\nrole = \"person\"\n\
                 [[peer]]\nuser = {user}\ntenant = \"proof\"\nsubject = \"runner\"\nrole = \"runner\"\none-time-token = true\n\
                 [[peer]]\nuser = {user}\ntenant = \"proof\"\nsubject = \"web\"\nrole = \"web\"\none-time-token = true\n\
                 [[peer]]\nuser = {user}\ntenant = \"stranger\"\nsubject = \"stranger\"\nrole = \"person\"\none-time-token = true\n",
                world.path("state"),
                world.vault_key(),
                world.socket(),
                world.path("policy.toml"),
                github.url(),
            ),
        )?;
        let mut keep =
            world.command(&world.broker_program(), &["keep", "github-app-key"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
        keep.stdin.take().context("standard input is a pipe")?.write_all(github.key()?.as_bytes())?;
        ensure!(keep.wait()?.success(), "the App's key can't be kept");
        Ok(world)
    }

    /// A path in its folder.
    #[must_use]
    pub fn path(&self, part: &str) -> PathBuf {
        self.folder.path().join(part)
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What stands in a variable that the broker is started with, and that it must not keep.
    #[must_use]
    pub fn variable(&self) -> &str {
        &self.variable
    }

    /// As whom the two sides run.
    #[must_use]
    pub fn users(&self) -> Users {
        self.users
    }

    /// The broker's program: not the one that stands in the way of the relay.
    fn broker_program(&self) -> PathBuf {
        self.path("programs/installed/keyblind-broker")
    }

    /// The broker's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.path("socket/broker.sock")
    }

    /// The key of the sealed store.
    #[must_use]
    pub fn vault_key(&self) -> PathBuf {
        self.path("vault/vault.key")
    }

    /// The broker's configuration.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.path("broker.toml")
    }

    /// The port of its pages.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A visitor of its pages, not logged in.
    #[must_use]
    pub fn visitor(&self) -> Visitor {
        Visitor::at(self.port)
    }

    /// A program in a clean environment that names this broker; what it says goes into the world's folder.
    fn command(&self, program: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        let of_the_broker = ["run", "keep", "ledger", "arm"];
        let is_brokers = program == self.broker_program() && arguments.first().is_some_and(|first| of_the_broker.contains(first));
        let (user, folder) = if is_brokers { (self.users.broker, "broker") } else { (self.users.blind, "work") };
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.path(if is_brokers { folder } else { "home" }))
            .env("TMPDIR", self.path(folder))
            .env("KEYBLIND_BROKER_CONFIG", self.configuration())
            .current_dir(self.path(folder))
            .stdin(Stdio::null());
        if is_brokers {
            command.env("AWS_SECRET_ACCESS_KEY", &self.variable);
        }
        if self.users.are_distinct() {
            command.uid(user).gid(user);
        }
        command
    }

    /// Starts the broker, and hands the peers that need one a one-time token: runner, web, stranger.
    ///
    /// # Errors
    /// If it doesn't listen.
    pub fn start(&mut self) -> Result<[Vec<u8>; 3]> {
        let mut readers = Vec::new();
        let mut arguments = vec!["run".to_owned()];
        let mut writers = Vec::new();
        for subject in ["runner", "web", "stranger"] {
            let (reader, writer) = std::io::pipe()?;
            // A child inherits it.
            rustix::io::fcntl_setfd(&writer, rustix::io::FdFlags::empty())?;
            arguments.push("--give-token".to_owned());
            arguments.push(format!("{}={subject}", std::os::fd::AsRawFd::as_raw_fd(&writer)));
            readers.push(reader);
            writers.push(writer);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.launch(&arguments)?;
        drop(writers);
        let mut tokens = [const { Vec::new() }; 3];
        for (token, mut reader) in tokens.iter_mut().zip(readers) {
            std::io::Read::read_to_end(&mut reader, token)?;
        }
        self.listens()?;
        Ok(tokens)
    }

    /// Starts the broker with these arguments, and doesn't wait for it.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn launch(&mut self, arguments: &[&str]) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.path("captured/broker.log"))?;
        self.broker = Some(self.command(&self.broker_program(), arguments).stdout(log.try_clone()?).stderr(log).spawn()?);
        Ok(())
    }

    /// Waits until the broker listens.
    ///
    /// # Errors
    /// If it ends, or takes too long.
    pub fn listens(&mut self) -> Result<()> {
        let socket = self.socket();
        let broker = self.broker.as_mut().context("no broker runs")?;
        let end = Instant::now() + PATIENCE;
        while std::os::unix::net::UnixStream::connect(&socket).is_err() {
            if let Some(status) = broker.try_wait()? {
                bail!("the broker ended ({status}): {}", fs::read_to_string(self.path("captured/broker.log"))?);
            }
            ensure!(Instant::now() < end, "the broker doesn't listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// The broker's process, while it runs.
    #[must_use]
    pub fn process(&self) -> Option<Pid> {
        self.broker.as_ref().map(Pid::from_child)
    }

    /// Ends the broker by a signal, and says with what status.
    ///
    /// # Errors
    /// If none runs, or it can't be waited for.
    pub fn end_by(&mut self, signal: Signal) -> Result<ExitStatus> {
        let mut broker = self.broker.take().context("no broker runs")?;
        kill_process(Pid::from_child(&broker), signal)?;
        Ok(broker.wait()?)
    }

    /// Ends the broker in order.
    ///
    /// # Errors
    /// If it doesn't end so.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.end_by(Signal::TERM)?;
        ensure!(status.success(), "the broker ended with {status}");
        Ok(())
    }

    /// Runs a command of the broker's, and gives what it says.
    ///
    /// # Errors
    /// If it fails.
    pub fn ask_broker(&self, arguments: &[&str]) -> Result<Vec<u8>> {
        let output = self.command(&self.broker_program(), arguments).output()?;
        ensure!(output.status.success(), "`keyblind-broker {}` failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }

    /// Logs somebody in at the pages, by the broker's own link.
    ///
    /// # Errors
    /// If it gives none, or it doesn't log in.
    pub fn log_in(&self) -> Result<Visitor> {
        let said = String::from_utf8(self.ask_broker(&["login"])?)?;
        let link = said.lines().find_map(|line| line.strip_prefix("open ")).context("the broker gives no link")?;
        let mut visitor = self.visitor();
        visitor.log_in(link)?;
        Ok(visitor)
    }

    /// Starts `keyblind` with these arguments; what it says goes into the folder of captures.
    ///
    /// # Errors
    /// If it can't be started.
    pub fn keyblind(&self, name: &str, arguments: &[&str]) -> Result<Child> {
        let file = |end: &str| File::create(self.path(&format!("captured/{name}.{end}")));
        let mut command = self.command(&self.path("programs/keyblind"), arguments);
        Ok(command.stdout(file("out")?).stderr(file("err")?).spawn()?)
    }

    /// What a command said, once it has ended.
    #[must_use]
    pub fn said(&self, name: &str) -> String {
        ["out", "err"].map(|end| fs::read_to_string(self.path(&format!("captured/{name}.{end}"))).unwrap_or_default()).concat()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(mut broker) = self.broker.take() {
            // It may have ended by itself.
            let _ = broker.kill();
            let _ = broker.wait();
        }
    }
}

/// A port that nobody has, and that the system gives to no client of its own accord: it must be free again after the broker's end.
fn free_port() -> Result<u16> {
    for _ in 0..1_000 {
        let port = 12_000 + u16::from_be_bytes(crate::random_bytes()) % 18_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no port is free")
}

/// Puts a program there. Another file system can't have a second name for it.
fn place(program: &Path, there: &Path) -> Result<()> {
    if fs::hard_link(program, there).is_err() {
        fs::copy(program, there).with_context(|| format!("`{}` can't be copied", program.display()))?;
    }
    Ok(())
}
