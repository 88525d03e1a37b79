//! A progress bar on standard error, for work that takes long enough to wonder.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keyblind_scan::Progress;

use crate::arguments::When;
use crate::leaf;

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
            _ if leaf::inside().is_some() => leaf::inside().is_some_and(leaf::inside::Inside::shows_progress),
            When::Always => true,
            When::Never => false,
            When::Auto => !quiet && std::io::stderr().is_terminal() && std::env::var_os("CI").is_none(),
        };
        Self { started: Instant::now(), is_wanted, bar: Mutex::new(None) }
    }

    /// Whether anybody would see it.
    pub(crate) fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Takes note of how far it is.
    pub(crate) fn update(&self, progress: Progress) {
        if let Some(inside) = leaf::inside() {
            return if self.is_due() {
                inside.progress(progress)
            };
        }
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
        if let Some(inside) = leaf::inside() {
            return if self.is_due() {
                inside.fixing(done, of)
            };
        }
        self.show(|bar| {
            bar.set_message("looking for fixes");
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        });
    }

    fn is_due(&self) -> bool {
        self.is_wanted && self.started.elapsed() >= PATIENCE
    }

    fn show(&self, change: impl FnOnce(&ProgressBar)) {
        if !self.is_due() {
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
