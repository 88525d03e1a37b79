//! Parameters, pseudo parameters, and what stands for values from elsewhere.

use super::support::{evaluate, show, value_of};

#[test]
fn a_default_is_the_value() {
    let sections = "Parameters:\n  P: {Type: String, Default: text}\n  N: {Type: Number, Default: 8}";
    assert_eq!(value_of(sections, "!Ref P"), r#""text""#);
    assert_eq!(value_of(sections, "{Ref: N}"), "8");
    assert_eq!(value_of(sections, "!Sub '${P}-${N}'"), r#""text-8""#);
}

#[test]
fn without_default_it_is_one_of_the_allowed_values() {
    let sections =
        "Parameters:\n  P: {Type: String}\n  A: {Type: String, AllowedValues: [a, b]}\n  O: {Type: String, AllowedValues: [only]}";
    assert_eq!(value_of(sections, "!Ref P"), "?(parameter `P` has no value)");
    assert_eq!(value_of(sections, "!Ref A"), r#"?(parameter `A` has no value) one of "a" | "b""#);
    assert_eq!(value_of(sections, "!Ref O"), r#""only""#);
    assert_eq!(value_of(sections, "!Sub 'x-${P}'"), r#"?(parameter `P` has no value) "x-?""#);
}

#[test]
fn lists_are_taken_apart() {
    let sections = "Parameters:\n  L: {Type: CommaDelimitedList, Default: 'a, b,c'}\n  E: {Type: 'List<Number>', Default: ''}\n  U: {Type: 'List<AWS::EC2::Subnet::Id>'}";
    assert_eq!(value_of(sections, "!Ref L"), r#"["a", "b", "c"]"#);
    assert_eq!(value_of(sections, "!Select [1, !Ref L]"), r#""b""#);
    assert_eq!(value_of(sections, "!Join ['-', !Ref L]"), r#""a-b-c""#);
    assert_eq!(value_of(sections, "!Ref E"), "[]");
    assert_eq!(value_of(sections, "!Select [0, !Ref U]"), "?(parameter `U` has no value)");
}

#[test]
fn stored_values_are_known_only_to_the_deployment() {
    let sections = "Parameters:\n  S: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /ami}\n  K: {Type: 'AWS::SSM::Parameter::Name', Default: /key}";
    assert_eq!(value_of(sections, "!Ref S"), "?(the value of the SSM parameter `/ami` is known only when the stack is deployed)");
    assert_eq!(value_of(sections, "!Ref K"), r#""/key""#);
    assert_eq!(
        value_of("", "'x-{{resolve:secretsmanager:S:SecretString:p}}'"),
        r#"?(`{{resolve:secretsmanager:S:SecretString:p}}` is known only when the stack is deployed) "x-?""#
    );
}

#[test]
fn pseudo_parameters_are_unknown_parts() {
    assert_eq!(
        value_of("", "!Sub 'arn:${AWS::Partition}:iam::aws:policy/X'"),
        r#"?(`AWS::Partition` is known only after apply) "arn:?:iam::aws:policy/X""#
    );
    assert_eq!(value_of("", "!Ref AWS::NoValue"), "nothing");
    assert_eq!(value_of("", "[a, !Ref AWS::NoValue, b]"), r#"["a", "b"]"#);
}

#[test]
fn a_parameter_that_is_not_echoed_is_sensitive() {
    let template = evaluate(
        "Parameters:\n  Secret: {Type: String, NoEcho: 'true', Default: hush}\nResources:\n  R:\n    Type: A::B::C\n    Properties: {Plain: !Ref Secret, Text: !Sub 'x${Secret}'}\n",
    );
    let body = &template.resource("R").body;
    assert!(body.get("Plain").unwrap().sensitive && body.get("Text").unwrap().sensitive);
    let parameter = template.resource("parameter.Secret");
    assert_eq!((&*parameter.type_key, parameter.label().as_str()), ("parameter", "parameter.Secret"));
    assert!(parameter.body.get("Default").unwrap().sensitive);
    assert_eq!(show(parameter.body.get("Type").unwrap()), r#""String""#);
}

#[test]
fn names_that_nothing_declares_are_unknown() {
    assert_eq!(value_of("", "!Ref Nothing"), "?(`Nothing` is not declared)");
    assert_eq!(value_of("", "!GetAtt R.Arn"), "?(`R.Arn` is known only after apply)");
    assert_eq!(
        value_of("Transform: AWS::Serverless-2016-10-31", "!Ref ServerlessRestApi"),
        "?(`ServerlessRestApi.Ref` is known only after apply)"
    );
}
