//! Digests, and the short code that people compare.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::names::Invalid;

/// A SHA-256, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Takes a digest that was computed elsewhere.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The code that people compare.
    #[must_use]
    pub fn short_code(&self) -> ShortCode {
        ShortCode::of(self)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Digest {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid::new("digest", "64 hexadecimal digits in lower case (SHA-256)");
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return Err(invalid);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hexadecimal(pair[0]).zip(hexadecimal(pair[1])).map(|(high, low)| high << 4 | low).ok_or(invalid)?;
        }
        Ok(Self(bytes))
    }
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl TryFrom<String> for Digest {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// What people compare in two places before they say yes, like `KB-7K2M-WQ4X`. It is made from a change's digest; eight letters of
/// 23 are 36 bits, so that a change that is made up to have another's code takes tens of billions of tries, in the minutes that
/// a request is open. It only helps the eye: what is approved is the whole digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ShortCode([u8; 8]);

/// No two of these look or sound alike in any usual type: no vowels, no 0 and O, 1 and I and L, 2 and Z, 5 and S, 6 and G, 8 and B.
const LETTERS: &[u8; 23] = b"2345679CDFHJKMNPQRTVWXY";

impl ShortCode {
    fn of(digest: &Digest) -> Self {
        let (start, _) = digest.0.split_at(16);
        let mut number = start.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        let letters = LETTERS.len() as u128;
        Self(std::array::from_fn(|_| {
            let letter = LETTERS[usize::try_from(number % letters).unwrap_or_default()];
            number /= letters;
            letter
        }))
    }
}

impl fmt::Display for ShortCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("KB")?;
        self.0.iter().enumerate().try_for_each(|(index, letter)| {
            let hyphen = if index % 4 == 0 { "-" } else { "" };
            write!(formatter, "{hyphen}{}", char::from(*letter))
        })
    }
}

impl fmt::Debug for ShortCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for ShortCode {
    type Err = Invalid;

    /// People type it: small letters and missing hyphens are taken.
    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid::new("code", "like KB-7K2M-WQ4X");
        if text.len() > 20 {
            return Err(invalid);
        }
        let plain: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'-' | b' ')).map(|byte| byte.to_ascii_uppercase()).collect();
        let letters = plain.strip_prefix(b"KB").ok_or(invalid)?;
        let letters: [u8; 8] = letters.try_into().map_err(|_| invalid)?;
        if letters.iter().all(|letter| LETTERS.contains(letter)) { Ok(Self(letters)) } else { Err(invalid) }
    }
}

impl TryFrom<String> for ShortCode {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<ShortCode> for String {
    fn from(code: ShortCode) -> Self {
        code.to_string()
    }
}

/// What a person is asked on another device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingPurpose {
    /// To approve a change of a repository.
    ApproveRepositoryChange,
    /// To approve a change of a live account.
    ApproveAccountChange,
    /// To confirm who they are once more.
    ConfirmIdentity,
}

/// The message of a request on another device (OpenID CIBA, `binding_message`): only our own fixed words and the code, so that nobody
/// who names a resource can write in it. At most 50 characters of `A-Za-z0-9+-_.,:#`, as the narrowest of the providers wants it.
#[must_use]
pub fn binding_message(purpose: BindingPurpose, code: ShortCode) -> String {
    let words = match purpose {
        BindingPurpose::ApproveRepositoryChange => "Keyblind:repository-change",
        BindingPurpose::ApproveAccountChange => "Keyblind:account-change",
        BindingPurpose::ConfirmIdentity => "Keyblind:confirm-identity",
    };
    format!("{words}:{code}")
}
