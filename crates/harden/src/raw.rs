//! The unsafe code, beside the allocator's: what neither std nor rustix offers in a safe form. Each function is safe to call.
#![allow(unsafe_code, reason = "calls of the C library and memory that the kernel maps: each has its reason beside it")]

use std::ffi::{CStr, CString, OsStr, c_char};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering, compiler_fence};

use rustix::mm::{Advice, MapFlags, MprotectFlags, ProtFlags, madvise, mlock, mmap, mmap_anonymous, mprotect, munmap};

/// Closes every descriptor but the named ones.
///
/// Only for a process that has just begun: what in this process owns a closed descriptor would use another's later.
pub(crate) fn close_all_but(keep: &[RawFd]) -> io::Result<()> {
    let mut keep: Vec<u32> = keep.iter().filter_map(|number| u32::try_from(*number).ok()).collect();
    keep.sort_unstable();
    keep.dedup();
    let mut from = 0_u32;
    for number in keep.into_iter().map(Some).chain([None]) {
        let to = number.map_or(Some(u32::MAX), |number| number.checked_sub(1));
        if let Some(to) = to.filter(|to| from <= *to) {
            close_range(from, to)?;
        }
        from = number.map_or(from, |number| number + 1);
    }
    Ok(())
}

fn close_range(from: u32, to: u32) -> io::Result<()> {
    // SAFETY: three numbers; it touches no memory of ours. Whose descriptors these are is the caller's business, see above.
    if unsafe { libc::syscall(libc::SYS_close_range, from, to, 0) } == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() != Some(libc::ENOSYS) {
        return Err(error);
    }
    // Before Linux 5.9 each has to be closed by itself. The list is read to its end before: reading it takes one as well.
    let open: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for number in open.into_iter().filter(|number| u32::try_from(*number).is_ok_and(|number| (from..=to).contains(&number))) {
        // SAFETY: as above; a number that is no longer open is an error that matters to nobody.
        unsafe { libc::close(number) };
    }
    Ok(())
}

/// Which inherited descriptors have been taken: each has one owner.
static TAKEN: AtomicU64 = AtomicU64::new(0);

/// Takes a descriptor over that this process was started with. It is closed in programs that this one starts.
pub(crate) fn inherited(number: RawFd) -> io::Result<OwnedFd> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("descriptor {number} {what}"));
    let bit = u32::try_from(number).ok().and_then(|number| 1_u64.checked_shl(number)).ok_or_else(|| wrong("is beyond 63"))?;
    // SAFETY: numbers only.
    if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return Err(wrong("isn't open"));
    }
    if TAKEN.fetch_or(bit, Ordering::SeqCst) & bit != 0 {
        return Err(wrong("has an owner"));
    }
    // SAFETY: it is open, and nobody else took it here. Those that std opens itself get numbers that were free when the process began.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

unsafe extern "C" {
    /// The variables of the environment, until null.
    static mut environ: *mut *mut c_char;
}

/// Takes every variable out of the environment that isn't named, and overwrites its text: the kernel shows the text that a process
/// was started with whatever the process does to its list.
///
/// Only for a process that has just begun and has one thread.
pub(crate) fn forget_environment(keep: &[&str]) {
    // SAFETY: there is no other thread. The list ends with null, each entry is a text that ends with zero and lies in memory that may be written;
    // the list is rewritten before anybody reads an entry again.
    unsafe {
        if environ.is_null() {
            return;
        }
        let (mut from, mut to) = (environ, environ);
        while !(*from).is_null() {
            let entry = CStr::from_ptr(*from).to_bytes();
            let name = entry.split(|byte| *byte == b'=').next().unwrap_or_default();
            if keep.iter().any(|kept| kept.as_bytes() == name) {
                *to = *from;
                to = to.add(1);
            } else {
                let length = entry.len();
                wipe(std::slice::from_raw_parts_mut((*from).cast::<u8>(), length));
            }
            from = from.add(1);
        }
        *to = std::ptr::null_mut();
    }
}

/// Overwrites bytes with zeros, whether somebody reads them afterwards or not.
pub(crate) fn wipe(bytes: &mut [u8]) {
    for byte in bytes {
        // SAFETY: it is a reference.
        unsafe { std::ptr::write_volatile(byte, 0) };
    }
    compiler_fence(Ordering::SeqCst);
}

/// Memory that stays in the process: data that ends where a page begins that can't be touched, and such a page before it.
pub(crate) struct Mapping {
    /// The first of all pages.
    base: NonNull<u8>,
    /// Bytes of all pages, those around included.
    whole: usize,
    /// Where the data begins, from `base`.
    start: usize,
    length: usize,
    is_secret: bool,
}

// SAFETY: the memory belongs to the value alone, and is changed through `&mut` only.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    pub(crate) fn new(length: usize) -> io::Result<Self> {
        let page = rustix::param::page_size();
        let data = length.max(1).checked_next_multiple_of(page);
        let Some((data, whole)) = data.and_then(|data| Some((data, data.checked_add(2 * page)?))) else {
            return Err(io::ErrorKind::OutOfMemory.into());
        };
        // SAFETY: a new mapping at a place that the kernel chooses.
        let base = unsafe { mmap_anonymous(std::ptr::null_mut(), whole, ProtFlags::empty(), MapFlags::PRIVATE) }?;
        let Some(base) = NonNull::new(base.cast::<u8>()) else { return Err(io::ErrorKind::OutOfMemory.into()) };
        // SAFETY: within the mapping, which has two pages more.
        let place = unsafe { base.as_ptr().add(page) };
        let is_secret = secret(place, data);
        if !is_secret && let Err(error) = locked(place, data) {
            // SAFETY: nobody knows of the mapping. The error that came before is the one to tell.
            let _ = unsafe { munmap(base.as_ptr().cast(), whole) };
            return Err(error);
        }
        Ok(Self { base, whole, start: page + data - length, length, is_secret })
    }

    pub(crate) fn is_secret(&self) -> bool {
        self.is_secret
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped, readable, initialised by the kernel with zeros, and unmapped only when the value is dropped.
        unsafe { std::slice::from_raw_parts(self.base.as_ptr().add(self.start), self.length) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and nobody else has a reference.
        unsafe { std::slice::from_raw_parts_mut(self.base.as_ptr().add(self.start), self.length) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        wipe(self.bytes_mut());
        // SAFETY: the mapping is this value's own, and the value ends here. An error would mean that it isn't mapped.
        let _ = unsafe { munmap(self.base.as_ptr().cast(), self.whole) };
    }
}

/// Puts secret memory at a place that is reserved; false if the kernel has none (before Linux 5.14, or `secretmem.enable=0`).
fn secret(place: *mut u8, length: usize) -> bool {
    // SAFETY: a number only; the answer is a new descriptor or an error.
    let descriptor = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
    let Some(descriptor) = RawFd::try_from(descriptor).ok().filter(|number| *number >= 0) else { return false };
    // SAFETY: it is new.
    let file = unsafe { OwnedFd::from_raw_fd(descriptor) };
    if rustix::fs::ftruncate(&file, length as u64).is_err() {
        return false;
    }
    // SAFETY: the place is reserved by the caller and holds nothing.
    let mapped =
        unsafe { mmap(place.cast(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::FIXED, file.as_fd(), 0) };
    // SAFETY: just mapped. It is shared, so that it can't be wiped in a child: a child doesn't get it.
    mapped.is_ok() && unsafe { madvise(place.cast(), length, Advice::LinuxDontFork) }.is_ok()
}

/// Makes a reserved place memory that is neither swapped nor dumped, and empty in a child.
fn locked(place: *mut u8, length: usize) -> io::Result<()> {
    // SAFETY: the place is reserved by the caller, page by page, and holds nothing that is used. An attempt at secret memory may
    // have left a mapping there, so that it is made anew.
    unsafe {
        mmap_anonymous(place.cast(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED)?;
        mprotect(place.cast(), length, MprotectFlags::READ | MprotectFlags::WRITE)?;
        mlock(place.cast(), length)?;
        madvise(place.cast(), length, Advice::LinuxDontDump)?;
        madvise(place.cast(), length, Advice::LinuxWipeOnFork)?;
    }
    Ok(())
}

/// Starts a program with exactly these arguments, variables and descriptors (each under the number beside it).
///
/// `posix_spawn`, because std's way links socket functions: it can hand a descriptor of the child back over a socket.
pub(crate) fn spawn(
    program: &OsStr,
    arguments: &[&OsStr],
    environment: &[(&str, &str)],
    descriptors: &[(RawFd, RawFd)],
) -> io::Result<i32> {
    let text = |text: &[u8]| CString::new(text).map_err(|_| io::Error::new(io::ErrorKind::InvalidInput, "a zero byte in an argument"));
    let program = text(program.as_bytes())?;
    let arguments: Vec<CString> = arguments.iter().map(|argument| text(argument.as_bytes())).collect::<Result<_, _>>()?;
    let variables: Vec<CString> =
        environment.iter().map(|(name, value)| text(format!("{name}={value}").as_bytes())).collect::<Result<_, _>>()?;
    let pointers = |texts: &[CString]| -> Vec<*mut c_char> {
        texts.iter().map(|text| text.as_ptr().cast_mut()).chain([std::ptr::null_mut()]).collect()
    };
    let (arguments_list, variables_list) = (pointers(&arguments), pointers(&variables));
    let done = |code: i32| if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) };
    // Numbers that are both one's old and another's new one would be overwritten before they are used: all go out of the way first.
    let aside = descriptors.iter().map(|(old, _)| {
        // SAFETY: numbers only; the answer is a new descriptor or an error.
        let copy = unsafe { libc::fcntl(*old, libc::F_DUPFD_CLOEXEC, 64) };
        // SAFETY: it is new.
        if copy < 0 { Err(io::Error::last_os_error()) } else { Ok(unsafe { OwnedFd::from_raw_fd(copy) }) }
    });
    let aside: Vec<OwnedFd> = aside.collect::<Result<_, _>>()?;
    let mut pid = 0;
    // SAFETY: both structures are initialised before use and destroyed after it; all texts and lists live until the end of the block, the lists end
    // with null; the C library changes none of them.
    unsafe {
        let mut actions = std::mem::zeroed::<libc::posix_spawn_file_actions_t>();
        let mut attributes = std::mem::zeroed::<libc::posix_spawnattr_t>();
        done(libc::posix_spawn_file_actions_init(&raw mut actions))?;
        if let Err(error) = done(libc::posix_spawnattr_init(&raw mut attributes)) {
            libc::posix_spawn_file_actions_destroy(&raw mut actions);
            return Err(error);
        }
        let prepare = || -> io::Result<()> {
            for (copy, (_, new)) in aside.iter().zip(descriptors) {
                done(libc::posix_spawn_file_actions_adddup2(&raw mut actions, copy.as_raw_fd(), *new))?;
            }
            // Signals that this process ignores or holds back are no business of the new one.
            let mut signals = std::mem::zeroed::<libc::sigset_t>();
            libc::sigemptyset(&raw mut signals);
            done(libc::posix_spawnattr_setsigmask(&raw mut attributes, &raw const signals))?;
            libc::sigaddset(&raw mut signals, libc::SIGPIPE);
            done(libc::posix_spawnattr_setsigdefault(&raw mut attributes, &raw const signals))?;
            let flags = libc::POSIX_SPAWN_SETSIGMASK | libc::POSIX_SPAWN_SETSIGDEF;
            done(libc::posix_spawnattr_setflags(&raw mut attributes, i16::try_from(flags).unwrap_or(0)))?;
            done(libc::posix_spawn(
                &raw mut pid,
                program.as_ptr(),
                &raw const actions,
                &raw const attributes,
                arguments_list.as_ptr(),
                variables_list.as_ptr(),
            ))
        };
        let result = { prepare }();
        libc::posix_spawnattr_destroy(&raw mut attributes);
        libc::posix_spawn_file_actions_destroy(&raw mut actions);
        result?;
    }
    Ok(pid)
}
