//! Frames: whatever arrives, in one piece or in many, gives the same frames and the same error, and a frame that was read is written
//! as it came.

#![no_main]

use keyblind_intent::{Decoder, Frame, FrameError};
use libfuzzer_sys::fuzz_target;

fn read(pieces: &[&[u8]]) -> (Vec<Frame>, Option<FrameError>) {
    let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

fuzz_target!(|data: &[u8]| {
    let Some((size, bytes)) = data.split_first() else { return };
    let whole = read(&[bytes]);
    let pieces: Vec<&[u8]> = bytes.chunks(usize::from(*size).max(1)).collect();
    assert_eq!(read(&pieces), whole);
    let written: Vec<u8> = whole.0.iter().flat_map(Frame::to_bytes).collect();
    assert_eq!(written, bytes[..written.len()]);
});
