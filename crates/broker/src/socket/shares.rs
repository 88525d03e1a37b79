//! Room that tenants share, of which none can take all.
//!
//! One half is there for whoever comes first. The other is divided among the tenants that the configuration knows, so that each has room of its
//! own however much another asks for. Where there is only one tenant, all of it is that tenant's.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use keyblind_intent::TenantId;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Places, or kibibytes.
pub(super) struct Shares {
    all: usize,
    common: Arc<Semaphore>,
    own: BTreeMap<TenantId, Arc<Semaphore>>,
}

impl Shares {
    /// So many for these tenants.
    pub(super) fn new<'t>(all: usize, tenants: impl IntoIterator<Item = &'t TenantId>) -> Self {
        let mut tenants: BTreeSet<&TenantId> = tenants.into_iter().collect();
        if tenants.len() < 2 {
            tenants.clear();
        }
        let each = all.checked_div(2 * tenants.len()).unwrap_or(0);
        let common = Arc::new(Semaphore::new(all - each * tenants.len()));
        Self { all, common, own: tenants.into_iter().map(|tenant| (tenant.clone(), Arc::new(Semaphore::new(each)))).collect() }
    }

    /// So many at once, if there is room for them now: of the tenant's own, or else of what is common.
    pub(super) fn try_take(&self, tenant: &TenantId, count: u32) -> Option<OwnedSemaphorePermit> {
        let own = self.own.get(tenant).and_then(|own| Arc::clone(own).try_acquire_many_owned(count).ok());
        own.or_else(|| Arc::clone(&self.common).try_acquire_many_owned(count).ok())
    }

    /// One, as soon as there is one.
    ///
    /// # Errors
    /// If there never will be.
    pub(super) async fn take(&self, tenant: &TenantId) -> Result<OwnedSemaphorePermit, AcquireError> {
        let common = Arc::clone(&self.common).acquire_owned();
        match self.own.get(tenant) {
            None => common.await,
            Some(own) => tokio::select! {
                biased;
                taken = Arc::clone(own).acquire_owned() => taken,
                taken = common => taken,
            },
        }
    }

    /// Waits until everything was given back.
    pub(super) async fn all_back(&self) {
        for share in self.own.values().chain([&self.common]) {
            while share.available_permits() < self.most_of(share) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }

    /// How many are taken.
    pub(super) fn taken(&self) -> usize {
        let left: usize = self.own.values().chain([&self.common]).map(|share| share.available_permits()).sum();
        self.all.saturating_sub(left)
    }

    fn most_of(&self, share: &Arc<Semaphore>) -> usize {
        let each = self.all.checked_div(2 * self.own.len()).unwrap_or(0);
        if Arc::ptr_eq(share, &self.common) { self.all - each * self.own.len() } else { each }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(names: &[&str]) -> Vec<TenantId> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[tokio::test]
    async fn none_can_take_what_is_anothers() {
        let both = tenants(&["acme", "octo"]);
        let shares = Shares::new(8, &both);
        let greedy: Vec<_> = std::iter::from_fn(|| shares.try_take(&both[0], 1)).collect();
        assert_eq!((greedy.len(), shares.taken()), (6, 6), "its own two and the four of all");
        assert!(tokio::time::timeout(std::time::Duration::from_millis(20), shares.take(&both[0])).await.is_err());
        let modest = shares.take(&both[1]).await.unwrap();
        assert!(shares.try_take(&both[1], 1).is_some());
        drop((greedy, modest));
        shares.all_back().await;
        assert_eq!(shares.taken(), 0);
        assert!(shares.try_take(&both[0], 5).is_none() && shares.try_take(&both[0], 4).is_some());
    }

    #[test]
    fn one_tenant_alone_has_all_of_it() {
        let one = tenants(&["acme"]);
        let shares = Shares::new(8, &one);
        assert_eq!(std::iter::from_fn(|| shares.try_take(&one[0], 1).map(std::mem::forget)).count(), 8);
    }

    #[test]
    fn more_tenants_than_places_share_what_there_is() {
        let many = tenants(&["a", "b", "c", "d", "e"]);
        let shares = Shares::new(4, &many);
        assert_eq!(std::iter::from_fn(|| shares.try_take(&many[4], 1).map(std::mem::forget)).count(), 4);
    }
}
