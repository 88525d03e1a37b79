//! The roles as a CloudFormation template. All texts are in quotes, so that none is read as something else.

use super::document::{Node, list, map, quoted, text};
use super::{ACCOUNT, PARTITION, PROVIDER, Role, Trust};

/// What stands before a reference, so that it isn't written as text.
const GET: &str = "<get>";
const REFERENCE: &str = "<ref>";

pub(super) fn render(trust: &Trust, trusting: &Node, roles: &[Role]) -> String {
    let mut resources = Vec::new();
    if let Trust::WebIdentity { issuer, audience, .. } = trust {
        let properties = map([("Url", text(&issuer.0)), ("ClientIdList", list([audience.0.as_str()]))]);
        resources.push(("IdentityProvider".to_owned(), map([("Type", text("AWS::IAM::OIDCProvider")), ("Properties", properties)])));
    }
    let mut outputs = Vec::new();
    for role in roles {
        let Role { kind, description, policy } = role;
        let name = format!("keyblind-{kind}");
        let title = if *kind == "read" { "Read" } else { "Change" };
        let properties = map([
            ("RoleName", text(&name)),
            ("Description", text(description)),
            ("MaxSessionDuration", text("3600")),
            ("AssumeRolePolicyDocument", trusting.clone()),
            ("ManagedPolicyArns", list([format!("{REFERENCE}{title}Policy").as_str()])),
        ]);
        resources.push((format!("{title}Role"), map([("Type", text("AWS::IAM::Role")), ("Properties", properties)])));
        let properties = map([("ManagedPolicyName", text(&name)), ("Description", text(description)), ("PolicyDocument", policy.clone())]);
        resources.push((format!("{title}Policy"), map([("Type", text("AWS::IAM::ManagedPolicy")), ("Properties", properties)])));
        let told = format!("The broker's configuration names it as the role to {kind} with.");
        outputs.push((format!("{title}Role"), map([("Description", text(&told)), ("Value", text(&format!("{GET}{title}Role.Arn")))])));
    }
    let document = map([
        ("AWSTemplateFormatVersion", text("2010-09-09")),
        ("Description", text("The roles that Keyblind's broker takes in this account.")),
        ("Resources", Node::Map(resources)),
        ("Outputs", Node::Map(outputs)),
    ]);
    let mut out = String::from(
        "# Made by `keyblind-broker aws setup`. Each session of these roles has a policy of its own besides, for one request, which\n\
         # ends by itself.\n",
    );
    push(&mut out, &document, 0);
    out
}

/// Writes a part below its name.
fn push(out: &mut String, node: &Node, depth: usize) {
    let indent = "  ".repeat(depth);
    match node {
        Node::Text(text) => out.push_str(&format!("{indent}{}\n", scalar(text))),
        Node::List(items) => {
            for item in items {
                let mut inner = String::new();
                push(&mut inner, item, depth + 1);
                // Its first line stands behind the dash.
                out.push_str(&format!("{indent}- {}", inner.trim_start()));
            }
        }
        Node::Map(fields) => {
            for (name, node) in fields {
                let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric());
                let name = if is_name { name.clone() } else { quoted(name) };
                match node {
                    Node::Text(text) => out.push_str(&format!("{indent}{name}: {}\n", scalar(text))),
                    Node::List(_) | Node::Map(_) => {
                        out.push_str(&format!("{indent}{name}:\n"));
                        push(out, node, depth + 1);
                    }
                }
            }
        }
    }
}

fn scalar(text: &str) -> String {
    if let Some(name) = text.strip_prefix(REFERENCE) {
        return format!("!Ref {name}");
    }
    if let Some(name) = text.strip_prefix(GET) {
        return format!("!GetAtt {name}");
    }
    match text {
        PROVIDER => "!Ref IdentityProvider".to_owned(),
        ACCOUNT => "!Ref AWS::AccountId".to_owned(),
        _ if text.contains(PARTITION) || text.contains(ACCOUNT) => {
            format!("!Sub {}", quoted(text).replace(PARTITION, "${AWS::Partition}").replace(ACCOUNT, "${AWS::AccountId}"))
        }
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() < 12 => text.to_owned(),
        _ => quoted(text),
    }
}
