//! `moved` blocks: what a resource was called before, so that a known fault stays known when its resource is renamed.
//!
//! Source: Terraform language documentation, "Refactoring". Only moves within a root module are followed.

use std::collections::HashMap;

use keyblind_dialects::paths;
use keyblind_syntax::hcl;
use keyblind_syntax::hcl::ast::Block;
use keyblind_syntax::{SourceFile, SourceMap};

/// Most names that a resource may have had.
const MOST_NAMES: usize = 16;

/// The moves of all directories: new address and old address.
#[derive(Debug, Default)]
pub(crate) struct Moves(HashMap<String, Vec<(String, String)>>);

impl Moves {
    /// Reads the `moved` blocks of all files.
    pub(crate) fn read(sources: &SourceMap) -> Self {
        let mut moves = Self::default();
        for (_, file) in sources.iter().filter(|(_, file)| !file.path.ends_with(".json") && file.text.contains("moved")) {
            for block in hcl::parse(&file.text).body.blocks().filter(|block| &*block.kind.text == "moved") {
                if let (Some(from), Some(to)) = (address(file, block, "from"), address(file, block, "to")) {
                    moves.0.entry(paths::parent(&file.path).to_owned()).or_default().push((to, from));
                }
            }
        }
        moves
    }

    /// What the resource at an address of a root module was called before, the latest name first.
    pub(crate) fn before(&self, root: &str, address: &str) -> Vec<String> {
        let Some(moves) = self.0.get(root) else { return Vec::new() };
        let mut names = vec![address.to_owned()];
        while names.len() <= MOST_NAMES {
            let current = &names[names.len() - 1];
            let renamed = moves.iter().find_map(|(to, from)| {
                let rest = current.strip_prefix(to.as_str())?;
                (rest.is_empty() || rest.starts_with(['.', '['])).then(|| format!("{from}{rest}"))
            });
            match renamed.filter(|name| !names.contains(name)) {
                Some(name) => names.push(name),
                None => break,
            }
        }
        names.remove(0);
        names
    }
}

fn address(file: &SourceFile, block: &Block, name: &str) -> Option<String> {
    let value = &block.body.attribute(name)?.value;
    Some(file.slice(value.range).split_whitespace().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_are_followed_backwards_and_never_in_circles() {
        let mut sources = SourceMap::default();
        let text = "moved {\n  from = a.one\n  to   = a.two\n}\nmoved {\n  from = a.two\n  to = module.m.a.three\n}\nmoved {\n  from = b.x\n  to = b.y\n}\nmoved {\n  from = b.y\n  to = b.x\n}\n";
        sources.add(SourceFile::new("envs/prod/main.tf", text));
        let moves = Moves::read(&sources);
        assert_eq!(moves.before("envs/prod", "module.m.a.three[0]"), ["a.two[0]", "a.one[0]"]);
        assert_eq!(moves.before("envs/prod", "b.x"), ["b.y"]);
        assert_eq!(moves.before("envs/prod", "module.m.a.threefold"), Vec::<String>::new());
        assert_eq!(moves.before("", "a.two"), Vec::<String>::new());
    }
}
