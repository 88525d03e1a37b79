//! Where things lie: partitions, and the hosts of regions.

use keyblind_intent::{AccountId, Arn, Region};

use super::AwsError;
use crate::egress::Origin;

/// One of AWS's separate worlds: accounts, names and keys of one mean nothing in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Partition {
    /// The commercial regions.
    Commercial,
    /// `GovCloud`.
    GovCloud,
    /// China.
    China,
}

impl Partition {
    /// The one that a region lies in.
    ///
    /// # Errors
    /// [`AwsError::Partition`] if it is none of these three.
    pub fn of(region: &Region) -> Result<Self, AwsError> {
        let region = region.as_str();
        let (area, rest) = region.split_once('-').ok_or(AwsError::Partition)?;
        match area {
            "cn" => Ok(Self::China),
            "us" if rest.starts_with("gov-") => Ok(Self::GovCloud),
            // Isolated regions have hosts and partitions of their own.
            _ if rest.starts_with("iso") => Err(AwsError::Partition),
            "us" | "eu" | "ap" | "sa" | "ca" | "me" | "af" | "il" | "mx" => Ok(Self::Commercial),
            _ => Err(AwsError::Partition),
        }
    }

    /// As ARNs write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Commercial => "aws",
            Self::GovCloud => "aws-us-gov",
            Self::China => "aws-cn",
        }
    }

    const fn suffix(self) -> &'static str {
        match self {
            Self::Commercial | Self::GovCloud => "amazonaws.com",
            Self::China => "amazonaws.com.cn",
        }
    }
}

/// The host of a service in a region, for the list of hosts that may be talked to.
///
/// # Errors
/// [`AwsError::Partition`] if the region is of none that is known.
pub fn endpoint(service: &str, region: &Region) -> Result<Origin, AwsError> {
    let suffix = Partition::of(region)?.suffix();
    Origin::parse(&format!("https://{service}.{region}.{suffix}")).map_err(|_| AwsError::Partition)
}

/// A role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role(Arn);

impl Role {
    /// Takes a role's ARN.
    ///
    /// # Errors
    /// [`AwsError::Role`] if it is none.
    pub fn new(arn: Arn) -> Result<Self, AwsError> {
        let name = arn.resource().strip_prefix("role/").and_then(|path| path.rsplit('/').next()).unwrap_or_default();
        let is_name = (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte));
        let is_role = arn.service() == "iam" && arn.region().is_empty() && !arn.account().is_empty() && is_name;
        if is_role { Ok(Self(arn)) } else { Err(AwsError::Role) }
    }

    /// Its ARN.
    #[must_use]
    pub fn arn(&self) -> &Arn {
        &self.0
    }

    /// Its account.
    #[must_use]
    pub fn account(&self) -> &str {
        self.0.account()
    }

    /// Its name without its path: what sessions are named after.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.resource().rsplit('/').next().unwrap_or_default()
    }

    /// How a session of it is called.
    pub(super) fn session_arn(&self, session: &str) -> String {
        let partition = self.0.as_str().split(':').nth(1).unwrap_or_default();
        format!("arn:{partition}:sts::{}:assumed-role/{}/{session}", self.account(), self.name())
    }

    /// Whether it lies in that account.
    #[must_use]
    pub fn is_of(&self, account: &AccountId) -> bool {
        self.account() == account.as_str()
    }
}

impl std::str::FromStr for Role {
    type Err = AwsError;

    fn from_str(text: &str) -> Result<Self, AwsError> {
        Self::new(Arn::new(text).map_err(|_| AwsError::Role)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_lie_in_partitions_and_have_hosts() {
        let hosts = [
            ("eu-central-1", "https://sts.eu-central-1.amazonaws.com"),
            ("us-gov-west-1", "https://sts.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "https://sts.cn-north-1.amazonaws.com.cn"),
        ];
        for (region, host) in hosts {
            assert_eq!(endpoint("sts", &Region::new(region).unwrap()).unwrap().to_string(), host);
        }
        for region in ["us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1", "xx-central-1"] {
            assert_eq!(endpoint("sts", &Region::new(region).unwrap()), Err(AwsError::Partition), "{region}");
        }
    }

    #[test]
    fn a_role_is_one_role() {
        let role: Role = "arn:aws:iam::123456789012:role/team/keyblind-read".parse().unwrap();
        assert_eq!((role.account(), role.name()), ("123456789012", "keyblind-read"));
        assert_eq!(role.session_arn("kb-1"), "arn:aws:sts::123456789012:assumed-role/keyblind-read/kb-1");
        for text in
            ["arn:aws:iam::123456789012:user/x", "arn:aws:iam::123456789012:role/", "arn:aws:iam:::role/x", "arn:aws:s3:::role/x", "role/x"]
        {
            assert_eq!(text.parse::<Role>(), Err(AwsError::Role), "{text}");
        }
    }
}
