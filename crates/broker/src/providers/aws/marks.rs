//! What a session says of itself: what it is for, and in whose name. It stands in the account's own audit trail (`CloudTrail`).

use keyblind_intent::{Change, Digest, RequestId, SubjectId, TenantId};
use serde::Serialize;
use serde_json::{Value, json};

use super::AwsError;

/// What all source identities begin with; trust policies demand it.
pub(super) const OURS: &str = "kb.";
/// What the names of all sessions begin with; trust policies demand it.
pub(super) const SESSIONS: &str = "kb-";

/// A session's name, source identity and tags. Nobody's own words are in them: people are named by a digest, which
/// [`Marks::person`] computes again for whoever searches the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marks {
    session: String,
    source_identity: Option<String>,
    tags: Vec<(&'static str, String)>,
}

impl Marks {
    /// Those of a change.
    #[must_use]
    pub fn of_change(change: &Change) -> Self {
        let fields = change.fields();
        let mut marks = Self::new(fields.id, &fields.tenant, &fields.requester);
        marks.tags.push(("keyblind:change", change.digest().to_string()));
        marks
    }

    /// Those of a request that only reads.
    #[must_use]
    pub fn of_read(request: RequestId, tenant: &TenantId, subject: &SubjectId) -> Self {
        Self::new(request, tenant, subject)
    }

    fn new(id: RequestId, tenant: &TenantId, subject: &SubjectId) -> Self {
        Self {
            session: format!("{SESSIONS}{id}"),
            source_identity: Some(format!("{OURS}{}.{id}", Self::person(tenant, subject))),
            tags: vec![("keyblind:request", id.to_string())],
        }
    }

    /// The same with nothing but the session's name: for a role whose trust policy allows neither tags nor a source identity, which
    /// is common where one person lends their own role.
    #[must_use]
    pub fn name_only(self) -> Self {
        Self { session: self.session, source_identity: None, tags: Vec::new() }
    }

    /// How a person of a tenant is named: 26 letters of a digest, because identity providers use letters that AWS doesn't take.
    #[must_use]
    pub fn person(tenant: &TenantId, subject: &SubjectId) -> String {
        let digest = Digest::of(format!("{tenant}\n{subject}").as_bytes());
        let mut short = [0; 16];
        short.copy_from_slice(&digest.as_bytes()[..16]);
        RequestId::from_bytes(short).to_string()
    }

    /// The session's name.
    #[must_use]
    pub fn session(&self) -> &str {
        &self.session
    }

    /// In whose name and for what it is.
    #[must_use]
    pub fn source_identity(&self) -> Option<&str> {
        self.source_identity.as_deref()
    }

    /// The tags.
    pub fn tags(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.tags.iter().map(|(name, value)| (*name, value.as_str()))
    }

    /// What says the same in an identity token: a role that is taken with one takes its marks from there alone.
    #[must_use]
    pub fn claims(&self) -> MarkClaims {
        let tags = self.tags().map(|(name, value)| (name.to_owned(), json!([value]))).collect();
        let is_bare = self.tags.is_empty();
        MarkClaims {
            tags: (!is_bare).then(|| json!({"principal_tags": Value::Object(tags)})),
            source_identity: self.source_identity.clone(),
        }
    }
}

/// The claims of an identity token that AWS reads marks from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct MarkClaims {
    #[serde(rename = "https://aws.amazon.com/tags", skip_serializing_if = "Option::is_none")]
    tags: Option<Value>,
    #[serde(rename = "https://aws.amazon.com/source_identity", skip_serializing_if = "Option::is_none")]
    source_identity: Option<String>,
}

/// What a role of another account asks for, so that nobody can have the broker take it for somebody else. It is no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExternalId(String);

impl ExternalId {
    /// Takes one.
    ///
    /// # Errors
    /// [`AwsError::ExternalId`] if AWS wouldn't take it.
    pub fn new(text: impl Into<String>) -> Result<Self, AwsError> {
        let text = text.into();
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&byte);
        if (2..=1_224).contains(&text.len()) && text.bytes().all(is_letter) { Ok(Self(text)) } else { Err(AwsError::ExternalId) }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_hold_nobodys_words_and_only_letters_that_aws_takes() {
        let tenant = TenantId::new("acme").unwrap();
        let person = |subject: &str| Marks::person(&tenant, &SubjectId::new(subject).unwrap());
        let marks = Marks::of_read(RequestId::from_bytes([7; 16]), &tenant, &SubjectId::new("auth0|ada@example.com").unwrap());
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        for text in [marks.session(), marks.source_identity().unwrap()] {
            assert!((2..=64).contains(&text.len()) && text.bytes().all(is_letter), "{text}");
            assert!(!text.contains("ada"));
        }
        assert_ne!(person("auth0|ada"), person("auth0|bob"));
        assert_eq!(marks.tags().count(), 1);
        let bare = marks.clone().name_only();
        assert_eq!((bare.session(), bare.source_identity(), bare.tags().count()), (marks.session(), None, 0));
        assert_eq!(serde_json::to_value(bare.claims()).unwrap(), json!({}));
        let claims = serde_json::to_value(marks.claims()).unwrap();
        assert_eq!(claims["https://aws.amazon.com/source_identity"], marks.source_identity().unwrap());
        assert_eq!(claims["https://aws.amazon.com/tags"]["principal_tags"]["keyblind:request"], json!([RequestId::from_bytes([7; 16])]));
    }

    #[test]
    fn an_external_id_has_the_letters_of_one() {
        assert!(ExternalId::new("3f6c1d5e-acme").is_ok());
        for text in ["x", "", "a b", "a&b", "é12"] {
            assert_eq!(ExternalId::new(text), Err(AwsError::ExternalId), "{text}");
        }
    }
}
