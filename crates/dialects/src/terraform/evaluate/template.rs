//! Templates: texts with interpolations and directives.

use std::sync::Arc;

use keyblind_resource::{Data, Fragment, Origin, Reason, Reference, Unknown, Value};
use keyblind_syntax::Site;
use keyblind_syntax::hcl::ast::TemplatePart;

use super::super::types;
use super::Evaluator;
use super::expression::{carry_references, elements_of, invalid, known_references};
use super::operators;
use super::scope::Scope;
use crate::limits;

/// A text in the making.
#[derive(Default)]
struct Text {
    fragments: Vec<Fragment>,
    /// The known text since the last unknown part.
    tail: String,
    length: usize,
    reason: Option<Reason>,
    references: Vec<Reference>,
    known_references: Vec<Reference>,
    sensitive: bool,
}

impl Text {
    fn push(&mut self, text: &str) -> bool {
        self.length += text.len();
        self.tail.push_str(text);
        self.length <= limits::TEXT_BYTES
    }

    fn push_unknown(&mut self, unknown: &Unknown) {
        if !self.tail.is_empty() {
            self.fragments.push(Fragment::Literal(std::mem::take(&mut self.tail).into()));
        }
        if unknown.fragments.is_empty() {
            self.fragments.push(Fragment::Unknown);
        } else {
            self.fragments.extend(unknown.fragments.iter().cloned());
        }
        self.reason.get_or_insert_with(|| unknown.reason.clone());
        self.references.extend(unknown.references.iter().cloned());
    }

    fn finish(mut self, site: Site) -> Value {
        let data = match self.reason {
            None => Data::String(types::normalized(self.tail)),
            Some(reason) => {
                if !self.tail.is_empty() {
                    self.fragments.push(Fragment::Literal(self.tail.into()));
                }
                Data::Unknown(Arc::new(Unknown { references: self.references, fragments: self.fragments, ..Unknown::new(reason) }))
            }
        };
        Value { data, origin: carry_references(Origin::Site(site), self.known_references, site), sensitive: self.sensitive }
    }
}

impl<'p> Evaluator<'p> {
    /// Evaluates a template. One that is a single interpolation gives that value, whatever its type.
    pub(super) fn template(&self, parts: &[TemplatePart], scope: Scope<'_, 'p>, site: Site) -> Value {
        if let [TemplatePart::Interpolation { value, .. }] = parts {
            return self.eval(value, scope);
        }
        let mut text = Text::default();
        match self.parts(parts, scope, site, &mut text) {
            Ok(()) => text.finish(site),
            Err(value) => value.with_origin(Origin::Site(site)),
        }
    }

    fn parts(&self, parts: &[TemplatePart], scope: Scope<'_, 'p>, site: Site, text: &mut Text) -> Result<(), Value> {
        for part in parts {
            match part {
                TemplatePart::Literal { text: literal, .. } => self.append(text, literal)?,
                TemplatePart::Interpolation { value, .. } => {
                    let value = self.eval(value, scope);
                    self.interpolate(&value, site, text)?;
                }
                TemplatePart::If { condition, then, otherwise, .. } => {
                    let condition = self.eval(condition, scope);
                    text.sensitive |= condition.sensitive;
                    match (operators::truth(&condition), condition.as_unknown()) {
                        (Some(true), _) => self.parts(then, scope, site, text)?,
                        (Some(false), _) => self.parts(otherwise, scope, site, text)?,
                        (None, Some(unknown)) => text.push_unknown(&Unknown { fragments: Vec::new(), ..(**unknown).clone() }),
                        (None, None) => return Err(invalid("an `if` needs true or false".to_owned(), site)),
                    }
                }
                TemplatePart::For { key, value, collection, body, .. } => {
                    let collection = self.eval(collection, scope);
                    text.sensitive |= collection.sensitive;
                    let elements = match elements_of(&collection) {
                        Ok(elements) => elements,
                        Err(_) => match collection.as_unknown() {
                            Some(unknown) => {
                                text.push_unknown(&Unknown { fragments: Vec::new(), ..(**unknown).clone() });
                                continue;
                            }
                            None => return Err(invalid(format!("`for` can't walk {}", collection.kind_name()), site)),
                        },
                    };
                    for (element_key, element) in elements {
                        if !self.spend(1) {
                            return Err(self.out_of("evaluation steps"));
                        }
                        let value_binding = scope.bind(value.text.clone(), element);
                        let inner = scope.with(&value_binding);
                        match key {
                            Some(name) => {
                                let key_binding = inner.bind(name.text.clone(), element_key);
                                self.parts(body, inner.with(&key_binding), site, text)?;
                            }
                            None => self.parts(body, inner, site, text)?,
                        }
                    }
                }
            }
        }
        Ok(())
    }

    fn append(&self, text: &mut Text, literal: &str) -> Result<(), Value> {
        if text.push(literal) && self.spend(literal.len() as u64 / 64) { Ok(()) } else { Err(self.out_of("length of a text")) }
    }

    fn interpolate(&self, value: &Value, site: Site, text: &mut Text) -> Result<(), Value> {
        text.sensitive |= value.sensitive;
        text.known_references.extend(known_references(value));
        if let Some(unknown) = value.as_unknown() {
            text.push_unknown(unknown);
            return Ok(());
        }
        match types::to_text(value) {
            Some(known) => self.append(text, &known),
            None => Err(invalid(format!("{} can't be put into a text", value.kind_name()), site)),
        }
    }
}
