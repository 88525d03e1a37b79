//! Frames between a pair of sockets, where bulk bytes travel as descriptors, and a stream, where they travel as pieces.
//!
//! Both ends of a connection between machines use it: before the broker's socket, and behind the client. Documents aren't looked into;
//! frames are passed on whole, so that whoever drips them is noticed here. What holds for all clients is enforced where they are served.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyblind_client::{announcement, descriptors, seal};
use keyblind_intent::{Count, Decoder, Frame, Kind, RequestId};
use rustix::fs::{MemfdFlags, Mode, OFlags};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, Interest};
use tokio::net::UnixStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

/// Bytes that are read at once, and those of a piece.
const PIECE: usize = 1 << 16;
/// How fast bulk bytes must come at least, beside what any frame may take.
const BYTES_A_SECOND: u64 = 1 << 16;
/// How long it is between two looks for room.
const LOOK: Duration = Duration::from_millis(50);

/// Where bulk bytes that come are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keep {
    /// In sealed memory, which is what the broker takes.
    Sealed,
    /// In a file without a name, or in memory where there can't be one.
    Unnamed,
}

/// Gives room for so many kibibytes of bulk bytes, if there is some.
pub(super) type Room<'r> = &'r (dyn Fn(u32) -> Option<OwnedSemaphorePermit> + Send + Sync);

/// How frames are passed on.
#[derive(Clone, Copy)]
pub(super) struct Passing<'r> {
    /// From the first byte of a frame to its last, and for the other side to take one.
    pub(super) frame: Duration,
    /// Bulk bytes that may come at once.
    pub(super) most: u64,
    /// Where they are kept.
    pub(super) keep: Keep,
    /// For how long.
    pub(super) lifetime: Option<Duration>,
    /// Room for bulk bytes that come, given back with the answer.
    pub(super) room: Option<Room<'r>>,
}

/// The room that is taken, by request.
type Taken = Mutex<HashMap<RequestId, OwnedSemaphorePermit>>;

/// Passes frames on until one side ends. Says why, if it isn't that the near side ended.
pub(super) async fn pass<S: AsyncRead + AsyncWrite + Send>(inner: &UnixStream, outer: S, passing: Passing<'_>) -> io::Result<()> {
    let (reader, mut writer) = tokio::io::split(outer);
    let taken = Taken::default();
    let old = async {
        match passing.lifetime {
            Some(lifetime) => tokio::time::sleep(lifetime).await,
            None => std::future::pending().await,
        }
    };
    let result = {
        let mut outwards = std::pin::pin!(outwards(inner, &mut writer, passing, &taken));
        tokio::select! {
            ended = &mut outwards => ended,
            () = old => Ok(()),
            ended = inwards(reader, inner, passing, &taken) => match ended {
                // The near side says what it says to everybody who breaks the protocol, and ends.
                Err(error) if error.kind() == io::ErrorKind::InvalidData && passing.keep == Keep::Sealed => {
                    let wrong = Frame::new(Kind::Welcome, RequestId::from_bytes([0; 16]), Vec::new()).map(|frame| frame.to_bytes());
                    let _ = send(inner, &wrong.unwrap_or_default(), None).await;
                    let _ = timeout(passing.frame, outwards).await;
                    Err(error)
                }
                ended => ended,
            },
        }
    };
    let _ = timeout(passing.frame, writer.shutdown()).await;
    result
}

/// A word to somebody who isn't a client.
pub(super) async fn say_last<S: AsyncWrite + Unpin>(mut outer: S, bytes: &[u8], patience: Duration) {
    let _ = timeout(patience, async {
        outer.write_all(bytes).await?;
        outer.shutdown().await
    })
    .await;
}

fn wrong(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn late() -> io::Error {
    wrong("a frame took too long")
}

/// Bulk bytes that are coming.
struct Coming {
    id: RequestId,
    announced: u64,
    found: u64,
    file: File,
    until: Instant,
    room: Option<OwnedSemaphorePermit>,
}

impl Coming {
    async fn new(frame: &Frame, passing: Passing<'_>) -> io::Result<Self> {
        let announced = <[u8; 8]>::try_from(frame.payload()).map(u64::from_be_bytes).map_err(|_| wrong("a number of bytes is missing"))?;
        if announced > passing.most {
            return Err(wrong("more bulk bytes are announced than may come"));
        }
        let kibibytes = u32::try_from(announced / 1_024 + 1).unwrap_or(u32::MAX);
        let room = match passing.room {
            None => None,
            Some(room) => {
                let found = timeout(passing.frame, async {
                    loop {
                        if let Some(permit) = room(kibibytes) {
                            return permit;
                        }
                        tokio::time::sleep(LOOK).await;
                    }
                });
                Some(found.await.map_err(|_| wrong("there is no room for bulk bytes"))?)
            }
        };
        let until = Instant::now() + passing.frame + Duration::from_secs(announced / BYTES_A_SECOND);
        Ok(Self { id: frame.id(), announced, found: 0, file: kept(passing.keep)?, until, room })
    }

    /// Says whether that was the last.
    fn take(&mut self, frame: &Frame) -> io::Result<bool> {
        let piece = frame.payload();
        self.found = self.found.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if frame.kind() != Kind::Piece || frame.id() != self.id || self.found > self.announced {
            return Err(wrong("other bulk bytes come than were announced"));
        }
        self.file.write_all(piece)?;
        if !piece.is_empty() {
            return Ok(false);
        }
        if self.found == self.announced { Ok(true) } else { Err(wrong("fewer bulk bytes come than were announced")) }
    }
}

fn kept(keep: Keep) -> io::Result<File> {
    if keep == Keep::Unnamed {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        if let Ok(file) = rustix::fs::open(std::env::temp_dir(), flags, Mode::RUSR | Mode::WUSR) {
            return Ok(File::from(file));
        }
    }
    Ok(File::from(rustix::fs::memfd_create("keyblind-bulk", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?))
}

/// From the other machine.
async fn inwards<R: AsyncRead + Unpin>(mut outer: R, inner: &UnixStream, passing: Passing<'_>, taken: &Taken) -> io::Result<()> {
    let (mut decoder, mut buffer) = (Decoder::new(), vec![0; PIECE]);
    let mut coming: Option<Coming> = None;
    let mut since: Option<Instant> = None;
    loop {
        while let Some(frame) = decoder.next_frame().map_err(|_| wrong("this is no frame"))? {
            since = decoder.is_midway().then(Instant::now);
            match &mut coming {
                Some(bulk) => {
                    if bulk.take(&frame)?
                        && let Some(Coming { id, announced, file, room, .. }) = coming.take()
                    {
                        if passing.keep == Keep::Sealed {
                            seal(&file)?;
                        }
                        if let Some(room) = room {
                            taken.lock().unwrap_or_else(PoisonError::into_inner).insert(id, room);
                        }
                        send(inner, &announcement(id, Count::saturating(announced)), Some(file.as_fd())).await?;
                    }
                }
                None if frame.kind() == Kind::Bulk => coming = Some(Coming::new(&frame, passing).await?),
                None if frame.kind() == Kind::Piece => return Err(wrong("a piece comes that wasn't announced")),
                None => send(inner, &frame.to_bytes(), None).await?,
            }
        }
        let until = [since.map(|since| since + passing.frame), coming.as_ref().map(|bulk| bulk.until)].into_iter().flatten().min();
        let reading = outer.read(&mut buffer);
        let count = match until {
            Some(until) => timeout_at(until, reading).await.map_err(|_| late())??,
            None => reading.await?,
        };
        if count == 0 {
            return Ok(());
        }
        decoder.push(&buffer[..count]);
        since.get_or_insert_with(Instant::now);
    }
}

/// To the other machine.
async fn outwards<W: AsyncWrite + Unpin>(inner: &UnixStream, outer: &mut W, passing: Passing<'_>, taken: &Taken) -> io::Result<()> {
    let (mut decoder, mut buffer, mut came) = (Decoder::new(), vec![0; PIECE], VecDeque::new());
    loop {
        while let Some(frame) = decoder.next_frame().map_err(|_| wrong("this is no frame"))? {
            write(outer, &frame, passing).await?;
            match frame.kind() {
                Kind::Bulk => {
                    let descriptor: OwnedFd = came.pop_front().ok_or_else(|| wrong("no bulk bytes are with their announcement"))?;
                    let length = <[u8; 8]>::try_from(frame.payload()).map(u64::from_be_bytes).unwrap_or_default();
                    write_pieces(outer, frame.id(), File::from(descriptor), length, passing).await?;
                }
                Kind::Answer | Kind::Refused => drop(taken.lock().unwrap_or_else(PoisonError::into_inner).remove(&frame.id())),
                _ => {}
            }
        }
        match inner.async_io(Interest::READABLE, || descriptors::receive(inner, &mut buffer, &mut came)).await {
            Ok(0) => return Ok(()),
            Ok(count) => decoder.push(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

async fn write<W: AsyncWrite + Unpin>(outer: &mut W, frame: &Frame, passing: Passing<'_>) -> io::Result<()> {
    let written = async {
        outer.write_all(&frame.to_bytes()).await?;
        outer.flush().await
    };
    timeout(passing.frame, written).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

async fn write_pieces<W: AsyncWrite + Unpin>(
    outer: &mut W,
    id: RequestId,
    file: File,
    length: u64,
    passing: Passing<'_>,
) -> io::Result<()> {
    let file = Arc::new(file);
    let mut at = 0;
    while at < length {
        let wanted = usize::try_from(length - at).unwrap_or(usize::MAX).min(PIECE);
        let source = Arc::clone(&file);
        // By position: the offset is shared with whoever sent the descriptor. And where a disk may be waited for.
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = vec![0; wanted];
            source.read_exact_at(&mut piece, at).map(|()| piece)
        });
        let piece = read.await.map_err(io::Error::other)??;
        let frame = Frame::new(Kind::Piece, id, piece).map_err(|_| wrong("a piece is too long"))?;
        write(outer, &frame, passing).await?;
        at += u64::try_from(wanted).unwrap_or(u64::MAX);
    }
    let last = Frame::new(Kind::Piece, id, Vec::new()).map_err(|_| wrong("a piece is too long"))?;
    write(outer, &last, passing).await
}

async fn send(inner: &UnixStream, bytes: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let (mut rest, mut descriptor) = (bytes, descriptor);
    while !rest.is_empty() {
        match inner.async_io(Interest::WRITABLE, || descriptors::send(inner, rest, descriptor)).await {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                descriptor = None;
                rest = &rest[count..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
