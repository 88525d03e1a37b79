//! A document before it is known in which format it is written: texts, lists, and fields in their order.

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Node {
    Text(String),
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

pub(super) fn text(text: &str) -> Node {
    Node::Text(text.to_owned())
}

pub(super) fn list<'t>(texts: impl IntoIterator<Item = &'t str>) -> Node {
    Node::List(texts.into_iter().map(text).collect())
}

pub(super) fn map<'n>(fields: impl IntoIterator<Item = (&'n str, Node)>) -> Node {
    Node::Map(fields.into_iter().map(|(name, node)| (name.to_owned(), node)).collect())
}

impl Node {
    /// As JSON without spaces: what AWS counts.
    pub(super) fn compact(&self) -> String {
        match self {
            Self::Text(text) => quoted(text),
            Self::List(items) => format!("[{}]", items.iter().map(Self::compact).collect::<Vec<_>>().join(",")),
            Self::Map(fields) => {
                let fields: Vec<String> = fields.iter().map(|(name, node)| format!("{}:{}", quoted(name), node.compact())).collect();
                format!("{{{}}}", fields.join(","))
            }
        }
    }
}

/// A text in quotes, as JSON, YAML and HCL all read it. What stands here is ASCII without control characters.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
