//! Models, at endpoints that the configuration names.
//!
//! What a model is told is fixed here: the instructions of each task are ours, and say that all the rest is material. What it answers is
//! text that somebody else wrote; it is bounded, handed over as bytes, and nothing here acts on it.

mod anthropic;
mod leaving;
mod openai;
mod tasks;

use std::time::Duration;

use hyper::Method;
use hyper::header::{HeaderName, RETRY_AFTER};
use keyblind_intent::{Failure, ModelTask, Outcome, Stopped};
use serde_json::Value;
use zeroize::Zeroizing;

pub use self::leaving::secret_in;
use crate::egress::{Answer, Authorization, Body, Call, Egress, EgressError, Origin, Target};
use crate::ledger::Code;
use crate::providers::code;
use crate::secret::Secret;

/// Bytes of a whole answer, with what stands around the text.
const ANSWER_BYTES: usize = 4 << 20;
/// The longest silence that is believed.
const LONGEST_SILENCE: Duration = Duration::from_secs(3_600);
/// How long to wait where the endpoint doesn't say.
const SILENCE: Duration = Duration::from_secs(2);

/// In which form an endpoint is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// Anthropic's Messages.
    Anthropic,
    /// OpenAI's Chat Completions, as OpenAI has them now.
    Openai,
    /// The same as other servers have taken them over: `max_tokens`, and nothing that only OpenAI knows.
    OpenaiCompatible,
}

/// A model at an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Model {
    /// The address of the interface, without the path of the one operation: `https://api.anthropic.com/v1`.
    pub endpoint: Target,
    /// How it is asked.
    pub style: Style,
    /// What the endpoint calls the model.
    pub id: String,
    /// Whether the endpoint takes a JSON schema for the answer.
    pub takes_schema: bool,
    /// How long an answer may take.
    pub deadline: Duration,
}

/// A model's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// What it wrote: somebody else's text.
    pub text: String,
    /// Why it ended.
    pub stopped: Stopped,
    /// Tokens that it read.
    pub read_tokens: u64,
    /// Tokens that it wrote.
    pub written_tokens: u64,
}

/// Why there is no answer. Nothing of what was sent or said is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// There was no answer.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The key isn't taken.
    #[error("the endpoint doesn't take the key")]
    Unauthorized,
    /// There is no such model or operation.
    #[error("the endpoint knows no such model, or isn't where it should be")]
    NotFound,
    /// It asks to wait.
    #[error("the endpoint asks to wait")]
    RateLimited {
        /// For how long.
        wait: Duration,
    },
    /// It doesn't take what was sent.
    #[error("the endpoint doesn't take the request ({status})")]
    Rejected {
        /// The status of its answer.
        status: u16,
    },
    /// It failed.
    #[error("the endpoint failed ({status})")]
    Broken {
        /// The status of its answer.
        status: u16,
    },
}

impl ModelError {
    /// A word for records.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::Egress(error) => code(error.code()),
            Self::Unauthorized => code("unauthorized"),
            Self::NotFound => code("not-found"),
            Self::RateLimited { .. } => code("rate-limited"),
            Self::Rejected { .. } => code("rejected"),
            Self::Broken { .. } => code("broken"),
        }
    }

    /// After how long the same may be asked again, if that may help.
    #[must_use]
    pub fn passes_in(self) -> Option<Duration> {
        match self {
            Self::RateLimited { wait } => Some(wait),
            Self::Broken { .. } | Self::Egress(EgressError::Unreachable | EgressError::Protocol | EgressError::Unresolved) => Some(SILENCE),
            _ => None,
        }
    }

    /// What whoever asked is told.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        let (failure, status, wait) = match self {
            Self::Egress(EgressError::TimedOut) => (Failure::TimedOut, None, None),
            Self::Egress(EgressError::TooLarge) => (Failure::TooLarge, None, None),
            Self::Egress(EgressError::Unintelligible | EgressError::Protocol) => (Failure::Unintelligible, None, None),
            Self::Egress(_) => (Failure::Unreachable, None, None),
            Self::Unauthorized => (Failure::Forbidden, None, None),
            Self::NotFound => (Failure::NotFound, Some(404), None),
            Self::RateLimited { wait } => (Failure::RateLimited, Some(429), Some(wait)),
            Self::Rejected { status } => (Failure::Rejected, Some(status), None),
            Self::Broken { status } => (Failure::Broken, Some(status), None),
        };
        let retry_after_seconds = wait.map(|wait| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX));
        Outcome::Failed { failure, status, retry_after_seconds, said: None }
    }
}

impl Model {
    /// The host that it needs.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        self.endpoint.origin()
    }

    /// All that is sent for a task: the bytes whose digest is recorded are these.
    #[must_use]
    pub fn request(&self, task: ModelTask, material: &str, most_tokens: u64) -> Vec<u8> {
        let schema = tasks::schema(task).filter(|_| self.takes_schema);
        let value = match self.style {
            Style::Anthropic => anthropic::request(&self.id, task, material, most_tokens, schema),
            Style::Openai | Style::OpenaiCompatible => openai::request(self.style, &self.id, task, material, most_tokens, schema),
        };
        value.to_string().into_bytes()
    }

    /// Sends a request, once.
    ///
    /// # Errors
    /// See [`ModelError`].
    pub async fn ask(&self, egress: &Egress, key: Option<&Secret>, request: &[u8]) -> Result<Answered, ModelError> {
        let path = match self.style {
            Style::Anthropic => "/messages",
            Style::Openai | Style::OpenaiCompatible => "/chat/completions",
        };
        let body = Body::Bytes("application/json", Zeroizing::new(request.to_vec()));
        let call = Call::new(Method::POST, self.endpoint.clone().path(path)).body(body).within(self.deadline).at_most(ANSWER_BYTES);
        let call = match (self.style, key) {
            (Style::Anthropic, key) => {
                let call = call.header(HeaderName::from_static("anthropic-version"), anthropic::VERSION);
                match key {
                    Some(key) => key.expose(|bytes| call.sensitive_header(HeaderName::from_static("x-api-key"), bytes)),
                    None => call,
                }
            }
            (_, Some(key)) => call.authorized(Authorization::Bearer(key)),
            (_, None) => call,
        };
        let answer = egress.send(call).await?;
        if let Some(error) = refused(&answer) {
            return Err(error);
        }
        let value: Value = answer.json()?;
        let answered = match self.style {
            Style::Anthropic => anthropic::answered(&value),
            Style::Openai | Style::OpenaiCompatible => openai::answered(&value),
        };
        answered.ok_or_else(|| EgressError::Unintelligible.into())
    }
}

fn refused(answer: &Answer) -> Option<ModelError> {
    let asked = || {
        let after = answer.header(&RETRY_AFTER).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
        after.unwrap_or(SILENCE).min(LONGEST_SILENCE)
    };
    match answer.status().as_u16() {
        200..=299 => None,
        401 | 403 => Some(ModelError::Unauthorized),
        404 => Some(ModelError::NotFound),
        // 529 is Anthropic's word for being overloaded.
        429 | 503 | 529 => Some(ModelError::RateLimited { wait: asked() }),
        status @ 500.. => Some(ModelError::Broken { status }),
        status => Some(ModelError::Rejected { status }),
    }
}
