//! `moved` blocks: what a resource was called before, so that a known fault stays known when its resource is renamed.
//!
//! Source: Terraform language documentation, "Refactoring". The blocks of a module are about what is called in that module:
//! the resource's own one, and those around it.

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

    /// What the resource at an address was called before, the latest name first. `modules` are the directories of the modules
    /// that lead to it: the root module's first, its own last.
    pub(crate) fn before(&self, modules: &[&str], address: &str) -> Vec<String> {
        if self.0.is_empty() {
            return Vec::new();
        }
        let mut names = vec![address.to_owned()];
        let mut looked_at = 0;
        // Renaming a module and what is in it can have come in either order.
        while looked_at < names.len() {
            let current = names[looked_at].clone();
            looked_at += 1;
            for (depth, module) in modules.iter().enumerate() {
                let (Some((prefix, local)), Some(moves)) = (split(&current, depth), self.0.get(*module)) else { continue };
                for (to, from) in moves {
                    let Some(rest) = local.strip_prefix(to.as_str()).filter(|rest| rest.is_empty() || rest.starts_with(['.', '['])) else {
                        continue;
                    };
                    let name = format!("{prefix}{from}{rest}");
                    if names.len() <= MOST_NAMES && !names.contains(&name) {
                        names.push(name);
                    }
                }
            }
        }
        names.remove(0);
        names
    }
}

/// An address as the calls of so many modules, with the dot behind them, and what is called in the last of them.
fn split(address: &str, calls: usize) -> Option<(&str, &str)> {
    let mut at = 0;
    for _ in 0..calls {
        at += address[at..].strip_prefix("module.").map(|_| "module.".len())?;
        // A dot within the quotes of an instance's key is a part of the key.
        let (mut is_quoted, mut is_escaped) = (false, false);
        at += address[at..].char_indices().find_map(|(index, character)| {
            match character {
                _ if is_escaped => is_escaped = false,
                '\\' if is_quoted => is_escaped = true,
                '"' => is_quoted = !is_quoted,
                '.' if !is_quoted => return Some(index + 1),
                _ => {}
            }
            None
        })?;
    }
    Some(address.split_at(at))
}

fn address(file: &SourceFile, block: &Block, name: &str) -> Option<String> {
    let value = &block.body.attribute(name)?.value;
    Some(file.slice(value.range).split_whitespace().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(files: &[(&str, &[(&str, &str)])]) -> Moves {
        let mut sources = SourceMap::default();
        for (path, moves) in files {
            let text: String = moves.iter().map(|(from, to)| format!("moved {{\n  from = {from}\n  to   = {to}\n}}\n")).collect();
            sources.add(SourceFile::new(*path, text));
        }
        Moves::read(&sources)
    }

    #[test]
    fn moves_are_followed_backwards_and_never_in_circles() {
        let moves = moves(&[("envs/prod/main.tf", &[("a.one", "a.two"), ("a.two", "module.m.a.three"), ("b.x", "b.y"), ("b.y", "b.x")])]);
        assert_eq!(moves.before(&["envs/prod", "m"], "module.m.a.three[0]"), ["a.two[0]", "a.one[0]"]);
        assert_eq!(moves.before(&["envs/prod"], "b.x"), ["b.y"]);
        assert_eq!(moves.before(&["envs/prod", "m"], "module.m.a.threefold"), Vec::<String>::new());
        assert_eq!(moves.before(&[""], "a.two"), Vec::<String>::new());
    }

    #[test]
    fn a_module_moves_what_is_called_in_it() {
        let moves = moves(&[
            ("main.tf", &[("module.old", "module.net")]),
            ("net/main.tf", &[("a.one", "a.two"), ("module.x", "module.inner")]),
            ("net/inner/main.tf", &[("a.first", "a.second[\"k\"]")]),
        ]);
        assert_eq!(
            moves.before(&["", "net"], "module.net[\"a.b\"].a.two[0]"),
            ["module.old[\"a.b\"].a.two[0]", "module.net[\"a.b\"].a.one[0]", "module.old[\"a.b\"].a.one[0]"]
        );
        assert_eq!(moves.before(&["elsewhere", "net"], "module.net[\"a.b\"].a.two[0]"), ["module.net[\"a.b\"].a.one[0]"]);
        assert_eq!(
            moves.before(&["elsewhere", "net", "net/inner"], "module.net.module.inner.a.second[\"k\"]"),
            ["module.net.module.x.a.second[\"k\"]", "module.net.module.inner.a.first", "module.net.module.x.a.first"]
        );
        assert_eq!(
            moves.before(&["elsewhere", "other", "net/inner"], "module.net.module.inner.a.second[\"k\"]"),
            ["module.net.module.inner.a.first"]
        );
        // What a module moves is about no other one.
        assert_eq!(moves.before(&["elsewhere", "other"], "module.net.a.two"), Vec::<String>::new());
    }
}
