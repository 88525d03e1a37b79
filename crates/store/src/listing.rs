//! Lists for people: missions by state and kind, and what a mission made.

use keyblind_intent::{Digest, TenantId};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use crate::database::{number, text};
use crate::{MissionId, MissionRow, MissionState, Page, Store, StoreError};

/// Which missions are wanted; what isn't said doesn't matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wanted<'w> {
    /// Those in a state.
    pub state: Option<MissionState>,
    /// Those of a kind.
    pub kind: Option<&'w str>,
}

/// What a mission made, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRow {
    /// Its name.
    pub name: String,
    /// The digest of its bytes.
    pub digest: Digest,
    /// How many bytes it has.
    pub bytes: u64,
}

impl Store {
    /// A tenant's missions that are wanted, the newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn wanted_missions(&self, tenant: &TenantId, wanted: Wanted<'_>, page: Page) -> Result<Vec<MissionRow>, StoreError> {
        // A mission after which a page begins is one of the tenant's own, or the page is empty.
        let rows = sqlx::query(
            "SELECT m.* FROM missions m LEFT JOIN missions a ON a.id = $4 AND a.tenant = $1 \
             WHERE m.tenant = $1 AND ($2 = '' OR m.state = $2) AND ($3 = '' OR m.kind = $3) \
             AND ($4 = '' OR m.begun < a.begun OR (m.begun = a.begun AND m.id < a.id)) \
             ORDER BY m.begun DESC, m.id DESC LIMIT $5",
        )
        .bind(tenant.as_str().to_owned())
        .bind(wanted.state.map_or("", MissionState::word).to_owned())
        .bind(wanted.kind.unwrap_or_default().to_owned())
        .bind(page.after.map(|id| id.to_string()).unwrap_or_default())
        .bind(i64::from(page.most))
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(MissionRow::of).collect()
    }

    /// How many missions a tenant has in each state; a state without one isn't named.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn missions_by_state(&self, tenant: &TenantId) -> Result<Vec<(MissionState, u64)>, StoreError> {
        let rows = sqlx::query("SELECT state, COUNT(*) AS missions FROM missions WHERE tenant = $1 GROUP BY state ORDER BY state")
            .bind(tenant.as_str().to_owned())
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok((MissionState::of(&text(row, "state")?)?, number(row, "missions")?))).collect()
    }

    /// How many missions there are in each state, of all tenants: for whoever keeps the server running.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn all_missions_by_state(&self) -> Result<Vec<(MissionState, u64)>, StoreError> {
        let rows =
            sqlx::query("SELECT state, COUNT(*) AS missions FROM missions GROUP BY state ORDER BY state").fetch_all(self.pool()).await?;
        rows.iter().map(|row| Ok((MissionState::of(&text(row, "state")?)?, number(row, "missions")?))).collect()
    }

    /// What a mission made, by name.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn documents(&self, tenant: &TenantId, id: MissionId) -> Result<Vec<DocumentRow>, StoreError> {
        let rows = sqlx::query(
            "SELECT d.name, d.digest, LENGTH(d.bytes) AS size FROM documents d JOIN missions m ON m.id = d.mission \
             WHERE m.tenant = $1 AND d.mission = $2 ORDER BY d.name",
        )
        .bind(tenant.as_str().to_owned())
        .bind(id.to_string())
        .fetch_all(self.pool())
        .await?;
        let document = |row: &AnyRow| {
            // One database counts in 32 bits, the other in 64.
            let bytes = row.try_get::<i64, _>("size").or_else(|_| row.try_get::<i32, _>("size").map(i64::from))?;
            Ok(DocumentRow {
                name: text(row, "name")?,
                digest: text(row, "digest")?.parse().map_err(|_| StoreError::Unexpected("a digest"))?,
                bytes: u64::try_from(bytes).map_err(|_| StoreError::Unexpected("a negative number"))?,
            })
        };
        rows.iter().map(document).collect()
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// If it doesn't.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").fetch_one(self.pool()).await?;
        Ok(())
    }
}
