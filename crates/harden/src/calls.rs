//! seccomp: which system calls a process may make.
//!
//! The leaf gets a list of what it may call. What hostile code would try first ends the process; everything else that
//! isn't listed fails with "operation not permitted". The broker, which needs sockets and a database, gets a list of what it may
//! not call. A filter binds every thread, and nobody can take it off.

use std::collections::BTreeMap;

use libc::{
    CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWUSER, CLONE_NEWUTS, CLONE_THREAD, c_int, c_long,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
    apply_filter_all_threads, sock_filter,
};

use crate::report::{HardenError, Measure, Report, State};

/// What a leaf may call with any arguments: its own memory and threads, the clock, what is open already, and looking at the
/// names of files.
const ALLOWED: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_readv,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_newfstatat,
    libc::SYS_statx,
    libc::SYS_faccessat,
    libc::SYS_faccessat2,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_getcwd,
    libc::SYS_chdir,
    libc::SYS_fchdir,
    libc::SYS_ppoll,
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_set_robust_list,
    libc::SYS_rseq,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_getcpu,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_getppid,
    libc::SYS_getuid,
    libc::SYS_geteuid,
    libc::SYS_getgid,
    libc::SYS_getegid,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_exit,
    libc::SYS_exit_group,
    // The filter for it comes in a program of its own, which answers that there is no such call: its arguments lie in memory, where no filter
    // can look. The C library then takes `clone`.
    libc::SYS_clone3,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_stat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lstat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_access,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_readlink,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
];

/// What a leaf that unpacks may call beside: where Landlock lets it, it makes directories and files.
const ALLOWED_TO_UNPACK: &[c_long] =
    &[libc::SYS_openat, libc::SYS_openat2, libc::SYS_mkdirat, libc::SYS_fchmod, libc::SYS_pwrite64, libc::SYS_fsync, libc::SYS_fdatasync];

/// What no hardened process ever calls: other programs and processes, other memory, keys of the kernel, the kernel itself.
const FOREIGN: &[c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_kcmp,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_adjtimex,
    libc::SYS_clock_adjtime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_syslog,
    libc::SYS_personality,
    libc::SYS_fanotify_init,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// The kernel's own store of keys.
const KEYRING: &[c_long] = &[libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key];

/// What a leaf never calls beside those: a network, signals to others, another identity, programs made in memory.
const DEADLY: &[c_long] = &[
    libc::SYS_socket,
    libc::SYS_socketpair,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_accept,
    libc::SYS_accept4,
    libc::SYS_sendto,
    libc::SYS_recvfrom,
    libc::SYS_sendmsg,
    libc::SYS_recvmsg,
    libc::SYS_sendmmsg,
    libc::SYS_recvmmsg,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_memfd_create,
    libc::SYS_setuid,
    libc::SYS_setgid,
    libc::SYS_setreuid,
    libc::SYS_setregid,
    libc::SYS_setresuid,
    libc::SYS_setresgid,
    libc::SYS_setgroups,
    libc::SYS_capset,
];

/// Commands for `ioctl`, the same on both architectures: what settings a terminal has, how wide it is, how much can be read, and closing on
/// execution.
const TERMINAL_COMMANDS: [u64; 4] = [0x5401, 0x5413, 0x541b, 0x5451];

/// The bit that numbers of the x32 table have.
#[cfg(target_arch = "x86_64")]
const X32: u32 = 0x4000_0000;

/// `PR_SET_VMA`: names for memory regions, which allocators give.
const PR_SET_VMA: u64 = 0x5356_4d41;

/// Rules for single calls; none means: whatever the arguments.
type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// Binds all threads of the process to the calls that a leaf needs.
pub(crate) fn allow_leaf(unpacks: bool, report: &mut Report) -> Result<(), HardenError> {
    let mut allowed = any(ALLOWED);
    allowed.extend(allowed_by_arguments()?);
    if unpacks {
        allowed.extend(any(ALLOWED_TO_UNPACK));
    }
    let deadly: Vec<c_long> = FOREIGN.iter().chain(KEYRING).chain(DEADLY).copied().collect();
    install(&[
        (any(&deadly), SeccompAction::Allow, SeccompAction::KillProcess),
        (any(&[libc::SYS_clone3]), SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS.unsigned_abs())),
        // The last one: it doesn't let another filter through.
        (allowed, SeccompAction::Errno(libc::EPERM.unsigned_abs()), SeccompAction::Allow),
    ])?;
    report.add(Measure::SystemCalls, State::Enforced);
    Ok(())
}

/// Takes from all threads of the process what a broker never needs: other programs, other processes, the kernel.
pub(crate) fn deny_broker(keyring: bool, report: &mut Report) -> Result<(), HardenError> {
    let mut denied = any(FOREIGN);
    if !keyring {
        denied.extend(any(KEYRING));
    }
    // What isn't a thread would be a process.
    denied.insert(libc::SYS_clone, vec![rule([bits(0, CLONE_THREAD, 0)])?]);
    denied.insert(
        libc::SYS_prctl,
        vec![
            rule([equals(0, number(libc::PR_SET_DUMPABLE)), (1, SeccompCmpArgLen::Qword, SeccompCmpOp::Ne, 0)])?,
            rule([equals(0, number(libc::PR_SET_PTRACER))])?,
        ],
    );
    #[cfg(target_arch = "x86_64")]
    deny_other_table()?;
    install(&[
        (any(&[libc::SYS_clone3]), SeccompAction::Allow, SeccompAction::Errno(libc::ENOSYS.unsigned_abs())),
        (denied, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM.unsigned_abs())),
    ])?;
    report.add(Measure::SystemCalls, State::Enforced);
    Ok(())
}

/// Denies the calls of the x32 table: the same calls under numbers that a list of what is denied doesn't name (seccomp(2), "NOTES"). By hand,
/// because `seccompiler` compares arguments but not numbers.
#[cfg(target_arch = "x86_64")]
fn deny_other_table() -> Result<(), HardenError> {
    let instruction = |code: u32, jf: u8, k: u32| sock_filter { code: code as u16, jt: 0, jf, k };
    let denied = libc::SECCOMP_RET_ERRNO | libc::EPERM.unsigned_abs();
    let program: BpfProgram = vec![
        // The number is the first word of what a filter sees.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, 1, X32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, denied),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ];
    apply_filter_all_threads(&program).map_err(|error| HardenError::refused(Measure::SystemCalls, error))
}

fn any(calls: &[c_long]) -> Calls {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

/// What a leaf may call with some arguments only.
fn allowed_by_arguments() -> Result<Calls, HardenError> {
    let namespaces = CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP;
    let written = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC;
    let own = u64::from(std::process::id());
    let mut calls = Calls::from([
        // Memory that is code: never.
        (libc::SYS_mmap, vec![rule([bits(2, libc::PROT_EXEC, 0)])?]),
        (libc::SYS_mprotect, vec![rule([bits(2, libc::PROT_EXEC, 0)])?]),
        // Threads, in the same namespaces.
        (libc::SYS_clone, vec![rule([bits(0, CLONE_THREAD | namespaces, CLONE_THREAD)])?]),
        (libc::SYS_openat, vec![rule([bits(2, written, libc::O_RDONLY)])?]),
        // Signals to itself: that is how a process aborts.
        (libc::SYS_tgkill, vec![rule([equals(0, own)])?]),
        // Its own limits, to read them.
        (libc::SYS_prlimit64, vec![rule([equals(0, 0), (2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, 0)])?]),
        (libc::SYS_fcntl, one_of(1, &[libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_DUPFD_CLOEXEC])?),
        // Whether something is a terminal, and how wide it is: never to type into it.
        (libc::SYS_ioctl, TERMINAL_COMMANDS.into_iter().map(|command| rule([equals(1, command)])).collect::<Result<_, _>>()?),
        (libc::SYS_prctl, vec![rule([equals(0, number(libc::PR_SET_NAME))])?, rule([equals(0, PR_SET_VMA)])?]),
    ]);
    #[cfg(target_arch = "x86_64")]
    calls.insert(libc::SYS_open, vec![rule([bits(1, written, libc::O_RDONLY)])?]);
    calls.retain(|_, rules| !rules.is_empty());
    Ok(calls)
}

/// A condition on an argument: which, how wide, how compared, with what.
type Condition = (u8, SeccompCmpArgLen, SeccompCmpOp, u64);

fn equals(argument: u8, value: u64) -> Condition {
    (argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value)
}

/// Of the bits of the mask, exactly these are set.
fn bits(argument: u8, mask: c_int, set: c_int) -> Condition {
    (argument, SeccompCmpArgLen::Dword, SeccompCmpOp::MaskedEq(number(mask)), number(set))
}

fn one_of(argument: u8, values: &[c_int]) -> Result<Vec<SeccompRule>, HardenError> {
    values.iter().map(|value| rule([equals(argument, number(*value))])).collect()
}

/// A C number as the kernel sees it in the lower half of a register.
fn number(value: c_int) -> u64 {
    u64::from(value.cast_unsigned())
}

fn rule<const N: usize>(conditions: [Condition; N]) -> Result<SeccompRule, HardenError> {
    let conditions =
        conditions.into_iter().map(|(argument, width, comparison, value)| SeccompCondition::new(argument, width, comparison, value));
    conditions.collect::<Result<Vec<_>, _>>().and_then(SeccompRule::new).map_err(|error| HardenError::refused(Measure::SystemCalls, error))
}

/// Installs programs in order: what to do with calls that aren't listed, and with those that are.
fn install(programs: &[(Calls, SeccompAction, SeccompAction)]) -> Result<(), HardenError> {
    let refused = |error: seccompiler::Error| HardenError::refused(Measure::SystemCalls, error);
    let mut compiled: Vec<BpfProgram> = Vec::new();
    for (calls, otherwise, listed) in programs {
        let architecture = TargetArch::try_from(std::env::consts::ARCH).map_err(|error| refused(error.into()))?;
        let filter = SeccompFilter::new(calls.clone(), otherwise.clone(), listed.clone(), architecture);
        compiled.push(filter.and_then(BpfProgram::try_from).map_err(|error| refused(error.into()))?);
    }
    // The kernel takes a further filter as long as those before let the call for it through: the strictest comes last.
    compiled.iter().try_for_each(|program| apply_filter_all_threads(program)).map_err(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_both_allowed_and_deadly() {
        let allowed: Calls = any(ALLOWED).into_iter().chain(any(ALLOWED_TO_UNPACK)).chain(allowed_by_arguments().unwrap()).collect();
        for call in FOREIGN.iter().chain(KEYRING).chain(DEADLY) {
            assert!(!allowed.contains_key(call), "call {call}");
        }
    }
}
