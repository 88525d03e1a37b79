//! Repositories that want to harm whoever scans them: each ends with a clear word about what was not read, and nothing from
//! outside the repository gets into a report.

use crate::support::{PUBLIC_BUCKET, Repository};

const CANARY: &str = "canary-from-outside-the-root";

/// Ten of the level below, again and again.
fn bomb(head: &str) -> String {
    let mut text = format!("{head}a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{below}]\n"));
    }
    text
}

#[test]
fn a_yaml_bomb_costs_itself() {
    for head in ["apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n", "AWSTemplateFormatVersion: '2010-09-09'\nResources: {}\n"] {
        let repository = Repository::new([("bomb.yaml", bomb(head).as_str()), ("main.tf", PUBLIC_BUCKET)]);
        let outcome = repository.scan(["--format", "json"]);
        assert_eq!(outcome.code, Some(3), "{}", outcome.errors);
        assert!(outcome.output.contains("bomb.yaml") && outcome.output.contains("aliases followed"), "{}", outcome.output);
        assert!(outcome.output.contains("aws_s3_bucket.site"), "the rest is judged");
    }
}

#[test]
fn what_is_nested_without_end_is_said_and_left() {
    let deep_json = format!("{{\"AWSTemplateFormatVersion\":\"2010-09-09\",\"Resources\":{}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let deep_yaml = format!("apiVersion: v1\nkind: Pod\nspec: {}{}\n", "[".repeat(50_000), "]".repeat(50_000));
    let deep_hcl = format!("locals {{\n  a = {}1{}\n}}\n", "(".repeat(50_000), ")".repeat(50_000));
    let repository = Repository::new([
        ("a.json", deep_json.as_str()),
        ("b.yaml", deep_yaml.as_str()),
        ("deep/c.tf", deep_hcl.as_str()),
        ("main.tf", PUBLIC_BUCKET),
    ]);
    let outcome = repository.scan(["--format", "json"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.errors);
    for file in ["a.json", "b.yaml", "c.tf"] {
        assert!(outcome.output.contains(file), "{file} is named: {}", &outcome.output[..outcome.output.len().min(2_000)]);
    }
    assert!(outcome.output.contains("aws_s3_bucket.site"));
}

#[test]
fn nothing_from_outside_the_root_is_shown() {
    let terraform = "resource \"aws_s3_bucket\" \"a\" {\n  acl    = \"public-read\"\n  bucket = file(\"../secret.txt\")\n  tags = {\n    a = templatefile(\"../../repo/../secret.txt\", {})\n    b = file(\"link.txt\")\n  }\n}\nmodule \"m\" {\n  source = \"../outside\"\n}\n";
    let repository = Repository::new([
        ("main.tf", terraform),
        (
            "kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../outside/pod.yaml, /etc/passwd, link.yaml]\npatches: [{path: ../secret.txt}]\n",
        ),
        ("Dockerfile", "FROM scratch\nCOPY ../secret.txt /\n"),
    ]);
    let beside = repository.path().join("..");
    std::fs::write(beside.join("secret.txt"), CANARY).expect("written");
    std::fs::create_dir_all(beside.join("outside")).expect("a folder");
    std::fs::write(beside.join("outside/pod.yaml"), format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {CANARY}}}\n")).expect("written");
    std::fs::write(beside.join("outside/main.tf"), format!("resource \"aws_s3_bucket\" \"{CANARY}\" {{ acl = \"public-read\" }}\n"))
        .expect("written");
    for (target, link) in [("../secret.txt", "link.txt"), ("../outside/pod.yaml", "link.yaml"), ("../outside", "linked")] {
        std::os::unix::fs::symlink(target, repository.path().join(link)).expect("a link");
    }
    for format in ["text", "json", "sarif", "html", "markdown", "checkov-json"] {
        let outcome = repository.program(["scan", "--format", format, "--persona", "auditor"]).run();
        assert!(!outcome.output.contains(CANARY) && !outcome.errors.contains(CANARY), "{format}: {}{}", outcome.output, outcome.errors);
        assert!(outcome.code == Some(3), "{format}: what wasn't read makes it incomplete: {:?}", outcome.code);
    }
}

#[test]
fn no_name_turns_the_direction_of_writing_or_steers_a_terminal() {
    let text = "resource \"aws_s3_bucket\" \"b\" {\n  for_each = toset([\"a\u{202e}gpj.exe\u{2066}\", \"\\u001b[31mred\"])\n  acl      = \"public-read\"\n}\n";
    let repository = Repository::new([("main.tf", text)]);
    for format in ["text", "html", "markdown", "github", "csv", "junit"] {
        let outcome = repository.scan(["--format", format]);
        assert_eq!(outcome.code, Some(1), "{format}: {}", outcome.errors);
        for character in ['\u{202e}', '\u{2066}', '\u{1b}'] {
            assert!(!outcome.output.contains(character), "{format}: {character:?} in {}", outcome.output);
        }
    }
}

#[test]
fn links_in_a_ring_and_pipes_end() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    for (target, link) in [("b.tf", "a.tf"), ("a.tf", "b.tf"), (".", "self"), ("self.yaml", "self.yaml")] {
        std::os::unix::fs::symlink(target, repository.path().join(link)).expect("a link");
    }
    let made = std::process::Command::new("mkfifo").arg(repository.path().join("pipe.tf")).status().expect("mkfifo is there");
    assert!(made.success());
    let outcome = repository.scan(["--format", "json"]);
    assert_eq!(outcome.code, Some(3), "{}", outcome.errors);
    assert!(outcome.output.contains("aws_s3_bucket.site"));
}
