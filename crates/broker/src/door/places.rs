//! Where on our own pages somebody goes on after a login: one of ours, and nothing that a browser could take for another site's.

use keyblind_intent::{Digest, HandOverState};

/// The path of a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place(String);

impl Default for Place {
    fn default() -> Self {
        Self("/".to_owned())
    }
}

impl Place {
    /// The page that an address is, if it is one of ours.
    pub(super) fn of(address: &axum::http::Uri) -> Self {
        Self::read(address.path_and_query().map_or(address.path(), |whole| whole.as_str()))
    }

    /// Reads a path; whatever isn't one of our pages is the first page.
    pub(super) fn read(path: &str) -> Self {
        // On the way to the application, with what ties the way to the browser.
        let is_hand_over = path.strip_prefix("/hand-over?state=").is_some_and(|state| HandOverState::new(state).is_ok());
        let digests = ["/change/", "/connect/"];
        let is_fixed = matches!(path, "/connections" | "/passkeys" | "/policy" | "/stop");
        let is_of_digest =
            digests.iter().any(|start| path.strip_prefix(start).is_some_and(|rest| rest.len() == 64 && rest.parse::<Digest>().is_ok()));
        if is_fixed || is_of_digest || is_hand_over { Self(path.to_owned()) } else { Self::default() }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// As a value in a query: of what our paths are made of, only `?` and `=` mean something there.
    pub(super) fn for_query(&self) -> String {
        self.0.replace('?', "%3F").replace('=', "%3D")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_ours_are_gone_on_to() {
        let digest = Digest::of(b"x");
        let state = "A".repeat(43);
        for ours in [
            "/",
            &format!("/hand-over?state={state}"),
            "/connections",
            "/stop",
            &format!("/change/{digest}"),
            &format!("/connect/{digest}"),
        ] {
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
            "/hand-over",
            &format!("/hand-over?state={state}&state=https://evil.example"),
            &format!("/hand-over?state={}", "/".repeat(43)),
        ] {
            assert_eq!(Place::read(other).as_str(), "/", "{other}");
        }
    }
}
