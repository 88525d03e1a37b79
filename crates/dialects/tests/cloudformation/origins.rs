//! Every value knows where it was written and what carried it.

use super::support::evaluate;

#[test]
fn values_lead_to_where_they_were_written() {
    let template = evaluate(
        "Parameters:
  Acl:
    Type: String
    Default: PublicRead
Mappings:
  M:
    a:
      b: mapped
Resources:
  Bucket:
    Type: AWS::S3::Bucket
    Properties:
      AccessControl: !Ref Acl
      Mapped: !FindInMap [M, a, b]
      Literal: here
",
    );
    let body = &template.resource("Bucket").body;
    let way = |name: &str| template.way(body.get(name).unwrap());
    assert_eq!(way("AccessControl"), [r#"13: !Ref Acl Parameter("Acl")"#, "4: PublicRead"]);
    assert_eq!(way("Mapped"), [r#"14: !FindInMap [M, a, b] Mapping("M")"#, "8: mapped"]);
    assert_eq!(way("Literal"), ["15: here"]);
    let bucket = template.resource("Bucket");
    assert_eq!(template.source.slice(bucket.header.range), "Bucket");
    assert!(template.source.slice(bucket.block.range).starts_with("Bucket:\n    Type"));
}

#[test]
fn elements_of_a_list_are_used_where_the_list_is() {
    let template = evaluate(
        "Parameters:\n  Cidrs: {Type: CommaDelimitedList, Default: '0.0.0.0/0,10.0.0.0/8'}\nResources:\n  R:\n    Type: A::B::C\n    Properties:\n      One: !Select [0, !Ref Cidrs]\n",
    );
    let one = template.resource("R").body.get("One").unwrap();
    assert_eq!(template.way(one), [r#"7: !Ref Cidrs Parameter("Cidrs")"#, "2: '0.0.0.0/0,10.0.0.0/8'"]);
}
