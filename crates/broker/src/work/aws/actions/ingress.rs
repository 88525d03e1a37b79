//! One rule of a security group that lets traffic in: taken away, or put back.
//!
//! The state is all that the group lets in. A rule is what EC2 takes it for: its protocol, its ports and its source; what is written
//! beside it is put back with it, tags of a rule aren't.

use std::collections::BTreeSet;

use keyblind_intent::{Action, ApplyAction, Line, Outcome, Refusal, SecurityGroupRule, Source, TransportProtocol};
use serde_json::{Map, Value, json};

use super::{At, Found, NOTHING_TO_DO, Trouble};
use crate::providers::aws::xml::{items, text};
use crate::providers::aws::{ApiError, AwsError};

/// Pages of an answer that are read, and how many entries one has: a group has at most a thousand rules.
const PAGES: usize = 50;
const PAGE: &str = "500";

pub(super) async fn look(at: &At<'_>, request: &ApplyAction, rule: &SecurityGroupRule, present: bool) -> Result<Found, Trouble> {
    let state = state(at, request).await?;
    let mut rules = items(&state, "rules").to_vec();
    let wanted = key_of(request, rule);
    let position = rules.iter().position(|known| key(known) == wanted);
    let inverse = match (position, present) {
        (Some(_), true) => return Err(NOTHING_TO_DO),
        (None, false) => return Err(ApiError::NotSet.into()),
        (Some(position), false) => {
            let known = rules.remove(position);
            let description = text(&known, "description").map(Line::new).transpose();
            // What can't be written down can't be put back.
            let description = description.map_err(|_| Trouble::Told(Outcome::Refused(Refusal::NotOffered)))?;
            Action::SetIngressRule { rule: SecurityGroupRule { description, ..rule.clone() }, present: true }
        }
        (None, true) => {
            rules.push(written(request, rule));
            Action::SetIngressRule { rule: rule.clone(), present: false }
        }
    };
    let after = json!({"group": group(request), "rules": in_order(rules)});
    Ok(Found { state, after, reach: reach(at, request).await?, inverse })
}

pub(super) async fn state(at: &At<'_>, request: &ApplyAction) -> Result<Value, Trouble> {
    let mut rules = Vec::new();
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group(request))];
    let pages = pages(at, request, "DescribeSecurityGroupRules", &filter).await?;
    for found in pages.iter().flat_map(|page| items(page, "securityGroupRuleSet")) {
        // An answer about another group than was asked for would be a fault of somebody's; it counts for nothing here.
        if text(found, "groupId") != Some(group(request)) || text(found, "isEgress") != Some("false") {
            continue;
        }
        if text(found, "groupOwnerId").is_some_and(|owner| owner != request.account().as_str()) {
            return Err(ApiError::Elsewhere.into());
        }
        rules.push(read(found, request.account().as_str()));
    }
    Ok(json!({"group": group(request), "rules": in_order(rules)}))
}

/// The part of a state that is this rule's, as it is without what is written beside it: nothing if it isn't there.
pub(super) fn own(request: &ApplyAction, state: &Value, rule: &SecurityGroupRule) -> Value {
    let wanted = key_of(request, rule);
    items(state, "rules").iter().map(key).find(|known| *known == wanted).unwrap_or_default()
}

pub(super) async fn act(at: &At<'_>, request: &ApplyAction, rule: &SecurityGroupRule, present: bool) -> Result<(), Trouble> {
    let name = if present { "AuthorizeSecurityGroupIngress" } else { "RevokeSecurityGroupIngress" };
    super::tried_and_done(at, request, name, fields(group(request), rule, present)).await
}

/// What uses the group. Counts aren't said: where machines come and go, they are others a minute later.
async fn reach(at: &At<'_>, request: &ApplyAction) -> Result<Vec<String>, Trouble> {
    let filter = [("Filter.1.Name", "group-id"), ("Filter.1.Value.1", group(request))];
    let pages = pages(at, request, "DescribeNetworkInterfaces", &filter).await?;
    let mut kinds = BTreeSet::new();
    let mut is_public = false;
    for interface in pages.iter().flat_map(|page| items(page, "networkInterfaceSet")) {
        if !items(interface, "groupSet").iter().any(|found| text(found, "groupId") == Some(group(request))) {
            continue;
        }
        is_public |= interface.get("association").and_then(|association| text(association, "publicIp")).is_some();
        kinds.insert(match text(interface, "interfaceType") {
            Some("interface") | None => "machines",
            Some("lambda") => "functions",
            Some("load_balancer" | "network_load_balancer" | "gateway_load_balancer") => "load balancers",
            Some("nat_gateway") => "NAT gateways",
            Some("vpc_endpoint" | "gateway_load_balancer_endpoint") => "endpoints",
            Some(_) => "other interfaces",
        });
    }
    Ok(if kinds.is_empty() {
        vec!["No network interface uses this group now.".to_owned()]
    } else {
        let kinds = kinds.into_iter().collect::<Vec<_>>().join(", ");
        let public = if is_public { "some with public addresses" } else { "none with a public address" };
        vec![format!("This group is used by: {kinds} ({public}).")]
    })
}

async fn pages(at: &At<'_>, request: &ApplyAction, name: &'static str, filter: &[(&str, &str)]) -> Result<Vec<Value>, Trouble> {
    let mut pages = Vec::new();
    let mut next: Option<String> = None;
    for _ in 0..PAGES {
        let mut fields: Vec<(String, String)> = filter.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        fields.push(("MaxResults".to_owned(), PAGE.to_owned()));
        fields.extend(next.take().map(|token| ("NextToken".to_owned(), token)));
        let page = at.api.read(at.keys, &super::of_ec2(request, name, fields)).await?.of(&format!("{name}Response"))?;
        next = text(&page, "nextToken").map(ToOwned::to_owned);
        pages.push(page);
        if next.is_none() {
            return Ok(pages);
        }
    }
    // Half of a state is none.
    Err(ApiError::from(AwsError::Unintelligible).into())
}

fn group(request: &ApplyAction) -> &str {
    request.resource().resource().rsplit('/').next().unwrap_or_default()
}

/// A rule as EC2 tells it to that account, in the few words that make it one.
fn read(found: &Value, account: &str) -> Value {
    let mut rule = Map::new();
    let mut put = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            rule.insert(name.to_owned(), value.into());
        }
    };
    let protocol = text(found, "ipProtocol").unwrap_or("-1");
    put("protocol", Some(protocol));
    let port = |name| text(found, name).filter(|port| *port != "-1" && protocol != "-1");
    put("from", port("fromPort"));
    put("to", port("toPort"));
    put("network", text(found, "cidrIpv4").or_else(|| text(found, "cidrIpv6")));
    put("prefix-list", text(found, "prefixListId"));
    let group = found.get("referencedGroupInfo");
    put("group", group.and_then(|group| text(group, "groupId")));
    // Another account's group is another one, whatever it is called; one's own needs no owner.
    put("group-account", group.and_then(|group| text(group, "userId")).filter(|owner| *owner != account));
    put("description", text(found, "description"));
    Value::Object(rule)
}

/// The same from a rule of an action.
fn written(request: &ApplyAction, rule: &SecurityGroupRule) -> Value {
    let mut found = Map::new();
    found.insert("protocol".to_owned(), protocol(rule.protocol).into());
    let ports = [("from", rule.from), ("to", rule.to)];
    found.extend(ports.into_iter().filter_map(|(name, port)| Some((name.to_owned(), port?.0.to_string().into()))));
    let (name, source) = match &rule.source {
        Source::Network(network) => ("network", network.as_str()),
        Source::Group(group) => ("group", group.as_str()),
        Source::GroupOf { account, group } => {
            if account != request.account() {
                found.insert("group-account".to_owned(), account.as_str().into());
            }
            ("group", group.as_str())
        }
    };
    found.insert(name.to_owned(), source.into());
    found.extend(rule.description.as_ref().map(|text| ("description".to_owned(), text.as_str().into())));
    Value::Object(found)
}

/// What makes a rule the same to EC2: everything but what is written beside it.
fn key(rule: &Value) -> Value {
    let mut key = rule.clone();
    if let Value::Object(fields) = &mut key {
        fields.remove("description");
    }
    key
}

fn key_of(request: &ApplyAction, rule: &SecurityGroupRule) -> Value {
    key(&written(request, rule))
}

fn in_order(mut rules: Vec<Value>) -> Vec<Value> {
    rules.sort_by_key(Value::to_string);
    rules
}

fn protocol(protocol: TransportProtocol) -> &'static str {
    match protocol {
        TransportProtocol::Tcp => "tcp",
        TransportProtocol::Udp => "udp",
        TransportProtocol::Icmp => "icmp",
        TransportProtocol::Icmpv6 => "icmpv6",
        TransportProtocol::All => "-1",
    }
}

fn fields(group: &str, rule: &SecurityGroupRule, present: bool) -> Vec<(String, String)> {
    let mut fields = vec![("GroupId".to_owned(), group.to_owned())];
    let mut put = |name: &str, value: &str| fields.push((format!("IpPermissions.1.{name}"), value.to_owned()));
    put("IpProtocol", protocol(rule.protocol));
    match (rule.from, rule.to, rule.protocol) {
        (Some(from), Some(to), _) => {
            put("FromPort", &from.0.to_string());
            put("ToPort", &to.0.to_string());
        }
        // All types and codes.
        (_, _, TransportProtocol::Icmp | TransportProtocol::Icmpv6) => {
            put("FromPort", "-1");
            put("ToPort", "-1");
        }
        _ => {}
    }
    let list = match &rule.source {
        Source::Network(network) if network.as_str().contains(':') => {
            put("Ipv6Ranges.1.CidrIpv6", network.as_str());
            "Ipv6Ranges"
        }
        Source::Network(network) => {
            put("IpRanges.1.CidrIp", network.as_str());
            "IpRanges"
        }
        Source::Group(group) => {
            put("Groups.1.GroupId", group.as_str());
            "Groups"
        }
        Source::GroupOf { account, group } => {
            put("Groups.1.GroupId", group.as_str());
            put("Groups.1.UserId", account.as_str());
            "Groups"
        }
    };
    // What is taken away is found without what is written beside it.
    if let Some(description) = rule.description.as_ref().filter(|_| present) {
        put(&format!("{list}.1.Description"), description.as_str());
    }
    fields
}

#[cfg(test)]
mod tests {
    use keyblind_intent::{Network, Port};

    use super::*;

    const OWN: &str = "123456789012";

    fn asked(rule: &SecurityGroupRule) -> ApplyAction {
        let resource = format!("arn:aws:ec2:eu-central-1:{OWN}:security-group/sg-0123456789abcdef0").parse().unwrap();
        let action = Action::SetIngressRule { rule: rule.clone(), present: false };
        ApplyAction::new(OWN.parse().unwrap(), "eu-central-1".parse().unwrap(), resource, action).unwrap()
    }

    fn rule(description: Option<&str>) -> SecurityGroupRule {
        SecurityGroupRule {
            protocol: TransportProtocol::Tcp,
            from: Some(Port(22)),
            to: Some(Port(22)),
            source: Source::Network(Network::new("0.0.0.0/0").unwrap()),
            description: description.map(|text| Line::new(text).unwrap()),
        }
    }

    #[test]
    fn a_rule_is_known_again_by_what_makes_it_one() {
        let found = json!({
            "securityGroupRuleId": "sgr-1", "groupId": "sg-1", "isEgress": "false", "ipProtocol": "tcp", "fromPort": "22", "toPort": "22",
            "cidrIpv4": "0.0.0.0/0", "description": "from home", "tagSet": null,
        });
        let read = |found: &Value| read(found, OWN);
        let request = asked(&rule(None));
        assert_eq!(read(&found), written(&request, &rule(Some("from home"))));
        assert_eq!(key(&read(&found)), key_of(&request, &rule(None)));
        let all = json!({"ipProtocol": "-1", "fromPort": "-1", "toPort": "-1", "referencedGroupInfo": {"groupId": "sg-2"}});
        assert_eq!(read(&all), json!({"protocol": "-1", "group": "sg-2"}));
        assert_ne!(
            key(&read(&json!({"ipProtocol": "tcp", "fromPort": "22", "toPort": "23", "cidrIpv4": "0.0.0.0/0"}))),
            key_of(&request, &rule(None))
        );
    }

    #[test]
    fn another_accounts_group_is_another_group() {
        let of = |account: &str| {
            let (account, group) = (account.parse().unwrap(), "sg-0fedcba9876543210".parse().unwrap());
            SecurityGroupRule { source: Source::GroupOf { account, group }, ..rule(None) }
        };
        let (theirs, own) = (of("444455556666"), of(OWN));
        let plain = SecurityGroupRule { source: Source::Group("sg-0fedcba9876543210".parse().unwrap()), ..rule(None) };
        let request = asked(&theirs);
        let told = |owner: &str| {
            let group = json!({"groupId": "sg-0fedcba9876543210", "userId": owner});
            read(&json!({"ipProtocol": "tcp", "fromPort": "22", "toPort": "22", "referencedGroupInfo": group}), OWN)
        };
        assert_eq!(key(&told("444455556666")), key_of(&request, &theirs));
        assert_ne!(key(&told("444455556666")), key_of(&request, &plain));
        assert_eq!((key(&told(OWN)), key_of(&request, &own)), (key_of(&request, &plain), key_of(&request, &plain)));
        let sent = |rule: &SecurityGroupRule| fields("sg-1", rule, true).into_iter().map(|(_, value)| value).collect::<Vec<_>>();
        assert!(sent(&theirs).contains(&"444455556666".to_owned()) && !sent(&plain).contains(&OWN.to_owned()));
        let state = json!({"group": "sg-1", "rules": [told("444455556666")]});
        assert_eq!(super::own(&request, &state, &plain), Value::Null);
        assert_ne!(super::own(&request, &state, &theirs), Value::Null);
    }

    #[test]
    fn what_is_sent_is_exactly_the_rule() {
        let sent = |rule: &SecurityGroupRule, present| {
            let fields = fields("sg-1", rule, present);
            fields
                .into_iter()
                .map(|(name, value)| format!("{}={value}", name.trim_start_matches("IpPermissions.1.")))
                .collect::<Vec<_>>()
                .join(" ")
        };
        let described = rule(Some("from home"));
        assert_eq!(sent(&described, false), "GroupId=sg-1 IpProtocol=tcp FromPort=22 ToPort=22 IpRanges.1.CidrIp=0.0.0.0/0");
        assert!(sent(&described, true).ends_with(" IpRanges.1.Description=from home"));
        let icmp = SecurityGroupRule {
            protocol: TransportProtocol::Icmpv6,
            from: None,
            to: None,
            source: Source::Network(Network::new("::/0").unwrap()),
            description: None,
        };
        assert_eq!(sent(&icmp, false), "GroupId=sg-1 IpProtocol=icmpv6 FromPort=-1 ToPort=-1 Ipv6Ranges.1.CidrIpv6=::/0");
        let all = SecurityGroupRule { protocol: TransportProtocol::All, ..icmp };
        assert_eq!(sent(&all, false), "GroupId=sg-1 IpProtocol=-1 Ipv6Ranges.1.CidrIpv6=::/0");
    }
}
