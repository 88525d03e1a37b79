//! What is said at a commit or a pull request: check runs, the one comment of ours, reports for code scanning.

use data_encoding::BASE64;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use hyper::Method;
use keyblind_intent::{Annotation, AnnotationLevel, CheckConclusion, Comment, Count, PublishCheckRun, Revision, SarifState, UploadSarif};
use serde::{Deserialize, Serialize};

use super::propose::inert;
use super::repositories::Login;
use super::{Access, Github, GithubError, Identity};
use crate::egress::Authorization;

/// How many remarks GitHub takes at once.
const BATCH: usize = 50;
/// How many characters it takes for a summary or a message.
const LONGEST_TEXT: usize = 65_535;
/// How many pages of comments are looked through for ours.
const COMMENT_PAGES: usize = 30;
/// How large a compressed report may be.
const SARIF_BYTES: usize = 10 * 1024 * 1024;

/// A comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Said {
    /// GitHub's number for it.
    pub id: Count,
    /// Whether it was there before.
    pub updated: bool,
}

/// An upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SarifUpload {
    /// GitHub's name for it.
    pub id: String,
    /// What came of it so far.
    pub state: SarifState,
}

#[derive(Serialize)]
struct NewRun<'a> {
    name: String,
    head_sha: &'a str,
    external_id: &'a str,
    #[serde(flatten)]
    state: RunState<'a>,
}

#[derive(Serialize)]
struct RunState<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    conclusion: Option<&'static str>,
    output: Output<'a>,
}

#[derive(Serialize)]
struct Output<'a> {
    title: &'a str,
    summary: &'a str,
    annotations: Vec<Remark<'a>>,
}

#[derive(Serialize)]
struct Remark<'a> {
    path: &'a str,
    start_line: u32,
    end_line: u32,
    annotation_level: &'static str,
    title: String,
    message: String,
}

#[derive(Deserialize)]
struct Numbered {
    id: u64,
}

#[derive(Deserialize)]
struct Written {
    id: u64,
    body: Option<String>,
    user: Option<Login>,
}

#[derive(Serialize)]
struct Text<'a> {
    body: &'a str,
}

#[derive(Serialize)]
struct NewSarif<'a> {
    commit_sha: &'a str,
    #[serde(rename = "ref")]
    reference: String,
    sarif: String,
    tool_name: &'static str,
}

#[derive(Deserialize)]
struct Uploaded {
    id: String,
}

#[derive(Deserialize)]
struct Processing {
    processing_status: Option<String>,
}

fn remark(annotation: &Annotation) -> Remark<'_> {
    Remark {
        path: annotation.path.as_str(),
        start_line: annotation.start_line.max(1),
        end_line: annotation.end_line.max(annotation.start_line).max(1),
        annotation_level: match annotation.level {
            AnnotationLevel::Notice => "notice",
            AnnotationLevel::Warning => "warning",
            AnnotationLevel::Failure => "failure",
        },
        title: inert(annotation.title.as_str()),
        message: cut(&inert(annotation.message.as_str()), LONGEST_TEXT),
    }
}

fn cut(text: &str, most: usize) -> String {
    text[..text.floor_char_boundary(most)].to_owned()
}

impl Github {
    /// Says at a commit what was found. GitHub takes 50 remarks at once: the run is in progress until it has them all.
    ///
    /// # Errors
    /// See [`GithubError`]. Only an App may do this.
    pub async fn publish_check_run(&self, access: &Access<'_>, request: &PublishCheckRun) -> Result<Count, GithubError> {
        if access.identity == Identity::Person {
            return Err(GithubError::Forbidden);
        }
        let conclusion = match request.conclusion {
            CheckConclusion::Success => "success",
            CheckConclusion::Failure => "failure",
            CheckConclusion::Neutral => "neutral",
        };
        let (title, summary) = (inert(request.title.as_str()), cut(&inert(request.summary.as_str()), LONGEST_TEXT));
        let mut batches: Vec<&[Annotation]> = request.annotations.chunks(BATCH).collect();
        if batches.is_empty() {
            batches.push(&[]);
        }
        let last = batches.len() - 1;
        let state = |index: usize, batch: &'_ [Annotation]| RunState {
            status: if index == last { "completed" } else { "in_progress" },
            conclusion: (index == last).then_some(conclusion),
            output: Output { title: &title, summary: &summary, annotations: Vec::with_capacity(batch.len()) },
        };
        let place = self.repository(&request.repository).segment("check-runs");
        let mut id = None;
        for (index, batch) in batches.into_iter().enumerate() {
            let mut state = state(index, batch);
            state.output.annotations = batch.iter().map(remark).collect();
            let bearer = Authorization::Bearer(access.token);
            match id {
                None => {
                    let name =
                        if request.marker.as_str() == "keyblind" { "Keyblind".to_owned() } else { format!("Keyblind: {}", request.marker) };
                    let run = NewRun { name, head_sha: request.commit.as_str(), external_id: request.marker.as_str(), state };
                    id = Some(self.write::<Numbered>(Method::POST, bearer, place.clone(), &run).await?.id);
                }
                Some(id) => {
                    let target = place.clone().segment(&u64::to_string(&id));
                    self.write::<Numbered>(Method::PATCH, bearer, target, &state).await?;
                }
            }
        }
        Ok(Count::saturating(id.unwrap_or_default()))
    }

    /// Writes our comment at a pull request, or brings it up to date. Ours is the one that we wrote and that has our mark; a mark in
    /// somebody else's comment makes it no comment of ours.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn comment(&self, access: &Access<'_>, request: &Comment) -> Result<Said, GithubError> {
        let bearer = Authorization::Bearer(access.token);
        let mark = format!("<!-- keyblind:{} -->", request.marker);
        // The mark comes first, so that no text of others can begin with one.
        let text = format!("{mark}\n{}", inert(request.text.as_str()));
        let issues = self.repository(&request.repository).segment("issues");
        let place = issues.clone().segment(&request.pull_request.to_string()).segment("comments");
        let us = match access.identity {
            Identity::App(slug) => format!("{slug}[bot]"),
            Identity::Person => {
                let user: Login = self.get(bearer, self.api.clone().segment("user"), 1 << 20).await?;
                user.login
            }
        };
        for page in 1..=COMMENT_PAGES {
            let target = place.clone().query("per_page", "100").query("page", &page.to_string());
            let found: Vec<Written> = self.get(bearer, target, 64 << 20).await?;
            let is_last = found.len() < 100;
            let ours = found.into_iter().find(|comment| {
                comment.user.as_ref().is_some_and(|user| user.login == us)
                    && comment.body.as_ref().is_some_and(|body| body.lines().next() == Some(&mark))
            });
            if let Some(ours) = ours {
                if ours.body.as_deref() != Some(&text) {
                    let target = issues.segment("comments").segment(&ours.id.to_string());
                    self.write::<Numbered>(Method::PATCH, bearer, target, &Text { body: &text }).await?;
                }
                return Ok(Said { id: Count::saturating(ours.id), updated: true });
            }
            if is_last {
                break;
            }
        }
        let made: Numbered = self.write(Method::POST, bearer, place, &Text { body: &text }).await?;
        Ok(Said { id: Count::saturating(made.id), updated: false })
    }

    /// Hands a report to code scanning, and looks once what came of it.
    ///
    /// # Errors
    /// See [`GithubError`].
    pub async fn upload_sarif(&self, access: &Access<'_>, request: &UploadSarif, report: &[u8]) -> Result<SarifUpload, GithubError> {
        if keyblind_intent::Bulk::of(report) != request.sarif {
            return Err(GithubError::Contents);
        }
        let mut packed = GzEncoder::new(Vec::new(), Compression::default());
        packed.write_all(report).map_err(|_| GithubError::Storage)?;
        let packed = packed.finish().map_err(|_| GithubError::Storage)?;
        if packed.len() > SARIF_BYTES {
            return Err(GithubError::BeyondLimit);
        }
        let bearer = Authorization::Bearer(access.token);
        let reference = self.reference(access, request).await?;
        let body = NewSarif { commit_sha: request.commit.as_str(), reference, sarif: BASE64.encode(&packed), tool_name: "Keyblind" };
        let place = self.repository(&request.repository).path("/code-scanning/sarifs");
        let uploaded: Uploaded = self.write(Method::POST, bearer, place.clone(), &body).await?;
        if uploaded.id.len() > 100 || !uploaded.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(crate::egress::EgressError::Unintelligible.into());
        }
        let found: Option<Processing> = self.find(bearer, place.segment(&uploaded.id), 1 << 20).await?;
        let state = match found.and_then(|found| found.processing_status).as_deref() {
            Some("complete") => SarifState::Complete,
            Some("failed") => SarifState::Failed,
            _ => SarifState::Pending,
        };
        Ok(SarifUpload { id: uploaded.id, state })
    }

    /// The full name of what was scanned.
    async fn reference(&self, access: &Access<'_>, request: &UploadSarif) -> Result<String, GithubError> {
        #[derive(Deserialize)]
        struct Described {
            default_branch: String,
        }
        Ok(match &request.revision {
            Revision::Branch(branch) => format!("refs/heads/{branch}"),
            Revision::PullRequest(number) => format!("refs/pull/{number}/head"),
            Revision::DefaultBranch | Revision::Commit(_) | Revision::Named(_) => {
                let place = self.repository(&request.repository);
                let described: Described = self.get(Authorization::Bearer(access.token), place, 1 << 20).await?;
                format!("refs/heads/{}", described.default_branch)
            }
        })
    }
}
