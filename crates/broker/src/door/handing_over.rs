//! Handing a login over to the application's pages: a code that their browser carries there, and a handle with which the application
//! asks for them afterwards.
//!
//! A code is good once, within a minute, for the browser that the application sent (its state). A handle reads and proposes; nothing here
//! lets it approve: approving takes a session of these pages, a passkey or a phone. It ends with the session's log-out, with a stop, when
//! the person has left or the policy doesn't list them any more, when the application ends it, and by its time. The database knows codes
//! and handles by their digests only.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use data_encoding::BASE64URL_NOPAD;
use keyblind_intent::{
    Digest, Foreign, HandOverCode, HandOverState, HandedOver, Handle, PolicyRole, Refusal, Report, RequestId, SubjectId, TenantId,
    UnixMillis,
};
use rusqlite::{OptionalExtension, Transaction, params};
use serde::Deserialize;

use super::answers::{Instead, Known, form};
use super::sessions::{self, LONGEST, Session, millis, random};
use super::{Door, Origin};
use crate::approvals::policy::{Identity, Role};
use crate::approvals::{ApprovalError, Approvals, Entry, Journal, ledger_name};
use crate::clock::{Clock, Timestamp};
use crate::database::{Database, DatabaseError};
use crate::dispatch::{self, Answering};

/// How long a code is good: a browser goes straight from one page to the other.
const CODE_LIFE: Duration = Duration::from_secs(60);
/// Handles of one person that live at the same time: a new one beyond ends the oldest.
const MOST_HANDLES: u32 = 50;
/// Groups of one person that are told.
const MOST_GROUPS: usize = 100;

/// The application's address to which browsers are sent back.
pub(super) const RETURN: &str = "/login/return";

/// Hands logins over.
pub struct HandOvers {
    database: Database,
    approvals: Approvals,
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
}

/// A session whose code came back in time.
struct Taken {
    session: Digest,
    identity: Identity,
    tenant: String,
    name: String,
    groups: String,
    begun: Timestamp,
}

/// A handle as the database has it.
struct Row {
    digest: Vec<u8>,
    id: [u8; 16],
    tenant: String,
    who: String,
}

impl HandOvers {
    /// On the broker's database.
    pub fn new(database: Database, approvals: Approvals, clock: Arc<dyn Clock>) -> Self {
        let journal = approvals.journal();
        Self { database, approvals, journal, clock }
    }

    /// A code for the session's browser.
    pub(super) async fn code(&self, session: &Session, state: &HandOverState) -> Result<HandOverCode, DatabaseError> {
        let (secret, session, state, now) = (random()?, session.digest(), digest_of(state.expose()), self.clock.now());
        self.database
            .transact(move |transaction| -> Result<(), DatabaseError> {
                transaction.execute(
                    "INSERT INTO door_code (digest, state, session, expires) VALUES (?1, ?2, ?3, ?4)",
                    params![
                        Digest::of(BASE64URL_NOPAD.encode(&secret).as_bytes()).as_bytes(),
                        state.as_bytes(),
                        session.as_bytes(),
                        millis(now.saturating_add(CODE_LIFE))
                    ],
                )?;
                Ok(())
            })
            .await?;
        HandOverCode::new(BASE64URL_NOPAD.encode(&secret)).map_err(|_| DatabaseError::Unexpected("a code that is none"))
    }

    /// Uses a code up, whatever comes of it.
    async fn take(&self, code: &HandOverCode, state: &HandOverState) -> Result<Option<Taken>, DatabaseError> {
        let (code, state, now) = (digest_of(code.expose()), digest_of(state.expose()), self.clock.now());
        self.database
            .transact(move |transaction| {
                let found = transaction
                    .query_row("DELETE FROM door_code WHERE digest = ?1 RETURNING state, session, expires", [code.as_bytes()], |row| {
                        Ok((row.get::<_, [u8; 32]>(0)?, row.get::<_, [u8; 32]>(1)?, row.get::<_, i64>(2)?))
                    })
                    .optional()?;
                let Some((expected, session, expires)) = found else { return Ok(None) };
                if expires <= millis(now) || Digest::from_bytes(expected) != state {
                    return Ok(None);
                }
                let session = Digest::from_bytes(session);
                let Some(living) = sessions::living(transaction, &session, now)? else { return Ok(None) };
                let owner = living.owner;
                Ok(Some(Taken {
                    session,
                    identity: owner.identity,
                    tenant: owner.tenant,
                    name: living.name,
                    groups: living.groups,
                    begun: living.begun_at,
                }))
            })
            .await
    }

    /// The roles of somebody who has a place in that tenant; none if they have none.
    async fn place(&self, identity: &Identity, tenant: &str) -> Result<Option<Vec<PolicyRole>>, Refusal> {
        let policy = match self.approvals.policy().await {
            Ok((_, policy)) => Some(policy),
            Err(ApprovalError::NoPolicy) => None,
            Err(_) => return Err(Refusal::Internal),
        };
        let person = policy.as_ref().and_then(|policy| policy.person_of(identity)).filter(|person| person.belongs_to(tenant));
        Ok(match person {
            Some(person) => Some(Role::ALL.into_iter().filter(|role| person.has(*role)).map(role).collect()),
            None if identity.is_of_this_broker() => Some(Vec::new()),
            None => None,
        })
    }

    async fn give(&self, taken: Taken) -> Result<Report, Refusal> {
        let Some(roles) = self.place(&taken.identity, &taken.tenant).await? else { return Err(Refusal::BadCode) };
        let (Some(subject), Ok(tenant)) = (taken.identity.to_subject(), TenantId::new(taken.tenant.as_str())) else {
            return Err(Refusal::BadCode);
        };
        let policy = self.approvals.policy().await.ok().map(|(_, policy)| policy);
        let who = ledger_name(policy.as_ref(), &taken.identity);
        let secret = BASE64URL_NOPAD.encode(&random().map_err(|_| Refusal::Internal)?);
        let id = random().map_err(|_| Refusal::Internal)?;
        let id = RequestId::from_bytes(std::array::from_fn(|index| id[index]));
        let (now, expires) = (self.clock.now(), taken.begun.saturating_add(LONGEST));
        let (digest, journal) = (digest_of(&secret), Arc::clone(&self.journal));
        let (session, identity, tenant_name) = (taken.session, taken.identity, taken.tenant);
        let born = self
            .database
            .transact(move |transaction| -> Result<bool, DatabaseError> {
                // It may have ended since the code was taken.
                if sessions::living(transaction, &session, now)?.is_none() {
                    return Ok(false);
                }
                let oldest = "SELECT digest FROM door_handle WHERE issuer = ?1 AND subject = ?2 ORDER BY born DESC LIMIT -1 OFFSET ?3";
                let beyond = params![identity.issuer(), identity.subject(), MOST_HANDLES - 1];
                end_where(transaction, Some(&*journal), now, "too-many", &format!("digest IN ({oldest})"), beyond)?;
                let entry = Entry::HandedOver { tenant: tenant_name.clone(), who: who.clone(), handle: id, expires };
                journal.append(transaction, now, &entry)?;
                transaction.execute(
                    "INSERT INTO door_handle (digest, id, session, issuer, subject, tenant, who, born, expires) \
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                    params![
                        digest.as_bytes(),
                        id.as_bytes(),
                        session.as_bytes(),
                        identity.issuer(),
                        identity.subject(),
                        tenant_name,
                        who,
                        millis(now),
                        millis(expires)
                    ],
                )?;
                Ok(true)
            })
            .await
            .map_err(|_| Refusal::Internal)?;
        if !born {
            return Err(Refusal::BadCode);
        }
        let groups: Vec<String> = serde_json::from_str(&taken.groups).unwrap_or_default();
        Ok(Report::HandedOver {
            person: Box::new(HandedOver {
                subject,
                tenant,
                name: Foreign::new(&taken.name),
                groups: groups.iter().take(MOST_GROUPS).map(|group| Foreign::new(group)).collect(),
                roles,
                handle: Handle::new(secret).map_err(|_| Refusal::Internal)?,
                expires: UnixMillis::new(expires.unix_millis()),
            }),
        })
    }

    /// Whose a handle is that lives.
    async fn owner(&self, handle: &Handle) -> Result<(Identity, String), Refusal> {
        let (digest, now) = (digest_of(handle.expose()), self.clock.now());
        let found = self.database.transact(move |transaction| {
            Ok::<_, DatabaseError>(
                transaction
                    .query_row(
                        "SELECT issuer, subject, tenant FROM door_handle WHERE digest = ?1 AND expires > ?2",
                        params![digest.as_bytes(), millis(now)],
                        |row| Ok((Identity::new(row.get::<_, String>(0)?, row.get::<_, String>(1)?), row.get::<_, String>(2)?)),
                    )
                    .optional()?,
            )
        });
        found.await.map_err(|_| Refusal::Internal)?.ok_or(Refusal::NotLoggedIn)
    }

    async fn end_one(&self, handle: &Handle, reason: &'static str) -> Result<(), Refusal> {
        let (digest, now, journal) = (digest_of(handle.expose()), self.clock.now(), Arc::clone(&self.journal));
        let ended = self
            .database
            .transact(move |transaction| end_where(transaction, Some(&*journal), now, reason, "digest = ?1", params![digest.as_bytes()]));
        ended.await.map(drop).map_err(|_| Refusal::Internal)
    }
}

impl dispatch::Logins for HandOvers {
    fn take_over<'a>(&'a self, code: &'a HandOverCode, state: &'a HandOverState) -> Answering<'a, Result<Report, Refusal>> {
        Box::pin(async move {
            let taken = self.take(code, state).await.map_err(|_| Refusal::Internal)?;
            self.give(taken.ok_or(Refusal::BadCode)?).await
        })
    }

    fn behind<'a>(&'a self, handle: &'a Handle) -> Answering<'a, Result<(TenantId, SubjectId), Refusal>> {
        Box::pin(async move {
            let (identity, tenant) = self.owner(handle).await?;
            if self.place(&identity, &tenant).await?.is_none() {
                self.end_one(handle, "no-place").await?;
                return Err(Refusal::NotLoggedIn);
            }
            let subject = identity.to_subject().ok_or(Refusal::NotLoggedIn)?;
            Ok((TenantId::new(tenant).map_err(|_| Refusal::Internal)?, subject))
        })
    }

    fn end<'a>(&'a self, handle: &'a Handle) -> Answering<'a, Result<Report, Refusal>> {
        Box::pin(async move {
            self.end_one(handle, "logged-out").await?;
            Ok(Report::HandleEnded)
        })
    }
}

fn role(role: Role) -> PolicyRole {
    match role {
        Role::Member => PolicyRole::Member,
        Role::Approver => PolicyRole::Approver,
        Role::Security => PolicyRole::Security,
        Role::Owner => PolicyRole::Owner,
    }
}

/// Codes, states and handles are known by the digest of their text.
fn digest_of(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

/// Ends the handles that `condition` chooses, and records each where there is a journal.
pub(super) fn end_where(
    transaction: &Transaction<'_>,
    journal: Option<&dyn Journal>,
    now: Timestamp,
    reason: &'static str,
    condition: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<usize, DatabaseError> {
    let mut statement = transaction.prepare(&format!("SELECT digest, id, tenant, who FROM door_handle WHERE {condition}"))?;
    let rows =
        statement.query_map(values, |row| Ok(Row { digest: row.get(0)?, id: row.get(1)?, tenant: row.get(2)?, who: row.get(3)? }))?;
    let rows: Vec<Row> = rows.collect::<Result<_, _>>()?;
    for Row { digest, id, tenant, who } in &rows {
        let entry = Entry::HandleEnded { tenant: tenant.clone(), who: who.clone(), handle: RequestId::from_bytes(*id), reason };
        if let Some(journal) = journal {
            journal.append(transaction, now, &entry)?;
        }
        transaction.execute("DELETE FROM door_handle WHERE digest = ?1", [digest])?;
    }
    Ok(rows.len())
}

/// Ends all handles, and takes all codes back.
pub(super) fn end_all(transaction: &Transaction<'_>, journal: Option<&dyn Journal>, now: Timestamp) -> Result<(), DatabaseError> {
    end_where(transaction, journal, now, "stopped", "true", &[])?;
    transaction.execute_batch("DELETE FROM door_code")?;
    Ok(())
}

/// Removes what has died by its time: codes, and handles with their last word.
pub(super) fn tidy(transaction: &Transaction<'_>, journal: Option<&dyn Journal>, now: Timestamp) -> Result<usize, DatabaseError> {
    let removed = transaction.execute("DELETE FROM door_code WHERE expires <= ?1", [millis(now)])?;
    Ok(removed + end_where(transaction, journal, now, "expired", "expires <= ?1", params![millis(now)])?)
}

#[derive(Deserialize)]
pub(super) struct StateQuery {
    #[serde(default)]
    state: String,
}

/// Sends a browser that the application sent here back with a code. Where to is the configuration's word; nothing in the address changes it.
pub(super) async fn hand_over(
    State(door): State<Door>,
    Known(session): Known,
    sent: Result<Form<StateQuery>, FormRejection>,
) -> Result<Response, Instead> {
    let Some((origin, hand_overs)) = &door.application else {
        return Err(Instead::Failed(
            StatusCode::NOT_FOUND,
            "No application is set up here",
            "Whoever runs the broker names it as `application` under [door].".to_owned(),
        ));
    };
    let Ok(state) = HandOverState::new(form(sent)?.state) else {
        return Err(Instead::Failed(
            StatusCode::BAD_REQUEST,
            "This isn’t the application’s link",
            "Go to the application’s pages and log in from there.".to_owned(),
        ));
    };
    if session.identity.to_subject().is_none() {
        return Err(Instead::Failed(
            StatusCode::FORBIDDEN,
            "The application can’t speak for you",
            "The identity provider’s name for you is longer than 128 characters, or has characters that the broker doesn’t take."
                .to_owned(),
        ));
    }
    let code = hand_overs.code(&session, &state).await?;
    let to = format!("{}{RETURN}?code={}&state={}", origin.as_str(), code.expose(), state.expose());
    Ok(Redirect::to(&to).into_response())
}

/// The application whose pages logins are handed over to.
pub(super) type Application = (Origin, Arc<HandOvers>);
