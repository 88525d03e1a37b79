//! Ways to misuse an identity policy.
//!
//! Facts: the combinations that Rhino Security Labs published as "AWS IAM privilege escalation methods" and what became
//! known since; the API references of the services for what returns credentials; the Service Authorization Reference
//! for access levels.

use std::sync::Arc;

use keyblind_resource::{Data, Origin, Value};
use keyblind_rule_language::EscalationKind;

use super::actions::{self, Level};
use super::grants::Grants;
use super::public::first_reason;
use crate::truth::Truth;
use crate::views::maybe;
use crate::walk::inside_of;

/// The most actions that are named.
const MAX_NAMED: usize = 20;

/// Actions that together give more rights than they seem to, and how.
const PRIVILEGE_ESCALATIONS: &[(&[&str], &str)] = &[
    (&["iam:CreatePolicyVersion"], "a new default version of a policy that applies to oneself can allow everything"),
    (&["iam:SetDefaultPolicyVersion"], "an older version of a policy that allows more can be made the valid one"),
    (&["iam:CreateAccessKey"], "a key can be made for a user with more rights"),
    (&["iam:CreateLoginProfile"], "a password can be set for a user with more rights"),
    (&["iam:UpdateLoginProfile"], "the password of a user with more rights can be changed"),
    (&["iam:AddUserToGroup"], "one can join a group with more rights"),
    (&["iam:AttachUserPolicy"], "any policy can be attached to oneself"),
    (&["iam:AttachGroupPolicy"], "any policy can be attached to a group of one's own"),
    (&["iam:AttachRolePolicy", "sts:AssumeRole"], "any policy can be attached to a role that one then assumes"),
    (&["iam:PutUserPolicy"], "one can write oneself a policy"),
    (&["iam:PutGroupPolicy"], "one can write a group of one's own a policy"),
    (&["iam:PutRolePolicy", "sts:AssumeRole"], "one can write a policy for a role that one then assumes"),
    (&["iam:UpdateAssumeRolePolicy", "sts:AssumeRole"], "any role can be told to trust oneself and then be assumed"),
    (&["iam:PassRole", "ec2:RunInstances"], "a machine can be started with any role and asked for its credentials"),
    (&["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"], "own code can be run with any role"),
    (&["iam:PassRole", "lambda:CreateFunction", "lambda:CreateEventSourceMapping"], "own code can be run with any role by an event"),
    (&["iam:PassRole", "lambda:CreateFunction", "lambda:AddPermission"], "own code with any role can be made callable from elsewhere"),
    (&["iam:PassRole", "glue:CreateDevEndpoint"], "a development endpoint can be opened with any role"),
    (&["iam:PassRole", "glue:CreateJob", "glue:StartJobRun"], "an own job can be run with any role"),
    (&["iam:PassRole", "cloudformation:CreateStack"], "a stack can be created by any role"),
    (&["iam:PassRole", "datapipeline:CreatePipeline"], "a pipeline can run own commands with any role"),
    (
        &["iam:PassRole", "sagemaker:CreateNotebookInstance", "sagemaker:CreatePresignedNotebookInstanceUrl"],
        "a notebook can be opened with any role",
    ),
    (&["iam:PassRole", "sagemaker:CreateTrainingJob"], "an own training job can be run with any role"),
    (&["iam:PassRole", "sagemaker:CreateProcessingJob"], "an own processing job can be run with any role"),
    (&["iam:PassRole", "codebuild:CreateProject", "codebuild:StartBuild"], "own commands can be built with any role"),
    (&["iam:PassRole", "ecs:RegisterTaskDefinition", "ecs:RunTask"], "an own container can be run with any role"),
    (&["iam:PassRole", "states:CreateStateMachine", "states:StartExecution"], "an own workflow can be run with any role"),
    (&["glue:UpdateDevEndpoint"], "an own key can be put on a development endpoint, which hands out its role's credentials"),
    (&["lambda:UpdateFunctionCode"], "the code of a function can be replaced and runs with its role"),
];

/// Reads of what is stored: data, parameters, secrets, whole databases.
const DATA_EXFILTRATION: &[&str] = &[
    "s3:GetObject",
    "ssm:GetParameter",
    "ssm:GetParameters",
    "ssm:GetParametersByPath",
    "secretsmanager:GetSecretValue",
    "rds:CopyDBSnapshot",
];

/// Calls whose answer is a credential.
const CREDENTIALS_EXPOSURE: &[&str] = &[
    "airflow:CreateCliToken",
    "airflow:CreateWebLoginToken",
    "appsync:CreateApiKey",
    "chime:CreateApiKey",
    "cloud9:CreateEnvironmentToken",
    "codeartifact:GetAuthorizationToken",
    "codepipeline:PollForJobs",
    "cognito-identity:GetCredentialsForIdentity",
    "cognito-identity:GetOpenIdToken",
    "cognito-identity:GetOpenIdTokenForDeveloperIdentity",
    "cognito-idp:GetSigningCertificate",
    "connect:GetFederationToken",
    "ec2:GetPasswordData",
    "ecr-public:GetAuthorizationToken",
    "ecr:GetAuthorizationToken",
    "emr-containers:GetManagedEndpointSessionCredentials",
    "finspace-api:GetProgrammaticAccessCredentials",
    "gamelift:GetComputeAccess",
    "gamelift:GetComputeAuthToken",
    "gamelift:GetInstanceAccess",
    "gamelift:RequestUploadCredentials",
    "grafana:CreateWorkspaceApiKey",
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:CreateServiceSpecificCredential",
    "iam:ResetServiceSpecificCredential",
    "iam:UpdateAccessKey",
    "license-manager:GetAccessToken",
    "lightsail:CreateBucketAccessKey",
    "lightsail:DownloadDefaultKeyPair",
    "lightsail:GetInstanceAccessDetails",
    "lightsail:GetRelationalDatabaseMasterUserPassword",
    "mediapackage:RotateChannelCredentials",
    "mediapackage:RotateIngestEndpointCredentials",
    "rds-db:connect",
    "redshift-serverless:GetCredentials",
    "redshift:GetClusterCredentials",
    "redshift:GetClusterCredentialsWithIAM",
    "sts:AssumeRole",
    "sts:AssumeRoleWithSAML",
    "sts:AssumeRoleWithWebIdentity",
    "sts:GetFederationToken",
    "sts:GetSessionToken",
];

/// Those of the above that no policy can confine to a resource.
const NOT_CONFINABLE: &[&str] = &[
    "appsync:CreateApiKey",
    "chime:CreateApiKey",
    "cognito-identity:GetCredentialsForIdentity",
    "cognito-identity:GetOpenIdToken",
    "datapipeline:CreatePipeline",
    "ecr-public:GetAuthorizationToken",
    "ecr:GetAuthorizationToken",
    "ecs:RegisterTaskDefinition",
    "glue:CreateDevEndpoint",
    "lambda:CreateEventSourceMapping",
    "license-manager:GetAccessToken",
    "lightsail:DownloadDefaultKeyPair",
    "sts:GetSessionToken",
];

/// The ways of a kind that a policy opens, each with its `actions` and a `witness`. Takes the policy's statements.
pub(crate) fn escalations(all: &Value, kind: EscalationKind) -> Option<Value> {
    if let Data::Unknown(unknown) = &all.data {
        if unknown.candidates.is_empty() {
            return Some(inside_of(unknown));
        }
        let candidates = unknown.candidates.iter().map(|candidate| of_statements(candidate, kind).unwrap_or_else(Value::null)).collect();
        let inner = keyblind_resource::Unknown { candidates, ..keyblind_resource::Unknown::new(unknown.reason.clone()) };
        return Some(Value { data: Data::Unknown(Arc::new(inner)), ..all.clone() });
    }
    of_statements(all, kind)
}

fn of_statements(all: &Value, kind: EscalationKind) -> Option<Value> {
    let grants = Grants::of(all.as_items()?);
    let mut found = Found { certain: Vec::new(), open: false };
    match kind {
        EscalationKind::PrivilegeEscalation => {
            for (actions, how) in PRIVILEGE_ESCALATIONS {
                found.add(&grants, actions, how);
            }
        }
        EscalationKind::DataExfiltration => {
            for action in DATA_EXFILTRATION {
                found.add(&grants, &[action], "whatever is stored can be taken out");
            }
        }
        EscalationKind::CredentialsExposure => {
            for action in CREDENTIALS_EXPOSURE {
                found.add(&grants, &[action], "the answer is a credential");
            }
        }
        EscalationKind::PermissionsManagement => found.add_level(&grants, Some(Level::Permissions), "who may do what can be changed"),
        EscalationKind::UnrestrictedWrite => found.add_level(&grants, Some(Level::Write), "all of their kind can be changed or deleted"),
        EscalationKind::UnrestrictedResource => found.add_level(&grants, None, "more is reached than is needed"),
    }
    Some(maybe(all, found.certain, found.open.then(|| first_reason(all)).flatten()))
}

struct Found {
    certain: Vec<Value>,
    /// Whether there may be more.
    open: bool,
}

impl Found {
    fn add(&mut self, grants: &Grants<'_>, actions: &[&str], how: &str) {
        let is_confinable = |action: &str| !NOT_CONFINABLE.contains(&action);
        let allowed = |action: &&str| grants.allow(&action.to_ascii_lowercase(), is_confinable(action));
        match actions.iter().map(allowed).fold(Truth::True, Truth::and) {
            Truth::True => {
                let names = actions.iter().map(|action| (*action).to_owned()).collect();
                let origin = actions.first().map(|first| grants.origin(&first.to_ascii_lowercase(), is_confinable(first)));
                self.certain.push(way(names, false, how).with_origin(origin.unwrap_or_default()));
            }
            Truth::Unknown => self.open = true,
            Truth::False => {}
        }
    }

    fn add_level(&mut self, grants: &Grants<'_>, level: Option<Level>, how: &str) {
        let (mut named, mut origin, mut more) = (Vec::new(), Origin::None, false);
        let of_level =
            actions::all().iter().filter(|actions| level.is_none_or(|level| actions.level == level) && grants.concern(actions.service));
        'all: for actions in of_level {
            for (folded, name) in actions.each() {
                match grants.allow(folded, true) {
                    Truth::True if named.len() == MAX_NAMED => {
                        more = true;
                        break 'all;
                    }
                    Truth::True => {
                        if named.is_empty() {
                            origin = grants.origin(folded, true);
                        }
                        named.push(format!("{}:{name}", actions.service));
                    }
                    Truth::Unknown => self.open = true,
                    Truth::False => {}
                }
            }
        }
        if !named.is_empty() {
            self.certain.push(way(named, more, how).with_origin(origin));
        }
    }
}

fn way(actions: Vec<String>, more: bool, how: &str) -> Value {
    let mut names: Vec<String> = actions.iter().take(4).map(|action| format!("`{action}`")).collect();
    if more || actions.len() > 4 {
        names.push("more".to_owned());
    }
    let last = names.pop().unwrap_or_default();
    let names = if names.is_empty() { last } else { format!("{} and {last}", names.join(", ")) };
    let witness = format!("with {names} on every resource {how}");
    let actions = Value::tuple(actions.into_iter().map(Value::string).collect());
    Value::object([(Arc::from("actions"), actions), (Arc::from("witness"), Value::string(witness))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::iam::statements::statements;

    fn found(kind: EscalationKind, document: &str) -> Vec<String> {
        let value = statements(&Value::string(document)).unwrap();
        let found = escalations(&value, kind).unwrap();
        found.as_items().unwrap().iter().map(|way| way.get("witness").unwrap().as_str().unwrap().to_owned()).collect()
    }

    fn allow(actions: &str, resource: &str, more: &str) -> String {
        format!(r#"{{"Statement": [{{"Effect": "Allow", "Action": {actions}, "Resource": "{resource}"{more}}}]}}"#)
    }

    #[test]
    fn combinations_need_all_of_their_actions_on_everything() {
        let ways = |document: &str| found(EscalationKind::PrivilegeEscalation, document).len();
        assert_eq!(ways(&allow(r#"["iam:PassRole", "ec2:RunInstances"]"#, "*", "")), 1);
        assert_eq!(ways(&allow(r#"["iam:Pass*", "EC2:runinstances"]"#, "*", "")), 1);
        assert_eq!(ways(&allow(r#""iam:PassRole""#, "*", "")), 0);
        assert_eq!(ways(&allow(r#"["iam:PassRole", "ec2:RunInstances"]"#, "arn:aws:iam::1:role/x", "")), 0);
        assert_eq!(ways(&allow(r#""iam:CreateAccessKey""#, "*", r#", "Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}"#)), 0);
        assert_eq!(ways(&allow(r#""iam:CreateAccessKey""#, "*", r#", "Condition": {"Bool": {"aws:SecureTransport": "true"}}"#)), 1);
        assert_eq!(ways(&allow(r#""*""#, "*", "")), PRIVILEGE_ESCALATIONS.len());
    }

    #[test]
    fn what_is_denied_is_not_allowed() {
        let policy = r#"{"Statement": [{"Effect": "Allow", "NotAction": "s3:*", "Resource": "*"}, {"Effect": "Deny", "Action": ["iam:*", "lambda:*", "glue:*"], "Resource": "*"}]}"#;
        assert_eq!(found(EscalationKind::PrivilegeEscalation, policy), [""; 0]);
        assert!(!found(EscalationKind::DataExfiltration, policy).iter().any(|way| way.contains("s3:")));
        let partly = r#"{"Statement": [{"Effect": "Allow", "Action": "iam:*", "Resource": "*"}, {"Effect": "Deny", "Action": "iam:*", "Resource": "arn:aws:iam::1:user/x"}]}"#;
        assert!(!found(EscalationKind::PrivilegeEscalation, partly).is_empty());
    }

    #[test]
    fn levels_are_told_apart() {
        let read = allow(r#"["s3:Get*", "s3:List*"]"#, "*", "");
        assert_eq!(found(EscalationKind::UnrestrictedWrite, &read), [""; 0]);
        assert_eq!(
            found(EscalationKind::DataExfiltration, &read),
            ["with `s3:GetObject` on every resource whatever is stored can be taken out"]
        );
        let write = allow(r#"["s3:PutObject"]"#, "*", "");
        assert_eq!(found(EscalationKind::UnrestrictedWrite, &write).len(), 1);
        assert_eq!(found(EscalationKind::PermissionsManagement, &write), [""; 0]);
        assert_eq!(found(EscalationKind::PermissionsManagement, &allow(r#""s3:PutBucketPolicy""#, "*", "")).len(), 1);
        assert_eq!(found(EscalationKind::UnrestrictedWrite, &allow(r#""s3:*""#, "arn:aws:s3:::b", "")), [""; 0]);
        assert!(found(EscalationKind::UnrestrictedWrite, &allow(r#""*""#, "*", ""))[0].contains("and more"));
        let confinable = |actions: &str| found(EscalationKind::UnrestrictedResource, &allow(actions, "*", "")).len();
        assert_eq!(
            (confinable(r#""s3:GetObject""#), confinable(r#""ec2:DescribeRegions""#), confinable(r#""sts:GetSessionToken""#)),
            (1, 0, 0)
        );
    }

    #[test]
    fn credentials_that_cannot_be_confined_count_everywhere() {
        assert_eq!(found(EscalationKind::CredentialsExposure, &allow(r#""ecr:GetAuthorizationToken""#, "arn:aws:ecr:*", "")).len(), 1);
        assert_eq!(found(EscalationKind::CredentialsExposure, &allow(r#""sts:AssumeRole""#, "arn:aws:iam::1:role/x", "")).len(), 0);
    }
}
