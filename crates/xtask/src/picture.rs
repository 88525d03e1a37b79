//! The picture in the README: what the program prints about the example, as an image.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process;

/// How many lines the picture shows; the rest of the report is as it says.
const LINES: usize = 62;

pub(crate) fn run() -> Result<()> {
    process::run("cargo", &["build", "--release", "--locked", "--package", "keyblind"])?;
    let output = Command::new(process::target().join("release/keyblind"))
        .args(["scan", "examples/shop", "--color", "always"])
        .current_dir(process::repository())
        .env("COLUMNS", "110")
        .output()
        .context("the program can't be started")?;
    let text = String::from_utf8(output.stdout).context("the report isn't UTF-8")?;
    ensure!(!text.is_empty(), "the program printed nothing: {}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().collect();
    let summary = lines.iter().rposition(|line| line.contains(" problems")).unwrap_or(lines.len());
    let mut shown: Vec<&str> = vec!["$ keyblind scan examples/shop", ""];
    shown.extend(lines.iter().take(LINES.min(summary)));
    shown.extend(["  …", ""]);
    shown.extend(&lines[summary..]);
    let svg = anstyle_svg::Term::new().render_svg(&shown.join("\n"));
    let path = process::repository().join("docs/images/scan.svg");
    std::fs::create_dir_all(path.parent().context("the path has a parent")?)?;
    std::fs::write(&path, svg)?;
    println!("{}", path.display());
    Ok(())
}
