//! Where a work tree comes from: which repository, which commit, which branch.
//!
//! Source: git-config(1), "Syntax"; gitglossary(7). Addresses are shown to others, so that nothing of them stays that could
//! be a password or a token, and none that leads to somebody's disk is given.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use gix_ref::file::ReferenceExt;
use gix_ref::{FullName, Target};

use crate::{CommitId, Repository};

/// Largest configuration that is read.
const LARGEST: u64 = 1024 * 1024;
/// Longest address that is given.
const LONGEST: usize = 1024;
/// The remote that a clone has.
const USUAL: &str = "origin";

/// Where a work tree comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provenance {
    /// The address of the repository: a URL without user, password, query and fragment.
    pub repository: String,
    /// The commit that is checked out.
    pub revision: Option<CommitId>,
    /// The branch that is checked out.
    pub branch: Option<String>,
}

impl Repository {
    /// Where the work tree comes from; `None` if no remote has an address that can be shown.
    pub fn provenance(&self) -> Option<Provenance> {
        let remotes = remotes(&read(&self.common.join("config"))?);
        let usual = remotes.iter().find(|(name, _)| name == USUAL);
        let only = || remotes.first().filter(|_| remotes.len() == 1);
        let repository = address(&usual.or_else(only)?.1)?;
        let head = self.refs.try_find("HEAD").ok().flatten();
        let branch = head.as_ref().and_then(|head| match &head.target {
            Target::Symbolic(name) => branch(name),
            Target::Object(_) => None,
        });
        let revision = head.and_then(|mut head| {
            let objects = self.objects.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            head.peel_to_id(&self.refs, &*objects).ok().map(CommitId)
        });
        Some(Provenance { repository, revision, branch })
    }
}

fn branch(name: &FullName) -> Option<String> {
    let name = std::str::from_utf8(name.as_bstr().strip_prefix(b"refs/heads/")?).ok()?;
    Some(name.to_owned())
}

fn read(path: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(LARGEST + 1).read_to_end(&mut bytes).ok()?;
    if bytes.len() as u64 > LARGEST { None } else { Some(String::from_utf8_lossy(&bytes).into_owned()) }
}

/// The remotes of a configuration with the first address of each, in order.
fn remotes(text: &str) -> Vec<(String, String)> {
    let mut remotes: Vec<(String, String)> = Vec::new();
    let mut remote: Option<String> = None;
    for line in logical_lines(text) {
        let line = line.trim();
        if let Some(head) = line.strip_prefix('[') {
            remote = head.split_once(']').and_then(|(head, _)| remote_name(head));
            continue;
        }
        let (Some(name), Some((key, value))) = (&remote, line.split_once('=')) else { continue };
        if key.trim().eq_ignore_ascii_case("url") && !remotes.iter().any(|(known, _)| known == name) {
            remotes.push((name.clone(), plain(value.trim())));
        }
    }
    remotes
}

/// Lines, of which one that ends with a backslash goes on in the next.
fn logical_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut begun = String::new();
    for line in text.lines() {
        match line.strip_suffix('\\') {
            Some(part) => begun.push_str(part),
            None => lines.push(std::mem::take(&mut begun) + line),
        }
    }
    lines.push(begun);
    lines
}

/// The name in `remote "name"`.
fn remote_name(head: &str) -> Option<String> {
    let (section, name) = head.split_once(char::is_whitespace)?;
    if !section.eq_ignore_ascii_case("remote") {
        return None;
    }
    Some(name.trim().strip_prefix('"')?.strip_suffix('"')?.replace("\\\"", "\"").replace("\\\\", "\\"))
}

/// A value without its quotes and without the comment behind it.
fn plain(value: &str) -> String {
    let mut text = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for character in value.chars() {
        match character {
            _ if escaped => {
                text.push(character);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '#' | ';' if !quoted => break,
            character => text.push(character),
        }
    }
    text.trim().to_owned()
}

/// An address as others may see it: without what could be a secret, and none at all where that can't be told.
fn address(url: &str) -> Option<String> {
    let is_plain = |text: &str| !text.is_empty() && text.chars().all(|character| !character.is_control() && !character.is_whitespace());
    if url.len() > LONGEST || !is_plain(url) {
        return None;
    }
    let (scheme, rest) = match url.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest.to_owned()),
        // `user@host:path`, which isn't a URL; `C:path` and `./a:b` are paths.
        None => {
            let (host, path) = url.split_once(':')?;
            if host.contains('/') || host.len() < 2 {
                return None;
            }
            ("ssh".to_owned(), format!("{host}/{}", path.trim_start_matches('/')))
        }
    };
    if !["http", "https", "ssh", "git"].contains(&scheme.as_str()) {
        return None;
    }
    let (rest, dropped) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    // A password in which a slash, a question mark or a hash stands would go on behind it.
    if !is_host(host) || path.contains('@') || dropped.contains('@') {
        return None;
    }
    let path: String = path.chars().map(encoded).collect();
    Some(format!("{scheme}://{host}/{path}"))
}

/// Whether it is a host, perhaps with a port.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[').and_then(|text| text.split_once(']')) {
        Some((address, port)) => (address, port.strip_prefix(':').unwrap_or(port)),
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_of_name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    !name.is_empty() && name.bytes().all(is_of_name) && port.bytes().all(|byte| byte.is_ascii_digit())
}

/// A character of a path as URIs have it.
fn encoded(character: char) -> String {
    if character.is_ascii_alphanumeric() || "-._~/!$&'()*+,;=:%".contains(character) {
        return character.to_string();
    }
    let mut bytes = [0; 4];
    character.encode_utf8(&mut bytes).bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_neither_user_nor_password_nor_token() {
        for (url, shown) in [
            ("https://github.com/org/repo.git", Some("https://github.com/org/repo.git")),
            ("https://x-access-token:s3cret@github.com/org/repo", Some("https://github.com/org/repo")),
            ("https://s3cret@github.com:8443/org/repo?token=s3cret#s3cret", Some("https://github.com:8443/org/repo")),
            ("HTTPS://me:s3@cret@host/x", Some("https://host/x")),
            ("git@github.com:org/repo.git", Some("ssh://github.com/org/repo.git")),
            ("ssh://git@host:22/org/ü repo", None),
            ("ssh://git@host:22/org/ü", Some("ssh://host:22/org/%C3%BC")),
            // Where a password ends can't be told.
            ("https://me:s3/cret@host/x", None),
            ("https://me:s3?cret@host/x", None),
            ("https://me:s3#cret@host/x", None),
            ("me:s3cret@host:path", None),
            ("/srv/git/x.git", None),
            ("../x", None),
            ("./a:b", None),
            ("C:\\x", None),
            ("file:///srv/x", None),
            ("ext::sh -c evil", None),
            ("https://", None),
            ("", None),
        ] {
            assert_eq!(address(url).as_deref(), shown, "{url}");
            assert!(!address(url).unwrap_or_default().contains("s3"), "{url}");
        }
    }

    #[test]
    fn remotes_are_read_as_git_writes_them() {
        let text = "[core]\n\turl = no\n[remote \"a\\\"b\"]\n\tfetch = x\n\turl = \"https://h/a b\" # why\n\turl = second\n; c\n\
                    [Remote \"origin\"]\n\tURL = https://h/\\\n  o\n[remote]\nurl = x\n[branch \"remote\"]\nurl = y\n";
        let expected = [("a\"b", "https://h/a b"), ("origin", "https://h/  o")].map(|(name, url)| (name.to_owned(), url.to_owned()));
        assert_eq!(remotes(text), expected);
        for damaged in ["[remote \"a\nurl = x", "[remote \"a\"]\nurl", "[", "\\", "[remote \"]\nurl=x"] {
            assert!(remotes(damaged).is_empty(), "{damaged}");
        }
    }
}
