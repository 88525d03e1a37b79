//! The sealed store: what a stolen file tells, what a changed file does, how keys change.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use keyblind_broker::clock::SystemClock;
use keyblind_broker::database::Database;
use keyblind_broker::secret::Secret;
use keyblind_broker::vault::{
    Derivation, KeyEncryptionKey, KeyError, KeyOrigin, LONGEST_WRAPPED, LocalKey, RecordKind, RecordName, RestoreError, Restored, Vault,
    VaultError, WrappedKey, create_key_file, derive_from_passphrase, read_key_file, restore,
};
use proptest::prelude::*;

use crate::database::{directory, reopen, settle};

fn key(byte: u8) -> Arc<dyn KeyEncryptionKey> {
    Arc::new(LocalKey::new(&Secret::from_bytes(vec![byte; 32])).unwrap())
}

fn clock() -> Arc<SystemClock> {
    Arc::new(SystemClock::new())
}

fn name(subject: &str, label: &str) -> RecordName {
    RecordName::new("acme", subject, RecordKind::RefreshToken, label).unwrap()
}

fn secret(text: &str) -> Secret {
    Secret::from_string(text.to_owned())
}

async fn create(path: &Path) -> Vault {
    Vault::create(reopen(path), key(1), clock()).await.unwrap()
}

async fn open(path: &Path, key: Arc<dyn KeyEncryptionKey>) -> Result<Vault, VaultError> {
    Vault::open(reopen(path), key, clock()).await
}

async fn text(vault: &Vault, name: &RecordName) -> Result<String, VaultError> {
    vault.get(name).await.map(|(_, secret)| secret.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap()))
}

fn refusal<T>(result: Result<T, VaultError>) -> VaultError {
    result.err().expect("the store must refuse")
}

#[tokio::test]
async fn what_goes_in_comes_out_again_after_a_restart() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let vault = create(&path).await;
    assert_eq!(vault.put(&name("ada", "github"), &secret("first")).await, Ok(1));
    assert_eq!(vault.put(&name("ada", "github"), &secret("second")).await, Ok(2));
    assert_eq!(vault.put(&name("bob", "github"), &secret("")).await, Ok(1));
    drop(vault);
    let vault = open(&path, key(1)).await.unwrap();
    assert_eq!(text(&vault, &name("ada", "github")).await.unwrap(), "second");
    assert_eq!(text(&vault, &name("bob", "github")).await.unwrap(), "");
    assert_eq!(refusal(text(&vault, &name("eve", "github")).await), VaultError::NotFound);
    let listed = vault.list("acme").await.unwrap();
    assert_eq!(listed, [(name("ada", "github"), 2), (name("bob", "github"), 1)]);
    assert_eq!(vault.list("other").await.unwrap(), []);
    vault.delete(&name("ada", "github")).await.unwrap();
    assert_eq!(refusal(text(&vault, &name("ada", "github")).await), VaultError::NotFound);
    assert_eq!(refusal(vault.delete(&name("ada", "github")).await), VaultError::NotFound);
}

#[tokio::test]
async fn who_comes_late_writes_over_nothing() {
    let directory = directory();
    let vault = create(&directory.path().join("broker.db")).await;
    let token = name("ada", "github");
    assert_eq!(vault.replace(&token, 0, &secret("one")).await, Ok(1));
    assert_eq!(vault.replace(&token, 1, &secret("two")).await, Ok(2));
    assert_eq!(vault.replace(&token, 1, &secret("late")).await, Err(VaultError::OtherVersion { expected: 1, found: 2 }));
    assert_eq!(text(&vault, &token).await.unwrap(), "two");
}

#[tokio::test]
async fn limits_are_said() {
    let directory = directory();
    let vault = create(&directory.path().join("broker.db")).await;
    let large = Secret::from_bytes(vec![1; 64 * 1024 + 1]);
    assert_eq!(vault.put(&name("ada", "x"), &large).await, Err(VaultError::TooLarge(64 * 1024 + 1)));
    assert_eq!(RecordName::new("", "ada", RecordKind::Lease, "x").err(), Some(VaultError::Name));
    assert_eq!(RecordName::new("acme", "ada", RecordKind::Lease, "x".repeat(257)).err(), Some(VaultError::Name));
}

#[tokio::test]
async fn another_key_opens_nothing_and_a_store_is_made_once() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    assert_eq!(refusal(open(&path, key(1)).await), VaultError::NotCreated);
    create(&path).await.put(&name("ada", "x"), &secret("s")).await.unwrap();
    assert!(matches!(refusal(open(&path, key(2)).await), VaultError::OtherKey { .. }));
    assert_eq!(refusal(Vault::create(reopen(&path), key(1), clock()).await), VaultError::AlreadyCreated);
}

/// Every form in which a careless program would have written it.
fn encodings(canary: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let reversed: Vec<u8> = canary.iter().rev().copied().collect();
    let utf16: Vec<u8> = canary.iter().flat_map(|byte| [*byte, 0]).collect();
    let mut forms = vec![
        ("raw", canary.to_vec()),
        ("hex", HEXLOWER.encode(canary).into_bytes()),
        ("HEX", HEXUPPER.encode(canary).into_bytes()),
        ("reversed", reversed),
        ("utf-16", utf16),
    ];
    // Base64 of a text that holds it, at each of the three alignments, without the ends that depend on the neighbours.
    for start in 0..3 {
        let (padding, cut) = ([b'x'; 2], [0, 2, 3][start]);
        let shifted = [&padding[..start], canary].concat();
        let whole = shifted.len() / 3 * 3;
        for (form, encoding) in [("base64", &BASE64_NOPAD), ("base64url", &BASE64URL_NOPAD)] {
            forms.push((form, encoding.encode(&shifted[..whole]).into_bytes()[cut..].to_vec()));
        }
    }
    forms
}

fn find(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn hits(directory: &Path, canaries: &[String]) -> Vec<String> {
    let mut hits = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        for canary in canaries {
            let found = encodings(canary.as_bytes()).into_iter().filter(|(_, form)| find(&bytes, form));
            hits.extend(found.map(|(form, _)| format!("{} holds {canary} ({form})", path.display())));
        }
    }
    hits
}

#[tokio::test]
async fn a_stolen_file_tells_nothing() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let vault = create(&path).await;
    let canaries: Vec<String> = (0..40).map(|number| format!("canary-{number:03}-v7hQ2mTz9KcX4pLw")).collect();
    for (number, canary) in canaries.iter().enumerate() {
        vault.put(&name("ada", &format!("t{}", number % 16)), &secret(canary)).await.unwrap();
    }
    vault.delete(&name("ada", "t3")).await.unwrap();
    vault.change_key(key(2)).await.unwrap();
    vault.put(&name("ada", "last"), &secret(&canaries[0])).await.unwrap();
    assert!(fs::metadata(directory.path().join("broker.db-wal")).unwrap().len() > 0, "the log must be among what is searched");
    let copies = [directory.path().join("copy.db")];
    let database = {
        drop(vault);
        reopen(&path)
    };
    database.back_up(copies[0].clone()).await.unwrap();
    assert_eq!(hits(directory.path(), &canaries), Vec::<String>::new());

    // Keys neither: in no form.
    let keys: Vec<String> = vec![String::from_utf8(vec![1; 32]).unwrap(), String::from_utf8(vec![2; 32]).unwrap()];
    assert_eq!(hits(directory.path(), &keys), Vec::<String>::new());

    // The search itself finds each form where it is.
    for (form, bytes) in encodings(canaries[5].as_bytes()) {
        let planted = directory.path().join("planted");
        fs::write(&planted, [b"before ", bytes.as_slice(), b" after"].concat()).unwrap();
        assert!(!hits(directory.path(), &canaries[5..6]).is_empty(), "the search is blind to {form}");
        fs::remove_file(planted).unwrap();
    }
    let with_neighbours = BASE64.encode(format!("token={};", canaries[5]).as_bytes());
    fs::write(directory.path().join("planted"), with_neighbours).unwrap();
    assert!(!hits(directory.path(), &canaries[5..6]).is_empty(), "the search is blind to Base64 of a longer text");
}

#[tokio::test]
async fn after_the_key_changed_the_old_one_opens_nothing_of_the_file() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let vault = create(&path).await;
    for label in ["a", "b", "c"] {
        vault.put(&name("ada", label), &secret(label)).await.unwrap();
    }
    let before = vault.version();
    vault.change_key(key(2)).await.unwrap();
    assert!(vault.version().counter > before.counter);
    assert_eq!(text(&vault, &name("ada", "b")).await.unwrap(), "b");
    vault.put(&name("ada", "d"), &secret("d")).await.unwrap();
    drop(vault);
    assert!(matches!(refusal(open(&path, key(1)).await), VaultError::OtherKey { .. }));
    let vault = open(&path, key(2)).await.unwrap();
    for label in ["a", "b", "c", "d"] {
        assert_eq!(text(&vault, &name("ada", label)).await.unwrap(), label);
    }
}

/// A key whose service fails after some answers.
struct Failing {
    inner: LocalKey,
    left: std::sync::atomic::AtomicUsize,
}

impl KeyEncryptionKey for Failing {
    fn id(&self) -> keyblind_broker::vault::KeyId {
        self.inner.id()
    }

    fn wrap<'a>(&'a self, key: &'a Secret, context: &'a [u8]) -> keyblind_broker::vault::KeyFuture<'a, Vec<u8>> {
        let left =
            self.left.fetch_update(std::sync::atomic::Ordering::SeqCst, std::sync::atomic::Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() {
            return Box::pin(async { Err(KeyError::Service("unreachable".to_owned())) });
        }
        self.inner.wrap(key, context)
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a [u8]) -> keyblind_broker::vault::KeyFuture<'a, Secret> {
        self.inner.unwrap(wrapped, context)
    }
}

#[tokio::test]
async fn a_key_change_that_fails_half_way_changes_nothing() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let vault = create(&path).await;
    for label in ["a", "b", "c"] {
        vault.put(&name("ada", label), &secret(label)).await.unwrap();
    }
    for answers in 0..4 {
        let inner = LocalKey::new(&Secret::from_bytes(vec![9; 32])).unwrap();
        let failing = Arc::new(Failing { inner, left: answers.into() });
        assert!(matches!(vault.change_key(failing).await, Err(VaultError::Key(KeyError::Service(_)))), "after {answers} answers");
        assert_eq!(text(&vault, &name("ada", "c")).await.unwrap(), "c");
    }
    drop(vault);
    assert_eq!(text(&open(&path, key(1)).await.unwrap(), &name("ada", "a")).await.unwrap(), "a");
}

#[tokio::test]
async fn a_new_data_key_leaves_nothing_of_the_old_row() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let vault = create(&path).await;
    vault.put(&name("ada", "a"), &secret("same")).await.unwrap();
    assert_eq!(vault.renew_data_key(&name("ada", "a")).await, Ok(2));
    assert_eq!(text(&vault, &name("ada", "a")).await.unwrap(), "same");
    assert_eq!(refusal(vault.renew_data_key(&name("ada", "b")).await), VaultError::NotFound);
}

/// What a store of three records looks like when it is closed: one file, no log.
async fn closed_store(path: &Path) {
    let vault = create(path).await;
    vault.put(&name("ada", "a"), &secret("secret of ada")).await.unwrap();
    vault.put(&name("bob", "a"), &secret("secret of bob")).await.unwrap();
    vault.put(&name("bob", "b"), &secret("other of bob")).await.unwrap();
    drop(vault);
    settle(path).await;
}

/// Changes the closed store by SQL, as somebody with write access would, and says how opening it went.
async fn after(path: &Path, sql: &str) -> VaultError {
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch(sql).unwrap();
    drop(other);
    refusal(open(path, key(1)).await)
}

#[tokio::test]
async fn exchanged_removed_added_and_older_rows_are_refused() {
    let directory = directory();
    let original = directory.path().join("original.db");
    closed_store(&original).await;
    let tampering = [
        (
            "two secrets exchanged",
            "UPDATE vault_records SET (wrapped_key, sealed) = (SELECT wrapped_key, sealed FROM vault_records r WHERE r.subject = 'ada') WHERE subject = 'bob' AND label = 'a'",
        ),
        ("another subject's", "UPDATE vault_records SET subject = 'eve' WHERE subject = 'ada'"),
        ("another tenant's", "UPDATE vault_records SET tenant = 'evil' WHERE subject = 'ada'"),
        ("another label", "UPDATE vault_records SET label = 'z' WHERE subject = 'ada'"),
        ("another kind", "UPDATE vault_records SET kind = 'model-key' WHERE subject = 'ada'"),
        ("an unknown kind", "UPDATE vault_records SET kind = 'x' WHERE subject = 'ada'"),
        ("another version", "UPDATE vault_records SET version = version + 1 WHERE subject = 'ada'"),
        ("another time", "UPDATE vault_records SET changed = changed + 1 WHERE subject = 'ada'"),
        ("a row less", "DELETE FROM vault_records WHERE subject = 'ada'"),
        ("all rows less", "DELETE FROM vault_records"),
        (
            "a row more",
            "INSERT INTO vault_records SELECT randomblob(16), tenant, subject, kind, 'new', version, changed, wrapped_key, sealed FROM vault_records LIMIT 1",
        ),
        ("another id", "UPDATE vault_records SET id = randomblob(16) WHERE subject = 'ada'"),
        ("a lower counter", "UPDATE vault_store SET counter = counter - 1"),
        ("another store", "UPDATE vault_store SET store = randomblob(16)"),
        ("another manifest", "UPDATE vault_store SET manifest = randomblob(32)"),
        ("another manifest key", "UPDATE vault_store SET wrapped_manifest_key = randomblob(60)"),
        ("a key that is wrapped", "UPDATE vault_store SET derivation = '{\"service\":\"aws-kms\",\"wrapped\":\"AAAA\"}'"),
        ("a key elsewhere", "UPDATE vault_store SET derivation = '{\"keyring\":\"secret-service\"}'"),
        ("words about the key", "UPDATE vault_store SET derivation = '{\"keyring\":\"other\"}'"),
        (
            "a cheap derivation",
            "UPDATE vault_store SET derivation = '{\"algorithm\":\"argon2id\",\"memory_kib\":8,\"passes\":1,\"lanes\":1,\"salt\":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]}'",
        ),
    ];
    for (what, sql) in tampering {
        let path = directory.path().join("tampered.db");
        fs::copy(&original, &path).unwrap();
        let error = after(&path, sql).await;
        assert!(matches!(error, VaultError::Tampered(_)), "{what}: {error}");
        fs::remove_file(path).unwrap();
    }
    // The same file without tampering opens.
    open(&original, key(1)).await.unwrap();
}

#[tokio::test]
async fn a_row_put_back_while_the_store_is_open_is_refused() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let vault = create(&path).await;
    vault.put(&name("ada", "a"), &secret("old")).await.unwrap();
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TEMP TABLE kept AS SELECT * FROM vault_records").unwrap();
    vault.put(&name("ada", "a"), &secret("new")).await.unwrap();
    other.execute_batch("DELETE FROM vault_records; INSERT INTO vault_records SELECT * FROM kept").unwrap();
    assert!(matches!(refusal(text(&vault, &name("ada", "a")).await), VaultError::Tampered(_)));
    assert!(matches!(refusal(vault.list("acme").await), VaultError::Tampered(_)));
    assert!(matches!(refusal(vault.change_key(key(2)).await), VaultError::Tampered(_)));
    other.execute_batch("DELETE FROM vault_records").unwrap();
    assert!(matches!(refusal(text(&vault, &name("ada", "a")).await), VaultError::Tampered(_)));
}

/// The columns that tampering can reach, and how long each is.
fn blobs(path: &Path) -> Vec<(&'static str, &'static str, i64, usize)> {
    let other = rusqlite::Connection::open(path).unwrap();
    let mut blobs = Vec::new();
    for (table, column) in [
        ("vault_records", "id"),
        ("vault_records", "wrapped_key"),
        ("vault_records", "sealed"),
        ("vault_store", "store"),
        ("vault_store", "key_id"),
        ("vault_store", "wrapped_manifest_key"),
        ("vault_store", "manifest"),
    ] {
        let mut statement = other.prepare(&format!("SELECT length({column}) FROM {table}")).unwrap();
        let lengths = statement.query_map([], |row| row.get::<_, usize>(0)).unwrap();
        blobs.extend(lengths.zip(0..).map(|(length, row)| (table, column, row, length.unwrap())));
    }
    blobs
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_flipped_bit_is_refused(places in proptest::collection::vec((any::<proptest::sample::Index>(), any::<proptest::sample::Index>()), 4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let directory = directory();
            let original = directory.path().join("original.db");
            closed_store(&original).await;
            let blobs = blobs(&original);
            for (blob, bit) in places {
                let (table, column, row, length) = blobs[blob.index(blobs.len())];
                let bit = bit.index(length * 8);
                let path = directory.path().join("flipped.db");
                fs::copy(&original, &path).unwrap();
                let other = rusqlite::Connection::open(&path).unwrap();
                let old: Vec<u8> = other
                    .query_row(&format!("SELECT {column} FROM {table} LIMIT 1 OFFSET {row}"), [], |row| row.get(0))
                    .unwrap();
                let mut new = old.clone();
                new[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(other.execute(&format!("UPDATE {table} SET {column} = ?1 WHERE {column} = ?2"), [&new, &old]).unwrap(), 1);
                drop(other);
                let error = refusal(open(&path, key(1)).await);
                assert!(matches!(error, VaultError::Tampered(_) | VaultError::OtherKey { .. }), "{table}.{column} bit {bit}: {error}");
                fs::remove_file(&path).unwrap();
            }
        });
    }
}

#[tokio::test]
async fn a_copy_is_restored_unless_it_is_foreign_or_older() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let copy = directory.path().join("copy.db");
    let vault = create(&path).await;
    vault.put(&name("ada", "a"), &secret("one")).await.unwrap();
    let noted = vault.version();
    drop(vault);
    let database = reopen(&path);
    database.back_up(copy.clone()).await.unwrap();
    assert!(matches!(restore(&copy, &path, None, |_| Ok(())), Err(RestoreError::Database(_))), "a broker is running");
    drop(database);

    // What isn't whole doesn't take its place, and nothing of it is left.
    settle(&path).await;
    let refused = restore(&copy, &path, None, |found| {
        assert!(found.is_file() && *found != path);
        Err("it doesn't open".to_owned())
    });
    assert_eq!(refused, Err(RestoreError::Damaged { reason: "it doesn't open".to_owned() }));
    let left =
        fs::read_dir(directory.path()).unwrap().filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().contains("restoring"));
    assert_eq!(left.count(), 0);
    assert_eq!(open(&path, key(1)).await.unwrap().version(), noted);

    // Equal: nothing would be lost.
    settle(&path).await;
    let restored = restore(&copy, &path, None, |_| Ok(())).unwrap();
    assert_eq!(restored.version, noted);
    let vault = open(&path, key(1)).await.unwrap();
    assert_eq!(text(&vault, &name("ada", "a")).await.unwrap(), "one");

    // Older: the token that replaced the copy's one would come back to life.
    vault.put(&name("ada", "a"), &secret("two")).await.unwrap();
    let newer = vault.version();
    drop(vault);
    settle(&path).await;
    assert_eq!(restore(&copy, &path, None, |_| Ok(())), Err(RestoreError::Older { found: noted.counter, wanted: newer.counter }));

    // Lost: what was noted decides.
    fs::rename(&path, directory.path().join("away.db")).unwrap();
    assert_eq!(restore(&copy, &path, None, |_| Ok(())), Err(RestoreError::NothingToCompare));
    let wanted = Restored { version: newer, ledger_entries: 0 };
    assert!(matches!(restore(&copy, &path, Some(wanted), |_| Ok(())), Err(RestoreError::Older { .. })));
    let wanted = Restored { version: noted, ledger_entries: 1 };
    assert_eq!(restore(&copy, &path, Some(wanted), |_| Ok(())), Err(RestoreError::Older { found: 0, wanted: 1 }));
    let wanted = Restored { version: noted, ledger_entries: 0 };
    restore(&copy, &path, Some(wanted), |_| Ok(())).unwrap();
    assert_eq!(text(&open(&path, key(1)).await.unwrap(), &name("ada", "a")).await.unwrap(), "one");

    // Another store's.
    let other = directory.path().join("other.db");
    drop(create(&other).await);
    settle(&other).await;
    assert_eq!(restore(&copy, &other, None, |_| Ok(())), Err(RestoreError::OtherStore));
}

#[test]
fn a_key_file_is_private_or_refused() {
    let directory = directory();
    let path = directory.path().join("key");
    let made = create_key_file(&path).unwrap();
    assert_eq!(read_key_file(&path).unwrap().id(), made.id());
    assert!(matches!(create_key_file(&path).err(), Some(KeyError::File { .. })), "an old key is never written over");
    for mode in [0o644, 0o640, 0o604, 0o660] {
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        assert_eq!(read_key_file(&path).err(), Some(KeyError::Permissions { path: path.clone(), mode }));
    }
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    assert_eq!(read_key_file(&path).unwrap().id(), made.id());
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(matches!(read_key_file(&link).err(), Some(KeyError::File { .. })));
    for content in ["", "keyblind-key-1 \n", "keyblind-key-1 AAAA\n", "keyblind-key-2 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"] {
        let wrong = directory.path().join("wrong");
        fs::write(&wrong, content).unwrap();
        fs::set_permissions(&wrong, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_key_file(&wrong).err(), Some(KeyError::Form(wrong.clone())), "{content:?}");
    }
}

async fn origin_of(database: &Database) -> Derivation {
    match Vault::sealed(database).await.unwrap().origin {
        Some(KeyOrigin::Passphrase(derivation)) => derivation,
        other => panic!("the store says {other:?}"),
    }
}

#[tokio::test]
async fn a_passphrase_opens_its_store() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let derivation = Derivation::recommended().unwrap();
    let key = derive_from_passphrase(&secret("correct horse battery staple"), derivation).unwrap();
    let vault = Vault::create(reopen(&path), Arc::new(key), clock()).await.unwrap();
    vault.put(&name("ada", "a"), &secret("one")).await.unwrap();
    drop(vault);
    let database = reopen(&path);
    let derivation = origin_of(&database).await;
    let wrong = derive_from_passphrase(&secret("correct horse battery stable"), derivation.clone()).unwrap();
    assert!(matches!(refusal(Vault::open(database.clone(), Arc::new(wrong), clock()).await), VaultError::OtherKey { .. }));
    let right = derive_from_passphrase(&secret("correct horse battery staple"), derivation.clone()).unwrap();
    let vault = Vault::open(database, Arc::new(right), clock()).await.unwrap();
    assert_eq!(text(&vault, &name("ada", "a")).await.unwrap(), "one");
    assert_eq!(derive_from_passphrase(&secret("short"), derivation).err(), Some(KeyError::ShortPassphrase));
}

#[test]
fn a_derivation_from_a_strange_file_can_neither_be_cheap_nor_exhaust_the_machine() {
    for (memory, passes, lanes) in [(8, 3, 4), (u32::MAX, 3, 4), (65_536, 0, 4), (65_536, u32::MAX, 4), (65_536, 3, 0), (65_536, 3, 1000)] {
        let json =
            serde_json::json!({"algorithm": "argon2id", "memory_kib": memory, "passes": passes, "lanes": lanes, "salt": vec![0; 16]});
        let derivation: Derivation = serde_json::from_value(json).unwrap();
        let result = derive_from_passphrase(&secret("correct horse battery staple"), derivation);
        assert!(matches!(result.err(), Some(KeyError::Derivation(_))), "{memory} {passes} {lanes}");
    }
}

#[test]
fn a_wrapped_key_from_a_strange_file_is_bounded() {
    let key = WrappedKey::of_aws_kms(vec![7; LONGEST_WRAPPED]).unwrap();
    let text = serde_json::to_string(&KeyOrigin::Wrapped(key.clone())).unwrap();
    assert_eq!(serde_json::from_str::<KeyOrigin>(&text).unwrap(), KeyOrigin::Wrapped(key));
    for length in [0, LONGEST_WRAPPED + 1] {
        assert_eq!(WrappedKey::of_aws_kms(vec![7; length]), Err(KeyError::Wrapped), "{length}");
        let written = serde_json::json!({"service": "aws-kms", "wrapped": BASE64.encode(&vec![7; length])});
        assert!(serde_json::from_value::<KeyOrigin>(written).is_err(), "{length}");
    }
    for written in [r#"{"service":"aws-kms","wrapped":"?"}"#, r#"{"service":"other","wrapped":"AAAA"}"#, r#"{"keyring":"x"}"#, "{}"] {
        assert!(serde_json::from_str::<KeyOrigin>(written).is_err(), "{written}");
    }
}
