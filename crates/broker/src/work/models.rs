//! Asking models: for the tenants that a model is switched on for, with keys that the broker keeps.
//!
//! What leaves is looked at here whatever the blind side has done before: a text that holds a credential of the broker's own, or
//! anything that looks like one, is refused. The ledger has the digest and the length of what was sent, never the text.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::{
    Check, CheckState, Complete, ConnectionName, Count, Digest, DoctorArea, Intent, Line, Missing, ModelRole, Outcome, Provider, Refusal,
    RequestId, TenantId,
};
use rusqlite::{OptionalExtension as _, Transaction, params};
use tokio::time::Instant;

use super::{kept, received, who};
use crate::clock::Clock;
use crate::database::{Database, DatabaseError};
use crate::dispatch::{Answering, Asked, Examined, Handler, Reply, Whose};
use crate::egress::Egress;
use crate::leases::kept::{Keeper, KeptError};
use crate::leases::lease::CallFailure;
use crate::ledger::{Event, Record, Who};
use crate::providers::code;
use crate::providers::models::{Answered, Model, ModelError, secret_in};
use crate::socket::BulkFile;
use crate::vault::{RecordKind, RecordName, VaultError};

/// How often one question is sent.
const ATTEMPTS: u32 = 3;
/// The longest wait between two of them; who would have to wait longer is told so.
const PATIENCE: Duration = Duration::from_secs(20);
const DAY: u64 = 24 * 60 * 60 * 1_000;
/// For how many days the counts are kept.
const REMEMBERED_DAYS: u64 = 100;

/// Under which name a model's key is kept.
///
/// # Errors
/// Never, as the parts of a configuration are no longer than the names of records.
pub fn model_key_name(model: &ConnectionName) -> Result<RecordName, VaultError> {
    RecordName::new("broker", "model", RecordKind::ModelKey, model.as_str())
}

/// A model, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedModel {
    /// Its name.
    pub name: ConnectionName,
    /// What it is for.
    pub role: ModelRole,
    /// For whom it is switched on.
    pub tenants: BTreeSet<TenantId>,
    /// Where and how it is asked.
    pub model: Model,
    /// Whether the endpoint wants a key.
    pub needs_key: bool,
    /// How many bytes it may be sent at once.
    pub most_bytes: u64,
    /// How many tokens it may answer with at once.
    pub most_tokens: u64,
    /// How many tokens, read and written, a tenant may have of it on a day.
    pub daily_tokens: u64,
}

/// All models.
#[derive(Clone)]
pub struct ModelWork {
    models: Arc<[OfferedModel]>,
    keeper: Keeper,
    egress: Egress,
    database: Database,
    clock: Arc<dyn Clock>,
}

impl ModelWork {
    /// The intents that are done here.
    pub const INTENTS: &[&str] = &["complete"];

    /// Joins the models with what is kept and with the database that counts their use.
    pub fn new(models: Vec<OfferedModel>, keeper: Keeper, egress: Egress, database: Database, clock: Arc<dyn Clock>) -> Self {
        Self { models: models.into(), keeper, egress, database, clock }
    }

    async fn complete(&self, who: &Who, id: RequestId, request: Complete, material: Option<BulkFile>) -> Result<Reply, Outcome> {
        let is_for = |model: &&OfferedModel| model.role == request.role && model.tenants.contains(&who.tenant);
        let Some(offered) = self.models.iter().find(is_for) else {
            return Err(Outcome::NotConfigured { missing: Missing::ModelRole });
        };
        let most_tokens = request.most_tokens.get();
        let material = material.filter(|material| material.bulk() == request.input).ok_or(Outcome::Refused(Refusal::BadBulk))?;
        if most_tokens == 0 || most_tokens > offered.most_tokens || request.input.bytes.get() > offered.most_bytes {
            return Err(Outcome::Refused(Refusal::BeyondLimit));
        }
        let material = material.read(offered.most_bytes).map_err(|_| Outcome::Refused(Refusal::BadBulk))?;
        let material = String::from_utf8(material).map_err(|_| Outcome::Refused(Refusal::Malformed))?;
        if let Some(reason) = self.secret_in(who, &material).await? {
            let event = Event::Refused { request: Some(id), reason: code(reason) };
            let recorded = self.keeper.ledger().append(Record::of(who, None, event)).await;
            return Err(Outcome::Refused(recorded.map_or(Refusal::LedgerUnavailable, |_| Refusal::HoldsSecret)));
        }
        let sent = offered.model.request(request.task, &material, most_tokens);
        // A token is a byte at least; in text it is three or four, so that half is more than enough, and what was too much is given back.
        let reserved = (sent.len() as u64 / 2).saturating_add(most_tokens);
        let day = self.clock.now().unix_millis() / DAY;
        self.reserve(who, offered, day, reserved).await?;
        let answered = self.ask(who, offered, &sent).await;
        let used = match &answered {
            Ok(Answered { read_tokens, written_tokens, .. }) if *read_tokens > 0 => read_tokens.saturating_add(*written_tokens),
            Err(outcome) if was_not_read(outcome) => 0,
            // Whether it was counted there isn't known.
            _ => reserved,
        };
        self.settle(who, offered, day, reserved, used).await;
        let Answered { text, stopped, read_tokens, written_tokens } = answered?;
        let answer = BulkFile::from_bytes(text.as_bytes()).map_err(|_| Outcome::Refused(Refusal::Internal))?;
        let (read_tokens, written_tokens) = (Count::saturating(read_tokens), Count::saturating(written_tokens));
        let outcome = Outcome::Completed { answer: answer.bulk(), stopped, read_tokens, written_tokens };
        Ok(Reply { outcome, attached: Some(answer) })
    }

    /// Why a text may not leave, if it may not.
    async fn secret_in(&self, who: &Who, material: &str) -> Result<Option<&'static str>, Outcome> {
        if let Some(kind) = secret_in(material) {
            return Ok(Some(kind));
        }
        let occurs = self.keeper.occurs(&["broker", who.tenant.as_str()], material.as_bytes()).await;
        match occurs {
            Ok(occurs) => Ok(occurs.then_some("kept-credential")),
            Err(_) => Err(Outcome::Refused(Refusal::Internal)),
        }
    }

    async fn ask(&self, who: &Who, offered: &OfferedModel, sent: &[u8]) -> Result<Answered, Outcome> {
        let name = offered.needs_key.then(|| model_key_name(&offered.name)).transpose().map_err(|_| Outcome::Refused(Refusal::Internal))?;
        let (digest, bytes) = (Digest::of(sent), Count::saturating(sent.len() as u64));
        let end = Instant::now() + offered.model.deadline;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut failure = None;
            let event = |call| Event::ModelAsked { call, model: offered.name.clone(), digest, bytes };
            let asked = self
                .keeper
                .call(who, name.as_ref(), event, offered.model.deadline, async |key| {
                    offered.model.ask(&self.egress, key, sent).await.map_err(|error| {
                        failure = Some(error);
                        CallFailure::Failed(error.code())
                    })
                })
                .await;
            let error = match (asked, failure) {
                (Ok(answered), _) => return Ok(answered),
                (Err(KeptError::NotKept), _) => {
                    return Err(Outcome::NotReady { provider: Provider::Model, state: keyblind_intent::ConnectionState::NotConnected });
                }
                (Err(KeptError::Failed(_)), Some(error)) => error,
                (Err(KeptError::Lost(reason)), _) if reason.as_str() == "timed-out" => {
                    return Err(ModelError::Egress(crate::egress::EgressError::TimedOut).outcome());
                }
                (Err(error), _) => return Err(kept(&error)),
            };
            match error.passes_in() {
                // Each wait is longer than the one before.
                Some(wait) if attempt < ATTEMPTS && wait <= PATIENCE && Instant::now() + wait * attempt < end => {
                    tokio::time::sleep(wait * attempt).await;
                }
                _ => return Err(error.outcome()),
            }
        }
    }

    async fn reserve(&self, who: &Who, offered: &OfferedModel, day: u64, tokens: u64) -> Result<(), Outcome> {
        let (tenant, model, limit) = (who.tenant.clone(), offered.name.clone(), offered.daily_tokens);
        let reserved = self
            .database
            .transact(move |transaction| {
                let sum = used(transaction, tenant.as_str(), model.as_str(), day)?.saturating_add(tokens);
                if sum <= limit {
                    write(transaction, tenant.as_str(), model.as_str(), day, sum)?;
                }
                Ok::<_, DatabaseError>(sum <= limit)
            })
            .await;
        match reserved {
            Ok(true) => Ok(()),
            Ok(false) => Err(Outcome::Refused(Refusal::BeyondLimit)),
            Err(_) => Err(Outcome::Refused(Refusal::Internal)),
        }
    }

    /// Puts what was used in the place of what was reserved. What can't be written now stays reserved: the limit is reached sooner.
    async fn settle(&self, who: &Who, offered: &OfferedModel, day: u64, reserved: u64, tokens: u64) {
        let (tenant, model) = (who.tenant.clone(), offered.name.clone());
        let settled = self
            .database
            .transact(move |transaction| {
                let sum = used(transaction, tenant.as_str(), model.as_str(), day)?.saturating_sub(reserved).saturating_add(tokens);
                write(transaction, tenant.as_str(), model.as_str(), day, sum)
            })
            .await;
        drop(settled);
    }
}

/// Whether the endpoint turned the question away before it read it, or never got it.
fn was_not_read(outcome: &Outcome) -> bool {
    use keyblind_intent::Failure::{Forbidden, NotFound, RateLimited, Rejected, Unreachable};
    match outcome {
        Outcome::Failed { failure, .. } => matches!(failure, Forbidden | NotFound | RateLimited | Rejected | Unreachable),
        Outcome::NotReady { .. } => true,
        _ => false,
    }
}

fn used(transaction: &Transaction<'_>, tenant: &str, model: &str, day: u64) -> Result<u64, DatabaseError> {
    let sql = "SELECT tokens FROM model_use WHERE tenant = ?1 AND model = ?2 AND day = ?3";
    let tokens: Option<u64> = transaction.query_row(sql, params![tenant, model, day], |row| row.get(0)).optional()?;
    Ok(tokens.unwrap_or_default())
}

fn write(transaction: &Transaction<'_>, tenant: &str, model: &str, day: u64, tokens: u64) -> Result<(), DatabaseError> {
    transaction.execute("DELETE FROM model_use WHERE day < ?1", [day.saturating_sub(REMEMBERED_DAYS)])?;
    let sql =
        "INSERT INTO model_use (tenant, model, day, tokens) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET tokens = excluded.tokens";
    transaction.execute(sql, params![tenant, model, day, i64::try_from(tokens).unwrap_or(i64::MAX)])?;
    Ok(())
}

impl Handler for ModelWork {
    fn handle(&self, asked: Asked) -> Answering<'_, Reply> {
        Box::pin(async move {
            if let Err(outcome) = received(self.keeper.ledger(), &asked.session, asked.id, &asked.intent).await {
                return outcome.into();
            }
            let Intent::Complete(request) = asked.intent else { return Outcome::Refused(Refusal::Internal).into() };
            let (work, who, id, attached) = (self.clone(), who(&asked.session), asked.id, asked.attached);
            // To its end, whoever still listens: what is counted and what is recorded of it belong together.
            let asking = tokio::spawn(async move { work.complete(&who, id, request, attached).await });
            asking.await.unwrap_or(Err(Outcome::Refused(Refusal::Internal))).unwrap_or_else(Reply::from)
        })
    }
}

impl Examined for ModelWork {
    fn examine<'a>(&'a self, whose: Whose<'a>) -> Answering<'a, Vec<Check>> {
        Box::pin(async move {
            let mut checks = Vec::new();
            let is_shown = |model: &&OfferedModel| model.needs_key && model.tenants.iter().any(|tenant| whose.includes(tenant));
            for OfferedModel { name, needs_key, .. } in self.models.iter().filter(is_shown) {
                let keeps = match model_key_name(name) {
                    Ok(key) if *needs_key => self.keeper.keeps(&key).await,
                    Ok(_) => Ok(true),
                    Err(error) => Err(error),
                };
                let (state, advice) = match keeps {
                    Ok(true) => (CheckState::Sound, None),
                    Ok(false) => {
                        (CheckState::Broken, Line::new(format!("keyblind-broker keep model-key {name}, while no broker runs")).ok())
                    }
                    Err(_) => (CheckState::NotChecked, None),
                };
                let subject = Line::new(format!("the key of the model {name} is kept; only a question shows whether it is taken"));
                checks.extend(subject.map(|subject| Check {
                    area: DoctorArea::Provider(Provider::Model),
                    subject,
                    state,
                    advice,
                    said: None,
                }));
            }
            checks
        })
    }
}
