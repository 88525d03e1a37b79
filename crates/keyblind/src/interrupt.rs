//! Ctrl-C where more has to be said than that the program ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use crate::exit::Exit;

/// How long a wait may go on after the signal.
const GRAIN: Duration = Duration::from_millis(50);

/// Whether somebody pressed Ctrl-C since this was made.
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Takes note of the signal from now on. The second one ends the program at once.
    ///
    /// # Errors
    /// If the system doesn't let it.
    pub(crate) fn watch() -> anyhow::Result<Self> {
        let happened = Arc::new(AtomicBool::new(false));
        let code = Exit::Interrupted as u8;
        // In this order: the first signal finds nothing noted yet.
        flag::register_conditional_shutdown(SIGINT, i32::from(code), happened.clone())
            .and_then(|_| flag::register(SIGINT, happened.clone()))
            .context("Ctrl-C can't be watched for")?;
        Ok(Self(happened))
    }

    /// Whether it was pressed.
    pub(crate) fn happened(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits so long, or until it is pressed: then `true`.
    pub(crate) fn within(&self, time: Duration) -> bool {
        let begun = Instant::now();
        while !self.happened() {
            let left = time.saturating_sub(begun.elapsed());
            if left.is_zero() {
                return false;
            }
            std::thread::sleep(left.min(GRAIN));
        }
        true
    }
}
