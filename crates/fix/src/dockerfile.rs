//! Dockerfiles: what a careful author changes in an instruction, in a word of its script, or beside it.
//!
//! A change is looked for from the smallest on: each is judged at once, by the rule and nothing else, and those that help go
//! on to the proof. What a rule means by its fault is drawn from its condition (the change helps) and from its examples (the
//! words that a good one has instead, the programs that it doesn't run).

mod instruction;
mod lesson;
mod moves;
mod script;
mod surgery;
mod user;
mod variables;

use std::cell::RefCell;
use std::collections::BTreeMap;

use keyblind_dialects::evaluate_text;
use keyblind_resource::{Dialect, Resource, ResourceId};
use keyblind_rules::{Judge, RuleId, RuleTable, Selection, Verdict};
use keyblind_scan::Trial;
use keyblind_syntax::TextRange;
use keyblind_syntax::dockerfile::{self, Dockerfile, Instruction, Keyword};

use crate::draft::Draft;
use crate::hindrance::Hindrance;
use crate::impact::{self, Effect};
use crate::instantiate::Input;
use crate::proof::dockerfile::{Part, Plan};
use lesson::Lessons;
pub(crate) use moves::{Moves, Place};

/// A file and what is wrong in it.
struct Document<'t> {
    path: &'t str,
    text: &'t str,
    parsed: Dockerfile,
    /// The resources of the instructions, in order.
    resources: Vec<&'t Resource>,
}

/// The rule that is to pass.
struct Goal<'t> {
    table: &'t RuleTable,
    selection: Selection,
    rule: RuleId,
    lessons: Lessons,
    given: &'t BTreeMap<String, String>,
    /// Whether what only a person knows may be assumed; what was, is noted.
    ask: bool,
    inputs: RefCell<Vec<Input>>,
}

/// A changed text.
#[derive(Clone, Debug)]
struct Change {
    text: String,
    parts: Vec<(usize, Part)>,
    /// The types and places that are different, for what that does beside.
    places: Vec<(&'static str, &'static str)>,
}

/// What would make a rule pass a resource of a Dockerfile, the likeliest first, with what each does beside. `ask` says whether
/// something may stand there that a person has to replace.
///
/// # Errors
/// What stands in the way, if nothing would.
pub(crate) fn drafts(
    table: &RuleTable,
    rule: RuleId,
    trial: &Trial,
    judged: ResourceId,
    given: &BTreeMap<String, String>,
    ask: bool,
) -> Result<Vec<(Draft, Vec<Effect>)>, Hindrance> {
    let resource = &trial.graph.resources[judged];
    let document = Document::of(trial, resource).ok_or(Hindrance::UneditedSyntax)?;
    let lessons = Lessons::of(table, rule);
    let goal = Goal { table, selection: Selection::all(table), rule, lessons, given, ask, inputs: RefCell::default() };
    let changes = match document.number(resource) {
        None => user::of_file(&document, &goal),
        Some(number) => of_instruction(&document, &goal, number),
    }?;
    if changes.is_empty() {
        return Err(Hindrance::NeedsRedesign);
    }
    let inputs = goal.inputs.take();
    Ok(changes.into_iter().map(|change| change.draft(document.path, &inputs)).collect())
}

fn of_instruction(document: &Document<'_>, goal: &Goal<'_>, number: usize) -> Result<Vec<Change>, Hindrance> {
    match document.parsed.instructions[number].keyword {
        Keyword::From => instruction::image(document, goal, number),
        Keyword::Add | Keyword::Copy => instruction::copied(document, goal, number),
        Keyword::Run => script::run(document, goal, number),
        Keyword::Cmd | Keyword::Entrypoint | Keyword::Healthcheck => {
            if document.is(number, "is_repeated") && goal.lessons.removes_instruction() {
                return Ok(vec![instruction::removed(document, number)]);
            }
            script::run(document, goal, number)
        }
        Keyword::Env | Keyword::Arg | Keyword::Label => variables::removed(document, goal, number),
        Keyword::Expose | Keyword::Volume => instruction::listed(document, goal, number),
        Keyword::User => user::of_instruction(document, goal, number),
        Keyword::Workdir => instruction::directory(document, goal, number),
        Keyword::Maintainer => instruction::renamed(document, goal, number),
        Keyword::Shell | Keyword::Stopsignal => Err(Hindrance::NeedsRedesign),
    }
}

impl<'t> Document<'t> {
    fn of(trial: &'t Trial, resource: &Resource) -> Option<Self> {
        let source = trial.sources.file(resource.block.file);
        let parsed = dockerfile::parse(&source.text);
        let resources: Vec<&Resource> = trial.graph.resources.iter().filter(|resource| &*resource.type_key != "dockerfile").collect();
        let fits = resources.len() == parsed.instructions.len()
            && resources.iter().zip(&parsed.instructions).all(|(resource, instruction)| resource.block.range == instruction.range);
        fits.then_some(Self { path: &source.path, text: &source.text, parsed, resources })
    }

    /// The number of a resource's instruction; none for the file as a whole.
    fn number(&self, resource: &Resource) -> Option<usize> {
        (&*resource.type_key != "dockerfile")
            .then(|| self.resources.iter().position(|other| other.block.range == resource.block.range))
            .flatten()
    }

    fn instruction(&self, number: usize) -> &Instruction {
        &self.parsed.instructions[number]
    }

    /// Whether an instruction says so of itself.
    fn is(&self, number: usize, name: &str) -> bool {
        self.resources[number].body.get(name).and_then(keyblind_resource::Value::as_bool) == Some(true)
    }

    /// The `FROM` of the stage that an instruction belongs to.
    fn stage_of(&self, number: usize) -> Option<usize> {
        (0..=number).rev().find(|&number| self.instruction(number).keyword == Keyword::From)
    }

    /// The `FROM`s of a stage and of those that it is built upon, the lowest last.
    fn chain(&self, from: usize) -> Vec<usize> {
        let mut chain = vec![from];
        let mut stage = from;
        while self.is(stage, "is_stage")
            && let Some(base) = self.base_name(stage)
            && let Some(below) = (0..stage).rev().find(|&other| self.stage_name(other).is_some_and(|name| name.eq_ignore_ascii_case(&base)))
        {
            chain.push(below);
            stage = below;
        }
        chain
    }

    fn base_name(&self, from: usize) -> Option<String> {
        self.instruction(from).arguments.text.split_whitespace().next().map(str::to_owned)
    }

    fn stage_name(&self, number: usize) -> Option<&str> {
        if self.instruction(number).keyword != Keyword::From {
            return None;
        }
        self.resources[number].body.get("name")?.as_str()
    }

    /// The number behind the last instruction of a stage.
    fn end_of(&self, from: usize) -> usize {
        let count = self.parsed.instructions.len();
        (from + 1..count).find(|&number| self.instruction(number).keyword == Keyword::From).unwrap_or(count)
    }

    /// How lines end.
    fn line_ending(&self) -> &'static str {
        if self.text.contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// The text with a range replaced.
    fn replaced(&self, range: TextRange, text: &str) -> String {
        let range = range.as_usize();
        [&self.text[..range.start], text, &self.text[range.end..]].concat()
    }
}

impl Goal<'_> {
    /// For how many reasons the rule fails an instruction, or the file; nothing, if it doesn't.
    fn standing(&self, text: &str, number: Option<usize>) -> usize {
        let Some(mut evaluation) = evaluate_text(Dialect::Dockerfile, text).into_iter().next() else { return usize::MAX };
        let graph = evaluation.graph();
        let mut of_kind = (0..graph.resources.len()).filter(|&id| (&*graph.resources[id].type_key == "dockerfile") == number.is_none());
        let Some(id) = of_kind.nth(number.unwrap_or(0)) else { return usize::MAX };
        match Judge::new(self.table, &self.selection, &graph).pair(id, self.rule) {
            Some(Verdict::Fail(failure)) => failure.evidence.len(),
            Some(Verdict::Unknown(_)) => usize::MAX,
            _ => 0,
        }
    }

    /// A value that only a person knows: as it was given or, if that may be asked for, something that shows where it belongs.
    fn wanted(&self, name: &str, sample: &str, description: &str, is_fit: impl Fn(&str) -> bool) -> Result<String, Hindrance> {
        match self.given(name) {
            Some(value) if is_fit(value) => Ok(value.to_owned()),
            None if self.ask => {
                self.inputs.borrow_mut().push(Input {
                    variable: name.to_owned(),
                    attribute: name.to_owned(),
                    description: description.to_owned(),
                    kind: "text".to_owned(),
                    assumed: sample.to_owned(),
                    module: None,
                });
                Ok(sample.to_owned())
            }
            _ => Err(Hindrance::NeedsValue),
        }
    }

    /// A value that was given.
    fn given(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str).filter(|value| !value.is_empty() && !value.contains(['\n', '\r']))
    }
}

impl Change {
    /// An instruction of which something is different.
    fn of(text: String, number: usize, place: (&'static str, &'static str)) -> Self {
        Self { text, parts: vec![(number, Part::Changed)], places: vec![place] }
    }

    fn draft(self, path: &str, inputs: &[Input]) -> (Draft, Vec<Effect>) {
        let mut plan = Plan::default();
        for (number, part) in self.parts {
            plan.add(number, part);
        }
        let mut effects: Vec<Effect> = self.places.iter().filter_map(|(type_key, place)| impact::of_change(type_key, place)).collect();
        effects.sort_unstable();
        effects.dedup();
        let texts = BTreeMap::from([(path.to_owned(), self.text)]);
        let draft = Draft { texts, stated: plan.stated(path), inputs: inputs.to_vec(), ..Draft::default() };
        (draft, effects)
    }
}
