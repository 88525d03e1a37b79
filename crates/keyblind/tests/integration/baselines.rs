//! Known findings.

use crate::support::{PUBLIC_BUCKET, Repository, results};

const WRITE: [&str; 4] = ["baseline", "write", "--baseline", "known.jsonl"];
const NEW: [&str; 4] = ["--baseline", "known.jsonl", "--fail-on", "new"];

fn written(repository: &Repository) {
    let outcome = repository.with_rules(WRITE).run();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
}

#[test]
fn known_findings_do_not_count_and_new_ones_do() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    written(&repository);
    let line = repository.read("known.jsonl");
    assert!(
        line.starts_with("{\"rule\":\"bucket-acl-public\",\"address\":\"aws_s3_bucket.site\",\"attribute\":\"acl\",\"fingerprint\":\""),
        "{line}"
    );
    assert_eq!(repository.scan(NEW).code, Some(0));
    repository.write("more.tf", PUBLIC_BUCKET.replace("site", "other"));
    let report = repository.report(NEW);
    assert_eq!(results(&report), ["bucket-acl-public aws_s3_bucket.site suppressed", "bucket-acl-public aws_s3_bucket.other failed"]);
    assert_eq!(repository.scan(NEW).code, Some(1));
}

#[test]
fn a_second_equal_fault_is_exactly_one_new_finding() {
    let repository = Repository::new([("a/main.tf", PUBLIC_BUCKET)]);
    written(&repository);
    repository.write("b/main.tf", PUBLIC_BUCKET);
    let report = repository.report(NEW);
    assert_eq!((&report["summary"]["failed"], &report["summary"]["suppressed"]), (&1.into(), &1.into()));
}

#[test]
fn moving_renaming_and_reformatting_leave_nothing_new() {
    let bucket = |name: &str| PUBLIC_BUCKET.replace("site", name);
    let repository = Repository::new([("main.tf", format!("{}{}", bucket("a"), bucket("b")).as_str())]);
    written(&repository);
    repository.remove("main.tf");
    repository.write("buckets.tf", format!("# moved\n\n\n{}", bucket("b").replace("  acl = ", "\n    acl     =    ")));
    repository.write("more.tf", format!("\u{feff}/* and this one */\n{}", bucket("a").replace('\n', "\r\n")));
    let report = repository.report(NEW);
    assert_eq!(
        (&report["summary"]["failed"], &report["summary"]["suppressed"], &report["summary"]["baseline_gone"]),
        (&0.into(), &2.into(), &0.into())
    );
}

#[test]
fn a_renamed_resource_stays_known_if_a_moved_block_says_so() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    written(&repository);
    repository.write("main.tf", PUBLIC_BUCKET.replace("site", "website"));
    assert_eq!(repository.scan(NEW).code, Some(1));
    repository.write("moved.tf", "moved {\n  from = aws_s3_bucket.site\n  to   = aws_s3_bucket.website\n}\n");
    assert_eq!(repository.scan(NEW).code, Some(0));
}

#[test]
fn what_a_called_module_renamed_stays_known_too() {
    let call = "module \"web\" {\n  source = \"./web\"\n}\n";
    let repository = Repository::new([("main.tf", call), ("web/main.tf", PUBLIC_BUCKET)]);
    written(&repository);
    repository.write("web/main.tf", PUBLIC_BUCKET.replace("site", "website"));
    assert_eq!(repository.scan(NEW).code, Some(1));
    repository.write("web/moved.tf", "moved {\n  from = aws_s3_bucket.site\n  to   = aws_s3_bucket.website\n}\n");
    assert_eq!(repository.scan(NEW).code, Some(0));
    // The call is renamed as well.
    repository.write("main.tf", call.replace("\"web\" {", "\"front\" {"));
    assert_eq!(repository.scan(NEW).code, Some(1));
    repository.write("moved.tf", "moved {\n  from = module.web\n  to   = module.front\n}\n");
    assert_eq!(repository.scan(NEW).code, Some(0));
}

#[test]
fn pruning_takes_out_what_is_mended_and_writing_keeps_what_people_wrote() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET), ("b.tf", PUBLIC_BUCKET.replace("site", "b").as_str())]);
    let outcome = repository.with_rules(WRITE).with(["--reason", "inherited", "--expires", "never"]).run();
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    repository.write("b.tf", "");
    assert!(repository.scan(NEW).output.contains("1 known fault no longer there"));
    let outcome = repository.with_rules(["baseline", "prune", "--baseline", "known.jsonl"]).run();
    assert_eq!(outcome.errors, "1 fault taken out, 1 left\n");
    written(&repository);
    let text = repository.read("known.jsonl");
    assert_eq!(text.lines().count(), 1);
    assert!(text.contains("\"reason\":\"inherited\""), "{text}");
}

#[test]
fn an_entry_that_ended_counts_again() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    assert_eq!(repository.with_rules(WRITE).with(["--expires", "2020-01-01"]).run().code, Some(0));
    assert_eq!(repository.scan(NEW).code, Some(1));
    let outcome = repository.with_rules(["baseline", "explain", "--baseline", "known.jsonl"]).run();
    assert!(outcome.output.contains("ended on 2020-01-01: it counts again"), "{}", outcome.output);
}

#[test]
fn a_baseline_is_not_written_from_half_of_the_input() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    written(&repository);
    let before = repository.read("known.jsonl");
    repository.write("main.tf", "resource \"aws_s3_bucket\" {{\n");
    for command in ["write", "prune"] {
        assert_eq!(repository.with_rules(["baseline", command, "--baseline", "known.jsonl"]).run().code, Some(2));
    }
    assert_eq!(repository.read("known.jsonl"), before);
}

#[test]
fn a_baseline_loses_nothing_that_was_not_judged() {
    let repository = Repository::new([("a/main.tf", PUBLIC_BUCKET), ("b/main.tf", "resource \"aws_s3_bucket\" \"b\" {}\n")]);
    written(&repository);
    let before = repository.read("known.jsonl");
    for command in ["write", "prune"] {
        let outcome = repository.with_rules(["baseline", command, "--baseline", "known.jsonl", "a"]).run();
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(outcome.errors.contains("only a part of that was given"), "{}", outcome.errors);
        let outcome = repository.with_rules(["baseline", command, "--baseline", "known.jsonl", "--rule", "bucket-acl-public"]).run();
        assert_eq!(outcome.code, Some(0), "{outcome:?}");
        assert_eq!(repository.read("known.jsonl"), before);
    }
    assert_eq!(repository.report(["a", "--baseline", "known.jsonl"])["summary"]["baseline_gone"], 0);
}
