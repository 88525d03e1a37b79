//! Terraform's type system: type constraints, conversion between types, unification, and the order of sets.
//!
//! A [`Value`] doesn't carry the element type of an empty list, of `null` or of an unknown; where Terraform's result
//! depends on it, such a value fits every type.
//!
//! Source: the cty type system (zclconf/go-cty, `docs/concepts.md` and `docs/convert.md`), the type expressions of
//! hashicorp/hcl (`ext/typeexpr`), and the behaviour of Terraform 1.11.

mod constraint;
mod convert;
mod equality;
mod number_text;
mod set_order;
mod size;
mod text;
mod unify;

use std::sync::Arc;

use keyblind_resource::{Data, Value};

pub(crate) use convert::{apply_defaults, convert};
pub(crate) use equality::equal;
pub(crate) use number_text::parse_number;
pub(crate) use set_order::{exact_key, make_set};
pub(crate) use size::size_within;
pub(crate) use text::{composed, is_printable, normalized, to_text};
pub(crate) use unify::{type_of, type_of_within, unify};

/// Values nested deeper than this are not walked: what walks them uses the stack.
pub(crate) const MAX_DEPTH: usize = 256;

/// Values that hold more values than this, all levels together, are not walked.
pub(crate) const MAX_NODES: usize = 1 << 20;

/// A type constraint.
#[derive(Clone, Debug)]
pub(crate) enum Type {
    /// Every type; in a collection: one type that its elements agree on.
    Any,
    /// `bool`
    Bool,
    /// `number`
    Number,
    /// `string`
    String,
    /// `list(T)`
    List(Box<Type>),
    /// `set(T)`
    Set(Box<Type>),
    /// `map(T)`
    Map(Box<Type>),
    /// `tuple([T, U])`
    Tuple(Vec<Type>),
    /// `object({ name = T })`, sorted by name.
    Object(Vec<(Arc<str>, ObjectAttribute)>),
}

/// An attribute of an object type.
#[derive(Clone, Debug)]
pub(crate) struct ObjectAttribute {
    /// Its type.
    pub(crate) ty: Type,
    /// `optional(T)`: an object without the attribute gets `null`.
    pub(crate) optional: bool,
    /// `optional(T, default)`: an object without the attribute, or with `null`, gets this.
    pub(crate) default: Option<Value>,
}

impl ObjectAttribute {
    /// An attribute that must be there.
    pub(crate) fn required(ty: Type) -> Self {
        Self { ty, optional: false, default: None }
    }
}

impl Type {
    /// A list of that.
    pub(crate) fn list(element: Type) -> Self {
        Self::List(Box::new(element))
    }

    /// A set of that.
    pub(crate) fn set(element: Type) -> Self {
        Self::Set(Box::new(element))
    }

    /// A map of that.
    pub(crate) fn map(element: Type) -> Self {
        Self::Map(Box::new(element))
    }

    /// Whether `any` stands somewhere in it.
    pub(crate) fn has_any(&self) -> bool {
        match self {
            Self::Any => true,
            Self::Bool | Self::Number | Self::String => false,
            Self::List(element) | Self::Set(element) | Self::Map(element) => element.has_any(),
            Self::Tuple(items) => items.iter().any(Self::has_any),
            Self::Object(attributes) => attributes.iter().any(|(_, attribute)| attribute.ty.has_any()),
        }
    }

    /// The kind of type in a word or three, for messages.
    pub(crate) fn friendly_name(&self) -> String {
        match self {
            Self::Any => "any type".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Number => "number".to_owned(),
            Self::String => "string".to_owned(),
            Self::List(element) => format!("list of {}", element.friendly_name()),
            Self::Set(element) => format!("set of {}", element.friendly_name()),
            Self::Map(element) => format!("map of {}", element.friendly_name()),
            Self::Tuple(_) => "tuple".to_owned(),
            Self::Object(_) => "object".to_owned(),
        }
    }
}

/// Equality of the types alone: defaults don't count.
impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, Self::Any) | (Self::Bool, Self::Bool) | (Self::Number, Self::Number) | (Self::String, Self::String) => true,
            (Self::List(a), Self::List(b)) | (Self::Set(a), Self::Set(b)) | (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Tuple(a), Self::Tuple(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|((name, one), (other_name, other))| {
                        name == other_name && one.optional == other.optional && one.ty == other.ty
                    })
            }
            _ => false,
        }
    }
}

/// The kind of a value as messages name it, with its element's kind for collections.
pub(crate) fn kind_of(value: &Value) -> String {
    match &value.data {
        Data::List(_) | Data::Set(_) | Data::Map(_) => type_of(value).friendly_name(),
        _ => value.kind_name().to_owned(),
    }
}
