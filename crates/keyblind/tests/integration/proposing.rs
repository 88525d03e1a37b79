//! `keyblind fix github:…`, with a relay of the test's own: what is shown, what the broker is asked for, and what becomes of its answers.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use keyblind_intent::{
    Answer, BranchName, Bulk, ChangeState, Control, Count, Digest, Failure, FileMode, Foreign, Intent, Kind, Outcome, ProposalResult,
    ProposePullRequest, Refusal, Report, Repository, Request, Revision, UnixMillis, encode,
};
use serde_json::Value;

use crate::relay::{Place, Said, archive, entry, executable, welcome};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
const HEAD: &str = "89abcdef0123456789abcdef0123456789abcdef";
const PUBLIC: &str = "resource \"aws_db_instance\" \"a\" {\n  engine              = \"mysql\"\n  publicly_accessible = true\n}\n";
const RULE: &str = "database-publicly-accessible";
/// What asks for the fix: it cuts somebody's access, so that it isn't proposed without being asked for.
const PROPOSE: &[&str] = &["fix", "github:octo-org/shop", "--pr", "--all", "--rule", RULE];

/// Far away: the program looks at the clock. 2100-01-01.
fn expires() -> UnixMillis {
    UnixMillis::new(4_102_444_800_000)
}

fn private() -> String {
    PUBLIC.replace("true", "false")
}

fn read(archive: &[u8], branch: Option<&str>) -> Answer {
    Answer::Outcome(Outcome::RepositoryRead {
        repository: Repository { forge: "github".parse().unwrap(), owner: "octo-org".parse().unwrap(), name: "shop".parse().unwrap() },
        commit: COMMIT.parse().unwrap(),
        branch: branch.map(|branch| branch.parse().unwrap()),
        archive: Bulk::of(archive),
        files: Count::from(1),
        left_out: Vec::new(),
    })
}

fn change() -> Digest {
    Digest::of(b"the change")
}

fn approval_wanted() -> Answer {
    let page = Some("http://approve.localhost:7443/changes/1".parse().unwrap());
    let code = change().short_code();
    Answer::Outcome(Outcome::ApprovalWanted { change: change(), code, wanted: Count::from(2), expires: expires(), page })
}

fn proposed(result: ProposalResult) -> Outcome {
    Outcome::PullRequestProposed { number: Count::from(12), commit: HEAD.parse().unwrap(), result }
}

fn state(state: ChangeState, approved: u32, outcome: Option<Outcome>) -> Answer {
    let outcome = outcome.map(Box::new);
    Answer::Report(Report::Change { digest: change(), state, approved: Count::from(approved), wanted: Count::from(2), outcome })
}

/// A relay that hands these files over, and then answers so.
fn proposing(entries: &[Vec<u8>], answers: &[Answer]) -> Place {
    let tar = archive(entries);
    let first = Said::with(&tar, &read(&tar, Some("main")));
    let answers: Vec<Said> = std::iter::once(first).chain(answers.iter().map(Said::answer)).collect();
    Place::new(&welcome(), &answers)
}

fn one_file(answers: &[Answer]) -> Place {
    proposing(&[entry("main.tf", b'0', PUBLIC)], answers)
}

/// The pull request that the request of this number asks for.
fn asked(place: &Place, number: usize) -> ProposePullRequest {
    match place.asked(number) {
        Request::Intent(Intent::ProposePullRequest(request)) => request,
        other => panic!("{other:?}"),
    }
}

/// A relay that hands these files over.
fn reading(entries: &[Vec<u8>]) -> Place {
    proposing(entries, &[])
}

#[test]
fn without_a_proposal_the_diff_is_shown() {
    let place = reading(&[entry("envs/main.tf", b'0', PUBLIC)]);
    let outcome = place.run(&["fix", "github:octo-org/shop", "--rule", RULE, "--output", "patch"]);
    assert_eq!(outcome.code, Some(1), "{}\n{}", outcome.output, outcome.errors);
    assert!(outcome.output.contains("--- a/envs/main.tf\n+++ b/envs/main.tf\n"), "{}", outcome.output);
    assert!(outcome.output.contains("-  publicly_accessible = true\n+  publicly_accessible = false\n"), "{}", outcome.output);
    assert!(outcome.errors.contains("would fix 1 of 1 finding in 1 file"), "{}", outcome.errors);
    assert_eq!(place.count(), 1, "reading is all that was asked for");
}

#[test]
fn nothing_is_written_at_a_forge() {
    for writes in ["--write", "--interactive"] {
        let outcome = reading(&[entry("main.tf", b'0', PUBLIC)]).run(&["fix", "github:octo-org/shop", writes]);
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.errors.contains("a repository at a forge isn't written to from here"), "{}", outcome.errors);
    }
}

#[test]
fn a_state_that_wasnt_asked_for_is_not_judged() {
    for (asked, branch) in [("main", "other"), ("fedcba9876543210fedcba9876543210fedcba98", "main")] {
        let tar = archive(&[entry("main.tf", b'0', PUBLIC)]);
        let place = Place::answering(&tar, &read(&tar, Some(branch)));
        let outcome = place.run(&["fix", &format!("github:octo-org/shop@{asked}")]);
        assert_eq!(outcome.code, Some(4), "{outcome:?}");
        assert!(outcome.errors.contains("the broker read another state than was asked for"), "{}", outcome.errors);
    }
}

#[test]
fn exactly_the_proven_fixes_are_asked_for() {
    let entries = [
        entry("README.md", b'0', "unchanged"),
        executable("b/run.tf", &PUBLIC.replace("\"a\"", "\"b\"")),
        entry("a/main.tf", b'0', PUBLIC),
    ];
    let place = proposing(&entries, &[approval_wanted()]);
    let outcome = place.run(&[PROPOSE, &["--no-wait"]].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(place.count(), 2, "it was read and proposed, and nothing else");
    let request = asked(&place, 2);
    assert_eq!((request.base.as_str(), request.base_commit.as_str()), ("main", COMMIT));
    assert_eq!(request.fixes.iter().map(|rule| rule.as_str()).collect::<Vec<_>>(), [RULE]);
    assert_eq!(request.title.as_str(), "Fix database-publicly-accessible (2 findings in 2 files)");
    let second = PUBLIC.replace("\"a\"", "\"b\"");
    let files: Vec<_> = request.files.iter().map(|file| (file.path.as_str(), file.before, file.after, file.mode)).collect();
    let fixed = [private(), private().replace("\"a\"", "\"b\"")];
    assert_eq!(
        files,
        [
            ("a/main.tf", Some(Digest::of(PUBLIC.as_bytes())), Bulk::of(fixed[0].as_bytes()), FileMode::Plain),
            ("b/run.tf", Some(Digest::of(second.as_bytes())), Bulk::of(fixed[1].as_bytes()), FileMode::Executable),
        ]
    );
    assert_eq!(String::from_utf8(place.attached(2)).unwrap(), fixed.concat());
    assert_eq!(request.contents, Bulk::of(fixed.concat().as_bytes()));
    insta::assert_snapshot!("explanation", request.explanation.as_str());
    insta::assert_snapshot!("asked_for", outcome.output);
}

#[test]
fn the_same_fixes_bring_the_same_pull_request_up_to_date() {
    let other = proposing(
        &[entry("main.tf", b'0', &format!("# more\n\n{PUBLIC}")), entry("new.tf", b'0', "")],
        &[Answer::Outcome(proposed(ProposalResult::Updated))],
    );
    let outcome = other.run(PROPOSE);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(
        outcome.output.starts_with("updated  octo-org/shop#12 (branch keyblind/fix-database-publicly-accessible-"),
        "{}",
        outcome.output
    );
    let place = one_file(&[Answer::Outcome(proposed(ProposalResult::Opened))]);
    place.run(PROPOSE);
    assert_eq!(asked(&other, 2).branch, asked(&place, 2).branch);
    assert_ne!(asked(&other, 2).contents, asked(&place, 2).contents);
}

#[test]
fn it_is_followed_until_it_is_done() {
    let place = one_file(&[
        approval_wanted(),
        state(ChangeState::Waiting, 1, None),
        state(ChangeState::Approved, 2, None),
        state(ChangeState::Applied, 2, Some(proposed(ProposalResult::Opened))),
    ]);
    let outcome = place.run(PROPOSE);
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert_eq!(place.asked(3), Request::Control(Control::FollowChange { digest: change() }));
    assert_eq!(place.count(), 5, "nobody asks on after the end");
    assert!(outcome.output.contains("\nopened   octo-org/shop#12 (branch keyblind/fix-"), "{}", outcome.output);
    let code = change().short_code();
    for said in [format!("note: 1 of 2 said yes to {code}\n"), format!("note: {code} is approved: the broker opens the pull request\n")] {
        assert!(outcome.errors.contains(&said), "{}", outcome.errors);
    }
}

#[test]
fn every_other_end_says_what_to_do() {
    let lost =
        Outcome::Failed { failure: Failure::Lost, status: Some(502), retry_after_seconds: None, said: Some(Foreign::new("\u{1b}[2J")) };
    let ends = [
        (state(ChangeState::Denied, 0, None), 1, "denied   "),
        (state(ChangeState::Expired, 1, None), 1, "1 of 2 said yes in time: run the command again"),
        (state(ChangeState::Stale, 2, None), 1, "the repository isn't what it was when it was read: run the command again"),
        (state(ChangeState::Undone, 2, None), 1, "it was done and undone"),
        (state(ChangeState::Halted, 0, None), 2, "`keyblind-broker arm` takes up work again"),
        (state(ChangeState::Unknown, 0, None), 4, "the broker doesn't know this request any more"),
        (state(ChangeState::Failed, 2, None), 4, "whether it was done isn't known"),
        (state(ChangeState::Applied, 2, None), 4, "not what came of it"),
        (state(ChangeState::Failed, 2, Some(lost)), 4, "(status 502): its answer is lost, so that it may have been done"),
        (state(ChangeState::Failed, 2, Some(Outcome::Refused(Refusal::WrittenByPeople))), 2, "people have pushed to that branch"),
        (Answer::Outcome(Outcome::Refused(Refusal::Halted)), 2, "the broker is stopped"),
    ];
    let mut shown = String::new();
    for (end, code, said) in ends {
        let outcome = one_file(&[approval_wanted(), end]).run(PROPOSE);
        assert_eq!(outcome.code, Some(code), "{outcome:?}");
        let last = outcome.output.lines().last().unwrap();
        assert!(last.contains(said) && !last.contains('\u{1b}'), "{last}");
        shown.push_str(&format!("{last}\n"));
    }
    insta::assert_snapshot!("ends", shown);
}

#[test]
fn what_is_refused_at_once_isnt_waited_for() {
    for (refusal, code, said) in [
        (Refusal::SaidNoBefore, 2, "a pull request with exactly these fixes was closed before, which counts as a no"),
        (Refusal::StaleState, 2, "the target isn't what it was when it was read: run the command again"),
        (Refusal::Internal, 4, "the broker failed in itself"),
    ] {
        let place = one_file(&[Answer::Outcome(Outcome::Refused(refusal))]);
        let outcome = place.run(PROPOSE);
        assert_eq!((outcome.code, place.count()), (Some(code), 2), "{outcome:?}");
        assert!(outcome.output.contains(said), "{}", outcome.output);
    }
}

#[test]
fn a_broker_that_lies_is_not_believed() {
    let other = Digest::of(b"another change");
    let page = Some("http://approve.localhost/".parse().unwrap());
    let forged = Outcome::ApprovalWanted { change: change(), code: other.short_code(), wanted: Count::from(1), expires: expires(), page };
    let elsewhere =
        Report::Change { digest: other, state: ChangeState::Applied, approved: Count::from(1), wanted: Count::from(1), outcome: None };
    for (answers, said) in [
        (vec![Answer::Outcome(forged)], "the broker gave a code that isn't that of the change"),
        (vec![approval_wanted(), Answer::Report(elsewhere)], "the broker answered about another change than was asked for"),
        (vec![Answer::Outcome(Outcome::Notified)], "the broker answered something else than was asked"),
        (
            vec![approval_wanted(), state(ChangeState::Applied, 1, Some(Outcome::Notified))],
            "the broker answered something else than was asked",
        ),
    ] {
        let outcome = one_file(&answers).run(PROPOSE);
        assert_eq!(outcome.code, Some(4), "{outcome:?}");
        assert!(outcome.output.contains(said), "{}", outcome.output);
    }
}

#[test]
fn a_broker_that_goes_away_is_asked_again_and_then_given_up() {
    let place = one_file(&[approval_wanted(), state(ChangeState::Waiting, 0, None)]);
    let outcome = place.run(PROPOSE);
    assert_eq!(outcome.code, Some(4), "{outcome:?}");
    let said = format!("the broker can't be asked any more; the request {} stands: the broker went away", change().short_code());
    assert!(outcome.output.contains(&said), "{}", outcome.output);
    assert_eq!(place.count(), 8, "five times");
}

#[test]
fn a_busy_broker_is_asked_again() {
    let done = state(ChangeState::Applied, 2, Some(proposed(ProposalResult::Opened)));
    let tar = archive(&[entry("main.tf", b'0', PUBLIC)]);
    let busy = Said { bulk: Vec::new(), kind: Kind::Refused, payload: encode(&Refusal::Busy).unwrap() };
    let first = Said::with(&tar, &read(&tar, Some("main")));
    let place = Place::new(&welcome(), &[first, Said::answer(&approval_wanted()), busy, Said::answer(&done)]);
    let outcome = place.run(PROPOSE);
    assert_eq!((outcome.code, place.count()), (Some(0), 4), "{outcome:?}");
}

#[test]
fn ctrl_c_ends_the_waiting_and_not_the_request() {
    let place = one_file(&[approval_wanted()]).and_again(&Said::answer(&state(ChangeState::Waiting, 0, None)));
    let mut child = Command::new(place.path("keyblind"))
        .args(PROPOSE)
        .args(["--output", "json"])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut errors = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("waiting for an answer") {
        assert!(errors.read_line(&mut said).unwrap() > 0, "{said}");
    }
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT).unwrap();
    errors.read_to_string(&mut said).unwrap();
    let outcome = child.wait_with_output().unwrap();
    assert_eq!(outcome.status.code(), Some(130), "{said}");
    assert!(said.contains(&format!("interrupted: the request {} stands until", change().short_code())), "{said}");
    let document: Value = serde_json::from_slice(&outcome.stdout).unwrap();
    assert_eq!(document["pull_requests"][0]["state"], "waiting");
}

#[test]
fn programs_get_a_document() {
    let place = one_file(&[approval_wanted()]);
    let outcome = place.run(&[PROPOSE, &["--no-wait", "--output", "json"]].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.errors.contains("compare  KB-"), "people see it beside: {}", outcome.errors);
    insta::assert_snapshot!("document", outcome.output);
}

#[test]
fn what_decides_what_runs_comes_by_itself() {
    let workflow = "on: push\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: actions/checkout@v4\n";
    let entries = [entry(".github/workflows/ci.yml", b'0', workflow), entry("main.tf", b'0', PUBLIC)];
    let answers = [Answer::Outcome(proposed(ProposalResult::Opened)), Answer::Outcome(Outcome::Refused(Refusal::NotAllowed))];
    let place = proposing(&entries, &answers);
    let outcome = place.run(&[PROPOSE, &["--rule", "github-action-not-pinned-by-hash"]].concat());
    assert_eq!(outcome.code, Some(2), "the worst of both: {outcome:?}");
    let paths = |number| asked(&place, number).files.iter().map(|file| file.path.to_string()).collect::<Vec<_>>();
    assert_eq!((paths(2), paths(3)), (vec!["main.tf".to_owned()], vec![".github/workflows/ci.yml".to_owned()]));
    assert!(asked(&place, 3).title.as_str().ends_with("in 1 file that decides what runs)"), "{}", asked(&place, 3).title);
    assert_eq!(place.attached(2), private().into_bytes());
    assert!(String::from_utf8(place.attached(3)).unwrap().contains("actions/checkout@"));
}

#[test]
fn into_which_branch_is_always_clear() {
    let tar = archive(&[entry("main.tf", b'0', PUBLIC)]);
    let reading = |branch| Place::new(&welcome(), &[Said::with(&tar, &read(&tar, branch)), Said::answer(&approval_wanted())]);
    let outcome = reading(None).run(&[PROPOSE, &["--no-wait"]].concat());
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.errors.contains("the broker doesn't say which branch the default one is: add `--base BRANCH`"), "{}", outcome.errors);
    let place = reading(Some("release"));
    let outcome = place.run(&[PROPOSE, &["--no-wait", "--base", "release"]].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let Request::Intent(Intent::ReadRepository(read)) = place.asked(1) else { panic!("{:?}", place.asked(1)) };
    assert_eq!(read.revision, Revision::Branch("release".parse().unwrap()));
    assert_eq!(asked(&place, 2).base, "release".parse::<BranchName>().unwrap());
    let hostile = place.run(&[PROPOSE, &["--base", "../x"]].concat());
    assert_eq!(hostile.code, Some(2));
    let local = place.run(&["fix", "--pr", "."]);
    assert!(local.code == Some(2) && local.errors.contains("name it as `github:owner/name`"), "{local:?}");
}

#[test]
fn what_isnt_safe_is_proposed_only_if_it_is_asked_for() {
    let place = one_file(&[]);
    let outcome = place.run(&["fix", "github:octo-org/shop", "--pr", "--rule", RULE]);
    assert_eq!((outcome.code, place.count()), (Some(1), 1), "{outcome:?}");
    assert!(outcome.errors.contains("1 fix is held back (unsafe): add `--all` to propose them too"), "{}", outcome.errors);
    assert!(outcome.errors.ends_with("nothing to propose\n"), "{}", outcome.errors);
}

#[test]
fn what_a_repository_says_is_inert_in_the_pull_request() {
    let each = "resource \"aws_db_instance\" \"a\" {\n  for_each            = toset([\"@octocat fixes #1 <img src=x> [a](https://e.example)\"])\n  \
                engine              = \"mysql\"\n  publicly_accessible = true\n}\n";
    let place = proposing(&[entry("main.tf", b'0', each)], &[approval_wanted()]);
    let outcome = place.run(&[PROPOSE, &["--no-wait"]].concat());
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    let explanation = asked(&place, 2).explanation;
    let mut is_code = false;
    let outside: Vec<&str> = explanation
        .as_str()
        .split('`')
        .filter(|_| {
            is_code = !is_code;
            is_code
        })
        .collect();
    assert!(explanation.as_str().contains("@octocat fixes"), "{}", explanation.as_str());
    for markup in ["@octocat", "#1", "<img", "[a]"] {
        assert!(outside.iter().all(|part| !part.contains(markup)), "{markup}: {}", explanation.as_str());
    }
}

#[test]
fn names_that_lead_elsewhere_are_never_unpacked_for_a_proposal() {
    for hostile in [entry("../../escaped.tf", b'0', PUBLIC), entry("/tmp/keyblind-escaped.tf", b'0', PUBLIC), entry("pipe.tf", b'6', "")] {
        let place = proposing(&[hostile], &[approval_wanted()]);
        let outcome = place.run(PROPOSE);
        assert!(!matches!(outcome.code, Some(0 | 1)) && place.count() == 1, "{outcome:?}");
        assert!(outcome.errors.contains("the archive holds"), "{}", outcome.errors);
    }
    // One that can't be changed by a pull request is judged, and refused when it should be changed.
    let place = proposing(&[entry("com1.tf", b'0', PUBLIC)], &[approval_wanted()]);
    let outcome = place.run(PROPOSE);
    assert_eq!((outcome.code, place.count()), (Some(2), 1), "{outcome:?}");
    assert!(outcome.errors.contains("`com1.tf` can't be changed by a pull request"), "{}", outcome.errors);
}

#[test]
fn a_refusal_of_the_connection_is_an_end_as_well() {
    let tar = archive(&[entry("main.tf", b'0', PUBLIC)]);
    let halted = Said { bulk: Vec::new(), kind: Kind::Refused, payload: encode(&Refusal::Halted).unwrap() };
    let place = Place::new(&welcome(), &[Said::with(&tar, &read(&tar, Some("main"))), halted]);
    let outcome = place.run(PROPOSE);
    assert_eq!(outcome.code, Some(2), "{outcome:?}");
    assert!(outcome.output.contains("the broker is stopped"), "{}", outcome.output);
}
