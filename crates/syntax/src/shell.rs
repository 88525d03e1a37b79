//! Shell scripts, as far as it takes to tell which commands they run: words with their ranges, quotes and escapes undone.
//!
//! Source: POSIX.1-2024, Shell Command Language, sections 2.2 to 2.10; of bash also `|&`, `&>`, `<<<`, `$'…'`, `<(…)` and
//! arrays. Nothing is expanded: a word with an expansion keeps its text, and says that it isn't literal. Commands in
//! `$(…)`, backquotes, subshells, `sh -c '…'` and scripts that a shell gets by a here-document are commands like any other.
//!
//! Any text is a script: what a shell would refuse is read as well as can be, and nothing in it is lost but comments.

mod invocation;
mod lexer;

pub use invocation::Invocation;

use crate::source::TextRange;

/// The commands of a script in the order of their text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Script {
    /// The simple commands: what stands between the operators.
    pub commands: Vec<Command>,
}

/// A simple command: assignments, a name, its arguments, redirections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// All words but redirections, in order, reserved words (`if`, `then`, `!`) included.
    pub words: Vec<Word>,
    /// What is redirected.
    pub redirections: Vec<Redirection>,
    /// From the first word to the last, redirections included.
    pub range: TextRange,
    /// Commands with the same number are connected by pipes, in the order of their text.
    pub pipeline: u32,
}

/// A word, quotes and escapes undone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// The text that the command gets; expansions stay as they are written.
    pub text: String,
    /// The bytes that it was written with.
    pub range: TextRange,
    /// Whether nothing in it is expanded.
    pub is_literal: bool,
}

/// A redirection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redirection {
    /// The operator without the number of the file: `>`, `>>`, `<<`, `&>` …
    pub operator: &'static str,
    /// The file, the text of `<<<`, or the delimiter of a here-document.
    pub target: Word,
    /// The lines of a here-document, without the one that ends it.
    pub content: Option<TextRange>,
}

/// Reads a script.
pub fn parse(text: &str) -> Script {
    let mut commands = lexer::commands(text);
    nested(text, &mut commands);
    commands.sort_by_key(|command| command.range.start);
    Script { commands }
}

/// How deep scripts within scripts (`sh -c 'sh -c …'`) are looked into.
const DEEPEST_SCRIPT: u32 = 4;

/// Adds the commands of scripts that a command gets as a text.
fn nested(text: &str, commands: &mut Vec<Command>) {
    let mut from = 0;
    let mut pipeline = commands.iter().map(|command| command.pipeline).max().unwrap_or(0);
    for _ in 0..DEEPEST_SCRIPT {
        let mut found = Vec::new();
        for command in &commands[from..] {
            let Some(script) = Invocation::of(command).script(text, command) else { continue };
            let inner = lexer::commands(&script.text);
            let offset = pipeline + 1;
            for mut inner in inner {
                inner.pipeline += offset;
                pipeline = pipeline.max(inner.pipeline);
                // Where the text stands as it is written, so do its commands; else they are shown where the text is.
                inner.shift(if script.is_verbatim { Shift::By(script.range.start) } else { Shift::To(script.range) });
                found.push(inner);
            }
        }
        if found.is_empty() {
            return;
        }
        from = commands.len();
        commands.append(&mut found);
    }
}

#[derive(Clone, Copy)]
enum Shift {
    By(u32),
    To(TextRange),
}

impl Command {
    /// What it runs.
    pub fn invocation(&self) -> Invocation<'_> {
        Invocation::of(self)
    }

    fn shift(&mut self, shift: Shift) {
        let shifted = |range: &mut TextRange| match shift {
            Shift::By(offset) => *range = TextRange::new(range.start + offset, range.end + offset),
            Shift::To(whole) => *range = whole,
        };
        shifted(&mut self.range);
        self.words.iter_mut().for_each(|word| shifted(&mut word.range));
        for redirection in &mut self.redirections {
            shifted(&mut redirection.target.range);
            // A here-document within a here-document can't be looked up by range any more.
            redirection.content = None;
        }
    }
}
