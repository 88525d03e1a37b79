//! Builds a kustomization: gathers its objects and changes them in the order in which Kustomize does.
//!
//! Source: Kustomize, the order of its transformers: patches by strategic merge, patches of either form, namespace, names,
//! labels, annotations, patches by operations, replicas, images, replacements; names that refer to others last of all.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use keyblind_resource::{Data, HopKind, Value};
use keyblind_syntax::{Diagnostic, FileId, Level, Site};

use super::fields::{self, Image, Reach, list, said};
use super::select::Selector;
use super::{Behavior, Kustomization, Named, Patch, PatchForm, generators, json_patch, merge, replacements};
use crate::kubernetes::kinds;
use crate::kubernetes::object::{self, Object};
use crate::kubernetes::references::{self, Step};
use crate::kubernetes::values::{at, text};
use crate::limits;

/// Everything that was read, for all kustomizations.
pub(crate) struct Library<'l> {
    pub(crate) kustomizations: &'l BTreeMap<Arc<str>, Kustomization>,
    /// The documents of files, with what is wrong in them.
    pub(crate) documents: &'l HashMap<FileId, (Vec<Value>, Vec<Diagnostic>)>,
}

/// What an object was called at some time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id {
    pub(crate) kind: Arc<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) name: Arc<str>,
}

/// An object on its way.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) object: Object,
    /// What it was called before, the first name first.
    pub(crate) before: Vec<Id>,
}

impl Item {
    fn new(object: Object) -> Self {
        Self { object, before: Vec::new() }
    }

    /// What it is called now.
    pub(crate) fn id(&self) -> Id {
        let object = &self.object;
        let namespace = if kinds::is_cluster_scoped(object.api_version(), object.kind()) {
            "".into()
        } else {
            object.namespace().unwrap_or_else(|| "default".into())
        };
        Id { kind: object.type_key(), namespace, name: object.name().unwrap_or_default() }
    }

    /// What it was called in its file.
    pub(crate) fn first_id(&self) -> Id {
        self.before.first().cloned().unwrap_or_else(|| self.id())
    }

    /// Whether it is or was called so.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        self.before.iter().any(|id| &*id.name == name) || self.object.name().as_deref() == Some(name)
    }

    fn has_id(&self, matches: impl Fn(&Id) -> bool) -> bool {
        self.before.iter().any(&matches) || matches(&self.id())
    }

    /// Keeps what it was called before a change, if it is called otherwise now.
    pub(super) fn remember(&mut self, id: Id) {
        if self.before.last() != Some(&id) && (self.id() != id) {
            self.before.push(id);
        }
    }
}

/// Builds the kustomization of a directory.
pub(crate) fn build(library: &Library<'_>, directory: &str) -> (Vec<Object>, Vec<Diagnostic>) {
    let budget = Budget { left: limits::KUSTOMIZE_NODES };
    let mut build = Build { library, stack: Vec::new(), budget, is_partial: false, diagnostics: Vec::new() };
    let mut items = Vec::new();
    if let Some(kustomization) = library.kustomizations.get(directory) {
        build.gather(kustomization, &mut items);
        build.rename_references(&mut items);
        if build.budget.left == 0 {
            let site = Site::new(kustomization.id, Default::default());
            let message = "the kustomizations make more of the objects than can be judged: the rest was left as it is";
            build.diagnostics.push(Diagnostic::incomplete("kustomize-budget", site, message));
        }
    }
    // What is only there for Kustomize itself isn't applied.
    let is_local = |object: &Object| {
        let annotation =
            at(&object.body, &["metadata", "annotations"]).and_then(|annotations| annotations.get("config.kubernetes.io/local-config"));
        annotation.and_then(text).is_some_and(|value| &*value != "false")
    };
    let objects = items.into_iter().map(|item| item.object).filter(|object| !is_local(object)).collect();
    (objects, build.diagnostics)
}

/// How much more may be made of the objects: patches and copies can double them over and over.
#[derive(Debug)]
pub(super) struct Budget {
    left: usize,
}

impl Budget {
    /// Whether a value may be put into one more object.
    pub(super) fn spend(&mut self, value: &Value) -> bool {
        let cost = size(value, self.left);
        self.steps(cost)
    }

    /// Whether so many objects may be looked at once more.
    fn steps(&mut self, steps: usize) -> bool {
        self.left = self.left.saturating_sub(steps);
        self.left > 0
    }
}

struct Build<'l> {
    library: &'l Library<'l>,
    /// The directories that are being built.
    stack: Vec<Arc<str>>,
    budget: Budget,
    /// Whether objects are missing, which was said: what has no target may be about them.
    is_partial: bool,
    diagnostics: Vec<Diagnostic>,
}

impl<'l> Build<'l> {
    fn gather(&mut self, kustomization: &Kustomization, items: &mut Vec<Item>) {
        // Two bases that use each base below twice double the work at each level.
        if !self.budget.steps(limits::KUSTOMIZE_NODES / limits::KUSTOMIZATIONS_PER_ROOT + items.len()) {
            return;
        }
        self.is_partial |= kustomization.is_partial;
        let mut names: HashSet<Id> = items.iter().map(Item::id).collect();
        self.stack.push(kustomization.directory.clone());
        for named in &kustomization.resources {
            match named {
                Named::File { id, .. } => self.file(*id, items, &mut names),
                Named::Directory { path, site } => {
                    if let Some(base) = self.enter(path, *site) {
                        if base.is_component {
                            let message = format!("`{path}` is a component, so it belongs under `components`");
                            self.diagnostics.push(Diagnostic::incomplete("kustomize-is-a-component", *site, message));
                            continue;
                        }
                        let mut own = Vec::new();
                        self.gather(base, &mut own);
                        for mut item in own {
                            item.object.calls.insert(0, *site);
                            self.register(item, items, &mut names);
                        }
                    }
                }
            }
        }
        for generated in &kustomization.generated {
            self.generated(&generated.object, generated.behavior, items, &mut names);
        }
        for named in &kustomization.components {
            if let Named::Directory { path, site } = named
                && let Some(component) = self.enter(path, *site)
            {
                if !component.is_component {
                    let message = format!("`{path}` is no component, so it belongs under `resources`");
                    self.diagnostics.push(Diagnostic::incomplete("kustomize-not-a-component", *site, message));
                    continue;
                }
                let before = items.len();
                self.gather(component, items);
                for item in items.iter_mut().skip(before) {
                    item.object.calls.insert(0, *site);
                }
            }
        }
        self.transform(kustomization, items);
        self.stack.pop();
    }

    /// The kustomization of a directory, unless it is being built already.
    fn enter(&mut self, path: &Arc<str>, site: Site) -> Option<&'l Kustomization> {
        if self.stack.contains(path) {
            let message = format!("the kustomizations use each other in a circle: `{path}` leads back here");
            self.diagnostics.push(Diagnostic::incomplete("kustomize-cycle", site, message));
            return None;
        }
        if self.stack.len() >= limits::KUSTOMIZE_DEPTH {
            let message = format!("bases are nested more than {} levels deep: what is further in isn't judged", limits::KUSTOMIZE_DEPTH);
            self.diagnostics.push(Diagnostic::incomplete("kustomize-too-deep", site, message));
            return None;
        }
        let found = self.library.kustomizations.get(path);
        if found.is_none() {
            self.is_partial = true;
            let message = format!("there is no kustomization in `{path}`, so what it declares isn't judged");
            self.diagnostics.push(Diagnostic::incomplete("kustomize-resource-missing", site, message));
        }
        found
    }

    fn file(&mut self, id: FileId, items: &mut Vec<Item>, names: &mut HashSet<Id>) {
        let Some((documents, diagnostics)) = self.library.documents.get(&id) else { return };
        self.diagnostics.extend(diagnostics.iter().cloned());
        let mut objects = Vec::new();
        for document in documents {
            let block = document.origin.used_at().unwrap_or(Site::new(id, Default::default()));
            object::objects(document.clone(), block, &mut objects, &mut self.diagnostics);
        }
        for object in objects {
            self.register(Item::new(object), items, names);
        }
    }

    /// Adds an object, unless there is one of its name: Kustomize refuses that.
    fn register(&mut self, item: Item, items: &mut Vec<Item>, names: &mut HashSet<Id>) {
        if items.len() >= limits::RESOURCES_PER_ROOT || !self.budget.spend(&item.object.body) {
            self.budget.left = 0;
            return;
        }
        let id = item.id();
        if !id.name.is_empty() && !names.insert(id.clone()) {
            let message = format!("there are two objects `{}` called `{}`: the second one isn't judged", id.kind, id.name);
            self.diagnostics.push(Diagnostic::incomplete("kustomize-object-twice", item.object.header, message));
            return;
        }
        items.push(item);
    }

    fn generated(&mut self, object: &Object, behavior: Behavior, items: &mut Vec<Item>, names: &mut HashSet<Id>) {
        let item = Item::new(object.clone());
        let id = item.id();
        let same = |other: &Id| {
            other.kind == id.kind && other.name == id.name && (other.namespace == id.namespace || object.namespace().is_none())
        };
        match (behavior, items.iter_mut().find(|other| other.has_id(same))) {
            (Behavior::Create, _) => self.register(item, items, names),
            (Behavior::Merge, Some(other)) => other.object = generators::merged(&other.object, object),
            (Behavior::Replace, Some(other)) => {
                let metadata = other.object.body.get("metadata").cloned();
                other.object.body = object.body.clone();
                if let (Some(metadata), Data::Object(body)) = (metadata, &mut other.object.body.data) {
                    Arc::make_mut(body).insert("metadata", metadata);
                }
            }
            (_, None) if self.is_partial => {}
            (_, None) => self.diagnostics.push(generators::nothing_to_change(object)),
        }
    }

    fn transform(&mut self, kustomization: &Kustomization, items: &mut Vec<Item>) {
        let body = &kustomization.body;
        for patch in kustomization.patches.iter().filter(|patch| !patch.is_late) {
            self.patch(patch, kustomization, items);
        }
        if let Some(namespace) = said(body, "namespace") {
            self.each(items, |item| fields::namespace(item, namespace));
        }
        for field in ["namePrefix", "nameSuffix"] {
            if let Some(affix) = said(body, field) {
                self.each(items, |item| fields::affix(item, field, affix));
            }
        }
        for entry in list(body, "labels") {
            let is_set = |key: &str| entry.get(key).and_then(Value::as_bool) == Some(true);
            let reach = match (is_set("includeSelectors"), is_set("includeTemplates")) {
                (true, _) => Reach::Selectors,
                (false, true) => Reach::Templates,
                (false, false) => Reach::Objects,
            };
            if let Some(pairs) = entry.get("pairs") {
                self.pairs(items, pairs, |object| fields::labels(object, "labels", pairs, reach));
            }
        }
        if let Some(pairs) = said(body, "commonLabels") {
            self.pairs(items, pairs, |object| fields::labels(object, "commonLabels", pairs, Reach::Selectors));
        }
        if let Some(pairs) = said(body, "commonAnnotations") {
            self.pairs(items, pairs, |object| fields::annotations(object, pairs));
        }
        for patch in kustomization.patches.iter().filter(|patch| patch.is_late) {
            self.patch(patch, kustomization, items);
        }
        for entry in list(body, "replicas") {
            items.iter_mut().for_each(|item| fields::replicas(item, entry));
        }
        for entry in list(body, "images").iter().chain(list(body, "imageTags")) {
            if let Some(image) = Image::read(entry) {
                items.iter_mut().for_each(|item| image.apply(&mut item.object));
            }
        }
        for replacement in &kustomization.replacements {
            self.diagnostics.extend(replacements::apply(replacement, items, &mut self.budget, kustomization));
        }
        replacements::variables(body, items, &mut self.budget);
    }

    /// Changes all objects by something that may change what they are called.
    fn each(&mut self, items: &mut [Item], change: impl Fn(&mut Item)) {
        for item in items {
            let id = item.id();
            change(item);
            item.remember(id);
        }
    }

    fn pairs(&mut self, items: &mut [Item], pairs: &Value, change: impl Fn(&mut Object)) {
        for item in items {
            if !self.budget.spend(pairs) {
                return;
            }
            change(&mut item.object);
        }
    }

    fn patch(&mut self, patch: &Patch, kustomization: &Kustomization, items: &mut Vec<Item>) {
        let selector = match patch.target.as_ref().map(Selector::read).transpose() {
            Ok(selector) => selector,
            Err(message) => return self.diagnostics.push(Diagnostic::incomplete("kustomize-patch-refused", patch.site, message)),
        };
        for document in &patch.documents {
            if !self.budget.steps(items.len()) {
                return;
            }
            let selected: Vec<usize> = match &selector {
                Some(selector) => (0..items.len()).filter(|&index| selector.selects(&items[index])).collect(),
                None => self.meant(document, items).into_iter().collect(),
            };
            if selected.is_empty() && !kustomization.is_component && !self.is_partial {
                let at = document.origin.used_at().unwrap_or(patch.site);
                let message = "the patch is about no object that is there: nothing is changed by it".to_owned();
                // Kustomize passes over a target that selects nothing, and refuses a patch that names what isn't there.
                let level = if patch.target.is_some() { Level::Note } else { Level::Incomplete };
                let diagnostic = Diagnostic::incomplete("kustomize-patch-without-target", at, message);
                self.diagnostics.push(Diagnostic { level, ..diagnostic });
            }
            let mut gone = Vec::new();
            for index in selected {
                if !self.budget.spend(document) {
                    return;
                }
                if !self.change(&mut items[index], document, patch) {
                    gone.push(index);
                }
            }
            for index in gone.into_iter().rev() {
                items.remove(index);
            }
        }
    }

    /// The object that a patch without target is about: that of its kind and name.
    fn meant(&self, document: &Value, items: &[Item]) -> Option<usize> {
        let patch = Item::new(Object::new(document.clone(), Site::new(FileId(0), Default::default())));
        let id = patch.id();
        let of_name = |other: &Id| other.kind == id.kind && other.name == id.name;
        let exact = items.iter().position(|item| item.has_id(|other| *other == id));
        // A patch that says no namespace means the object all the same if there is only one.
        let mut others = items.iter().enumerate().filter(|(_, item)| item.has_id(of_name)).map(|(index, _)| index);
        exact.or_else(|| others.next().filter(|_| others.next().is_none() && patch.object.namespace().is_none()))
    }

    /// Changes one object; whether it is still there.
    fn change(&mut self, item: &mut Item, document: &Value, patch: &Patch) -> bool {
        let id = item.id();
        let (type_key, before) = (item.object.type_key(), item.object.body.clone());
        let changed = if patch.form == PatchForm::Operations {
            let mut spend = |value: &Value| self.budget.spend(value);
            match json_patch::apply(&before, document, &mut spend) {
                Ok(changed) => Some(changed),
                Err(refused) => {
                    let at = refused.at.used_at().unwrap_or(patch.site);
                    let message = format!("Kustomize refuses this patch, so it is left out: {}", refused.message);
                    self.diagnostics.push(Diagnostic::incomplete("kustomize-patch-refused", at, message));
                    return true;
                }
            }
        } else {
            merge::apply(Some(before.clone()), document, &type_key, &mut Vec::new())
        };
        let Some(mut changed) = changed.filter(object::is_object) else { return patch.form == PatchForm::Operations };
        if patch.form == PatchForm::StrategicMerge {
            let keep = |changed: &mut Value, path: &[&str]| {
                let (Some((name, holder)), old) = (path.split_last(), at(&before, path)) else { return };
                let origin = before.origin.clone();
                let mapping = crate::kubernetes::values::mapping_at(changed, holder, &origin);
                match old {
                    Some(old) => mapping.insert(*name, old.clone()),
                    None => drop(mapping.remove(name)),
                }
            };
            if !patch.may_change_kind {
                keep(&mut changed, &["kind"]);
            }
            if !patch.may_change_name {
                keep(&mut changed, &["metadata", "name"]);
            }
            keep(&mut changed, &["metadata", "namespace"]);
        }
        item.object.body = changed;
        item.remember(id);
        true
    }

    /// Lets names that refer to objects follow those that were renamed.
    fn rename_references(&self, items: &mut [Item]) {
        let mut index: HashMap<(Arc<str>, Arc<str>), Vec<usize>> = HashMap::new();
        for (place, item) in items.iter().enumerate() {
            for id in item.before.iter().chain([&item.id()]) {
                let places = index.entry((id.kind.clone(), id.name.clone())).or_default();
                if places.last() != Some(&place) {
                    places.push(place);
                }
            }
        }
        let mut changes = Vec::new();
        for (place, item) in items.iter().enumerate() {
            let own: Vec<Arc<str>> = item.before.iter().chain([&item.id()]).map(|id| id.namespace.clone()).collect();
            for reference in references::of(&item.object.type_key(), &item.object.body) {
                let key = (reference.kind.clone(), reference.name.clone());
                let Some(candidates) = index.get(&key) else { continue };
                let near = |&&candidate: &&usize| {
                    let ids = || items[candidate].before.iter().cloned().chain([items[candidate].id()]);
                    let namespaces = reference.namespace.as_ref().map_or(&own[..], std::slice::from_ref);
                    ids().any(|id| id.name == reference.name && (id.namespace.is_empty() || namespaces.contains(&id.namespace)))
                };
                // Of several that were called so, the one with the same affixes is meant.
                let mut found: Vec<usize> = candidates.iter().take(limits::CANDIDATES).filter(near).copied().collect();
                if found.len() > 1 {
                    let shared = |candidate: &usize| items[*candidate].object.calls == item.object.calls;
                    found.sort_by_key(|candidate| !shared(candidate));
                }
                if let Some(&to) = found.first() {
                    changes.push((place, reference.path, items[to].object.body.clone(), reference.namespace.is_some()));
                }
            }
        }
        for (place, path, target, says_namespace) in changes {
            let Some(name) = at(&target, &["metadata", "name"]) else { continue };
            let Some((_, holder)) = path.split_last() else { continue };
            replace(&mut items[place].object.body, &path, name);
            if says_namespace && let Some(namespace) = at(&target, &["metadata", "namespace"]) {
                let mut path = holder.to_vec();
                path.push(Step::Name("namespace".into()));
                replace(&mut items[place].object.body, &path, namespace);
            }
        }
    }
}

/// Puts a name in the place of another one, if it is another one.
fn replace(body: &mut Value, path: &[Step], new: &Value) {
    if path.is_empty() {
        if body != new {
            let site = body.origin.used_at().or_else(|| new.origin.used_at());
            *body = match site {
                Some(site) => new.clone().carried(HopKind::Kustomization("name".into()), site),
                None => new.clone(),
            };
        }
        return;
    }
    match (path, &mut body.data) {
        ([Step::Name(name), rest @ ..], Data::Object(mapping)) if mapping.get(name).is_some() => {
            replace(Arc::make_mut(mapping).entry(name), rest, new);
        }
        ([Step::Index(index), rest @ ..], Data::Tuple(items)) if *index < items.len() => {
            replace(&mut Arc::make_mut(items)[*index], rest, new);
        }
        _ => {}
    }
}

/// How many values there are in one, counted up to a bound.
fn size(value: &Value, most: usize) -> usize {
    let inner = |total: usize, value: &Value| if total > most { total } else { total + size(value, most) };
    match &value.data {
        Data::Object(mapping) => mapping.iter().map(|(_, value)| value).fold(1, inner),
        Data::Tuple(items) => items.iter().fold(1, inner),
        _ => 1,
    }
}
