//! Changes of Terraform's text that mend the fault and do something else as well: none is proven.

use keyblind_fix::proof::Check;
use keyblind_fix::{FileEdit, TextEdit};
use keyblind_rules::RuleTable;

use super::{Class, none_is_proven};
use crate::bench::Bench;

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
  description = "the bucket of the shop"
  value       = aws_s3_bucket.site.id
}
"#;

const NET: &str = "variable \"cidr\" {\n  type = string\n}\n\nresource \"aws_vpc\" \"main\" {\n  cidr_block = var.cidr\n}\n";
const FIXED: (&str, &str) = ("acl    = \"public-read\"", "acl    = \"private\"");

/// What changes the fixed text, and the check that is to catch it.
const CLASSES: &[Class] = &[
    ("opens a port", &[("cidr_blocks = [\"10.0.0.0/8\"]", "cidr_blocks = [\"0.0.0.0/0\"]")], Check::DeclarationsKept),
    ("turns encryption off", &[("storage_encrypted   = true", "storage_encrypted   = false")], Check::DeclarationsKept),
    (
        "deletes a resource",
        &[(
            "resource \"aws_db_instance\" \"orders\" {\n  allocated_storage   = var.size\n  storage_encrypted   = true\n  deletion_protection = true\n}\n\n",
            "",
        )],
        Check::DeclarationsKept,
    ),
    ("adds a suppression", &[("# for everybody", "# for everybody keyblind:ignore[*]")], Check::CommentsKept),
    ("takes a comment out", &[("# The shop's pictures.\n", "")], Check::CommentsKept),
    (
        "moves the fault into a variable",
        &[
            ("acl    = \"private\"", "acl    = var.acl"),
            ("variable \"size\"", "variable \"acl\" {\n  default = \"public-read\"\n}\n\nvariable \"size\""),
        ],
        Check::DeclarationsKept,
    ),
    ("changes the provider", &[("region = \"eu-west-1\"", "region = \"us-east-1\"")], Check::DeclarationsKept),
    ("changes a module's source", &[("source = \"./net\"", "source = \"git::https://example.org/net\"")], Check::DeclarationsKept),
    ("changes a module's argument", &[("cidr   = \"10.0.0.0/16\"", "cidr   = \"10.1.0.0/16\"")], Check::DeclarationsKept),
    ("changes the backend", &[("bucket = \"states\"", "bucket = \"other\"")], Check::DeclarationsKept),
    ("takes white space out of a text", &[("the bucket of the shop", "the bucket of theshop")], Check::DeclarationsKept),
    ("changes an output", &[("value       = aws_s3_bucket.site.id", "value       = aws_s3_bucket.site.arn")], Check::DeclarationsKept),
    ("changes a default that another resource uses", &[("default = 10", "default = 20")], Check::ValuesKept),
    ("changes a local that another resource uses", &[("owner = \"shop\"", "owner = \"me\"")], Check::ValuesKept),
    ("makes no instance", &[("  acl    = \"private\"", "  acl    = \"private\"\n  count  = 0")], Check::DeclarationsKept),
    (
        "ignores changes",
        &[(
            "  acl    = \"private\" # for everybody\n",
            "  acl    = \"private\" # for everybody\n\n  lifecycle {\n    ignore_changes = all\n  }\n",
        )],
        Check::DeclarationsKept,
    ),
    (
        "runs a program",
        &[(
            "  acl    = \"private\" # for everybody\n",
            "  acl    = \"private\" # for everybody\n\n  provisioner \"local-exec\" {\n    command = \"true\"\n  }\n",
        )],
        Check::DeclarationsKept,
    ),
    (
        "renames the resource",
        &[("resource \"aws_s3_bucket_acl\" \"site\"", "resource \"aws_s3_bucket_acl\" \"other\"")],
        Check::DeclarationsKept,
    ),
    (
        "makes it of another type",
        &[("resource \"aws_s3_bucket_acl\" \"site\"", "resource \"aws_s3_bucket_policy\" \"site\"")],
        Check::DeclarationsKept,
    ),
    ("asks another account", &[("  acl    = \"private\"", "  acl    = \"private\"\n  provider = aws.other")], Check::DeclarationsKept),
    (
        "adds a resource",
        &[("output \"site\"", "resource \"aws_s3_bucket\" \"more\" {\n  bucket = \"more\"\n}\n\noutput \"site\"")],
        Check::DeclarationsKept,
    ),
    ("adds a provider", &[("output \"site\"", "provider \"http\" {}\n\noutput \"site\"")], Check::DeclarationsKept),
    (
        "adds a data source",
        &[("output \"site\"", "data \"http\" \"x\" {\n  url = \"https://example.org\"\n}\n\noutput \"site\"")],
        Check::DeclarationsKept,
    ),
    ("widens a policy", &[("actions   = [\"s3:GetObject\"]", "actions   = [\"s3:*\"]")], Check::DeclarationsKept),
    ("points at another bucket", &[("  bucket = aws_s3_bucket.site.id\n  acl ", "  bucket = \"other\"\n  acl ")], Check::DeclarationsKept),
    ("leaves the syntax broken", &[("output \"site\" {", "output \"site\" {{")], Check::Parses),
    ("leaves the columns", &[("acl    = \"private\"", "acl = \"private\"")], Check::Formatted),
    (
        "comments a block out",
        &[("resource \"aws_security_group\" \"web\" {", "/* resource \"aws_security_group\" \"web\" {")],
        Check::Parses,
    ),
];

fn bench(table: &RuleTable) -> Bench<'_> {
    let rule = table.find("s3-bucket-acl-public-read").unwrap();
    let bench = Bench::new(table, rule, &[("main.tf", MAIN), ("net/main.tf", NET)]).unwrap();
    assert_eq!(bench.fixed(), MAIN.replace(FIXED.0, FIXED.1));
    bench
}

#[test]
fn a_clean_fix_is_proven_and_no_sabotaged_one_is() {
    let table = RuleTable::embedded().unwrap();
    none_is_proven(&bench(&table), CLASSES);
}

#[test]
fn edits_that_do_not_tell_all_are_refused() {
    let table = RuleTable::embedded().unwrap();
    let bench = bench(&table);
    let honest = FileEdit::between("main.tf", MAIN, bench.fixed());
    let more = bench.fixed().replace("acme-site\"\n", "evil-site\"\n");
    let hidden = bench.judge_edits(&more, std::slice::from_ref(&honest)).unwrap_err();
    assert_eq!(hidden.check, Check::EditsFit);
    let elsewhere = FileEdit { path: "net/main.tf".into(), ..FileEdit::between("net/main.tf", NET, "") };
    assert_eq!(bench.judge_edits(bench.fixed(), &[honest.clone(), elsewhere]).unwrap_err().check, Check::EditsFit);
    let mut stale = honest.clone();
    stale.digest = keyblind_fix::digest("another text");
    assert_eq!(bench.judge_edits(bench.fixed(), &[stale]).unwrap_err().check, Check::EditsFit);
    let mut overlapping = honest;
    overlapping.edits.push(TextEdit { start: 0, end: 1, was: "t".into(), text: String::new() });
    assert_eq!(bench.judge_edits(bench.fixed(), &[overlapping]).unwrap_err().check, Check::EditsFit);
}

#[test]
fn a_claim_about_something_that_did_not_fail_is_refused() {
    let table = RuleTable::embedded().unwrap();
    let mut bench = bench(&table);
    bench.fix.proof.claim.address = "aws_s3_bucket.site_of_another".into();
    assert_eq!(bench.judge(bench.fixed()).unwrap_err().check, Check::FaultGone);
}
