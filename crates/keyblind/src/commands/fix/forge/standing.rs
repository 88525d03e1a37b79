//! How far a pull request is that was asked for, and what is said of it.

use keyblind_intent::{
    Answer, ChangeState, CommitId, Count, Digest, Line, Outcome, ProposalResult, Report, Repository, ShortCode, UnixMillis,
};
use serde::Serialize;

use super::request::Wanted;
use crate::broker::unwelcome;
use crate::commands::moment;
use crate::exit::{Exit, UsageError};

/// How far a pull request is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Somebody must say yes first, or has said it and the broker is about to do it.
    Open(Open),
    /// It is there.
    Proposed { number: Count, commit: CommitId, result: ProposalResult },
    /// It is not.
    Ended(Ending),
}

/// What waits for somebody's yes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Open {
    pub(super) change: Digest,
    pub(super) code: ShortCode,
    pub(super) wanted: Count,
    pub(super) expires: UnixMillis,
    pub(super) page: Option<Line>,
    pub(super) state: ChangeState,
    pub(super) approved: Count,
    /// What keeps it from being done although it is approved, and what to do.
    pub(super) held_up: Option<String>,
}

/// Why there is no pull request, and how the program ends for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ending {
    pub(super) state: &'static str,
    pub(super) words: String,
    pub(super) exit: Exit,
}

impl Ending {
    fn new(state: &'static str, exit: Exit, words: impl Into<String>) -> Self {
        Self { state, words: words.into(), exit }
    }

    /// Nobody was asked yet.
    pub(super) fn not_asked() -> Self {
        Self::new("failed", Exit::Internal, "it wasn't asked for")
    }

    /// What went wrong, as the error says it.
    pub(super) fn failed(error: &anyhow::Error) -> Self {
        let exit = if error.chain().any(|cause| cause.is::<UsageError>()) { Exit::Usage } else { Exit::Internal };
        Self::new("failed", exit, format!("{error:#}"))
    }
}

/// What the broker's answer to the request says.
pub(super) fn asked(answer: Answer) -> Standing {
    match answer {
        Answer::Outcome(Outcome::ApprovalWanted { change, code, wanted, expires, page }) => {
            // Two codes for one change would let people compare what isn't the same.
            if change.short_code() != code {
                let words = "the broker gave a code that isn't that of the change: don't approve it, and have a look at the broker";
                return Standing::Ended(Ending::new("failed", Exit::Internal, words));
            }
            let (state, approved) = (ChangeState::Waiting, Count::default());
            Standing::Open(Open { change, code, wanted, expires, page, state, approved, held_up: None })
        }
        Answer::Outcome(outcome) => done(&outcome),
        Answer::Report(report) => Standing::Ended(other(&report)),
    }
}

fn done(outcome: &Outcome) -> Standing {
    match outcome {
        Outcome::PullRequestProposed { number, commit, result } => {
            Standing::Proposed { number: *number, commit: commit.clone(), result: *result }
        }
        outcome => Standing::Ended(Ending::failed(&unwelcome(outcome))),
    }
}

fn other(report: &Report) -> Ending {
    Ending::new("failed", Exit::Internal, format!("the broker answered something else than was asked ({report:?})"))
}

/// What the broker says of an open request now.
pub(super) fn followed(open: &Open, answer: Answer) -> Standing {
    let (state, approved, wanted, outcome) = match answer {
        Answer::Report(Report::Change { digest, state, approved, wanted, outcome }) if digest == open.change => {
            (state, approved, wanted, outcome)
        }
        Answer::Report(Report::Change { .. }) => {
            return Standing::Ended(Ending::new("failed", Exit::Internal, "the broker answered about another change than was asked for"));
        }
        Answer::Report(report) => return Standing::Ended(other(&report)),
        Answer::Outcome(outcome) => return done(&outcome),
    };
    let ended = |state, exit, words: &str| Standing::Ended(Ending::new(state, exit, words));
    match (state, outcome) {
        (ChangeState::Waiting | ChangeState::Approved, outcome) => {
            let held_up = outcome.map(|outcome| format!("{:#}", unwelcome(&outcome)));
            Standing::Open(Open { state, approved, wanted, held_up, ..open.clone() })
        }
        (ChangeState::Applied | ChangeState::Failed, Some(outcome)) => done(&outcome),
        (ChangeState::Applied, None) => ended("failed", Exit::Internal, "the broker says that it is done, and not what came of it"),
        (ChangeState::Failed, None) => {
            let words =
                "it was approved, and whether it was done isn't known: look at the repository's pull requests before you run it again";
            ended("failed", Exit::Internal, words)
        }
        (ChangeState::Denied, _) => {
            ended("denied", Exit::Findings, "somebody said no: choose other fixes with `--rule` or `--finding`, or ask them why")
        }
        (ChangeState::Expired, _) => {
            let words = format!("{approved} of {wanted} said yes in time: run the command again to ask again");
            ended("expired", Exit::Findings, &words)
        }
        (ChangeState::Stale, _) => {
            ended("stale", Exit::Findings, "the repository isn't what it was when it was read: run the command again")
        }
        (ChangeState::Undone, _) => ended(
            "undone",
            Exit::Findings,
            "it was done and undone, because what came of it wasn't what was approved: run the command again",
        ),
        (ChangeState::Halted, _) => {
            let words =
                "the broker was stopped, and with it every request: `keyblind-broker arm` takes up work again, then run the command again";
            ended("halted", Exit::Usage, words)
        }
        (ChangeState::Unknown, _) => {
            ended("unknown", Exit::Internal, "the broker doesn't know this request any more: look into its ledger before you run it again")
        }
    }
}

/// A sentence about a pull request that is there.
fn result_words(result: ProposalResult) -> &'static str {
    match result {
        ProposalResult::Opened => "opened",
        ProposalResult::Updated => "updated",
        ProposalResult::Unchanged => "unchanged",
    }
}

/// What people have to do for a request, in a few lines.
pub(super) fn open_in_words(wanted: &Wanted, open: &Open) -> String {
    let page = open.page.as_ref().map_or("on your phone, or on the broker's own pages", Line::as_str);
    let people = if open.wanted.get() == 1 { "one yes is".to_owned() } else { format!("{} people are", open.wanted) };
    format!(
        "propose  {}\ninto     {}\napprove  {page}\ncompare  {}\nuntil    {} ({people} wanted)\n",
        wanted.request.title,
        wanted.request.base,
        open.code,
        moment(open.expires)
    )
}

/// What became of a request that is over, in a line.
pub(super) fn end_in_words(wanted: &Wanted, standing: &Standing) -> Option<String> {
    match standing {
        Standing::Open(_) => None,
        Standing::Proposed { number, commit, result } => {
            let Wanted { request, .. } = wanted;
            let commit = commit.as_str().get(..12).unwrap_or_default();
            Some(format!("{:<8} {}#{number} (branch {}, commit {commit})\n", result_words(*result), request.repository, request.branch))
        }
        Standing::Ended(ending) => Some(format!("{:<8} {}: {}\n", ending.state, wanted.request.branch, ending.words)),
    }
}

/// How the program ends for all of them: with the worst.
pub(super) fn exit<'s>(standings: impl IntoIterator<Item = &'s Standing>, of_the_leaf: Exit) -> Exit {
    let exits: Vec<Exit> = standings
        .into_iter()
        .filter_map(|standing| if let Standing::Ended(ending) = standing { Some(ending.exit) } else { None })
        .chain([of_the_leaf])
        .collect();
    let order = [Exit::Internal, Exit::Usage, Exit::Incomplete, Exit::Findings];
    order.into_iter().find(|exit| exits.contains(exit)).unwrap_or(of_the_leaf)
}

/// All that was asked for, for programs.
#[derive(Serialize)]
pub(super) struct Document<'d> {
    version: u32,
    tool: &'static str,
    tool_version: &'static str,
    repository: &'d Repository,
    commit: &'d CommitId,
    pull_requests: Vec<View<'d>>,
}

#[derive(Serialize)]
struct View<'d> {
    base: &'d str,
    branch: &'d str,
    title: &'d str,
    decides_what_runs: bool,
    files: &'d [keyblind_intent::AttachedFile],
    rules: &'d [keyblind_intent::RuleId],
    findings: &'d [String],
    /// `waiting`, `approved`, `opened`, `updated`, `unchanged`, or why there is none.
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<ApprovalView<'d>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    number: Option<Count>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<&'d CommitId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'d str>,
}

#[derive(Serialize)]
struct ApprovalView<'d> {
    change: Digest,
    code: ShortCode,
    wanted: Count,
    approved: Count,
    expires: String,
    page: Option<&'d Line>,
}

impl<'d> Document<'d> {
    pub(super) fn new(repository: &'d Repository, commit: &'d CommitId, all: &'d [(Wanted, Standing)]) -> Self {
        let (tool, tool_version) = (keyblind_report::TOOL, keyblind_report::VERSION);
        Self { version: 1, tool, tool_version, repository, commit, pull_requests: all.iter().map(View::of).collect() }
    }
}

impl<'d> View<'d> {
    fn of((wanted, standing): &'d (Wanted, Standing)) -> Self {
        let request = &wanted.request;
        let mut view = Self {
            base: request.base.as_str(),
            branch: request.branch.as_str(),
            title: request.title.as_str(),
            decides_what_runs: wanted.decides_what_runs,
            files: &request.files,
            rules: &request.fixes,
            findings: &wanted.fingerprints,
            state: "waiting",
            approval: None,
            number: None,
            head: None,
            reason: None,
        };
        match standing {
            Standing::Open(open) => {
                if open.state == ChangeState::Approved {
                    view.state = "approved";
                }
                view.approval = Some(ApprovalView {
                    change: open.change,
                    code: open.code,
                    wanted: open.wanted,
                    approved: open.approved,
                    expires: moment(open.expires),
                    page: open.page.as_ref(),
                });
            }
            Standing::Proposed { number, commit, result } => {
                (view.state, view.number, view.head) = (result_words(*result), Some(*number), Some(commit));
            }
            Standing::Ended(ending) => (view.state, view.reason) = (ending.state, Some(ending.words.as_str())),
        }
        view
    }
}
