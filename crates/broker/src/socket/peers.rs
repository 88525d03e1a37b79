//! Who may connect, and as whom.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use keyblind_intent::{Digest, Refusal};
use keyblind_secret::Secret;

use crate::dispatch::Session;

/// How a client is known, whatever it says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Identity {
    /// By the kernel's word: the user that its process runs as.
    User(u32),
    /// By a certificate that a configured authority issued: one of the names in it (a DNS name or an address, as it stands there).
    Certificate(String),
}

/// One kind of client that the configuration lets in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// What it must be known by.
    pub identity: Identity,
    /// Whether it must show a one-time token as well: being known so isn't enough.
    pub needs_token: bool,
    /// Whether it may ask for people who logged in at the broker's pages, with handles.
    pub speaks_for_people: bool,
    /// Who it is for us.
    pub session: Session,
}

/// The one-time tokens that were given out and not yet shown. Only their digests are kept.
#[derive(Debug, Default)]
pub struct Tokens {
    open: Mutex<HashMap<Digest, usize>>,
}

/// Tokens that may be open at once: whoever lets its tokens lie must not fill the memory.
const MOST_OPEN: usize = 4_096;

impl Tokens {
    /// Gives out a token for the peer of that index in the list of peers.
    ///
    /// # Errors
    /// If the system gives no random numbers, or too many tokens are open.
    pub fn issue(&self, peer: usize) -> std::io::Result<Secret> {
        let mut failed = None;
        let secret = Secret::filled(32, |bytes| {
            let mut filled = 0;
            while filled < bytes.len() {
                match rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()) {
                    Ok(count) => filled += count,
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => {
                        failed = Some(error);
                        return;
                    }
                }
            }
        });
        if let Some(error) = failed {
            return Err(error.into());
        }
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= MOST_OPEN {
            return Err(std::io::Error::other("too many one-time tokens were given out and not used"));
        }
        open.insert(secret.expose(Digest::of), peer);
        Ok(secret)
    }

    /// Takes a token that is shown: from now on it is nothing.
    fn take(&self, token: &[u8]) -> Option<usize> {
        // The lookup is by digest: how long it takes says nothing about a token.
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(&Digest::of(token))
    }

    /// Whose greeting this is: the peer's index.
    ///
    /// # Errors
    /// If nobody who is known so may connect, or the token is needed and missing, unknown or used.
    pub(super) fn admit(&self, peers: &[Peer], caller: &Identity, token: &[u8]) -> Result<usize, Refusal> {
        if token.is_empty() {
            let known_so = || peers.iter().enumerate().filter(|(_, peer)| peer.identity == *caller);
            return match known_so().find(|(_, peer)| !peer.needs_token) {
                Some((index, _)) => Ok(index),
                None if known_so().next().is_some() => Err(Refusal::BadToken),
                None => Err(Refusal::UnknownPeer),
            };
        }
        // A token that was stolen is used up by the attempt, even if the thief runs as somebody else.
        let index = self.take(token).ok_or(Refusal::BadToken)?;
        match peers.get(index) {
            Some(peer) if peer.identity == *caller => Ok(index),
            _ => Err(Refusal::UnknownPeer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::Role;

    fn peer(user: u32, role: Role, needs_token: bool) -> Peer {
        let session = Session { tenant: "octo".parse().unwrap(), subject: "alice".parse().unwrap(), role };
        Peer { identity: Identity::User(user), needs_token, speaks_for_people: false, session }
    }

    #[test]
    fn a_token_opens_once_and_only_for_its_user() {
        let peers = [peer(1, Role::Person, false), peer(1, Role::Runner, true), peer(2, Role::Web, true)];
        let tokens = Tokens::default();
        let show = |user, token: &[u8]| tokens.admit(&peers, &Identity::User(user), token);
        assert_eq!(show(1, b""), Ok(0));
        assert_eq!(show(2, b""), Err(Refusal::BadToken));
        assert_eq!(show(3, b""), Err(Refusal::UnknownPeer));
        let token = tokens.issue(1).unwrap();
        let admit = |user| token.expose(|bytes| show(user, bytes));
        assert_eq!(admit(1), Ok(1));
        assert_eq!(admit(1), Err(Refusal::BadToken), "a second time");
        assert_eq!(show(1, &[0; 32]), Err(Refusal::BadToken));
        let stolen = tokens.issue(2).unwrap();
        assert_eq!(stolen.expose(|bytes| show(1, bytes)), Err(Refusal::UnknownPeer));
        assert_eq!(stolen.expose(|bytes| show(2, bytes)), Err(Refusal::BadToken), "used up by the attempt");
    }

    #[test]
    fn a_user_and_a_certificate_of_the_same_name_are_two() {
        let mut remote = peer(1, Role::Runner, false);
        remote.identity = Identity::Certificate("1".to_owned());
        let peers = [remote];
        let tokens = Tokens::default();
        assert_eq!(tokens.admit(&peers, &Identity::User(1), b""), Err(Refusal::UnknownPeer));
        assert_eq!(tokens.admit(&peers, &Identity::Certificate("1".to_owned()), b""), Ok(0));
    }

    #[test]
    fn tokens_that_nobody_uses_end() {
        let tokens = Tokens::default();
        for _ in 0..MOST_OPEN {
            tokens.issue(0).unwrap();
        }
        assert!(tokens.issue(0).is_err());
    }
}
