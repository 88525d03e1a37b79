//! Reading modules: from registries that the configuration names, from repositories with a lease, and from public archives.
//!
//! Whatever way a module comes, what is handed over is an archive of ours, and the digest of its files: what was locked for it once is
//! compared before anything is handed over.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Seek as _;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::{
    BranchName, Check, CheckState, CommitId, ConnectionName, ConnectionState, Count, Digest, DoctorArea, Failure, Intent, LeftOut, Line,
    Missing, ModuleOrigin, ModuleVersion, Outcome, ReadModule, ReadRepository, Refusal, Repository, RepositoryPath, Revision, TenantId,
};

use super::{GithubWork, kept, received, unnamed_file, who};
use crate::dispatch::{Answering, Asked, Examined, Handler, Reply, Whose};
use crate::egress::{Egress, Origin, Target};
use crate::leases::kept::{Keeper, KeptError};
use crate::leases::lease::CallFailure;
use crate::ledger::{Event, Who};
use crate::providers::modules::{Address, ModuleError, ModuleLimits, NamedRepository, Packed, Registry, Wanted, fetch, files_in, locked};
use crate::socket::BulkFile;
use crate::vault::{RecordKind, RecordName, VaultError};

/// How long a registry may take to say where a module lies.
const FIND: Duration = Duration::from_secs(60);
/// How long an archive may take.
const FETCH: Duration = Duration::from_secs(320);

/// Under which name a registry's token is kept.
///
/// # Errors
/// Never, as the parts of a configuration are no longer than the names of records.
pub fn registry_token_name(registry: &ConnectionName) -> Result<RecordName, VaultError> {
    RecordName::new("broker", "registry", RecordKind::PersonalToken, registry.as_str())
}

/// A registry, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedRegistry {
    /// Its name.
    pub name: ConnectionName,
    /// Where it is.
    pub registry: Registry,
    /// Who may ask it.
    pub tenants: BTreeSet<TenantId>,
    /// Whether it wants a token.
    pub needs_token: bool,
}

/// All ways to modules.
pub struct ModuleWork {
    registries: BTreeMap<ConnectionName, OfferedRegistry>,
    /// For repositories that a tenant reaches.
    github: Option<Arc<GithubWork>>,
    /// Where archives of everybody's repositories lie.
    public: Option<Origin>,
    /// What the forge is called, and the host at which its repositories are named.
    forge: ConnectionName,
    forge_host: String,
    keeper: Keeper,
    /// For the hosts of registries and archives alone: a registry leads to no other that the broker talks to.
    egress: Egress,
    folder: PathBuf,
}

/// A module, and how it came.
struct Found {
    archive: BulkFile,
    locked: Digest,
    files: u64,
    left_out: Vec<LeftOut>,
    commit: Option<CommitId>,
    folder: Option<RepositoryPath>,
}

const FAULT: Outcome = Outcome::Refused(Refusal::Internal);

impl ModuleWork {
    /// The intents that are done here.
    pub const INTENTS: &[&str] = &["read-module"];

    /// Joins the ways. `forge_api` is where the forge's interface is, if there is a forge. `egress` reaches the hosts of registries and archives
    /// only; `folder` is one of the broker's own.
    #[allow(clippy::too_many_arguments, reason = "they are the ways, and what each needs")]
    pub fn new(
        registries: Vec<OfferedRegistry>,
        github: Option<Arc<GithubWork>>,
        public: Option<Origin>,
        forge: ConnectionName,
        forge_api: Option<&Origin>,
        keeper: Keeper,
        egress: Egress,
        folder: PathBuf,
    ) -> Self {
        let forge_host = forge_api.map_or_else(|| GITHUB_HOST.to_owned(), repositories_at);
        let registries = registries.into_iter().map(|offered| (offered.name.clone(), offered)).collect();
        Self { registries, github, public, forge, forge_host, keeper, egress, folder }
    }

    async fn read(&self, who: &Who, request: ReadModule) -> Result<Reply, Outcome> {
        let (version, found) = match request.origin {
            ModuleOrigin::Registry { registry, namespace, name, target, version } => {
                let wanted = Wanted { namespace: &namespace, name: &name, target: &target };
                let offered = self.registries.get(&registry).filter(|offered| offered.tenants.contains(&who.tenant));
                let offered = offered.ok_or(Outcome::NotConfigured { missing: Missing::Registry })?;
                let token = offered.needs_token.then(|| registry_token_name(&registry)).transpose().map_err(|_| FAULT)?;
                let (version, address): (ModuleVersion, Address) = self
                    .call(who, token.as_ref(), &registry, FIND, async |token| {
                        offered.registry.find(&self.egress, token, wanted, &version).await
                    })
                    .await?;
                (Some(version), self.at(who, &registry, address).await?)
            }
            ModuleOrigin::Git { repository, revision, folder } => (None, self.of_repository(who, repository, revision, folder).await?),
        };
        if request.locked.is_some_and(|wanted| wanted != found.locked) {
            return Err(Outcome::Refused(Refusal::LockMismatch));
        }
        let Found { archive, locked, files, left_out, commit, folder } = found;
        let outcome =
            Outcome::ModuleRead { commit, version, folder, locked, archive: archive.bulk(), files: Count::saturating(files), left_out };
        Ok(Reply { outcome, attached: Some(archive) })
    }

    /// Makes one call that is recorded before and after; what is kept goes along where something is.
    async fn call<T>(
        &self,
        who: &Who,
        token: Option<&RecordName>,
        registry: &ConnectionName,
        longest: Duration,
        send: impl AsyncFnOnce(Option<&crate::secret::Secret>) -> Result<T, ModuleError>,
    ) -> Result<T, Outcome> {
        let mut failure = None;
        let event = |call| Event::RegistryAsked { call, registry: registry.clone() };
        let result = self
            .keeper
            .call(who, token, event, longest, async |token| {
                send(token).await.map_err(|error| {
                    failure = Some(error);
                    CallFailure::Failed(error.code())
                })
            })
            .await;
        result.map_err(|error| match (error, failure) {
            (KeptError::Failed(_), Some(error)) => error.outcome(),
            (KeptError::NotKept, _) => Outcome::NotConfigured { missing: Missing::Registry },
            (KeptError::Lost(reason), _) if reason.as_str() == "timed-out" => super::failed(Failure::TimedOut),
            (error, _) => kept(&error),
        })
    }

    /// What lies where a registry said.
    async fn at(&self, who: &Who, registry: &ConnectionName, address: Address) -> Result<Found, Outcome> {
        match address {
            Address::Archive { target, folder, in_folder } => self.fetched(who, registry, target, in_folder, folder).await,
            Address::Repository { repository: NamedRepository { host, owner, name, reference }, folder } => {
                let repository = Repository { forge: self.forge.clone(), owner, name };
                let revision = match reference {
                    None => Revision::DefaultBranch,
                    Some(reference) => match CommitId::new(reference.as_str()) {
                        Ok(commit) => Revision::Commit(commit),
                        Err(_) => Revision::Named(reference),
                    },
                };
                if host == self.forge_host {
                    return self.of_repository(who, repository, revision, folder).await;
                }
                // Another host than the forge's: an owner and a name there are other people's here.
                let found = self.public_archive(who, &repository, &revision, folder, &host).await;
                found.unwrap_or(Err(Outcome::NotConfigured { missing: Missing::Connection }))
            }
        }
    }

    /// With a lease for that one repository where the tenant reaches it, else as everybody gets it.
    async fn of_repository(
        &self,
        who: &Who,
        repository: Repository,
        revision: Revision,
        folder: Option<RepositoryPath>,
    ) -> Result<Found, Outcome> {
        let mut refused = Outcome::NotConfigured { missing: Missing::Connection };
        if let Some(github) = &self.github {
            match github.fetch(who, ReadRepository { repository: repository.clone(), revision: revision.clone() }).await {
                Ok(reply) => return of_reply(reply, folder).await,
                // Not the tenant's, or not the App's: everybody may see it all the same.
                Err(outcome @ Outcome::Refused(Refusal::OtherTenant | Refusal::BroadAuthority)) => refused = outcome,
                Err(outcome @ Outcome::NotReady { state: ConnectionState::NotConnected | ConnectionState::ScopeMissing, .. }) => {
                    refused = outcome
                }
                Err(outcome) => return Err(outcome),
            }
        }
        if repository.forge != self.forge {
            return Err(refused);
        }
        self.public_archive(who, &repository, &revision, folder, &self.forge_host).await.unwrap_or(Err(refused))
    }

    /// As everybody gets it from that host. None if no archives of that host's repositories are read.
    async fn public_archive(
        &self,
        who: &Who,
        repository: &Repository,
        revision: &Revision,
        folder: Option<RepositoryPath>,
        host: &str,
    ) -> Option<Result<Found, Outcome>> {
        let public = self.public.as_ref().filter(|public| repositories_at(public) == host)?;
        let state = match revision {
            Revision::DefaultBranch => "HEAD".to_owned(),
            Revision::Branch(branch) => format!("refs/heads/{branch}"),
            Revision::Commit(commit) => commit.to_string(),
            Revision::PullRequest(number) => format!("refs/pull/{number}/head"),
            Revision::Named(name) => BranchName::to_string(name),
        };
        let place = Target::new(public).segment(repository.owner.as_str()).segment(repository.name.as_str());
        let target = place.path("/tar.gz").segments(&state);
        Some(self.fetched(who, &repository.forge, target, true, folder).await)
    }

    async fn fetched(
        &self,
        who: &Who,
        registry: &ConnectionName,
        target: Target,
        in_folder: bool,
        folder: Option<RepositoryPath>,
    ) -> Result<Found, Outcome> {
        let (file, read_only) = unnamed_file(&self.folder).map_err(|_| FAULT)?;
        let limits = ModuleLimits::default();
        let fetching = async |_: Option<&crate::secret::Secret>| fetch(&self.egress, target, in_folder, limits, file).await;
        let Packed { file, files, left_out } = self.call(who, None, registry, FETCH, fetching).await?;
        drop(file);
        check_folder(folder.as_ref(), files.keys()).map_err(ModuleError::outcome)?;
        let archive = tokio::task::spawn_blocking(move || BulkFile::unlinked(read_only)).await;
        let archive = archive.ok().and_then(Result::ok).ok_or(FAULT)?;
        Ok(Found { archive, locked: locked(&files), files: files.len() as u64, left_out, commit: None, folder })
    }
}

/// The host at which people name repositories of GitHub's own.
const GITHUB_HOST: &str = "github.com";

/// The host at which people name the repositories that this origin has to do with. An emulator on this machine stands for GitHub.
fn repositories_at(origin: &Origin) -> String {
    if origin.address().is_some_and(|address| address.is_loopback()) {
        return GITHUB_HOST.to_owned();
    }
    let host = origin.host();
    ["api.", "codeload."].iter().find_map(|name| host.strip_prefix(name)).unwrap_or(host).to_ascii_lowercase()
}

/// A repository's files as those of a module.
async fn of_reply(reply: Reply, folder: Option<RepositoryPath>) -> Result<Found, Outcome> {
    let (Outcome::RepositoryRead { commit, left_out, .. }, Some(archive)) = (reply.outcome, reply.attached) else { return Err(FAULT) };
    let counted = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::from(archive.as_fd().try_clone_to_owned().map_err(|_| ModuleError::Storage)?);
        file.rewind().map_err(|_| ModuleError::Storage)?;
        Ok::<_, ModuleError>((files_in(std::io::BufReader::new(file))?, archive))
    });
    let (files, archive) = counted.await.map_err(|_| FAULT)?.map_err(ModuleError::outcome)?;
    check_folder(folder.as_ref(), files.keys()).map_err(ModuleError::outcome)?;
    Ok(Found { archive, locked: locked(&files), files: files.len() as u64, left_out, commit: Some(commit), folder })
}

/// A folder without a file isn't there.
fn check_folder<'f>(folder: Option<&RepositoryPath>, mut files: impl Iterator<Item = &'f String>) -> Result<(), ModuleError> {
    let Some(folder) = folder else { return Ok(()) };
    let is_in = |path: &String| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'));
    if files.any(is_in) { Ok(()) } else { Err(ModuleError::NotFound) }
}

impl Handler for ModuleWork {
    fn handle(&self, asked: Asked) -> Answering<'_, Reply> {
        Box::pin(async move {
            if let Err(outcome) = received(self.keeper.ledger(), &asked.session, asked.id, &asked.intent).await {
                return outcome.into();
            }
            match asked.intent {
                Intent::ReadModule(request) => self.read(&who(&asked.session), request).await.unwrap_or_else(Reply::from),
                _ => FAULT.into(),
            }
        })
    }
}

impl Examined for ModuleWork {
    fn examine<'a>(&'a self, whose: Whose<'a>) -> Answering<'a, Vec<Check>> {
        Box::pin(async move {
            let mut checks = Vec::new();
            let is_shown = |offered: &&OfferedRegistry| offered.needs_token && offered.tenants.iter().any(|tenant| whose.includes(tenant));
            for OfferedRegistry { name, .. } in self.registries.values().filter(is_shown) {
                let keeps = match registry_token_name(name) {
                    Ok(token) => self.keeper.keeps(&token).await,
                    Err(error) => Err(error),
                };
                let (state, advice) = match keeps {
                    Ok(true) => (CheckState::Sound, None),
                    Ok(false) => {
                        (CheckState::Broken, Line::new(format!("keyblind-broker keep registry-token {name}, while no broker runs")).ok())
                    }
                    Err(_) => (CheckState::NotChecked, None),
                };
                let subject = Line::new(format!("the token of the registry {name} is kept; only a module shows whether it is taken"));
                checks.extend(subject.map(|subject| Check { area: DoctorArea::Egress, subject, state, advice, said: None }));
            }
            checks
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_named_at_the_host_of_their_own_forge() {
        for (origin, host) in [
            ("https://api.github.com", "github.com"),
            ("https://codeload.github.com", "github.com"),
            ("https://ghe.example.com", "ghe.example.com"),
            ("https://api.octo.ghe.com", "octo.ghe.com"),
            ("http://127.0.0.1:4010", "github.com"),
        ] {
            assert_eq!(repositories_at(&Origin::parse(origin).unwrap()), host, "{origin}");
        }
    }
}
