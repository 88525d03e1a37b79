//! Public repositories that benchmarks and soak runs read. They are never part of this repository.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// A repository at the commit that figures were taken with.
pub(crate) struct Corpus {
    /// Folder beneath `KEYBLIND_CORPORA`.
    pub folder: &'static str,
    /// Where it is published.
    pub repository: &'static str,
    /// The commit.
    pub commit: &'static str,
}

/// A small one, a module with examples, and a large one.
pub(crate) const BENCHED: &[Corpus] = &[
    Corpus { folder: "terragoat", repository: "bridgecrewio/terragoat", commit: "729f8da62c6a85ce4af5ad3d123de97776d954c4" },
    Corpus {
        folder: "terraform-aws-eks",
        repository: "terraform-aws-modules/terraform-aws-eks",
        commit: "bef29c4d9523523e57fe898643fde2895106b339",
    },
    Corpus {
        folder: "cloud-foundation-fabric",
        repository: "GoogleCloudPlatform/cloud-foundation-fabric",
        commit: "11c1d248826f06cbec3fff54fc7094da405a5322",
    },
];

/// The folder that holds the repositories.
pub(crate) fn folder() -> Result<PathBuf> {
    let folder = std::env::var_os("KEYBLIND_CORPORA")
        .map(PathBuf::from)
        .context("set KEYBLIND_CORPORA to a folder with checkouts of the repositories that docs/performance.md names")?;
    if folder.is_dir() { Ok(folder) } else { bail!("KEYBLIND_CORPORA: {} is no folder", folder.display()) }
}

/// How many files beneath a folder end like this.
pub(crate) fn count_files(folder: &Path, ending: &str) -> usize {
    let mut open = vec![folder.to_path_buf()];
    let mut count = 0;
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() && entry.file_name().to_string_lossy().ends_with(ending) => count += 1,
                _ => {}
            }
        }
    }
    count
}
