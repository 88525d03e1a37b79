//! What is judged, and what may be read.

use crate::support::{PUBLIC_BUCKET, Repository, SOUND_BUCKET};

const CALLER: &str = "module \"m\" {\n  source = \"../../modules/bucket\"\n}\n";

#[test]
fn modules_elsewhere_in_the_repository_are_read_but_not_judged_by_themselves() {
    let repository =
        Repository::new([("envs/prod/main.tf", CALLER), ("modules/bucket/main.tf", PUBLIC_BUCKET), ("envs/dev/main.tf", PUBLIC_BUCKET)]);
    let report = repository.report(["envs/prod"]);
    assert_eq!(crate::support::results(&report), ["bucket-acl-public module.m.aws_s3_bucket.site failed"]);
    assert_eq!(report["results"][0]["file"], "modules/bucket/main.tf");
    assert_eq!(report["results"][0]["root"], "envs/prod");
}

#[test]
fn nothing_outside_the_trust_root_is_read() {
    let repository = Repository::new([("envs/prod/main.tf", CALLER), ("modules/bucket/main.tf", PUBLIC_BUCKET)]);
    let report = repository.report(["envs/prod", "--root", "envs"]);
    assert_eq!(crate::support::results(&report), Vec::<String>::new());
    assert_eq!(report["summary"]["incomplete"], true);
    std::os::unix::fs::symlink("/etc/hostname", repository.path().join("envs/prod/host.tf")).unwrap();
    let report = repository.report([]);
    let codes: Vec<_> = report["diagnostics"].as_array().unwrap().iter().map(|diagnostic| diagnostic["code"].as_str().unwrap()).collect();
    assert_eq!(codes, ["link-leaves-root"]);
}

#[test]
fn a_single_file_is_judged_with_its_module_and_reported_alone() {
    let repository = Repository::new([
        ("a.tf", "resource \"aws_s3_bucket\" \"a\" {\n  acl = var.acl\n}\n"),
        ("b.tf", "variable \"acl\" {\n  default = \"public-read\"\n}\nresource \"aws_s3_bucket\" \"b\" {\n  acl = var.acl\n}\n"),
    ]);
    assert_eq!(repository.results(["a.tf", "--rule", "bucket-acl-public"]), ["bucket-acl-public aws_s3_bucket.a failed"]);
}

#[test]
fn standard_input_stands_for_a_file_of_its_module() {
    let repository = Repository::new([("vars.tf", "variable \"acl\" {\n  default = \"public-read\"\n}\n"), ("main.tf", SOUND_BUCKET)]);
    let program = repository.with_rules(["scan", "-", "--stdin-filename", "main.tf", "--format", "json"]);
    let outcome = program.input("resource \"aws_s3_bucket\" \"typed\" {\n  acl = var.acl\n}\n").run();
    let report: serde_json::Value = serde_json::from_str(&outcome.output).unwrap();
    assert_eq!(
        crate::support::results(&report),
        ["bucket-without-versioning aws_s3_bucket.typed failed", "bucket-acl-public aws_s3_bucket.typed failed"]
    );
    assert_eq!(report["results"][0]["file"], "main.tf");
}

#[test]
fn values_come_from_the_command_line_and_files() {
    let repository = Repository::new([
        ("main.tf", "variable \"acl\" {}\nresource \"aws_s3_bucket\" \"a\" {\n  acl = var.acl\n}\n"),
        ("bad.tfvars", "acl = \"public-read\"\n"),
    ]);
    let status = |arguments: &[&str]| {
        let all = ["--rule", "bucket-acl-public", "--include", "passed,unknown"].into_iter().chain(arguments.iter().copied());
        repository.results(all).join("\n")
    };
    assert_eq!(status(&[]), "bucket-acl-public aws_s3_bucket.a unknown");
    assert_eq!(status(&["--var", "acl=private"]), "bucket-acl-public aws_s3_bucket.a passed");
    assert_eq!(status(&["--var-file", "bad.tfvars"]), "bucket-acl-public aws_s3_bucket.a failed");
    assert_eq!(status(&["--var-file", "bad.tfvars", "--var", "acl=private"]), "bucket-acl-public aws_s3_bucket.a passed");
}

#[test]
fn a_plan_is_recognised_by_what_it_holds() {
    let plan = r#"{"format_version":"1.2","planned_values":{"root_module":{"resources":[{"address":"aws_s3_bucket.a","mode":"managed","type":"aws_s3_bucket","name":"a","values":{"acl":"public-read","versioning":[{"enabled":true}]}}]}}}"#;
    let repository = Repository::new([("plans/tfplan.json", plan), ("package.json", "{}")]);
    let report = repository.report([]);
    assert_eq!(crate::support::results(&report), ["bucket-acl-public aws_s3_bucket.a failed"]);
    assert_eq!(report["results"][0]["dialect"], "terraform-plan");
    assert_eq!(report["summary"]["files"]["not_judged"]["json"], 1);
}

#[test]
fn the_same_block_reached_from_several_roots_is_reported_once() {
    let repository =
        Repository::new([("envs/prod/main.tf", CALLER), ("envs/dev/main.tf", CALLER), ("modules/bucket/main.tf", PUBLIC_BUCKET)]);
    let report = repository.report([]);
    assert_eq!(crate::support::results(&report), ["bucket-acl-public module.m.aws_s3_bucket.site failed"]);
    assert_eq!(report["summary"]["roots"], 2);
}

#[test]
fn findings_of_a_plan_are_shown_in_its_code() {
    let plan = r#"{"format_version":"1.2","planned_values":{"root_module":{"child_modules":[{"address":"module.m","resources":[{"address":"module.m.aws_s3_bucket.site[1]","mode":"managed","type":"aws_s3_bucket","name":"site","index":1,"values":{"acl":"public-read","versioning":[{"enabled":true}]}}]}]}}}"#;
    let code = "variable \"acl\" {}\nmodule \"m\" {\n  source = \"./m\"\n  acl    = var.acl\n}\n";
    let module =
        "variable \"acl\" {}\nresource \"aws_s3_bucket\" \"site\" {\n  count = var.n\n  acl   = var.acl\n  #checkov:skip=CKV_TEST_21\n}\n";
    let repository = Repository::new([("tfplan.json", plan), ("code/main.tf", code), ("code/m/main.tf", module)]);
    let report = repository.report(["tfplan.json", "--src", "code"]);
    assert_eq!(crate::support::results(&report), ["bucket-acl-public module.m.aws_s3_bucket.site[1] failed"]);
    let result = &report["results"][0];
    assert_eq!((&result["file"], &result["line"], &result["column"]), (&"code/m/main.tf".into(), &4.into(), &11.into()));
    assert_eq!(result["evidence"][0]["value"], "\"public-read\"");
    assert_eq!(result["evidence"][0]["origin"][1]["message"], "`module.m` passes `acl`");
    assert_eq!(report["summary"]["roots"], 1, "the code itself isn't judged");
}
