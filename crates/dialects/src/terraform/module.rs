//! What one directory declares, with override files folded in.
//!
//! Source: Terraform language documentation, "Files and Directories" and "Override Files".

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_syntax::hcl::ast::{Attribute, Block, Body, Expr, ExprKind, Item};
use keyblind_syntax::{FileId, Site};

use crate::paths;

/// A block as it is declared, with the blocks of override files that are merged over it.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    /// The declaration itself, then what overrides it. Never empty.
    layers: Vec<(FileId, Arc<Block>)>,
}

impl Declaration {
    fn new(file: FileId, block: Block) -> Self {
        Self { layers: vec![(file, Arc::new(block))] }
    }

    /// The file of the declaration itself.
    pub(crate) fn file(&self) -> FileId {
        self.layers[0].0
    }

    /// The block of the declaration itself.
    pub(crate) fn block(&self) -> &Block {
        &self.layers[0].1
    }

    /// Where its head stands.
    pub(crate) fn header(&self) -> Site {
        Site::new(self.file(), self.block().header())
    }

    /// Where the whole block stands.
    pub(crate) fn site(&self) -> Site {
        Site::new(self.file(), self.block().range)
    }

    /// The attribute of that name that counts.
    pub(crate) fn attribute(&self, name: &str) -> Option<(FileId, &Attribute)> {
        self.layers.iter().rev().find_map(|(file, block)| Some((*file, block.body.attribute(name)?)))
    }

    /// The items that count after merging: an attribute replaces the one of the same name, nested blocks replace all
    /// blocks of their type.
    pub(crate) fn items(&self) -> impl Iterator<Item = (FileId, &Item)> {
        self.layers.iter().enumerate().flat_map(move |(index, (file, block))| {
            let later = &self.layers[index + 1..];
            let replaced = move |item: &Item| {
                later.iter().any(|(_, over)| match item {
                    Item::Attribute(attribute) => over.body.attribute(&attribute.name.text).is_some(),
                    Item::Block(inner) => over.body.blocks().any(|other| other.kind.text == inner.kind.text),
                })
            };
            block.body.items.iter().filter(move |item| !replaced(item)).map(|item| (*file, item))
        })
    }
}

/// A `local` value.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub file: FileId,
    pub value: Expr,
}

/// A `resource`, `data`, `ephemeral` or `provider` block.
#[derive(Clone, Debug)]
pub(crate) struct ResourceBlock {
    pub type_name: Arc<str>,
    /// The name; for a provider its alias, empty for the default configuration.
    pub name: Arc<str>,
    pub declaration: Declaration,
}

/// A `module` block.
#[derive(Clone, Debug)]
pub(crate) struct ModuleCall {
    pub name: Arc<str>,
    pub declaration: Declaration,
    /// The `source`, if it is a literal text.
    pub source: Option<Arc<str>>,
}

type ByTypeAndName = BTreeMap<(Arc<str>, Arc<str>), ResourceBlock>;

/// One directory's declarations.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub directory: Arc<str>,
    pub variables: BTreeMap<Arc<str>, Declaration>,
    pub locals: BTreeMap<Arc<str>, Local>,
    pub outputs: BTreeMap<Arc<str>, Declaration>,
    pub resources: ByTypeAndName,
    pub data: ByTypeAndName,
    pub ephemeral: ByTypeAndName,
    pub calls: BTreeMap<Arc<str>, ModuleCall>,
    pub providers: Vec<ResourceBlock>,
    /// Blocks whose type and name another block has too, with their mode (`""`, `data`, `ephemeral`). Terraform refuses
    /// them; they are judged all the same.
    pub repeated: Vec<(&'static str, ResourceBlock)>,
    /// Whether a `backend` or `cloud` block says that somebody applies this very directory.
    pub has_backend: bool,
}

/// A parsed file, ready to be declared.
pub(crate) struct ModuleFile {
    pub id: FileId,
    pub path: Arc<str>,
    pub body: Body,
}

/// Whether Terraform merges this file over the others of its directory.
fn is_override(path: &str) -> bool {
    let name = paths::name(path);
    let stem = [".tf.json", ".tofu.json", ".tf", ".tofu"].iter().find_map(|ending| name.strip_suffix(ending)).unwrap_or(name);
    stem == "override" || stem.ends_with("_override")
}

impl Module {
    /// Declares everything in the files of one directory; files come in the order of their names.
    pub(crate) fn new(directory: Arc<str>, files: Vec<ModuleFile>) -> Self {
        let mut module = Self { directory, ..Self::default() };
        let (overrides, plain): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| is_override(&file.path));
        for (file, is_override) in plain.into_iter().map(|file| (file, false)).chain(overrides.into_iter().map(|file| (file, true))) {
            for item in file.body.items {
                if let Item::Block(block) = item {
                    module.declare(file.id, block, is_override);
                }
            }
        }
        module
    }

    fn declare(&mut self, file: FileId, block: Block, is_override: bool) {
        let label = |index: usize| block.labels.get(index).map(|label| label.text.clone());
        match (&*block.kind.text, label(0), label(1)) {
            ("variable", Some(name), _) => declare(&mut self.variables, name, file, block, is_override),
            ("output", Some(name), _) => declare(&mut self.outputs, name, file, block, is_override),
            ("locals", ..) => {
                for item in block.body.items {
                    if let Item::Attribute(attribute) = item {
                        self.locals.insert(attribute.name.text, Local { file, value: attribute.value });
                    }
                }
            }
            ("resource", Some(type_name), Some(name)) => self.declare_resource("", type_name, name, file, block, is_override),
            ("data", Some(type_name), Some(name)) => self.declare_resource("data", type_name, name, file, block, is_override),
            ("ephemeral", Some(type_name), Some(name)) => self.declare_resource("ephemeral", type_name, name, file, block, is_override),
            ("module", Some(name), _) => self.declare_call(name, file, block, is_override),
            ("provider", Some(type_name), _) => {
                let name = block.body.attribute("alias").and_then(|alias| literal_text(&alias.value)).unwrap_or_default();
                self.providers.push(ResourceBlock { type_name, name, declaration: Declaration::new(file, block) });
            }
            // The data source that a check reads is scoped to it; nothing outside can name it, but it is read all the same.
            ("check", ..) => {
                for item in block.body.items {
                    if let Item::Block(inner) = item
                        && &*inner.kind.text == "data"
                    {
                        self.declare(file, inner, false);
                    }
                }
            }
            ("terraform", ..) => self.has_backend |= block.body.blocks().any(|inner| matches!(&*inner.kind.text, "backend" | "cloud")),
            _ => {}
        }
    }

    fn declare_resource(&mut self, mode: &'static str, type_name: Arc<str>, name: Arc<str>, file: FileId, block: Block, is_override: bool) {
        let map = match mode {
            "" => &mut self.resources,
            "data" => &mut self.data,
            _ => &mut self.ephemeral,
        };
        match map.get_mut(&(type_name.clone(), name.clone())) {
            Some(earlier) if is_override => earlier.declaration.layers.push((file, Arc::new(block))),
            Some(_) => self.repeated.push((mode, ResourceBlock { type_name, name, declaration: Declaration::new(file, block) })),
            None => {
                let declared =
                    ResourceBlock { type_name: type_name.clone(), name: name.clone(), declaration: Declaration::new(file, block) };
                map.insert((type_name, name), declared);
            }
        }
    }

    fn declare_call(&mut self, name: Arc<str>, file: FileId, block: Block, is_override: bool) {
        let declaration = layered(self.calls.remove(&name).map(|call| call.declaration), file, block, is_override);
        let source = declaration.attribute("source").and_then(|(_, source)| literal_text(&source.value));
        self.calls.insert(name.clone(), ModuleCall { name, declaration, source });
    }
}

/// A second declaration of a name is an error in Terraform unless it overrides; the last one counts here, so that the
/// scan goes on.
fn layered(earlier: Option<Declaration>, file: FileId, block: Block, is_override: bool) -> Declaration {
    match earlier {
        Some(mut declaration) if is_override => {
            declaration.layers.push((file, Arc::new(block)));
            declaration
        }
        _ => Declaration::new(file, block),
    }
}

fn declare(map: &mut BTreeMap<Arc<str>, Declaration>, name: Arc<str>, file: FileId, block: Block, is_override: bool) {
    let declaration = layered(map.remove(&name), file, block, is_override);
    map.insert(name, declaration);
}

/// The text of a literal without interpolation.
pub(crate) fn literal_text(expr: &Expr) -> Option<Arc<str>> {
    match &expr.kind {
        ExprKind::String(text) => Some(text.clone()),
        _ => None,
    }
}
