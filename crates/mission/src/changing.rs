//! Changes: asked for, decided by people, made by the broker, looked at afterwards. A mission that waits for people holds no worker.

use std::time::Duration;

use keyblind_intent::{
    ApplyAction, BranchName, ChangeState, Control, Digest, Intent, Line, Outcome, Proposed, Report as BrokerReport, Revision,
};
use keyblind_store::WaitsFor;

use crate::checkpoint::{Checkpoint, End, Planned};
use crate::leaf_work::{LeafWork, account_given, document, done, made};
use crate::report::Report;
use crate::words::{in_a_line, unwelcome};
use crate::{Account, Assignment, Choice, Done, Event, Follows, Progress, Request, Step, Trouble};

/// How often people's decision is looked for: soon at first, and seldom once they take their time.
const LOOK_SOONEST: Duration = Duration::from_secs(1);
const LOOK_LATEST: Duration = Duration::from_secs(30);

impl LeafWork {
    /// Asks the broker for what is to be changed.
    pub(crate) async fn plan(&self, assignment: &Assignment, mut checkpoint: Checkpoint, progress: &Progress) -> Result<Done, Trouble> {
        let wanted: Vec<Wanted> = match &assignment.request {
            Request::FixRepository { base, choice, .. } => {
                let proposed = self.proposed(assignment, &checkpoint, base.as_ref(), choice, progress).await?;
                let wanted = proposed.into_iter().map(|(proposed, contents)| {
                    let title = proposed.request.title.to_string();
                    let (intent, contents) = (Intent::ProposePullRequest(proposed.request), Some(contents));
                    Wanted { intent, contents, what: title, fingerprints: proposed.fingerprints }
                });
                wanted.collect()
            }
            Request::Remediate { account, remediation } => {
                let number = self.number(&assignment.who, account).await?;
                checkpoint.account = Some(number.clone());
                let action = remediation.action(&number).map_err(|error| Trouble::Lasting(error.to_string()))?;
                vec![action_wanted(action)]
            }
            Request::Undo { change } => {
                let action = self.inverse(assignment, *change).await?;
                checkpoint.account = Some(action.account().clone());
                vec![action_wanted(action)]
            }
            _ => Vec::new(),
        };
        let mut events = Vec::new();
        for Wanted { intent, contents, what, fingerprints } in wanted {
            // The broker knows an equal request that is open: asked twice, people are asked once.
            match self.intend(&assignment.who, intent, contents.as_deref()).await?.0 {
                Outcome::ApprovalWanted { change, code, wanted, expires, page } => {
                    if change.short_code() != code {
                        return Err(Trouble::Lasting(
                            "the broker gave a code that isn't that of the change: nothing may be approved".to_owned(),
                        ));
                    }
                    events.push(Event::ApprovalWanted {
                        change: change.to_string(),
                        what,
                        code: code.to_string(),
                        wanted: wanted.get(),
                        expires: expires.get(),
                        page: page.map(|page| page.to_string()),
                    });
                    checkpoint.changes.push(Planned { change, asked: self.clock.now(), approved: 0, fingerprints, end: None });
                }
                outcome @ (Outcome::PullRequestProposed { .. } | Outcome::ActionApplied { .. }) => {
                    return Err(Trouble::Lasting(format!("the broker made a change that nobody approved: {}", in_a_line(&outcome))));
                }
                outcome => return Err(unwelcome(&outcome)),
            }
        }
        let follows = if checkpoint.changes.is_empty() {
            events.push(Event::NothingToPropose);
            Follows::To(Step::Report)
        } else {
            Follows::Next
        };
        Ok(Done { events, documents: Vec::new(), checkpoint: Some(checkpoint.written()?), follows })
    }

    /// The pull requests that a leaf composes of the fixes.
    async fn proposed(
        &self,
        assignment: &Assignment,
        checkpoint: &Checkpoint,
        base: Option<&BranchName>,
        choice: &Choice,
        progress: &Progress,
    ) -> Result<Vec<(Proposed, Vec<u8>)>, Trouble> {
        let tree = checkpoint.tree()?;
        let unclear = || Trouble::Lasting("it isn't clear into which branch the fixes go: name it".to_owned());
        let base = base.or(tree.branch.as_ref()).ok_or_else(unclear)?;
        let given = self.tree_given(assignment, tree, progress).await?;
        let mut arguments: Vec<std::ffi::OsString> = vec!["fix".into()];
        arguments.extend(given.arguments.iter().cloned());
        arguments.push(format!("--handed={}", tree.commit).into());
        arguments.extend(["--pr".into(), format!("--base={base}").into()]);
        arguments.extend(choice.all.then(|| "--all".into()));
        arguments.extend(choice.rules.iter().map(|rule| format!("--rule={rule}").into()));
        arguments.extend(choice.findings.iter().map(|finding| format!("--finding={finding}").into()));
        let output = self.run(arguments, &given, progress).await?;
        let all =
            Proposed::read_all(&output.bytes).map_err(|error| Trouble::Lasting(format!("the scanner's fixes can't be used: {error}")))?;
        // The leaf has read hostile text: what it asks for is what this mission is about, or nothing.
        let is_ours = |proposed: &Proposed| {
            let request = &proposed.request;
            request.repository == tree.repository && request.base == *base && request.base_commit == tree.commit
        };
        if !all.iter().all(|(proposed, _)| is_ours(proposed)) {
            return Err(Trouble::Lasting("the scanner composed a pull request for something else: nothing was asked for".to_owned()));
        }
        Ok(all)
    }

    /// What takes a change back, as the broker recorded it.
    async fn inverse(&self, assignment: &Assignment, change: Digest) -> Result<ApplyAction, Trouble> {
        match self.control(&assignment.who, Control::FollowChange { digest: change }).await? {
            BrokerReport::Change { digest, state: ChangeState::Applied, outcome: Some(outcome), .. } if digest == change => {
                match *outcome {
                    Outcome::ActionApplied { undo: Some(undo), .. } => Ok(*undo),
                    _ => Err(Trouble::Lasting("there is nothing that would take that change back".to_owned())),
                }
            }
            BrokerReport::Change { .. } => Err(Trouble::Lasting("that change wasn't made: there is nothing to take back".to_owned())),
            _ => Err(Trouble::Lasting("the broker answered something else than was asked".to_owned())),
        }
    }

    /// Looks whether people have decided.
    pub(crate) async fn approval(&self, assignment: &Assignment, mut checkpoint: Checkpoint) -> Result<Done, Trouble> {
        let (events, open) = self.look(assignment, &mut checkpoint).await?;
        let waits = open.iter().any(|(_, state)| *state == ChangeState::Waiting);
        self.after_look(checkpoint, events, waits, WaitsFor::Approval)
    }

    /// Looks whether the broker has made what was approved.
    pub(crate) async fn apply(&self, assignment: &Assignment, mut checkpoint: Checkpoint) -> Result<Done, Trouble> {
        let (events, open) = self.look(assignment, &mut checkpoint).await?;
        self.after_look(checkpoint, events, !open.is_empty(), WaitsFor::Effect)
    }

    fn after_look(&self, checkpoint: Checkpoint, events: Vec<Event>, waits: bool, waits_for: WaitsFor) -> Result<Done, Trouble> {
        let is_none_left = checkpoint.changes.iter().all(|planned| matches!(planned.end, Some(End::Not(_))));
        if is_none_left {
            let reasons: Vec<&str> = checkpoint.changes.iter().filter_map(|planned| planned.not()).collect();
            return Err(Trouble::Lasting(reasons.join("; ")));
        }
        let oldest = checkpoint.changes.iter().filter(|planned| planned.end.is_none()).map(|planned| planned.asked.get()).min();
        let waited = Duration::from_millis(self.clock.now().get().saturating_sub(oldest.unwrap_or_default()));
        let latest = if waits_for == WaitsFor::Effect { LOOK_SOONEST * 2 } else { LOOK_LATEST };
        let follows = if waits { Follows::Again((waited / 20).clamp(LOOK_SOONEST, latest), waits_for) } else { Follows::Next };
        Ok(Done { events, documents: Vec::new(), checkpoint: Some(checkpoint.written()?), follows })
    }

    /// How far the open changes are; those that came to an end are noted.
    async fn look(
        &self,
        assignment: &Assignment,
        checkpoint: &mut Checkpoint,
    ) -> Result<(Vec<Event>, Vec<(Digest, ChangeState)>), Trouble> {
        let (mut events, mut open) = (Vec::new(), Vec::new());
        for planned in checkpoint.changes.iter_mut().filter(|planned| planned.end.is_none()) {
            let report = self.control(&assignment.who, Control::FollowChange { digest: planned.change }).await?;
            let BrokerReport::Change { digest, state, approved, wanted, outcome } = report else {
                return Err(Trouble::Lasting("the broker answered something else than was asked".to_owned()));
            };
            if digest != planned.change {
                return Err(Trouble::Lasting("the broker answered for another change than was asked".to_owned()));
            }
            let change = planned.change.to_string();
            if matches!(state, ChangeState::Waiting | ChangeState::Approved) {
                if approved.get() > planned.approved {
                    planned.approved = approved.get();
                    events.push(Event::Approved { change, approved: approved.get(), wanted: wanted.get() });
                }
                // It is approved, and something keeps the broker from making it that somebody can mend.
                if let Some(Outcome::NotReady { .. }) = outcome.as_deref() {
                    return Err(outcome.map_or_else(|| Trouble::Passing(String::new()), |outcome| unwelcome(&outcome)));
                }
                open.push((planned.change, state));
                continue;
            }
            let (word, end) = match (state, outcome) {
                (ChangeState::Applied, Some(outcome)) => ("applied", End::Applied(outcome)),
                (state, outcome) => {
                    let (word, words) = not_made(state);
                    let said = outcome.map(|outcome| format!(": {}", in_a_line(&outcome))).unwrap_or_default();
                    (word, End::Not(format!("{words}{said}")))
                }
            };
            let said = match &end {
                End::Applied(outcome) => in_a_line(outcome),
                End::Not(words) => words.clone(),
            };
            events.push(Event::Decided { change, state: word.to_owned(), said });
            planned.end = Some(end);
        }
        Ok((events, open))
    }

    /// Judges what was changed again.
    pub(crate) async fn verify(&self, assignment: &Assignment, checkpoint: &Checkpoint, progress: &Progress) -> Result<Done, Trouble> {
        if let Request::Remediate { .. } | Request::Undo { .. } = &assignment.request {
            // The broker has compared the target with what was approved; here the rules say what is still wrong with the account.
            let unknown = || Trouble::Lasting("the account wasn't looked up: begin it anew".to_owned());
            let account = Account::Numbered(checkpoint.account.clone().ok_or_else(unknown)?);
            let snapshot = self.snapshot(assignment, checkpoint, progress).await?;
            let output = self.scan(&account_given(&account, &snapshot)?, &["--format", "json"], progress).await?;
            self.trees.forget(assignment.mission);
            return Ok(done(Report::read(&output.bytes)?.scanned(), document::VERIFIED, output.bytes));
        }
        let tree = checkpoint.tree()?.clone();
        let (mut events, mut documents, mut still) = (Vec::new(), Vec::new(), 0);
        for planned in &checkpoint.changes {
            let Some(End::Applied(outcome)) = &planned.end else { continue };
            let Outcome::PullRequestProposed { commit, .. } = &**outcome else { continue };
            let (changed, bulk) = self.read(assignment, &tree.repository, Revision::Commit(commit.clone()), progress).await?;
            let given = crate::fetching::given(&changed, &bulk)?;
            let output = self.scan(&given, &["--format", "json"], progress).await?;
            let (gone, left) = Report::read(&output.bytes)?.verified(planned.fingerprints.iter().map(Line::as_str))?;
            events.push(Event::Verified { gone, left });
            documents = vec![made(document::VERIFIED, output.bytes)];
            still += left;
        }
        // The report is about what was read first.
        self.trees.forget(assignment.mission);
        if still > 0 {
            return Err(Trouble::Lasting(format!(
                "{still} findings are still there in the pull request: have a look at it before it is merged"
            )));
        }
        Ok(Done { events, documents, checkpoint: None, follows: Follows::Next })
    }
}

impl Planned {
    fn not(&self) -> Option<&str> {
        match &self.end {
            Some(End::Not(words)) => Some(words),
            _ => None,
        }
    }
}

/// A change that people are to be asked for.
struct Wanted {
    intent: Intent,
    contents: Option<Vec<u8>>,
    /// What it is, in a line.
    what: String,
    /// The findings that it mends.
    fingerprints: Vec<Line>,
}

fn action_wanted(action: ApplyAction) -> Wanted {
    let what = format!("{:?} on {}", action.action().id(), action.resource());
    Wanted { intent: Intent::ApplyAction(action), contents: None, what, fingerprints: Vec::new() }
}

/// The word and the words for a change that wasn't made.
fn not_made(state: ChangeState) -> (&'static str, &'static str) {
    match state {
        ChangeState::Denied => ("denied", "somebody said no"),
        ChangeState::Expired => ("expired", "nobody decided in time"),
        ChangeState::Stale => ("stale", "the target isn't what it was when it was read: begin it anew"),
        ChangeState::Failed => ("failed", "it was approved, and isn't done"),
        ChangeState::Undone => ("undone", "it was done and taken back"),
        ChangeState::Halted => ("halted", "everything was stopped"),
        ChangeState::Unknown => ("unknown", "the broker knows of no such change"),
        ChangeState::Applied => ("failed", "the broker doesn't say what came of it"),
        ChangeState::Waiting | ChangeState::Approved => ("failed", "it isn't decided"),
    }
}
