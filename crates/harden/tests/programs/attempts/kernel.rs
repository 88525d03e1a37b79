//! Attempts at the network and at the kernel.

use std::mem::size_of;

use super::{Attempt, answer};

pub(crate) fn socket(family: i32) -> Attempt {
    let kind = if matches!(family, libc::AF_NETLINK | libc::AF_PACKET) { libc::SOCK_RAW } else { libc::SOCK_STREAM };
    let kind = if family == libc::AF_ALG { libc::SOCK_SEQPACKET } else { kind };
    answer(unsafe { libc::socket(family, kind, 0) }.into()).map(|_| "a socket".to_owned())
}

/// Connects a socket that is open already to a port of this machine.
pub(crate) fn connect(socket: i32, port: u16) -> Attempt {
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as u16;
    address.sin_port = port.to_be();
    address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
    let length = size_of::<libc::sockaddr_in>() as u32;
    answer(unsafe { libc::connect(socket, (&raw const address).cast(), length) }.into()).map(|_| "connected".to_owned())
}

/// Connects to an abstract socket of another process.
pub(crate) fn connect_abstract(name: &str) -> Attempt {
    use std::os::linux::net::SocketAddrExt;
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
    super::outcome(std::os::unix::net::UnixStream::connect_addr(&address)).map(|_| "connected".to_owned())
}

/// Calls that have no place in a process that reads text. The arguments are such that they'd do nothing even where they work.
pub(crate) fn call(name: &str) -> Attempt {
    let null = std::ptr::null::<u8>();
    let page = [0_u8; 256];
    let place = page.as_ptr();
    let path = c"/";
    unsafe {
        answer(match name {
            "io_uring_setup" => libc::syscall(libc::SYS_io_uring_setup, 1, place),
            "add_key" => {
                libc::syscall(libc::SYS_add_key, c"user".as_ptr(), c"keyblind-test".as_ptr(), place, 1, libc::KEY_SPEC_PROCESS_KEYRING)
            }
            "keyctl" => libc::syscall(libc::SYS_keyctl, 0, libc::KEY_SPEC_SESSION_KEYRING, 0),
            "request_key" => libc::syscall(libc::SYS_request_key, c"user".as_ptr(), c"keyblind-no-such-key".as_ptr(), null, 0),
            "bpf" => libc::syscall(libc::SYS_bpf, 0, place, 64),
            "perf_event_open" => libc::syscall(libc::SYS_perf_event_open, place, 0, -1, -1, 0),
            "userfaultfd" => libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC | 1),
            "memfd_create" => libc::syscall(libc::SYS_memfd_create, c"x".as_ptr(), 0),
            "unshare" => libc::syscall(libc::SYS_unshare, libc::CLONE_NEWUSER),
            "setns" => libc::syscall(libc::SYS_setns, 0, 0),
            "mount" => libc::syscall(libc::SYS_mount, c"none".as_ptr(), c"/nowhere".as_ptr(), c"tmpfs".as_ptr(), 0, null),
            "chroot" => libc::syscall(libc::SYS_chroot, path.as_ptr()),
            "pidfd_open" => libc::syscall(libc::SYS_pidfd_open, libc::getppid(), 0),
            "kcmp" => libc::syscall(libc::SYS_kcmp, libc::getpid(), libc::getppid(), 0, 0, 0),
            "name_to_handle_at" => {
                let (mut handle, mut mount) = ([128_u32; 64], 0_i32);
                libc::syscall(libc::SYS_name_to_handle_at, libc::AT_FDCWD, path.as_ptr(), handle.as_mut_ptr(), &raw mut mount, 0)
            }
            "init_module" => libc::syscall(libc::SYS_init_module, place, 0, c"".as_ptr()),
            "setuid" => libc::syscall(libc::SYS_setuid, libc::geteuid()),
            "socketpair" => {
                let mut pair = [0_i32; 2];
                libc::syscall(libc::SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr())
            }
            // Calls of which no list says anything: refused because they aren't named.
            "inotify_init1" => libc::syscall(libc::SYS_inotify_init1, 0),
            "timerfd_create" => libc::syscall(libc::SYS_timerfd_create, 0, 0),
            "umask" => libc::syscall(libc::SYS_umask, 0o77),
            "shmget" => libc::syscall(libc::SYS_shmget, 0, 4096, 0o600),
            "mq_open" => libc::syscall(libc::SYS_mq_open, c"keyblind-test".as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o600, null),
            "a call of the future" => libc::syscall(9_999),
            #[cfg(target_arch = "x86_64")]
            "the other table of calls" => libc::syscall(0x4000_0000 | libc::SYS_getpid),
            _ => panic!("no call `{name}`"),
        })
    }
}

/// Memory that is both written and run.
pub(crate) fn code_in_memory() -> Attempt {
    let rights = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let place = unsafe { libc::mmap(std::ptr::null_mut(), 4096, rights, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    if place == libc::MAP_FAILED { answer(-1) } else { Ok("memory".to_owned()) }
}

/// Types a letter into the terminal on standard input. Where that is none, the kernel itself says so (25).
pub(crate) fn type_into_terminal() -> Attempt {
    let letter = b'x';
    answer(unsafe { libc::ioctl(0, libc::TIOCSTI, &raw const letter) }.into())
}

pub(crate) fn dumpable_again() -> Attempt {
    answer(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 1, 0, 0, 0) }.into())
}
