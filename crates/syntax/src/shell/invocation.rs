//! Which program a command runs, behind reserved words, assignments and programs that run others.

use super::{Command, Word};
use crate::source::TextRange;

/// A command seen as the run of a program.
#[derive(Clone, Debug)]
pub struct Invocation<'a> {
    /// `NAME=value` in front of the program, also those that `env` or `sudo` sets.
    pub assignments: Vec<&'a Word>,
    /// The programs that run the program: `sudo`, `env`, `xargs` … by their names.
    pub wrappers: Vec<&'a str>,
    /// The program's name without its directory; missing if there is none, as in `NAME=value` alone.
    pub name: Option<&'a str>,
    /// What follows the program's name.
    pub arguments: &'a [Word],
}

/// A script that a command gets as a text.
pub(super) struct InnerScript {
    pub(super) text: String,
    pub(super) range: TextRange,
    /// Whether the text is what stands at the range, byte for byte.
    pub(super) is_verbatim: bool,
}

/// A program that runs another, which follows it: its options that take a value, and how many words stand before the other.
struct Wrapper {
    name: &'static str,
    options: &'static [&'static str],
    operands: usize,
}

const fn wrapper(name: &'static str, options: &'static [&'static str], operands: usize) -> Wrapper {
    Wrapper { name, options, operands }
}

const WRAPPERS: &[Wrapper] = &[
    wrapper("sudo", &["-u", "-g", "-h", "-p", "-C", "-r", "-t", "-D", "-R", "-T", "-U", "--user", "--group", "--host"], 0),
    wrapper("doas", &["-u", "-C"], 0),
    wrapper("env", &["-u", "-C", "--unset", "--chdir"], 0),
    wrapper("exec", &["-a"], 0),
    wrapper("command", &[], 0),
    wrapper("builtin", &[], 0),
    wrapper("nohup", &[], 0),
    wrapper("time", &["-f", "-o"], 0),
    wrapper("nice", &["-n"], 0),
    wrapper("ionice", &["-c", "-n"], 0),
    wrapper("stdbuf", &["-i", "-o", "-e"], 0),
    wrapper("timeout", &["-s", "-k", "--signal", "--kill-after"], 1),
    wrapper("retry", &["-t", "-d", "-n"], 0),
    wrapper("xargs", &["-n", "-I", "-P", "-L", "-d", "-E", "-s", "-a"], 0),
    wrapper("gosu", &[], 1),
    wrapper("su-exec", &[], 1),
    wrapper("chroot", &[], 1),
    wrapper("busybox", &[], 0),
];

const RESERVED: &[&str] = &["if", "then", "elif", "else", "while", "until", "do", "!", "{", "}", "&&", "time"];

impl<'a> Invocation<'a> {
    pub(super) fn of(command: &'a Command) -> Self {
        let mut words = command.words.as_slice();
        let (mut assignments, mut wrappers) = (Vec::new(), Vec::new());
        while let Some((first, rest)) = words.split_first() {
            if RESERVED.contains(&&*first.text) {
                words = rest;
            } else if is_assignment(&first.text) {
                assignments.push(first);
                words = rest;
            } else if let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.name == program(&first.text)) {
                let behind = behind_options(rest, wrapper.options);
                let inner = behind.get(wrapper.operands..).unwrap_or_default();
                // Alone, it is the program itself.
                if inner.is_empty() {
                    break;
                }
                wrappers.push(wrapper.name);
                words = inner;
            } else {
                break;
            }
        }
        // `python -m pip` is pip.
        if let [interpreter, option, module, ..] = words
            && is_python(program(&interpreter.text))
            && option.text == "-m"
        {
            return Self { assignments, wrappers, name: Some(&module.text), arguments: &words[3..] };
        }
        let (name, arguments) = match words.split_first() {
            Some((name, arguments)) => (Some(program(&name.text)), arguments),
            None => (None, &words[..0]),
        };
        Self { assignments, wrappers, name, arguments }
    }

    /// The script that a shell is given: `sh -c '…'`, `su user -c '…'`, `eval '…'`, or a here-document.
    pub(super) fn script(&self, text: &str, command: &Command) -> Option<InnerScript> {
        let name = self.name?;
        let of_word = |word: &Word| {
            let written = text.get(word.range.as_usize()).unwrap_or_default();
            // Quotes around a text without escapes: what is inside stands there as it is.
            let is_verbatim =
                written.len() == word.text.len() + 2 && written.get(1..written.len() - 1).is_some_and(|inner| inner == word.text);
            let range = if is_verbatim { TextRange::new(word.range.start + 1, word.range.end - 1) } else { word.range };
            InnerScript { text: word.text.clone(), range, is_verbatim }
        };
        if name == "eval" {
            return self.arguments.first().map(of_word);
        }
        let is_shell = is_shell(name);
        if !is_shell && name != "su" && name != "runuser" {
            return None;
        }
        // `-c` may stand in a cluster: `-lc`, `-euxo pipefail -c`.
        let is_command_option = |word: &Word| {
            word.text == "--command"
                || word.text.strip_prefix('-').is_some_and(|letters| !letters.starts_with('-') && letters.ends_with('c'))
        };
        if let Some(at) = self.arguments.iter().position(is_command_option) {
            return self.arguments.get(at + 1).map(of_word);
        }
        if !is_shell {
            return None;
        }
        let range = command.redirections.iter().find_map(|redirection| redirection.content)?;
        Some(InnerScript { text: text.get(range.as_usize())?.to_owned(), range, is_verbatim: true })
    }
}

/// Whether a program is a shell that takes a script.
pub(super) fn is_shell(name: &str) -> bool {
    matches!(name, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh")
}

fn is_python(name: &str) -> bool {
    name.strip_prefix("python").is_some_and(|version| version.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.'))
}

/// A program's name without its directory.
fn program(text: &str) -> &str {
    text.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(text)
}

fn is_assignment(text: &str) -> bool {
    let Some((name, _)) = text.split_once('=') else { return false };
    let name = name.strip_suffix('+').unwrap_or(name);
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

/// What stands behind the options of a program.
fn behind_options<'a>(mut words: &'a [Word], with_value: &[&str]) -> &'a [Word] {
    while let Some((first, rest)) = words.split_first() {
        if first.text == "--" {
            return rest;
        }
        if !first.text.starts_with('-') || first.text == "-" {
            return words;
        }
        words = if with_value.contains(&&*first.text) { rest.get(1..).unwrap_or_default() } else { rest };
    }
    words
}
