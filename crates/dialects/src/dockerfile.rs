//! Dockerfiles: one resource for each instruction, and one for the file.
//!
//! Source: Dockerfile reference. Build arguments have their defaults, as in a build without `--build-arg`; what only the
//! build or the base image knows is unknown.

mod arguments;
mod stages;
mod substitution;

use std::collections::HashMap;
use std::sync::Arc;

use keyblind_resource::{BlockKind, Data, Dialect, Number, Resource, Value};
use keyblind_syntax::dockerfile::{self, Dockerfile, Instruction, Keyword};
use keyblind_syntax::{Diagnostic, FileId, Site, TextRange};

use crate::Evaluation;
use arguments::Reader;
use stages::Stages;

/// Whether a file is a Dockerfile: it is called one, and begins like one.
pub fn recognises(path: &str, text: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    (name.contains("dockerfile") || name.contains("containerfile")) && dockerfile::is_dockerfile(text)
}

/// Evaluates one Dockerfile. What isn't an instruction costs itself, and is in the diagnostics.
pub fn evaluate(file: FileId, text: &str) -> Evaluation {
    let parsed = dockerfile::parse(text);
    let mut evaluation = Evaluation::default();
    for error in &parsed.errors {
        evaluation.diagnostics.push(Diagnostic::incomplete("syntax-error", Site::new(file, error.range), &*error.message));
    }
    if parsed.instructions.is_empty() {
        return evaluation;
    }
    let stages = Stages::of(&parsed);
    let mut reader = Reader::new(file, text, &parsed, &stages);
    let bodies: Vec<Value> = parsed.instructions.iter().enumerate().map(|(index, instruction)| reader.body(index, instruction)).collect();
    let names = addresses(&parsed, &stages);
    evaluation.resources.push(whole(file, text, &parsed, &stages, &bodies));
    for ((instruction, body), address) in parsed.instructions.iter().zip(bodies).zip(names) {
        evaluation.resources.push(resource(file, text, instruction, address.into(), body));
    }
    evaluation
}

fn resource(file: FileId, text: &str, instruction: &Instruction, address: Arc<str>, body: Value) -> Resource {
    Resource {
        address,
        dialect: Dialect::Dockerfile,
        kind: BlockKind::Managed,
        type_key: instruction.keyword.name().into(),
        name: if instruction.onbuild.is_some() { "ONBUILD".into() } else { instruction.keyword.name().into() },
        body,
        header: Site::new(file, first_line(text, instruction.range)),
        block: Site::new(file, instruction.range),
        calls: Arc::from([]),
        skips: Vec::new(),
    }
}

/// The file as a resource: what is missing in it is its fault.
fn whole(file: FileId, text: &str, parsed: &Dockerfile, stages: &Stages, bodies: &[Value]) -> Resource {
    let mut present: Vec<&str> = parsed.instructions.iter().map(|instruction| instruction.keyword.name()).collect();
    present.sort_unstable();
    present.dedup();
    let instructions = present.into_iter().map(Value::string).collect();
    let is = |body: &Value, name: &str| body.get(name).and_then(Value::as_bool) == Some(true);
    let count = |name: &str| Value::new(Data::Number(Number::from(bodies.iter().filter(|body| is(body, name)).count())));
    let mut entries: Vec<(Arc<str>, Value)> = vec![
        ("instructions".into(), Value::tuple(instructions)),
        ("stage_count".into(), Value::new(Data::Number(Number::from(stages.stages.len())))),
        ("has_repeated_stage_name".into(), Value::bool(stages.has_repeated_name())),
        ("refreshes".into(), count("refreshes_packages")),
        ("installations".into(), count("installs_packages")),
    ];
    let directives = parsed.directives.iter().map(|directive| (directive.name.clone(), Value::string(directive.value.clone())));
    entries.push(("directives".into(), Value::object(directives)));
    if let Some(user) = stages.effective_user.and_then(|index| bodies[index].get("user")) {
        entries.push(("user".into(), user.clone()));
    }
    if let Some(image) = stages.final_image().and_then(|index| bodies[index].get("image")) {
        entries.push(("image".into(), image.clone()));
    }
    // What is missing in the image belongs into its last stage.
    let pointed = stages.stages.last().map_or(0, |stage| stage.from);
    Resource {
        address: "dockerfile".into(),
        dialect: Dialect::Dockerfile,
        kind: BlockKind::Managed,
        type_key: "dockerfile".into(),
        name: "dockerfile".into(),
        body: Value::object(entries),
        header: Site::new(file, first_line(text, parsed.instructions[pointed].range)),
        block: Site::new(file, TextRange::new(0, text.len() as u32)),
        calls: Arc::from([]),
        skips: Vec::new(),
    }
}

/// Names for the instructions that stay when others are added before them in another stage: `build.RUN[2]`.
fn addresses(parsed: &Dockerfile, stages: &Stages) -> Vec<String> {
    let mut met: HashMap<(Option<usize>, Keyword), usize> = HashMap::new();
    let name = |index: usize, instruction: &Instruction| {
        let stage = stages.stage_of(index);
        let number = met.entry((stage, instruction.keyword)).or_default();
        let number = std::mem::replace(number, *number + 1);
        let keyword = instruction.keyword.name();
        match (stage, instruction.keyword) {
            (None, _) => format!("{keyword}[{number}]"),
            (Some(stage), Keyword::From) => format!("{}.{keyword}", stages.label(stage)),
            (Some(stage), _) => format!("{}.{keyword}[{number}]", stages.label(stage)),
        }
    };
    let mut name = name;
    parsed.instructions.iter().enumerate().map(|(index, instruction)| name(index, instruction)).collect()
}

fn first_line(text: &str, range: TextRange) -> TextRange {
    let written = text.get(range.as_usize()).unwrap_or_default();
    let line = written.lines().next().unwrap_or_default().trim_end();
    TextRange::new(range.start, range.start + line.len() as u32)
}
