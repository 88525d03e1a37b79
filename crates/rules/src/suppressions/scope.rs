//! How far a directive reaches in the text it stands in.

use keyblind_syntax::{SourceFile, TextRange};

use super::directive::Reach;

/// Where the comments, blocks and attributes of a file lie.
#[derive(Clone, Debug, Default)]
pub struct Outline {
    /// All comments, markers included, in order.
    pub comments: Vec<TextRange>,
    /// What stands at the top level, in order.
    pub regions: Vec<Region>,
}

/// A block, attribute or element, and what lies in it.
#[derive(Clone, Debug)]
pub struct Region {
    /// Its bytes.
    pub range: TextRange,
    /// What it is.
    pub kind: RegionKind,
    /// What lies in it, in order.
    pub children: Vec<Region>,
}

/// What a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RegionKind {
    /// A block with a head and a body.
    Block,
    /// An attribute, or an element of its value.
    Attribute,
}

impl Outline {
    /// The bytes that a directive reaches; `None` if it stands where there is nothing to reach.
    pub fn area(&self, file: &SourceFile, comment: TextRange, directive: TextRange, reach: Reach) -> Option<TextRange> {
        let text = &*file.text;
        match reach {
            Reach::File => Some(TextRange::new(0, text.len() as u32)),
            Reach::Enclosing => self.regions.iter().find(|region| region.range.contains(comment)).map(|region| region.range),
            Reach::Around => file.line_range(file.line_column(directive.start).line),
            Reach::LineBelow => file.line_range(file.line_column(comment.end).line + 1),
            Reach::Line if stands_alone(text, comment) => file.line_range(file.line_column(comment.end).line + 1),
            Reach::Line => file.line_range(file.line_column(directive.start).line),
            Reach::BlockBelow => {
                let next = self.after(file, comment)?;
                (next.kind == RegionKind::Block).then_some(next.range)
            }
            Reach::Next if stands_alone(text, comment) => self.after(file, comment).map(|region| region.range),
            Reach::Next => {
                let line = file.line_range(file.line_column(comment.start).line)?;
                Some(self.starting_on(line).map_or(line, |region| region.range))
            }
        }
    }

    /// The region that begins on the line below the comment, or below further comments that follow it without an empty line.
    fn after(&self, file: &SourceFile, comment: TextRange) -> Option<&Region> {
        let mut line = file.line_column(comment.end).line + 1;
        loop {
            let range = file.line_range(line)?;
            let content = file.slice(range);
            let start = range.start + (content.len() - content.trim_start().len()) as u32;
            match self.comments.iter().find(|other| other.start <= start && start < other.end) {
                Some(other) if stands_alone(&file.text, *other) => line = file.line_column(other.end).line + 1,
                // Code behind a block comment on the same line counts as beginning with the comment.
                Some(other) => return self.starting_on(TextRange::new(other.end, range.end.max(other.end))),
                None => return self.starting_on(range),
            }
        }
    }

    /// The outermost region that begins within a line.
    fn starting_on(&self, line: TextRange) -> Option<&Region> {
        let mut regions = &self.regions;
        loop {
            // Regions are in order and don't overlap: only the last one that begins before the line can lie around it.
            let behind = regions.partition_point(|region| region.range.start < line.start);
            if let Some(region) = regions.get(behind).filter(|region| region.range.start < line.end) {
                return Some(region);
            }
            let around = regions[..behind].last()?;
            if around.range.end <= line.start {
                return None;
            }
            regions = &around.children;
        }
    }
}

/// Whether nothing but space shares the comment's first and last line with it.
fn stands_alone(text: &str, comment: TextRange) -> bool {
    let before = text[..comment.start as usize].rsplit('\n').next().unwrap_or_default();
    let after = text[comment.end as usize..].split('\n').next().unwrap_or_default();
    before.trim_start_matches('\u{feff}').trim().is_empty() && after.trim().is_empty()
}
