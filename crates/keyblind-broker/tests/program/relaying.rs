//! The relay, driven as `keyblind` drives it: frames on pipes, bulk bytes in inherited files.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, RawFd};

use keyblind_harden::{Child, Ended, Start, start};
use keyblind_intent::{Answer, Bulk, Decoder, Frame, Kind, Missing, Outcome, Provider, Refusal, Request, RequestId, decode, encode};

use crate::support::{PROGRAM, Place};

pub(crate) struct Relay {
    child: Child,
    to: Option<PipeWriter>,
    from: PipeReader,
    decoder: Decoder,
}

impl Relay {
    fn start(place: &Place, arguments: &[&str], descriptors: &[(BorrowedFd<'_>, RawFd)]) -> Self {
        let socket = place.socket();
        let fixed = [OsStr::new("--socket"), socket.as_os_str(), OsStr::new("relay")];
        let arguments: Vec<&OsStr> = fixed.into_iter().chain(arguments.iter().map(OsStr::new)).collect();
        Self::with(place, &arguments, descriptors)
    }

    pub(crate) fn with(place: &Place, arguments: &[&OsStr], descriptors: &[(BorrowedFd<'_>, RawFd)]) -> Self {
        let (input, to) = std::io::pipe().unwrap();
        let (from, output) = std::io::pipe().unwrap();
        let arguments: Vec<&OsStr> = [OsStr::new(PROGRAM)].into_iter().chain(arguments.iter().copied()).collect();
        let descriptors: Vec<_> = [(input.as_fd(), 0), (output.as_fd(), 1)].into_iter().chain(descriptors.iter().copied()).collect();
        let home = place.folder.path().to_str().unwrap();
        let what = Start { program: OsStr::new(PROGRAM), arguments: &arguments, environment: &[("HOME", home)], descriptors: &descriptors };
        Self { child: start(what).unwrap(), to: Some(to), from, decoder: Decoder::new() }
    }

    pub(crate) fn send(&mut self, kind: Kind, payload: Vec<u8>) {
        self.send_as(1, kind, payload);
    }

    pub(crate) fn send_as(&mut self, id: u8, kind: Kind, payload: Vec<u8>) {
        let frame = Frame::new(kind, RequestId::from_bytes([id; 16]), payload).unwrap();
        self.to.as_mut().unwrap().write_all(&frame.to_bytes()).unwrap();
    }

    pub(crate) fn receive(&mut self) -> Option<(Kind, Vec<u8>)> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(frame) = self.decoder.next_frame().unwrap() {
                return Some((frame.kind(), frame.into_payload()));
            }
            match self.from.read(&mut buffer).unwrap() {
                0 => return None,
                count => self.decoder.push(&buffer[..count]),
            }
        }
    }

    pub(crate) fn outcome(&mut self) -> Outcome {
        let (kind, payload) = self.receive().unwrap();
        assert_eq!(kind, Kind::Answer);
        match decode(&payload).unwrap() {
            Answer::Outcome(outcome) => outcome,
            Answer::Report(report) => panic!("{report:?}"),
        }
    }

    pub(crate) fn end(mut self) -> Ended {
        self.to = None;
        self.child.wait().unwrap()
    }
}

fn list() -> Vec<u8> {
    encode(&decode::<Request>(br#"{"intent":{"list-repositories":{"forge":"github"}}}"#).unwrap()).unwrap()
}

fn not_configured() -> Outcome {
    Outcome::NotConfigured { missing: Missing::Provider(Provider::Github) }
}

#[test]
fn frames_pass_both_ways_and_the_relay_ends_with_its_pipe() {
    let place = Place::new();
    let _broker = place.start();
    let mut relay = Relay::start(&place, &[], &[]);
    assert_eq!(relay.receive().unwrap().0, Kind::Welcome);
    relay.send(Kind::Request, list());
    assert_eq!(relay.outcome(), not_configured());
    assert_eq!(relay.end(), Ended::Exited(0));
}

#[test]
fn bulk_bytes_go_through_an_inherited_file() {
    let place = Place::new();
    let _broker = place.start();
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"{\"runs\":[]} and what doesn't belong to it").unwrap();
    file.seek(SeekFrom::Start(7)).unwrap();
    let mut relay = Relay::start(&place, &["--attached", "5"], &[(file.as_fd(), 5)]);
    assert_eq!(relay.receive().unwrap().0, Kind::Welcome);
    let Bulk { digest, bytes } = Bulk::of(b"{\"runs\":[]}");
    let upload = format!(
        r#"{{"intent":{{"upload-sarif":{{"repository":{{"forge":"github","owner":"o","name":"n"}},"commit":"0123456789abcdef0123456789abcdef01234567","revision":"default-branch","sarif":{{"digest":"{digest}","bytes":{bytes}}}}}}}}}"#
    );
    relay.send(Kind::Bulk, bytes.get().to_be_bytes().to_vec());
    relay.send(Kind::Request, upload.into_bytes());
    // The bytes were the announced ones, or it would be refused; nobody handles the intent.
    assert_eq!(relay.outcome(), not_configured());
    assert_eq!(relay.end(), Ended::Exited(0));
}

#[test]
fn garbage_on_the_pipe_ends_the_relay_and_never_reaches_the_broker() {
    let place = Place::new();
    let _broker = place.start();
    let mut relay = Relay::start(&place, &[], &[]);
    assert_eq!(relay.receive().unwrap().0, Kind::Welcome);
    relay.to.as_mut().unwrap().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(relay.receive(), None);
    relay.end();
}

#[test]
fn a_token_from_an_inherited_descriptor_makes_the_relay_the_runners() {
    let place = Place::new();
    let config = place.configured();
    let (mut tokens, give) = std::io::pipe().unwrap();
    let arguments = ["keyblind-broker", "--config", config.to_str().unwrap(), "run", "--give-token", "4=runner"].map(OsStr::new);
    let home = place.folder.path().to_str().unwrap();
    let what =
        Start { program: OsStr::new(PROGRAM), arguments: &arguments, environment: &[("HOME", home)], descriptors: &[(give.as_fd(), 4)] };
    let _broker = start(what).unwrap();
    drop(give);
    let mut token = Vec::new();
    tokens.read_to_end(&mut token).unwrap();
    assert_eq!(token.len(), 32);
    let with_token = |token: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(token).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        crate::support::eventually("the broker listens", || place.socket().exists());
        Relay::start(&place, &["--token", "6"], &[(File::as_fd(&file), 6)])
    };
    let mut relay = with_token(&token);
    assert_eq!(relay.receive().unwrap().0, Kind::Welcome);
    // A runner may ask for repositories, but not begin to connect an account: that is for people.
    relay.send(Kind::Request, br#"{"control":{"connect":{"provider":"github"}}}"#.to_vec());
    let (kind, payload) = relay.receive().unwrap();
    assert_eq!((kind, decode::<Refusal>(&payload).unwrap()), (Kind::Refused, Refusal::NotAllowed));
    let mut replayed = with_token(&token);
    let (kind, payload) = replayed.receive().unwrap();
    assert_eq!((kind, decode::<Refusal>(&payload).unwrap()), (Kind::Refused, Refusal::BadToken));
    assert_eq!(replayed.end(), Ended::Exited(3));
}
