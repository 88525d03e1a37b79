//! Shares equal texts within one parse: configuration says the same few words over and over.

use std::sync::Arc;

/// How many texts are remembered; a power of two.
const SLOTS: usize = 512;

/// Longer texts are rarely said twice.
const LONGEST: usize = 48;

/// Remembers the texts that it gave out last. A text that meets another one in its slot replaces it, so this never
/// grows, and no input can make it slow.
#[derive(Debug)]
pub(crate) struct SharedTexts {
    slots: Box<[Option<Arc<str>>]>,
}

impl SharedTexts {
    pub(crate) fn new() -> Self {
        Self { slots: vec![None; SLOTS].into_boxed_slice() }
    }

    /// A shared copy of a text.
    pub(crate) fn share(&mut self, text: &str) -> Arc<str> {
        if text.len() > LONGEST {
            return text.into();
        }
        let slot = &mut self.slots[slot_of(text.as_bytes())];
        match slot {
            Some(known) if **known == *text => known.clone(),
            _ => slot.insert(text.into()).clone(),
        }
    }
}

/// Mixes the text eight bytes at a time (the multiplier is 2^64 divided by the golden ratio).
fn slot_of(bytes: &[u8]) -> usize {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut mixed = bytes.len() as u64;
    let mut chunks = bytes.chunks_exact(8);
    for chunk in &mut chunks {
        let mut word = [0; 8];
        word.copy_from_slice(chunk);
        mixed = (mixed ^ u64::from_le_bytes(word)).wrapping_mul(MULTIPLIER).rotate_left(29);
    }
    for byte in chunks.remainder() {
        mixed = (mixed ^ u64::from(*byte)).wrapping_mul(MULTIPLIER).rotate_left(29);
    }
    (mixed.wrapping_mul(MULTIPLIER) >> (64 - SLOTS.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_share_their_memory() {
        let mut texts = SharedTexts::new();
        let first = texts.share("aws_s3_bucket");
        assert!(Arc::ptr_eq(&first, &texts.share("aws_s3_bucket")));
        assert_eq!(&*texts.share("aws_s3_bucket_policy"), "aws_s3_bucket_policy");
    }

    #[test]
    fn any_text_comes_back_as_it_was() {
        let mut texts = SharedTexts::new();
        for round in 0..2 {
            for number in 0..10_000 {
                let text = format!("{number}{}", "x".repeat(number % 60));
                assert_eq!(*texts.share(&text), *text, "round {round}");
            }
        }
    }
}
