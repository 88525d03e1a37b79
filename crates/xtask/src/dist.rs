//! What is released: the three programs, each static, their checksums, a bill of materials for each, a Python wheel that carries the
//! scanner, and what the images of `deploy/container` are made of. The wheel is installed and used, and the programs are started in
//! what the images hold, before this says that it is done.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{image, process};

const TARGET: &str = "x86_64-unknown-linux-gnu";
/// Each program and the package that it is built from.
const PROGRAMS: [(&str, &str); 3] =
    [("keyblind", "keyblind"), ("keyblind-server", "keyblind-server"), ("keyblind-broker", "keyblind-broker-program")];

pub(crate) fn run() -> Result<()> {
    let folder = process::repository().join("dist");
    // What an earlier version left would get a checksum as well.
    if folder.exists() {
        std::fs::remove_dir_all(&folder).context("the old dist/ can't be removed")?;
    }
    std::fs::create_dir_all(folder.join(image::EMPTY)).context("dist/ can't be made")?;
    for (program, package) in PROGRAMS {
        // A target of its own, so that build scripts and procedural macros are not linked statically as well. One package after the other,
        // so that none gets the features that another wants.
        process::run_with(
            "cargo",
            &["build", "--profile", "dist", "--locked", "--package", package, "--target", TARGET],
            &[("RUSTFLAGS", &flags())],
        )?;
        let built = process::target().join(TARGET).join("dist").join(program);
        let released = folder.join(program);
        std::fs::copy(&built, &released).with_context(|| format!("{} can't be copied", built.display()))?;
        check_static(&released)?;
        std::fs::write(folder.join(format!("{program}.cdx.json")), bill_of_materials(package)?)?;
    }
    let wheel = wheel(&folder, &folder.join("keyblind"))?;
    check_wheel(&wheel)?;
    image::check(&folder)?;
    let sums = process::output("sh", &["-c", "cd dist && sha256sum keyblind* *.whl"])?;
    std::fs::write(folder.join("SHA256SUMS"), &sums)?;
    print!("\n{sums}");
    Ok(())
}

/// Links statically, and leaves out where on this machine the sources lie: the same sources give the same program anywhere.
fn flags() -> String {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")));
    let mut flags = "-C target-feature=+crt-static".to_owned();
    for (place, name) in [(home, "cargo"), (Some(process::repository()), "keyblind")] {
        // Flags in this variable are separated by spaces: such a place stays as it is.
        if let Some(place) = place.map(|place| text(&place)).filter(|place| !place.contains(' ')) {
            flags.push_str(&format!(" --remap-path-prefix={place}={name}"));
        }
    }
    flags
}

/// A static program asks for no loader.
fn check_static(program: &Path) -> Result<()> {
    let headers = process::output("readelf", &["--program-headers", "--wide", &text(program)])?;
    ensure!(!headers.contains("INTERP"), "{} is linked dynamically", program.display());
    println!("{}: static, {} bytes", program.display(), std::fs::metadata(program)?.len());
    Ok(())
}

/// A wheel whose only content is the program, as a script.
fn wheel(folder: &Path, program: &Path) -> Result<PathBuf> {
    let script = process::target().join("tools/make_wheel.py");
    std::fs::create_dir_all(script.parent().unwrap_or(Path::new("."))).context("the folder for tools can't be made")?;
    std::fs::write(&script, include_str!("make_wheel.py"))?;
    let licence = process::repository().join("LICENSE");
    let arguments = [script.as_path(), program, &licence, folder].map(text);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain([env!("CARGO_PKG_VERSION")]).collect();
    Ok(PathBuf::from(process::output("python3", &arguments)?.trim()))
}

/// Installs the wheel where nothing else is, and scans the example with what that gives.
fn check_wheel(wheel: &Path) -> Result<()> {
    let environment = process::target().join("wheel-check");
    if environment.exists() {
        std::fs::remove_dir_all(&environment).context("the old environment can't be removed")?;
    }
    process::run("python3", &["-m", "venv", &text(&environment)])
        .context("Python 3 with its `venv` module is needed (Debian: apt-get install python3-venv)")?;
    let pip = text(&environment.join("bin/pip"));
    process::run(&pip, &["install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", &text(wheel)])?;
    let program = environment.join("bin/keyblind");
    let example = process::repository().join("examples/shop");
    let scan = std::process::Command::new(&program)
        .args(["scan", "--format", "json"])
        .arg(&example)
        .output()
        .with_context(|| format!("{} can't be started", program.display()))?;
    let report: serde_json::Value = serde_json::from_slice(&scan.stdout).context("the installed program printed no JSON")?;
    match (scan.status.code(), report["summary"]["failed"].as_u64()) {
        (Some(1), Some(failed @ 1..)) => println!("{}: installed, finds {failed} faults in examples/shop", wheel.display()),
        (status, failed) => bail!("the installed program ended with {status:?} and found {failed:?} in examples/shop"),
    }
    Ok(())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// CycloneDX 1.5, from the lock file's view of what the program links.
fn bill_of_materials(of: &str) -> Result<String> {
    let tree = process::output(
        "cargo",
        &["tree", "--locked", "--package", of, "--edges", "normal", "--target", TARGET, "--prefix", "none", "--format", "{p}\t{l}"],
    )?;
    let mut components: Vec<serde_json::Value> = Vec::new();
    let mut lines: Vec<&str> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    lines.sort_unstable();
    lines.dedup();
    for line in lines {
        let (package, licence) = line.split_once('\t').unwrap_or((line, ""));
        let mut words = package.split(' ');
        let (Some(name), Some(version)) = (words.next(), words.next()) else { continue };
        // The program itself is what the bill is about.
        if name == of {
            continue;
        }
        ensure!(!licence.is_empty(), "{name} {version} states no licence");
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
        "metadata": { "component": { "type": "application", "name": of, "version": env!("CARGO_PKG_VERSION") } },
        "components": components,
    });
    Ok(serde_json::to_string_pretty(&document)?)
}
