//! The closed list of reads that a snapshot may make.
//!
//! They read how things are configured, never what is kept in them: no object, item, message, secret, parameter, log event, user data
//! of a machine, or code of a function is among them. (Configurations hold secrets all the same, where people put them there: a
//! function's environment, say. The broker scrubs what it hands over.)

use keyblind_intent::Service;

use crate::ledger::Code;

/// One read, by the name that policies have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read {
    /// `service:Name`.
    pub action: &'static str,
    /// Whether it is made in each region.
    pub is_regional: bool,
}

impl Read {
    /// Its name for leases and for the ledger, like `ec2-describe-vpcs`.
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        let mut word = String::with_capacity(self.action.len() + 8);
        let mut was_lower = false;
        for character in self.action.chars() {
            if character == ':' || character == '-' {
                word.push('-');
                was_lower = false;
                continue;
            }
            if character.is_ascii_uppercase() && was_lower {
                word.push('-');
            }
            was_lower = character.is_ascii_lowercase() || character.is_ascii_digit();
            word.push(character.to_ascii_lowercase());
        }
        Code::new(&word)
    }
}

const fn regional(action: &'static str) -> Read {
    Read { action, is_regional: true }
}

const fn global(action: &'static str) -> Read {
    Read { action, is_regional: false }
}

/// The reads of a service.
#[must_use]
pub const fn of(service: Service) -> &'static [Read] {
    match service {
        Service::AccessAnalyzer => const { &[regional("access-analyzer:ListAnalyzers")] },
        Service::Cloudfront => {
            const {
                &[
                    global("cloudfront:GetDistributionConfig"),
                    global("cloudfront:ListDistributions"),
                    global("cloudfront:ListOriginAccessControls"),
                    global("cloudfront:ListResponseHeadersPolicies"),
                ]
            }
        }
        Service::Cloudtrail => {
            const {
                &[
                    regional("cloudtrail:DescribeTrails"),
                    regional("cloudtrail:GetEventSelectors"),
                    regional("cloudtrail:GetInsightSelectors"),
                    regional("cloudtrail:GetTrailStatus"),
                ]
            }
        }
        Service::Cloudwatch => {
            const { &[regional("cloudwatch:DescribeAlarms"), regional("logs:DescribeLogGroups"), regional("logs:DescribeMetricFilters")] }
        }
        Service::Config => {
            const {
                &[
                    regional("config:DescribeConfigurationRecorderStatus"),
                    regional("config:DescribeConfigurationRecorders"),
                    regional("config:DescribeDeliveryChannels"),
                ]
            }
        }
        Service::Dynamodb => {
            const { &[regional("dynamodb:DescribeContinuousBackups"), regional("dynamodb:DescribeTable"), regional("dynamodb:ListTables")] }
        }
        Service::Ec2 => {
            const {
                &[
                    global("ec2:DescribeRegions"),
                    regional("ec2:DescribeAddresses"),
                    regional("ec2:DescribeFlowLogs"),
                    regional("ec2:DescribeImages"),
                    regional("ec2:DescribeInstances"),
                    regional("ec2:DescribeInternetGateways"),
                    regional("ec2:DescribeNetworkAcls"),
                    regional("ec2:DescribeNetworkInterfaces"),
                    regional("ec2:DescribeRouteTables"),
                    regional("ec2:DescribeSecurityGroupRules"),
                    regional("ec2:DescribeSecurityGroups"),
                    regional("ec2:DescribeSnapshotAttribute"),
                    regional("ec2:DescribeSnapshots"),
                    regional("ec2:DescribeSubnets"),
                    regional("ec2:DescribeVolumes"),
                    regional("ec2:DescribeVpcEndpoints"),
                    regional("ec2:DescribeVpcs"),
                    regional("ec2:GetEbsDefaultKmsKeyId"),
                    regional("ec2:GetEbsEncryptionByDefault"),
                    regional("ec2:GetImageBlockPublicAccessState"),
                    regional("ec2:GetInstanceMetadataDefaults"),
                    regional("ec2:GetSnapshotBlockPublicAccessState"),
                ]
            }
        }
        Service::Ecr => {
            const {
                &[
                    regional("ecr:DescribeRepositories"),
                    regional("ecr:GetLifecyclePolicy"),
                    regional("ecr:GetRegistryScanningConfiguration"),
                    regional("ecr:GetRepositoryPolicy"),
                ]
            }
        }
        Service::Efs => {
            const {
                &[
                    regional("elasticfilesystem:DescribeAccessPoints"),
                    regional("elasticfilesystem:DescribeBackupPolicy"),
                    regional("elasticfilesystem:DescribeFileSystemPolicy"),
                    regional("elasticfilesystem:DescribeFileSystems"),
                    regional("elasticfilesystem:DescribeMountTargets"),
                ]
            }
        }
        Service::Eks => {
            const {
                &[
                    regional("eks:DescribeCluster"),
                    regional("eks:DescribeNodegroup"),
                    regional("eks:ListClusters"),
                    regional("eks:ListNodegroups"),
                ]
            }
        }
        Service::Elb => {
            const {
                &[
                    regional("elasticloadbalancing:DescribeListeners"),
                    regional("elasticloadbalancing:DescribeLoadBalancerAttributes"),
                    regional("elasticloadbalancing:DescribeLoadBalancerPolicies"),
                    regional("elasticloadbalancing:DescribeLoadBalancers"),
                    regional("elasticloadbalancing:DescribeTargetGroups"),
                ]
            }
        }
        Service::Guardduty => const { &[regional("guardduty:GetDetector"), regional("guardduty:ListDetectors")] },
        Service::Iam => {
            const {
                &[
                    global("iam:GenerateCredentialReport"),
                    global("iam:GetAccessKeyLastUsed"),
                    global("iam:GetAccountAuthorizationDetails"),
                    global("iam:GetAccountPasswordPolicy"),
                    global("iam:GetAccountSummary"),
                    global("iam:GetCredentialReport"),
                    global("iam:ListAccessKeys"),
                    global("iam:ListMFADevices"),
                    global("iam:ListOpenIDConnectProviders"),
                    global("iam:ListSAMLProviders"),
                    global("iam:ListServerCertificates"),
                    global("iam:ListVirtualMFADevices"),
                ]
            }
        }
        Service::Kms => {
            const {
                &[
                    regional("kms:DescribeKey"),
                    regional("kms:GetKeyPolicy"),
                    regional("kms:GetKeyRotationStatus"),
                    regional("kms:ListAliases"),
                    regional("kms:ListKeys"),
                ]
            }
        }
        Service::Lambda => {
            const { &[regional("lambda:GetPolicy"), regional("lambda:ListFunctionUrlConfigs"), regional("lambda:ListFunctions")] }
        }
        Service::Rds => {
            const {
                &[
                    regional("rds:DescribeDBClusterSnapshotAttributes"),
                    regional("rds:DescribeDBClusterSnapshots"),
                    regional("rds:DescribeDBClusters"),
                    regional("rds:DescribeDBInstances"),
                    regional("rds:DescribeDBParameters"),
                    regional("rds:DescribeDBSnapshotAttributes"),
                    regional("rds:DescribeDBSnapshots"),
                    regional("rds:DescribeDBSubnetGroups"),
                    regional("rds:DescribeEventSubscriptions"),
                ]
            }
        }
        // Its buckets are listed for all regions at once, and read wherever they lie.
        Service::S3 => {
            const {
                &[
                    global("s3:GetAccountPublicAccessBlock"),
                    global("s3:GetBucketAcl"),
                    global("s3:GetBucketCORS"),
                    global("s3:GetBucketLocation"),
                    global("s3:GetBucketLogging"),
                    global("s3:GetBucketNotification"),
                    global("s3:GetBucketObjectLockConfiguration"),
                    global("s3:GetBucketOwnershipControls"),
                    global("s3:GetBucketPolicy"),
                    global("s3:GetBucketPolicyStatus"),
                    global("s3:GetBucketPublicAccessBlock"),
                    global("s3:GetBucketTagging"),
                    global("s3:GetBucketVersioning"),
                    global("s3:GetBucketWebsite"),
                    global("s3:GetEncryptionConfiguration"),
                    global("s3:GetLifecycleConfiguration"),
                    global("s3:GetReplicationConfiguration"),
                    global("s3:ListAllMyBuckets"),
                ]
            }
        }
        Service::Secretsmanager => {
            const {
                &[
                    regional("secretsmanager:DescribeSecret"),
                    regional("secretsmanager:GetResourcePolicy"),
                    regional("secretsmanager:ListSecrets"),
                ]
            }
        }
        Service::Securityhub => const { &[regional("securityhub:DescribeHub"), regional("securityhub:GetEnabledStandards")] },
        Service::Sns => const { &[regional("sns:GetTopicAttributes"), regional("sns:ListTopics")] },
        Service::Sqs => const { &[regional("sqs:GetQueueAttributes"), regional("sqs:ListQueues")] },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_read_has_a_name_of_its_own_for_leases() {
        let all: Vec<Read> = Service::ALL.into_iter().flat_map(of).copied().collect();
        let codes: BTreeSet<Code> = all.iter().map(|read| read.code().unwrap()).collect();
        let actions: BTreeSet<&str> = all.iter().map(|read| read.action).collect();
        assert_eq!((codes.len(), actions.len()), (all.len(), all.len()));
        let code = |action| regional(action).code().unwrap().as_str().to_owned();
        assert_eq!(code("ec2:DescribeVpcs"), "ec2-describe-vpcs");
        assert_eq!(code("access-analyzer:ListAnalyzers"), "access-analyzer-list-analyzers");
        assert_eq!(code("rds:DescribeDBInstances"), "rds-describe-dbinstances");
    }
}
