//! Providers over the wire, against independent servers on loopback (see `docs/evidence.md` for what each can't show).
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod auth0;
mod aws;
mod github;
mod oidc;

use keyblind_broker::egress::{AllowedHost, Egress, Origin};
use keyblind_broker::secret::Secret;
use keyblind_testkit::Peer;

/// A client that may talk to these servers only.
fn egress(peers: &[&Peer]) -> Egress {
    let hosts = peers.iter().map(|peer| AllowedHost::private(Origin::parse(peer.url()).expect("a peer's address is one")));
    Egress::new(hosts, b"").expect("there are no own roots")
}

fn secret(text: &str) -> Secret {
    Secret::from_string(text.to_owned())
}
