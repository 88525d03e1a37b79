//! The scanner, started by a program that is killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use keyblind_testkit::{Folder, Program};

use crate::scanner;

fn is_there(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn it_ends_with_whoever_started_it() {
    let folder = Folder::new([]);
    // It waits for its input, which never comes.
    let script = "mkfifo pipe; exec 3<>pipe; \"$0\" scan - --stdin-filename main.tf --parent=$$ <&3 & echo $!; wait";
    let mut starter = Command::new("/bin/sh");
    starter.args(["-c", script]).arg(scanner()).current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut starter = starter.spawn().unwrap();
    let mut pid = String::new();
    BufReader::new(starter.stdout.as_mut().unwrap()).read_line(&mut pid).unwrap();
    let pid = pid.trim();
    std::thread::sleep(Duration::from_millis(500));
    assert!(is_there(pid), "it waits");
    starter.kill().unwrap();
    starter.wait().unwrap();
    let killed = Instant::now();
    while is_there(pid) {
        assert!(killed.elapsed() < Duration::from_secs(10), "the scanner is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn it_does_nothing_for_somebody_who_is_gone_already() {
    let folder = Folder::new([("main.tf", "")]);
    let outcome = Program::new(scanner()).with(["scan", ".", "--parent=1"]).within(folder.path()).run();
    assert_eq!(outcome.code, Some(4), "{}{}", outcome.output, outcome.errors);
}
