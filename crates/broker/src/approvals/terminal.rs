//! Approving on the broker's own machine: opt-in by the policy's channels, and recorded as what it is, unverified. What runs as that
//! user can do it as well, which is why the policy refuses it for whatever an agent asked for.

use keyblind_intent::Digest;

use super::error::ApprovalError;
use super::policy::{Answer, Channel, Identity, Standing};
use super::service::{Approvals, Word};

/// Lets the word of a user of this machine count. `uid` is what the kernel says about the peer of the socket; `code` what the person
/// typed; `message` whatever is unique to this very request on the socket.
///
/// # Errors
/// If no request, or more than one, has that code, or the word doesn't count.
pub async fn decide(
    approvals: &Approvals,
    tenant: &str,
    uid: u32,
    code: &str,
    answer: Answer,
    message: &[u8],
) -> Result<Standing, ApprovalError> {
    let request = approvals.by_code(tenant, code).await?;
    let word = Word {
        digest: request.change.digest(),
        identity: Identity::local(uid),
        tenant: Some(tenant.to_owned()),
        channel: Channel::Terminal,
        answer,
        present_at: approvals.now(),
        // The code is how the request was named at all.
        typed: Some(request.change.short_code().to_string()),
        nonce: Digest::of(message),
    };
    approvals.decide(word).await
}
