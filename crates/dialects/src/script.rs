//! Shell scripts as values: the commands that they run, for rules to ask about.

use std::sync::Arc;

use keyblind_resource::{Data, Value};
use keyblind_syntax::shell::{self, Command, Invocation, Word};
use keyblind_syntax::{Site, TextRange};

/// Most commands of one script that rules get to see.
const MOST_COMMANDS: usize = 20_000;

/// The commands of a script: a list of objects with `name`, `arguments`, `words`, `assignments`, `wrappers`, `pipes_to`,
/// `pipes_from`, `feeds_interpreter` (what it prints is run as a script), `redirections` and `text`. `locate` says where a range of the script's text stands.
pub(crate) fn commands(text: &str, locate: &dyn Fn(TextRange) -> Site) -> Value {
    let mut script = shell::parse(text);
    script.commands.truncate(MOST_COMMANDS);
    let names: Vec<Option<&str>> = script.commands.iter().map(|command| command.invocation().name).collect();
    let mut pipelines: std::collections::HashMap<u32, Vec<usize>> = std::collections::HashMap::new();
    for (index, command) in script.commands.iter().enumerate() {
        pipelines.entry(command.pipeline).or_default().push(index);
    }
    let items = script.commands.iter().enumerate().map(|(index, command)| {
        let members = pipelines.get(&command.pipeline).map_or(&[][..], Vec::as_slice);
        let (before, from) = members.split_at(members.partition_point(|&member| member < index));
        // A long pipeline is none that a person wrote.
        let neighbours =
            |members: &[usize]| -> Vec<Value> { members.iter().take(32).filter_map(|&member| names[member]).map(Value::string).collect() };
        let behind = from.get(1..).unwrap_or_default();
        let feeds = behind.iter().take(32).any(|&member| reads_script(&script.commands[member].invocation()));
        object(command, text, locate, Pipeline { before: neighbours(before), behind: neighbours(behind), feeds })
    });
    Value::tuple(items.collect())
}

/// What stands around a command in its pipeline.
struct Pipeline {
    before: Vec<Value>,
    behind: Vec<Value>,
    feeds: bool,
}

/// Whether a program runs what it reads from its input: a shell or an interpreter that is given no other script.
fn reads_script(invocation: &Invocation<'_>) -> bool {
    let is_input = |word: &Word| matches!(word.text.as_str(), "-" | "-s" | "/dev/stdin");
    let arguments = invocation.arguments;
    match invocation.name {
        Some("sh" | "bash" | "dash" | "ash" | "zsh" | "ksh") => {
            arguments.iter().any(is_input) || arguments.iter().all(|word| word.text.starts_with('-') && !word.text.ends_with('c'))
        }
        Some("python" | "python2" | "python3" | "perl" | "ruby" | "node" | "php") => arguments.first().is_none_or(is_input),
        _ => false,
    }
}

fn object(command: &Command, text: &str, locate: &dyn Fn(TextRange) -> Site, pipeline: Pipeline) -> Value {
    let invocation = command.invocation();
    let site = locate(command.range);
    let word = |word: &Word| Value::at(Data::String(word.text.as_str().into()), locate(word.range));
    let list = |words: Vec<Value>| Value::at(Data::Tuple(Arc::new(words)), site);
    let written = text.get(command.range.as_usize()).unwrap_or_default();
    let redirections = command.redirections.iter().map(|redirection| {
        Value::object([("operator".into(), Value::string(redirection.operator)), ("target".into(), word(&redirection.target))])
    });
    let mut entries: Vec<(Arc<str>, Value)> = vec![
        ("text".into(), Value::at(Data::String(written.into()), site)),
        ("words".into(), list(command.words.iter().map(word).collect())),
        ("arguments".into(), list(invocation.arguments.iter().map(word).collect())),
        ("assignments".into(), list(invocation.assignments.iter().copied().map(word).collect())),
        ("wrappers".into(), list(invocation.wrappers.iter().map(|name| Value::at(Data::String((*name).into()), site)).collect())),
        ("redirections".into(), list(redirections.collect())),
        ("pipes_from".into(), list(pipeline.before)),
        ("pipes_to".into(), list(pipeline.behind)),
        ("feeds_interpreter".into(), Value::at(Data::Bool(pipeline.feeds), site)),
    ];
    if let Some(name) = invocation.name {
        entries.push(("name".into(), Value::at(Data::String(name.into()), site)));
    }
    Value { origin: keyblind_resource::Origin::Site(site), ..Value::object(entries) }
}
