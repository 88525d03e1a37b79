//! SARIF 2.1.0, as code scanning services read it.
//!
//! Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0"; GitHub Docs, "SARIF support for code
//! scanning", for the properties and limits.

mod fix_view;

use std::collections::BTreeMap;
use std::io::{self, Write};

use keyblind_rule_language::{Confidence, Severity};
use keyblind_scan::{Proof, RuleCard, ScanReport, ScanResult, Status, SuppressedBy, Suppression};
use keyblind_syntax::{Diagnostic, Level, Site};
use serde::Serialize;

use crate::fixes::{self, Fixes, Remedy};
use crate::{HOME, TOOL, VERSION};
use fix_view::{FixProperties, FixView};

/// Most results of a run that services take. Of more, the most severe are written.
pub const MOST_RESULTS: usize = 25_000;
/// Most notifications that are written.
const MOST_NOTIFICATIONS: usize = 1_000;
/// Most related places of a result.
const MOST_RELATED: usize = 50;
/// Most tags of a rule.
const MOST_TAGS: usize = 20;
/// What paths are relative to.
const ROOT: &str = "%SRCROOT%";
const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";

/// What a report says of the run that made it.
#[derive(Clone, Debug, Default)]
pub struct Context {
    /// The part of the repository that the report is about. Services keep one report per category and commit: it tells the
    /// parts apart that are scanned by themselves.
    pub category: Option<String>,
    /// Where what was scanned comes from.
    pub source: Option<Source>,
}

/// Where what was scanned comes from.
#[derive(Clone, Debug)]
pub struct Source {
    /// The address of the repository: a URL in which nothing is secret.
    pub repository: String,
    /// The commit.
    pub revision: Option<String>,
    /// The branch.
    pub branch: Option<String>,
    /// Whether paths in the report are relative to the repository's top.
    pub is_root: bool,
}

/// Writes the report, one result a line, with the fixes that were looked for.
///
/// # Errors
/// If `out` can't be written to.
pub fn write(report: &ScanReport, fixes: &Fixes, context: &Context, out: &mut dyn Write) -> io::Result<()> {
    let (chosen, left_out) = chosen(report);
    write!(out, "{{\"$schema\":\"{SCHEMA}\",\"version\":\"2.1.0\",\"runs\":[{{\n\"tool\":{{\"driver\":{{")?;
    write!(
        out,
        "\"name\":\"{TOOL}\",\"version\":\"{VERSION}\",\"semanticVersion\":\"{VERSION}\",\"informationUri\":\"{HOME}\",\"rules\":["
    )?;
    list(out, report.rules.iter().map(RuleView::of))?;
    out.write_all(b"]}},\n\"automationDetails\":")?;
    let id =
        context.category.as_deref().map_or_else(|| "keyblind/".to_owned(), |category| format!("keyblind/{}/", category.trim_matches('/')));
    piece(out, &Automation { id })?;
    if let Some(source) = &context.source {
        out.write_all(b",\n\"versionControlProvenance\":[")?;
        piece(out, &Provenance::of(source))?;
        out.write_all(b"]")?;
    }
    out.write_all(b",\n\"columnKind\":\"unicodeCodePoints\",\n")?;
    write!(
        out,
        "\"originalUriBaseIds\":{{\"{ROOT}\":{{\"description\":{{\"text\":\"The top of the repository.\"}}}}}},\n\"invocations\":["
    )?;
    piece(out, &Invocation::of(report, left_out))?;
    out.write_all(b"],\n\"results\":[")?;
    list(out, chosen.into_iter().map(|result| ResultView::of(report, result, fixes)))?;
    out.write_all(b"]}]}\n")
}

/// The results to write, in the order of their places, and how many are left out.
fn chosen(report: &ScanReport) -> (Vec<&ScanResult>, usize) {
    let mut indices: Vec<usize> = (0..report.results.len()).collect();
    let weight = |index: &usize| {
        let result = &report.results[*index];
        (matches!(result.status, Status::Failed), report.rules[result.rule].severity)
    };
    indices.sort_by_key(|index| std::cmp::Reverse(weight(index)));
    let left_out = indices.len().saturating_sub(MOST_RESULTS);
    indices.truncate(MOST_RESULTS);
    indices.sort_unstable();
    (indices.into_iter().map(|index| &report.results[index]).collect(), left_out)
}

fn list<T: Serialize>(out: &mut dyn Write, items: impl Iterator<Item = T>) -> io::Result<()> {
    for (index, item) in items.enumerate() {
        out.write_all(if index == 0 { b"\n" } else { b",\n" })?;
        piece(out, &item)?;
    }
    Ok(())
}

fn piece(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(out, value).map_err(io::Error::from)
}

#[derive(Serialize)]
struct Automation {
    id: String,
}

/// Where it comes from (SARIF 3.23).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Provenance<'c> {
    repository_uri: &'c str,
    #[serde(skip_serializing_if = "Option::is_none")]
    revision_id: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch: Option<&'c str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mapped_to: Option<Base>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Base {
    uri_base_id: &'static str,
}

impl<'c> Provenance<'c> {
    fn of(source: &'c Source) -> Self {
        Self {
            repository_uri: &source.repository,
            revision_id: source.revision.as_deref(),
            branch: source.branch.as_deref(),
            mapped_to: source.is_root.then_some(Base { uri_base_id: ROOT }),
        }
    }
}

#[derive(Serialize)]
struct Text {
    text: String,
}

impl Text {
    /// Brackets before parentheses would be a link (SARIF 3.11.6).
    fn of(text: impl Into<String>) -> Self {
        let text = text.into();
        Self { text: if text.contains("](") { text.replace('[', "\\[").replace(']', "\\]") } else { text } }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleView<'r> {
    id: &'r str,
    name: String,
    short_description: Text,
    full_description: Text,
    help: Help,
    #[serde(skip_serializing_if = "Option::is_none")]
    help_uri: Option<&'r str>,
    default_configuration: Configuration,
    properties: RuleProperties,
}

#[derive(Serialize)]
struct Help {
    text: String,
    markdown: String,
}

#[derive(Serialize)]
struct Configuration {
    level: &'static str,
}

#[derive(Serialize)]
struct RuleProperties {
    tags: Vec<String>,
    precision: &'static str,
    #[serde(rename = "security-severity")]
    security_severity: &'static str,
    #[serde(rename = "problem.severity")]
    problem_severity: &'static str,
}

impl<'r> RuleView<'r> {
    fn of(rule: &'r RuleCard) -> Self {
        let references: String = rule.references.iter().map(|reference| format!("- <{reference}>\n")).collect();
        let mut markdown = format!("{}\n\n**What to do:** {}\n", rule.why, rule.fix);
        if !references.is_empty() {
            markdown.push_str(&format!("\n{references}"));
        }
        if !rule.aliases.is_empty() {
            markdown.push_str(&format!("\nAlso known as {}.\n", rule.aliases.join(", ")));
        }
        let controls =
            rule.controls.iter().flat_map(|control| control.numbers.iter().map(move |number| format!("{}:{number}", control.framework)));
        let tags = ["security".to_owned(), "infrastructure-as-code".to_owned()].into_iter().chain(controls).take(MOST_TAGS);
        Self {
            id: &rule.id,
            name: camel_case(&rule.id),
            short_description: Text::of(&*rule.title),
            full_description: Text::of(if rule.why.is_empty() { &rule.title } else { &rule.why }),
            help: Help { text: format!("{}\n\nWhat to do: {}", rule.why, rule.fix), markdown },
            help_uri: rule.references.iter().map(String::as_str).find(|reference| reference.starts_with("https://")),
            default_configuration: Configuration { level: level(rule.severity) },
            properties: RuleProperties {
                tags: tags.collect(),
                precision: match rule.confidence {
                    Confidence::High => "high",
                    Confidence::Medium => "medium",
                    Confidence::Low => "low",
                },
                security_severity: match rule.severity {
                    Severity::Critical => "9.5",
                    Severity::High => "8.0",
                    Severity::Medium => "5.5",
                    Severity::Low => "3.0",
                    Severity::Info => "0.1",
                },
                problem_severity: match level(rule.severity) {
                    "note" => "recommendation",
                    other => other,
                },
            },
        }
    }
}

/// `s3-bucket-acl` as `S3BucketAcl`: names of rules have no hyphens in SARIF.
fn camel_case(id: &str) -> String {
    let word = |word: &str| {
        let mut characters = word.chars();
        characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
    };
    id.split('-').map(word).collect()
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "note",
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Invocation<'r> {
    execution_successful: bool,
    tool_execution_notifications: Vec<Notification<'r>>,
}

#[derive(Serialize)]
struct Notification<'r> {
    level: &'static str,
    descriptor: Descriptor<'r>,
    message: Text,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    locations: Vec<Location<'r>>,
}

#[derive(Serialize)]
struct Descriptor<'r> {
    id: &'r str,
}

impl<'r> Invocation<'r> {
    fn of(report: &'r ScanReport, left_out: usize) -> Self {
        let mut notifications: Vec<Notification<'r>> =
            report.diagnostics.iter().take(MOST_NOTIFICATIONS).map(|diagnostic| Notification::of(report, diagnostic)).collect();
        let untold = report.diagnostics.len().saturating_sub(MOST_NOTIFICATIONS);
        let mut overflow = |id, text| {
            notifications.push(Notification {
                level: "warning",
                descriptor: Descriptor { id },
                message: Text::of(text),
                locations: Vec::new(),
            })
        };
        if untold > 0 {
            overflow("too-many-notifications", format!("{untold} more notifications are left out"));
        }
        if left_out > 0 {
            overflow("too-many-results", format!("{left_out} results are left out, the least severe ones: a run may have {MOST_RESULTS}"));
        }
        let is_broken = |diagnostic: &Diagnostic| diagnostic.level == Level::Incomplete && diagnostic.code != "module-not-installed";
        Self { execution_successful: !report.diagnostics.iter().any(is_broken), tool_execution_notifications: notifications }
    }
}

impl<'r> Notification<'r> {
    fn of(report: &'r ScanReport, diagnostic: &'r Diagnostic) -> Self {
        let location = match (diagnostic.site, &diagnostic.path) {
            (Some(site), _) => Some(Location::of(report, site)),
            (None, Some(path)) => Some(Location::of_file(path)),
            (None, None) => None,
        };
        let help = diagnostic.help.as_ref().map(|help| format!(": {help}")).unwrap_or_default();
        Self {
            level: match diagnostic.level {
                Level::Incomplete => "error",
                Level::Note => "note",
            },
            descriptor: Descriptor { id: diagnostic.code },
            message: Text::of(format!("{}{help}", diagnostic.message)),
            locations: location.into_iter().collect(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location<'r> {
    physical_location: PhysicalLocation,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<LogicalLocation<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Text>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PhysicalLocation {
    artifact_location: ArtifactLocation,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactLocation {
    uri: String,
    uri_base_id: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
    start_column: u32,
    end_line: u32,
    end_column: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LogicalLocation<'r> {
    name: &'r str,
    fully_qualified_name: &'r str,
    kind: &'static str,
}

impl Location<'_> {
    fn of(report: &ScanReport, site: Site) -> Self {
        let (start, end) = (report.sources.start(site), report.sources.end(site));
        let region = Region { start_line: start.line, start_column: start.column, end_line: end.line, end_column: end.column };
        let mut location = Self::of_file(&report.sources.file(site.file).path);
        location.physical_location.region = Some(region);
        location
    }

    fn of_file(path: &str) -> Self {
        let artifact_location = ArtifactLocation { uri: uri(path), uri_base_id: ROOT };
        Self { physical_location: PhysicalLocation { artifact_location, region: None }, logical_locations: Vec::new(), message: None }
    }

    fn saying(mut self, message: impl Into<String>) -> Self {
        self.message = Some(Text::of(message));
        self
    }
}

/// A path relative to the root as a URI reference.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    // A colon in the first part would be read as the end of a scheme.
    if path.split('/').next().is_some_and(|first| first.contains(':')) {
        uri.push_str("./");
    }
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+,;=:@".contains(&byte) {
            uri.push(byte as char);
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultView<'r> {
    rule_id: &'r str,
    rule_index: usize,
    kind: &'static str,
    level: &'static str,
    message: Text,
    locations: [Location<'r>; 1],
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related_locations: Vec<Location<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    code_flows: Vec<CodeFlow<'r>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    partial_fingerprints: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suppressions: Vec<SuppressionView<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fixes: Vec<FixView<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<FixProperties>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CodeFlow<'r> {
    thread_flows: [ThreadFlow<'r>; 1],
}

#[derive(Serialize)]
struct ThreadFlow<'r> {
    locations: Vec<FlowLocation<'r>>,
}

#[derive(Serialize)]
struct FlowLocation<'r> {
    location: Location<'r>,
}

#[derive(Serialize)]
struct SuppressionView<'r> {
    kind: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    justification: Option<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Location<'r>>,
}

impl<'r> ResultView<'r> {
    fn of(report: &'r ScanReport, result: &'r ScanResult, fixes: &'r Fixes) -> Self {
        let rule = &report.rules[result.rule];
        let remedy = fixes.get(result);
        let (kind, level) = match result.status {
            Status::Failed | Status::Suppressed(_) => ("fail", level(rule.severity)),
            Status::Passed => ("pass", "none"),
            Status::Unknown(_) => ("open", "none"),
        };
        let mut location = Location::of(report, result.site);
        location.logical_locations = vec![LogicalLocation { name: &result.address, fully_qualified_name: &result.label, kind: "resource" }];
        let beside = result.evidence.iter().filter(|proof| proof.site.is_some_and(|site| site != result.site));
        let beside = beside.filter_map(|proof| proof.site.map(|site| Location::of(report, site).saying(keyblind_explain::sentence(proof))));
        let calls = result.calls.iter().map(|call| Location::of(report, *call).saying("The module is called here."));
        let fingerprints = match result.fingerprint.split_once('-') {
            _ if result.fingerprint.is_empty() => BTreeMap::new(),
            None => fingerprints(&result.fingerprint, "1", &result.fingerprint),
            Some((fault, number)) => fingerprints(fault, number, &result.fingerprint),
        };
        Self {
            rule_id: &rule.id,
            rule_index: result.rule,
            kind,
            level,
            message: Text::of(message(report, result, fixes)),
            locations: [location],
            related_locations: beside.chain(calls).take(MOST_RELATED).collect(),
            code_flows: result.evidence.iter().filter_map(|proof| flow(report, proof)).take(4).collect(),
            partial_fingerprints: fingerprints,
            suppressions: match &result.status {
                Status::Suppressed(suppression) => vec![SuppressionView::of(report, suppression)],
                _ => Vec::new(),
            },
            fixes: match remedy {
                Some(Remedy::Proven(proven)) if !proven.is_withheld => vec![FixView::of(rule, proven)],
                _ => Vec::new(),
            },
            properties: remedy.map(FixProperties::of),
        }
    }
}

/// Services match results by the hash of their line, where they compute none themselves: ours doesn't depend on lines.
fn fingerprints(fault: &str, number: &str, whole: &str) -> BTreeMap<&'static str, String> {
    BTreeMap::from([("keyblind/v1", whole.to_owned()), ("primaryLocationLineHash", format!("{fault}:{number}"))])
}

fn message(report: &ScanReport, result: &ScanResult, fixes: &Fixes) -> String {
    let mut text = format!("{}.", result.message);
    match &result.status {
        Status::Unknown(causes) => {
            for cause in causes.iter().take(3) {
                text.push_str(&format!(" It can't be told: {}.", cause.message));
            }
        }
        _ => {
            if let Some(proof) = result.evidence.first() {
                text.push(' ');
                text.push_str(&keyblind_explain::sentence(proof));
            }
        }
    }
    if let Some(line) = fixes::line_by_hand(report, result, fixes) {
        text.push(' ');
        text.push_str(&line);
    }
    text
}

/// How a value came to where it is used: from where it was written outwards.
fn flow<'r>(report: &'r ScanReport, proof: &Proof) -> Option<CodeFlow<'r>> {
    let steps = keyblind_explain::steps(&proof.origin);
    let locations: Vec<FlowLocation<'r>> =
        steps.into_iter().rev().map(|step| FlowLocation { location: Location::of(report, step.site).saying(step.words) }).collect();
    (locations.len() > 1).then_some(CodeFlow { thread_flows: [ThreadFlow { locations }] })
}

impl<'r> SuppressionView<'r> {
    fn of(report: &'r ScanReport, suppression: &'r Suppression) -> Self {
        let (kind, location) = match suppression.by {
            SuppressedBy::Directive { site, .. } | SuppressedBy::Data { site, .. } => ("inSource", Some(Location::of(report, site))),
            SuppressedBy::Configuration | SuppressedBy::Baseline => ("external", None),
        };
        Self { kind, status: "accepted", justification: suppression.reason.as_deref(), location }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_become_uri_references() {
        assert_eq!(uri("a b/ü#.tf"), "a%20b/%C3%BC%23.tf");
        assert_eq!(uri("c:x/main.tf"), "./c:x/main.tf");
    }

    #[test]
    fn names_have_no_hyphens() {
        assert_eq!(camel_case("s3-bucket-acl-public-read"), "S3BucketAclPublicRead");
    }
}
