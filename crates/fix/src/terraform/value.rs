//! Changing a value where it is written, or within what it is written in.

use keyblind_resource::{HopKind, Origin, Resource, Value};
use keyblind_rules::{Change, DOCUMENT, Wanted};
use keyblind_syntax::hcl::ast::{Expr, ExprKind};
use keyblind_syntax::{FileId, Site, TextRange};

use super::{Drafting, Spot, insert, locate};
use crate::draft::Level;
use crate::examples::is_literal;
use crate::hindrance::Hindrance;
use crate::proof::Stated;
use crate::wishes::Wishes;

impl<'t> Drafting<'t> {
    /// Changes a value, or what lies in it.
    #[allow(clippy::too_many_arguments, reason = "the place, the wish and what both are about")]
    pub(super) fn expression(
        &mut self,
        spot: &Spot<'_>,
        owner: locate::Owner<'_>,
        expr: &Expr,
        wish: &Wishes,
        value: &Value,
        resource: &'t Resource,
        companions: &[String],
    ) -> Result<(), Hindrance> {
        match &wish.change {
            Some(Change::Remove) => return self.remove(spot, owner),
            Some(Change::Set(Wanted::WithoutLines(lines))) => return self.without_lines(spot.file, expr, lines),
            Some(change) => {
                let wanted = self.render_change(spot, change, resource, companions)?;
                return self.replace(spot.file, expr, &wanted, value, resource);
            }
            None => {}
        }
        if let Some(inner) = wish.names.get(DOCUMENT) {
            self.in_document = true;
            let done = match &expr.kind {
                // Of the document only the text counts: what it evaluates to is a text again.
                ExprKind::Call { name, arguments, .. } if &*name.text == "jsonencode" && arguments.len() == 1 => {
                    self.expression(spot, locate::Owner::Element, &arguments[0], inner, &Value::null(), resource, companions)
                }
                ExprKind::String(_) | ExprKind::Template(_) => self.heredoc(spot, expr, inner, resource),
                _ => Err(Hindrance::NeedsDecision),
            };
            self.in_document = false;
            return done;
        }
        match &expr.kind {
            ExprKind::Paren(inner) => self.expression(spot, owner, inner, wish, value, resource, companions),
            ExprKind::Object(entries) if wish.indices.is_empty() => {
                let mut additions = Vec::new();
                for (name, inner) in &wish.names {
                    let entry = entries.iter().find(|entry| matches!(&entry.key.kind, ExprKind::String(key) if key == name));
                    let null = Value::null();
                    match entry {
                        Some(entry) => {
                            let there = value.get(name).unwrap_or(&null);
                            self.expression(
                                &spot.inner(name),
                                locate::Owner::Entry(entry),
                                &entry.value,
                                inner,
                                there,
                                resource,
                                companions,
                            )?;
                        }
                        None if inner.is_removal() => {}
                        None => additions.push((name.to_string(), self.render_expression(&spot.inner(name), inner, resource, companions)?)),
                    }
                }
                self.insert_entries(spot.file, expr, entries, additions);
                Ok(())
            }
            ExprKind::Tuple(items) if wish.names.is_empty() => {
                let values = value.as_items().unwrap_or_default();
                let removed: Vec<usize> = wish.indices.iter().filter(|(_, inner)| inner.is_removal()).map(|(index, _)| *index).collect();
                // The elements of a set stand in another order than in the text.
                let of_index = |index: usize| -> Option<usize> {
                    if value.is_null() {
                        return (index < items.len()).then_some(index);
                    }
                    let site = values.get(index)?.origin.used_at()?;
                    items.iter().position(|item| item.range.contains(site.range) || site.range.contains(item.range))
                };
                if !removed.is_empty() {
                    let places: Option<Vec<usize>> = removed.iter().map(|&index| of_index(index)).collect();
                    self.remove_elements(spot.file, expr, items, &places.ok_or(Hindrance::ValueElsewhere)?);
                }
                let mut additions = Vec::new();
                for (index, inner) in wish.indices.iter().filter(|(_, inner)| !inner.is_removal()) {
                    let null = Value::null();
                    match (values.get(*index).or(value.is_null().then_some(&null)), of_index(*index)) {
                        (Some(there), Some(place)) => {
                            let item = &items[place];
                            self.expression(spot, locate::Owner::Element, item, inner, there, resource, companions)?;
                        }
                        (Some(there), None) if !there.is_null() => return Err(Hindrance::ValueElsewhere),
                        _ => additions.push(self.render_expression(spot, inner, resource, companions)?),
                    }
                }
                self.append_elements(spot.file, expr, items, additions);
                Ok(())
            }
            _ => self.carried(spot, expr, wish, value, resource, companions),
        }
    }

    /// Changes something within a value that was written elsewhere.
    fn carried(
        &mut self,
        spot: &Spot<'_>,
        expr: &Expr,
        wish: &Wishes,
        value: &Value,
        resource: &'t Resource,
        companions: &[String],
    ) -> Result<(), Hindrance> {
        // A value within a list or object knows best where it was written.
        let element = wish.indices.keys().find_map(|index| value.as_items()?.get(*index));
        let site = element.and_then(|element| element.origin.written_at()).or_else(|| value.origin.written_at());
        let Some(site) = site.filter(|site| !(site.file == spot.file && expr.range == site.range)) else {
            return Err(Hindrance::NeedsDecision);
        };
        if self.level == Level::Used {
            return Err(Hindrance::NeedsDecision);
        }
        let tree = self.tree(site.file)?;
        let container = locate::container(&tree.body, site.range).ok_or(Hindrance::ValueElsewhere)?;
        if !matches!(container.kind, ExprKind::Tuple(_) | ExprKind::Object(_)) {
            return Err(Hindrance::NeedsDecision);
        }
        self.state_hops(&value.origin);
        let at = Spot { file: site.file, type_key: spot.type_key, path: spot.path.clone() };
        self.expression(&at, locate::Owner::Element, container, wish, value, resource, companions)
    }

    /// Puts another value in the place of one.
    fn replace(&mut self, file: FileId, expr: &Expr, wanted: &str, value: &Value, resource: &'t Resource) -> Result<(), Hindrance> {
        let here = Site::new(file, expr.range);
        if value.origin.hops().any(|hop| matches!(hop.kind, HopKind::Given(_))) {
            return Err(Hindrance::ValueElsewhere);
        }
        let is_carried = !is_literal(&expr.kind) && value.origin.hops().next().is_some();
        if !is_carried || self.level == Level::Used {
            let range = self.within_condition(file, expr, value, wanted).unwrap_or(expr.range);
            let wanted = self.in_kind(file, range, wanted);
            self.splice(file, range, wanted);
            return Ok(());
        }
        let site = match self.level {
            Level::Written => value.origin.written_at(),
            _ => return self.hand_over(value, wanted, resource),
        };
        let site = site.filter(|site| *site != here).ok_or(Hindrance::ValueElsewhere)?;
        let tree = self.tree(site.file)?;
        let written = locate::expression(&tree.body, site.range).ok_or(Hindrance::ValueElsewhere)?;
        if !is_literal(&written.kind) {
            return Err(Hindrance::ValueElsewhere);
        }
        self.state_hops(&value.origin);
        let wanted = self.in_kind(site.file, site.range, wanted);
        self.splice(site.file, site.range, wanted);
        Ok(())
    }

    /// A text that stands for a truth or number stays a text, and what is written without quotes stays without.
    fn in_kind(&self, file: FileId, range: TextRange, wanted: &str) -> String {
        let old = self.text(file).get(range.as_usize()).unwrap_or_default();
        let unquoted = |text: &str| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).map(str::to_owned);
        let is_scalar = |text: &str| matches!(text, "true" | "false") || text.parse::<i64>().is_ok();
        match (unquoted(old), unquoted(wanted)) {
            (Some(_), None) if is_scalar(wanted) => format!("\"{wanted}\""),
            (None, Some(bare)) if is_scalar(old) && is_scalar(&bare) => bare,
            _ => wanted.to_owned(),
        }
    }

    /// Of `condition ? a : b` the branch that is taken, if it is written out.
    fn within_condition(&mut self, file: FileId, expr: &Expr, value: &Value, wanted: &str) -> Option<TextRange> {
        let ExprKind::Conditional { then, otherwise, .. } = &expr.kind else { return None };
        let site = value.origin.written_at().filter(|site| site.file == file)?;
        let taken = [then, otherwise].into_iter().find(|branch| branch.range == site.range && is_literal(&branch.kind))?;
        let other = if taken.range == then.range { otherwise } else { then };
        // A choice between the same twice is none.
        (&self.text(file)[other.range.as_usize()] != wanted).then_some(taken.range)
    }

    /// Gives the module that a resource is in another value for the variable that carries one.
    fn hand_over(&mut self, value: &Value, wanted: &str, resource: &'t Resource) -> Result<(), Hindrance> {
        let mut passed = 0_usize;
        let mut last_argument = None;
        for hop in value.origin.hops() {
            match &hop.kind {
                HopKind::ModuleInput { module, input } => {
                    passed += 1;
                    last_argument = Some((hop.site, module.clone(), input.clone()));
                }
                HopKind::Default(name) => {
                    let depth = resource.calls.len().checked_sub(passed + 1).ok_or(Hindrance::ValueElsewhere)?;
                    let site = resource.calls[depth];
                    let tree = self.tree(site.file)?;
                    let call = locate::block_at(&tree.body, site.range).ok_or(Hindrance::ValueElsewhere)?;
                    let label = call.labels.first().map(|label| label.text.to_string()).unwrap_or_default();
                    self.stated.push(Stated {
                        file: self.path(site.file).to_owned(),
                        type_key: "module".to_owned(),
                        name: label,
                        path: name.to_string(),
                    });
                    self.insert_items(site.file, call, vec![insert::Rendered::attribute(name, wanted)]);
                    return Ok(());
                }
                _ => {}
            }
        }
        let (site, module, input) = last_argument.ok_or(Hindrance::ValueElsewhere)?;
        let tree = self.tree(site.file)?;
        locate::expression(&tree.body, site.range).ok_or(Hindrance::ValueElsewhere)?;
        self.stated.push(Stated {
            file: self.path(site.file).to_owned(),
            type_key: "module".to_owned(),
            name: module.trim_start_matches("module.").to_owned(),
            path: input.to_string(),
        });
        let wanted = self.in_kind(site.file, site.range, wanted);
        self.splice(site.file, site.range, wanted);
        Ok(())
    }

    /// The arguments of the calls that a value came through change with it.
    fn state_hops(&mut self, origin: &Origin) {
        for hop in origin.hops() {
            if let HopKind::ModuleInput { module, input } = &hop.kind {
                let stated = Stated {
                    file: self.path(hop.site.file).to_owned(),
                    type_key: "module".to_owned(),
                    name: module.trim_start_matches("module.").to_owned(),
                    path: input.to_string(),
                };
                if !self.stated.contains(&stated) {
                    self.stated.push(stated);
                }
            }
        }
    }
}
