//! A folder of rules.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::RuleError;
use crate::families::Families;
use crate::read::{Reader, read_rule};
use crate::rule::Rule;
use crate::yaml;

/// The most files of one folder; more are an accident.
const MAX_FILES: usize = 20_000;
/// The deepest folder.
const MAX_DEPTH: usize = 16;

/// What a folder of rules holds.
#[derive(Debug, Default)]
pub struct FolderRules {
    /// The rules that are sound, sorted by id.
    pub rules: Vec<Rule>,
    /// What is wrong with the others.
    pub errors: Vec<RuleError>,
    /// All files that were read, relative to the folder.
    pub files: Vec<PathBuf>,
}

/// Reads all `*.yaml` and `*.yml` files beneath a folder. Files directly in `families` are families; all others are
/// rules. Links aren't followed, and names that begin with a dot are passed over.
pub fn read_folder(folder: &Path) -> FolderRules {
    let mut found = FolderRules::default();
    collect(folder, Path::new(""), 0, &mut found);
    found.files.sort();
    let texts: Vec<(String, String)> = found
        .files
        .iter()
        .filter_map(|relative| {
            let name = relative.to_string_lossy().replace('\\', "/");
            match read_bounded(&folder.join(relative)) {
                Ok(text) => Some((name, text)),
                Err(error) => {
                    found.errors.push(RuleError::about(&name, format!("can't be read: {error}")));
                    None
                }
            }
        })
        .collect();
    let (rules, errors) = read_texts(&texts);
    found.rules = rules;
    found.errors.extend(errors);
    found.errors.sort();
    found
}

/// Reads rules and families given as (path, text), paths relative to the folder of rules.
pub fn read_texts(texts: &[(String, String)]) -> (Vec<Rule>, Vec<RuleError>) {
    let mut families = Families::default();
    let (mut rules, mut errors) = (Vec::new(), Vec::new());
    for (path, text) in texts {
        if let Some(name) = family_name(path) {
            match yaml::read(path, text) {
                Ok(node) => drop(families.by_name.insert(name.to_owned(), node)),
                Err(error) => errors.push(error),
            }
        }
    }
    for (path, text) in texts.iter().filter(|(path, _)| family_name(path).is_none()) {
        let stem = path.rsplit('/').next().unwrap_or(path).rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
        let resolved = yaml::read(path, text).map_err(|error| vec![error]).and_then(|node| families.resolve(node));
        match resolved {
            Ok(node) => {
                let mut reader = Reader::default();
                rules.extend(read_rule(&mut reader, &node, stem).map(|rule| (path.as_str(), rule)));
                // A fault in a family must name the member as well: another member may be free of it.
                errors.extend(reader.errors.into_iter().map(|error| if error.path == *path { error } else { blame(error, path) }));
            }
            Err(wrong) => errors.extend(wrong.into_iter().map(|error| if error.path == *path { error } else { blame(error, path) })),
        }
    }
    check_names(&mut rules, &mut errors);
    rules.sort_by(|(_, a), (_, b)| a.id.cmp(&b.id));
    (rules.into_iter().map(|(_, rule)| rule).collect(), errors)
}

fn blame(mut error: RuleError, member: &str) -> RuleError {
    error.message.push_str(&format!(", as used by {member}"));
    error
}

fn family_name(path: &str) -> Option<&str> {
    let (name, _) = path.strip_prefix("families/")?.rsplit_once('.')?;
    (!name.contains('/')).then_some(name)
}

/// Two rules can't have one id, none can be another rule's alias, and an alias can't name two rules of one dialect. (There are
/// ids that mean one thing in one dialect and another in the next.)
fn check_names(rules: &mut Vec<(&str, Rule)>, errors: &mut Vec<RuleError>) {
    let mut owners: BTreeMap<String, String> = BTreeMap::new();
    rules.retain(|(path, rule)| match owners.get(&*rule.id) {
        Some(other) => {
            errors.push(RuleError::about(path, format!("the id `{}` is taken by {other}", rule.id)));
            false
        }
        None => {
            owners.insert(rule.id.to_string(), (*path).to_owned());
            true
        }
    });
    let mut holders: BTreeMap<String, Vec<(&str, &Rule)>> = BTreeMap::new();
    for (path, rule) in rules.iter() {
        for alias in &rule.aliases {
            let name = alias.to_lowercase();
            if let Some(other) = owners.get(&name) {
                errors.push(match other == path {
                    true => RuleError::about(path, format!("the alias `{alias}` is the rule's own id")),
                    false => alias_taken(path, alias, other),
                });
                continue;
            }
            let others = holders.entry(name).or_default();
            match others.iter().find(|(_, other)| shares_dialect(rule, other)) {
                Some((other, _)) => errors.push(alias_taken(path, alias, other)),
                None => others.push((path, rule)),
            }
        }
    }
}

fn alias_taken(path: &str, alias: &str, other: &str) -> RuleError {
    let error = RuleError::about(path, format!("the alias `{alias}` is taken by {other}"));
    error.with_help("an alias has the same meaning; what is broader or narrower goes under `related`")
}

fn shares_dialect(one: &Rule, other: &Rule) -> bool {
    one.decisions.iter().any(|(language, _)| other.decisions.iter().any(|(theirs, _)| theirs == language))
}

fn collect(folder: &Path, relative: &Path, depth: usize, found: &mut FolderRules) {
    let name = if relative.as_os_str().is_empty() { folder.to_string_lossy() } else { relative.to_string_lossy() }.into_owned();
    if depth > MAX_DEPTH {
        found.errors.push(RuleError::about(&name, format!("folders of rules are nested at most {MAX_DEPTH} deep")));
        return;
    }
    let entries = match fs::read_dir(folder.join(relative)) {
        Ok(entries) => entries,
        Err(error) => {
            found.errors.push(RuleError::about(&name, format!("can't be read: {error}")));
            return;
        }
    };
    for entry in entries.flatten() {
        let path = relative.join(entry.file_name());
        let Ok(kind) = entry.file_type() else { continue };
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if kind.is_dir() {
            collect(folder, &path, depth + 1, found);
        } else if kind.is_file() && path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml") {
            if found.files.len() >= MAX_FILES {
                found.errors.push(RuleError::about(&name, format!("a folder of rules has at most {MAX_FILES} files")));
                return;
            }
            found.files.push(path);
        }
    }
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let size = fs::metadata(path).map_err(|error| error.to_string())?.len();
    if size > yaml::MAX_BYTES {
        return Err(format!("a rule file has at most {} bytes", yaml::MAX_BYTES));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::condition::{Condition, Quantifier};
    use crate::decision::Outcome;
    use crate::matcher::Test;

    const RULE: &str = "\
id: bucket-public
title: Bucket is public
severity: high
confidence: high
aliases: [CKV_AWS_20]
why: Anybody reads it.
fix: Set `acl` to `private`.
terraform:
  resources: aws_s3_bucket
  fail: {acl: [public-read]}
examples:
  terraform:
    bad: resource
    good: [resource, other]
";

    fn read(files: &[(&str, &str)]) -> (Vec<Rule>, Vec<String>) {
        let texts: Vec<_> = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
        let (rules, errors) = read_texts(&texts);
        (rules, errors.iter().map(ToString::to_string).collect())
    }

    /// The one error of the rule above after a replacement in its text.
    fn error_after(from: &str, to: &str) -> String {
        assert!(RULE.contains(from), "{from}");
        let (rules, errors) = read(&[("aws/bucket-public.yaml", &RULE.replace(from, to))]);
        assert!(rules.is_empty(), "{to:?} was accepted");
        errors.join("\n")
    }

    #[test]
    fn a_sound_rule_is_read() {
        let (rules, errors) = read(&[("aws/bucket-public.yaml", RULE)]);
        assert_eq!(errors, Vec::<String>::new());
        let rule = &rules[0];
        assert_eq!((&*rule.id, rule.severity.name(), rule.persona.name()), ("bucket-public", "high", "regular"));
        assert_eq!(rule.docs.examples[0].good.len(), 2);
        let Outcome::Fail(Condition::Test(path, matcher)) = &rule.decisions[0].1[0].outcome else { panic!("{rule:?}") };
        assert_eq!(path.to_string(), "acl");
        assert!(matches!(&matcher.tests[..], [Test::In(values)] if values.len() == 1));
    }

    #[test]
    fn errors_name_place_fault_and_remedy() {
        for (from, to, wanted) in [
            ("severity: high", "severity: hihg", "aws/bucket-public.yaml:3:11: `hihg` is no severity"),
            ("severity: high", "severty: high", "3:1: `severty` is no key of a rule (help: did you mean `severity`?)"),
            ("title: Bucket is public\n", "", "1:1: `title` is missing"),
            ("id: bucket-public", "id: bucket_public", "1:5: `bucket_public` is no id"),
            ("id: bucket-public", "id: bucket", "isn't the file's name `bucket-public`"),
            ("  fail: {acl: [public-read]}", "  fail: {acl: {eqals: x}}", "10:16: `eqals` is no matcher (help: did you mean `equals`?)"),
            (
                "  fail: {acl: [public-read]}",
                "  fail: {acl: {matches: 'a('}}",
                "10:25: this regular expression can't be used: unclosed group",
            ),
            ("  fail: {acl: [public-read]}", "  fail: {'a..b': true}", "10:10: `a..b` is no path: a name is missing"),
            ("  fail: {acl: [public-read]}", "  fail: {acl: x}\n  pass: {acl: y}", "exactly one of"),
            ("  fail: {acl: [public-read]}", "  decide: [{fail: {acl: x}}]", "`otherwise` is missing"),
            ("  fail: {acl: [public-read]}", "  fail: {some: {in: a}}", "`where` is missing"),
            ("  fail: {acl: [public-read]}", "  fail: [a]", "under `all:` or `any:`"),
            ("  fail: {acl: [public-read]}", "  fail: {acl: {fold: true}}", "the matcher asks nothing"),
            ("  fail: {acl: [public-read]}", "  fail: {acl: {equals: 1, default: 1, missing: true}}", "exclude each other"),
            ("    good: [resource, other]", "", "no `terraform` with both"),
        ] {
            let error = error_after(from, to);
            assert!(error.contains(wanted), "{to:?} gave: {error}");
        }
    }

    #[test]
    fn all_forms_of_conditions_are_read() {
        let condition = "
    all:
      - some: {in: policy|statements, where: {actions: {contains: '*'}}}
      - every: {in: ingress, where: {ports: {covers: [22, 3389]}}}
      - none: {in: tags, where: {$key: Name, '@': x}}
      - count: {in: a, is: {at-least: 2}}
      - linked: {to: [aws_x, aws_y], by: bucket, direction: in, match: {bucket: bucket}, where: {a: true}}
      - not: {present: {resource: aws_z}}
      - {.all: true, '@|lower': {starts-with: [a, b], fold: true}, ^.x: {equals-path: $.y}}
      - cidr_blocks: {any: [{cidr: world}, {cidr: {wider-than: 8}}], not: {length: 0}}
      - false";
        let (rules, errors) = read(&[("bucket-public.yaml", &RULE.replace(" {acl: [public-read]}", condition))]);
        assert_eq!(errors, Vec::<String>::new());
        let Outcome::Fail(Condition::All(all)) = &rules[0].decisions[0].1[0].outcome else { panic!("all") };
        assert_eq!(all.len(), 9);
        assert!(matches!(&all[1], Condition::Quantified { quantifier: Quantifier::Every, .. }));
        assert!(matches!(&all[4], Condition::Linked(linked) if linked.matching.len() == 1));
        assert!(matches!(&all[8], Condition::Always(false)));
    }

    #[test]
    fn members_fill_their_family() {
        let family = RULE
            .replace("id: bucket-public\n", "")
            .replace("title: Bucket is public", "title: Open to {{service}} on {{port}}")
            .replace("{acl: [public-read]}", "{ports: {covers: '{{port}}'}, service: '{{port}}'}");
        let member = "id: ssh\nfamily: open\nwith: {port: 22, service: SSH}\nseverity: low\naliases: [A1]\n";
        let (rules, errors) = read(&[("families/open.yaml", &family), ("aws/ssh.yaml", member)]);
        assert_eq!(errors, Vec::<String>::new());
        assert_eq!((&*rules[0].title, rules[0].severity.name(), &*rules[0].aliases[0]), ("Open to SSH on 22", "low", "A1"));
        let Outcome::Fail(Condition::All(all)) = &rules[0].decisions[0].1[0].outcome else { panic!("all") };
        assert!(matches!(&all[1], Condition::Test(_, matcher) if matches!(matcher.tests[0], Test::Equals(crate::Literal::Int(22)))));

        for (from, to, wanted) in [
            ("family: open", "family: oepn", "did you mean `open`?"),
            ("port: 22", "prot: 22", "the parameter `port` has no value, as used by aws/ssh.yaml (help: did you mean `prot`?)"),
            ("port: 22", "port: 22, other: 1", "has no parameter `other`"),
        ] {
            let (_, errors) = read(&[("families/open.yaml", &family), ("aws/ssh.yaml", &member.replace(from, to))]);
            assert!(errors.iter().any(|error| error.contains(wanted)), "{to}: {errors:?}");
        }
    }

    #[test]
    fn names_are_taken_once() {
        let other = RULE.replace("id: bucket-public", "id: other").replace("CKV_AWS_20", "ckv_aws_20");
        let (_, errors) = read(&[("a/bucket-public.yaml", RULE), ("a/other.yaml", &other)]);
        assert!(errors[0].contains("alias `ckv_aws_20` is taken by a/bucket-public.yaml"), "{errors:?}");
        // Another tool's id may mean something else in another dialect.
        let elsewhere = other.replace("terraform:", "kubernetes:");
        let (rules, errors) = read(&[("a/bucket-public.yaml", RULE), ("a/other.yaml", &elsewhere)]);
        assert_eq!((rules.len(), errors.len()), (2, 0), "{errors:?}");
        let (_, errors) = read(&[("a/bucket-public.yaml", RULE), ("a/other.yaml", &elsewhere.replace("ckv_aws_20", "bucket-public"))]);
        assert!(errors[0].contains("alias `bucket-public` is taken"), "{errors:?}");
        let (rules, errors) = read(&[("a/bucket-public.yaml", RULE), ("b/bucket-public.yaml", RULE)]);
        assert_eq!(rules.len(), 1);
        assert!(errors[0].contains("id `bucket-public` is taken"), "{errors:?}");
    }

    #[test]
    fn the_compact_form_gives_the_rule_back() {
        let (rules, _) = read(&[("aws/bucket-public.yaml", RULE)]);
        let bytes = crate::compile(&rules).unwrap();
        let compiled = crate::CompiledRules::read(bytes.clone()).unwrap();
        assert_eq!(compiled.heads()[0].id, rules[0].id);
        assert_eq!(compiled.decisions(0).unwrap(), rules[0].decisions);
        assert_eq!(compiled.docs(0).unwrap(), rules[0].docs);
        assert!(compiled.docs(1).is_err());
        for length in 0..bytes.len() {
            // Cut short anywhere, it is refused at once or when the missing part is asked for.
            if let Ok(cut) = crate::CompiledRules::read(bytes[..length].to_vec()) {
                assert!(cut.decisions(0).is_err() || cut.docs(0).is_err());
            }
        }
    }
}
