//! Who has a say in what a context holds.
//!
//! Source: GitHub Docs, "Contexts reference" and "Webhook events and payloads"; GitHub Security Lab, "Untrusted input".

/// Who decides what the value of a context is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Control {
    /// GitHub alone, in a form that can't hold a command: numbers, hashes, names that can't have odd characters.
    Fixed,
    /// Anybody who may open a pull request, an issue or a comment, with any text.
    Anybody,
    /// Somebody who takes part in the repository, or an attacker within limits (names of branches, of labels, links).
    Participants,
    /// Whoever starts the workflow, or calls it.
    Caller,
    /// Whoever wrote the step or job that it comes from.
    Computed,
    /// A secret: whoever may set it.
    Secret,
}

impl Control {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Anybody => "anybody",
            Self::Participants => "participants",
            Self::Caller => "caller",
            Self::Computed => "computed",
            Self::Secret => "secret",
        }
    }
}

/// Texts that outsiders write, `*` for any one step.
const ANYBODY: &[&str] = &[
    "github.event.issue.title",
    "github.event.issue.body",
    "github.event.pull_request.title",
    "github.event.pull_request.body",
    "github.event.pull_request.head.ref",
    "github.event.pull_request.head.label",
    "github.event.pull_request.head.repo.default_branch",
    "github.event.pull_request.head.repo.description",
    "github.event.pull_request.head.repo.homepage",
    "github.event.comment.body",
    "github.event.review.body",
    "github.event.review_comment.body",
    "github.event.discussion.title",
    "github.event.discussion.body",
    "github.event.pages.*.page_name",
    "github.event.head_commit.message",
    "github.event.head_commit.author.email",
    "github.event.head_commit.author.name",
    "github.event.head_commit.committer.email",
    "github.event.head_commit.committer.name",
    "github.event.commits.*.message",
    "github.event.commits.*.author.email",
    "github.event.commits.*.author.name",
    "github.event.commits.*.committer.email",
    "github.event.commits.*.committer.name",
    "github.event.workflow_run.head_branch",
    "github.event.workflow_run.display_title",
    "github.event.workflow_run.head_commit.message",
    "github.event.workflow_run.head_commit.author.email",
    "github.event.workflow_run.head_commit.author.name",
    "github.event.workflow_run.head_repository.description",
    "github.event.workflow_run.pull_requests.*.head.ref",
    "github.event.issue.user.name",
    "github.event.pull_request.user.name",
    "github.head_ref",
];

/// What GitHub makes itself, at the top of the `github` context.
const FIXED: &[&str] = &[
    "action",
    "action_path",
    "action_ref",
    "action_repository",
    "action_status",
    "actor_id",
    "api_url",
    "event_name",
    "event_path",
    "graphql_url",
    "job",
    "path",
    "ref_protected",
    "ref_type",
    "repository",
    "repository_id",
    "repository_owner",
    "repository_owner_id",
    "repository_visibility",
    "repositoryurl",
    "retention_days",
    "run_attempt",
    "run_id",
    "run_number",
    "secret_source",
    "server_url",
    "sha",
    "token",
    "triggering_actor",
    "workflow_sha",
    "workspace",
];

/// Last steps of an event's payload that hold numbers, times, hashes or words of a closed set.
const FIXED_ENDS: &[&str] = &[
    "id",
    "number",
    "state",
    "state_reason",
    "size",
    "status",
    "conclusion",
    "type",
    "private",
    "fork",
    "draft",
    "prerelease",
    "merged",
    "mergeable",
    "locked",
    "archived",
    "disabled",
    "visibility",
    "author_association",
    "created_at",
    "updated_at",
    "closed_at",
    "merged_at",
    "pushed_at",
    "timestamp",
    "additions",
    "deletions",
    "changed_files",
    "commits",
    "comments",
    "run_id",
    "run_number",
    "run_attempt",
    "workflow_id",
    "repository_id",
    "total_count",
    "site_admin",
    "action",
    "artifacts_url",
];

/// Who has a say in a context, by its path in lower case.
pub(super) fn control(path: &str) -> Control {
    let (root, rest) = path.split_once('.').unwrap_or((path, ""));
    match root {
        "secrets" => Control::Secret,
        "inputs" => Control::Caller,
        "runner" => match rest {
            "os" | "arch" | "temp" | "tool_cache" | "debug" | "environment" => Control::Fixed,
            _ => Control::Computed,
        },
        "github" if rest.starts_with("event.inputs.") || rest.starts_with("event.client_payload") => Control::Caller,
        "github" => github(path, rest),
        "needs" if rest.ends_with(".result") && rest.matches('.').count() == 1 => Control::Fixed,
        "steps" if (rest.ends_with(".outcome") || rest.ends_with(".conclusion")) && rest.matches('.').count() == 1 => Control::Fixed,
        "job" if rest == "status" => Control::Fixed,
        "strategy" => Control::Fixed,
        _ => Control::Computed,
    }
}

fn github(path: &str, rest: &str) -> Control {
    if ANYBODY.iter().any(|pattern| matches(pattern, path)) {
        return Control::Anybody;
    }
    if FIXED.contains(&rest) {
        return Control::Fixed;
    }
    let Some(event) = rest.strip_prefix("event.") else { return Control::Participants };
    let end = event.rsplit('.').next().unwrap_or_default();
    // Hashes of commits: 40 digits, whoever made the commit.
    let is_hash = matches!(end, "sha" | "before" | "after" | "head_sha" | "merge_commit_sha" | "base_sha") || event == "head_commit.id";
    if is_hash || FIXED_ENDS.contains(&end) { Control::Fixed } else { Control::Participants }
}

/// Whether a path is covered by a pattern, step by step; an unknown step of the path may be any.
fn matches(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut found) = (pattern.split('.'), path.split('.'));
    loop {
        match (wanted.next(), found.next()) {
            (None, None) => return true,
            (Some(wanted), Some(found)) if wanted == "*" || found == "*" || wanted == found => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outsiders_write_titles_and_nobody_writes_numbers() {
        for (path, expected) in [
            ("github.event.issue.title", Control::Anybody),
            ("github.event.commits.*.author.name", Control::Anybody),
            ("github.event.commits.fix.author.email", Control::Anybody),
            ("github.head_ref", Control::Anybody),
            ("github.ref_name", Control::Participants),
            ("github.event.pull_request.number", Control::Fixed),
            ("github.event.pull_request.head.sha", Control::Fixed),
            ("github.event.inputs.tag", Control::Caller),
            ("inputs.tag", Control::Caller),
            ("secrets.token", Control::Secret),
            ("needs.build.result", Control::Fixed),
            ("needs.build.outputs.result", Control::Computed),
            ("steps.a.outputs.b", Control::Computed),
            ("github.repository", Control::Fixed),
            ("github", Control::Participants),
        ] {
            assert_eq!(control(path), expected, "{path}");
        }
    }
}
