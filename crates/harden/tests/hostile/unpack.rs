//! A leaf that fills a directory.

use rustix::process::Signal;

use crate::support::{Became, Ground, Hostile, is_enforced};

#[test]
fn it_makes_files_beneath_its_directory_and_nowhere_else() {
    let ground = Ground::new();
    let tree = ground.tree();
    let hostile = Hostile::on(&tree);
    let inside = tree.join("made").display().to_string();
    assert_eq!(hostile.run("unpack", &["write", "create", &inside]).became, Became::Done("create".into()));
    let outside = ground.top.join("made").display().to_string();
    assert_eq!(hostile.run("free", &["write", "create", &outside]).became, Became::Done("create".into()));
    std::fs::remove_file(&outside).unwrap();
    for path in [outside, format!("{}/../made", tree.display()), format!("{}/link.tf", tree.display())] {
        let run = hostile.run("unpack", &["write", "create", &path]);
        if is_enforced(&run, "files", &path) {
            assert_eq!(run.became, Became::Refused(libc::EACCES), "{path}");
        }
    }
    assert!(!ground.top.join("made").exists());
    assert_eq!(std::fs::read_to_string(ground.secret()).unwrap(), "SECRET");
}

#[test]
fn it_makes_neither_links_nor_pipes_nor_renames() {
    for how in ["symlink", "link", "pipe", "rename", "remove", "truncate", "attribute"] {
        let ground = Ground::new();
        let place = ground.tree().join("main.tf").display().to_string();
        let run = Hostile::on(&ground.tree()).run("unpack", &["write", how, &place]);
        assert_eq!(run.became, Became::Refused(libc::EPERM), "{how}");
        assert_eq!(std::fs::read_dir(ground.tree()).unwrap().count(), 3, "{how}");
    }
}

#[test]
fn it_has_no_network_either() {
    let ground = Ground::new();
    let run = Hostile::on(&ground.tree()).run("unpack", &["socket", &libc::AF_INET.to_string()]);
    assert_eq!(run.became, Became::Killed(Signal::SYS.as_raw()));
}
