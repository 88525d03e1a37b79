//! The built-in example: `examples/shop`, a folder that the server writes so that there is something to scan.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../examples/shop/", $path)))),*]
    };
}

/// Its files.
const FILES: &[(&str, &str)] = files![
    ".github/workflows/deploy.yml",
    "README.md",
    "api/Dockerfile",
    "deploy/api.yaml",
    "infrastructure/main.tf",
    "infrastructure/modules/database/main.tf",
    "infrastructure/modules/network/main.tf",
    "infrastructure/modules/network/outputs.tf",
    "infrastructure/modules/network/variables.tf",
    "infrastructure/modules/storage/main.tf",
    "infrastructure/variables.tf",
];

/// Writes the example into a folder of ours; where it is.
pub(crate) fn write(state: &Path) -> anyhow::Result<PathBuf> {
    let folder = state.join("examples").join("shop");
    for (path, text) in FILES {
        let file = folder.join(path);
        let above = file.parent().unwrap_or(&folder);
        std::fs::create_dir_all(above).with_context(|| format!("the built-in example can't be written to `{}`", above.display()))?;
        std::fs::write(&file, text).with_context(|| format!("the built-in example can't be written to `{}`", file.display()))?;
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_is_the_one_of_the_repository() {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
        let mut found = Vec::new();
        let mut open = vec![repository.clone()];
        while let Some(folder) = open.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push(path.strip_prefix(&repository).unwrap().to_string_lossy().into_owned());
                }
            }
        }
        found.sort();
        assert_eq!(found, FILES.iter().map(|(path, _)| *path).collect::<Vec<_>>());
    }
}
