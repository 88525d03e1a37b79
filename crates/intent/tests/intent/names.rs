use keyblind_intent::*;

fn takes<T: std::str::FromStr>(texts: &[&str]) {
    for text in texts {
        assert!(text.parse::<T>().is_ok(), "{text:?} should be taken");
    }
}

fn refuses<T: std::str::FromStr>(texts: &[&str]) {
    for text in texts {
        assert!(text.parse::<T>().is_err(), "{text:?} should be refused");
    }
}

#[test]
fn owners_and_repositories() {
    takes::<Owner>(&["octocat", "octo-org", "a", "octocat_corp"]);
    refuses::<Owner>(&["", "-a", "a-", "a/b", "a b", "a.b", "octöcat", &"a".repeat(40), "a\n", ".."]);
    takes::<RepositoryName>(&["shop", "my.repo", "_x", "-x", ".github"]);
    refuses::<RepositoryName>(&["", ".", "..", "a/b", "a.git", "a.GIT", "a b", "a%2f", "a\0", &"a".repeat(101)]);
}

#[test]
fn branches_as_git_takes_them() {
    takes::<BranchName>(&["main", "feature/x", "release/1.2", "dependabot/npm_and_yarn/x-1.0", "a@b", "x.y"]);
    refuses::<BranchName>(&[
        "",
        "-x",
        "a..b",
        "a b",
        "a~1",
        "a^",
        "a:b",
        "a?",
        "a*",
        "a[",
        "a\\b",
        "/a",
        "a/",
        "a//b",
        ".a",
        "a/.b",
        "a.lock",
        "a.lock/b",
        "a.",
        "@",
        "a@{1}",
        "HEAD",
        "refs/heads/main",
        "a\x7f",
        "a\n",
        "ma\u{131}n",
        "+main:evil",
    ]);
}

#[test]
fn commits_are_whole() {
    takes::<CommitId>(&["0123456789abcdef0123456789abcdef01234567", &"a".repeat(64)]);
    refuses::<CommitId>(&["", "abc123", "0123456789ABCDEF0123456789ABCDEF01234567", &"a".repeat(41), &"g".repeat(40)]);
}

#[test]
fn paths_mean_one_file_on_every_system() {
    takes::<RepositoryPath>(&[
        "main.tf",
        "envs/prod/main.tf",
        ".github/workflows/ci.yml",
        "a b.tf",
        "größe/x",
        "...x",
        ".gitignore",
        "console.tf",
    ]);
    refuses::<RepositoryPath>(&[
        "",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a/./b",
        ".",
        "..",
        "a//b",
        "a/",
        "a\\b",
        "..\\x",
        "C:\\x",
        "C:x",
        "a:stream",
        ".git/config",
        "x/.GIT/hooks/post-checkout",
        "git~1/config",
        "a./b",
        "a /b",
        "con",
        "x/NUL.tf",
        "com1.txt",
        "LPT9",
        "aux .tf",
        "a\0b",
        "a\nb",
        "a\u{202e}b",
        "a\u{200b}b",
        ".g\u{200d}it/config",
        "a*b",
        "a?b",
        "a\"b",
        "a<b",
        "a|b",
        &"a".repeat(256),
        &"a/".repeat(600),
    ]);
}

#[test]
fn files_that_decide_what_runs_are_told_apart() {
    let decides = |path: &str| path.parse::<RepositoryPath>().unwrap().decides_what_runs();
    for path in [
        ".github/workflows/ci.yml",
        ".GitHub/Workflows/ci.yml",
        ".github/actions/x/run.sh",
        "action.yml",
        "x/ACTION.yaml",
        "CODEOWNERS",
        ".github/CODEOWNERS",
        ".gitattributes",
    ] {
        assert!(decides(path), "{path}");
    }
    for path in ["main.tf", ".github/dependabot.yml", "workflows/ci.yml", "x/.github/workflows/ci.yml"] {
        assert!(!decides(path), "{path}");
    }
}

#[test]
fn resources_of_aws() {
    takes::<Arn>(&["arn:aws:s3:::bucket", "arn:aws:kms:eu-central-1:123456789012:key/abc", "arn:aws-us-gov:iam::123456789012:root"]);
    refuses::<Arn>(&[
        "",
        "bucket",
        "arn:aws:s3:::",
        "arn:aws:s3:::*",
        "arn:aws:s3:::bucket/?",
        "arn:evil:s3:::bucket",
        "arn:aws:s3::12:bucket",
        "arn:aws:S3:::b",
        "arn:aws:s3:moon:123456789012:b",
        "arn:aws:iam::123456789012:role/${aws:username}",
        "arn:aws:s3:::b\"}",
        "arn:aws:s3:::b c",
    ]);
    takes::<Region>(&["eu-central-1", "us-gov-west-1", "ap-southeast-4"]);
    refuses::<Region>(&["", "eu", "eu-central", "eu_central_1", "eu-central-1.evil.example"]);
    takes::<AccountId>(&["123456789012"]);
    refuses::<AccountId>(&["12345678901", "1234567890123", "12345678901a", "１２３４５６７８９０１２"]);
}

#[test]
fn networks_have_one_spelling() {
    takes::<Network>(&["0.0.0.0/0", "10.0.0.0/8", "192.0.2.1/32", "::/0", "2001:db8::/32", "::1/128"]);
    refuses::<Network>(&[
        "",
        "10.0.0.0",
        "10.0.0.1/8",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "010.0.0.0/8",
        "10.0.0.0/+8",
        "2001:DB8::/32",
        "2001:db8:0::/32",
        "::/129",
        "2001:db8::1/32",
        "0/0",
    ]);
}

#[test]
fn versions_of_modules() {
    takes::<ModuleVersion>(&["1.2.3", "0.0.1", "1.2.3-beta.1", "1.2.3+build"]);
    refuses::<ModuleVersion>(&["", "1", "1.2", "1.2.3.4", "v1.2.3", "1.2.x", "~> 1.0", "1.2.3-", "1.2.3/../.."]);
}

#[test]
fn an_error_says_what_is_wanted_and_doesnt_repeat_what_was_said() {
    let error = "a/b\u{1b}[31m".parse::<Owner>().unwrap_err().to_string();
    assert_eq!(error, "this is no owner: 1 to 39 letters, digits, `_` and hyphens inside");
}
