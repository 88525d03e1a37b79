//! Documents in YAML and JSON: where a wish lands in a manifest, template or workflow, and how it is written there.
//!
//! Values know where they were written, so that one editor serves every dialect that is written so.

mod companion;
mod contradiction;
mod image;
mod insert;
mod lesson;
mod place;
mod workflow;
mod write;

use std::collections::BTreeMap;
use std::rc::Rc;

use keyblind_dialects::cloudformation;
use keyblind_resource::{Dialect, Resource, ResourceId, Value};
use keyblind_rule_language::Literal;
use keyblind_rules::{Change, Remedy, RuleId, RuleTable, Subject, Wanted};
use keyblind_scan::Trial;
use keyblind_syntax::yaml::{self, NodeKind, Stream, Style};
use keyblind_syntax::{FileId, Site, TextRange};

use crate::draft::{Draft, Level, Settings};
use crate::hindrance::Hindrance;
use crate::impact::{self, Effect};
use crate::instantiate::{Input, is_made_up};
use crate::proof::{Stated, pointer};
use crate::wishes::Wishes;
use insert::Addition;
use place::Way;
use write::{Manner, literal_of};

/// Names whose texts are somebody's choice, although an example shows one.
const CHOSEN: &[&str] = &[
    "name",
    "namespace",
    "image",
    "resources",
    "resourceNames",
    "verbs",
    "apiGroups",
    "subjects",
    "run",
    "uses",
    "ref",
    "Action",
    "NotAction",
    "Resource",
    "NotResource",
    "Principal",
    "ManagedPolicyArns",
    "BucketName",
    "on",
    "runs-on",
    "host",
    "path",
];

/// What a volume is that stands on the node.
const HOST_PATH: &str = "hostPath";

/// Writes a remedy into the texts of a trial.
pub(crate) fn draft(trial: &Trial, remedy: &Remedy, settings: &Settings<'_>) -> Result<Draft, Hindrance> {
    if !remedy.companions.is_empty() {
        return Err(Hindrance::NeedsRedesign);
    }
    if let Some(hindrance) = contradiction::of(trial, remedy) {
        return Err(hindrance);
    }
    let mut drafting = Drafting::new(trial, settings);
    let mut subjects: Vec<ResourceId> = Vec::new();
    for wish in &remedy.wishes {
        let Subject::Resource(id) = wish.subject else { return Err(Hindrance::NeedsRedesign) };
        if !subjects.contains(&id) {
            subjects.push(id);
        }
    }
    for id in subjects {
        drafting.resource(&trial.graph.resources[id], &Wishes::of(remedy, Subject::Resource(id)))?;
    }
    drafting.finish()
}

/// Does to a resource what makes a good example of a bad one. Each way that the examples of a rule show is a draft, with
/// what it does beside.
pub(crate) fn taught(
    table: &RuleTable,
    rule: RuleId,
    trial: &Trial,
    judged: ResourceId,
    settings: &Settings<'_>,
) -> Vec<(Draft, Vec<Effect>)> {
    let resource = &trial.graph.resources[judged];
    let drafted = |lesson: &lesson::Lesson| {
        let mut drafting = Drafting::new(trial, settings);
        lesson.apply(&mut drafting, resource).ok()?;
        let effects = lesson.places().filter_map(|place| impact::of_change(&resource.type_key, &place)).collect();
        Some((drafting.finish().ok()?, effects))
    };
    let mut drafts: Vec<_> = lesson::lessons(table, rule, resource.dialect, &resource.type_key).iter().filter_map(drafted).collect();
    if resource.dialect == Dialect::CloudFormation {
        let mut drafting = Drafting::new(trial, settings);
        let draft = companion::add(&mut drafting, table, rule, resource).and_then(|()| drafting.finish());
        drafts.extend(draft.ok().map(|draft| (draft, vec![Effect::Costs])));
    }
    drafts
}

/// Changes on their way into the text.
struct Drafting<'t> {
    trial: &'t Trial,
    settings: &'t Settings<'t>,
    streams: BTreeMap<FileId, (Rc<Stream>, Manner)>,
    splices: BTreeMap<FileId, Vec<(TextRange, String)>>,
    stated: Vec<Stated>,
    inputs: Vec<Input>,
}

impl<'t> Drafting<'t> {
    fn new(trial: &'t Trial, settings: &'t Settings<'t>) -> Self {
        Self { trial, settings, streams: BTreeMap::new(), splices: BTreeMap::new(), stated: Vec::new(), inputs: Vec::new() }
    }

    fn text(&self, file: FileId) -> &'t str {
        &self.trial.sources.file(file).text
    }

    fn stream(&mut self, file: FileId) -> Result<(Rc<Stream>, Manner), Hindrance> {
        let text = self.text(file);
        let (stream, manner) = self.streams.entry(file).or_insert_with(|| {
            let stream = yaml::parse(text);
            let manner = Manner::of(text, &stream);
            (Rc::new(stream), manner)
        });
        if stream.errors.is_empty() { Ok((stream.clone(), *manner)) } else { Err(Hindrance::UneditedSyntax) }
    }

    fn splice(&mut self, file: FileId, range: TextRange, text: impl Into<String>) {
        let ending = if self.text(file).contains("\r\n") { "\r\n" } else { "\n" };
        let text = text.into();
        let text = if ending == "\n" { text } else { text.replace("\r\n", "\n").replace('\n', ending) };
        self.splices.entry(file).or_default().push((range, text));
    }

    /// Fulfils wishes about one resource.
    fn resource(&mut self, resource: &'t Resource, wishes: &Wishes) -> Result<(), Hindrance> {
        let mut missing: Vec<(&str, &Wishes)> = Vec::new();
        for (name, wish) in &wishes.names {
            match (resource.dialect, &**name) {
                (Dialect::GithubActions, "action") => {
                    self.pin(resource, wish)?;
                    continue;
                }
                (Dialect::GithubActions, "expansions") => {
                    self.hand_over(resource, wish)?;
                    continue;
                }
                _ => {}
            }
            if &**name == cloudformation::ATTRIBUTES {
                let there = resource.body.get(name);
                for (name, wish) in &wish.names {
                    match there.and_then(|attributes| attributes.get(name)).filter(|value| !value.is_null()) {
                        Some(value) => self.value(resource, cloudformation::ATTRIBUTES, name, value, wish)?,
                        None => self.add(resource, holder_of_attributes(resource), cloudformation::ATTRIBUTES, &[(name, wish)])?,
                    }
                }
                continue;
            }
            match resource.body.get(name).filter(|value| !value.is_null()) {
                Some(value) => self.value(resource, name, name, value, wish)?,
                None if wish.is_removal() => {}
                None => missing.push((name, wish)),
            }
        }
        if let [(first, _), ..] = missing[..] {
            self.add(resource, holder(resource), first, &missing)?;
            for (name, _) in &missing[1..] {
                self.state(resource, name, None);
            }
        }
        Ok(())
    }

    /// Adds what isn't there to the node of a resource that holds such.
    fn add(&mut self, resource: &'t Resource, holder: Holder, top: &str, missing: &[(&str, &Wishes)]) -> Result<(), Hindrance> {
        let file = resource.block.file;
        let (stream, _) = self.stream(file)?;
        let way = holder.find(&stream).ok_or(Hindrance::ValueElsewhere)?;
        let mut additions = Vec::new();
        for (name, wish) in missing {
            additions.push(Addition { key: (*name).to_owned(), value: self.rendered(name, wish)? });
        }
        self.state(resource, top, Some(Site::new(file, way.node().range)));
        // A CloudFormation resource may have no properties yet.
        if let (Holder::Properties(_), None) = (&holder, way.down("Properties")) {
            let properties = additions.into_iter().map(|addition| (addition.key.into(), addition.value)).collect();
            let addition = Addition { key: "Properties".to_owned(), value: Literal::Map(properties) };
            return self.insert(file, &way, vec![addition]);
        }
        let way = if matches!(holder, Holder::Properties(_)) { way.down("Properties").ok_or(Hindrance::ValueElsewhere)? } else { way };
        self.insert(file, &way, additions)
    }

    /// Fulfils wishes about a value that is there.
    fn value(&mut self, resource: &'t Resource, top: &str, name: &str, value: &'t Value, wishes: &Wishes) -> Result<(), Hindrance> {
        match &wishes.change {
            Some(Change::Refer(_)) => return Err(Hindrance::NeedsRedesign),
            Some(Change::Remove) => return self.remove(resource, top, value),
            Some(Change::Set(Wanted::WithoutLines(lines))) => return self.without_lines(resource, top, value, lines),
            Some(Change::Set(wanted)) => {
                if self.version(resource, top, name, value)? {
                    return Ok(());
                }
                let literal = self.literal(wanted, name)?;
                return self.replace(resource, top, value, &literal);
            }
            None => {}
        }
        let items = value.as_items().unwrap_or_default();
        let removes_all = !items.is_empty() && wishes.indices.len() == items.len() && wishes.indices.values().all(Wishes::is_removal);
        let removes_entries = insert::OPTIONAL.contains(&name)
            && value.as_mapping().is_some_and(|entries| {
                !entries.is_empty() && entries.iter().all(|(name, _)| wishes.names.get(name).is_some_and(Wishes::is_removal))
            });
        // A role always says what it grants, be it nothing.
        if removes_all && wishes.names.is_empty() && name == "rules" && resource.dialect == Dialect::Kubernetes {
            return self.replace(resource, top, value, &Literal::List(Vec::new()));
        }
        if removes_all && wishes.names.is_empty() || removes_entries && wishes.indices.is_empty() {
            return self.remove(resource, top, value);
        }
        let mut additions = Vec::new();
        for (name, wish) in &wishes.names {
            if &**name == HOST_PATH && wish.holds_removal() && resource.dialect == Dialect::Kubernetes {
                self.empty_volume(resource, top, value)?;
                continue;
            }
            match value.get(name).filter(|value| !value.is_null()) {
                Some(inner) => self.value(resource, top, name, inner, wish)?,
                None if wish.is_removal() => {}
                None => additions.push(Addition { key: name.to_string(), value: self.rendered(name, wish)? }),
            }
        }
        for (index, wish) in &wishes.indices {
            match items.get(*index) {
                Some(inner) => self.value(resource, top, name, inner, wish)?,
                None if wish.is_removal() => {}
                None => additions.push(Addition { key: index.to_string(), value: self.rendered(name, wish)? }),
            }
        }
        if additions.is_empty() {
            return Ok(());
        }
        let site = self.site(value)?;
        let (stream, _) = self.stream(site.file)?;
        let way = place::find(&stream, site.range).ok_or(Hindrance::ValueElsewhere)?;
        self.state(resource, top, Some(site));
        self.insert(site.file, &way, additions)
    }

    /// Makes a volume of the node's an empty one of the pod's: what mounts it stays sound.
    ///
    /// Source: Kubernetes API reference, "Volume".
    fn empty_volume(&mut self, resource: &'t Resource, top: &str, volume: &Value) -> Result<(), Hindrance> {
        let site = self.site(volume)?;
        let (stream, manner) = self.stream(site.file)?;
        let way = place::find(&stream, site.range).ok_or(Hindrance::ValueElsewhere)?;
        let inner = way.down(HOST_PATH).ok_or(Hindrance::ValueElsewhere)?;
        let key = inner.entry().ok_or(Hindrance::ValueElsewhere)?.key.range;
        self.state(resource, top, Some(site));
        let mut names = way.names();
        names.push("emptyDir".to_owned());
        self.state_node(site.file, way.document, &names);
        self.overwrite(site.file, &inner, &Literal::Map(Vec::new()), manner)?;
        self.splice(site.file, key, if manner.json { "\"emptyDir\"" } else { "emptyDir" });
        Ok(())
    }

    /// Takes lines out of a script that stands in a template.
    fn without_lines(&mut self, resource: &'t Resource, top: &str, value: &Value, lines: &[Box<str>]) -> Result<(), Hindrance> {
        let site = self.site(value)?;
        let (stream, _) = self.stream(site.file)?;
        let mut way = place::find(&stream, site.range).ok_or(Hindrance::ValueElsewhere)?;
        // What a script goes through: it is handed over encoded, and names are put in. Of the long form of `Fn::Sub` the text is the first.
        while let Some(inner) = ["Fn::Base64", "Fn::Sub", "0"].iter().find_map(|name| way.down(name)) {
            way = inner;
        }
        let node = way.node();
        if node.style != Style::Literal || node.alias.is_some() {
            return Err(Hindrance::NeedsDecision);
        }
        self.state(resource, top, Some(site));
        self.state_node(site.file, way.document, &way.names());
        let text = self.text(site.file);
        let mut missing: Vec<&str> = lines.iter().map(|line| &**line).collect();
        let mut at = node.range.start;
        let mut cut_to = None;
        for line in text.get(node.range.as_usize()).ok_or(Hindrance::NeedsDecision)?.split_inclusive('\n') {
            let end = at + line.len() as u32;
            if let Some(index) = missing.iter().position(|known| *known == line.trim()) {
                missing.swap_remove(index);
                // What ends the script ends its last line, unless the line before went with its own end.
                let from = if line.ends_with('\n') || cut_to == Some(at) { at } else { at - 1 };
                self.splice(site.file, TextRange::new(from, end), "");
                cut_to = Some(end);
            }
            at = end;
        }
        if missing.is_empty() { Ok(()) } else { Err(Hindrance::NeedsDecision) }
    }

    /// Where a value is changed.
    fn site(&self, value: &Value) -> Result<Site, Hindrance> {
        let site = match self.settings.level {
            Level::Written | Level::Handed => value.origin.written_at(),
            Level::Used => value.origin.used_at(),
        };
        site.ok_or(Hindrance::ValueElsewhere)
    }

    fn replace(&mut self, resource: &'t Resource, top: &str, value: &Value, literal: &Literal) -> Result<(), Hindrance> {
        let site = self.site(value)?;
        let (stream, manner) = self.stream(site.file)?;
        let way = place::find(&stream, site.range).ok_or(Hindrance::ValueElsewhere)?;
        self.state(resource, top, Some(site));
        self.overwrite(site.file, &way, literal, manner)
    }

    fn remove(&mut self, resource: &'t Resource, top: &str, value: &Value) -> Result<(), Hindrance> {
        let site = self.site(value)?;
        let (stream, _) = self.stream(site.file)?;
        let way = place::find(&stream, site.range).ok_or(Hindrance::ValueElsewhere)?;
        self.state(resource, top, Some(site));
        self.take_out(site.file, &way)
    }

    /// Says that a node is different afterwards.
    fn state_node(&mut self, file: FileId, document: usize, names: &[String]) {
        let stated = Stated {
            file: self.trial.sources.file(file).path.to_string(),
            type_key: crate::proof::NODE.to_owned(),
            name: document.to_string(),
            path: pointer(names),
        };
        if !self.stated.contains(&stated) {
            self.stated.push(stated);
        }
    }

    /// Says what is different of the resource, and of all others that hold what is written at the same place.
    fn state(&mut self, resource: &Resource, top: &str, site: Option<Site>) {
        let trial = self.trial;
        let mut add = |of: &Resource, path: &str| {
            let stated = Stated {
                file: trial.sources.file(of.header.file).path.to_string(),
                type_key: of.type_key.to_string(),
                name: of.name.to_string(),
                path: path.to_owned(),
            };
            if !self.stated.contains(&stated) {
                self.stated.push(stated);
            }
        };
        add(resource, top);
        let Some(site) = site else { return };
        for other in &trial.graph.resources {
            // In a workflow a step is a part of its job, and that of the whole: what one says, the others are told as well.
            let is_around = other.dialect == Dialect::GithubActions
                && other.block.file == site.file
                && (other.block.range.contains(site.range) || site.range.contains(other.block.range));
            for (name, value) in other.body.as_mapping().into_iter().flat_map(|mapping| mapping.iter()) {
                if is_around || holds(value, site, 0) {
                    add(other, name);
                }
            }
            if is_around {
                add(other, top);
            }
        }
    }

    /// The literal that a name gets.
    fn literal(&mut self, wanted: &Wanted, name: &str) -> Result<Literal, Hindrance> {
        let assumed = match wanted {
            Wanted::Literal(literal) => return Ok(literal.clone()),
            Wanted::Suggested(number) => {
                let shown = self.settings.examples.shown(*number).ok_or(Hindrance::NeedsValue)?;
                let literal = literal_of(shown.value).ok_or(Hindrance::NeedsValue)?;
                // A whole of which some parts are somebody's choice: nobody can be asked for all of it at once.
                if holds_choice(&literal) {
                    return Err(Hindrance::NeedsDecision);
                }
                let is_text = !matches!(literal, Literal::Bool(_) | Literal::Int(_) | Literal::Decimal(_));
                let is_anybodys = is_made_up(&literal.to_string()) || is_text && CHOSEN.contains(&name);
                if !is_anybodys {
                    return Ok(literal);
                }
                literal
            }
            // Of the dialects in YAML only CloudFormation has policies.
            Wanted::Trusted { own } => {
                let account = match own {
                    true => Literal::Map(vec![("Ref".into(), Literal::Text("AWS::AccountId".into()))]),
                    false => Literal::Text("arn:aws:iam::111122223333:role/example".into()),
                };
                let principal = if name.eq_ignore_ascii_case("principal") { Literal::Map(vec![("AWS".into(), account)]) } else { account };
                if *own {
                    return Ok(principal);
                }
                principal
            }
            Wanted::WithoutLines(_) => return Err(Hindrance::NeedsDecision),
            Wanted::Asked(sample) => sample.clone(),
        };
        match self.settings.given.get(name) {
            Some(given) => Ok(Literal::from_plain(given)),
            None if self.settings.ask => {
                self.input(name, &format!("The `{name}` of the document"), &assumed.to_string());
                Ok(assumed)
            }
            None => Err(Hindrance::NeedsValue),
        }
    }

    /// Notes that a value is wanted that only a person knows, and that stands in the text itself.
    fn input(&mut self, name: &str, description: &str, assumed: &str) {
        let input = Input {
            variable: name.to_owned(),
            attribute: name.to_owned(),
            description: description.to_owned(),
            kind: "text".to_owned(),
            assumed: assumed.to_owned(),
            module: None,
        };
        if !self.inputs.contains(&input) {
            self.inputs.push(input);
        }
    }

    /// What wishes come to where nothing is yet.
    fn rendered(&mut self, name: &str, wishes: &Wishes) -> Result<Literal, Hindrance> {
        match &wishes.change {
            Some(Change::Set(wanted)) => return self.literal(wanted, name),
            Some(Change::Refer(_)) => return Err(Hindrance::NeedsRedesign),
            Some(Change::Remove) => return Err(Hindrance::NotProven),
            None => {}
        }
        if !wishes.indices.is_empty() {
            let items: Result<Vec<_>, _> = wishes.indices.values().map(|wish| self.rendered(name, wish)).collect();
            return items.map(Literal::List);
        }
        let mut entries = Vec::new();
        for (name, wish) in wishes.names.iter().filter(|(_, wish)| !wish.is_removal()) {
            entries.push(((**name).into(), self.rendered(name, wish)?));
        }
        Ok(Literal::Map(entries))
    }

    fn finish(self) -> Result<Draft, Hindrance> {
        let mut texts = BTreeMap::new();
        for (file, splices) in self.splices {
            let source = self.trial.sources.file(file);
            let new = crate::edit::spliced(&source.text, splices).ok_or(Hindrance::NeedsDecision)?;
            if new != *source.text {
                texts.insert(source.path.to_string(), new);
            }
        }
        if texts.is_empty() {
            Err(Hindrance::NotProven)
        } else {
            Ok(Draft { texts, stated: self.stated, inputs: self.inputs, ..Draft::default() })
        }
    }
}

/// What holds the first names of a resource's body in the text.
enum Holder {
    /// `Properties` beneath the value of this key.
    Properties(TextRange),
    /// The value of this key.
    Key(TextRange),
    /// This node.
    Block(TextRange),
}

impl Holder {
    fn find<'s>(&self, stream: &'s Stream) -> Option<Way<'s>> {
        match self {
            Self::Properties(key) | Self::Key(key) => place::find_key(stream, *key),
            Self::Block(block) => place::find(stream, *block),
        }
    }
}

fn holder(resource: &Resource) -> Holder {
    match resource.dialect {
        Dialect::CloudFormation => Holder::Properties(resource.header.range),
        _ => Holder::Block(resource.block.range),
    }
}

fn holder_of_attributes(resource: &Resource) -> Holder {
    Holder::Key(resource.header.range)
}

/// Whether a value, or anything in it, was written at a place, within it, or around it.
fn holds(value: &Value, site: Site, depth: usize) -> bool {
    let touches =
        |at: Option<Site>| at.is_some_and(|at| at.file == site.file && (at.range.contains(site.range) || site.range.contains(at.range)));
    if touches(value.origin.written_at()) || touches(value.origin.used_at()) {
        return true;
    }
    if depth > 32 {
        return false;
    }
    let items = value.as_items().unwrap_or_default().iter();
    let entries = value.as_mapping().into_iter().flat_map(|mapping| mapping.iter().map(|(_, value)| value));
    items.chain(entries).any(|inner| holds(inner, site, depth + 1))
}

/// Whether a literal has parts that are somebody's choice.
fn holds_choice(literal: &Literal) -> bool {
    match literal {
        Literal::Map(entries) => entries.iter().any(|(name, value)| CHOSEN.contains(&&**name) || holds_choice(value)),
        Literal::List(items) => items.iter().any(holds_choice),
        _ => false,
    }
}

/// Whether a node has nothing in it.
fn is_empty(kind: &NodeKind) -> bool {
    match kind {
        NodeKind::Null => true,
        NodeKind::Sequence(items) => items.is_empty(),
        NodeKind::Mapping(entries) => entries.is_empty(),
        NodeKind::Bool(_) | NodeKind::Number(_) | NodeKind::String(_) => false,
    }
}
