//! The process that holds credentials: nobody reads it, and it starts nobody.

use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::fs::Mode;
use rustix::process::{geteuid, umask};
use rustix::thread::{Gid, Uid, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::files::Reach;
use crate::report::{HardenError, Measure, Report, State};
use crate::{calls, files, process, raw};

/// Variables that change where connections go or what is trusted, or that carry credentials of common tools: never the broker's to see, not even
/// when they are named to be kept.
const FORBIDDEN_VARIABLES: &[&str] = &["PROXY", "SSL_CERT", "SSLKEYLOGFILE", "LD_", "AWS_", "GITHUB_TOKEN", "GH_TOKEN"];

/// Who the broker runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Become this user and group. Only root can.
    Become {
        /// The user.
        user: u32,
        /// The group, the only one.
        group: u32,
    },
    /// Whoever started it made sure that nobody else is this user (a service manager, a container).
    Own,
    /// The user's own account, which the user's other processes have as well.
    Shared,
}

/// Which files a broker may open. Everything else is denied.
#[derive(Clone, Copy, Debug)]
pub struct Places<'p> {
    /// Directories and files that it may read: certificates, the resolver's configuration, its own.
    pub readable: &'p [BorrowedFd<'p>],
    /// Directories in which it keeps its database and its socket.
    pub writable: &'p [BorrowedFd<'p>],
}

/// What is left to a broker.
#[derive(Clone, Copy, Debug)]
pub struct Broker<'b> {
    /// Who it runs as.
    pub account: Account,
    /// Variables of the environment that it may see.
    pub variables: &'b [&'b str],
    /// Inherited descriptors that stay open beside standard input, output and error; `None` leaves all (a service manager's sockets).
    pub keep: Option<&'b [BorrowedFd<'b>]>,
    /// Which files it may open; `None` leaves that to the user's rights.
    pub places: Option<Places<'b>>,
    /// Whether it may use the kernel's keyring, because a key of the vault lies there.
    pub keyring: bool,
}

/// Hardens the broker's process, for good. To be called before it starts a thread and before it reads a secret.
///
/// # Errors
/// If there are threads already, it can't become the user that it should, or the kernel refuses what every supported kernel knows.
/// What a kernel merely doesn't know is in the report.
pub fn enter(broker: Broker<'_>) -> Result<Report, HardenError> {
    process::check_threads()?;
    let mut report = Report::new();
    if let Some(keep) = broker.keep {
        let kept: Vec<RawFd> = keep.iter().map(AsRawFd::as_raw_fd).chain(0..=2).collect();
        let places = broker.places.iter().flat_map(|places| places.readable.iter().chain(places.writable)).map(AsRawFd::as_raw_fd);
        let kept: Vec<RawFd> = kept.into_iter().chain(places).collect();
        raw::close_all_but(&kept).map_err(|error| HardenError::refused(Measure::Descriptors, error))?;
        report.add(Measure::Descriptors, State::Enforced);
    }
    let kept: Vec<&str> = broker.variables.iter().copied().filter(|name| !is_forbidden(name)).collect();
    raw::forget_environment(&kept);
    report.add(Measure::Environment, State::Enforced);
    umask(Mode::RWXG | Mode::RWXO);
    become_account(broker.account, &mut report)?;
    process::seal(&mut report)?;
    let (readable, writable) = broker.places.map_or((&[][..], &[][..]), |places| (places.readable, places.writable));
    files::restrict(Reach { files: broker.places.is_some(), readable, writable, sockets: true, tcp: true }, &mut report)?;
    calls::deny_broker(broker.keyring, &mut report)?;
    Ok(report)
}

fn is_forbidden(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    FORBIDDEN_VARIABLES.iter().any(|part| name.contains(part))
}

fn become_account(account: Account, report: &mut Report) -> Result<(), HardenError> {
    let state = match account {
        Account::Become { user, group } => {
            let refused = |error: rustix::io::Errno| HardenError::refused(Measure::OwnAccount, error);
            let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
            // There is one thread: the thread's identity is the process's.
            set_thread_groups(&[]).map_err(refused)?;
            set_thread_res_gid(group, group, group).map_err(refused)?;
            set_thread_res_uid(user, user, user).map_err(refused)?;
            if set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).is_ok() {
                return Err(HardenError::refused(Measure::OwnAccount, "it could become root again: name a user that isn't root"));
            }
            State::Enforced
        }
        Account::Own if geteuid().is_root() => State::NotEnforced("it runs as root: name a user for it".to_owned()),
        Account::Own => State::Enforced,
        Account::Shared => {
            let user = geteuid().as_raw();
            State::NotEnforced(format!(
                "it runs as user {user}, whose other processes may read and change its files: give it a user of its own"
            ))
        }
    };
    report.add(Measure::OwnAccount, state);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leads_connections_astray_is_never_kept() {
        for name in ["HTTPS_PROXY", "https_proxy", "NO_PROXY", "SSL_CERT_FILE", "SSLKEYLOGFILE", "LD_PRELOAD", "AWS_SECRET_ACCESS_KEY"] {
            assert!(is_forbidden(name), "{name}");
        }
        for name in ["KEYBLIND_BROKER_CONFIG", "HOME", "NOTIFY_SOCKET", "XDG_RUNTIME_DIR"] {
            assert!(!is_forbidden(name), "{name}");
        }
    }
}
