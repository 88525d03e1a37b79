//! The resource of a finding and what it is connected with, as an SVG that works by itself.

use std::fmt::Write;

use keyblind_rule_language::Severity;
use keyblind_scan::{Direction, Neighbour, ScanReport, ScanResult};

use crate::clean::clean;

/// Resources that are drawn on each side; the rest is counted.
const MOST_BOXES: usize = 5;
const BOX_WIDTH: usize = 230;
const BOX_HEIGHT: usize = 44;
const ROW: usize = 58;
const GAP: usize = 90;
/// Characters that fit into a box.
const MOST_CHARACTERS: usize = 32;

/// Draws it: what uses the resource on the left, what it uses on the right. `None` if nothing is connected with it.
///
/// Every text is escaped; the picture holds no script and refers to nothing outside.
pub fn picture(report: &ScanReport, result: &ScanResult) -> Option<String> {
    let side = |direction: Direction| -> Vec<&Neighbour> {
        let mut met: Vec<&Neighbour> = Vec::new();
        for neighbour in result.neighbours.iter().filter(|neighbour| neighbour.direction == direction) {
            if !met.iter().any(|other| other.address == neighbour.address) {
                met.push(neighbour);
            }
        }
        met
    };
    let (left, right) = (side(Direction::Incoming), side(Direction::Outgoing));
    if left.is_empty() && right.is_empty() {
        return None;
    }
    let rows = left.len().min(MOST_BOXES + 1).max(right.len().min(MOST_BOXES + 1)).max(1);
    let (width, height) = (3 * BOX_WIDTH + 2 * GAP + 20, rows * ROW + 10);
    let middle_x = 10 + BOX_WIDTH + GAP;
    let middle_y = (height - BOX_HEIGHT) / 2;
    let severity = report.rules[result.rule].severity;
    let mut svg = String::new();
    // Writing to a text can't fail.
    let _ = write!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         font-family=\"ui-monospace, SFMono-Regular, Menlo, monospace\" font-size=\"11\"><title>{}</title>",
        escaped(&format!("What {} is connected with", result.address))
    );
    for (neighbours, x, anchor) in [(&left, 10, middle_x), (&right, middle_x + BOX_WIDTH + GAP, middle_x + BOX_WIDTH)] {
        let shown = neighbours.len().min(MOST_BOXES);
        let drawn = if neighbours.len() > MOST_BOXES { shown + 1 } else { shown };
        let top = (height - drawn * ROW) / 2 + (ROW - BOX_HEIGHT) / 2;
        for (row, neighbour) in neighbours[..shown].iter().enumerate() {
            let y = top + row * ROW;
            let (from, to) = if x < middle_x { (x + BOX_WIDTH, anchor) } else { (anchor, x) };
            let (from_y, to_y) = if x < middle_x { (y, middle_y) } else { (middle_y, y) };
            line(&mut svg, (from, from_y + BOX_HEIGHT / 2), (to, to_y + BOX_HEIGHT / 2));
            boxed(&mut svg, (x, y), &neighbour.type_key, &neighbour.address, "#f6f8fa", "#8c959f");
        }
        if drawn > shown {
            let y = top + shown * ROW + BOX_HEIGHT / 2;
            let _ = write!(svg, "<text x=\"{}\" y=\"{y}\" fill=\"#57606a\">and {} more</text>", x + 8, neighbours.len() - shown);
        }
    }
    let (fill, stroke) = match severity {
        Severity::Critical | Severity::High => ("#ffebe9", "#cf222e"),
        Severity::Medium => ("#fff8c5", "#9a6700"),
        Severity::Low | Severity::Info => ("#ddf4ff", "#0969da"),
    };
    boxed(&mut svg, (middle_x, middle_y), severity.name(), &result.address, fill, stroke);
    svg.push_str("</svg>");
    Some(svg)
}

/// An arrow from what refers to what is referred to.
fn line(svg: &mut String, from: (usize, usize), to: (usize, usize)) {
    let _ = write!(
        svg,
        "<path d=\"M{} {} L{} {}\" stroke=\"#8c959f\" fill=\"none\"/><path d=\"M{} {} l-7 -4 v8 z\" fill=\"#8c959f\"/>",
        from.0, from.1, to.0, to.1, to.0, to.1
    );
}

fn boxed(svg: &mut String, (x, y): (usize, usize), above: &str, name: &str, fill: &str, stroke: &str) {
    let _ = write!(
        svg,
        "<g><title>{}</title><rect x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\" rx=\"6\" fill=\"{fill}\" stroke=\"{stroke}\"/>\
         <text x=\"{}\" y=\"{}\" fill=\"#57606a\">{}</text><text x=\"{}\" y=\"{}\" fill=\"#1f2328\">{}</text></g>",
        escaped(name),
        x + 8,
        y + 17,
        escaped(&shortened(above)),
        x + 8,
        y + 34,
        escaped(&shortened(name)),
    );
}

/// The end of a long name tells more than its beginning.
fn shortened(text: &str) -> String {
    let length = text.chars().count();
    if length <= MOST_CHARACTERS {
        return text.to_owned();
    }
    std::iter::once('…').chain(text.chars().skip(length - MOST_CHARACTERS + 1)).collect()
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in clean(text).chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            character => escaped.push(character),
        }
    }
    escaped
}
