use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

use super::*;

/// A device in software: it keeps a key and signs what a browser would give it.
pub(crate) struct Device {
    pub(crate) key: Key,
    pub(crate) party: RelyingParty,
    pub(crate) id: Vec<u8>,
    pub(crate) flags: u8,
    pub(crate) counter: u32,
}

pub(crate) enum Key {
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl Device {
    pub(crate) fn new(algorithm: Algorithm) -> Self {
        let key = match algorithm {
            Algorithm::EdDsa => Key::Ed25519(Ed25519KeyPair::generate().unwrap()),
            _ => Key::P256(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap()),
        };
        Self { key, party: party(), id: vec![7; 32], flags: USER_PRESENT | USER_VERIFIED, counter: 1 }
    }

    fn client_data(&self, kind: &str, challenge: &[u8; 32]) -> String {
        // The order and the extra fields of Chromium.
        format!(
            r#"{{"type":"{kind}","challenge":"{}","origin":"{}","crossOrigin":false,"other_keys_can_be_added_here":"do not compare"}}"#,
            BASE64URL_NOPAD.encode(challenge),
            self.party.origin
        )
    }

    fn authenticator_data(&self, flags: u8) -> Vec<u8> {
        let mut data = Digest::of(self.party.id.as_bytes()).as_bytes().to_vec();
        data.push(flags);
        data.extend_from_slice(&self.counter.to_be_bytes());
        data
    }

    pub(crate) fn register(&self, challenge: &[u8; 32]) -> Registration {
        let mut data = self.authenticator_data(self.flags | ATTESTED_DATA);
        data.extend_from_slice(&[0; 16]);
        data.extend_from_slice(&u16::try_from(self.id.len()).unwrap().to_be_bytes());
        data.extend_from_slice(&self.id);
        let (public_key, algorithm) = match &self.key {
            Key::P256(key) => (AsDer::<PublicKeyX509Der<'_>>::as_der(key.public_key()).unwrap(), Algorithm::Es256),
            Key::Ed25519(key) => (AsDer::<PublicKeyX509Der<'_>>::as_der(key.public_key()).unwrap(), Algorithm::EdDsa),
        };
        Registration {
            id: BASE64URL_NOPAD.encode(&self.id),
            client_data: BASE64URL_NOPAD.encode(self.client_data("webauthn.create", challenge).as_bytes()),
            authenticator_data: BASE64URL_NOPAD.encode(&data),
            public_key: BASE64URL_NOPAD.encode(public_key.as_ref()),
            algorithm: algorithm.cose(),
        }
    }

    pub(crate) fn sign(&self, digest: &Digest) -> Assertion {
        self.sign_as("webauthn.get", digest)
    }

    fn sign_as(&self, kind: &str, digest: &Digest) -> Assertion {
        let client_data = self.client_data(kind, digest.as_bytes());
        let data = self.authenticator_data(self.flags);
        let mut signed = data.clone();
        signed.extend_from_slice(Digest::of(client_data.as_bytes()).as_bytes());
        let signature = match &self.key {
            Key::P256(key) => key.sign(&SystemRandom::new(), &signed).unwrap().as_ref().to_vec(),
            Key::Ed25519(key) => key.sign(&signed).as_ref().to_vec(),
        };
        Assertion {
            id: BASE64URL_NOPAD.encode(&self.id),
            client_data: BASE64URL_NOPAD.encode(client_data.as_bytes()),
            authenticator_data: BASE64URL_NOPAD.encode(&data),
            signature: BASE64URL_NOPAD.encode(&signature),
        }
    }
}

fn party() -> RelyingParty {
    RelyingParty { id: "approve.localhost".to_owned(), origin: "http://approve.localhost:4200".to_owned() }
}

const CHALLENGE: [u8; 32] = [3; 32];

#[test]
fn a_registered_key_signs_a_digest() {
    for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
        let mut device = Device::new(algorithm);
        let passkey = device.register(&CHALLENGE).verify(&party(), &CHALLENGE).unwrap();
        assert_eq!(passkey.algorithm, algorithm);
        device.counter = 2;
        let digest = Digest::of(b"a change");
        assert_eq!(device.sign(&digest).verify(&party(), &passkey, &digest), Ok(2));
    }
}

#[test]
fn every_flaw_of_an_assertion_has_its_own_refusal() {
    let mut device = Device::new(Algorithm::Es256);
    let passkey = device.register(&CHALLENGE).verify(&party(), &CHALLENGE).unwrap();
    device.counter = 2;
    let digest = Digest::of(b"a change");
    let check = |assertion: &Assertion| assertion.verify(&party(), &passkey, &digest);
    let good = device.sign(&digest);
    assert_eq!(check(&good), Ok(2));

    assert_eq!(check(&device.sign(&Digest::of(b"another change"))), Err(PasskeyError::OtherChallenge));
    assert_eq!(check(&device.sign_as("webauthn.create", &digest)), Err(PasskeyError::OtherKind));
    assert_eq!(check(&Device::new(Algorithm::Es256).sign(&digest)), Err(PasskeyError::BadSignature), "another device's key");
    assert_eq!(check(&Assertion { id: BASE64URL_NOPAD.encode(b"other"), ..good.clone() }), Err(PasskeyError::BadSignature));
    assert_eq!(check(&Assertion { signature: "!".to_owned(), ..good.clone() }), Err(PasskeyError::Malformed));
    assert_eq!(check(&Assertion { authenticator_data: String::new(), ..good.clone() }), Err(PasskeyError::Malformed));
    assert_eq!(check(&Assertion { client_data: "A".repeat(MAX_PART + 4), ..good.clone() }), Err(PasskeyError::Malformed));

    for flags in [0, USER_PRESENT, USER_VERIFIED] {
        let device = Device { flags, counter: 3, ..Device::new(Algorithm::Es256) };
        let passkey = Device { flags: USER_PRESENT | USER_VERIFIED, ..Device::new(Algorithm::Es256) }
            .register(&CHALLENGE)
            .verify(&party(), &CHALLENGE);
        assert_eq!(device.sign(&digest).verify(&party(), &passkey.unwrap(), &digest), Err(PasskeyError::NotVerified));
    }
    // Each byte that is signed counts: the authenticator's data, and the text that the browser wrote.
    let mut data = BASE64URL_NOPAD.decode(good.authenticator_data.as_bytes()).unwrap();
    *data.last_mut().unwrap() ^= 1;
    assert_eq!(check(&Assertion { authenticator_data: BASE64URL_NOPAD.encode(&data), ..good.clone() }), Err(PasskeyError::BadSignature));
    let text = String::from_utf8(BASE64URL_NOPAD.decode(good.client_data.as_bytes()).unwrap()).unwrap().replace("false", " false");
    assert_eq!(check(&Assertion { client_data: BASE64URL_NOPAD.encode(text.as_bytes()), ..good }), Err(PasskeyError::BadSignature));
}

#[test]
fn a_page_of_another_site_gets_nothing_signed_for_us() {
    let digest = Digest::of(b"a change");
    let mut device = Device::new(Algorithm::EdDsa);
    let passkey = device.register(&CHALLENGE).verify(&party(), &CHALLENGE).unwrap();
    device.counter = 2;
    for origin in [
        "https://approve.localhost:4200",
        "http://approve.localhost:4201",
        "http://evil.example",
        "http://approve.localhost:4200.evil.example",
    ] {
        device.party.origin = origin.to_owned();
        assert_eq!(device.sign(&digest).verify(&party(), &passkey, &digest), Err(PasskeyError::OtherOrigin), "{origin}");
    }
    device.party = RelyingParty { id: "evil.example".to_owned(), ..party() };
    assert_eq!(device.sign(&digest).verify(&party(), &passkey, &digest), Err(PasskeyError::OtherOrigin), "a key of another site");
}

#[test]
fn a_counter_that_goes_back_is_a_copy_and_no_counter_is_none() {
    let digest = Digest::of(b"a change");
    let mut device = Device { counter: 5, ..Device::new(Algorithm::EdDsa) };
    let mut passkey = device.register(&CHALLENGE).verify(&party(), &CHALLENGE).unwrap();
    for (kept, sent, expected) in [
        (5, 5, Err(PasskeyError::Copied)),
        (5, 4, Err(PasskeyError::Copied)),
        (5, 0, Err(PasskeyError::Copied)),
        (5, 6, Ok(6)),
        (0, 0, Ok(0)),
        (0, 9, Ok(9)),
    ] {
        (passkey.counter, device.counter) = (kept, sent);
        assert_eq!(device.sign(&digest).verify(&party(), &passkey, &digest), expected, "{kept} then {sent}");
    }
}

#[test]
fn a_registration_answers_its_own_challenge_and_names_its_own_key() {
    let device = Device::new(Algorithm::Es256);
    let good = device.register(&CHALLENGE);
    let check = |registration: &Registration| registration.verify(&party(), &CHALLENGE).map(|_| ());
    assert_eq!(check(&good), Ok(()));
    assert_eq!(good.verify(&party(), &[4; 32]).unwrap_err(), PasskeyError::OtherChallenge);
    assert_eq!(check(&Registration { id: BASE64URL_NOPAD.encode(b"other"), ..good.clone() }), Err(PasskeyError::Malformed));
    assert_eq!(check(&Registration { algorithm: -37, ..good.clone() }), Err(PasskeyError::AlgorithmNotTaken));
    assert_eq!(
        check(&Registration { algorithm: -8, ..good.clone() }),
        Err(PasskeyError::Malformed),
        "the key is of another kind than it says"
    );
    assert_eq!(check(&Registration { public_key: BASE64URL_NOPAD.encode(&[0; 91]), ..good.clone() }), Err(PasskeyError::Malformed));
    let data = BASE64URL_NOPAD.decode(good.authenticator_data.as_bytes()).unwrap();
    for length in 0..data.len() {
        let cut = Registration { authenticator_data: BASE64URL_NOPAD.encode(&data[..length]), ..good.clone() };
        assert_eq!(check(&cut), Err(PasskeyError::Malformed), "cut after {length} bytes");
    }
}
