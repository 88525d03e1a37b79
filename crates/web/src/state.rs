//! What all requests share.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use keyblind_intent::{SubjectId, TenantId, UnixMillis};
use keyblind_mission::{Clock, LeafWork};
use keyblind_store::Store;
use tokio::sync::watch;

use crate::events::Feeds;
use crate::metrics::Metrics;
use crate::rates::Buckets;
use crate::report::Reports;
use crate::rules::Rules;
use crate::{Logins, Settings, api, assets, gate, login, metrics, pages};

/// The web tier.
#[derive(Clone)]
pub struct Web(Arc<Inner>);

/// What all requests share.
pub struct Inner {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
    pub(crate) work: LeafWork,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) scans: Buckets<(TenantId, SubjectId)>,
    pub(crate) requests: Buckets<IpAddr>,
    pub(crate) guesses: Buckets<IpAddr>,
    pub(crate) feeds: Feeds,
    pub(crate) reports: Reports,
    pub(crate) rules: Rules,
    pub(crate) metrics: Metrics,
    pub(crate) closing: watch::Receiver<bool>,
    pub(crate) logins: Option<Arc<dyn Logins>>,
}

impl std::ops::Deref for Web {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Web {
    /// The web tier over a database. `work` says which folders may be scanned; what streams ends once `closing` changes. With `logins`,
    /// people log in at the broker.
    pub fn new(
        store: Store,
        settings: Settings,
        work: LeafWork,
        clock: Arc<dyn Clock>,
        closing: watch::Receiver<bool>,
        logins: Option<Arc<dyn Logins>>,
    ) -> Self {
        let rates = settings.rates;
        Self(Arc::new(Inner {
            feeds: Feeds::new(store.clone()),
            reports: Reports::default(),
            rules: Rules::new(settings.scanner.clone()),
            scans: Buckets::new(rates.scans),
            requests: Buckets::new(rates.requests),
            guesses: Buckets::new(rates.logins),
            metrics: Metrics::new(Instant::now()),
            store,
            settings,
            work,
            clock,
            closing,
            logins,
        }))
    }

    /// Everything that is answered.
    pub fn router(&self) -> Router {
        let router = Router::new()
            .merge(login::router())
            .merge(pages::router())
            .merge(api::router())
            .merge(assets::router())
            .merge(metrics::router())
            .fallback(pages::unknown);
        gate::around(router, self).with_state(self.clone())
    }

    /// The time of day.
    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }
}
