//! Memory for what must not leave the process.

use std::fmt;

use crate::raw::Mapping;

/// How memory is kept from leaving the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// `memfd_secret`: the kernel itself has it mapped nowhere else, so that no tracer and no fault in the kernel's own reading of memory
    /// reaches it; it is never swapped and no child gets it.
    Secret,
    /// Locked: never swapped, not in a core file, wiped in a child.
    Locked,
}

/// Why there is no such memory.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// The user may not lock that much.
    #[error("{bytes} bytes can't be locked in memory: raise RLIMIT_MEMLOCK (`ulimit -l`, `LimitMEMLOCK=`), which is {limit}")]
    Limit {
        /// How much was wanted.
        bytes: usize,
        /// What the limit says.
        limit: String,
    },
    /// The kernel has no such memory to give.
    #[error("memory for secrets can't be made: {0}")]
    Refused(std::io::Error),
}

/// Bytes that are never swapped, never in a core file, not inherited by a child, between two pages that end the process when
/// touched, and overwritten before they are given back.
///
/// There is no `Debug` of the bytes, no `Clone` and no comparison: who shows, copies or compares a secret does so on purpose.
pub struct LockedBytes {
    mapping: Mapping,
}

impl LockedBytes {
    /// So many zeros.
    ///
    /// # Errors
    /// If the user may not lock that much memory, or there is none.
    pub fn zeroed(length: usize) -> Result<Self, MemoryError> {
        match Mapping::new(length) {
            Ok(mapping) => Ok(Self { mapping }),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EPERM | libc::ENOMEM)) => {
                let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock).current;
                Err(MemoryError::Limit {
                    bytes: length,
                    limit: limit.map_or_else(|| "unlimited".to_owned(), |bytes| format!("{bytes} bytes")),
                })
            }
            Err(error) => Err(MemoryError::Refused(error)),
        }
    }

    /// Takes bytes over: the ones given are overwritten with zeros, whether that works or not.
    ///
    /// # Errors
    /// If the user may not lock that much memory, or there is none.
    pub fn take(bytes: &mut [u8]) -> Result<Self, MemoryError> {
        let made = Self::zeroed(bytes.len());
        let made = made.map(|mut locked| {
            locked.expose_mut().copy_from_slice(bytes);
            locked
        });
        crate::raw::wipe(bytes);
        made
    }

    /// The bytes.
    pub fn expose(&self) -> &[u8] {
        self.mapping.bytes()
    }

    /// The bytes, to change them.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        self.mapping.bytes_mut()
    }

    /// How the kernel keeps them.
    pub fn protection(&self) -> Protection {
        if self.mapping.is_secret() { Protection::Secret } else { Protection::Locked }
    }
}

impl fmt::Debug for LockedBytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LockedBytes(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_over_is_overwritten_at_its_old_place() {
        let mut old = *b"a canary for a test";
        let locked = LockedBytes::take(&mut old).unwrap();
        assert_eq!(locked.expose(), b"a canary for a test");
        assert_eq!(old, [0; 19]);
        assert_eq!(format!("{locked:?}"), "LockedBytes(…)");
    }

    #[test]
    fn every_length_is_held_and_starts_as_zeros() {
        for length in [0, 1, 31, 4095, 4096, 4097, 20_000] {
            let mut locked = LockedBytes::zeroed(length).unwrap();
            assert_eq!(locked.expose(), vec![0; length]);
            locked.expose_mut().fill(7);
            assert_eq!(locked.expose(), vec![7; length]);
        }
    }

    #[test]
    fn it_is_gone_from_the_address_space_afterwards() {
        let locked = LockedBytes::take(&mut b"gone".to_vec()).unwrap();
        let place = locked.expose().as_ptr() as usize;
        let is_mapped = || {
            let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
            maps.lines().any(|line| {
                let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
                let number = |text| usize::from_str_radix(text, 16).unwrap();
                (number(from)..number(to)).contains(&place)
            })
        };
        assert!(is_mapped());
        drop(locked);
        // Another test's thread may map the place anew, but hardly each time.
        assert!((0..20).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(1));
            !is_mapped()
        }));
    }
}
