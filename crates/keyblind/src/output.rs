//! Formats and files that reports are written to.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::ValueEnum;
use keyblind_report::{Fixes, checkov, csv, github, gitlab, html, json, junit, markdown, sarif, text};
use keyblind_scan::{Keep, ScanReport};

use crate::leaf;

/// A report's format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// This program's own; see docs/report.schema.json.
    #[value(alias = "json-v1")]
    Json,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// A comment for a pull request.
    Markdown,
    /// One page that works by itself.
    Html,
    /// What that page holds, for a program that makes pages of its own: lines of JSON.
    PageData,
    /// Test cases, for build servers.
    Junit,
    /// GitLab's report of static application security testing.
    GitlabSast,
    /// GitLab's code quality report.
    #[value(name = "codequality", alias = "code-quality")]
    CodeQuality,
    /// Annotations of a GitHub Actions run.
    Github,
    /// A table, for spreadsheets.
    Csv,
    /// Checkov's JSON form, for what already reads it.
    CheckovJson,
}

impl Format {
    /// What a report of this format holds beside failures and suppressed results, whether it was asked for or not: where a
    /// result is a test case or a count, those that passed belong to it.
    pub(crate) fn wants(self) -> Keep {
        match self {
            Self::Junit => Keep { passed: true, unknown: true },
            Self::CheckovJson => Keep { passed: true, unknown: false },
            _ => Keep::default(),
        }
    }
}

/// A report in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OutputFile {
    pub(crate) format: Format,
    pub(crate) path: PathBuf,
}

impl std::str::FromStr for OutputFile {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (format, path) = text.split_once('=').ok_or("write it as FORMAT=FILE")?;
        if path.is_empty() {
            return Err("the file's name is missing: write it as FORMAT=FILE".to_owned());
        }
        Ok(Self {
            format: Format::from_str(format, true).map_err(|_| {
                let names: Vec<_> = Format::value_variants().iter().filter_map(|format| format.to_possible_value()).collect();
                let names: Vec<_> = names.iter().map(clap::builder::PossibleValue::get_name).collect();
                format!("`{format}` is no format; it is one of {}", names.join(", "))
            })?,
            path: path.into(),
        })
    }
}

/// How reports are written, whatever their format.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) text: text::Options,
    pub(crate) sarif: sarif::Context,
}

impl Options {
    /// The same without colour.
    pub(crate) fn plain(&self) -> Self {
        Self { text: text::Options { color: false, ..self.text.clone() }, ..self.clone() }
    }
}

/// Writes a report.
pub(crate) fn write(report: &ScanReport, fixes: &Fixes, format: Format, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Text => text::write(report, fixes, &options.text, out),
        Format::Json => json::write(report, fixes, out),
        Format::Sarif => sarif::write(report, fixes, &options.sarif, out),
        Format::Markdown => markdown::write(report, fixes, out),
        Format::Html => html::write(report, fixes, out),
        Format::PageData => html::data::write(report, fixes, out),
        Format::Junit => junit::write(report, fixes, out),
        Format::GitlabSast => gitlab::write_sast(report, fixes, out),
        Format::CodeQuality => gitlab::write_code_quality(report, fixes, out),
        Format::Github => github::write(report, fixes, out),
        Format::Csv => csv::write(report, fixes, out),
        Format::CheckovJson => checkov::write(report, fixes, out),
    }
}

/// Writes a report to standard output. That nobody reads on is no error.
pub(crate) fn print(report: &ScanReport, fixes: &Fixes, format: Format, options: &Options) -> anyhow::Result<()> {
    print_with(|out| write(report, fixes, format, options, out))
}

/// Writes to standard output. That nobody reads on is no error.
pub(crate) fn print_with(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    if let Some(inside) = leaf::inside() {
        return inside.print(write).context("can't write to standard output");
    }
    let mut out = BufWriter::with_capacity(64 * 1024, io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            // Dropping the writer would try again.
            let _ = out.into_parts();
            Ok(())
        }
        result => result.context("can't write to standard output"),
    }
}

/// Writes a report to a file: into a new one beside it first, so that nobody ever sees half a report.
pub(crate) fn save(report: &ScanReport, fixes: &Fixes, output: &OutputFile, options: &Options) -> anyhow::Result<()> {
    let plain = options.plain();
    save_with(&output.path, |out| write(report, fixes, output.format, &plain, out))
}

/// Writes a file whole or not at all.
pub(crate) fn save_with(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    let result = match leaf::inside() {
        Some(inside) => inside.save(path, write),
        None => Replacement::begin(path).and_then(|mut file| {
            write(&mut file)?;
            file.finish()
        }),
    };
    result.with_context(|| format!("can't write `{}`", path.display()))
}

/// A file that takes another's place once it is whole.
#[derive(Debug)]
pub(crate) struct Replacement {
    out: BufWriter<File>,
    /// Where it lies until then, and its place; `None` for what can't be replaced, because it is no regular file (a pipe,
    /// /dev/stderr).
    way: Option<(PathBuf, PathBuf)>,
}

impl Replacement {
    /// Begins beside the place.
    pub(crate) fn begin(path: &Path) -> io::Result<Self> {
        let replace = path.symlink_metadata().map_or(true, |metadata| metadata.is_file());
        let temporary = path.with_file_name(format!(
            ".{}.{}.part",
            path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            std::process::id()
        ));
        let file = File::create(if replace { &temporary } else { path })?;
        Ok(Self { out: BufWriter::with_capacity(64 * 1024, file), way: replace.then(|| (temporary, path.to_owned())) })
    }

    /// Puts it in its place.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        self.out.flush()?;
        if let Some((temporary, path)) = &self.way {
            std::fs::rename(temporary, path)?;
            self.way = None;
        }
        Ok(())
    }
}

impl Write for Replacement {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some((temporary, _)) = &self.way {
            // The error that came before is the one to tell.
            let _ = std::fs::remove_file(temporary);
        }
    }
}
