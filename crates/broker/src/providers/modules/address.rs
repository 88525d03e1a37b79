//! Where a registry says that a module lies, in the words of `go-getter` (<https://pkg.go.dev/github.com/hashicorp/go-getter>).

use keyblind_intent::{BranchName, Owner, RepositoryName, RepositoryPath};

use crate::egress::Target;

/// A repository at the host that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedRepository {
    /// The host, in lower case.
    pub host: String,
    /// Its owner.
    pub owner: Owner,
    /// Its name.
    pub name: RepositoryName,
    /// A commit, tag or branch; the newest commit of the default branch if there is none.
    pub reference: Option<BranchName>,
}

/// Where a module lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// In a repository.
    Repository {
        /// Which.
        repository: NamedRepository,
        /// The folder in it.
        folder: Option<RepositoryPath>,
    },
    /// In an archive over HTTPS: a tar that is compressed with gzip.
    Archive {
        /// Which.
        target: Target,
        /// The folder in it.
        folder: Option<RepositoryPath>,
        /// Whether there is one folder around everything, which doesn't count.
        in_folder: bool,
    },
}

impl Address {
    /// Reads an address; `None` for what isn't fetched: other protocols, other forms of archive, steps upwards. One that is relative is
    /// meant from where it was said.
    pub(super) fn parse(text: &str, said_at: &Target) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > 4_096 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        if let Some(rest) = text.strip_prefix("git::") {
            return Self::repository(rest.strip_prefix("https://")?);
        }
        if text.starts_with("github.com/") {
            return Self::repository(text);
        }
        let absolute = match text {
            _ if text.contains("::") => return None,
            _ if text.contains("://") => text.to_owned(),
            _ if text.starts_with('/') && !text.starts_with("//") => format!("{}{text}", said_at.origin()),
            _ => {
                let place = said_at.url_without_query();
                let folder = place.rsplit_once('/').map_or(place.as_str(), |(folder, _)| folder);
                format!("{folder}/{}", text.strip_prefix("./").unwrap_or(text))
            }
        };
        Self::archive(&absolute)
    }

    /// `github.com/owner/name.git//folder?ref=v1`.
    fn repository(rest: &str) -> Option<Self> {
        let (host, rest) = rest.split_once('/')?;
        // A host and nothing else: no user, no port.
        let is_host = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if !host.contains('.') || host.len() > 253 || !host.split('.').all(is_host) {
            return None;
        }
        let host = host.to_ascii_lowercase();
        let (path, query) = rest.split_once('?').map_or((rest, ""), |(path, query)| (path, query));
        let (path, folder) = path.split_once("//").map_or((path, None), |(path, folder)| (path, Some(folder)));
        let (owner, name) = path.trim_end_matches('/').split_once('/')?;
        let mut reference = None;
        for (key, value) in query.split('&').filter(|part| !part.is_empty()).filter_map(|part| part.split_once('=')) {
            match key {
                "ref" => reference = Some(BranchName::new(value).ok()?),
                // How much of its history git would fetch.
                "depth" => {}
                _ => return None,
            }
        }
        let name = RepositoryName::new(name.strip_suffix(".git").unwrap_or(name)).ok()?;
        let repository = NamedRepository { host, owner: Owner::new(owner).ok()?, name, reference };
        Some(Self::Repository { repository, folder: read_folder(folder)? })
    }

    fn archive(text: &str) -> Option<Self> {
        let after = text.find("://")? + 3;
        let (address, query) = text.split_once('?').map_or((text, ""), |(address, query)| (address, query));
        let (address, folder) = match address[after..].find("//") {
            Some(at) => (&address[..after + at], Some(&address[after + at + 2..])),
            None => (address, None),
        };
        let mut is_named_archive = [".tar.gz", ".tgz"].iter().any(|ending| address.ends_with(ending));
        let mut kept = Vec::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some(("archive", "tar.gz" | "tgz")) => is_named_archive = true,
                // Other forms, and checks that we would have to make as go-getter does.
                Some(("archive" | "checksum" | "filename", _)) => return None,
                _ => kept.push(part),
            }
        }
        if !is_named_archive {
            return None;
        }
        let (folder, in_folder) = match folder.map(|folder| folder.trim_end_matches('/')) {
            Some("*") => (None, true),
            Some(folder) => match folder.strip_prefix("*/") {
                Some(folder) => (Some(folder), true),
                None => (Some(folder), false),
            },
            None => (None, false),
        };
        let query = if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) };
        let target =
            Target::parse(&format!("{address}{query}")).ok().filter(|target| target.origin().is_secure() || is_loopback(target))?;
        Some(Self::Archive { target, folder: read_folder(folder)?, in_folder })
    }
}

fn is_loopback(target: &Target) -> bool {
    target.origin().address().is_some_and(|address| address.is_loopback())
}

/// `None` if it is none that may be named.
#[allow(clippy::option_option, reason = "no folder is as good as a folder; another answer is that it can't be read")]
fn read_folder(folder: Option<&str>) -> Option<Option<RepositoryPath>> {
    match folder.map(|folder| folder.trim_end_matches('/')).filter(|folder| !folder.is_empty()) {
        Some(folder) => RepositoryPath::new(folder).ok().map(Some),
        None => Some(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        let said_at = Target::parse("https://registry.example.com/v1/modules/octo/vpc/aws/1.2.3/download").unwrap();
        Address::parse(text, &said_at).map(|address| match address {
            Address::Repository { repository: NamedRepository { host, owner, name, reference }, folder } => {
                let host = if host == "github.com" { String::new() } else { format!("{host}/") };
                format!(
                    "{host}{owner}/{name}@{} {}",
                    reference.map_or(String::new(), String::from),
                    folder.map_or(String::new(), String::from)
                )
            }
            Address::Archive { target, folder, in_folder } => {
                format!("{} {} {in_folder}", target.url(), folder.map_or(String::new(), String::from))
            }
        })
    }

    #[test]
    fn archives_and_repositories_are_understood() {
        for (text, expected) in [
            ("git::https://github.com/octo/vpc?ref=v5.1.2", "octo/vpc@v5.1.2 "),
            (
                "git::https://github.com/octo/vpc.git//modules/flow-log?ref=0123456789012345678901234567890123456789&depth=1",
                "octo/vpc@0123456789012345678901234567890123456789 modules/flow-log",
            ),
            ("github.com/octo/vpc", "octo/vpc@ "),
            ("git::https://GHE.example.com/octo/vpc.git?ref=v1", "ghe.example.com/octo/vpc@v1 "),
            ("https://codeload.github.com/octo/vpc/tar.gz/v1//*?archive=tar.gz", "https://codeload.github.com/octo/vpc/tar.gz/v1  true"),
            ("https://host.example.com/m.tgz//modules/a?X-Sig=a%2Fb", "https://host.example.com/m.tgz?X-Sig=a%2Fb modules/a false"),
            ("/archives/m.tar.gz", "https://registry.example.com/archives/m.tar.gz  false"),
            ("./m.tar.gz", "https://registry.example.com/v1/modules/octo/vpc/aws/1.2.3/m.tar.gz  false"),
            ("m?archive=tgz", "https://registry.example.com/v1/modules/octo/vpc/aws/1.2.3/m  false"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_isnt_fetched_is_refused() {
        for text in [
            "",
            "git::ssh://git@github.com/octo/vpc",
            "git::https://example.com:8443/octo/vpc",
            "git::https://localhost/octo/vpc",
            "git::https://example..com/octo/vpc",
            "git::https://github.com@evil.example/octo/vpc",
            "hg::https://example.com/x",
            "s3::https://s3.amazonaws.com/x/m.tar.gz",
            "file:///etc/m.tar.gz",
            "http://host.example.com/m.tar.gz",
            "https://host.example.com/m.zip",
            "https://host.example.com/m.tar.gz?archive=zip",
            "https://host.example.com/m.tar.gz?checksum=md5:1",
            "https://host.example.com/m.tar.gz//../x",
            "https://host.example.com/../m.tar.gz",
            "git::https://github.com/octo/vpc//../x",
            "git::https://github.com/octo/vpc?ref=--upload-pack=x",
            "git::https://github.com/octo/vpc?sshkey=x",
            "git::https://github.com/octo",
            "https://user:password@host.example.com/m.tar.gz",
            "a b",
            "https://host.example.com/\u{e9}.tar.gz",
            "../../m.tar.gz",
        ] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
