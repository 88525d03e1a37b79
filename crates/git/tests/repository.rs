//! What is read is what the git program wrote.

use std::path::Path;
use std::process::Command;

use keyblind_dialects::{Listing, Tree};
use keyblind_git::{GitError, Repository};

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("git is there");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// Two commits on main, one on a branch that left after the first.
fn repository() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let top = folder.path();
    git(top, &["init", "-q"]);
    std::fs::create_dir_all(top.join("modules/net")).expect("a folder");
    std::fs::write(top.join("main.tf"), "one\n").expect("written");
    std::fs::write(top.join("modules/net/main.tf"), "net\n").expect("written");
    std::os::unix::fs::symlink("modules/net", top.join("shared")).expect("a link");
    std::os::unix::fs::symlink("/etc/passwd", top.join("passwd")).expect("a link");
    std::os::unix::fs::symlink("../../outside", top.join("outside")).expect("a link");
    std::os::unix::fs::symlink("ring", top.join("ring")).expect("a link");
    git(top, &["add", "-A"]);
    git(top, &["commit", "-q", "-m", "one"]);
    git(top, &["tag", "-a", "v1", "-m", "first"]);
    git(top, &["checkout", "-q", "-b", "topic"]);
    std::fs::write(top.join("main.tf"), "topic\n").expect("written");
    git(top, &["commit", "-q", "-a", "-m", "topic"]);
    git(top, &["checkout", "-q", "main"]);
    std::fs::write(top.join("main.tf"), "two\n").expect("written");
    git(top, &["commit", "-q", "-a", "-m", "two"]);
    folder
}

#[test]
fn commits_have_the_names_that_git_gives_them() {
    let folder = repository();
    for packed in [false, true] {
        if packed {
            git(folder.path(), &["gc", "-q"]);
        }
        let repository = Repository::discover(&folder.path().join("modules")).expect("a repository");
        for name in ["HEAD", "@", "main", "topic", "v1", "refs/heads/topic", "HEAD~1", "main^", "HEAD^0", "v1~0"] {
            let peeled = format!("{name}^{{commit}}");
            assert_eq!(repository.commit(name).map(|id| id.to_string()), Ok(git(folder.path(), &["rev-parse", &peeled])), "{name}");
        }
        let short = git(folder.path(), &["rev-parse", "--short=8", "HEAD"]);
        assert_eq!(repository.commit(&short), repository.commit("HEAD"));
        let (main, topic) = (repository.commit("main").expect("main"), repository.commit("topic").expect("topic"));
        let base = git(folder.path(), &["merge-base", "main", "topic"]);
        assert_eq!(repository.merge_base(main, topic).map(|id| id.to_string()), Ok(base));
    }
}

#[test]
fn a_commits_files_are_read_without_a_checkout() {
    let folder = repository();
    let repository = Repository::discover(folder.path()).expect("a repository");
    let tree = repository.tree(repository.commit("topic").expect("topic")).expect("a tree");
    assert_eq!(tree.files(), ["main.tf", "modules/net/main.tf"]);
    assert_eq!(tree.read("main.tf").as_deref(), Ok(&b"topic\n"[..]));
    assert_eq!(tree.list(""), ["main.tf", "modules", "outside", "passwd", "ring", "shared"]);
    assert_eq!(tree.list("modules"), ["net"]);
    assert!(tree.is_directory("modules/net") && tree.is_directory("shared") && !tree.is_directory("main.tf"));
}

#[test]
fn links_are_followed_as_long_as_they_stay_in_the_tree() {
    let folder = repository();
    let repository = Repository::discover(folder.path()).expect("a repository");
    let tree = repository.tree(repository.commit("HEAD").expect("HEAD")).expect("a tree");
    assert_eq!(tree.read("shared/main.tf").as_deref(), Ok(&b"net\n"[..]));
    for path in ["passwd", "outside", "ring", "../main.tf", "modules/../../x"] {
        assert!(tree.read(path).is_err(), "{path}");
    }
}

#[test]
fn what_is_not_there_is_said() {
    let folder = repository();
    let repository = Repository::discover(folder.path()).expect("a repository");
    for name in ["", "none", "HEAD~9", "main^2", "HEAD:main.tf", "~1", "HEAD@{1}", "deadbeef"] {
        assert_eq!(repository.commit(name), Err(GitError::NoCommit(name.to_owned())), "{name}");
    }
    let blob = git(folder.path(), &["rev-parse", "HEAD:main.tf"]);
    assert!(repository.commit(&blob).is_err(), "a file is no commit");
    let elsewhere = tempfile::tempdir().expect("a folder");
    assert!(matches!(Repository::discover(elsewhere.path()), Err(GitError::NoRepository(_))));
}

#[test]
fn where_a_work_tree_comes_from_is_told_without_secrets() {
    let folder = repository();
    let top = folder.path();
    let provenance = || Repository::discover(top).expect("a repository").provenance();
    assert_eq!(provenance(), None, "there is no remote");
    git(top, &["remote", "add", "mine", "../elsewhere"]);
    assert_eq!(provenance(), None, "a place on somebody's disk is nobody's business");
    git(top, &["remote", "add", "origin", "https://somebody:hunter2@example.com/org/repo.git"]);
    let found = provenance().expect("a remote with an address");
    assert_eq!((found.repository.as_str(), found.branch.as_deref()), ("https://example.com/org/repo.git", Some("main")));
    assert_eq!(found.revision.map(|id| id.to_string()), Some(git(top, &["rev-parse", "HEAD"])));
    git(top, &["checkout", "-q", "--detach", "v1"]);
    let detached = provenance().expect("the same remote");
    assert_eq!((detached.branch, detached.revision.map(|id| id.to_string())), (None, Some(git(top, &["rev-parse", "v1^{commit}"]))));
    git(top, &["worktree", "add", "-q", "linked", "topic"]);
    let linked = Repository::discover(&top.join("linked")).expect("a repository").provenance().expect("the same remote");
    assert_eq!(linked.branch.as_deref(), Some("topic"));
    assert_eq!(linked.revision.map(|id| id.to_string()), Some(git(top, &["rev-parse", "topic"])));
}
