# The roles that Keyblind's broker takes in this account, made by `keyblind-broker aws setup`.
# Each session of them has a policy of its own besides, for one request, which ends by itself.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.81"
    }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

resource "aws_iam_openid_connect_provider" "keyblind" {
  url            = "https://keyblind.example.com/aws"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "keyblind_read" {
  name                 = "keyblind-read"
  description          = "Keyblind reads how this account is configured."
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "TakeTheRole"
        Effect = "Allow"
        Principal = {
          Federated = aws_iam_openid_connect_provider.keyblind.arn
        }
        Action = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "keyblind.example.com/aws:aud" = "sts.amazonaws.com"
            "keyblind.example.com/aws:sub" = "keyblind-broker"
          }
          StringLike = {
            "sts:RoleSessionName" = "kb-*"
          }
        }
      },
      {
        Sid    = "SayInWhoseName"
        Effect = "Allow"
        Principal = {
          Federated = aws_iam_openid_connect_provider.keyblind.arn
        }
        Action = "sts:SetSourceIdentity"
        Condition = {
          StringLike = {
            "sts:SourceIdentity" = "kb.*"
          }
        }
      },
      {
        Sid    = "SayForWhat"
        Effect = "Allow"
        Principal = {
          Federated = aws_iam_openid_connect_provider.keyblind.arn
        }
        Action = "sts:TagSession"
        Condition = {
          "ForAllValues:StringEquals" = {
            "aws:TagKeys" = [
              "keyblind:change",
              "keyblind:request",
            ]
          }
        }
      },
    ]
  })
}

resource "aws_iam_policy" "keyblind_read" {
  name        = "keyblind-read"
  description = "Keyblind reads how this account is configured."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "ReadConfigurations"
        Effect = "Allow"
        Action = [
          "access-analyzer:ListAnalyzers",
          "cloudfront:GetDistributionConfig",
          "cloudfront:ListDistributions",
          "cloudfront:ListOriginAccessControls",
          "cloudfront:ListResponseHeadersPolicies",
          "cloudtrail:DescribeTrails",
          "cloudtrail:GetEventSelectors",
          "cloudtrail:GetInsightSelectors",
          "cloudtrail:GetTrailStatus",
          "cloudwatch:DescribeAlarms",
          "config:DescribeConfigurationRecorderStatus",
          "config:DescribeConfigurationRecorders",
          "config:DescribeDeliveryChannels",
          "dynamodb:DescribeContinuousBackups",
          "dynamodb:DescribeTable",
          "dynamodb:ListTables",
          "ec2:DescribeAddresses",
          "ec2:DescribeFlowLogs",
          "ec2:DescribeImages",
          "ec2:DescribeInstances",
          "ec2:DescribeInternetGateways",
          "ec2:DescribeNetworkAcls",
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeRegions",
          "ec2:DescribeRouteTables",
          "ec2:DescribeSecurityGroupRules",
          "ec2:DescribeSecurityGroups",
          "ec2:DescribeSnapshotAttribute",
          "ec2:DescribeSnapshots",
          "ec2:DescribeSubnets",
          "ec2:DescribeVolumes",
          "ec2:DescribeVpcEndpoints",
          "ec2:DescribeVpcs",
          "ec2:GetEbsDefaultKmsKeyId",
          "ec2:GetEbsEncryptionByDefault",
          "ec2:GetImageBlockPublicAccessState",
          "ec2:GetInstanceMetadataDefaults",
          "ec2:GetSnapshotBlockPublicAccessState",
          "ecr:DescribeRepositories",
          "ecr:GetLifecyclePolicy",
          "ecr:GetRegistryScanningConfiguration",
          "ecr:GetRepositoryPolicy",
          "eks:DescribeCluster",
          "eks:DescribeNodegroup",
          "eks:ListClusters",
          "eks:ListNodegroups",
          "elasticfilesystem:DescribeAccessPoints",
          "elasticfilesystem:DescribeBackupPolicy",
          "elasticfilesystem:DescribeFileSystemPolicy",
          "elasticfilesystem:DescribeFileSystems",
          "elasticfilesystem:DescribeMountTargets",
          "elasticloadbalancing:DescribeListeners",
          "elasticloadbalancing:DescribeLoadBalancerAttributes",
          "elasticloadbalancing:DescribeLoadBalancerPolicies",
          "elasticloadbalancing:DescribeLoadBalancers",
          "elasticloadbalancing:DescribeTargetGroups",
          "guardduty:GetDetector",
          "guardduty:ListDetectors",
          "iam:GenerateCredentialReport",
          "iam:GetAccessKeyLastUsed",
          "iam:GetAccountAuthorizationDetails",
          "iam:GetAccountPasswordPolicy",
          "iam:GetAccountSummary",
          "iam:GetCredentialReport",
          "iam:ListAccessKeys",
          "iam:ListMFADevices",
          "iam:ListOpenIDConnectProviders",
          "iam:ListSAMLProviders",
          "iam:ListServerCertificates",
          "iam:ListVirtualMFADevices",
          "kms:DescribeKey",
          "kms:GetKeyPolicy",
          "kms:GetKeyRotationStatus",
          "kms:ListAliases",
          "kms:ListKeys",
          "lambda:GetPolicy",
          "lambda:ListFunctionUrlConfigs",
          "lambda:ListFunctions",
          "logs:DescribeLogGroups",
          "logs:DescribeMetricFilters",
          "rds:DescribeDBClusterSnapshotAttributes",
          "rds:DescribeDBClusterSnapshots",
          "rds:DescribeDBClusters",
          "rds:DescribeDBInstances",
          "rds:DescribeDBParameters",
          "rds:DescribeDBSnapshotAttributes",
          "rds:DescribeDBSnapshots",
          "rds:DescribeDBSubnetGroups",
          "rds:DescribeEventSubscriptions",
          "s3:GetAccountPublicAccessBlock",
          "s3:GetBucketAcl",
          "s3:GetBucketCORS",
          "s3:GetBucketLocation",
          "s3:GetBucketLogging",
          "s3:GetBucketNotification",
          "s3:GetBucketObjectLockConfiguration",
          "s3:GetBucketOwnershipControls",
          "s3:GetBucketPolicy",
          "s3:GetBucketPolicyStatus",
          "s3:GetBucketPublicAccessBlock",
          "s3:GetBucketTagging",
          "s3:GetBucketVersioning",
          "s3:GetBucketWebsite",
          "s3:GetEncryptionConfiguration",
          "s3:GetLifecycleConfiguration",
          "s3:GetReplicationConfiguration",
          "s3:ListAllMyBuckets",
          "secretsmanager:DescribeSecret",
          "secretsmanager:GetResourcePolicy",
          "secretsmanager:ListSecrets",
          "securityhub:DescribeHub",
          "securityhub:GetEnabledStandards",
          "sns:GetTopicAttributes",
          "sns:ListTopics",
          "sqs:GetQueueAttributes",
          "sqs:ListQueues",
        ]
        Resource = "*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "keyblind_read" {
  role       = aws_iam_role.keyblind_read.name
  policy_arn = aws_iam_policy.keyblind_read.arn
}

resource "aws_iam_role" "keyblind_change" {
  name                 = "keyblind-change"
  description          = "Keyblind makes the changes of this account that people approved."
  max_session_duration = 3600
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "TakeTheRole"
        Effect = "Allow"
        Principal = {
          Federated = aws_iam_openid_connect_provider.keyblind.arn
        }
        Action = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "keyblind.example.com/aws:aud" = "sts.amazonaws.com"
            "keyblind.example.com/aws:sub" = "keyblind-broker"
          }
          StringLike = {
            "sts:RoleSessionName" = "kb-*"
          }
        }
      },
      {
        Sid    = "SayInWhoseName"
        Effect = "Allow"
        Principal = {
          Federated = aws_iam_openid_connect_provider.keyblind.arn
        }
        Action = "sts:SetSourceIdentity"
        Condition = {
          StringLike = {
            "sts:SourceIdentity" = "kb.*"
          }
        }
      },
      {
        Sid    = "SayForWhat"
        Effect = "Allow"
        Principal = {
          Federated = aws_iam_openid_connect_provider.keyblind.arn
        }
        Action = "sts:TagSession"
        Condition = {
          "ForAllValues:StringEquals" = {
            "aws:TagKeys" = [
              "keyblind:change",
              "keyblind:request",
            ]
          }
        }
      },
    ]
  })
}

resource "aws_iam_policy" "keyblind_change" {
  name        = "keyblind-change"
  description = "Keyblind makes the changes of this account that people approved."
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "SetPasswordPolicy"
        Effect = "Allow"
        Action = [
          "iam:GetAccountPasswordPolicy",
          "iam:UpdateAccountPasswordPolicy",
          "iam:DeleteAccountPasswordPolicy",
        ]
        Resource = "*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetAccessKeyActive"
        Effect = "Allow"
        Action = [
          "iam:ListAccessKeys",
          "iam:UpdateAccessKey",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:user/*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetBucketPublicAccessBlock"
        Effect = "Allow"
        Action = [
          "s3:GetBucketPolicyStatus",
          "s3:GetBucketPublicAccessBlock",
          "s3:GetBucketWebsite",
          "s3:PutBucketPublicAccessBlock",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:s3:::*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetBucketLogging"
        Effect = "Allow"
        Action = [
          "s3:GetBucketLogging",
          "s3:PutBucketLogging",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:s3:::*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetDatabasePublic"
        Effect = "Allow"
        Action = [
          "rds:DescribeDBInstances",
          "rds:ModifyDBInstance",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:rds:*:${data.aws_caller_identity.current.account_id}:db:*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetDatabaseMinorUpgrades"
        Effect = "Allow"
        Action = [
          "rds:DescribeDBInstances",
          "rds:ModifyDBInstance",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:rds:*:${data.aws_caller_identity.current.account_id}:db:*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetTrailValidation"
        Effect = "Allow"
        Action = [
          "cloudtrail:GetTrail",
          "cloudtrail:UpdateTrail",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:cloudtrail:*:${data.aws_caller_identity.current.account_id}:trail/*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetTrailLogging"
        Effect = "Allow"
        Action = [
          "cloudtrail:GetTrailStatus",
          "cloudtrail:StartLogging",
          "cloudtrail:StopLogging",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:cloudtrail:*:${data.aws_caller_identity.current.account_id}:trail/*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetKeyRotation"
        Effect = "Allow"
        Action = [
          "kms:GetKeyRotationStatus",
          "kms:EnableKeyRotation",
          "kms:DisableKeyRotation",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:kms:*:${data.aws_caller_identity.current.account_id}:key/*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetVolumeEncryptionByDefaultInRegions"
        Effect = "Allow"
        Action = [
          "ec2:GetEbsEncryptionByDefault",
          "ec2:EnableEbsEncryptionByDefault",
          "ec2:DisableEbsEncryptionByDefault",
        ]
        Resource = "*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetIngressRule"
        Effect = "Allow"
        Action = [
          "ec2:AuthorizeSecurityGroupIngress",
          "ec2:RevokeSecurityGroupIngress",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:ec2:*:${data.aws_caller_identity.current.account_id}:security-group/*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetIngressRuleInRegions"
        Effect = "Allow"
        Action = [
          "ec2:DescribeNetworkInterfaces",
          "ec2:DescribeSecurityGroupRules",
        ]
        Resource = "*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetSecurityHub"
        Effect = "Allow"
        Action = [
          "securityhub:DescribeHub",
          "securityhub:EnableSecurityHub",
          "securityhub:DisableSecurityHub",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:securityhub:*:${data.aws_caller_identity.current.account_id}:hub/*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid      = "SetSecurityHubRole"
        Effect   = "Allow"
        Action   = ["iam:CreateServiceLinkedRole"]
        Resource = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:role/aws-service-role/securityhub.amazonaws.com/AWSServiceRoleForSecurityHub"
        Condition = {
          StringEquals = {
            "iam:AWSServiceName" = "securityhub.amazonaws.com"
          }
        }
      },
      {
        Sid    = "SetImageScanOnPush"
        Effect = "Allow"
        Action = [
          "ecr:DescribeRepositories",
          "ecr:PutImageScanningConfiguration",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:ecr:*:${data.aws_caller_identity.current.account_id}:repository/*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
      {
        Sid    = "SetTablePointInTimeRecovery"
        Effect = "Allow"
        Action = [
          "dynamodb:DescribeContinuousBackups",
          "dynamodb:UpdateContinuousBackups",
        ]
        Resource = "arn:${data.aws_partition.current.partition}:dynamodb:*:${data.aws_caller_identity.current.account_id}:table/*"
        Condition = {
          StringEqualsIfExists = {
            "aws:ResourceAccount" = data.aws_caller_identity.current.account_id
          }
        }
      },
    ]
  })
}

resource "aws_iam_role_policy_attachment" "keyblind_change" {
  role       = aws_iam_role.keyblind_change.name
  policy_arn = aws_iam_policy.keyblind_change.arn
}

output "read_role" {
  description = "The broker's configuration names it as the role to read with."
  value       = aws_iam_role.keyblind_read.arn
}

output "change_role" {
  description = "The broker's configuration names it as the role to change with."
  value       = aws_iam_role.keyblind_change.arn
}
