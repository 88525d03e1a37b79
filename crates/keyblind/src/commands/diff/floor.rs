//! `--floor FILE`: what holds whatever the base's configuration says.

use std::path::Path;

use anyhow::Context;
use keyblind_dialects::Tree;
use keyblind_git::CommitTree;
use keyblind_rule_language::{Persona, Severity};
use keyblind_rules::suppressions::Date;
use keyblind_rules::{RuleId, RuleTable, Selection};
use keyblind_scan::config::{FailOn, FloorConfig, line_of};
use keyblind_scan::{Choice, Floor, Ignore, choose, rules_named};

use crate::commands::scan::Prepared;
use crate::exit::UsageError;
use crate::settings::globs;

/// A floor that was read.
pub(super) struct FloorFile {
    name: String,
    text: String,
    config: FloorConfig,
}

impl FloorFile {
    /// Reads a floor. One that lies in the repository is read as the base has it: a change can't choose what it is judged by.
    /// `place` is the path without `..`, from the file system's root.
    pub(super) fn read(path: &Path, place: &Path, repository: &Path, base: &CommitTree) -> anyhow::Result<Self> {
        let name = path.display().to_string();
        let wrong = |reason: &dyn std::fmt::Display| UsageError::new(format_args!("the floor `{name}` can't be used: {reason}"));
        let real = path.canonicalize().unwrap_or_else(|_| place.to_path_buf());
        let inside = [place, real.as_path()].into_iter().find_map(|place| place.strip_prefix(repository).ok()?.to_str());
        let text = match inside {
            Some(inside) => {
                let bytes = base.read(inside).map_err(|reason| wrong(&format_args!("in the base {reason}")))?;
                String::from_utf8(bytes.to_vec()).map_err(|error| wrong(&error))?
            }
            None => std::fs::read_to_string(path).map_err(|error| wrong(&error))?,
        };
        let config = FloorConfig::parse(&text).map_err(|error| {
            let place = error.position.map_or_else(String::new, |(line, column)| format!("{line}:{column}: "));
            let help = error.help.map_or_else(String::new, |help| format!("; {help}"));
            wrong(&format_args!("{place}{}{help}", error.message))
        })?;
        Ok(Self { name, text, config })
    }

    /// Lays the floor beneath what is about to be judged.
    pub(super) fn apply(&self, prepared: &mut Prepared) -> anyhow::Result<()> {
        let table = &prepared.table;
        let named = |name: &toml::Spanned<String>| {
            rules_named(table, name.get_ref()).map_err(|error| UsageError::new(format_args!("{}: {error}", self.place(name))))
        };
        let mut least = std::collections::HashMap::new();
        for (name, severity) in &self.config.severity {
            least.extend(named(name)?.into_iter().map(|rule| (rule, severity.get_ref().0)));
        }
        let least = |rule: RuleId| least.get(&rule).copied().unwrap_or(table.meta(rule).severity);
        let rules = self.rules(table, &least)?;
        for (rule, _) in table.iter().filter(|(rule, _)| rules.contains(*rule)) {
            let severity = prepared.request.severities.entry(rule).or_insert(table.meta(rule).severity);
            *severity = (*severity).max(least(rule));
        }
        let own = prepared.request.selection.clone();
        prepared.request.selection = Selection::of(table, |rule, _| own.contains(rule) || rules.contains(rule));
        // What is named counts, whoever it is meant for.
        let persona = table.iter().filter(|(rule, _)| rules.contains(*rule)).map(|(_, meta)| meta.persona).max();
        prepared.settings.acting_for = prepared.settings.acting_for.max(persona.unwrap_or(Persona::Regular));
        let ignores = self.ignores(table, prepared.request.today)?;
        prepared.request.floor = Some(Floor { rules, allowed: self.config.suppressions, ignores });
        Ok(())
    }

    /// The stricter of two levels: the floor's and another one.
    pub(super) fn fail_on(&self, other: FailOn) -> FailOn {
        match (self.config.fail_on.map(|word| word.0), other) {
            (Some(FailOn::Severity(floor)), FailOn::Severity(other)) => FailOn::Severity(floor.min(other)),
            (Some(floor @ FailOn::Severity(_)), FailOn::None | FailOn::New) => floor,
            (_, other) => other,
        }
    }

    fn rules(&self, table: &RuleTable, severity: &dyn Fn(RuleId) -> Severity) -> anyhow::Result<Selection> {
        for name in self.config.select.iter().chain(&self.config.skip_rules) {
            rules_named(table, name.get_ref()).map_err(|error| UsageError::new(format_args!("{}: {error}", self.place(name))))?;
        }
        let words = |list: &[toml::Spanned<String>]| list.iter().map(|word| word.get_ref().clone()).collect();
        let choice = Choice {
            select: words(&self.config.select),
            skip: words(&self.config.skip_rules),
            min_severity: self.config.min_severity.map(|word| word.0),
            min_confidence: self.config.min_confidence.map(|word| word.0),
            persona: self.config.persona.map(|word| word.0),
        };
        choose(table, &choice, severity).context("the floor's rules can't be chosen")
    }

    /// What the floor itself silences today.
    fn ignores(&self, table: &RuleTable, today: Date) -> anyhow::Result<Vec<Ignore>> {
        let mut ignores = Vec::new();
        for entry in &self.config.ignore {
            let until = entry.until.as_ref().map(|day| day.get_ref().0.0);
            if until.is_some_and(|day| day < today) {
                continue;
            }
            let place = self.place(&entry.rules);
            let mut rules = std::collections::BTreeSet::new();
            for name in entry.rules.get_ref() {
                rules.extend(rules_named(table, name).map_err(|error| UsageError::new(format_args!("{place}: {error}")))?);
            }
            let paths = if entry.paths.is_empty() { None } else { Some(globs(&entry.paths, &|pattern| self.place(pattern))?) };
            ignores.push(Ignore { rules, paths, addresses: entry.addresses.clone(), reason: entry.reason.get_ref().clone(), until, place });
        }
        Ok(ignores)
    }

    fn place<T>(&self, value: &toml::Spanned<T>) -> String {
        format!("{}:{}", self.name, line_of(&self.text, value.span().start))
    }
}
