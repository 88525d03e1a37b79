//! `keyblind import`: another tool's configuration, ignore files and baseline become ours. What can't be carried over is
//! listed with its place, so that nothing is lost without a word.

mod checkov;
mod draft;
mod trivy;

use std::path::Path;

use anyhow::Context;
use keyblind_rules::baseline::Baseline;
use keyblind_scan::{Keep, Status, baseline_entries, scan};
use keyblind_syntax::yaml::{self, Node};

use super::scan::prepare;
use super::{load_rules, plural};
use crate::arguments::{Global, ImportArguments, ImportTool, What};
use crate::exit::{Exit, UsageError};
use crate::{output, terminal};
use draft::Draft;

/// The file that the known findings are written to.
const BASELINE: &str = ".keyblind-baseline.jsonl";

pub(super) fn run(arguments: &ImportArguments, global: Global) -> anyhow::Result<Exit> {
    let folder = &arguments.folder;
    if !folder.is_dir() {
        return Err(UsageError::new(format_args!("`{}` is no folder", folder.display())).into());
    }
    let (table, _) = load_rules(&[] as &[&Path], true)?;
    let mut draft = Draft::new(&table);
    let found = match arguments.tool {
        ImportTool::Checkov => checkov::read(folder, &mut draft)?,
        ImportTool::Trivy => trivy::read(folder, &mut draft)?,
    };
    if !found {
        let names = match arguments.tool {
            ImportTool::Checkov => checkov::PLACES.join(", "),
            ImportTool::Trivy => trivy::PLACES.join(", "),
        };
        return Err(UsageError::new(format_args!("there is nothing to import in `{}`: looked for {names}", folder.display())).into());
    }
    let known = if draft.known.is_empty() { None } else { Some(known(folder, &mut draft)?) };
    let text = draft.to_toml(known.is_some().then_some(BASELINE));
    for left_out in &draft.left_out {
        terminal::say(format_args!("not carried over: {left_out}"));
    }
    if !arguments.write {
        return output::print_with(|out| out.write_all(text.as_bytes())).map(|()| Exit::Clean);
    }
    let place = folder.join("keyblind.toml");
    if place.exists() {
        return Err(UsageError::new(format_args!("`{}` is there already: without `--write` the text is printed", place.display())).into());
    }
    output::save_with(&place, |out| out.write_all(text.as_bytes()))?;
    if let Some(baseline) = &known {
        output::save_with(&folder.join(BASELINE), |out| out.write_all(baseline.to_text().as_bytes()))?;
    }
    if !global.quiet {
        let count = draft.left_out.len();
        terminal::say(format_args!("wrote `{}`; {count} thing{} could not be carried over", place.display(), plural(count as u64)));
    }
    Ok(Exit::Clean)
}

/// The findings of today that the other tool's baseline knows.
fn known(folder: &Path, draft: &mut Draft<'_>) -> anyhow::Result<Baseline> {
    let mut what = What::of(folder);
    what.persona = Some(keyblind_rule_language::Persona::Auditor);
    what.no_config = true;
    let prepared = prepare(&what, None, Keep::default())?;
    let today = prepared.request.today;
    let mut report = scan(&prepared.table, prepared.request, &|_| {});
    let mut met = vec![false; draft.known.len()];
    let (rules, sources, places) = (&report.rules, &report.sources, &report.places);
    report.results.retain(|result| {
        let path = places.in_report(&sources.file(result.header.file).path);
        let index = draft
            .known
            .iter()
            .position(|known| known.file == path && known.resource == result.label && rules[result.rule].aliases.contains(&known.id));
        let counts = matches!(result.status, Status::Failed);
        if let (Some(index), true) = (index, counts) {
            met[index] = true;
        }
        counts && index.is_some()
    });
    for (known, met) in draft.known.iter().zip(&met) {
        if !met {
            draft.left_out.push(format!("{}: known finding {} of `{}` isn't found now", known.file, known.id, known.resource));
        }
    }
    let entries = baseline_entries(&report, today);
    Ok(Baseline::default().renewed(entries, |_| true))
}

/// Reads a YAML file that need not be there.
fn yaml_of(folder: &Path, name: &str) -> anyhow::Result<Option<(Node, String)>> {
    let path = folder.join(name);
    if !path.is_file() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).with_context(|| format!("`{}` can't be read", path.display()))?;
    let mut stream = yaml::parse(&text);
    if let Some(error) = stream.errors.first() {
        let line = text[..(error.range.start as usize).min(text.len())].matches('\n').count() + 1;
        return Err(UsageError::new(format_args!("{}:{line}: {error}", path.display())).into());
    }
    Ok(if stream.documents.is_empty() { None } else { Some((stream.documents.swap_remove(0), text)) })
}

/// The texts of a list, or of one text with commas.
fn texts(node: &Node) -> Vec<String> {
    match node.as_sequence() {
        Some(items) => items.iter().filter_map(|item| item.as_key()).map(str::to_owned).collect(),
        None => node
            .as_key()
            .into_iter()
            .flat_map(|text| text.split(','))
            .map(|text| text.trim().to_owned())
            .filter(|text| !text.is_empty())
            .collect(),
    }
}
