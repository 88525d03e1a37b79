//! Requests about accounts.

use serde::{Deserialize, Serialize};

use crate::actions::Action;
use crate::identifiers::Count;
use crate::limits;
use crate::lists::{at_most, bounded};
use crate::names::{AccountId, Arn, Invalid, Region};

/// See [`super::Intent::SnapshotAccount`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotAccount {
    /// Which.
    pub account: AccountId,
    /// In which regions; those that the broker's configuration names for the account if there are none.
    #[serde(deserialize_with = "regions")]
    pub regions: Vec<Region>,
    /// What of it.
    #[serde(deserialize_with = "services")]
    pub services: Vec<Service>,
    /// How many calls it may cost.
    #[serde(deserialize_with = "snapshot_calls")]
    pub most_calls: Count,
}

fn regions<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Region>, D::Error> {
    bounded::<_, _, { limits::REGIONS }>(deserializer)
}

fn services<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Service>, D::Error> {
    let list = bounded::<_, _, { Service::ALL.len() }>(deserializer)?;
    if list.is_empty() { Err(serde::de::Error::custom("a snapshot reads at least one service")) } else { Ok(list) }
}

fn snapshot_calls<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Count, D::Error> {
    at_most(deserializer, limits::SNAPSHOT_CALLS, "calls of a snapshot")
}

/// A service whose configuration can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is the service's own name")]
pub enum Service {
    AccessAnalyzer,
    Cloudfront,
    Cloudtrail,
    Cloudwatch,
    Config,
    Dynamodb,
    Ec2,
    Ecr,
    Efs,
    Eks,
    Elb,
    Guardduty,
    Iam,
    Kms,
    Lambda,
    Rds,
    S3,
    Secretsmanager,
    Securityhub,
    Sns,
    Sqs,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::AccessAnalyzer,
        Self::Cloudfront,
        Self::Cloudtrail,
        Self::Cloudwatch,
        Self::Config,
        Self::Dynamodb,
        Self::Ec2,
        Self::Ecr,
        Self::Efs,
        Self::Eks,
        Self::Elb,
        Self::Guardduty,
        Self::Iam,
        Self::Kms,
        Self::Lambda,
        Self::Rds,
        Self::S3,
        Self::Secretsmanager,
        Self::Securityhub,
        Self::Sns,
        Self::Sqs,
    ];
}

/// See [`super::Intent::ApplyAction`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ApplyActionFields")]
pub struct ApplyAction {
    account: AccountId,
    region: Region,
    resource: Arn,
    action: Action,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ApplyActionFields {
    account: AccountId,
    region: Region,
    resource: Arn,
    action: Action,
}

impl TryFrom<ApplyActionFields> for ApplyAction {
    type Error = Invalid;

    fn try_from(fields: ApplyActionFields) -> Result<Self, Invalid> {
        Self::new(fields.account, fields.region, fields.resource, fields.action)
    }
}

impl ApplyAction {
    /// Takes an action and the one resource that it is for.
    ///
    /// # Errors
    /// If the resource is of another service, account or region than the action.
    pub fn new(account: AccountId, region: Region, resource: Arn, action: Action) -> Result<Self, Invalid> {
        let is_of_account = resource.account() == account.as_str() || (resource.service() == "s3" && resource.account().is_empty());
        let is_of_region = resource.region().is_empty() || resource.region() == region.as_str();
        if !is_of_account || !is_of_region {
            return Err(Invalid::new("target", "the resource lies in the account and the region that are named"));
        }
        if let Action::SetPolicyAttached { policy, .. } = &action
            && policy.account() != "aws"
            && policy.account() != account.as_str()
        {
            return Err(Invalid::new("target", "the policy is one of the same account, or of AWS"));
        }
        if !action.id().fits(&resource) {
            return Err(Invalid::new("target", "the resource is of the kind that the action changes"));
        }
        Ok(Self { account, region, resource, action })
    }

    /// In which account.
    #[must_use]
    pub fn account(&self) -> &AccountId {
        &self.account
    }

    /// Where the call goes.
    #[must_use]
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The one resource.
    #[must_use]
    pub fn resource(&self) -> &Arn {
        &self.resource
    }

    /// What is done to it.
    #[must_use]
    pub fn action(&self) -> &Action {
        &self.action
    }
}
