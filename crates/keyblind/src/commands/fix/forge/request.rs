//! A part of the fixes as a request to the broker.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Context as _;
use keyblind_intent::{
    AttachedFile, BranchName, Bulk, Digest, FileMode, Intent, Line, ProposePullRequest, Request, RuleId, decode, encode, limits,
};
use keyblind_rules::RuleTable;

use super::explanation::{Place, explain};
use super::parts::Part;
use crate::commands::fix::proposal::Proposal;
use crate::commands::plural;
use crate::exit::UsageError;

/// A pull request that is asked for.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) request: ProposePullRequest,
    /// The new contents of its files, one after the other.
    pub(super) contents: Vec<u8>,
    /// What its findings are recognised by.
    pub(super) fingerprints: Vec<String>,
    pub(super) decides_what_runs: bool,
}

/// Writes the request for one part. `tree` is where the files lie as they were, `contents` are all files of the proposal as they become.
///
/// # Errors
/// If it is more than a pull request may hold.
pub(super) fn compose(
    proposal: &Proposal,
    contents: &[u8],
    part: &Part,
    place: &Place<'_>,
    tree: &Path,
    table: Option<&RuleTable>,
) -> anyhow::Result<Wanted> {
    let (files, fixes) = (part.files.len(), part.fixes.len());
    let too_much = |what: &dyn std::fmt::Display| {
        let help = "choose fewer fixes with `--rule`, `--min-severity` or `--finding`; each run makes a pull request of its own";
        UsageError::new(format_args!("{fixes} fixes in {files} files are more than one pull request takes ({what}): {help}"))
    };
    if files > limits::PULL_REQUEST_FILES {
        return Err(too_much(&format_args!("{} files", limits::PULL_REQUEST_FILES)).into());
    }
    let mut attached = Vec::new();
    let mut own = Vec::new();
    let mut offset = 0_usize;
    for (number, file) in proposal.files.iter().enumerate() {
        let length = usize::try_from(file.after.bytes.get()).unwrap_or(usize::MAX);
        let new = contents.get(offset..offset.saturating_add(length)).context("the fixed files aren't whole")?;
        offset = offset.saturating_add(length);
        if part.files.contains(&number) {
            let mode = mode(&tree.join(file.path.as_str()))?;
            attached.push(AttachedFile { path: file.path.clone(), before: Some(file.before), after: file.after, mode });
            own.extend_from_slice(new);
        }
    }
    let rules: BTreeSet<RuleId> = part.fixes.iter().map(|fix| proposal.rules[proposal.fixes[*fix].rule].id.clone()).collect();
    let rules: Vec<RuleId> = rules.into_iter().collect();
    let mut fingerprints: Vec<String> = part.fixes.iter().map(|fix| proposal.fixes[*fix].fingerprint.for_terminal()).collect();
    fingerprints.sort();
    let request = ProposePullRequest {
        repository: place.repository.clone(),
        base: place.base.clone(),
        base_commit: place.commit.clone(),
        branch: branch(place.base, &rules, &fingerprints)?,
        files: attached,
        contents: Bulk::of(&own),
        title: title(part, &rules)?,
        explanation: explain(proposal, part, place, table),
        fixes: rules,
    };
    // What the broker would refuse is said here, where somebody can do something about it.
    let written = encode(&Request::Intent(Intent::ProposePullRequest(request.clone()))).map_err(|error| too_much(&error))?;
    decode::<Request>(&written).map_err(|error| UsageError::new(format_args!("these fixes can't be proposed together: {error}")))?;
    Ok(Wanted { request, contents: own, fingerprints, decides_what_runs: part.decides_what_runs })
}

/// The same fixes for the same base have the same branch, whatever else has changed: they bring their pull request up to date.
fn branch(base: &BranchName, rules: &[RuleId], fingerprints: &[String]) -> anyhow::Result<BranchName> {
    let mut named = format!("{base}\n");
    fingerprints.iter().for_each(|fingerprint| named.extend([fingerprint.as_str(), "\n"]));
    let digest = Digest::of(named.as_bytes()).to_string();
    let what = match rules {
        [rule] => rule.to_string(),
        rules => format!("{}-rules", rules.len()),
    };
    BranchName::new(format!("keyblind/fix-{what}-{}", &digest[..12])).context("the branch can't be named")
}

fn title(part: &Part, rules: &[RuleId]) -> anyhow::Result<Line> {
    let (findings, files) = (part.fixes.len() as u64, part.files.len() as u64);
    let place = format!("in {files} file{}{}", plural(files), if part.decides_what_runs { " that decide what runs" } else { "" });
    let place = if files == 1 { place.replace("that decide ", "that decides ") } else { place };
    let text = match rules {
        [rule] => format!("Fix {rule} ({findings} finding{} {place})", plural(findings)),
        rules => format!("Fix {findings} findings of {} rules {place}", rules.len()),
    };
    Line::new(text).context("the pull request's title can't be written")
}

/// How git keeps a file: whoever unpacked it kept that.
fn mode(path: &Path) -> anyhow::Result<FileMode> {
    let metadata = path.symlink_metadata().context("a file that was read is gone")?;
    #[cfg(unix)]
    if std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o100 != 0 {
        return Ok(FileMode::Executable);
    }
    anyhow::ensure!(metadata.is_file(), "a file that was read is none any more");
    Ok(FileMode::Plain)
}

#[cfg(test)]
mod tests {
    use super::super::parts::divide;
    use super::super::samples::{fix, proposal};
    use super::*;

    fn composed(proposal: &Proposal, base: &str, commit: char) -> anyhow::Result<Wanted> {
        let tree = tempfile::tempdir()?;
        for file in &proposal.files {
            let path = tree.path().join(file.path.as_str());
            std::fs::create_dir_all(path.parent().expect("a folder"))?;
            std::fs::write(path, "before")?;
        }
        let repository = keyblind_intent::Repository { forge: "github".parse()?, owner: "octo-org".parse()?, name: "shop".parse()? };
        let (base, commit) = (base.parse()?, commit.to_string().repeat(40).parse()?);
        let place = Place { repository: &repository, base: &base, commit: &commit };
        let contents = "after".repeat(proposal.files.len());
        compose(proposal, contents.as_bytes(), &divide(proposal)[0], &place, tree.path(), None)
    }

    #[test]
    fn the_same_fixes_have_the_same_branch() {
        let one = || proposal(&["a/main.tf", "b/main.tf"], vec![fix(0, &[0], &["a"]), fix(1, &[1], &["b"])]);
        let turned = proposal(&["a/main.tf", "b/main.tf"], vec![fix(1, &[1], &["b"]), fix(0, &[0], &["a"])]);
        let fewer = proposal(&["a/main.tf"], vec![fix(0, &[0], &["a"])]);
        let branch = |proposal: &Proposal, base, commit| composed(proposal, base, commit).expect("it fits").request.branch.to_string();
        let first = branch(&one(), "main", 'a');
        assert!(first.starts_with("keyblind/fix-2-rules-"), "{first}");
        assert_eq!(branch(&one(), "main", 'b'), first, "whatever else was committed");
        assert_eq!(branch(&turned, "main", 'a'), first, "in whatever order");
        assert_ne!(branch(&one(), "release", 'a'), first);
        assert!(branch(&fewer, "main", 'a').starts_with("keyblind/fix-database-publicly-accessible-"));
    }

    #[test]
    fn more_than_a_pull_request_takes_is_said_to_be() {
        let paths: Vec<String> = (0..=limits::PULL_REQUEST_FILES).map(|number| format!("m{number:04}/main.tf")).collect();
        let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
        let fixes = |count: usize| (0..count).map(|number| fix(0, &[number], &[paths[number]])).collect();
        let error = composed(&proposal(&paths, fixes(paths.len())), "main", 'a').expect_err("too many").to_string();
        assert!(error.contains("301 fixes in 301 files are more than one pull request takes (300 files): choose fewer"), "{error}");
        assert!(composed(&proposal(&paths[..300], fixes(300)), "main", 'a').is_ok());
        let alike = proposal(&["A/main.tf", "a/main.tf"], vec![fix(0, &[0], &["A"]), fix(0, &[1], &["a"])]);
        let error = composed(&alike, "main", 'a').expect_err("alike").to_string();
        assert!(error.contains("these fixes can't be proposed together") && error.contains("upper and lower case"), "{error}");
    }
}
