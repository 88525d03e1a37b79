//! Repositories at GitHub: read at once, changed with the yes of people.

mod connections;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::{
    Change, ConnectionName, ConnectionState, Count, Digest, Failure, Foreign, Intent, Inverse, Line, ListRepositories, Missing, NoInverse,
    Outcome, Owner, PolicyTemplate, Provider, ReadRepository, Refusal, Repository, Revision, Setting, TenantId, limits,
};

use self::source::{FromPeople, Source, is_of_account};
use super::{Effector, Looked, failed, received, told, unnamed_file, who};
use crate::approvals::{Approvals, Approved};
use crate::dispatch::{self, Answering, Asked, Reply};
use crate::door::Accounts;
use crate::leases::lease::{CallFailure, LendError, Lender, Purpose, ReadLease};
use crate::ledger::{Code, Ledger, Who};
use crate::providers::code;
use crate::providers::github::{Access, Github, GithubError, Installations, Listed, NotProposed, Permissions, Reach, TreeLimits};
use crate::secret::Secret;
use crate::socket::BulkFile;

/// How long reading may borrow authority: the largest repositories take minutes.
const READ_LIFETIME: Duration = Duration::from_secs(900);
/// How long a look before a change may.
const LOOK_LIFETIME: Duration = Duration::from_secs(300);

/// Which owners' repositories a tenant reaches: one App is installed for many, and a tenant must not reach another's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owners {
    /// Every owner's that installs the App.
    All,
    /// These.
    These(BTreeSet<Owner>),
}

impl Owners {
    fn reach(&self, owner: &str) -> bool {
        match self {
            Self::All => true,
            // GitHub's names are the same in upper and lower case.
            Self::These(owners) => owners.iter().any(|ours| ours.as_str().eq_ignore_ascii_case(owner)),
        }
    }
}

/// GitHub, through an App's installations, accounts that people have connected, or both.
pub struct GithubWork {
    github: Arc<Github>,
    app: Option<Installations>,
    people: Option<FromPeople>,
    lender: Lender,
    ledger: Ledger,
    owners: BTreeMap<TenantId, Owners>,
    /// Where archives lie, without a name, while they are handed over.
    folder: PathBuf,
}

impl GithubWork {
    /// The intents that only read: done at once.
    pub const READS: &[&str] = &["list-repositories", "read-repository"];
    /// The intents that change something: done after people said yes.
    pub const CHANGES: &[&str] = &["propose-pull-request", "publish-check-run", "comment", "upload-sarif"];

    /// Joins GitHub with the broker's leases; authority over it comes from [`Self::with_app`] and [`Self::with_accounts`]. `folder` is one
    /// of the broker's own; a tenant that isn't among `owners` reaches nothing.
    pub fn new(github: Arc<Github>, lender: Lender, ledger: Ledger, owners: BTreeMap<TenantId, Owners>, folder: PathBuf) -> Self {
        Self { github, app: None, people: None, lender, ledger, owners, folder }
    }

    /// Borrows from an App's installations.
    #[must_use]
    pub fn with_app(self, app: Installations) -> Self {
        Self { app: Some(app), ..self }
    }

    /// Borrows from the account of whoever asks: for `instead_of_app`'s repositories, and for all if there is no App. `approvals` knows the
    /// policy, which has to accept that such a token reaches more than one repository.
    #[must_use]
    pub fn with_accounts(self, accounts: Arc<Accounts>, instead_of_app: Option<Owners>, approvals: Approvals) -> Self {
        Self { people: Some(FromPeople { accounts, instead_of_app, approvals }), ..self }
    }

    /// Whether it borrows from an App.
    #[must_use]
    pub fn has_app(&self) -> bool {
        self.app.is_some()
    }

    /// Where authority over a repository comes from, for somebody.
    async fn source(&self, who: &Who, repository: &Repository) -> Result<Source, Outcome> {
        let people = self.people.as_ref();
        match (&self.app, people.filter(|people| people.precedes_app(repository.owner.as_str()) || self.app.is_none())) {
            (_, Some(people)) if people.is_accepted(repository).await => people.of(who).await,
            (_, Some(_)) => Err(Outcome::Refused(Refusal::BroadAuthority)),
            (Some(app), None) => Ok(Source::App(app.clone())),
            (None, None) => Err(Outcome::NotConfigured { missing: Missing::Provider(Provider::Github) }),
        }
    }

    /// Borrows authority for reads.
    async fn read(&self, who: &Who, source: &Source, reach: Reach, reading: &Reading<'_>) -> Result<ReadLease, Outcome> {
        let target = match &reach {
            Reach::Repository(repository) => repository.to_string(),
            Reach::Installation(id) => format!("installation {id}"),
            Reach::Granted(_) => "all that the account sees".to_owned(),
        };
        let purpose = purpose(who, source.permission(reading.name), &target, reading.lifetime).ok_or(FAULT)?;
        let operations: BTreeSet<Code> = reading.operations.iter().map(|operation| code(operation)).collect();
        let calls = u32::try_from(operations.len()).unwrap_or(u32::MAX);
        let wanted = source.wanted(reach, &reading.permissions).ok_or(BEYOND_ACCOUNT)?;
        self.lender.read(operations, calls, source, &wanted, purpose).await.map_err(|error| told(&error, refused))
    }

    /// Makes one call of a lease; what GitHub says is told in its own terms.
    async fn call<T>(
        &self,
        source: &Source,
        lease: &mut ReadLease,
        operation: &str,
        call: impl AsyncFnOnce(&Access<'_>) -> Result<T, GithubError>,
    ) -> Result<T, Outcome> {
        let mut failure = None;
        let result = lease
            .call(code(operation), async |token: &Secret| {
                call(&source.access(token)).await.map_err(|error| {
                    failure = Some(error);
                    CallFailure::Failed(error.code())
                })
            })
            .await;
        result.map_err(|error| match (&error, failure) {
            (LendError::Failed(_), Some(failure)) => source.told(failure),
            _ => told(&error, refused),
        })
    }

    async fn list(&self, who: &Who, request: &ListRepositories) -> Result<Reply, Outcome> {
        if !self.is_ours(&request.forge) {
            return Err(Outcome::NotConfigured { missing: Missing::Connection });
        }
        let permissions = Permissions::of(PolicyTemplate::GithubMetadataRead).ok_or(FAULT)?;
        let operations = &["list-repositories"];
        let reading = Reading { operations, permissions, name: "github-metadata-read", lifetime: READ_LIFETIME };
        let (mut all, mut complete, mut failure) = (Vec::new(), true, None);
        let reached = |owner: &str| self.owners.get(&who.tenant).is_some_and(|owners| owners.reach(owner));
        let of_account = |owner: &str| self.people.as_ref().is_some_and(|people| self.app.is_none() || people.precedes_app(owner));
        if let Some(app) = &self.app {
            // A token of an installation sees all of its owner's: none is asked for where the tenant reaches nothing.
            let installations = app.all().await.map_err(GithubError::outcome)?;
            let is_ours = |owner: &str| reached(owner) && !of_account(owner);
            for installation in installations.into_iter().filter(|installation| is_ours(&installation.owner)) {
                let source = Source::App(app.clone());
                match self.list_of(who, &source, Reach::Installation(installation.id), &reading).await {
                    Ok(listed) => {
                        all.extend(listed.repositories.into_iter().filter(|summary| is_ours(summary.repository.owner.as_str())));
                        complete &= listed.is_complete;
                    }
                    // One that is suspended hides no other.
                    Err(outcome) => (complete, failure) = (false, Some(outcome)),
                }
            }
        }
        if let Some(people) = self.people.as_ref().filter(|_| self.owners.contains_key(&who.tenant)) {
            match self.list_of_account(who, people, &reading).await {
                Ok(listed) => {
                    complete &= listed.is_complete;
                    for summary in listed.repositories {
                        let owner = summary.repository.owner.as_str();
                        if reached(owner) && of_account(owner) && people.is_accepted(&summary.repository).await {
                            all.push(summary);
                        }
                    }
                }
                Err(outcome) => (complete, failure) = (false, Some(outcome)),
            }
        }
        if let Some(outcome) = failure.filter(|_| all.is_empty()) {
            return Err(outcome);
        }
        complete &= all.len() <= limits::LISTED_REPOSITORIES;
        all.truncate(limits::LISTED_REPOSITORIES);
        Ok(Outcome::RepositoriesListed { repositories: all, complete }.into())
    }

    async fn list_of(&self, who: &Who, source: &Source, reach: Reach, reading: &Reading<'_>) -> Result<Listed, Outcome> {
        let mut lease = self.read(who, source, reach, reading).await?;
        let github = &self.github;
        let listed = self.call(source, &mut lease, "list-repositories", async |access| github.repositories(access).await).await;
        finish(lease).await?;
        listed
    }

    /// What the account of whoever asks sees, where the policy accepts its use for anything at all.
    async fn list_of_account(&self, who: &Who, people: &FromPeople, reading: &Reading<'_>) -> Result<Listed, Outcome> {
        if !people.is_accepted_anywhere(self.github.forge()).await {
            return Err(Outcome::Refused(Refusal::BroadAuthority));
        }
        let source = people.of(who).await?;
        self.list_of(who, &source, Reach::Granted(None), reading).await
    }

    /// Reads a repository with a lease.
    pub(super) async fn fetch(&self, who: &Who, request: ReadRepository) -> Result<Reply, Outcome> {
        let ReadRepository { repository, revision } = request;
        if let Some(outcome) = self.out_of_reach(&who.tenant, &repository) {
            return Err(outcome);
        }
        let permissions = Permissions::of(PolicyTemplate::GithubContentsRead).ok_or(FAULT)?;
        let source = self.source(who, &repository).await?;
        let reach = Reach::Repository(repository.clone());
        let operations = &["resolve", "fetch-tree"];
        let reading = Reading { operations, permissions, name: "github-contents-read", lifetime: READ_LIFETIME };
        let mut lease = self.read(who, &source, reach, &reading).await?;
        let fetched = self.fetch_with(&source, &mut lease, &repository, &revision).await;
        finish(lease).await?;
        fetched
    }

    async fn fetch_with(
        &self,
        source: &Source,
        lease: &mut ReadLease,
        repository: &Repository,
        revision: &Revision,
    ) -> Result<Reply, Outcome> {
        let github = &self.github;
        let resolve = async |access: &Access<'_>| github.resolve_branch(access, repository, revision).await;
        let (commit, branch) = self.call(source, lease, "resolve", resolve).await?;
        let (file, read_only) = unnamed_file(&self.folder).map_err(|_| FAULT)?;
        let limits = TreeLimits::default();
        let fetch = async |access: &Access<'_>| github.fetch_tree(access, repository, &commit, limits, file).await;
        let (fetched, file) = self.call(source, lease, "fetch-tree", fetch).await?;
        drop(file);
        let attached = tokio::task::spawn_blocking(move || BulkFile::unlinked(read_only)).await;
        let attached = attached.ok().and_then(Result::ok).ok_or(FAULT)?;
        let outcome = Outcome::RepositoryRead {
            repository: repository.clone(),
            commit,
            branch,
            archive: attached.bulk(),
            files: Count::saturating(fetched.files),
            left_out: fetched.left_out,
        };
        Ok(Reply { outcome, attached: Some(attached) })
    }

    fn is_ours(&self, forge: &ConnectionName) -> bool {
        forge == self.github.forge()
    }

    /// Why the tenant doesn't reach that repository, if it doesn't.
    fn out_of_reach(&self, tenant: &TenantId, repository: &Repository) -> Option<Outcome> {
        if !self.is_ours(&repository.forge) {
            return Some(Outcome::NotConfigured { missing: Missing::Connection });
        }
        let is_reached = self.owners.get(tenant).is_some_and(|owners| owners.reach(repository.owner.as_str()));
        if is_reached { None } else { Some(Outcome::Refused(Refusal::OtherTenant)) }
    }

    async fn look_at(&self, who: &Who, intent: &Intent) -> Result<Looked, Outcome> {
        let github = &self.github;
        let (repository, revision) = match intent {
            Intent::ProposePullRequest(request) => {
                if let Some(outcome) = self.out_of_reach(&who.tenant, &request.repository) {
                    return Err(outcome);
                }
                let source = self.source(who, &request.repository).await?;
                let reach = Reach::Repository(request.repository.clone());
                let mut lease = self.read(who, &source, reach, &Reading::look()).await?;
                let standing = self.call(&source, &mut lease, "look", async |access| github.standing(access, request).await).await;
                finish(lease).await?;
                let standing = standing?;
                let inverse = Inverse::ClosePullRequest { branch: request.branch.clone(), before: standing.branch };
                return Ok(Looked { state: standing.state, after: None, inverse, contents: standing.contents });
            }
            Intent::PublishCheckRun(request) => (&request.repository, Revision::Commit(request.commit.clone())),
            Intent::UploadSarif(request) => (&request.repository, Revision::Commit(request.commit.clone())),
            Intent::Comment(request) => (&request.repository, Revision::PullRequest(request.pull_request)),
            _ => return Err(FAULT),
        };
        if let Some(outcome) = self.out_of_reach(&who.tenant, repository) {
            return Err(outcome);
        }
        let source = self.source(who, repository).await?;
        let reach = Reach::Repository(repository.clone());
        let mut lease = self.read(who, &source, reach, &Reading::look()).await?;
        let commit =
            self.call(&source, &mut lease, "look", async |access| github.standing_commit(access, repository, &revision).await).await;
        finish(lease).await?;
        let state = Digest::of(commit?.as_str().as_bytes());
        Ok(Looked { state, after: None, inverse: Inverse::None(NoInverse::Replaced), contents: Vec::new() })
    }

    async fn make(&self, who: &Who, approved: Approved, rendered: &Change, contents: &[u8]) -> Result<Outcome, Outcome> {
        let fields = rendered.fields();
        let intent = &fields.intent;
        let repository = repository_of(intent).ok_or(FAULT)?;
        // What people said yes to decides: to one repository's permissions, or to all that the asker's account allows.
        let source = match (&self.app, &self.people) {
            (_, Some(people)) if is_of_account(fields.borrowed.permission) => {
                if !people.is_accepted(repository).await {
                    return Err(Outcome::Refused(Refusal::BroadAuthority));
                }
                people.of(who).await?
            }
            (Some(app), _) if !is_of_account(fields.borrowed.permission) => Source::App(app.clone()),
            _ => return Err(Outcome::NotConfigured { missing: Missing::Provider(Provider::Github) }),
        };
        let permissions = intent.permission().and_then(Permissions::of).ok_or(FAULT)?;
        // As long as people approved, and no longer.
        let lifetime = Duration::from_secs(fields.borrowed.seconds.get());
        let purpose = purpose(who, source.permission(intent.name()), &repository.to_string(), lifetime).ok_or(FAULT)?;
        let wanted = source.wanted(Reach::Repository(repository.clone()), &permissions).ok_or(BEYOND_ACCOUNT)?;
        let lease = self.lender.write(approved, &source, &wanted, purpose).await.map_err(|error| told(&error, refused))?;
        let mut failure = None;
        let result = lease
            .apply(rendered, code(intent.name()), async |token: &Secret| {
                self.send(&source.access(token), intent, contents).await.map_err(|not| {
                    failure = Some(not.error);
                    let reason = not.error.code();
                    if not.may_have_happened { CallFailure::Unknown(reason) } else { CallFailure::Failed(reason) }
                })
            })
            .await;
        result.map_err(|error| match (&error, failure) {
            (LendError::Failed(_), Some(failure)) => source.told(failure),
            _ => told(&error, refused),
        })
    }

    /// The one effect.
    async fn send(&self, access: &Access<'_>, intent: &Intent, contents: &[u8]) -> Result<Outcome, NotProposed> {
        let github = &self.github;
        let once = |error: GithubError| NotProposed { error, may_have_happened: error.may_have_happened() };
        Ok(match intent {
            Intent::ProposePullRequest(request) => {
                let proposed = github.propose(access, request, contents).await?;
                Outcome::PullRequestProposed { number: proposed.number, commit: proposed.commit, result: proposed.result }
            }
            Intent::PublishCheckRun(request) => {
                let id = github.publish_check_run(access, request).await.map_err(once)?;
                Outcome::CheckRunPublished { id, annotations: Count::saturating(request.annotations.len() as u64) }
            }
            Intent::Comment(request) => {
                let said = github.comment(access, request).await.map_err(once)?;
                Outcome::Commented { id: said.id, updated: said.updated }
            }
            Intent::UploadSarif(request) => {
                let uploaded = github.upload_sarif(access, request, contents).await.map_err(once)?;
                Outcome::SarifUploaded { id: Foreign::new(&uploaded.id), state: uploaded.state }
            }
            _ => return Err(GithubError::Contents.into()),
        })
    }
}

impl dispatch::Handler for GithubWork {
    fn handle(&self, asked: Asked) -> Answering<'_, Reply> {
        Box::pin(async move {
            if let Err(outcome) = received(&self.ledger, &asked.session, asked.id, &asked.intent).await {
                return outcome.into();
            }
            let who = who(&asked.session);
            let done = match asked.intent {
                Intent::ListRepositories(request) => self.list(&who, &request).await,
                Intent::ReadRepository(request) => self.fetch(&who, request).await,
                _ => Err(FAULT),
            };
            done.unwrap_or_else(Reply::from)
        })
    }
}

impl Effector for GithubWork {
    fn permission(&self, intent: &Intent) -> Option<PolicyTemplate> {
        let own = intent.permission()?;
        let repository = repository_of(intent)?;
        let is_of_account = self.people.as_ref().is_some_and(|people| self.app.is_none() || people.precedes_app(repository.owner.as_str()));
        Some(if is_of_account { PolicyTemplate::GithubAccount } else { own })
    }

    fn look<'a>(&'a self, who: &'a Who, intent: &'a Intent) -> Answering<'a, Result<Looked, Outcome>> {
        Box::pin(self.look_at(who, intent))
    }

    fn apply<'a>(&'a self, who: &'a Who, approved: Approved, rendered: &'a Change, contents: &'a [u8]) -> Answering<'a, Outcome> {
        Box::pin(async move { self.make(who, approved, rendered, contents).await.unwrap_or_else(|outcome| outcome) })
    }
}

fn repository_of(intent: &Intent) -> Option<&Repository> {
    match intent {
        Intent::ProposePullRequest(request) => Some(&request.repository),
        Intent::PublishCheckRun(request) => Some(&request.repository),
        Intent::Comment(request) => Some(&request.repository),
        Intent::UploadSarif(request) => Some(&request.repository),
        _ => None,
    }
}

fn purpose(who: &Who, permission: &str, target: &str, lifetime: Duration) -> Option<Purpose> {
    Some(Purpose { who: who.clone(), mission: None, permission: code(permission), target: Line::new(target).ok()?, lifetime })
}

/// Reads that authority is borrowed for.
struct Reading<'r> {
    operations: &'r [&'r str],
    permissions: Permissions,
    /// How the ledger calls the permission.
    name: &'r str,
    lifetime: Duration,
}

impl Reading<'_> {
    /// A look before a change.
    fn look() -> Self {
        Self { operations: &["look"], permissions: Permissions::to_look(), name: "github-look", lifetime: LOOK_LIFETIME }
    }
}

/// The account isn't asked to allow it, or only Apps may.
const BEYOND_ACCOUNT: Outcome = Outcome::NotConfigured { missing: Missing::Setting(Setting::AccountScopes) };

/// A fault of ours.
const FAULT: Outcome = Outcome::Refused(Refusal::Internal);

/// Ends a read lease. If that can't be recorded, nothing that it gave is handed over.
async fn finish(lease: ReadLease) -> Result<(), Outcome> {
    lease.finish().await.map_err(|error| told(&error, refused))
}

/// What it means that there was no token, or GitHub did nothing, for a reason in our own words.
fn refused(reason: &str) -> Outcome {
    let state = match reason {
        "not-found" | "not-connected" => ConnectionState::NotConnected,
        "expired" => ConnectionState::Expired,
        "signed-out" => ConnectionState::SignedOut,
        "unauthorized" | "operator-error" => ConnectionState::OperatorError,
        "forbidden" | "rejected" | "scope-missing" => ConnectionState::ScopeMissing,
        "second-factor-required" => ConnectionState::SecondFactorRequired,
        "rate-limited" => ConnectionState::RateLimited,
        "broker" => return FAULT,
        _ => return failed(Failure::Unreachable),
    };
    Outcome::NotReady { provider: Provider::Github, state }
}
