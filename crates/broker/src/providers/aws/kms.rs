//! AWS's Key Management Service: two calls, with which a key is made, wrapped and unwrapped by a key that never leaves AWS.
//!
//! A wrapped key is bound to a context, which names the store that it is the key of: it is a part of what AWS authenticates, stands in
//! the account's `CloudTrail`, and can be a condition of the key's policy.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::BASE64;
use hyper::header::{HeaderName, RETRY_AFTER};
use keyblind_intent::{Arn, Region, SubjectId, TenantId};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zeroize::Zeroizing;

use super::base::{Lent, Root};
use super::marks::Marks;
use super::place::endpoint;
use super::sts::TakeRole;
use super::{AwsError, Base, SessionPolicy, Step, Sts, signing};
use crate::clock::{Clock, Timestamp};
use crate::egress::{Answer, Body, Call, Egress, Origin, Target};
use crate::secret::Secret;

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
/// The field of the context that names what a wrapped key is for.
pub const CONTEXT: &str = "keyblind-store";
/// How many bytes an answer may have.
const ANSWER: usize = 64 * 1024;
/// How often a call is made that was turned away unread.
const TRIES: u32 = 4;
/// The first pause; it doubles.
const PAUSE: Duration = Duration::from_millis(400);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// How long a session's policy lasts that is taken for one call.
const SESSION: Duration = Duration::from_secs(60);
/// The shortest session that AWS gives; its policy ends it before.
const SESSION_SECONDS: u64 = 900;
const KEY_BYTES: usize = 32;

/// Why there is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KmsError {
    /// AWS wasn't reached, or refused for a reason that isn't about this key.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// It isn't the ARN of a key.
    #[error("this is no key of AWS KMS: write `arn:aws:kms:REGION:ACCOUNT:key/ID`, not an alias")]
    Key,
    /// The policies don't allow it.
    #[error("AWS refuses the key: its policy, and that of who asks, must allow kms:GenerateDataKey and kms:Decrypt")]
    Denied,
    /// There is no such key.
    #[error("there is no such key at AWS KMS")]
    NotFound,
    /// The key is disabled, waits for its deletion, or can't be reached by KMS itself.
    #[error("the key at AWS KMS is disabled, or waits for its deletion: an administrator of the account can enable it, or cancel that")]
    Unusable,
    /// It isn't what this key wrapped for this store.
    #[error("AWS KMS doesn't unwrap the store's key: it was wrapped by another key, for another store, or was changed")]
    Refused,
    /// The answer isn't KMS's.
    #[error("the answer isn't one of AWS KMS's")]
    Unintelligible,
    /// It answers for another key than the one that was asked for.
    #[error("AWS KMS used another key than the one that was named")]
    OtherKey,
}

/// One key at KMS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KmsKey {
    arn: Arn,
    region: Region,
}

impl KmsKey {
    /// By its ARN.
    ///
    /// # Errors
    /// [`KmsError::Key`] if it is none of a key, or lies in no known region.
    pub fn new(arn: Arn) -> Result<Self, KmsError> {
        let region = Region::new(arn.region()).map_err(|_| KmsError::Key)?;
        let is_key =
            arn.service() == "kms" && arn.resource().strip_prefix("key/").is_some_and(|id| !id.is_empty() && !id.contains(['*', '?']));
        let is_known = endpoint("kms", &region).is_ok();
        if is_key && is_known && !arn.account().is_empty() { Ok(Self { arn, region }) } else { Err(KmsError::Key) }
    }

    /// Its name.
    #[must_use]
    pub fn arn(&self) -> &Arn {
        &self.arn
    }

    /// Where it lies.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }
}

/// A new key, and the same as KMS wrapped it.
pub struct MadeKey {
    /// The key.
    pub key: Secret,
    /// As it is kept.
    pub wrapped: Vec<u8>,
}

/// KMS, with one key and what may use it.
pub struct Kms {
    egress: Egress,
    clock: Arc<dyn Clock>,
    origin: Origin,
    sts: Sts,
    base: Base,
    key: KmsKey,
}

/// An answer. The key is read where it lies: its buffer is overwritten after use.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answered<'a> {
    #[serde(borrow)]
    key_id: Cow<'a, str>,
    #[serde(borrow)]
    plaintext: Cow<'a, str>,
    #[serde(borrow, default)]
    ciphertext_blob: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow, rename = "__type")]
    kind: Cow<'a, str>,
    #[serde(borrow, default, alias = "Message")]
    message: Cow<'a, str>,
}

impl Kms {
    /// The place where a key's calls go.
    ///
    /// # Errors
    /// [`AwsError::Partition`] if its region is of none that is known.
    pub fn needs(key: &KmsKey) -> Result<Origin, AwsError> {
        endpoint("kms", &key.region)
    }

    /// KMS where the key lies. Its place and that of `sts` must be on the list of hosts.
    ///
    /// # Errors
    /// [`AwsError::Partition`] if the key's region is of none that is known.
    pub fn new(egress: Egress, clock: Arc<dyn Clock>, sts: Sts, base: Base, key: KmsKey) -> Result<Self, AwsError> {
        let origin = Self::needs(&key)?;
        Ok(Self { egress, clock, origin, sts, base, key })
    }

    /// The same at another place: an emulator's.
    #[must_use]
    pub fn at(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Makes a key for a store.
    ///
    /// # Errors
    /// See [`KmsError`].
    pub async fn make(&self, store: &str) -> Result<MadeKey, KmsError> {
        let request = json!({"KeyId": self.key.arn.as_str(), "EncryptionContext": {CONTEXT: store}, "NumberOfBytes": KEY_BYTES});
        let made = self.ask("GenerateDataKey", &request, store).await?;
        if made.wrapped.is_empty() { Err(KmsError::Unintelligible) } else { Ok(made) }
    }

    /// Unwraps a store's key.
    ///
    /// # Errors
    /// See [`KmsError`]; [`KmsError::Refused`] if it was wrapped by another key or for another store.
    pub async fn unwrap(&self, store: &str, wrapped: &[u8]) -> Result<Secret, KmsError> {
        // The key is named, so that KMS doesn't take whichever the wrapped bytes name.
        let request = json!({
            "KeyId": self.key.arn.as_str(), "EncryptionContext": {CONTEXT: store}, "CiphertextBlob": BASE64.encode(wrapped),
            "EncryptionAlgorithm": "SYMMETRIC_DEFAULT",
        });
        Ok(self.ask("Decrypt", &request, store).await?.key)
    }

    async fn ask(&self, action: &str, request: &serde_json::Value, store: &str) -> Result<MadeKey, KmsError> {
        let keys = self.keys(action, store).await?;
        let mut pause = PAUSE;
        for attempt in 1.. {
            let body = Zeroizing::new(request.to_string().into_bytes());
            let call = Call::new(hyper::Method::POST, Target::new(&self.origin).path("/"))
                .header(TARGET, &format!("TrentService.{action}"))
                .body(Body::Bytes("application/x-amz-json-1.1", body))
                .at_most(ANSWER);
            let call = signing::sign(call, keys.secret(), &self.key.region, "kms", self.clock.now())?;
            let answer = self.egress.send(call).await.map_err(AwsError::from)?;
            match judged(&answer, &self.key) {
                Ok(made) => return Ok(made),
                Err(KmsError::Aws(error)) if error.is_passing() && attempt < TRIES => {
                    let asked = if let AwsError::Throttled { wait } = error { wait } else { None };
                    if asked.is_some_and(|wait| wait > LONGEST_PAUSE) {
                        return Err(error.into());
                    }
                    tokio::time::sleep(asked.unwrap_or(pause)).await;
                    pause *= 2;
                }
                Err(error) => return Err(error),
            }
        }
        Err(AwsError::Throttled { wait: None }.into())
    }

    /// The keys for one call: the base's own, or those of a session of its last role that allows nothing but this.
    async fn keys(&self, action: &str, store: &str) -> Result<Lent<'_>, AwsError> {
        let id = crate::ledger::new_id().map_err(|_| AwsError::Clock)?;
        let (tenant, subject) = ("broker".parse::<TenantId>(), SubjectId::new("vault"));
        let (Ok(tenant), Ok(subject)) = (tenant, subject) else { return Err(AwsError::Invalid) };
        // It is in nobody's name.
        let marks = Marks::of_read(id, &tenant, &subject).name_only();
        let mut token = match &self.base.root {
            Root::WebIdentity(source) => Some(source.token(&marks).await?),
            Root::Keys(_) | Root::Sealed(..) => None,
        };
        let mut keys = self.base.first_keys().await?;
        let dead_at = self.clock.now().saturating_add(SESSION);
        for (index, Step { role, external_id }) in self.base.steps.iter().enumerate() {
            let policy = match self.base.steps.get(index + 1) {
                Some(next) => SessionPolicy::of_step(&next.role).document(dead_at)?,
                None => self.policy(action, store, dead_at)?,
            };
            let take = TakeRole { role, external_id: external_id.as_ref(), policy: &policy, marks: &marks, seconds: SESSION_SECONDS };
            let session = match (token.take(), &keys) {
                (Some(token), _) => self.sts.take_role_with_web_identity(&token, take).await?,
                (None, Some(keys)) => self.sts.take_role(keys.secret(), take).await?,
                (None, None) => return Err(AwsError::NoKeys),
            };
            keys = Some(Lent::Read(session.keys));
        }
        keys.ok_or(AwsError::NoKeys)
    }

    /// What a session for one call may do: that call with this key for this store, for a moment.
    fn policy(&self, action: &str, store: &str, dead_at: Timestamp) -> Result<String, AwsError> {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Policy {
            version: &'static str,
            statement: [serde_json::Value; 1],
        }
        let second = i64::try_from(dead_at.unix_millis() / 1_000).map_err(|_| AwsError::Clock)?;
        let end = jiff::Timestamp::from_second(second).map_err(|_| AwsError::Clock)?;
        let statement = json!({
            "Effect": "Allow", "Action": format!("kms:{action}"), "Resource": self.key.arn.as_str(),
            "Condition": {
                "StringEquals": {format!("kms:EncryptionContext:{CONTEXT}"): store},
                "DateLessThan": {"aws:CurrentTime": end.to_string()},
            },
        });
        serde_json::to_string(&Policy { version: "2012-10-17", statement: [statement] }).map_err(|_| AwsError::MalformedPolicy)
    }
}

fn key_of(text: &str) -> Option<Secret> {
    let mut buffer = Zeroizing::new([0; KEY_BYTES + 1]);
    // Any other length isn't one of this many bytes.
    let buffer = (BASE64.decode_len(text.len()) == Ok(buffer.len())).then_some(&mut buffer)?;
    let is_key = BASE64.decode_mut(text.as_bytes(), buffer.as_mut_slice()) == Ok(KEY_BYTES);
    is_key.then(|| Secret::filled(KEY_BYTES, |bytes| bytes.copy_from_slice(&buffer[..KEY_BYTES])))
}

fn judged(answer: &Answer, key: &KmsKey) -> Result<MadeKey, KmsError> {
    let status = answer.status().as_u16();
    if (200..300).contains(&status) {
        let answered: Answered<'_> = serde_json::from_slice(answer.body()).map_err(|_| KmsError::Unintelligible)?;
        if answered.key_id != key.arn.as_str() {
            return Err(KmsError::OtherKey);
        }
        let wrapped = BASE64.decode(answered.ciphertext_blob.as_bytes()).map_err(|_| KmsError::Unintelligible)?;
        return Ok(MadeKey { key: key_of(&answered.plaintext).ok_or(KmsError::Unintelligible)?, wrapped });
    }
    let wait = answer.header(&RETRY_AFTER).and_then(|wait| wait.parse().ok()).map(Duration::from_secs);
    // What stands before AWS refuses without its JSON.
    let refusal: Option<Refusal<'_>> = serde_json::from_slice(answer.body()).ok();
    let (kind, message) = refusal.as_ref().map_or(("", ""), |refusal| (&*refusal.kind, &*refusal.message));
    // Some say where the name is from: `com.amazonaws.kms#NotFoundException`.
    let kind = kind.rsplit('#').next().unwrap_or_default();
    Err(match kind {
        "AccessDeniedException" | "AccessDenied" => KmsError::Denied,
        "NotFoundException" => KmsError::NotFound,
        "DisabledException" | "KMSInvalidStateException" | "KeyUnavailableException" => KmsError::Unusable,
        "InvalidCiphertextException" | "IncorrectKeyException" => KmsError::Refused,
        _ => AwsError::refusal(status, kind, message, wait).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_named_whole() {
        let key = |text: &str| KmsKey::new(Arn::new(text).unwrap());
        let name = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab";
        let known = key(name).unwrap();
        assert_eq!((known.arn().as_str(), known.region().as_str()), (name, "eu-central-1"));
        assert_eq!(Kms::needs(&known).unwrap().to_string(), "https://kms.eu-central-1.amazonaws.com");
        for other in [
            "arn:aws:kms:eu-central-1:123456789012:alias/broker",
            "arn:aws:kms:eu-central-1:123456789012:key/",
            "arn:aws:s3:eu-central-1:123456789012:key/1234abcd",
        ] {
            assert_eq!(key(other), Err(KmsError::Key), "{other}");
        }
    }
}
