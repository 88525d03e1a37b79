//! What a mission is asked, as the command line says it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use keyblind_intent::{
    AccountId, Arn, BranchName, CommitId, ConnectionName, Count, Digest, Line, Network, Port, Region, Repository, Revision, RuleId,
    SecurityGroupId, Source, TransportProtocol,
};
use keyblind_mission::{Account, Choice, LeafWork, Remediation, Request};

use crate::missions::Refused;

/// What is judged.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Path(PathBuf),
    Repository(Repository, Revision),
    Account(Account),
}

const FORM: &str = "write a folder, `github:owner/name` (with `@branch`, `@commit` or `@pull/7` behind it for another state than the default \
                    branch's), or `aws:NAME`";

impl std::str::FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("`{}`: {error}; {FORM}", text.escape_debug());
        if let Some(account) = text.strip_prefix("aws:") {
            return account_of(account).map(Self::Account).map_err(|error| wrong(&error));
        }
        let Some(named) = text.strip_prefix("github:") else { return Ok(Self::Path(text.into())) };
        let (path, revision) = named.split_once('@').map_or((named, None), |(path, revision)| (path, Some(revision)));
        let (owner, name) = path.split_once('/').ok_or_else(|| wrong(&"there is no repository's name"))?;
        let repository = Repository {
            forge: "github".parse().map_err(|error| wrong(&error))?,
            owner: owner.parse().map_err(|error| wrong(&error))?,
            name: name.parse().map_err(|error| wrong(&error))?,
        };
        let pull_request = |text: &str| text.strip_prefix("pull/").and_then(|number| Count::new(number.parse().ok()?).ok());
        let revision = match revision.map(|text| (text, pull_request(text), CommitId::new(text))) {
            None => Revision::DefaultBranch,
            Some((_, Some(number), _)) => Revision::PullRequest(number),
            Some((_, None, Ok(commit))) => Revision::Commit(commit),
            Some((text, None, Err(_))) => Revision::Branch(BranchName::new(text).map_err(|error| wrong(&error))?),
        };
        Ok(Self::Repository(repository, revision))
    }
}

/// An account by its name or its number.
pub(crate) fn account_of(text: &str) -> Result<Account, String> {
    if let Ok(account) = AccountId::new(text) {
        return Ok(Account::Numbered(account));
    }
    ConnectionName::new(text).map(Account::Named).map_err(|error| error.to_string())
}

impl Target {
    /// As a mission that judges it.
    pub(crate) fn scan(self, work: &LeafWork) -> Result<Request, Refused> {
        Ok(match self {
            Self::Path(path) => {
                let admitted = work.admit(&path).map_err(|trouble| {
                    Refused(format!("{trouble}: name the folder, or one above it, in scan.allowed of the configuration"))
                })?;
                Request::ScanPath { path: admitted.path }
            }
            Self::Repository(repository, revision) => Request::ScanRepository { repository, revision },
            Self::Account(account) => Request::ScanAccount { account },
        })
    }
}

/// Which fixes for which repository.
#[derive(Clone, Debug, Args)]
pub(crate) struct FixArguments {
    /// The repository, as `github:owner/name`.
    repository: Target,
    /// The branch to fix, and to propose the fixes for. Default: the one that was named, or the repository's default branch.
    #[arg(long, value_name = "BRANCH")]
    base: Option<BranchName>,
    /// Only fixes of this rule; may be given several times.
    #[arg(long = "rule", value_name = "RULE")]
    rules: Vec<RuleId>,
    /// Only the fix of this finding, by its fingerprint; may be given several times.
    #[arg(long = "finding", value_name = "FINGERPRINT")]
    findings: Vec<Line>,
    /// Also fixes that replace, restart, cut access or cost.
    #[arg(long)]
    all: bool,
}

impl FixArguments {
    pub(crate) fn request(self) -> Result<Request, Refused> {
        let Target::Repository(repository, revision) = self.repository else {
            return Err(Refused("pull requests are proposed for a repository at a forge: name it as `github:owner/name`".to_owned()));
        };
        if self.base.is_none() && !matches!(revision, Revision::DefaultBranch | Revision::Branch(_)) {
            return Err(Refused("a commit or a pull request doesn't say which branch the fixes are for: add `--base BRANCH`".to_owned()));
        }
        let choice = Choice { rules: self.rules, findings: self.findings, all: self.all };
        Ok(Request::FixRepository { repository, revision, base: self.base, choice })
    }
}

/// One call on a live account.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Remediate {
    /// Close one rule by which a security group lets traffic in.
    CloseIngress {
        #[command(flatten)]
        place: Place,
        /// The security group.
        #[arg(long, value_name = "sg-ID")]
        group: SecurityGroupId,
        /// Which traffic: tcp, udp, icmp, icmpv6 or all.
        #[arg(long, value_name = "NAME", value_parser = protocol)]
        protocol: TransportProtocol,
        /// Which ports: one, or the first and the last (`8000-8080`). None for protocols without ports.
        #[arg(long, value_name = "PORTS", value_parser = ports)]
        ports: Option<(Port, Port)>,
        /// From where: a network (`0.0.0.0/0`), or another group.
        #[arg(long, value_name = "SOURCE", value_parser = source)]
        from: Source,
    },
    /// Block all public access to a bucket.
    BlockBucket {
        #[command(flatten)]
        place: Place,
        /// The bucket.
        #[arg(long, value_name = "NAME")]
        bucket: String,
    },
    /// Detach a managed policy from a role, a user or a group.
    DetachPolicy {
        #[command(flatten)]
        place: Place,
        /// The policy.
        #[arg(long, value_name = "ARN")]
        policy: Arn,
        /// From what: `role/NAME`, `user/NAME` or `group/NAME`, with its path.
        #[arg(long, value_name = "KIND/NAME")]
        from: String,
    },
    /// Take back what was done before: one more change, for one more yes.
    Undo {
        /// The change, as it was named when it was applied.
        #[arg(value_name = "CHANGE")]
        change: Digest,
    },
}

/// Where it lies.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// The account, by its name in the broker's configuration or by its number.
    #[arg(long, value_name = "NAME", value_parser = account_of)]
    account: Account,
    /// The region.
    #[arg(long, value_name = "NAME")]
    region: Region,
}

impl Remediate {
    pub(crate) fn request(self) -> Request {
        let (account, remediation) = match self {
            Self::Undo { change } => return Request::Undo { change },
            Self::CloseIngress { place: Place { account, region }, group, protocol, ports, from } => {
                (account, Remediation::CloseIngress { region, group, protocol, ports, from })
            }
            Self::BlockBucket { place: Place { account, region }, bucket } => (account, Remediation::BlockBucket { region, bucket }),
            Self::DetachPolicy { place: Place { account, region }, policy, from } => {
                (account, Remediation::DetachPolicy { region, policy, from })
            }
        };
        Request::Remediate { account, remediation }
    }
}

fn protocol(text: &str) -> Result<TransportProtocol, String> {
    Ok(match text {
        "tcp" => TransportProtocol::Tcp,
        "udp" => TransportProtocol::Udp,
        "icmp" => TransportProtocol::Icmp,
        "icmpv6" => TransportProtocol::Icmpv6,
        "all" => TransportProtocol::All,
        _ => return Err("write tcp, udp, icmp, icmpv6 or all".to_owned()),
    })
}

fn ports(text: &str) -> Result<(Port, Port), String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.parse(), to.parse()) {
        (Ok(from), Ok(to)) if from <= to => Ok((Port(from), Port(to))),
        _ => Err("write one port, or the first and the last like `8000-8080`".to_owned()),
    }
}

fn source(text: &str) -> Result<Source, String> {
    if text.starts_with("sg-") {
        return SecurityGroupId::new(text).map(Source::Group).map_err(|error| error.to_string());
    }
    Network::new(text).map(Source::Network).map_err(|error| error.to_string())
}

/// A request in a line, for a list.
pub(crate) fn in_words(request: &Request) -> String {
    let revision = |revision: &Revision| match revision {
        Revision::DefaultBranch => String::new(),
        Revision::Branch(branch) | Revision::Named(branch) => format!("@{branch}"),
        Revision::Commit(commit) => format!("@{commit}"),
        Revision::PullRequest(number) => format!("@pull/{number}"),
    };
    let account = |account: &Account| match account {
        Account::Named(name) => format!("aws:{name}"),
        Account::Numbered(number) => format!("aws:{number}"),
    };
    match request {
        Request::ScanPath { path } => format!("scan of {}", path.display()),
        Request::ScanRepository { repository, revision: at } => format!("scan of github:{repository}{}", revision(at)),
        Request::FixRepository { repository, revision: at, .. } => format!("fixes for github:{repository}{}", revision(at)),
        Request::ScanAccount { account: of } => format!("scan of {}", account(of)),
        Request::Remediate { account: of, remediation } => match remediation {
            Remediation::CloseIngress { group, .. } => format!("close a rule of {group} in {}", account(of)),
            Remediation::BlockBucket { bucket, .. } => format!("block public access to {bucket} in {}", account(of)),
            Remediation::DetachPolicy { policy, from, .. } => format!("detach {policy} from {from} in {}", account(of)),
        },
        Request::Undo { change } => format!("take {change} back"),
        Request::Reverify { fingerprint, .. } => format!("look at finding {fingerprint} again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_judged_is_named_in_one_word() {
        let read = |text: &str| match text.parse::<Target>() {
            Ok(Target::Path(path)) => format!("path {}", path.display()),
            Ok(Target::Repository(repository, revision)) => format!("{repository} {revision:?}"),
            Ok(Target::Account(account)) => format!("{account:?}"),
            Err(error) => error,
        };
        assert_eq!(read("./github:x"), "path ./github:x");
        assert_eq!(read("github:octo-org/shop"), "octo-org/shop DefaultBranch");
        assert!(read("github:octo-org/shop@pull/7").ends_with("PullRequest(Count(7))"));
        assert!(read("github:octo-org/shop@release/1.2").contains("Branch("));
        assert!(read("aws:production").contains("Named") && read("aws:111122223333").contains("Numbered"));
        for wrong in ["github:", "github:shop", "github:a/..", "github:a/b@x..y", "aws:", "aws:\u{1b}[2J"] {
            let said = read(wrong);
            assert!(said.ends_with(FORM) && !said.contains('\u{1b}'), "{wrong}: {said}");
        }
    }
}
