//! Which calls an action on a live account makes, and what each can be confined to.
//!
//! Each action reads its resource before and after the one call that changes it. What a call can be confined to is AWS's to say
//! (Service Authorization Reference); the tests ask a catalogue of it.

use keyblind_intent::{Action, ActionId, ApplyAction};

/// What a call can be confined to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Confined {
    /// The one resource.
    Resource,
    /// A region: the call names no resource.
    Region,
    /// The account: the call names neither a resource nor a region.
    Account,
    /// The role that a service makes for itself, by the service's name and the role's.
    Role(&'static str),
    /// The one resource, and only if it is of that kind (`role/`).
    Kind(&'static str),
    /// The managed policy that the action names.
    Policy,
}

impl ActionCall {
    /// Whether it changes nothing.
    pub(super) fn only_reads(&self) -> bool {
        let name = self.action.split_once(':').map_or(self.action, |(_, name)| name);
        ["Get", "List", "Describe"].iter().any(|verb| name.starts_with(verb))
    }
}

/// A call by the name that policies have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ActionCall {
    pub(super) action: &'static str,
    pub(super) confined: Confined,
    /// For which value of the action it is needed; `None` for both.
    only_for: Option<Value>,
}

/// Which way an action goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Value {
    /// Something is switched on, set, added.
    On,
    /// Something is switched off, deleted, taken away.
    Off,
}

const fn any(action: &'static str, confined: Confined) -> ActionCall {
    ActionCall { action, confined, only_for: None }
}

const fn on(action: &'static str, confined: Confined) -> ActionCall {
    ActionCall { action, confined, only_for: Some(Value::On) }
}

const fn off(action: &'static str, confined: Confined) -> ActionCall {
    ActionCall { action, confined, only_for: Some(Value::Off) }
}

/// The role that Security Hub makes for itself when it is switched on.
const SECURITY_HUB_ROLE: &str = "securityhub.amazonaws.com/AWSServiceRoleForSecurityHub";

/// All actions, in the order in which set-ups list them.
pub const ACTIONS: [ActionId; 15] = [
    ActionId::SetPasswordPolicy,
    ActionId::SetAccessKeyActive,
    ActionId::SetBucketPublicAccessBlock,
    ActionId::SetBucketLogging,
    ActionId::SetDatabasePublic,
    ActionId::SetDatabaseMinorUpgrades,
    ActionId::SetTrailValidation,
    ActionId::SetTrailLogging,
    ActionId::SetKeyRotation,
    ActionId::SetVolumeEncryptionByDefault,
    ActionId::SetIngressRule,
    ActionId::SetSecurityHub,
    ActionId::SetImageScanOnPush,
    ActionId::SetTablePointInTimeRecovery,
    ActionId::SetPolicyAttached,
];

/// All calls of an action, whichever way it goes.
pub(super) const fn all(id: ActionId) -> &'static [ActionCall] {
    use Confined::{Account, Kind, Policy, Region, Resource, Role};
    const DATABASE: &[ActionCall] = &[any("rds:DescribeDBInstances", Resource), any("rds:ModifyDBInstance", Resource)];
    match id {
        ActionId::SetPasswordPolicy => {
            const {
                &[
                    any("iam:GetAccountPasswordPolicy", Account),
                    on("iam:UpdateAccountPasswordPolicy", Account),
                    off("iam:DeleteAccountPasswordPolicy", Account),
                ]
            }
        }
        ActionId::SetAccessKeyActive => const { &[any("iam:ListAccessKeys", Resource), any("iam:UpdateAccessKey", Resource)] },
        // One permission for setting and deleting it.
        ActionId::SetBucketPublicAccessBlock => {
            const {
                &[
                    any("s3:GetBucketPolicyStatus", Resource),
                    any("s3:GetBucketPublicAccessBlock", Resource),
                    any("s3:GetBucketWebsite", Resource),
                    any("s3:PutBucketPublicAccessBlock", Resource),
                ]
            }
        }
        ActionId::SetBucketLogging => const { &[any("s3:GetBucketLogging", Resource), any("s3:PutBucketLogging", Resource)] },
        ActionId::SetDatabasePublic | ActionId::SetDatabaseMinorUpgrades => DATABASE,
        ActionId::SetTrailValidation => const { &[any("cloudtrail:GetTrail", Resource), any("cloudtrail:UpdateTrail", Resource)] },
        ActionId::SetTrailLogging => {
            const {
                &[
                    any("cloudtrail:GetTrailStatus", Resource),
                    on("cloudtrail:StartLogging", Resource),
                    off("cloudtrail:StopLogging", Resource),
                ]
            }
        }
        ActionId::SetKeyRotation => {
            const { &[any("kms:GetKeyRotationStatus", Resource), on("kms:EnableKeyRotation", Resource), off("kms:DisableKeyRotation", Resource)] }
        }
        ActionId::SetVolumeEncryptionByDefault => {
            const {
                &[
                    any("ec2:GetEbsEncryptionByDefault", Region),
                    on("ec2:EnableEbsEncryptionByDefault", Region),
                    off("ec2:DisableEbsEncryptionByDefault", Region),
                ]
            }
        }
        ActionId::SetIngressRule => {
            const {
                &[
                    any("ec2:DescribeNetworkInterfaces", Region),
                    any("ec2:DescribeSecurityGroupRules", Region),
                    on("ec2:AuthorizeSecurityGroupIngress", Resource),
                    off("ec2:RevokeSecurityGroupIngress", Resource),
                ]
            }
        }
        ActionId::SetSecurityHub => {
            const {
                &[
                    any("securityhub:DescribeHub", Resource),
                    on("securityhub:EnableSecurityHub", Resource),
                    on("iam:CreateServiceLinkedRole", Role(SECURITY_HUB_ROLE)),
                    off("securityhub:DisableSecurityHub", Resource),
                ]
            }
        }
        ActionId::SetImageScanOnPush => {
            const { &[any("ecr:DescribeRepositories", Resource), any("ecr:PutImageScanningConfiguration", Resource)] }
        }
        ActionId::SetPolicyAttached => {
            const {
                &[
                    any("iam:GetPolicy", Policy),
                    any("iam:GetPolicyVersion", Policy),
                    any("iam:ListAttachedRolePolicies", Kind("role/")),
                    any("iam:ListAttachedUserPolicies", Kind("user/")),
                    any("iam:ListAttachedGroupPolicies", Kind("group/")),
                    on("iam:AttachRolePolicy", Kind("role/")),
                    on("iam:AttachUserPolicy", Kind("user/")),
                    on("iam:AttachGroupPolicy", Kind("group/")),
                    off("iam:DetachRolePolicy", Kind("role/")),
                    off("iam:DetachUserPolicy", Kind("user/")),
                    off("iam:DetachGroupPolicy", Kind("group/")),
                ]
            }
        }
        ActionId::SetTablePointInTimeRecovery => {
            const { &[any("dynamodb:DescribeContinuousBackups", Resource), any("dynamodb:UpdateContinuousBackups", Resource)] }
        }
    }
}

/// The calls of one action.
pub(super) fn of(apply: &ApplyAction) -> impl Iterator<Item = &'static ActionCall> {
    let value = value(apply.action());
    all(apply.action().id()).iter().filter(move |call| {
        let is_of_kind = if let Confined::Kind(kind) = call.confined { apply.resource().resource().starts_with(kind) } else { true };
        is_of_kind && call.only_for.is_none_or(|only| only == value)
    })
}

fn value(action: &Action) -> Value {
    let is_on = match action {
        Action::SetPasswordPolicy { policy } => policy.is_some(),
        Action::SetBucketPublicAccessBlock { block } => block.is_some(),
        Action::SetBucketLogging { logging } => logging.is_some(),
        Action::SetAccessKeyActive { active: is_on, .. }
        | Action::SetDatabasePublic { public: is_on }
        | Action::SetDatabaseMinorUpgrades { automatic: is_on }
        | Action::SetIngressRule { present: is_on, .. }
        | Action::SetPolicyAttached { attached: is_on, .. }
        | Action::SetTrailValidation { enabled: is_on }
        | Action::SetTrailLogging { enabled: is_on }
        | Action::SetKeyRotation { enabled: is_on }
        | Action::SetVolumeEncryptionByDefault { enabled: is_on }
        | Action::SetSecurityHub { enabled: is_on }
        | Action::SetImageScanOnPush { enabled: is_on }
        | Action::SetTablePointInTimeRecovery { enabled: is_on } => *is_on,
    };
    if is_on { Value::On } else { Value::Off }
}

/// The ARN of the role that a service makes for itself in the account of an action.
pub(super) fn service_role(apply: &ApplyAction, name: &str) -> String {
    let partition = apply.resource().as_str().split(':').nth(1).unwrap_or_default();
    format!("arn:{partition}:iam::{}:role/aws-service-role/{name}", apply.account())
}

/// What all resources of an action's kind have in common, as policies write it: what follows `arn:PARTITION:`. `ACCOUNT` stands for
/// the account.
pub(super) const fn pattern(id: ActionId) -> &'static str {
    match id {
        ActionId::SetPasswordPolicy | ActionId::SetVolumeEncryptionByDefault => "iam::ACCOUNT:root",
        ActionId::SetAccessKeyActive => "iam::ACCOUNT:user/*",
        ActionId::SetBucketPublicAccessBlock | ActionId::SetBucketLogging => "s3:::*",
        ActionId::SetDatabasePublic | ActionId::SetDatabaseMinorUpgrades => "rds:*:ACCOUNT:db:*",
        ActionId::SetTrailValidation | ActionId::SetTrailLogging => "cloudtrail:*:ACCOUNT:trail/*",
        ActionId::SetKeyRotation => "kms:*:ACCOUNT:key/*",
        ActionId::SetIngressRule => "ec2:*:ACCOUNT:security-group/*",
        ActionId::SetSecurityHub => "securityhub:*:ACCOUNT:hub/*",
        ActionId::SetImageScanOnPush => "ecr:*:ACCOUNT:repository/*",
        ActionId::SetTablePointInTimeRecovery => "dynamodb:*:ACCOUNT:table/*",
        // Each of its calls is for one kind of them.
        ActionId::SetPolicyAttached => "iam::ACCOUNT:*",
    }
}
