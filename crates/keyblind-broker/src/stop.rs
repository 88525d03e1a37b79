//! The stop that needs nothing but the state folder: a file in it. While it is there, nothing is borrowed and nothing is done.
//!
//! It can be made by the command, by a signal, or by hand (`touch`), with every other part dead; only who may write the folder can take
//! it away. Each stop has a number, one higher than the last.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use keyblind_broker::dispatch::{Answering, KillSwitch};
use keyblind_intent::{Count, Refusal, Report, SubjectId};

/// The file whose presence stops everything.
const STOPPED: &str = "STOPPED";
/// The file that holds the number of the last stop.
const EPOCH: &str = "stop-epoch";

/// Stops and arms by a file.
#[derive(Debug)]
pub(crate) struct StopFile {
    folder: PathBuf,
    changing: Mutex<()>,
}

impl StopFile {
    /// In that folder.
    pub(crate) fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned(), changing: Mutex::new(()) }
    }

    /// Stops. When it returns, no request that comes later is done, also after a restart.
    ///
    /// # Errors
    /// If the file can't be made durable.
    pub(crate) fn stop(&self, by: &str) -> std::io::Result<u64> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        // The stop comes first: a number that can't be written must not keep it from being one.
        self.write(STOPPED, &format!("{by}\n"))?;
        let epoch = self.epoch() + 1;
        self.write(EPOCH, &format!("{epoch}\n"))?;
        Ok(epoch)
    }

    /// Takes the file away.
    ///
    /// # Errors
    /// If it can't be.
    pub(crate) fn arm(&self) -> std::io::Result<u64> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        match std::fs::remove_file(self.folder.join(STOPPED)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        std::fs::File::open(&self.folder)?.sync_all()?;
        Ok(self.epoch())
    }

    fn epoch(&self) -> u64 {
        std::fs::read_to_string(self.folder.join(EPOCH)).ok().and_then(|text| text.trim().parse().ok()).unwrap_or_default()
    }

    fn write(&self, name: &str, text: &str) -> std::io::Result<()> {
        let new = self.folder.join(format!("{name}.new"));
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&new, self.folder.join(name))?;
        std::fs::File::open(&self.folder)?.sync_all()
    }
}

impl KillSwitch for StopFile {
    fn is_stopped(&self) -> bool {
        match std::fs::symlink_metadata(self.folder.join(STOPPED)) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => !self.folder.is_dir(),
            // What can't be looked at counts as stopped.
            _ => true,
        }
    }

    fn stop<'a>(&'a self, by: &'a SubjectId) -> Answering<'a, Result<Report, Refusal>> {
        Box::pin(async move {
            let epoch = Self::stop(self, by.as_str()).map_err(|_| Refusal::Internal)?;
            Ok(Report::Stopped { epoch: Count::saturating(epoch), revoked: Count::default(), waiting: Count::default() })
        })
    }

    fn arm<'a>(&'a self, _: &'a SubjectId) -> Answering<'a, Result<Report, Refusal>> {
        Box::pin(async move {
            let epoch = Self::arm(self).map_err(|_| Refusal::Internal)?;
            Ok(Report::Armed { epoch: Count::saturating(epoch) })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_lasts_and_each_has_a_number() {
        let folder = tempfile::tempdir().unwrap();
        let switch = StopFile::new(folder.path());
        assert!(!switch.is_stopped());
        assert_eq!(StopFile::stop(&switch, "alice").unwrap(), 1);
        assert!(StopFile::new(folder.path()).is_stopped(), "after a restart, too");
        assert_eq!(StopFile::stop(&switch, "alice").unwrap(), 2);
        assert_eq!(StopFile::arm(&switch).unwrap(), 2);
        assert!(!switch.is_stopped());
        std::fs::write(folder.path().join(STOPPED), "").unwrap();
        assert!(switch.is_stopped(), "made by hand");
        StopFile::arm(&switch).unwrap();
        assert_eq!(StopFile::stop(&switch, "signal").unwrap(), 3);
    }

    #[test]
    fn a_folder_that_is_gone_counts_as_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let switch = StopFile::new(&folder.path().join("gone"));
        assert!(switch.is_stopped());
        assert!(StopFile::stop(&switch, "alice").is_err());
    }
}
