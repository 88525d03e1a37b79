//! The roles as Terraform, laid out as `terraform fmt` lays it out.

use super::document::{Node, quoted};
use super::{ACCOUNT, PARTITION, PROVIDER, Role, Trust};

pub(super) fn render(trust: &Trust, trusting: &Node, roles: &[Role]) -> String {
    let mut out = String::from(
        "# The roles that Keyblind's broker takes in this account, made by `keyblind-broker aws setup`.\n\
         # Each session of them has a policy of its own besides, for one request, which ends by itself.\n\n\
         terraform {\n  required_providers {\n    aws = {\n      source  = \"hashicorp/aws\"\n      version = \">= 5.81\"\n    }\n  }\n}\n\n\
         data \"aws_caller_identity\" \"current\" {}\n\ndata \"aws_partition\" \"current\" {}\n",
    );
    if let Trust::WebIdentity { issuer, audience, .. } = trust {
        out.push_str("\nresource \"aws_iam_openid_connect_provider\" \"keyblind\" {\n");
        let fields = [("url".to_owned(), quoted(&issuer.0)), ("client_id_list".to_owned(), format!("[{}]", quoted(&audience.0)))];
        push_fields(&mut out, &fields, 1);
        out.push_str("}\n");
    }
    for role in roles {
        let Role { kind, description, policy } = role;
        let resource = |out: &mut String, of: &str, fields: &[(String, String)]| {
            out.push_str(&format!("\nresource \"{of}\" \"keyblind_{kind}\" {{\n"));
            push_fields(out, fields, 1);
            out.push_str("}\n");
        };
        let field = |name: &str, value: String| (name.to_owned(), value);
        let fields = [
            field("name", quoted(&format!("keyblind-{kind}"))),
            field("description", quoted(description)),
            field("max_session_duration", "3600".to_owned()),
            field("assume_role_policy", format!("jsonencode({})", value(trusting, 1))),
        ];
        resource(&mut out, "aws_iam_role", &fields);
        let fields = [
            field("name", quoted(&format!("keyblind-{kind}"))),
            field("description", quoted(description)),
            field("policy", format!("jsonencode({})", value(policy, 1))),
        ];
        resource(&mut out, "aws_iam_policy", &fields);
        let fields = [
            field("role", format!("aws_iam_role.keyblind_{kind}.name")),
            field("policy_arn", format!("aws_iam_policy.keyblind_{kind}.arn")),
        ];
        resource(&mut out, "aws_iam_role_policy_attachment", &fields);
    }
    for Role { kind, .. } in roles {
        out.push_str(&format!("\noutput \"{kind}_role\" {{\n"));
        let told = format!("The broker's configuration names it as the role to {kind} with.");
        push_fields(
            &mut out,
            &[("description".to_owned(), quoted(&told)), ("value".to_owned(), format!("aws_iam_role.keyblind_{kind}.arn"))],
            1,
        );
        out.push_str("}\n");
    }
    out
}

/// Fields of a block or object. Neighbours of one line each have their signs below each other.
fn push_fields(out: &mut String, fields: &[(String, String)], depth: usize) {
    let is_short = |index: usize| fields.get(index).is_some_and(|(_, value)| !value.contains('\n'));
    let mut width = 0;
    for (index, (name, value)) in fields.iter().enumerate() {
        if !is_short(index) {
            width = 0;
        } else if index == 0 || !is_short(index - 1) {
            let run = fields[index..].iter().take_while(|(_, value)| !value.contains('\n'));
            width = run.map(|(name, _)| name.len()).max().unwrap_or_default();
        }
        out.push_str(&"  ".repeat(depth));
        out.push_str(&format!("{name:width$} = {value}\n"));
    }
}

fn value(node: &Node, depth: usize) -> String {
    match node {
        Node::Text(text) => expression(text),
        Node::List(items) if items.len() == 1 && matches!(items[0], Node::Text(_)) => format!("[{}]", value(&items[0], depth)),
        Node::List(items) => {
            let inner = "  ".repeat(depth + 1);
            let items: String = items.iter().map(|item| format!("{inner}{},\n", value(item, depth + 1))).collect();
            format!("[\n{items}{}]", "  ".repeat(depth))
        }
        Node::Map(fields) => {
            let fields: Vec<(String, String)> = fields.iter().map(|(name, node)| (key(name), value(node, depth + 1))).collect();
            let mut inner = String::new();
            push_fields(&mut inner, &fields, depth + 1);
            format!("{{\n{inner}{}}}", "  ".repeat(depth))
        }
    }
}

fn key(name: &str) -> String {
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if is_name { name.to_owned() } else { quoted(name) }
}

fn expression(text: &str) -> String {
    match text {
        PROVIDER => "aws_iam_openid_connect_provider.keyblind.arn".to_owned(),
        ACCOUNT => "data.aws_caller_identity.current.account_id".to_owned(),
        _ => quoted(text)
            .replace(PARTITION, "${data.aws_partition.current.partition}")
            .replace(ACCOUNT, "${data.aws_caller_identity.current.account_id}"),
    }
}
