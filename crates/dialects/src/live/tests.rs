use keyblind_syntax::{SourceFile, SourceMap};

use super::*;

const GROUP: &str = r#"{"answer":{"securityGroupInfo":[{"groupDescription":"web","groupId":"sg-0123456789abcdef0","groupName":"web","ipPermissions":[{"fromPort":"22","groups":null,"ipProtocol":"tcp","ipRanges":[{"cidrIp":"0.0.0.0/0","description":"all"}],"toPort":"22"},{"groups":[{"groupId":"sg-0123456789abcdef0","userId":"123456789012"}],"ipProtocol":"-1"}],"ipPermissionsEgress":null,"ownerId":"123456789012","tagSet":[{"key":"team","value":"shop"},{"key":"token","value":{"keyblind:left-out":true}}],"vpcId":"vpc-1"}]},"call":"ec2:DescribeSecurityGroups","page":0,"region":"eu-central-1"}"#;
const INTERFACE: &str = r#"{"answer":{"networkInterfaceSet":[{"groupSet":[{"groupId":"sg-0123456789abcdef0"}],"networkInterfaceId":"eni-1"}]},"call":"ec2:DescribeNetworkInterfaces","page":0,"region":"eu-central-1"}"#;
const PEOPLE: &str = r#"{"answer":{"GroupDetailList":null,"Policies":[{"Arn":"arn:aws:iam::123456789012:policy/all","PolicyName":"all","PolicyVersionList":[{"Document":"%7B%22Statement%22%3A%5B%5D%7D","IsDefaultVersion":"true","VersionId":"v2"},{"Document":"%7B%7D","IsDefaultVersion":"false","VersionId":"v1"}]}],"RoleDetailList":[{"Arn":"arn:aws:iam::123456789012:role/deploy","AssumeRolePolicyDocument":"{\"Statement\":[]}","AttachedManagedPolicies":[{"PolicyArn":"arn:aws:iam::123456789012:policy/all","PolicyName":"all"}],"Path":"/","RoleName":"deploy","RolePolicyList":[{"PolicyDocument":"%7B%7D","PolicyName":"own"}]},{"Path":"/aws-service-role/x/","RoleName":"AWSServiceRoleForX"}],"UserDetailList":null},"call":"iam:GetAccountAuthorizationDetails","page":0,"region":"eu-central-1"}"#;

fn snapshot(calls: &[&str]) -> String {
    let rest = r#""format":1,"partition":"aws","regions":["eu-central-1"],"scrubbed":0,"unread":["rds"]}"#;
    format!("{{\"account\":\"123456789012\",\"calls\":[{}],{rest}", calls.join(","))
}

fn evaluated(calls: &[&str]) -> Evaluation {
    let text = snapshot(calls);
    assert!(is_snapshot(&text));
    let mut sources = SourceMap::default();
    let file = sources.add(SourceFile::new("account.json", text.as_str()));
    read(file, &text).unwrap_or_else(|diagnostic| panic!("{}", diagnostic.message))
}

fn find<'e>(evaluation: &'e Evaluation, address: &str) -> &'e Resource {
    let found = evaluation.resources.iter().find(|resource| &*resource.address == address);
    found.unwrap_or_else(|| panic!("no {address} among {:?}", evaluation.resources.iter().map(|found| &found.address).collect::<Vec<_>>()))
}

fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    path.split('.').fold(value, |value, step| match step.parse::<usize>() {
        Ok(index) => &value.as_items().unwrap_or_else(|| panic!("{step} of {path}"))[index],
        Err(_) => value.get(step).unwrap_or_else(|| panic!("{step} of {path}")),
    })
}

#[test]
fn groups_have_terraforms_names_and_are_linked_with_what_uses_them() {
    let mut evaluation = evaluated(&[INTERFACE, GROUP]);
    let group = find(&evaluation, "aws_security_group.sg-0123456789abcdef0");
    assert_eq!(at(&group.body, "ingress.0.cidr_blocks.0").as_str(), Some("0.0.0.0/0"));
    assert_eq!(at(&group.body, "ingress.0.from_port").as_number(), Value::int(22).as_number());
    assert_eq!(at(&group.body, "ingress.0.description").as_str(), Some("all"));
    assert_eq!(at(&group.body, "ingress.1.self").as_bool(), Some(true));
    assert_eq!(at(&group.body, "ingress.1.to_port").as_number(), Value::int(0).as_number());
    assert!(at(&group.body, "egress").as_items().is_none_or(<[Value]>::is_empty));
    assert_eq!(at(&group.body, "tags.team").as_str(), Some("shop"));
    assert!(at(&group.body, "tags.token").is_unknown(), "what was left out isn't known");
    assert_eq!(group.dialect, Dialect::Live);
    let messages: Vec<&str> = evaluation.diagnostics.iter().map(|diagnostic| &*diagnostic.message).collect();
    assert_eq!(messages, ["nothing of `rds` is read yet"]);
    let graph = evaluation.graph();
    let id = graph.resources.iter().position(|resource| resource.type_key.as_ref() == "aws_security_group").unwrap();
    assert!(graph.incoming(id).any(|link| &*link.path == "security_groups"));
}

#[test]
fn a_policy_of_aws_itself_is_known_by_its_name() {
    let people = PEOPLE.replace(
        "arn:aws:iam::123456789012:policy/all\",\"PolicyName\":\"all\"}],\"Path\"",
        "arn:aws:iam::aws:policy/AdministratorAccess\",\"PolicyName\":\"AdministratorAccess\"}],\"Path\"",
    );
    assert_ne!(people, PEOPLE);
    let evaluation = evaluated(&[&people]);
    let attached = find(&evaluation, "aws_iam_role_policy_attachment.live[\"deploy:AdministratorAccess\"]");
    let arn = at(&attached.body, "policy_arn");
    assert_eq!(arn.as_str(), Some("arn:aws:iam::aws:policy/AdministratorAccess"));
    assert!(!arn.is_unknown(), "it refers to no resource that the account could have");
}

#[test]
fn policies_are_those_that_count_and_roles_of_aws_are_left_out() {
    let evaluation = evaluated(&[PEOPLE]);
    assert_eq!(at(&find(&evaluation, "aws_iam_policy.all").body, "policy").as_str(), Some("{\"Statement\":[]}"));
    assert_eq!(at(&find(&evaluation, "aws_iam_role.deploy").body, "assume_role_policy").as_str(), Some("{\"Statement\":[]}"));
    assert_eq!(at(&find(&evaluation, "aws_iam_role_policy.live[\"deploy:own\"]").body, "policy").as_str(), Some("{}"));
    let attached = find(&evaluation, "aws_iam_role_policy_attachment.live[\"deploy:all\"]");
    assert_eq!(at(&attached.body, "policy_arn").as_str(), Some("arn:aws:iam::123456789012:policy/all"));
    assert!(evaluation.resources.iter().all(|resource| !resource.address.contains("AWSServiceRole")));
}

#[test]
fn what_could_not_be_read_is_unknown_and_said() {
    let setting = |call: &str, rest: &str| format!(r#"{{{rest},"bucket":"logs.example","call":"{call}","region":"eu-central-1"}}"#);
    let policy = setting("s3:GetBucketPolicy", r#""answer":{"Statement":[{"Effect":"Deny"}]}"#);
    let acl = setting(
        "s3:GetBucketAcl",
        r#""answer":{"AccessControlList":{"Grant":[{"Grantee":{"URI":"http://acs.amazonaws.com/groups/global/AllUsers"},"Permission":"READ"}]}}"#,
    );
    let versioning = setting("s3:GetBucketVersioning", r#""answer":null"#);
    let denied = setting("s3:GetBucketPublicAccessBlock", r#""failed":"denied""#);
    let evaluation = evaluated(&[&acl, &policy, &denied, &versioning]);
    let bucket = |type_name: &str| find(&evaluation, &format!("{type_name}.live[\"logs.example\"]")).body.clone();
    assert_eq!(at(&bucket("aws_s3_bucket_policy"), "policy").as_str(), Some(r#"{"Statement":[{"Effect":"Deny"}]}"#));
    assert_eq!(at(&bucket("aws_s3_bucket_acl"), "acl").as_str(), Some("public-read"));
    assert_eq!(at(&bucket("aws_s3_bucket_versioning"), "versioning_configuration.0.status").as_str(), Some("Disabled"));
    let block = bucket("aws_s3_bucket_public_access_block");
    assert!(at(&block, "bucket").is_unknown() && at(&block, "block_public_acls").is_unknown());
    assert!(at(&bucket("aws_s3_bucket"), "server_side_encryption_configuration").is_unknown(), "it was never asked");
    assert!(bucket("aws_s3_bucket").get("versioning").is_none());
    let messages: Vec<&str> = evaluation.diagnostics.iter().map(|diagnostic| &*diagnostic.message).collect();
    assert!(messages[0].contains("`s3:GetBucketPublicAccessBlock` couldn't be read (denied)"), "{messages:?}");
}

#[test]
fn only_snapshots_of_a_known_form_are_read() {
    for other in ["{}", "{\"account\":\"12\",\"calls\":[", "{\"calls\":[]}", "[]", "", "{\"account\":\"123456789012\",\"call\":1}"] {
        assert!(!is_snapshot(other), "{other}");
    }
    let mut sources = SourceMap::default();
    for text in [snapshot(&[]).replace("\"format\":1", "\"format\":2"), snapshot(&[])[..40].to_owned()] {
        let file = sources.add(SourceFile::new("account.json", text.as_str()));
        assert!(read(file, &text).is_err(), "{text}");
    }
    // Whatever stands where: nothing panics, and nothing is made up.
    for odd in [
        r#"{"call":1}"#,
        "null",
        "[]",
        r#"{"answer":7,"call":"ec2:DescribeSecurityGroups","region":"x"}"#,
        r#"{"answer":{"securityGroupInfo":[null,{"groupId":7},[]]},"call":"ec2:DescribeSecurityGroups","region":"x"}"#,
    ] {
        assert_eq!(evaluated(&[odd]).resources.len(), 0, "{odd}");
    }
}
