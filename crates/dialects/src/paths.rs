//! Paths relative to the trust root: text with `/` between the parts, `""` for the root itself.

/// Joins a directory and a relative path and takes out `.` and `..`. `None` if the result would lie outside the root,
/// or if the path is absolute.
pub fn join(directory: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split(['/', '\\']) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The directory of a file; `""` for a file of the root.
pub fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(directory, _)| directory)
}

/// The last part of a path.
pub fn name(path: &str) -> &str {
    path.rsplit_once('/').map_or(path, |(_, name)| name)
}

/// How `path` is written when seen from `directory`, with `..` where needed; `"."` for the same place.
pub fn relative(directory: &str, path: &str) -> String {
    let from: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    let to: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let mut parts = vec![".."; from.len() - shared];
    parts.extend(&to[shared..]);
    if parts.is_empty() { ".".to_owned() } else { parts.join("/") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn joins_stay_beneath_the_root() {
        assert_eq!(join("envs/prod", "../../modules/x").as_deref(), Some("modules/x"));
        assert_eq!(join("envs/prod", "./a/./b").as_deref(), Some("envs/prod/a/b"));
        assert_eq!(join("envs", "../../etc/passwd"), None);
        assert_eq!(join("envs", "/etc/passwd"), None);
    }

    #[test]
    fn relative_paths_lead_back() {
        assert_eq!(relative("envs/prod", "modules/x"), "../../modules/x");
        assert_eq!(relative("", "modules/x"), "modules/x");
        assert_eq!(relative("a/b", "a/b"), ".");
    }
}
