//! Tokens that an OpenID provider exchanges for those of its own logins (RFC 8693).
//!
//! Which accounts somebody has there, and how they are linked, is the provider's affair: whether a token can be had shows when one is asked
//! for. What is exchanged is an access token of her login, which is got for that and used for nothing else.

use std::sync::Arc;

use keyblind_intent::ConnectionState;

use super::{Accounts, Exchanged, Holder, Offer, Problem, Standing};
use crate::providers::auth0::{Borrowed, Trouble};
use crate::providers::oidc::{Exchange, OidcError};

/// The one kind of token that is given and wanted.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

impl Accounts {
    /// How each offer is for somebody: as it was when a token was last asked for, or as her login is.
    pub(super) async fn exchanged_standings(&self, holder: &Holder) -> Vec<Standing> {
        let login = match self.grants.refresh_token(&holder.tenant, &holder.identity).await {
            Ok(Some(_)) => None,
            Ok(None) => Some(Problem::Trouble(Trouble::SignedOut)),
            Err(error) => Some(error.into()),
        };
        let standing = |offer: &Offer| {
            let problem = login.clone().or_else(|| self.last_trouble(holder, offer));
            let state = problem.as_ref().map_or(Ok(ConnectionState::Connected), |problem| problem.state().ok_or_else(|| problem.words()));
            Standing { offer: offer.clone(), accounts: Vec::new(), state, words: problem.as_ref().map(Problem::words) }
        };
        self.offers.iter().map(standing).collect()
    }

    /// Exchanges a token of her login for one that allows this.
    pub(super) async fn exchange(&self, holder: &Holder, exchanged: &Exchanged, scopes: &[String]) -> Result<Borrowed, Problem> {
        let trouble = |error: OidcError| Problem::Trouble(error.into());
        let provider = Arc::clone(self.grants.provider());
        let login = {
            // A refresh token that is used twice at once is taken for a stolen one, where tokens rotate.
            let slot = self.access_of(holder);
            let _turn = slot.lock().await;
            let refresh = self.grants.refresh_token(&holder.tenant, &holder.identity).await?;
            let refresh = refresh.ok_or(Problem::Trouble(Trouble::SignedOut))?;
            let login = provider.refresh(&refresh.token, None, None).await.map_err(trouble)?;
            if let Some(rotated) = &login.refresh {
                self.grants.rotated(&refresh, rotated).await?;
            }
            login
        };
        let scope = scopes.join(" ");
        let exchange = Exchange {
            subject: &login.access,
            subject_kind: ACCESS_TOKEN,
            requested_kind: Some(ACCESS_TOKEN),
            audience: exchanged.audience.as_deref(),
            resource: exchanged.resource.as_deref(),
            scope: Some(&scope),
        };
        let given = provider.exchange(&exchange).await.map_err(trouble)?;
        if let Some(refresh) = &given.refresh {
            // Nobody asked for one that lasts.
            let _ = provider.revoke(refresh, "refresh_token").await;
            return Err(trouble(OidcError::OtherThanAsked));
        }
        // Where it doesn't say what the token allows, that is what was asked for.
        let allowed = given.scopes.unwrap_or_else(|| scopes.to_vec());
        let missing: Vec<String> = scopes.iter().filter(|scope| !allowed.contains(scope)).cloned().collect();
        if !missing.is_empty() {
            return Err(Problem::Trouble(Trouble::ScopeMissing { missing }));
        }
        let beyond = allowed.into_iter().filter(|scope| !scopes.contains(scope)).collect();
        Ok(Borrowed { token: given.access, expires: given.expires, beyond })
    }
}
