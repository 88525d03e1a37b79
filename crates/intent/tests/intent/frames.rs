use keyblind_intent::*;
use proptest::prelude::*;

fn frame(kind: Kind, payload: &[u8]) -> Frame {
    Frame::new(kind, RequestId::from_bytes([7; 16]), payload.to_vec()).unwrap()
}

fn error_of(bytes: &[u8]) -> Option<FrameError> {
    let mut decoder = Decoder::new();
    decoder.push(bytes);
    loop {
        match decoder.next_frame() {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

#[test]
fn a_frame_looks_as_it_is_written_down() {
    let bytes = frame(Kind::Request, b"{}").to_bytes();
    assert_eq!(bytes[..8], *b"KB\x01\x04\x00\x00\x00\x02");
    assert_eq!(bytes[8..24], [7; 16]);
    assert_eq!(bytes[24..], *b"{}");
}

#[test]
fn strangers_are_known_by_their_first_bytes() {
    assert_eq!(error_of(b"G"), Some(FrameError::NotAFrame));
    assert_eq!(error_of(b"GET / HTTP/1.1\r\n"), Some(FrameError::NotAFrame));
    assert_eq!(error_of(b"KX"), Some(FrameError::NotAFrame));
    assert_eq!(error_of(b"KB\x02"), Some(FrameError::UnknownVersion(2)));
    assert_eq!(error_of(b"KB\x01\x00"), Some(FrameError::UnknownKind(0)));
    assert_eq!(error_of(b"KB\x01\xff"), Some(FrameError::UnknownKind(255)));
    assert_eq!(error_of(b"KB\x01\x04"), None);
}

#[test]
fn a_huge_length_is_refused_before_anything_of_it_arrives() {
    assert_eq!(error_of(b"KB\x01\x04\xff\xff\xff\xff"), Some(FrameError::TooLong { kind: Kind::Request, length: u32::MAX }));
    assert_eq!(error_of(b"KB\x01\x07\x00\x00\x00\x01"), Some(FrameError::TooLong { kind: Kind::Cancel, length: 1 }));
    for kind in Kind::ALL {
        let too_long = u32::try_from(kind.largest() + 1).unwrap();
        let bytes = [b"KB\x01", &[kind as u8][..], &too_long.to_be_bytes()].concat();
        assert_eq!(error_of(&bytes), Some(FrameError::TooLong { kind, length: too_long }));
        assert!(Frame::new(kind, RequestId::from_bytes([0; 16]), vec![0; kind.largest() + 1]).is_err());
        assert!(Frame::new(kind, RequestId::from_bytes([0; 16]), vec![0; kind.largest()]).is_ok());
    }
}

#[test]
fn after_an_error_there_is_only_that_error() {
    let mut decoder = Decoder::new();
    decoder.push(b"X");
    assert_eq!(decoder.next_frame(), Err(FrameError::NotAFrame));
    decoder.push(&frame(Kind::Cancel, b"").to_bytes());
    assert_eq!(decoder.next_frame(), Err(FrameError::NotAFrame));
}

#[test]
fn a_token_isnt_shown() {
    assert_eq!(format!("{:?}", frame(Kind::Token, &[0x41; 32])), "Token a4dqobyha4dqobyha4dqobyha4 (32 bytes)");
}

fn any_frame() -> impl Strategy<Value = Frame> {
    (0..Kind::ALL.len(), any::<[u8; 16]>(), proptest::collection::vec(any::<u8>(), 0..200)).prop_map(|(kind, id, mut payload)| {
        let kind = Kind::ALL[kind];
        payload.truncate(kind.largest());
        Frame::new(kind, RequestId::from_bytes(id), payload).unwrap()
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(frames in proptest::collection::vec(any_frame(), 0..8), splits in proptest::collection::vec(1..90_usize, 1..40)) {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::to_bytes).collect();
        let (mut decoder, mut found, mut rest) = (Decoder::new(), Vec::new(), &bytes[..]);
        for split in splits.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, after) = rest.split_at((*split).min(rest.len()));
            decoder.push(piece);
            while let Some(frame) = decoder.next_frame().unwrap() {
                found.push(frame);
            }
            rest = after;
        }
        prop_assert!(!decoder.is_midway());
        prop_assert_eq!(found, frames);
    }

    #[test]
    fn garbage_never_stops_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..400), begins in any::<bool>()) {
        let bytes = if begins { [b"KB\x01".as_slice(), &bytes].concat() } else { bytes };
        // Whatever it says: as a whole and byte by byte it is the same.
        let mut decoder = Decoder::new();
        let mut last = None;
        for byte in &bytes {
            decoder.push(&[*byte]);
            while let Ok(Some(_)) = decoder.next_frame() {}
            last = decoder.next_frame().err();
        }
        prop_assert_eq!(error_of(&bytes), last);
    }
}
