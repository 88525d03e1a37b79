//! What a change loosens of what the next one is judged by: configuration, a team's rules, the baseline.
//!
//! What both sides come to is compared, not how it is written: whatever way a rule is lost or a finding silenced, it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use keyblind_dialects::{Listing, Tree};
use keyblind_git::CommitTree;
use keyblind_rule_language::{Rule, Severity, read_folder};
use keyblind_rules::RuleId;
use keyblind_rules::baseline::Entry;
use keyblind_scan::config::{Config, FailOn, IgnoreConfig, line_of};
use keyblind_scan::{Loosening, judge_example};

use super::policy::Policy;
use crate::commands::scan::Prepared;

/// How many names a sentence holds.
const MOST_NAMES: usize = 5;

/// Where a configuration has a key.
type Place = fn(&Config) -> Option<Range<usize>>;

/// One of the two commits, with what it comes to.
pub(super) struct Side<'a> {
    pub(super) policy: &'a Policy,
    pub(super) commit: &'a CommitTree,
    pub(super) prepared: &'a Prepared,
}

impl Side<'_> {
    fn config(&self) -> Option<&Config> {
        self.policy.config.as_ref().map(|config| &config.config)
    }

    fn severity(&self, rule: RuleId) -> Severity {
        let own = self.prepared.table.meta(rule).severity;
        self.prepared.request.severities.get(&rule).copied().unwrap_or(own)
    }

    /// The team's rules, by id.
    fn team(&self) -> BTreeMap<String, Rule> {
        let folders = self.prepared.settings.rule_folders.iter();
        folders.flat_map(|folder| read_folder(folder).rules).map(|rule| (rule.id.to_string(), rule)).collect()
    }

    fn baseline(&self) -> BTreeMap<(String, String), Entry> {
        let entries = self.prepared.request.baseline.iter().flat_map(|baseline| baseline.entries().cloned());
        entries.map(|entry| ((entry.rule.clone(), entry.fingerprint.clone()), entry)).collect()
    }
}

/// A rule of the team's that decides otherwise than before.
pub(super) struct Changed {
    pub(super) id: String,
    /// Its number in the head's table.
    pub(super) head: RuleId,
}

/// Compares what two commits come to.
pub(super) fn find(base: &Side<'_>, head: &Side<'_>) -> Vec<Loosening> {
    let mut finder = Finder { base, head, found: Vec::new() };
    finder.rules();
    finder.severities();
    finder.fail_on();
    finder.exclude();
    finder.ignore();
    finder.suppressions();
    finder.baseline();
    finder.found
}

/// What is said if the head's configuration can't be used at all.
pub(super) fn unusable(base: &Policy, head: &CommitTree, error: &anyhow::Error) -> Loosening {
    let path = keyblind_scan::config::PLACES.into_iter().find(|path| head.read(path).is_ok());
    let path = path.or(base.config.as_ref().map(|config| config.path)).unwrap_or("keyblind.toml");
    let text = head.read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let reason = format!("{error:#}").replace('\n', " ");
    let message = format!("what the change leaves behind can't be used, so that nothing would be judged: {reason}");
    Loosening { what: "configuration".to_owned(), message, path: path.into(), text: text.into(), line: 1 }
}

/// The team's rules that are on both sides and decide differently, and what is said of those that no longer find what their
/// own bad examples show.
pub(super) fn changed_rules(base: &Side<'_>, head: &Side<'_>) -> (Vec<Changed>, Vec<Loosening>) {
    let (mut changed, mut blind) = (Vec::new(), Vec::new());
    let now = head.team();
    for (id, rule) in base.team() {
        let Some(number) = head.prepared.table.find(&id) else { continue };
        if now.get(&id).is_none_or(|other| other.decisions == rule.decisions) {
            continue;
        }
        let bad = rule.docs.examples.iter().flat_map(|examples| examples.bad.iter().map(|text| (examples.language, text)));
        let misses = bad.filter(|(language, text)| judge_example(&head.prepared.table, number, *language, text).failed == 0).count();
        if misses > 0 {
            blind.push(of_rule(head, &id, format!("the rule `{id}` no longer finds what its bad example shows")));
        }
        changed.push(Changed { id, head: number });
    }
    (changed, blind)
}

/// Something about a rule's own file.
pub(super) fn of_rule(head: &Side<'_>, id: &str, message: String) -> Loosening {
    let is_file = |path: &&String| {
        path.rsplit('/').next().and_then(|name| name.strip_suffix(".yaml").or(name.strip_suffix(".yml"))).is_some_and(|stem| stem == id)
    };
    let path = head.commit.files().iter().find(is_file).cloned().unwrap_or_default();
    let text = head.commit.read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    Loosening { what: format!("rule {id}"), message, path: path.into(), text: text.into(), line: 1 }
}

struct Finder<'s> {
    base: &'s Side<'s>,
    head: &'s Side<'s>,
    found: Vec<Loosening>,
}

impl Finder<'_> {
    /// Notes something at the place of a key: in the head, or where the base had it.
    fn note(&mut self, what: &str, message: String, span: &dyn Fn(&Config) -> Option<Range<usize>>) {
        let configs = [&self.head.policy.config, &self.base.policy.config].into_iter().flatten();
        let mut places = configs.clone().filter_map(|config| Some((config, span(&config.config)?)));
        let (config, line) = match places.next() {
            Some((config, range)) => (Some(config), line_of(&config.text, range.start)),
            None => (configs.clone().next(), 1),
        };
        self.found.push(Loosening {
            what: what.to_owned(),
            message,
            path: config.map_or("keyblind.toml", |config| config.path).into(),
            text: config.map_or("", |config| &config.text).into(),
            line: u32::try_from(line).unwrap_or(1),
        });
    }

    fn rules(&mut self) {
        let (mut gone, mut left_out) = (Vec::new(), Vec::new());
        let (base, head) = (self.base.prepared, self.head.prepared);
        for (_, meta) in base.table.iter().filter(|(rule, _)| base.request.selection.contains(*rule)) {
            match head.table.find(&meta.id).filter(|other| head.table.meta(*other).id == meta.id) {
                None => gone.push(meta.id.to_string()),
                Some(other) if !head.request.selection.contains(other) => left_out.push(meta.id.to_string()),
                Some(_) => {}
            }
        }
        if !gone.is_empty() {
            let message =
                format!("{} gone: {}", counted(gone.len(), "of the team's own rules is", "of the team's own rules are"), names(&gone));
            self.note("rules", message, &|config| config.rules.as_ref().map(toml::Spanned::span));
        }
        if !left_out.is_empty() {
            let message = format!("{} no longer judged: {}", counted(left_out.len(), "rule is", "rules are"), names(&left_out));
            let key = self.choosing_key();
            self.note(key.0, message, &key.1);
        }
    }

    /// The key of the configuration that chooses rules otherwise than before.
    fn choosing_key(&self) -> (&'static str, Place) {
        fn words(list: &Option<toml::Spanned<Vec<toml::Spanned<String>>>>) -> Vec<&str> {
            list.iter().flat_map(|list| list.get_ref()).map(|word| word.get_ref().as_str()).collect()
        }
        type Differs = fn(&Config, &Config) -> bool;
        let keys: [(&'static str, Differs, Place); 5] = [
            (
                "skip-rules",
                |a, b| words(&a.skip_rules) != words(&b.skip_rules),
                |config| config.skip_rules.as_ref().map(toml::Spanned::span),
            ),
            ("select", |a, b| words(&a.select) != words(&b.select), |config| config.select.as_ref().map(toml::Spanned::span)),
            ("min-severity", |a, b| a.min_severity != b.min_severity, |config| config.min_severity.as_ref().map(toml::Spanned::span)),
            (
                "min-confidence",
                |a, b| a.min_confidence != b.min_confidence,
                |config| config.min_confidence.as_ref().map(toml::Spanned::span),
            ),
            ("persona", |a, b| a.persona != b.persona, |config| config.persona.as_ref().map(toml::Spanned::span)),
        ];
        let empty = Config::default();
        let (base, head) = (self.base.config().unwrap_or(&empty), self.head.config().unwrap_or(&empty));
        let key = keys.into_iter().find(|(_, differs, _)| differs(base, head));
        key.map_or(("rules", |_| None), |(name, _, place)| (name, place))
    }

    fn severities(&mut self) {
        let (base, head) = (self.base, self.head);
        let mut lowered = Vec::new();
        let mut first: Option<String> = None;
        for (rule, meta) in base.prepared.table.iter() {
            let Some(other) = head.prepared.table.find(&meta.id) else { continue };
            let (before, after) = (base.severity(rule), head.severity(other));
            if after < before && head.prepared.table.meta(other).id == meta.id {
                lowered.push(format!("`{}` is {after} instead of {before}", meta.id));
                first.get_or_insert_with(|| meta.id.to_string());
            }
        }
        if let Some(first) = first {
            let message = format!("{} less severe: {}", counted(lowered.len(), "rule is", "rules are"), listed(&lowered));
            let names_it = |config: &Config| {
                let mut entries = config.severity.iter();
                entries.find(|(name, _)| *name.get_ref() == first).or(config.severity.iter().next()).map(|(name, _)| name.span())
            };
            self.note("severity", message, &names_it);
        }
    }

    fn fail_on(&mut self) {
        let rank = |level: FailOn| match level {
            FailOn::Severity(severity) => severity as u8,
            FailOn::New => u8::MAX - 1,
            FailOn::None => u8::MAX,
        };
        let (before, after) = (self.base.prepared.settings.fail_on, self.head.prepared.settings.fail_on);
        if rank(after) > rank(before) {
            let message = format!("`fail-on` is `{after}` instead of `{before}`");
            self.note("fail-on", message, &|config| config.fail_on.as_ref().map(toml::Spanned::span));
        }
    }

    fn exclude(&mut self) {
        let patterns = |config: Option<&Config>| -> BTreeMap<String, Range<usize>> {
            let list = config.and_then(|config| config.exclude.as_ref());
            list.into_iter().flat_map(|list| list.get_ref()).map(|pattern| (pattern.get_ref().clone(), pattern.span())).collect()
        };
        let (before, after) = (&self.base.prepared.request.exclude, &self.head.prepared.request.exclude);
        let is_excluded = |set: &globset::GlobSet, path: &str| {
            std::iter::successors(Some(path), |path| path.rsplit_once('/').map(|(above, _)| above)).any(|path| set.is_match(path))
        };
        let files = self.head.commit.files();
        let lost = files.iter().filter(|path| is_excluded(after, path) && !is_excluded(before, path)).count();
        let known = patterns(self.base.config());
        let new: Vec<(String, Range<usize>)> =
            patterns(self.head.config()).into_iter().filter(|(pattern, _)| !known.contains_key(pattern)).collect();
        let Some((_, span)) = new.first().cloned() else { return };
        let quoted: Vec<String> = new.into_iter().map(|(pattern, _)| pattern).collect();
        let message = format!("{} excludes {} that the base judges", names(&quoted), counted(lost, "file", "files"));
        self.note("exclude", message, &|config| patterns(Some(config)).values().find(|range| **range == span).cloned());
    }

    fn ignore(&mut self) {
        let key = |entry: &IgnoreConfig| {
            let words = |list: &[String]| list.iter().cloned().collect::<BTreeSet<_>>();
            let paths: BTreeSet<String> = entry.paths.iter().map(|path| path.get_ref().clone()).collect();
            (words(entry.rules.get_ref()), paths, words(&entry.addresses))
        };
        let until = |entry: &IgnoreConfig| entry.until.as_ref().map(|day| day.get_ref().0.0);
        let known = self.base.config().map(|config| config.ignore.clone()).unwrap_or_default();
        for entry in self.head.config().map(|config| config.ignore.clone()).unwrap_or_default() {
            let holds_longer = |other: &IgnoreConfig| match (until(other), until(&entry)) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(before), Some(after)) => before >= after,
            };
            if known.iter().any(|other| key(other) == key(&entry) && holds_longer(other)) {
                continue;
            }
            let end = until(&entry).map_or_else(String::new, |day| format!(" until {day}"));
            let message = format!("findings of {} are ignored{end}", names(entry.rules.get_ref()));
            let span = entry.rules.span();
            let is_same = move |config: &Config| config.ignore.iter().map(|entry| entry.rules.span()).find(|other| *other == span);
            self.note("ignore", message, &is_same);
        }
    }

    fn suppressions(&mut self) {
        let (before, after) = (&self.base.prepared.settings, &self.head.prepared.settings);
        let told: [(bool, &str, &str, Place); 3] = [
            (after.foreign && !before.foreign, "suppressions.honor-foreign", "comments for other tools silence findings", |config| {
                config.suppressions.honor_foreign.as_ref().map(toml::Spanned::span)
            }),
            (after.blanket && !before.blanket, "suppressions.blanket", "comments that name no rule silence findings", |config| {
                config.suppressions.blanket.as_ref().map(toml::Spanned::span)
            }),
            (
                before.reason_required && !after.reason_required,
                "suppressions.require-reason",
                "comments for other tools silence findings without a reason",
                |config| config.suppressions.require_reason.as_ref().map(toml::Spanned::span),
            ),
        ];
        for (_, what, message, span) in told.into_iter().filter(|(is_loosened, ..)| *is_loosened) {
            self.note(what, message.to_owned(), &span);
        }
    }

    fn baseline(&mut self) {
        let known = self.base.baseline();
        let is_new = |(key, entry): &(&(String, String), &Entry)| {
            known.get(*key).is_none_or(|before| {
                let ends_later = before.expires.is_some_and(|last| entry.expires.is_none_or(|day| day > last));
                entry.count > before.count || ends_later
            })
        };
        let all = self.head.baseline();
        let new: Vec<&Entry> = all.iter().filter(is_new).map(|(_, entry)| entry).collect();
        let Some(first) = new.first() else { return };
        let rules: BTreeSet<String> = new.iter().map(|entry| entry.rule.clone()).collect();
        let rules = names(&Vec::from_iter(rules));
        let message = format!("the baseline accepts {} more, or for longer, of {rules}", counted(new.len(), "fault", "faults"));
        let path = self.head.config().and_then(|config| config.baseline.as_ref()).map(|path| path.get_ref().clone()).unwrap_or_default();
        let text = self.head.commit.read(&path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
        let line = text.lines().position(|line| line.contains(&first.fingerprint)).map_or(1, |index| index + 1);
        let line = u32::try_from(line).unwrap_or(1);
        self.found.push(Loosening { what: "baseline".to_owned(), message, path: path.into(), text: text.into(), line });
    }
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The first of the names, and how many more there are.
fn names(all: &[String]) -> String {
    listed(&all.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>())
}

fn listed(all: &[String]) -> String {
    let shown = all.iter().take(MOST_NAMES).cloned().collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
