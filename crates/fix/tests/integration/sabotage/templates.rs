//! Changes of a template that mend the fault and do something else as well: none is proven.

use keyblind_fix::proof::Check;
use keyblind_rules::RuleTable;

use super::{Class, none_is_proven};
use crate::bench::Bench;

const TEMPLATE: &str = r#"AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::LanguageExtensions
Parameters:
  Size:
    Type: Number
    Default: 20
Conditions:
  IsLive: !Equals [live, live]
Mappings:
  Regions:
    eu-west-1: {Image: ami-0123456789abcdef0}
Resources:
  # The shop's orders.
  Orders:
    Type: AWS::RDS::DBInstance
    Condition: IsLive
    DeletionPolicy: Snapshot
    Properties:
      Engine: postgres
      AllocatedStorage: !Ref Size
      StorageEncrypted: true
      PubliclyAccessible: true # as agreed
  Web:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: web
      SecurityGroupIngress: &ingress
        - {IpProtocol: tcp, FromPort: 443, ToPort: 443, CidrIp: 10.0.0.0/8}
  Inner:
    Type: AWS::EC2::SecurityGroup
    Properties:
      GroupDescription: inner
      SecurityGroupIngress: *ingress
Outputs:
  Orders:
    Value: !GetAtt Orders.Endpoint.Address
"#;

const FIXED: &str = "PubliclyAccessible: false # as agreed";

/// What changes the fixed text, and the check that is to catch it.
const CLASSES: &[Class] = &[
    ("opens a port", &[("CidrIp: 10.0.0.0/8", "CidrIp: 0.0.0.0/0")], Check::DeclarationsKept),
    ("turns encryption off", &[("StorageEncrypted: true", "StorageEncrypted: false")], Check::DeclarationsKept),
    ("drops encryption", &[("      StorageEncrypted: true\n", "")], Check::DeclarationsKept),
    ("changes the default of a parameter", &[("Default: 20", "Default: 200")], Check::DeclarationsKept),
    ("adds a parameter", &[("Parameters:\n", "Parameters:\n  More:\n    Type: String\n")], Check::DeclarationsKept),
    (
        "moves the fault into a parameter",
        &[
            (FIXED, "PubliclyAccessible: !Ref Public # as agreed"),
            ("Parameters:\n", "Parameters:\n  Public:\n    Type: String\n    Default: true\n"),
        ],
        Check::DeclarationsKept,
    ),
    ("adds a suppression as a comment", &[("# as agreed", "# as agreed keyblind:ignore[*]")], Check::CommentsKept),
    ("adds a number as a comment", &[("Engine: postgres\n", "Engine: postgres # 1.2\n")], Check::CommentsKept),
    ("takes a comment out", &[("  # The shop's orders.\n", "")], Check::CommentsKept),
    (
        "adds a suppression as metadata",
        &[("    DeletionPolicy: Snapshot\n", "    DeletionPolicy: Snapshot\n    Metadata:\n      checkov: {skip: [{id: CKV_AWS_17}]}\n")],
        Check::DeclarationsKept,
    ),
    ("lets the resource be deleted", &[("DeletionPolicy: Snapshot", "DeletionPolicy: Delete")], Check::DeclarationsKept),
    ("makes no resource", &[("!Equals [live, live]", "!Equals [live, test]")], Check::DeclarationsKept),
    ("takes the condition away", &[("    Condition: IsLive\n", "")], Check::DeclarationsKept),
    ("renames the resource", &[("  Orders:\n    Type", "  Bestellungen:\n    Type")], Check::DeclarationsKept),
    ("makes it of another type", &[("Type: AWS::RDS::DBInstance", "Type: AWS::RDS::DBCluster")], Check::DeclarationsKept),
    (
        "deletes a resource",
        &[(
            "  Inner:\n    Type: AWS::EC2::SecurityGroup\n    Properties:\n      GroupDescription: inner\n      SecurityGroupIngress: *ingress\n",
            "",
        )],
        Check::DeclarationsKept,
    ),
    ("adds a resource", &[("Outputs:\n", "  More:\n    Type: AWS::SQS::Queue\nOutputs:\n")], Check::DeclarationsKept),
    ("adds a macro", &[("Transform: AWS::LanguageExtensions", "Transform: Evil")], Check::DeclarationsKept),
    ("changes a mapping", &[("ami-0123456789abcdef0", "ami-0fedcba9876543210")], Check::DeclarationsKept),
    ("changes an output", &[("Orders.Endpoint.Address", "Orders.MasterUserSecret.SecretArn")], Check::DeclarationsKept),
    ("changes another tag", &[("!Ref Size", "!Sub Size")], Check::DeclarationsKept),
    ("says a key twice", &[("      Engine: postgres\n", "      Engine: postgres\n      Engine: mysql\n")], Check::DeclarationsKept),
    ("adds a document", &[("Outputs:\n", "---\nOutputs:\n")], Check::DeclarationsKept),
    ("leaves the syntax broken", &[("Outputs:\n", "Outputs: [\n")], Check::Parses),
    ("leaves white space", &[("Engine: postgres\n", "Engine: postgres  \n")], Check::Formatted),
    ("does nothing", &[(FIXED, "PubliclyAccessible: true # as agreed")], Check::FaultGone),
];

#[test]
fn a_clean_fix_of_a_template_is_proven_and_no_sabotaged_one_is() {
    let table = RuleTable::embedded().unwrap();
    let rule = table.find("database-publicly-accessible").unwrap();
    let bench = Bench::new(&table, rule, &[("template.yaml", TEMPLATE)]).unwrap();
    assert!(bench.fixed().contains(FIXED), "{}", bench.fixed());
    none_is_proven(&bench, CLASSES);
}
