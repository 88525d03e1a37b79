//! Markdown, for a comment on a pull request.
//!
//! Everything that comes from the repository stands in code spans or fences that it can't end, so that it neither pings
//! anybody nor turns into markup. Source: GitHub Flavored Markdown specification, sections 4.5 and 6.3.

use std::io::{self, Write};

use keyblind_explain::explain;
use keyblind_rule_language::Severity;
use keyblind_scan::{ScanReport, ScanResult, Status};
use keyblind_syntax::SourceFile;

use crate::fixes::{self, Fixes, Proven, Remedy};
use crate::masks::Masks;
use crate::place::Place;
use crate::words;

/// Findings that are shown in full; a comment has at most 65,536 characters.
const MOST_DETAILS: usize = 30;
/// Findings that are listed in a line.
const MOST_LINES: usize = 150;
/// Lines of source that are shown.
const MOST_SOURCE_LINES: u32 = 12;
/// Lines of a fix that are shown.
const MOST_DIFF_LINES: usize = 60;
/// Lines around a finding that belong to its hunk, as in git's diffs.
const CONTEXT: usize = 3;
/// By this a bot finds its own comment again.
const MARKER: &str = "<!-- keyblind-report -->";

/// Writes the failures, the worst first.
///
/// # Errors
/// If `out` can't be written to.
pub fn write(report: &ScanReport, fixes: &Fixes, out: &mut dyn Write) -> io::Result<()> {
    let mut failed: Vec<&ScanResult> = report.results.iter().filter(|result| matches!(result.status, Status::Failed)).collect();
    failed.sort_by_key(|result| std::cmp::Reverse(report.rules[result.rule].severity));
    writeln!(out, "{MARKER}\n## Keyblind\n\n{}\n", headline(report))?;
    if let Some(tally) = fixes.tally(report) {
        writeln!(out, "{tally}.\n")?;
    }
    if !failed.is_empty() {
        writeln!(out, "| | finding | resource | place |\n|---|---|---|---|")?;
        for result in failed.iter().take(MOST_LINES) {
            let rule = &report.rules[result.rule];
            let place = Place::of(report, result.site);
            let at = code(&format!("{}:{}", place.file, place.line));
            writeln!(
                out,
                "| {} {} | {} | {} | {} |",
                sign(rule.severity),
                rule.severity,
                cell(&result.message),
                cell_code(&result.label),
                at.replace('|', "\\|")
            )?;
        }
        if failed.len() > MOST_LINES {
            writeln!(out, "\n{} more are in the whole report.", words::count((failed.len() - MOST_LINES) as u64, "finding"))?;
        }
        let masks = Masks::of(report);
        for result in failed.iter().take(MOST_DETAILS) {
            details(report, fixes, result, &masks, out)?;
        }
    }
    if report.summary.incomplete {
        writeln!(out, "\n**Not everything was judged:**\n")?;
        for diagnostic in report.diagnostics.iter().filter(|diagnostic| diagnostic.level == keyblind_syntax::Level::Incomplete).take(10) {
            writeln!(out, "- {}", code(&diagnostic.message))?;
        }
        let told = report.diagnostics.iter().filter(|diagnostic| diagnostic.level == keyblind_syntax::Level::Incomplete).count();
        if told > 10 {
            writeln!(out, "- and {} more", told - 10)?;
        }
    }
    Ok(())
}

fn headline(report: &ScanReport) -> String {
    let summary = &report.summary;
    let by_severity: Vec<String> = Severity::ALL
        .iter()
        .rev()
        .filter_map(|severity| summary.failed_by_severity.get(severity).map(|number| format!("{number} {severity}")))
        .collect();
    let judged = format!(
        "{} judged by {}; {} passed, {} can't be told, {} suppressed.",
        words::count(summary.resources, "resource"),
        words::count(summary.rules, "rule"),
        summary.verdicts.passed,
        summary.verdicts.unknown,
        summary.verdicts.suppressed
    );
    match summary.verdicts.failed {
        0 => format!("**Nothing found.** {judged}"),
        failed => format!("**{}**: {}. {judged}", words::count(failed, "finding"), by_severity.join(", ")),
    }
}

fn details(report: &ScanReport, fixes: &Fixes, result: &ScanResult, masks: &Masks, out: &mut dyn Write) -> io::Result<()> {
    let rule = &report.rules[result.rule];
    let explanation = explain(report, result);
    let place = Place::of(report, result.site);
    writeln!(
        out,
        "\n<details><summary>{} {}: {} in <code>{}</code></summary>\n",
        sign(rule.severity),
        rule.id,
        html(&result.message),
        html(&result.label)
    )?;
    writeln!(out, "**{}**\n", cell(&explanation.remedy))?;
    let file = report.sources.file(result.site.file);
    writeln!(out, "{}\n", fenced(&source(file, result, masks), &format!("{}:{}", place.file, place.line)))?;
    match fixes.get(result) {
        Some(Remedy::Proven(proven)) => fix(report, fixes, result, proven, out)?,
        Some(Remedy::Hindered(hindrance)) => writeln!(out, "{} By hand: {}\n", inert(&fixes::hindered(*hindrance)), rule.fix)?,
        None => {}
    }
    for sentence in explanation.here.iter().chain(&explanation.reach) {
        writeln!(out, "- {}", inert(sentence))?;
    }
    writeln!(out, "\n{}\n\n{}\n", explanation.attack, inert(&explanation.check))?;
    for reference in rule.references.iter().take(2) {
        writeln!(out, "- <{reference}>")?;
    }
    writeln!(out, "\n</details>")
}

/// A fix: a suggestion where it can be one, a diff otherwise.
fn fix(report: &ScanReport, fixes: &Fixes, result: &ScanResult, proven: &Proven, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "A proven fix ({}): {}\n", proven.class.name(), code(&fixes.command(result)))?;
    for condition in proven.conditions() {
        writeln!(out, "{}\n", inert(&condition))?;
    }
    if let Some((lines, text)) = suggestion(report, result, proven) {
        let fence = fence(&text);
        let (first, last) = (lines.start(), lines.end());
        let place = if first == last { format!("line {first}") } else { format!("lines {first} to {last}") };
        // With nothing between the fences the lines are taken out; an empty line would take their place.
        let text = if text.is_empty() { text } else { format!("{}\n", text.trim_end_matches(['\n', '\r'])) };
        return writeln!(out, "In the place of {place}:\n\n{fence}suggestion\n{text}{fence}\n");
    }
    let mut left = MOST_DIFF_LINES;
    for file in &proven.files {
        let patch = fixes::patch(report.places.in_report(&file.path), &file.hunks);
        let fence = fence(&patch);
        let lines: Vec<&str> = patch.lines().take(left).collect();
        if lines.is_empty() {
            break;
        }
        writeln!(out, "{fence}diff\n{}\n{fence}\n", lines.join("\n"))?;
        left -= lines.len();
    }
    if left == 0 {
        writeln!(out, "The command shows the rest.\n")?;
    }
    Ok(())
}

/// What a reviewer can accept with a click: the lines that are replaced, and what comes there. Only where the whole fix is
/// one change near the finding, and nothing in it is masked.
fn suggestion(report: &ScanReport, result: &ScanResult, proven: &Proven) -> Option<(std::ops::RangeInclusive<usize>, String)> {
    let [file] = proven.files.as_slice() else { return None };
    let [hunk] = file.hunks.as_slice() else { return None };
    let source = report.sources.file(result.site.file);
    // A value that stands in the place of one that only a person knows is nothing to accept with a click.
    if proven.inputs.iter().any(|input| input.module.is_none()) {
        return None;
    }
    if *source.path != *file.path || !file.is_exact {
        return None;
    }
    let (lines, text) = hunk.suggestion()?;
    let line = |offset| source.line_column(offset).line as usize;
    let (first, last) = (line(result.site.range.start), line(result.site.range.end));
    let is_near = *lines.start() + CONTEXT >= first && *lines.end() <= last + CONTEXT;
    is_near.then_some((lines, text))
}

fn source(file: &SourceFile, result: &ScanResult, masks: &Masks) -> String {
    let (start, end) = (file.line_column(result.site.range.start).line, file.line_column(result.site.range.end).line);
    let end = end.min(start + MOST_SOURCE_LINES - 1);
    let lines = file.line_range(start).zip(file.line_range(end)).map(|(first, last)| first.cover(last));
    lines.map_or_else(String::new, |range| masks.part(result.site.file, file, range))
}

fn sign(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "🟥",
        Severity::High => "🟧",
        Severity::Medium => "🟨",
        Severity::Low | Severity::Info => "⬜",
    }
}

/// A code block whose fence is longer than any run of backticks in the text.
fn fenced(text: &str, title: &str) -> String {
    let fence = fence(text);
    let lines: Vec<String> = text.lines().map(words::clean).collect();
    format!("{}\n{fence}\n{}\n{fence}", code(title), lines.join("\n"))
}

fn fence(text: &str) -> String {
    "`".repeat(longest_run(text).max(2) + 1)
}

/// A code span whose delimiters are longer than any run of backticks in the text.
fn code(text: &str) -> String {
    let text = words::clean(text);
    let delimiter = "`".repeat(longest_run(&text) + 1);
    if text.starts_with('`') || text.ends_with('`') || text.is_empty() {
        format!("{delimiter} {text} {delimiter}")
    } else {
        format!("{delimiter}{text}{delimiter}")
    }
}

fn longest_run(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

/// A code span within a table, where a bar would end the cell.
fn cell_code(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// Our own words within a table: code spans stay, what steers markup is escaped.
fn cell(text: &str) -> String {
    inert(text).replace('|', "\\|")
}

/// A sentence with code spans in which nothing outside of them is markup, and nobody is mentioned.
fn inert(text: &str) -> String {
    let mut inert = String::with_capacity(text.len());
    for (index, part) in words::clean(text).split('`').enumerate() {
        if index % 2 == 1 {
            inert.push_str(&code(part));
            continue;
        }
        for character in part.chars() {
            match character {
                '@' => inert.push_str("@\u{2060}"),
                '#' => inert.push_str("\\#"),
                '<' => inert.push_str("&lt;"),
                '*' | '_' | '[' | ']' | '!' | '~' | '\\' => {
                    inert.push('\\');
                    inert.push(character);
                }
                character => inert.push(character),
            }
        }
    }
    inert
}

fn html(text: &str) -> String {
    words::clean(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('@', "@\u{2060}").replace('`', "&#96;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_repository_turns_into_markup() {
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`x"), "`` `x ``");
        assert!(fenced("```\n<script>", "f:1").contains("````\n```\n<script>\n````"));
        assert_eq!(inert("see `a|b` @org/all [x](y) <img>"), "see `a|b` @\u{2060}org/all \\[x\\](y) &lt;img>");
        assert_eq!(cell("a|b"), "a\\|b");
        assert_eq!(html("<b>@me"), "&lt;b&gt;@\u{2060}me");
    }
}
