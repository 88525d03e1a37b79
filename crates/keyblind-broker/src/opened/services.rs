//! Chats, models and registries, with what is kept for them.

use std::sync::Arc;

use keyblind_broker::dispatch::{Dispatcher, Examined as _, Whose};
use keyblind_broker::egress::{Egress, Target};
use keyblind_broker::leases::epoch::KillSwitch;
use keyblind_broker::leases::kept::Keeper;
use keyblind_broker::ledger::Ledger;
use keyblind_broker::work::{GithubWork, ModelWork, ModuleWork, SlackWork};
use keyblind_intent::{CheckState, ConnectionName};

use super::{GITHUB, Store};
use crate::configuration::Configuration;
use crate::say;

/// What is done with authority that the broker keeps itself.
pub(crate) struct Services {
    slack: Option<Arc<SlackWork>>,
    models: Option<Arc<ModelWork>>,
    modules: Option<Arc<ModuleWork>>,
}

impl Services {
    /// Joins what the configuration names.
    pub(crate) fn open(
        configuration: &Configuration,
        store: &Store,
        switch: &KillSwitch,
        ledger: &Ledger,
        egress: &Egress,
        github: Option<&Arc<GithubWork>>,
    ) -> anyhow::Result<Self> {
        let keeper = Keeper::new(Arc::clone(&store.vault), switch.clone(), ledger.clone());
        let settings = &configuration.services;
        let pages = configuration.door.as_ref().map(|door| door.origin.as_str().to_owned());
        let slack = match settings.channels.is_empty() {
            true => None,
            false => Some(Arc::new(SlackWork::new(settings.channels(), keeper.clone(), egress.clone(), pages)?)),
        };
        let models = (!settings.models.is_empty()).then(|| {
            let (database, clock) = (store.database.clone(), Arc::clone(&store.clock));
            Arc::new(ModelWork::new(settings.models.clone(), keeper.clone(), egress.clone(), database, clock))
        });
        // A registry says where its modules lie: it must not lead to another host that the broker talks to.
        let modules = match settings.registries.is_empty() && settings.public_archives.is_none() && github.is_none() {
            true => None,
            false => {
                let egress = Egress::new(settings.module_hosts(), b"")?;
                let (registries, public) = (settings.registries.clone(), settings.public_archives.clone());
                let (forge, github, folder) = (ConnectionName::new(GITHUB)?, github.cloned(), configuration.state.clone());
                let api = configuration.github.as_ref().map(|settings| Target::parse(&settings.api)).transpose()?;
                let api = api.as_ref().map(Target::origin);
                Some(Arc::new(ModuleWork::new(registries, github, public, forge, api, keeper, egress, folder)))
            }
        };
        Ok(Self { slack, models, modules })
    }

    /// Says what isn't kept yet.
    pub(crate) async fn warn(&self) {
        let mut checks = Vec::new();
        if let Some(slack) = &self.slack {
            checks.extend(slack.examine(Whose::Everybodys).await);
        }
        if let Some(models) = &self.models {
            checks.extend(models.examine(Whose::Everybodys).await);
        }
        if let Some(modules) = &self.modules {
            checks.extend(modules.examine(Whose::Everybodys).await);
        }
        for check in checks.iter().filter(|check| check.state == CheckState::Broken) {
            if let Some(advice) = &check.advice {
                say(format_args!("warning: a secret isn't kept: {advice}"));
            }
        }
    }

    /// Lets them do what they are there for.
    pub(crate) fn join(&self, mut dispatcher: Dispatcher) -> Dispatcher {
        if let Some(slack) = &self.slack {
            dispatcher = dispatcher.with_handler(SlackWork::INTENTS, Arc::clone(slack) as _).with_examined(Arc::clone(slack) as _);
        }
        if let Some(models) = &self.models {
            dispatcher = dispatcher.with_handler(ModelWork::INTENTS, Arc::clone(models) as _).with_examined(Arc::clone(models) as _);
        }
        if let Some(modules) = &self.modules {
            dispatcher = dispatcher.with_handler(ModuleWork::INTENTS, Arc::clone(modules) as _).with_examined(Arc::clone(modules) as _);
        }
        dispatcher
    }
}
