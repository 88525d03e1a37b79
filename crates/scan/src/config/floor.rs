//! A floor: what an organisation wants judged, whatever the configuration of a repository says.
//!
//! It has the words of `keyblind.toml` for rules and severities. The rules that a configuration of these words would judge
//! are the rules of the floor.

use std::collections::BTreeMap;

use keyblind_rule_language::{Confidence, Persona, Severity};
use serde::Deserialize;
use toml::Spanned;

use super::{ConfigError, FailOn, IgnoreConfig, Word, parse_as};

/// The content of a floor.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FloorConfig {
    /// These rules: ids, aliases, patterns with `*`, or controls. All, if there are none.
    #[serde(default)]
    pub select: Vec<Spanned<String>>,
    /// But not these.
    #[serde(default)]
    pub skip_rules: Vec<Spanned<String>>,
    /// None of a lower severity.
    pub min_severity: Option<Word<Severity>>,
    /// None of a lower confidence.
    pub min_confidence: Option<Word<Confidence>>,
    /// None that is meant for fewer people.
    pub persona: Option<Word<Persona>>,
    /// The exit code is 1 at this severity at the latest.
    pub fail_on: Option<Word<FailOn>>,
    /// The lowest severities, by rule id or alias; a rule of the floor without one keeps at least its own.
    #[serde(default)]
    pub severity: BTreeMap<Spanned<String>, Spanned<Word<Severity>>>,
    /// Findings that don't count.
    #[serde(default)]
    pub ignore: Vec<IgnoreConfig>,
    /// What of a repository may silence the floor's rules.
    #[serde(default)]
    pub suppressions: FloorSuppressions,
}

/// What of a repository may silence the floor's rules. Nothing may, unless it is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FloorSuppressions {
    /// Comments, and what resources say of themselves.
    #[serde(default)]
    pub comments: bool,
    /// `[[ignore]]` of its configuration.
    #[serde(default)]
    pub ignore: bool,
    /// `exclude` of its configuration.
    #[serde(default)]
    pub exclude: bool,
    /// Its baseline.
    #[serde(default)]
    pub baseline: bool,
}

impl FloorConfig {
    /// Reads the text of a floor.
    ///
    /// # Errors
    /// If it isn't TOML, says something that isn't known, or whose level to fail on is `new`: what is new is up to a baseline,
    /// which is the repository's; without a path.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let floor: Self = parse_as(text)?;
        if floor.fail_on == Some(Word(FailOn::New)) {
            let message = "`fail-on` of a floor is a severity: what is new is up to a repository's own baseline".to_owned();
            return Err(ConfigError { path: std::path::PathBuf::new(), position: None, message, help: None });
        }
        Ok(floor)
    }
}
