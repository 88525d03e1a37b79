//! Functions of files and paths.

use std::sync::Arc;

use keyblind_resource::{Data, Fragment, Reason, Unknown, Value};

use super::encoding::base64_text;
use super::{Call, Failure, Function, Outcome, any, invalid, set, text};
use crate::terraform::types;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("abspath", &[text("path")], abspath),
    Function::new("basename", &[text("path")], |call| Ok(Value::string(base(call.text(0)?)))),
    Function::new("dirname", &[text("path")], |call| Ok(Value::string(directory(call.text(0)?)))),
    Function::new("file", &[text("path")], file),
    Function::new("filebase64", &[text("path")], |call| call.made_text(base64_text(&read(call, 0)?))),
    Function::new("fileexists", &[text("path")], |call| call.host.file_exists(call.text(0)?).map(Value::bool).map_err(Failure::Because)),
    Function::new("fileset", &[text("path"), text("pattern")], fileset),
    Function::new("pathexpand", &[text("path")], pathexpand),
    Function::new("templatefile", &[text("path"), any("vars").or_unknown()], templatefile),
];

/// The bytes of the file that an argument names.
pub(super) fn read(call: &Call<'_>, index: usize) -> Result<Arc<[u8]>, Failure> {
    let bytes = call.host.read_file(call.text(index)?).map_err(Failure::Because)?;
    call.spend(bytes.len() as u64 / 64)?;
    Ok(bytes)
}

fn read_text(call: &Call<'_>, index: usize) -> Result<String, Failure> {
    let bytes = read(call, index)?;
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(text.to_owned()),
        Err(_) => invalid("the file's contents aren't valid UTF-8; filebase64() reads any file"),
    }
}

fn file(call: &Call<'_>) -> Outcome {
    Ok(Value::string(types::normalized(read_text(call, 0)?)))
}

fn fileset(call: &Call<'_>) -> Outcome {
    let files = call.host.file_set(call.text(0)?, call.text(1)?).map_err(Failure::Because)?;
    call.spend(files.len() as u64)?;
    Ok(set(types::make_set(files.into_iter().map(|file| Value::string(types::normalized(file))).collect())))
}

fn templatefile(call: &Call<'_>) -> Outcome {
    let variables = call.value(1);
    if !variables.is_unknown() && variables.as_mapping().is_none() {
        return invalid(format!("the variables must be a map or object, not {}", types::kind_of(variables)));
    }
    let text = read_text(call, 0)?;
    Ok(call.host.template(call.text(0)?, &text, variables))
}

/// The working directory isn't known: of a relative path only the end is.
fn abspath(call: &Call<'_>) -> Outcome {
    let path = clean(call.text(0)?);
    if path.starts_with('/') {
        return Ok(Value::string(path));
    }
    let mut fragments = vec![Fragment::Unknown];
    if path != "." && !path.starts_with("..") {
        fragments.push(Fragment::Literal(format!("/{path}").into()));
    }
    let unknown = Unknown { fragments, ..Unknown::new(Reason::Impure { function: "abspath".into() }) };
    Ok(Value::new(Data::Unknown(Arc::new(unknown))))
}

/// The home directory isn't known.
fn pathexpand(call: &Call<'_>) -> Outcome {
    let path = call.text(0)?;
    let Some(rest) = path.strip_prefix('~') else { return Ok(Value::string(path)) };
    if !(rest.is_empty() || rest.starts_with('/')) {
        return invalid("the home directory of another user can't be expanded");
    }
    let cleaned = clean(&format!("/{rest}"));
    let mut fragments = vec![Fragment::Unknown];
    if cleaned != "/" {
        fragments.push(Fragment::Literal(cleaned.into()));
    }
    let unknown = Unknown { fragments, ..Unknown::new(Reason::Impure { function: "pathexpand".into() }) };
    Ok(Value::new(Data::Unknown(Arc::new(unknown))))
}

/// The shortest form of a path: no `.`, no empty steps, `..` applied where it can be.
fn clean(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut steps: Vec<&str> = Vec::new();
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." if steps.last().is_some_and(|last| *last != "..") => drop(steps.pop()),
            ".." if rooted => {}
            _ => steps.push(step),
        }
    }
    match (rooted, steps.is_empty()) {
        (true, _) => format!("/{}", steps.join("/")),
        (false, true) => ".".to_owned(),
        (false, false) => steps.join("/"),
    }
}

fn base(path: &str) -> &str {
    if path.is_empty() {
        return ".";
    }
    let trimmed = path.trim_end_matches('/');
    if trimmed.is_empty() { "/" } else { trimmed.rsplit('/').next().unwrap_or(trimmed) }
}

fn directory(path: &str) -> String {
    clean(path.rfind('/').map_or("", |at| &path[..=at]))
}
