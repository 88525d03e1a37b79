//! From the parser's events to nodes.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, ScalarStyle, ScanError, Span, StructureStyle};

use super::{Entry, Node, NodeKind, Stream, Style, Tag, YamlError};
use crate::limits;
use crate::shared_text::SharedTexts;
use crate::source::TextRange;

/// Builds the documents of one stream.
pub(super) struct Builder<'a> {
    text: &'a str,
    /// What the byte-order mark adds to all offsets.
    offset: u32,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    /// Nodes so far, with those that aliases repeat.
    nodes: usize,
    texts: SharedTexts,
    stream: Stream,
}

/// A collection that isn't finished.
struct Open {
    start: u32,
    style: Style,
    anchor: usize,
    tag: Option<Tag>,
    nodes_before: usize,
    content: Content,
}

enum Content {
    Sequence(Vec<Node>),
    Mapping(Vec<Entry>, Option<Node>),
}

impl<'a> Builder<'a> {
    pub(super) fn new(text: &'a str, offset: u32) -> Self {
        let (open, anchors) = (Vec::new(), HashMap::new());
        Self { text, offset, open, anchors, nodes: 0, texts: SharedTexts::new(), stream: Stream::default() }
    }

    pub(super) fn finish(self) -> Stream {
        self.stream
    }

    /// Drops the document that is being read.
    pub(super) fn give_up(&mut self, error: YamlError) {
        self.open.clear();
        self.anchors.clear();
        self.stream.errors.push(error);
    }

    /// Whether what comes behind a broken document is still read.
    pub(super) fn may_go_on(&self) -> bool {
        self.stream.errors.len() < limits::YAML_ERRORS && self.nodes < limits::YAML_NODES
    }

    /// Says that the rest of the text isn't read.
    pub(super) fn stop(&mut self, error: &ScanError) {
        let error = self.error(error);
        if self.stream.errors.last() != Some(&error) {
            self.stream.errors.push(error);
        }
    }

    pub(super) fn error(&self, error: &ScanError) -> YamlError {
        let at = error.marker().byte_offset().map_or(self.text.len(), |at| at.min(self.text.len()));
        let length = self.text[at..].chars().next().map_or(0, char::len_utf8);
        let start = at as u32 + self.offset;
        YamlError { range: TextRange::new(start, start + length as u32), message: format!("this is not YAML: {}", error.info()) }
    }

    pub(super) fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let range = self.range(span);
        match event {
            Event::DocumentStart(..) => self.anchors.clear(),
            Event::Comment(..) => self.stream.comments.push(range),
            Event::Scalar(text, style, anchor, tag) => {
                let core = tag.as_deref().and_then(|tag| tag.core_suffix()).map(str::to_owned);
                let tag = tag.filter(|_| core.is_none()).and_then(|_| self.tag(span));
                let kind = match (style, core.as_deref()) {
                    (ScalarStyle::Plain, None) if tag.is_none() => self.plain(&text),
                    (_, Some("null" | "bool" | "int" | "float")) => self.plain(&text),
                    _ => NodeKind::String(self.texts.share(&text)),
                };
                let style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted => Style::SingleQuoted,
                    ScalarStyle::DoubleQuoted => Style::DoubleQuoted,
                    ScalarStyle::Literal => Style::Literal,
                    ScalarStyle::Folded => Style::Folded,
                };
                let range = if matches!(style, Style::Literal | Style::Folded) { self.with_indicator(range) } else { range };
                self.nodes += 1;
                return self.close(Node { kind, range, style, tag, alias: None, anchored: anchor != 0 }, anchor, 1);
            }
            Event::Alias(id) => {
                let Some((node, size)) = self.anchors.get(&id).cloned() else {
                    return Err(YamlError { range, message: "an alias can't stand inside of what it names".to_owned() });
                };
                self.nodes += size;
                return self.close(Node { alias: Some(range), ..node }, 0, size);
            }
            Event::SequenceStart(style, anchor, tag) => {
                let tag = tag.filter(|tag| tag.core_suffix().is_none()).and_then(|_| self.tag(span));
                let start = self.first_dash(range.start);
                return self.open(start, style, anchor, tag, Content::Sequence(Vec::new()));
            }
            Event::MappingStart(style, anchor, tag) => {
                let tag = tag.filter(|tag| tag.core_suffix().is_none()).and_then(|_| self.tag(span));
                return self.open(range.start, style, anchor, tag, Content::Mapping(Vec::new(), None));
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let node = Self::collection(&open, range.end);
                let size = self.nodes - open.nodes_before;
                let kind = match open.content {
                    Content::Sequence(items) => NodeKind::Sequence(Arc::new(items)),
                    Content::Mapping(entries, _) => NodeKind::Mapping(Arc::new(entries)),
                };
                let node = Node { kind, range: node, style: open.style, tag: open.tag, alias: None, anchored: open.anchor != 0 };
                return self.close(node, open.anchor, size);
            }
            _ => {}
        }
        Ok(())
    }

    /// The bytes of a block scalar from its `|` or `>` on, wherever the parser begins it.
    fn with_indicator(&self, range: TextRange) -> TextRange {
        let before = &self.text[..(range.start - self.offset) as usize];
        if self.text[before.len()..].starts_with(['|', '>']) {
            return range;
        }
        // Between the indicator and the content there are only its modifiers, a comment, and empty lines.
        match before.rfind(['|', '>']) {
            Some(at) => TextRange::new(at as u32 + self.offset, range.end),
            None => range,
        }
    }

    /// The bytes of a finished collection. Of a block they end with its last value; the event comes later.
    fn collection(open: &Open, end: u32) -> TextRange {
        let last = match &open.content {
            Content::Sequence(items) => items.last().map(|item| item.place().end),
            Content::Mapping(entries, _) => entries.last().map(|entry| entry.range().end),
        };
        let end = if open.style == Style::Flow { end } else { last.unwrap_or(open.start) };
        TextRange::new(open.start, end.max(open.start))
    }

    /// Where a sequence begins. Of one that stands no deeper than its key the parser tells where its first element does.
    fn first_dash(&self, start: u32) -> u32 {
        let before = &self.text[..(start - self.offset) as usize];
        let is_element = !self.text[before.len()..].starts_with(['-', '[']);
        match before.trim_end().strip_suffix('-') {
            Some(before) if is_element => before.len() as u32 + self.offset,
            _ => start,
        }
    }

    fn open(&mut self, start: u32, style: StructureStyle, anchor: usize, tag: Option<Tag>, content: Content) -> Result<(), YamlError> {
        if self.open.len() >= limits::YAML_NESTING {
            let message = format!("this is nested deeper than {} levels", limits::YAML_NESTING);
            return Err(YamlError { range: TextRange::new(start, start), message });
        }
        let style = match style {
            StructureStyle::Block => Style::Block,
            StructureStyle::Flow => Style::Flow,
        };
        self.open.push(Open { start, style, anchor, tag, nodes_before: self.nodes, content });
        self.nodes += 1;
        Ok(())
    }

    /// Puts a finished node where it belongs; it stands for `size` nodes.
    fn close(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), YamlError> {
        if self.nodes > limits::YAML_NODES {
            let message = format!("this text has more than {} values, aliases followed", limits::YAML_NODES);
            return Err(YamlError { range: node.place(), message });
        }
        if anchor != 0 {
            self.anchors.insert(anchor, (node.clone(), size));
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None if node.kind == NodeKind::Null && node.range.is_empty() => {}
            None => self.stream.documents.push(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping(entries, pending)) => match pending.take() {
                Some(key) => entries.push(Entry { key, value: node }),
                None => *pending = Some(node),
            },
        }
        Ok(())
    }

    /// A plain scalar by the core schema.
    ///
    /// Source: YAML 1.2.2, section 10.3.2.
    fn plain(&mut self, text: &str) -> NodeKind {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => NodeKind::Null,
            "true" | "True" | "TRUE" => NodeKind::Bool(true),
            "false" | "False" | "FALSE" => NodeKind::Bool(false),
            _ => match number(text) {
                Some(number) => NodeKind::Number(self.texts.share(&number)),
                None => NodeKind::String(self.texts.share(text)),
            },
        }
    }

    fn tag(&self, span: Span) -> Option<Tag> {
        let range = self.range(span.tag_span()?);
        let name = self.text.get((range.start - self.offset) as usize..(range.end - self.offset) as usize)?;
        Some(Tag { name: name.into(), range })
    }

    fn range(&self, span: Span) -> TextRange {
        let bytes = span.byte_range().unwrap_or_default();
        let (start, end) = (bytes.start as u32 + self.offset, bytes.end as u32 + self.offset);
        TextRange::new(start, end.max(start))
    }
}

/// A number of the core schema in JSON's notation; `None` for what isn't one, for infinities, and for leading zeros.
fn number(text: &str) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let radix = |digits: &str, radix: u32| u64::from_str_radix(digits, radix).ok().map(|number| number.to_string());
    if let Some(hexadecimal) = text.strip_prefix("0x") {
        return radix(hexadecimal, 16).filter(|_| !hexadecimal.starts_with('+'));
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return radix(octal, 8).filter(|_| !octal.starts_with('+'));
    }
    let (sign, unsigned) = match text.as_bytes().first()? {
        b'-' => ("-", &text[1..]),
        b'+' => ("", &text[1..]),
        _ => ("", text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_sound =
        (whole.is_empty() || digits(whole)) && (fraction.is_empty() || digits(fraction)) && !(whole.is_empty() && fraction.is_empty());
    let has_sound_exponent = exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)));
    if !is_sound || !has_sound_exponent || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    let whole = if whole.is_empty() { "0" } else { whole };
    let fraction = if fraction.is_empty() { String::new() } else { format!(".{fraction}") };
    let exponent = exponent.map(|exponent| format!("e{exponent}")).unwrap_or_default();
    Some(format!("{sign}{whole}{fraction}{exponent}"))
}
