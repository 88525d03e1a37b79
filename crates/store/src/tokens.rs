//! What programs show instead of a session. Of each token only the digest is here.

use std::time::Duration;

use keyblind_intent::{Digest, SubjectId, TenantId, UnixMillis};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::database::{moment, text, time};
use crate::identifiers::random;
use crate::missions::record;
use crate::sessions::later;
use crate::{Store, StoreError};

/// A token that is to be made.
#[derive(Clone, Debug)]
pub struct NewToken<'t> {
    /// Whose data it opens.
    pub tenant: &'t TenantId,
    /// For whom it stands.
    pub subject: &'t SubjectId,
    /// What its owner calls it.
    pub name: &'t str,
    /// What it may do: words between spaces.
    pub scopes: &'t str,
    /// How long it lives.
    pub life: Duration,
}

/// A token, without what opens anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its identifier.
    pub id: String,
    /// Whose data it opens.
    pub tenant: TenantId,
    /// For whom it stands.
    pub subject: SubjectId,
    /// What its owner calls it: text of others.
    pub name: String,
    /// What it may do: words between spaces.
    pub scopes: String,
    /// When it was made.
    pub begun: UnixMillis,
    /// When it ends.
    pub ends: UnixMillis,
    /// When it was last used, to the minute.
    pub used: Option<UnixMillis>,
}

/// Uses nearer to one another than this are one.
const GRAIN: Duration = Duration::from_secs(60);

impl TokenRow {
    fn of(row: &AnyRow) -> Result<Self, StoreError> {
        let used: Option<i64> = row.try_get("used")?;
        let used = used.map(|used| u64::try_from(used).map(UnixMillis::new).map_err(|_| StoreError::Unexpected("a negative number")));
        Ok(Self {
            id: text(row, "id")?,
            tenant: TenantId::new(text(row, "tenant")?).map_err(|_| StoreError::Unexpected("a tenant's name"))?,
            subject: SubjectId::new(text(row, "subject")?).map_err(|_| StoreError::Unexpected("a subject's name"))?,
            name: text(row, "name")?,
            scopes: text(row, "scopes")?,
            begun: time(row, "begun")?,
            ends: time(row, "ends")?,
            used: used.transpose()?,
        })
    }
}

impl Store {
    /// Makes a token; gives its identifier.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn make_token(&self, digest: &Digest, token: &NewToken<'_>, now: UnixMillis) -> Result<String, StoreError> {
        let id = random()?.to_string();
        let mut transaction = self.write().await?;
        sqlx::query("INSERT INTO tokens (id, digest, tenant, subject, name, scopes, begun, ends) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(id.clone())
            .bind(digest.to_string())
            .bind(token.tenant.as_str().to_owned())
            .bind(token.subject.as_str().to_owned())
            .bind(token.name.to_owned())
            .bind(token.scopes.to_owned())
            .bind(moment(now)?)
            .bind(moment(later(now, token.life))?)
            .execute(&mut *transaction)
            .await?;
        record(&mut transaction, token.tenant, token.subject.as_str(), "token made", None, now).await?;
        transaction.commit().await?;
        Ok(id)
    }

    /// The token of a secret, if it lives. Its use is written down.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn token(&self, digest: &Digest, now: UnixMillis) -> Result<Option<TokenRow>, StoreError> {
        let row = sqlx::query("SELECT * FROM tokens WHERE digest = $1 AND ends > $2")
            .bind(digest.to_string())
            .bind(moment(now)?)
            .fetch_optional(self.pool())
            .await?;
        let Some(token) = row.as_ref().map(TokenRow::of).transpose()? else { return Ok(None) };
        if token.used.is_none_or(|used| later(used, GRAIN) < now) {
            sqlx::query("UPDATE tokens SET used = $2 WHERE id = $1").bind(token.id.clone()).bind(moment(now)?).execute(self.pool()).await?;
        }
        Ok(Some(token))
    }

    /// Somebody's tokens, the newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn tokens(&self, tenant: &TenantId, subject: &SubjectId) -> Result<Vec<TokenRow>, StoreError> {
        let rows = sqlx::query("SELECT * FROM tokens WHERE tenant = $1 AND subject = $2 ORDER BY begun DESC, id DESC")
            .bind(tenant.as_str().to_owned())
            .bind(subject.as_str().to_owned())
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(TokenRow::of).collect()
    }

    /// Ends a token of somebody's own; whether there was one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn end_token(&self, tenant: &TenantId, subject: &SubjectId, id: &str, now: UnixMillis) -> Result<bool, StoreError> {
        let mut transaction = self.write().await?;
        let ended = sqlx::query("DELETE FROM tokens WHERE tenant = $1 AND subject = $2 AND id = $3")
            .bind(tenant.as_str().to_owned())
            .bind(subject.as_str().to_owned())
            .bind(id.to_owned())
            .execute(&mut *transaction)
            .await?
            .rows_affected();
        if ended == 1 {
            record(&mut transaction, tenant, subject.as_str(), "token ended", None, now).await?;
            transaction.commit().await?;
        }
        Ok(ended == 1)
    }
}
