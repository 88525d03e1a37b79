//! What the broker reads: repositories and accounts.

use std::sync::Arc;

use keyblind_client::BulkFile;
use keyblind_intent::{
    Answer, Control, Count, Intent, Outcome, Provider, ReadRepository, Report as BrokerReport, Repository, Revision, Service,
    SnapshotAccount,
};

use crate::broker::Answered;
use crate::checkpoint::{Checkpoint, Tree};
use crate::leaf_work::{Given, LeafWork, descriptor};
use crate::words::unwelcome;
use crate::{Account, Assignment, Done, Event, Follows, Origin, Progress, Request, Trouble, Who};

/// Calls that one snapshot may cost.
const MOST_CALLS: u32 = 20_000;
/// What is judged of an account.
const SERVICES: [Service; 3] = [Service::Ec2, Service::Iam, Service::S3];

impl LeafWork {
    /// Asks the broker.
    pub(crate) async fn ask(&self, who: &Who, request: keyblind_intent::Request, attached: Option<&[u8]>) -> Result<Answered, Trouble> {
        let missing = || Trouble::Lasting("this server has no broker: set `socket` under [broker] of its configuration".to_owned());
        Ok(self.broker.as_ref().ok_or_else(missing)?.ask(who, &request, attached).await?)
    }

    pub(crate) async fn intend(&self, who: &Who, intent: Intent, attached: Option<&[u8]>) -> Result<(Outcome, Option<BulkFile>), Trouble> {
        match self.ask(who, keyblind_intent::Request::Intent(intent), attached).await? {
            (Answer::Outcome(outcome), bulk) => Ok((outcome, bulk)),
            (Answer::Report(_), _) => Err(Trouble::Lasting("the broker answered something else than was asked".to_owned())),
        }
    }

    pub(crate) async fn control(&self, who: &Who, control: Control) -> Result<BrokerReport, Trouble> {
        match self.ask(who, keyblind_intent::Request::Control(control), None).await? {
            (Answer::Report(report), _) => Ok(report),
            (Answer::Outcome(outcome), _) => Err(unwelcome(&outcome)),
        }
    }

    /// The first step: has it read, and says at which commit, or of which account, all other steps are.
    pub(crate) async fn fetch(&self, assignment: &Assignment, mut checkpoint: Checkpoint, progress: &Progress) -> Result<Done, Trouble> {
        match &assignment.request {
            Request::ScanRepository { repository, revision }
            | Request::FixRepository { repository, revision, .. }
            | Request::Reverify { origin: Origin::Repository(repository, revision), .. } => {
                let revision = match (&assignment.request, revision) {
                    (Request::FixRepository { base: Some(base), .. }, Revision::DefaultBranch) => Revision::Branch(base.clone()),
                    _ => revision.clone(),
                };
                let (tree, _) = self.read(assignment, repository, revision, progress).await?;
                checkpoint.tree = Some(tree);
            }
            Request::ScanAccount { account } | Request::Reverify { origin: Origin::Account(account), .. } => {
                checkpoint.account = Some(self.number(&assignment.who, account).await?);
                self.snapshot(assignment, &checkpoint, progress).await?;
            }
            _ => {}
        }
        Ok(Done { events: Vec::new(), documents: Vec::new(), checkpoint: Some(checkpoint.written()?), follows: Follows::Next })
    }

    /// Has a repository read.
    pub(crate) async fn read(
        &self,
        assignment: &Assignment,
        repository: &Repository,
        revision: Revision,
        progress: &Progress,
    ) -> Result<(Tree, Arc<BulkFile>), Trouble> {
        let intent = Intent::ReadRepository(ReadRepository { repository: repository.clone(), revision: revision.clone() });
        match self.intend(&assignment.who, intent, None).await? {
            (Outcome::RepositoryRead { repository: read, commit, branch, files, left_out, .. }, Some(bulk)) => {
                let is_other = match &revision {
                    Revision::Commit(asked) => *asked != commit,
                    Revision::Branch(asked) => branch.as_ref().is_some_and(|branch| branch != asked),
                    Revision::DefaultBranch | Revision::PullRequest(_) | Revision::Named(_) => false,
                };
                if is_other || read.forge != repository.forge {
                    return Err(Trouble::Lasting(format!("the broker read another state than was asked for: {read} at {commit}")));
                }
                let missing = left_out.iter().map(|left| left.count.get()).sum();
                progress.tell(Event::Fetched { what: format!("{read} at {commit}"), parts: files.get(), missing }).await;
                Ok((Tree { repository: read, commit, branch }, self.trees.keep(assignment.mission, bulk)))
            }
            (outcome, _) => Err(unwelcome(&outcome)),
        }
    }

    /// The tree of the first step, read again at its commit if it isn't here any more.
    pub(crate) async fn tree_given(&self, assignment: &Assignment, tree: &Tree, progress: &Progress) -> Result<Given, Trouble> {
        let bulk = match self.trees.find(assignment.mission) {
            Some(bulk) => bulk,
            None => self.read(assignment, &tree.repository, Revision::Commit(tree.commit.clone()), progress).await?.1,
        };
        given(tree, &bulk)
    }

    /// An account's number, which the broker tells where it only has a name.
    pub(crate) async fn number(&self, who: &Who, account: &Account) -> Result<keyblind_intent::AccountId, Trouble> {
        let name = match account {
            Account::Numbered(account) => return Ok(account.clone()),
            Account::Named(name) => name,
        };
        match self.control(who, Control::ListConnections).await? {
            BrokerReport::Connections { connections } => {
                let found = connections.into_iter().find(|found| found.provider == Provider::Aws && found.name == *name);
                let unknown = || Trouble::Lasting(format!("the broker has no AWS account called `{name}` for this tenant"));
                found.and_then(|found| found.account).ok_or_else(unknown)
            }
            _ => Err(Trouble::Lasting("the broker answered something else than was asked".to_owned())),
        }
    }

    /// The account's snapshot, made again if it isn't here any more.
    pub(crate) async fn snapshot(
        &self,
        assignment: &Assignment,
        checkpoint: &Checkpoint,
        progress: &Progress,
    ) -> Result<Arc<BulkFile>, Trouble> {
        if let Some(bulk) = self.trees.find(assignment.mission) {
            return Ok(bulk);
        }
        let unknown = || Trouble::Lasting("the account wasn't looked up: begin it anew".to_owned());
        let account = checkpoint.account.as_ref().ok_or_else(unknown)?;
        let most_calls = Count::from(MOST_CALLS);
        let request = SnapshotAccount { account: account.clone(), regions: Vec::new(), services: SERVICES.to_vec(), most_calls };
        match self.intend(&assignment.who, Intent::SnapshotAccount(request), None).await? {
            (Outcome::AccountSnapshotted { account: read, calls, failed, .. }, Some(bulk)) => {
                if read != *account {
                    return Err(Trouble::Lasting(format!("the broker read another account than was asked for: {read}")));
                }
                let what = format!("AWS account {account}");
                progress.tell(Event::Fetched { what, parts: calls.get(), missing: failed.get() }).await;
                Ok(self.trees.keep(assignment.mission, bulk))
            }
            (outcome, _) => Err(unwelcome(&outcome)),
        }
    }
}

/// A repository's archive, as the scanner takes it.
pub(crate) fn given(tree: &Tree, bulk: &BulkFile) -> Result<Given, Trouble> {
    let argument = format!("github:{}@{}", tree.repository, tree.commit);
    Ok(Given { descriptor: descriptor(bulk)?, arguments: vec![argument.into()], is_handed: true, commit: Some(tree.commit.clone()) })
}
