//! What can be done to a live account: a closed set of single calls, each with an inverse of the same set.

use serde::{Deserialize, Serialize};

use crate::names::{AccountId, Arn, name};
use crate::paths::RepositoryPath;
use crate::text::Line;

/// One call with typed arguments. Each sets one thing to a stated value, so that its inverse is the same action with the value
/// that was there before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Action {
    /// The account's password policy; none deletes it.
    SetPasswordPolicy {
        /// The whole policy, as the call takes it.
        policy: Option<PasswordPolicy>,
    },
    /// Whether an access key can be used.
    SetAccessKeyActive {
        /// Which of the user's keys: its public id.
        key: AccessKeyId,
        /// Whether it can.
        active: bool,
    },
    /// What is blocked of public access to a bucket; none deletes the setting.
    SetBucketPublicAccessBlock {
        /// The four switches.
        block: Option<PublicAccessBlock>,
    },
    /// Where a bucket's accesses are logged; none switches it off.
    SetBucketLogging {
        /// Where.
        logging: Option<BucketLogging>,
    },
    /// Whether a database can be reached from the internet.
    SetDatabasePublic {
        /// Whether it can.
        public: bool,
    },
    /// Whether a database gets minor versions by itself.
    SetDatabaseMinorUpgrades {
        /// Whether it does.
        automatic: bool,
    },
    /// Whether a trail signs its log files.
    SetTrailValidation {
        /// Whether it does.
        enabled: bool,
    },
    /// Whether a trail records.
    SetTrailLogging {
        /// Whether it does.
        enabled: bool,
    },
    /// Whether a key is rotated every year.
    SetKeyRotation {
        /// Whether it is.
        enabled: bool,
    },
    /// Whether new volumes of the region are encrypted.
    SetVolumeEncryptionByDefault {
        /// Whether they are.
        enabled: bool,
    },
    /// Whether a security group lets traffic in by a rule.
    SetIngressRule {
        /// The rule.
        #[serde(deserialize_with = "rule_in_order")]
        rule: SecurityGroupRule,
        /// Whether it is there.
        present: bool,
    },
    /// Whether Security Hub is on in the region.
    SetSecurityHub {
        /// Whether it is.
        enabled: bool,
    },
    /// Whether pushed images are scanned.
    SetImageScanOnPush {
        /// Whether they are.
        enabled: bool,
    },
    /// Whether a table can be restored to any second.
    SetTablePointInTimeRecovery {
        /// Whether it can.
        enabled: bool,
    },
    /// Whether a managed policy is attached to a role, a user or a group.
    SetPolicyAttached {
        /// The policy: the account's own, or one of AWS's.
        #[serde(deserialize_with = "managed_policy")]
        policy: Arn,
        /// Whether it is.
        attached: bool,
    },
}

/// The action without its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is described at `Action`")]
pub enum ActionId {
    SetPasswordPolicy,
    SetAccessKeyActive,
    SetBucketPublicAccessBlock,
    SetBucketLogging,
    SetDatabasePublic,
    SetDatabaseMinorUpgrades,
    SetTrailValidation,
    SetTrailLogging,
    SetKeyRotation,
    SetVolumeEncryptionByDefault,
    SetIngressRule,
    SetSecurityHub,
    SetImageScanOnPush,
    SetTablePointInTimeRecovery,
    SetPolicyAttached,
}

impl Action {
    /// Which it is.
    #[must_use]
    pub fn id(&self) -> ActionId {
        match self {
            Self::SetPasswordPolicy { .. } => ActionId::SetPasswordPolicy,
            Self::SetAccessKeyActive { .. } => ActionId::SetAccessKeyActive,
            Self::SetBucketPublicAccessBlock { .. } => ActionId::SetBucketPublicAccessBlock,
            Self::SetBucketLogging { .. } => ActionId::SetBucketLogging,
            Self::SetDatabasePublic { .. } => ActionId::SetDatabasePublic,
            Self::SetDatabaseMinorUpgrades { .. } => ActionId::SetDatabaseMinorUpgrades,
            Self::SetTrailValidation { .. } => ActionId::SetTrailValidation,
            Self::SetTrailLogging { .. } => ActionId::SetTrailLogging,
            Self::SetKeyRotation { .. } => ActionId::SetKeyRotation,
            Self::SetVolumeEncryptionByDefault { .. } => ActionId::SetVolumeEncryptionByDefault,
            Self::SetIngressRule { .. } => ActionId::SetIngressRule,
            Self::SetSecurityHub { .. } => ActionId::SetSecurityHub,
            Self::SetImageScanOnPush { .. } => ActionId::SetImageScanOnPush,
            Self::SetTablePointInTimeRecovery { .. } => ActionId::SetTablePointInTimeRecovery,
            Self::SetPolicyAttached { .. } => ActionId::SetPolicyAttached,
        }
    }
}

impl ActionId {
    /// Whether a resource is of the kind that the action changes. What belongs to an account as a whole has the account's root as
    /// its resource (`arn:aws:iam::123456789012:root`).
    #[must_use]
    pub fn fits(self, resource: &Arn) -> bool {
        let (service, kind) = match self {
            Self::SetPasswordPolicy | Self::SetVolumeEncryptionByDefault => {
                return resource.service() == "iam" && resource.resource() == "root";
            }
            Self::SetBucketPublicAccessBlock | Self::SetBucketLogging => {
                return resource.service() == "s3" && !resource.resource().contains(['/', ':']);
            }
            Self::SetPolicyAttached => {
                // What AWS made for a service of its own isn't ours to change.
                let (kind, name) = resource.resource().split_once('/').unwrap_or_default();
                return resource.service() == "iam"
                    && matches!(kind, "role" | "user" | "group")
                    && !name.is_empty()
                    && !name.starts_with("aws-service-role/");
            }
            Self::SetAccessKeyActive => ("iam", "user/"),
            Self::SetDatabasePublic | Self::SetDatabaseMinorUpgrades => ("rds", "db:"),
            Self::SetTrailValidation | Self::SetTrailLogging => ("cloudtrail", "trail/"),
            Self::SetKeyRotation => ("kms", "key/"),
            Self::SetIngressRule => ("ec2", "security-group/"),
            Self::SetSecurityHub => ("securityhub", "hub/"),
            Self::SetImageScanOnPush => ("ecr", "repository/"),
            Self::SetTablePointInTimeRecovery => ("dynamodb", "table/"),
        };
        resource.service() == service && resource.resource().strip_prefix(kind).is_some_and(|name| !name.is_empty())
    }
}

name! {
    /// The public id of an access key, like `AKIAIOSFODNN7EXAMPLE`. It says which key, and opens nothing.
    AccessKeyId, "access key id", "16 to 128 upper-case letters and digits",
    |text| (16..=128).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// The four switches of public access to buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublicAccessBlock {
    /// New public lists are refused.
    pub block_public_acls: bool,
    /// Public lists count for nothing.
    pub ignore_public_acls: bool,
    /// New public policies are refused.
    pub block_public_policy: bool,
    /// Under a public policy only the owner's account has access.
    pub restrict_public_buckets: bool,
}

/// Where a bucket's accesses are logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BucketLogging {
    /// The bucket that gets the logs.
    pub target: Arn,
    /// The folder in it.
    pub prefix: Option<RepositoryPath>,
}

/// A password policy, whole: the call replaces what it isn't told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::struct_excessive_bools, reason = "these are the call's own switches")]
pub struct PasswordPolicy {
    /// Characters at least.
    pub minimum_length: u8,
    /// A symbol is wanted.
    pub require_symbols: bool,
    /// A digit is wanted.
    pub require_numbers: bool,
    /// An upper-case letter is wanted.
    pub require_uppercase: bool,
    /// A lower-case letter is wanted.
    pub require_lowercase: bool,
    /// People may change their own.
    pub allow_users_to_change: bool,
    /// Days until it must be changed; never if there are none.
    pub expires_after_days: Option<u16>,
    /// How many earlier ones can't be taken again.
    pub remembered: Option<u8>,
    /// An expired one can only be reset by an administrator.
    pub hard_expiry: bool,
}

/// One rule that lets traffic in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityGroupRule {
    /// Which traffic.
    pub protocol: TransportProtocol,
    /// The first port; none for protocols without ports.
    pub from: Option<Port>,
    /// The last port.
    pub to: Option<Port>,
    /// From where.
    pub source: Source,
    /// What is written beside it: it must be given back as it was.
    pub description: Option<Line>,
}

/// A port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Port(pub u16);

/// Which traffic a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TransportProtocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// ICMP.
    Icmp,
    /// ICMP of IPv6.
    Icmpv6,
    /// All of them.
    All,
}

/// Where traffic comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// Addresses.
    Network(Network),
    /// Another security group of the same account.
    Group(SecurityGroupId),
    /// A security group of another account, in a network that is joined with this one.
    GroupOf {
        /// Whose it is.
        account: AccountId,
        /// It.
        group: SecurityGroupId,
    },
}

name! {
    /// A network in CIDR form: an address and the length of its prefix, with nothing beyond the prefix.
    Network, "network", "like `10.0.0.0/8` or `2001:db8::/32`, in its shortest form",
    is_network
}

fn is_network(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(prefix) = length.parse::<u32>() else { return false };
    // One network must have one way to be written: its digest decides.
    if prefix.to_string() != length {
        return false;
    }
    match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(ip)) => prefix <= 32 && ip.to_string() == address && (prefix == 32 || u32::from(ip) << prefix == 0),
        Ok(std::net::IpAddr::V6(ip)) => prefix <= 128 && ip.to_string() == address && (prefix == 128 || u128::from(ip) << prefix == 0),
        Err(_) => false,
    }
}

name! {
    /// A security group.
    SecurityGroupId, "security group", "like `sg-0123456789abcdef0`",
    |text| text.strip_prefix("sg-").is_some_and(|rest| matches!(rest.len(), 8 | 17) && rest.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f')))
}

fn managed_policy<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Arn, D::Error> {
    let policy = Arn::deserialize(deserializer)?;
    let is_policy = policy.service() == "iam" && policy.resource().strip_prefix("policy/").is_some_and(|name| !name.is_empty());
    if is_policy && !policy.account().is_empty() {
        Ok(policy)
    } else {
        Err(serde::de::Error::custom("a managed policy is written like `arn:aws:iam::aws:policy/AdministratorAccess`"))
    }
}

fn rule_in_order<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<SecurityGroupRule, D::Error> {
    let rule = SecurityGroupRule::deserialize(deserializer)?;
    match (rule.from, rule.to) {
        (None, None) => Ok(rule),
        // EC2 ignores them, so that a yes to one port would be one to all.
        _ if rule.protocol == TransportProtocol::All => Err(serde::de::Error::custom("a rule for all protocols has no ports")),
        (Some(from), Some(to)) if from <= to => Ok(rule),
        _ => Err(serde::de::Error::custom("a range of ports has both ends or none, the first not above the last")),
    }
}
