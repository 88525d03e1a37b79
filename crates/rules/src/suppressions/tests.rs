use keyblind_resource::{BlockKind, Dialect};
use proptest::prelude::*;

use super::*;

/// Rules with one alias each: `acl` is CKV_AWS_20 and AVD-AWS-0092, `logging` is CKV_AWS_18 and aws-s3-enable-bucket-logging.
struct Table;

const RULES: [(&str, &[&str]); 3] = [
    ("acl", &["CKV_AWS_20", "AVD-AWS-0092"]),
    ("logging", &["CKV_AWS_18", "aws-s3-enable-bucket-logging"]),
    ("versioning", &["CKV_AWS_21", "AC_AWS_0214"]),
];

impl Names for Table {
    fn named(&self, id: &str) -> Vec<Arc<str>> {
        let hit = |name: &str| name.eq_ignore_ascii_case(id);
        RULES.iter().filter(|(rule, aliases)| hit(rule) || aliases.iter().any(|alias| hit(alias))).map(|(rule, _)| (*rule).into()).collect()
    }

    fn covered(&self, pattern: &str) -> Vec<Arc<str>> {
        let prefix = pattern.trim_end_matches('*');
        let hit = |name: &str| name.starts_with(prefix);
        RULES.iter().filter(|(rule, aliases)| hit(rule) || aliases.iter().any(|alias| hit(alias))).map(|(rule, _)| (*rule).into()).collect()
    }

    fn nearest(&self, id: &str) -> Option<String> {
        keyblind_rule_language::nearest(id, RULES.iter().map(|(rule, _)| *rule)).map(str::to_owned)
    }
}

fn policy() -> Policy {
    Policy { today: "2026-11-21".parse().unwrap(), foreign: true, blanket: false, reason_required: false }
}

/// The outline of a text in which blocks are `name {` … `}` and attributes `name = …` on one line.
fn outline(text: &str) -> Outline {
    fn regions(file: &keyblind_syntax::hcl::ast::Body) -> Vec<Region> {
        file.items
            .iter()
            .map(|item| match item {
                keyblind_syntax::hcl::ast::Item::Attribute(attribute) => {
                    Region { range: attribute.range, kind: RegionKind::Attribute, children: Vec::new() }
                }
                keyblind_syntax::hcl::ast::Item::Block(block) => {
                    Region { range: block.range, kind: RegionKind::Block, children: regions(&block.body) }
                }
            })
            .collect()
    }
    let file = keyblind_syntax::hcl::parse(text);
    assert!(file.errors.is_empty(), "{:?}", file.errors);
    Outline { comments: file.comments.iter().map(|comment| comment.range).collect(), regions: regions(&file.body) }
}

struct Scanned {
    file: SourceFile,
    suppressions: Suppressions,
    notes: Vec<(&'static str, String)>,
}

fn scan_with(text: &str, policy: Policy) -> Scanned {
    let file = SourceFile::new("main.tf", text);
    let mut suppressions = Suppressions::default();
    let diagnostics = suppressions.collect(FileId(0), &file, &outline(text), &Table, &policy);
    Scanned { file, suppressions, notes: diagnostics.into_iter().map(|diagnostic| (diagnostic.code, diagnostic.message)).collect() }
}

fn scan(text: &str) -> Scanned {
    scan_with(text, policy())
}

impl Scanned {
    fn site(&self, part: &str) -> Site {
        let start = self.file.text.find(part).unwrap_or_else(|| panic!("no {part:?}")) as u32;
        Site::new(FileId(0), TextRange::new(start, start + part.len() as u32))
    }

    fn block(&self, head: &str) -> Site {
        let region = outline(&self.file.text).regions.into_iter().find(|region| self.file.slice(region.range).starts_with(head));
        Site::new(FileId(0), region.unwrap_or_else(|| panic!("no block {head:?}")).range)
    }

    /// Which form silences `rule` for the resource whose block starts with `head`, based on the texts of `parts`.
    fn silenced(&self, rule: &str, head: &str, parts: &[&str], calls: &[&str]) -> Option<Silenced> {
        let resource = Resource {
            address: "aws_s3_bucket.a".into(),
            dialect: Dialect::Terraform,
            kind: BlockKind::Managed,
            type_key: "aws_s3_bucket".into(),
            name: "a".into(),
            body: Value::object([("bucket".into(), Value::string("site")), ("region".into(), Value::string("eu"))]),
            header: self.site(head),
            block: self.block(head),
            calls: calls.iter().map(|head| self.block(head)).collect(),
            skips: Vec::new(),
        };
        let sites: Vec<Site> = if parts.is_empty() { vec![resource.header] } else { parts.iter().map(|part| self.site(part)).collect() };
        self.suppressions.find(Subject { rule, resource: &resource, sites: &sites })
    }

    fn is_silenced(&self, rule: &str, head: &str, parts: &[&str]) -> bool {
        self.silenced(rule, head, parts, &[]).is_some()
    }
}

const A: &str = "resource \"aws_s3_bucket\" \"a\"";
const B: &str = "resource \"aws_s3_bucket\" \"b\"";

#[test]
fn our_directive_reaches_the_next_block_and_no_other() {
    let scanned = scan(
        r#"
# keyblind:ignore[acl, CKV_AWS_18] until=2027-01-31 reason="a \"public\" site"
resource "aws_s3_bucket" "a" {
  acl = "public-read"
}
resource "aws_s3_bucket" "b" {
  acl = "public-read"
}
"#,
    );
    assert_eq!(scanned.notes, []);
    let silenced = scanned.silenced("acl", A, &[], &[]).unwrap();
    assert_eq!(silenced.reason.as_deref(), Some("a \"public\" site"));
    assert_eq!(silenced.until, Some("2027-01-31".parse().unwrap()));
    assert!(scanned.is_silenced("logging", A, &[]));
    assert!(!scanned.is_silenced("versioning", A, &[]));
    assert!(!scanned.is_silenced("acl", B, &[]));
}

#[test]
fn without_a_reason_or_after_its_end_a_directive_ignores_nothing() {
    let scanned = scan("# keyblind:ignore[acl]\nresource \"aws_s3_bucket\" \"a\" {\n}\n");
    assert_eq!(scanned.notes[0].0, "suppression-without-reason");
    assert!(!scanned.is_silenced("acl", A, &[]));
    let scanned = scan("# keyblind:ignore[acl] reason=\"  \"\nresource \"aws_s3_bucket\" \"a\" {\n}\n");
    assert_eq!(scanned.notes[0].0, "suppression-without-reason");
    let scanned = scan("# keyblind:ignore[acl] until=2026-11-20 reason=\"x\"\nresource \"aws_s3_bucket\" \"a\" {\n}\n");
    assert_eq!(scanned.notes[0].0, "suppression-expired");
    assert!(!scanned.is_silenced("acl", A, &[]));
    let scanned = scan("# keyblind:ignore[acl] until=2026-11-21 reason=\"x\"\nresource \"aws_s3_bucket\" \"a\" {\n}\n");
    assert!(scanned.is_silenced("acl", A, &[]), "the last day counts");
}

#[test]
fn what_is_wrong_with_a_directive_is_said() {
    let note = |comment: &str| {
        let scanned = scan(&format!("{comment}\nresource \"aws_s3_bucket\" \"a\" {{\n}}\n"));
        assert!(!scanned.is_silenced("acl", A, &[]), "{comment}");
        scanned.notes.into_iter().next().unwrap_or_default()
    };
    for comment in [
        "# keyblind:ignore acl reason=\"x\"",
        "# keyblind:ignore[] reason=\"x\"",
        "# keyblind:ignore[ac*] reason=\"x\"",
        "# keyblind:ignore[acl reason=\"x\"",
        "# keyblind:ignore[acl] reason=x",
        "# keyblind:ignore[acl] because reason=\"x\"",
        "# keyblind:ignore[acl] until=9999 reason=\"x\"",
        "# keyblind:ignore[acl] reason=\"x\" reason=\"y\"",
        "#tfsec:ignore:",
        "#trivy:ignore:CKV_AWS_20:exp:soon",
        "# kics-scan please",
    ] {
        assert_eq!(note(comment).0, "suppression-malformed", "{comment}");
    }
    let (code, message) = note("# keyblind:ignore[alc] reason=\"x\"");
    assert_eq!((code, message.as_str()), ("suppression-unknown-rule", "there is no rule `alc`"));
}

#[test]
fn prose_that_mentions_a_directive_is_inert() {
    let scanned = scan(
        r#"
# We used to have checkov:skip=CKV_AWS_20 here, see keyblind:ignore[acl] reason="x"
resource "aws_s3_bucket" "a" {
  # don't write tfsec:ignore:AVD-AWS-0092
  acl = "public-read"
  tags = { note = "checkov:skip=CKV_AWS_20" }
}
"#,
    );
    assert!(scanned.suppressions.is_empty());
    assert_eq!(scanned.notes, []);
}

#[test]
fn directives_add_up_on_a_line_and_above_each_other() {
    let scanned = scan(
        r#"
# keyblind:ignore[acl] reason="site: see tfsec:ignore:AC_AWS_0214" keyblind:ignore[logging] reason="elsewhere"
# plain words between them
#tfsec:ignore:AC_AWS_0214
resource "aws_s3_bucket" "a" {
}
"#,
    );
    for rule in ["acl", "logging", "versioning"] {
        assert!(scanned.is_silenced(rule, A, &[]), "{rule}");
    }
    assert_eq!(scanned.silenced("versioning", A, &[], &[]).unwrap().form, Form::Tfsec);
}

#[test]
fn on_an_attribute_only_what_lies_there_is_silenced() {
    let scanned = scan(
        r#"
resource "aws_s3_bucket" "a" {
  acl = "public-read" # keyblind:ignore[acl] reason="site"
  other = "public-read-write"
  # trivy:ignore:CKV_AWS_18
  rule {
    port = 22
  }
  rule {
    port = 23
  }
}
"#,
    );
    assert!(scanned.is_silenced("acl", A, &["\"public-read\""]));
    assert!(!scanned.is_silenced("acl", A, &["\"public-read-write\""]));
    assert!(!scanned.is_silenced("acl", A, &[]), "what is missing from the block is silenced at the block");
    assert!(scanned.is_silenced("logging", A, &["22"]));
    assert!(!scanned.is_silenced("logging", A, &["22", "23"]), "one of two places is not all of it");
}

#[test]
fn checkov_skips_stand_inside_the_block() {
    let scanned = scan(
        r#"
#checkov:skip=CKV_AWS_20:above is outside
resource "aws_s3_bucket" "a" {
  #checkov:skip=CKV_AWS_18,CKV_AWS_21: not needed
  rule {
    /* bridgecrew:skip=CKV_AWS_20 */
  }
}
resource "aws_s3_bucket" "b" {
  // cortex:skip=ckv_aws_20:lower case
}
"#,
    );
    let silenced = scanned.silenced("logging", A, &[], &[]).unwrap();
    assert_eq!((silenced.form, silenced.reason.as_deref()), (Form::Checkov, Some("not needed")));
    assert!(scanned.is_silenced("versioning", A, &[]));
    assert_eq!(scanned.silenced("acl", A, &[], &[]).unwrap().form, Form::Bridgecrew);
    assert_eq!(scanned.silenced("acl", B, &[], &[]).unwrap().form, Form::Cortex);
    assert!(!scanned.is_silenced("logging", B, &[]));
    assert_eq!(scanned.notes.iter().map(|note| note.0).collect::<Vec<_>>(), ["suppression-without-target"]);
}

#[test]
fn a_directive_on_a_module_call_covers_what_it_creates() {
    let scanned = scan(
        r#"
# keyblind:ignore[acl] reason="public by design"
module "one" {
  source = "./m"
}
module "two" {
  source = "./m"
}
resource "aws_s3_bucket" "a" {
}
"#,
    );
    assert!(scanned.silenced("acl", A, &[], &["module \"one\""]).is_some());
    assert!(scanned.silenced("acl", A, &[], &["module \"two\""]).is_none());
    assert!(scanned.silenced("acl", A, &[], &[]).is_none());
}

#[test]
fn tfsec_and_trivy_parameters_are_kept() {
    let head = "resource \"aws_s3_bucket\" \"a\" {\n}\n";
    let silenced = |comment: &str| scan(&format!("{comment}\n{head}")).is_silenced("logging", A, &[]);
    assert!(silenced("#trivy:ignore:aws-s3-*"));
    assert!(silenced("#trivy:ignore:CKV_AWS_18:exp:2026-11-22"));
    assert!(!silenced("#trivy:ignore:CKV_AWS_18:exp:2026-11-21"), "it ends when its day begins");
    assert!(silenced("#trivy:ignore:CKV_AWS_18[bucket=site,region=eu]"));
    assert!(!silenced("#trivy:ignore:CKV_AWS_18[bucket=site,region=us]"));
    assert!(!silenced("#tfsec:ignore:CKV_AWS_18:ws:prod"));
    assert!(silenced("#tfsec:ignore:CKV_AWS_18:ws:default"));
    assert!(silenced("#tfsec:ignore:CKV_AWS_20 #tfsec:ignore:CKV_AWS_18"));
    assert!(!silenced("#trivy:ignore:*"), "naming no rule needs permission");
    let blanket = Policy { blanket: true, ..policy() };
    assert!(scan_with(&format!("#trivy:ignore:*\n{head}"), blanket).is_silenced("logging", A, &[]));
}

#[test]
fn kics_semgrep_and_tflint_reach_as_far_as_theirs_do() {
    let scanned =
        scan("# kics-scan disable=CKV_AWS_18,CKV_AWS_21\nresource \"aws_s3_bucket\" \"a\" {\n}\nresource \"aws_s3_bucket\" \"b\" {\n}\n");
    assert!(scanned.is_silenced("logging", B, &[]) && scanned.is_silenced("versioning", A, &[]) && !scanned.is_silenced("acl", A, &[]));
    let blanket = Policy { blanket: true, ..policy() };
    let scanned = scan_with("resource \"aws_s3_bucket\" \"a\" {\n  # kics-scan ignore-line\n  acl = \"x\"\n  other = \"y\"\n}\n", blanket);
    assert!(scanned.is_silenced("acl", A, &["\"x\""]) && !scanned.is_silenced("acl", A, &["\"y\""]));
    let scanned = scan_with("\n# kics-scan ignore\nresource \"aws_s3_bucket\" \"a\" {\n}\n", blanket);
    assert!(!scanned.is_silenced("acl", A, &[]), "only on the first line");
    let scanned = scan_with("# kics-scan enable=CKV_AWS_18\nresource \"aws_s3_bucket\" \"a\" {\n}\n", blanket);
    assert!(scanned.is_silenced("acl", A, &[]) && !scanned.is_silenced("logging", A, &[]));
    let scanned = scan("resource \"aws_s3_bucket\" \"a\" {\n  acl = \"x\" # nosemgrep: CKV_AWS_20\n  other = \"y\"\n}\n");
    assert!(scanned.is_silenced("acl", A, &["\"x\""]) && !scanned.is_silenced("acl", A, &["\"y\""]));
}

#[test]
fn foreign_directives_can_be_switched_off_or_made_to_give_reasons() {
    let text = "resource \"aws_s3_bucket\" \"a\" {\n  #checkov:skip=CKV_AWS_20\n}\n";
    assert!(scan(text).is_silenced("acl", A, &[]));
    assert!(!scan_with(text, Policy { foreign: false, ..policy() }).is_silenced("acl", A, &[]));
    let strict = scan_with(text, Policy { reason_required: true, ..policy() });
    assert!(!strict.is_silenced("acl", A, &[]));
    assert_eq!(strict.notes[0].0, "suppression-without-reason");
}

proptest! {
    /// A directive changes only the verdicts of its ids in its scope, wherever it stands.
    #[test]
    fn a_directive_silences_its_ids_in_its_scope_and_nothing_else(count in 1_usize..6, place in 0_usize..6, rule in 0_usize..3, block_comment: bool) {
        let place = place % count;
        let body = format!("keyblind:ignore[{}] reason=\"why\"", RULES[rule].0);
        let comment = if block_comment { format!("/* {body} */") } else { format!("// {body}") };
        let mut text = String::new();
        for index in 0..count {
            if index == place {
                text.push_str(&comment);
                text.push('\n');
            }
            text.push_str(&format!("resource \"aws_s3_bucket\" \"n{index}\" {{\n  acl = \"v{index}\"\n}}\n"));
        }
        let scanned = scan(&text);
        for index in 0..count {
            for (other, (id, _)) in RULES.iter().enumerate() {
                let head = format!("resource \"aws_s3_bucket\" \"n{index}\"");
                let part = format!("\"v{index}\"");
                prop_assert_eq!(scanned.is_silenced(id, &head, &[&part]), index == place && other == rule);
            }
        }
    }

    /// Whatever stands in a comment, reading it ends and silences nothing by accident.
    #[test]
    fn any_comment_is_read(words in "(keyblind:ignore|checkov:skip=|trivy:ignore:|kics-scan |zizmor:|[\\[\\]:=,*\" a-zA-Z0-9_é/#-]){0,12}") {
        let text = format!("# {words}");
        let range = TextRange::new(0, text.len() as u32);
        for directive in parse_comment(&text, range) {
            let bytes = match &directive { Ok(directive) => directive.range, Err(malformed) => malformed.range };
            prop_assert!(range.contains(bytes));
            prop_assert!(text.get(bytes.as_usize()).is_some());
        }
    }
}
