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
    let terraform = "resource \"aws_s3_bucket\" \"a\" {\n  acl    = \"public-read\"\n  bucket = file(\"../secret.txt\")\n  tags = {\n    a = templatefile(\"../../repo/../secret.txt\", {})\n    b = file(\"link.txt\")\n    c = filebase64(\"../secret.txt\")\n    d = filesha256(\"${path.module}/../secret.txt\")\n  }\n}\nmodule \"m\" {\n  source = \"../outside\"\n}\n";
    let repository = Repository::new([
        ("main.tf", terraform),
        (
            "kustomization.yaml",
            "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [../outside/pod.yaml, /etc/passwd, link.yaml]\npatches: [{path: ../secret.txt}]\n",
        ),
        ("Dockerfile", "FROM scratch\nCOPY ../secret.txt /\n"),
        (
            "stack/template.yaml",
            "AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  Inner:\n    Type: AWS::CloudFormation::Stack\n    Properties: {TemplateURL: ../../outside/stack.yaml}\n  Included:\n    Fn::Transform: {Name: AWS::Include, Parameters: {Location: ../../outside/stack.yaml}}\n",
        ),
        (
            ".github/workflows/ci.yml",
            "name: ci\non: push\npermissions: {}\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps: [{uses: ./../outside}, {uses: ./linked}]\n",
        ),
    ]);
    let beside = repository.path().join("..");
    std::fs::write(beside.join("secret.txt"), CANARY).expect("written");
    std::fs::create_dir_all(beside.join("outside")).expect("a folder");
    std::fs::write(beside.join("outside/pod.yaml"), format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {CANARY}}}\n")).expect("written");
    std::fs::write(beside.join("outside/main.tf"), format!("resource \"aws_s3_bucket\" \"{CANARY}\" {{ acl = \"public-read\" }}\n"))
        .expect("written");
    std::fs::write(
        beside.join("outside/stack.yaml"),
        format!("AWSTemplateFormatVersion: '2010-09-09'\nResources:\n  {}:\n    Type: AWS::S3::Bucket\n", CANARY.replace('-', "")),
    )
    .expect("written");
    std::fs::write(
        beside.join("outside/action.yml"),
        format!("name: {CANARY}\nruns: {{using: composite, steps: [{{run: 'echo {CANARY}', shell: bash}}]}}\n"),
    )
    .expect("written");
    for (target, link) in [("../secret.txt", "link.txt"), ("../outside/pod.yaml", "link.yaml"), ("../outside", "linked")] {
        std::os::unix::fs::symlink(target, repository.path().join(link)).expect("a link");
    }
    for format in ["text", "json", "sarif", "html", "page-data", "markdown", "checkov-json"] {
        let outcome = repository.program(["scan", "--format", format, "--persona", "auditor"]).run();
        for canary in [CANARY, &CANARY.replace('-', "")] {
            assert!(!outcome.output.contains(canary) && !outcome.errors.contains(canary), "{format}: {}{}", outcome.output, outcome.errors);
        }
        assert!(outcome.code == Some(3), "{format}: what wasn't read makes it incomplete: {:?}", outcome.code);
    }
}

#[test]
fn no_name_turns_the_direction_of_writing_or_steers_a_terminal() {
    let text = "resource \"aws_s3_bucket\" \"b\" {\n  for_each = toset([\"a\u{202e}gpj.exe\u{2066}\", \"\\u001b[31mred\"])\n  acl      = \"public-read\"\n}\n";
    let repository = Repository::new([("main.tf", text)]);
    for format in ["text", "html", "page-data", "markdown", "github", "csv", "junit"] {
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

#[test]
fn no_fix_reaches_out_of_the_root() {
    let call = "module \"m\" {\n  source = \"../outside\"\n}\nmodule \"n\" {\n  source = \"./linked\"\n}\n";
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET), ("call/main.tf", call)]);
    let outside = repository.path().join("../outside/main.tf");
    std::fs::create_dir_all(outside.parent().expect("a folder")).expect("a folder");
    std::fs::write(&outside, format!("{PUBLIC_BUCKET}# {CANARY}\n")).expect("written");
    std::os::unix::fs::symlink("../../outside", repository.path().join("call/linked")).expect("a link");
    let honest = repository.with_rules(["fix", "--output", "json"]).run();
    let honest: serde_json::Value = serde_json::from_str(&honest.output).expect("it is JSON");
    assert_eq!(honest["fixes"].as_array().map(Vec::len), Some(1), "{honest}");
    let absolute = outside.canonicalize().expect("it is there").to_string_lossy().into_owned();
    for path in ["../outside/main.tf", "call/../../outside/main.tf", "call/linked/main.tf", &absolute, "", "./main.tf", "main.tf\0"] {
        let mut forged = honest.clone();
        forged["fixes"][0]["edits"][0]["path"] = path.into();
        repository.write("forged.json", forged.to_string());
        let outcome = repository.with_rules(["fix", "--verify", "forged.json"]).run();
        assert_eq!(outcome.code, Some(1), "{path:?}: {}", outcome.errors);
        assert!(!outcome.output.contains(CANARY) && !outcome.errors.contains(CANARY), "{path:?}: {}", outcome.errors);
    }
    let before = std::fs::read_to_string(&outside).expect("it is there");
    let outcome = repository.with_rules(["fix", "--write", "--all", "--force"]).run();
    assert!(repository.read("main.tf").contains("\"private\""), "{}", outcome.errors);
    assert_eq!(std::fs::read_to_string(&outside).expect("it is there"), before);
}

#[test]
fn archives_are_not_opened() {
    let repository = Repository::new([("main.tf", PUBLIC_BUCKET)]);
    let packed = repository.path().join("../packed");
    std::fs::create_dir_all(packed.join("templates")).expect("a folder");
    std::fs::write(packed.join("main.tf"), PUBLIC_BUCKET.replace("site", CANARY)).expect("written");
    std::fs::write(packed.join("templates/pod.yaml"), format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {CANARY}}}\n"))
        .expect("written");
    let tar = |arguments: &[&str]| {
        let made = std::process::Command::new("tar").args(arguments).current_dir(&packed).status().expect("tar is there");
        assert!(made.success(), "{arguments:?}");
    };
    let archive = |name: &str| repository.path().join(name).to_string_lossy().into_owned();
    // Names that lead upwards, and an absolute one.
    tar(&["-cf", &archive("up.tar"), "--absolute-names", "../packed/main.tf", &packed.join("main.tf").to_string_lossy()]);
    std::fs::create_dir_all(repository.path().join("charts")).expect("a folder");
    tar(&["-czf", &archive("charts/chart.tgz"), "main.tf", "templates"]);
    // An archive under a name by which it would be read.
    std::fs::copy(repository.path().join("up.tar"), repository.path().join("bundle.yaml")).expect("copied");
    let listed = || {
        let mut names: Vec<_> =
            std::fs::read_dir(repository.path()).expect("it is there").flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let before = listed();
    let outcome = repository.scan(["--format", "json"]);
    assert!(outcome.output.contains("aws_s3_bucket.site") && !outcome.output.contains(CANARY), "{}", outcome.output);
    assert_eq!(listed(), before);
}

#[test]
fn a_diff_shows_what_a_file_hides() {
    let hidden = "  # \u{202e}moc\u{2066} \u{1b}[31m zero\u{200b}width\n";
    let text = PUBLIC_BUCKET.replacen("\n", &format!("\n{hidden}"), 1);
    let repository = Repository::new([("main.tf", text.as_str())]);
    let shown = repository.with_rules(["fix"]).run();
    assert!(shown.output.contains("zero\u{fffd}width") && shown.output.contains("private"), "{}", shown.output);
    for character in ['\u{202e}', '\u{2066}', '\u{1b}', '\u{200b}'] {
        assert!(!shown.output.contains(character), "{character:?} in {}", shown.output);
    }
    // A patch is for a program, and stays what it is.
    let patch = repository.with_rules(["fix", "--output", "patch"]).run();
    assert!(patch.output.contains(hidden.trim_end()), "{}", patch.output);
}
