//! What is said on standard error, and what the terminal can do.

use std::io::{self, IsTerminal, Write};

use crate::arguments::When;
use crate::exit::{Exit, UsageError};
use crate::leaf;

/// Where text for people goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
}

impl Stream {
    /// Whether a person looks at it.
    pub(crate) fn is_terminal(self) -> bool {
        match self {
            Self::Output => io::stdout().is_terminal(),
            Self::Errors => io::stderr().is_terminal(),
        }
    }
}

/// What a leaf was told of a stream that it can't see.
fn told(stream: Stream) -> Option<(bool, usize)> {
    let inside = leaf::inside()?;
    Some(match stream {
        Stream::Output => inside.output_look(),
        Stream::Errors => inside.errors_look(),
    })
}

/// Whether to colour what goes to a stream. `NO_COLOR` and `FORCE_COLOR` count where the command line doesn't say.
pub(crate) fn use_color(when: When, stream: Stream) -> bool {
    if let Some((color, _)) = told(stream) {
        return color;
    }
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    match when {
        When::Always => true,
        When::Never => false,
        When::Auto if is_set("NO_COLOR") => false,
        When::Auto if is_set("FORCE_COLOR") || is_set("CLICOLOR_FORCE") => true,
        When::Auto => stream.is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb"),
    }
}

/// How many columns there are: of the terminal, or of a page where there is none.
pub(crate) fn width(stream: Stream) -> usize {
    if let Some((_, width)) = told(stream) {
        return width;
    }
    let columns = || std::env::var("COLUMNS").ok()?.parse().ok();
    if !stream.is_terminal() {
        return 120;
    }
    columns().or_else(|| console_width().filter(|width| *width > 0)).unwrap_or(100).clamp(40, 200)
}

fn console_width() -> Option<usize> {
    terminal_size::terminal_size().map(|(columns, _)| usize::from(columns.0))
}

/// Says a line on standard error.
pub(crate) fn say(line: impl std::fmt::Display) {
    if let Some(inside) = leaf::inside() {
        return inside.say(&line.to_string());
    }
    // There is nobody to tell that nothing can be told.
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Says what went wrong, and how the program ends for it.
pub(crate) fn report_error(error: &anyhow::Error) -> Exit {
    say(format_args!("error: {error:#}"));
    if error.chain().any(|cause| cause.is::<UsageError>()) { Exit::Usage } else { Exit::Internal }
}
