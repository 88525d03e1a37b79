//! What `permissions` gives to the token of a job.

use std::sync::Arc;

use keyblind_resource::{Data, Value};
use keyblind_syntax::yaml::{Node, NodeKind};

use super::values::{Reader, object_at};

/// `permissions` as an object: `kind` is `default` (nothing is stated), `read-all`, `write-all` or `explicit`; `writes` lists
/// what may be written.
pub(super) fn permissions(reader: &Reader<'_>, node: Option<&Node>) -> Value {
    let Some(node) = node.filter(|node| node.kind != NodeKind::Null) else {
        return Value::object([("kind".into(), Value::string("default")), ("writes".into(), Value::tuple(Vec::new()))]);
    };
    let site = reader.site(node.place());
    let kind = match node.as_key() {
        Some(kind) => kind.to_lowercase(),
        None => "explicit".to_owned(),
    };
    let written = node.entries().into_iter().filter(|entry| entry.value.as_key() == Some("write"));
    let writes = written.filter_map(|entry| Some(Value::at(Data::String(entry.key.as_key()?.into()), reader.site(entry.range()))));
    let entries: Vec<(Arc<str>, Value)> = vec![
        ("kind".into(), Value::at(Data::String(kind.into()), site)),
        ("writes".into(), Value::at(Data::Tuple(Arc::new(writes.collect())), site)),
    ];
    object_at(entries, site)
}
