//! What is in effect: the command line over the configuration over the defaults, and which of them said it.

use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use keyblind_dialects::paths;
use keyblind_dialects::terraform::Inputs;
use keyblind_rule_language::{Confidence, Persona, Severity};
use keyblind_rules::suppressions::Date;
use keyblind_scan::config::{self, Config, ConfigFile, FailOn};
use keyblind_scan::{Choice, InputSet, Targets};

use crate::arguments::{ScanArguments, What};
use crate::exit::UsageError;
use crate::output::Format;

/// What is in effect.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) choice: Choice,
    pub(crate) fail_on: FailOn,
    /// Whose findings make the exit code 1: also where a report holds more, for the codes are the same in every format.
    pub(crate) acting_for: Persona,
    pub(crate) rule_folders: Vec<PathBuf>,
    pub(crate) exclude: GlobSet,
    pub(crate) baseline: Option<PathBuf>,
    pub(crate) ignores: bool,
    pub(crate) foreign: bool,
    pub(crate) blanket: bool,
    pub(crate) reason_required: bool,
    /// Severities by the name of a rule, with the place that says so.
    pub(crate) severities: Vec<(String, Severity, String)>,
    pub(crate) ignored: Vec<Ignored>,
    pub(crate) inputs: Inputs,
    pub(crate) input_sets: Vec<InputSet>,
    /// Values that only a person knows, for fixes.
    pub(crate) given: Vec<GivenValue>,
    /// Whether the configuration lets models be asked, if it says so.
    pub(crate) models: Option<bool>,
    /// All of the above as people write them.
    pub(crate) shown: Vec<Shown>,
}

/// What the configuration silences, with the place that says so.
#[derive(Debug)]
pub(crate) struct Ignored {
    pub(crate) rules: Vec<String>,
    pub(crate) paths: Option<GlobSet>,
    pub(crate) addresses: Vec<String>,
    pub(crate) reason: String,
    pub(crate) until: Option<Date>,
    pub(crate) place: String,
}

/// A value that a fix may use.
#[derive(Clone, Debug)]
pub(crate) struct GivenValue {
    /// A rule's id, or any tool's id for it.
    pub(crate) rule: String,
    pub(crate) attribute: String,
    pub(crate) value: String,
    /// What says so.
    pub(crate) place: String,
}

/// A setting as people write it, and what set it.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) key: &'static str,
    pub(crate) value: String,
    pub(crate) source: String,
}

const DEFAULT: &str = "default";
const COMMAND_LINE: &str = "command line";

/// Collects what is in effect, and remembers what set it.
struct Collector<'a> {
    file: Option<&'a ConfigFile>,
    name: String,
    shown: Vec<Shown>,
}

impl Collector<'_> {
    /// Where in the configuration a value stands.
    fn place(&self, span: std::ops::Range<usize>) -> String {
        self.file.map_or_else(String::new, |file| format!("{}:{}", self.name, file.line(span.start)))
    }

    /// Takes the command line's value, else the configuration's, else the default.
    fn take<T>(
        &mut self,
        key: &'static str,
        given: Option<T>,
        configured: Option<(T, std::ops::Range<usize>)>,
        default: T,
        show: impl Fn(&T) -> String,
    ) -> T {
        let (value, source) = match (given, configured) {
            (Some(value), _) => (value, COMMAND_LINE.to_owned()),
            (None, Some((value, span))) => (value, self.place(span)),
            (None, None) => (default, DEFAULT.to_owned()),
        };
        self.shown.push(Shown { key, value: show(&value), source });
        value
    }
}

impl Settings {
    /// Brings the command line and the configuration of the trust root together.
    ///
    /// # Errors
    /// If the configuration is wrong, or names what isn't there.
    pub(crate) fn new(what: &What, scan: Option<&ScanArguments>, targets: &Targets) -> anyhow::Result<Self> {
        let file = read_config(what, targets)?;
        let empty = Config::default();
        let config = file.as_ref().map_or(&empty, |file| &file.config);
        let name = file.as_ref().map(|file| shown_path(&file.path, targets)).unwrap_or_default();
        let mut collector = Collector { file: file.as_ref(), name, shown: Vec::new() };
        let words = |list: &toml_list::List| {
            list.as_ref().map(|list| (list.get_ref().iter().map(|word| word.get_ref().clone()).collect::<Vec<_>>(), list.span()))
        };
        let given = |list: &[String]| (!list.is_empty()).then(|| list.to_vec());

        let select = collector.take("select", given(&what.rules), words(&config.select), Vec::new(), |list| quoted(list));
        let mut skip = words(&config.skip_rules).map(|(list, _)| list).unwrap_or_default();
        let skip_source = match (&config.skip_rules, what.skip_rules.is_empty()) {
            (Some(list), true) => collector.place(list.span()),
            (Some(list), false) => format!("{}, {COMMAND_LINE}", collector.place(list.span())),
            (None, false) => COMMAND_LINE.to_owned(),
            (None, true) => DEFAULT.to_owned(),
        };
        // Leaving out adds up: the command line can't bring back what the repository leaves out, only `--no-config` can.
        skip.extend(what.skip_rules.iter().cloned());
        collector.shown.push(Shown { key: "skip-rules", value: quoted(&skip), source: skip_source });
        let min_severity = collector.take(
            "min-severity",
            what.min_severity,
            config.min_severity.as_ref().map(|word| (word.get_ref().0, word.span())),
            Severity::Info,
            |severity| format!("\"{severity}\""),
        );
        let min_confidence = collector.take(
            "min-confidence",
            what.min_confidence,
            config.min_confidence.as_ref().map(|word| (word.get_ref().0, word.span())),
            Confidence::Low,
            |confidence| format!("\"{confidence}\""),
        );
        let persona = collector.take(
            "persona",
            what.persona,
            config.persona.as_ref().map(|word| (word.get_ref().0, word.span())),
            default_persona(scan),
            |persona| format!("\"{persona}\""),
        );
        let acting_for = what.persona.or(config.persona.as_ref().map(|word| word.get_ref().0)).unwrap_or(Persona::Regular);
        let fail_on = collector.take(
            "fail-on",
            scan.and_then(|scan| scan.fail_on),
            config.fail_on.as_ref().map(|word| (word.get_ref().0, word.span())),
            FailOn::Severity(Severity::Low),
            |level| format!("\"{level}\""),
        );
        let rule_folders = rule_folders(what, config, targets, &mut collector);
        let exclude = excluded(config, &mut collector)?;
        let baseline = collector.take(
            "baseline",
            what.baseline.clone(),
            config.baseline.as_ref().map(|path| (targets.root.join(path.get_ref()), path.span())),
            PathBuf::new(),
            |path| if path.as_os_str().is_empty() { "none".to_owned() } else { format!("{:?}", shown_path(path, targets)) },
        );
        if fail_on == FailOn::New && baseline.as_os_str().is_empty() {
            return Err(UsageError::new("`fail-on new` needs a baseline to tell new from old: name one with `--baseline FILE`").into());
        }
        let flags = &config.suppressions;
        let flag = |flag: &Option<toml_list::Flag>| flag.as_ref().map(|flag| (*flag.get_ref(), flag.span()));
        let ignores = collector.take("ignores", what.no_ignores.then_some(false), None, true, bool::to_string);
        let foreign = collector.take("suppressions.honor-foreign", None, flag(&flags.honor_foreign), true, bool::to_string);
        let blanket = collector.take("suppressions.blanket", None, flag(&flags.blanket), false, bool::to_string);
        let reason_required = collector.take(
            "suppressions.require-reason",
            what.require_reason.then_some(true),
            flag(&flags.require_reason),
            false,
            bool::to_string,
        );
        let severities = severities(config, &mut collector);
        let ignored = ignored(config, &mut collector)?;
        let input_sets = input_sets(config, &mut collector)?;
        let given = given_values(config, &mut collector);
        let models = config.models.as_ref().map(|flag| *flag.get_ref());
        let source = config.models.as_ref().map_or_else(|| DEFAULT.to_owned(), |flag| collector.place(flag.span()));
        // By itself it is on nowhere, and nobody forbids it.
        if let Some(models) = models {
            collector.shown.push(Shown { key: "models", value: models.to_string(), source });
        }
        let inputs = Inputs {
            variables: what.variables.iter().map(|variable| (variable.name.clone(), variable.value.clone())).collect(),
            var_files: what.var_files.iter().map(|path| targets.within(path)).collect::<Result<_, _>>().map_err(UsageError::new)?,
        };
        Ok(Self {
            choice: Choice { select, skip, min_severity: Some(min_severity), min_confidence: Some(min_confidence), persona: Some(persona) },
            fail_on,
            acting_for,
            rule_folders,
            exclude,
            baseline: (!baseline.as_os_str().is_empty()).then_some(baseline),
            ignores,
            foreign,
            blanket,
            reason_required,
            severities,
            ignored,
            inputs,
            input_sets,
            given,
            models,
            shown: collector.shown,
        })
    }
}

/// A person is shown what an expert would act on. A program that reads JSON gets the verdicts of all rules, each with its
/// persona, and chooses itself.
fn default_persona(scan: Option<&ScanArguments>) -> Persona {
    if scan.is_some_and(|scan| scan.format == Format::Json) { Persona::Auditor } else { Persona::Regular }
}

/// Names for the types of the configuration's values.
mod toml_list {
    pub(super) type List = Option<toml::Spanned<Vec<toml::Spanned<String>>>>;
    pub(super) type Flag = toml::Spanned<bool>;
}

fn read_config(what: &What, targets: &Targets) -> anyhow::Result<Option<ConfigFile>> {
    let file = match &what.config {
        _ if what.no_config => None,
        Some(path) => Some(config::read(path).map_err(UsageError::new)?),
        None => config::find(&targets.root).map_err(UsageError::new)?,
    };
    Ok(file)
}

fn rule_folders(what: &What, config: &Config, targets: &Targets, collector: &mut Collector<'_>) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut sources = Vec::new();
    if let Some(list) = &config.rules {
        folders.extend(list.get_ref().iter().map(|folder| targets.root.join(folder)));
        sources.push(collector.place(list.span()));
    }
    if !what.table.folders.is_empty() {
        folders.extend(what.table.folders.iter().cloned());
        sources.push(COMMAND_LINE.to_owned());
    }
    let names: Vec<String> = folders.iter().map(|folder| shown_path(folder, targets)).collect();
    let source = if sources.is_empty() { DEFAULT.to_owned() } else { sources.join(", ") };
    collector.shown.push(Shown { key: "rules", value: quoted(&names), source });
    folders
}

fn excluded(config: &Config, collector: &mut Collector<'_>) -> anyhow::Result<GlobSet> {
    let Some(list) = &config.exclude else {
        collector.shown.push(Shown { key: "exclude", value: quoted(&[]), source: DEFAULT.to_owned() });
        return Ok(GlobSet::empty());
    };
    let names: Vec<String> = list.get_ref().iter().map(|pattern| pattern.get_ref().clone()).collect();
    let source = collector.place(list.span());
    collector.shown.push(Shown { key: "exclude", value: quoted(&names), source });
    globs(list.get_ref(), &|pattern| collector.place(pattern.span()))
}

/// Globs over paths relative to the trust root. `place` says where one of them stands.
///
/// # Errors
/// If one is none.
pub(crate) fn globs(patterns: &[toml::Spanned<String>], place: &dyn Fn(&toml::Spanned<String>) -> String) -> anyhow::Result<GlobSet> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let text = pattern.get_ref().trim_end_matches('/');
        let glob = GlobBuilder::new(text).literal_separator(true).build();
        let wrong = |error: globset::Error| UsageError::new(format_args!("{}: `{text}` is no glob: {}", place(pattern), error.kind()));
        set.add(glob.map_err(wrong)?);
    }
    Ok(set.build()?)
}

fn ignored(config: &Config, collector: &mut Collector<'_>) -> anyhow::Result<Vec<Ignored>> {
    let mut ignored = Vec::new();
    for entry in &config.ignore {
        let place = collector.place(entry.rules.span());
        if entry.rules.get_ref().is_empty() {
            return Err(UsageError::new(format_args!("{place}: name the rules to ignore")).into());
        }
        if entry.reason.get_ref().trim().is_empty() {
            return Err(UsageError::new(format_args!("{}: say why", collector.place(entry.reason.span()))).into());
        }
        let paths = if entry.paths.is_empty() { None } else { Some(globs(&entry.paths, &|pattern| collector.place(pattern.span()))?) };
        let (rules, reason) = (entry.rules.get_ref().clone(), entry.reason.get_ref().clone());
        let value = format!("{{ rules = {}, reason = {reason:?} }}", quoted(&rules));
        collector.shown.push(Shown { key: "ignore", value, source: place.clone() });
        let until = entry.until.as_ref().map(|day| day.get_ref().0.0);
        ignored.push(Ignored { rules, paths, addresses: entry.addresses.clone(), reason, until, place });
    }
    Ok(ignored)
}

fn severities(config: &Config, collector: &mut Collector<'_>) -> Vec<(String, Severity, String)> {
    let mut severities = Vec::new();
    for (rule, severity) in &config.severity {
        let (name, severity, place) = (rule.get_ref().clone(), severity.get_ref().0, collector.place(rule.span()));
        collector.shown.push(Shown { key: "severity", value: format!("{{ {name} = \"{severity}\" }}"), source: place.clone() });
        severities.push((name, severity, place));
    }
    severities
}

fn input_sets(config: &Config, collector: &mut Collector<'_>) -> anyhow::Result<Vec<InputSet>> {
    let mut sets = Vec::new();
    for root in &config.terraform.root {
        let place = collector.place(root.path.span());
        let outside = |path: &str| UsageError::new(format_args!("{place}: `{path}` doesn't lie beneath the trust root"));
        let given = root.path.get_ref();
        let directory = paths::join("", given).ok_or_else(|| outside(given))?;
        let mut var_files = Vec::new();
        for file in &root.var_files {
            var_files.push(paths::join(&directory, file.get_ref()).ok_or_else(|| outside(file.get_ref()))?);
        }
        let variables = root.vars.iter().map(|(name, value)| (name.clone(), value.0.clone())).collect();
        let names: Vec<String> = root.var_files.iter().map(|file| file.get_ref().clone()).collect();
        let value = format!("{{ path = {given:?}, var-files = {}, vars = {} }}", quoted(&names), root.vars.len());
        collector.shown.push(Shown { key: "terraform.root", value, source: place });
        sets.push(InputSet { directory, inputs: Inputs { variables, var_files } });
    }
    Ok(sets)
}

fn given_values(config: &Config, collector: &mut Collector<'_>) -> Vec<GivenValue> {
    let mut given = Vec::new();
    for (rule, values) in &config.fix.values {
        let place = collector.place(rule.span());
        for (attribute, value) in values {
            // What it is need not be said where settings are shown: some of these values are nobody's business.
            collector.shown.push(Shown { key: "fix.values", value: format!("{}.{attribute}", rule.get_ref()), source: place.clone() });
            given.push(GivenValue {
                rule: rule.get_ref().clone(),
                attribute: attribute.clone(),
                value: value.0.clone(),
                place: place.clone(),
            });
        }
    }
    given
}

fn quoted(list: &[String]) -> String {
    format!("[{}]", list.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", "))
}

/// A path relative to the trust root, where it lies there.
fn shown_path(path: &Path, targets: &Targets) -> String {
    path.strip_prefix(&targets.root).unwrap_or(path).display().to_string()
}
