//! Evaluated values.

use std::sync::Arc;

use keyblind_syntax::Site;

use crate::number::Number;
use crate::origin::{HopKind, Origin};
use crate::unknown::{Reason, Unknown};

/// A value with its origin. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Value {
    /// The value itself.
    pub data: Data,
    /// Where it came from.
    pub origin: Origin,
    /// Marked sensitive: reports never show it.
    pub sensitive: bool,
}

/// What a value is. The collection kinds are Terraform's; other dialects use `Tuple` and `Object`.
#[derive(Clone, Debug, Default)]
pub enum Data {
    /// `null`: for an attribute, the same as not being there.
    #[default]
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number of any size.
    Number(Number),
    /// A text.
    String(Arc<str>),
    /// Elements of one type.
    List(Arc<Vec<Value>>),
    /// Distinct elements of one type, in Terraform's order.
    Set(Arc<Vec<Value>>),
    /// Elements of any types; also all blocks of one name in a body.
    Tuple(Arc<Vec<Value>>),
    /// Named values of one type.
    Map(Arc<Mapping>),
    /// Named values of any types; also the body of a block.
    Object(Arc<Mapping>),
    /// Not known, with the reason.
    Unknown(Arc<Unknown>),
}

impl Value {
    /// A value of unstated origin.
    pub fn new(data: Data) -> Self {
        Self { data, origin: Origin::None, sensitive: false }
    }

    /// A value written at a site.
    pub fn at(data: Data, site: Site) -> Self {
        Self { data, origin: Origin::Site(site), sensitive: false }
    }

    /// `null` of unstated origin.
    pub fn null() -> Self {
        Self::default()
    }

    /// A text of unstated origin.
    pub fn string(text: impl Into<Arc<str>>) -> Self {
        Self::new(Data::String(text.into()))
    }

    /// A boolean of unstated origin.
    pub fn bool(value: bool) -> Self {
        Self::new(Data::Bool(value))
    }

    /// A whole number of unstated origin.
    pub fn int(value: i64) -> Self {
        Self::new(Data::Number(Number::from(value)))
    }

    /// A tuple of unstated origin.
    pub fn tuple(items: Vec<Value>) -> Self {
        Self::new(Data::Tuple(Arc::new(items)))
    }

    /// An object of unstated origin.
    pub fn object(entries: impl IntoIterator<Item = (Arc<str>, Value)>) -> Self {
        Self::new(Data::Object(Arc::new(entries.into_iter().collect())))
    }

    /// An unknown of unstated origin, of which only the reason is known.
    pub fn unknown(reason: Reason) -> Self {
        Self::new(Data::Unknown(Arc::new(Unknown::new(reason))))
    }

    /// The same value with another origin.
    #[must_use]
    pub fn with_origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// The same value, carried to `site` by a reference.
    #[must_use]
    pub fn carried(mut self, kind: HopKind, site: Site) -> Self {
        self.origin = std::mem::take(&mut self.origin).carried(kind, site);
        self
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.data, Data::Null)
    }

    /// Whether it is unknown itself (its elements may be unknown all the same).
    pub fn is_unknown(&self) -> bool {
        matches!(self.data, Data::Unknown(_))
    }

    /// The unknown, if it is one.
    pub fn as_unknown(&self) -> Option<&Arc<Unknown>> {
        if let Data::Unknown(unknown) = &self.data { Some(unknown) } else { None }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Data::String(text) = &self.data { Some(text) } else { None }
    }

    /// The boolean, if it is one. Texts are not converted.
    pub fn as_bool(&self) -> Option<bool> {
        if let Data::Bool(value) = self.data { Some(value) } else { None }
    }

    /// The number, if it is one. Texts are not converted.
    pub fn as_number(&self) -> Option<&Number> {
        if let Data::Number(number) = &self.data { Some(number) } else { None }
    }

    /// The elements of a list, set or tuple.
    pub fn as_items(&self) -> Option<&[Value]> {
        match &self.data {
            Data::List(items) | Data::Set(items) | Data::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// The entries of a map or object.
    pub fn as_mapping(&self) -> Option<&Mapping> {
        match &self.data {
            Data::Map(mapping) | Data::Object(mapping) => Some(mapping),
            _ => None,
        }
    }

    /// The entry of that name of a map or object.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_mapping()?.get(key)
    }

    /// Whether it and all that is in it is known.
    pub fn is_wholly_known(&self) -> bool {
        match &self.data {
            Data::Unknown(_) => false,
            Data::List(items) | Data::Set(items) | Data::Tuple(items) => items.iter().all(Self::is_wholly_known),
            Data::Map(mapping) | Data::Object(mapping) => mapping.iter().all(|(_, value)| value.is_wholly_known()),
            Data::Null | Data::Bool(_) | Data::Number(_) | Data::String(_) => true,
        }
    }

    /// A word for the kind of value, as users know it.
    pub fn kind_name(&self) -> &'static str {
        match self.data {
            Data::Null => "null",
            Data::Bool(_) => "bool",
            Data::Number(_) => "number",
            Data::String(_) => "string",
            Data::List(_) => "list",
            Data::Set(_) => "set",
            Data::Tuple(_) => "tuple",
            Data::Map(_) => "map",
            Data::Object(_) => "object",
            Data::Unknown(_) => "unknown",
        }
    }
}

/// Equality of the data alone: origins and marks don't count, unknowns are equal to nothing, and a list equals a tuple
/// or set of equal elements.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (&self.data, &other.data) {
            (Data::Null, Data::Null) => true,
            (Data::Bool(a), Data::Bool(b)) => a == b,
            (Data::Number(a), Data::Number(b)) => a == b,
            (Data::String(a), Data::String(b)) => a == b,
            (Data::Unknown(_), _) | (_, Data::Unknown(_)) => false,
            _ => match (self.as_items(), other.as_items()) {
                (Some(a), Some(b)) => a == b,
                (None, None) => match (self.as_mapping(), other.as_mapping()) {
                    (Some(a), Some(b)) => a.entries == b.entries,
                    _ => false,
                },
                _ => false,
            },
        }
    }
}

/// Named values, sorted by name (by bytes, as Terraform iterates).
#[derive(Clone, Debug, Default)]
pub struct Mapping {
    entries: Vec<(Arc<str>, Value)>,
}

impl Mapping {
    /// The value of a name.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let index = self.entries.binary_search_by(|(name, _)| (**name).cmp(key)).ok()?;
        Some(&self.entries[index].1)
    }

    /// Sets a name's value, replacing what was there.
    pub fn insert(&mut self, key: impl Into<Arc<str>>, value: Value) {
        let key = key.into();
        match self.entries.binary_search_by(|(name, _)| name.cmp(&key)) {
            Ok(index) => self.entries[index].1 = value,
            Err(index) => self.entries.insert(index, (key, value)),
        }
    }

    /// The value of a name, to change it; null if there was none.
    pub fn entry(&mut self, key: &str) -> &mut Value {
        let index = match self.entries.binary_search_by(|(name, _)| (**name).cmp(key)) {
            Ok(index) => index,
            Err(index) => {
                self.entries.insert(index, (key.into(), Value::null()));
                index
            }
        };
        &mut self.entries[index].1
    }

    /// Takes a name out.
    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.entries.binary_search_by(|(name, _)| (**name).cmp(key)).ok()?;
        Some(self.entries.remove(index).1)
    }

    /// All entries in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Value)> + DoubleEndedIterator {
        self.entries.iter().map(|(name, value)| (name, value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// Of equal names the last one stays.
impl FromIterator<(Arc<str>, Value)> for Mapping {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(entries: I) -> Self {
        let mut entries: Vec<_> = entries.into_iter().collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.reverse();
        entries.dedup_by(|(a, _), (b, _)| a == b);
        entries.reverse();
        Self { entries }
    }
}
