//! `keyblind.toml`: what a repository wants of a scan.
//!
//! An unknown key is an error, never silently nothing. Every value knows its place, so that `config show` can say which
//! line set it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use keyblind_rule_language::{Confidence, Persona, Severity};
use keyblind_rules::suppressions::{Date, DateError};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

/// The names under which the configuration is looked for, in this order, beneath the trust root.
pub const PLACES: [&str; 2] = ["keyblind.toml", ".github/keyblind.toml"];
/// Largest configuration that is read.
const LARGEST: u64 = 1024 * 1024;

/// The content of a configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Config {
    /// Folders with the team's own rules, relative to the trust root.
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    pub rules: Option<Spanned<Vec<String>>>,
    /// Judge only these rules: ids, aliases, patterns with `*`, or controls such as `cis:5.2`.
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    pub select: Option<Spanned<Vec<Spanned<String>>>>,
    /// Leave these rules out: ids, aliases, patterns with `*`, or controls such as `cis:5.2`.
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    pub skip_rules: Option<Spanned<Vec<Spanned<String>>>>,
    /// Leave out rules of a lower severity.
    #[cfg_attr(test, schemars(with = "Option<schema::Severity>"))]
    pub min_severity: Option<Spanned<Word<Severity>>>,
    /// Leave out rules of a lower confidence.
    #[cfg_attr(test, schemars(with = "Option<schema::Confidence>"))]
    pub min_confidence: Option<Spanned<Word<Confidence>>>,
    /// Whose rules are judged: everybody's, those of people who want it neat as well, or those of auditors as well.
    #[cfg_attr(test, schemars(with = "Option<schema::Persona>"))]
    pub persona: Option<Spanned<Word<Persona>>>,
    /// The lowest severity that makes the exit code 1, or `none`, or `new` for findings of any severity that no baseline knows.
    #[cfg_attr(test, schemars(with = "Option<schema::FailOn>"))]
    pub fail_on: Option<Spanned<Word<FailOn>>>,
    /// Files and directories that are not judged: globs relative to the trust root.
    #[cfg_attr(test, schemars(with = "Option<Vec<String>>"))]
    pub exclude: Option<Spanned<Vec<Spanned<String>>>>,
    /// The baseline file, relative to the trust root.
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub baseline: Option<Spanned<String>>,
    /// What may silence a finding.
    #[serde(default)]
    pub suppressions: SuppressionConfig,
    /// Severities that differ from the rules' own, by rule id or alias.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<String, schema::Severity>"))]
    pub severity: BTreeMap<Spanned<String>, Spanned<Word<Severity>>>,
    /// Findings that don't count, for formats without comments and code that can't be changed.
    #[serde(default)]
    pub ignore: Vec<IgnoreConfig>,
    /// How Terraform is evaluated.
    #[serde(default)]
    pub terraform: TerraformConfig,
    /// How fixes are made.
    #[serde(default)]
    pub fix: FixConfig,
    /// Whether models may be asked about this repository: `false` whatever the command line says, `true` without it.
    #[cfg_attr(test, schemars(with = "Option<bool>"))]
    pub models: Option<Spanned<bool>>,
}

/// Findings that don't count.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct IgnoreConfig {
    /// Of these rules: ids, aliases, patterns with `*`, or controls such as `cis:5.2`.
    #[cfg_attr(test, schemars(with = "Vec<String>", length(min = 1)))]
    pub rules: Spanned<Vec<String>>,
    /// In these files: globs relative to the trust root. In all, if there is none.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub paths: Vec<Spanned<String>>,
    /// About these addresses, in which `*` stands for anything. About all, if there is none.
    #[serde(default)]
    pub addresses: Vec<String>,
    /// Why.
    #[cfg_attr(test, schemars(with = "String", length(min = 1)))]
    pub reason: Spanned<String>,
    /// The last day on which they don't count (YYYY-MM-DD).
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub until: Option<Spanned<Word<Day>>>,
}

/// A day in the form YYYY-MM-DD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day(pub Date);

impl FromStr for Day {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self).map_err(|error: DateError| error.to_string())
    }
}

/// What may silence a finding.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct SuppressionConfig {
    /// Whether directives written for other tools count (they do).
    #[cfg_attr(test, schemars(with = "Option<bool>"))]
    pub honor_foreign: Option<Spanned<bool>>,
    /// Whether directives that name no rule count (they don't).
    #[cfg_attr(test, schemars(with = "Option<bool>"))]
    pub blanket: Option<Spanned<bool>>,
    /// Whether other tools' directives must give a reason, as ours must (they needn't).
    #[cfg_attr(test, schemars(with = "Option<bool>"))]
    pub require_reason: Option<Spanned<bool>>,
}

/// How Terraform is evaluated.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TerraformConfig {
    /// Values for the variables of root modules. A module with several entries is judged once with each.
    #[serde(default)]
    pub root: Vec<TerraformRoot>,
}

/// One set of values for the variables of a root module.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct TerraformRoot {
    /// The module's directory, relative to the trust root.
    #[cfg_attr(test, schemars(with = "String"))]
    pub path: Spanned<String>,
    /// Files with values, relative to the module's directory.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "Vec<String>"))]
    pub var_files: Vec<Spanned<String>>,
    /// Values by name.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<String, schema::Scalar>"))]
    pub vars: BTreeMap<String, Scalar>,
}

/// How fixes are made.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct FixConfig {
    /// Values that only a person knows: by rule (an id or any tool's id for it), then by attribute.
    #[serde(default)]
    #[cfg_attr(test, schemars(with = "BTreeMap<String, BTreeMap<String, schema::ScalarOrList>>"))]
    pub values: BTreeMap<Spanned<String>, BTreeMap<String, FixValue>>,
}

/// A value for a fix: a text as it is, a number, a truth value, or a list of those in square brackets, as its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FixValue(pub String);

impl<'de> Deserialize<'de> for FixValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = |value: &toml::Value| {
            serde::de::Error::custom(format!(
                "a {} can't be given here: write a text, a number, a truth value or a list of those",
                value.type_str()
            ))
        };
        let plain = |value: &toml::Value| match value {
            toml::Value::Integer(number) => Some(number.to_string()),
            toml::Value::Float(number) => Some(number.to_string()),
            toml::Value::Boolean(flag) => Some(flag.to_string()),
            _ => None,
        };
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            toml::Value::Array(items) => {
                let item = |item: &toml::Value| match item {
                    toml::Value::String(text) => Ok(serde_json::Value::from(text.as_str()).to_string()),
                    other => plain(other).ok_or_else(|| wrong(other)),
                };
                Ok(Self(format!("[{}]", items.iter().map(item).collect::<Result<Vec<_>, _>>()?.join(", "))))
            }
            other => plain(&other).map(Self).ok_or_else(|| wrong(&other)),
        }
    }
}

/// A value for a variable: a text, number or truth value, as its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => Ok(Self(text)),
            toml::Value::Integer(number) => Ok(Self(number.to_string())),
            toml::Value::Float(number) => Ok(Self(number.to_string())),
            toml::Value::Boolean(flag) => Ok(Self(flag.to_string())),
            other => Err(serde::de::Error::custom(format!(
                "a {} can't be given here; write lists and maps into a .tfvars file and name it in `var-files`",
                other.type_str()
            ))),
        }
    }
}

/// A word of a closed list, read by its own rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Word<T>(pub T);

impl<'de, T: FromStr<Err = String>> Deserialize<'de> for Word<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

/// What makes the exit code 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOn {
    /// Nothing.
    None,
    /// Any finding that the baseline doesn't know.
    New,
    /// A finding of this severity or a higher one.
    Severity(Severity),
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "none" => Ok(Self::None),
            "new" => Ok(Self::New),
            word => word.parse().map(Self::Severity).map_err(|_| {
                let names: Vec<_> = Severity::ALL.iter().map(|severity| severity.name()).collect();
                format!("`{word}` is no level to fail on; it is one of {}, none, new", names.join(", "))
            }),
        }
    }
}

impl std::fmt::Display for FailOn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::New => f.write_str("new"),
            Self::Severity(severity) => f.write_str(severity.name()),
        }
    }
}

/// A configuration file that was read.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its text, for naming lines.
    pub text: String,
    /// What it says.
    pub config: Config,
}

impl ConfigFile {
    /// The line, from 1, at a byte offset.
    pub fn line(&self, offset: usize) -> usize {
        line_of(&self.text, offset)
    }
}

/// A configuration that can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}: {message}{}", path.display(), at(*.position), hint(.help.as_deref()))]
pub struct ConfigError {
    /// The file.
    pub path: PathBuf,
    /// Line and column, from 1.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

fn at(position: Option<(usize, usize)>) -> String {
    position.map_or_else(String::new, |(line, column)| format!(":{line}:{column}"))
}

fn hint(help: Option<&str>) -> String {
    help.map_or_else(String::new, |help| format!("\n  help: {help}"))
}

/// Finds and reads the configuration beneath a trust root; `None` if there is none.
///
/// # Errors
/// If it can't be read or says something that isn't known.
pub fn find(root: &Path) -> Result<Option<ConfigFile>, ConfigError> {
    for place in PLACES {
        let path = root.join(place);
        if path.symlink_metadata().is_ok() {
            // A link out of the repository would let its content show up in messages.
            let inside = path.canonicalize().is_ok_and(|target| target.starts_with(root));
            if !inside {
                let message = "a symbolic link that leads nowhere or out of the trust root".to_owned();
                return Err(ConfigError {
                    path,
                    position: None,
                    message,
                    help: Some("name the file with `--config` if it is meant".to_owned()),
                });
            }
            return read(&path).map(Some);
        }
    }
    Ok(None)
}

/// Reads a configuration file.
///
/// # Errors
/// If it can't be read or says something that isn't known.
pub fn read(path: &Path) -> Result<ConfigFile, ConfigError> {
    let wrong = |message: String| ConfigError { path: path.to_owned(), position: None, message, help: None };
    let metadata = path.metadata().map_err(|error| wrong(crate::tree::describe(&error)))?;
    if !metadata.is_file() {
        return Err(wrong("not a regular file".to_owned()));
    }
    if metadata.len() > LARGEST {
        return Err(wrong(format!("larger than {} MiB", LARGEST / (1024 * 1024))));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(crate::tree::describe(&error)))?;
    let config = parse(&text).map_err(|error| ConfigError { path: path.to_owned(), ..error })?;
    Ok(ConfigFile { path: path.to_owned(), text, config })
}

/// Reads the text of a configuration.
///
/// # Errors
/// If it isn't TOML or says something that isn't known; without a path.
pub fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_as(text)
}

fn parse_as<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ConfigError> {
    toml::from_str::<T>(text.trim_start_matches('\u{feff}')).map_err(|error| {
        let position = error.span().map(|span| line_column(text, span.start));
        let (message, help) = plain(error.message());
        ConfigError { path: PathBuf::new(), position, message, help }
    })
}

/// The deserializer's words for an unknown key name all the known ones: the nearest of them is help enough.
fn plain(message: &str) -> (String, Option<String>) {
    let message = message.trim();
    let Some(rest) = message.strip_prefix("unknown field `") else { return (message.replace('\n', ", "), None) };
    let mut words = rest.split('`').step_by(2);
    let key = words.next().unwrap_or_default();
    let known: Vec<&str> = rest.split('`').skip(2).step_by(2).filter(|word| !word.is_empty()).collect();
    let help = match keyblind_rule_language::nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("the keys here are {}", known.join(", ")),
    };
    (format!("unknown key `{key}`"), Some(help))
}

/// The line, from 1, at a byte offset of a configuration's text.
pub fn line_of(text: &str, offset: usize) -> usize {
    line_column(text, offset).0
}

fn line_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// How the words of closed lists look in the JSON schema.
#[cfg(test)]
#[allow(dead_code, reason = "only their schema is used")]
mod schema {
    #[derive(schemars::JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    pub(super) enum Severity {
        Info,
        Low,
        Medium,
        High,
        Critical,
    }

    #[derive(schemars::JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    pub(super) enum Confidence {
        Low,
        Medium,
        High,
    }

    #[derive(schemars::JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    pub(super) enum Persona {
        Regular,
        Pedantic,
        Auditor,
    }

    #[derive(schemars::JsonSchema)]
    #[schemars(rename_all = "lowercase")]
    pub(super) enum FailOn {
        None,
        New,
        Info,
        Low,
        Medium,
        High,
        Critical,
    }

    #[derive(schemars::JsonSchema)]
    #[schemars(untagged)]
    pub(super) enum Scalar {
        Text(String),
        Number(f64),
        Flag(bool),
    }

    #[derive(schemars::JsonSchema)]
    #[schemars(untagged)]
    pub(super) enum ScalarOrList {
        One(Scalar),
        Several(Vec<Scalar>),
    }
}

mod floor;
#[cfg(test)]
mod tests;

pub use floor::{FloorConfig, FloorSuppressions};
