//! The command line.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use keyblind_intent::{BranchName, CommitId};
use keyblind_rule_language::{Confidence, Persona, Severity};
use keyblind_scan::config::FailOn;

use crate::output::{Format, OutputFile};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXAMPLES: &str = "\
Examples:
  keyblind scan                          judge everything beneath the current directory
  keyblind scan envs/prod --var-file envs/prod/prod.tfvars
  terraform show -json tfplan > plan.json && keyblind scan plan.json
  keyblind scan --format sarif > keyblind.sarif
  keyblind rules list
  keyblind explain CKV_AWS_20            any tool's id will do

Exit codes: 0 clean, 1 findings, 2 wrong usage, 3 something could not be read, 4 internal error, 5 nothing to scan.";

const SCAN_EXAMPLES: &str = "\
Examples:
  keyblind scan                                 everything beneath the current directory
  keyblind scan envs/prod modules/net           two directories of one repository
  keyblind scan plan.json --src .               a plan, with findings shown in the code it was made from
  keyblind scan - --stdin-filename main.tf      a file from standard input
  keyblind scan --rule 's3-*' --rule cis:5.2    only these rules
  keyblind scan --skip-rule CKV_AWS_18          any tool's id will do
  keyblind scan --fail-on high                  exit code 1 only for high and critical
  keyblind scan --output sarif=keyblind.sarif   a report on the terminal and one in a file
  keyblind scan --baseline known.jsonl --fail-on new
  keyblind scan --fixes                         each finding with its proven fix
  keyblind scan --fixes --models                and what models say of the worst, through the broker
  keyblind scan github:octo-org/shop            a repository that the broker reads
  keyblind scan github:octo-org/shop@pull/7     its pull request 7, a branch or a commit

Silence one finding, with a reason:
  # keyblind:ignore[s3-bucket-acl-public-read] until=2027-01-31 reason=\"a public website\"
  resource \"aws_s3_bucket_acl\" \"site\" { … }

Exit codes: 0 clean, 1 findings, 2 wrong usage, 3 something could not be read, 4 internal error, 5 nothing to scan.";

const FIX_EXAMPLES: &str = "\
Examples:
  keyblind fix                                  a diff of what would be changed beneath the current directory
  keyblind fix --write                          write the safe fixes
  keyblind fix --write --all                    and those that replace, restart, cut access or cost
  keyblind fix --interactive                    ask about each of them
  keyblind fix --rule CKV_AWS_20 | git apply    only what one rule finds
  keyblind fix --finding 3f9a…                  one finding, by its fingerprint
  keyblind fix --set CKV_AWS_24.cidr_blocks='[\"192.0.2.0/24\"]'
  keyblind fix --output json > fixes.json       edits and proofs, for programs
  keyblind fix --verify fixes.json              prove them again
  keyblind fix github:octo-org/shop             of a repository that the broker reads
  keyblind fix github:octo-org/shop --pr        propose them there, after somebody's yes

Exit codes: 0 nothing left, 1 findings left, 2 wrong usage, 3 something could not be read, 4 internal error (also if what was
written brought about a new finding: then it was taken back), 5 nothing to scan, 130 interrupted (what was asked for stands).";

const LEDGER_VERIFY_EXAMPLES: &str = "\
Examples:
  keyblind ledger verify ledger.jsonl --key broker.pub
  keyblind ledger verify ledger.jsonl --key broker.pub --head 201:9f2c…   it must hold what an earlier run saw last

Exit codes: 0 sound, 1 not sound, 2 wrong usage, 4 it could not be read to its end.";

/// Finds cloud misconfigurations in infrastructure code, and explains each one.
#[derive(Debug, Parser)]
#[command(name = "keyblind", version, styles = STYLES, after_help = EXAMPLES, max_term_width = 120, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) global: Global,
}

/// What every command understands.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct Global {
    /// Say only what was asked for.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more: notes about the input, and how long it took.
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Whether to use colour.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: When,
    /// End with the process of that number, which started this one.
    #[arg(long, global = true, hide = true, value_name = "NUMBER")]
    pub(crate) parent: Option<u32>,
    /// Standard input is the directory that relative paths begin at.
    #[arg(long, global = true, hide = true)]
    pub(crate) within: bool,
}

/// Always, never, or where it fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum When {
    /// On a terminal.
    Auto,
    /// Also in pipes and files.
    Always,
    /// Nowhere.
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Judge infrastructure code: Terraform, OpenTofu, and plans.
    #[command(after_help = SCAN_EXAMPLES)]
    Scan(Box<ScanArguments>),
    /// Derive fixes, prove each by judging again, and show them as a diff or write them.
    #[command(after_help = FIX_EXAMPLES)]
    Fix(Box<FixArguments>),
    /// Judge two commits and show what the change between them introduced and resolved. Nothing is checked out, and
    /// configuration, rules and suppressions are those of the first.
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(Box<DiffArguments>),
    /// Translate another tool's configuration, ignore files and baseline; what can't be carried over is listed.
    Import(ImportArguments),
    /// List, show and test rules.
    Rules {
        #[command(subcommand)]
        command: RulesCommand,
    },
    /// Explain a rule (by any tool's id), or a finding by its fingerprint.
    Explain(Box<ExplainArguments>),
    /// Ask for one reversible call on a live account: the broker makes it, after people's yes.
    Apply(Box<crate::commands::apply::ApplyArguments>),
    /// Connect an account: on the broker's own pages, so that nothing of it comes here.
    Connect {
        /// With whom.
        #[arg(value_name = "PROVIDER")]
        provider: Connectable,
    },
    /// Show what is configured, and where.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Keep a list of known findings that don't count for now.
    Baseline {
        #[command(subcommand)]
        command: BaselineCommand,
    },
    /// Judge the broker's record of what it did with borrowed authority, from an export alone.
    Ledger {
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Test, on this machine, that no credential ever exists outside of the broker.
    #[cfg(target_os = "linux")]
    Prove,
    /// Serve the pages on this machine: start scans, read reports, take fixes. It prints a link that logs in once.
    #[cfg(unix)]
    Serve {
        /// The server's configuration. Without one, only the built-in example may be scanned.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        config: Option<PathBuf>,
    },
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page.
    Man,
    /// Read hostile text for another process of the program, which starts this one.
    #[command(hide = true)]
    Leaf,
}

/// Whether a command reads in a process that can do nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sandbox {
    /// In this process.
    #[default]
    Off,
    /// In one that may do as little as this kernel can enforce; what it can't is named.
    Available,
    /// In one that may do as little as there is to enforce, or not at all.
    Required,
}

impl Sandbox {
    /// The same, but a sandbox in any case.
    pub(crate) fn at_least_available(self) -> Self {
        if self == Self::Off { Self::Available } else { self }
    }
}

/// With whom an account can be connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Connectable {
    /// GitHub, or an enterprise host of it.
    Github,
    /// Amazon Web Services.
    Aws,
    /// Slack.
    Slack,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct ScanArguments {
    #[command(flatten)]
    pub(crate) what: What,

    /// What to print.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    pub(crate) format: Format,
    /// Write a report to a file as well; may be given several times.
    #[arg(long = "output", value_name = "FORMAT=FILE", help_heading = "Output")]
    pub(crate) outputs: Vec<OutputFile>,
    /// The part of the repository that a SARIF report is about, where several parts are scanned by themselves.
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    pub(crate) category: Option<String>,
    /// Results to report beside findings.
    #[arg(long, value_name = "passed,unknown", value_delimiter = ',', help_heading = "Output")]
    pub(crate) include: Vec<Include>,
    /// Look for a proven fix for each finding, and show it in the report; where there is none, what stands in the way.
    #[arg(long, help_heading = "Output")]
    pub(crate) fixes: bool,
    /// Let models explain the findings that matter most and, with `--fixes`, propose what can't be derived: asked through the broker, whose
    /// configuration names them. What they say decides nothing, and is marked as theirs.
    #[arg(long, help_heading = "Models")]
    pub(crate) models: bool,
    /// Show suppressed findings in the text report, with their reasons.
    #[arg(long, help_heading = "Output")]
    pub(crate) show_suppressed: bool,
    /// Print only the numbers.
    #[arg(long, help_heading = "Output")]
    pub(crate) summary: bool,
    /// Whether to show progress on standard error.
    #[arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub(crate) progress: When,

    /// The lowest severity that makes the exit code 1, or `none`, or `new` for any finding that the baseline doesn't know.
    #[arg(long, value_name = "SEVERITY|none|new", help_heading = "Exit code")]
    pub(crate) fail_on: Option<FailOn>,
    /// Don't let unreadable input make the exit code 3.
    #[arg(long, help_heading = "Exit code")]
    pub(crate) allow_incomplete: bool,

    /// Read and judge in a process without network, programs, other files and other processes, as far as this kernel can
    /// enforce that; with `=required`, refuse where it can't enforce everything.
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_value = "off", default_missing_value = "available", help_heading = "Sandbox")]
    pub(crate) sandbox: Sandbox,
    /// Judge what an uncompressed tar archive holds. It is unpacked in such a process as well, into a folder that is gone afterwards.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["paths", "stdin_filename", "root", "src"], help_heading = "Sandbox")]
    pub(crate) archive: Option<PathBuf>,
    /// Standard input is what the broker handed over for the repository or the account that is named.
    #[arg(long, hide = true)]
    pub(crate) handed: bool,
}

impl ScanArguments {
    /// How it reads: an archive, and what models hear of, always in a sandbox.
    pub(crate) fn confinement(&self) -> Sandbox {
        if self.archive.is_some() || self.models { self.sandbox.at_least_available() } else { self.sandbox }
    }
}

/// What is imported.
#[derive(Clone, Debug, Args)]
pub(crate) struct ImportArguments {
    /// Whose files to read.
    #[arg(value_name = "TOOL")]
    pub(crate) tool: ImportTool,
    /// Where they lie.
    #[arg(value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// Write `keyblind.toml` and the baseline instead of printing the configuration.
    #[arg(long)]
    pub(crate) write: bool,
}

/// Tools whose files are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImportTool {
    /// `.checkov.yaml` and its baseline.
    Checkov,
    /// `trivy.yaml` and `.trivyignore`.
    Trivy,
}

const DIFF_EXAMPLES: &str = "\
Examples:
  keyblind diff origin/main...HEAD
  keyblind diff v1.2..v1.3 infrastructure --format markdown
  keyblind diff origin/main...HEAD --floor /etc/keyblind/floor.toml";

/// Which commits are compared, and how that is shown.
#[derive(Clone, Debug, Args)]
pub(crate) struct DiffArguments {
    /// The commits: `BASE..HEAD`, `BASE...HEAD` for what HEAD changed since it left BASE, or `BASE` alone for what the checked-out
    /// commit changed since then.
    #[arg(value_name = "BASE..HEAD")]
    pub(crate) range: String,
    #[command(flatten)]
    pub(crate) what: What,
    /// Rules and severities that hold whatever the configuration says. A file within the repository is read as BASE has it.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Configuration")]
    pub(crate) floor: Option<PathBuf>,

    /// What to print: every format holds what the change introduced; text and JSON tell what it resolved, too.
    #[arg(long, value_name = "FORMAT", default_value = "text", help_heading = "Output")]
    pub(crate) format: Format,
    /// Write a report to a file as well; may be given several times.
    #[arg(long = "output", value_name = "FORMAT=FILE", help_heading = "Output")]
    pub(crate) outputs: Vec<OutputFile>,
    /// The lowest severity that makes the exit code 1, or `none`.
    #[arg(long, value_name = "SEVERITY|none", help_heading = "Exit code")]
    pub(crate) fail_on: Option<FailOn>,
    /// Don't let unreadable input make the exit code 3.
    #[arg(long, help_heading = "Exit code")]
    pub(crate) allow_incomplete: bool,
}

/// What is fixed, and how that is shown.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct FixArguments {
    #[command(flatten)]
    pub(crate) what: What,

    /// Fix only this finding, by its fingerprint or the beginning of it; may be given several times.
    #[arg(long = "finding", value_name = "FINGERPRINT", help_heading = "Fixes")]
    pub(crate) findings: Vec<String>,
    /// Write the files instead of showing a diff: only safe fixes, unless `--all` is given too.
    #[arg(long, help_heading = "Fixes")]
    pub(crate) write: bool,
    /// Ask about each fix, and write those that were said yes to: `y` yes, `n` no, `a` this and all later safe ones (with `--all`
    /// all), `q` no more.
    #[arg(short, long, conflicts_with_all = ["output", "whole_file", "verify"], help_heading = "Fixes")]
    pub(crate) interactive: bool,
    /// Write fixes too that replace resources, restart what runs, cut access or cost.
    #[arg(long, help_heading = "Fixes")]
    pub(crate) all: bool,
    /// A value that only you know: `RULE.ATTRIBUTE=VALUE`, with any tool's id for the rule; may be given several times.
    #[arg(long = "set", value_name = "RULE.ATTRIBUTE=VALUE", help_heading = "Fixes")]
    pub(crate) given: Vec<Variable>,
    /// Prove the fixes again that `--output json` wrote to a file, before or after they were applied.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with_all = ["write", "output", "findings"], help_heading = "Fixes")]
    pub(crate) verify: Option<PathBuf>,
    /// What to print.
    #[arg(long, value_name = "FORMAT", help_heading = "Fixes")]
    pub(crate) output: Option<FixOutput>,
    /// Print the whole changed files instead of a diff.
    #[arg(long, conflicts_with = "output", help_heading = "Fixes")]
    pub(crate) whole_file: bool,
    /// Write also files that differ from git's index.
    #[arg(long, help_heading = "Fixes")]
    pub(crate) force: bool,

    /// Where no fix can be derived, let a model propose one: asked through the broker, whose configuration names it, and proven as every fix
    /// is. It is only written or proposed with `--all`.
    #[arg(long, conflicts_with = "verify", help_heading = "Models")]
    pub(crate) models: bool,

    /// Propose the fixes for `github:owner/name` as a pull request, through the broker and after somebody's yes: only safe ones, unless
    /// `--all` is given too.
    #[arg(long = "pr", conflicts_with_all = ["write", "interactive", "verify", "whole_file"], help_heading = "Pull request")]
    pub(crate) pull_request: bool,
    /// The branch to fix, and to propose the fixes for. Default: the one that was named, or the repository's default branch.
    #[arg(long, value_name = "BRANCH", requires = "pull_request", help_heading = "Pull request")]
    pub(crate) base: Option<BranchName>,
    /// Wait until it is decided and done; that is the default.
    #[arg(long, requires = "pull_request", overrides_with = "no_wait", help_heading = "Pull request")]
    pub(crate) wait: bool,
    /// Ask for it, say how it is approved, and end.
    #[arg(long, requires = "pull_request", overrides_with = "wait", help_heading = "Pull request")]
    pub(crate) no_wait: bool,

    /// Read, judge and prove in a process without network, programs, other files and other processes, as far as this kernel
    /// can enforce that; with `=required`, refuse where it can't enforce everything.
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_value = "off", default_missing_value = "available", conflicts_with_all = ["write", "interactive", "verify"], help_heading = "Sandbox")]
    pub(crate) sandbox: Sandbox,
    /// Standard input is what the broker handed over for the repository at that commit. With `--pr`, what is to be proposed goes to standard
    /// output, and the broker isn't asked.
    #[arg(long, hide = true, value_name = "COMMIT")]
    pub(crate) handed: Option<CommitId>,
}

impl FixArguments {
    /// How it reads: what models hear of in a sandbox, unless files are written.
    pub(crate) fn confinement(&self) -> Sandbox {
        if self.models && !self.writes() { self.sandbox.at_least_available() } else { self.sandbox }
    }

    /// Whether files are written.
    pub(crate) fn writes(&self) -> bool {
        self.write || self.interactive
    }
}

/// How fixes are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FixOutput {
    /// A diff without colour, for `git apply`.
    Patch,
    /// Edits and proofs.
    Json,
}

/// What is judged, by which rules, with which values.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct What {
    /// Files and directories to judge; `-` for standard input. `scan` and `fix` take `github:owner/name` as well.
    #[arg(value_name = "PATH", default_value = ".", value_hint = ValueHint::AnyPath)]
    pub(crate) paths: Vec<PathBuf>,
    /// The name of the file whose text comes from standard input.
    #[arg(long, value_name = "NAME", value_hint = ValueHint::FilePath)]
    pub(crate) stdin_filename: Option<PathBuf>,
    /// What may be read: modules and files outside the given paths, but beneath this directory. Default: the repository.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) root: Option<PathBuf>,
    /// The code that a plan was made from: findings are shown there.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) src: Option<PathBuf>,

    /// Judge only this rule: an id, any tool's id for it, a pattern with `*`, or a control such as `cis:5.2`.
    #[arg(long = "rule", value_name = "RULE", value_delimiter = ',', help_heading = "Rules")]
    pub(crate) rules: Vec<String>,
    /// Leave this rule out.
    #[arg(long = "skip-rule", value_name = "RULE", value_delimiter = ',', help_heading = "Rules")]
    pub(crate) skip_rules: Vec<String>,
    /// Leave out less severe rules.
    #[arg(long, value_name = "SEVERITY", help_heading = "Rules")]
    pub(crate) min_severity: Option<Severity>,
    /// Leave out less sure rules.
    #[arg(long, value_name = "CONFIDENCE", help_heading = "Rules")]
    pub(crate) min_confidence: Option<Confidence>,
    /// Whose rules to judge: `regular`, `pedantic` or `auditor`; each includes the ones before. JSON holds all of them
    /// unless this says otherwise; everything else is `regular`.
    #[arg(long, value_name = "PERSONA", help_heading = "Rules")]
    pub(crate) persona: Option<Persona>,
    #[command(flatten)]
    pub(crate) table: TableArguments,

    /// A value for a variable of the root modules.
    #[arg(long = "var", value_name = "NAME=VALUE", help_heading = "Values")]
    pub(crate) variables: Vec<Variable>,
    /// A file with values for variables of the root modules.
    #[arg(long = "var-file", value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Values")]
    pub(crate) var_files: Vec<PathBuf>,

    /// The configuration. Default: `keyblind.toml` or `.github/keyblind.toml` in the repository's top.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "no_config", help_heading = "Configuration")]
    pub(crate) config: Option<PathBuf>,
    /// Don't read a configuration.
    #[arg(long, help_heading = "Configuration")]
    pub(crate) no_config: bool,
    /// Known findings, which don't count.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, help_heading = "Configuration")]
    pub(crate) baseline: Option<PathBuf>,
    /// Let no comment silence a finding.
    #[arg(long, help_heading = "Configuration")]
    pub(crate) no_ignores: bool,
    /// Let comments in other tools' forms silence a finding only if they give a reason.
    #[arg(long, help_heading = "Configuration")]
    pub(crate) require_reason: bool,
}

impl What {
    /// All that lies beneath a folder, with nothing said otherwise.
    pub(crate) fn of(folder: &std::path::Path) -> Self {
        Self { paths: vec![folder.to_path_buf()], ..Self::default() }
    }
}

/// Which rules there are.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct TableArguments {
    /// A folder with rules of your own; may be given several times.
    #[arg(long = "rules", value_name = "DIR", value_hint = ValueHint::DirPath, help_heading = "Rules")]
    pub(crate) folders: Vec<PathBuf>,
    /// Use only your own rules.
    #[arg(long, requires = "folders", help_heading = "Rules")]
    pub(crate) no_builtin_rules: bool,
}

/// Results beside findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Include {
    /// Where the fault isn't there.
    Passed,
    /// Where it can't be told.
    Unknown,
}

/// `name=value`
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) value: String,
}

impl std::str::FromStr for Variable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok(Self { name: name.trim().to_owned(), value: value.to_owned() }),
            _ => Err("write it as NAME=VALUE".to_owned()),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum RulesCommand {
    /// List the rules.
    List {
        /// Only rules that a word stands for: an id, any tool's id, a pattern with `*`, a control such as `cis:5.2`.
        #[arg(value_name = "RULE")]
        names: Vec<String>,
        /// How to print them.
        #[arg(long, value_name = "FORMAT", default_value = "text")]
        format: ListFormat,
        #[command(flatten)]
        table: TableArguments,
    },
    /// Show a rule with its examples.
    Show {
        /// An id, or any tool's id.
        rule: String,
        #[command(flatten)]
        table: TableArguments,
    },
    /// Judge the examples of rules: every bad one must fail, every good one must pass.
    Test {
        /// Only rules that a word stands for.
        #[arg(value_name = "RULE")]
        names: Vec<String>,
        #[command(flatten)]
        table: TableArguments,
    },
}

/// How lists are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// A rule's id, any tool's id for it, or a finding's fingerprint.
    #[arg(value_name = "RULE|FINGERPRINT")]
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) what: What,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Show every setting that is in effect, and what set it.
    Show(Box<ScanArguments>),
}

#[derive(Debug, Subcommand)]
pub(crate) enum BaselineCommand {
    /// Write the current findings to the baseline; what it already says about them is kept.
    Write {
        /// The last day on which new entries don't count (YYYY-MM-DD), or `never`. Default: in 180 days.
        #[arg(long, value_name = "DAY|never")]
        expires: Option<Expiry>,
        /// Why the findings are accepted for now.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        #[command(flatten)]
        what: Box<What>,
    },
    /// Take out of the baseline what is no longer found. Adds nothing.
    Prune {
        #[command(flatten)]
        what: Box<What>,
    },
    /// Say what the baseline holds, what of it is gone, and what ends when.
    Explain {
        #[command(flatten)]
        what: Box<What>,
    },
}

/// What can be done with an exported ledger.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Find out whether anything was changed, removed, moved or cut off, and whether each write had exactly one approval of the same
    /// digest. Needs no network and no broker.
    #[command(after_help = LEDGER_VERIFY_EXAMPLES)]
    Verify {
        /// The export, as `keyblind-broker ledger export` writes it; `-` for standard input.
        #[arg(value_name = "EXPORT", value_hint = ValueHint::FilePath)]
        export: PathBuf,
        /// The broker's public key, or a file that holds it. Not from the export: from where it was kept when the broker was set up.
        #[arg(long, value_name = "KEY")]
        key: String,
        /// The broker whose ledger it must be.
        #[arg(long, value_name = "ID")]
        instance: Option<keyblind_intent::RequestId>,
        /// An entry that it must hold, as an earlier run named its last one: number, or number:hash.
        #[arg(long, value_name = "NUMBER[:HASH]")]
        head: Option<KnownEntry>,
    },
}

/// An entry of a ledger that is known to exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownEntry {
    pub(crate) number: u64,
    pub(crate) hash: Option<keyblind_ledger::EntryHash>,
}

impl std::str::FromStr for KnownEntry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, hash) = text.split_once(':').map_or((text, None), |(number, hash)| (number, Some(hash)));
        let number = number.parse().map_err(|_| format!("`{number}` is no entry's number"))?;
        let hash = hash.map(|hash| hash.parse().map_err(|error| format!("{error}"))).transpose()?;
        Ok(Self { number, hash: hash.map(keyblind_ledger::EntryHash) })
    }
}

/// When entries of a baseline end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// On this day.
    On(keyblind_rules::suppressions::Date),
    /// Never.
    Never,
}

impl std::str::FromStr for Expiry {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "never" {
            Ok(Self::Never)
        } else {
            text.parse().map(Self::On).map_err(|error: keyblind_rules::suppressions::DateError| error.to_string())
        }
    }
}
