//! Buckets, each with the settings that Terraform has as resources of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_resource::{Data, Value};
use keyblind_syntax::json::{Node, NodeKind};

use super::{Body, Call, Live, address, answers, attribute, items, member, text};

const BUCKET: &str = "aws_s3_bucket";
const EVERYBODY: &str = "http://acs.amazonaws.com/groups/global/AllUsers";
const ANY_ACCOUNT: &str = "http://acs.amazonaws.com/groups/global/AuthenticatedUsers";

pub(super) fn read(live: &mut Live<'_>, calls: &[Call<'_>]) {
    for (call, answer) in answers(calls, "s3:GetAccountPublicAccessBlock") {
        if matches!(answer.kind, NodeKind::Object(_)) {
            let body = switches(live, answer);
            live.push(call.node, "aws_s3_account_public_access_block", "account", body);
        }
    }
    let mut buckets: BTreeMap<&Arc<str>, Vec<&Call<'_>>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.name.starts_with("s3:")) {
        if let Some(bucket) = call.bucket {
            buckets.entry(bucket).or_default().push(call);
        }
    }
    for (name, calls) in buckets {
        Bucket { name, calls }.read(live);
    }
}

/// One bucket and what was asked about it.
struct Bucket<'c, 'n> {
    name: &'n Arc<str>,
    calls: Vec<&'c Call<'n>>,
}

/// What became of one question about a bucket.
enum Asked<'c, 'n> {
    /// It is set so.
    Set(&'c Call<'n>, &'n Node),
    /// It isn't set.
    NotSet,
    /// Nobody knows.
    Unread,
}

impl<'n> Bucket<'_, 'n> {
    fn asked(&self, name: &str) -> Asked<'_, 'n> {
        match self.calls.iter().find(|call| call.name == name) {
            Some(call) => match call.answer {
                Some(answer) if matches!(answer.kind, NodeKind::Null) => Asked::NotSet,
                Some(answer) => Asked::Set(call, answer),
                None => Asked::Unread,
            },
            None => Asked::Unread,
        }
    }

    fn own(&self, live: &Live<'_>, node: &Node) -> (Arc<str>, Value) {
        attribute("bucket", live.reference(node, self.name, address(BUCKET, self.name), "id"))
    }

    fn read(&self, live: &mut Live<'_>) {
        let Some(first) = self.calls.first() else { return };
        let (node, name) = (first.node, self.name);
        let told = |live: &Live<'_>, text: &str| live.told(node, Data::String(text.into()));
        let mut body = vec![
            attribute("bucket", told(live, name)),
            attribute("id", told(live, name)),
            attribute("arn", told(live, &format!("arn:aws:s3:::{name}"))),
            attribute("tags", live.absent(node, "a bucket's labels")),
        ];
        // Where a setting couldn't be read, its older form in the bucket itself is unknown: that there is none would be a claim.
        let older = [
            ("s3:GetBucketVersioning", "versioning"),
            ("s3:GetEncryptionConfiguration", "server_side_encryption_configuration"),
            ("s3:GetBucketAcl", "acl"),
            ("s3:GetBucketAcl", "grant"),
            ("s3:GetBucketLogging", "logging"),
            ("s3:GetBucketPolicy", "policy"),
            ("s3:GetBucketWebsite", "website"),
            ("s3:GetLifecycleConfiguration", "lifecycle_rule"),
            ("s3:GetReplicationConfiguration", "replication_configuration"),
            ("s3:GetBucketObjectLockConfiguration", "object_lock_enabled"),
            ("s3:GetBucketObjectLockConfiguration", "object_lock_configuration"),
            ("s3:GetBucketCORS", "cors_rule"),
        ];
        for (call, name) in older {
            if matches!(self.asked(call), Asked::Unread) {
                body.push(attribute(name, live.absent(node, call)));
            }
        }
        if let Asked::Set(_, answer) = self.asked("s3:GetBucketObjectLockConfiguration") {
            let enabled = text(answer, "ObjectLockEnabled").is_some_and(|state| &**state == "Enabled");
            body.push(attribute("object_lock_enabled", live.told(answer, Data::Bool(enabled))));
        }
        live.push(node, BUCKET, name, body);
        self.settings(live);
    }

    fn settings(&self, live: &mut Live<'_>) {
        self.companion(live, "s3:GetBucketPublicAccessBlock", "aws_s3_bucket_public_access_block", switches);
        self.companion(live, "s3:GetBucketOwnershipControls", "aws_s3_bucket_ownership_controls", |live, answer| {
            let rules = items(member(answer, "Rule")).iter();
            let rules = rules.map(|rule| live.object(rule, vec![attribute("object_ownership", live.text(rule, "ObjectOwnership"))]));
            vec![attribute("rule", live.list(answer, rules.collect()))]
        });
        self.companion(live, "s3:GetEncryptionConfiguration", "aws_s3_bucket_server_side_encryption_configuration", encryption);
        self.companion(live, "s3:GetBucketPolicy", "aws_s3_bucket_policy", |live, answer| {
            // The statement of a policy is told as it was read: as text, it is what Terraform has.
            let text = live.source.get(answer.range.start as usize..answer.range.end as usize).unwrap_or_default();
            vec![attribute("policy", live.told(answer, Data::String(text.into())))]
        });
        self.companion(live, "s3:GetBucketAcl", "aws_s3_bucket_acl", acl);
        self.companion(live, "s3:GetBucketNotification", "aws_s3_bucket_notification", |_, _| Vec::new());
        self.companion(live, "s3:GetBucketWebsite", "aws_s3_bucket_website_configuration", |_, _| Vec::new());
        self.companion(live, "s3:GetReplicationConfiguration", "aws_s3_bucket_replication_configuration", |live, answer| {
            let rules = items(member(answer, "Rule")).iter();
            let rules = rules.map(|rule| live.object(rule, vec![attribute("status", live.text(rule, "Status"))]));
            vec![attribute("role", live.text(answer, "Role")), attribute("rule", live.list(answer, rules.collect()))]
        });
        self.companion(live, "s3:GetLifecycleConfiguration", "aws_s3_bucket_lifecycle_configuration", lifecycle);
        if let Asked::Set(call, answer) = self.asked("s3:GetBucketLogging")
            && let Some(logging) = member(answer, "LoggingEnabled").filter(|logging| matches!(logging.kind, NodeKind::Object(_)))
        {
            let target = match (member(logging, "TargetBucket"), text(logging, "TargetBucket")) {
                (Some(found), Some(target)) => live.reference(found, target, address(BUCKET, target), "id"),
                _ => Value::null(),
            };
            let body = vec![
                self.own(live, call.node),
                attribute("target_bucket", target),
                attribute("target_prefix", live.text(logging, "TargetPrefix")),
            ];
            live.push(call.node, "aws_s3_bucket_logging", self.name, body);
        }
        // One that was never versioned says nothing at all.
        if let Some(call) = self.calls.iter().find(|call| call.name == "s3:GetBucketVersioning")
            && let Some(answer) = call.answer
        {
            let status = match text(answer, "Status") {
                Some(_) => live.text(answer, "Status"),
                None => live.told(answer, Data::String("Disabled".into())),
            };
            let settings = vec![attribute("status", status), attribute("mfa_delete", live.text(answer, "MfaDelete"))];
            let body = vec![self.own(live, call.node), attribute("versioning_configuration", live.block(answer, settings))];
            live.push(call.node, "aws_s3_bucket_versioning", self.name, body);
        }
    }

    /// A setting as the resource that Terraform has for it.
    fn companion(&self, live: &mut Live<'_>, call: &str, type_name: &'static str, body: impl Fn(&Live<'_>, &Node) -> Body) {
        match self.asked(call) {
            Asked::Set(call, answer) => {
                let mut whole = vec![self.own(live, call.node)];
                whole.extend(body(live, answer));
                live.push(call.node, type_name, self.name, whole);
            }
            Asked::NotSet => {}
            Asked::Unread => self.unread(live, call, type_name),
        }
    }

    /// One that couldn't be read, and that has no older form in the bucket itself: it may be there or not, and say anything.
    fn unread(&self, live: &mut Live<'_>, call: &str, type_name: &'static str) {
        let attributes: &[&str] = match type_name {
            "aws_s3_bucket_public_access_block" => {
                &["block_public_acls", "ignore_public_acls", "block_public_policy", "restrict_public_buckets"]
            }
            "aws_s3_bucket_ownership_controls" => &["rule"],
            "aws_s3_bucket_notification" => &[],
            _ => return,
        };
        let Some(first) = self.calls.first() else { return };
        let names = ["bucket"].iter().chain(attributes);
        let body = names.map(|name| attribute(name, live.absent(first.node, call))).collect();
        live.push(first.node, type_name, self.name, body);
    }
}

fn switches(live: &Live<'_>, node: &Node) -> Body {
    vec![
        attribute("block_public_acls", live.switch(node, "BlockPublicAcls")),
        attribute("ignore_public_acls", live.switch(node, "IgnorePublicAcls")),
        attribute("block_public_policy", live.switch(node, "BlockPublicPolicy")),
        attribute("restrict_public_buckets", live.switch(node, "RestrictPublicBuckets")),
    ]
}

fn encryption(live: &Live<'_>, node: &Node) -> Body {
    let rules = items(member(node, "Rule")).iter().map(|rule| {
        let by_default = match member(rule, "ApplyServerSideEncryptionByDefault") {
            Some(found) => {
                let settings = vec![
                    attribute("sse_algorithm", live.text(found, "SSEAlgorithm")),
                    attribute("kms_master_key_id", live.text(found, "KMSMasterKeyID")),
                ];
                live.block(found, settings)
            }
            None => Value::tuple(Vec::new()),
        };
        let key = live.switch(rule, "BucketKeyEnabled");
        live.object(rule, vec![attribute("apply_server_side_encryption_by_default", by_default), attribute("bucket_key_enabled", key)])
    });
    vec![attribute("rule", live.list(node, rules.collect()))]
}

fn lifecycle(live: &Live<'_>, node: &Node) -> Body {
    let rules = items(member(node, "Rule")).iter().map(|rule| {
        let abort = match member(rule, "AbortIncompleteMultipartUpload") {
            Some(found) => live.block(found, vec![attribute("days_after_initiation", live.number(found, "DaysAfterInitiation"))]),
            None => Value::tuple(Vec::new()),
        };
        let body = vec![
            attribute("id", live.text(rule, "ID")),
            attribute("status", live.text(rule, "Status")),
            attribute("abort_incomplete_multipart_upload", abort),
        ];
        live.object(rule, body)
    });
    vec![attribute("rule", live.list(node, rules.collect()))]
}

/// Who has access by the bucket's list, and the name of the usual lists.
fn acl(live: &Live<'_>, node: &Node) -> Body {
    let list = member(node, "AccessControlList");
    let grants = items(list.and_then(|list| member(list, "Grant")));
    let is_granted = |whom: &str, what: &[&str]| {
        grants.iter().any(|grant| {
            let grantee = member(grant, "Grantee").and_then(|grantee| text(grantee, "URI"));
            grantee.is_some_and(|uri| &**uri == whom) && text(grant, "Permission").is_some_and(|found| what.contains(&&**found))
        })
    };
    let usual = if is_granted(EVERYBODY, &["WRITE", "FULL_CONTROL"]) {
        Some("public-read-write")
    } else if is_granted(EVERYBODY, &["READ"]) {
        Some("public-read")
    } else if is_granted(ANY_ACCOUNT, &["READ", "WRITE", "FULL_CONTROL"]) {
        Some("authenticated-read")
    } else if grants.iter().all(|grant| member(grant, "Grantee").is_some_and(|grantee| text(grantee, "URI").is_none())) {
        Some("private")
    } else {
        None
    };
    let written = grants.iter().map(|grant| {
        let grantee = match member(grant, "Grantee") {
            Some(found) => {
                let kind = if text(found, "URI").is_some() { "Group" } else { "CanonicalUser" };
                let body = vec![
                    attribute("type", live.told(found, Data::String(kind.into()))),
                    attribute("id", live.text(found, "ID")),
                    attribute("uri", live.text(found, "URI")),
                ];
                live.block(found, body)
            }
            None => Value::tuple(Vec::new()),
        };
        live.object(grant, vec![attribute("grantee", grantee), attribute("permission", live.text(grant, "Permission"))])
    });
    let written = live.list(node, written.collect());
    vec![
        attribute("acl", usual.map_or_else(Value::null, |name| live.told(node, Data::String(name.into())))),
        attribute("access_control_policy", live.block(node, vec![attribute("grant", written)])),
    ]
}
