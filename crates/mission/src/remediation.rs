//! The calls that a mission can ask for on a live account: one variant each, with typed parameters.

use keyblind_intent::{
    AccountId, Action, ApplyAction, Arn, Invalid, Port, PublicAccessBlock, Region, SecurityGroupId, SecurityGroupRule, Source,
    TransportProtocol,
};
use serde::{Deserialize, Serialize};

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Remediation {
    /// Close one rule by which a security group lets traffic in.
    CloseIngress {
        /// Where.
        region: Region,
        /// The group.
        group: SecurityGroupId,
        /// Which traffic.
        protocol: TransportProtocol,
        /// The first and the last port; none for protocols without ports.
        ports: Option<(Port, Port)>,
        /// From where.
        from: Source,
    },
    /// Block all public access to a bucket.
    BlockBucket {
        /// Where.
        region: Region,
        /// Which.
        bucket: String,
    },
    /// Detach a managed policy.
    DetachPolicy {
        /// Where calls are made.
        region: Region,
        /// Which.
        policy: Arn,
        /// From what: `role/NAME`, `user/NAME` or `group/NAME`, with its path.
        from: String,
    },
}

impl Remediation {
    /// Where it is.
    #[must_use]
    pub const fn region(&self) -> &Region {
        match self {
            Self::CloseIngress { region, .. } | Self::BlockBucket { region, .. } | Self::DetachPolicy { region, .. } => region,
        }
    }

    /// The call on an account, as the broker is asked for it.
    ///
    /// # Errors
    /// If there can be no such resource, or the parts don't fit together.
    pub fn action(&self, account: &AccountId) -> Result<ApplyAction, Invalid> {
        let region = self.region();
        let (resource, action) = match self {
            Self::CloseIngress { group, protocol, ports, from, .. } => {
                let has_ports = matches!(protocol, TransportProtocol::Tcp | TransportProtocol::Udp);
                if has_ports != ports.is_some() {
                    return Err(Invalid { what: "rule", rule: "tcp and udp have ports, and nothing else has" });
                }
                let (first, last) = ports.map_or((None, None), |(first, last)| (Some(first), Some(last)));
                let rule = SecurityGroupRule { protocol: *protocol, from: first, to: last, source: from.clone(), description: None };
                (format!("ec2:{region}:{account}:security-group/{group}"), Action::SetIngressRule { rule, present: false })
            }
            Self::BlockBucket { bucket, .. } => {
                let all = PublicAccessBlock {
                    block_public_acls: true,
                    ignore_public_acls: true,
                    block_public_policy: true,
                    restrict_public_buckets: true,
                };
                (format!("s3:::{bucket}"), Action::SetBucketPublicAccessBlock { block: Some(all) })
            }
            Self::DetachPolicy { policy, from, .. } => {
                (format!("iam::{account}:{from}"), Action::SetPolicyAttached { policy: policy.clone(), attached: false })
            }
        };
        let resource = Arn::new(format!("arn:{}:{resource}", partition(region)))?;
        ApplyAction::new(account.clone(), region.clone(), resource, action)
    }
}

/// Which of AWS's separate worlds a region lies in.
fn partition(region: &Region) -> &'static str {
    match region.as_str() {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> AccountId {
        "111122223333".parse().unwrap()
    }

    #[test]
    fn each_is_one_call_on_one_resource() {
        let region: Region = "eu-central-1".parse().unwrap();
        let close = |protocol, ports| Remediation::CloseIngress {
            region: region.clone(),
            group: "sg-0123456789abcdef0".parse().unwrap(),
            protocol,
            ports,
            from: Source::Network(keyblind_intent::Network::new("0.0.0.0/0").unwrap()),
        };
        let ssh = close(TransportProtocol::Tcp, Some((Port(22), Port(22)))).action(&account()).unwrap();
        assert_eq!(ssh.resource().as_str(), "arn:aws:ec2:eu-central-1:111122223333:security-group/sg-0123456789abcdef0");
        assert!(close(TransportProtocol::Tcp, None).action(&account()).is_err(), "tcp has ports");
        assert!(close(TransportProtocol::All, Some((Port(1), Port(2)))).action(&account()).is_err(), "all has none");
        let bucket = |name: &str| Remediation::BlockBucket { region: region.clone(), bucket: name.to_owned() }.action(&account());
        assert_eq!(bucket("logs").unwrap().resource().as_str(), "arn:aws:s3:::logs");
        for wrong in ["", "*", "a?b", "lo gs"] {
            assert!(bucket(wrong).is_err(), "{wrong}");
        }
        let detach = Remediation::DetachPolicy {
            region: "us-gov-west-1".parse().unwrap(),
            policy: "arn:aws-us-gov:iam::aws:policy/AdministratorAccess".parse().unwrap(),
            from: "role/ci".to_owned(),
        };
        assert_eq!(detach.action(&account()).unwrap().resource().as_str(), "arn:aws-us-gov:iam::111122223333:role/ci");
    }
}
