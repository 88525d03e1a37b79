//! Who is logged in: sessions, and links that begin one. Of each secret only the digest is here.

use std::time::Duration;

use keyblind_intent::{Digest, SubjectId, TenantId, UnixMillis};
use sqlx::any::AnyRow;
use sqlx::{Any, Transaction};

use crate::database::{moment, optional_text, text, time};
use crate::missions::record;
use crate::{Store, StoreError};

/// Somebody who logs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Whose data they see.
    pub tenant: TenantId,
    /// Who they are, in a form that others can't guess a name from.
    pub subject: SubjectId,
    /// What people call them: text of others.
    pub name: String,
    /// The word for what they may do.
    pub role: String,
    /// By what the broker knows them; it reads and proposes, and approves nothing.
    pub handle: Option<String>,
}

impl Person {
    fn of(row: &AnyRow, handle: Option<String>) -> Result<Self, StoreError> {
        Ok(Self {
            tenant: TenantId::new(text(row, "tenant")?).map_err(|_| StoreError::Unexpected("a tenant's name"))?,
            subject: SubjectId::new(text(row, "subject")?).map_err(|_| StoreError::Unexpected("a subject's name"))?,
            name: text(row, "name")?,
            role: text(row, "role")?,
            handle,
        })
    }
}

/// A session that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Whose it is.
    pub person: Person,
    /// When it began.
    pub begun: UnixMillis,
    /// When it ends, however it is used.
    pub ends: UnixMillis,
}

/// How long a session that nobody uses lives, and how often its use is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// The longest time between two uses.
    pub most: Duration,
    /// Uses nearer to one another than this are one.
    pub grain: Duration,
}

impl Store {
    /// Makes a link that begins a session once.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn make_login_link(&self, secret: &Digest, person: &Person, now: UnixMillis, life: Duration) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM login_links WHERE ends <= $1").bind(moment(now)?).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO login_links (digest, tenant, subject, name, role, ends) VALUES ($1, $2, $3, $4, $5, $6)")
            .bind(secret.to_string())
            .bind(person.tenant.as_str().to_owned())
            .bind(person.subject.as_str().to_owned())
            .bind(person.name.clone())
            .bind(person.role.clone())
            .bind(moment(later(now, life))?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// Uses a link up, and begins its session; nothing if it was used, has ended or never was.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn use_login_link(
        &self,
        link: &Digest,
        session: &Digest,
        now: UnixMillis,
        life: Duration,
    ) -> Result<Option<Person>, StoreError> {
        let mut transaction = self.write().await?;
        let row = sqlx::query("DELETE FROM login_links WHERE digest = $1 RETURNING *")
            .bind(link.to_string())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let is_over = time(&row, "ends")? <= now;
        let person = Person::of(&row, None)?;
        if !is_over {
            begin(&mut transaction, session, &person, now, life, "logged in with a one-time link").await?;
        }
        transaction.commit().await?;
        Ok((!is_over).then_some(person))
    }

    /// Begins a session for somebody whom the broker knows.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn begin_session(&self, session: &Digest, person: &Person, now: UnixMillis, life: Duration) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        begin(&mut transaction, session, person, now, life, "logged in").await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The session of a secret, if it lives. Looking at it keeps it alive.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn session(&self, digest: &Digest, now: UnixMillis, idle: Idle) -> Result<Option<Session>, StoreError> {
        let row = sqlx::query("SELECT * FROM sessions WHERE digest = $1 AND ends > $2 AND seen > $3")
            .bind(digest.to_string())
            .bind(moment(now)?)
            .bind(moment(earlier(now, idle.most))?)
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        if time(&row, "seen")? < earlier(now, idle.grain) {
            sqlx::query("UPDATE sessions SET seen = $2 WHERE digest = $1")
                .bind(digest.to_string())
                .bind(moment(now)?)
                .execute(self.pool())
                .await?;
        }
        let handle = optional_text(&row, "handle")?;
        Ok(Some(Session { person: Person::of(&row, handle)?, begun: time(&row, "begun")?, ends: time(&row, "ends")? }))
    }

    /// Ends a session; whether it lived.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn end_session(&self, digest: &Digest, now: UnixMillis) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let row = sqlx::query("DELETE FROM sessions WHERE digest = $1 RETURNING *")
            .bind(digest.to_string())
            .fetch_optional(&mut *transaction)
            .await?;
        let Some(row) = row else { return Ok(false) };
        let person = Person::of(&row, None)?;
        record(&mut transaction, &person.tenant, person.subject.as_str(), "logged out", None, now).await?;
        transaction.commit().await?;
        Ok(true)
    }

    /// Ends every session of somebody; how many there were.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn end_sessions_of(&self, tenant: &TenantId, subject: &SubjectId) -> Result<u64, StoreError> {
        let ended = sqlx::query("DELETE FROM sessions WHERE tenant = $1 AND subject = $2")
            .bind(tenant.as_str().to_owned())
            .bind(subject.as_str().to_owned())
            .execute(self.pool())
            .await?;
        Ok(ended.rows_affected())
    }

    /// Removes sessions, links and tokens that are over; how many there were.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget_ended_logins(&self, now: UnixMillis, idle: Idle) -> Result<u64, StoreError> {
        let sessions = sqlx::query("DELETE FROM sessions WHERE ends <= $1 OR seen <= $2")
            .bind(moment(now)?)
            .bind(moment(earlier(now, idle.most))?)
            .execute(self.pool())
            .await?
            .rows_affected();
        let links = sqlx::query("DELETE FROM login_links WHERE ends <= $1").bind(moment(now)?).execute(self.pool()).await?.rows_affected();
        let tokens = sqlx::query("DELETE FROM tokens WHERE ends <= $1").bind(moment(now)?).execute(self.pool()).await?.rows_affected();
        Ok(sessions + links + tokens)
    }
}

async fn begin(
    transaction: &mut Transaction<'static, Any>,
    digest: &Digest,
    person: &Person,
    now: UnixMillis,
    life: Duration,
    how: &str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO sessions (digest, tenant, subject, name, role, handle, begun, seen, ends) VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8)",
    )
    .bind(digest.to_string())
    .bind(person.tenant.as_str().to_owned())
    .bind(person.subject.as_str().to_owned())
    .bind(person.name.clone())
    .bind(person.role.clone())
    .bind(person.handle.clone())
    .bind(moment(now)?)
    .bind(moment(later(now, life))?)
    .execute(&mut **transaction)
    .await?;
    record(transaction, &person.tenant, person.subject.as_str(), how, None, now).await
}

pub(crate) fn later(now: UnixMillis, span: Duration) -> UnixMillis {
    UnixMillis::new(now.get().saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}

fn earlier(now: UnixMillis, span: Duration) -> UnixMillis {
    UnixMillis::new(now.get().saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
}
