//! Numbers and random identifiers.

use std::fmt;
use std::str::FromStr;

use crate::limits::LARGEST_INTEGER;
use crate::names::Invalid;

/// A count that has an exact canonical form: at most 2^53 - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Count(u64);

impl Count {
    /// The largest.
    pub const MAX: Self = Self(LARGEST_INTEGER);

    /// Takes a number.
    ///
    /// # Errors
    /// If it is larger than 2^53 - 1.
    pub fn new(number: u64) -> Result<Self, Invalid> {
        if number <= LARGEST_INTEGER { Ok(Self(number)) } else { Err(Invalid::new("count", "a whole number up to 9007199254740991")) }
    }

    /// The number, or the largest count if it is larger.
    #[must_use]
    pub fn saturating(number: u64) -> Self {
        Self(number.min(LARGEST_INTEGER))
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Count {
    type Error = Invalid;

    fn try_from(number: u64) -> Result<Self, Invalid> {
        Self::new(number)
    }
}

impl From<Count> for u64 {
    fn from(count: Count) -> Self {
        count.0
    }
}

impl From<u32> for Count {
    fn from(number: u32) -> Self {
        Self(u64::from(number))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// A moment: milliseconds since the beginning of 1970 (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct UnixMillis(pub Count);

impl UnixMillis {
    /// The moment so many milliseconds after the beginning of 1970.
    #[must_use]
    pub fn new(milliseconds: u64) -> Self {
        Self(Count::saturating(milliseconds))
    }

    /// The milliseconds.
    #[must_use]
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

/// A random identifier of 128 bits, written as 26 lower-case letters and digits (base32, RFC 4648, without padding).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId([u8; 16]);

const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

impl RequestId {
    /// Takes 16 bytes, which the caller drew at random.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = u128::from_be_bytes(self.0);
        (0..26).try_for_each(|index| {
            // 26 letters hold 130 bits: the last has two that are always 0.
            let shift = 128 - 5 * (index + 1);
            let value = if shift >= 0 { bits >> shift } else { bits << -shift };
            let letter = BASE32[usize::try_from(value & 31).unwrap_or_default()];
            write!(formatter, "{}", char::from(letter))
        })
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for RequestId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        let invalid = Invalid::new("identifier", "26 lower-case letters and digits 2 to 7");
        if text.len() != 26 {
            return Err(invalid);
        }
        let mut bits = 0_u128;
        for (index, byte) in text.bytes().enumerate() {
            let value = BASE32.iter().position(|letter| *letter == byte).ok_or(invalid)?;
            let value = u128::try_from(value).map_err(|_| invalid)?;
            if index < 25 {
                bits = (bits << 5) | value;
            } else if value & 3 == 0 {
                bits = (bits << 3) | (value >> 2);
            } else {
                // Two ways to write one identifier would make a replay look new.
                return Err(invalid);
            }
        }
        Ok(Self(bits.to_be_bytes()))
    }
}

impl TryFrom<String> for RequestId {
    type Error = Invalid;

    fn try_from(text: String) -> Result<Self, Invalid> {
        text.parse()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.to_string()
    }
}
