//! Any text as a template: nothing panics or hangs, every value stands inside of the file, every link leads to a resource,
//! and what isn't judged is mentioned.
#![no_main]

use std::sync::OnceLock;

use keyblind_dialects::cloudformation;
use keyblind_resource::{Data, ResourceGraph, Value};
use keyblind_rules::{RuleTable, Selection, judge};
use keyblind_syntax::FileId;

fn table() -> &'static RuleTable {
    static TABLE: OnceLock<RuleTable> = OnceLock::new();
    TABLE.get_or_init(|| RuleTable::embedded().expect("the table that is built in"))
}

fn check_places(value: &Value, text: &str) {
    for site in value.origin.used_at().into_iter().chain(value.origin.written_at()) {
        assert!(text.get(site.range.as_usize()).is_some(), "{site:?}");
    }
    match &value.data {
        Data::Object(mapping) => mapping.iter().for_each(|(_, inner)| check_places(inner, text)),
        Data::Tuple(items) => items.iter().for_each(|inner| check_places(inner, text)),
        _ => {}
    }
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let is_template = cloudformation::recognises(text);
    let evaluation = cloudformation::evaluate(FileId(0), text);
    for diagnostic in &evaluation.diagnostics {
        assert!(diagnostic.site.is_some_and(|site| text.get(site.range.as_usize()).is_some()), "{diagnostic:?}");
    }
    let graph = ResourceGraph::new(evaluation.resources);
    for (id, resource) in graph.resources.iter().enumerate() {
        assert!(text.get(resource.block.range.as_usize()).is_some() && resource.block.range.contains(resource.header.range));
        check_places(&resource.body, text);
        assert!(graph.outgoing(id).all(|link| link.to < graph.resources.len()));
    }
    if is_template {
        let judgements = judge(table(), &Selection::all(table()), &graph);
        assert!(judgements.iter().all(|judgement| judgement.resource < graph.resources.len()));
    }
});
