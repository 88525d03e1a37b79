//! What can't be known stays unknown, with its reason, and with all that is known about it.

use super::support::{evaluate, show};
use keyblind_resource::ResourceGraph;

#[test]
fn an_attribute_that_the_provider_computes_keeps_its_reference() {
    let project = evaluate(&[(
        "main.tf",
        r#"
        resource "aws_s3_bucket" "b" { bucket = "x" }
        resource "aws_s3_bucket_policy" "p" {
          bucket = aws_s3_bucket.b.id
          policy = "${aws_s3_bucket.b.arn}/*"
          name   = aws_s3_bucket.b.bucket
        }
        "#,
    )]);
    assert_eq!(
        show(&project.resource("aws_s3_bucket_policy.p").body),
        "{bucket: ?(`aws_s3_bucket.b.id` is known only after apply), name: \"x\", policy: ?(`aws_s3_bucket.b.arn` is known only after apply) \"?/*\"}"
    );
    let graph = ResourceGraph::new(project.evaluation.resources);
    let links: Vec<(&str, &str)> = graph.outgoing(1).map(|link| (&*link.path, &*link.attribute)).collect();
    assert_eq!(links, [("bucket", "id"), ("name", "bucket"), ("policy", "arn")]);
}

#[test]
fn an_undecided_condition_leaves_its_branches() {
    let project = evaluate(&[(
        "main.tf",
        r#"
        variable "public" { type = bool }
        output "acl" { value = var.public ? "public-read" : "private" }
        output "key" { value = var.public ? "k" : null }
        output "compared" { value = (var.public ? "a" : "b") == "c" }
        "#,
    )]);
    assert_eq!(project.output("acl"), "?(variable `public` has no value) one of \"public-read\" | \"private\"");
    assert_eq!(project.output("key"), "?(variable `public` has no value, or null) one of \"k\" | null");
    assert_eq!(project.output("compared"), "false");
}

#[test]
fn a_cycle_is_unknown_and_not_a_hang() {
    let project = evaluate(&[("main.tf", "locals {\n  a = local.b\n  b = local.a\n}\noutput \"a\" { value = local.a }")]);
    assert_eq!(project.output("a"), "?(`local.a` depends on itself)");
}

#[test]
fn bombs_end_in_the_budget() {
    let project = evaluate(&[(
        "main.tf",
        r#"
        locals {
          a = range(1000000000)
          b = setproduct(range(1000), range(1000), range(1000), range(1000))
        }
        resource "null_resource" "many" { count = 1000000000 }
        output "a" { value = local.a }
        output "b" { value = local.b }
        "#,
    )]);
    assert!(project.output("a").contains("budget") || project.output("a").contains("more than"), "{}", project.output("a"));
    assert!(project.output("b").starts_with("?("), "{}", project.output("b"));
    assert_eq!(project.addresses(), ["null_resource.many"]);
}

#[test]
fn deep_nesting_does_not_overflow_the_stack() {
    let mut text = String::from("locals {\n  a0 = 1\n");
    for index in 1..5_000 {
        text.push_str(&format!("  a{index} = local.a{}\n", index - 1));
    }
    text.push_str("}\noutput \"a\" { value = local.a4999 }");
    assert_eq!(evaluate(&[("main.tf", &text)]).output("a"), "?(budget: nesting)");
}

#[test]
fn what_terraform_would_refuse_costs_only_itself() {
    let project = evaluate(&[(
        "main.tf",
        r#"
        resource "aws_s3_bucket" "b" {
          bucket = 1 + "x"
          acl    = "private"
          policy = file("../../etc/passwd")
          other  = var.nowhere
        }
        "#,
    )]);
    assert_eq!(
        show(&project.resource("aws_s3_bucket.b").body),
        "{acl: \"private\", bucket: ?(invalid expression: a number is needed, not string), other: ?(`var.nowhere` is not declared), policy: ?(file `../../etc/passwd` can't be read beneath the root)}"
    );
}

#[test]
fn a_variable_without_value_may_be_null() {
    let project = evaluate(&[("main.tf", "variable \"x\" {}\nresource \"null_resource\" \"r\" { count = var.x == null ? 1 : 0 }")]);
    assert_eq!(project.addresses(), ["null_resource.r"]);
}

#[test]
fn an_undeclared_resource_keeps_its_reference() {
    let project = evaluate(&[("main.tf", "resource \"aws_s3_bucket_acl\" \"a\" { bucket = \"x-${aws_s3_bucket.gone.id}\" }")]);
    let bucket = project.resource("aws_s3_bucket_acl.a").body.get("bucket").unwrap().as_unknown().unwrap().clone();
    assert_eq!((&*bucket.references[0].address, &*bucket.references[0].attribute), ("aws_s3_bucket.gone", "id"));
}
