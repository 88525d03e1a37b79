//! Conditions, known and unknown.

use super::support::{evaluate, value_of};

const SECTIONS: &str = "Parameters:
  Stage: {Type: String, Default: dev}
  Size: {Type: String}
  Mode: {Type: String, AllowedValues: [a, b]}
Conditions:
  IsDev: !Equals [!Ref Stage, dev]
  IsProd: !Not [!Condition IsDev]
  IsLarge: !Equals [!Ref Size, large]
  Never: !And [!Condition IsLarge, {Condition: IsProd}]
  Always: !Or [!Condition IsLarge, {Condition: IsDev}]
  IsNoMode: !Equals [!Ref Mode, c]
  IsCyclic: !Not [!Condition IsCyclic]
  IsNumber: !Equals [1, '1']";

#[test]
fn what_can_be_decided_is() {
    for (condition, expected) in [
        ("IsDev", r#""yes""#),
        ("IsProd", r#""no""#),
        ("Never", r#""no""#),
        ("Always", r#""yes""#),
        ("IsNoMode", r#""no""#),
        ("IsNumber", r#""yes""#),
        ("IsLarge", r#"?(parameter `Size` has no value) one of "yes" | "no""#),
        ("IsCyclic", r#"?(`IsCyclic` depends on itself) one of "yes" | "no""#),
        ("Missing", r#"?(`condition Missing` is not declared) one of "yes" | "no""#),
    ] {
        assert_eq!(value_of(SECTIONS, &format!("!If [{condition}, 'yes', 'no']")), expected, "{condition}");
    }
    assert_eq!(value_of(SECTIONS, "!If [IsLarge, same, same]"), r#""same""#);
    assert_eq!(value_of(SECTIONS, "!If [IsProd, x, !Ref AWS::NoValue]"), "nothing");
    assert_eq!(value_of(SECTIONS, "!If [IsLarge, x, !Ref AWS::NoValue]"), r#"?(parameter `Size` has no value, or null) one of "x" | null"#);
}

#[test]
fn a_resource_that_is_not_made_is_not_there() {
    let template = evaluate(&format!(
        "{SECTIONS}\nResources:\n  A: {{Type: X::Y::Z, Condition: IsProd}}\n  B: {{Type: X::Y::Z, Condition: IsDev}}\n  C: {{Type: X::Y::Z, Condition: IsLarge}}\nOutputs:\n  O: {{Condition: IsProd, Value: 1}}\n"
    ));
    let made: Vec<&str> = template.addresses().into_iter().filter(|address| !address.starts_with("parameter.")).collect();
    assert_eq!(made, ["B", "C"]);
}
