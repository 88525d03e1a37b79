//! People, roles and what they may do.

use std::sync::Arc;

use keyblind_resource::{Data, Value};
use keyblind_syntax::json::{Node, NodeKind};

use super::{Call, Live, address, answers, attribute, items, member, text};

pub(super) fn read(live: &mut Live<'_>, calls: &[Call<'_>]) {
    for (_, answer) in answers(calls, "iam:GetAccountAuthorizationDetails") {
        for user in items(member(answer, "UserDetailList")) {
            principal(live, user, &USER);
        }
        for group in items(member(answer, "GroupDetailList")) {
            principal(live, group, &GROUP);
        }
        for role in items(member(answer, "RoleDetailList")) {
            // What AWS made for a service of its own isn't the account's to change.
            if !text(role, "Path").is_some_and(|path| path.starts_with("/aws-service-role/")) {
                principal(live, role, &ROLE);
            }
        }
        for policy in items(member(answer, "Policies")) {
            managed_policy(live, policy);
        }
    }
    for (call, answer) in answers(calls, "iam:GetAccountPasswordPolicy") {
        match member(answer, "PasswordPolicy") {
            Some(policy) => password_policy(live, call, policy),
            // An account without one has one all the same: it asks for nothing.
            None if matches!(answer.kind, NodeKind::Null) => password_policy(live, call, answer),
            None => {}
        }
    }
    for (call, answer) in answers(calls, "iam:GetAccountSummary") {
        let is_there = |entry: &&Node| {
            text(entry, "key").is_some_and(|key| &**key == "AccountAccessKeysPresent")
                && text(entry, "value").is_some_and(|count| &**count != "0")
        };
        let entries = member(answer, "SummaryMap").and_then(|map| member(map, "entry"));
        if let Some(entry) = items(entries).iter().find(is_there) {
            let user = live.told(entry, Data::String("root".into()));
            let status = live.absent(entry, "whether the root's key is active");
            live.push(call.node, "aws_iam_access_key", "root", vec![attribute("user", user), attribute("status", status)]);
        }
    }
}

/// How Terraform calls what belongs to one kind of principal.
struct Kind {
    resource: &'static str,
    name: &'static str,
    policies: &'static str,
    policy: &'static str,
    attachment: &'static str,
    /// The attribute of these that names the principal.
    principal: &'static str,
}

static USER: Kind = Kind {
    resource: "aws_iam_user",
    name: "UserName",
    policies: "UserPolicyList",
    policy: "aws_iam_user_policy",
    attachment: "aws_iam_user_policy_attachment",
    principal: "user",
};
static GROUP: Kind = Kind {
    resource: "aws_iam_group",
    name: "GroupName",
    policies: "GroupPolicyList",
    policy: "aws_iam_group_policy",
    attachment: "aws_iam_group_policy_attachment",
    principal: "group",
};
static ROLE: Kind = Kind {
    resource: "aws_iam_role",
    name: "RoleName",
    policies: "RolePolicyList",
    policy: "aws_iam_role_policy",
    attachment: "aws_iam_role_policy_attachment",
    principal: "role",
};

fn principal(live: &mut Live<'_>, node: &Node, kind: &Kind) {
    let Some(name) = text(node, kind.name).cloned() else { return };
    let whose = |live: &Live<'_>, node: &Node| live.reference(node, &name, address(kind.resource, &name), "name");
    let mut body = vec![
        attribute("name", live.text(node, kind.name)),
        attribute("arn", live.text(node, "Arn")),
        attribute("path", live.text(node, "Path")),
        attribute("tags", live.tags(node, "Tags", "Key", "Value")),
    ];
    if kind.resource == ROLE.resource {
        body.push(attribute("assume_role_policy", document(live, node, "AssumeRolePolicyDocument")));
        body.push(attribute("max_session_duration", live.absent(node, "a role's longest session")));
        // They are resources of their own.
        body.push(attribute("inline_policy", Value::tuple(Vec::new())));
        body.push(attribute("managed_policy_arns", Value::tuple(Vec::new())));
    }
    live.push(node, kind.resource, &name, body);
    for policy in items(member(node, kind.policies)) {
        let Some(policy_name) = text(policy, "PolicyName").cloned() else { continue };
        let body = vec![
            attribute("name", live.text(policy, "PolicyName")),
            attribute(kind.principal, whose(live, policy)),
            attribute("policy", document(live, policy, "PolicyDocument")),
        ];
        live.push(policy, kind.policy, &format!("{name}:{policy_name}"), body);
    }
    for attached in items(member(node, "AttachedManagedPolicies")) {
        let Some(arn) = text(attached, "PolicyArn").cloned() else { continue };
        // A policy of AWS itself is no resource of the account: its ARN is all there is to know, and rules know it by that.
        let policy = if arn.contains(":iam::aws:") {
            live.text(attached, "PolicyArn")
        } else {
            live.reference(attached, &arn, address("aws_iam_policy", name_of(&arn)), "arn")
        };
        let body = vec![attribute(kind.principal, whose(live, attached)), attribute("policy_arn", policy)];
        live.push(attached, kind.attachment, &format!("{name}:{}", name_of(&arn)), body);
    }
    for group in items(member(node, "GroupList")) {
        let NodeKind::String(group_name) = &group.kind else { continue };
        let groups = live.list(group, vec![live.reference(group, group_name, address(GROUP.resource, group_name), "name")]);
        let body = vec![attribute("user", whose(live, group)), attribute("groups", groups)];
        live.push(group, "aws_iam_user_group_membership", &format!("{name}:{group_name}"), body);
    }
}

fn name_of(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

/// A policy of the account, in the version that counts.
fn managed_policy(live: &mut Live<'_>, node: &Node) {
    let Some(name) = text(node, "PolicyName").cloned() else { return };
    let versions = items(member(node, "PolicyVersionList"));
    let counts = |version: &&Node| text(version, "IsDefaultVersion").is_some_and(|is_it| is_it.eq_ignore_ascii_case("true"));
    let policy = match versions.iter().find(counts) {
        Some(version) => document(live, version, "Document"),
        None => live.absent(node, "the text of the policy"),
    };
    let body = vec![
        attribute("name", live.text(node, "PolicyName")),
        attribute("arn", live.text(node, "Arn")),
        attribute("path", live.text(node, "Path")),
        attribute("policy", policy),
        attribute("tags", live.tags(node, "Tags", "Key", "Value")),
    ];
    live.push(node, "aws_iam_policy", &name, body);
}

fn password_policy(live: &mut Live<'_>, call: &Call<'_>, node: &Node) {
    let body = vec![
        attribute("minimum_password_length", live.number(node, "MinimumPasswordLength")),
        attribute("require_symbols", live.switch(node, "RequireSymbols")),
        attribute("require_numbers", live.switch(node, "RequireNumbers")),
        attribute("require_uppercase_characters", live.switch(node, "RequireUppercaseCharacters")),
        attribute("require_lowercase_characters", live.switch(node, "RequireLowercaseCharacters")),
        attribute("allow_users_to_change_password", live.switch(node, "AllowUsersToChangePassword")),
        attribute("max_password_age", live.number(node, "MaxPasswordAge")),
        attribute("password_reuse_prevention", live.number(node, "PasswordReusePrevention")),
        attribute("hard_expiry", live.switch(node, "HardExpiry")),
    ];
    live.push(call.node, "aws_iam_account_password_policy", "account", body);
}

/// A policy document: IAM writes them as parts of addresses are written (RFC 3986, 2.1).
fn document(live: &Live<'_>, node: &Node, name: &str) -> Value {
    match member(node, name).map(|found| (found, &found.kind)) {
        Some((found, NodeKind::String(text))) => match decoded(text) {
            Some(text) => live.told(found, Data::String(text)),
            None => live.absent(found, "a policy that is no text"),
        },
        Some((found, _)) => live.leaf(found),
        None => Value::null(),
    }
}

fn decoded(text: &str) -> Option<Arc<str>> {
    // One that is no part of an address is told as it is.
    if text.trim_start().starts_with('{') {
        return Some(text.into());
    }
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let digits = bytes.get(at + 1..at + 3).filter(|digits| byte == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let value = digits.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    String::from_utf8(plain).ok().map(Into::into)
}
