//! Edits of ranges of bytes.

use sha2::{Digest, Sha256};

use crate::output::FileEdit;

/// The SHA-256 of bytes in hexadecimal digits.
pub fn digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The text with the edits; all of it outside of them is as it was, by construction.
///
/// # Errors
/// If the text has another digest, a range doesn't lie in it, overlaps the one before, replaces something else than it
/// says, replaces something by itself, or cuts a character in two.
pub fn apply(text: &str, file: &FileEdit) -> Result<String, String> {
    if digest(text.as_bytes()) != file.digest {
        return Err("the digest is another text's".to_owned());
    }
    let bytes = text.as_bytes();
    let mut made: Vec<u8> = Vec::with_capacity(bytes.len());
    let mut done = 0;
    for (number, edit) in file.edits.iter().enumerate() {
        if edit.start < done || edit.end < edit.start || edit.end > bytes.len() {
            return Err(format!("edit {number} has the range {}..{}, behind {done} in {} bytes", edit.start, edit.end, bytes.len()));
        }
        if &bytes[edit.start..edit.end] != edit.was.as_bytes() {
            return Err(format!("edit {number} says that {:?} stands where it doesn't", edit.was));
        }
        if edit.was == edit.text {
            return Err(format!("edit {number} changes nothing"));
        }
        made.extend_from_slice(&bytes[done..edit.start]);
        made.extend_from_slice(edit.text.as_bytes());
        done = edit.end;
    }
    made.extend_from_slice(&bytes[done..]);
    String::from_utf8(made).map_err(|_| "the edits cut a character in two".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails loudly")]

    use super::*;
    use crate::output::TextEdit;

    fn file(text: &str, edits: &[(usize, usize, &str, &str)]) -> FileEdit {
        let edit = |&(start, end, was, text): &(usize, usize, &str, &str)| TextEdit { start, end, was: was.into(), text: text.into() };
        FileEdit { path: "a".into(), digest: digest(text.as_bytes()), edits: edits.iter().map(edit).collect() }
    }

    #[test]
    fn only_edits_that_fit_are_applied() {
        assert_eq!(apply("äbc", &file("äbc", &[(2, 3, "b", "xx"), (4, 4, "", "!")])).unwrap(), "äxxc!");
        for wrong in [
            file("other", &[(2, 3, "b", "x")]),
            file("äbc", &[(2, 3, "c", "x")]),
            file("äbc", &[(2, 4, "bc", "x"), (3, 4, "c", "y")]),
            file("äbc", &[(3, 9, "c", "x")]),
            file("äbc", &[(3, 2, "", "x")]),
            file("äbc", &[(1, 1, "", "x")]),
            file("äbc", &[(2, 3, "b", "b")]),
        ] {
            apply("äbc", &wrong).unwrap_err();
        }
    }
}
