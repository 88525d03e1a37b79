//! Key-encryption keys: from a file, from a passphrase, or from elsewhere through [`KeyEncryptionKey`].
//!
//! Where a key is had from, if not from a file, lies in the database beside what it wraps ([`KeyOrigin`]), under the store's manifest.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::hkdf;
use data_encoding::BASE64;
use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use super::keyring::KeyringError;
use super::seal::{self, KEY_BYTES};
use crate::secret::Secret;

/// Why a key can't be had or used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyError {
    /// What was given isn't something that the key made.
    #[error("the key doesn't open this")]
    Refused,
    /// The system gives no randomness.
    #[error("the system gives no random bytes")]
    NoRandomness,
    /// The file can't be read or made.
    #[error("the key file `{path}` can't be used: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Others could read it.
    #[error("the key file `{path}` is open to others (mode {mode:04o}): `chmod 600` it, and change the key if anybody could have read it")]
    Permissions {
        /// Which.
        path: PathBuf,
        /// What it has.
        mode: u32,
    },
    /// It doesn't hold a key.
    #[error("`{0}` holds no key: one line `{KEY_FILE_MARK}` and 32 bytes in Base64")]
    Form(PathBuf),
    /// A derivation's parameters are out of bounds.
    #[error("the passphrase's derivation is out of bounds: {0}")]
    Derivation(&'static str),
    /// The passphrase is too short.
    #[error("a passphrase has at least 12 bytes: whoever has the file can try as many as they like")]
    ShortPassphrase,
    /// A key service can't be reached or refuses.
    #[error("the key service failed ({0})")]
    Service(String),
    /// What should be a wrapped key isn't.
    #[error("the store's wrapped key is out of bounds: 1 to {LONGEST_WRAPPED} bytes")]
    Wrapped,
    /// The session's keyring refuses.
    #[error(transparent)]
    Keyring(#[from] KeyringError),
}

/// Tells keys apart without telling anything about them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyId(pub [u8; 16]);

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..6].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What a key answers with, some time later: it may lie at a service.
pub type KeyFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, KeyError>> + Send + 'a>>;

/// A key that wraps keys. Whether it lies in memory or at a service is its own business.
pub trait KeyEncryptionKey: Send + Sync + 'static {
    /// Which it is.
    fn id(&self) -> KeyId;

    /// Where it is had from, if not from a file.
    fn origin(&self) -> Option<&KeyOrigin> {
        None
    }

    /// Wraps a key, bound to the context.
    fn wrap<'a>(&'a self, key: &'a Secret, context: &'a [u8]) -> KeyFuture<'a, Vec<u8>>;

    /// Unwraps what [`Self::wrap`] made with the same context; [`KeyError::Refused`] for anything else.
    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a [u8]) -> KeyFuture<'a, Secret>;
}

/// A key in this process's memory.
pub struct LocalKey {
    id: KeyId,
    wrapping: Secret,
    origin: Option<KeyOrigin>,
}

struct Bytes(usize);

impl hkdf::KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

impl LocalKey {
    /// Takes a key. It isn't used itself: its id and what wraps are derived from it (HKDF-SHA-256, RFC 5869), each for itself.
    ///
    /// # Errors
    /// If it hasn't 32 bytes.
    pub fn new(key: &Secret) -> Result<Self, KeyError> {
        Self::of(key, None)
    }

    /// Takes a key that was had from somewhere else than a file.
    ///
    /// # Errors
    /// If it hasn't 32 bytes.
    pub fn from_origin(key: &Secret, origin: KeyOrigin) -> Result<Self, KeyError> {
        Self::of(key, Some(origin))
    }

    fn of(key: &Secret, origin: Option<KeyOrigin>) -> Result<Self, KeyError> {
        if key.len() != KEY_BYTES {
            return Err(KeyError::Refused);
        }
        let extracted = key.expose(|bytes| hkdf::Salt::new(hkdf::HKDF_SHA256, b"keyblind vault v1").extract(bytes));
        let expand = |purpose: &'static [u8], target: &mut [u8]| {
            extracted.expand(&[purpose], Bytes(target.len())).and_then(|output| output.fill(target)).map_err(|_| KeyError::Refused)
        };
        let mut id = [0; 16];
        expand(b"key id", &mut id)?;
        let mut result = Ok(());
        let wrapping = Secret::filled(KEY_BYTES, |bytes| result = expand(b"key wrapping", bytes));
        result?;
        Ok(Self { id: KeyId(id), wrapping, origin })
    }
}

impl KeyEncryptionKey for LocalKey {
    fn id(&self) -> KeyId {
        self.id
    }

    fn origin(&self) -> Option<&KeyOrigin> {
        self.origin.as_ref()
    }

    fn wrap<'a>(&'a self, key: &'a Secret, context: &'a [u8]) -> KeyFuture<'a, Vec<u8>> {
        Box::pin(async move { seal::seal(&self.wrapping, context, key) })
    }

    fn unwrap<'a>(&'a self, wrapped: &'a [u8], context: &'a [u8]) -> KeyFuture<'a, Secret> {
        Box::pin(async move { seal::open(&self.wrapping, context, wrapped) })
    }
}

/// How a key file begins.
const KEY_FILE_MARK: &str = "keyblind-key-1 ";
/// A key file's length: mark, Base64 of 32 bytes, line feed.
const KEY_FILE_BYTES: usize = KEY_FILE_MARK.len() + 44 + 1;

fn file_error(path: &Path, error: &std::io::Error) -> KeyError {
    KeyError::File { path: path.to_owned(), reason: error.to_string() }
}

/// Makes a new random key and writes it to a new file that only our user may read.
///
/// # Errors
/// If the file is there already, or can't be written.
pub fn create_key_file(path: &Path) -> Result<LocalKey, KeyError> {
    let key = seal::random_key()?;
    let text = written(&key);
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).and_then(|mut file| {
        file.write_all(&text)?;
        file.sync_all()?;
        File::open(directory)?.sync_all()
    });
    made.map_err(|error| file_error(path, &error))?;
    LocalKey::new(&key)
}

/// A key as its file and a keyring have it.
pub(super) fn written(key: &Secret) -> Zeroizing<Vec<u8>> {
    let mut text = Zeroizing::new(vec![0; KEY_FILE_BYTES]);
    text[..KEY_FILE_MARK.len()].copy_from_slice(KEY_FILE_MARK.as_bytes());
    key.expose(|bytes| BASE64.encode_mut(bytes, &mut text[KEY_FILE_MARK.len()..KEY_FILE_BYTES - 1]));
    text[KEY_FILE_BYTES - 1] = b'\n';
    text
}

/// Reads what [`written`] gave; none if it is anything else.
pub(super) fn read_written(text: &[u8]) -> Option<Secret> {
    let encoded = text.strip_suffix(b"\n").unwrap_or(text).strip_prefix(KEY_FILE_MARK.as_bytes())?;
    if encoded.len() != 44 {
        return None;
    }
    let mut buffer = Zeroizing::new([0; 33]);
    let decoded = BASE64.decode_mut(encoded, buffer.as_mut_slice());
    matches!(decoded, Ok(KEY_BYTES)).then(|| Secret::filled(KEY_BYTES, |bytes| bytes.copy_from_slice(&buffer[..KEY_BYTES])))
}

/// Opens a file that holds a secret. It must be a plain file of our own (or of root), which nobody else may read.
fn open_private(path: &Path) -> Result<File, KeyError> {
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| file_error(path, &error))?;
    let metadata = file.metadata().map_err(|error| file_error(path, &error))?;
    let refused = |reason: &str| KeyError::File { path: path.to_owned(), reason: reason.to_owned() };
    if !metadata.is_file() {
        return Err(refused("it is no plain file"));
    }
    if metadata.uid() != rustix::process::geteuid().as_raw() && metadata.uid() != 0 {
        return Err(refused("it belongs to another user"));
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(KeyError::Permissions { path: path.to_owned(), mode: metadata.mode() & 0o7777 });
    }
    Ok(file)
}

/// Reads a file that holds a secret, which is as private as a key file.
pub(crate) fn read_private_file(path: &Path, most: usize) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    Ok(Zeroizing::new(read_at_most(open_private(path)?, path, most)?))
}

/// Reads at most so many bytes into a buffer that never grows: nothing is left behind by one that does. The caller overwrites it.
fn read_at_most(file: File, path: &Path, most: usize) -> Result<Vec<u8>, KeyError> {
    let mut text = Vec::with_capacity(most);
    let read = file.take(u64::try_from(most).unwrap_or(u64::MAX)).read_to_end(&mut text);
    match read {
        Ok(_) => Ok(text),
        Err(error) => {
            text.zeroize();
            Err(file_error(path, &error))
        }
    }
}

/// Reads a key file. It must be a plain file of our own (or of root), which nobody else may read.
///
/// # Errors
/// If it isn't, or doesn't hold a key.
pub fn read_key_file(path: &Path) -> Result<LocalKey, KeyError> {
    let text = Zeroizing::new(read_at_most(open_private(path)?, path, KEY_FILE_BYTES + 1)?);
    LocalKey::new(&read_written(&text).ok_or_else(|| KeyError::Form(path.to_owned()))?)
}

/// Bytes of the longest passphrase.
pub const LONGEST_PASSPHRASE: usize = 1_024;

/// Reads a passphrase from the first line of a file, which is as private as a key file: a service manager's credential, say.
///
/// # Errors
/// If it isn't private, or its first line is empty or too long.
pub fn read_passphrase_file(path: &Path) -> Result<Secret, KeyError> {
    let mut text = read_at_most(open_private(path)?, path, LONGEST_PASSPHRASE + 2)?;
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let is_one = (1..=LONGEST_PASSPHRASE).contains(&line.len());
    let passphrase = is_one.then(|| Secret::filled(line.len(), |bytes| bytes.copy_from_slice(line)));
    text.zeroize();
    let reason = || format!("its first line is no passphrase of 1 to {LONGEST_PASSPHRASE} bytes");
    passphrase.ok_or_else(|| KeyError::File { path: path.to_owned(), reason: reason() })
}

/// Where a store's key is had from, if not from a file. It isn't secret and lies in the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum KeyOrigin {
    /// It is derived from a passphrase.
    Passphrase(Derivation),
    /// It lies here, wrapped by a key that never leaves its service.
    Wrapped(WrappedKey),
    /// It lies in the keyring of a user's session.
    Keyring(SessionKeyring),
}

/// A key as a key service wrapped it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrappedText", into = "WrappedText")]
pub struct WrappedKey {
    service: KeyService,
    bytes: Vec<u8>,
}

/// Who unwraps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeyService {
    AwsKms,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrappedText {
    service: KeyService,
    wrapped: String,
}

/// Bytes of the longest wrapped key: what AWS KMS gives at most.
pub const LONGEST_WRAPPED: usize = 6_144;

impl WrappedKey {
    /// One that AWS KMS wrapped.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub fn of_aws_kms(bytes: Vec<u8>) -> Result<Self, KeyError> {
        let is_sound = (1..=LONGEST_WRAPPED).contains(&bytes.len());
        if is_sound { Ok(Self { service: KeyService::AwsKms, bytes }) } else { Err(KeyError::Wrapped) }
    }

    /// As the service takes it.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl TryFrom<WrappedText> for WrappedKey {
    type Error = KeyError;

    fn try_from(text: WrappedText) -> Result<Self, KeyError> {
        let WrappedText { service: KeyService::AwsKms, wrapped } = text;
        // Four characters are three bytes.
        let is_long = wrapped.len() / 4 > LONGEST_WRAPPED;
        Self::of_aws_kms(if is_long { Vec::new() } else { BASE64.decode(wrapped.as_bytes()).map_err(|_| KeyError::Wrapped)? })
    }
}

impl From<WrappedKey> for WrappedText {
    fn from(key: WrappedKey) -> Self {
        Self { service: key.service, wrapped: BASE64.encode(&key.bytes) }
    }
}

/// The keyring of a user's session, which has the key under the store's and the key's ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionKeyring {
    keyring: KeyringKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KeyringKind {
    SecretService,
}

impl SessionKeyring {
    /// One that speaks the Secret Service's protocol.
    pub(super) const SECRET_SERVICE: Self = Self { keyring: KeyringKind::SecretService };
}

/// How a key is derived from a passphrase: Argon2id (RFC 9106). It isn't secret and lies in the database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Derivation {
    algorithm: DerivationAlgorithm,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: [u8; 16],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DerivationAlgorithm {
    Argon2id,
}

impl Derivation {
    /// RFC 9106's second recommendation (64 MiB, 3 passes, 4 lanes), with a new random salt.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn recommended() -> Result<Self, KeyError> {
        Ok(Self { algorithm: DerivationAlgorithm::Argon2id, memory_kib: 64 * 1024, passes: 3, lanes: 4, salt: seal::random()? })
    }

    /// The database is in others' hands before it is checked: it may neither make the derivation cheap nor exhaust this machine.
    fn check(&self) -> Result<(), KeyError> {
        if !(64 * 1024..=1024 * 1024).contains(&self.memory_kib) {
            return Err(KeyError::Derivation("64 MiB to 1 GiB of memory"));
        }
        if !(3..=16).contains(&self.passes) {
            return Err(KeyError::Derivation("3 to 16 passes"));
        }
        if (1..=16).contains(&self.lanes) { Ok(()) } else { Err(KeyError::Derivation("1 to 16 lanes")) }
    }
}

/// Derives a key from a passphrase. It takes a moment and the memory it says: not for an asynchronous task.
///
/// # Errors
/// If the passphrase is too short, or the parameters are out of bounds.
pub fn derive_from_passphrase(passphrase: &Secret, derivation: Derivation) -> Result<LocalKey, KeyError> {
    derivation.check()?;
    if passphrase.len() < 12 {
        return Err(KeyError::ShortPassphrase);
    }
    let parameters = Params::new(derivation.memory_kib, derivation.passes, derivation.lanes, Some(KEY_BYTES))
        .map_err(|_| KeyError::Derivation("Argon2id refuses them"))?;
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters);
    let mut result = Ok(());
    let key = Secret::filled(KEY_BYTES, |target| {
        result = passphrase.expose(|passphrase| argon.hash_password_into(passphrase, &derivation.salt, target));
    });
    result.map_err(|_| KeyError::Derivation("Argon2id refuses them"))?;
    LocalKey::from_origin(&key, KeyOrigin::Passphrase(derivation))
}
