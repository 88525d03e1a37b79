//! Workflows, actions and Dependabot's configuration as resources.

use std::sync::Arc;

use keyblind_resource::{BlockKind, Data, Dialect, Number, Origin, Reason, Resource, Value};
use keyblind_syntax::yaml::{Entry, Node, NodeKind};
use keyblind_syntax::{Site, TextRange};

use super::expansions::{Scope, expansions, expressions, is_text_condition};
use super::permissions::permissions;
use super::steps::{self, first_line};
use super::uses;
use super::values::{Reader, object_at};
use crate::limits;

type Entries = Vec<(Arc<str>, Value)>;
type Refused = (Site, String);

struct Draft<'a> {
    address: String,
    label: String,
    type_key: &'static str,
    body: Value,
    header: TextRange,
    block: TextRange,
    reader: &'a Reader<'a>,
}

impl From<Draft<'_>> for Resource {
    fn from(draft: Draft<'_>) -> Self {
        Self {
            address: draft.address.into(),
            dialect: Dialect::GithubActions,
            kind: BlockKind::Managed,
            type_key: draft.type_key.into(),
            name: draft.label.into(),
            body: draft.body,
            header: draft.reader.site(first_line(draft.reader.text, draft.header)),
            block: draft.reader.site(draft.block),
            calls: Arc::from([]),
            skips: Vec::new(),
        }
    }
}

/// One trigger: its name, what is set for it, and where it stands.
struct Trigger<'a> {
    name: &'a str,
    settings: Option<&'a Node>,
    place: TextRange,
}

/// The resources of a workflow: itself, `on`, `permissions`, `jobs`, each job and each step.
///
/// # Errors
/// What GitHub refuses the workflow for.
pub(super) fn workflow(reader: &Reader<'_>, root: &Node) -> Result<Vec<Resource>, Refused> {
    let (Some(on), Some(jobs)) = (root.entry("on"), root.entry("jobs")) else { return Ok(Vec::new()) };
    let job_entries = jobs.value.entries();
    if job_entries.is_empty() {
        return Err((reader.site(jobs.key.place()), "the workflow has no jobs, so GitHub refuses it".to_owned()));
    }
    if let Some(wrong) = job_entries.iter().find(|job| job.value.as_mapping().is_none()) {
        let name = wrong.key.as_key().unwrap_or_default();
        return Err((reader.site(wrong.range()), format!("the job `{name}` is no mapping, so GitHub refuses the workflow")));
    }
    let triggers = triggers(&on.value);
    let name = root.get("name").and_then(Node::as_key).unwrap_or_default();
    let on_label = if name.is_empty() { "on".to_owned() } else { format!("on({name})") };
    let shared = Shared {
        reader,
        root,
        triggers: Value::tuple(
            triggers.iter().map(|trigger| Value::at(Data::String(trigger.name.into()), reader.site(trigger.place))).collect(),
        ),
        inputs: ["workflow_call", "workflow_dispatch"]
            .map(|name| triggers.iter().find(|trigger| trigger.name == name).and_then(|trigger| trigger.settings?.get("inputs"))),
        permissions: permissions(reader, root.get("permissions")),
    };
    let mut resources =
        vec![shared.whole(&job_entries).into(), shared.on(on, &triggers, &on_label).into(), shared.permissions(root, &on_label).into()];
    let mut all_steps = Vec::new();
    let mut drafts = Vec::new();
    for job in &job_entries {
        let Some(id) = job.key.as_key() else { continue };
        let (draft, steps) = shared.job(id, job);
        all_steps.extend(steps.iter().map(|step| step.body.clone()));
        drafts.push(draft);
        drafts.extend(steps);
    }
    let summary: Entries = vec![("steps".into(), Value::tuple(all_steps)), ("count".into(), number(job_entries.len()))];
    let body = object_at(summary, reader.site(jobs.range()));
    let label = "jobs".to_owned();
    resources.push(
        Draft { address: label.clone(), label, type_key: "jobs", body, header: jobs.key.place(), block: jobs.range(), reader }.into(),
    );
    resources.extend(drafts.into_iter().map(Resource::from));
    Ok(resources)
}

fn triggers(on: &Node) -> Vec<Trigger<'_>> {
    match &on.kind {
        NodeKind::Sequence(items) => {
            items.iter().filter_map(|item| Some(Trigger { name: item.as_key()?, settings: None, place: item.place() })).collect()
        }
        NodeKind::Mapping(_) => {
            let entries = on.entries().into_iter();
            entries
                .filter_map(|entry| Some(Trigger { name: entry.key.as_key()?, settings: Some(&entry.value), place: entry.key.place() }))
                .collect()
        }
        _ => on
            .as_key()
            .filter(|name| !name.is_empty())
            .map(|name| Trigger { name, settings: None, place: on.place() })
            .into_iter()
            .collect(),
    }
}

/// What all jobs of a workflow see.
struct Shared<'a> {
    reader: &'a Reader<'a>,
    root: &'a Node,
    triggers: Value,
    inputs: [Option<&'a Node>; 2],
    permissions: Value,
}

impl<'a> Shared<'a> {
    fn whole(&self, jobs: &[&Entry]) -> Draft<'a> {
        let mut entries = copied(self.reader, self.root, &["jobs"]);
        let has_own = |job: &&Entry| job.value.get("permissions").is_some_and(|permissions| permissions.kind != NodeKind::Null);
        entries.push(("triggers".into(), self.triggers.clone()));
        entries.push(("effective_permissions".into(), self.permissions.clone()));
        entries.push(("job_count".into(), number(jobs.len())));
        entries.push(("do_all_jobs_state_permissions".into(), Value::bool(jobs.iter().all(has_own))));
        entries.push(("is_only_called".into(), Value::bool(self.is_only_called())));
        entries.push(("expressions".into(), expressions(self.reader, self.root, &["jobs", "on"])));
        let body = object_at(entries, self.reader.site(self.root.place()));
        let label = "workflow".to_owned();
        // A workflow as a whole is pointed at by what starts it.
        let header = self.root.entry("name").or_else(|| self.root.entry("on")).map_or(self.root.place(), Entry::range);
        Draft { address: label.clone(), label, type_key: "workflow", body, header, block: self.root.place(), reader: self.reader }
    }

    fn is_only_called(&self) -> bool {
        matches!(self.triggers.as_items(), Some([only]) if only.as_str() == Some("workflow_call"))
    }

    fn on(&self, on: &Entry, triggers: &[Trigger<'_>], label: &str) -> Draft<'a> {
        let settings = triggers.iter().map(|trigger| {
            let value = match trigger.settings {
                Some(node) if node.as_mapping().is_some() => self.reader.value(node),
                _ => Value::object([]),
            };
            (trigger.name.into(), value.with_origin(Origin::Site(self.reader.site(trigger.place))))
        });
        let is_mapping = on.value.as_mapping().is_some();
        let site = self.reader.site(on.range());
        let entries = vec![
            ("triggers".into(), self.triggers.clone()),
            ("events".into(), Value::object(settings)),
            ("is_mapping".into(), Value::bool(is_mapping)),
        ];
        let body = object_at(entries, site);
        Draft {
            address: "on".to_owned(),
            label: label.to_owned(),
            type_key: "on",
            body,
            header: on.key.place(),
            block: on.range(),
            reader: self.reader,
        }
    }

    fn permissions(&self, root: &Node, label: &str) -> Draft<'a> {
        let place = root.entry("permissions").map_or_else(|| root.entry("on").map_or(root.place(), |on| on.key.place()), Entry::range);
        let body = self.permissions.clone();
        Draft {
            address: "permissions".to_owned(),
            label: label.to_owned(),
            type_key: "permissions",
            body,
            header: place,
            block: place,
            reader: self.reader,
        }
    }

    fn job(&self, id: &str, job: &'a Entry) -> (Draft<'a>, Vec<Draft<'a>>) {
        let (reader, node) = (self.reader, &job.value);
        let mut entries = copied(reader, node, &["steps", "run", "if", "uses"]);
        entries.push(("id".into(), steps::string(reader, id, &job.key)));
        for key in ["if", "run", "uses"] {
            entries.extend(node.get(key).and_then(|value| Some((key.into(), reader.verbatim(value)?))));
        }
        let own = permissions(reader, node.get("permissions"));
        let states_own = own.get("kind").and_then(Value::as_str) != Some("default");
        entries.push(("states_permissions".into(), Value::bool(states_own)));
        entries.push(("effective_permissions".into(), if states_own { own } else { self.permissions.clone() }));
        entries.push(("triggers".into(), self.triggers.clone()));
        entries.push(("is_only_called".into(), Value::bool(self.is_only_called())));
        entries.push(("expressions".into(), expressions(reader, node, &["steps"])));
        entries.push(("has_text_condition".into(), Value::bool(node.get("if").is_some_and(is_text_condition))));
        if let Some(uses) = node.get("uses")
            && let Some(text) = uses.as_str()
        {
            entries.push(("action".into(), uses::parts(text, reader.site(uses.place()))));
        }
        let scope = Scope {
            environments: [None, node.get("env"), self.root.get("env")],
            matrix: node.get("strategy").and_then(|strategy| strategy.get("matrix")),
            inputs: self.inputs,
        };
        // GitHub knows no script of a job, people write one all the same.
        if let Some(run) = node.get("run") {
            entries.push(("expansions".into(), Value::tuple(expansions(reader, "run", run, &scope))));
        }
        let images = images(reader, node, &scope);
        entries.push(("images".into(), Value::tuple(images)));
        let shell = [node, self.root].into_iter().find_map(|holder| holder.get("defaults")?.get("run")?.get("shell"));
        let items: Vec<&Node> =
            node.get("steps").and_then(Node::as_sequence).unwrap_or_default().iter().filter(|step| step.as_mapping().is_some()).collect();
        let bodies: Vec<Value> = items.iter().map(|step| steps::body(reader, step, &scope, shell)).collect();
        entries.push(("steps".into(), Value::tuple(bodies.clone())));
        let label = format!("jobs({id})");
        let summary = object_at(entries, reader.site(job.range()));
        let around = around(&summary);
        let of_steps = items.iter().zip(bodies).enumerate().map(|(index, (step, body))| {
            let named = steps::label(step, index + 1);
            Draft {
                address: format!("{id}.steps[{}]", index + 1),
                label: format!("{label}.steps{named}"),
                type_key: "step",
                body: with(body, around.clone(), index),
                header: step.place(),
                block: step.place(),
                reader,
            }
        });
        let of_steps = of_steps.collect();
        (Draft { address: id.to_owned(), label, type_key: "job", body: summary, header: job.range(), block: job.range(), reader }, of_steps)
    }
}

/// What a step gets to know of its job.
fn around(job: &Value) -> Value {
    let kept = ["id", "environment", "runs-on", "permissions", "effective_permissions", "triggers", "is_only_called"];
    let kept = kept.iter().filter_map(|name| Some(((*name).into(), job.get(name)?.clone())));
    Value::object(kept.chain(std::iter::once(("steps".into(), seen(job.get("steps"))))))
}

/// The steps that each step of a job gets to see: all of them, if they aren't too many.
fn seen(steps: Option<&Value>) -> Value {
    match steps {
        Some(steps) if steps.as_items().is_some_and(|items| items.len() <= limits::STEPS_SEEN) => steps.clone(),
        _ => Value::unknown(Reason::Budget { limit: "steps of a job" }),
    }
}

/// A step's body with its job, and how many steps stand before it.
fn with(body: Value, job: Value, index: usize) -> Value {
    let Some(mapping) = body.as_mapping() else { return body };
    let mut mapping = mapping.clone();
    mapping.insert("job", job);
    mapping.insert("position", number(index));
    Value { data: Data::Object(Arc::new(mapping)), ..body }
}

/// The images of a job's container and services: `field` and `image`; those of a matrix each by itself.
fn images(reader: &Reader<'_>, job: &Node, scope: &Scope<'_>) -> Vec<Value> {
    let mut found = Vec::new();
    let mut push = |field: &str, node: Option<&Node>| {
        let Some(node) = node else { return };
        for image in of_matrix(node, scope) {
            let value = Value { origin: Origin::Site(reader.site(node.place())), ..reader.value(image) };
            let entries = vec![("field".into(), Value::string(field)), ("image".into(), value)];
            found.push(object_at(entries, reader.site(node.place())));
        }
    };
    if let Some(container) = job.get("container") {
        push("container", if container.as_mapping().is_some() { container.get("image") } else { Some(container) });
    }
    for service in job.get("services").map(Node::entries).unwrap_or_default() {
        push("services", service.value.get("image"));
    }
    found
}

/// The values of a text that is nothing but `${{ matrix.name }}`; the text itself if it is anything else.
fn of_matrix<'a>(node: &'a Node, scope: &Scope<'a>) -> Vec<&'a Node> {
    let values = || {
        let inner = node.as_str()?.trim().strip_prefix("${{")?.strip_suffix("}}")?.trim();
        let name = inner.strip_prefix("matrix.").filter(|name| !name.contains(['.', ' ']))?;
        let matrix = scope.matrix?;
        let mut found: Vec<&Node> = matrix.get(name).and_then(Node::as_sequence).unwrap_or_default().iter().collect();
        let include = matrix.get("include").and_then(Node::as_sequence).unwrap_or_default();
        found.extend(include.iter().filter_map(|entry| entry.get(name)));
        (!found.is_empty() && found.iter().all(|value| value.as_key().is_some())).then_some(found)
    };
    values().unwrap_or_else(|| vec![node])
}

/// The resources of an action: itself, and the steps of a composite one.
///
/// # Errors
/// What GitHub refuses the action for.
pub(super) fn action(reader: &Reader<'_>, root: &Node) -> Result<Vec<Resource>, Refused> {
    let Some(runs) = root.entry("runs") else { return Ok(Vec::new()) };
    let mut entries = copied(reader, root, &["runs"]);
    entries.push(("using".into(), runs.value.get("using").map_or_else(Value::null, |using| reader.value(using))));
    entries.extend(runs.value.get("image").and_then(|image| Some(("image".into(), reader.verbatim(image)?))));
    entries.push(("expressions".into(), expressions(reader, root, &["runs"])));
    let scope = Scope { environments: [None; 3], matrix: None, inputs: [root.get("inputs"), None] };
    let steps = runs.value.get("steps").and_then(Node::as_sequence).unwrap_or_default();
    let steps: Vec<&Node> = steps.iter().filter(|step| step.as_mapping().is_some()).collect();
    let bodies: Vec<Value> = steps.iter().map(|step| steps::body(reader, step, &scope, None)).collect();
    entries.push(("steps".into(), Value::tuple(bodies.clone())));
    let body = object_at(entries, reader.site(root.place()));
    let all = Value::tuple(bodies.clone());
    let around = Value::object([("steps".into(), seen(Some(&all))), ("triggers".into(), Value::tuple(Vec::new()))]);
    let label = "action".to_owned();
    let header = root.entry("name").map_or_else(|| runs.range(), Entry::range);
    let mut resources: Vec<Resource> =
        vec![Draft { address: label.clone(), label, type_key: "action", body, header, block: root.place(), reader }.into()];
    for (index, (step, body)) in steps.iter().zip(bodies).enumerate() {
        let draft = Draft {
            address: format!("runs.steps[{}]", index + 1),
            label: format!("runs.steps{}", steps::label(step, index + 1)),
            type_key: "step",
            body: with(body, around.clone(), index),
            header: step.place(),
            block: step.place(),
            reader,
        };
        resources.push(draft.into());
    }
    Ok(resources)
}

/// One resource for each entry of `updates`.
///
/// # Errors
/// None: what is wrong in one entry is the entry's own.
pub(super) fn dependabot(reader: &Reader<'_>, root: &Node) -> Result<Vec<Resource>, Refused> {
    let updates = root.get("updates").and_then(Node::as_sequence).unwrap_or_default();
    let resource = |(index, update): (usize, &Node)| {
        let ecosystem = update.get("package-ecosystem").and_then(Node::as_key).unwrap_or("update");
        Draft {
            address: format!("updates.{ecosystem}[{index}]"),
            label: format!("updates[{}]({ecosystem})", index + 1),
            type_key: "dependabot-update",
            body: reader.value(update),
            header: update.place(),
            block: update.place(),
            reader,
        }
        .into()
    };
    Ok(updates.iter().enumerate().filter(|(_, update)| update.as_mapping().is_some()).map(resource).collect())
}

fn copied(reader: &Reader<'_>, node: &Node, except: &[&str]) -> Entries {
    let entries = node.entries().into_iter();
    entries.filter_map(|entry| Some((entry.key.as_key().filter(|key| !except.contains(key))?.into(), reader.value(&entry.value)))).collect()
}

fn number(value: usize) -> Value {
    Value::new(Data::Number(Number::from(value)))
}
