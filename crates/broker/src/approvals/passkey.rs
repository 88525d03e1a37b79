//! Passkeys (WebAuthn level 3): a person's device signs the digest of the change itself.
//!
//! Only what an approval needs of the standard is here: registration without attestation (section 7.1), whose result is a public
//! key that its owner's logged-in session hands over, and the check of an assertion (section 7.2) whose challenge is the digest. A
//! library that draws its own challenges can't be used for that.
//!
//! Nothing here is kept: what is stored, and which challenge may still be answered, is the business of the callers.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm};
use data_encoding::BASE64URL_NOPAD;
use keyblind_intent::Digest;
use serde::Deserialize;

/// Bytes of what a browser sends for one ceremony, in each of its parts: more than any device needs.
const MAX_PART: usize = 16 * 1024;
/// Bytes of a credential's id (WebAuthn level 3, section 4).
const MAX_ID: usize = 1023;

const USER_PRESENT: u8 = 0x01;
const USER_VERIFIED: u8 = 0x04;
const ATTESTED_DATA: u8 = 0x40;

/// Whose keys these are: the door's host name and its origin, exactly as a browser says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelyingParty {
    /// The host name without port: what a passkey is bound to.
    pub id: String,
    /// Scheme, host and port.
    pub origin: String,
}

/// How a key signs (COSE algorithm identifiers).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// Ed25519.
    EdDsa,
    /// RSA with PKCS #1 padding and SHA-256: what older security chips of PCs have.
    Rs256,
}

impl Algorithm {
    /// All that are taken, the preferred first.
    pub const ALL: [Self; 3] = [Self::EdDsa, Self::Es256, Self::Rs256];

    /// The identifier in the IANA registry.
    pub fn cose(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::EdDsa => -8,
            Self::Rs256 => -257,
        }
    }

    /// Of an identifier, if it is one that is taken.
    pub fn from_cose(identifier: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.cose() == identifier)
    }

    fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::Es256 => &ECDSA_P256_SHA256_ASN1,
            Self::EdDsa => &ED25519,
            Self::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
        }
    }
}

/// A registered key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// The credential's id.
    pub id: Vec<u8>,
    /// The public key (SubjectPublicKeyInfo, DER).
    pub public_key: Vec<u8>,
    /// How it signs.
    pub algorithm: Algorithm,
    /// The signature counter when it was last used; devices that synchronise keys leave it at zero.
    pub counter: u32,
}

/// What a browser hands over after making a key; all binary parts in base64url.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Registration {
    /// The credential's id.
    pub id: String,
    /// `clientDataJSON`.
    pub client_data: String,
    /// `getAuthenticatorData()`.
    pub authenticator_data: String,
    /// `getPublicKey()`.
    pub public_key: String,
    /// `getPublicKeyAlgorithm()`.
    pub algorithm: i64,
}

/// What a browser hands over after signing; all binary parts in base64url.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(serde::Serialize))]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assertion {
    /// The credential's id.
    pub id: String,
    /// `clientDataJSON`.
    pub client_data: String,
    /// `authenticatorData`.
    pub authenticator_data: String,
    /// `signature`.
    pub signature: String,
}

/// Why a ceremony was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PasskeyError {
    /// A part isn't base64url, too long, too short, or not of its form.
    #[error("the passkey's answer isn't of the form that the standard gives it")]
    Malformed,
    /// It answers something else than was asked, or an old question.
    #[error("the passkey has signed something else than this change")]
    OtherChallenge,
    /// It was made on another site.
    #[error("the passkey's answer was made on another site")]
    OtherOrigin,
    /// It is of another kind: a registration in place of a signature, or the reverse.
    #[error("the passkey's answer is of another kind than was asked for")]
    OtherKind,
    /// The device didn't see that somebody is there, or didn't check who.
    #[error("the device didn't check that it is you: use its PIN, fingerprint or face")]
    NotVerified,
    /// The signature isn't this key's.
    #[error("the signature isn't this passkey's")]
    BadSignature,
    /// The counter went back: there are two of this key.
    #[error("this passkey's counter went backwards, so a copy of it may exist: remove it and register a new one")]
    Copied,
    /// The key signs in a way that isn't taken.
    #[error("this passkey signs in a way that isn't accepted: use one that signs with Ed25519, P-256 or RSA")]
    AlgorithmNotTaken,
}

impl Registration {
    /// Checks what a browser hands over against the challenge that was given to it.
    ///
    /// # Errors
    /// Why it isn't taken.
    pub fn verify(&self, party: &RelyingParty, challenge: &[u8; 32]) -> Result<Passkey, PasskeyError> {
        check_client_data(&self.client_data, "webauthn.create", party, challenge)?;
        let data = decode(&self.authenticator_data)?;
        let authenticator = AuthenticatorData::read(&data, party)?;
        let id = decode(&self.id)?;
        // rpIdHash, flags, counter; then the model's id and the length of the credential's id (section 6.5.1).
        let attested = data.get(37..).filter(|_| authenticator.flags & ATTESTED_DATA != 0).ok_or(PasskeyError::Malformed)?;
        let (length, rest) = attested.get(16..).and_then(|rest| rest.split_first_chunk::<2>()).ok_or(PasskeyError::Malformed)?;
        let told = rest.get(..usize::from(u16::from_be_bytes(*length))).ok_or(PasskeyError::Malformed)?;
        if id.is_empty() || id.len() > MAX_ID || told != id {
            return Err(PasskeyError::Malformed);
        }
        let algorithm = Algorithm::from_cose(self.algorithm).ok_or(PasskeyError::AlgorithmNotTaken)?;
        let public_key = decode(&self.public_key)?;
        ParsedPublicKey::new(algorithm.verification(), &public_key).map_err(|_| PasskeyError::Malformed)?;
        Ok(Passkey { id, public_key, algorithm, counter: authenticator.counter })
    }
}

impl Assertion {
    /// The id of the credential that it claims to be made with.
    ///
    /// # Errors
    /// If it isn't base64url.
    pub fn credential_id(&self) -> Result<Vec<u8>, PasskeyError> {
        decode(&self.id)
    }

    /// Checks that this key has signed this digest, here, after its device checked its owner. Gives the counter to keep.
    ///
    /// # Errors
    /// Why it doesn't count.
    pub fn verify(&self, party: &RelyingParty, passkey: &Passkey, digest: &Digest) -> Result<u32, PasskeyError> {
        if self.credential_id()? != passkey.id {
            return Err(PasskeyError::BadSignature);
        }
        let client_data = check_client_data(&self.client_data, "webauthn.get", party, digest.as_bytes())?;
        let data = decode(&self.authenticator_data)?;
        let authenticator = AuthenticatorData::read(&data, party)?;
        let mut signed = data;
        signed.extend_from_slice(Digest::of(&client_data).as_bytes());
        let key = ParsedPublicKey::new(passkey.algorithm.verification(), &passkey.public_key).map_err(|_| PasskeyError::Malformed)?;
        key.verify_sig(&signed, &decode(&self.signature)?).map_err(|_| PasskeyError::BadSignature)?;
        // Section 7.2, step 22: zero on both sides means that the device doesn't count.
        if (authenticator.counter != 0 || passkey.counter != 0) && authenticator.counter <= passkey.counter {
            return Err(PasskeyError::Copied);
        }
        Ok(authenticator.counter)
    }
}

fn decode(text: &str) -> Result<Vec<u8>, PasskeyError> {
    if text.len() > MAX_PART {
        return Err(PasskeyError::Malformed);
    }
    BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| PasskeyError::Malformed)
}

/// The part of the collected client data that decides (section 5.8.1); browsers add others, and may add more.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClientData {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default)]
    cross_origin: bool,
}

fn check_client_data(encoded: &str, kind: &str, party: &RelyingParty, challenge: &[u8; 32]) -> Result<Vec<u8>, PasskeyError> {
    let bytes = decode(encoded)?;
    let data: ClientData = serde_json::from_slice(&bytes).map_err(|_| PasskeyError::Malformed)?;
    if data.kind != kind {
        return Err(PasskeyError::OtherKind);
    }
    if data.origin != party.origin || data.cross_origin {
        return Err(PasskeyError::OtherOrigin);
    }
    // Compared as text: there is one way to write 32 bytes in base64url, and browsers write that.
    if data.challenge != BASE64URL_NOPAD.encode(challenge) {
        return Err(PasskeyError::OtherChallenge);
    }
    Ok(bytes)
}

struct AuthenticatorData {
    flags: u8,
    counter: u32,
}

impl AuthenticatorData {
    /// Section 6.1: the hash of the party's id, the flags, the counter.
    fn read(bytes: &[u8], party: &RelyingParty) -> Result<Self, PasskeyError> {
        let (hash, rest) = bytes.split_first_chunk::<32>().ok_or(PasskeyError::Malformed)?;
        let (flags, rest) = rest.split_first().ok_or(PasskeyError::Malformed)?;
        let (counter, _) = rest.split_first_chunk::<4>().ok_or(PasskeyError::Malformed)?;
        if hash != Digest::of(party.id.as_bytes()).as_bytes() {
            return Err(PasskeyError::OtherOrigin);
        }
        if flags & USER_PRESENT == 0 || flags & USER_VERIFIED == 0 {
            return Err(PasskeyError::NotVerified);
        }
        Ok(Self { flags: *flags, counter: u32::from_be_bytes(*counter) })
    }
}

#[cfg(test)]
pub(crate) mod tests;
