//! Archives as they should be, and as they shouldn't.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};

use super::*;

/// An entry as a well-behaved program would write it.
fn entry(kind: u8, name: &[u8], content: &[u8]) -> Vec<u8> {
    let mut header = [0_u8; BLOCK];
    header[..name.len().min(100)].copy_from_slice(&name[..name.len().min(100)]);
    header[100..108].copy_from_slice(b"0000644\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[156] = kind;
    header[257..263].copy_from_slice(b"ustar\0");
    summed(header, content)
}

fn summed(mut header: [u8; BLOCK], content: &[u8]) -> Vec<u8> {
    header[148..156].fill(b' ');
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = [&header[..], content].concat();
    bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    bytes
}

fn record(key: &str, value: &str) -> String {
    let rest = format!(" {key}={value}\n");
    let length = (rest.len()..).find(|length| length.to_string().len() + rest.len() == *length).unwrap();
    format!("{length}{rest}")
}

/// Unpacks entries into a new folder: the result, what was made, and whether anything appeared beside the folder.
fn unpacked(entries: &[Vec<u8>]) -> (Result<Unpacked, String>, Vec<String>) {
    let ground = tempfile::tempdir().unwrap();
    let into = ground.path().join("into");
    std::fs::create_dir(&into).unwrap();
    let directory = std::fs::File::open(&into).unwrap();
    let mut archive = entries.concat();
    archive.resize(archive.len() + 2 * BLOCK, 0);
    let result = unpack(&mut archive.as_slice(), directory.as_fd()).map_err(|error| error.to_string());
    assert_eq!(std::fs::read_dir(ground.path()).unwrap().count(), 1, "something was made beside the directory");
    let mut made = Vec::new();
    let mut open = vec![into.clone()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.symlink_metadata().unwrap().is_dir() {
                open.push(path.clone());
            }
            made.push(path.strip_prefix(&into).unwrap().display().to_string());
        }
    }
    made.sort();
    (result, made)
}

#[test]
fn files_and_directories_are_made_and_the_rest_is_counted() {
    let long = format!("{}/main.tf", "d".repeat(120));
    let (result, made) = unpacked(&[
        entry(b'g', b"pax_global_header", record("comment", "0123").as_bytes()),
        entry(b'5', b"repo/", b""),
        entry(b'0', b"repo/main.tf", b"resource"),
        entry(b'2', b"repo/link", b""),
        entry(b'0', b"repo/.git/config", b"[core]"),
        entry(b'0', b"repo/x/.GIT/hooks/run", b"#!"),
        entry(b'x', b"ignored", record("path", &long).as_bytes()),
        entry(b'0', b"short", b"by its long name"),
        entry(b'L', b"././@LongLink", format!("gnu/{long}\0").as_bytes()),
        entry(b'0', b"short", b"by GNU's long name"),
        entry(0, b"./old/./kind", b""),
    ]);
    assert_eq!(result, Ok(Unpacked { files: 4, directories: 1, bytes: 42, links: 1, git: 2 }));
    let folder = "d".repeat(120);
    let expected = [folder.clone(), long.clone(), "gnu".into(), format!("gnu/{folder}"), format!("gnu/{long}")];
    let expected: Vec<String> = expected.into_iter().chain(["old", "old/kind", "repo", "repo/main.tf"].map(str::to_owned)).collect();
    assert_eq!(made, expected);
}

#[test]
fn who_owns_a_file_may_run_it_where_the_archive_says_so() {
    use std::os::unix::fs::PermissionsExt as _;
    let with_mode = |name: &[u8], mode: &[u8; 8]| {
        let mut header: [u8; BLOCK] = entry(b'0', name, b"")[..BLOCK].try_into().unwrap();
        header[100..108].copy_from_slice(mode);
        summed(header, b"")
    };
    let into = tempfile::tempdir().unwrap();
    let directory = std::fs::File::open(into.path()).unwrap();
    let mut archive = [
        with_mode(b"run", b"0000755\0"),
        with_mode(b"plain", b"0000644\0"),
        with_mode(b"root", b"0006777\0"),
        with_mode(b"odd", b"rwxr-xr-"),
    ]
    .concat();
    archive.resize(archive.len() + 2 * BLOCK, 0);
    unpack(&mut archive.as_slice(), directory.as_fd()).unwrap();
    let mode = |name: &str| std::fs::metadata(into.path().join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(["run", "plain", "root", "odd"].map(mode), [0o700, 0o600, 0o700, 0o600]);
}

#[test]
fn what_the_usual_program_writes_is_unpacked_as_it_was() {
    let folder = keyblind_testkit::Folder::new([("a/main.tf", "one"), ("a/b/c.tf", "two"), ("ü.tf", "three")]);
    folder.write(&format!("{}/{}", "n".repeat(90), "m".repeat(90)), "long");
    for form in ["ustar", "pax", "gnu"] {
        let archive = Command::new("tar")
            .args([&format!("--format={form}"), "-cf", "-", "."])
            .current_dir(folder.path())
            .stderr(Stdio::inherit())
            .output()
            .expect("a `tar` program is on the machine");
        assert!(archive.status.success());
        let into = tempfile::tempdir().unwrap();
        let directory = std::fs::File::open(into.path()).unwrap();
        let done = unpack(&mut archive.stdout.as_slice(), directory.as_fd()).unwrap();
        assert_eq!((done.files, done.bytes), (4, 15), "{form}");
        for (name, text) in [("a/main.tf", "one"), ("a/b/c.tf", "two"), ("ü.tf", "three")] {
            assert_eq!(std::fs::read_to_string(into.path().join(name)).unwrap(), text, "{form}");
        }
    }
}

#[test]
fn no_name_leads_elsewhere() {
    for name in ["../x", "a/../../x", "/etc/x", "a/..", "..", "a\\..\\..\\x/../y"] {
        let (result, made) = unpacked(&[entry(b'0', name.as_bytes(), b"x")]);
        let error = result.unwrap_err();
        assert!(error.contains("the archive holds the name"), "{name}: {error}");
        assert!(made.is_empty(), "{name}");
    }
    let (result, _) = unpacked(&[entry(b'x', b"p", record("path", "../../x").as_bytes()), entry(b'0', b"fine", b"x")]);
    assert!(result.unwrap_err().contains("leads out of the tree"));
    let (result, _) = unpacked(&[entry(b'L', b"l", b"/tmp/x\0"), entry(b'0', b"fine", b"x")]);
    assert!(result.unwrap_err().contains("top of the machine's files"));
}

#[test]
fn a_link_is_never_a_way_out() {
    // The link isn't made, so that what would go through it lies in a directory of its name.
    let mut link = entry(b'2', b"out", b"");
    link[157..161].copy_from_slice(b"/tmp");
    let header: [u8; BLOCK] = link[..BLOCK].try_into().unwrap();
    let (result, made) = unpacked(&[summed(header, b""), entry(b'0', b"out/x", b"x")]);
    assert_eq!(result.map(|done| (done.files, done.links)), Ok((1, 1)));
    assert_eq!(made, ["out", "out/x"]);
}

#[test]
fn what_is_no_file_and_no_directory_is_named() {
    for (kind, what) in
        [(b'1', "a hard link"), (b'3', "a device"), (b'4', "a device"), (b'6', "a pipe"), (b'S', "a sparse file"), (b'V', "of a kind")]
    {
        let (result, made) = unpacked(&[entry(kind, b"odd", b"")]);
        let error = result.unwrap_err();
        assert!(error.contains("`odd`") && error.contains(what), "{error}");
        assert!(made.is_empty());
    }
}

#[test]
fn nothing_is_there_twice() {
    let (result, _) = unpacked(&[entry(b'0', b"a", b"1"), entry(b'0', b"./a", b"2")]);
    assert!(result.unwrap_err().contains("is there twice"));
    let (result, _) = unpacked(&[entry(b'0', b"a", b"1"), entry(b'0', b"a/b", b"2")]);
    assert!(result.unwrap_err().contains("is a file elsewhere"));
    let (result, _) = unpacked(&[entry(b'5', b"a", b""), entry(b'0', b"a", b"2")]);
    assert!(result.unwrap_err().contains("is there twice"));
}

#[test]
fn bombs_end_early() {
    let mut huge = entry(b'0', b"huge", b"");
    huge[124..136].copy_from_slice(b"77777777777\0");
    let header: [u8; BLOCK] = huge[..BLOCK].try_into().unwrap();
    assert!(unpacked(&[summed(header, b"")]).0.unwrap_err().contains("more than the 2147483648"));
    huge[124..136].copy_from_slice(b"02000000001\0");
    let large: [u8; BLOCK] = huge[..BLOCK].try_into().unwrap();
    assert!(unpacked(&[summed(large, b"")]).0.unwrap_err().contains("bytes in one file"));
    let mut endless = header;
    endless[124..136].copy_from_slice(&[0x80, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert!(unpacked(&[summed(endless, b"")]).0.unwrap_err().contains("a size is no number"));
    let mut long_header = entry(b'x', b"p", b"");
    long_header[124..136].copy_from_slice(b"00001000000\0");
    let header: [u8; BLOCK] = long_header[..BLOCK].try_into().unwrap();
    assert!(unpacked(&[summed(header, b"")]).0.unwrap_err().contains("bytes in a header"));
    let deep = "d/".repeat(DEEPEST + 1);
    let (result, _) = unpacked(&[entry(b'L', b"l", deep.as_bytes()), entry(b'5', b"x", b"")]);
    assert!(result.unwrap_err().contains("too deep"));
}

#[test]
fn what_is_no_archive_is_said_to_be_none() {
    let directory = tempfile::tempdir().unwrap();
    let open = std::fs::File::open(directory.path()).unwrap();
    let error = |bytes: &[u8]| unpack(&mut &*bytes, open.as_fd()).unwrap_err().to_string();
    assert!(error(&[b'x'; 2 * BLOCK]).contains("no tar archive"));
    assert!(error(b"short").contains("cut off"));
    let whole = entry(b'0', b"a", &[b'x'; 600]);
    for length in [BLOCK + 1, BLOCK + 599, 2 * BLOCK + 100] {
        let error = error(&whole[..length]);
        assert!(error.contains("cut off") || error.contains("twice"), "{length}: {error}");
    }
    for broken in ["9 path=x", "x path=a\n", "99 path=a\n", "8 path=\n", "7 patha\n", "0 a=b\n"] {
        let (result, _) = unpacked(&[entry(b'x', b"p", broken.as_bytes()), entry(b'0', b"a", b"")]);
        assert!(result.is_err(), "{broken:?}");
    }
}
