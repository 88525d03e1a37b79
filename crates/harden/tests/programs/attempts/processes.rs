//! Attempts at other processes, and at more than its share.

use std::ffi::OsStr;
use std::io::Write;
use std::os::fd::AsFd;

use keyblind_harden::{LockedBytes, Start, start};

use super::{Attempt, answer};

pub(crate) fn exec() -> Attempt {
    let (path, list) = (c"/bin/true", [c"true".as_ptr(), std::ptr::null()]);
    // Says that it worked before it is another program; that is taken back by the error, if there is one.
    println!("about to exec");
    answer(unsafe { libc::execv(path.as_ptr(), list.as_ptr()) }.into())
}

/// Processes without end, but for its own restraint.
pub(crate) fn fork_bomb() -> Attempt {
    for _ in 0..8 {
        #[cfg(target_arch = "x86_64")]
        let pid = unsafe { libc::syscall(libc::SYS_fork) };
        #[cfg(not(target_arch = "x86_64"))]
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
        if pid == 0 {
            unsafe { libc::_exit(0) };
        }
        answer(pid)?;
        unsafe { libc::waitpid(pid as i32, std::ptr::null_mut(), 0) };
    }
    Ok("8 processes".to_owned())
}

/// One process by the call that also makes threads.
pub(crate) fn clone_process(flags: i32) -> Attempt {
    let flags = flags & !libc::CLONE_VM & !libc::CLONE_VFORK;
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    if pid == 0 {
        unsafe { libc::_exit(0) };
    }
    let result = answer(pid);
    unsafe { libc::waitpid(pid as i32, std::ptr::null_mut(), 0) };
    result.map(|_| "a process".to_owned())
}

pub(crate) fn trace(pid: u32) -> Attempt {
    let result = answer(unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0, 0) });
    result.map(|_| "traced".to_owned())
}

/// Eight bytes of another process.
pub(crate) fn read_memory(pid: u32, place: usize) -> Attempt {
    let mut bytes = [0_u8; 8];
    let own = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: 8 };
    let other = libc::iovec { iov_base: place as *mut libc::c_void, iov_len: 8 };
    let read = unsafe { libc::process_vm_readv(pid.cast_signed(), &raw const own, 1, &raw const other, 1, 0) };
    answer(read as i64).map(|_| String::from_utf8_lossy(&bytes).into_owned())
}

/// A signal that does nothing to who doesn't ask for it.
pub(crate) fn signal(pid: u32) -> Attempt {
    answer(unsafe { libc::kill(pid.cast_signed(), libc::SIGWINCH) }.into())
}

pub(crate) fn signal_thread(pid: u32) -> Attempt {
    answer(unsafe { libc::syscall(libc::SYS_tgkill, pid, pid, libc::SIGWINCH) })
}

/// Memory that is really used, up to a gigabyte.
pub(crate) fn memory_bomb() -> Attempt {
    let (piece, rights) = (16 << 20, libc::PROT_READ | libc::PROT_WRITE);
    for _ in 0..64 {
        let place = unsafe { libc::mmap(std::ptr::null_mut(), piece, rights, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
        if place == libc::MAP_FAILED {
            return answer(-1);
        }
        // One byte a page is enough to have it.
        (0..piece).step_by(4096).for_each(|offset| unsafe { place.cast::<u8>().add(offset).write_volatile(1) });
        unsafe { libc::madvise(place, piece, libc::MADV_DONTNEED) };
    }
    Ok("1 GiB".to_owned())
}

/// Address space without memory behind it.
pub(crate) fn reserve() -> Attempt {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let place = unsafe { libc::mmap(std::ptr::null_mut(), 1 << 40, libc::PROT_NONE, flags, -1, 0) };
    if place == libc::MAP_FAILED { answer(-1) } else { Ok("1 TiB".to_owned()) }
}

/// Three seconds of processor time.
pub(crate) fn spin() -> Attempt {
    let used = || {
        let mut time: libc::timespec = unsafe { std::mem::zeroed() };
        unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &raw mut time) };
        time.tv_sec
    };
    let mut rounds = 0_u64;
    while used() < 3 {
        rounds = std::hint::black_box(rounds + 1);
    }
    Ok("3 seconds".to_owned())
}

/// What a leaf needs: threads that compute and read.
pub(crate) fn threads() -> Attempt {
    let threads: Vec<_> = (0..4_u64).map(|number| std::thread::spawn(move || number * number)).collect();
    Ok(threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u64>().to_string())
}

pub(crate) fn wait_for_ever() -> Attempt {
    println!("ready {}", std::process::id());
    std::io::stdout().flush().unwrap();
    loop {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Starts another of itself in a mode, and ends once that one waits: who dies with its parent is gone then.
pub(crate) fn start_one_that_waits(mode: &str) -> Attempt {
    let program = std::env::current_exe().unwrap();
    let arguments = [OsStr::new("keyblind-hostile"), OsStr::new(mode), OsStr::new("wait-for-ever")];
    let (input, output, errors) = (std::io::stdin(), std::io::stdout(), std::io::stderr());
    let descriptors = [(input.as_fd(), 0), (output.as_fd(), 1), (errors.as_fd(), 2)];
    let child = start(Start { program: program.as_os_str(), arguments: &arguments, environment: &[], descriptors: &descriptors }).unwrap();
    // Long enough for it to say that it is ready.
    std::thread::sleep(std::time::Duration::from_millis(500));
    std::mem::forget(child);
    Ok(String::new())
}

/// What of the environment can be seen: by the process itself, and in what the kernel shows of it.
pub(crate) fn environment() -> Attempt {
    let own: Vec<String> = std::env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    let shown = std::fs::read("/proc/self/environ").unwrap_or_default();
    let shown = String::from_utf8_lossy(&shown).replace('\0', " ");
    Ok(format!("own[{}] shown[{}]", own.join(" "), shown.trim()))
}

/// Who it is, and whether it can be root again.
pub(crate) fn user() -> Attempt {
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let groups = rustix::process::getgroups().unwrap().iter().map(|group| group.as_raw().to_string()).collect::<Vec<_>>().join(" ");
    let is_root_again = unsafe { libc::setuid(0) } == 0;
    Ok(format!("{user} {group} groups[{groups}] root-again[{is_root_again}]"))
}

/// Keeps eight bytes on the heap and eight in locked memory, says where, and waits to be looked at.
pub(crate) fn secret_place() -> Attempt {
    let mut canary = *b"CANARY-1";
    let heap = canary.to_vec();
    let locked = LockedBytes::take(&mut canary).unwrap();
    println!("place {} {} {}", std::process::id(), heap.as_ptr() as usize, locked.expose().as_ptr() as usize);
    std::io::stdout().flush().unwrap();
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    Ok(format!("{:?}", locked.protection()))
}

/// Locks more memory than it may: the first page is let it, a megabyte isn't.
pub(crate) fn lock_too_much() -> Attempt {
    let most = rustix::process::Rlimit { current: Some(64 << 10), maximum: Some(64 << 10) };
    rustix::process::setrlimit(rustix::process::Resource::Memlock, most).unwrap();
    let first = LockedBytes::zeroed(4096).map_err(|_| -1)?;
    let second = LockedBytes::zeroed(1 << 20);
    drop(first);
    match second {
        Ok(_) => Ok("1 MiB".to_owned()),
        Err(error) => Ok(error.to_string()),
    }
}
