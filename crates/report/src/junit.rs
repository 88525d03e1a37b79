//! JUnit's XML: one test case for each rule and resource, for every build server.
//!
//! Source: the schema of JUnit reports as the Jenkins xUnit plug-in publishes it.

use std::io::{self, Write};

use keyblind_scan::{ScanReport, ScanResult, Status};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite, XmlString};

use crate::fixes::{self, Fixes};
use crate::place::Place;
use crate::{TOOL, words};

/// Writes the report: a suite for each file, in which a pass is a success, a failure a failure, and what is unknown or
/// suppressed is skipped with its reason. What wasn't read is an error of its own suite.
///
/// # Errors
/// If `out` can't be written to.
pub fn write(report: &ScanReport, fixes: &Fixes, out: &mut dyn Write) -> io::Result<()> {
    let mut junit = Report::new(TOOL);
    let mut results = report.results.iter().peekable();
    while let Some(first) = results.next() {
        let file = Place::of(report, first.site).file;
        let mut suite = TestSuite::new(file);
        suite.add_test_case(case(report, fixes, first));
        while let Some(next) = results.next_if(|next| Place::of(report, next.site).file == file) {
            suite.add_test_case(case(report, fixes, next));
        }
        junit.add_test_suite(suite);
    }
    if !report.diagnostics.is_empty() {
        let mut suite = TestSuite::new("not read");
        for diagnostic in &report.diagnostics {
            let place = match (diagnostic.site, &diagnostic.path) {
                (Some(site), _) => line(&Place::of(report, site)),
                (None, path) => path.clone().unwrap_or_default(),
            };
            let mut status = match diagnostic.level {
                keyblind_syntax::Level::Incomplete => TestCaseStatus::non_success(NonSuccessKind::Error),
                keyblind_syntax::Level::Note => TestCaseStatus::skipped(),
            };
            status.set_message(words::clean(&diagnostic.message));
            let mut case = TestCase::new(place, status);
            case.set_classname(diagnostic.code);
            suite.add_test_case(case);
        }
        junit.add_test_suite(suite);
    }
    junit.serialize(out).map_err(io::Error::other)
}

fn case(report: &ScanReport, fixes: &Fixes, result: &ScanResult) -> TestCase {
    let rule = &report.rules[result.rule];
    let place = Place::of(report, result.site);
    let mut status = match &result.status {
        Status::Passed => TestCaseStatus::success(),
        Status::Failed => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_type(rule.severity.name());
            let evidence = result.evidence.iter().map(keyblind_explain::sentence).collect::<Vec<_>>().join("\n");
            let fix = fixes::line(result, fixes).map(|line| format!("\n{line}")).unwrap_or_default();
            status.set_description(XmlString::new(format!("{}\n{evidence}\n{}{fix}", line(&place), rule.fix)));
            status
        }
        Status::Unknown(_) | Status::Suppressed(_) => TestCaseStatus::skipped(),
    };
    let message = match &result.status {
        Status::Passed => String::new(),
        Status::Failed => format!("{} ({})", result.message, rule.severity),
        Status::Unknown(causes) => format!("unknown: {}", causes.first().map_or("", |cause| &cause.message)),
        Status::Suppressed(by) => format!("suppressed by {}: {}", by.by.name(), by.reason.as_deref().unwrap_or("no reason given")),
    };
    if !message.is_empty() {
        status.set_message(words::clean(&message));
    }
    let mut case = TestCase::new(words::clean(&format!("{} {}", rule.id, result.label)), status);
    case.set_classname(rule.id.to_string());
    case.extra.insert("file".into(), place.file.into());
    case.extra.insert("line".into(), place.line.to_string().into());
    case
}

fn line(place: &Place<'_>) -> String {
    format!("{}:{}:{}", place.file, place.line, place.column)
}
