//! The intrinsic functions, in both of their forms.

use super::support::{evaluate, value_of};

#[test]
fn texts_are_put_together() {
    for (expression, expected) in [
        ("!Join ['', [a, 1, true]]", r#""a1true""#),
        ("{'Fn::Join': [':', [a, b]]}", r#""a:b""#),
        ("!Join [',', [a, !Ref AWS::Region]]", r#"?(`AWS::Region` is known only after apply) "a,?""#),
        ("!Sub 'a${!Literal}b'", r#""a${Literal}b""#),
        ("!Sub ['${A}-${B}', {A: x, B: !Join ['', [y, z]]}]", r#""x-yz""#),
        ("!Sub '${R.Arn}/*'", r#"?(`R.Arn` is known only after apply) "?/*""#),
        ("!Sub 'a ${ unclosed'", r#""a ${ unclosed""#),
        ("!Split [',', 'a,b']", r#"["a", "b"]"#),
        ("!Select ['1', [a, b]]", r#""b""#),
        ("!Select [2, [a, b]]", "?(invalid expression: `Fn::Select`: the list has no element 2)"),
        ("!Base64 hello", r#""aGVsbG8=""#),
        ("Fn::Base64: !Sub 'x${AWS::Region}'", ""),
        ("!Cidr [10.0.0.0/16, 2, 8]", r#"["10.0.0.0/24", "10.0.1.0/24"]"#),
        ("!ToJsonString {a: [1, b]}", r#""{\"a\":[1,\"b\"]}""#),
        ("!Length [a, b, c]", "3"),
        ("!GetAZs ''", "?(the region's availability zones is known only when the stack is deployed)"),
        ("!ImportValue other-vpc", "?(the export `other-vpc` of another stack is known only when the stack is deployed)"),
        ("!Sub {'Rain::Embed': x.sh}", "?(not evaluated: `Rain::Embed`)"),
        ("!Mystery x", "?(not evaluated: `!Mystery`)"),
    ] {
        if !expected.is_empty() {
            assert_eq!(value_of("", expression), expected, "{expression}");
        }
    }
}

#[test]
fn what_is_encoded_stays_known() {
    let template =
        evaluate("Resources:\n  R:\n    Type: A::B::C\n    Properties:\n      UserData:\n        Fn::Base64: !Sub 'echo ${AWS::Region}'\n");
    assert_eq!(
        template.show("R", "UserData"),
        r#"?(`AWS::Region` is known only after apply) of ?(`AWS::Region` is known only after apply) "echo ?""#
    );
}

#[test]
fn mappings_are_looked_up() {
    let sections =
        "Mappings:\n  M:\n    a: {x: 1, y: same}\n    b: {x: 2, y: same}\nParameters:\n  E: {Type: String, AllowedValues: [a, c]}";
    assert_eq!(value_of(sections, "!FindInMap [M, a, x]"), "1");
    assert_eq!(value_of(sections, "!FindInMap [M, !Ref AWS::Region, y]"), r#""same""#);
    assert_eq!(value_of(sections, "!FindInMap [M, !Ref AWS::Region, x]"), "?(`AWS::Region` is known only after apply) one of 1 | 2");
    assert_eq!(value_of(sections, "!FindInMap [M, c, x]"), "?(invalid expression: the mapping `M` has no such keys)");
    assert_eq!(value_of(sections, "!FindInMap [M, c, x, {DefaultValue: 7}]"), "7");
    assert_eq!(value_of(sections, "!FindInMap [M, !Ref E, x, {DefaultValue: 7}]"), "?(parameter `E` has no value) one of 1 | 7");
    assert_eq!(value_of(sections, "!FindInMap [N, a, x]"), "?(invalid expression: there is no mapping `N`)");
}

#[test]
fn macros_make_unknown_what_they_touch() {
    let sections = "";
    assert_eq!(value_of(sections, "{'Fn::Transform': {Name: AWS::Include}, a: 1}"), "?(not evaluated: the macro `AWS::Include`)");
    assert_eq!(value_of(sections, "!Transform {Name: Other}"), "?(not evaluated: the macro `Other`)");
}

#[test]
fn both_syntaxes_say_the_same() {
    let yaml = evaluate(
        "Resources:\n  R:\n    Type: A::B::C\n    Properties:\n      Value: !Join ['-', [a, !GetAtt R.Arn, !Sub '${AWS::Region}']]\n      On: true\n",
    );
    let json = evaluate(
        r#"{"Resources": {"R": {"Type": "A::B::C", "Properties": {"Value": {"Fn::Join": ["-", ["a", {"Fn::GetAtt": ["R", "Arn"]}, {"Fn::Sub": "${AWS::Region}"}]]}, "On": true}}}}"#,
    );
    assert_eq!(yaml.show("R", "Value"), json.show("R", "Value"));
    assert_eq!(yaml.show("R", "On"), json.show("R", "On"));
}
