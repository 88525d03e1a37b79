//! The end of a token that an OAuth app or a GitHub App got for a person.
//!
//! GitHub revokes such tokens for whoever shows them (`POST /credentials/revoke`, without any credential of one's own), and only takes the
//! request. Whether it happened is seen by its refusing the token afterwards.

use hyper::Method;
use hyper::header::{ACCEPT, HeaderName};
use zeroize::Zeroizing;

use super::pace::Pacing;
use super::{Github, GithubError};
use crate::egress::{Authorization, Body, Call};
use crate::providers::push_quoted;
use crate::secret::Secret;

const VERSION: HeaderName = HeaderName::from_static("x-github-api-version");

/// What came of ending a person's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountTokenEnd {
    /// GitHub doesn't take it any more.
    Confirmed,
    /// GitHub took the request; it hasn't shown yet that the token is dead.
    Accepted,
}

impl Github {
    /// Ends the token of somebody's account, for good and for everybody who has it.
    ///
    /// # Errors
    /// If GitHub doesn't take the request: older enterprise hosts know no such call.
    pub async fn end_account_token(&self, token: &Secret) -> Result<AccountTokenEnd, GithubError> {
        let turn = self.pace.turn(Pacing::Authority).await?;
        let call = Call::new(Method::POST, self.api.clone().path("/credentials/revoke"));
        let call = call.header(ACCEPT, "application/vnd.github+json").header(VERSION, "2022-11-28").body(credentials(token));
        let answer = self.egress.send(call).await;
        drop(turn);
        match answer?.status().as_u16() {
            202 => {}
            404 => return Err(GithubError::NotFound),
            status @ 500.. => return Err(GithubError::Broken { status }),
            status => return Err(GithubError::Rejected { status }),
        }
        // Nothing of the answer is wanted: only whether there is one for this token.
        match self.send(Method::GET, Authorization::Bearer(token), self.api.clone().path("/user"), None::<&()>, 1 << 20, Pacing::Read).await
        {
            Err(GithubError::Unauthorized) => Ok(AccountTokenEnd::Confirmed),
            _ => Ok(AccountTokenEnd::Accepted),
        }
    }
}

/// The one credential, in a buffer that is overwritten.
fn credentials(token: &Secret) -> Body {
    let mut text = Zeroizing::new(Vec::with_capacity(2 * token.len() + 32));
    text.extend_from_slice(b"{\"credentials\":[");
    push_quoted(&mut text, token);
    text.extend_from_slice(b"]}");
    Body::Bytes("application/json", text)
}
