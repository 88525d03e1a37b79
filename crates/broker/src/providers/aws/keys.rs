//! Keys as they lie in a [`Secret`]: the access key's id, the secret key and, for a session, its token, each on a line of its own.

use zeroize::Zeroizing;

use super::AwsError;
use crate::secret::Secret;

/// The longest token of a session that is taken. AWS promises no size.
pub(super) const LONGEST_TOKEN: usize = 16 * 1024;
/// The longest secret key.
const LONGEST_SECRET: usize = 256;
/// The longest id of a key.
const LONGEST_ID: usize = 128;

/// What keys are made of, for as long as they are lent.
pub(super) struct Parts<'k> {
    pub(super) id: &'k str,
    pub(super) secret: &'k [u8],
    pub(super) token: Option<&'k [u8]>,
}

/// Puts keys together: the form in which they are sealed, lent and used.
///
/// # Errors
/// [`AwsError::Keys`] if the parts aren't those of a key.
pub fn keys(id: &str, secret: &[u8], token: Option<&[u8]>) -> Result<Secret, AwsError> {
    // A part that has two lines would be taken apart as two parts.
    if [id.as_bytes(), secret, token.unwrap_or_default()].iter().any(|part| part.contains(&b'\n')) {
        return Err(AwsError::Keys);
    }
    let token = token.unwrap_or_default();
    let mut text = Zeroizing::new(Vec::with_capacity(id.len() + secret.len() + token.len() + 2));
    text.extend_from_slice(id.as_bytes());
    text.push(b'\n');
    text.extend_from_slice(secret);
    if !token.is_empty() {
        text.push(b'\n');
        text.extend_from_slice(token);
    }
    read(&text)?;
    Ok(Secret::filled(text.len(), |target| target.copy_from_slice(&text)))
}

/// Whether a secret holds keys: two or three lines.
///
/// # Errors
/// [`AwsError::Keys`] if it doesn't.
pub fn check(keys: &Secret) -> Result<(), AwsError> {
    keys.expose(|bytes| read(bytes).map(drop))
}

/// Keys as somebody pasted them: two or three lines, with whatever ends a file.
///
/// # Errors
/// [`AwsError::Keys`] if these aren't keys.
pub fn pasted(text: &Secret) -> Result<Secret, AwsError> {
    text.expose(|bytes| {
        let mut lines = bytes.trim_ascii().split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let (id, secret, token, rest) = (lines.next(), lines.next(), lines.next(), lines.next());
        let (Some(id), Some(secret), None) = (id, secret, rest) else { return Err(AwsError::Keys) };
        keys(std::str::from_utf8(id).map_err(|_| AwsError::Keys)?, secret, token)
    })
}

/// Takes keys apart.
pub(super) fn read(bytes: &[u8]) -> Result<Parts<'_>, AwsError> {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let (id, secret, token, rest) = (lines.next(), lines.next(), lines.next(), lines.next());
    let (Some(id), Some(secret), None) = (id, secret, rest) else { return Err(AwsError::Keys) };
    let is_text = |text: &[u8], most: usize| !text.is_empty() && text.len() <= most && text.iter().all(u8::is_ascii_graphic);
    let is_id = |id: &[u8]| id.len() <= LONGEST_ID && !id.is_empty() && id.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    if !is_id(id) || !is_text(secret, LONGEST_SECRET) || token.is_some_and(|token| !is_text(token, LONGEST_TOKEN)) {
        return Err(AwsError::Keys);
    }
    let id = std::str::from_utf8(id).map_err(|_| AwsError::Keys)?;
    Ok(Parts { id, secret, token })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_taken_apart_as_they_were_put_together() {
        let made = keys("AKIAIOSFODNN7EXAMPLE", b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", Some(b"token==")).unwrap();
        made.expose(|bytes| {
            let parts = read(bytes).unwrap();
            assert_eq!(parts.id, "AKIAIOSFODNN7EXAMPLE");
            assert_eq!(parts.secret, b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY");
            assert_eq!(parts.token, Some(b"token==".as_slice()));
        });
        let made = keys("AKIAIOSFODNN7EXAMPLE", b"key", None).unwrap();
        assert!(made.expose(|bytes| read(bytes).unwrap().token.is_none()));
    }

    #[test]
    fn what_could_reach_into_a_header_or_another_line_is_no_key() {
        let long = "a".repeat(LONGEST_TOKEN + 1);
        let wrong = [
            ("", "key", None),
            ("AKIA EXAMPLE", "key", None),
            ("AKIA\nX", "key", None),
            ("AKIAEXAMPLE", "", None),
            ("AKIAEXAMPLE", "key\ntoken", None),
            ("AKIAEXAMPLE", "a\r\nx: y", None),
            ("AKIAEXAMPLE", "key", Some("a b")),
            ("AKIAEXAMPLE", "key", Some("a\nb")),
            ("AKIAEXAMPLE", "key", Some(long.as_str())),
        ];
        for (id, secret, token) in wrong {
            assert!(matches!(keys(id, secret.as_bytes(), token.map(str::as_bytes)), Err(AwsError::Keys)), "{id:?} {secret:?}");
        }
        assert!(check(&Secret::from_string("one line".to_owned())).is_err());
    }
}
