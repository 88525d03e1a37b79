//! The socket that everybody else talks to the broker through.
//!
//! A Unix-domain socket of mode 0600 in a folder of mode 0700. The kernel says which user is at the other end; the configuration says
//! which tenant, subject and role that is, and whether a one-time token must be shown too. Frames, documents and their limits are
//! those of `keyblind-intent`; bulk bytes travel as descriptors.
//!
//! Clients on other machines come by TCP, with TLS and certificates on both sides ([`Remote`]): the certificate's name takes the place
//! of the user, and bulk bytes travel as pieces. Everything else is the same, limits and shares included: what comes from there is
//! passed on through a pair of sockets to what serves everybody.
//!
//! What a client can cost is bounded: the limits are in [`Limits`], and each is enforced before memory is spent.

mod bridge;
mod connection;
mod peers;
mod place;
mod reaching;
mod remote;
mod server;
mod shares;

use std::time::Duration;

pub use keyblind_client::{BulkError, BulkFile, Client, ClientError, Question};
pub use peers::{Identity, Peer, Tokens};
pub use place::{PlaceError, check_folder};
pub use reaching::{Reached, ReachingError};
pub use remote::{Certificates, Remote, RemoteError};
pub use server::{Server, SocketError};

/// How much the socket's clients may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once.
    pub connections: usize,
    /// Of them, by one user, or with one certificate's name.
    pub connections_per_user: usize,
    /// Requests of one connection that aren't answered yet. More are refused as busy.
    pub requests_per_connection: usize,
    /// Requests that are worked on at once. More wait their turn. Of this and the two below each tenant has a share that no other can take.
    pub working: usize,
    /// Requests that wait their turn. More are refused as busy.
    pub waiting: usize,
    /// Kibibytes of all requests that aren't answered yet. More are refused as busy.
    pub request_kibibytes: usize,
    /// Kibibytes of bulk bytes of requests from other machines that aren't answered yet. More wait.
    pub attached_kibibytes: usize,
    /// From the connection to the end of its greeting.
    pub greeting: Duration,
    /// From the first byte of a frame to its last, and for a client to take an answer.
    pub frame: Duration,
    /// From a request to its answer.
    pub request: Duration,
    /// For a connection from another machine: then it ends, and whoever needs it comes again with a certificate that still counts.
    pub remote: Duration,
    /// For what is being worked on when the broker stops.
    pub stopping: Duration,
    /// How many ids are remembered, so that none is taken twice.
    pub remembered_ids: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 512,
            connections_per_user: 256,
            requests_per_connection: 32,
            working: 64,
            waiting: 1_024,
            request_kibibytes: 64 * 1_024,
            attached_kibibytes: 512 * 1_024,
            greeting: Duration::from_secs(5),
            frame: Duration::from_secs(20),
            request: Duration::from_secs(900),
            remote: Duration::from_secs(3_600),
            stopping: Duration::from_secs(15),
            remembered_ids: 100_000,
        }
    }
}
