//! One client, from its greeting to its end.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;

use keyblind_client::{BulkFile, announcement, descriptors};
use keyblind_intent::{Answer, Control, Decoder, Frame, Handle, Intent, Kind, Outcome, Refusal, Request, RequestId, decode, encode};
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, timeout, timeout_at};

use super::peers::Identity;
use super::server::Shared;
use crate::dispatch::{Asked, Reply, Session};

/// Frames without a request of their own have this id; a request can't have it.
const NOBODY: RequestId = RequestId::from_bytes([0; 16]);

/// Bytes that are read at once.
const READ_BYTES: usize = 1 << 16;

/// Descriptors that may have come without the frame that they belong to.
const WAITING_DESCRIPTORS: usize = 2;

/// What goes to the client: bytes, and a descriptor with the first of them.
struct Outgoing {
    bytes: Vec<u8>,
    attached: Option<BulkFile>,
}

/// The bytes of a refusal.
pub(super) fn refused(id: RequestId, refusal: Refusal) -> Vec<u8> {
    frame(Kind::Refused, id, encode(&refusal).unwrap_or_default())
}

/// Our own payloads fit their kinds; should one not, the client sees a frame without one and refuses it.
fn frame(kind: Kind, id: RequestId, payload: Vec<u8>) -> Vec<u8> {
    let frame = Frame::new(kind, id, payload).or_else(|_| Frame::new(kind, id, Vec::new()));
    frame.map(|frame| frame.to_bytes()).unwrap_or_default()
}

/// Why a connection ends.
enum End {
    /// The client went, or can't be reached.
    Gone,
    /// The client is told why.
    Refused(Refusal),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::InvalidData { Self::Refused(Refusal::BadFrame) } else { Self::Gone }
    }
}

/// Serves a client until it goes, breaks the protocol, or the broker stops. When this ends, nothing of the client is left: requests that
/// only read are dropped, descriptors are closed, permits are back.
pub(super) async fn run(stream: UnixStream, caller: Identity, shared: Arc<Shared>, is_stopping: watch::Receiver<bool>) {
    let stream = Arc::new(stream);
    let mut input = Input {
        stream: Arc::clone(&stream),
        decoder: Decoder::new(),
        buffer: vec![0; READ_BYTES],
        descriptors: VecDeque::new(),
        since: None,
    };
    let greeting = timeout(shared.limits.greeting, greet(&mut input, &caller, &shared)).await;
    let (peer, token) = match greeting {
        Ok(Ok(admitted)) => admitted,
        Ok(Err(End::Gone)) => return,
        Ok(Err(End::Refused(refusal))) => return say_last(&stream, refusal),
        Err(_) => return say_last(&stream, Refusal::TimedOut),
    };
    let (outgoing, queue) = mpsc::channel(shared.limits.requests_per_connection);
    let mut writer = tokio::spawn(write_all(Arc::clone(&stream), queue, shared.limits.frame));
    let mut connection = Connection {
        session: shared.peers[peer].session.clone(),
        peer,
        slots: Arc::new(Semaphore::new(shared.limits.requests_per_connection)),
        shared,
        outgoing,
        jobs: JoinSet::new(),
        cancel: HashMap::new(),
        is_stopping,
    };
    let welcome = [token.unwrap_or_default(), frame(Kind::Welcome, NOBODY, Vec::new())].concat();
    if connection.outgoing.send(Outgoing { bytes: welcome, attached: None }).await.is_err() {
        return;
    }
    let end = tokio::select! {
        end = connection.serve(&mut input) => end,
        // Nobody takes the answers.
        _ = &mut writer => End::Gone,
    };
    if let End::Refused(refusal) = end {
        let _ = connection.outgoing.try_send(Outgoing { bytes: refused(NOBODY, refusal), attached: None });
    }
    // Answers on their way still go out, unless the client is gone.
    let is_gone = matches!(end, End::Gone);
    drop(connection);
    if is_gone {
        writer.abort();
    } else {
        let _ = writer.await;
    }
}

/// A word to somebody who isn't a client yet: as much as the socket's buffer takes, without waiting.
fn say_last(stream: &UnixStream, refusal: Refusal) {
    let _ = stream.try_write(&refused(NOBODY, refusal));
}

/// The first frame: who it is, and the token for the next time if it needed one.
async fn greet(input: &mut Input, caller: &Identity, shared: &Shared) -> Result<(usize, Option<Vec<u8>>), End> {
    let greeting = input.next(shared.limits.greeting).await?;
    if greeting.kind() != Kind::Hello {
        return Err(End::Refused(Refusal::NoGreeting));
    }
    let peer = shared.tokens.admit(&shared.peers, caller, greeting.payload()).map_err(End::Refused)?;
    if !shared.peers[peer].needs_token {
        return Ok((peer, None));
    }
    let next = shared.tokens.issue(peer).map_err(|_| End::Refused(Refusal::Busy))?;
    Ok((peer, Some(next.expose(|bytes| frame(Kind::Token, NOBODY, bytes.to_vec())))))
}

/// What comes from the client.
struct Input {
    stream: Arc<UnixStream>,
    decoder: Decoder,
    buffer: Vec<u8>,
    descriptors: VecDeque<OwnedFd>,
    /// When the first byte of the frame came that isn't there as a whole.
    since: Option<Instant>,
}

impl Input {
    /// The next frame. A frame that has begun must be there within `patience`, however slowly its bytes drip.
    async fn next(&mut self, patience: std::time::Duration) -> Result<Frame, End> {
        loop {
            match self.decoder.next_frame() {
                Ok(Some(frame)) => {
                    self.since = self.decoder.is_midway().then(Instant::now);
                    return Ok(frame);
                }
                Ok(None) => {}
                Err(_) => return Err(End::Refused(Refusal::BadFrame)),
            }
            let reading =
                self.stream.async_io(Interest::READABLE, || descriptors::receive(&*self.stream, &mut self.buffer, &mut self.descriptors));
            let read = match self.since {
                Some(since) => timeout_at(since + patience, reading).await.map_err(|_| End::Refused(Refusal::TimedOut))?,
                None => reading.await,
            };
            match read {
                Ok(0) => return Err(End::Gone),
                Ok(count) => {
                    self.decoder.push(&self.buffer[..count]);
                    self.since.get_or_insert_with(Instant::now);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
            if self.descriptors.len() > WAITING_DESCRIPTORS {
                return Err(End::Refused(Refusal::BadFrame));
            }
        }
    }
}

async fn write_all(stream: Arc<UnixStream>, mut queue: mpsc::Receiver<Outgoing>, patience: std::time::Duration) {
    while let Some(outgoing) = queue.recv().await {
        if !matches!(timeout(patience, write(&stream, &outgoing)).await, Ok(Ok(()))) {
            return;
        }
    }
}

async fn write(stream: &UnixStream, outgoing: &Outgoing) -> io::Result<()> {
    let mut rest = &outgoing.bytes[..];
    let mut attached = outgoing.attached.as_ref();
    while !rest.is_empty() {
        let descriptor = attached.map(BulkFile::as_fd);
        match stream.async_io(Interest::WRITABLE, || descriptors::send(stream, rest, descriptor)).await {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                attached = None;
                rest = &rest[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A client that is known.
struct Connection {
    session: Session,
    peer: usize,
    shared: Arc<Shared>,
    outgoing: mpsc::Sender<Outgoing>,
    /// A permit for each request that isn't answered.
    slots: Arc<Semaphore>,
    jobs: JoinSet<RequestId>,
    /// How to tell each request's job that nobody waits any more.
    cancel: HashMap<RequestId, oneshot::Sender<()>>,
    is_stopping: watch::Receiver<bool>,
}

/// What came for a request that comes next.
#[derive(Default)]
struct Ahead {
    behalf: Option<(RequestId, Handle)>,
    bulk: Option<Announced>,
}

/// Bulk bytes whose request comes next.
struct Announced {
    id: RequestId,
    bytes: u64,
    descriptor: OwnedFd,
}

impl Connection {
    async fn serve(&mut self, input: &mut Input) -> End {
        let mut ahead = Ahead::default();
        loop {
            if *self.is_stopping.borrow() {
                while self.jobs.join_next().await.is_some() {}
                return End::Refused(Refusal::ShuttingDown);
            }
            let frame = tokio::select! {
                frame = input.next(self.shared.limits.frame) => match frame {
                    Ok(frame) => frame,
                    Err(end) => return end,
                },
                Some(ended) = self.jobs.join_next() => {
                    if let Ok(id) = ended {
                        self.cancel.remove(&id);
                    }
                    continue;
                },
                _ = self.is_stopping.changed() => continue,
            };
            match self.take(frame, input, &mut ahead) {
                Ok(None) => {}
                Ok(Some((id, refusal))) => {
                    let outgoing = Outgoing { bytes: refused(id, refusal), attached: None };
                    if self.outgoing.send(outgoing).await.is_err() {
                        return End::Gone;
                    }
                }
                Err(end) => return end,
            }
        }
    }

    /// Takes a frame. A request that isn't taken is refused under its id; what breaks the protocol ends the connection.
    fn take(&mut self, frame: Frame, input: &mut Input, ahead: &mut Ahead) -> Result<Option<(RequestId, Refusal)>, End> {
        let id = frame.id();
        let broken = Err(End::Refused(Refusal::BadFrame));
        match frame.kind() {
            Kind::Bulk => {
                let (Ok(bytes), None, Some(descriptor)) =
                    (<[u8; 8]>::try_from(frame.payload()), &ahead.bulk, input.descriptors.pop_front())
                else {
                    return broken;
                };
                ahead.bulk = Some(Announced { id, bytes: u64::from_be_bytes(bytes), descriptor });
                Ok(None)
            }
            Kind::Behalf if ahead.behalf.is_none() && ahead.bulk.is_none() => {
                let handle = std::str::from_utf8(frame.payload()).ok().and_then(|text| Handle::new(text).ok());
                let Some(handle) = handle else { return broken };
                ahead.behalf = Some((id, handle));
                Ok(None)
            }
            Kind::Request if id != NOBODY => {
                let Ahead { behalf, bulk } = std::mem::take(ahead);
                let is_of_another =
                    behalf.as_ref().is_some_and(|(other, _)| *other != id) || bulk.as_ref().is_some_and(|bulk| bulk.id != id);
                if is_of_another {
                    return broken;
                }
                let behalf = behalf.map(|(_, handle)| handle);
                Ok(self.start(id, &frame, behalf, bulk).err().map(|refusal| (id, refusal)))
            }
            Kind::Cancel => {
                if let Some(cancel) = self.cancel.remove(&id) {
                    // It may be done already: then it is answered.
                    let _ = cancel.send(());
                }
                Ok(None)
            }
            _ => broken,
        }
    }

    /// Takes a request into work, or says why not.
    fn start(&mut self, id: RequestId, frame: &Frame, behalf: Option<Handle>, bulk: Option<Announced>) -> Result<(), Refusal> {
        if *self.is_stopping.borrow() {
            return Err(Refusal::ShuttingDown);
        }
        let request: Request = decode(frame.payload()).map_err(|_| Refusal::Malformed)?;
        // Who may know who logged in, and ask for them, is said by the configuration alone.
        let speaks = behalf.is_some() || matches!(request, Request::Control(Control::TakeOver { .. } | Control::EndHandle { .. }));
        if !self.session.role.may_ask(&request) || (speaks && !self.shared.peers[self.peer].speaks_for_people) {
            return Err(Refusal::NotAllowed);
        }
        let attached = match &request {
            Request::Intent(intent) => intent.attached(),
            Request::Control(_) => None,
        };
        if attached.map(|attached| attached.bytes.get()) != bulk.as_ref().map(|bulk| bulk.bytes) {
            return Err(Refusal::BadBulk);
        }
        // Before the id is remembered: what was refused as busy may be sent again, what was taken may not.
        let slot = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Refusal::Busy)?;
        let permits = match &request {
            // Stopping the broker must not depend on how busy it is.
            Request::Control(_) => Vec::new(),
            Request::Intent(_) => {
                let kibibytes = u32::try_from(frame.payload().len() / 1_024 + 1).map_err(|_| Refusal::Busy)?;
                let tenant = &self.session.tenant;
                let taken = self.shared.taken.try_take(tenant, 1).ok_or(Refusal::Busy)?;
                vec![taken, self.shared.kibibytes.try_take(tenant, kibibytes).ok_or(Refusal::Busy)?]
            }
        };
        if !self.shared.is_new(self.peer, id) {
            return Err(Refusal::Replayed);
        }
        let (cancel, cancelled) = oneshot::channel();
        self.cancel.insert(id, cancel);
        let job = Job { id, session: self.session.clone(), behalf, shared: Arc::clone(&self.shared), permits };
        let outgoing = self.outgoing.clone();
        self.jobs.spawn(async move {
            let shared = Arc::clone(&job.shared);
            let answer = tokio::select! {
                answer = job.run(request, attached.zip(bulk)) => answer,
                () = until(cancelled) => Err(Refusal::Cancelled),
                () = tokio::time::sleep(shared.limits.request) => Err(Refusal::TimedOut),
            };
            // Whoever has the answer may send the next request.
            drop(slot);
            // If nobody reads any more, nobody is told.
            let _ = outgoing.send(written(id, answer)).await;
            id
        });
        Ok(())
    }
}

/// Ends when the client cancels; never if it just forgets.
async fn until(cancelled: oneshot::Receiver<()>) {
    if cancelled.await.is_err() {
        std::future::pending().await
    }
}

fn written(id: RequestId, answer: Result<(Answer, Option<BulkFile>), Refusal>) -> Outgoing {
    let (answer, attached) = match answer {
        Ok(answered) => answered,
        Err(refusal) => return Outgoing { bytes: refused(id, refusal), attached: None },
    };
    let announced = match &answer {
        Answer::Outcome(outcome) => outcome.attached(),
        Answer::Report(report) => report.attached(),
    };
    // An answer that isn't what it says would be believed.
    let (Ok(payload), true) = (encode(&answer), announced == attached.as_ref().map(BulkFile::bulk)) else {
        return Outgoing { bytes: refused(id, Refusal::Internal), attached: None };
    };
    let first = announced.map(|bulk| announcement(id, bulk.bytes)).unwrap_or_default();
    Outgoing { bytes: [first, frame(Kind::Answer, id, payload)].concat(), attached }
}

/// A request in work.
struct Job {
    id: RequestId,
    session: Session,
    behalf: Option<Handle>,
    shared: Arc<Shared>,
    permits: Vec<OwnedSemaphorePermit>,
}

/// Stops a task when its waiter is dropped.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Job {
    async fn run(self, request: Request, bulk: Option<(keyblind_intent::Bulk, Announced)>) -> Result<(Answer, Option<BulkFile>), Refusal> {
        let Self { id, mut session, behalf, shared, permits } = self;
        if let Some(handle) = behalf {
            // Whose it is comes from the login behind the handle; what may be asked, from the peer's own role.
            (session.tenant, session.subject) = shared.dispatcher.behind(&handle).await?;
        }
        let attached = match bulk {
            Some((bulk, announced)) => {
                let taken = tokio::task::spawn_blocking(move || BulkFile::received(announced.descriptor, bulk)).await;
                Some(taken.map_err(|_| Refusal::Internal)?.map_err(|_| Refusal::BadBulk)?)
            }
            None => None,
        };
        // Nor stand in the queue behind what it should stop.
        let working = match &request {
            Request::Control(_) => None,
            Request::Intent(_) => Some(shared.working.take(&session.tenant).await.map_err(|_| Refusal::ShuttingDown)?),
        };
        let runs_to_its_end = match &request {
            // A question to a model is counted and recorded to its end, and holds its permits for so long.
            Request::Intent(intent) => intent.changes_something() || matches!(intent, Intent::Complete(_)),
            Request::Control(control) => !matches!(control, Control::ExportLedger { .. }),
        };
        let dispatcher = Arc::clone(&shared.dispatcher);
        // In a task of its own: what changes something outlives its client, and a fault in a handler is answered, too.
        let task = tokio::spawn(async move {
            let answered = match request {
                Request::Intent(intent) => {
                    let Reply { outcome, attached } = dispatcher.handle(Asked { id, session, intent, attached }).await;
                    (Answer::Outcome(outcome), attached)
                }
                Request::Control(control) => match dispatcher.control(&session, control).await {
                    Ok((report, attached)) => (Answer::Report(report), attached),
                    Err(outcome) => (Answer::Outcome(outcome), None),
                },
            };
            drop((working, permits));
            answered
        });
        let _stops = (!runs_to_its_end).then(|| AbortOnDrop(task.abort_handle()));
        match task.await {
            Ok((Answer::Outcome(Outcome::Refused(refusal)), _)) => Err(refusal),
            Ok(answered) => Ok(answered),
            Err(_) => Err(Refusal::Internal),
        }
    }
}
