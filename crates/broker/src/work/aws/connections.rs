//! The accounts that the configuration names, for the socket, the pages and `doctor`.

use keyblind_intent::{
    Check, CheckState, ConnectionState, ConnectionSummary, DoctorArea, Line, Missing, Outcome, Provider, Refusal, Report, TenantId,
};

use super::{AwsAccount, AwsWork};
use crate::dispatch::{self, Answering, Session, Whose};
use crate::door;

impl AwsWork {
    fn of<'a>(&'a self, tenant: &'a TenantId) -> impl Iterator<Item = &'a AwsAccount> {
        self.accounts.iter().filter(move |account| account.tenant == *tenant)
    }
}

/// Whether an account can be used is asked when it is used, and by `doctor`: a list takes no role.
fn summary(account: &AwsAccount) -> ConnectionSummary {
    ConnectionSummary {
        name: account.linked.name.clone(),
        provider: Provider::Aws,
        state: ConnectionState::Connected,
        owner: None,
        account: Some(account.linked.account.clone()),
    }
}

impl dispatch::Connections for AwsWork {
    fn list<'a>(&'a self, session: &'a Session) -> Answering<'a, Result<Vec<ConnectionSummary>, Refusal>> {
        Box::pin(std::future::ready(Ok(self.of(&session.tenant).map(summary).collect())))
    }

    /// Accounts are linked in the configuration, by who runs the broker.
    fn connect<'a>(&'a self, session: &'a Session, provider: Provider) -> Answering<'a, Result<Report, Outcome>> {
        let first = self.of(&session.tenant).next().filter(|_| provider == Provider::Aws);
        let report = first.map(|account| Report::AlreadyConnected { connection: summary(account) });
        Box::pin(std::future::ready(report.ok_or(Outcome::NotConfigured { missing: Missing::Provider(provider) })))
    }
}

impl door::Connections for AwsWork {
    fn list<'a>(&'a self, tenant: &'a str) -> door::BoxFuture<'a, Vec<door::Connection>> {
        let tenant = TenantId::new(tenant).ok();
        let shown = |account: &AwsAccount| {
            let regions = account.regions.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let can = if account.linked.change_role.is_some() { "Read, and changed with a yes." } else { "Read; nothing is changed." };
            door::Connection {
                name: account.linked.name.to_string(),
                provider: "AWS".to_owned(),
                reaches: Some(format!("{} ({regions})", account.linked.account)),
                is_sound: true,
                state: format!("{can} keyblind-broker doctor tries its roles."),
            }
        };
        let all = tenant.map(|tenant| self.of(&tenant).map(shown).collect()).unwrap_or_default();
        Box::pin(std::future::ready(all))
    }
}

impl dispatch::Examined for AwsWork {
    fn examine<'a>(&'a self, whose: Whose<'a>) -> Answering<'a, Vec<Check>> {
        Box::pin(async move {
            let known = self.accounts.iter().filter(|account| whose.includes(&account.tenant));
            let known: Vec<_> = known.map(|account| &account.linked).collect();
            if known.is_empty() {
                return Vec::new();
            }
            if self.lender.is_stopped() {
                // No role is taken while everything is stopped.
                let subject = Line::new("AWS: the broker's own keys and the accounts' roles");
                let area = DoctorArea::Provider(Provider::Aws);
                let check = |subject| Check { area, subject, state: CheckState::NotChecked, advice: None, said: None };
                return subject.map(check).into_iter().collect();
            }
            self.examination.checks(&known).await
        })
    }
}
