//! From text to simple commands.

use super::{Command, Redirection, Word};
use crate::limits;
use crate::source::TextRange;

/// The simple commands of a script, those of substitutions before the command that they stand in.
pub(super) fn commands(text: &str) -> Vec<Command> {
    let mut lexer = Lexer { text, bytes: text.as_bytes(), at: 0, commands: Vec::new(), awaited: Vec::new(), pipeline: 0 };
    lexer.list(Closing::End, 0);
    lexer.commands
}

/// What ends a list of commands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Closing {
    End,
    Parenthesis,
    Backquote,
}

/// A here-document whose lines are still to come.
struct Awaited {
    delimiter: String,
    strips_tabs: bool,
    /// Where its lines are to be noted: the command, if it is complete already, and the redirection.
    command: usize,
    redirection: usize,
}

struct Lexer<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    commands: Vec<Command>,
    awaited: Vec<Awaited>,
    pipeline: u32,
}

/// A command that is being read.
#[derive(Default)]
struct Open {
    words: Vec<Word>,
    redirections: Vec<Redirection>,
    /// Here-documents among the redirections: delimiter, whether tabs are stripped, redirection.
    awaited: Vec<(String, bool, usize)>,
}

impl Lexer<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn peek_second(&self) -> Option<u8> {
        self.bytes.get(self.at + 1).copied()
    }

    fn list(&mut self, closing: Closing, depth: u32) {
        let mut open = Open::default();
        let mut parentheses = 0_u32;
        self.pipeline += 1;
        // Lists run inside a pipeline, and the pipeline goes on behind them.
        let mut pipeline = self.pipeline;
        while let Some(byte) = self.peek() {
            let ends_pipeline = match byte {
                b' ' | b'\t' | b'\r' => {
                    self.at += 1;
                    continue;
                }
                b'\\' if self.peek_second() == Some(b'\n') => {
                    self.at += 2;
                    continue;
                }
                b'\\' if self.text[self.at + 1..].starts_with("\r\n") => {
                    self.at += 3;
                    continue;
                }
                b'#' => {
                    self.at = memchr::memchr(b'\n', &self.bytes[self.at..]).map_or(self.bytes.len(), |length| self.at + length);
                    continue;
                }
                b'\n' => {
                    self.at += 1;
                    self.finish(&mut open, pipeline);
                    self.read_here_documents();
                    true
                }
                b';' => {
                    self.at += 1;
                    true
                }
                b'&' if self.peek_second() == Some(b'>') => {
                    self.redirection(&mut open, depth);
                    continue;
                }
                b'&' => {
                    self.at += if self.peek_second() == Some(b'&') { 2 } else { 1 };
                    true
                }
                b'|' => {
                    let is_or = self.peek_second() == Some(b'|');
                    self.at += if is_or || self.peek_second() == Some(b'&') { 2 } else { 1 };
                    is_or
                }
                b'(' => {
                    self.at += 1;
                    parentheses += 1;
                    true
                }
                b')' if parentheses == 0 && closing == Closing::Parenthesis => break,
                b')' => {
                    self.at += 1;
                    parentheses = parentheses.saturating_sub(1);
                    true
                }
                b'`' if is_in_backquotes(depth) => break,
                b'<' | b'>' if self.peek_second() != Some(b'(') => {
                    self.redirection(&mut open, depth);
                    continue;
                }
                _ => {
                    let word = self.word(depth);
                    let is_descriptor = word.text.bytes().all(|byte| byte.is_ascii_digit()) && matches!(self.peek(), Some(b'<' | b'>'));
                    if !is_descriptor || word.text.is_empty() || self.peek_second() == Some(b'(') {
                        open.words.push(word);
                    }
                    continue;
                }
            };
            self.finish(&mut open, pipeline);
            if ends_pipeline {
                self.pipeline += 1;
                pipeline = self.pipeline;
            }
        }
        self.finish(&mut open, pipeline);
    }

    fn finish(&mut self, open: &mut Open, pipeline: u32) {
        let open = std::mem::take(open);
        let ranges = open.words.iter().map(|word| word.range).chain(open.redirections.iter().map(|redirection| redirection.target.range));
        let Some(range) = ranges.reduce(TextRange::cover) else { return };
        let command = self.commands.len();
        self.awaited.extend(open.awaited.into_iter().map(|(delimiter, strips_tabs, redirection)| Awaited {
            delimiter,
            strips_tabs,
            command,
            redirection,
        }));
        self.commands.push(Command { words: open.words, redirections: open.redirections, range, pipeline });
    }

    fn redirection(&mut self, open: &mut Open, depth: u32) {
        const OPERATORS: &[&str] = &["&>>", "&>", "<<<", "<<-", "<<", "<&", "<>", ">>", ">&", ">|", "<", ">"];
        let rest = &self.text[self.at..];
        let operator = OPERATORS.iter().find(|operator| rest.starts_with(**operator)).copied().unwrap_or(">");
        self.at += operator.len();
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
        let start = self.at;
        let is_ended = matches!(self.peek(), None | Some(b'\n' | b';' | b'|' | b'&' | b')' | b'('));
        let target = if is_ended { Word { range: range(start, start), ..Word::default() } } else { self.word(depth) };
        if matches!(operator, "<<" | "<<-") && !target.text.is_empty() {
            open.awaited.push((target.text.clone(), operator == "<<-", open.redirections.len()));
        }
        open.redirections.push(Redirection { operator, target, content: None });
    }

    /// Reads the lines of the here-documents that a line announced.
    fn read_here_documents(&mut self) {
        for awaited in std::mem::take(&mut self.awaited) {
            let start = self.at;
            let mut end = start;
            while self.at < self.bytes.len() {
                let line_end = memchr::memchr(b'\n', &self.bytes[self.at..]).map_or(self.bytes.len(), |length| self.at + length);
                let line = self.text[self.at..line_end].trim_end_matches('\r');
                let line = if awaited.strips_tabs { line.trim_start_matches('\t') } else { line };
                self.at = (line_end + 1).min(self.bytes.len());
                if line == awaited.delimiter {
                    break;
                }
                end = self.at;
            }
            let redirection = self.commands.get_mut(awaited.command).and_then(|command| command.redirections.get_mut(awaited.redirection));
            if let Some(redirection) = redirection {
                redirection.content = Some(range(start, end));
            }
        }
    }

    /// A word; there is at least one byte of it.
    fn word(&mut self, depth: u32) -> Word {
        let start = self.at;
        let mut word = Word { is_literal: true, ..Word::default() };
        while let Some(byte) = self.peek() {
            match byte {
                b' ' | b'\t' | b'\n' | b'\r' | b';' | b'&' | b'|' => break,
                b'(' if word.text.ends_with('=') => self.array(&mut word),
                b'(' | b')' => break,
                b'<' | b'>' if self.peek_second() == Some(b'(') && self.at == start => {
                    self.at += 1;
                    self.substitution(&mut word, depth, 1);
                }
                b'<' | b'>' => break,
                b'\\' => self.escape(&mut word),
                b'\'' => {
                    self.at += 1;
                    let length = memchr::memchr(b'\'', &self.bytes[self.at..]);
                    let end = length.map_or(self.bytes.len(), |length| self.at + length);
                    word.text.push_str(&self.text[self.at..end]);
                    self.at = (end + 1).min(self.bytes.len());
                }
                b'"' => self.double_quoted(&mut word, depth),
                b'$' => self.dollar(&mut word, depth, false),
                // Of an enclosing substitution: it ends the word, and the list.
                b'`' if is_in_backquotes(depth) => break,
                b'`' => self.backquoted(&mut word, depth),
                _ => self.character(&mut word),
            }
        }
        // What can't begin a word and ends none (a backquote too many) is a word, so that reading goes on.
        if self.at == start {
            self.character(&mut word);
        }
        word.range = range(start, self.at);
        word
    }

    fn character(&mut self, word: &mut Word) {
        if let Some(character) = self.text[self.at..].chars().next() {
            word.text.push(character);
            self.at += character.len_utf8();
        }
    }

    fn escape(&mut self, word: &mut Word) {
        self.at += 1;
        match self.peek() {
            Some(b'\n') => self.at += 1,
            Some(b'\r') if self.peek_second() == Some(b'\n') => self.at += 2,
            Some(_) => self.character(word),
            None => word.text.push('\\'),
        }
    }

    fn double_quoted(&mut self, word: &mut Word, depth: u32) {
        self.at += 1;
        while let Some(byte) = self.peek() {
            match byte {
                b'"' => {
                    self.at += 1;
                    return;
                }
                b'\\' if matches!(self.peek_second(), Some(b'$' | b'`' | b'"' | b'\\' | b'\n')) => self.escape(word),
                b'$' => self.dollar(word, depth, true),
                b'`' if is_in_backquotes(depth) => return,
                b'`' => self.backquoted(word, depth),
                _ => self.character(word),
            }
        }
    }

    /// `$name`, `${…}`, `$(…)`, `$((…))`, `$'…'`; a lone dollar sign is one.
    fn dollar(&mut self, word: &mut Word, depth: u32, is_quoted: bool) {
        let start = self.at;
        match self.peek_second() {
            Some(b'(') if self.bytes.get(self.at + 2) == Some(&b'(') => {
                word.is_literal = false;
                self.at += 1;
                self.balanced(b'(', b')');
                word.text.push_str(&self.text[start..self.at]);
            }
            Some(b'(') => {
                self.at += 1;
                self.substitution(word, depth, 1);
            }
            Some(b'{') => {
                word.is_literal = false;
                self.at += 1;
                self.balanced(b'{', b'}');
                word.text.push_str(&self.text[start..self.at]);
            }
            Some(b'\'') if !is_quoted => {
                self.at += 2;
                while let Some(byte) = self.peek() {
                    match byte {
                        b'\'' => {
                            self.at += 1;
                            return;
                        }
                        b'\\' => self.escape(word),
                        _ => self.character(word),
                    }
                }
            }
            Some(b'"') if !is_quoted => self.at += 1,
            Some(b'_' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'@' | b'*' | b'#' | b'?' | b'!' | b'-' | b'$') => {
                word.is_literal = false;
                self.at += 2;
                if matches!(self.bytes[start + 1], b'_' | b'a'..=b'z' | b'A'..=b'Z') {
                    while self.peek().is_some_and(|byte| byte == b'_' || byte.is_ascii_alphanumeric()) {
                        self.at += 1;
                    }
                }
                word.text.push_str(&self.text[start..self.at]);
            }
            _ => self.character(word),
        }
    }

    /// The commands of `$(…)` or `<(…)`, from its opening parenthesis; `before` bytes in front of it belong to it.
    fn substitution(&mut self, word: &mut Word, depth: u32, before: usize) {
        let start = self.at - before;
        word.is_literal = false;
        if depth & !IN_BACKQUOTES >= limits::SHELL_NESTING {
            self.balanced(b'(', b')');
        } else {
            self.at += 1;
            // Here-documents that wait belong to the line around.
            let awaited = std::mem::take(&mut self.awaited);
            self.list(Closing::Parenthesis, depth + 1);
            self.awaited.splice(..0, awaited);
            if self.peek() == Some(b')') {
                self.at += 1;
            }
        }
        word.text.push_str(&self.text[start..self.at]);
    }

    fn backquoted(&mut self, word: &mut Word, depth: u32) {
        let start = self.at;
        word.is_literal = false;
        self.at += 1;
        let awaited = std::mem::take(&mut self.awaited);
        self.list(Closing::Backquote, depth | IN_BACKQUOTES);
        self.awaited.splice(..0, awaited);
        if self.peek() == Some(b'`') {
            self.at += 1;
        }
        word.text.push_str(&self.text[start..self.at]);
    }

    /// `(a b)` behind `name=`.
    fn array(&mut self, word: &mut Word) {
        let start = self.at;
        self.balanced(b'(', b')');
        word.text.push_str(&self.text[start..self.at]);
    }

    /// Passes over brackets and what is in them, quotes counted; to the end of the text, if they aren't closed.
    fn balanced(&mut self, opening: u8, closing: u8) {
        let mut open = 0_u32;
        let mut quote = None;
        while let Some(byte) = self.peek() {
            self.at += 1;
            match (quote, byte) {
                (Some(b'"') | None, b'\\') => self.at = (self.at + 1).min(self.bytes.len()),
                (Some(opened), _) if byte == opened => quote = None,
                (Some(_), _) => {}
                (None, b'\'' | b'"') => quote = Some(byte),
                (None, _) if byte == opening => open += 1,
                (None, _) if byte == closing => {
                    open -= 1;
                    if open == 0 {
                        break;
                    }
                }
                (None, _) => {}
            }
        }
        // An escape may have led into the middle of a character.
        while !self.text.is_char_boundary(self.at) {
            self.at += 1;
        }
    }
}

/// Marks a depth within backquotes.
const IN_BACKQUOTES: u32 = 1 << 31;

/// Whether a backquote here closes a substitution: they don't stand inside each other.
fn is_in_backquotes(depth: u32) -> bool {
    depth & IN_BACKQUOTES != 0
}

fn range(start: usize, end: usize) -> TextRange {
    TextRange::new(start as u32, end as u32)
}
