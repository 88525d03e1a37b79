//! Terraform's own formatter as a judge.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// The `terraform` program.
#[derive(Clone, Debug)]
pub struct Formatter {
    _known: (),
}

impl Formatter {
    /// The program that the search path leads to, if it is there.
    pub fn find() -> Option<Self> {
        Command::new("terraform").arg("version").output().is_ok_and(|output| output.status.success()).then_some(Self { _known: () })
    }

    /// Of pairs of texts the numbers of those that were in order and no longer are.
    ///
    /// # Errors
    /// If the program can't be run, or a folder can't be written.
    pub fn made_worse(&self, scratch: &Path, pairs: &[(String, String)]) -> Result<BTreeSet<usize>> {
        let before = self.unformatted(&scratch.join("format-before"), pairs.iter().map(|(before, _)| before))?;
        let after = self.unformatted(&scratch.join("format-after"), pairs.iter().map(|(_, after)| after))?;
        Ok(after.difference(&before).copied().collect())
    }

    fn unformatted<'p>(&self, folder: &Path, texts: impl Iterator<Item = &'p String>) -> Result<BTreeSet<usize>> {
        std::fs::create_dir_all(folder)?;
        let mut count = 0;
        for (number, text) in texts.enumerate() {
            std::fs::write(folder.join(format!("{number}.tf")), text)?;
            count += 1;
        }
        if count == 0 {
            return Ok(BTreeSet::new());
        }
        let output = Command::new("terraform").args(["fmt", "-check", "-list=true"]).current_dir(folder).output()?;
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        std::fs::remove_dir_all(folder)?;
        ensure!(
            output.status.success() || !listed.is_empty() || errors.contains(".tf"),
            "`terraform fmt` ended with {}: {errors}",
            output.status
        );
        listed.lines().map(|line| line.trim_end_matches(".tf").parse().context("`terraform fmt` lists another file")).collect()
    }
}
