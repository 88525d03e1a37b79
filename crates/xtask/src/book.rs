//! The documentation as a book: the pages of `docs/`, and one for each rule of the table that the program holds.
//!
//! The pages of the rules are made anew each time and checked in nowhere, so that they can't differ from what the program
//! does.

mod catalogue;
mod links;
mod lists;
mod markdown;
mod rule_page;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use self::catalogue::Catalogue;
use crate::{process, tools};

/// The parts of the book: a title, and its pages as they lie in the repository.
const PARTS: &[(&str, &[&str])] = &[
    (
        "Using it",
        &[
            "docs/scanning.md",
            "docs/fixes.md",
            "docs/sandbox.md",
            "docs/github-actions.md",
            "docs/dockerfile.md",
            "docs/missions.md",
            "docs/web.md",
            "docs/models.md",
        ],
    ),
    ("Rules of your own", &["docs/rule-language.md"]),
    (
        "Borrowed authority",
        &[
            "docs/security.md",
            "docs/proof.md",
            "docs/setup/one-person.md",
            "docs/setup/team.md",
            "docs/setup/deploying.md",
            "docs/setup/github-app.md",
            "docs/setup/auth0.md",
            "docs/setup/aws.md",
            "docs/setup/broker.md",
            "docs/pull-requests.md",
            "docs/approvals.md",
            "docs/ledger.md",
        ],
    ),
    (
        "How good it is",
        &[
            "docs/precision.md",
            "docs/conformance.md",
            "docs/performance.md",
            "docs/evidence.md",
            "docs/evidence/aws.md",
            "docs/evidence/fuzzing.md",
            "docs/evidence/fixes.md",
            "docs/evidence/hostile-input.md",
            "docs/evidence/threats.md",
        ],
    ),
    ("How it is built", &["ARCHITECTURE.md", "CONTRIBUTING.md"]),
];
const INTRODUCTION: &str = "README.md";
const VERSION: &str = "0.5.4";

/// Makes the pages, checks their links, and builds the book.
pub(crate) fn run() -> Result<()> {
    let folder = check()?;
    let program = tools::cargo_program("mdbook", VERSION, &["--no-default-features", "--features", "search"])?;
    let html = folder.join("html");
    process::run(&program.to_string_lossy(), &["build", &folder.to_string_lossy(), "--dest-dir", &html.to_string_lossy()])?;
    let links = links::check_html(&html)?;
    println!("{links} links of the built book lead somewhere\n{}", html.join("index.html").display());
    Ok(())
}

/// Makes the pages and checks every link that stays within them, or within the repository; the folder that they are in.
pub(crate) fn check() -> Result<PathBuf> {
    println!("\n── the book: pages and their links");
    let repository = process::repository();
    let folder = process::target().join("book");
    let (pages, rules) = write(&repository, &folder)?;
    let outside = links::check_markdown(&repository, &sources(&repository)?)?;
    let inside = links::check_markdown(&folder.join("docs"), &pages)?;
    println!("{} pages, {rules} of them rules; {} links lead somewhere", pages.len(), outside + inside);
    Ok(folder)
}

/// The Markdown files of the repository that people read where they lie.
fn sources(repository: &Path) -> Result<Vec<String>> {
    let mut files = vec![INTRODUCTION.to_owned()];
    files.extend(PARTS.iter().flat_map(|(_, pages)| *pages).map(|&page| page.to_owned()));
    let known: BTreeSet<&str> = files.iter().map(String::as_str).collect();
    for file in files_beneath(&repository.join("docs"))? {
        let file = format!("docs/{file}");
        ensure!(!file.ends_with(".md") || known.contains(file.as_str()), "{file} is in no part of the book: name it in `PARTS`");
    }
    Ok(files)
}

/// Writes everything that mdBook needs; the names of all pages, and how many of them are rules.
fn write(repository: &Path, folder: &Path) -> Result<(Vec<String>, usize)> {
    let docs = folder.join("docs");
    // A page of a rule that is gone must not stay.
    if docs.exists() {
        fs::remove_dir_all(&docs).with_context(|| format!("{} can't be emptied", docs.display()))?;
    }
    for file in files_beneath(&repository.join("docs"))? {
        copy(&repository.join("docs").join(&file), &docs.join(&file))?;
    }
    for (name, text) in [("keyblind.css", include_str!("book/keyblind.css")), ("keyblind.js", include_str!("book/keyblind.js"))] {
        put(&folder.join(name), text)?;
    }
    copy(&repository.join("book.toml"), &folder.join("book.toml"))?;

    let mut summary = String::from("# Summary\n");
    let mut pages = Vec::new();
    let mut add = |summary: &mut String, source: &str, bullet: &str| -> Result<()> {
        let text = fs::read_to_string(repository.join(source)).with_context(|| format!("{source} can't be read"))?;
        let name = page_name(source);
        put(&docs.join(&name), &links::for_book(source, &text))?;
        summary.push_str(&format!("{bullet}[{}]({name})\n", markdown::first_heading(&text).unwrap_or(source)));
        pages.push(name);
        Ok(())
    };
    summary.push('\n');
    add(&mut summary, INTRODUCTION, "")?;
    for (title, sources) in PARTS {
        summary.push_str(&format!("\n# {title}\n\n"));
        for source in *sources {
            add(&mut summary, source, "- ")?;
        }
    }
    let catalogue = Catalogue::read(repository)?;
    summary.push_str("\n# Rules\n\n");
    for (name, text) in lists::pages(&catalogue, &mut summary) {
        put(&docs.join(&name), &text)?;
        pages.push(name);
    }
    for &rule in catalogue.rules() {
        let name = catalogue.page(rule);
        put(&docs.join(&name), &rule_page::write(&catalogue, rule))?;
        pages.push(name);
    }
    put(&docs.join("SUMMARY.md"), &summary)?;
    Ok((pages, catalogue.rules().len()))
}

/// What a page of the repository is called in the book.
fn page_name(source: &str) -> String {
    match source {
        INTRODUCTION => "index.md".to_owned(),
        source => source.strip_prefix("docs/").map_or_else(|| source.to_lowercase(), str::to_owned),
    }
}

fn put(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    }
    fs::write(path, text).with_context(|| format!("{} can't be written", path.display()))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("{} can't be made", folder.display()))?;
    }
    fs::copy(from, to).with_context(|| format!("{} can't be copied", from.display()))?;
    Ok(())
}

/// All files beneath a folder, relative to it, sorted.
fn files_beneath(folder: &Path) -> Result<Vec<String>> {
    let (mut files, mut open) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).with_context(|| format!("{} can't be read", next.display()))? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(relative) = path.strip_prefix(folder) {
                files.push(relative.to_string_lossy().into_owned());
            }
        }
    }
    files.sort();
    Ok(files)
}
