//! One command for everything that CI does: `cargo xtask <command>`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this program talks to a developer's terminal")]

mod actions;
mod bench;
mod book;
mod check;
mod corpora;
mod debian;
mod deployments;
mod dist;
mod fixes;
mod goats;
mod image;
mod instructions;
mod peers;
mod picture;
mod process;
mod prove;
mod real_model;
mod second_judges;
mod serve;
mod soak;
mod test;
mod tools;
mod wall;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask <command>

  test             everything that must pass: unit, integration, property and documentation tests
  peers            installs the independent servers that tests of the broker talk to (test does it as well)
  serve            builds the programs and serves the pages on this machine; it prints a link that logs in once
  check            test, then format, clippy, docs, links, licences and duplicates of dependencies, the wall
  wall             proves that the `keyblind` program can't reach a network, on the graph and on the finished program
  bench            speed and memory beside Checkov and Trivy on the same folders in the same run
                   (needs KEYBLIND_CORPORA=DIR with the repositories that docs/performance.md names)
  bench --only broker
                   200 clients of the finished broker at once, and its own work beside the disk's alone
  goats [PROGRAM]  fixes on repositories that are full of faults on purpose: shares, and a new scan afterwards
                   (needs KEYBLIND_CORPORA as well; with PROGRAM nothing is built)
  actions [--from FOLDER] [NAME …]
                   which commit each version of an action is, from the tags of its repository (or of clones in FOLDER), for
                   those of crates/fix/src/actions.tsv and those that are named
  soak [DURATION]  200 clients of the broker at once, fuzzing (90s, 10m, 2h: all targets together), then scans of what
                   KEYBLIND_CORPORA holds if it is set; figures go to docs/evidence/
  soak --only kill-points [POINTS] [SEED]
                   kills the finished broker at random moments of its work, 200 if it isn't told, and starts it anew: every
                   token is accounted for and nothing is done twice
  soak --only real-model
                   installs a small model, and lets the finished program ask it through the finished broker
  book             the documentation with a page for each rule, as a web site, in the target folder
  soak --only fixes [PAIRS] [SEED] [SECONDS]
                   lets a referee that shares no code with the program judge random fixes, no finding in a file twice, of
                   the repositories beneath KEYBLIND_CORPORA (folders with colons between them; SECONDS is what each may
                   take in one round) and of the rules' examples; goes on where a run of that seed was broken off
  soak --only second-judges [FIXES] [SEED]
                   shows fixes of rules that carry an id of Checkov's or Trivy's to these, before and after
  prove --mutations [WORD …]
                   breaks the broker's defences one by one in a copy of the sources: the proof (crates/prove) must notice each;
                   with words, those whose description holds one of them
  picture          draws docs/images/scan.svg, the picture in the README, from a real scan
  dist             the three programs, static, with checksums and bills of materials, and a Python wheel, in dist/
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["test"] => test::run(),
        ["peers"] => peers::install(),
        ["serve"] => serve::run(),
        ["check"] => check::run(),
        ["wall"] => wall::run(),
        ["bench"] => bench::run(),
        ["bench", "--only", "broker"] => bench::broker(),
        ["goats"] => goats::run(None),
        ["goats", program] => goats::run(Some(program)),
        ["actions", rest @ ..] => actions::run(rest),
        ["soak"] => soak::run(soak::USUAL),
        ["soak", "--only", "fixes", rest @ ..] => fixes::run(rest),
        ["soak", "--only", "second-judges", rest @ ..] => second_judges::run(rest),
        ["soak", "--only", "real-model"] => real_model::run(),
        ["soak", "--only", "kill-points", rest @ ..] => soak::kill_points(rest),
        ["soak", time] => soak::duration(time).and_then(soak::run),
        ["book"] => book::run(),
        ["prove", "--mutations", words @ ..] => prove::mutations(words),
        ["picture"] => picture::run(),
        ["dist"] => dist::run(),
        [] | ["help" | "--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        [unknown, ..] => Err(anyhow::anyhow!("there is no command `{unknown}`\n\n{HELP}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
