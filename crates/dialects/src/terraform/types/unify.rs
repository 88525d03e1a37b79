//! Finding one type for several values.

use std::sync::Arc;

use keyblind_resource::{Data, Value};

use super::{MAX_DEPTH, MAX_NODES, ObjectAttribute, Type};

/// The type that all these values convert to, as Terraform finds it for the branches of a conditional, for `tolist` and the
/// like. `None` if there is none. Unknown and null values fit every type.
pub(crate) fn unify(values: &[Value]) -> Option<Type> {
    let types: Vec<Type> = values.iter().map(type_of).collect();
    unify_types(&types)
}

/// The type of a value. Unknown and null values, and what is nested too deep or too large to look at, are of any type.
pub(crate) fn type_of(value: &Value) -> Type {
    type_of_within(value, MAX_NODES)
}

/// The same, for a closer limit to the elements that are looked at.
pub(crate) fn type_of_within(value: &Value, nodes: usize) -> Type {
    Typing { left: nodes }.of(value, 0).0
}

struct Typing {
    /// How many more values may be looked at: values share parts, and seen as a tree they can be far larger than in memory.
    left: usize,
}

impl Typing {
    /// The type, and whether it is complete: no `any` in it.
    fn of(&mut self, value: &Value, depth: usize) -> (Type, bool) {
        if depth > MAX_DEPTH || self.left == 0 {
            return (Type::Any, false);
        }
        self.left -= 1;
        match &value.data {
            Data::Null | Data::Unknown(_) => (Type::Any, false),
            Data::Bool(_) => (Type::Bool, true),
            Data::Number(_) => (Type::Number, true),
            Data::String(_) => (Type::String, true),
            Data::List(items) => self.of_elements(items.iter(), Type::list, depth),
            Data::Set(items) => self.of_elements(items.iter(), Type::set, depth),
            Data::Map(entries) => self.of_elements(entries.iter().map(|(_, value)| value), Type::map, depth),
            Data::Tuple(items) => {
                let (types, complete): (Vec<_>, Vec<_>) = items.iter().map(|item| self.of(item, depth + 1)).unzip();
                (Type::Tuple(types), complete.into_iter().all(|complete| complete))
            }
            Data::Object(entries) => {
                let mut all_complete = true;
                let attributes = entries.iter().map(|(name, value)| {
                    let (ty, complete) = self.of(value, depth + 1);
                    all_complete &= complete;
                    (name.clone(), ObjectAttribute::required(ty))
                });
                (Type::Object(attributes.collect()), all_complete)
            }
        }
    }

    /// All elements have the same type: one whose type is complete is enough.
    fn of_elements<'v>(&mut self, elements: impl Iterator<Item = &'v Value>, collection: fn(Type) -> Type, depth: usize) -> (Type, bool) {
        let mut common = Type::Any;
        for element in elements {
            let (ty, complete) = self.of(element, depth + 1);
            if complete {
                return (collection(ty), true);
            }
            common = completed(common, ty);
        }
        (collection(common), false)
    }
}

/// Two views of the same type, of which each may show `any` where a value was null, unknown or empty.
fn completed(one: Type, other: Type) -> Type {
    match (one, other) {
        (Type::Any, ty) | (ty, Type::Any) => ty,
        (Type::List(a), Type::List(b)) => Type::list(completed(*a, *b)),
        (Type::Set(a), Type::Set(b)) => Type::set(completed(*a, *b)),
        (Type::Map(a), Type::Map(b)) => Type::map(completed(*a, *b)),
        (Type::Tuple(a), Type::Tuple(b)) if a.len() == b.len() => Type::Tuple(a.into_iter().zip(b).map(|(a, b)| completed(a, b)).collect()),
        (Type::Object(a), Type::Object(b)) if same_names(&a, &b) => {
            Type::Object(a.into_iter().zip(b).map(|((name, a), (_, b))| (name, ObjectAttribute::required(completed(a.ty, b.ty)))).collect())
        }
        (one, _) => one,
    }
}

fn same_names(a: &[(Arc<str>, ObjectAttribute)], b: &[(Arc<str>, ObjectAttribute)]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|((a, _), (b, _))| a == b)
}

/// The type that values of all these types convert to.
pub(super) fn unify_types(types: &[Type]) -> Option<Type> {
    let known: Vec<&Type> = types.iter().filter(|ty| **ty != Type::Any).collect();
    let Some((&first, rest)) = known.split_first() else { return Some(Type::Any) };
    if rest.iter().all(|ty| *ty == first) {
        return Some(first.clone());
    }
    // Beside a value of no known type (such as a bare `null`), objects and tuples stay as they are, and what has no
    // common type does no harm.
    if known.len() < types.len() {
        let objects = known.iter().any(|ty| matches!(ty, Type::Object(_)));
        let tuples = known.iter().any(|ty| matches!(ty, Type::Tuple(_)));
        return match (objects, tuples) {
            (true, true) => None,
            (false, false) => common_type(&known).or(Some(Type::Any)),
            _ => Some(Type::Any),
        };
    }
    common_type(&known)
}

/// The type that values of all these types, which are known and differ, convert to.
fn common_type(known: &[&Type]) -> Option<Type> {
    let count = |of: fn(&Type) -> bool| known.iter().filter(|ty| of(ty)).count();
    let all = known.len();
    let maps = count(|ty| matches!(ty, Type::Map(_)));
    let objects = count(|ty| matches!(ty, Type::Object(_)));
    let lists = count(|ty| matches!(ty, Type::List(_)));
    let tuples = count(|ty| matches!(ty, Type::Tuple(_)));
    let sets = count(|ty| matches!(ty, Type::Set(_)));
    if maps == all {
        return Some(Type::map(unify_elements(known)?));
    }
    if lists == all {
        return Some(Type::list(unify_elements(known)?));
    }
    if sets == all {
        return Some(Type::set(unify_elements(known)?));
    }
    if maps > 0
        && maps + objects == all
        && let Some(element) = unify_elements(known)
    {
        return Some(Type::map(element));
    }
    if lists > 0
        && lists + tuples == all
        && let Some(element) = unify_elements(known)
    {
        return Some(Type::list(element));
    }
    if objects == all {
        return unify_objects(known);
    }
    if tuples == all {
        return unify_tuples(known);
    }
    if objects > 0 && tuples > 0 {
        return None;
    }
    let mut preferred = known.to_vec();
    preferred.sort_by_key(|ty| preference(ty));
    preferred.into_iter().find(|wanted| known.iter().all(|ty| converts(ty, wanted))).cloned()
}

/// The unified element type of collections, tuples and objects.
fn unify_elements(types: &[&Type]) -> Option<Type> {
    let mut elements = Vec::new();
    for ty in types {
        match ty {
            Type::List(element) | Type::Set(element) | Type::Map(element) => elements.push((**element).clone()),
            Type::Tuple(items) => elements.extend(items.iter().cloned()),
            Type::Object(attributes) => elements.extend(attributes.iter().map(|(_, attribute)| attribute.ty.clone())),
            Type::Any | Type::Bool | Type::Number | Type::String => return None,
        }
    }
    unify_types(&elements)
}

fn unify_objects(types: &[&Type]) -> Option<Type> {
    let all: Vec<&[(Arc<str>, ObjectAttribute)]> =
        types.iter().filter_map(|ty| if let Type::Object(attributes) = ty { Some(attributes.as_slice()) } else { None }).collect();
    let (first, rest) = all.split_first()?;
    if rest.iter().all(|attributes| same_names(first, attributes)) {
        let attribute_types = (0..first.len()).map(|index| {
            let column: Vec<Type> = all.iter().map(|attributes| attributes[index].1.ty.clone()).collect();
            Some((first[index].0.clone(), ObjectAttribute::required(unify_types(&column)?)))
        });
        return Some(Type::Object(attribute_types.collect::<Option<Vec<_>>>()?));
    }
    Some(Type::map(unify_elements(types)?))
}

fn unify_tuples(types: &[&Type]) -> Option<Type> {
    let all: Vec<&[Type]> = types.iter().filter_map(|ty| if let Type::Tuple(items) = ty { Some(items.as_slice()) } else { None }).collect();
    let (first, rest) = all.split_first()?;
    if rest.iter().all(|items| items.len() == first.len()) {
        let columns = (0..first.len()).map(|index| {
            let column: Vec<Type> = all.iter().map(|items| items[index].clone()).collect();
            unify_types(&column)
        });
        return Some(Type::Tuple(columns.collect::<Option<Vec<_>>>()?));
    }
    Some(Type::list(unify_elements(types)?))
}

/// Among types that all others convert to, the one of the lowest number is taken: texts can hold every primitive, collections
/// can hold what tuples and objects hold.
fn preference(ty: &Type) -> u8 {
    match ty {
        Type::String => 0,
        Type::Number | Type::Bool => 1,
        Type::Map(_) | Type::List(_) => 2,
        Type::Set(_) => 3,
        Type::Object(_) | Type::Tuple(_) => 4,
        Type::Any => 5,
    }
}

/// Whether there is a conversion from one type to another, which may still refuse a value.
fn converts(from: &Type, to: &Type) -> bool {
    match (from, to) {
        (Type::Any, _) | (_, Type::Any) => true,
        (Type::Bool, Type::Bool | Type::String) | (Type::Number, Type::Number | Type::String) => true,
        (Type::String, Type::String | Type::Bool | Type::Number) => true,
        (Type::List(a) | Type::Set(a), Type::List(b) | Type::Set(b)) | (Type::Map(a), Type::Map(b)) => converts(a, b),
        (Type::Tuple(items), Type::List(element) | Type::Set(element)) => items.iter().all(|item| converts(item, element)),
        (Type::Tuple(a), Type::Tuple(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| converts(a, b)),
        (Type::Object(attributes), Type::Map(element)) => attributes.iter().all(|(_, attribute)| converts(&attribute.ty, element)),
        (Type::Object(a), Type::Object(b)) => b.iter().all(|(name, wanted)| {
            a.iter().find(|(given, _)| given == name).map_or(wanted.optional, |(_, given)| converts(&given.ty, &wanted.ty))
        }),
        (Type::Map(element), Type::Object(attributes)) => attributes.iter().all(|(_, attribute)| converts(element, &attribute.ty)),
        _ => false,
    }
}
