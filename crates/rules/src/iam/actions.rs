//! Which actions a policy can confine to resources, and what they do.

use std::sync::OnceLock;

/// See `data/README.md`.
static ACTIONS: &str = include_str!("../../data/aws-actions.txt");

/// What an action does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Changes things.
    Write,
    /// Changes who may do what.
    Permissions,
    /// Reads, lists or tags.
    Other,
}

/// The actions of one service and level.
pub(crate) struct ServiceActions {
    /// The prefix of the actions' names, such as `s3`.
    pub(crate) service: &'static str,
    pub(crate) level: Level,
    names: &'static str,
    folded: OnceLock<Vec<(Box<str>, &'static str)>>,
}

impl ServiceActions {
    /// All actions: in lower case with the service, and the name alone.
    pub(crate) fn each(&self) -> &[(Box<str>, &'static str)] {
        self.folded.get_or_init(|| {
            let fold = |name: &'static str| (format!("{}:{}", self.service, name.to_ascii_lowercase()).into(), name);
            self.names.split(' ').map(fold).collect()
        })
    }
}

/// All of them, sorted by service.
pub(crate) fn all() -> &'static [ServiceActions] {
    static ALL: OnceLock<Vec<ServiceActions>> = OnceLock::new();
    ALL.get_or_init(|| {
        let line = |line: &'static str| {
            let (service, rest) = line.split_once(' ')?;
            let (letter, names) = rest.split_once(' ')?;
            let level = match letter {
                "W" => Level::Write,
                "P" => Level::Permissions,
                "O" => Level::Other,
                _ => return None,
            };
            Some(ServiceActions { service, level, names, folded: OnceLock::new() })
        };
        ACTIONS.lines().filter_map(line).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_data_is_whole_and_sorted() {
        assert_eq!(all().len(), ACTIONS.lines().count(), "a line can't be read");
        let services: Vec<_> = all().iter().map(|actions| actions.service).collect();
        assert!(services.is_sorted());
        let has = |service: &str, level: Level, name: &str| {
            all().iter().any(|actions| {
                actions.service == service && actions.level == level && actions.each().iter().any(|(_, other)| *other == name)
            })
        };
        assert!(has("s3", Level::Write, "DeleteBucket") && has("iam", Level::Permissions, "PassRole"));
        assert!(!has("s3", Level::Write, "GetObject"));
        for actions in all() {
            let names: Vec<_> = actions.each().iter().map(|(_, name)| *name).collect();
            let is_name = |name: &&str| name.bytes().all(|byte| byte.is_ascii_alphanumeric());
            assert!(names.is_sorted() && names.iter().all(is_name), "{}", actions.service);
        }
    }
}
