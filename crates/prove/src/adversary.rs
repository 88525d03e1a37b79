//! Model, agent, runner and web in an enemy's hands: what each could send, and what must come of it.
//!
//! Each attempt goes to the real socket or the real pages. What counts is what the broker and the provider did, not only what was
//! answered: after all of it nothing was written.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use keyblind_intent::{
    Answer, Bulk, ChangeState, Control, Decoder, Digest, Frame, Kind, Outcome, Refusal, Report, Request, RequestId, decode, encode,
};
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::Uid;
use rustix::thread::set_thread_res_uid;
use serde_json::{Value, json};

use crate::door::Visitor;
use crate::github::{CONTENTS, FILE, Github};
use crate::random_bytes;
use crate::world::BLIND;

/// How long the broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// One attempt, and what came of it.
pub struct Attempt {
    /// What was tried.
    pub what: &'static str,
    /// Whether it came to nothing, as it must.
    pub is_refused: bool,
    /// What was answered.
    pub answer: String,
}

/// Somebody at the socket who speaks it as they like.
pub struct Enemy {
    stream: UnixStream,
    decoder: Decoder,
}

/// What came back.
#[derive(Debug)]
pub enum Back {
    /// An answer.
    Answer(Box<Answer>),
    /// A refusal.
    Refused(Refusal),
    /// Nothing more: the connection ended.
    Ended,
}

impl Enemy {
    /// Connects, and greets with a token.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn connect(socket: &Path, token: &[u8]) -> Result<(Self, Option<Refusal>)> {
        let stream = connected(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut enemy = Self { stream, decoder: Decoder::new() };
        enemy.send(&Frame::new(Kind::Hello, RequestId::from_bytes([0; 16]), token.to_vec())?.to_bytes())?;
        loop {
            match enemy.receive()? {
                Some(frame) if frame.kind() == Kind::Welcome => return Ok((enemy, None)),
                Some(frame) if frame.kind() == Kind::Refused => {
                    let refusal = decode(frame.payload())?;
                    return Ok((enemy, Some(refusal)));
                }
                Some(_) => {}
                None => bail!("the broker ends the connection before it greets"),
            }
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(bytes)?)
    }

    fn receive(&mut self) -> Result<Option<Frame>> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            if let Some(frame) = self.decoder.next_frame()? {
                return Ok(Some(frame));
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(None),
                Ok(read) => self.decoder.push(&buffer[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Sends bytes as they are, and takes what comes back.
    fn raw(&mut self, bytes: &[u8]) -> Result<Back> {
        // A broker that has had enough may have closed already.
        let _ = self.send(bytes);
        while let Some(frame) = self.receive()? {
            match frame.kind() {
                Kind::Answer => return Ok(Back::Answer(decode(frame.payload())?)),
                Kind::Refused => return Ok(Back::Refused(decode(frame.payload())?)),
                _ => {}
            }
        }
        Ok(Back::Ended)
    }

    /// Sends a document, whatever it says.
    ///
    /// # Errors
    /// If what comes back can't be read.
    pub fn document(&mut self, document: &Value) -> Result<Back> {
        let frame = Frame::new(Kind::Request, id()?, serde_json::to_vec(document)?)?;
        self.raw(&frame.to_bytes())
    }

    /// Sends bulk bytes, and then a request under the same id.
    ///
    /// # Errors
    /// If they can't be sent, or what comes back can't be read.
    pub fn attached(&mut self, bytes: &[u8], document: &Value) -> Result<Back> {
        let id = id()?;
        let memory = rustix::fs::memfd_create("attached", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut file = std::fs::File::from(memory);
        file.write_all(bytes)?;
        rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
        let announcement = Frame::new(Kind::Bulk, id, (bytes.len() as u64).to_be_bytes().to_vec())?.to_bytes();
        let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [std::os::fd::AsFd::as_fd(&file)];
        control.push(SendAncillaryMessage::ScmRights(&descriptors));
        let sent = sendmsg(&self.stream, &[std::io::IoSlice::new(&announcement)], &mut control, SendFlags::NOSIGNAL)?;
        anyhow::ensure!(sent == announcement.len(), "the announcement was cut");
        self.raw(&Frame::new(Kind::Request, id, serde_json::to_vec(document)?)?.to_bytes())
    }
}

/// Connects as somebody of the blind side: the kernel tells the broker the user that this thread has in this moment.
fn connected(socket: &Path) -> Result<UnixStream> {
    let own = rustix::process::geteuid();
    if !own.is_root() {
        return Ok(UnixStream::connect(socket)?);
    }
    let blind = Uid::from_raw(BLIND);
    set_thread_res_uid(None, blind, None)?;
    let stream = UnixStream::connect(socket);
    set_thread_res_uid(None, own, None)?;
    Ok(stream?)
}

fn id() -> Result<RequestId> {
    Ok(RequestId::from_bytes(random_bytes::<16>()))
}

/// A proposal that the broker takes.
pub fn proposal(github: &Github, after: &[u8]) -> Value {
    json!({"intent": {"propose-pull-request": {
        "repository": {"forge": "github", "owner": "acme", "name": "infra"},
        "base": "main", "base_commit": github.head(), "branch": "keyblind/adversary",
        "files": [{"path": FILE, "before": Digest::of(CONTENTS.as_bytes()), "after": Bulk::of(after), "mode": "plain"}],
        "contents": Bulk::of(after), "title": "Open a door", "explanation": "", "fixes": [],
    }}})
}

/// Everything that is tried. `tokens` are the one-time tokens of runner, web and stranger; `person` is logged in at the pages.
///
/// # Errors
/// If the broker can't be spoken with at all.
pub fn run(socket: &Path, tokens: &[Vec<u8>; 3], github: &Github, person: &mut Visitor, nobody: &Visitor) -> Result<Vec<Attempt>> {
    let mut attempts = Vec::new();
    let [runner_token, web_token, stranger_token] = tokens;
    let before = (github.writes().len(), github.pulls());

    let agent = || Enemy::connect(socket, b"").map(|(enemy, _)| enemy);
    malformed(&mut attempts, &agent, github)?;
    others(&mut attempts, socket, [runner_token, web_token, stranger_token], github)?;

    // A change that waits: the agent asks for it, and tries to approve it itself.
    let change = waiting(&mut agent()?, github)?;
    approvals(&mut attempts, change, person, nobody)?;
    let state = follow(&mut agent()?, change)?;
    push(&mut attempts, "the change still waits after all of that", state == ChangeState::Waiting, &state);
    let refused = person.decide(&change.to_string(), "refuse")?.status;
    anyhow::ensure!(refused == 303, "the person can't refuse ({refused})");

    let written = (github.writes().len(), github.pulls());
    push(&mut attempts, "nothing was written at the provider", written == before, &format!("{written:?} after, {before:?} before"));
    Ok(attempts)
}

fn push(attempts: &mut Vec<Attempt>, what: &'static str, is_refused: bool, answer: &impl std::fmt::Debug) {
    let mut answer = format!("{answer:?}");
    answer.truncate(answer.floor_char_boundary(160));
    attempts.push(Attempt { what, is_refused, answer });
}

/// Whether it was refused for one of these reasons; `None` is the end of the connection. Refused for another reason, something else stood in
/// the way of it by chance.
fn is_refused(back: &Back, reasons: &[Option<Refusal>]) -> bool {
    let reason = match back {
        Back::Answer(answer) => match &**answer {
            Answer::Outcome(Outcome::Refused(refusal)) => Some(*refusal),
            _ => return false,
        },
        Back::Refused(refusal) => Some(*refusal),
        Back::Ended => None,
    };
    reasons.contains(&reason)
}

fn malformed(attempts: &mut Vec<Attempt>, agent: &impl Fn() -> Result<Enemy>, github: &Github) -> Result<()> {
    const MALFORMED: &[Option<Refusal>] = &[Some(Refusal::Malformed)];
    const NO_FRAME: &[Option<Refusal>] = &[Some(Refusal::BadFrame), Some(Refusal::BeyondLimit), None];
    const BAD_BULK: &[Option<Refusal>] = &[Some(Refusal::BadBulk)];
    let mut attempt = |what, reasons, back: Back| push(attempts, what, is_refused(&back, reasons), &back);
    attempt("bytes that are no frame", NO_FRAME, agent()?.raw(b"GET / HTTP/1.1\r\n\r\n")?);
    let mut header = Frame::new(Kind::Request, id()?, Vec::new())?.to_bytes();
    header[4..8].copy_from_slice(&u32::MAX.to_be_bytes());
    attempt("a frame of 4 GiB", NO_FRAME, agent()?.raw(&header)?);
    attempt("a request nested 10,000 deep", MALFORMED, {
        let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
        let frame = Frame::new(Kind::Request, id()?, deep)?;
        agent()?.raw(&frame.to_bytes())?
    });
    attempt("an intent that doesn't exist", MALFORMED, agent()?.document(&json!({"intent": {"run-command": {"command": "id"}}}))?);
    attempt("a request for a credential", MALFORMED, agent()?.document(&json!({"control": "show-token"}))?);
    attempt("an address in an intent", MALFORMED, {
        let repository = json!({"forge": "https://evil.example", "owner": "acme", "name": "infra"});
        agent()?.document(&json!({"intent": {"read-repository": {"repository": repository, "revision": "default-branch"}}}))?
    });
    let after = b"changed";
    let mut extra = proposal(github, after);
    extra["intent"]["propose-pull-request"]["token"] = json!("ghs_mine");
    attempt("a field that isn't the vocabulary's", MALFORMED, agent()?.attached(after, &extra)?);
    for (what, path) in [
        ("a path out of the repository", "../../etc/passwd"),
        ("an absolute path", "/etc/passwd"),
        ("git's own folder", ".git/config"),
        ("git's own folder, in other letters", ".GIT/hooks/pre-commit"),
        ("a path with an empty part", "a//b.tf"),
        ("a path that hides characters", "main\u{202e}ft.tf"),
    ] {
        let mut request = proposal(github, after);
        request["intent"]["propose-pull-request"]["files"][0]["path"] = json!(path);
        attempt(what, MALFORMED, agent()?.attached(after, &request)?);
    }
    let mut request = proposal(github, after);
    request["intent"]["propose-pull-request"]["branch"] = json!("main");
    attempt("a branch that isn't ours", MALFORMED, agent()?.attached(after, &request)?);
    attempt("other bytes than announced", BAD_BULK, agent()?.attached(b"something else", &proposal(github, after))?);
    attempt("no bytes where some are announced", BAD_BULK, agent()?.document(&proposal(github, after))?);
    let mut request = proposal(github, after);
    request["intent"]["propose-pull-request"]["files"][0]["before"] = json!(Digest::of(b"never there"));
    attempt("a change of a file that isn't so", &[Some(Refusal::StaleState)], agent()?.attached(after, &request)?);
    let mut replaying = agent()?;
    let frame = Frame::new(Kind::Request, id()?, serde_json::to_vec(&json!({"control": "list-connections"}))?)?.to_bytes();
    replaying.raw(&frame)?;
    attempt("the same request twice", &[Some(Refusal::Replayed)], replaying.raw(&frame)?);
    Ok(())
}

fn others(attempts: &mut Vec<Attempt>, socket: &Path, tokens: [&[u8]; 3], github: &Github) -> Result<()> {
    const NOT_ALLOWED: &[Option<Refusal>] = &[Some(Refusal::NotAllowed)];
    let [runner_token, web_token, stranger_token] = tokens;
    let (mut runner, refusal) = Enemy::connect(socket, runner_token)?;
    anyhow::ensure!(refusal.is_none(), "the runner's token isn't taken: {refusal:?}");
    let (_, again) = Enemy::connect(socket, runner_token)?;
    push(attempts, "a one-time token, twice", again == Some(Refusal::BadToken), &again);
    let (_, made_up) = Enemy::connect(socket, &random_bytes::<32>())?;
    push(attempts, "a one-time token that nobody gave out", made_up == Some(Refusal::BadToken), &made_up);
    let armed = runner.document(&json!({"control": "arm"}))?;
    push(attempts, "the runner takes up work", is_refused(&armed, NOT_ALLOWED), &armed);
    let link = runner.document(&json!({"control": "log-in"}))?;
    push(attempts, "the runner asks for a person's link", is_refused(&link, NOT_ALLOWED), &link);
    let (mut web, refusal) = Enemy::connect(socket, web_token)?;
    anyhow::ensure!(refusal.is_none(), "the web tier's token isn't taken: {refusal:?}");
    let link = web.document(&json!({"control": "log-in"}))?;
    push(attempts, "the web tier asks for a person's link", is_refused(&link, NOT_ALLOWED), &link);
    let proposed = web.attached(b"changed", &proposal(github, b"changed"))?;
    push(attempts, "the web tier proposes a change", is_refused(&proposed, NOT_ALLOWED), &proposed);
    let (mut stranger, refusal) = Enemy::connect(socket, stranger_token)?;
    anyhow::ensure!(refusal.is_none(), "the stranger's token isn't taken: {refusal:?}");
    let repository = json!({"forge": "github", "owner": "acme", "name": "infra"});
    let read = stranger.document(&json!({"intent": {"read-repository": {"repository": repository, "revision": "default-branch"}}}))?;
    push(attempts, "another tenant reads the repository", is_refused(&read, &[Some(Refusal::OtherTenant)]), &read);
    let proposed = stranger.attached(b"changed", &proposal(github, b"changed"))?;
    push(attempts, "another tenant proposes a change", is_refused(&proposed, &[Some(Refusal::RequesterUnknown)]), &proposed);
    Ok(())
}

/// A change of the agent's that people are asked about.
fn waiting(agent: &mut Enemy, github: &Github) -> Result<Digest> {
    let after = b"resource \"aws_db_instance\" \"shop\" {\n  engine = \"open\"\n}\n";
    match agent.attached(after, &proposal(github, after))? {
        Back::Answer(answer) => match *answer {
            Answer::Outcome(Outcome::ApprovalWanted { change, .. }) => Ok(change),
            other => bail!("an agent's sound proposal isn't raised: {other:?}"),
        },
        other => bail!("an agent's sound proposal isn't raised: {other:?}"),
    }
}

fn follow(agent: &mut Enemy, digest: Digest) -> Result<ChangeState> {
    let frame = Frame::new(Kind::Request, id()?, encode(&Request::Control(Control::FollowChange { digest }))?)?;
    match agent.raw(&frame.to_bytes())? {
        Back::Answer(answer) => match *answer {
            Answer::Report(Report::Change { state, .. }) => Ok(state),
            other => bail!("no state: {other:?}"),
        },
        other => bail!("no state: {other:?}"),
    }
}

fn approvals(attempts: &mut Vec<Attempt>, change: Digest, person: &mut Visitor, nobody: &Visitor) -> Result<()> {
    let path = format!("/change/{change}/decide");
    let page = person.get(&format!("/change/{change}"))?;
    let (seal, nonce) = page.field("seal").zip(page.field("nonce")).context("the page has no form")?;
    let fields = |seal: &str| vec![("seal", seal.to_owned()), ("nonce", nonce.clone()), ("answer", "approve".to_owned())];
    let mut attempt = |what, visitor: &mut Visitor, path: &str, fields: &[(&str, String)]| -> Result<()> {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let page = visitor.post(path, &fields)?;
        // A redirection to the change is how a word that counted is answered; one to the login isn't.
        let to_login = page.location.as_deref().is_some_and(|location| location.starts_with("/login"));
        push(attempts, what, page.status == 403 || to_login, &(page.status, page.location));
        Ok(())
    };
    attempt("a yes without a login", &mut nobody.clone(), &path, &fields(&seal))?;
    attempt("a yes with a seal that somebody made up", person, &path, &fields(&"A".repeat(seal.len())))?;
    attempt("a yes without a seal", person, &path, &fields(""))?;
    let mut elsewhere = person.clone().from_origin("http://evil.example");
    attempt("a yes from a page of another origin", &mut elsewhere, &path, &fields(&seal))?;
    let other = Digest::of(b"another change");
    attempt("a seal of one change for another", person, &format!("/change/{other}/decide"), &fields(&seal))?;
    let unsealed = [("typed", "arm".to_owned()), ("seal", "A".repeat(seal.len()))];
    attempt("taking up work with a seal that somebody made up", person, "/arm", &unsealed)?;
    Ok(())
}
