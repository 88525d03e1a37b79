//! `csvdecode`, with the rules of Go's `encoding/csv`.

use std::sync::Arc;

use keyblind_resource::Value;

use crate::terraform::functions::{Call, Failure, Outcome, invalid, list};
use crate::terraform::types;

pub(super) fn csvdecode(call: &Call<'_>) -> Outcome {
    let mut rows = Reader { rest: call.text(0)?, line: 0 };
    let Some(header) = rows.next_row()? else { return invalid("the text has no header line") };
    let names: Vec<Arc<str>> = header.into_iter().map(types::normalized).collect();
    let mut sorted = names.clone();
    sorted.sort();
    if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        return invalid(format!("the column name \"{}\" occurs twice", pair[0]));
    }
    let mut decoded = Vec::new();
    while let Some(row) = rows.next_row()? {
        call.spend(1 + row.len() as u64)?;
        if row.len() != names.len() {
            return invalid(format!("line {} has {} fields, but there are {} columns", rows.line, row.len(), names.len()));
        }
        let fields = row.into_iter().map(|field| Value::string(types::normalized(field)));
        decoded.push(Value::object(names.iter().cloned().zip(fields)));
    }
    Ok(list(decoded))
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    /// The next line without its end; the end is `\n` or `\r\n`, and at the end of the text also `\r`.
    fn next_line(&mut self) -> Option<(&'a str, bool)> {
        if self.rest.is_empty() {
            return None;
        }
        self.line += 1;
        match self.rest.split_once('\n') {
            Some((line, rest)) => {
                self.rest = rest;
                Some((line.strip_suffix('\r').unwrap_or(line), true))
            }
            None => {
                let line = std::mem::take(&mut self.rest);
                Some((line.strip_suffix('\r').unwrap_or(line), false))
            }
        }
    }

    fn next_row(&mut self) -> Result<Option<Vec<String>>, Failure> {
        let (mut line, mut ended) = loop {
            match self.next_line() {
                None => return Ok(None),
                // Empty lines are no rows.
                Some(("", _)) => {}
                Some(line) => break line,
            }
        };
        let mut row = Vec::new();
        loop {
            let Some(mut quoted) = line.strip_prefix('"') else {
                let (field, rest) = match line.split_once(',') {
                    Some((field, rest)) => (field, Some(rest)),
                    None => (line, None),
                };
                if field.contains('"') {
                    return invalid(format!("line {}: a quote stands in a field that doesn't begin with one", self.line));
                }
                row.push(field.to_owned());
                match rest {
                    Some(rest) => line = rest,
                    None => return Ok(Some(row)),
                }
                continue;
            };
            let mut field = String::new();
            loop {
                match quoted.split_once('"') {
                    Some((text, after)) => {
                        field.push_str(text);
                        if let Some(after) = after.strip_prefix('"') {
                            field.push('"');
                            quoted = after;
                        } else {
                            quoted = after;
                            break;
                        }
                    }
                    None => {
                        field.push_str(quoted);
                        if ended {
                            field.push('\n');
                        }
                        match self.next_line() {
                            Some((next, next_ended)) => (quoted, ended) = (next, next_ended),
                            None => return invalid(format!("line {}: a quoted field has no end", self.line)),
                        }
                    }
                }
            }
            row.push(field);
            match quoted.strip_prefix(',') {
                Some(rest) => line = rest,
                None if quoted.is_empty() => return Ok(Some(row)),
                None => return invalid(format!("line {}: text follows a closing quote", self.line)),
            }
        }
    }
}
