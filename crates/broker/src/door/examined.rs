//! Each step of the set-up at the identity provider, looked at where it is set: what is wrong is named with the setting that mends it.
//!
//! What the provider says to anybody (its description) and to the client (a request that it takes or refuses, an exchange of a token that
//! there is none) shows most of it. Settings that only an administrator sees are looked at with the administrator's client; without one
//! they are named as not looked at.

use std::sync::Arc;

use keyblind_intent::{Check, CheckState, DoctorArea, Foreign, Line};

use super::{Accounts, LogIn, Origin};
use crate::approvals::ciba::Encoding;
use crate::dispatch::{Answering, Examined, Whose};
use crate::jws;
use crate::leases::epoch::KillSwitch;
use crate::providers::auth0::{Administrator, FEDERATED, OperatorFault, Subject, Trouble, VaultRequest};
use crate::providers::oidc::{OauthCode, OidcError, OpenIdProvider};
use crate::secret::Secret;

/// The grant type of questions on devices.
const CIBA: &str = "urn:openid:params:grant-type:ciba";

/// What there is to examine about logging in.
pub struct LoginExamined {
    login: LogIn,
    origin: Origin,
    switch: KillSwitch,
    accounts: Option<Arc<Accounts>>,
    /// Whether people are asked on their devices, and in which form.
    devices: Option<Option<Encoding>>,
}

#[derive(Default)]
struct Found(Vec<Check>);

impl Found {
    fn add(&mut self, area: DoctorArea, state: CheckState, subject: &str, advice: Option<&str>) {
        let line = |text: &str| Line::new(text).ok();
        let Some(subject) = line(subject) else { return };
        // Advice that makes no line holds somebody else's words.
        let said = advice.filter(|advice| line(advice).is_none()).map(Foreign::new);
        self.0.push(Check { area, subject, state, advice: advice.and_then(line), said });
    }

    fn judge(&mut self, area: DoctorArea, is_sound: bool, subject: &str, advice: &str) {
        let state = if is_sound { CheckState::Sound } else { CheckState::Broken };
        self.add(area, state, subject, (!is_sound).then_some(advice));
    }
}

impl LoginExamined {
    /// Of pages at that origin.
    pub fn new(login: LogIn, origin: Origin, switch: KillSwitch) -> Self {
        Self { login, origin, switch, accounts: None, devices: None }
    }

    /// Examines what connecting accounts needs as well.
    #[must_use]
    pub fn with_accounts(self, accounts: Arc<Accounts>) -> Self {
        Self { accounts: Some(accounts), ..self }
    }

    /// Examines what asking people on their devices needs as well.
    #[must_use]
    pub fn with_devices(self, encoding: Option<Encoding>) -> Self {
        Self { devices: Some(encoding), ..self }
    }

    async fn look(&self) -> Vec<Check> {
        let mut found = Found::default();
        let area = DoctorArea::Provider(self.login.grants().kind());
        if self.switch.is_stopped() {
            found.add(area, CheckState::NotChecked, "the identity provider: nothing of it is asked while everything is stopped", None);
            return found.0;
        }
        let provider = self.login.provider();
        if !self.look_at_description(provider, area, &mut found).await {
            return found.0;
        }
        self.look_at_request(provider, area, &mut found).await;
        if let Some(accounts) = &self.accounts {
            look_at_exchange(accounts, area, &mut found).await;
        }
        match self.login.grants().administrator() {
            Some(administrator) => self.look_as_administrator(provider, administrator, area, &mut found).await,
            None if self.accounts.as_ref().is_some_and(|accounts| accounts.auth0().is_some()) => {
                let advice =
                    "set `client` under [login.administrator], or look by hand: Applications → Settings, Security → Multi-factor Auth";
                found.add(
                    area,
                    CheckState::NotChecked,
                    "rotation of refresh tokens, MFA policy, connected accounts of the connection",
                    Some(advice),
                );
            }
            None => {}
        }
        found.0
    }

    /// What it says of itself. False if there is nothing more to look at.
    async fn look_at_description(&self, provider: &OpenIdProvider, area: DoctorArea, found: &mut Found) -> bool {
        let subject = "the identity provider is found by its issuer, and offers logging in with PKCE";
        let metadata = match provider.metadata().await {
            Ok(metadata) => metadata,
            Err(error) => {
                let advice = match error {
                    OidcError::Metadata => {
                        "write `issuer` under [login] exactly as the provider does, with or without the slash at its end".to_owned()
                    }
                    OidcError::Egress(_) => {
                        format!("{error}: it must be reached from here, and `private` be set if its address is a private one")
                    }
                    _ => error.to_string(),
                };
                found.add(area, CheckState::Broken, subject, Some(&advice));
                return false;
            }
        };
        found.add(area, CheckState::Sound, subject, None);
        if !metadata.offers_revocation() {
            let advice = "refresh tokens live on there after a stop and after somebody has left: end them by hand then";
            found.add(area, CheckState::Weak, "the identity provider revokes refresh tokens", Some(advice));
        }
        if let Some(encoding) = self.devices {
            let advice = "switch on CIBA at the provider (Auth0: a plan that has it, and Guardian push), or take `devices` out of [login]";
            found.judge(area, metadata.offers_polling(), "people can be asked on their devices (CIBA, poll)", advice);
            let types = metadata.authorization_details_types();
            // Auth0 doesn't list them.
            if let Some(wanted) = encoding.map(Encoding::type_name).filter(|_| !types.is_empty()) {
                let advice = format!("register the type {wanted} there (Auth0: at the API named by `audience`)");
                found.judge(area, types.iter().any(|one| one == wanted), "what a question is about can be shown there", &advice);
            }
        }
        true
    }

    /// A login's request, which nobody goes on with.
    async fn look_at_request(&self, provider: &OpenIdProvider, area: DoctorArea, found: &mut Found) {
        let subject = "it knows the client, its credential and the address where browsers come back to";
        let redirect = format!("{}{}", self.origin.as_str(), super::login::CALLBACK);
        if !provider.metadata().await.is_ok_and(crate::providers::oidc::Metadata::offers_pushed_requests) {
            let advice = format!("it takes no pushed requests, so that only a login shows it: {redirect} must be registered");
            return found.add(area, CheckState::NotChecked, subject, Some(&advice));
        }
        let Ok(seed) = jws::seed() else { return };
        let advice = match provider.begin_with(&seed, &self.login.usual_request(&redirect)).await {
            Ok(_) => return found.add(area, CheckState::Sound, subject, None),
            Err(OidcError::Refused { code, .. }) => match code {
                OauthCode::InvalidClient => {
                    "the client's id or credential is wrong: compare `client`, and `keyblind-broker keep client-credential`".to_owned()
                }
                OauthCode::InvalidRequest => format!("register {redirect} as a callback address of the client, exactly so"),
                OauthCode::UnauthorizedClient | OauthCode::UnsupportedGrantType => {
                    "allow the client the authorization code grant".to_owned()
                }
                OauthCode::InvalidScope => {
                    "allow the client the scopes `openid offline_access` (Auth0: offline access of the API)".to_owned()
                }
                OauthCode::InvalidTarget | OauthCode::AccessDenied => {
                    "compare `audience` under [login] with the API's identifier".to_owned()
                }
                _ => "it refuses for a reason that isn't known here: look into its log".to_owned(),
            },
            Err(error) => error.to_string(),
        };
        found.add(area, CheckState::Broken, subject, Some(&advice));
    }

    async fn look_as_administrator(&self, provider: &OpenIdProvider, administrator: &Administrator, area: DoctorArea, found: &mut Found) {
        let subject = "the administrator's client may look at the broker's own client";
        match administrator.client_set_up(provider, provider.client().id()).await {
            Ok(client) => {
                found.add(area, CheckState::Sound, subject, None);
                let mut grants = vec!["authorization_code", "refresh_token"];
                grants.extend(self.accounts.is_some().then_some(FEDERATED));
                grants.extend(self.devices.is_some().then_some(CIBA));
                let missing: Vec<&str> = grants.into_iter().filter(|grant| !client.grant_types.contains(*grant)).collect();
                let advice = format!("Applications → Advanced → Grant Types: switch on {}", missing.join(", "));
                found.judge(area, missing.is_empty(), "the client has the grant types that it needs", &advice);
                let mut redirects = vec![super::login::CALLBACK];
                redirects.extend(self.accounts.is_some().then_some(super::connecting::CALLBACK));
                let redirects = redirects.into_iter().map(|path| format!("{}{path}", self.origin.as_str()));
                let missing: Vec<String> = redirects.filter(|redirect| !client.callbacks.contains(redirect)).collect();
                let advice = format!("Applications → Allowed Callback URLs: add {}", missing.join(", "));
                found.judge(area, missing.is_empty(), "browsers may come back to the broker's pages", &advice);
                if self.accounts.is_some() {
                    let advice = "Applications → Refresh Token Rotation: switch it off: Token Vault doesn't work with it";
                    found.judge(area, client.keeps_refresh_tokens(), "refresh tokens don't rotate", advice);
                    let advice = "Applications → Advanced → OAuth: switch on OIDC Conformant; the client must be the tenant's own";
                    found.judge(area, client.oidc_conformant && client.is_first_party, "Token Vault takes the client's kind", advice);
                }
            }
            Err(error) => not_seen(area, subject, &error, "read:clients", found),
        }
        let Some(accounts) = &self.accounts else { return };
        let subject = "the tenant doesn't want a second factor for everything";
        match administrator.always_wants_second_factor(provider).await {
            Ok(always) => {
                let advice = "Security → Multi-factor Auth: set the policy to Never and ask for the second factor in an Action";
                found.judge(area, !always, subject, advice);
            }
            Err(error) => not_seen(area, subject, &error, "read:mfa_policies", found),
        }
        for offer in accounts.offers() {
            let subject = format!("accounts can be connected by `{}`", offer.connection);
            match administrator.connects_accounts(provider, &offer.connection).await {
                Ok(Some(active)) => {
                    found.judge(area, active, &subject, "Authentication → the connection: switch on Connected Accounts for Token Vault")
                }
                Ok(None) => {
                    found.judge(area, false, &subject, "there is no such connection: compare `connection` under [[login.accounts]]")
                }
                Err(error) => not_seen(area, &subject, &error, "read:connections", found),
            }
        }
    }
}

fn not_seen(area: DoctorArea, subject: &str, error: &OidcError, scope: &str, found: &mut Found) {
    let (state, advice) = match error {
        OidcError::Refused { status: 403, .. } => (CheckState::NotChecked, format!("allow the administrator's client {scope}")),
        OidcError::Refused { .. } => (
            CheckState::Broken,
            "its id or secret is wrong: compare `client`, and `keyblind-broker keep administrator-credential`".to_owned(),
        ),
        other => (CheckState::NotChecked, other.to_string()),
    };
    found.add(area, state, subject, Some(&advice));
}

/// Token Vault's answer to a token that there is none: whoever may not exchange at all is told something else.
async fn look_at_exchange(accounts: &Accounts, area: DoctorArea, found: &mut Found) {
    let Some(auth0) = accounts.auth0() else {
        let subject = "the client may exchange tokens of logins (RFC 8693)";
        let advice = "it shows when somebody's account is used: on their page of connections, \u{201c}Check\u{201d}";
        return found.add(area, CheckState::NotChecked, subject, Some(advice));
    };
    for offer in accounts.offers() {
        let subject = format!("the client may exchange tokens for those of `{}` (Token Vault)", offer.connection);
        let nobody = Secret::from_string("keyblind-doctor-has-none".to_owned());
        let request = VaultRequest { subject: Subject::Refresh(&nobody), connection: &offer.connection, account: None, scopes: &[] };
        match auth0.borrow_token(&request).await {
            Err(Trouble::SignedOut | Trouble::NotConnected) => found.add(area, CheckState::Sound, &subject, None),
            Err(trouble @ Trouble::Operator(OperatorFault::Unknown)) => {
                found.add(area, CheckState::Weak, &subject, Some(trouble.advice()));
            }
            Err(trouble @ (Trouble::RateLimited { .. } | Trouble::Unavailable(_))) => {
                found.add(area, CheckState::NotChecked, &subject, Some(&trouble.to_string()));
            }
            Err(trouble) => found.add(area, CheckState::Broken, &subject, Some(trouble.advice())),
            Ok(_) => {
                found.add(area, CheckState::Broken, &subject, Some("it gave a token for a login that there never was: trust it no longer"))
            }
        }
    }
}

impl Examined for LoginExamined {
    fn examine<'a>(&'a self, _: Whose<'a>) -> Answering<'a, Vec<Check>> {
        Box::pin(self.look())
    }
}
