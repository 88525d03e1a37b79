//! What is released: a static program, its checksum, a bill of materials, and a Python wheel that carries the program.

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::process;

const TARGET: &str = "x86_64-unknown-linux-gnu";

pub(crate) fn run() -> Result<()> {
    // A target of its own, so that build scripts and procedural macros are not linked statically as well.
    process::run_with(
        "cargo",
        &["build", "--profile", "dist", "--locked", "--package", "keyblind", "--target", TARGET],
        &[("RUSTFLAGS", "-C target-feature=+crt-static")],
    )?;
    let built = process::target().join(TARGET).join("dist/keyblind");
    let folder = process::repository().join("dist");
    std::fs::create_dir_all(&folder).context("dist/ can't be made")?;
    let program = folder.join("keyblind");
    std::fs::copy(&built, &program).with_context(|| format!("{} can't be copied", built.display()))?;
    let linked = process::output("file", &[&program.to_string_lossy()]).unwrap_or_default();
    println!("{}", linked.trim());
    wheel(&folder, &program)?;
    std::fs::write(folder.join("keyblind.cdx.json"), bill_of_materials()?)?;
    let sums = process::output("sh", &["-c", "cd dist && sha256sum keyblind keyblind.cdx.json *.whl"])?;
    std::fs::write(folder.join("SHA256SUMS"), &sums)?;
    print!("{sums}");
    Ok(())
}

/// A wheel whose only content is the program, as a script.
fn wheel(folder: &Path, program: &Path) -> Result<()> {
    let script = process::target().join("tools/make_wheel.py");
    std::fs::write(&script, include_str!("make_wheel.py"))?;
    let arguments = [script.as_path(), program, folder].map(|path| path.to_string_lossy().into_owned());
    let version = env!("CARGO_PKG_VERSION");
    process::run("python3", &[&arguments[0], &arguments[1], &arguments[2], version])
}

/// CycloneDX 1.5, from the lock file's view of what the program links.
fn bill_of_materials() -> Result<String> {
    let tree = process::output(
        "cargo",
        &["tree", "--locked", "--package", "keyblind", "--edges", "normal", "--target", TARGET, "--prefix", "none", "--format", "{p}\t{l}"],
    )?;
    let mut components: Vec<serde_json::Value> = Vec::new();
    let mut lines: Vec<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    lines.sort_unstable();
    lines.dedup();
    for line in lines {
        let (package, licence) = line.split_once('\t').unwrap_or((line, ""));
        let mut words = package.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        let version = version.trim_start_matches('v');
        components.push(serde_json::json!({
            "type": "library",
            "name": name,
            "version": version,
            "purl": format!("pkg:cargo/{name}@{version}"),
            "licenses": [{ "expression": licence.replace('/', " OR ").replace("  OR  ", " OR ") }],
        }));
    }
    let document = serde_json::json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": { "type": "application", "name": "keyblind", "version": env!("CARGO_PKG_VERSION") } },
        "components": components,
    });
    Ok(serde_json::to_string_pretty(&document)?)
}
