//! The report of a mission: figures, findings fifty at a time, what couldn't be told.

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;

use super::mission::{DocumentView, find, shown};
use crate::Web;
use crate::failure::PageFailure;
use crate::frame::{Frame, Section, page};
use crate::moments::Moment;
use crate::report::{Choice, Entry, Summary, Wanted};
use crate::text::{shortened, visible};
use crate::visitor::Visitor;
use crate::words::About;

/// The routes of this file.
pub(crate) fn router() -> Router<Web> {
    Router::new().route("/missions/{id}/report", get(show))
}

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    frame: Frame,
    id: String,
    target: String,
    place: String,
    begun: Moment,
    counts: Vec<Count>,
    summary: SummaryView,
    fixes: Option<String>,
    wanted: Wanted,
    severities: Vec<Choice>,
    statuses: Vec<Choice>,
    classes: Vec<Choice>,
    rules: Vec<Choice>,
    files: Vec<Choice>,
    rows: Vec<Row>,
    total: usize,
    first: usize,
    last: usize,
    page: usize,
    pages: usize,
    before: Option<String>,
    after: Option<String>,
    coverage: Vec<(String, u64)>,
    unread: Vec<(String, String, String)>,
    more_unread: usize,
    documents: Vec<DocumentView>,
}

/// How many findings have a severity, and the way to them.
struct Count {
    name: &'static str,
    number: u64,
    query: String,
    is_chosen: bool,
}

/// Figures of the whole.
struct SummaryView {
    failed: u64,
    passed: u64,
    unknown: u64,
    suppressed: u64,
    judged: String,
    is_incomplete: bool,
    /// Shares of the bar, in thousandths: passed, failed, suppressed, unknown.
    shares: [u64; 4],
}

/// A finding in the list.
pub(crate) struct Row {
    pub(crate) number: usize,
    pub(crate) status: String,
    pub(crate) severity: String,
    pub(crate) message: String,
    pub(crate) resource: String,
    pub(crate) place: String,
    pub(crate) fix: String,
}

impl Row {
    pub(crate) fn of(number: usize, entry: &Entry) -> Self {
        Self {
            number,
            status: entry.status.clone(),
            severity: entry.severity.clone(),
            message: shortened(&entry.message, 400),
            resource: shortened(&entry.resource, 300),
            place: format!("{}:{}", shortened(&entry.file, 300), entry.line),
            fix: entry.fix.clone(),
        }
    }
}

impl SummaryView {
    fn of(summary: &Summary) -> Self {
        let all = [summary.passed, summary.failed, summary.suppressed, summary.unknown];
        let total = all.iter().sum::<u64>().max(1);
        let count = |number: u64, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
        Self {
            failed: summary.failed,
            passed: summary.passed,
            unknown: summary.unknown,
            suppressed: summary.suppressed,
            judged: format!(
                "{} in {}, judged by {}",
                count(summary.resources, "resource"),
                count(summary.files.read, "file"),
                count(summary.rules, "rule")
            ),
            is_incomplete: summary.incomplete,
            shares: all.map(|part| part * 1_000 / total),
        }
    }
}

/// What couldn't be told or read, in words.
fn coverage(summary: &Summary) -> Vec<(String, u64)> {
    let mut rows: Vec<(String, u64)> = Vec::new();
    let mut put = |words: String, count: u64| {
        if count > 0 {
            rows.push((words, count));
        }
    };
    for (reason, count) in &summary.unknown_by_reason {
        put(format!("undecided: {}", visible(&reason.replace('-', " "))), *count);
    }
    for (module, count) in &summary.missing_modules {
        put(format!("module that isn’t there: {}", shortened(module, 200)), *count);
    }
    put("files that couldn’t be read".to_owned(), summary.files.unread);
    for (reason, count) in &summary.files.not_judged {
        put(format!("files not judged: {}", visible(&reason.replace('-', " "))), *count);
    }
    put("files of other kinds".to_owned(), summary.files.other);
    put("pairs of rule and resource that don’t apply".to_owned(), summary.not_applicable);
    rows
}

async fn show(
    State(web): State<Web>,
    visitor: Visitor,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageFailure> {
    let mission = find(&web, &visitor, &id).await?;
    let Some(index) = web.reports.index(&web.store, &visitor.tenant, mission.id).await? else {
        // It has none yet, or one that only the file shows.
        return Ok(Redirect::to(&format!("/missions/{}", mission.id)).into_response());
    };
    let about = About::of(&mission);
    let listed = wanted.list(&index);
    let first = (listed.page - 1) * 50;
    let by_severity = |name: &'static str| {
        let narrowed = Wanted { severity: name.to_owned(), status: "failed".to_owned(), ..Wanted::default() };
        Count {
            name,
            number: index.head.summary.failed_by_severity.get(name).copied().unwrap_or_default(),
            query: narrowed.query(1),
            is_chosen: wanted.severity == name,
        }
    };
    let counts = ["critical", "high", "medium", "low", "info"].map(by_severity).into();
    let documents = web.store.documents(&visitor.tenant, mission.id).await?;
    let unread = &index.head.unread;
    let to = |page: usize| format!("/missions/{}/report?{}", mission.id, wanted.query(page));
    Ok(page(&ReportPage {
        frame: Frame::of(&visitor, format!("Report: {}", shortened(about.short(), 80)), Section::Missions),
        id: mission.id.to_string(),
        target: about.target,
        place: shortened(&index.head.place, 80),
        begun: Moment::of(mission.begun, web.now()),
        counts,
        summary: SummaryView::of(&index.head.summary),
        fixes: index.head.fixes.as_deref().map(visible),
        severities: wanted.choices(&index, |entry| &entry.severity, &wanted.severity),
        statuses: wanted.choices(&index, |entry| &entry.status, &wanted.status),
        classes: wanted.choices(&index, |entry| if entry.fix.is_empty() { "none" } else { &entry.fix }, &wanted.fix),
        rules: wanted.choices(&index, |entry| &entry.rule, &wanted.rule),
        files: wanted.choices(&index, |entry| &entry.file, &wanted.file),
        rows: listed.entries.iter().map(|(number, entry)| Row::of(*number, entry)).collect(),
        total: listed.total,
        first: first + usize::from(listed.total > 0),
        last: first + listed.entries.len(),
        page: listed.page,
        pages: listed.pages,
        before: (listed.page > 1).then(|| to(listed.page - 1)),
        after: (listed.page < listed.pages).then(|| to(listed.page + 1)),
        coverage: coverage(&index.head.summary),
        unread: unread.iter().take(100).map(|(place, what, help)| (visible(place), visible(what), visible(help))).collect(),
        more_unread: unread.len().saturating_sub(100),
        documents: documents.into_iter().filter_map(|document| shown(document.name, document.bytes)).collect(),
        wanted,
    }))
}
