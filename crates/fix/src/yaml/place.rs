//! Finding nodes of a document again by their ranges.

use keyblind_syntax::TextRange;
use keyblind_syntax::yaml::{Entry, Node, NodeKind, Stream};

/// A node, and the nodes around it from the root of its document: each with the key or number that leads to it.
#[derive(Clone, Debug)]
pub(super) struct Way<'n> {
    /// Which document of the file.
    pub(super) document: usize,
    /// The root comes first, without a name.
    pub(super) steps: Vec<(String, &'n Node)>,
}

impl<'n> Way<'n> {
    pub(super) fn node(&self) -> &'n Node {
        self.steps[self.steps.len() - 1].1
    }

    pub(super) fn parent(&self) -> Option<&'n Node> {
        self.steps.len().checked_sub(2).map(|at| self.steps[at].1)
    }

    /// The names that lead to it.
    pub(super) fn names(&self) -> Vec<String> {
        self.steps.iter().skip(1).map(|(name, _)| name.clone()).collect()
    }

    /// The way to what holds it; none for a root.
    pub(super) fn up(&self) -> Option<Self> {
        let mut up = self.clone();
        up.steps.pop();
        (!up.steps.is_empty()).then_some(up)
    }

    /// The way to what it holds under a key or number.
    pub(super) fn down(&self, name: &str) -> Option<Self> {
        let (_, child) = children(self.node()).into_iter().rev().find(|(own, _)| own == name)?;
        let mut down = self.clone();
        down.steps.push((name.to_owned(), child));
        Some(down)
    }

    /// The entry of its mapping that it is the value of.
    pub(super) fn entry(&self) -> Option<&'n Entry> {
        let node = self.node();
        self.parent()?.as_mapping()?.iter().find(|entry| std::ptr::eq(&entry.value, node))
    }
}

/// What is looked for.
#[derive(Clone, Copy)]
enum Sought {
    /// The node that has a range, or whose alias has it, or that is the value of an entry that has it.
    Place(TextRange),
    /// The value whose key has a range.
    Key(TextRange),
}

/// The way to the node that has a range (or whose alias has it), or that is the value of an entry that has it.
pub(super) fn find(stream: &Stream, range: TextRange) -> Option<Way<'_>> {
    way_to(stream, Sought::Place(range))
}

/// The way to the value whose key has a range.
pub(super) fn find_key(stream: &Stream, range: TextRange) -> Option<Way<'_>> {
    way_to(stream, Sought::Key(range))
}

fn way_to(stream: &Stream, sought: Sought) -> Option<Way<'_>> {
    stream.documents.iter().enumerate().find_map(|(document, root)| {
        let mut steps = vec![(String::new(), root)];
        find_within(sought, &mut steps).then_some(Way { document, steps })
    })
}

fn find_within(sought: Sought, steps: &mut Vec<(String, &Node)>) -> bool {
    let node = steps[steps.len() - 1].1;
    let range = match sought {
        Sought::Place(range) if node.place() == range => return true,
        Sought::Place(range) | Sought::Key(range) => range,
    };
    // What an alias brings stands elsewhere.
    if node.alias.is_some() || !node.range.contains(range) {
        return false;
    }
    let place = |entry: &Entry| if let Sought::Key(_) = sought { entry.key.place() } else { entry.range() };
    if let Some(entry) = node.as_mapping().unwrap_or_default().iter().find(|entry| place(entry) == range) {
        steps.push((key_of(entry), &entry.value));
        return true;
    }
    children(node).into_iter().any(|step| {
        steps.push(step);
        let found = find_within(sought, steps);
        if !found {
            steps.pop();
        }
        found
    })
}

/// What a collection holds, by key or number.
pub(super) fn children(node: &Node) -> Vec<(String, &Node)> {
    match &node.kind {
        NodeKind::Sequence(items) => items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect(),
        NodeKind::Mapping(entries) => entries.iter().map(|entry| (key_of(entry), &entry.value)).collect(),
        NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) | NodeKind::String(_) => Vec::new(),
    }
}

pub(super) fn key_of(entry: &Entry) -> String {
    entry.key.as_key().unwrap_or_default().to_owned()
}
