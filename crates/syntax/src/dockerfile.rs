//! Dockerfiles with ranges: parser directives, instructions, flags, both forms of arguments, here-documents.
//!
//! Source: the Dockerfile reference, and BuildKit's front end where that leaves a doubt. Nothing is substituted here. What
//! isn't an instruction costs its own line and becomes an error; everything else is read.

mod lines;
mod words;

pub use lines::LogicalLine;
pub use words::{Word, parameter_names, words};

use std::sync::Arc;

use crate::json;
use crate::limits;
use crate::source::TextRange;

/// A parsed Dockerfile.
#[derive(Clone, Debug, Default)]
pub struct Dockerfile {
    /// `# name=value` at the top.
    pub directives: Vec<ParserDirective>,
    /// What escapes a character or the end of a line: a backslash, or a backquote on Windows.
    pub escape: Escape,
    /// All instructions in order.
    pub instructions: Vec<Instruction>,
    /// All comments from their `#` on, those within an instruction included; parser directives are none.
    pub comments: Vec<TextRange>,
    /// What could not be read.
    pub errors: Vec<DockerfileError>,
}

/// The escape character.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Escape {
    /// `\`
    #[default]
    Backslash,
    /// `` ` ``
    Backquote,
}

impl Escape {
    /// The character itself.
    pub fn byte(self) -> u8 {
        match self {
            Self::Backslash => b'\\',
            Self::Backquote => b'`',
        }
    }
}

/// `# escape=...`, `# syntax=…`, `# check=…`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParserDirective {
    /// The name in lower case.
    pub name: Arc<str>,
    /// The value.
    pub value: Arc<str>,
    /// The whole line.
    pub range: TextRange,
}

/// What is wrong with a part of the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct DockerfileError {
    /// Where.
    pub range: TextRange,
    /// What, in one sentence without a full stop.
    pub message: String,
}

/// One instruction.
#[derive(Clone, Debug)]
pub struct Instruction {
    /// Its name in upper case.
    pub keyword: Keyword,
    /// The bytes of the name.
    pub keyword_range: TextRange,
    /// The bytes of `ONBUILD`, if it is to be run by images that are built upon this one.
    pub onbuild: Option<TextRange>,
    /// `--name=value` in front of the arguments.
    pub flags: Vec<Flag>,
    /// What follows the flags: continued lines joined, comments in between left out.
    pub arguments: LogicalLine,
    /// The arguments as a JSON list of texts, for instructions that have such a form.
    pub exec: Option<Vec<Word>>,
    /// The here-documents of RUN, COPY and ADD.
    pub heredocs: Vec<Heredoc>,
    /// From the name to the end of the last line, here-documents included.
    pub range: TextRange,
}

/// `--name=value`, or `--name` alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flag {
    /// The name without dashes, in lower case.
    pub name: Arc<str>,
    /// The value as written, if there is one.
    pub value: Option<Word>,
    /// The bytes of the whole flag.
    pub range: TextRange,
}

/// A here-document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heredoc {
    /// The word that ends it.
    pub name: Arc<str>,
    /// Whether its lines are taken as they are, without substitution: the name stood in quotes.
    pub is_quoted: bool,
    /// Whether tabs in front of its lines are left out (`<<-`).
    pub strips_tabs: bool,
    /// Its lines, without the one that ends it.
    pub content: TextRange,
}

/// The instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "each is named for its instruction")]
pub enum Keyword {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
}

impl Keyword {
    /// All of them.
    pub const ALL: [Self; 17] = [
        Self::Add,
        Self::Arg,
        Self::Cmd,
        Self::Copy,
        Self::Entrypoint,
        Self::Env,
        Self::Expose,
        Self::From,
        Self::Healthcheck,
        Self::Label,
        Self::Maintainer,
        Self::Run,
        Self::Shell,
        Self::Stopsignal,
        Self::User,
        Self::Volume,
        Self::Workdir,
    ];

    /// The name in upper case.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Arg => "ARG",
            Self::Cmd => "CMD",
            Self::Copy => "COPY",
            Self::Entrypoint => "ENTRYPOINT",
            Self::Env => "ENV",
            Self::Expose => "EXPOSE",
            Self::From => "FROM",
            Self::Healthcheck => "HEALTHCHECK",
            Self::Label => "LABEL",
            Self::Maintainer => "MAINTAINER",
            Self::Run => "RUN",
            Self::Shell => "SHELL",
            Self::Stopsignal => "STOPSIGNAL",
            Self::User => "USER",
            Self::Volume => "VOLUME",
            Self::Workdir => "WORKDIR",
        }
    }

    /// The instruction of a name in any case.
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|keyword| keyword.name().eq_ignore_ascii_case(name))
    }

    fn has_exec_form(self) -> bool {
        matches!(self, Self::Add | Self::Cmd | Self::Copy | Self::Entrypoint | Self::Healthcheck | Self::Run | Self::Shell | Self::Volume)
    }

    fn has_heredocs(self) -> bool {
        matches!(self, Self::Add | Self::Copy | Self::Run)
    }
}

/// Parses a text. A byte-order mark is passed over, and ranges count it.
pub fn parse(text: &str) -> Dockerfile {
    let mut dockerfile = Dockerfile::default();
    if text.len() > limits::DOCKERFILE_BYTES {
        let message = format!("this file isn't read, because it is longer than {} MiB", limits::DOCKERFILE_BYTES >> 20);
        dockerfile.errors.push(DockerfileError { range: TextRange::new(0, 0), message });
        return dockerfile;
    }
    let mut lines = lines::Lines::new(text);
    while let Some((name, value, range)) = lines.directive() {
        // Only the first `escape` counts; another value than the two is an error to Docker.
        if name == "escape" {
            match &*value {
                "`" => dockerfile.escape = Escape::Backquote,
                "\\" => {}
                _ => dockerfile
                    .errors
                    .push(DockerfileError { range, message: "the escape character must be a backslash or a backquote".to_owned() }),
            }
        }
        dockerfile.directives.push(ParserDirective { name: name.into(), value: value.into(), range });
    }
    let escape = dockerfile.escape;
    while let Some(line) = lines.logical(escape.byte(), &mut dockerfile.comments) {
        match instruction(line, escape, &mut lines) {
            Ok((instruction, errors)) => {
                dockerfile.errors.extend(errors);
                dockerfile.instructions.push(instruction);
            }
            Err(error) => dockerfile.errors.push(error),
        }
    }
    dockerfile.errors.truncate(limits::DOCKERFILE_ERRORS);
    dockerfile
}

/// Whether a text looks like a Dockerfile: its first instruction is one that a Dockerfile begins with.
pub fn is_dockerfile(text: &str) -> bool {
    let mut lines = lines::Lines::new(text);
    let mut escape = Escape::default();
    while let Some((name, value, _)) = lines.directive() {
        if name == "escape" && value == "`" {
            escape = Escape::Backquote;
        }
    }
    let Some(line) = lines.logical(escape.byte(), &mut Vec::new()) else { return false };
    let (keyword, rest) = line.text.split_once([' ', '\t']).unwrap_or((&line.text, ""));
    match Keyword::of(keyword) {
        // `FROM` begins sentences and queries as well.
        Some(Keyword::From) => {
            let words: Vec<&str> = rest.split_whitespace().filter(|word| !word.starts_with("--")).collect();
            matches!(words[..], [_]) || matches!(words[..], [_, alias, _] if alias.eq_ignore_ascii_case("as"))
        }
        Some(Keyword::Arg) => rest.trim_start().starts_with(|first: char| first == '_' || first.is_ascii_alphabetic()),
        _ => false,
    }
}

type Parsed = (Instruction, Vec<DockerfileError>);

fn instruction(line: LogicalLine, escape: Escape, lines: &mut lines::Lines<'_>) -> Result<Parsed, DockerfileError> {
    let mut errors = Vec::new();
    let whole = line.whole();
    let mut onbuild = None;
    let mut at = 0;
    let (keyword, keyword_range) = loop {
        let length = line.text[at..].find([' ', '\t']).unwrap_or(line.text.len() - at);
        let range = line.range(at, at + length);
        let name = &line.text[at..at + length];
        at += length;
        at += line.text[at..].len() - line.text[at..].trim_start_matches([' ', '\t']).len();
        match Keyword::of(name) {
            Some(keyword) => break (keyword, range),
            None if name.eq_ignore_ascii_case("ONBUILD") && onbuild.is_none() && at < line.text.len() => onbuild = Some(range),
            None => {
                let shown: String = name.chars().take(40).collect();
                return Err(DockerfileError { range, message: format!("`{shown}` is not an instruction, so its line was not read") });
            }
        }
    };
    let (flags, behind) = flags(&line, at, escape);
    let arguments = line.behind(behind);
    let heredocs = if keyword.has_heredocs() { heredocs(&arguments, escape, lines, &mut errors) } else { Vec::new() };
    let exec = if keyword.has_exec_form() { exec_form(&arguments, keyword) } else { None };
    let end = heredocs.iter().map(|_| lines.previous_end()).max().unwrap_or(whole.end).max(whole.end);
    let range = TextRange::new(whole.start, end);
    Ok((Instruction { keyword, keyword_range, onbuild, flags, arguments, exec, heredocs, range }, errors))
}

/// The flags from a place on, and where they end.
fn flags(line: &LogicalLine, mut at: usize, escape: Escape) -> (Vec<Flag>, usize) {
    let mut flags = Vec::new();
    while line.text[at..].starts_with("--") {
        let end = words::word_end(&line.text, at, escape);
        let written = &line.text[at + 2..end];
        let (name, value) = match written.split_once('=') {
            Some((name, _)) => (name, Some(at + 2 + name.len() + 1)),
            None => (written, None),
        };
        let value = value.map(|start| Word { text: line.text[start..end].to_owned(), range: line.range(start, end) });
        flags.push(Flag { name: name.to_ascii_lowercase().into(), value, range: line.range(at, end) });
        let is_last = written.is_empty();
        at = end;
        at += line.text[at..].len() - line.text[at..].trim_start_matches([' ', '\t']).len();
        if is_last {
            break;
        }
    }
    (flags, at)
}

/// Reads the lines of the here-documents that the arguments announce.
fn heredocs(arguments: &LogicalLine, escape: Escape, lines: &mut lines::Lines<'_>, errors: &mut Vec<DockerfileError>) -> Vec<Heredoc> {
    if !arguments.text.contains("<<") {
        return Vec::new();
    }
    let announced: Vec<_> =
        words(arguments, escape).into_iter().filter_map(|word| Some((words::heredoc(&word.text)?, word.range))).collect();
    announced
        .into_iter()
        .map(|((name, is_quoted, strips_tabs), range)| {
            let (content, is_ended) = lines.heredoc(&name, strips_tabs);
            if !is_ended {
                errors.push(DockerfileError { range, message: format!("the here-document `{name}` isn't ended") });
            }
            Heredoc { name: name.into(), is_quoted, strips_tabs, content }
        })
        .collect()
}

/// A JSON list of texts; what isn't one is in shell form.
fn exec_form(arguments: &LogicalLine, keyword: Keyword) -> Option<Vec<Word>> {
    let mut start = 0;
    if keyword == Keyword::Healthcheck {
        let length = arguments.text.find([' ', '\t'])?;
        start = length + (arguments.text[length..].len() - arguments.text[length..].trim_start().len());
    }
    let list = arguments.text[start..].trim_end();
    if !list.starts_with('[') || !list.ends_with(']') {
        return None;
    }
    let json::NodeKind::Array(items) = json::parse(list).ok()?.kind else { return None };
    let word = |item: json::Node| match item.kind {
        json::NodeKind::String(text) => {
            let range = arguments.range(start + item.range.start as usize, start + item.range.end as usize);
            Some(Word { text: text.to_string(), range })
        }
        _ => None,
    };
    items.into_iter().map(word).collect()
}
