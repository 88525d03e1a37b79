//! Policy documents.

use keyblind_resource::{Origin, Value};
use keyblind_rules::Verdict;
use keyblind_syntax::{FileId, Site, TextRange};
use serde_json::{Value as Json, json};

use crate::support::{check, judgements, resource_of, table, value};

fn policy(statement: Json) -> Json {
    json!({"policy": json!({"Version": "2012-10-17", "Statement": statement}).to_string()})
}

#[test]
fn statements_have_one_form() {
    let admin = "{some: {in: policy|statements, where: {effect: Allow, actions: {contains: '*'}, resources: {contains: '*'}}}}";
    let terraform = json!({"policy": {"statement": [{"actions": ["*"], "resources": ["*"]}]}});
    let trust = "{some: {in: policy|statements, where: {some: {in: principals, where: {type: AWS, id: '*'}}}}}";
    check(&[
        (admin, policy(json!([{"Effect": "Allow", "Action": "*", "Resource": "*"}])), "true"),
        (admin, policy(json!({"Effect": "Allow", "Action": ["*"], "Resource": ["*"]})), "true"),
        (admin, policy(json!([{"Effect": "Deny", "Action": "*", "Resource": "*"}])), "false"),
        (admin, terraform, "true"),
        (admin, json!({"policy": "not json"}), "false"),
        (trust, policy(json!([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ["*"]}}])), "true"),
        (trust, policy(json!([{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}])), "false"),
        (
            "{some: {in: policy|statements, where: {some: {in: conditions, where: {operator: StringEquals, key: 'aws:x', values: {contains: y}}}}}}",
            policy(json!([{"Condition": {"StringEquals": {"aws:x": "y"}}}])),
            "true",
        ),
    ]);
}

#[test]
fn statements_that_grant_to_anybody_are_public() {
    let public = "{some: {in: policy|public-statements, where: {witness: {exists: true}}}}";
    let of = |principal: Json, condition: Json| {
        let mut statement = json!({"Effect": "Allow", "Principal": principal, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"});
        if !condition.is_null() {
            statement["Condition"] = condition;
        }
        policy(json!([statement]))
    };
    let anybody = || json!("*");
    check(&[
        (public, of(anybody(), Json::Null), "true"),
        (public, of(json!({"AWS": "*"}), Json::Null), "true"),
        (public, of(json!({"AWS": ["arn:aws:iam::123456789012:root", "*"]}), Json::Null), "true"),
        (public, of(json!({"AWS": "arn:aws:iam::*:root"}), Json::Null), "true"),
        (public, of(json!({"AWS": "arn:aws:iam::123456789012:root"}), Json::Null), "false"),
        (public, of(json!({"Service": "s3.amazonaws.com"}), Json::Null), "false"),
        (public, of(anybody(), json!({"StringEquals": {"aws:SourceAccount": "123456789012"}})), "false"),
        (public, of(anybody(), json!({"StringEquals": {"aws:PrincipalOrgID": "o-123"}})), "false"),
        (public, of(anybody(), json!({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::bucket"}})), "false"),
        (public, of(anybody(), json!({"ArnLike": {"aws:SourceArn": "*"}})), "true"),
        (public, of(anybody(), json!({"ArnLike": {"aws:SourceArn": "arn:aws:sns:*:*:topic"}})), "true"),
        (public, of(anybody(), json!({"StringEqualsIfExists": {"aws:SourceAccount": "123456789012"}})), "true"),
        (public, of(anybody(), json!({"ForAllValues:StringEquals": {"aws:PrincipalOrgID": "o-123"}})), "true"),
        (public, of(anybody(), json!({"StringNotEquals": {"aws:SourceAccount": "123456789012"}})), "true"),
        (public, of(anybody(), json!({"Bool": {"aws:SecureTransport": "true"}})), "true"),
        (public, of(anybody(), json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24"]}})), "false"),
        (public, of(anybody(), json!({"IpAddress": {"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/0"]}})), "true"),
        (public, of(anybody(), json!({"IpAddress": {"aws:SourceIp": ["0.0.0.0/1", "128.0.0.0/1"]}})), "true"),
        (public, policy(json!([{"Effect": "Allow", "NotPrincipal": {"AWS": "arn:aws:iam::1:root"}, "Action": "*"}])), "true"),
        (public, policy(json!([{"Effect": "Deny", "Principal": "*", "Action": "*"}])), "false"),
    ]);
}

#[test]
fn unknown_parts_leave_it_open_only_where_they_matter() {
    let public = "{some: {in: policy|public-statements, where: {effect: Allow}}}";
    let of = |principal: Json, condition: Json| json!({"policy": {"$unknown": {"document": {"Statement": [{"Effect": "Allow", "Principal": principal, "Condition": condition}]}}}});
    check(&[
        (public, of(json!({"AWS": {"$unknown": true}}), Json::Null), "unknown"),
        (public, of(json!({"AWS": {"$unknown": {"of": "aws_iam_role.r.arn"}}}), Json::Null), "false"),
        (public, of(json!({"AWS": {"$unknown": ["arn:aws:iam::", null, ":root"]}}), Json::Null), "false"),
        (public, of(json!("*"), json!({"StringEquals": {"aws:SourceArn": {"$unknown": {"of": "aws_s3_bucket.b.arn"}}}})), "false"),
        (public, of(json!("*"), json!({"StringEquals": {"aws:SourceArn": {"$unknown": true}}})), "false"),
        (public, of(json!("*"), json!({"ArnLike": {"aws:SourceArn": {"$unknown": true}}})), "unknown"),
    ]);
}

#[test]
fn what_a_provider_computes_is_no_pattern_for_everything() {
    let of = |resource: Json| json!({"policy": {"$unknown": {"document": {"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": resource}]}}}});
    let everything = "{some: {in: policy|statements, where: {resources: {contains: '*'}}}}";
    let writes = "{'policy|escalations(unrestricted-write)': {empty: false}}";
    for condition in [everything, writes] {
        check(&[
            (condition, of(json!({"$unknown": {"of": "aws_s3_bucket.b.arn"}})), "false"),
            (condition, of(json!([{"$unknown": {"of": "aws_s3_bucket.b.arn"}}, {"$unknown": [null, "/*"]}])), "false"),
            (condition, of(json!({"$unknown": true})), "unknown"),
            (condition, of(json!(["*", {"$unknown": true}])), "true"),
        ]);
    }
}

#[test]
fn ways_to_misuse_a_policy_have_a_witness() {
    let escalates = "{some: {in: 'policy|escalations(privilege-escalation)', where: {witness: {matches: 'iam:PassRole.*ec2:RunInstances'}, actions: {contains: 'iam:PassRole'}}}}";
    let none = "{'policy|escalations(privilege-escalation)': {empty: true}}";
    let both = policy(json!([{"Effect": "Allow", "Action": ["iam:PassRole", "ec2:RunInstances"], "Resource": "*"}]));
    let one = policy(json!([{"Effect": "Allow", "Action": ["ec2:RunInstances"], "Resource": "*"}]));
    check(&[(escalates, both.clone(), "true"), (none, both, "false"), (escalates, one.clone(), "false"), (none, one, "true")]);
    check(&[(none, json!({"policy": {"$unknown": true}}), "unknown")]);
}

#[test]
fn the_guilty_statement_is_shown() {
    let site = |start| Site::new(FileId(0), TextRange::new(start, start + 5));
    let statement = |start, json: Json| value(&json).with_origin(Origin::Site(site(start)));
    let statements = Value::tuple(vec![
        statement(100, json!({"actions": ["ec2:RunInstances"], "resources": ["*"]})),
        statement(200, json!({"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::b/*"]})),
        statement(300, json!({"actions": ["iam:CreateAccessKey"], "resources": ["*"]})),
    ]);
    let body = Value::object([("statement".into(), statements)]);
    let table = table("pass: {'@|escalations(privilege-escalation)': {empty: true}}");
    let (_, found) = judgements(&table, vec![resource_of("test_resource.x", body)]);
    let Verdict::Fail(failure) = &found[0].verdict else { panic!("a fail") };
    assert_eq!(failure.evidence[0].site, Some(site(300)));
}
