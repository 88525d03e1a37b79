//! Amazon Web Services: sessions of roles, each for one intent.
//!
//! Authority is a session that STS gives for a role, narrowed by a policy that is made from the intent's typed fields and ends by itself
//! ([`SessionPolicy`]). It can't be revoked: after its seconds it still is a session, and may do nothing. What the broker itself
//! has at AWS ([`Base`]) is an identity provider's word, keys in the sealed store, or the profile of one person; that may do nothing
//! but take the roles.
//!
//! Requests are signed, sent and read here, over the broker's one way out: AWS's own client would look for keys in the environment,
//! at a metadata service and in programs that it starts, and would talk to hosts that nobody listed.

mod answer;
mod api;
mod authority;
mod base;
mod calls;
mod error;
mod examine;
mod keys;
mod kms;
mod marks;
pub(crate) mod operations;
mod place;
mod policy;
mod profile;
mod reads;
pub(crate) mod scrub;
pub mod setup;
mod signing;
mod sts;
pub(crate) mod xml;

pub(crate) use api::{Answered, ApiError, Asking, Form};
pub use api::{Api, Interface};
pub use authority::{AwsAuthority, SessionScope};
pub use base::{Base, IdentitySource, OwnIssuer, Step, TokenFile, TokenFuture};
pub use calls::ACTIONS;
pub use error::{AwsError, StsPermission};
pub use examine::{Examination, LinkedAccount};
pub use keys::{check as check_keys, keys, pasted as pasted_keys};
pub use kms::{CONTEXT as KMS_CONTEXT, Kms, KmsError, KmsKey, MadeKey};
pub use marks::{ExternalId, MarkClaims, Marks};
pub use place::{Partition, Role, endpoint};
pub use policy::{POLICY_CHARACTERS, SessionPolicy};
pub use profile::{LocalProfile, ProfileError, Profiles};
pub use reads::{Read, of as reads_of};
pub(crate) use signing::percent_decoded;
pub use signing::sign;
pub use sts::{CallerIdentity, Session, Sts, TakeRole};
