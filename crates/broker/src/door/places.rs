//! Where on our own pages somebody goes on after a login: one of ours, and nothing that a browser could take for another site's.

use keyblind_intent::Digest;

/// The path of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place(String);

impl Default for Place {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl Place {
    /// Reads a path; whatever isn't one of our pages is the first page.
    pub(super) fn read(path: &str) -> Self {
        let digests = ["/change/", "/connect/"];
        let is_fixed = matches!(path, "/connections" | "/passkeys" | "/policy" | "/stop");
        let is_of_digest =
            digests.iter().any(|start| path.strip_prefix(start).is_some_and(|rest| rest.len() == 64 && rest.parse::<Digest>().is_ok()));
        if is_fixed || is_of_digest { Self(path.to_owned()) } else { Self::default() }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_ours_are_gone_on_to() {
        let digest = Digest::of(b"x");
        for ours in ["/", "/connections", "/stop", &format!("/change/{digest}"), &format!("/connect/{digest}")] {
            assert_eq!(Place::read(ours).as_str(), ours);
        }
        for other in [
            "",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example/",
            "javascript:alert(1)",
            "/change/..",
            "/change//evil.example",
            &format!("/change/{digest}/decide"),
            &format!("/change/{digest}?x=https://evil.example"),
            "/connections;evil",
            "/%2f%2fevil.example",
            "/logout",
        ] {
            assert_eq!(Place::read(other).as_str(), "/", "{other}");
        }
    }
}
