//! The same answers from a process that can do nothing else.
#![cfg(target_os = "linux")]

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use keyblind_testkit::Outcome;

use crate::support::{PUBLIC_BUCKET, Repository};

/// What is said aloud: past the harness, which keeps what a passing test prints.
fn aloud(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "\n*** {text}\n");
}

/// What a sandbox says of this kernel, apart from the rest.
fn without_sandbox(outcome: Outcome) -> (Option<i32>, String, String) {
    let mut errors = String::new();
    for line in outcome.errors.lines() {
        match line.strip_prefix("sandbox: ") {
            Some(missing) => aloud(&format!("NOT ENFORCED HERE: {missing}")),
            None => writeln!(errors, "{line}").expect("a text takes a line"),
        }
    }
    (outcome.code, outcome.output, errors)
}

fn repository() -> Repository {
    Repository::new([
        ("main.tf", PUBLIC_BUCKET),
        ("envs/prod/main.tf", "module \"m\" {\n  source = \"../../modules/m\"\n}\n"),
        ("modules/m/main.tf", "resource \"aws_s3_bucket\" \"b\" {\n  acl = \"public-read\"\n}\n"),
        ("broken.tf", "resource \"aws_s3_bucket\" {{\n"),
        ("keyblind.toml", "[[ignore]]\nrules = [\"bucket-without-versioning\"]\npaths = [\"modules/**\"]\nreason = \"old\"\n"),
    ])
}

#[test]
fn a_scan_says_the_same_in_every_format() {
    let repository = repository();
    for format in
        ["text", "json", "sarif", "markdown", "html", "page-data", "junit", "gitlab-sast", "codequality", "github", "csv", "checkov-json"]
    {
        for more in [&[][..], &["--fixes", "--color", "always"]] {
            let plain = repository.scan(["--format", format].into_iter().chain(more.iter().copied()));
            let confined = repository.scan(["--format", format, "--sandbox"].into_iter().chain(more.iter().copied()));
            assert_eq!(plain.code, Some(3), "{}", plain.errors);
            assert!(!plain.output.is_empty());
            assert_eq!(without_sandbox(plain), without_sandbox(confined), "{format}");
        }
    }
}

#[test]
fn fixes_are_looked_for_and_proven_there_too() {
    let repository = repository();
    for output in [&["--output", "json"][..], &["--output", "patch"], &[]] {
        let plain = repository.with_rules(["fix"]).with(output.iter().copied()).run();
        let confined = repository.with_rules(["fix", "--sandbox"]).with(output.iter().copied()).run();
        assert!(plain.output.contains("private"), "{plain:?}");
        assert_eq!(without_sandbox(plain), without_sandbox(confined));
    }
    for refused in [&["--write"][..], &["--interactive"]] {
        let outcome = repository.with_rules(["fix", "--sandbox"]).with(refused.iter().copied()).run();
        assert_eq!(outcome.code, Some(2), "{}", outcome.errors);
        assert!(repository.read("main.tf").contains("public-read"));
    }
}

#[test]
fn reports_are_written_to_the_files_that_were_named() {
    let repository = repository();
    let outputs = |folder: &str| [format!("sarif={folder}/a.sarif"), format!("json={folder}/b.json")];
    for (folder, more) in [("../plain", None), ("../confined", Some("--sandbox"))] {
        std::fs::create_dir(repository.path().join(folder)).expect("a folder can be made");
        let [first, second] = outputs(folder);
        let outcome = repository.scan(["--output", &first, "--output", &second].into_iter().chain(more));
        assert_eq!(outcome.code, Some(3), "{}", outcome.errors);
    }
    for name in ["a.sarif", "b.json"] {
        let read = |folder: &str| std::fs::read_to_string(repository.path().join(folder).join(name)).expect("it is there");
        assert!(read("../plain").len() > 100);
        assert_eq!(read("../plain"), read("../confined"), "{name}");
    }
    let left: Vec<_> = std::fs::read_dir(repository.path().join("../confined")).expect("it is there").flatten().collect();
    assert_eq!(left.len(), 2, "no half of a report is left: {left:?}");
}

#[test]
fn standard_input_comes_through_the_pipe() {
    let repository = repository();
    // More than a pipe holds, both ways.
    let text = (0..3_000).fold(String::new(), |text, number| text + &PUBLIC_BUCKET.replace("site", &format!("site{number}")));
    let scan = |more: &[&str]| {
        let program = repository.with_rules(["scan", "-", "--stdin-filename", "new.tf", "--format", "json"]);
        program.with(more.iter().copied()).input(text.clone()).run()
    };
    let (plain, confined) = (scan(&[]), scan(&["--sandbox"]));
    assert!(plain.output.matches("bucket-acl-public").count() >= 3_000);
    assert_eq!(without_sandbox(plain), without_sandbox(confined));
}

#[test]
fn what_the_repository_names_outside_itself_is_not_read() {
    let repository = repository();
    repository.write("keyblind.toml", "rules = [\"../rules\"]\n");
    let scan = |more: &[&str]| {
        repository.program(["scan", "--no-builtin-rules", "--format", "json"]).with(["--rules", "."]).with(more.iter().copied()).run()
    };
    assert!(scan(&[]).output.contains("bucket-acl-public"), "the control");
    let confined = scan(&["--sandbox"]);
    if confined.errors.contains("sandbox: files") {
        return aloud("NOT ENFORCED HERE: files outside the repository can be read: the report of the sandbox says so");
    }
    assert!(!confined.output.contains("bucket-acl-public"), "{}", confined.output);
    assert!(confined.errors.to_lowercase().contains("permission denied"), "{}", confined.errors);
}

#[test]
fn required_means_all_of_it() {
    let repository = repository();
    let available = repository.scan(["--sandbox"]);
    let required = repository.scan(["--sandbox=required"]);
    let missing: Vec<&str> = available.errors.lines().filter_map(|line| line.strip_prefix("sandbox: ")).collect();
    if missing.is_empty() {
        assert_eq!(required.code, Some(3), "{}", required.errors);
        assert_eq!(required.output, available.output);
    } else {
        aloud("NOT ENFORCED HERE: that is why `--sandbox=required` has to refuse");
        assert_eq!((required.code, required.output.as_str()), (Some(4), ""));
        assert!(missing.iter().all(|line| required.errors.contains(line)), "{}", required.errors);
    }
    let told = repository.scan(["--sandbox", "--verbose"]);
    for measure in ["not-dumpable", "no-core", "files", "scope", "system-calls", "environment", "descriptors"] {
        assert!(told.errors.contains(&format!("sandbox: {measure}: ")), "{}", told.errors);
    }
}

#[test]
fn nobody_starts_a_leaf_by_hand() {
    let outcome = repository().program(["leaf"]).run();
    assert_eq!(outcome.code, Some(4));
    assert!(outcome.errors.contains("is started by other commands"), "{}", outcome.errors);
}

/// A scan of its standard input in a leaf, which waits for that input: time enough to look.
fn waiting(repository: &Repository, output: Stdio) -> Child {
    let mut program = Command::new(env!("CARGO_BIN_EXE_keyblind"));
    program
        .args(["scan", "-", "--stdin-filename", "new.tf", "--sandbox"])
        .current_dir(repository.path())
        .env("CANARY", "in-the-environment");
    program.stdin(Stdio::piped()).stdout(output).stderr(Stdio::null()).spawn().expect("the program can be started")
}

/// The leaf that a program started, once it is bound, and what the kernel says of it.
fn leaf_of(program: &Child) -> (u32, String) {
    let children = format!("/proc/{0}/task/{0}/children", program.id());
    let leaf = (0..200).find_map(|_| {
        std::thread::sleep(Duration::from_millis(10));
        let leaf: u32 = std::fs::read_to_string(&children).ok()?.split_whitespace().next()?.parse().ok()?;
        let status = std::fs::read_to_string(format!("/proc/{leaf}/status")).ok()?;
        status.contains("Seccomp:\t2").then_some((leaf, status))
    });
    leaf.expect("there is a process with a filter")
}

#[test]
fn the_process_that_reads_is_bare() {
    let repository = repository();
    let mut program = waiting(&repository, Stdio::piped());
    let (leaf, status) = leaf_of(&program);
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("CapEff:\t0000000000000000"), "{status}");
    let command = std::fs::read(format!("/proc/{leaf}/cmdline")).expect("anybody may read it");
    assert_eq!(command, b"keyblind\0leaf\0");
    match (std::fs::read(format!("/proc/{leaf}/environ")), std::fs::read_dir(format!("/proc/{leaf}/fd"))) {
        (Ok(environment), Ok(open)) => {
            assert!(environment.is_empty(), "{}", String::from_utf8_lossy(&environment));
            let mut open: Vec<String> = open.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
            open.sort();
            assert_eq!(open, ["0", "1", "2", "3"]);
        }
        // Who isn't root can't look into a process that isn't dumpable: that is the point of it.
        (Err(error), _) | (_, Err(error)) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
    drop(program.stdin.take());
    let ended = program.wait_with_output().expect("it ends");
    assert!(ended.status.code().is_some());
}

#[test]
fn it_ends_with_who_started_it() {
    let repository = repository();
    let mut program = waiting(&repository, Stdio::null());
    let (leaf, _) = leaf_of(&program);
    program.kill().expect("it can be killed");
    program.wait().expect("it ends");
    let is_there = || std::fs::read_to_string(format!("/proc/{leaf}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    let is_gone = (0..100).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        !is_there()
    });
    assert!(is_gone, "process {leaf} lives on");
}

/// An archive of the repository's files, as the usual program makes it.
fn archive(repository: &Repository, more: &[&str]) -> String {
    let path = repository.path().join("../tree.tar");
    let status = Command::new("tar").arg("-cf").arg(&path).args(more).arg(".").current_dir(repository.path()).status();
    assert!(status.expect("a `tar` program is on the machine").success());
    path.display().to_string()
}

#[test]
fn an_archive_is_judged_like_the_folder_that_it_was_made_of() {
    let repository = repository();
    std::os::unix::fs::symlink("main.tf", repository.path().join("link.txt")).expect("a link can be made");
    let archive = archive(&repository, &["--exclude=./.git"]);
    let plain = repository.scan(["--format", "json"]);
    let confined = repository.scan(["--format", "json", "--archive", &archive]);
    assert_eq!(confined.code, Some(3), "{}", confined.errors);
    let results = |outcome: &Outcome| crate::support::results(&serde_json::from_str(&outcome.output).expect("a report"));
    assert!(results(&plain).len() >= 2);
    assert_eq!(results(&plain), results(&confined));
    assert!(confined.errors.contains("1 symbolic link of the archive left out"), "{}", confined.errors);
    let text = repository.scan(["--archive", &archive]);
    assert!(text.output.contains("main.tf:2") && !text.output.contains("/tmp"), "{}", text.output);
}

#[test]
fn a_hostile_archive_leaves_nothing_anywhere() {
    let repository = repository();
    let archive = archive(&repository, &["--transform=s,^./main.tf,../../slipped.tf,", "--absolute-names"]);
    let outcome = repository.scan(["--archive", &archive]);
    assert_eq!((outcome.code, outcome.output.as_str()), (Some(4), ""), "{}", outcome.errors);
    assert!(outcome.errors.contains("leads out of the tree"), "{}", outcome.errors);
    assert!(!std::env::temp_dir().join("slipped.tf").exists());
    repository.write("no.tar", "this is no archive, and longer than a block of one would be if it were one".repeat(20));
    let outcome = repository.scan(["--archive", "no.tar"]);
    assert!(outcome.errors.contains("no tar archive"), "{}", outcome.errors);
}
