//! Comments that silence a finding: what they say, how far they reach, and whether they hold.
//!
//! The caller hands over each file's comments and the outline of its blocks and attributes; this module reads no files
//! and knows no language. Ids are resolved through the rule table's aliases, so that a directive written for another
//! tool silences the rule with the same meaning and nothing else.

mod date;
mod directive;
mod scope;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use keyblind_resource::{Resource, Value};
use keyblind_syntax::{Diagnostic, FileId, Level, Site, SourceFile, TextRange};

pub use date::{Date, DateError};
pub use directive::{Directive, Form, Malformed, Reach, Targets, may_hold_directives, parse_comment};
pub use scope::{Outline, Region, RegionKind};

/// What is allowed to silence a finding.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// The day on which the scan takes place.
    pub today: Date,
    /// Whether other tools' directives count.
    pub foreign: bool,
    /// Whether directives that name no rule count (`trivy:ignore:*`, `kics-scan ignore`, a bare `nosemgrep`).
    pub blanket: bool,
    /// Whether other tools' directives must give a reason, as ours must.
    pub reason_required: bool,
}

/// Knows which rules an id stands for.
pub trait Names {
    /// The ids of the rules that have this id or alias, in any case.
    fn named(&self, id: &str) -> Vec<Arc<str>>;
    /// The ids of the rules of which the id or an alias is covered by a pattern with `*`.
    fn covered(&self, pattern: &str) -> Vec<Arc<str>>;
    /// The rule id or alias that looks most like this one.
    fn nearest(&self, id: &str) -> Option<String>;
}

/// A directive together with the bytes that it reaches.
#[derive(Debug)]
struct Scope {
    area: TextRange,
    rules: Rules,
    directive: Directive,
    /// Whether a resource that was judged lies in its reach.
    is_met: AtomicBool,
    /// Whether it silenced a finding.
    is_used: AtomicBool,
}

impl Scope {
    fn new(area: TextRange, rules: Rules, directive: Directive) -> Self {
        Self { area, rules, directive, is_met: AtomicBool::new(false), is_used: AtomicBool::new(false) }
    }

    fn touches(&self, range: TextRange) -> bool {
        range.start < self.area.end && self.area.start < range.end
    }

    fn reaches(&self, range: TextRange) -> bool {
        match self.directive.reach {
            Reach::Around => self.touches(range),
            _ => self.area.contains(range),
        }
    }
}

#[derive(Debug)]
enum Rules {
    These(BTreeSet<Arc<str>>),
    All,
    AllExcept(BTreeSet<Arc<str>>),
}

impl Rules {
    fn includes(&self, rule: &str) -> bool {
        match self {
            Self::These(ids) => ids.contains(rule),
            Self::All => true,
            Self::AllExcept(ids) => !ids.contains(rule),
        }
    }
}

/// All directives that hold.
#[derive(Debug, Default)]
pub struct Suppressions {
    files: HashMap<FileId, Vec<Scope>>,
}

/// What a finding is about: where it may be silenced.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The rule's id.
    pub rule: &'a str,
    /// The resource.
    pub resource: &'a Resource,
    /// The places of which all must be silenced by directives that don't cover the resource's whole block.
    pub sites: &'a [Site],
}

/// The directive that silences a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silenced {
    /// Whose form the directive has.
    pub form: Form,
    /// Why, in the author's words.
    pub reason: Option<String>,
    /// The last day, if there is one.
    pub until: Option<Date>,
    /// Where the directive stands.
    pub site: Site,
}

impl Suppressions {
    /// Whether no directive holds anywhere.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Reads the directives of one file. What is wrong with them is returned; such a directive silences nothing.
    pub fn collect(&mut self, id: FileId, file: &SourceFile, outline: &Outline, names: &dyn Names, policy: &Policy) -> Vec<Diagnostic> {
        let mut diagnostics = Vec::new();
        let mut note = |range: TextRange, code, message: String, help: Option<String>| {
            diagnostics.push(Diagnostic { level: Level::Note, code, message, help, site: Some(Site::new(id, range)), path: None });
        };
        let mut scopes = Vec::new();
        for &comment in &outline.comments {
            for parsed in parse_comment(&file.text, comment) {
                let directive = match parsed {
                    Ok(directive) => directive,
                    Err(Malformed { range, code, message }) => {
                        note(range, code, message, Some(r#"write `keyblind:ignore[rule-id] reason="why"`"#.to_owned()));
                        continue;
                    }
                };
                let own = directive.form == Form::Keyblind;
                if !own && !policy.foreign {
                    continue;
                }
                if directive.is_expired(policy.today) {
                    let day = directive.until.or(directive.expires).map(|day| day.to_string()).unwrap_or_default();
                    note(directive.range, "suppression-expired", format!("the directive ended on {day}: its findings are back"), None);
                    continue;
                }
                if policy.reason_required && directive.reason.is_none() {
                    let message = format!("`{}` gives no reason, so it ignores nothing", directive.form.keyword());
                    note(directive.range, "suppression-without-reason", message, Some("say why behind the id".to_owned()));
                    continue;
                }
                // Terraform is read as it looks without a workspace, which is the one called `default`.
                if directive.workspace.as_deref().is_some_and(|workspace| workspace != "default") {
                    continue;
                }
                let rules = match &directive.targets {
                    Targets::Ids(ids) => {
                        let mut rules = BTreeSet::new();
                        for text in ids {
                            let found = if text.contains('*') { names.covered(text) } else { names.named(text) };
                            if found.is_empty() && own {
                                let help = names.nearest(text).map(|near| format!("did you mean `{near}`?"));
                                note(directive.range, "suppression-unknown-rule", format!("there is no rule `{text}`"), help);
                            }
                            rules.extend(found);
                        }
                        if rules.is_empty() {
                            continue;
                        }
                        Rules::These(rules)
                    }
                    Targets::All | Targets::AllExcept(_) if !policy.blanket => {
                        let message = format!("`{}` names no rule, so it ignores nothing", directive.form.keyword());
                        let help = "name the rules, or set `suppressions.blanket = true` in keyblind.toml".to_owned();
                        note(directive.range, "suppression-blanket", message, Some(help));
                        continue;
                    }
                    Targets::All => Rules::All,
                    Targets::AllExcept(ids) => Rules::AllExcept(ids.iter().flat_map(|text| names.named(text)).collect()),
                };
                match outline.area(file, comment, directive.range, directive.reach) {
                    Some(area) => scopes.push(Scope::new(area, rules, directive)),
                    None => {
                        let message = "the directive stands above nothing, so it ignores nothing".to_owned();
                        let help = "put it on the line above the block or attribute, or behind it on the same line".to_owned();
                        note(directive.range, "suppression-without-target", message, Some(help));
                    }
                }
            }
        }
        if !scopes.is_empty() {
            self.files.insert(id, scopes);
        }
        diagnostics
    }

    /// The directive that silences a finding, if one does.
    ///
    /// A directive on the resource's block, or on a module call that leads to it, silences the rule for the resource. One on
    /// a part of the block silences the finding if everything that the finding is based on lies in such parts.
    pub fn find(&self, subject: Subject<'_>) -> Option<Silenced> {
        let resource = subject.resource;
        let wholes = std::iter::once(&resource.block).chain(resource.calls.iter());
        let mut silencing = wholes.map(|&site| self.covering(site, subject)).find(|scopes| !scopes.is_empty()).unwrap_or_default();
        if silencing.is_empty() {
            for &site in subject.sites {
                let scopes = self.covering(site, subject);
                if scopes.is_empty() {
                    return None;
                }
                silencing.extend(scopes);
            }
        }
        silencing.iter().for_each(|(_, scope)| scope.is_used.store(true, Ordering::Relaxed));
        let (file, scope) = silencing.first()?;
        Some(Silenced {
            form: scope.directive.form,
            reason: scope.directive.reason.clone(),
            until: scope.directive.until,
            site: Site::new(*file, scope.directive.range),
        })
    }

    /// The directives that reach a place and hold for a rule.
    fn covering(&self, site: Site, subject: Subject<'_>) -> Vec<(FileId, &Scope)> {
        let scopes = self.files.get(&site.file).into_iter().flatten();
        let holding = scopes.filter(|scope| {
            scope.reaches(site.range)
                && scope.rules.includes(subject.rule)
                && scope.directive.conditions.iter().all(|(path, wanted)| holds(&subject.resource.body, path, wanted))
        });
        holding.map(|scope| (site.file, scope)).collect()
    }

    /// Takes note that a resource is judged: the directives in whose reach it lies have something that they could silence.
    pub fn meet(&self, resource: &Resource) {
        for site in std::iter::once(&resource.block).chain(resource.calls.iter()) {
            let scopes = self.files.get(&site.file).into_iter().flatten();
            scopes.filter(|scope| scope.touches(site.range)).for_each(|scope| scope.is_met.store(true, Ordering::Relaxed));
        }
    }

    /// The directives that silenced nothing though what they reach was judged by all of the rules that they name: where they
    /// stand, and whose form they have.
    pub fn unused(&self, is_judged: &dyn Fn(&str) -> bool) -> Vec<(Site, Form)> {
        let is_unused = |scope: &&Scope| {
            // Of a directive that names no rule nobody knows what it was meant for.
            let is_told = matches!(&scope.rules, Rules::These(ids) if ids.iter().all(|id| is_judged(id)));
            is_told && scope.is_met.load(Ordering::Relaxed) && !scope.is_used.load(Ordering::Relaxed)
        };
        let of_file = |(file, scopes): (&FileId, &'_ Vec<Scope>)| -> Vec<(Site, Form)> {
            let unused = scopes.iter().filter(is_unused);
            unused.map(|scope| (Site::new(*file, scope.directive.range), scope.directive.form)).collect()
        };
        let mut unused: Vec<(Site, Form)> = self.files.iter().flat_map(of_file).collect();
        unused.sort_by_key(|(site, _)| *site);
        unused
    }
}

/// Whether the attribute at a dotted path has the value; a path through several blocks holds if one of them has it.
fn holds(value: &Value, path: &str, wanted: &str) -> bool {
    if let Some(items) = value.as_items() {
        return items.iter().any(|item| holds(item, path, wanted));
    }
    if path.is_empty() {
        return match (value.as_str(), value.as_bool(), value.as_number()) {
            (Some(text), _, _) => text == wanted,
            (_, Some(flag), _) => wanted == if flag { "true" } else { "false" },
            (_, _, Some(number)) => number.to_string() == wanted,
            _ => false,
        };
    }
    let (name, rest) = path.split_once('.').unwrap_or((path, ""));
    value.get(name).is_some_and(|inner| holds(inner, rest, wanted))
}

#[cfg(test)]
mod tests;
