//! A session's bus that isn't one: what it says is refused, and what it doesn't say isn't waited for.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

use keyblind_broker::vault::{KeyError, KeyId, Keyring, KeyringError, StoreId};
use proptest::prelude::*;

const STORE: StoreId = StoreId([1; 16]);
const KEY: KeyId = KeyId([2; 16]);

/// Asks a bus that says this after the greeting, and ends.
fn asked(greeting: &'static [u8], messages: Vec<u8>) -> KeyringError {
    with(move |stream| {
        let _ = stream.read(&mut [0; 512]);
        let _ = stream.write_all(greeting);
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(&messages);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        // A connection that is closed with something unread in it loses what was said.
        while stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {}
    })
}

fn with(act: impl FnOnce(&mut UnixStream) + Send + 'static) -> KeyringError {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    let listener = UnixListener::bind(&path).unwrap();
    let bus = std::thread::spawn(move || act(&mut listener.accept().unwrap().0));
    let error = Keyring::at(path).within(Duration::from_millis(500)).key(STORE, KEY).err().expect("there is no key");
    bus.join().unwrap();
    match error {
        KeyError::Keyring(error) => error,
        other => panic!("{other}"),
    }
}

/// A message with these header fields and this body.
fn message(kind: u8, fields: &[u8], body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'l', kind, 0, 1];
    bytes.extend(u32::try_from(body.len()).unwrap().to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(u32::try_from(fields.len()).unwrap().to_le_bytes());
    bytes.extend(fields);
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(body);
    bytes
}

/// The field that says which call is answered.
fn answers(serial: u32) -> Vec<u8> {
    [&b"\x05\x01u\0"[..], &serial.to_le_bytes()].concat()
}

/// That, and the body's signature.
fn answers_with(serial: u32, signature: &str) -> Vec<u8> {
    let mut fields = answers(serial);
    fields.extend(b"\x08\x01g\0");
    fields.push(u8::try_from(signature.len()).unwrap());
    fields.extend(signature.as_bytes());
    fields.push(0);
    fields
}

const OK: &[u8] = b"OK 0123456789abcdef0123456789abcdef\r\n";

#[test]
fn a_bus_that_lies_is_refused_and_one_that_is_silent_is_left() {
    use KeyringError::{Silent, Unintelligible};
    let hello = message(2, &answers(1), b"");
    let after_hello = |more: Vec<u8>| [hello.clone(), more].concat();
    let mut huge = message(2, &answers(1), b"");
    huge[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut header = message(2, &answers(1), b"");
    header[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut other_order = hello.clone();
    other_order[0] = b'B';
    let mut other_version = hello.clone();
    other_version[3] = 2;
    for (what, messages, expected) in [
        ("nothing", Vec::new(), Silent),
        ("half a message", hello[..10].to_vec(), Silent),
        ("a huge body", huge, Unintelligible),
        ("a huge header", header, Unintelligible),
        ("another order of bytes", other_order, Unintelligible),
        ("another version", other_version, Unintelligible),
        ("an unknown type among the fields", message(2, b"\x05\x01t\0\0\0\0\0", b""), Unintelligible),
        ("a call instead of an answer", message(1, &answers(1), b""), Unintelligible),
        ("nothing but others' messages", message(4, b"", b"").repeat(300), Unintelligible),
        ("an answer of another form", after_hello(message(2, &answers_with(2, "s"), b"\x01\0\0\0a\0")), Unintelligible),
        ("a text that ends after its message", after_hello(message(2, &answers_with(2, "vo"), b"\x01s\0\0\xff\0\0\0")), Unintelligible),
    ] {
        let begun = Instant::now();
        assert_eq!(asked(OK, messages), expected, "{what}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{what}: {:?}", begun.elapsed());
    }
    let unknown = b"\x04\x01s\0\x29\0\0\0org.freedesktop.DBus.Error.ServiceUnknown\0";
    let nobody = after_hello(message(3, &[&answers(2)[..], unknown].concat(), b""));
    assert_eq!(asked(OK, nobody), KeyringError::NoService);
    assert!(matches!(asked(b"REJECTED EXTERNAL\r\n", Vec::new()), KeyringError::NoBus { .. }));
    assert_eq!(with(|stream| drop(stream.write_all(&[b'x'; 5_000]))), Unintelligible);
    assert_eq!(with(|_| {}), Silent);
    // It drips: each byte comes in time, the answer doesn't.
    let begun = Instant::now();
    let dripped = with(|stream| {
        for byte in OK.iter().cycle().take(2_000).filter(|byte| **byte != b'\n') {
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    });
    assert_eq!(dripped, Silent);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn whatever_a_bus_says_there_is_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..300), is_framed: bool) {
        let messages = if is_framed { [message(2, &answers(1), b""), message(2, &answers_with(2, "vo"), &bytes)].concat() } else { bytes };
        asked(OK, messages);
    }
}
