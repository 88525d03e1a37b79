//! Shares equal texts within one parse: configuration says the same few words over and over.

use std::sync::Arc;

/// How many texts are remembered; a power of two.
const SLOTS: usize = 256;

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
        Self { slots: std::iter::repeat_with(|| None).take(SLOTS).collect() }
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

/// Mixes the text eight bytes at a time; the last eight may overlap the ones before them.
fn slot_of(bytes: &[u8]) -> usize {
    /// 2^64 divided by the golden ratio.
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut mixed = bytes.len() as u64;
    let mut mix = |word: u64| mixed = (mixed ^ word).wrapping_mul(MULTIPLIER).rotate_left(29);
    if let Some(last) = bytes.last_chunk::<8>() {
        for chunk in bytes.as_chunks::<8>().0 {
            mix(u64::from_le_bytes(*chunk));
        }
        mix(u64::from_le_bytes(*last));
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        mix(u64::from(u32::from_le_bytes(*first)) | u64::from(u32::from_le_bytes(*last)) << 32);
    } else {
        mix(bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)));
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
