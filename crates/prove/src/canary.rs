//! What is looked for: values that stand in every secret slot and nowhere else, in every form in which they could leak.

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use anyhow::Result;
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

/// Bytes of a piece. A canary is looked for piece by piece, so that one that was split is found by what is left of it; 16 random bytes
/// are nowhere by chance.
const PIECE: usize = 16;
/// Each piece begins so many bytes after the one before: of a canary that is cut in two, one half holds a piece.
const STRIDE: usize = 4;
/// A long one has so many pieces that they needn't overlap.
const LONG: usize = 256;
/// What a pattern must have at least to say anything.
const SHORTEST: usize = 14;

/// A secret value that was planted.
#[derive(Clone)]
pub struct Canary {
    /// What it is.
    pub name: String,
    /// It.
    pub bytes: Vec<u8>,
}

/// How a canary can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// As it is.
    Raw,
    /// Its bytes backwards.
    Reversed,
    /// Hexadecimal digits.
    Hex,
    /// Base 64, at any of its three alignments, with either alphabet.
    Base64,
    /// Each byte as `%41`.
    Percent,
    /// Two bytes a character.
    Wide,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Raw, Self::Reversed, Self::Hex, Self::Base64, Self::Percent, Self::Wide];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Reversed => "reversed",
            Self::Hex => "hexadecimal",
            Self::Base64 => "base 64",
            Self::Percent => "percent-encoded",
            Self::Wide => "two bytes a character",
        }
    }

    /// Bytes in this form.
    #[must_use]
    pub fn of(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Raw => bytes.to_vec(),
            Self::Reversed => bytes.iter().rev().copied().collect(),
            Self::Hex => HEXLOWER.encode(bytes).into_bytes(),
            Self::Base64 => BASE64.encode(bytes).into_bytes(),
            Self::Percent => bytes.iter().flat_map(|byte| format!("%{byte:02X}").into_bytes()).collect(),
            Self::Wide => bytes.iter().flat_map(|byte| [*byte, 0]).collect(),
        }
    }

    /// What shows that a piece stands somewhere in this form, whatever stands around it.
    fn patterns(self, piece: &[u8]) -> Vec<Vec<u8>> {
        match self {
            Self::Hex => vec![HEXLOWER.encode(piece).into_bytes(), HEXUPPER.encode(piece).into_bytes()],
            Self::Base64 => {
                let mut patterns = Vec::new();
                for shift in 0..3 {
                    let padded = [&[0_u8; 2][..shift], piece].concat();
                    // The letters that depend on the piece alone: not those that begin before it or end after it.
                    let (from, whole) = ((shift * 8).div_ceil(6), padded.len() * 8 / 6);
                    patterns.push(BASE64.encode(&padded).into_bytes()[from..whole].to_vec());
                    patterns.push(BASE64URL.encode(&padded).into_bytes()[from..whole].to_vec());
                }
                patterns
            }
            Self::Percent => vec![self.of(piece), self.of(piece).to_ascii_lowercase()],
            _ => vec![self.of(piece)],
        }
    }
}

/// A canary where it must not be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hit {
    /// Which.
    pub canary: String,
    /// How it is written there.
    pub form: Form,
}

/// All that is looked for at once.
pub struct Needles {
    automaton: AhoCorasick,
    owners: Vec<Hit>,
    longest: usize,
}

impl Needles {
    /// Prepares the search for these.
    ///
    /// # Errors
    /// If there is too much of it.
    pub fn of(canaries: &[Canary]) -> Result<Self> {
        let (mut patterns, mut owners) = (Vec::new(), Vec::new());
        for canary in canaries {
            let stride = if canary.bytes.len() > LONG { PIECE } else { STRIDE };
            for piece in canary.bytes.windows(PIECE.min(canary.bytes.len())).step_by(stride) {
                for form in Form::ALL {
                    for pattern in form.patterns(piece).into_iter().filter(|pattern| pattern.len() >= SHORTEST) {
                        patterns.push(pattern);
                        owners.push(Hit { canary: canary.name.clone(), form });
                    }
                }
            }
        }
        let longest = patterns.iter().map(Vec::len).max().unwrap_or_default();
        Ok(Self { automaton: AhoCorasick::new(patterns)?, owners, longest })
    }

    /// What of it stands in these bytes.
    #[must_use]
    pub fn find(&self, bytes: &[u8]) -> BTreeSet<Hit> {
        self.automaton.find_iter(bytes).map(|found| self.owners[found.pattern().as_usize()].clone()).collect()
    }

    /// How many bytes two pieces of what is searched must share, so that nothing is missed between them.
    #[must_use]
    pub fn overlap(&self) -> usize {
        self.longest.saturating_sub(1)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn canary() -> Canary {
        Canary { name: "token".to_owned(), bytes: b"ghs_q7W2n8ZkT4vXc1Lr9YpB5mD3fH6jS0aEuGt".to_vec() }
    }

    #[test]
    fn each_form_is_found_with_anything_around_it() {
        let needles = Needles::of(&[canary()]).unwrap();
        for form in Form::ALL {
            for before in 0..4 {
                let text = [&b"abcdefg"[..before], &canary().bytes, b"xyz"].concat();
                let found = needles.find(&form.of(&text));
                assert!(found.iter().any(|hit| hit.form == form), "{form:?} after {before}: {found:?}");
            }
        }
    }

    #[test]
    fn one_that_is_split_is_found_by_either_half() {
        let (needles, bytes) = (Needles::of(&[canary()]).unwrap(), canary().bytes);
        for at in 1..bytes.len() {
            let halves = [&bytes[..at], &bytes[at..]];
            assert!(halves.iter().any(|half| !needles.find(half).is_empty()), "cut at {at}");
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let needles = Needles::of(&[canary()]).unwrap();
        assert!(needles.find(&(0..=u8::MAX).cycle().take(100_000).collect::<Vec<_>>()).is_empty());
        assert!(needles.find(b"ghs_q7W2n8").is_empty(), "too little to say anything");
    }
}
