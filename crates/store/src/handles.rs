//! With what the application asks the broker for people who are logged in.
//!
//! A handle reads and proposes for its person at the broker, and nowhere else; the broker ends it. It is in no row of a mission: a step
//! looks for its owner's newest one when it asks.

use keyblind_intent::{Handle, SubjectId, TenantId, UnixMillis};

use crate::database::{moment, text};
use crate::{Store, StoreError};

impl Store {
    /// Keeps a person's handle; those that are over are forgotten.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn keep_handle(
        &self,
        tenant: &TenantId,
        subject: &SubjectId,
        handle: &Handle,
        expires: UnixMillis,
        now: UnixMillis,
    ) -> Result<(), StoreError> {
        let mut transaction = self.write().await?;
        sqlx::query("DELETE FROM handles WHERE expires <= $1").bind(moment(now)?).execute(&mut *transaction).await?;
        sqlx::query("INSERT INTO handles (handle, tenant, subject, expires) VALUES ($1, $2, $3, $4) ON CONFLICT (handle) DO NOTHING")
            .bind(handle.expose().to_owned())
            .bind(tenant.as_str().to_owned())
            .bind(subject.as_str().to_owned())
            .bind(moment(expires)?)
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(())
    }

    /// The handle of a person that lives longest, if one lives.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn handle(&self, tenant: &TenantId, subject: &SubjectId, now: UnixMillis) -> Result<Option<Handle>, StoreError> {
        let row = sqlx::query(
            "SELECT handle FROM handles WHERE tenant = $1 AND subject = $2 AND expires > $3 ORDER BY expires DESC, handle LIMIT 1",
        )
        .bind(tenant.as_str().to_owned())
        .bind(subject.as_str().to_owned())
        .bind(moment(now)?)
        .fetch_optional(self.pool())
        .await?;
        let handle = |row| Handle::new(text(row, "handle")?).map_err(|_| StoreError::Unexpected("a handle"));
        row.as_ref().map(handle).transpose()
    }

    /// Forgets a handle that the broker doesn't know any more, or whose person has logged out.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn forget_handle(&self, handle: &Handle) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM handles WHERE handle = $1").bind(handle.expose().to_owned()).execute(self.pool()).await?;
        Ok(())
    }
}
