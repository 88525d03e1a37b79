//! Following a path through a value.

use keyblind_resource::{Data, Origin, Unknown, Value};
use keyblind_rule_language::{Step, View, glob_matches};
use keyblind_syntax::Site;
use std::sync::Arc;

use crate::evaluation::Evaluation;
use crate::truth::{Combine, Truth};

/// The deepest nesting that is followed.
const MAX_DEPTH: usize = 200;

/// A value and the way to it, without any allocation.
#[derive(Clone, Copy)]
pub(crate) struct Trail<'t> {
    pub(crate) value: &'t Value,
    pub(crate) label: Label<'t>,
    pub(crate) up: Option<&'t Trail<'t>>,
}

/// The last step of a trail.
#[derive(Clone, Copy)]
pub(crate) enum Label<'t> {
    /// There is none.
    Root,
    Name(&'t str),
    Index(usize),
    View(&'t View),
    /// One of the values that it may be.
    Candidate,
}

/// Where a path leads.
#[derive(Clone, Copy)]
pub(crate) enum Found<'t> {
    /// To a value; not null.
    Value(&'t Trail<'t>),
    /// To nothing: what is left of the path behind the last value that was there.
    Missing { at: &'t Trail<'t>, rest: &'t [Step] },
}

impl<'t> Trail<'t> {
    pub(crate) fn root(value: &'t Value) -> Self {
        Self { value, label: Label::Root, up: None }
    }

    pub(crate) fn step<'s>(&'s self, value: &'s Value, label: Label<'s>) -> Trail<'s>
    where
        't: 's,
    {
        Trail { value, label, up: Some(self) }
    }

    /// The trail as a path, and what follows after it.
    pub(crate) fn path(&self, rest: &[Step]) -> String {
        let mut path = String::new();
        self.write_path(&mut path);
        for step in rest {
            match step {
                Step::Name(name) => write_name(&mut path, name),
                Step::Names(pattern) => write_name(&mut path, pattern),
                Step::Index(index) => write_name(&mut path, &index.to_string()),
                Step::Every => write_name(&mut path, "*"),
                Step::View(view) => write_view(&mut path, view),
            }
        }
        path
    }

    fn write_path(&self, path: &mut String) {
        let Some(up) = self.up else { return };
        up.write_path(path);
        match self.label {
            Label::Root | Label::Candidate => {}
            Label::Name(name) => write_name(path, name),
            // The only block of its name needs no number.
            Label::Index(_) if up.value.as_items().is_some_and(|items| items.len() == 1) => {}
            Label::Index(index) => write_name(path, &index.to_string()),
            Label::View(view) => write_view(path, view),
        }
    }

    /// The outermost place within a block that holds the value, or the deepest that should have held it.
    pub(crate) fn site_within(&self, block: Site) -> Option<Site> {
        let mut trail = Some(self);
        while let Some(here) = trail {
            let site = here.value.origin.used_at();
            if let Some(site) = site.filter(|site| site.file == block.file && block.range.contains(site.range)) {
                return Some(site);
            }
            trail = here.up;
        }
        None
    }

    /// The origin of the value, or of the nearest value around it that has one.
    pub(crate) fn origin(&self) -> Origin {
        match (&self.value.origin, self.up) {
            (Origin::None, Some(up)) => up.origin(),
            (origin, _) => origin.clone(),
        }
    }

    /// Whether it or anything around it is marked.
    pub(crate) fn is_sensitive(&self) -> bool {
        self.value.sensitive || self.up.is_some_and(Trail::is_sensitive)
    }
}

fn write_name(path: &mut String, name: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    if name.is_empty() || name.contains(['.', '"', '|']) {
        path.push_str(&format!("{name:?}"));
    } else {
        path.push_str(name);
    }
}

fn write_view(path: &mut String, view: &View) {
    path.push_str(if path.is_empty() { "@|" } else { "|" });
    path.push_str(&view.to_string());
}

/// An attribute of something unknown: of it only the reason is known, and it may not be there.
pub(crate) fn inside_of(unknown: &Unknown) -> Value {
    let inner = Unknown { references: unknown.references.clone(), nullable: true, ..Unknown::new(unknown.reason.clone()) };
    Value::new(Data::Unknown(Arc::new(inner)))
}

/// What is asked at the end of every branch.
pub(crate) type Leaf<'l, 'e> = &'l mut dyn FnMut(&mut Evaluation<'e>, Found<'_>) -> Truth;

impl<'e> Evaluation<'e> {
    /// Follows the steps and asks `leaf` at the end of every branch; the branches' truths are combined.
    pub(crate) fn walk(&mut self, trail: &Trail<'_>, steps: &[Step], combine: Combine, leaf: Leaf<'_, 'e>) -> Truth {
        let Some((step, rest)) = steps.split_first() else {
            return if trail.value.is_null() {
                leaf(self, Found::Missing { at: trail, rest: &[] })
            } else {
                leaf(self, Found::Value(trail))
            };
        };
        if !self.burn(1) || self.depth >= MAX_DEPTH {
            return self.exhausted();
        }
        self.depth += 1;
        let truth = self.walk_step(trail, step, rest, steps, combine, leaf);
        self.depth -= 1;
        truth
    }

    fn walk_step(&mut self, trail: &Trail<'_>, step: &Step, rest: &[Step], steps: &[Step], combine: Combine, leaf: Leaf<'_, 'e>) -> Truth {
        if let Step::View(view) = step {
            return match self.view(view, trail.value) {
                Some(seen) => self.walk(&trail.step(&seen, Label::View(view)), rest, combine, leaf),
                None => leaf(self, Found::Missing { at: trail, rest: steps }),
            };
        }
        if let Data::Unknown(unknown) = &trail.value.data {
            if unknown.candidates.is_empty() {
                let inner = inside_of(unknown);
                return self.walk(&trail.step(&inner, step_label(step)), rest, combine, leaf);
            }
            return self.branch(Combine::Agree, unknown.candidates.iter(), |this, candidate| {
                this.walk(&trail.step(candidate, Label::Candidate), steps, combine, leaf)
            });
        }
        if let Some(items) = trail.value.as_items() {
            if items.is_empty() {
                return leaf(self, Found::Missing { at: trail, rest: steps });
            }
            return match step {
                Step::Index(index) => match items.get(*index as usize) {
                    Some(item) => self.walk(&trail.step(item, Label::Index(*index as usize)), rest, combine, leaf),
                    None => leaf(self, Found::Missing { at: trail, rest: steps }),
                },
                Step::Every => self.branch(combine, items.iter().enumerate(), |this, (index, item)| {
                    this.walk(&trail.step(item, Label::Index(index)), rest, combine, leaf)
                }),
                _ => self.branch(combine, items.iter().enumerate(), |this, (index, item)| {
                    this.walk(&trail.step(item, Label::Index(index)), steps, combine, leaf)
                }),
            };
        }
        let Some(mapping) = trail.value.as_mapping() else { return leaf(self, Found::Missing { at: trail, rest: steps }) };
        match step {
            Step::Name(name) => match mapping.get(name) {
                Some(value) => self.walk(&trail.step(value, Label::Name(name)), rest, combine, leaf),
                None => leaf(self, Found::Missing { at: trail, rest: steps }),
            },
            Step::Index(index) => match mapping.get(&index.to_string()) {
                Some(value) => self.walk(&trail.step(value, step_label(step)), rest, combine, leaf),
                None => leaf(self, Found::Missing { at: trail, rest: steps }),
            },
            Step::Names(pattern) => {
                let mut fitting = mapping.iter().filter(|(name, _)| glob_matches(pattern, name, false)).peekable();
                if fitting.peek().is_none() {
                    return leaf(self, Found::Missing { at: trail, rest: steps });
                }
                self.branch(combine, fitting, |this, (name, value)| this.walk(&trail.step(value, Label::Name(name)), rest, combine, leaf))
            }
            Step::Every if mapping.is_empty() => leaf(self, Found::Missing { at: trail, rest: steps }),
            Step::Every => self.branch(combine, mapping.iter(), |this, (name, value)| {
                this.walk(&trail.step(value, Label::Name(name)), rest, combine, leaf)
            }),
            Step::View(_) => Truth::Unknown,
        }
    }

    /// Combines the truths of several branches.
    pub(crate) fn branch<T>(
        &mut self,
        combine: Combine,
        branches: impl Iterator<Item = T>,
        mut ask: impl FnMut(&mut Self, T) -> Truth,
    ) -> Truth {
        let start = self.notes_mark();
        let mut joined = None;
        for branch in branches {
            let mark = self.notes_mark();
            let truth = ask(self, branch);
            let next = joined.map_or(truth, |before| combine.join(before, truth));
            self.notes_join(start, mark, joined, truth, next);
            joined = Some(next);
            if combine.is_settled(next) && !self.is_noting() {
                break;
            }
        }
        joined.unwrap_or(combine.neutral())
    }
}

fn step_label(step: &Step) -> Label<'_> {
    match step {
        Step::Name(name) | Step::Names(name) => Label::Name(name),
        Step::Index(index) => Label::Index(*index as usize),
        Step::Every => Label::Name("*"),
        Step::View(view) => Label::View(view),
    }
}
