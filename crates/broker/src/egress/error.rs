//! What can go wrong on the way out, in codes.

use super::AddressKind;

/// Why there is no answer. None of these carries anything that was sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EgressError {
    /// The host and port aren't in the configuration's list.
    #[error("the host isn't in the broker's list of hosts: name it in the configuration")]
    NotListed,
    /// The target holds something that no target of ours has.
    #[error("the target of the call isn't well-formed")]
    Target,
    /// The name has no address.
    #[error("the host's name can't be resolved")]
    Unresolved,
    /// The name leads to an address that it may not have.
    #[error("the host's name leads to an address that is {0}: refused")]
    Address(AddressKind),
    /// Plain HTTP to somewhere else than this machine.
    #[error("plain HTTP is for this machine only: name the host with `https://`")]
    Insecure,
    /// Nothing listens, or the way there is closed.
    #[error("the host can't be reached")]
    Unreachable,
    /// The other side isn't who it should be, or speaks another TLS.
    #[error("the host's certificate or its TLS isn't acceptable")]
    Tls,
    /// The configuration's own certificates aren't certificates.
    #[error("the configured certificate authorities aren't PEM certificates")]
    Roots,
    /// It took too long.
    #[error("the host didn't answer in time")]
    TimedOut,
    /// The answer is larger than the call allows.
    #[error("the host's answer is larger than it may be")]
    TooLarge,
    /// What came isn't HTTP, or ended in the middle.
    #[error("the host's answer isn't HTTP, or is incomplete")]
    Protocol,
    /// A redirect that may not be followed.
    #[error("the host redirects to where no call of ours goes")]
    Redirect,
    /// The answer isn't what this host's interface promises.
    #[error("the host's answer isn't what its interface promises")]
    Unintelligible,
}

impl EgressError {
    /// A name for records.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::NotListed => "host-not-listed",
            Self::Target => "target-malformed",
            Self::Unresolved => "name-unresolved",
            Self::Address(_) => "address-refused",
            Self::Insecure => "insecure",
            Self::Unreachable => "unreachable",
            Self::Tls => "tls",
            Self::Roots => "roots",
            Self::TimedOut => "timed-out",
            Self::TooLarge => "too-large",
            Self::Protocol => "protocol",
            Self::Redirect => "redirect-refused",
            Self::Unintelligible => "unintelligible",
        }
    }

    /// Whether the request may have had its effect although there is no answer.
    #[must_use]
    pub fn may_have_happened(self) -> bool {
        matches!(self, Self::TimedOut | Self::TooLarge | Self::Protocol | Self::Unintelligible | Self::Redirect)
    }
}
