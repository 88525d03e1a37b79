//! The full scan that closes a run: whatever the proofs say, what was written is judged once more as a whole, by every rule.

use std::collections::BTreeMap;

use keyblind_rules::Selection;
use keyblind_scan::{Changed, Keep, ScanReport, ScanResult, Status, scan};
use keyblind_syntax::Level;

use super::summary::named;
use super::{Changes, write};
use crate::arguments::{FixArguments, Global};
use crate::commands::scan::{prepare, what_is_judged};
use crate::terminal;

/// New findings that are named.
const MOST_NAMED: usize = 10;

/// What the scan found.
pub(super) struct Closing {
    gone: usize,
    /// Findings that were to be fixed and are still there.
    pub(super) left: usize,
    /// What wasn't there before, in a line each. With any the files were put back, or nothing is proposed.
    new: Vec<String>,
}

/// Writes the files and judges the whole again. If anything is new, the files are put back.
///
/// # Errors
/// If the files can't be written, or what is there can't be judged.
pub(super) fn write(report: &ScanReport, wanted: &[&ScanResult], changes: &Changes, arguments: &FixArguments) -> anyhow::Result<Closing> {
    let root = report.places.root();
    let before = judged(arguments)?;
    write::write(root, changes)?;
    let after = match judged(arguments) {
        Ok(after) => after,
        Err(error) => {
            write::take_back(root, changes);
            return Err(error);
        }
    };
    Ok(conclude(report, wanted, changes, [&before, &after]))
}

/// Judges the whole as it is and as it would be with the fixes. Nothing is written.
///
/// # Errors
/// If what is there can't be judged.
pub(super) fn rehearse(
    report: &ScanReport,
    wanted: &[&ScanResult],
    changes: &Changes,
    arguments: &FixArguments,
) -> anyhow::Result<Closing> {
    let before = judged(arguments)?;
    let after = judged_with(changes.iter().map(|(path, (_, new))| (path.clone(), new.clone())).collect(), arguments)?;
    Ok(compare(report, wanted, [&before, &after]))
}

/// Compares what was judged before and after. If anything is new, the files are put back.
fn conclude(report: &ScanReport, wanted: &[&ScanResult], changes: &Changes, both: [&ScanReport; 2]) -> Closing {
    let closing = compare(report, wanted, both);
    if closing.is_taken_back() {
        write::take_back(report.places.root(), changes);
    }
    closing
}

fn compare(report: &ScanReport, wanted: &[&ScanResult], [before, after]: [&ScanReport; 2]) -> Closing {
    let (then, now) = (Faults::of(before), Faults::of(after));
    let is_left = |result: &&&ScanResult| now.findings.contains_key(&place(report, result));
    let left = wanted.iter().filter(is_left).count();
    Closing { gone: wanted.len() - left, left, new: now.beyond(&then) }
}

/// Judges everything by every rule, whatever is silenced or known.
fn judged(arguments: &FixArguments) -> anyhow::Result<ScanReport> {
    judged_with(Changed::new(), arguments)
}

/// The same, with other texts in the place of some files.
fn judged_with(changed: Changed, arguments: &FixArguments) -> anyhow::Result<ScanReport> {
    let mut prepared = prepare(&what_is_judged(&arguments.what), None, Keep::default())?;
    prepared.request.changed = changed;
    prepared.request.selection = Selection::all(&prepared.table);
    prepared.request.policy = None;
    prepared.request.ignores.clear();
    prepared.request.baseline = None;
    Ok(scan(&prepared.table, prepared.request, &|_| {}))
}

/// The rule, the file and the address: what several root modules reach is reported once, with any of them.
fn place(report: &ScanReport, result: &ScanResult) -> (String, String, String) {
    let file = &report.sources.file(result.header.file).path;
    (report.rules[result.rule].id.to_string(), file.to_string(), result.address.to_string())
}

/// What speaks against a tree.
struct Faults {
    /// Findings by their place, and how many values each is based on.
    findings: BTreeMap<(String, String, String), (usize, String)>,
    /// What could not be read or evaluated, and how often.
    unread: BTreeMap<String, usize>,
}

impl Faults {
    fn of(report: &ScanReport) -> Self {
        let mut findings: BTreeMap<_, (usize, String)> = BTreeMap::new();
        for result in report.results.iter().filter(|result| matches!(result.status, Status::Failed)) {
            let entry = findings.entry(place(report, result));
            entry.or_insert_with(|| (0, named(report, result))).0 += result.evidence.len().max(1);
        }
        let mut unread = BTreeMap::new();
        for diagnostic in report.diagnostics.iter().filter(|diagnostic| diagnostic.level == Level::Incomplete) {
            *unread.entry(format!("{}: {}", diagnostic.code, diagnostic.message)).or_default() += 1;
        }
        Self { findings, unread }
    }

    /// What is here and wasn't there.
    fn beyond(&self, before: &Self) -> Vec<String> {
        let known = |key: &(String, String, String)| before.findings.get(key).map_or(0, |(count, _)| *count);
        let findings = self.findings.iter().filter(|(key, (count, _))| *count > known(key)).map(|(_, (_, name))| name.clone());
        let is_new = |message: &String, count: usize| count > before.unread.get(message).copied().unwrap_or(0);
        let unread = self.unread.iter().filter(|(message, count)| is_new(message, **count)).map(|(message, _)| message.clone());
        findings.chain(unread).collect()
    }
}

impl Closing {
    /// Whether the files were put back, or nothing is proposed.
    pub(super) fn is_taken_back(&self) -> bool {
        !self.new.is_empty()
    }

    /// Says in a sentence what the scan found.
    pub(super) fn say(&self, global: Global) {
        let are = |count: usize| if count == 1 { "is" } else { "are" };
        let Self { gone, left, new } = self;
        if new.is_empty() {
            if !global.quiet {
                let noun = if *gone == 1 { "finding is" } else { "findings are" };
                terminal::say(format_args!("scanned again with every rule: {gone} {noun} gone, {left} {} left, none is new", are(*left)));
            }
            return;
        }
        terminal::say(format_args!(
            "error: scanned again with every rule: {} {} new, so nothing was changed; please report it with the files if you can share them",
            new.len(),
            are(new.len())
        ));
        new.iter().take(MOST_NAMED).for_each(|name| terminal::say(format_args!("  new: {name}")));
        if new.len() > MOST_NAMED {
            terminal::say(format_args!("  and {} more", new.len() - MOST_NAMED));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::What;

    const SOUND: &str = "resource \"aws_s3_bucket\" \"a\" {\n  bucket = \"a\"\n  acl    = \"private\"\n}\n";

    #[test]
    fn what_brings_about_something_new_is_taken_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().canonicalize().expect("it is there");
        let file = root.join("main.tf");
        let arguments = FixArguments { what: What { root: Some(root.clone()), ..What::of(&root) }, ..FixArguments::default() };
        let judged_with = |text: &str| {
            std::fs::write(&file, text).expect("it can be written");
            judged(&arguments).expect("it can be judged")
        };
        let public = SOUND.replace("private", "public-read");
        for (before, after, is_new) in
            [(SOUND, &*public, true), (&*public, SOUND, false), (&*public, &*public, false), (SOUND, "resource \"aws_s3_bucket\" {", true)]
        {
            let reports = [judged_with(before), judged_with(after)];
            let changes = Changes::from([("main.tf".to_owned(), (before.into(), after.into()))]);
            let closing = conclude(&reports[0], &[], &changes, [&reports[0], &reports[1]]);
            assert_eq!(closing.is_taken_back(), is_new, "{:?}", closing.new);
            let left = std::fs::read_to_string(&file).expect("it is there");
            assert_eq!(left, if is_new { before } else { after });
        }
        // Of two root modules that fail the same block for the same reason one is shown: the other, once that one is mended.
        let shared = "variable \"acl\" {}\nresource \"aws_s3_bucket\" \"a\" {\n  acl = var.acl\n}\n";
        let call = |acl: &str| format!("module \"m\" {{\n  source = \"../m\"\n  acl    = \"{acl}\"\n}}\n");
        for (path, text) in [("m/main.tf", shared), ("a/main.tf", &call("public-read")), ("b/main.tf", &call("public-read"))] {
            std::fs::create_dir_all(root.join(path).parent().expect("a folder")).expect("it can be made");
            std::fs::write(root.join(path), text).expect("it can be written");
        }
        let before = judged_with(SOUND);
        std::fs::write(root.join("a/main.tf"), call("private")).expect("it can be written");
        let after = judged_with(SOUND);
        assert_eq!(conclude(&before, &[], &Changes::new(), [&before, &after]).new, Vec::<String>::new());
        for folder in ["m", "a", "b"] {
            std::fs::remove_dir_all(root.join(folder)).expect("it can be removed");
        }
        // What somebody else wrote meanwhile is left alone.
        let reports = [judged_with(SOUND), judged_with(&public)];
        std::fs::write(&file, "# mine").expect("it can be written");
        let changes = Changes::from([("main.tf".to_owned(), (SOUND.into(), public.as_str().into()))]);
        assert!(conclude(&reports[0], &[], &changes, [&reports[0], &reports[1]]).is_taken_back());
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "# mine");
    }
}
