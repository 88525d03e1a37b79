//! Where the socket is: a folder that only its owner enters.

use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The path can't be a socket's.
    #[error("`{}` can't be a socket: give an absolute path of at most 107 bytes in a folder of its own", .0.display())]
    Path(PathBuf),
    /// Others may enter the folder, or it belongs to somebody else.
    #[error("`{}` must be a folder of user {user} that nobody else may enter (mode 0700): {found}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Whose it must be.
        user: u32,
        /// What it is.
        found: String,
    },
    /// Somebody answers there already.
    #[error("another broker listens at `{}`: stop it first, or use another path", .0.display())]
    InUse(PathBuf),
    /// Something that isn't a socket is there.
    #[error("`{}` is there and is no socket: move it away", .0.display())]
    Occupied(PathBuf),
    /// The system wouldn't.
    #[error("`{}` can't be listened at: {source}", path.display())]
    System {
        /// The path.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
}

/// Listens at a path. What a broker that died left there is removed; a living one's isn't. Where other users are let in, they may pass
/// through the folder to the socket, and see nothing else of it; who they are the kernel says.
pub(super) fn listen(path: &Path, lets_others_in: bool) -> Result<UnixListener, PlaceError> {
    let system = |source| PlaceError::System { path: path.to_owned(), source };
    let bad = || PlaceError::Path(path.to_owned());
    let folder = path.parent().filter(|folder| folder.file_name().is_some()).ok_or_else(bad)?;
    if !path.is_absolute() || path.as_os_str().len() > 107 {
        return Err(bad());
    }
    if !folder.exists() {
        std::fs::DirBuilder::new().mode(0o700).recursive(true).create(folder).map_err(system)?;
    }
    let (folder_mode, mode) = if lets_others_in { (0o711, 0o666) } else { (0o700, 0o600) };
    check(folder, 0o777 & !folder_mode)?;
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(PlaceError::Occupied(path.to_owned())),
        Ok(_) if UnixStream::connect(path).is_ok() => return Err(PlaceError::InUse(path.to_owned())),
        Ok(_) => std::fs::remove_file(path).map_err(system)?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).map_err(system)?;
    // Until here nobody else may open it.
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(system)?;
    if lets_others_in {
        std::fs::set_permissions(folder, std::fs::Permissions::from_mode(folder_mode)).map_err(system)?;
    }
    Ok(listener)
}

/// Checks that a folder is our own, that nobody else may enter it, and that it is no link to one.
///
/// # Errors
/// Says what it is instead.
pub fn check_folder(folder: &Path) -> Result<(), PlaceError> {
    check(folder, 0o077)
}

fn check(folder: &Path, forbidden: u32) -> Result<(), PlaceError> {
    let user = rustix::process::geteuid().as_raw();
    let found = std::fs::symlink_metadata(folder).map_err(|source| PlaceError::System { path: folder.to_owned(), source })?;
    let wrong = |found: String| Err(PlaceError::Folder { folder: folder.to_owned(), user, found });
    if !found.is_dir() {
        return wrong("it is no folder".to_owned());
    }
    if found.uid() != user {
        return wrong(format!("it belongs to user {}", found.uid()));
    }
    if found.mode() & forbidden != 0 {
        return wrong(format!("its mode is {:04o}", found.mode() & 0o7777));
    }
    Ok(())
}
