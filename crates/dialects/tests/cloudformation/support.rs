//! Templates as texts, and values as text to compare with.

use keyblind_dialects::{Evaluation, cloudformation};
use keyblind_resource::{Data, Fragment, Resource, Value};
use keyblind_syntax::{FileId, SourceFile, TextRange};

/// An evaluated template with its text.
pub(crate) struct Evaluated {
    pub source: SourceFile,
    pub evaluation: Evaluation,
}

/// Evaluates a template in either syntax.
pub(crate) fn evaluate(text: &str) -> Evaluated {
    Evaluated { source: SourceFile::new("template", text), evaluation: cloudformation::evaluate(FileId(0), text) }
}

/// What the property `Value` of the resource `R` is, in a template whose other sections are given.
pub(crate) fn value_of(sections: &str, value: &str) -> String {
    let template = evaluate(&format!("{sections}\nResources:\n  R:\n    Type: Test::Type::Any\n    Properties:\n      Value: {value}\n"));
    assert_eq!(template.messages(), [""; 0], "{value}");
    template.show("R", "Value")
}

impl Evaluated {
    pub(crate) fn resource(&self, address: &str) -> &Resource {
        let addresses = self.addresses();
        self.evaluation
            .resources
            .iter()
            .find(|resource| &*resource.address == address)
            .unwrap_or_else(|| panic!("no {address} among {addresses:?}"))
    }

    pub(crate) fn addresses(&self) -> Vec<&str> {
        self.evaluation.resources.iter().map(|resource| &*resource.address).collect()
    }

    pub(crate) fn messages(&self) -> Vec<&str> {
        self.evaluation.diagnostics.iter().map(|diagnostic| &*diagnostic.message).collect()
    }

    /// A property as text; `nothing` if it isn't there.
    pub(crate) fn show(&self, address: &str, property: &str) -> String {
        self.resource(address).body.get(property).map_or_else(|| "nothing".to_owned(), show)
    }

    /// Line and text of the place where a value is used, of what carried it, and of where it was written.
    pub(crate) fn way(&self, value: &Value) -> Vec<String> {
        let place = |range: TextRange| format!("{}: {}", self.source.line_column(range.start).line, self.source.slice(range));
        let hops = value.origin.hops().map(|hop| format!("{} {:?}", place(hop.site.range), hop.kind));
        hops.chain(value.origin.written_at().map(|site| place(site.range))).collect()
    }
}

/// One line for a value: JSON, with `?` and the reason for what is unknown.
pub(crate) fn show(value: &Value) -> String {
    match &value.data {
        Data::Null => "null".to_owned(),
        Data::Bool(value) => value.to_string(),
        Data::Number(number) => number.to_string(),
        Data::String(text) => format!("{text:?}"),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => format!("[{}]", items.iter().map(show).collect::<Vec<_>>().join(", ")),
        Data::Map(mapping) | Data::Object(mapping) => {
            let entries = mapping.iter().filter(|(key, _)| &***key != cloudformation::ATTRIBUTES);
            format!("{{{}}}", entries.map(|(key, value)| format!("{key}: {}", show(value))).collect::<Vec<_>>().join(", "))
        }
        Data::Unknown(unknown) => {
            let part = |part: &Fragment| if let Fragment::Literal(text) = part { text.to_string() } else { "?".to_owned() };
            let fragments: String = unknown.fragments.iter().map(part).collect();
            let candidates: Vec<String> = unknown.candidates.iter().map(show).collect();
            let known = match (fragments.is_empty(), candidates.is_empty(), &unknown.document) {
                (false, ..) => format!(" {fragments:?}"),
                (true, false, _) => format!(" one of {}", candidates.join(" | ")),
                (true, true, Some(document)) => format!(" of {}", show(document)),
                (true, true, None) => String::new(),
            };
            format!("?({}{}){known}", unknown.reason, if unknown.nullable { ", or null" } else { "" })
        }
    }
}
