//! Who asks: a person with a session, or a program with a token.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use keyblind_intent::{SubjectId, TenantId};

use crate::failure::{ApiFailure, Failure, PageFailure};
use crate::secrets::{Secret, is_same};
use crate::tokens::Scope;
use crate::{Role, Web};

/// The header in which a script's request carries the form token.
pub(crate) const FORM_TOKEN_HEADER: &str = "x-form-token";

/// A person with a session that lives.
#[derive(Clone, Debug)]
pub(crate) struct Visitor {
    pub(crate) tenant: TenantId,
    pub(crate) subject: SubjectId,
    /// Text of others.
    pub(crate) name: String,
    pub(crate) role: Role,
    /// What forms of this session carry.
    pub(crate) form_token: String,
    /// The broker's own origin.
    pub(crate) door: Option<String>,
    pub(crate) secret: Secret,
    /// By what the broker knows this login.
    pub(crate) handle: Option<String>,
}

impl Visitor {
    /// Goes on only for somebody with this role or a higher one.
    pub(crate) fn must_be(&self, role: Role) -> Result<(), Failure> {
        must_be(self.role, role)
    }

    /// The session of a request's cookie.
    async fn of(headers: &HeaderMap, web: &Web) -> Result<Self, Failure> {
        let secret = cookie(headers, session_cookie(web)).and_then(Secret::shown).ok_or(Failure::NoSession)?;
        let session = web.store.session(&secret.digest(), web.now(), web.settings.idle()).await?.ok_or(Failure::NoSession)?;
        let person = session.person;
        // A role that this version doesn't know is none.
        let role = Role::of(&person.role).ok_or(Failure::NoSession)?;
        Ok(Self {
            tenant: person.tenant,
            subject: person.subject,
            name: person.name,
            role,
            form_token: secret.form_token(),
            door: web.settings.door.clone(),
            secret,
            handle: person.handle,
        })
    }
}

impl FromRequestParts<Web> for Visitor {
    type Rejection = PageFailure;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, PageFailure> {
        Ok(Self::of(&parts.headers, web).await?)
    }
}

fn must_be(role: Role, least: Role) -> Result<(), Failure> {
    if role >= least {
        return Ok(());
    }
    Err(Failure::Forbidden(format!("This takes the role {}, and yours is {}.", least.word(), role.word())))
}

/// Who uses the API: a program with a token, or a page of our own with its session.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) tenant: TenantId,
    pub(crate) subject: SubjectId,
    role: Role,
    /// What the token may do; none for a session.
    scopes: Option<Vec<Scope>>,
}

impl Caller {
    /// Goes on only if this may be done.
    pub(crate) fn must_have(&self, scope: Scope) -> Result<(), Failure> {
        must_be(self.role, scope.role())?;
        match &self.scopes {
            Some(scopes) if !scopes.contains(&scope) => Err(Failure::Forbidden(format!("This takes a token with `{}`.", scope.word()))),
            _ => Ok(()),
        }
    }
}

impl FromRequestParts<Web> for Caller {
    type Rejection = ApiFailure;

    async fn from_request_parts(parts: &mut Parts, web: &Web) -> Result<Self, ApiFailure> {
        let headers = &parts.headers;
        if headers.contains_key(header::AUTHORIZATION) {
            let shown = only(headers, &header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
            let secret =
                shown.and_then(|value| value.strip_prefix(crate::tokens::PREFIX)).and_then(Secret::shown).ok_or(Failure::NoToken)?;
            let token = web.store.token(&secret.digest(), web.now()).await?.ok_or(Failure::NoToken)?;
            let scopes: Vec<Scope> = token.scopes.split(' ').filter_map(Scope::of).collect();
            let role = scopes.iter().map(|scope| scope.role()).max().ok_or(Failure::NoToken)?;
            return Ok(Self { tenant: token.tenant, subject: token.subject, role, scopes: Some(scopes) });
        }
        let visitor = Visitor::of(headers, web).await.map_err(|failure| match failure {
            Failure::NoSession => Failure::NoToken,
            other => other,
        })?;
        if !is_reading(&parts.method) {
            let shown = headers.get(FORM_TOKEN_HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
            if !is_from_here(headers, web) || !is_same(shown, &visitor.form_token) {
                return Err(Failure::Forbidden("A session alone changes nothing here: use a token, or the pages.".to_owned()).into());
            }
        }
        Ok(Self { tenant: visitor.tenant, subject: visitor.subject, role: visitor.role, scopes: None })
    }
}

/// Whether a request only looks.
pub(crate) fn is_reading(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether a browser says that a page of ours sent this.
pub(crate) fn is_from_here(headers: &HeaderMap, web: &Web) -> bool {
    only(headers, &header::ORIGIN) == Some(web.settings.origin.text.as_str())
        && headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin")
}

/// The header's value if it is there exactly once.
pub(crate) fn only<'h>(headers: &'h HeaderMap, name: &header::HeaderName) -> Option<&'h str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_some() { None } else { first.to_str().ok() }
}

/// The session's cookie. Its prefix keeps other hosts and plain connections from setting it (RFC 6265bis, section 4.1.3.2).
pub(crate) fn session_cookie(web: &Web) -> &'static str {
    if web.settings.origin.is_secure { "__Host-keyblind" } else { "keyblind" }
}

/// The value of a cookie that is there exactly once.
pub(crate) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut found = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('=')).filter(|(key, _)| *key == name);
    let (_, value) = found.next()?;
    if found.next().is_some() { None } else { Some(value) }
}

/// What sets a session's cookie; without a secret it takes the cookie away.
pub(crate) fn set_session(web: &Web, secret: Option<&Secret>) -> HeaderValue {
    let secure = if web.settings.origin.is_secure { "; Secure" } else { "" };
    let (value, life) = secret.map_or(("", 0), |secret| (secret.as_str(), web.settings.longest.as_secs()));
    let text = format!("{}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={life}{secure}", session_cookie(web));
    // Letters, digits and what stands above.
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Whose address a request comes from.
pub(crate) fn address(parts_extensions: &axum::http::Extensions, headers: &HeaderMap, web: &Web) -> IpAddr {
    let peer = parts_extensions.get::<ConnectInfo<SocketAddr>>().map(|ConnectInfo(address)| address.ip());
    let told = web.settings.address_header.as_ref().and_then(|crate::settings::AddressHeader(name)| {
        // The last one is what the proxy in front wrote; the ones before may be anybody's.
        let last = headers.get_all(name).iter().next_back()?.to_str().ok()?;
        last.rsplit(',').next()?.trim().parse().ok()
    });
    crate::rates::household(told.or(peer).unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED)))
}
