//! What each instruction says, as values.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_resource::{Data, HopKind, Number, Origin, Reason, Unknown, Value};
use keyblind_syntax::dockerfile::{Dockerfile, Escape, Flag, Instruction, Keyword, Word, words};
use keyblind_syntax::{FileId, Site, TextRange};

use super::stages::{Stages, name_of};
use super::substitution::{Budget, Variables, expand};
use crate::script;

type Entries = Vec<(Arc<str>, Value)>;

/// Reads instructions in their order, and remembers the variables that they set.
pub(super) struct Reader<'a> {
    file: FileId,
    text: &'a str,
    parsed: &'a Dockerfile,
    stages: &'a Stages,
    /// Arguments before the first `FROM`.
    global: Variables,
    /// What the current stage sees.
    current: Variables,
    /// What later stages inherit from each stage: variables without arguments.
    inherited: Vec<Arc<Variables>>,
    budget: Budget,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: FileId, text: &'a str, parsed: &'a Dockerfile, stages: &'a Stages) -> Self {
        let (global, current) = (Variables::default(), Variables::default());
        Self { file, text, parsed, stages, global, current, inherited: Vec::new(), budget: Budget::default() }
    }

    fn site(&self, range: TextRange) -> Site {
        Site::new(self.file, range)
    }

    fn escape(&self) -> Escape {
        self.parsed.escape
    }

    fn string(&self, text: &str, range: TextRange) -> Value {
        Value::at(Data::String(text.into()), self.site(range))
    }

    fn expand(&mut self, word: &Word) -> Value {
        expand(&word.text, self.site(word.range), self.escape(), &self.current, &mut self.budget)
    }

    /// The body of an instruction's resource.
    pub(super) fn body(&mut self, index: usize, instruction: &Instruction) -> Value {
        let stage = self.stages.stage_of(index);
        let mut entries: Entries = Vec::new();
        let arguments = &instruction.arguments;
        entries.push(("text".into(), self.string(&arguments.text, arguments.whole())));
        let form = if instruction.exec.is_some() { "exec" } else { "shell" };
        match instruction.keyword {
            Keyword::From => self.from(index, instruction, &mut entries),
            Keyword::Arg => self.arg(instruction, stage.is_none(), &mut entries),
            Keyword::Env => self.env(instruction, stage, &mut entries),
            Keyword::Label => {
                let pairs = self.pairs(instruction);
                entries.push(("variables".into(), variables(&pairs)));
            }
            Keyword::Run | Keyword::Cmd | Keyword::Entrypoint | Keyword::Healthcheck => {
                entries.push(("form".into(), Value::string(form)));
                self.command(instruction, &mut entries);
            }
            Keyword::Add | Keyword::Copy => self.copy(instruction, &mut entries),
            Keyword::User => self.user(index, instruction, &mut entries),
            Keyword::Expose => {
                let ports: Vec<Value> = words(arguments, self.escape()).iter().map(|word| self.port(word)).collect();
                entries.push(("ports".into(), Value::tuple(ports)));
            }
            Keyword::Workdir => {
                let path = Word { text: arguments.text.clone(), range: arguments.whole() };
                entries.push(("path".into(), self.expand(&path)));
            }
            Keyword::Volume | Keyword::Shell => {
                let items = match &instruction.exec {
                    Some(items) => items.iter().map(|item| self.string(&item.text, item.range)).collect(),
                    None => words(arguments, self.escape()).iter().map(|word| self.expand(word)).collect(),
                };
                entries.push(("items".into(), Value::tuple(items)));
            }
            Keyword::Stopsignal | Keyword::Maintainer => {}
        }
        entries.push(("flags".into(), self.flags(&instruction.flags)));
        entries.push(("is_onbuild".into(), Value::bool(instruction.onbuild.is_some())));
        entries.push(("is_repeated".into(), Value::bool(self.is_repeated(index, instruction))));
        if let Some(stage) = stage {
            entries.push(("stage".into(), self.stage(stage)));
        }
        Value { origin: Origin::Site(self.site(instruction.range)), ..Value::object(entries) }
    }

    fn stage(&self, number: usize) -> Value {
        let stage = &self.stages.stages[number];
        let mut entries: Entries = vec![
            ("number".into(), Value::new(Data::Number(Number::from(number)))),
            ("is_final".into(), Value::bool(number + 1 == self.stages.stages.len())),
            ("is_used".into(), Value::bool(stage.is_used)),
        ];
        entries.extend(stage.name.as_deref().map(|name| ("name".into(), Value::string(name))));
        Value::object(entries)
    }

    /// Whether the same stage has another of an instruction of which only the last one counts.
    fn is_repeated(&self, index: usize, instruction: &Instruction) -> bool {
        if !matches!(instruction.keyword, Keyword::Cmd | Keyword::Entrypoint | Keyword::Healthcheck) || instruction.onbuild.is_some() {
            return false;
        }
        let rest = self.parsed.instructions.get(index + 1..).unwrap_or_default();
        let mut of_stage = rest.iter().take_while(|other| other.keyword != Keyword::From);
        of_stage.any(|other| other.keyword == instruction.keyword && other.onbuild.is_none())
    }

    /// Each flag with the list of its values: some may be given more than once.
    fn flags(&mut self, flags: &[Flag]) -> Value {
        let mut by_name: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
        for flag in flags {
            let value = match &flag.value {
                Some(value) => self.expand(value),
                None => Value::at(Data::Bool(true), self.site(flag.range)),
            };
            by_name.entry(flag.name.clone()).or_default().push(value);
        }
        Value::object(by_name.into_iter().map(|(name, values)| (name, Value::tuple(values))))
    }

    fn from(&mut self, index: usize, instruction: &Instruction, entries: &mut Entries) {
        let words = words(&instruction.arguments, self.escape());
        let number = self.stages.stages.partition_point(|stage| stage.from < index);
        let stage = &self.stages.stages[number];
        if let Some(image) = words.first() {
            let global = std::mem::take(&mut self.current);
            self.current = std::mem::take(&mut self.global);
            let value = self.expand(image);
            self.global = std::mem::replace(&mut self.current, global);
            entries.push(("image".into(), value));
        }
        if let Some(name) = name_of(&words) {
            entries.push(("name".into(), self.string(&name.text, name.range)));
        }
        entries.push(("is_stage".into(), Value::bool(stage.base.is_some())));
        entries.push(("repeats_name".into(), Value::bool(stage.repeats_name)));
        let base = stage.base.and_then(|base| self.inherited.get(base));
        self.current = base.map(Variables::upon).unwrap_or_default();
        self.inherited.push(Arc::new(self.current.clone()));
    }

    fn arg(&mut self, instruction: &Instruction, is_global: bool, entries: &mut Entries) {
        let mut pairs = Vec::new();
        for word in words(&instruction.arguments, self.escape()) {
            let (name, value) = match word.text.split_once('=') {
                Some((name, _)) => {
                    let offset = name.len() as u32 + 1;
                    let text = word.text[name.len() + 1..].to_owned();
                    let start = (word.range.start + offset).min(word.range.end);
                    let written = Word { text, range: TextRange::new(start, word.range.end) };
                    let value = if is_global { self.expand_global(&written) } else { self.expand(&written) };
                    (name.to_owned(), Some(value))
                }
                None => (word.text.clone(), None),
            };
            let seen = match &value {
                Some(value) => value.clone(),
                None => self.argument_without_default(&name, word.range),
            };
            if is_global {
                self.global.set(&name, seen);
            } else if self.inherited.last().is_none_or(|variables| variables.get(&name).is_none()) {
                // A variable is stronger than an argument of its name.
                self.current.set(&name, seen);
            }
            pairs.push((name, word.range, value));
        }
        entries.push(("variables".into(), variables_of(self, pairs)));
    }

    fn expand_global(&mut self, word: &Word) -> Value {
        expand(&word.text, self.site(word.range), self.escape(), &self.global, &mut self.budget)
    }

    /// Within a stage, an argument without default has the one from before the first `FROM`.
    fn argument_without_default(&self, name: &str, range: TextRange) -> Value {
        let site = self.site(range);
        match self.global.get(name) {
            Some(value) => value.clone().carried(HopKind::Parameter(name.into()), site),
            None => Value::at(Data::Unknown(Arc::new(Unknown::new(Reason::NoValue { variable: name.into() }))), site),
        }
    }

    fn env(&mut self, instruction: &Instruction, stage: Option<usize>, entries: &mut Entries) {
        let pairs = self.pairs(instruction);
        for (name, _, value) in &pairs {
            self.current.set(name, value.clone());
            if let Some(inherited) = stage.and_then(|stage| self.inherited.get_mut(stage)) {
                Arc::make_mut(inherited).set(name, value.clone());
            }
        }
        entries.push(("variables".into(), variables(&pairs)));
    }

    /// `name=value …`, or the old form `name value with spaces`.
    fn pairs(&mut self, instruction: &Instruction) -> Vec<(String, TextRange, Value)> {
        let arguments = &instruction.arguments;
        let words = words(arguments, self.escape());
        let Some(first) = words.first() else { return Vec::new() };
        if !first.text.contains('=') {
            let rest = arguments.text[first.text.len().min(arguments.text.len())..].trim_start();
            let start = arguments.text.len() - rest.len();
            let value = Word { text: rest.to_owned(), range: arguments.range(start, arguments.text.len()) };
            let name = first.text.trim_matches(['"', '\'']).to_owned();
            return vec![(name, arguments.whole(), self.expand(&value))];
        }
        let mut pairs = Vec::new();
        for word in &words {
            let Some((name, value)) = word.text.split_once('=') else { continue };
            let start = (word.range.start + name.len() as u32 + 1).min(word.range.end);
            let value = Word { text: value.to_owned(), range: TextRange::new(start, word.range.end) };
            pairs.push((name.trim_matches(['"', '\'']).to_owned(), word.range, self.expand(&value)));
        }
        pairs
    }

    fn command(&mut self, instruction: &Instruction, entries: &mut Entries) {
        let mut text = instruction.arguments.text.clone();
        let file = self.file;
        let arguments = &instruction.arguments;
        if instruction.keyword == Keyword::Healthcheck {
            let is_none = text.trim().eq_ignore_ascii_case("none");
            entries.push(("is_none".into(), Value::bool(is_none)));
            // The text keeps its length, so that places in it stay right.
            if let Some(rest) = text.get(..3).filter(|word| word.eq_ignore_ascii_case("cmd")).and(text.get(3..)) {
                text = format!("   {rest}");
            }
        }
        let commands = match &instruction.exec {
            Some(words) => {
                entries.push(("words".into(), Value::tuple(words.iter().map(|word| self.string(&word.text, word.range)).collect())));
                exec_commands(words, self.file)
            }
            None => script::commands(&text, &|range| Site::new(file, arguments.locate(range))),
        };
        let mut commands = vec![commands];
        let mut content = String::new();
        for heredoc in &instruction.heredocs {
            let script = self.text.get(heredoc.content.as_usize()).unwrap_or_default();
            content.push_str(script);
            if is_shell_script(&commands[0], script) {
                let start = heredoc.content.start;
                let locate = |range: TextRange| Site::new(file, TextRange::new(range.start + start, range.end + start));
                commands.push(script::commands(script, &locate));
            }
        }
        let all: Vec<Value> =
            commands.iter().filter_map(Value::as_items).flatten().filter(|command| !is_empty_command(command)).cloned().collect();
        if instruction.keyword == Keyword::Run {
            let written = format!("{text}\n{content}");
            entries.push(("refreshes_packages".into(), Value::bool(refreshes_packages(&written))));
            entries.push(("installs_packages".into(), Value::bool(installs_packages(&written))));
        }
        if !content.is_empty() {
            entries.push(("script".into(), Value::string(content)));
        }
        entries.push(("commands".into(), Value::tuple(all)));
    }

    fn copy(&mut self, instruction: &Instruction, entries: &mut Entries) {
        let mut paths: Vec<Value> = match &instruction.exec {
            Some(items) => items.iter().map(|item| self.expand(&Word { text: item.text.clone(), range: item.range })).collect(),
            None => words(&instruction.arguments, self.escape()).iter().map(|word| self.expand(word)).collect(),
        };
        if let Some(destination) = paths.pop() {
            entries.push(("destination".into(), destination));
        }
        let is_inline = |path: &Value| path.as_str().is_some_and(|path| path.starts_with("<<"));
        entries.push(("sources".into(), Value::tuple(paths.into_iter().filter(|path| !is_inline(path)).collect())));
        let content: String = instruction.heredocs.iter().filter_map(|heredoc| self.text.get(heredoc.content.as_usize())).collect();
        if let Some(first) = instruction.heredocs.first() {
            entries.push(("content".into(), self.string(&content, first.content)));
        }
    }

    fn user(&mut self, index: usize, instruction: &Instruction, entries: &mut Entries) {
        let arguments = &instruction.arguments;
        let value = self.expand(&Word { text: arguments.text.clone(), range: arguments.whole() });
        let user = match value.as_str().and_then(|text| text.split_once(':')) {
            Some((user, group)) => {
                entries.push(("group".into(), Value { data: Data::String(group.into()), ..value.clone() }));
                Value { data: Data::String(user.into()), ..value }
            }
            None => value,
        };
        entries.push(("user".into(), user));
        entries.push(("is_effective".into(), Value::bool(self.stages.effective_user == Some(index))));
    }

    fn port(&mut self, word: &Word) -> Value {
        let value = self.expand(word);
        let mut entries: Entries = Vec::new();
        match value.as_str().map(|text| text.split_once('/').unwrap_or((text, "tcp"))) {
            Some((port, protocol)) => {
                entries.push(("port".into(), Value { data: Data::String(port.into()), ..value.clone() }));
                entries.push(("protocol".into(), Value { data: Data::String(protocol.to_lowercase().into()), ..value.clone() }));
            }
            None => entries.push(("port".into(), value.clone())),
        }
        Value { origin: value.origin, ..Value::object(entries) }
    }
}

/// The variables of an instruction: a list of `name` and `value`.
fn variables(pairs: &[(String, TextRange, Value)]) -> Value {
    let entry = |(name, _, value): &(String, TextRange, Value)| {
        let origin = value.origin.clone();
        let object = Value::object([("name".into(), Value::string(name.as_str())), ("value".into(), value.clone())]);
        Value { origin, ..object }
    };
    Value::tuple(pairs.iter().map(entry).collect())
}

/// The same for arguments, which may have no value.
fn variables_of(reader: &Reader<'_>, pairs: Vec<(String, TextRange, Option<Value>)>) -> Value {
    let entry = |(name, range, value): (String, TextRange, Option<Value>)| {
        let mut entries: Entries = vec![("name".into(), reader.string(&name, range))];
        entries.extend(value.map(|value| ("value".into(), value)));
        Value { origin: Origin::Site(reader.site(range)), ..Value::object(entries) }
    };
    Value::tuple(pairs.into_iter().map(entry).collect())
}

/// A list of texts is one command; what a shell in it is given is a script.
fn exec_commands(words: &[Word], file: FileId) -> Value {
    // Written as a shell would need it, it is taken apart as any other: quotes keep each text a word.
    let mut line = String::new();
    let mut places = Vec::new();
    for word in words {
        let start = line.len();
        line.push('\'');
        line.push_str(&word.text.replace('\'', "'\\''"));
        line.push_str("' ");
        places.push((start as u32, word.range));
    }
    let place =
        |at: u32| places[..places.partition_point(|(start, _)| *start <= at)].last().map_or(TextRange::default(), |(_, range)| *range);
    script::commands(&line, &|range| Site::new(file, place(range.start).cover(place(range.end.saturating_sub(1).max(range.start)))))
}

/// Whether a here-document is the shell's: it stands alone, or a shell reads it; and no other interpreter is named in it.
fn is_shell_script(commands: &Value, script: &str) -> bool {
    let interpreter = script.lines().next().and_then(|line| line.strip_prefix("#!"));
    if let Some(interpreter) = interpreter {
        let is_shell = |word: &str| matches!(word.rsplit('/').next(), Some("sh" | "bash" | "dash" | "ash" | "zsh" | "ksh"));
        return interpreter.split_whitespace().any(is_shell);
    }
    let Some([first, ..]) = commands.as_items() else { return true };
    match first.get("name").and_then(Value::as_str) {
        Some(name) => matches!(name, "sh" | "bash" | "dash" | "ash" | "zsh" | "ksh"),
        None => true,
    }
}

/// A redirection alone runs nothing.
fn is_empty_command(command: &Value) -> bool {
    command.get("words").and_then(Value::as_items).is_some_and(<[Value]>::is_empty)
}

/// Whether a script has package lists fetched anew: `update` or `--update` as a word of its own behind another.
fn refreshes_packages(script: &str) -> bool {
    script.split_whitespace().skip(1).any(|word| matches!(word, "update" | "--update"))
}

/// Whether a script puts packages in, in the words that package managers have for it.
fn installs_packages(script: &str) -> bool {
    ["install", "add", "upgrade"].iter().any(|word| script.contains(word))
}
