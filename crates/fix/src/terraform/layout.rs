//! How Terraform's formatter lays text out: `=` signs and trailing comments in a column, two spaces a level.
//!
//! Source: hashicorp/hcl, `hclwrite/format.go`; the program itself is the oracle in the tests.

use std::collections::HashSet;

use keyblind_syntax::hcl::ast::{Body, Expr, ExprKind, File, Item};
use keyblind_syntax::{TextRange, hcl};

use super::locate;

/// The start of the line that an offset lies in.
pub(super) fn line_start(text: &str, at: u32) -> u32 {
    text[..at as usize].rfind('\n').map_or(0, |end| end as u32 + 1)
}

/// The end of the line that an offset lies in, before its line end.
pub(super) fn line_end(text: &str, at: u32) -> u32 {
    let rest = &text[at as usize..];
    let end = rest.find('\n').map_or(rest.len(), |end| end);
    let end = if rest[..end].ends_with('\r') { end - 1 } else { end };
    at + end as u32
}

/// The white space that the line of an offset begins with.
pub(super) fn indentation(text: &str, at: u32) -> &str {
    let line = &text[line_start(text, at) as usize..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// A range widened to the lines that it alone stands on, with their line end; and for an item of a body with one of the
/// empty lines around, so that no two of them are left.
pub(super) fn whole_lines(text: &str, range: TextRange, item: bool) -> TextRange {
    let start = line_start(text, range.start);
    let mut end = line_end(text, range.end);
    let before = &text[start as usize..range.start as usize];
    let after = text[range.end as usize..end as usize].trim().trim_start_matches(',').trim_start();
    let is_comment = after.starts_with('#') || after.starts_with("//") || after.starts_with("/*") && after.ends_with("*/");
    if !before.trim().is_empty() || !(after.is_empty() || is_comment) {
        return alone(text, range);
    }
    let rest = &text[end as usize..];
    end += if rest.starts_with("\r\n") { 2 } else { u32::from(rest.starts_with('\n')) };
    let is_empty_line = |line: &str| line.trim().is_empty();
    let previous = text[..start as usize].trim_end_matches(['\n', '\r']).len() as u32;
    let has_gap_before = text[previous as usize..start as usize].matches('\n').count() > 1;
    let next = text[end as usize..].split('\n').next().unwrap_or_default();
    let opens = text[..previous as usize].ends_with('{');
    let closes = next.trim_start().starts_with('}');
    if item && has_gap_before && (is_empty_line(next) || closes) {
        // One of the two empty lines, or the one before a closing brace, goes as well.
        let first_end = previous + if text[previous as usize..].starts_with("\r\n") { 2 } else { 1 };
        return TextRange::new(first_end, end);
    }
    if item && opens && is_empty_line(next) && end < text.len() as u32 {
        let next_end = line_end(text, end);
        let rest = &text[next_end as usize..];
        return TextRange::new(start, next_end + if rest.starts_with("\r\n") { 2 } else { u32::from(rest.starts_with('\n')) });
    }
    TextRange::new(start, end)
}

/// A range among others on a line, with one of the commas and spaces around.
fn alone(text: &str, range: TextRange) -> TextRange {
    let behind = &text[range.end as usize..];
    let trimmed = behind.trim_start_matches([' ', '\t']);
    if let Some(rest) = trimmed.strip_prefix(',') {
        let rest = rest.trim_start_matches([' ', '\t']);
        return TextRange::new(range.start, range.end + (behind.len() - rest.len()) as u32);
    }
    let before = text[..range.start as usize].trim_end_matches([' ', '\t']);
    let before = before.strip_suffix(',').unwrap_or(before);
    TextRange::new(before.len() as u32, range.end)
}

/// A line with what the formatter puts into columns.
#[derive(Clone, Copy, Debug, Default)]
struct Line {
    start: usize,
    end: usize,
    /// Where the `=` of an attribute or entry stands whose value doesn't open anything that stays open.
    assign: Option<usize>,
    /// Where a comment begins that stands behind something else.
    comment: Option<usize>,
    /// Whether it is of a here-document that began on a line above, to which it belongs.
    is_within: bool,
}

/// A piece of white space and how long it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    line: usize,
    start: usize,
    end: usize,
    wanted: usize,
}

/// The lines of a text that Terraform's formatter would change, from 0.
pub(crate) fn unformatted_lines(text: &str) -> Vec<usize> {
    let file = hcl::parse(text);
    let lines = lines(text, &file);
    let mut found: Vec<usize> = gaps(text, &lines)
        .into_iter()
        .filter(|gap| gap.end - gap.start != gap.wanted || text[gap.start..gap.end].contains('\t'))
        .map(|gap| gap.line)
        .collect();
    found.extend(misindented(text, &file, &lines));
    found.sort_unstable();
    found.dedup();
    found
}

/// Whether Terraform's formatter would leave a text as it is, as far as columns and indentation go.
pub(crate) fn is_formatted(text: &str) -> bool {
    unformatted_lines(text).is_empty()
}

/// A changed text in columns: all of it if all of it was before, otherwise what was touched.
pub(super) fn tidy(old: &str, new: String) -> String {
    let file = hcl::parse(&new);
    let lines = lines(&new, &file);
    let was_tidy = {
        let file = hcl::parse(old);
        let lines = self::lines(old, &file);
        gaps(old, &lines).into_iter().all(|gap| gap.end - gap.start == gap.wanted)
    };
    let known: HashSet<&str> = if was_tidy { HashSet::new() } else { old.lines().collect() };
    // What stands in front of a value that alone is different, stays as it stood.
    let heads: HashSet<&str> =
        if was_tidy { HashSet::new() } else { old.lines().filter_map(|line| line.split_once('=')).map(|(head, _)| head).collect() };
    let line_text = |line: usize| new[lines[line].start..lines[line].end].trim_end_matches(['\r', '\n']);
    let is_touched = |line: usize| was_tidy || !known.contains(line_text(line));
    let mut result = String::with_capacity(new.len() + 64);
    let mut done = 0;
    for gap in gaps(&new, &lines) {
        let is_assign = lines[gap.line].assign == Some(gap.end);
        let wanted = match is_assign && !was_tidy {
            true => match in_column_of_neighbours(&lines, &gap, &is_touched) {
                Some(_) if heads.contains(&new[lines[gap.line].start..gap.end]) => continue,
                column => column.unwrap_or(gap.wanted),
            },
            false => gap.wanted,
        };
        if gap.end - gap.start != wanted && is_touched(gap.line) {
            result.push_str(&new[done..gap.start]);
            result.extend(std::iter::repeat_n(' ', wanted));
            done = gap.end;
        }
    }
    result.push_str(&new[done..]);
    result
}

/// How far the sign stands from the name so that it is under that of the nearest line which was there before.
fn in_column_of_neighbours(lines: &[Line], gap: &Gap, is_touched: &dyn Fn(usize) -> bool) -> Option<usize> {
    let of_run = |line: &usize| lines[*line].assign.is_some() || lines[*line].is_within;
    let is_known = |line: &usize| !lines[*line].is_within && !is_touched(*line);
    let above = (0..gap.line).rev().take_while(of_run).find(is_known);
    let below = || (gap.line + 1..lines.len()).take_while(of_run).find(is_known);
    let neighbour = &lines[above.or_else(below)?];
    let column = neighbour.assign? - neighbour.start;
    column.checked_sub(gap.start - lines[gap.line].start).filter(|wanted| *wanted > 0)
}

fn lines(text: &str, file: &File) -> Vec<Line> {
    let mut lines = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        lines.push(Line { start: at, end: at + line.trim_end_matches(['\n', '\r']).len(), ..Line::default() });
        at += line.len();
    }
    let line_of = |lines: &[Line], at: usize| lines.partition_point(|line| line.start <= at).saturating_sub(1);
    let mut assigns = Vec::new();
    collect_assigns(&file.body, text, &mut assigns);
    for (name, equals, end) in assigns {
        let (first, last) = (line_of(&lines, name as usize), line_of(&lines, (end as usize).saturating_sub(1)));
        lines.iter_mut().take(last + 1).skip(first + 1).for_each(|line| line.is_within = true);
        if let Some(line) = lines.get(line_of(&lines, name as usize)).copied()
            && text[line.start..name as usize].trim().is_empty()
        {
            let index = line_of(&lines, name as usize);
            lines[index].assign = Some(equals as usize);
        }
    }
    for comment in &file.comments {
        let range = comment.range.as_usize();
        let index = line_of(&lines, range.start);
        let Some(line) = lines.get_mut(index) else { continue };
        let is_behind = !text[line.start..range.start].trim().is_empty() && range.end >= line.end;
        if is_behind && line.comment.is_none() {
            line.comment = Some(range.start);
        }
    }
    lines
}

/// The names, `=` signs and ends of attributes and entries that end on the line that they begin on, or with a heredoc.
fn collect_assigns(body: &Body, text: &str, found: &mut Vec<(u32, u32, u32)>) {
    for item in &body.items {
        match item {
            Item::Attribute(attribute) => {
                if is_whole(text, attribute.name.range.start, &attribute.value) {
                    found.push((attribute.name.range.start, attribute.equals.start, attribute.value.range.end));
                }
                collect_entries(&attribute.value, text, found);
            }
            Item::Block(block) => collect_assigns(&block.body, text, found),
        }
    }
}

fn collect_entries(expr: &Expr, text: &str, found: &mut Vec<(u32, u32, u32)>) {
    if let ExprKind::Object(entries) = &expr.kind {
        for entry in entries {
            let between = &text[entry.key.range.end as usize..entry.value.range.start as usize];
            if let Some(equals) = between.find('=')
                && is_whole(text, entry.key.range.start, &entry.value)
            {
                found.push((entry.key.range.start, entry.key.range.end + equals as u32, entry.value.range.end));
            }
        }
    }
    for child in locate::children(expr) {
        collect_entries(child, text, found);
    }
}

fn is_whole(text: &str, name: u32, value: &Expr) -> bool {
    let head = &text[name as usize..value.range.start as usize];
    let value = &text[value.range.as_usize()];
    !head.contains('\n') && (!value.contains('\n') || value.starts_with("<<"))
}

/// The white space before each `=` and trailing comment, with the width that puts it into its column.
fn gaps(text: &str, lines: &[Line]) -> Vec<Gap> {
    let columns = |from: usize, to: usize| text[from..to].chars().count();
    let lead_end = |line: &Line, before: usize| line.start + text[line.start..before].trim_end_matches([' ', '\t']).len();
    let mut found = Vec::new();
    let mut shift = vec![0_isize; lines.len()];
    for chain in chains(lines, |line| line.assign.is_some()) {
        let widest =
            chain.clone().filter_map(|index| Some(columns(lines[index].start, lead_end(&lines[index], lines[index].assign?)))).max();
        for index in chain {
            let (Some(assign), Some(widest)) = (lines[index].assign, widest) else { continue };
            let start = lead_end(&lines[index], assign);
            let wanted = widest - columns(lines[index].start, start) + 1;
            shift[index] = wanted as isize - (assign - start) as isize;
            found.push(Gap { line: index, start, end: assign, wanted });
        }
    }
    for chain in chains(lines, |line| line.comment.is_some()) {
        let width = |index: usize| -> Option<usize> {
            let end = lead_end(&lines[index], lines[index].comment?);
            usize::try_from(columns(lines[index].start, end) as isize + shift[index]).ok()
        };
        let widest = chain.clone().filter_map(width).max();
        for index in chain {
            let (Some(comment), Some(widest), Some(own)) = (lines[index].comment, widest, width(index)) else { continue };
            found.push(Gap { line: index, start: lead_end(&lines[index], comment), end: comment, wanted: widest - own + 1 });
        }
    }
    found.sort_by_key(|gap| gap.start);
    found
}

/// Runs of lines that all have something. A here-document belongs to the line that it begins on.
fn chains(lines: &[Line], has: impl Fn(&Line) -> bool) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut start = None;
    for (index, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_within) {
        match (has(line), start) {
            (true, None) => start = Some(index),
            (false, Some(from)) => {
                found.push(from..index);
                start = None;
            }
            _ => {}
        }
    }
    found.extend(start.map(|from| from..lines.len()));
    found
}

/// Lines that begin an item of a body and aren't indented by two spaces a level.
fn misindented(text: &str, file: &File, lines: &[Line]) -> Vec<usize> {
    let mut found = Vec::new();
    walk(&file.body, 0, text, lines, &mut found);
    found
}

fn walk(body: &Body, depth: usize, text: &str, lines: &[Line], found: &mut Vec<usize>) {
    for item in &body.items {
        let (range, inner, close) = match item {
            Item::Attribute(attribute) => (attribute.range, None, None),
            Item::Block(block) => (block.range, Some(&block.body), Some(block.close.start)),
        };
        check(range.start, depth, text, lines, found);
        if let Some(inner) = inner {
            walk(inner, depth + 1, text, lines, found);
        }
        if let Some(close) = close {
            check(close, depth, text, lines, found);
        }
    }
}

fn check(at: u32, depth: usize, text: &str, lines: &[Line], found: &mut Vec<usize>) {
    let index = lines.partition_point(|line| line.start <= at as usize).saturating_sub(1);
    let Some(line) = lines.get(index) else { return };
    let before = text[line.start..at as usize].trim_start_matches('\u{feff}');
    if before.trim().is_empty() && (before.len() != depth * 2 || before.contains('\t')) {
        found.push(index);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_of_the_formatter() {
        let tidy = "a {\n  b   = 1 # one\n  ccc = 2 # two\n\n  d = 3\n  e = {\n    f  = 1\n    gg = 2\n  }\n}\n";
        assert!(is_formatted(tidy), "{:?}", unformatted_lines(tidy));
        assert_eq!(unformatted_lines("a {\n  b = 1\n  ccc = 2\n}\n"), [1]);
        assert_eq!(unformatted_lines("a {\n  b   = 1\n  ccc = 2 # x\n  d   = \"1\" # y\n}\n"), [2]);
        assert_eq!(unformatted_lines("a {\n   b = 1\n}\n"), [1]);
        assert!(is_formatted("a {\n  b = <<EOT\n x\nEOT\n  c = 1\n}\n"));
        assert!(is_formatted("a {\n  b   = <<EOT\n x = 1\nEOT\n  ccc = 1\n}\n"));
        assert_eq!(unformatted_lines("a {\n  b = [{\n    c = <<-EOT\n      x\n    EOT\n    dd = 1\n  }]\n}\n"), [2]);
    }

    #[test]
    fn a_tidy_text_stays_tidy_and_an_untidy_one_is_left_alone() {
        let old = "a {\n  b = 1\n}\n";
        assert_eq!(super::tidy(old, "a {\n  b = 1\n  long = 2\n}\n".into()), "a {\n  b    = 1\n  long = 2\n}\n");
        let old = "a {\n  b   = 1\n  cc = 1\n}\n";
        assert_eq!(super::tidy(old, "a {\n  b   = 1\n  cc = 1\n  d = 2\n}\n".into()), "a {\n  b   = 1\n  cc = 1\n  d  = 2\n}\n");
    }

    #[test]
    fn what_goes_takes_its_lines_and_one_gap_along() {
        let text = "a {\n  b = 1\n\n  c {\n  }\n\n  d = 2 # x\n}\n";
        let at = |part: &str| {
            let start = text.find(part).unwrap() as u32;
            TextRange::new(start, start + part.len() as u32)
        };
        let without = |range: TextRange| format!("{}{}", &text[..range.start as usize], &text[range.end as usize..]);
        assert_eq!(without(whole_lines(text, at("c {\n  }"), true)), "a {\n  b = 1\n\n  d = 2 # x\n}\n");
        assert_eq!(without(whole_lines(text, at("d = 2"), true)), "a {\n  b = 1\n\n  c {\n  }\n}\n");
        assert_eq!(without(whole_lines(text, at("b = 1"), true)), "a {\n  c {\n  }\n\n  d = 2 # x\n}\n");
    }
}
