//! An account of which not everything could be read: what isn't known to be missing isn't called missing, and what is known to be is.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use keyblind_dialects::live;
use keyblind_rules::{RuleTable, Selection, Verdict, judge};
use keyblind_syntax::{SourceFile, SourceMap};

const VPC: &str =
    r#"{"answer":{"vpcSet":[{"cidrBlock":"10.0.0.0/16","vpcId":"vpc-1"}]},"call":"ec2:DescribeVpcs","page":0,"region":"eu-central-1"}"#;
const GROUP: &str = r#"{"answer":{"securityGroupInfo":[{"groupDescription":"web","groupId":"sg-1","groupName":"web","ipPermissions":null,"ipPermissionsEgress":null,"ownerId":"123456789012","vpcId":"vpc-1"}]},"call":"ec2:DescribeSecurityGroups","page":0,"region":"eu-central-1"}"#;

/// What the rules say of an account, as `rule: verdict`.
fn said(calls: &[&str], rules: &[&str]) -> Vec<String> {
    let calls = calls.join(",");
    let text = format!(
        r#"{{"account":"123456789012","calls":[{calls}],"format":1,"partition":"aws","regions":["eu-central-1"],"scrubbed":0,"unread":[]}}"#
    );
    let mut sources = SourceMap::default();
    let file = sources.add(SourceFile::new("account.json", text.as_str()));
    let mut evaluation = live::read(file, &text).unwrap();
    let table = RuleTable::embedded().unwrap();
    let selection = Selection::of(&table, |_, rule| rules.contains(&&*rule.id));
    let graph = evaluation.graph();
    let mut said: Vec<String> = judge(&table, &selection, &graph)
        .into_iter()
        .filter_map(|judgement| {
            let verdict = match judgement.verdict {
                Verdict::Fail(_) => "fail".to_owned(),
                Verdict::Pass => "pass".to_owned(),
                Verdict::Unknown(causes) => {
                    format!("unknown, {}", causes.first().map(|cause| cause.reason.to_string()).unwrap_or_default())
                }
                Verdict::NotApplicable => return None,
            };
            Some(format!("{}: {verdict}", table.meta(judgement.rule).id))
        })
        .collect();
    said.sort();
    said
}

fn failed(call: &str) -> String {
    format!(r#"{{"call":"{call}","failed":"denied","region":"eu-central-1"}}"#)
}

#[test]
fn what_was_not_read_is_not_missing() {
    let read = |call: &str, list: &str| format!(r#"{{"answer":{{"{list}":null}},"call":"{call}","page":0,"region":"eu-central-1"}}"#);
    let (logs, interfaces) = ("ec2:DescribeFlowLogs", "ec2:DescribeNetworkInterfaces");
    let rules = ["vpc-without-flow-log", "security-group-unused"];
    // Read, and there are none.
    let none = said(&[VPC, GROUP, &read(logs, "flowLogSet"), &read(interfaces, "networkInterfaceSet")], &rules);
    assert_eq!(none, ["security-group-unused: fail", "vpc-without-flow-log: fail"]);
    // Not read.
    let unread = said(&[VPC, GROUP, &failed(logs), &failed(interfaces)], &rules);
    assert_eq!(
        unread,
        [
            "security-group-unused: unknown, not in the snapshot: `ec2:DescribeNetworkInterfaces` couldn't be read in eu-central-1",
            "vpc-without-flow-log: unknown, not in the snapshot: `ec2:DescribeFlowLogs` couldn't be read in eu-central-1",
        ]
    );
    // What is there is there, whatever else couldn't be read.
    let log = r#"{"answer":{"flowLogSet":[{"flowLogId":"fl-1","resourceId":"vpc-1","trafficType":"ALL"}]},"call":"ec2:DescribeFlowLogs","page":0,"region":"eu-central-1"}"#;
    assert_eq!(said(&[VPC, log, &failed(logs)], &rules[..1]), ["vpc-without-flow-log: pass"]);
}

#[test]
fn an_account_without_a_password_policy_asks_for_nothing() {
    let rules = [
        "password-policy-allows-reuse",
        "password-policy-too-short",
        "password-policy-without-expiry",
        "password-policy-without-lowercase",
        "password-policy-without-number",
        "password-policy-without-symbol",
        "password-policy-without-uppercase",
    ];
    let none = r#"{"answer":null,"call":"iam:GetAccountPasswordPolicy","page":0,"region":"eu-central-1"}"#;
    let fails: Vec<String> = rules.iter().map(|rule| format!("{rule}: fail")).collect();
    assert_eq!(said(&[none], &rules), fails);
    // One that couldn't be read says nothing: the scan is incomplete, and says that.
    assert_eq!(said(&[&failed("iam:GetAccountPasswordPolicy")], &rules), Vec::<String>::new());
}
