//! Source files and places in them.

use std::sync::Arc;

/// A half-open range of bytes in one file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TextRange {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

impl TextRange {
    /// Makes the range `start..end`.
    pub fn new(start: u32, end: u32) -> Self {
        debug_assert!(start <= end, "a range must not end before it starts: {start}..{end}");
        Self { start, end }
    }

    /// The smallest range that covers both.
    #[must_use]
    pub fn cover(self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }

    /// Whether `other` lies wholly inside.
    pub fn contains(self, other: Self) -> bool {
        self.start <= other.start && other.end <= self.end
    }

    /// The range as indices into the text.
    pub fn as_usize(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }

    /// Length in bytes.
    pub fn len(self) -> u32 {
        self.end - self.start
    }

    /// Whether it covers no byte.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// Names one file of a [`SourceMap`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u32);

/// A place: a range of bytes in a known file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// The file.
    pub file: FileId,
    /// The bytes.
    pub range: TextRange,
}

impl Site {
    /// Makes a site.
    pub fn new(file: FileId, range: TextRange) -> Self {
        Self { file, range }
    }
}

/// A place as people count: both numbers start at 1, the column counts characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LineColumn {
    /// Line, from 1.
    pub line: u32,
    /// Column in Unicode characters, from 1.
    pub column: u32,
}

/// One file as it was read: its text is never changed.
#[derive(Debug)]
pub struct SourceFile {
    /// Path relative to the trust root, with `/` between the parts.
    pub path: Arc<str>,
    /// The whole text. A byte-order mark stays in it.
    pub text: Arc<str>,
    /// Offsets at which lines start; the first is 0.
    line_starts: Vec<u32>,
}

impl SourceFile {
    /// Takes a text and indexes its lines (`\n` and `\r\n` end a line).
    pub fn new(path: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        let mut line_starts = vec![0];
        line_starts.extend(memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at as u32 + 1));
        Self { path: path.into(), text, line_starts }
    }

    /// Line and column of a byte offset; an offset past the end counts as the end.
    pub fn line_column(&self, offset: u32) -> LineColumn {
        let offset = offset.min(self.text.len() as u32);
        let line = self.line_starts.partition_point(|&start| start <= offset) - 1;
        let start = self.line_starts[line] as usize;
        let before = self.text.get(start..offset as usize).unwrap_or("");
        LineColumn { line: line as u32 + 1, column: before.chars().count() as u32 + 1 }
    }

    /// The range of a line (counted from 1) without its line end, if there is such a line.
    pub fn line_range(&self, line: u32) -> Option<TextRange> {
        let index = (line as usize).checked_sub(1)?;
        let start = *self.line_starts.get(index)?;
        let end = self.line_starts.get(index + 1).map_or(self.text.len() as u32, |&next| next - 1);
        let text = &self.text[start as usize..end as usize];
        Some(TextRange::new(start, end - u32::from(text.ends_with('\r'))))
    }

    /// How many lines the file has; a last line without a line end counts.
    pub fn line_count(&self) -> u32 {
        self.line_starts.len() as u32
    }

    /// The text of a range; empty where the range doesn't fit the text.
    pub fn slice(&self, range: TextRange) -> &str {
        self.text.get(range.as_usize()).unwrap_or("")
    }
}

/// All files of a scan. Ids are given in the order of adding.
#[derive(Debug, Default)]
pub struct SourceMap {
    files: Vec<Arc<SourceFile>>,
}

impl SourceMap {
    /// Adds a file and names it.
    pub fn add(&mut self, file: SourceFile) -> FileId {
        let id = FileId(self.files.len() as u32);
        self.files.push(Arc::new(file));
        id
    }

    /// The file of an id that this map gave out.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    /// All files with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (FileId, &SourceFile)> {
        self.files.iter().enumerate().map(|(index, file)| (FileId(index as u32), file.as_ref()))
    }

    /// The text of a site.
    pub fn slice(&self, site: Site) -> &str {
        self.file(site.file).slice(site.range)
    }

    /// Where a site starts.
    pub fn start(&self, site: Site) -> LineColumn {
        self.file(site.file).line_column(site.range.start)
    }

    /// Where a site ends (the character behind it).
    pub fn end(&self, site: Site) -> LineColumn {
        self.file(site.file).line_column(site.range.end)
    }
}
