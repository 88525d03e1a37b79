//! What a commit says about how it wants to be judged.

use std::path::Path;

use anyhow::Context;
use keyblind_dialects::{Listing, Tree, paths};
use keyblind_git::CommitTree;
use keyblind_scan::config::{self, Config};

/// A commit's configuration with the rules and the baseline that it names, in a folder of their own while they are needed.
pub(super) struct Policy {
    folder: tempfile::TempDir,
    /// The configuration, if there is one that can be read.
    pub(super) config: Option<ConfigText>,
}

/// A configuration in a commit.
pub(super) struct ConfigText {
    pub(super) path: &'static str,
    pub(super) text: String,
    pub(super) config: Config,
}

impl Policy {
    pub(super) fn of(commit: &CommitTree) -> anyhow::Result<Self> {
        let mut policy = Self { folder: tempfile::tempdir().context("no temporary folder can be made")?, config: None };
        for path in config::PLACES {
            let Ok(bytes) = commit.read(path) else { continue };
            policy.put(path, &bytes)?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            // What is wrong with it is said where it is read.
            let Ok(config) = config::parse(&text) else { break };
            let folders = config.rules.iter().flat_map(|list| list.get_ref());
            let folders: Vec<String> = folders.filter_map(|folder| paths::join("", folder)).collect();
            let baseline = config.baseline.as_ref().and_then(|path| paths::join("", path.get_ref()));
            let is_wanted = |path: &String| {
                Some(path) == baseline.as_ref()
                    || folders.iter().any(|folder| path.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/')))
            };
            for path in commit.files().iter().filter(|path| is_wanted(path)) {
                policy
                    .put(path, &commit.read(path).map_err(|reason| anyhow::anyhow!("`{path}` of the commit can't be read: {reason}"))?)?;
            }
            // A folder that git keeps no file of is no folder that isn't there.
            for folder in &folders {
                std::fs::create_dir_all(policy.folder().join(folder)).context("the temporary folder can't be written to")?;
            }
            policy.config = Some(ConfigText { path, text, config });
            break;
        }
        Ok(policy)
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn put(&self, path: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let place = self.folder().join(path);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(&place, bytes).with_context(|| format!("the commit's `{path}` can't be kept in a temporary folder"))
    }
}
