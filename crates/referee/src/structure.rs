//! What is different between two texts, by their syntax.

use crate::dockerfile::Moved;
use crate::output::{Input, Stated};
use crate::{Invariant, comments, dockerfile, hcl, yaml};

/// What was found out about the change of one file.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Whether the parser took the text before the change: what it refuses can't be compared.
    pub read: bool,
    /// What speaks against the change.
    pub faults: Vec<(Invariant, String)>,
    /// Comments that went with what they stood in.
    pub comments_gone: usize,
    /// How the instructions of a Dockerfile correspond.
    pub moved: Option<Moved>,
}

/// A file before and after a change.
pub(crate) struct Change<'c> {
    pub path: &'c str,
    pub before: &'c str,
    pub after: &'c str,
    /// Of this file alone.
    pub stated: Vec<&'c Stated>,
    pub inputs: &'c [Input],
}

/// Compares a file before and after a change: only what is stated may be different.
pub fn check(path: &str, before: &str, after: &str, stated: &[Stated], inputs: &[Input]) -> Comparison {
    let change = Change { path, before, after, stated: stated.iter().filter(|stated| stated.file == path).collect(), inputs };
    let name = path.rsplit('/').next().unwrap_or(path);
    let mut comparison = Comparison::default();
    let mut structure = Vec::new();
    let style = if name.ends_with(".tf") || name.ends_with(".tfvars") {
        comparison.read = hcl::compare(&change, &mut structure);
        comments::Style::Hcl
    } else if name.ends_with(".json") {
        comparison.read = yaml::compare_json(&change, &mut structure);
        comments::Style::None
    } else if is_document(name) {
        comparison.read = yaml::compare(&change, &mut structure);
        comments::Style::Yaml
    } else {
        (comparison.read, comparison.moved) = dockerfile::compare(&change, &mut structure);
        comments::Style::Dockerfile
    };
    comparison.faults = structure;
    let (new, gone) = comments::differences(style, before, after);
    let new = new.into_iter().filter(|comment| !is_version(comment));
    comparison.faults.extend(new.map(|comment| (Invariant::Comments, format!("`{path}`: the comment `{comment}` is new"))));
    comparison.comments_gone = gone.len();
    if !before.contains('\r') && after.contains('\r') || before.ends_with('\n') && !after.ends_with('\n') {
        comparison.faults.push((Invariant::Formatted, format!("`{path}` has other line endings")));
    }
    comparison
}

/// Whether a comment says a version and nothing else, as it stands behind an action that is pinned by its hash.
fn is_version(comment: &str) -> bool {
    let version = comment.trim_start_matches('#').trim().trim_start_matches('v');
    !version.is_empty() && version.chars().all(|character| character.is_ascii_digit() || character == '.')
}

fn is_document(name: &str) -> bool {
    [".yaml", ".yml", ".template", ".cfn"].iter().any(|ending| name.ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERRAFORM: &str = "# Pictures.\nresource \"aws_s3_bucket\" \"a\" {\n  bucket = \"a\"\n  acl    = \"public-read\" # all\n}\n\nprovider \"aws\" {\n  region = \"eu-west-1\"\n}\n\nmodule \"net\" {\n  source = \"./net\"\n}\n";
    const MANIFEST: &str = "# Shop.\napiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec: &s\n  hostPID: true # why\n  containers:\n    - image: a:1\n      name: a\nstatus: *s\n---\nkind: Other\n";
    const DOCKERFILE: &str = "# Shop.\nFROM a:1 AS build\nRUN make\n\nFROM b:1\nCOPY --from=build /a /a\nCMD [\"/a\"]\n";

    fn stated(file: &str, type_key: &str, name: &str, path: &str) -> Stated {
        Stated { file: file.into(), type_key: type_key.into(), name: name.into(), path: path.into() }
    }

    fn faults(path: &str, before: &str, replaced: &[(&str, &str)], stated: &[Stated]) -> Vec<(Invariant, String)> {
        let after = replaced.iter().fold(before.to_owned(), |text, (from, to)| {
            assert!(text.contains(from), "{from}");
            text.replacen(from, to, 1)
        });
        let comparison = check(path, before, &after, stated, &[]);
        assert!(comparison.read, "{path}");
        comparison.faults
    }

    #[test]
    fn of_terraform_only_what_is_stated_may_be_different() {
        let own = [stated("main.tf", "aws_s3_bucket", "a", "acl")];
        let fixed = ("\"public-read\"", "\"private\"");
        assert_eq!(faults("main.tf", TERRAFORM, &[fixed], &own), []);
        for sabotage in [
            ("bucket = \"a\"", "bucket = \"b\""),
            ("\"aws_s3_bucket\" \"a\"", "\"aws_s3_bucket\" \"b\""),
            ("region = \"eu-west-1\"", "region = \"us-east-1\""),
            ("source = \"./net\"", "source = \"./other\""),
            ("# all", "# all keyblind:ignore[*]"),
            ("  bucket", "  count  = 0\n  bucket"),
            ("module \"net\" {\n  source = \"./net\"\n}\n", ""),
            ("provider \"aws\"", "provider \"http\" {}\n\nprovider \"aws\""),
            ("module \"net\" {", "module \"net\" {{"),
            ("provider", "/*\nprovider"),
        ] {
            assert_ne!(faults("main.tf", TERRAFORM, &[fixed, sabotage], &own), [], "{sabotage:?}");
        }
    }

    #[test]
    fn of_documents_only_stated_nodes_may_be_different() {
        let own = [stated("a.yaml", "node", "0", "/spec/hostPID"), stated("a.yaml", "node", "0", "/status/hostPID")];
        let fixed = ("hostPID: true", "hostPID: false");
        assert_eq!(faults("a.yaml", MANIFEST, &[fixed], &own), []);
        // The anchor is used elsewhere as well.
        assert_ne!(faults("a.yaml", MANIFEST, &[fixed], &own[..1]), []);
        for sabotage in [
            ("name: a", "name: b"),
            ("image: a:1", "image: b:1"),
            ("name: a", "name: a\n  annotations: {a: b}"),
            ("# Shop.", "# keyblind:ignore[*]"),
            ("kind: Other", "kind: Another"),
            ("---\n", "---\nkind: More\n---\n"),
            ("  containers:\n", "  containers:\n    - image: b:1\n"),
            ("kind: Pod\n", "kind: Pod\nkind: Pod\n"),
            ("spec: &s", "spec: &s ]"),
        ] {
            assert_ne!(faults("a.yaml", MANIFEST, &[fixed, sabotage], &own), [], "{sabotage:?}");
        }
    }

    #[test]
    fn stages_and_instructions_of_a_dockerfile_stay() {
        let of = |number: &str, part: &str| stated("Dockerfile", "instruction", number, part);
        assert_eq!(faults("Dockerfile", DOCKERFILE, &[("CMD", "USER 10001\nCMD")], &[of("4", "added:0")]), []);
        assert_eq!(faults("Dockerfile", DOCKERFILE, &[("b:1", "b:1.2@sha256:00")], &[of("2", "changed")]), []);
        assert_eq!(faults("Dockerfile", DOCKERFILE, &[("RUN make\n", "")], &[of("1", "gone")]), []);
        assert_eq!(faults("Dockerfile", DOCKERFILE, &[("COPY --from=build", "ADD")], &[of("3", "keyword:ADD")]), []);
        assert_eq!(faults("Dockerfile", DOCKERFILE, &[("make", "make && ninja")], &[of("1", "changed"), of("1", "program:ninja")]), []);
        for (sabotage, own) in [
            (("FROM b:1", "FROM c:1"), vec![of("2", "changed")]),
            (("FROM a:1 AS build", "FROM a:1 AS b"), vec![of("0", "changed")]),
            (("FROM a:1 AS build\nRUN make\n\n", ""), vec![of("0", "gone"), of("1", "gone")]),
            (("CMD [\"/a\"]\n", ""), vec![]),
            (("CMD [\"/a\"]", "CMD [\"/b\"]"), vec![of("3", "changed")]),
            (("make", "make && ninja"), vec![of("1", "changed")]),
            (("# Shop.", "# Shop!"), vec![]),
            (("CMD", "USER root\nCMD"), vec![]),
        ] {
            assert_ne!(faults("Dockerfile", DOCKERFILE, &[sabotage], &own), [], "{sabotage:?}");
        }
    }

    #[test]
    fn instructions_are_followed_by_their_addresses() {
        let after = DOCKERFILE.replace("RUN make\n", "").replace("CMD", "USER a\nCMD");
        let own = [stated("Dockerfile", "instruction", "1", "gone"), stated("Dockerfile", "instruction", "4", "added:0")];
        let comparison = check("Dockerfile", DOCKERFILE, &after, &own, &[]);
        assert_eq!(comparison.faults, []);
        let moved = comparison.moved.unwrap_or_default();
        assert_eq!(moved.fewer, 0);
        assert_eq!(moved.addresses.get("build.RUN[0]"), Some(&None));
        assert_eq!(moved.addresses.get("stage[1].CMD[0]"), Some(&Some("stage[1].CMD[0]".to_owned())));
    }

    #[test]
    fn nothing_is_shared_with_what_is_judged() {
        let own = include_str!("../Cargo.toml").split("[dependencies]").nth(1).unwrap_or_default();
        assert!(own.contains("hcl-edit") && !own.contains("keyblind"), "{own}");
    }
}
