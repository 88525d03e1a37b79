//! Sessions at MiniStack: what is asked for works, nothing else does, and after its seconds nothing does.

use keyblind_broker::leases::lease::Authority as _;
use keyblind_broker::providers::aws::{AwsError, Profiles, Step};
use keyblind_intent::{Count, Port, SecurityGroupRule, Service, SnapshotAccount, Source, TransportProtocol};

use super::*;

#[tokio::test]
async fn an_action_is_allowed_on_its_resource_alone_and_for_its_seconds() {
    let mut world = World::with(&[ActionId::SetBucketPublicAccessBlock, ActionId::SetBucketLogging]).await;
    let authority = world.authority();
    let policy = SessionPolicy::of_action(&block("logs-a"), None).unwrap();
    let scope = to_change(policy);
    let minted = authority.mint(&scope, Duration::from_secs(12)).await.unwrap();
    assert!(authority.is_within(&minted.granted, &scope));
    let keys = &minted.token;
    // The call, and its reading before and after.
    for (method, body) in [(Method::GET, ""), (Method::PUT, BLOCK), (Method::GET, "")] {
        let (status, text) = world.s3(method.clone(), "logs-a", Some("publicAccessBlock"), keys, body).await;
        // There is no block yet when it is read first.
        assert!(status == 200 || (status == 404 && text.contains("NoSuchPublicAccessBlockConfiguration")), "{method}: {status} {text}");
    }
    // Another bucket, another setting of the same bucket (which the role allows), another service.
    let denied = [
        world.s3(Method::PUT, "logs-b", Some("publicAccessBlock"), keys, BLOCK).await,
        world.s3(Method::GET, "logs-b", Some("publicAccessBlock"), keys, "").await,
        world.s3(Method::GET, "logs-a", Some("logging"), keys, "").await,
        world.s3(Method::GET, "logs-a", None, keys, "").await,
        world.query("ec2", &home(), keys, &[("Action", "DescribeVpcs")]).await,
        world.query("iam", &home(), keys, &[("Action", "ListUsers")]).await,
    ];
    for (status, text) in denied {
        assert_eq!(status, 403, "{text}");
    }
    // It is the session's policy that denies: with another one the same role may.
    let other =
        authority.mint(&to_change(SessionPolicy::of_action(&block("logs-b"), None).unwrap()), Duration::from_secs(60)).await.unwrap();
    let (status, text) = world.s3(Method::PUT, "logs-b", Some("publicAccessBlock"), &other.token, BLOCK).await;
    assert_eq!(status, 200, "{text}");
    wait_for(minted.dies_at).await;
    let (status, text) = world.s3(Method::GET, "logs-a", Some("publicAccessBlock"), keys, "").await;
    assert_eq!(status, 403, "{text}");
    // The keys are still a session's, which may do nothing: that is what "dead" means here.
    let identity = world.sts().caller_identity(keys).await.unwrap();
    assert_eq!(identity.arn, format!("arn:aws:sts::{AWS_ACCOUNT}:assumed-role/keyblind-change/{}", scope.marks.session()));
    assert_eq!(identity.account, AWS_ACCOUNT);
}

#[tokio::test]
async fn a_rule_of_one_security_group_is_taken_away_and_no_other() {
    let mut world = World::with(&[ActionId::SetIngressRule]).await;
    let vpcs = world.admin("ec2", &[("Action", "DescribeVpcs")]).await;
    let vpc = text_of(&vpcs, "vpcId").to_owned();
    let mut groups = Vec::new();
    for name in ["web", "database"] {
        let fields = [("Action", "CreateSecurityGroup"), ("GroupName", name), ("GroupDescription", "x"), ("VpcId", &vpc)];
        let group = text_of(&world.admin("ec2", &fields).await, "groupId").to_owned();
        let mut fields = rule("AuthorizeSecurityGroupIngress", &group);
        world.admin("ec2", &fields).await;
        fields[0].1 = "RevokeSecurityGroupIngress";
        groups.push(group.clone());
    }
    let rule_of_web = SecurityGroupRule {
        protocol: TransportProtocol::Tcp,
        from: Some(Port(22)),
        to: Some(Port(22)),
        source: Source::Network(keyblind_intent::Network::new("0.0.0.0/0").unwrap()),
        description: None,
    };
    let resource = Arn::new(format!("arn:aws:ec2:eu-central-1:{AWS_ACCOUNT}:security-group/{}", groups[0])).unwrap();
    let apply = |present| {
        ApplyAction::new(account(), home(), resource.clone(), Action::SetIngressRule { rule: rule_of_web.clone(), present }).unwrap()
    };
    let authority = world.authority();
    let one_way =
        authority.mint(&to_change(SessionPolicy::of_action(&apply(false), None).unwrap()), Duration::from_secs(60)).await.unwrap();
    let (web, database) = (groups[0].as_str(), groups[1].as_str());
    let (status, text) = world.query("ec2", &home(), &one_way.token, &rule("RevokeSecurityGroupIngress", database)).await;
    assert_eq!(status, 403, "{text}");
    let (status, text) = world.query("ec2", &home(), &one_way.token, &rule("RevokeSecurityGroupIngress", web)).await;
    assert_eq!(status, 200, "{text}");
    // Only with the inverse in the approved change may it be put back.
    let (status, text) = world.query("ec2", &home(), &one_way.token, &rule("AuthorizeSecurityGroupIngress", web)).await;
    assert_eq!(status, 403, "{text}");
    let both = SessionPolicy::of_action(&apply(false), Some(&apply(true))).unwrap();
    let both = authority.mint(&to_change(both), Duration::from_secs(60)).await.unwrap();
    let (status, text) = world.query("ec2", &home(), &both.token, &rule("AuthorizeSecurityGroupIngress", web)).await;
    assert_eq!(status, 200, "{text}");
}

fn rule<'f>(action: &'f str, group: &'f str) -> Vec<(&'f str, &'f str)> {
    vec![
        ("Action", action),
        ("GroupId", group),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "22"),
        ("IpPermissions.1.ToPort", "22"),
        ("IpPermissions.1.IpRanges.1.CidrIp", "0.0.0.0/0"),
    ]
}

#[tokio::test]
async fn a_snapshot_reads_its_services_in_its_regions_and_changes_nothing() {
    let mut world = World::with(&ACTIONS).await;
    let authority = world.authority();
    let snapshot = |services: &[Service]| SnapshotAccount {
        account: account(),
        regions: vec![home()],
        services: services.to_vec(),
        most_calls: Count::new(10).unwrap(),
    };
    let mut policies = SessionPolicy::of_snapshot(&snapshot(&[Service::Ec2])).unwrap();
    assert_eq!(policies.len(), 1);
    let minted = authority.mint(&to_read(policies.remove(0)), Duration::from_secs(300)).await.unwrap();
    let keys = &minted.token;
    let read = [("Action", "DescribeSecurityGroups")];
    let (status, text) = world.query("ec2", &home(), keys, &read).await;
    assert_eq!(status, 200, "{text}");
    let denied = [
        world.query("ec2", &region("us-east-1"), keys, &read).await,
        world.query("ec2", &home(), keys, &[("Action", "CreateSecurityGroup"), ("GroupName", "x"), ("GroupDescription", "x")]).await,
        world.query("iam", &home(), keys, &[("Action", "GetAccountSummary")]).await,
        world.s3(Method::GET, "logs-a", Some("policy"), keys, "").await,
    ];
    for (status, text) in denied {
        assert_eq!(status, 403, "{text}");
    }
    // All services take several sessions, each of which reads its own.
    let policies = SessionPolicy::of_snapshot(&snapshot(&Service::ALL)).unwrap();
    let services: Vec<Service> = policies.iter().flat_map(|policy| policy.services().to_vec()).collect();
    assert_eq!(services, Service::ALL);
    let of_s3 = policies.into_iter().find(|policy| policy.services().contains(&Service::S3)).unwrap();
    let minted = authority.mint(&to_read(of_s3), Duration::from_secs(300)).await.unwrap();
    let (status, text) = world.s3(Method::GET, "logs-a", Some("versioning"), &minted.token, "").await;
    assert_eq!(status, 200, "{text}");
    let (status, text) = world.s3(Method::GET, "logs-a", None, &minted.token, "").await;
    assert_eq!(status, 403, "listing objects reads what is kept: {text}");
    // The role that reads can't change anything, whatever a session of it asks for.
    let policy = SessionPolicy::of_action(&block("logs-a"), None).unwrap();
    let minted = authority.mint(&to_read(policy), Duration::from_secs(60)).await.unwrap();
    let (status, text) = world.s3(Method::PUT, "logs-a", Some("publicAccessBlock"), &minted.token, BLOCK).await;
    assert_eq!(status, 403, "{text}");
}

#[tokio::test]
async fn a_profile_leads_through_its_roles_to_the_one_that_is_wanted() {
    let world = World::with(&[ActionId::SetBucketPublicAccessBlock]).await;
    // Somebody's own chain: a user, a role for daily work, then Keyblind's roles; these trust the role now.
    let trust = |principal: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{AWS_ACCOUNT}:{principal}"}},"Action":["sts:AssumeRole","sts:TagSession","sts:SetSourceIdentity"]}}]}}"#
        )
    };
    world
        .admin("iam", &[("Action", "CreateRole"), ("RoleName", "daily"), ("AssumeRolePolicyDocument", &trust("user/keyblind-broker"))])
        .await;
    let wide = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    world.admin("iam", &[("Action", "PutRolePolicy"), ("RoleName", "daily"), ("PolicyName", "p"), ("PolicyDocument", wide)]).await;
    world
        .admin("iam", &[("Action", "UpdateAssumeRolePolicy"), ("RoleName", "keyblind-change"), ("PolicyDocument", &trust("role/daily"))])
        .await;
    let folder = tempfile::tempdir().unwrap();
    let credentials = world.broker.as_ref().unwrap().expose(|bytes| {
        let text = std::str::from_utf8(bytes).unwrap().to_owned();
        let (id, secret) = text.split_once('\n').unwrap();
        format!("[user]\naws_access_key_id = {id}\naws_secret_access_key = {secret}\n")
    });
    let config =
        format!("[profile daily]\nrole_arn = arn:aws:iam::{AWS_ACCOUNT}:role/daily\nsource_profile = user\nregion = eu-central-1\n");
    std::fs::write(folder.path().join("credentials"), credentials).unwrap();
    std::fs::write(folder.path().join("config"), config).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.path().join("credentials"), private).unwrap();
    let profile = Profiles::read(folder.path()).unwrap().resolve("daily").unwrap();
    assert_eq!(profile.region, Some(home()));
    assert_eq!(profile.steps, [Step { role: format!("arn:aws:iam::{AWS_ACCOUNT}:role/daily").parse().unwrap(), external_id: None }]);
    let authority = AwsAuthority::new(world.sts(), Arc::new(Base::local(profile)));
    let minted =
        authority.mint(&to_change(SessionPolicy::of_action(&block("logs-a"), None).unwrap()), Duration::from_secs(60)).await.unwrap();
    let (status, text) = world.s3(Method::PUT, "logs-a", Some("publicAccessBlock"), &minted.token, BLOCK).await;
    assert_eq!(status, 200, "{text}");
    // The step's session could be used for nothing but the next role.
    let asked: Vec<String> = world.peer.requests().iter().filter_map(|request| request["body"].as_str().map(ToOwned::to_owned)).collect();
    let step = asked.iter().find(|body| body.contains("role%2Fdaily") && body.contains("Action=AssumeRole")).unwrap();
    assert!(step.contains("Policy=") && step.contains("role%2Fkeyblind-change"), "{step}");
    assert!(!step.contains("SourceIdentity=") && !step.contains("Tags.member"), "{step}");
    // Another role isn't for this step's session.
    let error = authority.mint(&to_read(SessionPolicy::nothing()), Duration::from_secs(60)).await.err().unwrap();
    assert_eq!(
        format!("{error:?}"),
        format!("{:?}", keyblind_broker::leases::lease::NotMinted::Refused(keyblind_broker::ledger::Code::new("role-denied").unwrap()))
    );
}

#[tokio::test]
async fn sessions_live_for_seconds_up_to_an_hour() {
    let mut world = World::with(&[ActionId::SetBucketPublicAccessBlock]).await;
    let authority = world.authority();
    let scope = to_change(SessionPolicy::of_action(&block("logs-a"), None).unwrap());
    for lifetime in [Duration::ZERO, Duration::from_millis(900), Duration::from_secs(3_601)] {
        assert!(matches!(authority.take(&scope, lifetime).await, Err(AwsError::Lifetime)), "{lifetime:?}");
    }
    assert_eq!(world.peer.requests().iter().filter(|request| request["body"].as_str().unwrap().contains("Action=AssumeRole")).count(), 0);
    let (session, dead_at) = authority.take(&scope, Duration::from_secs(60)).await.unwrap();
    assert!(session.expires > dead_at, "AWS's shortest session is longer than a minute");
    assert!(session.is_packed && session.ahead.unwrap().abs() < 5_000);
}
