//! Credentials in memory.
//!
//! A [`Secret`] has no `Debug`, `Display`, `Serialize`, `Clone` or `PartialEq`, so that it can't get into a log, an error, a
//! record or an assertion by accident; it isn't hidden from them, there is no such code. Its bytes are read only inside
//! [`Secret::expose`], for what sends them (egress) and what seals them (the vault). Only the broker links this.
//!
//! The bytes lie in pages of their own that are locked into memory (no swap) and are overwritten when the secret dies. That no
//! core dump holds them is settled for the whole process, which isn't dumpable.

use std::sync::atomic::{AtomicUsize, Ordering};

use zeroize::Zeroize;

/// How many living secrets the system did not let us lock into memory.
static UNLOCKED: AtomicUsize = AtomicUsize::new(0);

/// How many living secrets could be swapped out, because the system did not let their pages be locked (`RLIMIT_MEMLOCK` is too
/// low). Anything but zero is for the operator to know.
pub fn unlocked_secrets() -> usize {
    UNLOCKED.load(Ordering::Relaxed)
}

/// A credential, or a part of one.
///
/// There is no way to print it:
/// ```compile_fail
/// let secret = keyblind_secret::Secret::from_string("token".to_owned());
/// println!("{secret:?}");
/// ```
/// nor to copy it, to compare it, or to write it into a record. What it holds is lent, never given:
/// ```
/// let secret = keyblind_secret::Secret::from_string("token".to_owned());
/// assert!(secret.expose(|bytes| bytes == b"token"));
/// ```
pub struct Secret {
    buffer: Box<[u8]>,
    start: usize,
    len: usize,
    /// Gives the pages back to the swapper when dropped: after the bytes are gone, before the buffer is freed.
    lock: Option<region::LockGuard>,
}

impl Secret {
    /// Takes the bytes over; the given buffer is overwritten.
    ///
    /// A buffer that grew before has left copies behind that nobody can reach any more: read into one that is large enough.
    pub fn from_bytes(mut bytes: Vec<u8>) -> Self {
        let secret = Self::filled(bytes.len(), |target| target.copy_from_slice(&bytes));
        bytes.zeroize();
        secret
    }

    /// Takes the text over; the given buffer is overwritten.
    pub fn from_string(text: String) -> Self {
        Self::from_bytes(text.into_bytes())
    }

    /// Makes one in place: `fill` is given its memory, all zero, so that the bytes need never lie elsewhere.
    pub fn filled(len: usize, fill: impl FnOnce(&mut [u8])) -> Self {
        let mut secret = Self::zeroed(len);
        let range = secret.start..secret.start + len;
        fill(&mut secret.buffer[range]);
        secret
    }

    /// Whole pages that nothing else lies in: locks aren't counted, so unlocking a neighbour's page would unlock ours.
    fn zeroed(len: usize) -> Self {
        let page = region::page::size();
        let pages = len.max(1).div_ceil(page) * page;
        let buffer = vec![0; pages + page].into_boxed_slice();
        let start = buffer.as_ptr().addr().next_multiple_of(page) - buffer.as_ptr().addr();
        let lock = region::lock(buffer[start..].as_ptr(), pages).ok();
        if lock.is_none() {
            UNLOCKED.fetch_add(1, Ordering::Relaxed);
        }
        Self { buffer, start, len, lock }
    }

    /// Lends the bytes to `use_bytes`. Whatever it copies out of them is its to overwrite.
    pub fn expose<T>(&self, use_bytes: impl FnOnce(&[u8]) -> T) -> T {
        use_bytes(&self.buffer[self.start..self.start + self.len])
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether its pages are locked into memory.
    pub fn is_locked(&self) -> bool {
        self.lock.is_some()
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.buffer.zeroize();
        if self.lock.take().is_none() {
            UNLOCKED.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_gives_back_what_went_in_whatever_its_size() {
        for len in [0, 1, 31, 4095, 4096, 4097, 70_000] {
            let bytes: Vec<u8> = (0..len).map(|index: usize| index.to_le_bytes()[0]).collect();
            let secret = Secret::from_bytes(bytes.clone());
            assert_eq!(secret.len(), len);
            assert!(secret.expose(|exposed| exposed == bytes), "{len} bytes");
        }
    }

    #[test]
    fn its_pages_are_its_own() {
        let page = region::page::size();
        let secrets: Vec<Secret> = (0..8).map(|_| Secret::from_bytes(vec![7; 16])).collect();
        let mut pages: Vec<usize> = secrets.iter().map(|secret| secret.expose(|bytes| bytes.as_ptr().addr())).collect();
        assert!(pages.iter().all(|address| address.is_multiple_of(page)));
        pages.sort_unstable();
        pages.dedup();
        assert_eq!(pages.len(), 8);
        for secret in &secrets {
            let window = secret.start..secret.start + page;
            assert!(window.end <= secret.buffer.len(), "the locked pages end inside the buffer");
        }
    }

    /// What the kernel says, not what we believe: `VmLck` grows by a page for each living secret and shrinks again.
    #[cfg(target_os = "linux")]
    #[test]
    fn the_kernel_counts_the_locked_pages() {
        let secret = Secret::from_bytes(vec![1; 3 * region::page::size()]);
        assert!(secret.is_locked(), "this machine locks no memory: raise `ulimit -l`");
        let address = secret.expose(|bytes| bytes.as_ptr().addr());
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        let mut locked = 0_usize;
        for line in maps.lines() {
            let first = line.split_whitespace().next().unwrap_or_default();
            if let Some((low, high)) = first.split_once('-').filter(|_| !first.ends_with(':')) {
                let parse = |text| usize::from_str_radix(text, 16).unwrap();
                inside = (parse(low)..parse(high)).contains(&address);
            } else if inside && first == "Locked:" {
                locked = line.split_whitespace().nth(1).unwrap().parse().unwrap();
            }
        }
        assert!(locked >= 3 * region::page::size() / 1024, "{locked} kB locked around the secret");
    }
}
