//! Any text as a folder of manifests and kustomizations: files are separated by lines `=== path`. Nothing panics or hangs,
//! every value stands inside of its file, and every link leads to an object.
#![no_main]

use std::sync::{Arc, OnceLock};

use keyblind_dialects::kubernetes::{Above, Content, Project, content};
use keyblind_dialects::{MemoryTree, Tree};
use keyblind_resource::{Data, Value};
use keyblind_rules::{RuleTable, Selection, judge};
use keyblind_syntax::SourceMap;

fn table() -> &'static RuleTable {
    static TABLE: OnceLock<RuleTable> = OnceLock::new();
    TABLE.get_or_init(|| RuleTable::embedded().expect("the table that is built in"))
}

fn files(text: &str) -> Vec<(String, String)> {
    let mut files = vec![("base/manifest.yaml".to_owned(), String::new())];
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("=== ") {
            Some(path) => files.push((path.trim().replace("..", "_"), String::new())),
            None => files.last_mut().expect("there is always one").1.push_str(line),
        }
    }
    files.retain(|(path, _)| !path.is_empty() && !path.starts_with('/'));
    files.sort();
    files.dedup_by(|a, b| a.0 == b.0);
    files
}

fn check_places(value: &Value, sources: &SourceMap) {
    for site in value.origin.used_at().into_iter().chain(value.origin.written_at()) {
        assert!(sources.file(site.file).text.get(site.range.as_usize()).is_some(), "{site:?}");
    }
    match &value.data {
        Data::Object(mapping) => mapping.iter().for_each(|(_, inner)| check_places(inner, sources)),
        Data::Tuple(items) => items.iter().for_each(|inner| check_places(inner, sources)),
        _ => {}
    }
}

libfuzzer_sys::fuzz_target!(|text: &str| {
    let files = files(text);
    let tree = MemoryTree::new(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    assert!(files.iter().all(|(path, _)| tree.read(path).is_ok()));
    let given = files.iter().filter(|(path, text)| content(path, text) == Content::Manifests);
    let given = given.map(|(path, text)| (Arc::from(path.as_str()), Arc::from(text.as_str()))).collect();
    let mut sources = SourceMap::default();
    let project = Project::parse(given, &Above::default(), &tree, &mut sources);
    for root in project.roots() {
        let mut evaluation = project.evaluate(root, &sources);
        let graph = evaluation.graph();
        for (id, resource) in graph.resources.iter().enumerate() {
            check_places(&resource.body, &sources);
            assert!(graph.outgoing(id).all(|link| link.to < graph.resources.len()));
        }
        let judgements = judge(table(), &Selection::all(table()), &graph);
        assert!(judgements.iter().all(|judgement| judgement.resource < graph.resources.len()));
    }
});
