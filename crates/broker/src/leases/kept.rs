//! Authority that isn't borrowed: what the broker keeps itself, for as long as its operator wants (a chat's hook, the key of a model's
//! provider, a registry's token).
//!
//! Nothing of it can be narrowed or ended after a use, so there is no lease. The rest is as with a lease: the kill switch is read within
//! the second before, the use is recorded before it begins and again when it ended, a stop ends it, and the secret leaves the sealed
//! store for that moment only.

use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::RequestId;

use super::epoch::{EpochError, KillSwitch, Permit};
use super::lease::CallFailure;
use crate::ledger::{CallResult, Code, Event, Ledger, LedgerError, Record, Who, new_id};
use crate::providers::code;
use crate::secret::Secret;
use crate::vault::{RecordKind, RecordName, Vault, VaultError};

/// Why what is kept wasn't used, or its use failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeptError {
    /// It is stopped.
    #[error(transparent)]
    Epoch(#[from] EpochError),
    /// It can't be recorded.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The sealed store refuses.
    #[error(transparent)]
    Vault(VaultError),
    /// Nobody kept it.
    #[error("nothing of that name is kept")]
    NotKept,
    /// The call failed without effect.
    #[error("the call failed without effect ({0})")]
    Failed(Code),
    /// The call may have had its effect.
    #[error("the call's answer is lost ({0})")]
    Lost(Code),
}

/// Uses what the broker keeps; clones share it.
#[derive(Clone)]
pub struct Keeper {
    vault: Arc<Vault>,
    switch: KillSwitch,
    ledger: Ledger,
}

/// What is never a part of anything that leaves: each of these is a credential that somebody gave the broker to keep.
const KEPT: [RecordKind; 5] =
    [RecordKind::GithubAppKey, RecordKind::ClientCredential, RecordKind::ModelKey, RecordKind::ChatHook, RecordKind::PersonalToken];
/// How often a call is begun on a machine that is too busy to record it in time.
const ATTEMPTS: u32 = 5;
/// Shorter ones occur by chance.
const SHORTEST_SOUGHT: usize = 12;

impl Keeper {
    /// Joins the sealed store with the switch and the record.
    pub fn new(vault: Arc<Vault>, switch: KillSwitch, ledger: Ledger) -> Self {
        Self { vault, switch, ledger }
    }

    /// The record of what is done.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Whether something of that name is kept.
    ///
    /// # Errors
    /// If the sealed store refuses.
    pub async fn keeps(&self, name: &RecordName) -> Result<bool, VaultError> {
        match self.vault.get(name).await {
            Ok(_) => Ok(true),
            Err(VaultError::NotFound) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether these bytes hold a credential that is kept for one of these tenants, as it is.
    ///
    /// # Errors
    /// If the sealed store refuses.
    pub async fn occurs(&self, tenants: &[&str], bytes: &[u8]) -> Result<bool, VaultError> {
        for tenant in tenants {
            for (name, _) in self.vault.list(tenant).await? {
                if !KEPT.contains(&name.kind()) {
                    continue;
                }
                match self.vault.get(&name).await {
                    Ok((_, secret)) if secret.expose(|secret| is_in(secret.trim_ascii(), bytes)) => return Ok(true),
                    Ok(_) | Err(VaultError::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(false)
    }

    /// Makes one call, with what is kept under `name` if it needs anything. `event` is recorded before it, with the call's id.
    ///
    /// # Errors
    /// If everything is stopped, it can't be recorded, nothing is kept, or the call fails.
    pub async fn call<T>(
        &self,
        who: &Who,
        name: Option<&RecordName>,
        event: impl Fn(RequestId) -> Event,
        longest: Duration,
        send: impl AsyncFnOnce(Option<&Secret>) -> Result<T, CallFailure>,
    ) -> Result<T, KeptError> {
        let secret = match name {
            Some(name) => match self.vault.get(name).await {
                Ok((_, secret)) => Some(secret),
                Err(VaultError::NotFound) => return Err(KeptError::NotKept),
                Err(error) => return Err(KeptError::Vault(error)),
            },
            None => None,
        };
        let (permit, call) = self.begun(who, event).await?;
        let result = match self.switch.check(&permit) {
            Err(error) => {
                self.ended(who, call, CallResult::Failed { reason: code("stopped") }).await?;
                return Err(error.into());
            }
            Ok(()) => tokio::select! {
                sent = tokio::time::timeout(longest, send(secret.as_ref())) => sent.unwrap_or(Err(CallFailure::Unknown(code("timed-out")))),
                () = self.switch.stopped() => Err(CallFailure::Unknown(code("stopped"))),
            },
        };
        drop(secret);
        let told = match &result {
            Ok(_) => CallResult::Succeeded,
            Err(CallFailure::Failed(reason)) => CallResult::Failed { reason: reason.clone() },
            Err(CallFailure::Unknown(reason)) => CallResult::Unknown { reason: reason.clone() },
        };
        // It happened, recorded or not: a call without an end counts as unknown for whoever reads the ledger.
        let recorded = self.ended(who, call, told).await;
        match result {
            Ok(value) => recorded.map(|()| value).map_err(|_| KeptError::Lost(code("unrecorded"))),
            Err(CallFailure::Failed(reason)) => Err(KeptError::Failed(reason)),
            Err(CallFailure::Unknown(reason)) => Err(KeptError::Lost(reason)),
        }
    }

    /// Records that a call begins. A busy machine may take longer than a permit lasts: then nothing is recorded, and it is tried again.
    async fn begun(&self, who: &Who, event: impl Fn(RequestId) -> Event) -> Result<(Permit, RequestId), KeptError> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let permit = self.switch.permit().await?;
            let call = new_id()?;
            match self.switch.record_permitted(&permit, Record::of(who, None, event(call))).await {
                Ok(()) => return Ok((permit, call)),
                Err(EpochError::Stale) if attempt < ATTEMPTS => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn ended(&self, who: &Who, call: RequestId, result: CallResult) -> Result<(), LedgerError> {
        self.ledger.append(Record::of(who, None, Event::CallEnded { call, result })).await.map(drop)
    }
}

fn is_in(sought: &[u8], bytes: &[u8]) -> bool {
    sought.len() >= SHORTEST_SOUGHT && bytes.windows(sought.len()).any(|part| part == sought)
}
