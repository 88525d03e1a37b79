use keyblind_broker::socket::{Client, ClientError};
use keyblind_intent::{Refusal, Request, decode};
use rustix::process::Signal;

use crate::support::{Place, eventually, text};

fn list() -> Request {
    decode(br#"{"intent":{"list-repositories":{"forge":"github"}}}"#).unwrap()
}

fn halted(place: &Place) -> bool {
    let asked = Client::connect(&place.socket(), b"").unwrap().ask(&list(), None);
    matches!(asked, Err(ClientError::Refused(Refusal::Halted)))
}

#[test]
fn it_says_what_it_may_reach_and_ends_in_order() {
    let place = Place::new();
    let broker = place.start();
    assert!(broker.said.contains("egress: none, as no provider is configured"), "{}", broker.said);
    let (code, said) = broker.terminate();
    assert_eq!(code, Some(0), "{said}");
    assert!(said.ends_with("keyblind-broker: ended\n"), "{said}");
    assert!(!place.socket().exists());
}

/// A broker with a user of its own has clients of other users. Only root can try that.
#[test]
fn another_user_whom_the_configuration_names_is_let_in_and_nobody_else() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (named, stranger) = (64_001, 64_002);
    let mut place = Place::new();
    place.more = format!("[[peer]]\nuser = {named}\ntenant = \"octo\"\nsubject = \"local:{named}\"\nrole = \"person\"\n");
    // They come as far as the socket's folder, and read nothing on the way.
    std::fs::set_permissions(place.folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
    let _broker = place.start();
    let socket = place.socket();
    let ask = |user: u32| {
        let program = place.folder.path().join("keyblind-broker");
        if !program.exists() {
            std::fs::copy(crate::support::PROGRAM, &program).unwrap();
            std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let mut command = std::process::Command::new(program);
        command.arg("--socket").arg(&socket).arg("doctor").env_clear().env("HOME", "/nonexistent").uid(user).gid(user).output().unwrap()
    };
    let let_in = ask(named);
    assert!(text(&let_in.stdout).contains("other users reach the socket"), "{}", text(&let_in.stderr));
    let refused = ask(stranger);
    assert!(text(&refused.stderr).contains("UnknownPeer"), "{}{}", text(&refused.stdout), text(&refused.stderr));
}

#[test]
fn two_brokers_never_share_a_state() {
    let place = Place::new();
    let _first = place.start();
    let second = place.ask(&["--socket", place.folder.path().join("other/s").to_str().unwrap(), "run"]);
    assert!(text(&second.stderr).contains("another broker has"), "{}", text(&second.stderr));
    assert_eq!(second.status.code(), Some(4));
}

#[test]
fn one_that_was_killed_leaves_nothing_in_the_way() {
    let place = Place::new();
    let mut broker = place.start();
    broker.child.kill().unwrap();
    broker.child.wait().unwrap();
    assert!(place.socket().exists());
    let (code, _) = place.start().terminate();
    assert_eq!(code, Some(0));
}

#[test]
fn doctor_looks_at_each_step() {
    let place = Place::new();
    let _broker = place.start();
    let doctor = place.ask(&["doctor"]);
    let said = text(&doctor.stdout);
    assert!(said.contains("sound       the state folder is the broker's alone"), "{said}");
    assert!(said.contains("weak        clients run as other users than the broker"), "{said}");
    assert_eq!(doctor.status.code(), Some(0));
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(place.state(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let doctor = place.ask(&["doctor"]);
    assert!(
        text(&doctor.stdout).contains("broken      the state folder is the broker's alone: its mode is 0755"),
        "{}",
        text(&doctor.stdout)
    );
    assert_eq!(doctor.status.code(), Some(1));
}

#[test]
fn the_kill_switch_is_a_command_a_signal_and_a_file() {
    let place = Place::new();
    let broker = place.start();
    assert!(!halted(&place));
    let killed = place.ask(&["kill"]);
    assert_eq!(text(&killed.stdout), STOPPED_ONCE, "{}", text(&killed.stderr));
    assert!(halted(&place));
    // Nobody who is merely a client takes up work again; whoever has the state folder may.
    let armed = place.ask(&["arm"]);
    assert_eq!(text(&armed.stdout), "armed\n", "{}", text(&armed.stderr));
    assert!(!halted(&place));
    broker.signal(Signal::USR1);
    eventually("the signal stops it", || halted(&place));
    place.ask(&["arm"]);
    assert!(!halted(&place));
    std::fs::write(place.state().join("STOPPED"), "").unwrap();
    assert!(halted(&place));
    // It lasts, also when the file is gone: it has been seen, or is when the next one begins.
    drop(broker);
    let again = place.start();
    assert!(again.said.contains("stopped: nothing is done until `keyblind-broker arm`"), "{}", again.said);
    assert!(halted(&place));
    eventually("the stop is recorded", || {
        std::fs::remove_file(place.state().join("STOPPED")).ok();
        std::thread::sleep(std::time::Duration::from_millis(400));
        halted(&place)
    });
    drop(again);
    let third = place.start();
    assert!(halted(&place), "{}", third.said);
    assert_eq!(text(&place.ask(&["arm"]).stdout), "armed\n");
    assert!(!halted(&place));
}

const STOPPED_ONCE: &str = "stopped (stop 1): 0 revoked, 0 waiting to be revoked; `keyblind-broker arm` takes up work again\n";

#[test]
fn a_broker_that_is_dead_can_be_stopped_too_and_armed() {
    let place = Place::new();
    drop(place.start());
    let killed = place.ask(&["kill"]);
    assert_eq!(killed.status.code(), Some(0));
    assert!(text(&killed.stderr).contains("stopping it by its file"), "{}", text(&killed.stderr));
    let broker = place.start();
    assert!(broker.said.contains("stopped: nothing is done"), "{}", broker.said);
    eventually("the stop is recorded", || place.ask(&["doctor"]).status.code().is_some() && halted(&place));
    drop(broker);
    let armed = place.ask(&["arm"]);
    assert_eq!(text(&armed.stdout), "armed: the broker takes up work again when it runs\n");
    let _broker = place.start();
    eventually("it is armed", || !halted(&place));
}

#[test]
fn a_wrong_configuration_is_named_with_its_place() {
    let place = Place::new();
    let path = place.configured();
    let wrong = std::fs::read_to_string(&path).unwrap().replace("subject = \"runner\"", "subjekt = \"runner\"");
    std::fs::write(&path, wrong).unwrap();
    let output = std::process::Command::new(crate::support::PROGRAM).arg("--config").arg(&path).arg("run").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("broker.toml:12:1: unknown field `subjekt`"), "{}", text(&output.stderr));
}

#[test]
fn an_open_state_folder_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;

    let place = Place::new();
    std::fs::create_dir(place.state()).unwrap();
    std::fs::set_permissions(place.state(), std::fs::Permissions::from_mode(0o750)).unwrap();
    let output = place.ask(&["run"]);
    assert!(text(&output.stderr).contains("nobody else may enter"), "{}", text(&output.stderr));
}
