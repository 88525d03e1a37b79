//! Public repositories that benchmarks and soak runs read. They are never part of this repository.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::process;

/// A repository at the commit that figures were taken with.
pub(crate) struct Repository {
    /// Folder beneath `KEYBLIND_CORPORA`.
    pub folder: &'static str,
    /// Where it is published.
    pub name: &'static str,
    /// The commit.
    pub commit: &'static str,
}

/// What is scanned in one run: a repository, or several side by side in one folder, as in a large organisation's tree.
pub(crate) struct Corpus {
    pub name: &'static str,
    pub repositories: &'static [&'static Repository],
    pub promise: Option<Promise>,
}

/// At least how many times what Keyblind takes the peers take on a corpus.
pub(crate) struct Promise {
    /// CPU time of Trivy.
    pub trivy: f64,
    /// CPU time of Checkov.
    pub checkov: f64,
    /// Peak memory of Trivy.
    pub memory: Option<f64>,
}

const SMALL: Promise = Promise { trivy: 50.0, checkov: 50.0, memory: None };
const LARGE: Promise = Promise { trivy: 100.0, checkov: 500.0, memory: Some(10.0) };

pub(crate) const TERRAGOAT: Repository =
    Repository { folder: "terragoat", name: "bridgecrewio/terragoat", commit: "729f8da62c6a85ce4af5ad3d123de97776d954c4" };
const AWS_EKS: Repository = Repository {
    folder: "terraform-aws-eks",
    name: "terraform-aws-modules/terraform-aws-eks",
    commit: "bef29c4d9523523e57fe898643fde2895106b339",
};
const AWS_VPC: Repository = Repository {
    folder: "terraform-aws-vpc",
    name: "terraform-aws-modules/terraform-aws-vpc",
    commit: "82d1929e669efef4e2ad00611b8a68e7a56e049c",
};
const EKS_BLUEPRINTS: Repository = Repository {
    folder: "terraform-aws-eks-blueprints",
    name: "aws-ia/terraform-aws-eks-blueprints",
    commit: "98d0eb4069e787210848eeefcb2b9ba8e52706e7",
};
const GOVUK: Repository = Repository {
    folder: "govuk-infrastructure",
    name: "alphagov/govuk-infrastructure",
    commit: "d9b7454f26061e8af95753fa688cdf3d86a6c3ee",
};
const EXAMPLE_FOUNDATION: Repository = Repository {
    folder: "terraform-example-foundation",
    name: "terraform-google-modules/terraform-example-foundation",
    commit: "ed07500ef63b215b28db98cdfa308353e550abca",
};
const FABRIC: Repository = Repository {
    folder: "cloud-foundation-fabric",
    name: "GoogleCloudPlatform/cloud-foundation-fabric",
    commit: "11c1d248826f06cbec3fff54fc7094da405a5322",
};

/// A small one; a module with examples; about 1,000 files of modules and of what calls them, for two clouds; and nearly as
/// many in one repository whose modules are called by dozens of roots with YAML factories, the dearest input that we know of:
/// for that one nothing is promised, so that it stays in the table as it is.
pub(crate) const BENCHED: &[Corpus] = &[
    Corpus { name: "terragoat", repositories: &[&TERRAGOAT], promise: Some(SMALL) },
    Corpus { name: "terraform-aws-eks", repositories: &[&AWS_EKS], promise: Some(SMALL) },
    Corpus {
        name: "five repositories",
        repositories: &[&AWS_EKS, &AWS_VPC, &EKS_BLUEPRINTS, &GOVUK, &EXAMPLE_FOUNDATION],
        promise: Some(LARGE),
    },
    Corpus { name: "cloud-foundation-fabric", repositories: &[&FABRIC], promise: None },
];

impl Corpus {
    /// The folder to scan. Several repositories are copied side by side, for not every scanner follows links.
    ///
    /// # Errors
    /// If a repository isn't there.
    pub(crate) fn prepare(&self) -> Result<PathBuf> {
        let all = folder()?;
        let place = |repository: &Repository| {
            let place = all.join(repository.folder);
            let Repository { name, commit, .. } = repository;
            ensure!(place.is_dir(), "{} is missing: check out {name} at {commit} there", place.display());
            // What scanners see must be the tree itself, not a link to it.
            Ok(place.canonicalize()?)
        };
        if let [repository] = self.repositories {
            return place(repository);
        }
        let together = process::target().join("bench/corpora").join(self.name.replace(' ', "-"));
        for repository in self.repositories {
            let copy = together.join(repository.folder);
            if !copy.is_dir() {
                std::fs::create_dir_all(&together)?;
                process::run("cp", &["-r", &place(repository)?.to_string_lossy(), &copy.to_string_lossy()])?;
            }
        }
        Ok(together)
    }
}

/// The folder that holds the repositories.
pub(crate) fn folder() -> Result<PathBuf> {
    let folder = std::env::var_os("KEYBLIND_CORPORA")
        .map(PathBuf::from)
        .context("set KEYBLIND_CORPORA to a folder with checkouts of the repositories that docs/performance.md names")?;
    if folder.is_dir() { Ok(folder) } else { bail!("KEYBLIND_CORPORA: {} is no folder", folder.display()) }
}

/// The repositories beneath the folders that `KEYBLIND_CORPORA` lists; none if it isn't set.
pub(crate) fn repositories() -> Vec<PathBuf> {
    let listed = std::env::var_os("KEYBLIND_CORPORA").unwrap_or_default();
    let folders = std::env::split_paths(&listed).filter(|folder| folder.is_dir());
    let inside = |folder: PathBuf| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut found: Vec<PathBuf> = folders.flat_map(inside).filter(|path| path.is_dir()).collect();
    found.sort();
    found
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
