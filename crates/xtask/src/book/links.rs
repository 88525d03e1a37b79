//! Links: those of the repository's pages as they are in the book, and whether all of them lead somewhere.

use std::collections::HashMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::markdown::Outline;
use super::{files_beneath, page_name};

/// Where the files are that are no part of the book.
const SOURCES: &str = "https://github.com/keyblind/keyblind/blob/main/";

/// A page of the repository with the links that it has in the book: pages lead to their place there, other files to the
/// repository.
pub(super) fn for_book(source: &str, text: &str) -> String {
    let mut written = text.to_owned();
    if source.starts_with("docs/") {
        return written;
    }
    // From the last to the first, so that the ranges before stay right.
    let outline = Outline::of(text);
    for link in outline.links.iter().rev().filter(|link| !leads_out(&link.target)) {
        let target = match link.target.as_str() {
            page if page.ends_with(".md") || page.starts_with("docs/") => page_name(page),
            file => format!("{SOURCES}{file}"),
        };
        let end = format!("]({})", link.target);
        if text[link.range.clone()].ends_with(&end) {
            written.replace_range(link.range.end - end.len()..link.range.end, &format!("]({target})"));
        }
    }
    written
}

/// Whether a link leads to another site, or is no link to a file.
fn leads_out(target: &str) -> bool {
    target.split_once(':').is_some_and(|(scheme, _)| !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

/// Looks for what the pages link to, in the folder that they lie in; how many links there are.
pub(super) fn check_markdown(folder: &Path, pages: &[String]) -> Result<usize> {
    let mut outlines: HashMap<PathBuf, Outline> = HashMap::new();
    for page in pages {
        let text = fs::read_to_string(folder.join(page)).with_context(|| format!("{page} can't be read"))?;
        outlines.insert(PathBuf::from(page), Outline::of(&text));
    }
    let (mut count, mut broken) = (0, Vec::new());
    for page in pages {
        for link in outlines[Path::new(page)].links.iter().filter(|link| !leads_out(&link.target)) {
            count += 1;
            let (path, fragment) = link.target.split_once('#').unwrap_or((&link.target, ""));
            let target = resolve(page, path);
            let is_there = match target.as_ref().and_then(|target| outlines.get(target)) {
                Some(outline) => fragment.is_empty() || outline.anchors.iter().any(|anchor| anchor == fragment),
                None => fragment.is_empty() && target.is_some_and(|target| folder.join(target).exists()),
            };
            if !is_there {
                broken.push(format!("{page}:{}: {}", link.line, link.target));
            }
        }
    }
    finish(count, broken)
}

/// The same for the finished pages.
pub(super) fn check_html(folder: &Path) -> Result<usize> {
    let mut pages: HashMap<PathBuf, String> = HashMap::new();
    for file in files_beneath(folder)?.into_iter().filter(|file| file.ends_with(".html")) {
        let text = fs::read_to_string(folder.join(&file)).with_context(|| format!("{file} can't be read"))?;
        pages.insert(PathBuf::from(file), text);
    }
    let (mut count, mut broken) = (0, Vec::new());
    for (page, text) in &pages {
        let page = page.to_string_lossy();
        // What is shown in place of a page that isn't there is written for the top of a site.
        let links = attributes(text, "href").chain(attributes(text, "src")).filter(|link| page != "404.html" && !leads_out(link));
        for link in links {
            count += 1;
            let (path, fragment) = link.split_once('#').unwrap_or((link, ""));
            let path = path.split('?').next().unwrap_or_default();
            let target = resolve(&page, path).map(|target| if folder.join(&target).is_dir() { target.join("index.html") } else { target });
            let is_there = match target.as_ref().and_then(|target| pages.get(target)) {
                Some(_) if fragment.is_empty() => true,
                Some(text) => attributes(text, "id").any(|id| id == fragment),
                None => target.is_some_and(|target| folder.join(target).exists()),
            };
            if !is_there {
                broken.push(format!("{page}: {link}"));
            }
        }
    }
    broken.sort();
    finish(count, broken)
}

/// The values of an attribute, as mdBook writes them.
fn attributes<'t>(html: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    let start = format!(" {name}=\"");
    let mut rest = html;
    std::iter::from_fn(move || {
        let from = rest.find(&start)? + start.len();
        let length = rest[from..].find('"')?;
        let value = &rest[from..from + length];
        rest = &rest[from + length..];
        Some(value)
    })
}

/// The place that a path stands for on a page; `None` outside of the folder.
fn resolve(page: &str, path: &str) -> Option<PathBuf> {
    if path.is_empty() {
        return Some(PathBuf::from(page));
    }
    let mut place = Path::new(page).parent()?.to_path_buf();
    for part in Path::new(path).components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !place.pop() {
                    return None;
                }
            }
            Component::Normal(part) => place.push(part),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(place)
}

fn finish(count: usize, broken: Vec<String>) -> Result<usize> {
    if broken.is_empty() {
        return Ok(count);
    }
    bail!("{} of {count} links lead nowhere:\n  {}", broken.len(), broken.join("\n  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> keyblind_testkit::Folder {
        keyblind_testkit::Folder::new(files.iter().copied())
    }

    #[test]
    fn a_link_to_nothing_is_found_with_its_line() {
        let folder = folder(&[("a.md", "# A\n\n[b](b/c.md#there) [self](#a)\n"), ("b/c.md", "# There\n\n[up](../a.md)\n"), ("x.csv", "")]);
        let pages = ["a.md".to_owned(), "b/c.md".to_owned()];
        assert_eq!(check_markdown(folder.path(), &pages).expect("sound"), 3);
        for (text, wrong) in [
            ("[gone](gone.md)", "a.md:1: gone.md"),
            ("\n[anchor](b/c.md#gone)", "a.md:2: b/c.md#gone"),
            ("![picture](x.svg)", "x.svg"),
            ("[outside](../a.md)", "../a.md"),
        ] {
            fs::write(folder.path().join("a.md"), text).expect("written");
            let error = check_markdown(folder.path(), &pages).expect_err("a broken link").to_string();
            assert!(error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_finished_page_is_checked_as_it_is_linked() {
        let folder = folder(&[("a.html", "<a href=\"b/c.html#here\">x</a><img src=\"p.svg\">"), ("b/c.html", "<h1 id=\"here\">")]);
        let error = check_html(folder.path()).expect_err("no picture").to_string();
        assert!(error.contains("1 of 2") && error.contains("a.html: p.svg"), "{error}");
        fs::write(folder.path().join("p.svg"), "").expect("written");
        assert_eq!(check_html(folder.path()).expect("sound"), 2);
    }

    #[test]
    fn a_page_of_the_repository_is_moved_with_its_links() {
        let text = "[s](docs/scanning.md#a) ![p](docs/images/scan.svg) [l](LICENSE) [c](CONTRIBUTING.md) [w](https://example.com)";
        let moved = "[s](scanning.md#a) ![p](images/scan.svg) [l](https://github.com/keyblind/keyblind/blob/main/LICENSE) [c](contributing.md) [w](https://example.com)";
        assert_eq!(for_book("README.md", text), moved);
    }
}
