//! What a change introduces and resolves, told from git's objects alone.

use std::process::Command;

use keyblind_testkit::Outcome;
use serde_json::Value;

use crate::support::{PUBLIC_BUCKET, Repository};

const PRIVATE_BUCKET: &str = "resource \"aws_s3_bucket\" \"site\" {\n  acl = \"private\"\n  versioning {\n    enabled = true\n  }\n}\n";
const CONFIG: &str = "rules = [\"policy\"]\n";
const RULE: &str = "id: bucket-is-public
title: Bucket ACL lets anybody read
severity: high
confidence: high
why: Anybody can download every object.
fix: Set `acl` to `private`.
terraform:
  resources: [aws_s3_bucket]
  fail: {acl: public-read}
examples:
  terraform:
    bad: |
      resource \"aws_s3_bucket\" \"a\" {
        acl = \"public-read\"
      }
    good: |
      resource \"aws_s3_bucket\" \"a\" {
        acl = \"private\"
      }
";

fn git(repository: &Repository, arguments: &[&str]) {
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"];
    let status = Command::new("git").args(identity).args(arguments).current_dir(repository.path()).output().expect("git is there");
    assert!(status.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&status.stderr));
}

fn commit(repository: &Repository, name: &str) {
    git(repository, &["add", "-A"]);
    git(repository, &["commit", "-q", "--allow-empty", "-m", name]);
    git(repository, &["tag", name]);
}

/// A repository whose first commit, `base`, has a policy of its own and the given file.
fn repository(text: &str) -> Repository {
    let repository = Repository::new([("main.tf", text), ("keyblind.toml", CONFIG), ("policy/bucket-is-public.yaml", RULE)]);
    repository.remove(".git/HEAD");
    git(&repository, &["init", "-q"]);
    commit(&repository, "base");
    repository
}

fn diff<'a>(repository: &Repository, arguments: impl IntoIterator<Item = &'a str>) -> Outcome {
    repository.program(["diff", "--rule", "bucket-is-public"]).with(arguments).run()
}

fn json(repository: &Repository) -> Value {
    let outcome = diff(repository, ["base..head", "--format", "json"]);
    serde_json::from_str(&outcome.output).unwrap_or_else(|error| panic!("{error}: {}{}", outcome.output, outcome.errors))
}

fn count(value: &Value) -> usize {
    value.as_array().map_or(0, Vec::len)
}

#[test]
fn what_a_change_introduces_and_resolves_is_told() {
    let repository = repository(PUBLIC_BUCKET);
    repository.write("main.tf", PRIVATE_BUCKET);
    repository.write("new/main.tf", PUBLIC_BUCKET.replace("site", "fresh"));
    commit(&repository, "head");
    // What is checked out doesn't matter.
    repository.write("main.tf", "broken {");
    repository.write("other/main.tf", PUBLIC_BUCKET);
    let report = json(&repository);
    assert_eq!(report["introduced"]["results"][0]["resource"], "aws_s3_bucket.fresh");
    assert_eq!((count(&report["introduced"]["results"]), count(&report["resolved"])), (1, 1), "{report}");
    assert_eq!(report["resolved"][0]["resource"], "aws_s3_bucket.site");
    let outcome = diff(&repository, ["base...head"]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.output.contains("1 finding introduced and 1 resolved"), "{}", outcome.output);
    assert_eq!(diff(&repository, ["head..head"]).code, Some(0));
}

#[test]
fn a_fault_that_moved_is_neither_introduced_nor_resolved() {
    let repository = repository(PUBLIC_BUCKET);
    repository.remove("main.tf");
    repository.write("storage.tf", format!("# moved\n\n{PUBLIC_BUCKET}"));
    commit(&repository, "head");
    let report = json(&repository);
    assert_eq!((count(&report["introduced"]["results"]), count(&report["resolved"])), (0, 0), "{report}");
}

#[test]
fn a_change_cannot_choose_what_it_is_judged_by() {
    // Silenced in the code, by taking the rule away, and by the configuration.
    let silenced = format!("# keyblind:ignore[bucket-is-public] reason=\"fine\"\n{PUBLIC_BUCKET}");
    for (name, file, text) in [
        ("a directive", "main.tf", silenced.as_str()),
        ("an ignore", "keyblind.toml", "rules = [\"policy\"]\nskip-rules = [\"bucket-is-public\"]\n"),
        ("no rules", "keyblind.toml", "rules = []\n"),
    ] {
        let repository = repository(PRIVATE_BUCKET);
        repository.write("main.tf", PUBLIC_BUCKET);
        repository.write(file, text);
        commit(&repository, "head");
        let report = json(&repository);
        let results = report["introduced"]["results"].as_array().cloned().unwrap_or_default();
        let of_rule = |rule: &str| results.iter().filter(|result| result["rule"] == rule).count();
        assert_eq!((of_rule("bucket-is-public"), of_rule("policy-loosened")), (1, usize::from(file != "main.tf")), "{name}: {report}");
        assert_eq!(count(&report["loosened"]), usize::from(file == "main.tf"), "{name}: {report}");
    }
}

#[test]
fn a_directive_that_the_base_has_holds() {
    let silenced = format!("# keyblind:ignore[bucket-is-public] reason=\"fine\"\n{PUBLIC_BUCKET}");
    let repository = repository(&silenced);
    repository.write("main.tf", format!("# a note\n\n{silenced}"));
    commit(&repository, "head");
    let report = json(&repository);
    assert_eq!((count(&report["introduced"]["results"]), count(&report["loosened"])), (0, 0), "{report}");
}

#[test]
fn what_the_base_ignores_is_ignored_in_what_is_new() {
    let repository = repository(PRIVATE_BUCKET);
    repository.write(
        "keyblind.toml",
        format!("{CONFIG}[[ignore]]\nrules = [\"bucket-is-public\"]\npaths = [\"legacy/**\"]\nreason = \"is taken down\"\n"),
    );
    git(&repository, &["tag", "-d", "base"]);
    commit(&repository, "base");
    repository.write("legacy/main.tf", PUBLIC_BUCKET);
    repository.write("fresh/main.tf", PUBLIC_BUCKET);
    commit(&repository, "head");
    let report = json(&repository);
    assert_eq!((count(&report["introduced"]["results"]), count(&report["loosened"])), (1, 0), "{report}");
}

#[test]
fn what_is_not_there_is_said() {
    let repository = repository(PUBLIC_BUCKET);
    for (arguments, message) in
        [(["none..HEAD", "."], "no commit"), (["base", "nowhere"], "neither commit"), (["base", "../elsewhere"], "outside the repository")]
    {
        let outcome = diff(&repository, arguments);
        assert_eq!(outcome.code, Some(2), "{arguments:?}");
        assert!(outcome.errors.contains(message), "{}", outcome.errors);
    }
}

/// Messages about what a change loosens.
fn loosenings(repository: &Repository, arguments: &[&str]) -> Vec<String> {
    let all = ["diff", "base..head", "--format", "json"];
    let outcome = repository.program(all).with(arguments.iter().copied()).run();
    let report: Value =
        serde_json::from_str(&outcome.output).unwrap_or_else(|error| panic!("{error}: {}{}", outcome.output, outcome.errors));
    let results = report["introduced"]["results"].as_array().cloned().unwrap_or_default();
    let loosened = results.iter().filter(|result| result["rule"] == "policy-loosened");
    loosened
        .map(|result| {
            format!("{}:{} {}", result["file"].as_str().unwrap_or_default(), result["line"], result["message"].as_str().unwrap_or_default())
        })
        .collect()
}

#[test]
fn a_change_that_loosens_what_the_next_one_is_judged_by_is_a_finding() {
    let baseline = "{\"rule\":\"bucket-is-public\",\"address\":\"aws_s3_bucket.site\",\"attribute\":\"acl\",\"fingerprint\":\"00112233445566778899aabbccddeeff\"}\n";
    for (text, expected) in [
        ("rules = [\"policy\"]\nskip-rules = [\"bucket-is-public\"]\n", "keyblind.toml:2 1 rule is no longer judged: `bucket-is-public`"),
        ("rules = [\"policy\"]\nmin-severity = \"critical\"\n", "keyblind.toml:2"),
        ("rules = []\n", "keyblind.toml:1 1 of the team's own rules is gone: `bucket-is-public`"),
        ("rules = [\"policy\"]\nfail-on = \"none\"\n", "keyblind.toml:2 `fail-on` is `none` instead of `low`"),
        (
            "rules = [\"policy\"]\n\n[severity]\nbucket-is-public = \"low\"\n",
            "keyblind.toml:4 1 rule is less severe: `bucket-is-public` is low instead of high",
        ),
        ("rules = [\"policy\"]\nexclude = [\"main.*\"]\n", "keyblind.toml:2 `main.*` excludes 1 file that the base judges"),
        (
            "rules = [\"policy\"]\n[[ignore]]\nrules = [\"bucket-is-public\"]\nreason = \"fine\"\nuntil = \"2099-01-31\"\n",
            "keyblind.toml:3 findings of `bucket-is-public` are ignored until 2099-01-31",
        ),
        ("rules = [\"policy\"]\n[suppressions]\nblanket = true\n", "keyblind.toml:3 comments that name no rule silence findings"),
        (
            "rules = [\"policy\"]\nbaseline = \"known.jsonl\"\n",
            "known.jsonl:1 the baseline accepts 1 fault more, or for longer, of `bucket-is-public`",
        ),
        ("rules = [\"policy\"]\nno-such-key = 1\n", "keyblind.toml:1 what the change leaves behind can't be used"),
    ] {
        let repository = repository(PRIVATE_BUCKET);
        repository.write("keyblind.toml", text);
        repository.write("known.jsonl", baseline);
        commit(&repository, "head");
        let found = loosenings(&repository, &[]);
        assert!(found.len() == 1 && found[0].starts_with(expected), "{text}: {found:?}");
        assert_eq!(repository.program(["diff", "base..head", "--fail-on", "critical"]).run().code, Some(1), "{text}");
        assert_eq!(repository.program(["diff", "base..head", "--fail-on", "none"]).run().code, Some(0), "{text}");
        // Every format has it.
        let markdown = repository.program(["diff", "base..head", "--format", "markdown"]).run().output;
        assert!(markdown.contains("loosens"), "{markdown}");
        // The way back loosens nothing.
        let back = repository.program(["diff", "head..base", "--format", "json"]).run();
        assert!(text.contains("no-such-key") || !back.output.contains("policy-loosened"), "{text}: {}{}", back.output, back.errors);
    }
}

#[test]
fn a_rule_of_the_teams_own_that_finds_less_is_a_loosening() {
    let narrower = RULE.replace("fail: {acl: public-read}", "fail: {acl: public-read, bucket: other}");
    let repository = repository(PUBLIC_BUCKET);
    repository.write("policy/bucket-is-public.yaml", narrower);
    commit(&repository, "head");
    assert_eq!(
        loosenings(&repository, &[]),
        [
            "policy/bucket-is-public.yaml:1 the rule `bucket-is-public` no longer finds what its bad example shows",
            "policy/bucket-is-public.yaml:1 the rule `bucket-is-public` no longer finds what is wrong with `aws_s3_bucket.site`",
        ]
    );
    // One that finds more, or says it better, isn't.
    for text in [
        RULE.replace("fail: {acl: public-read}", "fail: {acl: [public-read, public-read-write]}"),
        RULE.replace("Anybody can", "Everybody can"),
    ] {
        repository.write("policy/bucket-is-public.yaml", text);
        commit(&repository, "head-more");
        git(&repository, &["tag", "-f", "head", "head-more"]);
        git(&repository, &["tag", "-d", "head-more"]);
        assert_eq!(loosenings(&repository, &[]), [""; 0]);
    }
}

/// A repository whose base leaves the rule out in every way that there is.
fn lax(text: &str) -> Repository {
    let repository = repository(text);
    let config = "rules = [\"policy\"]\nskip-rules = [\"bucket-is-public\"]\nexclude = [\"**\"]\nfail-on = \"none\"\n[severity]\nbucket-is-public = \"info\"\n[[ignore]]\nrules = [\"bucket-is-public\"]\nreason = \"fine\"\n";
    repository.write("keyblind.toml", config);
    commit(&repository, "lax");
    repository
}

fn floor(repository: &Repository, text: &str) -> Outcome {
    repository.write("../floor.toml", text);
    repository.program(["diff", "lax..head", "--format", "json", "--floor", "../floor.toml"]).run()
}

fn severities(outcome: &Outcome) -> Vec<String> {
    let report: Value =
        serde_json::from_str(&outcome.output).unwrap_or_else(|error| panic!("{error}: {}{}", outcome.output, outcome.errors));
    let results = report["introduced"]["results"].as_array().cloned().unwrap_or_default();
    results
        .iter()
        .map(|result| format!("{} {}", result["rule"].as_str().unwrap_or_default(), result["severity"].as_str().unwrap_or_default()))
        .collect()
}

#[test]
fn no_configuration_goes_below_the_floor() {
    let silenced = format!("# keyblind:ignore[bucket-is-public] reason=\"fine\"\n{PUBLIC_BUCKET}");
    let repository = lax(PRIVATE_BUCKET);
    repository.write("main.tf", &silenced);
    commit(&repository, "head");
    let without = repository.program(["diff", "lax..head", "--format", "json"]).run();
    assert_eq!((without.code, severities(&without)), (Some(5), Vec::new()));

    let outcome = floor(&repository, "select = [\"bucket-is-public\"]\nfail-on = \"high\"\n");
    assert_eq!((outcome.code, severities(&outcome)), (Some(1), vec!["bucket-is-public high".to_owned()]), "{}", outcome.errors);
    let outcome = floor(&repository, "select = [\"bucket-is-*\"]\n[severity]\nbucket-is-public = \"critical\"\n");
    assert_eq!(severities(&outcome), ["bucket-is-public critical"]);
    // What isn't named is up to the repository.
    let outcome = floor(&repository, "select = [\"s3-bucket-acl-public-write\"]\n");
    assert_eq!(severities(&outcome), [""; 0]);
    // Nor does the command line go below it.
    let outcome =
        repository.program(["diff", "lax..head", "--format", "json", "--floor", "../floor.toml", "--skip-rule", "bucket-is-public"]);
    repository.write("../floor.toml", "select = [\"bucket-is-public\"]\n");
    assert_eq!(severities(&outcome.run()), ["bucket-is-public high"]);
}

#[test]
fn a_floor_says_what_may_silence_its_rules() {
    let silenced = format!("# keyblind:ignore[bucket-is-public] reason=\"fine\"\n{PUBLIC_BUCKET}");
    let repository = lax(&silenced);
    repository.write("more.tf", silenced.replace("site", "more"));
    // What the base silences by a comment is silent for the floor only if it says so.
    commit(&repository, "head");
    let select = "select = [\"bucket-is-public\"]\n";
    for (allowed, found) in
        [("", 1), ("[suppressions]\ncomments = true\n", 1), ("[suppressions]\nignore = true\n", 0), ("[suppressions]\nexclude = true\n", 0)]
    {
        let outcome = floor(&repository, &format!("{select}{allowed}"));
        assert_eq!(severities(&outcome).len(), found, "{allowed}: {}{}", outcome.output, outcome.errors);
    }
    let own = format!("{select}[[ignore]]\nrules = [\"bucket-is-public\"]\npaths = [\"more.tf\"]\nreason = \"agreed\"\n");
    assert_eq!(severities(&floor(&repository, &own)).len(), 0);
}

#[test]
fn a_floor_in_the_repository_is_the_bases() {
    let repository = repository(PRIVATE_BUCKET);
    repository.write("floor.toml", "select = [\"bucket-is-public\"]\nfail-on = \"low\"\n");
    repository.write("keyblind.toml", "rules = [\"policy\"]\nselect = [\"s3-bucket-acl-public-write\"]\n");
    commit(&repository, "lax");
    repository.write("main.tf", PUBLIC_BUCKET);
    repository.write("floor.toml", "select = [\"s3-bucket-acl-public-write\"]\n");
    commit(&repository, "head");
    let outcome = repository.program(["diff", "lax..head", "--format", "json", "--floor", "floor.toml"]).run();
    assert_eq!(severities(&outcome), ["bucket-is-public high"]);
    for (arguments, message) in [
        (["base..head", "--floor", "floor.toml"], "can't be used: in the base"),
        (["base..head", "--floor", "../nowhere.toml"], "can't be used"),
    ] {
        let outcome = repository.program(["diff"]).with(arguments).run();
        assert_eq!(outcome.code, Some(2), "{arguments:?}");
        assert!(outcome.errors.contains(message), "{}", outcome.errors);
    }
    for (text, message) in [
        ("selct = []\n", "did you mean `select`?"),
        ("select = [\"nothing-of-the-kind\"]\n", "floor.toml:1"),
        ("fail-on = \"new\"\n", "a severity"),
    ] {
        repository.write("../floor.toml", text);
        let outcome = repository.program(["diff", "base..head", "--floor", "../floor.toml"]).run();
        assert_eq!(outcome.code, Some(2), "{text}");
        assert!(outcome.errors.contains(message), "{text}: {}", outcome.errors);
    }
}
