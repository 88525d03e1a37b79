//! Credentials in memory.
//!
//! A [`Secret`] has no `Debug`, `Display`, `Serialize`, `Clone` or `PartialEq`, so that it can't get into a log, an error, a
//! record or an assertion by accident; it isn't hidden from them, there is no such code. Its bytes are read only inside
//! [`Secret::expose`], for what sends them (egress) and what seals them (the vault). Only the broker links this.
//!
//! The bytes lie in memory that `keyblind-harden` keeps: never swapped, in no core file, inherited by no child, overwritten when the
//! secret dies. Where the system doesn't give such memory the secret is kept in ordinary memory, overwritten all the same, and
//! counted: [`unlocked_secrets`] is for the operator to know.

use std::sync::atomic::{AtomicUsize, Ordering};

use zeroize::{Zeroize as _, Zeroizing};

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
    memory: Memory,
}

enum Memory {
    #[cfg(target_os = "linux")]
    Locked(keyblind_harden::LockedBytes),
    Ordinary(Zeroizing<Box<[u8]>>),
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
        let mut secret = Self { memory: Memory::zeroed(len) };
        fill(secret.memory.bytes_mut());
        secret
    }

    /// Lends the bytes to `use_bytes`. Whatever it copies out of them is its to overwrite.
    pub fn expose<T>(&self, use_bytes: impl FnOnce(&[u8]) -> T) -> T {
        use_bytes(self.memory.bytes())
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        self.memory.bytes().len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the system keeps it in memory that never leaves the process.
    pub fn is_locked(&self) -> bool {
        !matches!(self.memory, Memory::Ordinary(_))
    }
}

impl Memory {
    fn zeroed(len: usize) -> Self {
        #[cfg(target_os = "linux")]
        if let Ok(locked) = keyblind_harden::LockedBytes::zeroed(len) {
            return Self::Locked(locked);
        }
        UNLOCKED.fetch_add(1, Ordering::Relaxed);
        Self::Ordinary(Zeroizing::new(vec![0; len].into_boxed_slice()))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            #[cfg(target_os = "linux")]
            Self::Locked(locked) => locked.expose(),
            Self::Ordinary(bytes) => bytes,
        }
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            #[cfg(target_os = "linux")]
            Self::Locked(locked) => locked.expose_mut(),
            Self::Ordinary(bytes) => bytes,
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Self::Ordinary(_) = self {
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
    fn it_lies_in_memory_of_its_own() {
        let secrets: Vec<Secret> = (0..8).map(|_| Secret::from_bytes(vec![7; 16])).collect();
        let mut pages: Vec<usize> = secrets.iter().map(|secret| secret.expose(|bytes| bytes.as_ptr().addr() / 4096)).collect();
        pages.sort_unstable();
        pages.dedup();
        assert_eq!(pages.len(), 8, "no two share a page");
        assert!(secrets.iter().all(Secret::is_locked), "this machine locks no memory: raise `ulimit -l`");
        assert_eq!(unlocked_secrets(), 0);
    }

    /// Where nothing can be locked, a secret is still kept, counted, and no longer counted when it is gone.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_could_not_be_locked_is_counted() {
        let program = std::env::current_exe().unwrap();
        let script = "ulimit -l 0 && exec \"$0\" --exact tests::in_a_child_that_may_lock_nothing --ignored";
        let run = |shell: &[&str]| std::process::Command::new(shell[0]).args(&shell[1..]).arg(&program).output().unwrap();
        let output = run(&["sh", "-c", script]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }

    #[test]
    #[ignore = "the child of `what_could_not_be_locked_is_counted`"]
    fn in_a_child_that_may_lock_nothing() {
        let secret = Secret::from_string("token".to_owned());
        // Root may lock whatever the limit says.
        assert_eq!(unlocked_secrets(), usize::from(!secret.is_locked()));
        assert!(secret.expose(|bytes| bytes == b"token"));
        drop(secret);
        assert_eq!(unlocked_secrets(), 0);
    }
}
