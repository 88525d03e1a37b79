//! Slack's incoming webhooks.
//!
//! A hook's address is a credential: who has it may write into the channel. It is kept whole, so that it goes to the host that it was
//! made for and to no other; its path is never in a [`Target`], which can be printed.
//!
//! The message is of our own words. What others named (a repository) stands in texts that Slack shows as they are (`plain_text`), with
//! its three special characters escaped, links and mentions switched off.

use std::fmt::Write as _;
use std::time::Duration;

use hyper::Method;
use hyper::header::RETRY_AFTER;
use keyblind_intent::{Failure, Foreign, Notify, NotifyEvent, Outcome, SeverityCounts};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::egress::{Body, Call, Egress, EgressError, Origin, Target};
use crate::ledger::Code;
use crate::providers::code;
use crate::secret::Secret;

/// How long Slack may take.
const DEADLINE: Duration = Duration::from_secs(20);
/// Its answers are a word.
const ANSWER_BYTES: usize = 16 * 1024;
/// Lines of one message; what is beyond is counted.
const LINES: usize = 40;
/// Characters of one section: Slack takes 3,000.
const SECTION: usize = 2_800;
/// Characters of the text that stands in notifications.
const SUMMARY: usize = 2_000;
/// How long to be silent where Slack doesn't say.
const SILENCE: Duration = Duration::from_secs(30);
const LONGEST_SILENCE: Duration = Duration::from_secs(3_600);

/// Why a message wasn't taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SlackError {
    /// There was no answer.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// What is kept isn't an address at the configured host.
    #[error("what is kept is no hook's address at the configured host")]
    Hook,
    /// The hook isn't allowed to write there any more.
    #[error("Slack doesn't take the hook: it was removed, or may not write there")]
    Forbidden,
    /// There is no such hook or channel.
    #[error("Slack knows no such hook, or its channel is gone")]
    Gone,
    /// Slack asks to wait.
    #[error("Slack asks to wait")]
    RateLimited {
        /// For how long.
        wait: Duration,
    },
    /// Slack doesn't take the message.
    #[error("Slack doesn't take the message ({status})")]
    Rejected {
        /// The status of its answer.
        status: u16,
    },
    /// Slack failed.
    #[error("Slack failed ({status})")]
    Broken {
        /// The status of its answer.
        status: u16,
    },
}

impl SlackError {
    /// A word for records.
    #[must_use]
    pub fn code(self) -> Code {
        match self {
            Self::Egress(error) => code(error.code()),
            Self::Hook => code("hook-malformed"),
            Self::Forbidden => code("forbidden"),
            Self::Gone => code("not-found"),
            Self::RateLimited { .. } => code("rate-limited"),
            Self::Rejected { .. } => code("rejected"),
            Self::Broken { .. } => code("broken"),
        }
    }

    /// Whether people may have been told although there is no sign of it.
    #[must_use]
    pub fn may_have_happened(self) -> bool {
        matches!(self, Self::Egress(error) if error.may_have_happened()) || matches!(self, Self::Broken { .. })
    }

    /// What whoever asked is told.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        let (failure, status, wait) = match self {
            Self::Egress(error) if error.may_have_happened() => (Failure::Lost, None, None),
            Self::Egress(_) => (Failure::Unreachable, None, None),
            Self::Hook | Self::Forbidden => (Failure::Forbidden, None, None),
            Self::Gone => (Failure::NotFound, None, None),
            Self::RateLimited { wait } => (Failure::RateLimited, Some(429), Some(wait)),
            Self::Rejected { status } => (Failure::Rejected, Some(status), None),
            Self::Broken { status } => (Failure::Broken, Some(status), None),
        };
        let retry_after_seconds = wait.map(|wait| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX));
        Outcome::Failed { failure, status, retry_after_seconds, said: None }
    }
}

/// Whether a secret is the address of a hook at that host.
#[must_use]
pub fn is_hook(origin: &Origin, hook: &Secret) -> bool {
    path(origin, hook).is_some()
}

/// The path of a hook's address, if it lies at that host: the whole credential.
fn path(origin: &Origin, hook: &Secret) -> Option<Secret> {
    hook.expose(|bytes| {
        let path = bytes.trim_ascii().strip_prefix(origin.to_string().as_bytes())?;
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_');
        let is_path = (10..=512).contains(&path.len()) && path.starts_with(b"/") && path.iter().all(is_plain);
        is_path.then(|| Secret::filled(path.len(), |target| target.copy_from_slice(path)))
    })
}

/// Sends a message, once.
///
/// # Errors
/// See [`SlackError`].
pub async fn send(egress: &Egress, origin: &Origin, hook: &Secret, message: &[u8]) -> Result<(), SlackError> {
    let path = path(origin, hook).ok_or(SlackError::Hook)?;
    let body = Body::Bytes("application/json", Zeroizing::new(message.to_vec()));
    let call = Call::new(Method::POST, Target::new(origin)).at_secret_path(&path).body(body).within(DEADLINE).at_most(ANSWER_BYTES);
    let answer = egress.send(call).await?;
    match answer.status().as_u16() {
        200..=299 => Ok(()),
        401 | 403 => Err(SlackError::Forbidden),
        404 | 410 => Err(SlackError::Gone),
        429 => {
            let asked = answer.header(&RETRY_AFTER).and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
            Err(SlackError::RateLimited { wait: asked.unwrap_or(SILENCE).min(LONGEST_SILENCE) })
        }
        status @ 500.. => Err(SlackError::Broken { status }),
        status => Err(SlackError::Rejected { status }),
    }
}

/// One message of some notices, each with how often it came. `pages` is where the broker's own pages are.
#[must_use]
pub fn message(notices: &[(Notify, usize)], pages: Option<&str>) -> Vec<u8> {
    let mut lines: Vec<String> = notices.iter().take(LINES).map(|(notice, times)| line(notice, *times)).collect();
    if let Some(more) = notices.len().checked_sub(LINES).filter(|more| *more > 0) {
        lines.push(format!("… and {more} more"));
    }
    let mut sections = vec![String::new()];
    for line in &lines {
        let last = sections.last_mut().filter(|last| last.chars().count() + line.chars().count() < SECTION);
        match last {
            Some(last) if last.is_empty() => last.push_str(line),
            Some(last) => {
                last.push('\n');
                last.push_str(line);
            }
            None => sections.push(line.clone()),
        }
    }
    let plain = |text: &str| json!({"type": "plain_text", "text": text, "emoji": false});
    let mut blocks: Vec<Value> = vec![json!({"type": "header", "text": plain("Keyblind")})];
    blocks.extend(sections.iter().map(|section| json!({"type": "section", "text": plain(section)})));
    let asks = notices.iter().any(|(notice, _)| notice.event == NotifyEvent::ApprovalWanted);
    if let Some(pages) = pages.filter(|_| asks) {
        // The one link: to where the configuration says that the pages are.
        let text = format!("<{}|Look at it, and compare the code>", escaped(pages));
        blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": true}}));
    }
    let summary = cut(&lines.join(" · "), SUMMARY);
    let message = json!({
        "text": summary, "mrkdwn": false, "parse": "none", "link_names": false, "unfurl_links": false, "unfurl_media": false, "blocks": blocks,
    });
    message.to_string().into_bytes()
}

fn line(notice: &Notify, times: usize) -> String {
    let mut line = match notice.event {
        NotifyEvent::MissionFinished => "A run is finished",
        NotifyEvent::MissionHalted => "A run can’t go on",
        NotifyEvent::ApprovalWanted => "Somebody must say yes or no to a change",
        NotifyEvent::ChangeApplied => "A change was made and checked",
        NotifyEvent::ChangeUndone => "A change was undone",
        NotifyEvent::NewFindings => "There are new findings",
    }
    .to_owned();
    // Writing to a text can't fail.
    if let Some(repository) = &notice.repository {
        let _ = write!(line, " in {}", escaped(&repository.to_string()));
    }
    if let Some(account) = &notice.account {
        let _ = write!(line, " in account {}", escaped(account.as_str()));
    }
    if let Some(counts) = notice.findings.as_ref().and_then(counted) {
        let _ = write!(line, ": {counts}");
    }
    if let Some(code) = &notice.code {
        let _ = write!(line, " (code {code})");
    }
    if times > 1 {
        let _ = write!(line, ", {times} times");
    }
    line
}

fn counted(counts: &SeverityCounts) -> Option<String> {
    let SeverityCounts { critical, high, medium, low, info } = *counts;
    let all = [(critical, "critical"), (high, "high"), (medium, "medium"), (low, "low"), (info, "info")];
    let named: Vec<String> = all.iter().filter(|(count, _)| *count > 0).map(|(count, name)| format!("{count} {name}")).collect();
    (!named.is_empty()).then(|| named.join(", "))
}

/// Slack's three special characters, and what doesn't show itself.
fn escaped(text: &str) -> String {
    Foreign::new(text).for_terminal().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use keyblind_intent::Repository;

    use super::*;

    fn notice(repository: &str) -> Notify {
        let repository =
            Repository { forge: "github".parse().unwrap(), owner: "octo-org".parse().unwrap(), name: repository.parse().unwrap() };
        Notify {
            channel: "security".parse().unwrap(),
            event: NotifyEvent::NewFindings,
            repository: Some(repository),
            account: None,
            findings: Some(SeverityCounts { critical: 2, low: 1, ..SeverityCounts::default() }),
            code: None,
        }
    }

    #[test]
    fn the_words_are_ours_and_names_are_shown_as_they_are() {
        let message: Value = serde_json::from_slice(&message(&[(notice("example.com"), 1)], Some("https://approve.example.com"))).unwrap();
        assert_eq!(message["blocks"][1]["text"]["text"], "There are new findings in octo-org/example.com: 2 critical, 1 low");
        let kinds: Vec<&Value> = message["blocks"].as_array().unwrap().iter().map(|block| &block["text"]["type"]).collect();
        assert_eq!(kinds, ["plain_text", "plain_text"], "nothing that Slack would make a link or a mention of");
        assert_eq!((&message["parse"], &message["mrkdwn"], &message["link_names"]), (&json!("none"), &json!(false), &json!(false)));
        assert_eq!(
            escaped("<!channel> & <https://evil.example|here>\u{202e}"),
            "&lt;!channel&gt; &amp; &lt;https://evil.example|here&gt;\\u{202e}"
        );
    }

    #[test]
    fn a_question_leads_to_the_pages_and_nothing_else_is_a_link() {
        let asked = Notify { event: NotifyEvent::ApprovalWanted, ..notice("shop") };
        let message: Value =
            serde_json::from_slice(&message(&[(notice("a"), 3), (asked, 1)], Some("https://approve.example.com"))).unwrap();
        let blocks = message["blocks"].as_array().unwrap();
        assert_eq!(blocks.len(), 3);
        assert!(
            blocks[1]["text"]["text"].as_str().unwrap().contains("octo-org/a: 2 critical, 1 low, 3 times\nSomebody must say yes or no")
        );
        assert_eq!(blocks[2]["text"]["text"], "<https://approve.example.com|Look at it, and compare the code>");
    }

    #[test]
    fn many_notices_stay_within_what_slack_takes() {
        let many: Vec<(Notify, usize)> = (0..500).map(|index| (notice(&format!("{}-{index}", "a".repeat(90))), 1)).collect();
        let message: Value = serde_json::from_slice(&message(&many, None)).unwrap();
        let blocks = message["blocks"].as_array().unwrap();
        assert!(blocks.len() <= 10);
        let texts: Vec<usize> = blocks.iter().map(|block| block["text"]["text"].as_str().unwrap().chars().count()).collect();
        assert!(texts.iter().all(|length| *length < 3_000) && texts.iter().sum::<usize>() < 13_000, "{texts:?}");
        assert!(blocks.last().unwrap()["text"]["text"].as_str().unwrap().ends_with("… and 460 more"));
        assert!(message["text"].as_str().unwrap().chars().count() <= SUMMARY + 1);
    }

    #[test]
    fn a_hook_is_an_address_at_its_host() {
        let origin = Origin::parse("https://hooks.slack.com").unwrap();
        for (text, expected) in [
            ("https://hooks.slack.com/services/T000/B000/XXXX\n", Some("/services/T000/B000/XXXX")),
            ("https://hooks.slack.com.evil.example/services/T/B/X", None),
            ("https://hooks.slack.com@evil.example/services/T/B/X", None),
            ("https://hooks.slack.com:8443/services/T/B/X", None),
            ("http://hooks.slack.com/services/T000/B000/XXXX", None),
            ("https://hooks.slack.com/services/../x y", None),
            ("https://hooks.slack.com/services/T?x=1", None),
            ("https://hooks.slack.com", None),
            ("", None),
        ] {
            let hook = Secret::from_string(text.to_owned());
            let found = path(&origin, &hook).map(|path| path.expose(|bytes| String::from_utf8(bytes.to_vec()).unwrap()));
            assert_eq!(found.as_deref(), expected, "{text}");
        }
    }
}
