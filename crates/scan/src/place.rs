//! How paths relative to the trust root are shown to people.

use std::path::{Component, Path, PathBuf};

/// Knows the trust root, what was asked for, and where the user is.
#[derive(Clone, Debug, Default)]
pub struct Places {
    root: PathBuf,
    current: PathBuf,
    scanned: Option<String>,
}

impl Places {
    /// `root` and `current` are canonical; `scanned` is the directory that was asked for, relative to the root, if it was
    /// exactly one.
    pub fn new(root: PathBuf, current: PathBuf, scanned: Option<String>) -> Self {
        Self { root, current, scanned }
    }

    /// The trust root.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Relative to the one directory that was asked for; relative to the trust root if the file lies elsewhere, or if
    /// several were asked for.
    pub fn in_report<'a>(&self, path: &'a str) -> &'a str {
        match self.scanned.as_deref() {
            None | Some("") => path,
            Some(scanned) => path.strip_prefix(scanned).and_then(|rest| rest.strip_prefix('/')).unwrap_or(path),
        }
    }

    /// As the user would type it from the current directory.
    pub fn for_people(&self, path: &str) -> String {
        let target = self.root.join(path);
        let parts = |path: &Path| -> Vec<String> {
            path.components()
                .filter(|part| matches!(part, Component::Normal(_)))
                .map(|part| part.as_os_str().to_string_lossy().into_owned())
                .collect()
        };
        let (from, to) = (parts(&self.current), parts(&target));
        let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
        // Somewhere else altogether: the way there through `..` would say less than the whole path.
        if shared == 0 || from.len() - shared > 3 {
            return target.display().to_string();
        }
        let mut way = vec![".."; from.len() - shared];
        way.extend(to[shared..].iter().map(String::as_str));
        if way.is_empty() { ".".to_owned() } else { way.join("/") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_name_files_relative_to_the_one_directory_that_was_asked_for() {
        let places = Places::new("/repo".into(), "/repo/envs".into(), Some("envs/prod".into()));
        assert_eq!(places.in_report("envs/prod/a/main.tf"), "a/main.tf");
        assert_eq!(places.in_report("envs/production/main.tf"), "envs/production/main.tf");
        assert_eq!(places.in_report("modules/x/main.tf"), "modules/x/main.tf");
        assert_eq!(Places::new("/repo".into(), "/".into(), Some(String::new())).in_report("a/b.tf"), "a/b.tf");
    }

    #[test]
    fn people_see_what_they_would_type() {
        let places = Places::new("/repo".into(), "/repo/envs".into(), None);
        assert_eq!(places.for_people("envs/prod/main.tf"), "prod/main.tf");
        assert_eq!(places.for_people("modules/x/main.tf"), "../modules/x/main.tf");
        assert_eq!(Places::new("/repo".into(), "/home/me".into(), None).for_people("main.tf"), "/repo/main.tf");
    }
}
