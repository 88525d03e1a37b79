//! A change as a person reads it. Everything is made from the change's own typed fields and from bytes whose digests it names:
//! nothing here is a description that the asker wrote, but the title, which is shown as theirs.

use std::time::Duration;

use keyblind_intent::{
    Action, ActionId, AttachedFile, Change, ChangeFields, Digest, FileMode, Intent, Inverse, NoInverse, PolicyTemplate, ProposePullRequest,
    Target,
};
use similar::{ChangeTag, TextDiff};

use super::text::{LINE_CHARACTERS, Shown, plain, shown, shown_up_to};
use crate::approvals::policy::{ChangeKind, Requester, Severity};
use crate::approvals::risk::loosens;
use crate::approvals::{Request, State, words};
use crate::clock::Timestamp;

/// Lines of differences that one phone screen still shows.
const LINES_AT_ONCE: usize = 14;
/// Lines that unfold below; the rest is on the page of the whole change.
const LINES_UNFOLDED: usize = 400;
/// Lines of the page of the whole change, and bytes of their text: what is beyond that, nobody reads on a page.
const LINES_WHOLE: usize = 20_000;
const BYTES_WHOLE: usize = 4 * 1024 * 1024;
/// Characters of one line on that page.
const WIDTH_WHOLE: usize = 100_000;
/// Bytes of one file, before and after, that are compared; what is larger is shown as it will be.
const BYTES_COMPARED: usize = 4 * 1024 * 1024;
/// Unchanged lines around a changed one.
const CONTEXT: usize = 2;
/// Time for comparing one file; what takes longer is shown as removed and added whole.
const DIFF_TIME: Duration = Duration::from_millis(500);

/// One line of a difference.
pub(super) struct DiffLine {
    /// `add`, `remove`, `same` or `gap`.
    pub(super) class: &'static str,
    /// What a screen reader says first.
    pub(super) sign: &'static str,
    pub(super) text: Shown,
}

/// One file before and after.
pub(super) struct FileView {
    pub(super) path: Shown,
    /// What happens to it, in a word.
    pub(super) note: &'static str,
    pub(super) added: usize,
    pub(super) removed: usize,
    pub(super) lines: Vec<DiffLine>,
    /// Lines that are shown on the page of the whole change only.
    pub(super) left_out: usize,
}

/// One setting before and after.
pub(super) struct SettingView {
    pub(super) name: String,
    pub(super) before: Shown,
    pub(super) after: Shown,
}

/// A change, ready for the templates.
pub(super) struct ChangeView {
    pub(super) digest: Digest,
    pub(super) digest_groups: Vec<String>,
    pub(super) code: String,
    pub(super) what: &'static str,
    pub(super) title: Option<Shown>,
    pub(super) place: Vec<(&'static str, Shown)>,
    pub(super) severity: &'static str,
    pub(super) kind: &'static str,
    pub(super) asked_by: Shown,
    pub(super) asked_how: &'static str,
    pub(super) borrowed: String,
    pub(super) undo: Shown,
    pub(super) reach: String,
    pub(super) settings: Vec<SettingView>,
    pub(super) files: Vec<FileView>,
    /// The first lines, and whether there are more.
    pub(super) is_long: bool,
    pub(super) has_marks: bool,
    pub(super) expires: String,
    pub(super) expires_in: String,
}

impl ChangeView {
    /// Makes the view. With `whole` nothing is folded or left out.
    pub(super) fn new(request: &Request, now: Timestamp, whole: bool) -> Self {
        let change = &request.change;
        let fields = change.fields();
        let (what, reach) = sentence(&fields.intent);
        let mut files = Vec::new();
        let mut title = None;
        if let Intent::ProposePullRequest(pull_request) = &fields.intent {
            title = Some(shown(pull_request.title.as_str()));
            files = file_views(pull_request, request, whole);
        }
        let settings = match (&fields.intent, &fields.inverse) {
            (Intent::ApplyAction(apply), Inverse::Apply(inverse)) => settings(inverse.action(), apply.action()),
            (Intent::ApplyAction(apply), _) => settings_after(apply.action()),
            (Intent::Comment(comment), _) => {
                vec![SettingView { name: "Text".into(), before: plain("our last comment, if any"), after: shown(comment.text.as_str()) }]
            }
            (Intent::PublishCheckRun(check), _) => vec![SettingView {
                name: "Check".into(),
                before: plain("our last check of this commit, if any"),
                after: shown(&format!("{:?}, {} annotations: {}", check.conclusion, check.annotations.len(), check.title.as_str())),
            }],
            _ => Vec::new(),
        };
        let lines: usize = files.iter().map(|file| file.lines.len() + 1).sum();
        let marked = |text: &Shown| text.iter().any(|piece| piece.note.is_some());
        let place = place(fields);
        let has_marks = title.as_ref().is_some_and(marked)
            || place.iter().any(|(_, text)| marked(text))
            || settings.iter().any(|setting| marked(&setting.before) || marked(&setting.after))
            || files.iter().any(|file| marked(&file.path) || file.lines.iter().any(|line| marked(&line.text)));
        Self {
            digest: change.digest(),
            digest_groups: groups(&change.digest()),
            code: change.short_code().to_string(),
            what,
            title,
            place,
            severity: severity(request.proposal.severity),
            kind: kind(request.proposal.kind),
            asked_by: shown(fields.requester.as_str()),
            asked_how: match request.proposal.requester {
                Requester::Person(_) => "a person",
                Requester::Agent(_) => "an agent acting for this person",
                Requester::Schedule => "the broker’s own schedule",
            },
            borrowed: borrowed(fields.borrowed.permission, Duration::from_secs(fields.borrowed.seconds.get())),
            undo: undo(&fields.inverse),
            reach: reach_of(request, reach),
            settings,
            is_long: !whole && lines > LINES_AT_ONCE,
            files,
            has_marks,
            expires: request.expires.to_string(),
            expires_in: remaining(request.expires, now),
        }
    }
}

/// How long is left, in whole minutes, the last one in seconds.
pub(super) fn remaining(expires: Timestamp, now: Timestamp) -> String {
    let left = expires.saturating_duration_since(now);
    match left.as_secs() {
        0 => "over".to_owned(),
        seconds @ 1..=90 => format!("in {}", words(Duration::from_secs(seconds))),
        seconds if seconds < 2 * 60 * 60 => format!("in {}", words(Duration::from_secs(seconds / 60 * 60))),
        seconds if seconds < 48 * 60 * 60 => format!("in {}", words(Duration::from_secs(seconds / 3600 * 3600))),
        seconds => format!("in {}", words(Duration::from_secs(seconds / 86_400 * 86_400))),
    }
}

fn groups(digest: &Digest) -> Vec<String> {
    let text = digest.to_string();
    text.as_bytes().chunks(8).map(|chunk| String::from_utf8_lossy(chunk).into_owned()).collect()
}

pub(super) fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}

pub(super) fn kind(kind: ChangeKind) -> &'static str {
    match kind {
        ChangeKind::PullRequest => "pull request",
        ChangeKind::Workflow => "pull request that changes what CI runs",
        ChangeKind::Live => "live account",
        ChangeKind::Report => "report",
    }
}

fn place(fields: &ChangeFields) -> Vec<(&'static str, Shown)> {
    let mut place = Vec::new();
    match &fields.target {
        Target::Repository(repository) => {
            let (owner, name, forge) = (&repository.owner, &repository.name, &repository.forge);
            place.push(("Where", shown(&format!("{owner}/{name} at {forge}"))));
        }
        Target::Resource { account, region, resource } => {
            place.push(("Where", shown(resource.as_str())));
            place.push(("Account", shown(&format!("{account}, {region}"))));
        }
    }
    match &fields.intent {
        Intent::ProposePullRequest(request) => {
            let commit = request.base_commit.as_str();
            place.push(("Into", shown(&format!("{} at {}", request.base, commit.get(..10).unwrap_or(commit)))));
            place.push(("From", shown(request.branch.as_str())));
        }
        Intent::Comment(request) => place.push(("Pull request", plain(format!("#{}", request.pull_request)))),
        Intent::PublishCheckRun(request) => place.push(("Commit", shown(request.commit.as_str()))),
        Intent::UploadSarif(request) => place.push(("Commit", shown(request.commit.as_str()))),
        _ => {}
    }
    place
}

/// What it does, and how far that reaches.
fn sentence(intent: &Intent) -> (&'static str, &'static str) {
    match intent {
        Intent::ProposePullRequest(_) => ("Open a pull request", "Merges nothing: people still review it."),
        Intent::Comment(_) => ("Write a comment", "Whoever follows the pull request is told."),
        Intent::PublishCheckRun(_) => ("Publish a check", "If the branch demands this check, it decides whether people can merge."),
        Intent::UploadSarif(_) => ("Hand findings to code scanning", "They show in the repository’s security tab."),
        Intent::ApplyAction(request) => action(request.action().id()),
        _ => ("Read", "Nothing changes."),
    }
}

fn action(action: ActionId) -> (&'static str, &'static str) {
    match action {
        ActionId::SetPasswordPolicy => ("Set the account’s password policy", "Counts for everybody at their next change of password."),
        ActionId::SetAccessKeyActive => ("Switch an access key", "Whatever still uses this key fails at once when it is switched off."),
        ActionId::SetBucketPublicAccessBlock => {
            ("Set what is blocked of public access to a bucket", "Whoever reads this bucket without logging in loses access at once.")
        }
        ActionId::SetBucketLogging => {
            ("Set where a bucket’s accesses are logged", "Readers and writers notice nothing; logs cost storage.")
        }
        ActionId::SetDatabasePublic => {
            ("Set whether a database can be reached from the internet", "Clients outside of its network lose their connection.")
        }
        ActionId::SetDatabaseMinorUpgrades => {
            ("Set automatic minor versions of a database", "It restarts briefly in its maintenance window when there is one.")
        }
        ActionId::SetTrailValidation => ("Set whether a trail signs its log files", "Readers of the logs notice nothing."),
        ActionId::SetTrailLogging => ("Set whether a trail records", "While it doesn’t, nobody can tell later what happened."),
        ActionId::SetKeyRotation => ("Set yearly rotation of a key", "What is encrypted stays readable; nothing restarts."),
        ActionId::SetVolumeEncryptionByDefault => {
            ("Set encryption of new volumes", "Counts for new volumes of this region; those that exist stay as they are.")
        }
        ActionId::SetIngressRule => {
            ("Change what a security group lets in", "Counts at once for everything in this group; connections by this rule may break.")
        }
        ActionId::SetSecurityHub => ("Switch Security Hub", "Counts for this region; it costs money while it is on."),
        ActionId::SetImageScanOnPush => ("Set scanning of pushed images", "Counts for images pushed from now on."),
        ActionId::SetPolicyAttached => {
            ("Set whether a managed policy is attached", "What runs or logs in as this loses or gains at once what the policy allows.")
        }
        ActionId::SetTablePointInTimeRecovery => {
            ("Set point-in-time recovery of a table", "Reads and writes notice nothing; backups cost storage.")
        }
    }
}

fn reach_of(request: &Request, sentence: &str) -> String {
    let fields = request.change.fields();
    let found = found(request);
    match &fields.intent {
        Intent::ProposePullRequest(request) => {
            let files = request.files.len();
            let decides = request.files.iter().filter(|file| file.path.decides_what_runs()).count();
            let mut reach = format!("{files} {} in one repository. {sentence}", if files == 1 { "file" } else { "files" });
            if decides > 0 {
                reach += &format!(" Once merged, {decides} of them decide what CI runs, with the repository’s rights.");
            }
            reach
        }
        Intent::ApplyAction(request) if loosens(request.action()) => {
            format!("One resource. This takes protection away: what was kept out may get in, what was recorded may be missing.{found}")
        }
        Intent::ApplyAction(_) => format!("One resource. {sentence}{found}"),
        _ => sentence.to_owned(),
    }
}

/// What is borrowed, and for how long: what can't be narrowed and lives on isn't called less than it is.
fn borrowed(borrowed: PolicyTemplate, lifetime: Duration) -> String {
    let lifetime = words(lifetime);
    match borrowed {
        PolicyTemplate::GithubAccount => format!(
            "{}. It is used once, within {lifetime}; it can’t be narrowed to this repository, and lives on after its use",
            permission(borrowed)
        ),
        _ => format!("{}, once, for {lifetime} at most", permission(borrowed)),
    }
}

/// What the broker found that hangs on the resource, in its own words. They count only if they are what the change names by digest.
fn found(request: &Request) -> String {
    #[derive(serde::Deserialize)]
    struct Found {
        reach: Vec<String>,
    }
    let found = request.looked_at().and_then(|bytes| serde_json::from_slice::<Found>(bytes).ok());
    found.map(|found| found.reach.iter().map(|line| format!(" {line}")).collect()).unwrap_or_default()
}

fn permission(permission: PolicyTemplate) -> &'static str {
    match permission {
        PolicyTemplate::GithubMetadataRead => "GitHub: read this repository’s metadata",
        PolicyTemplate::GithubContentsRead => "GitHub: read this one repository",
        PolicyTemplate::GithubPullRequestsWrite => "GitHub: branches and pull requests of this repository",
        PolicyTemplate::GithubWorkflowsWrite => "GitHub: branches, workflows and pull requests of this repository",
        PolicyTemplate::GithubChecksWrite => "GitHub: checks of this repository",
        PolicyTemplate::GithubCommentsWrite => "GitHub: comments of this repository",
        PolicyTemplate::GithubSecurityEventsWrite => "GitHub: code-scanning results of this repository",
        PolicyTemplate::GithubAccount => "GitHub: everything that the asker’s own connected account reaches",
        PolicyTemplate::AwsSnapshot => "AWS: read the named services",
        PolicyTemplate::AwsAction(_) => "AWS: this one call on this one resource",
    }
}

fn undo(inverse: &Inverse) -> Shown {
    match inverse {
        Inverse::ClosePullRequest { before: None, .. } => plain("Close the pull request and delete its branch."),
        Inverse::ClosePullRequest { before: Some(commit), .. } => {
            plain(format!("Close the pull request and put its branch back to {}.", commit.as_str().get(..10).unwrap_or_default()))
        }
        Inverse::Apply(_) => plain("The same call with the value from before."),
        Inverse::None(NoInverse::Replaced) => plain("Nothing to undo: the next one replaces it."),
        Inverse::None(NoInverse::NotOffered) => plain("Can’t be undone: the provider has no call for it."),
    }
}

/// Names and values of an action's arguments, flat.
fn arguments(action: &Action) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Ok(serde_json::Value::Object(outer)) = serde_json::to_value(action) {
        for arguments in outer.values() {
            match arguments.as_object().filter(|fields| fields.len() == 1).and_then(|fields| fields.values().next()) {
                // One argument that has parts: its parts are the settings, its own name says nothing more.
                Some(whole @ (serde_json::Value::Object(_) | serde_json::Value::Null)) => flatten("", whole, &mut found),
                _ => flatten("", arguments, &mut found),
            }
        }
        found.retain(|(name, _)| !name.is_empty());
    }
    found
}

fn flatten(name: &str, value: &serde_json::Value, found: &mut Vec<(String, String)>) {
    use serde_json::Value;
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let key = key.replace(['_', '-'], " ");
                flatten(&if name.is_empty() { key } else { format!("{name}: {key}") }, value, found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                flatten(&format!("{name} {}", index + 1), value, found);
            }
        }
        Value::Null => found.push((name.to_owned(), "not set".to_owned())),
        Value::Bool(is_on) => found.push((name.to_owned(), if *is_on { "yes" } else { "no" }.to_owned())),
        Value::String(text) => found.push((name.to_owned(), text.clone())),
        Value::Number(number) => found.push((name.to_owned(), number.to_string())),
    }
}

fn settings(before: &Action, after: &Action) -> Vec<SettingView> {
    let before = arguments(before);
    let after = arguments(after);
    let value = |list: &[(String, String)], name: &str| {
        list.iter().find(|(other, _)| other == name).map_or_else(|| plain("not set"), |(_, value)| shown(value))
    };
    let mut names: Vec<&String> = after.iter().chain(&before).map(|(name, _)| name).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(name.as_str()));
    names.into_iter().map(|name| SettingView { name: name.clone(), before: value(&before, name), after: value(&after, name) }).collect()
}

fn settings_after(action: &Action) -> Vec<SettingView> {
    arguments(action).into_iter().map(|(name, value)| SettingView { name, before: plain("not known"), after: shown(&value) }).collect()
}

fn file_views(request: &ProposePullRequest, material: &Request, whole: bool) -> Vec<FileView> {
    let (lines, width) = if whole { (LINES_WHOLE, WIDTH_WHOLE) } else { (LINES_UNFOLDED, LINE_CHARACTERS) };
    let is_kept = !matches!(material.state, State::Refused | State::Void | State::Expired);
    let mut left = Room { lines, bytes: BYTES_WHOLE };
    let mut offset = 0_usize;
    request
        .files
        .iter()
        .map(|file| {
            let length = usize::try_from(file.after.bytes.get()).unwrap_or(usize::MAX);
            let after = offset.checked_add(length).and_then(|end| material.contents().get(offset..end));
            offset = offset.saturating_add(length);
            file_view(file, material.before_of(file), after, &mut left, width, is_kept)
        })
        .collect()
}

/// The bytes count only if they are what the change names by digest: otherwise the page says so and shows nothing.
fn file_view(file: &AttachedFile, before: Option<&[u8]>, after: Option<&[u8]>, left: &mut Room, width: usize, is_kept: bool) -> FileView {
    let mut view = FileView { path: shown(file.path.as_str()), note: "changed", added: 0, removed: 0, lines: Vec::new(), left_out: 0 };
    let Some(after) = after.filter(|bytes| Digest::of(bytes) == file.after.digest) else {
        view.note = if is_kept {
            "its new contents aren’t what the change names: don’t approve"
        } else {
            "its contents aren’t kept any more"
        };
        return view;
    };
    let before = before.filter(|bytes| file.before == Some(Digest::of(bytes)));
    let (Ok(new), Ok(old)) = (std::str::from_utf8(after), std::str::from_utf8(before.unwrap_or_default())) else {
        view.note = "isn’t text";
        return view;
    };
    let runs = file.mode == FileMode::Executable;
    view.note = match (file.before, before) {
        (None, _) if runs => "new, can be run as a program",
        (None, _) => "new",
        (Some(_), None) if runs => "can be run as a program; what was there before isn’t at hand, so the whole new file is shown",
        (Some(_), None) => "changed; what was there before isn’t at hand, so the whole new file is shown",
        (Some(_), Some(_)) if runs => "changed, can be run as a program",
        (Some(_), Some(_)) => "changed",
    };
    if old.len() + new.len() > BYTES_COMPARED {
        view.note = "too large to be compared here; what it will be is shown";
        view.added = new.lines().count();
        view.removed = old.lines().count();
        for line in new.lines() {
            if !left.has_room() {
                break;
            }
            view.push(left, DiffLine { class: "add", sign: "+", text: shown_up_to(line, width) }, line.len());
        }
        view.left_out = view.added - view.lines.len();
        return view;
    }
    let diff = TextDiff::configure().timeout(DIFF_TIME).diff_lines(old, new);
    for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 {
            view.push(left, DiffLine { class: "gap", sign: "", text: plain("⋯") }, 0);
        }
        for change in group.iter().flat_map(|operation| diff.iter_changes(operation)) {
            let (class, sign) = match change.tag() {
                ChangeTag::Equal => ("same", " "),
                ChangeTag::Insert => ("add", "+"),
                ChangeTag::Delete => ("remove", "−"),
            };
            view.added += usize::from(class == "add");
            view.removed += usize::from(class == "remove");
            let text = change.value().strip_suffix('\n').unwrap_or(change.value());
            let text = text.strip_suffix('\r').unwrap_or(text);
            // Only what is shown is prepared.
            let shown = if left.has_room() { shown_up_to(text, width) } else { Shown::new() };
            view.push(left, DiffLine { class, sign, text: shown }, text.len());
        }
    }
    view
}

/// How much a page still shows.
struct Room {
    lines: usize,
    bytes: usize,
}

impl Room {
    fn has_room(&self) -> bool {
        self.lines > 0 && self.bytes > 0
    }
}

impl FileView {
    fn push(&mut self, left: &mut Room, line: DiffLine, bytes: usize) {
        if left.has_room() {
            left.lines -= 1;
            left.bytes -= bytes.min(left.bytes);
            self.lines.push(line);
        } else {
            self.left_out += 1;
        }
    }
}

/// The change's code, for lists.
pub(super) fn code(change: &Change) -> String {
    change.short_code().to_string()
}

/// What a change does, for lists.
pub(super) fn what(change: &Change) -> &'static str {
    sentence(&change.fields().intent).0
}

/// Where, for lists.
pub(super) fn where_in_short(change: &Change) -> Shown {
    place(change.fields()).into_iter().next().map(|(_, text)| text).unwrap_or_default()
}
