//! Workflows: what is computed of a step, back to what is written.
//!
//! Rules ask which commit an action is pinned to, or what becomes part of a script; both are computed. The first is answered
//! by the commit of the version that is asked for anyway, the second by handing the value over in the environment.

use keyblind_resource::{Resource, Value};
use keyblind_rule_language::Literal;
use keyblind_rules::{Change, Wanted};
use keyblind_syntax::yaml::Node;
use keyblind_syntax::{Site, TextRange};

use super::Drafting;
use super::insert::Addition;
use super::place::{self, Way};
use crate::hindrance::Hindrance;
use crate::wishes::Wishes;

static ACTIONS: &str = include_str!("../actions.tsv");

/// A released version of an action.
struct Release {
    version: &'static str,
    commit: &'static str,
}

/// The numbers of `v4.1.2`, or of as much of it as is said.
fn numbers(version: &str) -> Option<Vec<u32>> {
    version.strip_prefix('v').unwrap_or(version).split('.').map(|part| part.parse().ok()).collect()
}

/// What the table says of an action: version, commit, and what else is written for it.
fn releases(action: &str) -> impl Iterator<Item = (Release, &'static str)> {
    let lines = ACTIONS.lines().filter(|line| !line.starts_with('#'));
    let of_action = lines.skip_while(move |line| !line.eq_ignore_ascii_case(action)).skip(1).take_while(|line| line.contains('\t'));
    of_action.filter_map(|line| {
        let mut fields = line.split('\t');
        Some((Release { version: fields.next()?, commit: fields.next()? }, fields.next().unwrap_or_default()))
    })
}

/// The release that a reference to an action names.
fn named(action: &str, reference: &str) -> Option<Release> {
    let is_named =
        |(release, names): &(Release, &str)| release.version == reference || names.split_whitespace().any(|name| name == reference);
    releases(action).find(is_named).map(|(release, _)| release)
}

/// The newest release of an action whose first number is at least so high.
fn newest(action: &str, least: i64) -> Option<Release> {
    let numbered = releases(action).filter_map(|(release, _)| Some((numbers(release.version)?, release)));
    let fitting = numbered.filter(|(numbers, _)| numbers.first().is_some_and(|major| i64::from(*major) >= least));
    fitting.max_by(|(a, _), (b, _)| a.cmp(b)).map(|(_, release)| release)
}

impl<'t> Drafting<'t> {
    /// Fulfils wishes about what `uses` names.
    pub(super) fn pin(&mut self, resource: &'t Resource, wishes: &Wishes) -> Result<(), Hindrance> {
        let action = resource.body.get("action").ok_or(Hindrance::ValueElsewhere)?;
        let text_of = |name: &str| action.get(name).and_then(Value::as_str).ok_or(Hindrance::NeedsValue);
        let (written, repository, reference) = (text_of("text")?, text_of("repository")?, text_of("ref")?);
        let wanted = wishes.names.iter().find_map(|(name, wish)| Some((&**name, wish.change.as_ref()?)));
        let release = match wanted {
            Some(("is_hash", Change::Set(Wanted::Literal(Literal::Bool(true))))) => named(repository, reference),
            Some(("major", Change::Set(Wanted::Literal(Literal::Int(least))))) => newest(repository, *least),
            _ => return Err(Hindrance::NeedsDecision),
        };
        let release = release.ok_or(Hindrance::NeedsValue)?;
        let site = action.origin.written_at().ok_or(Hindrance::ValueElsewhere)?;
        let (stream, manner) = self.stream(site.file)?;
        let way = holder_way(&stream, resource).and_then(|way| way.down("uses")).ok_or(Hindrance::ValueElsewhere)?;
        let name = written.split('@').next().unwrap_or(written);
        self.state(resource, "action", Some(Site::new(site.file, way.node().place())));
        self.overwrite(site.file, &way, &Literal::Text(format!("{name}@{}", release.commit).into()), manner)?;
        // The version behind it, where a reader and the bots that keep it up to date look for it.
        let text = self.text(site.file);
        let end = super::write::line_end(text, way.node().place().end);
        if text[way.node().place().end as usize..end as usize].trim().is_empty() {
            self.splice(site.file, TextRange::new(way.node().place().end, end), format!(" # {}", release.version));
        }
        Ok(())
    }

    /// Takes expressions out of a script: what they give comes by the environment.
    pub(super) fn hand_over(&mut self, resource: &'t Resource, wishes: &Wishes) -> Result<(), Hindrance> {
        let expansions = resource.body.get("expansions").and_then(Value::as_items).ok_or(Hindrance::ValueElsewhere)?;
        let file = resource.block.file;
        let (stream, _) = self.stream(file)?;
        let step = holder_way(&stream, resource).ok_or(Hindrance::ValueElsewhere)?;
        let run = step.down("run").ok_or(Hindrance::NeedsDecision)?;
        let shell = shell_of(&step).ok_or(Hindrance::NeedsDecision)?;
        let text = self.text(file);
        let script = run.node().place();
        let mut taken: Vec<TextRange> = Vec::new();
        let mut variables: Vec<(String, String)> = Vec::new();
        for index in wishes.indices.keys() {
            let expansion = expansions.get(*index).ok_or(Hindrance::NeedsDecision)?;
            if expansion.get("field").and_then(Value::as_str) != Some("run") {
                return Err(Hindrance::NeedsDecision);
            }
            let at = expansion.origin.written_at().ok_or(Hindrance::ValueElsewhere)?.range;
            let range = placeholder_around(text, script, at).ok_or(Hindrance::NeedsDecision)?;
            if taken.contains(&range) {
                continue;
            }
            taken.push(range);
            let expression = text[range.as_usize()].trim_start_matches("${{").trim_end_matches("}}").trim();
            let context = expansion.get("context").and_then(Value::as_str).unwrap_or(expression);
            let name = self.variable(&step, &variables, context, expression).ok_or(Hindrance::NeedsDecision)?;
            let written = shell.variable(&text[script.start as usize..range.start as usize], &name).ok_or(Hindrance::NeedsDecision)?;
            self.splice(file, range, written);
            if !variables.iter().any(|(known, _)| *known == name) {
                variables.push((name, expression.to_owned()));
            }
        }
        if variables.is_empty() {
            return Err(Hindrance::NeedsDecision);
        }
        for name in ["expansions", "env"] {
            self.state(resource, name, Some(Site::new(file, step.node().place())));
        }
        self.state_node(file, run.document, &run.names());
        let value = |expression: &str| Literal::Text(format!("${{{{ {expression} }}}}").into());
        let entries: Vec<(Box<str>, Literal)> =
            variables.iter().map(|(name, expression)| (name.as_str().into(), value(expression))).collect();
        match step.down("env") {
            Some(env) if env.node().as_mapping().is_some() => {
                let new = entries.into_iter().filter(|(name, _)| env.down(name).is_none());
                let additions: Vec<Addition> = new.map(|(name, value)| Addition { key: name.into(), value }).collect();
                if additions.is_empty() { Ok(()) } else { self.insert(file, &env, additions) }
            }
            Some(_) => Err(Hindrance::NeedsDecision),
            None => self.insert(file, &step, vec![Addition { key: "env".to_owned(), value: Literal::Map(entries) }]),
        }
    }

    /// The name of the variable for an expression: one that is there for it already, or a new one after what it reads.
    fn variable(&self, step: &Way<'_>, new: &[(String, String)], context: &str, expression: &str) -> Option<String> {
        let there = step.down("env").map(|env| place::children(env.node())).unwrap_or_default();
        let own = |node: &Node| node.as_str().map(|text| text.trim().trim_start_matches("${{").trim_end_matches("}}").trim().to_owned());
        if let Some((name, _)) = there.iter().find(|(_, node)| own(node).as_deref() == Some(expression)) {
            return Some(name.clone());
        }
        let parts: Vec<&str> = context.split('.').collect();
        (1..=parts.len()).find_map(|count| {
            let name: String = parts[parts.len() - count..]
                .join("_")
                .chars()
                .map(|character| if character.is_ascii_alphanumeric() { character.to_ascii_uppercase() } else { '_' })
                .collect();
            let is_free = !there.iter().any(|(known, _)| *known == name)
                && new.iter().all(|(known, other)| *known != name || other == expression)
                && !["PATH", "HOME", "SHELL", "USER", "CI", "PWD", "ENV"].contains(&name.as_str());
            (is_free && name.starts_with(|first: char| first.is_ascii_alphabetic())).then_some(name)
        })
    }
}

fn holder_way<'s>(stream: &'s keyblind_syntax::yaml::Stream, resource: &Resource) -> Option<Way<'s>> {
    super::holder(resource).find(stream)
}

/// How a shell reads a variable.
#[derive(Clone, Copy)]
enum Shell {
    Posix,
    PowerShell,
}

/// The shell of a step that has a script. Where the runner decides it, that is told by its name.
fn shell_of(step: &Way<'_>) -> Option<Shell> {
    let named = step.node().get("shell").and_then(Node::as_str);
    let name = match named {
        Some(name) => name.split_whitespace().next()?.to_owned(),
        None => {
            // Of a workflow's default somebody else would have to know.
            let has_default = step.steps.iter().any(|(_, node)| node.get("defaults").is_some());
            let runner = step.steps.iter().rev().find_map(|(_, node)| node.get("runs-on"));
            let is_known = runner.and_then(Node::as_str).is_some_and(|runner| !runner.contains("${{"));
            let is_windows = runner.and_then(Node::as_str).is_some_and(|runner| runner.to_ascii_lowercase().contains("windows"));
            match (has_default, is_windows, is_known || runner.is_some_and(|runner| runner.as_sequence().is_some())) {
                (true, ..) | (.., false) => return None,
                (false, true, _) => "pwsh".to_owned(),
                (false, false, _) => "bash".to_owned(),
            }
        }
    };
    match &*name {
        "bash" | "sh" => Some(Shell::Posix),
        "pwsh" | "powershell" => Some(Shell::PowerShell),
        _ => None,
    }
}

impl Shell {
    /// A variable at the end of the part of a script that stands before it; `None` where it wouldn't be read.
    fn variable(self, before: &str, name: &str) -> Option<String> {
        match self {
            // In a text without expansion a variable is nothing but its name.
            Self::Posix if is_quoted(before) || before.contains("<<'") || before.contains("<<\"") || before.contains("<<-'") => None,
            Self::Posix => Some(format!("${{{name}}}")),
            Self::PowerShell if is_quoted(before) || before.contains("@'") => None,
            Self::PowerShell => Some(format!("${{env:{name}}}")),
        }
    }
}

/// Whether a single quote is open at the end of a script.
fn is_quoted(script: &str) -> bool {
    let (mut single, mut double, mut escaped, mut comment) = (false, false, false, false);
    let mut previous = '\n';
    for character in script.chars() {
        match character {
            '\n' => comment = false,
            _ if comment => {}
            _ if escaped => escaped = false,
            '\\' if !single => escaped = true,
            '\'' if !double => single = !single,
            '"' if !single => double = !double,
            '#' if !single && !double && previous.is_whitespace() => comment = true,
            _ => {}
        }
        previous = character;
    }
    single || comment
}

/// The `${{ … }}` around a place in a script.
fn placeholder_around(text: &str, script: TextRange, at: TextRange) -> Option<TextRange> {
    if !script.contains(at) {
        return None;
    }
    let start = script.start as usize + text[script.start as usize..at.start as usize].rfind("${{")?;
    let end = at.end as usize + text[at.end as usize..script.end as usize].find("}}")? + 2;
    Some(TextRange::new(start as u32, end as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let mut actions = 0;
        for line in ACTIONS.lines().filter(|line| !line.starts_with('#')) {
            let fields: Vec<&str> = line.split('\t').collect();
            match fields[..] {
                [name] => {
                    actions += 1;
                    assert_eq!(name.split('/').count(), 2, "{line}");
                    assert!(releases(&name.to_lowercase()).next().is_some(), "{line}");
                }
                [version, commit] | [version, commit, _] => {
                    assert!(numbers(version).is_some_and(|numbers| numbers.len() <= 3), "{line}");
                    assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{line}");
                }
                _ => panic!("{line}"),
            }
        }
        assert!(actions > 100);
    }

    #[test]
    fn a_reference_is_the_release_at_its_commit() {
        let of = |action: &str, reference: &str| named(action, reference).map(|release| release.version);
        assert_eq!(of("actions/checkout", "v1"), Some("v1.2.0"));
        assert_eq!(of("actions/checkout", "v3.6.0"), Some("v3.6.0"));
        assert_eq!(of("actions/checkout", "v4.2.2"), Some("v4.2.2"));
        assert_eq!(of("swatinem/rust-cache", "v2.0.0"), Some("v2.0.0"));
        // Nothing, a branch, a version that no tag has, and versions that once printed their users' secrets.
        assert_eq!(of("actions/checkout", ""), None);
        assert_eq!(of("actions/checkout", "main"), None);
        assert_eq!(of("actions/checkout", "v4.2.99"), None);
        assert_eq!(of("tj-actions/changed-files", "v40"), None);
    }

    #[test]
    fn quotes_are_followed() {
        assert!(is_quoted("echo 'a "));
        assert!(!is_quoted("echo \"it's "));
        assert!(!is_quoted("echo 'a' \\' "));
        assert!(is_quoted("true # don't "));
        assert!(!is_quoted("# don't\necho "));
    }
}
