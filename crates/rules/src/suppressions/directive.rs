//! Directives in comments: ours, and those of other tools.
//!
//! A directive stands at the start of a comment, of a line of a block comment, or right behind another comment marker;
//! prose that mentions one is no directive. Each tool's form reaches as far as that tool lets it.

use keyblind_syntax::TextRange;

use super::date::Date;

/// Longest comment line that is looked at: a directive is written by a person.
const LONGEST_LINE: usize = 4096;
/// Most ids that one directive may name.
const MOST_IDS: usize = 200;

/// The tool whose form a directive has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// `keyblind:ignore[…]`
    Keyblind,
    /// `checkov:skip=…`
    Checkov,
    /// `bridgecrew:skip=…`
    Bridgecrew,
    /// `cortex:skip=…`
    Cortex,
    /// `trivy:ignore:…`
    Trivy,
    /// `tfsec:ignore:…`
    Tfsec,
    /// `kics-scan …`
    Kics,
    /// `ts:skip=…`
    Terrascan,
    /// `nosemgrep`
    Semgrep,
    /// `zizmor: ignore[…]`
    Zizmor,
    /// `tflint-ignore: …`
    Tflint,
    /// `hadolint ignore=…`
    Hadolint,
}

impl Form {
    /// The words that a reader recognises the form by.
    pub fn keyword(self) -> &'static str {
        match self {
            Self::Keyblind => "keyblind:ignore",
            Self::Checkov => "checkov:skip",
            Self::Bridgecrew => "bridgecrew:skip",
            Self::Cortex => "cortex:skip",
            Self::Trivy => "trivy:ignore",
            Self::Tfsec => "tfsec:ignore",
            Self::Kics => "kics-scan",
            Self::Terrascan => "ts:skip",
            Self::Semgrep => "nosemgrep",
            Self::Zizmor => "zizmor: ignore",
            Self::Tflint => "tflint-ignore",
            Self::Hadolint => "hadolint",
        }
    }
}

/// How far a directive reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The block, attribute or element that follows the comment; behind code, what starts on that line.
    Next,
    /// The outermost block that the comment stands in.
    Enclosing,
    /// The comment's line, or the next one if the comment has a line of its own.
    Line,
    /// The line below the comment.
    LineBelow,
    /// The block below the comment.
    BlockBelow,
    /// Every resource that stands on the comment's line, also in part.
    Around,
    /// The file.
    File,
}

/// What a directive silences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Targets {
    /// These ids; `*` within one is a wildcard where the form has wildcards.
    Ids(Vec<String>),
    /// Every rule.
    All,
    /// Every rule but these.
    AllExcept(Vec<String>),
}

/// A directive as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directive {
    /// Whose form.
    pub form: Form,
    /// What it silences.
    pub targets: Targets,
    /// How far.
    pub reach: Reach,
    /// Why, in the author's words.
    pub reason: Option<String>,
    /// The last day on which it holds.
    pub until: Option<Date>,
    /// For `:exp:`, which ends at the start of its day: the first day on which it no longer holds.
    pub expires: Option<Date>,
    /// The only workspace in which it holds.
    pub workspace: Option<String>,
    /// Attributes of the resource and the values they must have.
    pub conditions: Vec<(String, String)>,
    /// The bytes of the directive.
    pub range: TextRange,
}

impl Directive {
    /// Whether the directive no longer holds on that day.
    pub fn is_expired(&self, today: Date) -> bool {
        self.until.is_some_and(|until| today > until) || self.expires.is_some_and(|expires| today >= expires)
    }
}

/// A directive that can't be read: it silences nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The bytes of the directive.
    pub range: TextRange,
    /// A stable code.
    pub code: &'static str,
    /// What is wrong, in one sentence without a full stop.
    pub message: String,
}

/// Whether a text may hold a directive at all: a cheap look before the real one.
pub fn may_hold_directives(text: &str) -> bool {
    KEYWORDS.iter().any(|(word, _)| text.contains(word))
}

/// The beginnings of all forms. A longer one stands before a shorter one that it begins with.
const KEYWORDS: &[(&str, Form)] = &[
    ("keyblind:ignore", Form::Keyblind),
    ("checkov:skip=", Form::Checkov),
    ("bridgecrew:skip=", Form::Bridgecrew),
    ("cortex:skip=", Form::Cortex),
    ("trivy:ignore:", Form::Trivy),
    ("tfsec:ignore:", Form::Tfsec),
    ("kics-scan ", Form::Kics),
    ("ts:skip=", Form::Terrascan),
    ("nosemgrep", Form::Semgrep),
    ("zizmor:", Form::Zizmor),
    ("tflint-ignore", Form::Tflint),
    ("hadolint ", Form::Hadolint),
];

/// Reads all directives of one comment. `range` is the comment's place in `text`, markers included.
pub fn parse_comment(text: &str, range: TextRange) -> Vec<Result<Directive, Malformed>> {
    let mut found = Vec::new();
    let Some(comment) = text.get(range.as_usize()) else { return found };
    let mut start = range.start as usize;
    let first_line = !text[..start].contains('\n');
    for (number, line) in comment.split('\n').enumerate() {
        if line.len() <= LONGEST_LINE {
            parse_line(line.trim_end_matches('\r'), start, first_line && number == 0, &mut found);
        }
        start += line.len() + 1;
    }
    found
}

/// Reads the directives of one line of a comment that starts at `base`.
fn parse_line(line: &str, base: usize, first_line: bool, found: &mut Vec<Result<Directive, Malformed>>) {
    let line = line.strip_suffix("*/").unwrap_or(line);
    let mut at = marker_end(line, 0);
    while at < line.len() {
        let Some((word, form)) = KEYWORDS.iter().find(|(word, _)| line[at..].starts_with(word)) else {
            // Not a directive: one may still stand behind another comment marker on the line.
            match next_marker(line, at) {
                Some(next) => at = next,
                None => return,
            }
            continue;
        };
        let end = next_keyword(line, at + word.len(), *form).unwrap_or(line.len());
        let body = line[at + word.len()..end].trim_end().trim_end_matches(['#', ',']).trim_end();
        let bytes = TextRange::new((base + at) as u32, (base + at + word.len() + body.len()) as u32);
        if let Some(parsed) = parse_body(*form, body, bytes, first_line) {
            found.push(parsed);
        }
        at = marker_end(line, end);
    }
}

/// Behind the comment markers, stars and spaces that start at `at`.
fn marker_end(line: &str, at: usize) -> usize {
    let rest = &line[at..];
    line.len() - rest.trim_start_matches([' ', '\t', '#', '/', '*', ',']).len()
}

/// Behind the next `#` or `//` after `at`.
fn next_marker(line: &str, at: usize) -> Option<usize> {
    let rest = &line[at..];
    let hash = rest.find('#');
    let slashes = rest.find("//");
    let next = at + hash.into_iter().chain(slashes).min()?;
    Some(marker_end(line, next))
}

/// Where the next directive of another form, or another of the same, begins on a line that already holds one of `form`.
fn next_keyword(line: &str, from: usize, form: Form) -> Option<usize> {
    // What stands in our quoted reason is prose.
    let quoted = |at: usize| form == Form::Keyblind && line[from..at].replace("\\\"", "").matches('"').count() % 2 == 1;
    let boundary = |at: usize| line[..at].ends_with([' ', '\t', '#', '/', ',']) && !quoted(at);
    KEYWORDS
        .iter()
        .filter(|(_, form)| *form != Form::Zizmor)
        .filter_map(|(word, _)| line[from..].match_indices(word).map(|(at, _)| from + at).find(|&at| boundary(at)))
        .min()
}

/// Reads what follows a form's keyword; `None` if it's no directive after all.
fn parse_body(form: Form, body: &str, range: TextRange, first_line: bool) -> Option<Result<Directive, Malformed>> {
    let plain = |targets, reach, reason: &str| {
        let reason = reason.trim();
        Directive {
            form,
            targets,
            reach,
            reason: (!reason.is_empty()).then(|| reason.to_owned()),
            until: None,
            expires: None,
            workspace: None,
            conditions: Vec::new(),
            range,
        }
    };
    let malformed = |code, message: String| Some(Err(Malformed { range, code, message }));
    match form {
        Form::Keyblind => Some(parse_own(body, range)),
        Form::Checkov | Form::Bridgecrew | Form::Cortex => {
            let (ids, rest) = id_list(body);
            if ids.is_empty() {
                return malformed("suppression-malformed", format!("`{}=` names no check", form.keyword()));
            }
            Some(Ok(plain(Targets::Ids(ids), Reach::Enclosing, rest.trim_start().trim_start_matches(':'))))
        }
        Form::Terrascan => {
            let (ids, rest) = id_list(body);
            if ids.is_empty() {
                return malformed("suppression-malformed", "`ts:skip=` names no rule".to_owned());
            }
            Some(Ok(plain(Targets::Ids(ids), Reach::Enclosing, rest)))
        }
        Form::Trivy | Form::Tfsec => Some(parse_sections(form, body, range)),
        Form::Kics => {
            let body = body.trim();
            let (command, ids) = body.split_once('=').unwrap_or((body, ""));
            let (ids, _) = id_list(ids);
            match (command.trim(), ids.is_empty()) {
                ("ignore", true) => first_line.then(|| Ok(plain(Targets::All, Reach::File, ""))),
                ("ignore-line", true) => Some(Ok(plain(Targets::All, Reach::LineBelow, ""))),
                ("ignore-block", true) => Some(Ok(plain(Targets::All, Reach::BlockBelow, ""))),
                ("disable", false) => Some(Ok(plain(Targets::Ids(ids), Reach::File, ""))),
                ("enable", false) => Some(Ok(plain(Targets::AllExcept(ids), Reach::File, ""))),
                _ => malformed(
                    "suppression-malformed",
                    "`kics-scan` needs ignore, ignore-line, ignore-block, disable=ids or enable=ids".to_owned(),
                ),
            }
        }
        Form::Semgrep => {
            let Some(list) = body.trim_start().strip_prefix(':') else {
                // `nosemgreps` is another word.
                return (body.is_empty() || body.starts_with([' ', '\t'])).then(|| Ok(plain(Targets::All, Reach::Line, body)));
            };
            let (ids, rest) = id_list(list);
            let targets = if ids.is_empty() { Targets::All } else { Targets::Ids(ids) };
            Some(Ok(plain(targets, Reach::Line, rest)))
        }
        Form::Zizmor => {
            let (list, reason) = body.trim_start().strip_prefix("ignore[")?.split_once(']')?;
            // Where one of its audits is several rules, their aliases say which part of it they are: `zizmor/audit:part`.
            let ids: Vec<String> = id_list(list).0.iter().flat_map(|id| [format!("zizmor/{id}"), format!("zizmor/{id}:*")]).collect();
            (!ids.is_empty()).then(|| Ok(plain(Targets::Ids(ids), Reach::Around, reason)))
        }
        Form::Hadolint => {
            let (reach, list) = match body.trim_start().strip_prefix("global") {
                Some(rest) => (Reach::File, rest.trim_start()),
                None => (Reach::Next, body.trim_start()),
            };
            let (ids, reason) = id_list(list.strip_prefix("ignore")?.trim_start().strip_prefix('=')?);
            (!ids.is_empty()).then(|| Ok(plain(Targets::Ids(ids), reach, reason.trim_start().trim_start_matches('#'))))
        }
        Form::Tflint => {
            let (reach, list) = match body.strip_prefix("-file:") {
                Some(list) => (Reach::File, list),
                None => (Reach::Line, body.strip_prefix(':')?),
            };
            let (ids, rest) = id_list(list);
            let targets = if ids == ["all"] { Targets::All } else { Targets::Ids(ids) };
            Some(Ok(plain(targets, reach, rest.trim_start().trim_start_matches(['#', '/']))))
        }
    }
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// Takes ids with commas between them off the front; the rest is what follows the last id.
fn id_list(text: &str) -> (Vec<String>, &str) {
    let mut ids = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let length = rest.bytes().take_while(|byte| is_id_byte(*byte)).count();
        if length == 0 || ids.len() == MOST_IDS {
            return (ids, rest);
        }
        ids.push(rest[..length].to_owned());
        match rest[length..].trim_start().strip_prefix(',') {
            Some(next) => rest = next.trim_start(),
            None => return (ids, &rest[length..]),
        }
    }
}

/// `[rule-a, rule-b] until=2027-01-31 reason="…"`
fn parse_own(body: &str, range: TextRange) -> Result<Directive, Malformed> {
    let malformed = |code, message: String| Malformed { range, code, message };
    let wrong = |message: &str| malformed("suppression-malformed", message.to_owned());
    let form = r#"`keyblind:ignore[rule-id] reason="why"`"#;
    let list = body.strip_prefix('[').ok_or_else(|| wrong(&format!("the rules to ignore are missing: {form}")))?;
    let (list, mut rest) = list.split_once(']').ok_or_else(|| wrong("the list of rules has no closing `]`"))?;
    let (ids, left) = id_list(list);
    if ids.is_empty() {
        return Err(wrong(&format!("the directive names no rule: {form}")));
    }
    if !left.trim().is_empty() {
        return Err(malformed(
            "suppression-malformed",
            format!("`{}` is not a rule id (wildcards are not allowed here)", shortened(left.trim())),
        ));
    }
    let (mut until, mut reason) = (None, None);
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        if let Some(value) = rest.strip_prefix("until=") {
            let end = value.find(char::is_whitespace).unwrap_or(value.len());
            let day = value[..end].parse::<Date>().map_err(|error| malformed("suppression-malformed", error.to_string()))?;
            if until.replace(day).is_some() {
                return Err(wrong("`until` is given twice"));
            }
            rest = &value[end..];
        } else if let Some(value) = rest.strip_prefix("reason=") {
            let (text, after) = quoted(value).ok_or_else(|| wrong(r#"the reason must stand in double quotes: `reason="why"`"#))?;
            if reason.replace(text).is_some() {
                return Err(wrong("`reason` is given twice"));
            }
            rest = after;
        } else {
            let word = rest.split(char::is_whitespace).next().unwrap_or_default();
            return Err(malformed(
                "suppression-malformed",
                format!("`{}` is not part of a directive: {form}, optionally `until=YYYY-MM-DD`", shortened(word)),
            ));
        }
    }
    match reason {
        Some(reason) if !reason.trim().is_empty() => Ok(Directive {
            form: Form::Keyblind,
            targets: Targets::Ids(ids),
            reach: Reach::Next,
            reason: Some(reason.trim().to_owned()),
            until,
            expires: None,
            workspace: None,
            conditions: Vec::new(),
            range,
        }),
        _ => Err(malformed("suppression-without-reason", "the directive gives no reason, so it ignores nothing".to_owned())),
    }
}

/// A text in double quotes, in which `\"` and `\\` are escapes, and what follows it.
fn quoted(text: &str) -> Option<(String, &str)> {
    let inner = text.strip_prefix('"')?;
    let mut value = String::new();
    let mut characters = inner.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &inner[at + 1..])),
            '\\' => match characters.next() {
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                Some((_, other)) => value.extend(['\\', other]),
                None => return None,
            },
            other => value.push(other),
        }
    }
    None
}

/// `ID[attr=value,…]:exp:2027-01-31:ws:name`, with the sections in any order behind the id.
fn parse_sections(form: Form, body: &str, range: TextRange) -> Result<Directive, Malformed> {
    let malformed = |message: String| Malformed { range, code: "suppression-malformed", message };
    let id_length = body.bytes().take_while(|byte| is_id_byte(*byte) || *byte == b'*').count();
    let id = &body[..id_length];
    if id.is_empty() {
        return Err(malformed(format!("`{}:` names no check", form.keyword())));
    }
    let mut directive = Directive {
        form,
        targets: if id == "*" { Targets::All } else { Targets::Ids(vec![id.to_owned()]) },
        reach: Reach::Next,
        reason: None,
        until: None,
        expires: None,
        workspace: None,
        conditions: Vec::new(),
        range,
    };
    let mut rest = &body[id_length..];
    loop {
        if let Some(inner) = rest.strip_prefix('[') {
            let (list, after) = inner.split_once(']').ok_or_else(|| malformed("the list of attributes has no closing `]`".to_owned()))?;
            for pair in list.split(',').filter(|pair| !pair.trim().is_empty()) {
                let (name, value) =
                    pair.split_once('=').ok_or_else(|| malformed(format!("`{}` is not `attribute=value`", shortened(pair))))?;
                directive.conditions.push((name.trim().to_owned(), value.trim().trim_matches('"').to_owned()));
            }
            rest = after;
        } else if let Some(value) = rest.strip_prefix(":exp:") {
            let end = value.find([':', ' ', '\t', '[']).unwrap_or(value.len());
            directive.expires = Some(value[..end].parse().map_err(|error: super::DateError| malformed(error.to_string()))?);
            rest = &value[end..];
        } else if let Some(value) = rest.strip_prefix(":ws:") {
            let end = value.find([':', ' ', '\t', '[']).unwrap_or(value.len());
            directive.workspace = Some(value[..end].to_owned());
            rest = &value[end..];
        } else if rest.is_empty() || rest.starts_with([' ', '\t']) {
            let reason = rest.trim().trim_start_matches(['#', '/', '-']).trim();
            directive.reason = (!reason.is_empty()).then(|| reason.to_owned());
            return Ok(directive);
        } else {
            return Err(malformed(format!("`{}` can't follow a check's id", shortened(rest))));
        }
    }
}

/// The beginning of a text, for messages.
fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
