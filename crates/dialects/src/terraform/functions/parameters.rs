//! What functions take, and how arguments are made to fit.

use std::borrow::Cow;

use keyblind_resource::{Data, Value};

use super::super::types::{self, Type};
use super::{Failure, Function};

/// A parameter.
#[derive(Clone, Copy)]
pub(super) struct Parameter {
    name: &'static str,
    kind: Kind,
    nullable: bool,
    unknown: bool,
}

/// The types that parameters have.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Any,
    Bool,
    Number,
    String,
    List(&'static Kind),
    Set(&'static Kind),
    Map(&'static Kind),
}

impl Kind {
    fn as_type(self) -> Type {
        match self {
            Self::Any => Type::Any,
            Self::Bool => Type::Bool,
            Self::Number => Type::Number,
            Self::String => Type::String,
            Self::List(element) => Type::list(element.as_type()),
            Self::Set(element) => Type::set(element.as_type()),
            Self::Map(element) => Type::map(element.as_type()),
        }
    }
}

pub(super) const fn parameter(name: &'static str, kind: Kind) -> Parameter {
    Parameter { name, kind, nullable: false, unknown: false }
}

pub(super) const fn any(name: &'static str) -> Parameter {
    parameter(name, Kind::Any)
}

pub(super) const fn number(name: &'static str) -> Parameter {
    parameter(name, Kind::Number)
}

pub(super) const fn text(name: &'static str) -> Parameter {
    parameter(name, Kind::String)
}

/// A list of elements of one type, whichever.
pub(super) const fn lists(name: &'static str) -> Parameter {
    parameter(name, Kind::List(&Kind::Any))
}

/// A list of strings.
pub(super) const fn strings(name: &'static str) -> Parameter {
    parameter(name, Kind::List(&Kind::String))
}

impl Parameter {
    /// May be null.
    pub(super) const fn or_null(mut self) -> Self {
        self.nullable = true;
        self
    }

    /// The function itself deals with an unknown argument.
    pub(super) const fn or_unknown(mut self) -> Self {
        self.unknown = true;
        self
    }

    fn accept(&self, value: Value) -> Result<Value, (Failure, Value)> {
        if value.is_null() {
            return if self.nullable { Ok(value) } else { Err((self.refused("must not be null"), value)) };
        }
        if matches!(self.kind, Kind::Any) {
            return Ok(value);
        }
        let already = match (&value.data, self.kind) {
            (Data::String(_), Kind::String) | (Data::Number(_), Kind::Number) | (Data::Bool(_), Kind::Bool) => true,
            (Data::Unknown(unknown), _) => unknown.candidates.is_empty() && unknown.document.is_none() && unknown.fragments.is_empty(),
            _ => false,
        };
        if already {
            return Ok(value);
        }
        match types::convert(value.clone(), &self.kind.as_type()) {
            Ok(converted) => Ok(converted),
            Err(message) => Err((self.refused(&format!("doesn't fit: {message}")), value)),
        }
    }

    fn refused(&self, why: &str) -> Failure {
        Failure::Invalid(format!("the argument \"{}\" {why}", self.name))
    }
}

/// Checks the number of arguments and converts each; fails as the function does where one is unknown and it can't do without.
pub(super) fn prepare(function: &Function, arguments: Vec<Value>) -> Result<Vec<Value>, (Failure, Vec<Value>)> {
    let wanted = function.parameters.len();
    if arguments.len() < wanted || arguments.len() > wanted && function.variadic.is_none() {
        let at_least = if function.variadic.is_some() { "at least " } else { "" };
        let plural = if wanted == 1 { "" } else { "s" };
        return Err((Failure::Invalid(format!("takes {at_least}{wanted} argument{plural}, but {} are given", arguments.len())), arguments));
    }
    let mut prepared = Vec::with_capacity(arguments.len());
    let mut not_known = false;
    for (index, argument) in arguments.into_iter().enumerate() {
        let Some(parameter) = function.parameters.get(index).or(function.variadic.as_ref()) else { break };
        not_known |= argument.is_unknown() && !parameter.unknown;
        match parameter.accept(argument) {
            Ok(value) => prepared.push(value),
            Err((failure, value)) => {
                prepared.push(value);
                return Err((failure, prepared));
            }
        }
    }
    if not_known { Err((Failure::NotKnown, prepared)) } else { Ok(prepared) }
}

/// How messages name an argument.
pub(super) fn ordinal(function: &Function, index: usize) -> Cow<'static, str> {
    match function.parameters.get(index) {
        Some(parameter) => Cow::Owned(format!("\"{}\"", parameter.name)),
        None => Cow::Owned(format!("{}.", index + 1)),
    }
}
