//! Accounts that people connect: what is offered, where it is used, and the administrator's client that ends what somebody still has.

use std::collections::BTreeSet;
use std::fmt;

use keyblind_broker::door::{Exchanged, Offer};
use keyblind_broker::work::Owners;
use keyblind_intent::{ConnectionName, Owner, Provider};
use serde::Deserialize;

use super::ConfigurationError;
use super::github::{OwnersFile, owners};

/// Where people's accounts lie, and what of them may be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct AccountSettings {
    /// What can be connected.
    pub(crate) offers: Vec<Offer>,
    /// Whose repositories at GitHub are reached with the asker's own account although there is an App.
    pub(crate) instead_of_app: Option<Owners>,
}

/// What may be connected, as it is written under `[[login.accounts]]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AccountFile {
    name: ConnectionName,
    provider: Kind,
    /// At Auth0.
    connection: Option<String>,
    /// At another provider.
    audience: Option<String>,
    resource: Option<String>,
    scopes: BTreeSet<String>,
    instead_of_app: Option<OwnersFile>,
}

/// Whose accounts the broker knows what to do with.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Github,
}

/// `[login.administrator]`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct AdministratorFile {
    pub(super) client: String,
}

/// Reads what may be connected.
pub(super) fn settings(files: Vec<AccountFile>) -> Result<Option<AccountSettings>, ConfigurationError> {
    let (mut offers, mut instead_of_app): (Vec<Offer>, Option<Owners>) = (Vec::new(), None);
    for AccountFile { name, provider: Kind::Github, connection, audience, resource, scopes, instead_of_app: owned } in files {
        if !offers.is_empty() {
            // One identity provider has one connection to GitHub that the broker's repositories are reached with.
            return Err(ConfigurationError::Missing("there are several [[login.accounts]] for GitHub: leave one of them"));
        }
        let is_named = |text: &String, most: usize| (1..=most).contains(&text.len());
        let (connection, exchange) = match (connection, audience, resource) {
            (Some(connection), None, None) if is_named(&connection, 128) => (connection, None),
            (None, None, None) | (Some(_), _, _) => {
                return Err(ConfigurationError::Missing(
                    "`connection` under [[login.accounts]] is what Auth0 calls the connection to GitHub, 1 to 128 characters; at another \
                     provider, `audience` or `resource` name for whom it exchanges tokens",
                ));
            }
            (None, audience, resource) => {
                if ![&audience, &resource].into_iter().flatten().all(|text| is_named(text, 1_024)) {
                    return Err(ConfigurationError::Missing(
                        "`audience` and `resource` under [[login.accounts]] have 1 to 1,024 characters",
                    ));
                }
                (name.to_string(), Some(Exchanged { audience, resource }))
            }
        };
        let is_scope = |scope: &String| !scope.is_empty() && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b',');
        if scopes.is_empty() || !scopes.iter().all(is_scope) {
            return Err(ConfigurationError::Missing(
                "`scopes` under [[login.accounts]] are GitHub's, like [\"repo\"]: what people are asked to allow, and no more than that is used",
            ));
        }
        instead_of_app = owned.map(owners);
        offers.push(Offer { name, provider: Provider::Github, connection, scopes: scopes.into_iter().collect(), exchange });
    }
    Ok((!offers.is_empty()).then_some(AccountSettings { offers, instead_of_app }))
}

impl fmt::Display for AccountSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Offer { name, connection, scopes, exchange, .. } in &self.offers {
            let place = match &self.instead_of_app {
                None => "where there is no App".to_owned(),
                Some(Owners::All) => "instead of the App".to_owned(),
                Some(Owners::These(owners)) => {
                    format!("instead of the App for {}", owners.iter().map(Owner::as_str).collect::<Vec<_>>().join(", "))
                }
            };
            let by = match exchange {
                None => format!("`{connection}`"),
                Some(Exchanged { audience, resource }) => {
                    let named: Vec<&str> = [audience, resource].into_iter().flatten().map(String::as_str).collect();
                    format!("an exchange for {}", named.join(" and "))
                }
            };
            writeln!(formatter, "accounts {name}: GitHub by {by}, allows {}, {place}", scopes.join(", "))?;
        }
        Ok(())
    }
}
