//! Names of things, each with the grammar of the place where it means something. What isn't in the grammar can't be said.

use std::fmt;

/// Why a text is no name of that kind. It doesn't repeat the text, which may be hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is no {what}: {rule}")]
pub struct Invalid {
    /// What it should have been.
    pub what: &'static str,
    /// What such a name looks like.
    pub rule: &'static str,
}

/// Makes a type that holds a text which `$accepts` took.
macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:expr, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Takes a text that is one.
            ///
            /// # Errors
            /// If it isn't.
            pub fn new(text: impl Into<String>) -> Result<Self, $crate::names::Invalid> {
                let text = text.into();
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(&text) { Ok(Self(text)) } else { Err($crate::names::Invalid { what: $what, rule: $rule }) }
            }

            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::names::Invalid;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::names::Invalid;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }
    };
}

/// Makes a name of our own: kebab-case, up to so many characters.
macro_rules! kebab_name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $longest:literal) => {
        name! {
            $(#[$doc])*
            $name, $what, concat!("1 to ", $longest, " lower-case letters, digits and hyphens inside"),
            |text| is_kebab(text, $longest)
        }
    };
}
pub(crate) use name;

fn is_between(text: &str, shortest: usize, longest: usize, accepts: fn(u8) -> bool) -> bool {
    (shortest..=longest).contains(&text.len()) && text.bytes().all(accepts)
}

/// Letters, digits and single hyphens inside: how hosts, GitHub's owners and our own names are made.
fn is_hyphenated(text: &str, longest: usize, accepts: fn(u8) -> bool) -> bool {
    is_between(text, 1, longest, accepts) && !text.starts_with('-') && !text.ends_with('-')
}

fn is_kebab(text: &str, longest: usize) -> bool {
    is_hyphenated(text, longest, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-') && !text.contains("--")
}

name! {
    /// An owner at a forge: a person or an organisation.
    Owner, "owner", "1 to 39 letters, digits, `_` and hyphens inside",
    // Enterprise hosts add `_shortcode` to the names of managed users.
    |text| is_hyphenated(text, 39, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

name! {
    /// A repository's name without its owner.
    RepositoryName, "repository name", "1 to 100 letters, digits, `.`, `_` and `-`; not `.` or `..`, without `.git` at its end",
    |text| is_between(text, 1, 100, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'))
        && !matches!(text, "." | "..")
        && !text.to_ascii_lowercase().ends_with(".git")
}

name! {
    /// A commit (or another object of git) by its full hash.
    CommitId, "commit", "the full hash in lower case, 40 digits (or 64 with SHA-256)",
    |text| matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'))
}

name! {
    /// A branch without `refs/heads/`, by the rules of `git check-ref-format`, in ASCII.
    BranchName, "branch name", "as `git check-ref-format --branch` takes it, ASCII, at most 200 bytes",
    is_branch
}

/// `git check-ref-format`, rules 1 to 10; ASCII because what can't be told apart by eye must not decide where a change goes.
fn is_branch(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'~' | b'^' | b':' | b'?' | b'*' | b'[' | b'\\');
    is_between(text, 1, 200, |byte| byte.is_ascii_graphic())
        && text.bytes().all(allowed)
        && !text.starts_with('-')
        && !text.starts_with("refs/")
        && !text.contains("..")
        && !text.contains("@{")
        && !matches!(text, "@" | "HEAD")
        && text.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.') && !part.ends_with(".lock"))
}

name! {
    /// An AWS account.
    AccountId, "account", "12 digits",
    |text| is_between(text, 12, 12, |byte| byte.is_ascii_digit())
}

name! {
    /// An AWS region.
    Region, "region", "like `eu-central-1`",
    |text| is_kebab(text, 25) && text.split('-').count() >= 3 && text.ends_with(|last: char| last.is_ascii_digit())
}

name! {
    /// The Amazon resource name of exactly one resource: without a wildcard.
    Arn, "ARN", "like `arn:aws:s3:::bucket`, of one resource, without wildcards, at most 600 bytes",
    |text| {
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        is_between(text, 1, 600, |byte| byte.is_ascii_graphic() && !matches!(byte, b'*' | b'?' | b'"' | b'\\' | b'\'' | b'<' | b'>' | b'$' | b'`'))
            && parts.len() == 6
            && parts[0] == "arn"
            && matches!(parts[1], "aws" | "aws-us-gov" | "aws-cn")
            && is_kebab(parts[2], 40)
            && (parts[3].is_empty() || Region::new(parts[3]).is_ok())
            // What AWS itself made for all accounts is `aws`'s.
            && (parts[4].is_empty() || (parts[2] == "iam" && parts[4] == "aws") || AccountId::new(parts[4]).is_ok())
            && !parts[5].is_empty()
    }
}

impl Arn {
    fn part(&self, index: usize) -> &str {
        self.0.splitn(6, ':').nth(index).unwrap_or_default()
    }

    /// The service, like `s3`.
    #[must_use]
    pub fn service(&self) -> &str {
        self.part(2)
    }

    /// The region, empty for what has none.
    #[must_use]
    pub fn region(&self) -> &str {
        self.part(3)
    }

    /// The account, empty for buckets.
    #[must_use]
    pub fn account(&self) -> &str {
        self.part(4)
    }

    /// What follows the account.
    #[must_use]
    pub fn resource(&self) -> &str {
        self.part(5)
    }
}

kebab_name! {
    /// A name that the broker's own configuration gives to a connected host, registry or account: hosts are never said in an intent.
    ConnectionName, "connection", 40
}

kebab_name! {
    /// A name that the broker's own configuration gives to a place where people are told something.
    ChannelName, "channel", 40
}

kebab_name! {
    /// Names the one comment or check run of ours that is updated rather than made again.
    MarkerName, "marker", 60
}

kebab_name! {
    /// A rule's id.
    RuleId, "rule", 100
}

kebab_name! {
    /// Who the data belongs to. It comes from the broker's configuration, never from an asker.
    TenantId, "tenant", 40
}

name! {
    /// Who asks, as an identity provider (or the broker's configuration) names them.
    SubjectId, "subject", "1 to 128 letters, digits and `._:|@/+-`",
    |text| is_between(text, 1, 128, |byte| byte.is_ascii_alphanumeric() || b"._:|@/+-".contains(&byte))
}

name! {
    /// The namespace, name or target system of a module in a registry.
    ModuleNamespace, "module name", "1 to 64 letters, digits, `_` and `-` inside",
    |text| is_hyphenated(text, 64, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

name! {
    /// An exact version of a module, as semantic versioning has it.
    ModuleVersion, "module version", "like `1.2.3` or `1.2.3-beta.1`, at most 60 bytes",
    |text| {
        let (core, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
        is_between(text, 5, 60, |byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'))
            && core.split('.').count() == 3
            && core.split('.').all(|part| is_between(part, 1, 9, |byte| byte.is_ascii_digit()))
            && rest.len() != 1
    }
}

name! {
    /// Which versions of a module would do, as Terraform's configuration says it: of those that there are, the newest that fits is meant.
    ModuleVersions, "version constraint", "one to ten conditions with commas between, like `1.2.3`, `>= 5.0, < 6` or `~> 5.1`, at most 150 bytes",
    |text| text.len() <= 150 && text.split(',').count() <= 10 && text.split(',').all(|part| is_condition(part.trim()))
}

fn is_condition(text: &str) -> bool {
    let operator = ["!=", ">=", "<=", "~>", "=", ">", "<"].into_iter().find(|operator| text.starts_with(operator));
    let version = operator.map_or(text, |operator| &text[operator.len()..]).trim_start_matches(' ');
    let (core, rest) = version.split_at(version.find(['-', '+']).unwrap_or(version.len()));
    let is_tail =
        rest.is_empty() || (rest.len() > 1 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+')));
    (1..=3).contains(&core.split('.').count())
        && core.split('.').all(|part| is_between(part, 1, 9, |byte| byte.is_ascii_digit()))
        && is_tail
}

impl Invalid {
    pub(crate) const fn new(what: &'static str, rule: &'static str) -> Self {
        Self { what, rule }
    }
}

impl fmt::Display for crate::Repository {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.owner, self.name)
    }
}
