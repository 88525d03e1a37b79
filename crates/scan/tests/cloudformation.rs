//! Rules about templates: policies with functions in them, links, credentials, conversions.

#![allow(clippy::unwrap_used, reason = "a test that can't go on should fail")]

use keyblind_rules::{Language, RuleTable, read_texts};
use keyblind_scan::judge_example;

/// `fail`, `pass` or `unknown` for the only resource of the type that a decision is about.
fn verdict(type_name: &str, decision: &str, template: &str) -> &'static str {
    let text = format!(
        "id: rule\ntitle: Something is wrong\nseverity: high\nconfidence: high\nwhy: It is.\nfix: Mend it.\ncloudformation:\n  resources: {type_name}\n  {decision}\nexamples:\n  cloudformation: {{bad: x, good: x}}\n"
    );
    let (rules, errors) = read_texts(&[("rule.yaml".to_owned(), text)]);
    assert!(errors.is_empty(), "{errors:?}");
    let table = RuleTable::of(&rules).unwrap();
    let rule = table.find("rule").unwrap();
    let verdicts = judge_example(&table, rule, Language::CloudFormation, template);
    assert_eq!(verdicts.problems, [""; 0], "{template}");
    match (verdicts.failed, verdicts.passed, verdicts.unknown.len()) {
        (1, 0, 0) => "fail",
        (0, 1, 0) => "pass",
        (0, 0, 1) => "unknown",
        _ => panic!("{verdicts:?} about {template}"),
    }
}

fn policy(statement: &str) -> &'static str {
    let template = format!(
        "Parameters:\n  Caller: {{Type: String}}\nResources:\n  Role: {{Type: AWS::IAM::Role}}\n  Policy:\n    Type: AWS::SQS::QueuePolicy\n    Properties:\n      PolicyDocument:\n        {statement}\n"
    );
    verdict("AWS::SQS::QueuePolicy", "fail: {PolicyDocument|public-statements: {empty: false}}", &template)
}

#[test]
fn policies_are_read_with_the_functions_in_them() {
    for (statement, expected) in [
        ("Statement: [{Effect: Allow, Principal: '*', Action: 'sqs:*', Resource: !GetAtt Role.Arn}]", "fail"),
        ("Statement: {Effect: Allow, Principal: {AWS: [!GetAtt Role.Arn, '*']}, Action: 'sqs:*', Resource: '*'}", "fail"),
        ("Statement: {Effect: Allow, Principal: {AWS: !GetAtt Role.Arn}, Action: 'sqs:*', Resource: '*'}", "pass"),
        ("Statement: {Effect: Allow, Principal: {AWS: !Ref AWS::AccountId}, Action: 'sqs:*', Resource: '*'}", "pass"),
        (
            "Statement: {Effect: Allow, Principal: {AWS: !Sub 'arn:${AWS::Partition}:iam::${AWS::AccountId}:root'}, Action: 'sqs:*', Resource: '*'}",
            "pass",
        ),
        ("Statement: {Effect: Allow, Principal: {AWS: !Ref Caller}, Action: 'sqs:*', Resource: '*'}", "unknown"),
        ("Statement: {Effect: Allow, Principal: {AWS: !If [Undecided, '*', '*']}, Action: 'sqs:*', Resource: '*'}", "fail"),
        ("Statement: [!If [Undecided, !Ref AWS::NoValue, !Ref AWS::NoValue]]", "pass"),
        (
            "Statement: {Effect: Allow, Principal: '*', Action: 'sqs:*', Resource: '*', Condition: {StringEquals: {'aws:SourceAccount': !Ref AWS::AccountId}}}",
            "pass",
        ),
        (r#"!Sub '{"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "${Role.Arn}"}]}'"#, "fail"),
        (
            r#"!Join ['', ['{"Statement": [{"Effect": "Allow", "Principal": {"AWS": "', !GetAtt Role.Arn, '"}, "Action": "sqs:*", "Resource": "*"}]}']]"#,
            "pass",
        ),
    ] {
        assert_eq!(policy(statement), expected, "{statement}");
    }
}

#[test]
fn credentials_are_found_in_encoded_texts() {
    for (user_data, expected) in [
        ("Fn::Base64: 'export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE and more'", "fail"),
        ("Fn::Base64: !Sub 'region=${AWS::Region} AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE x'", "fail"),
        ("Fn::Base64: !Sub 'region=${AWS::Region}'", "pass"),
        ("!Ref Given", "pass"),
        ("'{{resolve:secretsmanager:Other}}'", "pass"),
    ] {
        let template = format!(
            "Parameters:\n  Given: {{Type: String, NoEcho: true}}\nResources:\n  I:\n    Type: AWS::EC2::Instance\n    Properties:\n      UserData:\n        {user_data}\n"
        );
        assert_eq!(verdict("AWS::EC2::Instance", "fail: {UserData|secrets: {empty: false}}", &template), expected, "{user_data}");
    }
}

#[test]
fn companions_are_found_by_reference_and_by_name() {
    let decision = "pass: {linked: {to: 'AWS::S3::BucketPolicy', by: Bucket, match: {Bucket: BucketName}}}";
    for (resources, expected) in [
        ("  B: {Type: AWS::S3::Bucket}\n  P: {Type: AWS::S3::BucketPolicy, Properties: {Bucket: !Ref B}}", "pass"),
        ("  B: {Type: AWS::S3::Bucket, Properties: {BucketName: n}}\n  P: {Type: AWS::S3::BucketPolicy, Properties: {Bucket: n}}", "pass"),
        ("  B: {Type: AWS::S3::Bucket}\n  P: {Type: AWS::S3::BucketPolicy, Properties: {Bucket: other}}", "fail"),
        // The policy may be in the other template.
        ("  B: {Type: AWS::S3::Bucket}\n  S: {Type: AWS::CloudFormation::Stack, Properties: {Parameters: {Name: !Ref B}}}", "unknown"),
    ] {
        assert_eq!(verdict("AWS::S3::Bucket", decision, &format!("Resources:\n{resources}\n")), expected, "{resources}");
    }
}

#[test]
fn references_know_the_type_that_they_lead_to() {
    let resources = "  P: {Type: AWS::IAM::ManagedPolicy}\n  R: {Type: AWS::IAM::Role, Properties: {Arns: [!Ref P]}}";
    let template = format!("Resources:\n{resources}\n");
    assert_eq!(verdict("AWS::IAM::Role", "fail: {Arns: {refers-to: 'AWS::IAM::ManagedPolicy'}}", &template), "fail");
    assert_eq!(verdict("AWS::IAM::Role", "fail: {Arns: {refers-to: 'AWS::IAM::Group'}}", &template), "pass");
}

#[test]
fn texts_count_as_what_they_say() {
    for (value, expected) in [("true", "pass"), ("'true'", "pass"), ("yes", "pass"), ("'false'", "fail"), ("!Ref P", "pass")] {
        let template = format!(
            "Parameters:\n  P: {{Type: String, Default: true}}\nResources:\n  D: {{Type: AWS::RDS::DBInstance, Properties: {{StorageEncrypted: {value}, Port: '22'}}}}\n"
        );
        assert_eq!(verdict("AWS::RDS::DBInstance", "pass: {StorageEncrypted: true}", &template), expected, "{value}");
        assert_eq!(verdict("AWS::RDS::DBInstance", "pass: {Port: 22}", &template), "pass");
    }
}

#[test]
fn what_stands_beside_the_properties_can_be_asked_for() {
    let template = "Resources:\n  D: {Type: AWS::RDS::DBInstance, DeletionPolicy: Retain}\n";
    assert_eq!(verdict("AWS::RDS::DBInstance", "pass: {'\"@attributes\".DeletionPolicy': Retain}", template), "pass");
    assert_eq!(verdict("AWS::RDS::DBInstance", "fail: {'\"@attributes\".UpdateReplacePolicy': {exists: false}}", template), "fail");
}
