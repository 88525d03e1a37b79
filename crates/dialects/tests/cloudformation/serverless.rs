//! `Globals` of the Serverless Application Model.

use super::support::evaluate;

const TEMPLATE: &str = "Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.12
    Timeout: 3
    Environment:
      Variables: {A: 1, B: 2}
    Layers: [shared]
    VpcConfig: {SubnetIds: [s]}
  Api:
    TracingEnabled: true
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      Timeout: 9
      Environment:
        Variables: {B: 3}
      Layers: [own]
  Plain:
    Type: AWS::Lambda::Function
    Properties: {Timeout: 1}
";

#[test]
fn what_a_function_says_itself_is_stronger() {
    let template = evaluate(TEMPLATE);
    for (property, expected) in [
        ("Timeout", "9"),
        ("Runtime", r#""python3.12""#),
        ("Environment", "{Variables: {A: 1, B: 3}}"),
        ("Layers", r#"["shared", "own"]"#),
        ("VpcConfig", r#"{SubnetIds: ["s"]}"#),
        ("TracingEnabled", "nothing"),
    ] {
        assert_eq!(template.show("F", property), expected, "{property}");
    }
    assert_eq!(template.show("Plain", "Runtime"), "nothing");
}

#[test]
fn what_is_shared_is_used_at_the_function() {
    let template = evaluate(TEMPLATE);
    let runtime = template.resource("F").body.get("Runtime").unwrap();
    assert_eq!(template.way(runtime), [r#"13: F Global("Globals.Function")"#, "4: python3.12"]);
}
