//! An account as its provider tells it: a snapshot of the broker's, as the resources that Terraform would call the same.
//!
//! A snapshot holds what AWS answered to a closed list of reads. Here the answers become resources with Terraform's types and attribute
//! names, so that the rules for Terraform judge them. What couldn't be read, or isn't asked for, is unknown: never set, and never missing.

mod ec2;
mod iam;
mod s3;

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_resource::{BlockKind, Data, Dialect, HopKind, Origin, Reason, Resource, Unread, Value};
use keyblind_syntax::json::{self, Node, NodeKind};
use keyblind_syntax::{Diagnostic, FileId, Site, TextRange};

use crate::Evaluation;
use crate::terraform::plan::{items, member, text};

/// The name under which the broker says that it left a value out.
const LEFT_OUT: &str = "keyblind:left-out";
/// What a snapshot begins with, around the account's number.
const BEGIN: &str = "{\"account\":\"\",\"calls\":[";
/// The form of snapshots that this reads.
const FORMAT: &str = "1";

/// Whether a JSON text is a snapshot. The broker writes them in canonical form, in which they all begin alike.
pub fn is_snapshot(text: &str) -> bool {
    // Whoever shows it to people may have put it into lines.
    let begin: String = text.chars().filter(|letter| !letter.is_ascii_whitespace()).take(BEGIN.len() + 12).collect();
    let (account, rest) = begin.strip_prefix("{\"account\":\"").and_then(|rest| rest.split_at_checked(12)).unwrap_or_default();
    account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()) && rest == "\",\"calls\":["
}

/// Reads a snapshot. Sites are those of its own text.
///
/// # Errors
/// If the text is no JSON, or no snapshot of a form that is known.
pub fn read(file: FileId, text: &str) -> Result<Evaluation, Diagnostic> {
    let broken = |range: TextRange, message: String| Diagnostic::incomplete("syntax-error", Site::new(file, range), message);
    let root = json::parse(text).map_err(|error| broken(error.range, error.message))?;
    let is_known = member(&root, "format").is_some_and(|format| matches!(&format.kind, NodeKind::Number(number) if &**number == FORMAT));
    if !is_known {
        return Err(broken(root.range, "the snapshot is of a form that this release doesn't read".to_owned())
            .with_help("use a broker and a `keyblind` of the same release"));
    }
    let mut live = Live { file, source: text, resources: Vec::new(), missing: BTreeMap::new() };
    let calls: Vec<Call<'_>> = items(member(&root, "calls")).iter().filter_map(Call::of).collect();
    for call in &calls {
        live.note(call);
    }
    ec2::read(&mut live, &calls);
    iam::read(&mut live, &calls);
    s3::read(&mut live, &calls);
    let unread = calls.iter().filter(|call| call.answer.is_none()).flat_map(unread_by).collect();
    let mut diagnostics: Vec<Diagnostic> = live.missing.values().map(|missing| missing.diagnostic(file)).collect();
    for service in items(member(&root, "unread")) {
        if let NodeKind::String(service) = &service.kind {
            let site = Site::new(file, root.range);
            diagnostics.push(Diagnostic::incomplete("not-in-snapshot", site, format!("nothing of `{service}` is read yet")));
        }
    }
    Ok(Evaluation { resources: live.resources, diagnostics, unread, ..Evaluation::default() })
}

/// What there may be more of than is told, because a call failed: what looks for such a resource and finds none doesn't know.
fn unread_by(call: &Call<'_>) -> impl Iterator<Item = Unread> + use<> {
    let types: &[&str] = match call.name {
        "ec2:DescribeFlowLogs" => &["aws_flow_log"],
        "ec2:DescribeInstances" => &["aws_instance"],
        "ec2:DescribeNetworkInterfaces" => &["aws_network_interface"],
        "ec2:DescribeSecurityGroups" => &["aws_security_group", "aws_default_security_group"],
        "ec2:DescribeVolumes" => &["aws_ebs_volume"],
        "ec2:DescribeVpcs" => &["aws_vpc"],
        "ec2:GetEbsEncryptionByDefault" => &["aws_ebs_encryption_by_default"],
        "iam:GetAccountAuthorizationDetails" => &[
            "aws_iam_group",
            "aws_iam_group_policy",
            "aws_iam_group_policy_attachment",
            "aws_iam_policy",
            "aws_iam_role",
            "aws_iam_role_policy",
            "aws_iam_role_policy_attachment",
            "aws_iam_user",
            "aws_iam_user_group_membership",
            "aws_iam_user_policy",
            "aws_iam_user_policy_attachment",
        ],
        "iam:GetAccountPasswordPolicy" => &["aws_iam_account_password_policy"],
        "iam:GetAccountSummary" => &["aws_iam_access_key"],
        _ => &[],
    };
    let what: Arc<str> = format!("`{}` couldn't be read in {}", call.name, call.region).into();
    types.iter().map(move |name| Unread { type_key: (*name).into(), reason: Reason::NotInSnapshot { what: what.clone() } })
}

/// One answer of a snapshot.
#[derive(Clone, Copy)]
struct Call<'n> {
    node: &'n Node,
    name: &'n str,
    region: &'n str,
    bucket: Option<&'n Arc<str>>,
    /// None if it couldn't be read; `null` is an answer.
    answer: Option<&'n Node>,
}

impl<'n> Call<'n> {
    fn of(node: &'n Node) -> Option<Self> {
        let name = text(node, "call")?;
        let region = text(node, "region")?;
        Some(Self { node, name, region, bucket: text(node, "bucket"), answer: member(node, "answer") })
    }
}

/// Reads of one kind that failed for one reason.
struct Missing {
    call: String,
    reason: String,
    first: TextRange,
    count: usize,
}

impl Missing {
    fn diagnostic(&self, file: FileId) -> Diagnostic {
        let Self { call, reason, first, count } = self;
        let times = if *count == 1 { String::new() } else { format!(", {count} times") };
        Diagnostic::incomplete("not-in-snapshot", Site::new(file, *first), format!("`{call}` couldn't be read ({reason}{times})"))
    }
}

/// What is being made of a snapshot.
struct Live<'t> {
    file: FileId,
    source: &'t str,
    resources: Vec<Resource>,
    missing: BTreeMap<(String, String), Missing>,
}

/// A resource's attributes, in the making.
type Body = Vec<(Arc<str>, Value)>;

impl Live<'_> {
    /// Keeps account of what couldn't be read.
    fn note(&mut self, call: &Call<'_>) {
        if call.answer.is_some() {
            return;
        }
        let reason = text(call.node, "failed").map_or("no answer", |reason| &**reason);
        let key = (call.name.to_owned(), reason.to_owned());
        let missing = || Missing { call: call.name.to_owned(), reason: reason.to_owned(), first: call.node.range, count: 0 };
        self.missing.entry(key).or_insert_with(missing).count += 1;
    }

    fn site(&self, node: &Node) -> Site {
        Site::new(self.file, node.range)
    }

    /// A value of the snapshot as it is told.
    fn told(&self, node: &Node, data: Data) -> Value {
        Value::new(data).with_origin(Origin::Site(self.site(node)))
    }

    /// What isn't in the snapshot, and why.
    fn absent(&self, node: &Node, what: &str) -> Value {
        Value::unknown(Reason::NotInSnapshot { what: what.into() }).with_origin(Origin::Site(self.site(node)))
    }

    /// A text; null where there is none.
    fn text(&self, node: &Node, name: &str) -> Value {
        match member(node, name) {
            Some(found) => self.leaf(found),
            None => Value::null(),
        }
    }

    fn leaf(&self, node: &Node) -> Value {
        match &node.kind {
            NodeKind::String(text) => self.told(node, Data::String(text.clone())),
            NodeKind::Bool(value) => self.told(node, Data::Bool(*value)),
            NodeKind::Number(number) => self.told(node, number.parse().map_or_else(|_| Data::String(number.clone()), Data::Number)),
            NodeKind::Object(_) if member(node, LEFT_OUT).is_some() => self.absent(node, "left out, because it looks like a secret"),
            NodeKind::Null | NodeKind::Array(_) | NodeKind::Object(_) => Value::null(),
        }
    }

    /// A number that AWS tells as a text.
    fn number(&self, node: &Node, name: &str) -> Value {
        let Some(found) = member(node, name) else { return Value::null() };
        match &found.kind {
            NodeKind::String(text) => match text.parse() {
                Ok(number) => self.told(found, Data::Number(number)),
                Err(_) => Value::null(),
            },
            _ => self.leaf(found),
        }
    }

    /// A switch that AWS tells as a text.
    fn switch(&self, node: &Node, name: &str) -> Value {
        let Some(found) = member(node, name) else { return Value::null() };
        match &found.kind {
            NodeKind::String(text) if &**text == "true" => self.told(found, Data::Bool(true)),
            NodeKind::String(text) if &**text == "false" => self.told(found, Data::Bool(false)),
            _ => self.leaf(found),
        }
    }

    fn list(&self, node: &Node, values: Vec<Value>) -> Value {
        self.told(node, Data::Tuple(Arc::new(values)))
    }

    /// A nested block: Terraform has lists of them.
    fn block(&self, node: &Node, body: Body) -> Value {
        self.list(node, vec![self.object(node, body)])
    }

    fn object(&self, node: &Node, body: Body) -> Value {
        self.told(node, Data::Object(Arc::new(body.into_iter().collect())))
    }

    /// A text that names another resource of the snapshot.
    fn reference(&self, node: &Node, text: &str, address: String, attribute: &'static str) -> Value {
        let hop = HopKind::Resource { address: address.into(), attribute: attribute.into() };
        self.told(node, Data::String(text.into())).carried(hop, self.site(node))
    }

    /// Labels, in the two ways in which AWS writes them.
    fn tags(&self, node: &Node, list: &str, key: &str, value: &str) -> Value {
        let Some(found) = member(node, list) else { return Value::null() };
        let labels = items(Some(found)).iter().filter_map(|label| Some((text(label, key)?.clone(), self.text(label, value))));
        self.object(found, labels.collect())
    }

    fn push(&mut self, node: &Node, type_name: &'static str, name: &str, body: Body) {
        let site = self.site(node);
        let body = self.object(node, body);
        self.resources.push(Resource {
            address: address(type_name, name).into(),
            dialect: Dialect::Live,
            kind: BlockKind::Managed,
            type_key: type_name.into(),
            name: name.into(),
            body,
            header: site,
            block: site,
            calls: Arc::new([]),
            skips: Vec::new(),
        });
    }
}

/// How a resource is called: as in Terraform where its name could stand there, and otherwise as one of many.
fn address(type_name: &str, name: &str) -> String {
    let is_plain = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-');
    if is_plain { format!("{type_name}.{name}") } else { format!("{type_name}.live[{name:?}]") }
}

/// The answers to one kind of call, with the call.
fn answers<'c, 'n>(calls: &'c [Call<'n>], name: &'c str) -> impl Iterator<Item = (&'c Call<'n>, &'n Node)> + use<'c, 'n> {
    calls.iter().filter(move |call| call.name == name).filter_map(|call| Some((call, call.answer?)))
}

/// Bodies are written as lists of names and values.
fn attribute(name: &'static str, value: Value) -> (Arc<str>, Value) {
    (name.into(), value)
}

#[cfg(test)]
mod tests;
