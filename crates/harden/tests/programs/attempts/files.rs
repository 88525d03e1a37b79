//! Attempts at files.

use std::ffi::CString;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::FromRawFd;
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};

use super::{Attempt, answer, outcome};

/// Whatever an inherited descriptor holds.
pub(crate) fn descriptor(number: i32) -> Attempt {
    let mut text = String::new();
    // It is hostile: whose it is doesn't matter to it.
    let mut file = unsafe { fs::File::from_raw_fd(number) };
    let result = outcome(file.read_to_string(&mut text));
    std::mem::forget(file);
    result.map(|_| text)
}

pub(crate) fn read(path: &str) -> Attempt {
    outcome(fs::read(path)).map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// Reads from a directory that is open.
pub(crate) fn read_at(directory: i32, path: &str) -> Attempt {
    let path = CString::new(path).unwrap();
    let number = unsafe { libc::openat(directory, path.as_ptr(), libc::O_RDONLY) };
    answer(number.into())?;
    let mut text = String::new();
    let mut file = unsafe { fs::File::from_raw_fd(number) };
    outcome(file.read_to_string(&mut text)).map(|_| text.trim().to_owned())
}

/// Reads eight bytes of a process's memory through its file.
pub(crate) fn read_memory_file(path: &str, place: u64) -> Attempt {
    let file = outcome(fs::File::open(path))?;
    let mut bytes = [0; 8];
    outcome(file.read_exact_at(&mut bytes, place)).map(|()| String::from_utf8_lossy(&bytes).into_owned())
}

pub(crate) fn list(path: &str) -> Attempt {
    outcome(fs::read_dir(path)).map(|entries| entries.count().to_string())
}

/// One way of changing what lies at a path.
pub(crate) fn change(how: &str, path: &str) -> Attempt {
    let other = format!("{path}.other");
    let c_path = CString::new(path).unwrap();
    match how {
        "create" => outcome(fs::File::create(path)).map(drop),
        "append" => outcome(fs::OpenOptions::new().append(true).open(path)).map(drop),
        "truncate" => answer(unsafe { libc::truncate(c_path.as_ptr(), 0) }.into()).map(drop),
        "remove" => outcome(fs::remove_file(path)),
        "rename" => outcome(fs::rename(path, other)),
        "link" => outcome(fs::hard_link(path, other)),
        "symlink" => outcome(symlink("/etc/passwd", other)),
        "directory" => outcome(fs::create_dir(other)),
        "pipe" => {
            let other = CString::new(other).unwrap();
            answer(unsafe { libc::mkfifo(other.as_ptr(), 0o600) }.into()).map(drop)
        }
        "mode" => outcome(fs::set_permissions(path, fs::Permissions::from_mode(0o4777))),
        "attribute" => {
            let (name, value) = (c"user.x", b"y");
            answer(unsafe { libc::setxattr(c_path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), 1, 0) }.into()).map(drop)
        }
        "unnamed" => {
            // A file without a name, which could get one later.
            let number = unsafe { libc::open(c_path.as_ptr(), libc::O_TMPFILE | libc::O_RDWR, 0o600) };
            answer(number.into()).map(drop)
        }
        _ => panic!("no way `{how}`"),
    }?;
    Ok(how.to_owned())
}

/// Writes a megabyte to what an inherited descriptor holds.
pub(crate) fn write_descriptor(number: i32) -> Attempt {
    let mut file = unsafe { fs::File::from_raw_fd(number) };
    let result = outcome(file.write_all(&vec![b'x'; 1 << 20]));
    std::mem::forget(file);
    result.map(|()| "1 MiB".to_owned())
}
