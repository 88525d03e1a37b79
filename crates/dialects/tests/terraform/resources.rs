//! `count`, `for_each`, `dynamic`, overrides, JSON syntax, policy documents.

use super::support::{evaluate, evaluate_with, show};
use keyblind_dialects::terraform::Inputs;

#[test]
fn count_and_for_each_make_instances() {
    let project = evaluate(&[(
        "main.tf",
        r#"
        variable "names" { default = ["b", "a"] }
        resource "aws_s3_bucket" "counted" {
          count  = 2
          bucket = "bucket-${count.index}"
        }
        resource "aws_s3_bucket" "keyed" {
          for_each = { for name in var.names : name => upper(name) if name != "c" }
          bucket   = "${each.key}-${each.value}"
        }
        resource "aws_s3_bucket" "set" {
          for_each = toset(["x"])
          bucket   = each.value
        }
        resource "aws_s3_bucket" "none" { count = 0 }
        "#,
    )]);
    assert_eq!(
        project.addresses(),
        [
            "aws_s3_bucket.counted[0]",
            "aws_s3_bucket.counted[1]",
            "aws_s3_bucket.keyed[\"a\"]",
            "aws_s3_bucket.keyed[\"b\"]",
            "aws_s3_bucket.set[\"x\"]"
        ]
    );
    assert_eq!(show(&project.resource("aws_s3_bucket.counted[1]").body), "{bucket: \"bucket-1\"}");
    assert_eq!(show(&project.resource("aws_s3_bucket.keyed[\"b\"]").body), "{bucket: \"b-B\"}");
}

#[test]
fn dynamic_blocks_join_the_static_ones() {
    let project = evaluate(&[(
        "main.tf",
        r#"
        variable "rules" {
          default = [{ port = 22, cidrs = ["0.0.0.0/0"] }, { port = 80, cidrs = [] }]
        }
        resource "aws_security_group" "web" {
          ingress {
            from_port = 443
          }
          dynamic "ingress" {
            for_each = var.rules
            iterator = rule
            content {
              from_port   = rule.value.port
              description = "rule ${rule.key}"
              dynamic "nested" {
                for_each = rule.value.cidrs
                content { cidr = nested.value }
              }
            }
          }
        }
        "#,
    )]);
    assert_eq!(
        show(&project.resource("aws_security_group.web").body),
        "{ingress: [{from_port: 443}, {description: \"rule 0\", from_port: 22, nested: [{cidr: \"0.0.0.0/0\"}]}, {description: \"rule 1\", from_port: 80, nested: null}]}"
    );
}

#[test]
fn a_dynamic_block_over_something_unknown_may_not_be_there() {
    let project = evaluate(&[(
        "main.tf",
        r#"
        variable "logging" {}
        resource "aws_s3_bucket" "b" {
          dynamic "logging" {
            for_each = var.logging
            content { target_bucket = "logs" }
          }
        }
        "#,
    )]);
    assert_eq!(
        show(&project.resource("aws_s3_bucket.b").body),
        "{logging: ?(variable `logging` has no value, or null) one of [{target_bucket: \"logs\"}]}"
    );
}

#[test]
fn override_files_are_merged_over_the_others() {
    let project = evaluate(&[
        ("main.tf", "resource \"aws_instance\" \"web\" {\n  ami = \"a\"\n  size = 1\n  disk { gb = 1 }\n}\n"),
        ("override.tf", "resource \"aws_instance\" \"web\" {\n  ami = \"b\"\n  disk { gb = 2 }\n  disk { gb = 3 }\n}\n"),
    ]);
    let web = project.resource("aws_instance.web");
    assert_eq!(show(&web.body), "{ami: \"b\", disk: [{gb: 2}, {gb: 3}], size: 1}");
    assert_eq!(&*project.sources.file(web.header.file).path, "main.tf");
}

#[test]
fn json_syntax_is_the_same_configuration() {
    let project = evaluate(&[(
        "main.tf.json",
        r#"{
          "variable": {"name": {"type": "string", "default": "x"}},
          "locals": {"full": "${var.name}-y"},
          "resource": {"aws_s3_bucket": {"b": {
            "bucket": "${local.full}",
            "versioning": {"enabled": true},
            "dynamic": {"tag": {"for_each": ["p", "q"], "content": {"key": "${tag.value}"}}}
          }}}
        }"#,
    )]);
    assert_eq!(
        show(&project.resource("aws_s3_bucket.b").body),
        "{bucket: \"x-y\", tag: [{key: \"p\"}, {key: \"q\"}], versioning: {enabled: true}}"
    );
}

#[test]
fn variables_come_from_files_and_the_command_line() {
    let files = [
        (
            "main.tf",
            "variable \"a\" { default = 1 }\nvariable \"b\" {\n  type = list(string)\n}\noutput \"a\" { value = var.a }\noutput \"b\" { value = var.b }",
        ),
        ("terraform.tfvars", "a = 2\nb = [\"x\"]\n"),
        ("z.auto.tfvars", "a = 3\n"),
        ("prod.tfvars", "a = 4\n"),
    ];
    assert_eq!(evaluate(&files).output("a"), "3");
    let inputs = Inputs { variables: vec![("b".into(), "[\"y\", 1]".into())], var_files: vec!["prod.tfvars".into()] };
    let project = evaluate_with(&files, &inputs);
    assert_eq!((project.output("a"), project.output("b")), ("4".to_owned(), "[\"y\", \"1\"]".to_owned()));
}

#[test]
fn a_policy_document_becomes_its_json() {
    let project = evaluate(&[(
        "main.tf",
        r#"
        data "aws_iam_policy_document" "base" {
          statement {
            sid       = "Read"
            actions   = ["s3:GetObject"]
            resources = ["*"]
          }
        }
        data "aws_iam_policy_document" "p" {
          source_policy_documents = [data.aws_iam_policy_document.base.json]
          statement {
            effect  = "Deny"
            actions = ["s3:DeleteObject", "s3:PutObject"]
            resources = ["arn:aws:s3:::x/*"]
            principals {
              type        = "AWS"
              identifiers = ["*"]
            }
            condition {
              test     = "Bool"
              variable = "aws:SecureTransport"
              values   = ["false"]
            }
          }
        }
        output "json" { value = data.aws_iam_policy_document.p.json }
        "#,
    )]);
    let expected = r#"{
  "Version": "2012-10-17",
  "Statement": [
    {
      "Sid": "Read",
      "Effect": "Allow",
      "Action": "s3:GetObject",
      "Resource": "*"
    },
    {
      "Effect": "Deny",
      "Action": [
        "s3:PutObject",
        "s3:DeleteObject"
      ],
      "Resource": "arn:aws:s3:::x/*",
      "Principal": {
        "AWS": "*"
      },
      "Condition": {
        "Bool": {
          "aws:SecureTransport": "false"
        }
      }
    }
  ]
}"#;
    let json: String = serde_json::from_str(&project.output("json")).unwrap();
    assert_eq!(json, expected);
}
