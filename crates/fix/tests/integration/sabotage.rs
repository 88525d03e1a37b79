//! Changes that mend the fault and do something else as well: none is proven.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_fix::proof::{Check, Claim, Disproof, Pair, Proof, Stated, Texts, check_texts, check_verdicts};
use keyblind_fix::{FileEdit, Outcome, TextEdit};
use keyblind_rules::RuleTable;
use keyblind_scan::{Changed, Trials};

use crate::support::{fix_all, folder, request};

const MAIN: &str = r#"terraform {
  backend "s3" {
    bucket = "states"
  }
}

provider "aws" {
  region = "eu-west-1"
}

variable "size" {
  type    = number
  default = 10
}

locals {
  owner = "shop"
}

# The shop's pictures.
resource "aws_s3_bucket" "site" {
  bucket = "acme-site"

  tags = {
    owner = local.owner
  }
}

resource "aws_s3_bucket_acl" "site" {
  bucket = aws_s3_bucket.site.id
  acl    = "public-read" # for everybody
}

resource "aws_security_group" "web" {
  name = "web"

  ingress {
    from_port   = 443
    to_port     = 443
    protocol    = "tcp"
    cidr_blocks = ["10.0.0.0/8"]
  }
}

resource "aws_db_instance" "orders" {
  allocated_storage   = var.size
  storage_encrypted   = true
  deletion_protection = true
}

data "aws_iam_policy_document" "read" {
  statement {
    actions   = ["s3:GetObject"]
    resources = ["arn:aws:s3:::acme-site/*"]
  }
}

module "net" {
  source = "./net"
  cidr   = "10.0.0.0/16"
}

output "site" {
  value = aws_s3_bucket.site.id
}
"#;

const NET: &str = "variable \"cidr\" {\n  type = string\n}\n\nresource \"aws_vpc\" \"main\" {\n  cidr_block = var.cidr\n}\n";
const FIXED: (&str, &str) = ("acl    = \"public-read\"", "acl    = \"private\"");

/// What changes the fixed text, and the check that is to catch it.
const SABOTAGE: &[(&str, &str, &str, Check)] = &[
    ("opens a port", "cidr_blocks = [\"10.0.0.0/8\"]", "cidr_blocks = [\"0.0.0.0/0\"]", Check::DeclarationsKept),
    ("turns encryption off", "storage_encrypted   = true", "storage_encrypted   = false", Check::DeclarationsKept),
    ("deletes a resource", "resource \"aws_vpc\"", "resource \"aws_vpc\"", Check::DeclarationsKept),
    ("adds a suppression", "# for everybody", "# for everybody keyblind:ignore[*]", Check::CommentsKept),
    ("takes a comment out", "# The shop's pictures.\n", "", Check::CommentsKept),
    ("moves the fault into a variable", "acl    = \"private\"", "acl    = var.acl", Check::FaultGone),
    ("changes the provider", "region = \"eu-west-1\"", "region = \"us-east-1\"", Check::DeclarationsKept),
    ("changes a module's source", "source = \"./net\"", "source = \"git::https://example.org/net\"", Check::DeclarationsKept),
    ("changes a module's argument", "cidr   = \"10.0.0.0/16\"", "cidr   = \"10.1.0.0/16\"", Check::DeclarationsKept),
    ("changes the backend", "bucket = \"states\"", "bucket = \"other\"", Check::DeclarationsKept),
    ("changes an output", "value = aws_s3_bucket.site.id", "value = aws_s3_bucket.site.arn", Check::DeclarationsKept),
    ("changes a default that another resource uses", "default = 10", "default = 20", Check::ValuesKept),
    ("changes a local that another resource uses", "owner = \"shop\"", "owner = \"me\"", Check::ValuesKept),
    ("makes no instance", "  acl    = \"private\"", "  acl    = \"private\"\n  count  = 0", Check::DeclarationsKept),
    (
        "ignores changes",
        "  acl    = \"private\" # for everybody\n",
        "  acl    = \"private\" # for everybody\n\n  lifecycle {\n    ignore_changes = all\n  }\n",
        Check::DeclarationsKept,
    ),
    (
        "runs a program",
        "  acl    = \"private\" # for everybody\n",
        "  acl    = \"private\" # for everybody\n\n  provisioner \"local-exec\" {\n    command = \"true\"\n  }\n",
        Check::DeclarationsKept,
    ),
    (
        "renames the resource",
        "resource \"aws_s3_bucket_acl\" \"site\"",
        "resource \"aws_s3_bucket_acl\" \"other\"",
        Check::DeclarationsKept,
    ),
    (
        "makes it of another type",
        "resource \"aws_s3_bucket_acl\" \"site\"",
        "resource \"aws_s3_bucket_policy\" \"site\"",
        Check::DeclarationsKept,
    ),
    ("asks another account", "  acl    = \"private\"", "  acl    = \"private\"\n  provider = aws.other", Check::DeclarationsKept),
    (
        "adds a resource",
        "output \"site\"",
        "resource \"aws_s3_bucket\" \"more\" {\n  bucket = \"more\"\n}\n\noutput \"site\"",
        Check::DeclarationsKept,
    ),
    ("adds a provider", "output \"site\"", "provider \"http\" {}\n\noutput \"site\"", Check::DeclarationsKept),
    (
        "adds a data source",
        "output \"site\"",
        "data \"http\" \"x\" {\n  url = \"https://example.org\"\n}\n\noutput \"site\"",
        Check::DeclarationsKept,
    ),
    ("widens a policy", "actions   = [\"s3:GetObject\"]", "actions   = [\"s3:*\"]", Check::DeclarationsKept),
    ("points at another bucket", "  bucket = aws_s3_bucket.site.id\n  acl ", "  bucket = \"other\"\n  acl ", Check::DeclarationsKept),
    ("leaves the syntax broken", "output \"site\" {", "output \"site\" {{", Check::Parses),
    ("leaves the columns", "acl    = \"private\"", "acl = \"private\"", Check::Formatted),
    ("comments a block out", "resource \"aws_security_group\" \"web\" {", "/* resource \"aws_security_group\" \"web\" {", Check::Parses),
];

struct Bench {
    table: RuleTable,
    folder: tempfile::TempDir,
    claim: Claim,
    stated: Vec<Stated>,
    fixed: String,
}

impl Bench {
    fn new() -> Self {
        let table = RuleTable::embedded().unwrap();
        let folder = folder(&[("main.tf", MAIN), ("net/main.tf", NET)]);
        let rule = table.find("s3-bucket-acl-public-read").unwrap();
        let (fixer, outcomes) = fix_all(&table, folder.path(), rule);
        let fix = outcomes.iter().find_map(|(_, outcome)| if let Outcome::Fixed(fix) = outcome { Some(fix) } else { None }).unwrap();
        let fixed = fixer.text("main.tf").unwrap().to_string();
        assert_eq!(fixed, MAIN.replace(FIXED.0, FIXED.1));
        Self { claim: fix.proof.claim.clone(), stated: fix.proof.stated.clone(), table, folder, fixed }
    }

    /// Whether a changed text would be shown.
    fn judge(&self, after: &str, edits: &[FileEdit]) -> Result<Proof, Disproof> {
        let before: BTreeMap<String, Arc<str>> = BTreeMap::from([("main.tf".to_owned(), MAIN.into())]);
        let changed: Changed = BTreeMap::from([("main.tf".to_owned(), after.into())]);
        check_texts(&Texts { before: &before, after: &changed, edits }, &self.stated)?;
        let trials = Trials::open(&request(&self.table, self.folder.path()));
        let old = trials.run(&self.table, 0, &Changed::new(), &[]).unwrap();
        let new = trials.run(&self.table, 0, &changed, &[]).unwrap();
        let pairs = [Pair { root: "", before: &old, after: &new }];
        let rule = self.table.find(&self.claim.rule).unwrap();
        check_verdicts(&self.table, rule, &self.claim, &self.stated, &pairs)
    }
}

#[test]
fn a_clean_fix_is_proven_and_no_sabotaged_one_is() {
    let bench = Bench::new();
    let clean = bench.judge(&bench.fixed, &[FileEdit::between("main.tf", MAIN, &bench.fixed)]).unwrap();
    assert_eq!(clean.checks.len(), Check::ALL.len());
    for (what, from, to, check) in SABOTAGE {
        let text = match *what {
            "deletes a resource" => {
                let start = bench.fixed.find("resource \"aws_db_instance\"").unwrap();
                let end = bench.fixed.find("data \"aws_iam").unwrap();
                format!("{}{}", &bench.fixed[..start], &bench.fixed[end..])
            }
            "moves the fault into a variable" => {
                let text = bench.fixed.replacen(from, to, 1);
                text.replacen("variable \"size\"", "variable \"acl\" {\n  default = \"public-read\"\n}\n\nvariable \"size\"", 1)
            }
            _ => {
                assert!(bench.fixed.contains(from), "{what}");
                bench.fixed.replacen(from, to, 1)
            }
        };
        let disproof = bench.judge(&text, &[FileEdit::between("main.tf", MAIN, &text)]).expect_err(what);
        // A new variable isn't stated either.
        let caught = disproof.check == *check || *what == "moves the fault into a variable" && disproof.check == Check::DeclarationsKept;
        assert!(caught, "{what}: {disproof:?}");
    }
}

#[test]
fn edits_that_do_not_tell_all_are_refused() {
    let bench = Bench::new();
    let honest = FileEdit::between("main.tf", MAIN, &bench.fixed);
    let more = bench.fixed.replace("acme-site\"\n", "evil-site\"\n");
    let hidden = bench.judge(&more, std::slice::from_ref(&honest)).unwrap_err();
    assert_eq!(hidden.check, Check::EditsFit);
    let elsewhere = FileEdit { path: "net/main.tf".into(), ..FileEdit::between("net/main.tf", NET, "") };
    assert_eq!(bench.judge(&bench.fixed, &[honest.clone(), elsewhere]).unwrap_err().check, Check::EditsFit);
    let mut stale = honest.clone();
    stale.digest = keyblind_fix::digest("another text");
    assert_eq!(bench.judge(&bench.fixed, &[stale]).unwrap_err().check, Check::EditsFit);
    let mut overlapping = honest;
    overlapping.edits.push(TextEdit { start: 0, end: 1, was: "t".into(), text: String::new() });
    assert_eq!(bench.judge(&bench.fixed, &[overlapping]).unwrap_err().check, Check::EditsFit);
}

#[test]
fn a_claim_about_something_that_did_not_fail_is_refused() {
    let mut bench = Bench::new();
    bench.claim.address = "aws_s3_bucket.site_of_another".into();
    let edits = [FileEdit::between("main.tf", MAIN, &bench.fixed)];
    assert_eq!(bench.judge(&bench.fixed, &edits).unwrap_err().check, Check::FaultGone);
}
