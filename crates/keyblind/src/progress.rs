//! A progress bar on standard error, for work that takes long enough to wonder.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keyblind_scan::Progress;

use crate::arguments::When;

/// Work shorter than this shows no bar: it would only flicker.
const PATIENCE: Duration = Duration::from_millis(500);

/// Shows how far a scan is.
pub(crate) struct Bar {
    started: Instant,
    is_wanted: bool,
    bar: Mutex<Option<ProgressBar>>,
}

impl Bar {
    /// A bar that shows itself once the work takes long.
    pub(crate) fn new(when: When, quiet: bool) -> Self {
        let is_wanted = match when {
            When::Always => true,
            When::Never => false,
            When::Auto => !quiet && std::io::stderr().is_terminal() && std::env::var_os("CI").is_none(),
        };
        Self { started: Instant::now(), is_wanted, bar: Mutex::new(None) }
    }

    /// Takes note of how far it is.
    pub(crate) fn update(&self, progress: Progress) {
        self.show(|bar| match progress {
            Progress::Walking => bar.set_message("looking for files"),
            Progress::Parsing { files } => bar.set_message(format!("reading {files} files")),
            Progress::Judging { done, of } => {
                bar.set_message("judging");
                bar.set_length(of as u64);
                bar.set_position(done as u64);
            }
        });
    }

    /// Takes note of how many findings a fix was looked for.
    pub(crate) fn fixing(&self, done: usize, of: usize) {
        self.show(|bar| {
            bar.set_message("looking for fixes");
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        });
    }

    fn show(&self, change: impl FnOnce(&ProgressBar)) {
        if !self.is_wanted || self.started.elapsed() < PATIENCE {
            return;
        }
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        change(bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // The template is a constant: a mistake in it shows in the first run.
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len} {elapsed}") {
                bar.set_style(style);
            }
            bar
        }));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}
