//! Fixes of Dockerfiles: which words change, and what is left to a person.

use keyblind_fix::{Effect, Fixer, Given, Hindrance, Outcome, Record, Subject};
use keyblind_rules::RuleTable;

use crate::support::{failing, fix_all, folder, request};

const NAME: &str = "Dockerfile";

/// The text after all that one rule finds was fixed, and what became of each.
fn fixed(rule: &str, text: &str) -> (String, Vec<Outcome>) {
    let table = RuleTable::embedded().unwrap();
    let folder = folder(&[(NAME, text)]);
    let (fixer, outcomes) = fix_all(&table, folder.path(), table.find(rule).unwrap());
    assert!(!outcomes.is_empty(), "`{rule}` finds nothing");
    (fixer.text(NAME).unwrap().to_string(), outcomes.into_iter().map(|(_, outcome)| outcome).collect())
}

#[track_caller]
fn becomes(rule: &str, before: &str, after: &str) {
    let (text, outcomes) = fixed(rule, before);
    for outcome in &outcomes {
        assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
    }
    assert_eq!(text, after);
}

#[track_caller]
fn refused(rule: &str, text: &str, hindrance: Hindrance) {
    let (after, outcomes) = fixed(rule, text);
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Outcome::Refused(refusal) if refusal.hindrance == hindrance)), "{outcomes:?}");
    assert_eq!(after, text);
}

#[test]
fn an_option_goes_with_its_line() {
    becomes(
        "apt-allows-unauthenticated-packages",
        "FROM debian:12.8\nRUN apt-get update \\\n && apt-get install -y \\\n    --allow-unauthenticated \\\n    curl \\\n    git # tools\n",
        "FROM debian:12.8\nRUN apt-get update \\\n && apt-get install -y \\\n    curl \\\n    git # tools\n",
    );
    becomes(
        "wget-without-certificate-check",
        "FROM debian:12.8\r\nRUN wget -q \\\r\n    https://a.test/x \\\r\n    --no-check-certificate\r\n",
        "FROM debian:12.8\r\nRUN wget -q \\\r\n    https://a.test/x\r\n",
    );
}

#[test]
fn every_command_of_a_step_is_mended() {
    becomes(
        "curl-without-certificate-check",
        "FROM debian:12.8\nRUN curl -fsSLk https://a.test/x -o x && curl --insecure -o y https://a.test/y\n",
        "FROM debian:12.8\nRUN curl -fsSL https://a.test/x -o x && curl -o y https://a.test/y\n",
    );
    becomes(
        "curl-without-certificate-check",
        "FROM debian:12.8\nRUN <<EOF\nset -e\ncurl -k https://a.test/x\nEOF\nCMD [\"x\"]\n",
        "FROM debian:12.8\nRUN <<EOF\nset -e\ncurl https://a.test/x\nEOF\nCMD [\"x\"]\n",
    );
}

#[test]
fn an_option_is_added_where_its_kind_stands() {
    becomes(
        "apt-installs-recommended-packages",
        "FROM debian:12.8\nRUN apt-get update && apt-get install -y \\\n    curl \\\n    git\n",
        "FROM debian:12.8\nRUN apt-get update && apt-get install -y --no-install-recommends \\\n    curl \\\n    git\n",
    );
}

#[test]
fn a_program_is_another_only_where_that_one_knows_the_word() {
    becomes(
        "apt-in-script",
        "FROM debian:12.8\nRUN apt update && apt -y install --no-install-recommends curl && apt show curl\n",
        "FROM debian:12.8\nRUN apt-get update && apt-get -y install --no-install-recommends curl && apt-cache show curl\n",
    );
    refused("apt-in-script", "FROM debian:12.8\nRUN apt list --installed\n", Hindrance::NeedsRedesign);
}

#[test]
fn an_image_gets_a_user_behind_what_needs_root() {
    becomes(
        "image-without-user",
        "FROM debian:12.8\nRUN apt-get update\n\n# start\nCMD [\"x\"]\n",
        "FROM debian:12.8\nRUN apt-get update\n\nUSER 10001\n\n# start\nCMD [\"x\"]\n",
    );
    becomes("image-without-user", "FROM debian:12.8\nCMD [\"x\"]\nRUN y", "FROM debian:12.8\nCMD [\"x\"]\nRUN y\nUSER 10001");
    becomes(
        "image-without-user",
        "FROM golang:1.23 AS build\nRUN go build\nFROM node:22.11\nCOPY --from=build /x /x\nENTRYPOINT [\"/x\"]\nCMD [\"y\"]\n",
        "FROM golang:1.23 AS build\nRUN go build\nFROM node:22.11\nCOPY --from=build /x /x\nUSER node\nENTRYPOINT [\"/x\"]\nCMD [\"y\"]\n",
    );
    becomes(
        "image-without-user",
        "FROM debian:12.8\nRUN useradd --create-home app\nCMD [\"x\"]\n",
        "FROM debian:12.8\nRUN useradd --create-home app\nUSER app\nCMD [\"x\"]\n",
    );
}

#[test]
fn root_is_left_behind_what_needs_it() {
    becomes(
        "image-runs-as-root",
        "FROM debian:12.8\nUSER app\nRUN x\nUSER root\nRUN y\nCMD [\"x\"]\n",
        "FROM debian:12.8\nUSER app\nRUN x\nUSER root\nRUN y\nUSER app\nCMD [\"x\"]\n",
    );
    becomes(
        "image-runs-as-root",
        "FROM debian:12.8\nUSER app\nRUN x\nUSER root\nCMD [\"x\"]\n",
        "FROM debian:12.8\nUSER app\nRUN x\nCMD [\"x\"]\n",
    );
    becomes(
        "image-runs-as-root",
        "FROM debian:12.8\nRUN y\nUSER root\nCMD [\"x\"]\n",
        "FROM debian:12.8\nRUN y\nUSER 10001\nCMD [\"x\"]\n",
    );
}

#[test]
fn instructions_are_followed_when_others_go() {
    becomes(
        "instruction-overridden",
        "FROM debian:12.8\nCMD [\"a\"]\n# the second\nCMD [\"b\"]\n\nCMD [\"c\"]\n",
        "FROM debian:12.8\n\nCMD [\"c\"]\n",
    );
}

#[test]
fn another_instruction_only_where_it_does_the_same() {
    becomes(
        "add-instead-of-copy",
        "FROM debian:12.8\nADD --chown=app config.toml \\\n    /etc/app/\n",
        "FROM debian:12.8\nCOPY --chown=app config.toml \\\n    /etc/app/\n",
    );
    refused("add-instead-of-copy", "FROM debian:12.8\nADD rootfs.tar.gz /\n", Hindrance::NeedsDecision);
    becomes(
        "maintainer-instruction",
        "FROM debian:12.8\nMAINTAINER Ada \"A\" <ada@a.test>\n",
        "FROM debian:12.8\nLABEL org.opencontainers.image.authors=\"Ada \\\"A\\\" <ada@a.test>\"\n",
    );
}

#[test]
fn what_changes_its_account_by_itself_is_left_to_a_person() {
    refused("image-without-user", "FROM debian:12.8\nRUN install gosu\nCMD [\"gosu\", \"app\", \"/x\"]\n", Hindrance::NeedsDecision);
    refused("image-without-user", "FROM nginx:1.27\nCOPY site /usr/share/nginx/html\n", Hindrance::NeedsRedesign);
    becomes(
        "image-without-user",
        "FROM gcr.io/distroless/static-debian12\nCOPY x /x\nCMD [\"/x\"]\n",
        "FROM gcr.io/distroless/static-debian12\nCOPY x /x\nUSER nonroot\nCMD [\"/x\"]\n",
    );
}

#[test]
fn an_option_is_not_given_twice() {
    refused(
        "pip-uses-second-index",
        "FROM python:3.12\nUSER app\nRUN pip install --index-url https://a.test --extra-index-url https://b.test x\n",
        Hindrance::NeedsRedesign,
    );
}

#[test]
fn what_is_used_stays() {
    becomes(
        "secret-in-image-environment",
        "FROM debian:12.8\nENV APP=x \\\n    DATABASE_PASSWORD=example-only \\\n    MODE=y\n",
        "FROM debian:12.8\nENV APP=x \\\n    MODE=y\n",
    );
    refused(
        "secret-in-image-environment",
        "FROM debian:12.8\nENV DATABASE_PASSWORD=example-only\nRUN setup $DATABASE_PASSWORD\n",
        Hindrance::NeedsRedesign,
    );
}

#[test]
fn a_directory_is_absolute_where_it_is_known_beneath_which() {
    becomes("relative-workdir", "FROM golang:1.23\nWORKDIR /srv\nWORKDIR app\n", "FROM golang:1.23\nWORKDIR /srv\nWORKDIR /srv/app\n");
    let (text, outcomes) = fixed("relative-workdir", "FROM golang:1.23\nWORKDIR app\n");
    assert_eq!(text, "FROM golang:1.23\nWORKDIR /app\n");
    assert!(matches!(&outcomes[..], [Outcome::Fixed(fix)] if fix.inputs[0].attribute == "path"), "{outcomes:?}");
}

#[test]
fn others_lose_the_right_to_write() {
    becomes(
        "files-made-world-writable",
        "FROM debian:12.8\nRUN mkdir /x && chmod -R 0777 /x && chmod a+rw /y\n",
        "FROM debian:12.8\nRUN mkdir /x && chmod -R 0775 /x && chmod ug+rw,o+r /y\n",
    );
}

#[test]
fn a_command_goes_with_what_connects_it() {
    becomes(
        "password-set-in-build",
        "FROM debian:12.8\nRUN useradd app \\\n && echo 'app:example' | chpasswd \\\n && mkdir /x\n",
        "FROM debian:12.8\nRUN useradd app \\\n && mkdir /x\n",
    );
}

#[test]
fn what_only_a_person_knows_is_taken_as_given() {
    let table = RuleTable::embedded().unwrap();
    let rule = table.find("base-image-without-fixed-tag").unwrap();
    let text = "FROM debian AS build\nFROM nginx:latest\n";
    let folder = folder(&[(NAME, text)]);
    let given = |pairs: &[(&str, &str)]| {
        let values = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut fixer = Fixer::new(&table, &request(&table, folder.path()), Given::from([(rule, values)]));
        let mut records = Vec::new();
        for (root, address) in failing(&table, folder.path(), rule) {
            if let Outcome::Fixed(fix) = fixer.fix(&Subject { rule, root: &root, address: &address })
                && fix.inputs.is_empty()
            {
                fixer.accept(&fix);
                assert!(!fix.effects.contains(&Effect::Replaces));
                records.push(Record { edits: fix.edits, proof: fix.proof, inputs: fix.inputs });
            }
        }
        let mut again = Fixer::new(&table, &request(&table, folder.path()), Given::new());
        again.verify(&records).unwrap();
        assert_eq!(again.text(NAME).unwrap(), fixer.text(NAME).unwrap());
        fixer.text(NAME).unwrap().to_string()
    };
    assert_eq!(given(&[]), text);
    assert_eq!(given(&[("debian", "12.8"), ("nginx", "1.27; rm")]), "FROM debian:12.8 AS build\nFROM nginx:latest\n");
    assert_eq!(given(&[("nginx", "1.27")]), "FROM debian AS build\nFROM nginx:1.27\n");
}
