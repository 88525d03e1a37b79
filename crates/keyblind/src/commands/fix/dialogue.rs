//! Asking about each fix, as `git add --patch` asks about each change.

use std::io::{self, BufRead, Read, Write};

use anstyle::{AnsiColor, Effects, Style};
use anyhow::Context;
use keyblind_fix::{Fix, Fixer};
use keyblind_report::diff;
use keyblind_report::fixes::Class;
use keyblind_scan::{ScanReport, ScanResult};

use super::write::Guard;
use crate::arguments::{FixArguments, Global};
use crate::terminal::{self, Stream};

/// Longest line that is read as an answer.
const LONGEST_ANSWER: u64 = 1024;

const TITLE: Style = Style::new().effects(Effects::BOLD);
const PROMPT: Style = AnsiColor::Blue.on_default().effects(Effects::BOLD);

const HELP: &str = "\
y - apply this fix
n - do not apply this fix
a - apply this fix and all later ones that are safe
q - quit; do not apply this fix or any of the later ones
? - print help";

/// What is asked about.
pub(super) struct Question<'q> {
    pub(super) report: &'q ScanReport,
    pub(super) result: &'q ScanResult,
    pub(super) fix: &'q Fix,
    /// Which of the findings it is.
    pub(super) number: usize,
    pub(super) of: usize,
}

/// What was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    Take,
    Leave,
    Stop,
}

/// The answers so far.
pub(super) struct Dialogue {
    color: bool,
    guard: Guard,
    /// Whether all later fixes were said yes to, as far as they are safe.
    take_rest: bool,
    /// Whether that goes for unsafe ones too.
    all: bool,
}

impl Dialogue {
    /// Makes ready to ask.
    ///
    /// # Errors
    /// If git's index can't be read.
    pub(super) fn new(arguments: &FixArguments, report: &ScanReport, global: Global) -> anyhow::Result<Self> {
        let color = terminal::use_color(global.color, Stream::Output);
        Ok(Self { color, guard: Guard::new(report, arguments.force)?, take_rest: false, all: arguments.all })
    }

    /// Shows a fix and asks for it on standard output, and reads the answer from standard input. No more input means no more
    /// fixes.
    ///
    /// # Errors
    /// If a file must not be written, or nothing can be printed or read.
    pub(super) fn ask(&mut self, question: &Question<'_>, fixer: &Fixer<'_>) -> anyhow::Result<Decision> {
        // Nobody should answer many questions and then hear that nothing can be written.
        for path in question.fix.texts.keys() {
            let original = fixer.original(path).map_err(|reason| anyhow::anyhow!("can't read `{path}`: {reason}"))?;
            self.guard.check(path, &original)?;
        }
        if self.take_rest && (self.all || Class::of(question.fix) == Class::Safe && !question.fix.proof.proposed) {
            return Ok(Decision::Take);
        }
        let mut out = io::stdout().lock();
        let mut input = io::stdin().lock();
        self.converse(question, fixer, &mut input, &mut out).context("can't ask")
    }

    fn converse(
        &mut self,
        question: &Question<'_>,
        fixer: &Fixer<'_>,
        input: &mut impl BufRead,
        out: &mut impl Write,
    ) -> io::Result<Decision> {
        self.show(question, fixer, out)?;
        let help = if self.all { HELP.replace(" ones that are safe", " ones") } else { HELP.to_owned() };
        loop {
            let prompt = format!("({}/{}) Apply this fix [y,n,a,q,?]?", question.number, question.of);
            write!(out, "{} ", self.paint(PROMPT, &prompt))?;
            out.flush()?;
            let mut answer = Vec::new();
            input.take(LONGEST_ANSWER).read_until(b'\n', &mut answer)?;
            if answer.is_empty() {
                writeln!(out)?;
                return Ok(Decision::Stop);
            }
            match answer.trim_ascii().to_ascii_lowercase().as_slice() {
                b"y" | b"yes" => return Ok(Decision::Take),
                b"n" | b"no" => return Ok(Decision::Leave),
                b"q" | b"quit" => return Ok(Decision::Stop),
                b"a" | b"all" => {
                    self.take_rest = true;
                    return Ok(Decision::Take);
                }
                _ => writeln!(out, "{help}")?,
            }
        }
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    fn show(&self, question: &Question<'_>, fixer: &Fixer<'_>, out: &mut impl Write) -> io::Result<()> {
        let (report, result, fix) = (question.report, question.result, question.fix);
        let rule = &report.rules[result.rule];
        let clean = |text: &str| keyblind_report::clean(text);
        let file = report.places.for_people(&report.sources.file(result.site.file).path);
        let line = report.sources.start(result.site).line;
        let title = format!("{}[{}]: {}", rule.severity, rule.id, clean(&result.message));
        writeln!(out, "\n{}", self.paint(TITLE, &title))?;
        writeln!(out, "{} at {}:{line}", clean(&result.label), clean(&file))?;
        if fix.proof.proposed {
            writeln!(out, "a model proposed this text; it passed every check that a derived fix passes, and more")?;
        }
        for effect in &fix.effects {
            writeln!(out, "unsafe: {}", effect.sentence())?;
        }
        for (path, new) in &fix.texts {
            // Fixes are shown on the ground of those that were said yes to.
            let old = fixer.text(path).map_err(io::Error::other)?;
            diff::write(report.places.in_report(path), &old, new, self.color, out)?;
        }
        Ok(())
    }
}
