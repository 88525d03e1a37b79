//! The scanner as a process: what it says, and what happens when it doesn't end.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use keyblind_mission::{Leaf, LeafWork, Patience, Runner, SystemClock, Trouble};
use keyblind_store::MissionState;
use keyblind_testkit::Folder;

use crate::support::{LIMITS, World};

/// A program in the scanner's place. It shows how the process is started and ended; what the real one prints is judged with the
/// finished server.
pub(crate) fn stand_in(folder: &Folder, script: &str) -> Leaf {
    folder.write("bin/keyblind", format!("#!/bin/sh\n{script}\n"));
    let program = folder.path().join("bin/keyblind");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    Leaf { program, sandbox: "required", time: Duration::from_secs(60), output: 10_000 }
}

async fn ends(leaf: Leaf) -> (World, keyblind_store::MissionId, Folder) {
    let tree = Folder::new([("main.tf", "")]);
    let world = World::on_sqlite().await;
    let request = keyblind_mission::Request::ScanPath { path: tree.path().to_owned() };
    let wish = keyblind_mission::Wish { tenant: world.tenant.clone(), owner: world.owner.clone(), request, idempotency: None };
    let clock = SystemClock;
    let id = keyblind_mission::begin(&world.store, &wish, keyblind_mission::Clock::now(&clock)).await.unwrap().id();
    let work = LeafWork::new(leaf, vec![tree.path().to_owned()], Arc::new(SystemClock));
    let patience = Patience { attempts: 1, ..Patience::default() };
    Runner::new(world.store.clone(), work, Arc::new(clock), LIMITS, patience, "runner").step().await.unwrap();
    (world, id, tree)
}

async fn last(world: &World, id: keyblind_store::MissionId) -> String {
    let events = world.store.events(&world.tenant, id, 0, 1_000).await.unwrap();
    events.last().unwrap().body.clone()
}

#[tokio::test]
async fn it_gets_no_environment_and_what_it_says_is_passed_on() {
    let folder = Folder::new([]);
    // A shell sets some variables of its own; none of the test's is there.
    let script = r#"[ -z "$CARGO_MANIFEST_DIR$HOME$USER" ] || exit 9
echo "warning: main.tf is empty" >&2
echo "$*" >&2
printf '{"summary":{"failed_by_severity":{"high":2},"unknown":1,"resources":3,"incomplete":false},"results":[]}'"#;
    let (world, id, _tree) = ends(stand_in(&folder, script)).await;
    assert_eq!(world.row(id).await.state, MissionState::Queued, "{}", last(&world, id).await);
    let events = world.store.events(&world.tenant, id, 0, 100).await.unwrap();
    let said: Vec<&str> = events.iter().filter(|event| event.kind == "said").map(|event| event.body.as_str()).collect();
    assert_eq!(said[0], r#"{"event":"said","line":"warning: main.tf is empty"}"#);
    assert!(said[1].contains("--sandbox=required"), "{said:?}");
    assert!(last(&world, id).await.contains(r#""failed":{"critical":0,"high":2"#));
}

#[tokio::test]
async fn a_scanner_that_fails_is_said_with_its_own_words() {
    for (script, wanted) in [
        ("echo 'error: main.tf:1:1: nothing fits' >&2; exit 4", "ended with 4: error: main.tf:1:1: nothing fits"),
        ("echo 'error: no such rule' >&2; exit 2", r#""reason":"error: no such rule""#),
        ("kill -9 $$", "killed"),
        ("head -c 20000 /dev/zero", "more than 10000 bytes"),
        ("echo '{}'", "can't be read"),
    ] {
        let folder = Folder::new([]);
        let (world, id, _tree) = ends(stand_in(&folder, script)).await;
        assert_eq!(world.row(id).await.state, MissionState::Failed);
        assert!(last(&world, id).await.contains(wanted), "{script}: {}", last(&world, id).await);
    }
}

#[tokio::test]
async fn a_scanner_that_hangs_is_killed_and_leaves_nobody_behind() {
    let folder = Folder::new([]);
    let leaf = Leaf { time: Duration::from_secs(3), ..stand_in(&folder, "echo $$ > /proc/self/fd/0/pid; exec sleep 1000") };
    let (world, id, tree) = ends(leaf).await;
    assert!(last(&world, id).await.contains("longer than"), "{}", last(&world, id).await);
    let pid = tree.read("pid").trim().to_owned();
    let is_there = || std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    for _ in 0..100 {
        if !is_there() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the scanner is still there");
}

#[test]
fn only_what_an_administrator_allowed_is_scanned() {
    let folder = Folder::new([("open/shop/main.tf", ""), ("closed/main.tf", "")]);
    std::os::unix::fs::symlink(folder.path().join("closed"), folder.path().join("open/link")).unwrap();
    let work = LeafWork::new(stand_in(&folder, ""), vec![folder.path().join("open")], Arc::new(SystemClock));
    let admitted = work.admit(&folder.path().join("open/../open/shop")).unwrap();
    assert_eq!((admitted.path, admitted.root), (folder.path().join("open/shop"), folder.path().join("open")));
    let mut said = Vec::new();
    for wrong in ["closed", "open/link", "open/../closed", "open/nowhere", "open/shop/main.tf", "open-not"] {
        let path = folder.path().join(wrong);
        let Err(Trouble::Lasting(reason)) = work.admit(&path) else { panic!("{wrong}") };
        said.push(reason.replace(&*path.to_string_lossy(), "…"));
    }
    said.dedup();
    assert_eq!(said, ["`…` isn't a folder that may be scanned here"], "nobody learns what is there");
}

#[tokio::test]
async fn the_scanner_is_given_a_descriptor_and_no_way_around_the_allowed_folder() {
    let folder = Folder::new([("open/shop/main.tf", "inside"), ("closed/main.tf", "outside")]);
    let work = LeafWork::new(stand_in(&folder, ""), vec![folder.path().join("open")], Arc::new(SystemClock));
    work.admit(&folder.path().join("open/shop")).unwrap();
    // Between the look and the start somebody puts a link in the folder's place.
    let script = r#"echo "$*" >&2; cat /proc/self/fd/0/shop/main.tf >&2; printf '{}'; exit 4"#;
    let (world, id, _tree) = {
        let world = World::on_sqlite().await;
        let request = keyblind_mission::Request::ScanPath { path: folder.path().join("open/shop") };
        let id = world.begin_with(request).await;
        let work = LeafWork::new(stand_in(&folder, script), vec![folder.path().join("open")], Arc::new(SystemClock));
        let patience = Patience { attempts: 1, ..Patience::default() };
        let runner = Runner::new(world.store.clone(), work, world.clock(), LIMITS, patience, "runner");
        runner.step().await.unwrap();
        (world, id, ())
    };
    let events = world.store.events(&world.tenant, id, 0, 100).await.unwrap();
    let said: Vec<&str> = events.iter().filter(|event| event.kind == "said").map(|event| event.body.as_str()).collect();
    assert!(said[0].contains("scan ./shop --root . --within") && said[0].contains("--parent="), "{said:?}");
    assert!(said[1].contains("inside"), "what standard input is: {said:?}");

    std::fs::rename(folder.path().join("open/shop"), folder.path().join("open/old")).unwrap();
    std::os::unix::fs::symlink(folder.path().join("closed"), folder.path().join("open/shop")).unwrap();
    let id = world.begin_with(keyblind_mission::Request::ScanPath { path: folder.path().join("open/shop") }).await;
    let work = LeafWork::new(stand_in(&folder, script), vec![folder.path().join("open")], Arc::new(SystemClock));
    let runner = Runner::new(world.store.clone(), work, world.clock(), LIMITS, Patience::default(), "runner");
    runner.step().await.unwrap();
    assert!(last(&world, id).await.contains("isn't a folder that may be scanned here"), "{}", last(&world, id).await);
}
