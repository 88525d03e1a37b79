//! Every way in which an answer can drift, and everything that must not leave or come back.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::ops::Range;

use proptest::prelude::*;

use crate::answers::{self, Dropped, Said};
use crate::consultation::{Consultation, Files, Model, Question, Reply, Unanswered};
use crate::limits;
use crate::material::{self, Facts, Part, SentPart, Source};
use crate::redaction::{RestoreError, found};
use crate::{Redactor, Shelf};

const MAIN: &str = "# by Jane\nresource \"aws_db_instance\" \"a\" {\n  engine              = \"mysql\"\n  password            = \"correct horse battery\"\n  publicly_accessible = true\n  tags = {\n    Owner = \"Jane Doe\"\n    Mail  = \"jane.doe@corp.test\"\n  }\n}\n";

struct Nothing;

impl Shelf for Nothing {
    fn files(&self) -> Vec<(&str, &str)> {
        vec![("main.tf", MAIN)]
    }

    fn resource(&mut self, _: &str) -> Option<(String, Range<usize>)> {
        Some(("elsewhere/secret.tf".to_owned(), 0..10))
    }

    fn rule(&self, id: &str) -> Option<String> {
        (id == "known").then(|| "A rule: what it is about".to_owned())
    }
}

/// Gives the answers in turn, and remembers what it was asked.
struct Scripted {
    answers: Vec<Result<Reply, Unanswered>>,
    asked: Vec<Question>,
}

impl Scripted {
    fn new<'a>(answers: impl IntoIterator<Item = &'a str>) -> Self {
        let reply = |text: &str| Ok(Reply { text: text.to_owned(), is_whole: true });
        Self { answers: answers.into_iter().map(reply).collect::<Vec<_>>().into_iter().rev().collect(), asked: Vec::new() }
    }
}

impl Model for Scripted {
    fn ask(&mut self, question: &Question) -> Result<Reply, Unanswered> {
        self.asked.push(question.clone());
        self.answers.pop().unwrap_or_else(|| Err(Unanswered::Gone("nobody is there".to_owned())))
    }
}

fn files() -> Files {
    Files::from([("main.tf".to_owned(), (MAIN.to_owned(), Vec::new()))])
}

fn parts() -> Vec<Part> {
    vec![Part { path: "main.tf".to_owned(), range: 10..MAIN.len(), why: "the resource" }]
}

fn facts() -> Facts {
    let text = |text: &str| text.to_owned();
    Facts {
        rule: text("database-publicly-accessible"),
        severity: text("high"),
        title: text("Database is reachable"),
        attack: text("Somebody connects."),
        remedy: text("Set it to false."),
        address: text("aws_db_instance.a"),
        here: vec![text("`publicly_accessible` is true.")],
    }
}

fn propose(answers: &[&str]) -> (Result<String, Dropped>, Vec<Question>) {
    let mut model = Scripted::new(answers.iter().copied());
    let proposed = Consultation::new(&mut model, 10).propose(&facts(), &files(), &parts(), &mut Nothing).map(|proposal| proposal.text);
    (proposed, model.asked)
}

fn explain(answers: &[&str]) -> Result<String, Dropped> {
    let mut model = Scripted::new(answers.iter().copied());
    Consultation::new(&mut model, 10).explain(&facts(), &files(), &parts(), &mut Nothing).map(|explanation| explanation.text)
}

const GOOD: &str = r#"{"replacements":[{"path":"main.tf","before":"publicly_accessible = true","after":"publicly_accessible = false"}],"reason":"closed"}"#;
const EXPLAINED: &str = r#"{"explanation":"Anybody on the internet can open a connection to it.","attack":["They connect."],"doubts":[]}"#;

#[test]
fn a_sound_answer_is_taken_whatever_stands_around_it() {
    let fixed = MAIN.replace("accessible = true", "accessible = false");
    for answer in [
        GOOD.to_owned(),
        format!("Sure! Here is the fix:\n\n```json\n{GOOD}\n```\nLet me know {{if}} it helps."),
        format!("<think>{{ \"no\": 1 }}</think>{GOOD}"),
        format!("\u{feff}{GOOD}\n\n\n"),
        format!("{GOOD}\n{GOOD}"),
        GOOD.replace("main.tf", "./main.tf"),
        GOOD.replace("\"main.tf\"", "\"`main.tf`\""),
        GOOD.replace("}],\"reason\":\"closed\"", "}]"),
    ] {
        assert_eq!(propose(&[&answer]).0, Ok(fixed.clone()), "{answer}");
    }
}

#[test]
fn what_drifts_is_repaired_once_and_then_dropped() {
    let fixed = MAIN.replace("accessible = true", "accessible = false");
    let twice = |key: &str| GOOD.replacen('{', &format!("{{\"{key}\":[],"), 1);
    let deep = "{\"a\":".repeat(5_000);
    for drift in [
        "",
        "I can't help with that.",
        "[]",
        "{}",
        "{\"replacements\":[{\"path\":\"main.tf\",\"before\":\"publicly",
        &GOOD[..GOOD.len() - 1],
        &GOOD.replace("\"reason\":\"closed\"", "\"reason\":7"),
        &GOOD.replace("\"reason\":\"closed\"", "\"reason\":\"closed\",\"severity\":\"low\""),
        &GOOD.replace("[{", "{").replace("}]", "}"),
        &twice("replacements"),
        &twice("verdict"),
        &GOOD.replace('"', "'"),
        &deep,
        &format!("{GOOD} or {}", GOOD.replace("false", "null")),
        EXPLAINED,
    ] {
        let (dropped, asked) = propose(&[drift, drift, GOOD]);
        assert!(matches!(dropped, Err(Dropped::Form(_))), "{drift:.80}: {dropped:?}");
        assert_eq!(asked.len(), 2, "one round of repair: {drift:.80}");
        assert_eq!(asked[1].task, keyblind_intent::ModelTask::RepairAnswer);
        assert_eq!(propose(&[drift, GOOD]).0, Ok(fixed.clone()), "{drift:.80}");
    }
    let huge = format!("{{\"replacements\":\"{}\"}}", "x".repeat(limits::ANSWER_BYTES));
    assert_eq!(propose(&[&huge]).0, Err(Dropped::TooLong));
    let cut = Reply { text: GOOD[..60].to_owned(), is_whole: false };
    let mut model = Scripted { answers: vec![Ok(cut)], asked: Vec::new() };
    let dropped = Consultation::new(&mut model, 10).propose(&facts(), &files(), &parts(), &mut Nothing);
    assert_eq!(dropped, Err(Dropped::Unanswered("nobody is there".to_owned())));
    assert!(model.asked[1].material.contains("it was cut off"));
}

#[test]
fn a_path_or_quote_that_was_not_sent_is_never_followed() {
    for path in
        ["../main.tf", "/etc/passwd", "main.tf/", "MAIN.TF", "other.tf", "", "main.tf\u{0}", ".github/workflows/ci.yml", "envs/../main.tf"]
    {
        let answer = GOOD.replace("main.tf", &path.escape_default().to_string().replace("\\u{0}", "\\u0000"));
        assert_eq!(propose(&[&answer]).0, Err(Dropped::UnknownFile), "{path:?}");
    }
    for before in ["publicly_accessible = yes", " ", "\\n", "  ", "# by Jane"] {
        assert_eq!(propose(&[&GOOD.replace("publicly_accessible = true", before)]).0, Err(Dropped::Misquoted), "{before:?}");
    }
    assert_eq!(propose(&[r#"{"replacements":[]}"#]).0, Err(Dropped::Nothing));
    assert_eq!(propose(&[&GOOD.replace("accessible = false", "accessible = true")]).0, Err(Dropped::Nothing));
    let many = format!("{{\"replacements\":[{}]}}", [r#"{"path":"main.tf","before":"a","after":"b"}"#; limits::REPLACEMENTS + 1].join(","));
    assert!(matches!(propose(&[&many, &many]).0, Err(Dropped::Form(_))));
}

#[test]
fn secrets_and_people_leave_as_placeholders_and_come_back_only_where_they_stood() {
    let (fixed, asked) = propose(&[GOOD]);
    let sent = &asked[0].material;
    for gone in ["correct horse", "Jane Doe", "jane.doe@corp.test"] {
        assert!(!sent.contains(gone), "{sent}");
        assert!(fixed.as_ref().unwrap().contains(gone));
    }
    for token in ["⟦SECRET_1⟧", "⟦PERSON_1⟧", "⟦EMAIL_1⟧"] {
        assert!(sent.contains(token), "{sent}");
    }
    let replaced = |before: &str, after: &str| {
        let answer = serde_json::json!({"replacements": [{"path": "main.tf", "before": before, "after": after}]}).to_string();
        propose(&[&answer]).0
    };
    let password = "  password            = \"⟦SECRET_1⟧\"\n";
    assert_eq!(replaced(password, ""), Ok(MAIN.replace("  password            = \"correct horse battery\"\n", "")));
    for (before, after, error) in [
        ("engine ", "name = \"⟦SECRET_1⟧\"\n  engine ", RestoreError::Moved),
        ("\"⟦PERSON_1⟧\"", "\"⟦SECRET_1⟧\"", RestoreError::Moved),
        ("\"mysql\"", "\"⟦SECRET_2⟧\"", RestoreError::Foreign),
        ("\"mysql\"", "\"⟦\"", RestoreError::Foreign),
        ("\"mysql\"", "\"mysql\" # AKIAIOSFODNN7EXAMPLE", RestoreError::Secret),
        ("engine ", "secret_token = \"hunter22\"\n  engine ", RestoreError::Secret),
    ] {
        assert_eq!(replaced(before, after), Err(Dropped::Unusable(error)), "{after}");
    }
}

#[test]
fn placeholders_never_look_like_what_stands_there() {
    let text = "a = \"⟦SECRET_1⟧\"\nb = \"⟦1:SECRET_1⟧\"\npassword = \"hunter22\"\n";
    let mut redactor = Redactor::new([text]);
    let redacted = redactor.file("a.tf", text, &[]).text;
    assert!(redacted.contains("password = \"⟦2:SECRET_1⟧\""), "{redacted}");
    assert_eq!(redactor.restore("a.tf", &redacted, &redacted).as_deref(), Ok(text));
    assert_eq!(redactor.restore("b.tf", "x\n", "x = \"⟦2:SECRET_1⟧\"\n"), Err(RestoreError::Foreign));
}

#[test]
fn what_is_known_by_form_name_or_chance_is_found() {
    let made = |mark: &str, length: usize| -> String {
        let letters: Vec<char> = ('A'..='Z').chain('0'..='9').collect();
        mark.chars().chain((0..length).map(|index| letters[(index * 7 + 3) % letters.len()])).collect()
    };
    let texts = [
        format!("key = {}", made("AKIA", 16)),
        format!("x: {}", made("ghp_", 36)),
        format!("{}\n", made("glpat-", 20)),
        format!("https://hooks.slack.com/services/{}", made("T", 30)),
        "AccountKey=abcdefghijklmnop1234567890==".to_owned(),
        "url = \"postgres://admin:hunter2@db.test/x\"".to_owned(),
        "Authorization: Bearer abcdefgh.ijkl-mnop".to_owned(),
        "RUN curl --password hunter2 https://x.test".to_owned(),
        "ENV DB_PASSWORD hunter2".to_owned(),
        "ENV DB_PASSWORD=hunter2 MODE=dev".to_owned(),
        "password: hunter2 # old".to_owned(),
        "  - name: API_TOKEN\n    value: hunter2".to_owned(),
        "variable \"db_password\" {\n  type    = string\n  default = \"hunter2\"\n}".to_owned(),
        "  DbPassword:\n    Type: String\n    Default: hunter2".to_owned(),
        format!("-----BEGIN {} KEY-----\n{}\n-----END {0} KEY-----", "RSA PRIVATE", made("MII", 60)),
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        "0123456789abcdef0123456789abcdef".to_owned(),
        "mail ops@corp.test".to_owned(),
        "call +49 151 2345 6789".to_owned(),
        "arn:aws:iam::123456789012:role/x".to_owned(),
        "tenant = \"0f8fad5b-d9cb-469f-a165-70867728950e\"".to_owned(),
        "cidr = [\"91.198.174.192/32\"]".to_owned(),
        "LABEL maintainer=\"Jane Doe\"".to_owned(),
        "Owner: Jane Doe".to_owned(),
    ];
    for text in &texts {
        assert!(!found(text, &[]).is_empty(), "{text}");
    }
    for plain in [
        "cidr_blocks = [\"0.0.0.0/0\", \"10.0.0.0/8\", \"91.198.174.0/24\"]",
        "http_tokens = \"optional\"",
        "password = var.db_password",
        "password = \"${random_password.db.result}\"",
        "image: registry.test/app@sha256:829b4bebb19a53133289f7b0bc819f4f1118115821db2ca9f25e9ee995a7da2a",
        "uses: actions/checkout@8f4b7f84864484a7bf31766abe9204da3cbe65b3",
        "manage_master_user_password = true",
        "token: ${{ secrets.GITHUB_TOKEN }}",
        "policy_arn = \"arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role\"",
        "version = \"1.2.3.4\"",
    ] {
        assert_eq!(found(plain, &[]), [], "{plain}");
    }
}

#[test]
fn what_comes_back_is_redacted_and_can_be_followed_nowhere() {
    let answer = r#"{"explanation":"The password correct horse battery of jane.doe@corp.test lets you in, see https://evil.test/x and [this](http://evil.test) \u202e now.","attack":["Use AKIAIOSFODNN7EXAMPLE on it."],"doubts":[]}"#;
    let mut model = Scripted::new([answer]);
    let said = Consultation::new(&mut model, 10).explain(&facts(), &files(), &parts(), &mut Nothing).unwrap();
    let all = format!("{} {}", said.text, said.attack.join(" "));
    for gone in ["correct horse", "jane.doe", "evil.test", "AKIA", "\u{202e}"] {
        assert!(!all.contains(gone), "{all}");
    }
    let chinese = r#"{"explanation":"数据库可以从互联网访问因此任何人都可以连接到它并尝试登录","attack":[],"doubts":[]}"#;
    assert_eq!(explain(&[chinese]), Err(Dropped::Language));
    let long = format!("{{\"explanation\":\"{}\"}}", "word ".repeat(5_000));
    assert!(explain(&[&long]).unwrap().chars().count() <= limits::EXPLANATION_CHARACTERS + 1);
}

#[test]
fn an_order_holds_nothing_but_what_was_given() {
    let redactor = Redactor::new([]);
    let order = |text: &str| answers::order(text, 3, &redactor);
    let sound = order(r#"{"order":[{"finding":"F3","reason":"worst"},{"finding":"F1","reason":""}],"summary":"two things"}"#).unwrap();
    assert_eq!(sound.ranked.iter().map(|ranked| ranked.finding).collect::<Vec<_>>(), [2, 0]);
    for wrong in [
        r#"{"order":[{"finding":"F4","reason":""}]}"#,
        r#"{"order":[{"finding":"F0","reason":""}]}"#,
        r#"{"order":[{"finding":"F1","reason":""},{"finding":"F1","reason":""}]}"#,
        r#"{"order":[{"finding":"aws_db_instance.a","reason":""}]}"#,
        r#"{"order":[{"finding":"F1","reason":"","severity":"info"}]}"#,
        r#"{"order":[]}"#,
    ] {
        assert!(order(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn more_is_shown_once_and_only_of_what_was_sent_anyway() {
    let wants = r#"{"replacements":[],"wants":[{"tool":"show-lines","path":"main.tf","from":1,"to":1},{"tool":"show-resource","address":"x.y"},{"tool":"show-rule","rule":"known"}]}"#;
    let (fixed, asked) = propose(&[wants, GOOD]);
    assert!(fixed.is_ok());
    assert!(asked[1].material.contains("# by Jane") && asked[1].material.contains("A rule: what it is about"), "{}", asked[1].material);
    assert!(!asked[1].material.contains("secret.tf"), "of files that nothing was sent of, nothing is");
    assert!(matches!(propose(&[wants, wants]).0, Err(Dropped::Form(_))));
    for unknown in [
        r#"{"replacements":[],"wants":[{"tool":"run","command":"id"}]}"#,
        r#"{"replacements":[],"wants":[{"tool":"show-lines","path":"main.tf","from":1,"to":1,"as":"root"}]}"#,
        r#"{"replacements":[],"wants":[{"tool":"show-rule","rule":"a"},{"tool":"show-rule","rule":"a"},{"tool":"show-rule","rule":"a"},{"tool":"show-rule","rule":"a"}]}"#,
    ] {
        assert!(matches!(propose(&[unknown, unknown]).0, Err(Dropped::Form(_))), "{unknown}");
    }
}

#[test]
fn nobody_is_asked_more_often_than_allowed_and_not_at_all_once_there_is_no_answer() {
    let mut model = Scripted::new([EXPLAINED, EXPLAINED, EXPLAINED]);
    let mut consultation = Consultation::new(&mut model, 2);
    for expected in [true, true, false, false] {
        assert_eq!(consultation.explain(&facts(), &files(), &parts(), &mut Nothing).is_ok(), expected);
    }
    assert!(consultation.gone().is_some());
    assert_eq!(model.asked.len(), 2);
    let mut model = Scripted::new([]);
    let mut consultation = Consultation::new(&mut model, 9);
    for _ in 0..3 {
        assert!(consultation.order(&[facts()]).is_err());
    }
    assert_eq!(model.asked.len(), 1);
}

#[test]
fn nothing_large_leaves() {
    let long = format!("resource \"a\" \"b\" {{\n{}}}\n", "  x = 1\n".repeat(20_000));
    let mut redactor = Redactor::new([long.as_str()]);
    let source = Source { path: "a.tf", text: &long, hidden: Vec::new() };
    let part = |range| Part { path: "a.tf".to_owned(), range, why: "" };
    let facts = Facts { here: vec!["y".repeat(100_000); 100], title: "z".repeat(100_000), ..facts() };
    let many: Vec<Part> = (0..100).map(|number| part(number * 1_000..number * 1_000 + 900)).chain([part(0..long.len())]).collect();
    let material = material::about_finding(&facts, &[source], &many, &mut redactor);
    assert!(material.text.len() < 2 * limits::MATERIAL_BYTES, "{}", material.text.len());
    assert!(!material.parts.is_empty() && material.parts.len() <= limits::PARTS);
    let huge = "x".repeat(limits::FILE_BYTES + 1);
    let source = Source { path: "a.tf", text: &huge, hidden: Vec::new() };
    assert!(material::about_finding(&facts, &[source], &[part(0..10)], &mut Redactor::new([])).parts.is_empty());
}

proptest! {
    #[test]
    fn fences_and_placeholders_hold_against_any_text(text in "[=\\[\\]0-9⟦⟧:A-Z_a-z \"\n@.]{0,200}", start in 0_usize..200, end in 0_usize..200) {
        let fence = material::fence(&[&text]);
        prop_assert!(!text.contains(&fence));
        let mut redactor = Redactor::new([text.as_str()]);
        let hidden = Range { start, end };
        let redacted = redactor.file("a", &text, &[hidden]);
        prop_assert_eq!(redactor.restore("a", &redacted.text, &redacted.text).unwrap(), text.clone());
        let (range, shown) = redacted.within(text.floor_char_boundary(start.min(text.len()))..text.len());
        prop_assert!(text.get(range).is_some() && redacted.text.get(shown).is_some());
    }

    #[test]
    fn no_answer_makes_it_panic(answer in "[{}\\[\\]\":,a-zF0-9\\\\ ]{0,300}") {
        let redactor = Redactor::new([]);
        let sent = [SentPart { path: "a".into(), range: 0..1, text: "abc".into() }];
        let _ = answers::order(&answer, 3, &redactor);
        let _ = answers::explanation(&answer, &redactor);
        if let Ok(Said::Answer(replaced)) = answers::proposal(&answer, &sent, &redactor) {
            prop_assert!(replaced.part == 0);
        }
    }

    #[test]
    fn no_canary_leaves(secret in "[A-Za-z0-9]{12,40}", name in "(password|db_password|client_secret|API_TOKEN|private_key|access_key)", form in 0_usize..6) {
        let text = match form {
            0 => format!("  {name} = \"{secret}\"\n"),
            1 => format!("{name}: {secret}\n"),
            2 => format!("- name: {name}\n  value: \"{secret}\"\n"),
            3 => format!("ENV {name}={secret}\n"),
            4 => format!("variable \"{name}\" {{\n  default = \"{secret}\"\n}}\n"),
            _ => format!("x = \"https://u:{secret}@host.test/\"\n"),
        };
        let redacted = Redactor::new([text.as_str()]).file("a", &text, &[]).text;
        prop_assert!(!redacted.contains(&secret), "{}", redacted);
    }
}
