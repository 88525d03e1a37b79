//! Paths of files in a repository.

use crate::limits::PATH_BYTES;
use crate::names::name;
use crate::text::is_hidden;

name! {
    /// A path beneath a repository's top, with `/` between its parts, that means the same file on every system: no `..`, nothing of
    /// git's own, no name that Windows or macOS would take for another.
    RepositoryPath, "path in a repository",
    "relative, `/` between its parts, without `.`, `..`, `.git`, backslashes, hidden characters or names that Windows reserves",
    is_repository_path
}

impl RepositoryPath {
    /// The parts between the slashes.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.as_str().split('/')
    }

    /// Whether a change of this file decides what runs with a repository's rights: workflows, and what says who must review.
    /// Such a change is a class of its own.
    #[must_use]
    pub fn decides_what_runs(&self) -> bool {
        let lower = self.as_str().to_ascii_lowercase();
        lower.starts_with(".github/workflows/")
            || lower.starts_with(".github/actions/")
            || matches!(lower.rsplit('/').next(), Some("codeowners" | "action.yml" | "action.yaml" | ".gitmodules" | ".gitattributes"))
    }
}

fn is_repository_path(text: &str) -> bool {
    !text.is_empty() && text.len() <= PATH_BYTES && text.split('/').all(is_part)
}

/// Devices of Windows: with any extension, they aren't files.
const DEVICES: &[&str] = &["con", "prn", "aux", "nul", "conin$", "conout$"];

fn is_part(part: &str) -> bool {
    if part.is_empty() || part.len() > 255 || part.ends_with(['.', ' ']) || part.starts_with(' ') {
        // `..` and `.` end with a dot, too.
        return false;
    }
    if part.chars().any(|character| is_hidden(character) || "\\:*?\"<>|".contains(character)) {
        return false;
    }
    let lower = part.to_ascii_lowercase();
    // Windows' short name of `.git`, which is the same folder there.
    if lower == ".git" || lower == "git~1" {
        return false;
    }
    let stem = lower.split('.').next().unwrap_or_default().trim_end();
    let is_port = stem.len() == 4 && (stem.starts_with("com") || stem.starts_with("lpt")) && stem.as_bytes()[3].is_ascii_digit();
    !DEVICES.contains(&stem) && !is_port
}
