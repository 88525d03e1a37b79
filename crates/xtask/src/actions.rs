//! Which commit each released version of an action is, from the tags of its repository.
//!
//! What a moving tag (`v4`) names is pinned to the full version at the same commit, because that is what a reader and the
//! bots that keep it up to date understand.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process;

/// The table, from the top of the repository.
const TABLE: &str = "crates/fix/src/actions.tsv";

/// Where repositories are asked if nothing else is said.
const SITE: &str = "https://github.com";

/// Of an action with more versions than this only the newest of each minor is kept, and only so many of them.
const MANY: usize = 70;
const MINORS: usize = 30;

const HEADER: &str = "\
# Which commit a released version of an action is: beneath the action's name a version, its commit, and the other names
# that the repository gives to that commit (tags that move, and branches that are named like versions).
# Read from the tags of the actions' own repositories, annotated ones peeled: `cargo xtask actions`.
# What a repository had no tag for when it was read is what public workflows of several owners agree on.
# Versions that a published advisory names aren't here, and neither are other branches: what is not here is pinned by
# nobody but the user.
";

/// Versions from one (inclusive) to another (exclusive) of an action, and who says that they shouldn't be used.
struct Advisory {
    action: &'static str,
    from: [u32; 3],
    until: [u32; 3],
    id: &'static str,
}

const ADVISORIES: &[Advisory] = &[
    Advisory { action: "actions/download-artifact", from: [4, 0, 0], until: [4, 1, 3], id: "GHSA-cxww-7g56-2vh6" },
    Advisory { action: "aquasecurity/trivy-action", from: [0, 0, 0], until: [0, 35, 0], id: "GHSA-69fq-xp46-6x23" },
    Advisory { action: "dawidd6/action-download-artifact", from: [0, 0, 0], until: [6, 0, 0], id: "GHSA-5xr6-xhww-33m4" },
    Advisory { action: "github/codeql-action", from: [3, 26, 11], until: [3, 28, 3], id: "GHSA-vqf5-2xx6-9wfm" },
    Advisory { action: "gradle/gradle-build-action", from: [0, 0, 0], until: [2, 4, 2], id: "GHSA-h3qr-39j9-4r5v" },
    Advisory { action: "hashicorp/vault-action", from: [0, 0, 0], until: [2, 2, 0], id: "GHSA-4mgv-m5cm-f9h7" },
    Advisory { action: "lycheeverse/lychee-action", from: [0, 0, 0], until: [2, 0, 2], id: "GHSA-65rg-554r-9j5x" },
    Advisory { action: "pypa/gh-action-pypi-publish", from: [0, 0, 0], until: [1, 13, 0], id: "GHSA-vxmw-7h4f-hqqh" },
    Advisory { action: "sonarsource/sonarqube-scan-action", from: [4, 0, 0], until: [5, 3, 1], id: "GHSA-f79p-9c5r-xg88" },
    Advisory { action: "step-security/harden-runner", from: [0, 12, 0], until: [2, 12, 0], id: "GHSA-mxr3-8whj-j74r" },
    Advisory { action: "super-linter/super-linter", from: [6, 0, 0], until: [8, 3, 1], id: "GHSA-r79c-pqj3-577x" },
    Advisory { action: "tj-actions/branch-names", from: [0, 0, 0], until: [9, 0, 0], id: "GHSA-gq52-6phf-x2r6" },
    Advisory { action: "tj-actions/changed-files", from: [0, 0, 0], until: [46, 0, 1], id: "GHSA-mrrh-fwg8-r2c3" },
];

/// A commit that has a name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Release {
    /// The name that is written behind the commit: a full version where there is one.
    version: String,
    commit: String,
    /// All others.
    names: BTreeSet<String>,
}

/// What is known of each action, by its name as its owner writes it.
type Table = BTreeMap<String, Vec<Release>>;

/// Reads the tags of all actions of the table, and of those that are named, and writes the table anew.
/// With `--from FOLDER` clones are read: `FOLDER/OWNER/NAME`.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let (site, new) = match arguments {
        ["--from", folder, names @ ..] => (*folder, names),
        names => (SITE, names),
    };
    let path = process::repository().join(TABLE);
    let known = parse(&std::fs::read_to_string(&path).with_context(|| format!("{TABLE} can't be read"))?);
    let mut names: BTreeMap<String, String> = known.keys().map(|name| (name.to_lowercase(), name.clone())).collect();
    for name in new {
        ensure!(name.split('/').count() == 2, "`{name}` is no action's repository: OWNER/NAME is");
        names.insert(name.to_lowercase(), (*name).to_owned());
    }
    let (mut table, mut moved) = (Table::new(), Vec::new());
    for name in names.into_values() {
        let before =
            known.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name)).map(|(_, releases)| releases.clone()).unwrap_or_default();
        let Some(references) = references(&format!("{site}/{name}")) else {
            println!("{name}: no repository can be read, so that {} versions stay as they were", before.len());
            table.insert(name, before);
            continue;
        };
        for release in &before {
            if let Some(now) = references.get(&release.version).filter(|now| **now != release.commit && is_full(&release.version)) {
                moved.push(format!("{name} {}: {} in the table, {now} in the repository", release.version, release.commit));
            }
        }
        let releases = releases(&name, &references, &before);
        table.insert(name, releases);
    }
    // A full version never changes its commit, unless somebody does that who shouldn't.
    ensure!(moved.is_empty(), "released versions have moved; take them out of the table if that is right:\n{}", moved.join("\n"));
    std::fs::write(&path, written(&table)).with_context(|| format!("{TABLE} can't be written"))?;
    println!("{TABLE}: {} actions, {} commits", table.len(), table.values().map(Vec::len).sum::<usize>());
    Ok(())
}

/// The commits of a repository's tags, and of its branches that are named like versions and aren't tags as well.
fn references(repository: &str) -> Option<BTreeMap<String, String>> {
    let output = Command::new("git")
        .args(["ls-remote", "--heads", "--tags", repository])
        .env("GIT_TERMINAL_PROMPT", "0")
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let text = String::from_utf8_lossy(&output.stdout);
    Some(references_in(&text))
}

fn references_in(listing: &str) -> BTreeMap<String, String> {
    let (mut tags, mut branches) = (BTreeMap::new(), BTreeMap::new());
    for (commit, name) in listing.lines().filter_map(|line| line.split_once('\t')) {
        if let Some(tag) = name.strip_prefix("refs/tags/") {
            // The peeled line of an annotated tag stands behind the tag's own.
            tags.insert(tag.strip_suffix("^{}").unwrap_or(tag).to_owned(), commit.to_owned());
        } else if let Some(branch) = name.strip_prefix("refs/heads/").filter(|branch| numbers(branch).is_some()) {
            branches.insert(branch.to_owned(), commit.to_owned());
        }
    }
    for (branch, commit) in branches {
        match tags.get(&branch) {
            // Which of the two is meant nobody can tell.
            Some(tagged) if *tagged != commit => drop(tags.remove(&branch)),
            Some(_) => {}
            None => drop(tags.insert(branch, commit)),
        }
    }
    tags
}

/// The numbers of `v4.1.2`, or of as much of it as is said.
fn numbers(name: &str) -> Option<Vec<u32>> {
    let numbers: Option<Vec<u32>> = name.strip_prefix('v').unwrap_or(name).split('.').map(|part| part.parse().ok()).collect();
    numbers.filter(|numbers| numbers.len() <= 3)
}

fn is_full(name: &str) -> bool {
    numbers(name).is_some_and(|numbers| numbers.len() == 3)
}

/// Whether a published advisory names a version.
fn advised_against(action: &str, name: &str) -> Option<&'static str> {
    let mut version = numbers(name)?;
    version.resize(3, 0);
    let of = ADVISORIES
        .iter()
        .find(|advisory| advisory.action.eq_ignore_ascii_case(action) && *version >= advisory.from[..] && *version < advisory.until[..]);
    of.map(|advisory| advisory.id)
}

/// What is kept of an action: its versions, and what other names stand for.
fn releases(action: &str, references: &BTreeMap<String, String>, before: &[Release]) -> Vec<Release> {
    let mut full: BTreeMap<Vec<u32>, (String, String)> = BTreeMap::new();
    // Of `1.2.3` and `v1.2.3` the second, if they are the same commit.
    for (name, commit) in references.iter().filter(|(name, _)| is_full(name)) {
        full.insert(numbers(name).unwrap_or_default(), (name.clone(), commit.clone()));
    }
    let read = full.clone();
    for release in before.iter().filter(|release| is_full(&release.version)) {
        full.entry(numbers(&release.version).unwrap_or_default()).or_insert_with(|| (release.version.clone(), release.commit.clone()));
    }
    let mut names: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut moving: Vec<(String, String)> = Vec::new();
    for (name, commit) in references.iter().filter(|(name, _)| !is_full(name) && (numbers(name).is_some() || *name == "latest")) {
        let beginning = numbers(name).unwrap_or_default();
        let newest = |of: &BTreeMap<Vec<u32>, (String, String)>| {
            of.iter().rev().find(|(numbers, _)| numbers.starts_with(&beginning)).map(|(_, (_, commit))| commit.clone())
        };
        // A name that goes along with the newest version does so with one that this copy of the repository doesn't have yet.
        let commit = if newest(&read).as_ref() == Some(commit) { newest(&full).unwrap_or_default() } else { commit.clone() };
        names.entry(commit.clone()).or_default().insert(name.clone());
        moving.push((name.clone(), commit));
    }
    let mut kept: BTreeSet<&Vec<u32>> = BTreeSet::new();
    let (mut minors, mut majors) = (BTreeSet::new(), BTreeSet::new());
    for (numbers, (name, commit)) in full.iter().rev() {
        let is_first_of_major = majors.insert(numbers[0]);
        let is_first_of_minor = minors.insert(&numbers[..2]) && minors.len() <= MINORS;
        let was_there = before.iter().any(|release| release.version == *name);
        if full.len() <= MANY || is_first_of_major || is_first_of_minor || was_there || names.contains_key(commit) {
            kept.insert(numbers);
        }
    }
    let mut releases: Vec<Release> = Vec::new();
    for numbers in kept {
        let (version, commit) = &full[numbers];
        if advised_against(action, version).is_some() {
            continue;
        }
        // Another full version at the same commit is another name of it.
        match releases.iter_mut().find(|release| release.commit == *commit) {
            Some(release) => {
                let older = std::mem::replace(&mut release.version, version.clone());
                release.names.insert(older);
            }
            None => releases.push(Release { version: version.clone(), commit: commit.clone(), names: BTreeSet::new() }),
        }
    }
    for (name, commit) in moving {
        let full_name = full.values().find(|(_, known)| *known == commit);
        let is_advised_against = advised_against(action, full_name.map_or(&name, |(version, _)| version)).is_some();
        match releases.iter_mut().find(|release| release.commit == commit) {
            Some(release) => drop(release.names.insert(name)),
            // What moves and is at no full version: the name is all there is to say of it.
            None if numbers(&name).is_some() && !is_advised_against => {
                releases.push(Release { version: name, commit, names: BTreeSet::new() });
            }
            None => {}
        }
    }
    releases.sort_by_key(|release| numbers(&release.version));
    releases
}

fn parse(text: &str) -> Table {
    let mut table = Table::new();
    let mut releases = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = line.split('\t');
        let (first, commit, names) = (fields.next().unwrap_or_default(), fields.next(), fields.next().unwrap_or_default());
        match (commit, &mut releases) {
            (None, _) => releases = Some(table.entry(first.to_owned()).or_default()),
            (Some(commit), Some(releases)) => releases.push(Release {
                version: first.to_owned(),
                commit: commit.to_owned(),
                names: names.split_whitespace().map(str::to_owned).collect(),
            }),
            (Some(_), None) => {}
        }
    }
    table
}

fn written(table: &Table) -> String {
    let mut text = HEADER.to_owned();
    let mut actions: Vec<_> = table.iter().filter(|(_, releases)| !releases.is_empty()).collect();
    actions.sort_by_key(|(name, _)| name.to_lowercase());
    for (name, releases) in actions {
        text.push_str(name);
        text.push('\n');
        for Release { version, commit, names } in releases {
            let _ = write!(text, "{version}\t{commit}");
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            if !names.is_empty() {
                let _ = write!(text, "\t{}", names.join(" "));
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn commit(number: u32) -> String {
        format!("{number:040x}")
    }

    fn release(version: &str, number: u32, names: &[&str]) -> Release {
        Release { version: version.to_owned(), commit: commit(number), names: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn read(of: &[(&str, u32)]) -> BTreeMap<String, String> {
        let lines: Vec<String> = of.iter().map(|(name, number)| format!("{}\trefs/{name}", commit(*number))).collect();
        references_in(&lines.join("\n"))
    }

    #[test]
    fn annotated_tags_are_peeled_and_what_is_tag_and_branch_at_once_is_left_out() {
        let found = read(&[("heads/main", 9), ("heads/v1", 3), ("heads/v2", 4), ("tags/v1", 1), ("tags/v1.0.0", 7), ("tags/v1.0.0^{}", 1)]);
        assert_eq!(found, BTreeMap::from([("v1.0.0".to_owned(), commit(1)), ("v2".to_owned(), commit(4))]));
    }

    #[test]
    fn a_moving_tag_is_a_name_of_the_version_at_its_commit() {
        let found =
            releases("o/a", &read(&[("tags/v1", 1), ("tags/v1.0.0", 1), ("tags/v1.1.0", 2), ("tags/latest", 2), ("tags/v3", 5)]), &[]);
        assert_eq!(found, [release("v1.0.0", 1, &["v1"]), release("v1.1.0", 2, &["latest"]), release("v3", 5, &[])]);
    }

    #[test]
    fn what_an_older_copy_lacks_stays_and_takes_the_moving_tag_along() {
        let before = [release("v1.1.0", 2, &[])];
        let found = releases("o/a", &read(&[("tags/v1", 1), ("tags/v1.0.0", 1)]), &before);
        assert_eq!(found, [release("v1.0.0", 1, &[]), release("v1.1.0", 2, &["v1"])]);
    }

    #[test]
    fn versions_with_a_published_advisory_are_left_out() {
        let tags = read(&[("tags/v45", 1), ("tags/v45.0.9", 1), ("tags/v44", 3), ("tags/v46", 2), ("tags/v46.0.5", 2)]);
        assert_eq!(releases("tj-actions/changed-files", &tags, &[]), [release("v46.0.5", 2, &["v46"])]);
    }

    #[test]
    fn the_table_is_read_as_it_is_written() {
        let table = Table::from([("o/a".to_owned(), vec![release("v1.0.0", 1, &["latest", "v1"]), release("v2", 2, &[])])]);
        assert_eq!(parse(&written(&table)), table);
    }
}
