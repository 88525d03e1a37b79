//! Resources that are added beside the one that fails.

use keyblind_resource::{BlockKind, Resource, ResourceId};
use keyblind_rules::{Change, Key, Remedy, Subject};
use keyblind_syntax::TextRange;
use keyblind_syntax::hcl::ast::{Attribute, Block};

use super::insert::Rendered;
use super::render::in_order_of;
use super::{Drafting, Spot, layout, locate};
use crate::examples::Example;
use crate::hindrance::Hindrance;
use crate::instantiate::{self, Piece, Renaming};
use crate::proof::Stated;
use crate::wishes::Wishes;

/// The most resources that are taken over from an example.
const MOST_COMPANIONS: usize = 6;
/// Arguments that a companion gets from the resource that it stands beside, or not at all.
const META: &[&str] = &["count", "for_each", "provider", "depends_on", "lifecycle"];

/// Of which types a resource has at most one, and the argument by which that names it.
///
/// Source: documentation of the providers.
const ALONE: &[(&str, &str)] = &[
    ("aws_wafv2_web_acl_association", "resource_arn"),
    ("aws_wafregional_web_acl_association", "resource_arn"),
    ("aws_wafv2_web_acl_logging_configuration", "resource_arn"),
    ("aws_ecr_repository_policy", "repository"),
    ("aws_ecr_lifecycle_policy", "repository"),
    ("aws_sns_topic_policy", "arn"),
    ("aws_sqs_queue_policy", "queue_url"),
    ("aws_secretsmanager_secret_policy", "secret_arn"),
    ("aws_secretsmanager_secret_rotation", "secret_id"),
    ("aws_kms_key_policy", "key_id"),
    ("aws_redshift_logging", "cluster_identifier"),
    ("azurerm_storage_account_customer_managed_key", "storage_account_id"),
    ("azurerm_storage_account_network_rules", "storage_account_id"),
    ("azurerm_postgresql_server_key", "server_id"),
    ("azurerm_mssql_server_transparent_data_encryption", "server_id"),
    ("azurerm_mssql_server_extended_auditing_policy", "server_id"),
    ("azurerm_mssql_server_security_alert_policy", "server_name"),
    ("azurerm_subnet_network_security_group_association", "subnet_id"),
    ("azurerm_network_interface_security_group_association", "network_interface_id"),
];
/// Resources of buckets of which one may have several.
const SEVERAL: &[&str] = &[
    "aws_s3_bucket_object",
    "aws_s3_bucket_inventory",
    "aws_s3_bucket_analytics_configuration",
    "aws_s3_bucket_metric",
    "aws_s3_bucket_intelligent_tiering_configuration",
];

/// How a resource with several instances is referred to by a companion that has as many.
struct Repetition {
    /// The `count` or `for_each` of the companion.
    argument: Option<(&'static str, String)>,
    /// The instance that one of the companion belongs to.
    instance: String,
}

impl<'t> Drafting<'t> {
    /// Adds the companions of a remedy, each behind the block of the resource that it is for. Gives how each is referred to.
    pub(super) fn companions(&mut self, remedy: &Remedy) -> Result<Vec<String>, Hindrance> {
        let trial = self.trial;
        let mut names = Vec::new();
        for (index, companion) in remedy.companions.iter().enumerate() {
            let resource = &trial.graph.resources[self.beside(remedy, index)];
            if self.has_alone(remedy, index, &companion.type_key) {
                return Err(Hindrance::NeedsDecision);
            }
            let file = resource.header.file;
            let tree = self.tree(file)?;
            let block = locate::block(&tree.body, resource.header.range).ok_or(Hindrance::NotProven)?;
            if &*block.kind.text != "resource" || resource.calls != trial.graph.resources[self.judged].calls {
                return Err(Hindrance::NeedsRedesign);
            }
            let repetition = self.repetition(resource, block);
            let name = self.free_name(&companion.type_key, resource);
            let own = format!("{}.{name}", companion.type_key);
            let instance = match &repetition.argument {
                Some(("count", _)) => format!("{own}[count.index]"),
                Some(_) => format!("{own}[each.key]"),
                None => own,
            };
            let items = self.companion_items(remedy, index, &companion.type_key, resource, block, &repetition)?;
            let head = format!("resource \"{}\" \"{name}\"", companion.type_key);
            self.stated.push(self.stated_new(resource, &companion.type_key, &name));
            names.push(instance);
            let end = layout::line_end(self.text(file), block.range.end);
            self.splice(file, TextRange::new(end, end), format!("\n\n{}", Rendered::block(&head, items).text("")));
        }
        Ok(names)
    }

    /// Whether a companion would be the second of what a resource has only one of.
    fn has_alone(&self, remedy: &Remedy, companion: usize, type_key: &str) -> bool {
        let graph = &self.trial.graph;
        remedy.wishes.iter().filter(|wish| wish.subject == Subject::Companion(companion)).any(|wish| match (&wish.change, &wish.path[..]) {
            (Change::Refer(Subject::Resource(id)), [Key::Name(argument)]) if is_alone(type_key, argument) => {
                graph.incoming(*id).any(|link| *link.path == **argument && *graph.resources[link.from].type_key == *type_key)
            }
            _ => false,
        })
    }

    /// The resource that a companion refers to; if none, the one that is judged.
    fn beside(&self, remedy: &Remedy, companion: usize) -> ResourceId {
        let refers = remedy.wishes.iter().find_map(|wish| match wish.change {
            Change::Refer(Subject::Resource(id)) if wish.subject == Subject::Companion(companion) => Some(id),
            _ => None,
        });
        refers.unwrap_or(self.judged)
    }

    /// Adds what stands beside such a resource in a good example. What the resource has already isn't added a second time:
    /// it gets the blocks that it lacks.
    pub(super) fn transplant(&mut self, number: usize) -> Result<(), Hindrance> {
        let (trial, examples) = (self.trial, self.examples);
        let resource = &trial.graph.resources[self.judged];
        let file = resource.header.file;
        let tree = self.tree(file)?;
        let block = locate::block(&tree.body, resource.header.range).ok_or(Hindrance::NotProven)?;
        let (example, main, others) = examples.surroundings(&resource.type_key).into_iter().nth(number).ok_or(Hindrance::NeedsRedesign)?;
        let is_repeated = block.body.attribute("count").or(block.body.attribute("for_each")).is_some();
        if is_repeated || others.len() > MOST_COMPANIONS || others.iter().any(|other| other.kind == BlockKind::Provider) {
            return Err(Hindrance::NeedsRedesign);
        }
        let there = self.there_already(example, main, &others, self.judged)?;
        let (known, new): (Vec<&Resource>, Vec<&Resource>) =
            others.into_iter().partition(|other| there.iter().any(|(shown, _)| std::ptr::eq(*shown, *other)));
        for (shown, id) in &there {
            let own = &trial.graph.resources[*id];
            self.renamed.push(Renaming { from: reference(shown), to: reference(own) });
            // One of several instances can't be told from the others.
            if own.address.ends_with(']') && !new.is_empty() {
                return Err(Hindrance::NeedsRedesign);
            }
        }
        let mut names = Vec::new();
        for other in &new {
            let name = self.free_name(&other.type_key, resource);
            self.renamed.push(Renaming { from: reference(other), to: format!("{}.{name}", other.type_key) });
            self.stated.push(Stated {
                file: self.path(file).to_owned(),
                type_key: other.type_key.to_string(),
                name: name.clone(),
                path: String::new(),
            });
            names.push(name);
        }
        let provider = block.body.attribute("provider").map(|provider| self.text(file)[provider.value.range.as_usize()].to_owned());
        let mut text = String::new();
        for (other, name) in new.iter().zip(names) {
            let pattern = example.block(other).ok_or(Hindrance::NeedsRedesign)?;
            let mut items: Vec<Rendered> = provider.iter().map(|provider| Rendered::attribute("provider", provider)).collect();
            let spot = Spot { file, type_key: &other.type_key, path: String::new() };
            items.extend(self.instantiated(&spot, example, main, pattern, &|name| META.contains(&name), resource)?);
            let head = match other.type_key.strip_prefix("data.") {
                Some(type_name) => format!("data \"{type_name}\" \"{name}\""),
                None => format!("resource \"{}\" \"{name}\"", other.type_key),
            };
            text.push_str("\n\n");
            text.push_str(&Rendered::block(&head, items).text(""));
        }
        if !text.is_empty() {
            let end = layout::line_end(self.text(file), block.range.end);
            self.splice(file, TextRange::new(end, end), text);
        }
        for (shown, id) in there.iter().filter(|(shown, _)| known.iter().any(|other| std::ptr::eq(*other, *shown))) {
            self.complete(example, (main, shown), &trial.graph.resources[*id])?;
        }
        self.refer_to_transplanted(example, main, block, resource)?;
        // Which of what is there would have to be otherwise, an example can't tell.
        if self.splices.is_empty() { Err(Hindrance::NeedsDecision) } else { Ok(()) }
    }

    /// What the resource has already of what stands beside it in an example, with what each is here: what both refer to by the
    /// same argument, what a resource has only one of, what it is a part of, and what these have in turn.
    fn there_already(
        &self,
        example: &'t Example,
        main: &'t Resource,
        others: &[&'t Resource],
        judged: ResourceId,
    ) -> Result<Vec<(&'t Resource, ResourceId)>, Hindrance> {
        let mut found: Vec<(&'t Resource, ResourceId)> = Vec::new();
        let mut open = vec![(main, judged)];
        while let Some((shown, own)) = open.pop() {
            for other in others.iter().filter(|other| !other.type_key.starts_with("data.")) {
                if found.iter().any(|(known, _)| std::ptr::eq(*known, *other)) {
                    continue;
                }
                if let Some(id) = self.counterpart(example, shown, other, own)? {
                    found.push((other, id));
                    open.push((other, id));
                }
            }
        }
        Ok(found)
    }

    /// What is to a resource here what another is to an example's.
    fn counterpart(&self, example: &Example, shown: &Resource, other: &Resource, own: ResourceId) -> Result<Option<ResourceId>, Hindrance> {
        let graph = &self.trial.graph;
        let is_one = |id: ResourceId| graph.resources[id].type_key == other.type_key && graph.resources[id].kind == BlockKind::Managed;
        if let Some(argument) = referring_argument(example, shown, other) {
            let referred = graph.outgoing(own).find(|link| *link.path == *argument && is_one(link.to)).map(|link| link.to);
            if referred.is_some() {
                return Ok(referred);
            }
            if is_part_of(&shown.type_key, &other.type_key) {
                return self.only_parent(&other.type_key, &graph.resources[own]);
            }
        }
        if let Some(argument) = referring_argument(example, other, shown).filter(|argument| is_alone(&other.type_key, argument)) {
            return Ok(graph.incoming(own).find(|link| *link.path == *argument && is_one(link.from)).map(|link| link.from));
        }
        Ok(None)
    }

    /// What a resource is a part of, if its module has one of these.
    ///
    /// # Errors
    /// If there are several: only a person can tell which is meant. If there is none: it is somewhere else, and no new one is.
    pub(super) fn only_parent(&self, type_key: &str, part: &Resource) -> Result<Option<ResourceId>, Hindrance> {
        let resources = &self.trial.graph.resources;
        let of_module = |id: &&ResourceId| resources[**id].calls == part.calls && resources[**id].kind == BlockKind::Managed;
        let mut parents = self.trial.graph.of_type(type_key).iter().filter(of_module);
        match (parents.next(), parents.next()) {
            (Some(only), None) if !resources[*only].address.ends_with(']') => Ok(Some(*only)),
            (None, _) => Err(Hindrance::NeedsValue),
            _ => Err(Hindrance::NeedsDecision),
        }
    }

    /// Gives a resource the blocks that it lacks of those that its counterpart in an example has.
    fn complete(&mut self, example: &'t Example, (main, shown): (&'t Resource, &'t Resource), own: &'t Resource) -> Result<(), Hindrance> {
        let file = own.header.file;
        let tree = self.tree(file)?;
        let (Some(pattern), Some(block)) = (example.block(shown), locate::block(&tree.body, own.header.range)) else { return Ok(()) };
        let has = |name: &str| {
            let is_it = |inner: &Block| {
                &*inner.kind.text == name
                    || &*inner.kind.text == "dynamic" && inner.labels.first().is_some_and(|label| &*label.text == name)
            };
            block.body.attribute(name).is_some() || block.body.blocks().any(is_it)
        };
        let names = pattern.body.blocks().map(|inner| inner.kind.text.to_string());
        let mut missing: Vec<String> = Vec::new();
        for name in names.filter(|name| !has(name) && !META.contains(&&**name)) {
            if !missing.contains(&name) {
                missing.push(name);
            }
        }
        let spot = Spot { file, type_key: &own.type_key, path: String::new() };
        let judged = &self.trial.graph.resources[self.judged];
        self.renamed.push(Renaming { from: reference(main), to: self.instance_of(judged) });
        let items = self.instantiated(&spot, example, shown, pattern, &|name| !missing.iter().any(|missing| missing == name), own);
        self.renamed.pop();
        let items = items?;
        if items.is_empty() {
            return Ok(());
        }
        missing.iter().for_each(|name| self.state(own, name));
        self.insert_items(file, block, items);
        Ok(())
    }

    /// The attributes by which the example's own resource refers to what stands beside it.
    fn refer_to_transplanted(
        &mut self,
        example: &'t Example,
        main: &Resource,
        block: &Block,
        resource: &'t Resource,
    ) -> Result<(), Hindrance> {
        let Some(pattern) = example.block(main) else { return Ok(()) };
        let file = resource.header.file;
        let mut added = Vec::new();
        for attribute in pattern.body.attributes().filter(|attribute| !META.contains(&&*attribute.name.text)) {
            let text = &example.text[attribute.value.range.as_usize()];
            let name = &*attribute.name.text;
            let Some(renaming) = self.renamed.iter().find(|renaming| text.contains(&renaming.from)) else { continue };
            let own = block.body.attribute(name);
            if own.is_some_and(|own| names_whole(&self.text(file)[own.value.range.as_usize()], &renaming.to)) {
                continue;
            }
            let Piece::Text(renamed) = instantiate::expression(text, None, name, &self.renamed) else { continue };
            self.state(resource, name);
            match own {
                Some(own) => self.splice(file, own.value.range, renamed),
                None => added.push(Rendered::attribute(name, &renamed)),
            }
        }
        if !added.is_empty() {
            self.insert_items(file, block, added);
        }
        Ok(())
    }

    fn companion_items(
        &mut self,
        remedy: &Remedy,
        index: usize,
        type_key: &str,
        resource: &'t Resource,
        block: &Block,
        repetition: &Repetition,
    ) -> Result<Vec<Rendered>, Hindrance> {
        let text = self.text(resource.header.file);
        let mut items = Vec::new();
        if let Some((name, value)) = &repetition.argument {
            items.push(Rendered::attribute(name, value));
        }
        if let Some(provider) = block.body.attribute("provider") {
            items.push(Rendered::attribute("provider", &text[provider.value.range.as_usize()]));
        }
        let wishes = Wishes::of(remedy, Subject::Companion(index));
        let spot = Spot { file: resource.header.file, type_key, path: String::new() };
        self.companion_of = Some(repetition.instance.clone());
        let own = self.companion_arguments(&spot, &wishes, resource, repetition);
        self.companion_of = None;
        items.extend(own?);
        Ok(items)
    }

    fn companion_arguments(
        &mut self,
        spot: &Spot<'_>,
        wishes: &Wishes,
        resource: &'t Resource,
        repetition: &Repetition,
    ) -> Result<Vec<Rendered>, Hindrance> {
        let type_key = spot.type_key;
        let mut own = Vec::new();
        for (name, wish) in &wishes.names {
            if let Some(Change::Refer(Subject::Resource(_))) = &wish.change {
                let attribute = self.referring_attribute(type_key, name, &resource.type_key);
                own.insert(0, Rendered::attribute(name, &format!("{}.{attribute}", repetition.instance)));
            } else {
                own.push(self.render_item(&spot.inner(name), name, wish, resource, &[])?);
            }
        }
        let examples = self.examples;
        if let Some((example, shown)) = examples.with_type(type_key).next()
            && let Some(pattern) = example.block(shown)
        {
            let is_wished = |name: &str| wishes.names.contains_key(name) || META.contains(&name);
            own.extend(self.instantiated(spot, example, shown, pattern, &is_wished, resource)?);
            in_order_of(&mut own, pattern);
        }
        Ok(own)
    }

    /// The attribute by which the examples refer to such a resource.
    fn referring_attribute(&self, type_key: &str, name: &str, to: &str) -> String {
        let prefix = format!("{to}.");
        let shown = self.examples.with_type(type_key).find_map(|(example, companion)| {
            let block = example.block(companion)?;
            let value = &example.text[block.body.attribute(name)?.value.range.as_usize()];
            let rest = value.strip_prefix(&prefix)?;
            let attribute = rest.split('.').nth(1)?;
            attribute.chars().all(|character| character.is_alphanumeric() || character == '_').then(|| attribute.to_owned())
        });
        shown.unwrap_or_else(|| "id".to_owned())
    }

    /// How the resource that is fixed is referred to in what is written.
    pub(super) fn instance_of(&self, resource: &Resource) -> String {
        self.companion_of.clone().unwrap_or_else(|| format!("{}.{}", resource.type_key, resource.name))
    }

    fn repetition(&self, resource: &Resource, block: &Block) -> Repetition {
        let text = self.text(resource.header.file);
        let base = format!("{}.{}", resource.type_key, resource.name);
        if let Some(count) = block.body.attribute("count") {
            let value = text[count.value.range.as_usize()].to_owned();
            return Repetition { argument: Some(("count", value)), instance: format!("{base}[count.index]") };
        }
        if block.body.attribute("for_each").is_some() {
            return Repetition { argument: Some(("for_each", base)), instance: "each.value".to_owned() };
        }
        Repetition { argument: None, instance: base }
    }

    /// The name of the resource, or one like it that its module doesn't have yet.
    pub(super) fn free_name(&self, type_key: &str, beside: &Resource) -> String {
        let is_taken = |name: &str| {
            self.trial
                .graph
                .resources
                .iter()
                .any(|other| &*other.type_key == type_key && &*other.name == name && other.calls == beside.calls)
                || self.stated.iter().any(|stated| stated.type_key == type_key && stated.name == name)
        };
        let base = beside.name.to_string();
        std::iter::once(base.clone()).chain((2..).map(|number| format!("{base}_{number}"))).find(|name| !is_taken(name)).unwrap_or(base)
    }
}

/// How a resource is referred to.
fn reference(resource: &Resource) -> String {
    format!("{}.{}", resource.type_key, resource.name)
}

/// The argument of an example's resource that refers to another.
fn referring_argument(example: &Example, from: &Resource, to: &Resource) -> Option<String> {
    let to = reference(to);
    let refers = |attribute: &&Attribute| names_whole(&example.text[attribute.value.range.as_usize()], &to);
    Some(example.block(from)?.body.attributes().find(refers)?.name.text.to_string())
}

/// Whether a text names a resource, and not one whose name only begins like it.
fn names_whole(text: &str, reference: &str) -> bool {
    let is_word = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
    text.match_indices(reference).any(|(at, _)| {
        !text[..at].ends_with(|before| is_word(before) || before == '.') && !text[at + reference.len()..].starts_with(is_word)
    })
}

/// Whether a type is that of a part of another type's resources: `azurerm_postgresql_server_key`.
pub(super) fn is_part_of(type_key: &str, parent: &str) -> bool {
    type_key.strip_prefix(parent).is_some_and(|rest| rest.starts_with('_'))
}

/// Whether a resource has at most one of a type that names it in an argument.
fn is_alone(type_key: &str, argument: &str) -> bool {
    ALONE.iter().any(|(alone, by)| *alone == type_key && *by == argument)
        || type_key.starts_with("aws_s3_bucket_") && argument == "bucket" && !SEVERAL.contains(&type_key)
}

#[cfg(test)]
mod tests {
    use super::super::insert::{Rendered, items_text};

    #[test]
    fn attributes_come_before_blocks() {
        let items = vec![Rendered::block("b", vec![Rendered::attribute("c", "1")]), Rendered::attribute("a", "2")];
        assert_eq!(items_text(&items, "  "), "  a = 2\n\n  b {\n    c = 1\n  }");
    }
}
