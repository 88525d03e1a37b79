//! What `doctor` can say about the process, its folders and its peers.

use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use keyblind_broker::dispatch::{Answering, Examined, Whose};
use keyblind_broker::socket::{Identity, Peer};
use keyblind_intent::{Check, CheckState, DoctorArea, Foreign, Line};

/// What was found when the broker started, and where to look again.
pub(crate) struct OwnSetUp {
    /// What the process may no longer do.
    pub(crate) hardened: keyblind_harden::Report,
    /// The folder of its state.
    pub(crate) state: PathBuf,
    /// The socket.
    pub(crate) socket: PathBuf,
    /// Who may connect.
    pub(crate) peers: Vec<Peer>,
}

impl Examined for OwnSetUp {
    fn examine<'a>(&'a self, _: Whose<'a>) -> Answering<'a, Vec<Check>> {
        Box::pin(std::future::ready(self.checks()))
    }
}

/// Our own words always make a line; should they not, there is nothing to say.
fn line(text: &str) -> Option<Line> {
    Line::new(text).ok()
}

fn check(area: DoctorArea, subject: &str, state: CheckState, advice: Option<&str>, said: Option<String>) -> Option<Check> {
    let said = said.map(|text| Foreign::new(&text));
    Some(Check { area, subject: line(subject)?, state, advice: advice.and_then(line), said })
}

impl OwnSetUp {
    fn checks(&self) -> Vec<Check> {
        let hardened = self.hardened.entries.iter().map(|entry| {
            let (state, said) = match &entry.state {
                keyblind_harden::State::Enforced => (CheckState::Sound, None),
                keyblind_harden::State::Partly(why) => (CheckState::Weak, Some(why.clone())),
                keyblind_harden::State::NotEnforced(why) => (CheckState::Weak, Some(why.clone())),
            };
            check(DoctorArea::Process, entry.measure.name(), state, None, said)
        });
        let unlocked = keyblind_broker::secret::unlocked_secrets();
        let memory = if unlocked == 0 { CheckState::Sound } else { CheckState::Weak };
        let raise = (unlocked > 0).then_some("raise the limit of locked memory (RLIMIT_MEMLOCK)");
        let own = [
            check(DoctorArea::Process, "secrets are locked in memory", memory, raise, None),
            self.mode(DoctorArea::State, "the state folder is the broker's alone", &self.state, 0o077),
            match self.lets_others_in() {
                false => self.mode(DoctorArea::Socket, "the socket is its owner's alone", &self.socket, 0o177),
                true => {
                    self.mode(DoctorArea::Socket, "other users reach the socket, and are let in by the kernel's word", &self.socket, 0o111)
                }
            },
            self.peers(),
        ];
        hardened.chain(own).flatten().collect()
    }

    fn lets_others_in(&self) -> bool {
        let own = rustix::process::geteuid().as_raw();
        self.peers.iter().any(|peer| matches!(peer.identity, Identity::User(user) if user != own))
    }

    fn mode(&self, area: DoctorArea, subject: &str, path: &std::path::Path, forbidden: u32) -> Option<Check> {
        match std::fs::symlink_metadata(path) {
            Ok(found) if found.mode() & forbidden == 0 => check(area, subject, CheckState::Sound, None, None),
            Ok(found) => {
                let said = format!("its mode is {:04o}", found.mode() & 0o7777);
                check(area, subject, CheckState::Broken, Some("take the rights of others away (chmod)"), Some(said))
            }
            Err(error) => check(area, subject, CheckState::Broken, None, Some(error.to_string())),
        }
    }

    /// A peer that runs as the broker's own user can do what the broker can.
    fn peers(&self) -> Option<Check> {
        let own = rustix::process::geteuid().as_raw();
        let shares = self.peers.iter().any(|peer| peer.identity == Identity::User(own));
        let (state, advice) = if shares {
            (CheckState::Weak, Some("run the broker as a user of its own: programs of its user can read its files"))
        } else {
            (CheckState::Sound, None)
        };
        check(DoctorArea::Socket, "clients run as other users than the broker", state, advice, None)
    }
}
