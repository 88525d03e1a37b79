//! Identifiers that nobody can guess.

use std::fmt;
use std::str::FromStr;

use keyblind_intent::{Invalid, RequestId};

use crate::StoreError;

/// A mission's identifier: 128 random bits, written as 26 letters and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MissionId(RequestId);

impl MissionId {
    pub(crate) fn random() -> Result<Self, StoreError> {
        random().map(Self)
    }
}

/// 128 random bits from the kernel.
pub(crate) fn random() -> Result<RequestId, StoreError> {
    let mut bytes = [0_u8; 16];
    // Sixteen bytes come whole once the kernel has any: getrandom(2).
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(16) => Ok(RequestId::from_bytes(bytes)),
        _ => Err(StoreError::NoRandomness),
    }
}

/// A schedule's identifier: 128 random bits, written as 26 letters and digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ScheduleId(RequestId);

impl ScheduleId {
    pub(crate) const fn of(id: RequestId) -> Self {
        Self(id)
    }
}

impl fmt::Display for ScheduleId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for ScheduleId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.parse().map(Self)
    }
}

impl fmt::Display for MissionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for MissionId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Invalid> {
        text.parse().map(Self)
    }
}
