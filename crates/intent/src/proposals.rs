//! Pull requests that a leaf composed, on their way to whoever asks the broker for them.

use serde::{Deserialize, Serialize};

use crate::document::{DocumentError, decode, encode};
use crate::intents::{Bulk, ProposePullRequest};
use crate::limits::{ATTACHED_BYTES, DOCUMENT_BYTES};
use crate::lists::bounded;
use crate::text::Line;

/// Findings of one pull request.
const FINGERPRINTS: usize = 10_000;
/// Pull requests of one leaf.
const PROPOSALS: usize = 1_000;
/// Bytes that say how long a document is.
const LENGTH_BYTES: usize = 4;

/// A pull request that is to be asked for. Its contents follow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposed {
    /// What the broker is asked.
    pub request: ProposePullRequest,
    /// What the findings are recognised by that it mends.
    #[serde(deserialize_with = "fingerprints")]
    pub fingerprints: Vec<Line>,
}

/// Why bytes are no pull requests.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposedError {
    /// They end in the middle of one.
    #[error("the pull requests aren't whole")]
    NotWhole,
    /// There are more than anybody asks for, or one is too large.
    #[error("these are more pull requests, or larger ones, than are asked for")]
    TooMany,
    /// One isn't written as one.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The contents aren't those that the request names.
    #[error("the contents of a pull request aren't the ones that it names")]
    OtherContents,
}

impl Proposed {
    /// What comes before the contents: the length of the document, and the document.
    ///
    /// # Errors
    /// If it is larger than a document may be.
    pub fn head(&self) -> Result<Vec<u8>, DocumentError> {
        let document = encode(self)?;
        // A document's length always fits.
        let length = u32::try_from(document.len()).unwrap_or(u32::MAX);
        Ok([&length.to_be_bytes()[..], &document].concat())
    }

    /// Reads all that a leaf handed back, with the contents of each. Nothing is believed that can be computed again.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn read_all(bytes: &[u8]) -> Result<Vec<(Self, Vec<u8>)>, ProposedError> {
        let (mut rest, mut all) = (bytes, Vec::new());
        while !rest.is_empty() {
            if all.len() == PROPOSALS {
                return Err(ProposedError::TooMany);
            }
            let (length, after) = rest.split_first_chunk::<LENGTH_BYTES>().ok_or(ProposedError::NotWhole)?;
            let length = usize::try_from(u32::from_be_bytes(*length)).unwrap_or(usize::MAX);
            if length > DOCUMENT_BYTES {
                return Err(ProposedError::TooMany);
            }
            let (document, after) = after.split_at_checked(length).ok_or(ProposedError::NotWhole)?;
            let proposed: Self = decode(document)?;
            let named = proposed.request.contents;
            if named.bytes.get() > ATTACHED_BYTES {
                return Err(ProposedError::TooMany);
            }
            let length = usize::try_from(named.bytes.get()).unwrap_or(usize::MAX);
            let (contents, after) = after.split_at_checked(length).ok_or(ProposedError::NotWhole)?;
            if Bulk::of(contents) != named {
                return Err(ProposedError::OtherContents);
            }
            all.push((proposed, contents.to_vec()));
            rest = after;
        }
        Ok(all)
    }
}

fn fingerprints<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Line>, D::Error> {
    bounded::<_, _, FINGERPRINTS>(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{AttachedFile, Digest, FileMode, Repository};

    fn proposed(new: &str) -> Proposed {
        let repository = Repository { forge: "github".parse().unwrap(), owner: "octo".parse().unwrap(), name: "shop".parse().unwrap() };
        let after = Bulk::of(new.as_bytes());
        let path = crate::RepositoryPath::new("main.tf").unwrap();
        let files = vec![AttachedFile { path, before: Some(Digest::of(b"old")), after, mode: FileMode::Plain }];
        let request = ProposePullRequest {
            repository,
            base: "main".parse().unwrap(),
            base_commit: "0".repeat(40).parse().unwrap(),
            branch: "keyblind/fix".parse().unwrap(),
            files,
            contents: after,
            title: "Fix".parse().unwrap(),
            explanation: crate::Prose::default(),
            fixes: vec!["bucket-acl-public".parse().unwrap()],
        };
        Proposed { request, fingerprints: vec!["3f9a".parse().unwrap()] }
    }

    fn bytes() -> Vec<u8> {
        ["new", "newer"].iter().flat_map(|new| [proposed(new).head().unwrap(), new.as_bytes().to_vec()].concat()).collect()
    }

    #[test]
    fn what_was_handed_back_is_read_as_it_was_written() {
        let all = Proposed::read_all(&bytes()).unwrap();
        assert_eq!(all, [(proposed("new"), b"new".to_vec()), (proposed("newer"), b"newer".to_vec())]);
        assert_eq!(Proposed::read_all(b"").unwrap(), []);
    }

    #[test]
    fn what_was_cut_off_or_changed_is_refused_at_every_byte() {
        let bytes = bytes();
        let whole = proposed("new").head().unwrap().len() + 3;
        for length in (1..bytes.len()).filter(|length| *length != whole) {
            assert!(Proposed::read_all(&bytes[..length]).is_err(), "{length}");
        }
        let mut changed = bytes.clone();
        *changed.last_mut().unwrap() ^= 1;
        assert_eq!(Proposed::read_all(&changed), Err(ProposedError::OtherContents));
        assert_eq!(Proposed::read_all(&[0xff; 64]), Err(ProposedError::TooMany));
    }
}
