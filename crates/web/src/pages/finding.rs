//! One finding: the code, why it matters, where the value comes from, its fix.

use askama::Template;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::mission::{attachment, find};
use crate::Web;
use crate::failure::{Failure, PageFailure};
use crate::frame::{Frame, Section, page};
use crate::report::{Finding, Parsed, Part, Row, rows, whole};
use crate::text::{shortened, visible, visible_lines};
use crate::visitor::Visitor;

/// The widest caret.
const WIDEST: u32 = 400;

/// The routes of this file.
pub(crate) fn router() -> Router<Web> {
    Router::new()
        .route("/missions/{id}/findings/{number}", get(show))
        .route("/missions/{id}/findings/{number}/fix.patch", get(patch))
        .route("/missions/{id}/findings/{number}/picture.svg", get(picture))
}

#[derive(Template)]
#[template(path = "finding.html")]
struct FindingPage {
    frame: Frame,
    id: String,
    view: View,
}

/// The same without a frame, for the middle of the report.
#[derive(Template)]
#[template(path = "finding_body.html")]
struct FindingBody {
    id: String,
    view: View,
}

/// A finding as the templates take it.
struct View {
    number: usize,
    status: String,
    severity: String,
    rule: String,
    aliases: String,
    dialect: String,
    message: String,
    resource: String,
    place: String,
    fingerprint: String,
    remedy: Vec<Text>,
    attack: Vec<Text>,
    here: Vec<Vec<Text>>,
    reach: Vec<Vec<Text>>,
    check: Vec<Text>,
    by_hand: Vec<Text>,
    hindrance: String,
    silenced: String,
    references: Vec<String>,
    lines: Vec<CodeLine>,
    has_picture: bool,
    evidence: Vec<EvidenceView>,
    fix: Option<FixView>,
}

/// A part of a sentence.
struct Text {
    is_code: bool,
    text: String,
}

/// A line of code, and the caret beneath it.
struct CodeLine {
    number: u32,
    is_marked: bool,
    tokens: Vec<(String, String)>,
    /// What stands before the caret, and the caret.
    caret: Option<(String, String)>,
}

/// A value that shows the fault.
struct EvidenceView {
    path: String,
    value: String,
    expected: String,
    place: String,
    origin: Vec<(String, String)>,
}

/// A proven fix.
struct FixView {
    class: String,
    command: String,
    conditions: Vec<Vec<Text>>,
    files: Vec<FileView>,
    has_patch: bool,
    patch: String,
}

/// What a fix changes in one file.
struct FileView {
    path: String,
    hunks: Vec<Vec<Row>>,
    whole: Option<Vec<crate::report::WholeLine>>,
    /// The whole file as one text, to copy.
    text: String,
}

fn texts(parts: &[Part]) -> Vec<Text> {
    parts.iter().map(|part| Text { is_code: part.is_code, text: visible(&part.text) }).collect()
}

fn lists(lists: &[Vec<Part>]) -> Vec<Vec<Text>> {
    lists.iter().map(|parts| texts(parts)).collect()
}

impl View {
    fn of(number: usize, parsed: Parsed) -> Self {
        let Parsed { finding, files } = parsed;
        let fix = finding.fix.as_ref().map(|fix| FixView {
            class: visible(&fix.class),
            command: visible(&fix.command),
            conditions: lists(&fix.conditions),
            files: fix
                .files
                .iter()
                .map(|file| {
                    let edits: Vec<_> = finding.edits.iter().filter(|edit| edit.path == file.path).collect();
                    let whole = files.get(&file.path).filter(|_| !edits.is_empty()).and_then(|text| whole(text, &edits));
                    let text = whole.iter().flatten().map(|line| format!("{}\n", line.text)).collect();
                    FileView { path: visible(&file.path), hunks: file.hunks.iter().map(|hunk| rows(hunk)).collect(), whole, text }
                })
                .collect(),
            has_patch: fix.patch.is_some(),
            patch: visible_lines(fix.patch.as_deref().unwrap_or_default()),
        });
        Self {
            number,
            status: visible(&finding.status),
            severity: visible(&finding.severity),
            rule: visible(&finding.rule),
            aliases: visible(&finding.aliases),
            dialect: visible(&finding.dialect),
            message: visible(&finding.message),
            resource: shortened(&finding.resource, 400),
            place: visible(&finding.place),
            fingerprint: visible(&finding.fingerprint),
            remedy: texts(&finding.remedy),
            attack: texts(&finding.attack),
            here: lists(&finding.here),
            reach: lists(&finding.reach),
            check: texts(&finding.check),
            by_hand: texts(&finding.by_hand),
            hindrance: visible(&finding.hindrance),
            silenced: visible(&finding.silenced),
            references: finding.references.iter().filter(|reference| reference.starts_with("https://")).map(|text| visible(text)).collect(),
            lines: code(&finding),
            has_picture: !finding.picture.is_empty(),
            evidence: finding
                .evidence
                .iter()
                .map(|evidence| EvidenceView {
                    path: visible(&evidence.path),
                    value: match &evidence.value {
                        Some(value) => shortened(value, 400),
                        None if evidence.missing => "not there".to_owned(),
                        None => "not known".to_owned(),
                    },
                    expected: visible(&evidence.expected),
                    place: evidence.place.as_deref().map(visible).unwrap_or_default(),
                    origin: evidence.origin.iter().map(|(what, place)| (visible(what), visible(place))).collect(),
                })
                .collect(),
            fix,
        }
    }
}

fn code(finding: &Finding) -> Vec<CodeLine> {
    let line = |(number, is_marked, tokens): &(u32, bool, Vec<crate::report::Token>)| {
        let has_caret = *is_marked && *number == finding.line && finding.end_line == finding.line && finding.end_column > finding.column;
        let text: String = tokens.iter().map(|token| token.text.as_str()).collect();
        let caret = has_caret.then(|| {
            let before = usize::try_from(finding.column.saturating_sub(1)).unwrap_or(usize::MAX);
            // Tabs stay, so that the caret stands beneath what it marks.
            let space: String = text.chars().take(before).map(|character| if character == '\t' { '\t' } else { ' ' }).collect();
            let width = (finding.end_column - finding.column).min(WIDEST);
            (space, "^".repeat(usize::try_from(width).unwrap_or(1)))
        });
        CodeLine {
            number: *number,
            is_marked: *is_marked,
            tokens: tokens.iter().map(|token| (visible(&token.class), visible(&token.text))).collect(),
            caret,
        }
    };
    finding.lines.iter().map(line).collect()
}

async fn read(web: &Web, visitor: &Visitor, id: &str, number: &str) -> Result<(String, usize, Parsed), Failure> {
    let mission = find(web, visitor, id).await?;
    let number: usize = number.parse().map_err(|_| Failure::Unknown)?;
    Ok((mission.id.to_string(), number, web.reports.finding(&web.store, &visitor.tenant, mission.id, number).await?))
}

async fn show(
    State(web): State<Web>,
    visitor: Visitor,
    Path((id, number)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, PageFailure> {
    let (id, number, parsed) = read(&web, &visitor, &id, &number).await?;
    let view = View::of(number, parsed);
    // htmx asks for the middle of the report.
    if headers.contains_key("hx-request") {
        return Ok(page(&FindingBody { id, view }));
    }
    let frame = Frame::of(&visitor, shortened(&view.message, 100), Section::Missions);
    Ok(page(&FindingPage { frame, id, view }))
}

async fn patch(State(web): State<Web>, visitor: Visitor, Path((id, number)): Path<(String, String)>) -> Result<Response, PageFailure> {
    let (_, number, parsed) = read(&web, &visitor, &id, &number).await?;
    let patch = parsed.finding.fix.and_then(|fix| fix.patch).ok_or(Failure::Unknown)?;
    Ok(attachment(&format!("keyblind-fix-{number}.patch"), patch.into_bytes()))
}

/// The picture by itself, where no script and no form of it could do anything.
async fn picture(State(web): State<Web>, visitor: Visitor, Path((id, number)): Path<(String, String)>) -> Result<Response, PageFailure> {
    let (_, _, parsed) = read(&web, &visitor, &id, &number).await?;
    if parsed.finding.picture.is_empty() {
        return Err(Failure::Unknown.into());
    }
    let mut response = ([(header::CONTENT_TYPE, "image/svg+xml")], parsed.finding.picture).into_response();
    let policy = HeaderValue::from_static("sandbox; default-src 'none'; style-src 'unsafe-inline'");
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, policy);
    Ok(response)
}
