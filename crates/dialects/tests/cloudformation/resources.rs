//! Resources, what stands beside their properties, links, suppressions, and what can't be read.

use super::support::{evaluate, show};
use keyblind_resource::ResourceGraph;

#[test]
fn attributes_stand_apart_from_properties() {
    let template = evaluate(
        "Resources:\n  Db:\n    Type: AWS::RDS::DBInstance\n    DeletionPolicy: Retain\n    Properties: {Engine: mysql}\n  Bare:\n    Type: AWS::SQS::Queue\n",
    );
    let db = template.resource("Db");
    assert_eq!((&*db.type_key, db.label().as_str()), ("AWS::RDS::DBInstance", "AWS::RDS::DBInstance.Db"));
    assert_eq!(show(&db.body), r#"{Engine: "mysql"}"#);
    assert_eq!(show(db.body.get("@attributes").unwrap()), r#"{DeletionPolicy: "Retain"}"#);
    assert_eq!(show(&template.resource("Bare").body), "{}");
}

#[test]
fn references_are_links() {
    let template = evaluate(
        "Resources:
  Key: {Type: AWS::KMS::Key}
  Topic: {Type: AWS::SNS::Topic}
  Bucket:
    Type: AWS::S3::Bucket
    DependsOn: [Topic]
    Properties:
      KeyArn: !GetAtt Key.Arn
      Policy:
        Statement:
          - Resource: !Sub '${Topic}/*'
",
    );
    let graph = ResourceGraph::new(template.evaluation.resources);
    let links: Vec<(&str, &str)> = graph.outgoing(2).map(|link| (&*link.path, &*graph.resources[link.to].address)).collect();
    assert_eq!(links, [("@attributes.DependsOn", "Topic"), ("KeyArn", "Key"), ("Policy.Statement.Resource", "Topic")]);
}

#[test]
fn an_odd_resource_costs_itself_only() {
    let template = evaluate(
        "Resources:\n  Module: {Type: {'Rain::Module': ./x.yaml}}\n  Tagged: {Type: !Rain::Module x}\n  Text: just a text\n  Untyped: {Properties: {}}\n  Fine: {Type: AWS::SNS::Topic}\n  Fn::Transform: {Name: AWS::Include}\n",
    );
    assert_eq!(template.addresses(), ["Fine"]);
    assert_eq!(template.messages().len(), 5, "{:?}", template.messages());
}

#[test]
fn suppressions_in_metadata_are_read() {
    let template = evaluate(
        "Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Metadata:
      checkov:
        skip:
          - id: CKV_AWS_18
            comment: no logs needed
      cfn_nag:
        rules_to_suppress:
          - id: W35
            reason: as above
          - id: W41
",
    );
    let skips = &template.resource("Bucket").skips;
    let shown: Vec<(Vec<&str>, Option<&str>)> =
        skips.iter().map(|skip| (skip.ids.iter().map(|id| &**id).collect(), skip.reason.as_deref())).collect();
    assert_eq!(shown, [(vec!["CKV_AWS_18"], Some("no logs needed")), (vec!["W35"], Some("as above")), (vec!["W41"], None)]);
}

#[test]
fn templates_are_told_by_their_content() {
    for (text, expected) in [
        ("AWSTemplateFormatVersion: '2010-09-09'\n", true),
        ("---\n  AWSTemplateFormatVersion: '2010-09-09'\n  Resources: {}\n", true),
        ("Resources:\n  A:\n    Type: AWS::S3::Bucket\n", true),
        ("{\"Resources\": {\"A\": {\"Type\": \"AWS::S3::Bucket\"}}}", true),
        ("{\"Resources\": {\"A\": {\"Type\": \"AWS::S3::Bucket\"}}", true),
        ("AWSTemplateFormatVersion: '2010-09-09'\nResources: [\n", true),
        ("version: 0.0\nResources:\n  - F: {Type: AWS::Lambda::Function}\n", false),
        ("ROSTemplateFormatVersion: '2015-09-01'\nResources:\n  A: {Type: ALIYUN::ECS::Instance}\n", false),
        ("kind: ConfigMap\ndata:\n  Resources:\n    A:\n      Type: AWS::S3::Bucket\n", false),
        ("{\"kind\": \"List\", \"Resources\": []}", false),
    ] {
        assert_eq!(keyblind_dialects::cloudformation::recognises(text), expected, "{text}");
    }
}

#[test]
fn broken_texts_are_said_to_be_so() {
    for text in ["{\"Resources\": ", "Resources: [", "\t- x"] {
        let template = evaluate(text);
        assert!(!template.evaluation.diagnostics.is_empty(), "{text}");
    }
}

#[test]
fn deep_and_long_templates_end() {
    let chain = (0..20_000).map(|number| format!("  C{number}: !Not [!Condition C{}]\n", number + 1)).collect::<String>();
    let text = format!("Conditions:\n{chain}  C20000: !Equals [a, a]\nResources:\n  R: {{Type: A::B::C, Condition: C0}}\n");
    assert_eq!(evaluate(&text).addresses(), ["R"]);
    let items = vec!["x"; 20_000].join(",");
    let loops = format!(
        "Parameters:\n  L: {{Type: CommaDelimitedList, Default: '{items}'}}\nResources:\n  R:\n    Type: A::B::C\n    Properties:\n      V:\n{}",
        "        - !Ref L\n".repeat(2_000)
    );
    assert!(evaluate(&loops).resource("R").body.is_unknown());
}
