//! Whether the App is installed, for the socket, the pages and `doctor`.

use keyblind_intent::{
    Check, CheckState, ConnectionState, ConnectionSummary, DoctorArea, Line, Missing, Outcome, Owner, Provider, Refusal, Report, TenantId,
};

use super::{FAULT, GithubWork, Owners};
use crate::dispatch::{self, Answering, Session, Whose};
use crate::door;
use crate::providers::github::{GithubError, Installations};

impl GithubWork {
    async fn summary(&self, app: &Installations) -> ConnectionSummary {
        let state = match app.all().await {
            Ok(installations) if installations.is_empty() => ConnectionState::NotConnected,
            Ok(_) => ConnectionState::Connected,
            Err(GithubError::RateLimited { .. }) => ConnectionState::RateLimited,
            Err(_) => ConnectionState::OperatorError,
        };
        let name = self.github.forge().clone();
        ConnectionSummary { name, provider: Provider::Github, state, owner: None, account: None }
    }
}

impl dispatch::Connections for GithubWork {
    fn list<'a>(&'a self, session: &'a Session) -> Answering<'a, Result<Vec<ConnectionSummary>, Refusal>> {
        Box::pin(async move {
            match &self.app {
                Some(app) if self.owners.contains_key(&session.tenant) => Ok(vec![self.summary(app).await]),
                _ => Ok(Vec::new()),
            }
        })
    }

    fn connect<'a>(&'a self, session: &'a Session, provider: Provider) -> Answering<'a, Result<Report, Outcome>> {
        Box::pin(async move {
            let app = self.app.as_ref().filter(|_| provider == Provider::Github && self.owners.contains_key(&session.tenant));
            let app = app.ok_or(Outcome::NotConfigured { missing: Missing::Provider(provider) })?;
            let connection = self.summary(app).await;
            match connection.state {
                ConnectionState::Connected => Ok(Report::AlreadyConnected { connection }),
                ConnectionState::NotConnected => {
                    let page = Line::new(app.installation_page()).map_err(|_| FAULT)?;
                    Ok(Report::InstallAt { page })
                }
                state => Err(Outcome::NotReady { provider, state }),
            }
        })
    }
}

impl door::Connections for GithubWork {
    fn list<'a>(&'a self, tenant: &'a str) -> door::BoxFuture<'a, Vec<door::Connection>> {
        Box::pin(async move {
            let Some(owners) = TenantId::new(tenant).ok().and_then(|tenant| self.owners.get(&tenant)) else { return Vec::new() };
            let Some(app) = &self.app else { return Vec::new() };
            let summary = self.summary(app).await;
            let reaches = match owners {
                Owners::All => None,
                Owners::These(owners) => Some(owners.iter().map(Owner::as_str).collect::<Vec<_>>().join(", ")),
            };
            let state = match summary.state {
                ConnectionState::Connected => "The App is installed.".to_owned(),
                ConnectionState::NotConnected => {
                    format!("The App isn’t installed anywhere. An owner installs it at {}", app.installation_page())
                }
                ConnectionState::RateLimited => "GitHub asks to wait.".to_owned(),
                _ => "GitHub doesn’t take the App’s key, or can’t be reached: whoever runs the broker looks at keyblind-broker doctor."
                    .to_owned(),
            };
            vec![door::Connection {
                name: summary.name.to_string(),
                provider: "GitHub".to_owned(),
                reaches,
                is_sound: summary.state == ConnectionState::Connected,
                state,
            }]
        })
    }
}

impl dispatch::Examined for GithubWork {
    fn examine<'a>(&'a self, _: Whose<'a>) -> Answering<'a, Vec<Check>> {
        Box::pin(async move {
            let Some(app) = &self.app else { return Vec::new() };
            if self.lender.is_stopped() {
                // Nothing of the App is used while everything is stopped.
                let subject = Line::new("GitHub takes the App's key, and it is installed");
                let area = DoctorArea::Provider(Provider::Github);
                let check = |subject| Check { area, subject, state: CheckState::NotChecked, advice: None, said: None };
                return subject.map(check).into_iter().collect();
            }
            let (state, advice) = match app.all().await {
                Ok(installations) if installations.is_empty() => {
                    (CheckState::Weak, Some(format!("an owner installs the App at {}", app.installation_page())))
                }
                Ok(_) => (CheckState::Sound, None),
                Err(GithubError::Unauthorized) => {
                    (CheckState::Broken, Some("the App's id doesn't fit its key: compare `app`, and keep the key again".to_owned()))
                }
                Err(GithubError::NotFound) => {
                    (CheckState::Broken, Some("there is no such App at this address: compare `app` and `api`".to_owned()))
                }
                Err(error) => (CheckState::Broken, Some(error.to_string())),
            };
            let subject = Line::new("GitHub takes the App's key, and it is installed");
            let advice = advice.and_then(|advice| Line::new(advice).ok());
            subject
                .map(|subject| Check { area: DoctorArea::Provider(Provider::Github), subject, state, advice, said: None })
                .into_iter()
                .collect()
        })
    }
}
