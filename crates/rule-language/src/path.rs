//! Paths into a resource.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::nearest::nearest;
use crate::rule::words;

/// The way from where one stands to values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Where it starts.
    pub root: Root,
    /// The steps from there.
    pub steps: Vec<Step>,
}

/// Where a path starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Root {
    /// The element (outside quantifiers: the resource).
    Element,
    /// The resource: `$.name`.
    Resource,
    /// So many scopes outwards: `^.name` is one, `^.^.name` two.
    Enclosing(u8),
    /// Something about the resource itself.
    Property(Property),
    /// The name of the map's entry: `$key`.
    Key,
}

/// What a resource is beside its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Property {
    /// The type key.
    Type,
    /// The given name.
    Name,
    /// The address.
    Address,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// An attribute or block; on a list, that of every element.
    Name(Box<str>),
    /// All attributes whose name fits; on a list, those of every element.
    Names(Box<str>),
    /// One element.
    Index(u32),
    /// Every element or every value.
    Every,
    /// The value seen through a view.
    View(View),
}

/// A way to look at a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum View {
    /// An encoded JSON document.
    Json,
    /// An encoded YAML document.
    Yaml,
    /// The statements of a policy document.
    Statements,
    /// Those that grant to anybody.
    PublicStatements,
    /// Ways to misuse an identity policy.
    Escalations(EscalationKind),
    /// Credentials in texts.
    Secrets,
    /// The parts of a container image reference.
    Image,
    /// Its lines.
    Lines,
    /// Its words.
    Words,
    /// Its parts between a separator.
    Split(Box<str>),
    /// In lower case.
    Lower,
    /// Without white space around.
    Trim,
    /// As a number.
    Number,
    /// The names of a map.
    Keys,
    /// The values of a map.
    Values,
    /// The first element.
    First,
    /// The last element.
    Last,
    /// How many elements, entries, characters.
    Length,
}

words! {
    /// A way to misuse an identity policy.
    EscalationKind, "kind of escalation" {
        /// Gaining more rights.
        PrivilegeEscalation = "privilege-escalation",
        /// Taking data out.
        DataExfiltration = "data-exfiltration",
        /// Getting credentials.
        CredentialsExposure = "credentials-exposure",
        /// Changing who may do what.
        PermissionsManagement = "permissions-management",
        /// Writing anywhere.
        UnrestrictedWrite = "unrestricted-write",
        /// Anything on every resource that could be confined to some.
        UnrestrictedResource = "unrestricted-resource",
    }
}

/// What is wrong with a path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct PathError {
    /// What is wrong.
    pub message: String,
}

fn wrong<T>(message: impl Into<String>) -> Result<T, PathError> {
    Err(PathError { message: message.into() })
}

const PLAIN_VIEWS: &[(&str, View)] = &[
    ("json", View::Json),
    ("yaml", View::Yaml),
    ("statements", View::Statements),
    ("public-statements", View::PublicStatements),
    ("secrets", View::Secrets),
    ("image", View::Image),
    ("lines", View::Lines),
    ("words", View::Words),
    ("lower", View::Lower),
    ("trim", View::Trim),
    ("number", View::Number),
    ("keys", View::Keys),
    ("values", View::Values),
    ("first", View::First),
    ("last", View::Last),
    ("length", View::Length),
];

/// The longest path that is read, in steps.
const MAX_STEPS: usize = 64;

impl Path {
    /// A path of one name from the element.
    pub fn name(name: &str) -> Self {
        Self { root: Root::Element, steps: vec![Step::Name(name.into())] }
    }
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut reader = PathReader { rest: text, steps: Vec::new() };
        let root = reader.root()?;
        reader.steps(root)?;
        if reader.steps.len() > MAX_STEPS {
            return wrong(format!("a path has at most {MAX_STEPS} steps"));
        }
        Ok(Self { root, steps: reader.steps })
    }
}

struct PathReader<'a> {
    rest: &'a str,
    steps: Vec<Step>,
}

impl PathReader<'_> {
    fn eat(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn root(&mut self) -> Result<Root, PathError> {
        if self.eat("@") {
            return self.after_root(Root::Element);
        }
        if self.eat("^") {
            let mut levels = 1_u8;
            while self.eat(".^") {
                levels = levels.saturating_add(1);
            }
            return self.after_root(Root::Enclosing(levels));
        }
        if let Some(rest) = self.rest.strip_prefix('$') {
            let end = rest.find(['.', '|']).unwrap_or(rest.len());
            let root = match &rest[..end] {
                "" => Root::Resource,
                "type" => Root::Property(Property::Type),
                "name" => Root::Property(Property::Name),
                "address" => Root::Property(Property::Address),
                "key" => Root::Key,
                other => {
                    return wrong(format!("`${other}` is nothing; there are `$.attribute`, `$type`, `$name`, `$address`, `$key`"));
                }
            };
            self.rest = &rest[end..];
            return self.after_root(root);
        }
        // A dot in front keeps a name from being read as one of the language's own words.
        if !self.rest.starts_with('.') {
            if self.rest.is_empty() {
                return wrong("the path is empty");
            }
            self.step()?;
        }
        Ok(Root::Element)
    }

    fn after_root(&self, root: Root) -> Result<Root, PathError> {
        if self.rest.is_empty() || self.rest.starts_with(['.', '|']) {
            Ok(root)
        } else {
            wrong("a dot is missing after the first character")
        }
    }

    fn steps(&mut self, root: Root) -> Result<(), PathError> {
        while !self.rest.is_empty() {
            if self.eat("|") {
                let view = self.view()?;
                self.steps.push(Step::View(view));
            } else if self.eat(".") {
                if matches!(root, Root::Property(_) | Root::Key) && self.steps.is_empty() {
                    return wrong("`$type`, `$name`, `$address` and `$key` are texts: nothing can follow but a view");
                }
                self.step()?;
            } else {
                return wrong(format!("`.` or `|` is missing before `{}`", self.rest));
            }
        }
        Ok(())
    }

    fn step(&mut self) -> Result<(), PathError> {
        if self.eat("\"") {
            let mut name = String::new();
            let mut characters = self.rest.char_indices();
            while let Some((at, character)) = characters.next() {
                match character {
                    '"' => {
                        self.rest = &self.rest[at + 1..];
                        self.steps.push(Step::Name(name.into()));
                        return Ok(());
                    }
                    '\\' => name.extend(characters.next().map(|(_, escaped)| escaped)),
                    other => name.push(other),
                }
            }
            return wrong("the closing quote of a name is missing");
        }
        let end = self.rest.find(['.', '|']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        if name.is_empty() {
            return wrong("a name is missing between two separators");
        }
        if let Some(odd) = name.chars().find(|&character| !(character.is_alphanumeric() || "_-*:/".contains(character))) {
            return wrong(format!("`{odd}` can't stand in a name; put the name in double quotes"));
        }
        self.steps.push(if name == "*" {
            Step::Every
        } else if let Ok(index) = name.parse() {
            Step::Index(index)
        } else if name.contains('*') {
            Step::Names(name.into())
        } else {
            Step::Name(name.into())
        });
        Ok(())
    }

    fn view(&mut self) -> Result<View, PathError> {
        let end = self.rest.find(['.', '|', '(']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        self.rest = rest;
        let argument = if self.eat("(") {
            let Some(close) = self.rest.find(')') else { return wrong(format!("the closing bracket of view `{name}` is missing")) };
            let argument = &self.rest[..close];
            self.rest = &self.rest[close + 1..];
            Some(argument)
        } else {
            None
        };
        match (name, argument) {
            ("split", Some(separator)) if !separator.is_empty() => Ok(View::Split(separator.into())),
            ("split", _) => wrong("view `split` needs a separator: `split(:)`"),
            ("escalations", Some(kind)) => kind.parse().map(View::Escalations).map_err(|message| PathError { message }),
            ("escalations", None) => wrong("view `escalations` needs a kind: `escalations(privilege-escalation)`"),
            _ => match (PLAIN_VIEWS.iter().find(|(known, _)| *known == name), argument) {
                (Some((_, view)), None) => Ok(view.clone()),
                (Some(_), Some(_)) => wrong(format!("view `{name}` takes nothing in brackets")),
                (None, _) => {
                    let names = PLAIN_VIEWS.iter().map(|(name, _)| *name).chain(["split", "escalations"]);
                    let hint = nearest(name, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                    wrong(format!("there is no view `{name}`{hint}"))
                }
            },
        }
    }
}

impl fmt::Display for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Split(separator) => write!(f, "split({separator})"),
            Self::Escalations(kind) => write!(f, "escalations({kind})"),
            plain => f.write_str(PLAIN_VIEWS.iter().find(|(_, view)| view == plain).map_or("", |(name, _)| name)),
        }
    }
}

/// As it is written in a rule.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = ".";
        match self.root {
            Root::Element if self.steps.is_empty() || matches!(self.steps[0], Step::View(_)) => f.write_str("@")?,
            Root::Element => separator = "",
            Root::Resource => f.write_str("$")?,
            Root::Enclosing(levels) => {
                f.write_str("^")?;
                (1..levels).try_for_each(|_| f.write_str(".^"))?;
            }
            Root::Property(Property::Type) => f.write_str("$type")?,
            Root::Property(Property::Name) => f.write_str("$name")?,
            Root::Property(Property::Address) => f.write_str("$address")?,
            Root::Key => f.write_str("$key")?,
        }
        for step in &self.steps {
            match step {
                Step::View(view) => write!(f, "|{view}")?,
                Step::Name(name) if name.chars().all(|c| c.is_alphanumeric() || "_-:/".contains(c)) && name.parse::<u32>().is_err() => {
                    write!(f, "{separator}{name}")?;
                }
                Step::Name(name) => write!(f, "{separator}\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\""))?,
                Step::Names(pattern) => write!(f, "{separator}{pattern}")?,
                Step::Index(index) => write!(f, "{separator}{index}")?,
                Step::Every => write!(f, "{separator}*")?,
            }
            separator = ".";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        text.parse().expect(text)
    }

    #[test]
    fn paths_print_as_they_are_written() {
        for text in [
            "acl",
            "ingress.*.cidr_blocks",
            "rule.0.sse",
            "metadata.\"app.kubernetes.io/name\"",
            "policy|statements",
            "image|split(:)|last",
            "container_definitions|json.*.privileged",
            "image_*",
            "@",
            "@|lower",
            "$.name",
            "^.^.name",
            "$type",
            "$key|lower",
            "tags.aws:name",
        ] {
            assert_eq!(path(text).to_string(), text);
        }
        assert_eq!(path(".all"), Path::name("all"));
        assert_eq!(path("metadata.\"a.b\"").steps[1], Step::Name("a.b".into()));
        assert_eq!(path("policy|escalations(data-exfiltration)").steps[1], Step::View(View::Escalations(EscalationKind::DataExfiltration)));
    }

    #[test]
    fn broken_paths_say_what_is_wrong() {
        for (text, message) in [
            ("", "empty"),
            ("a..b", "name is missing"),
            ("a|statment", "did you mean `statements`"),
            ("a b", "double quotes"),
            ("a|split", "needs a separator"),
            ("a|json(x)", "nothing in brackets"),
            ("a|escalations(fun)", "privilege-escalation"),
            ("$foo", "`$foo` is nothing"),
            ("$type.x", "are texts"),
            ("a.\"b", "closing quote"),
        ] {
            let error = text.parse::<Path>().expect_err(text).message;
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
