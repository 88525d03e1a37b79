//! How somebody who logged in at the broker's pages comes to the application's pages, and how these speak for them afterwards.
//!
//! None of these is a provider's credential: they are the broker's own, and open nothing but the broker. What lies in them is shown by no
//! `Debug`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::identifiers::UnixMillis;
use crate::lists::bounded;
use crate::names::{Invalid, SubjectId, TenantId};
use crate::text::Foreign;

/// Groups of one person.
const GROUPS: usize = 100;

/// Makes a type for 32 random bytes, written as 43 letters, digits, `-` and `_` (base64url, RFC 4648, without padding).
macro_rules! random_text {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes a text that is one.
            ///
            /// # Errors
            /// If it isn't.
            pub fn new(text: impl Into<String>) -> Result<Self, Invalid> {
                let text = text.into();
                if is_random_text(&text) { Ok(Self(text)) } else { Err(Invalid::new($what, "43 letters, digits, `-` and `_`")) }
            }

            /// The text, for whoever passes it on.
            #[must_use]
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}

/// Whether 43 characters are 32 bytes: the last character holds four bits of them, and two that are always 0.
fn is_random_text(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.len() == 43 && text.bytes().all(is_letter) && text.ends_with(|last: char| "AEIMQUYcgkosw048".contains(last))
}

random_text! {
    /// What a browser brings from the broker's pages to the application's, once, within a minute.
    HandOverCode, "code"
}

random_text! {
    /// What ties a code to the browser that the application sent to the broker's pages.
    HandOverState, "state"
}

random_text! {
    /// For whom the application asks. It reads and proposes for that person; it approves nothing.
    Handle, "handle"
}

/// Somebody for whom the application speaks from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedOver {
    /// Who, as the broker names them on its socket.
    pub subject: SubjectId,
    /// Where they work.
    pub tenant: TenantId,
    /// What the identity provider calls them; empty if it says nothing.
    pub name: Foreign,
    /// The groups in which the identity provider says they are.
    #[serde(deserialize_with = "groups")]
    pub groups: Vec<Foreign>,
    /// What the approval policy lets them do.
    pub roles: Vec<PolicyRole>,
    /// With which the application asks for them.
    pub handle: Handle,
    /// Until when, at the latest.
    pub expires: UnixMillis,
}

/// What an approval policy lets a person do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyRole {
    /// Ask for changes.
    Member,
    /// Approve what rules leave to approvers.
    Approver,
    /// Approve what rules leave to the people of security.
    Security,
    /// Change the policy, with a second owner.
    Owner,
}

fn groups<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Foreign>, D::Error> {
    bounded::<_, _, GROUPS>(deserializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_32_bytes_is_taken_and_nothing_is_shown() {
        let text = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert_eq!(format!("{:?}", Handle::new(text).unwrap()), "Handle(…)");
        assert_eq!(HandOverCode::new(text).unwrap().expose(), text);
        for wrong in
            ["", &text[1..], &format!("{text}A"), &text.replace('A', "+"), &format!("{}B", &text[1..]), &format!("{}\n", &text[1..])]
        {
            assert!(Handle::new(wrong).is_err(), "{wrong}");
        }
    }
}
