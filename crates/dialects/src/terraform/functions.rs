//! Terraform's functions, as of Terraform 1.11, over values of which parts may be unknown.
//!
//! What can be known stays known: the length of a tuple is known although its elements aren't. What can't be known carries
//! the reason and the references of the arguments on. Elements that pass through a function keep their origin; computed
//! results have none, the evaluator gives them the site of the call.
//!
//! Sources: Terraform's documentation of its functions, the signatures that `terraform metadata functions` prints, and the
//! behaviour of Terraform 1.11 (see `tests/functions.golden`).

mod candidates;
mod collection;
mod date_time;
mod decoded_texts;
mod encoding;
mod filesystem;
mod hash_crypto;
mod ip_network;
mod numeric;
mod parameters;
mod string;
mod terraform_provider;
mod text_builder;
mod type_conversion;
pub(crate) mod unknowns;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use keyblind_resource::{Data, Number, Reason, Value};

use super::types;
pub(crate) use decoded_texts::DecodedTexts;
use parameters::{Parameter, any, lists, number, strings, text};
use text_builder::TextBuilder;

/// What functions may ask of the evaluator.
pub(crate) trait Host {
    /// Reads a file; the path is as Terraform would see it from its working directory. Only what lies beneath the trust
    /// root can be read.
    fn read_file(&self, path: &str) -> Result<Arc<[u8]>, Reason>;
    /// Whether there is a file of that path.
    fn file_exists(&self, path: &str) -> Result<bool, Reason>;
    /// The files beneath a directory that match a glob: relative paths, sorted.
    fn file_set(&self, directory: &str, pattern: &str) -> Result<Vec<String>, Reason>;
    /// Evaluates a template with these variables (`templatefile`, `templatestring`). The name is for messages.
    fn template(&self, name: &str, text: &str, variables: &Value) -> Value;
    /// What texts were decoded to by other calls, where the host keeps that.
    fn decoded_texts(&self) -> Option<&DecodedTexts> {
        None
    }
    /// Spends evaluation fuel (about one unit an element or per 64 bytes produced); false when it is used up.
    fn spend(&self, units: u64) -> bool;
}

/// The fuel that a call costs beside the size of its arguments.
const CALL: u64 = 4;

/// Calls a function.
///
/// Wrong arguments give an unknown with the reason [`Reason::Invalid`], an unknown function one with
/// [`Reason::Unsupported`].
pub(crate) fn call(name: &str, arguments: Vec<Value>, host: &dyn Host) -> Value {
    let Some(function) = find(name) else {
        return Value::unknown(Reason::Unsupported { what: format!("function {name}()").into() });
    };
    if let Err(reason) = pay_for(function, &arguments, host) {
        return Value::unknown(reason);
    }
    if function.by_candidate && arguments.iter().any(candidates::has_candidates) {
        return candidates::call(function, arguments, host);
    }
    call_once(function, arguments, host)
}

fn find(name: &str) -> Option<&'static Function> {
    static BY_NAME: LazyLock<HashMap<&str, &Function>> = LazyLock::new(|| {
        let families = [
            numeric::FUNCTIONS,
            string::FUNCTIONS,
            collection::FUNCTIONS,
            encoding::FUNCTIONS,
            filesystem::FUNCTIONS,
            date_time::FUNCTIONS,
            hash_crypto::FUNCTIONS,
            ip_network::FUNCTIONS,
            type_conversion::FUNCTIONS,
            terraform_provider::FUNCTIONS,
        ];
        families.into_iter().flatten().map(|function| (function.name, function)).collect()
    });
    BY_NAME.get(name.strip_prefix("core::").unwrap_or(name)).copied()
}

/// A function: what it takes, and how it computes its result.
struct Function {
    name: &'static str,
    parameters: &'static [Parameter],
    variadic: Option<Parameter>,
    /// Sensitive elements stay the only sensitive ones; otherwise one of them makes the whole result sensitive.
    by_element: bool,
    /// Looks at the elements of its arguments, if at all, but not into them.
    shallow: bool,
    /// Called for each candidate of an argument that is one of several values.
    by_candidate: bool,
    body: fn(&Call<'_>) -> Outcome,
}

impl Function {
    const fn new(name: &'static str, parameters: &'static [Parameter], body: fn(&Call<'_>) -> Outcome) -> Self {
        Self { name, parameters, variadic: None, by_element: false, shallow: false, by_candidate: true, body }
    }

    /// Takes any number of further arguments.
    const fn variadic(mut self, parameter: Parameter) -> Self {
        self.variadic = Some(parameter);
        self
    }

    /// Moves elements around without looking into them.
    const fn by_element(mut self) -> Self {
        self.by_element = true;
        self
    }

    /// Costs no more than what its arguments hold directly.
    const fn shallow(mut self) -> Self {
        self.shallow = true;
        self
    }

    /// Takes its arguments as they are, also those that are one of several values.
    const fn raw(mut self) -> Self {
        self.by_element = true;
        self.by_candidate = false;
        self
    }
}

/// A result, or why there is none.
type Outcome = Result<Value, Failure>;

/// Why a function has no known result.
#[derive(Debug)]
enum Failure {
    /// Terraform would refuse the call.
    Invalid(String),
    /// It depends on what is unknown in the arguments.
    NotKnown,
    /// Another reason.
    Because(Reason),
}

/// Terraform would refuse the call.
fn invalid<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Invalid(message.into()))
}

/// Spends the fuel that looking at the arguments costs.
fn pay_for(function: &Function, arguments: &[Value], host: &dyn Host) -> Result<(), Reason> {
    let mut total = CALL;
    for argument in arguments {
        total += match function.shallow {
            true => size(argument),
            false => match types::size_within(argument, types::MAX_NODES) {
                Some(size) => size as u64,
                None => return Err(Reason::Budget { limit: "size of a value" }),
            },
        };
    }
    if host.spend(total) { Ok(()) } else { Err(out_of_fuel()) }
}

fn out_of_fuel() -> Reason {
    Reason::Budget { limit: "evaluation steps" }
}

/// A call with its arguments converted to what the parameters want.
struct Call<'a> {
    function: &'a Function,
    arguments: Vec<Value>,
    host: &'a dyn Host,
}

fn call_once(function: &Function, arguments: Vec<Value>, host: &dyn Host) -> Value {
    let by_element = function.by_element;
    let sensitive =
        arguments.iter().any(|argument| if by_element { argument.sensitive && !function.is_raw() } else { is_sensitive(argument) });
    let arguments = match parameters::prepare(function, arguments) {
        Ok(arguments) => arguments,
        Err((failure, arguments)) => return failed(function, failure, &arguments, sensitive),
    };
    let call = Call { function, arguments, host };
    match (function.body)(&call) {
        Ok(mut value) => {
            value.sensitive |= sensitive;
            value
        }
        Err(failure) => failed(function, failure, &call.arguments, sensitive),
    }
}

impl Function {
    fn is_raw(&self) -> bool {
        !self.by_candidate
    }
}

fn failed(function: &Function, failure: Failure, arguments: &[Value], sensitive: bool) -> Value {
    let mut value = match failure {
        Failure::Invalid(message) => Value::unknown(Reason::Invalid { message: format!("{}(): {message}", function.name).into() }),
        Failure::Because(reason) => Value::new(Data::Unknown(Arc::new(unknowns::because(reason, arguments)))),
        Failure::NotKnown => Value::new(Data::Unknown(Arc::new(unknowns::merged(arguments)))),
    };
    value.sensitive = sensitive;
    value
}

/// Whether something in the value is sensitive; what is nested too deep to look at counts as if it were.
fn is_sensitive(value: &Value) -> bool {
    sensitive_at(value, 0)
}

fn sensitive_at(value: &Value, depth: usize) -> bool {
    value.sensitive
        || depth > types::MAX_DEPTH
        || match &value.data {
            Data::List(items) | Data::Set(items) | Data::Tuple(items) => items.iter().any(|item| sensitive_at(item, depth + 1)),
            Data::Map(entries) | Data::Object(entries) => entries.iter().any(|(_, entry)| sensitive_at(entry, depth + 1)),
            _ => false,
        }
}

/// The fuel that looking at the elements of an argument costs.
fn size(value: &Value) -> u64 {
    match &value.data {
        Data::String(text) => text.len() as u64 / 64,
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => items.len() as u64,
        Data::Map(entries) | Data::Object(entries) => entries.len() as u64,
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::Unknown(_) => 0,
    }
}

impl<'a> Call<'a> {
    /// Spends fuel for what is about to be made.
    fn spend(&self, units: u64) -> Result<(), Failure> {
        if self.host.spend(units) { Ok(()) } else { Err(Failure::Because(out_of_fuel())) }
    }

    /// A text in the making, within the limits.
    fn text_builder(&self) -> TextBuilder<'a> {
        TextBuilder::new(self.host)
    }

    /// A made text as a value, within the limits.
    fn made_text(&self, text: String) -> Outcome {
        let mut builder = self.text_builder();
        builder.push(&text)?;
        Ok(Value::string(types::normalized(text)))
    }

    /// An argument. The parameters say how many there are.
    fn value(&self, index: usize) -> &Value {
        &self.arguments[index]
    }

    /// The arguments from that one on.
    fn rest(&self, index: usize) -> &[Value] {
        self.arguments.get(index..).unwrap_or(&[])
    }

    /// An argument that must be a text.
    fn text(&self, index: usize) -> Result<&str, Failure> {
        known_text(self.value(index))
    }

    /// An argument that must be a number.
    fn number(&self, index: usize) -> Result<&Number, Failure> {
        known_number(self.value(index))
    }

    /// An argument that must be a whole number (of 64 bits, as all that count something are).
    fn integer(&self, index: usize) -> Result<i64, Failure> {
        let number = self.number(index)?;
        match number.as_i64() {
            Some(integer) => Ok(integer),
            None if number.is_whole() => invalid(format!("the number {number} is too large for the {} argument", self.ordinal(index))),
            None => invalid(format!("the {} argument must be a whole number, not {number}", self.ordinal(index))),
        }
    }

    /// The elements of an argument that must be a list, set or tuple.
    fn items(&self, index: usize) -> Result<&[Value], Failure> {
        known_items(self.value(index), || format!("the {} argument", self.ordinal(index)))
    }

    fn ordinal(&self, index: usize) -> Cow<'static, str> {
        parameters::ordinal(self.function, index)
    }
}

fn known_text(value: &Value) -> Result<&str, Failure> {
    match &value.data {
        Data::String(text) => Ok(text),
        Data::Unknown(_) => Err(Failure::NotKnown),
        Data::Null => invalid("a string is required, not null"),
        _ => invalid(format!("a string is required, not {}", types::kind_of(value))),
    }
}

fn known_number(value: &Value) -> Result<&Number, Failure> {
    match &value.data {
        Data::Number(number) => Ok(number),
        Data::Unknown(_) => Err(Failure::NotKnown),
        Data::Null => invalid("a number is required, not null"),
        _ => invalid(format!("a number is required, not {}", types::kind_of(value))),
    }
}

fn known_bool(value: &Value) -> Result<bool, Failure> {
    match &value.data {
        Data::Bool(known) => Ok(*known),
        Data::Unknown(_) => Err(Failure::NotKnown),
        Data::Null => invalid("a bool is required, not null"),
        _ => invalid(format!("a bool is required, not {}", types::kind_of(value))),
    }
}

fn known_items(value: &Value, what: impl Fn() -> String) -> Result<&[Value], Failure> {
    match &value.data {
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => Ok(items),
        Data::Unknown(_) => Err(Failure::NotKnown),
        _ => invalid(format!("{} must be a list, tuple or set, not {}", what(), types::kind_of(value))),
    }
}

fn list(items: Vec<Value>) -> Value {
    Value::new(Data::List(Arc::new(items)))
}

fn set(items: Vec<Value>) -> Value {
    Value::new(Data::Set(Arc::new(items)))
}

fn map(entries: impl IntoIterator<Item = (Arc<str>, Value)>) -> Value {
    Value::new(Data::Map(Arc::new(entries.into_iter().collect())))
}

#[cfg(test)]
mod tests;
