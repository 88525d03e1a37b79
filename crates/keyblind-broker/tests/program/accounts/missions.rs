//! The finished server's missions on an account: read and judged, changed after a person's yes, looked at, taken back.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use keyblind_testkit::Peer;

use super::{ADMIN, BUCKET, World};
use crate::support::{PROGRAM, text};

/// A program that `cargo test --workspace` builds beside the broker.
fn beside(name: &str) -> PathBuf {
    let path = Path::new(PROGRAM).with_file_name(name);
    assert!(path.is_file(), "`{name}` isn't built: run `cargo xtask test`");
    path
}

/// A runner, which is gone with its test however that ends.
struct Runner(Child);

impl Drop for Runner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct Server {
    configuration: PathBuf,
}

impl Server {
    fn new(world: &World) -> Self {
        let folder = world.place.folder.path();
        let configuration = folder.join("server.toml");
        let said = format!(
            "database = {:?}\ntenant = \"octo\"\nsubject = \"local:alice\"\n[scan]\nprogram = {:?}\nsandbox = \"available\"\n[broker]\nsocket = {:?}\n",
            folder.join("server.db"),
            beside("keyblind"),
            world.place.socket()
        );
        std::fs::write(&configuration, said).unwrap();
        Self { configuration }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(beside("keyblind-server"));
        command.arg("--config").arg(&self.configuration).args(arguments).env_clear();
        command
    }

    fn runner(&self) -> Runner {
        let mut runner = self.command(&["runner"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = String::new();
        BufReader::new(runner.stderr.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "keyblind-server: ready\n");
        Runner(runner)
    }

    fn begin(&self, arguments: &[&str]) -> String {
        let begun = self.command(&[&["mission"], arguments].concat()).output().unwrap();
        assert!(begun.status.success(), "{}", text(&begun.stderr));
        text(&begun.stdout).trim().to_owned()
    }

    /// What a mission says once it says that.
    fn until(&self, id: &str, wanted: &str) -> String {
        let asked = Instant::now();
        loop {
            let shown = self.command(&["mission", "show", id]).output().unwrap();
            let shown = text(&shown.stdout).to_owned();
            if shown.contains(wanted) {
                return shown;
            }
            assert!(asked.elapsed() < Duration::from_secs(120), "it never says `{wanted}`: {shown}");
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The change that a mission asks people for.
    fn wanted(&self, id: &str) -> String {
        let shown = self.until(id, "; change ");
        shown.split_once("; change ").unwrap().1.split_whitespace().next().unwrap().to_owned()
    }
}

/// Whether the account is as a change leaves it.
type Look<'l> = &'l dyn Fn(&World) -> bool;

#[test]
fn an_account_is_judged_changed_after_a_yes_and_changed_back() {
    let mut world = World::new(Peer::ministack());
    let group = world.group.clone();
    let place = ["--account", "production", "--region", "eu-central-1"];
    let from_everywhere = |world: &World| world.let_in_now().iter().any(|(network, _)| network == "0.0.0.0/0");
    let server = Server::new(&world);
    let _runner = server.runner();
    let scan = server.begin(&["scan", "aws:production"]);
    let shown = server.until(&scan, "Z  done");
    assert!(shown.contains("AWS account ") && !shown.contains(" 0 resources"), "{shown}");
    let rows: [(Vec<&str>, Look<'_>); 3] = [
        (vec!["remediate", "close-ingress", "--group", &group, "--protocol", "tcp", "--ports", "22", "--from", "0.0.0.0/0"], &|world| {
            !from_everywhere(world)
        }),
        (vec!["remediate", "block-bucket", "--bucket", BUCKET], &|world| world.blocked().as_deref() == Some("true")),
        (vec!["remediate", "detach-policy", "--policy", ADMIN, "--from", "role/deploy"], &|world| !world.is_attached()),
    ];
    for (arguments, is_done) in rows {
        assert!(!is_done(&world), "{arguments:?}");
        let id = server.begin(&[&arguments[..], &place[..]].concat());
        let change = server.wanted(&id);
        assert!(!is_done(&world), "nobody has said yes yet");
        world.approved(change.parse().unwrap());
        let shown = server.until(&id, "Z  done");
        assert!(shown.contains("applied: done, verified, and it can be taken back"), "{shown}");
        assert!(is_done(&world), "{shown}");

        let undo = server.begin(&["remediate", "undo", &change]);
        let change = server.wanted(&undo);
        world.approved(change.parse().unwrap());
        server.until(&undo, "Z  done");
        assert!(!is_done(&world), "it is as it was");
    }
    let (report, _) = world.close();
    assert_eq!((report.writes, report.approvals), (6, 6), "{report:?}");
}
