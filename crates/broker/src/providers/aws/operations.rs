//! The table of reads that a snapshot makes: one row a call.
//!
//! A row says which permission it needs (one of [`super::reads`]), how the call is written, how its pages go on, and which elements
//! of the answer repeat. What isn't in the table isn't called, whatever a session would allow.

use keyblind_intent::Service;

use super::api::Interface;

/// One call of a snapshot.
#[derive(Debug)]
pub(crate) struct Operation {
    /// The permission, as policies write it.
    pub(crate) permission: &'static str,
    pub(crate) interface: Interface,
    /// For what it is made: once, in each region, or for each bucket.
    pub(crate) each: Each,
    pub(crate) form: OperationForm,
    /// The root of the answer.
    pub(crate) root: &'static str,
    /// The element within the root that holds what was asked for, if it isn't the root itself.
    pub(crate) within: Option<&'static str>,
    pub(crate) paging: Paging,
    /// Elements that repeat under their own name.
    pub(crate) lists: &'static [&'static str],
    /// Whether it means that there is no such setting if AWS says that there is no such thing.
    pub(crate) is_gone_an_answer: bool,
}

/// For what a call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Each {
    Account,
    Region,
    Bucket,
}

/// How a call is written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OperationForm {
    /// Its name and fixed fields.
    Query(&'static str, &'static [(&'static str, &'static str)]),
    /// A bucket's setting.
    Setting(&'static str),
    /// The list of buckets.
    Buckets,
    /// An account's setting.
    Path(&'static str),
}

/// How pages go on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Paging {
    Whole,
    /// By a field that is asked with, and the element that tells its next value.
    By(&'static str, &'static str),
}

/// EC2 tells everything at once unless it is asked for pages.
const fn ec2(permission: &'static str, name: &'static str, root: &'static str, page: &'static [(&'static str, &'static str)]) -> Operation {
    Operation {
        permission,
        interface: Interface::Ec2,
        each: Each::Region,
        form: OperationForm::Query(name, page),
        root,
        within: None,
        paging: Paging::By("NextToken", "nextToken"),
        lists: &[],
        is_gone_an_answer: false,
    }
}

/// A page of entries that are some hundred bytes each, or some thousand.
const PAGE: &[(&str, &str)] = &[("MaxResults", "500")];
/// A page of entries that may be large: a machine's, a group's with all its rules.
const SMALL_PAGE: &[(&str, &str)] = &[("MaxResults", "100")];

const fn iam(permission: &'static str, name: &'static str, root: &'static str, within: &'static str) -> Operation {
    Operation {
        permission,
        interface: Interface::Iam,
        each: Each::Account,
        form: OperationForm::Query(name, &[]),
        root,
        within: Some(within),
        paging: Paging::By("Marker", "Marker"),
        lists: &[],
        is_gone_an_answer: false,
    }
}

const fn bucket(permission: &'static str, setting: &'static str, root: &'static str) -> Operation {
    Operation {
        permission,
        interface: Interface::S3,
        each: Each::Bucket,
        form: OperationForm::Setting(setting),
        root,
        within: None,
        paging: Paging::Whole,
        lists: &[],
        is_gone_an_answer: false,
    }
}

/// The list of buckets: the calls for each bucket come after it.
pub(crate) static BUCKETS: Operation = Operation {
    permission: "s3:ListAllMyBuckets",
    interface: Interface::S3,
    each: Each::Account,
    form: OperationForm::Buckets,
    root: "ListAllMyBucketsResult",
    within: None,
    paging: Paging::By("continuation-token", "ContinuationToken"),
    lists: &["Bucket"],
    is_gone_an_answer: false,
};

/// Where a bucket lies: the other calls for it go there.
pub(crate) static LOCATION: Operation = bucket("s3:GetBucketLocation", "location", "LocationConstraint");

static EC2: [Operation; 7] = [
    ec2("ec2:DescribeFlowLogs", "DescribeFlowLogs", "DescribeFlowLogsResponse", PAGE),
    ec2("ec2:DescribeInstances", "DescribeInstances", "DescribeInstancesResponse", SMALL_PAGE),
    ec2("ec2:DescribeNetworkInterfaces", "DescribeNetworkInterfaces", "DescribeNetworkInterfacesResponse", PAGE),
    ec2("ec2:DescribeSecurityGroups", "DescribeSecurityGroups", "DescribeSecurityGroupsResponse", SMALL_PAGE),
    ec2("ec2:DescribeVolumes", "DescribeVolumes", "DescribeVolumesResponse", PAGE),
    ec2("ec2:DescribeVpcs", "DescribeVpcs", "DescribeVpcsResponse", PAGE),
    Operation {
        paging: Paging::Whole,
        ..ec2("ec2:GetEbsEncryptionByDefault", "GetEbsEncryptionByDefault", "GetEbsEncryptionByDefaultResponse", &[])
    },
];

static IAM: [Operation; 3] = [
    Operation {
        form: OperationForm::Query(
            "GetAccountAuthorizationDetails",
            &[
                // AWS's own policies are the same for everybody: their attachments tell which are used.
                ("Filter.member.1", "Group"),
                ("Filter.member.2", "LocalManagedPolicy"),
                ("Filter.member.3", "Role"),
                ("Filter.member.4", "User"),
            ],
        ),
        ..iam(
            "iam:GetAccountAuthorizationDetails",
            "GetAccountAuthorizationDetails",
            "GetAccountAuthorizationDetailsResponse",
            "GetAccountAuthorizationDetailsResult",
        )
    },
    Operation {
        paging: Paging::Whole,
        is_gone_an_answer: true,
        ..iam(
            "iam:GetAccountPasswordPolicy",
            "GetAccountPasswordPolicy",
            "GetAccountPasswordPolicyResponse",
            "GetAccountPasswordPolicyResult",
        )
    },
    Operation {
        paging: Paging::Whole,
        ..iam("iam:GetAccountSummary", "GetAccountSummary", "GetAccountSummaryResponse", "GetAccountSummaryResult")
    },
];

static S3: [Operation; 13] = [
    Operation {
        permission: "s3:GetAccountPublicAccessBlock",
        interface: Interface::S3Control,
        each: Each::Account,
        form: OperationForm::Path("/v20180820/configuration/publicAccessBlock"),
        root: "PublicAccessBlockConfiguration",
        within: None,
        paging: Paging::Whole,
        lists: &[],
        is_gone_an_answer: false,
    },
    Operation { lists: &["Grant"], ..bucket("s3:GetBucketAcl", "acl", "AccessControlPolicy") },
    bucket("s3:GetBucketLogging", "logging", "BucketLoggingStatus"),
    bucket("s3:GetBucketNotification", "notification", "NotificationConfiguration"),
    bucket("s3:GetBucketObjectLockConfiguration", "object-lock", "ObjectLockConfiguration"),
    Operation { lists: &["Rule"], ..bucket("s3:GetBucketOwnershipControls", "ownershipControls", "OwnershipControls") },
    bucket("s3:GetBucketPolicy", "policy", ""),
    bucket("s3:GetBucketPublicAccessBlock", "publicAccessBlock", "PublicAccessBlockConfiguration"),
    bucket("s3:GetBucketWebsite", "website", "WebsiteConfiguration"),
    Operation { lists: &["Rule"], ..bucket("s3:GetLifecycleConfiguration", "lifecycle", "LifecycleConfiguration") },
    Operation { lists: &["Rule"], ..bucket("s3:GetReplicationConfiguration", "replication", "ReplicationConfiguration") },
    bucket("s3:GetBucketVersioning", "versioning", "VersioningConfiguration"),
    Operation { lists: &["Rule"], ..bucket("s3:GetEncryptionConfiguration", "encryption", "ServerSideEncryptionConfiguration") },
];

/// The calls of a service, beside those that say where there is something to be asked about. None, if it isn't in the table yet.
pub(crate) fn of(service: Service) -> Option<&'static [Operation]> {
    match service {
        Service::Ec2 => Some(&EC2),
        Service::Iam => Some(&IAM),
        Service::S3 => Some(&S3),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::aws::reads_of;

    #[test]
    fn every_call_is_one_of_the_reads_that_a_session_may_be_allowed() {
        for service in Service::ALL {
            let allowed: Vec<_> = reads_of(service).iter().map(|read| read.action).collect();
            for operation in of(service).into_iter().flatten() {
                assert!(allowed.contains(&operation.permission), "{}", operation.permission);
            }
        }
        let unpaged = |operation: &&Operation| matches!((operation.form, operation.paging), (OperationForm::Query(_, fixed), Paging::By("NextToken", _)) if fixed.is_empty());
        assert_eq!(of(Service::Ec2).into_iter().flatten().find(unpaged).map(|found| found.permission), None, "asked for all at once");
        let allowed: Vec<_> = reads_of(Service::S3).iter().map(|read| read.action).collect();
        assert!(allowed.contains(&BUCKETS.permission) && allowed.contains(&LOCATION.permission));
    }
}
