//! The way to models: by the leaf's pipe to whoever started it, and from there to the broker. What may be asked how often is bounded here, whatever
//! the process that asks was made to want.

use std::fs::File;
use std::io::Read as _;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use keyblind_intent::{Answer, Bulk, Complete, Count, Intent, Outcome, Request, Stopped, limits};
use keyblind_roles::{Model, Question, Reply, Unanswered};

use crate::broker::{Broker, unwelcome};
use crate::leaf;

/// The most questions of one run.
pub(crate) const MOST_QUESTIONS: usize = 120;
/// The most bytes of one question.
const MOST_BYTES: usize = 64 << 10;
/// How long models may be asked in one run; who asks waits for the last answer all the same.
const MOST_TIME: Duration = Duration::from_secs(30 * 60);

/// Asks the broker.
pub(crate) struct Direct {
    broker: Broker,
    left: usize,
    until: Instant,
    /// Whether the broker said something from which no more answers are to be had.
    is_gone: bool,
}

impl Direct {
    /// Connects.
    ///
    /// # Errors
    /// If there is no broker.
    pub(crate) fn connect() -> anyhow::Result<Self> {
        let broker = Broker::connect().context("models are asked through the broker")?;
        Ok(Self { broker, left: MOST_QUESTIONS, until: Instant::now() + MOST_TIME, is_gone: false })
    }

    fn exchange(&mut self, question: &Question) -> Result<Reply, Unanswered> {
        let most_tokens = question.most_tokens.min(limits::ANSWER_TOKENS);
        let input = Bulk::of(question.material.as_bytes());
        let complete = Complete { role: question.role, task: question.task, input, most_tokens: Count::saturating(most_tokens) };
        let answered = self.broker.ask_with(&Request::Intent(Intent::Complete(complete)), question.material.as_bytes());
        let gone = |error: anyhow::Error| Unanswered::Gone(format!("{error:#}"));
        match answered.map_err(gone)? {
            Answer::Outcome(Outcome::Completed { stopped, .. }) => {
                if stopped == Stopped::Declined {
                    return Err(Unanswered::Failed("the model declined to answer".to_owned()));
                }
                let text = self.text()?;
                Ok(Reply { text, is_whole: stopped == Stopped::Finished })
            }
            Answer::Outcome(outcome) => {
                let reason = format!("{:#}", unwelcome(&outcome));
                // One question may be too much, take too long, or be for a role that no model has; with anything else missing none is answered.
                match outcome {
                    Outcome::Failed { .. }
                    | Outcome::Refused(keyblind_intent::Refusal::HoldsSecret)
                    | Outcome::NotConfigured { missing: keyblind_intent::Missing::ModelRole } => Err(Unanswered::Failed(reason)),
                    _ => Err(Unanswered::Gone(reason)),
                }
            }
            Answer::Report(_) => Err(Unanswered::Gone("the broker answered something else than was asked".to_owned())),
        }
    }

    fn text(&self) -> Result<String, Unanswered> {
        let failed = |reason: &str| Unanswered::Failed(reason.to_owned());
        let most = keyblind_roles::limits::ANSWER_BYTES as u64;
        let mut bytes = Vec::new();
        let read = File::open(self.broker.file()).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
        read.map_err(|_| failed("the model's answer can't be read"))?;
        if bytes.len() as u64 > most {
            return Err(failed("the model's answer is too long"));
        }
        String::from_utf8(bytes).map_err(|_| failed("the model's answer is no text"))
    }
}

impl Model for Direct {
    fn ask(&mut self, question: &Question) -> Result<Reply, Unanswered> {
        if question.material.len() > MOST_BYTES {
            return Err(Unanswered::Failed(format!("a question has at most {MOST_BYTES} bytes")));
        }
        if self.is_gone || self.left == 0 || Instant::now() >= self.until {
            return Err(Unanswered::Gone("no more questions are asked in this run".to_owned()));
        }
        self.left -= 1;
        let reply = self.exchange(question);
        self.is_gone = matches!(reply, Err(Unanswered::Gone(_)));
        reply
    }
}

/// Asks whoever is next on the way.
pub(crate) enum Way {
    /// From within a leaf: whoever started it.
    Piped(&'static leaf::Inside),
    /// The broker.
    Direct(Box<Direct>),
}

impl Model for Way {
    fn ask(&mut self, question: &Question) -> Result<Reply, Unanswered> {
        match self {
            Self::Piped(inside) => inside.question(question).unwrap_or_else(|error| Err(Unanswered::Gone(error.to_string()))),
            Self::Direct(direct) => direct.ask(question),
        }
    }
}
