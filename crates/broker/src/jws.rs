//! Signed tokens (JSON Web Signature, compact form): ours to make, others' to check.
//!
//! Two algorithms and no others: RS256 and ES256. What a token's header says picks between keys, never between kinds of
//! algorithms, so that there is no `none`, and no public key is ever taken for a shared secret. Private keys stay in a [`Secret`]
//! and are read into the cipher library for the moment of a signature only.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256,
    RsaPublicKeyComponents, UnparsedPublicKey,
};
use data_encoding::BASE64URL_NOPAD;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::secret::Secret;

/// The longest token that is looked at.
const LONGEST: usize = 32 * 1024;

/// How a token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// RSA with PKCS#1 v1.5 and SHA-256.
    #[serde(rename = "RS256")]
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    #[serde(rename = "ES256")]
    Es256,
}

/// Why a key or a token isn't usable. Says nothing of what is in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JwsError {
    /// It isn't a private key in PEM that we can sign with.
    #[error("this is no private key that can sign: PEM with an RSA key of at least 2,048 bits, or with one on P-256, is needed")]
    Key,
    /// Random numbers or the cipher library failed.
    #[error("the cipher library failed")]
    Cipher,
    /// It isn't a signed token in compact form.
    #[error("this is no signed token")]
    Malformed,
    /// It is signed in a way that we don't take.
    #[error("the token is signed with another algorithm than RS256 or ES256")]
    Algorithm,
    /// The signature isn't that key's.
    #[error("the token's signature is wrong")]
    Signature,
}

/// A private key that signs tokens.
pub struct SigningKey {
    algorithm: Algorithm,
    /// PKCS#8, or PKCS#1 for RSA.
    der: Secret,
    is_pkcs8: bool,
    id: Option<String>,
}

/// The header of a token of ours.
#[derive(Serialize)]
struct Header<'h> {
    alg: Algorithm,
    #[serde(skip_serializing_if = "Option::is_none")]
    typ: Option<&'h str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kid: Option<&'h str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jwk: Option<&'h PublicKey>,
}

impl SigningKey {
    /// Reads a private key in PEM, as GitHub and identity providers hand them out.
    ///
    /// # Errors
    /// If it isn't one that can sign.
    pub fn from_pem(pem: &Secret, id: Option<String>) -> Result<Self, JwsError> {
        let mut parsed = pem.expose(PrivateKeyDer::from_pem_slice).map_err(|_| JwsError::Key)?;
        let copy = |bytes: &[u8]| Secret::filled(bytes.len(), |target| target.copy_from_slice(bytes));
        let (der, is_pkcs8) = match &parsed {
            PrivateKeyDer::Pkcs1(key) => (copy(key.secret_pkcs1_der()), false),
            PrivateKeyDer::Pkcs8(key) => (copy(key.secret_pkcs8_der()), true),
            _ => return Err(JwsError::Key),
        };
        parsed.zeroize();
        let key = |algorithm| Self { algorithm, der: copy(&[]), is_pkcs8, id: None };
        let is_rsa = der.expose(|bytes| key(Algorithm::Rs256).rsa(bytes).is_ok());
        let is_p256 = is_pkcs8 && der.expose(|bytes| EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, bytes).is_ok());
        let algorithm = if is_rsa { Algorithm::Rs256 } else { Algorithm::Es256 };
        if is_rsa || is_p256 { Ok(Self { algorithm, der, is_pkcs8, id }) } else { Err(JwsError::Key) }
    }

    /// Makes a new key on P-256.
    ///
    /// # Errors
    /// If the cipher library can't.
    pub fn generate(id: Option<String>) -> Result<Self, JwsError> {
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).map_err(|_| JwsError::Cipher)?;
        let bytes = document.as_ref();
        let der = Secret::filled(bytes.len(), |target| target.copy_from_slice(bytes));
        Ok(Self { algorithm: Algorithm::Es256, der, is_pkcs8: true, id })
    }

    /// Its id, if it has one.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    fn rsa(&self, der: &[u8]) -> Result<RsaKeyPair, JwsError> {
        let pair = if self.is_pkcs8 { RsaKeyPair::from_pkcs8(der) } else { RsaKeyPair::from_der(der) }.map_err(|_| JwsError::Key)?;
        if pair.public_modulus_len() >= 256 { Ok(pair) } else { Err(JwsError::Key) }
    }

    fn p256(&self) -> Result<EcdsaKeyPair, JwsError> {
        self.der.expose(|der| EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der)).map_err(|_| JwsError::Key)
    }

    /// Its public half, if it is on P-256.
    ///
    /// # Errors
    /// If it isn't.
    pub fn public_key(&self) -> Result<PublicKey, JwsError> {
        let pair = self.p256()?;
        let (x, y) = match pair.public_key().as_ref() {
            [4, point @ ..] if point.len() == 64 => point.split_at(32),
            _ => return Err(JwsError::Key),
        };
        Ok(PublicKey { crv: "P-256", kty: "EC", x: BASE64URL_NOPAD.encode(x), y: BASE64URL_NOPAD.encode(y) })
    }

    /// Signs claims; the token is a credential as long as it is fresh.
    ///
    /// # Errors
    /// If the cipher library can't.
    pub fn sign(&self, kind: Option<&str>, claims: &impl Serialize) -> Result<Secret, JwsError> {
        self.sign_with(kind, None, claims)
    }

    /// The same with the public key in the header, as proofs of possession have it.
    pub(crate) fn sign_with(&self, kind: Option<&str>, jwk: Option<&PublicKey>, claims: &impl Serialize) -> Result<Secret, JwsError> {
        let header = Header { alg: self.algorithm, typ: kind, kid: self.id.as_deref(), jwk };
        let encode = |value: &[u8], to: &mut Zeroizing<String>| BASE64URL_NOPAD.encode_append(value, to);
        let mut token = Zeroizing::new(String::with_capacity(2_048));
        encode(&serde_json::to_vec(&header).map_err(|_| JwsError::Malformed)?, &mut token);
        token.push('.');
        encode(&serde_json::to_vec(claims).map_err(|_| JwsError::Malformed)?, &mut token);
        let random = SystemRandom::new();
        let signature = match self.algorithm {
            Algorithm::Rs256 => {
                let pair = self.der.expose(|der| self.rsa(der))?;
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, token.as_bytes(), &mut signature).map_err(|_| JwsError::Cipher)?;
                signature
            }
            Algorithm::Es256 => self.p256()?.sign(&random, token.as_bytes()).map_err(|_| JwsError::Cipher)?.as_ref().to_vec(),
        };
        token.push('.');
        encode(&signature, &mut token);
        Ok(Secret::filled(token.len(), |target| target.copy_from_slice(token.as_bytes())))
    }
}

/// A public key on P-256 (RFC 7517); its fields are in the order that its thumbprint needs (RFC 7638).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PublicKey {
    crv: &'static str,
    kty: &'static str,
    x: String,
    y: String,
}

impl PublicKey {
    /// Its thumbprint (RFC 7638).
    #[must_use]
    pub fn thumbprint(&self) -> String {
        let canonical = serde_json::to_vec(self).unwrap_or_default();
        BASE64URL_NOPAD.encode(digest(&SHA256, &canonical).as_ref())
    }
}

/// Somebody's public key, to check signatures with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    id: Option<String>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256 { point: Vec<u8> },
}

/// A key as a set of keys holds it (RFC 7517).
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    kid: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct JwkSet {
    keys: Vec<serde_json::Value>,
}

/// The keys of a set that can check signatures of the two algorithms; others are left out, as RFC 7517 (5) asks.
///
/// # Errors
/// If it isn't a set of keys.
pub fn key_set(text: &[u8]) -> Result<Vec<VerifyingKey>, JwsError> {
    let set: JwkSet = serde_json::from_slice(text).map_err(|_| JwsError::Malformed)?;
    Ok(set.keys.into_iter().take(100).filter_map(|key| VerifyingKey::read(serde_json::from_value(key).ok()?)).collect())
}

impl VerifyingKey {
    fn read(jwk: Jwk) -> Option<Self> {
        let bytes = |text: Option<String>| text.and_then(|text| BASE64URL_NOPAD.decode(text.trim_end_matches('=').as_bytes()).ok());
        if jwk.purpose.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let is_for = |algorithm: &str| jwk.alg.as_deref().is_none_or(|named| named == algorithm);
        let material = match jwk.kty.as_str() {
            "RSA" if is_for("RS256") => Material::Rsa { modulus: bytes(jwk.n)?, exponent: bytes(jwk.e)? },
            "EC" if is_for("ES256") && jwk.crv.as_deref() == Some("P-256") => {
                let (x, y) = (bytes(jwk.x)?, bytes(jwk.y)?);
                if x.len() != 32 || y.len() != 32 {
                    return None;
                }
                Material::P256 { point: [&[4], x.as_slice(), y.as_slice()].concat() }
            }
            _ => return None,
        };
        Some(Self { id: jwk.kid, material })
    }

    fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Rsa { .. } => Algorithm::Rs256,
            Material::P256 { .. } => Algorithm::Es256,
        }
    }

    fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), JwsError> {
        let verified = match &self.material {
            Material::Rsa { modulus, exponent } => {
                RsaPublicKeyComponents { n: modulus, e: exponent }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature)
            }
            Material::P256 { point } => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed, signature),
        };
        verified.map_err(|_| JwsError::Signature)
    }
}

/// A token of somebody else, whose signature isn't checked yet.
pub struct Unverified<'t> {
    algorithm: Algorithm,
    key_id: Option<String>,
    signed: &'t str,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Deserialize)]
struct TheirHeader {
    alg: String,
    kid: Option<String>,
    // Whoever marks something as critical means that others must not guess (RFC 7515, 4.1.11).
    crit: Option<serde_json::Value>,
}

impl<'t> Unverified<'t> {
    /// Takes a token apart.
    ///
    /// # Errors
    /// If it isn't one, or is signed with another algorithm.
    pub fn parse(token: &'t str) -> Result<Self, JwsError> {
        if token.len() > LONGEST {
            return Err(JwsError::Malformed);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(JwsError::Malformed)?;
        let (header, payload) = signed.split_once('.').ok_or(JwsError::Malformed)?;
        let decode = |text: &str| BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| JwsError::Malformed);
        let header: TheirHeader = serde_json::from_slice(&decode(header)?).map_err(|_| JwsError::Malformed)?;
        if header.crit.is_some() {
            return Err(JwsError::Malformed);
        }
        let algorithm = match header.alg.as_str() {
            "RS256" => Algorithm::Rs256,
            "ES256" => Algorithm::Es256,
            _ => return Err(JwsError::Algorithm),
        };
        Ok(Self { algorithm, key_id: header.kid, signed, payload: decode(payload)?, signature: decode(signature)? })
    }

    /// Whether one of these keys is the one that its header names.
    #[must_use]
    pub fn is_named_in(&self, keys: &[VerifyingKey]) -> bool {
        self.candidates(keys).next().is_some()
    }

    fn candidates<'k>(&'k self, keys: &'k [VerifyingKey]) -> impl Iterator<Item = &'k VerifyingKey> {
        keys.iter().filter(|key| key.algorithm() == self.algorithm && (self.key_id.is_none() || key.id == self.key_id))
    }

    /// Checks the signature with the key that the header names, and gives the claims.
    ///
    /// # Errors
    /// If no key's signature is on it, or the claims aren't of that form.
    pub fn verify<T: serde::de::DeserializeOwned>(&self, keys: &[VerifyingKey]) -> Result<T, JwsError> {
        let mut result = Err(JwsError::Signature);
        for key in self.candidates(keys) {
            result = key.verify(self.signed.as_bytes(), &self.signature);
            if result.is_ok() {
                break;
            }
        }
        result?;
        serde_json::from_slice(&self.payload).map_err(|_| JwsError::Malformed)
    }
}

/// That many random bytes in the alphabet of URLs.
///
/// # Errors
/// If the system has none.
pub fn random_text(bytes: usize) -> Result<String, JwsError> {
    let mut buffer = Zeroizing::new(vec![0; bytes]);
    SystemRandom::new().fill(&mut buffer).map_err(|_| JwsError::Cipher)?;
    Ok(BASE64URL_NOPAD.encode(buffer.as_slice()))
}

/// A fresh seed: 32 random bytes that serve for nothing else.
pub(crate) fn seed() -> Result<Secret, JwsError> {
    let mut drawn = Ok(());
    let seed = Secret::filled(32, |bytes| drawn = SystemRandom::new().fill(bytes));
    drawn.map_err(|_| JwsError::Cipher)?;
    Ok(seed)
}

/// What is made from a seed for one purpose: whoever has the seed has it again, and nobody learns another purpose's from it.
pub(crate) fn seeded_text(seed: &Secret, purpose: &str) -> String {
    let made = seed.expose(|seed| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, seed), purpose.as_bytes()));
    BASE64URL_NOPAD.encode(made.as_ref())
}

/// The SHA-256 of something in the alphabet of URLs.
pub(crate) fn digest_text(bytes: &[u8]) -> String {
    BASE64URL_NOPAD.encode(digest(&SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn text(token: &Secret) -> String {
        token.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn keys(key: &SigningKey, id: Option<&str>) -> Vec<VerifyingKey> {
        let mut jwk = serde_json::to_value(key.public_key().unwrap()).unwrap();
        if let Some(id) = id {
            jwk["kid"] = json!(id);
        }
        key_set(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap()
    }

    #[test]
    fn what_was_signed_is_read_and_what_was_changed_is_not() {
        let key = SigningKey::generate(Some("first".to_owned())).unwrap();
        let token = text(&key.sign(Some("JWT"), &json!({"sub": "ada"})).unwrap());
        let parsed = Unverified::parse(&token).unwrap();
        assert_eq!(parsed.verify::<Value>(&keys(&key, Some("first"))).unwrap()["sub"], "ada");
        assert!(!parsed.is_named_in(&keys(&key, Some("second"))));
        assert_eq!(parsed.verify::<Value>(&keys(&SigningKey::generate(None).unwrap(), Some("first"))), Err(JwsError::Signature));
        for at in 0..token.len() {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            let read = Unverified::parse(&changed).and_then(|token| token.verify::<Value>(&keys(&key, Some("first"))));
            assert!(read.is_err(), "a change at {at} was not noticed");
        }
    }

    #[test]
    fn no_other_algorithm_is_taken() {
        let part = |value: Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
        for algorithm in ["none", "None", "HS256", "RS512", "PS256", "EdDSA", "ES384", ""] {
            let token = format!("{}.{}.", part(json!({"alg": algorithm})), part(json!({"sub": "ada"})));
            assert!(matches!(Unverified::parse(&token), Err(JwsError::Algorithm)), "{algorithm}");
        }
        let token = format!("{}.{}.", part(json!({"alg": "ES256", "crit": ["b64"], "b64": false})), part(json!({})));
        assert!(matches!(Unverified::parse(&token), Err(JwsError::Malformed)));
        for token in ["", ".", "..", "a.b.c", "e30.e30", &"a".repeat(LONGEST + 1)] {
            assert!(matches!(Unverified::parse(token), Err(JwsError::Malformed)), "{token:.20}");
        }
    }

    /// An RSA key on the one side never checks what is signed on P-256, whatever the header says.
    #[test]
    fn keys_are_used_for_their_own_algorithm_only() {
        let set = key_set(
            json!({"keys": [
                {"kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB"},
                {"kty": "RSA", "alg": "RS512", "n": "AQAB", "e": "AQAB"},
                {"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"},
                {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"},
                {"kty": "oct", "k": "AA"},
                {"kty": 7},
                {"kty": "RSA", "kid": "r", "n": "AQAB", "e": "AQAB"},
            ]})
            .to_string()
            .as_bytes(),
        )
        .unwrap();
        assert_eq!(set.len(), 1);
        let key = SigningKey::generate(Some("r".to_owned())).unwrap();
        let token = text(&key.sign(None, &json!({})).unwrap());
        assert!(!Unverified::parse(&token).unwrap().is_named_in(&set));
    }

    /// RFC 7638, 3.1 has no example on P-256; RFC 9449, 6.1 has.
    #[test]
    fn a_thumbprint_is_that_of_the_standards_example() {
        let key = PublicKey {
            crv: "P-256",
            kty: "EC",
            x: "l8tFrhx-34tV3hRICRDY9zCkDlpBhF42UQUfWVAWBFs".to_owned(),
            y: "9VE4jf_Ok_o64zbTTlcuNJajHmt6v9TDVrU0CdvGRDA".to_owned(),
        };
        assert_eq!(key.thumbprint(), "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I");
    }

    #[test]
    fn what_is_no_key_is_refused() {
        for pem in ["", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "secret"] {
            assert!(matches!(SigningKey::from_pem(&Secret::from_string(pem.to_owned()), None), Err(JwsError::Key)));
        }
    }
}
