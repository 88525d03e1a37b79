//! An account at AWS, from the socket to the one call: it is `MiniStack`, which checks signatures, roles and sessions' policies; people are at
//! the pages.

mod missions;
mod overtaken;

use std::io::Write as _;
use std::net::TcpListener;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use keyblind_broker::clock::{Clock as _, SystemClock};
use keyblind_broker::egress::{AllowedHost, Call, Egress, FormBody, Origin, Target};
use keyblind_broker::providers::aws::{keys, sign};
use keyblind_broker::secret::Secret;
use keyblind_broker::socket::{Client, ClientError};
use keyblind_intent::{
    AccountId, Action, Answer, ApplyAction, Arn, ChangeState, Control, Count, Digest, Failure, Intent, Line, Network, Outcome, Port,
    PublicAccessBlock, Refusal, Region, Report, Request, SecurityGroupRule, Service, SnapshotAccount, Source, TransportProtocol,
};
use keyblind_prove::door::Visitor;
use keyblind_testkit::{AWS_ACCOUNT, AWS_KEY_ID, AWS_SECRET_KEY, Peer};
use serde_json::{Value, json};

use crate::support::{Place, Running, eventually, text};

const EXTERNAL_ID: &str = "acme-5f2a9c";
const BUCKET: &str = "keyblind-logs";
const ADMIN: &str = "arn:aws:iam::123456789012:policy/everything";
const ROLE: &str = "arn:aws:iam::123456789012:role/deploy";

/// An account with the printed roles, a broker that has the keys of the one user that may take them, and a person at its socket.
struct World {
    aws: Peer,
    place: Place,
    broker: Option<Running>,
    browser: Visitor,
    runtime: tokio::runtime::Runtime,
    egress: Egress,
    root: Secret,
    /// The secret key of the broker's user.
    secret: String,
    group: String,
}

fn home() -> Region {
    Region::new("eu-central-1").unwrap()
}

fn account() -> AccountId {
    AccountId::new(AWS_ACCOUNT).unwrap()
}

fn element<'t>(text: &'t str, name: &str) -> &'t str {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    text.split_once(&open).and_then(|(_, rest)| rest.split_once(&close)).unwrap_or_else(|| panic!("no {name} in {text}")).0
}

impl World {
    fn new(aws: Peer) -> Self {
        let origin = Origin::parse(aws.url()).unwrap();
        let mut place = Place::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let policy = place.folder.path().join("policy.toml");
        std::fs::write(
            &policy,
            "version = 1\nsolo = \"me\"\n[people.me]\nidentities = [{ issuer = \"local\", subject = \"alice\" }]\n\
             roles = [\"owner\", \"approver\", \"security\"]\ntenants = [\"octo\"]\n\
             [[rules]]\nname = \"all\"\nchannels = [\"session\"]\n",
        )
        .unwrap();
        let account = |name: &str, tenant: &str, id: &str| {
            format!(
                "[[aws.account]]\nname = {name:?}\ntenant = {tenant:?}\naccount = {id:?}\nregions = [\"eu-central-1\", \"us-east-1\"]\n\
                 read-role = \"arn:aws:iam::{id}:role/keyblind-read\"\nchange-role = \"arn:aws:iam::{id}:role/keyblind-change\"\n\
                 external-id = {EXTERNAL_ID:?}\n"
            )
        };
        place.more = format!(
            "[door]\norigin = \"http://approve.localhost:{port}\"\nlisten = \"127.0.0.1:{port}\"\n[approvals]\npolicy = {policy:?}\n\
             [aws]\nregion = \"eu-central-1\"\nendpoint = {:?}\n{}{}",
            aws.url(),
            account("production", "octo", AWS_ACCOUNT),
            account("theirs", "other", "444455556666"),
        );
        let egress = Egress::new([AllowedHost::private(origin)], b"").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let root = keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), None).unwrap();
        let browser = Visitor::at(port);
        let mut world = Self { aws, place, broker: None, browser, runtime, egress, root, secret: String::new(), group: String::new() };
        world.furnish();
        world.broker = Some(world.place.start());
        let login = world.place.ask(&["login"]);
        let said = text(&login.stdout);
        world.browser.log_in(said.lines().next().and_then(|line| line.strip_prefix("open ")).unwrap()).unwrap();
        world
    }

    /// What an administrator does before the broker runs.
    fn furnish(&mut self) {
        self.admin("iam", &[("Action", "CreateUser"), ("UserName", "keyblind-broker")]);
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":["sts:AssumeRole","sts:SetSourceIdentity","sts:TagSession"],"Resource":"arn:aws:iam::{AWS_ACCOUNT}:role/*"}}]}}"#
        );
        let fields = [("Action", "PutUserPolicy"), ("UserName", "keyblind-broker"), ("PolicyName", "roles"), ("PolicyDocument", &policy)];
        self.admin("iam", &fields);
        let made = self.admin("iam", &[("Action", "CreateAccessKey"), ("UserName", "keyblind-broker")]);
        self.secret = element(&made, "SecretAccessKey").to_owned();
        let kept = format!("{}\n{}\n", element(&made, "AccessKeyId"), self.secret);
        let mut keep = self.place.command(&["keep", "aws-keys"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        keep.stdin.take().unwrap().write_all(kept.as_bytes()).unwrap();
        assert!(keep.wait_with_output().unwrap().status.success());
        let printed = self.place.ask(&[
            "aws",
            "setup",
            "--account",
            AWS_ACCOUNT,
            "--principal",
            "user/keyblind-broker",
            "--external-id",
            EXTERNAL_ID,
            "--format",
            "cloudformation",
            "--action",
            "set-ingress-rule",
            "--action",
            "set-bucket-public-access-block",
            "--action",
            "set-policy-attached",
            "--action",
            "set-access-key-active",
            "--action",
            "set-volume-encryption-by-default",
            "--service",
            "ec2",
            "--service",
            "iam",
            "--service",
            "s3",
        ]);
        assert!(printed.status.success(), "{}", text(&printed.stderr));
        self.deploy("keyblind", text(&printed.stdout));
        let bucket = json!({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket", "Properties": {"BucketName": BUCKET, "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": false, "IgnorePublicAcls": false, "BlockPublicPolicy": false, "RestrictPublicBuckets": false,
        }}}}});
        self.deploy("bucket", &bucket.to_string());
        let everything = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        self.admin("iam", &[("Action", "CreatePolicy"), ("PolicyName", "everything"), ("PolicyDocument", everything)]);
        let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
        self.admin("iam", &[("Action", "CreateRole"), ("RoleName", "deploy"), ("AssumeRolePolicyDocument", trust)]);
        self.admin("iam", &[("Action", "AttachRolePolicy"), ("RoleName", "deploy"), ("PolicyArn", ADMIN)]);
        let made = self.admin("ec2", &[("Action", "CreateSecurityGroup"), ("GroupName", "web"), ("GroupDescription", "web")]);
        self.group = element(&made, "groupId").to_owned();
        self.let_in("22", "0.0.0.0/0", "from everywhere");
        self.let_in("443", "10.0.0.0/8", "inside");
    }

    fn let_in(&self, port: &str, network: &str, description: &str) {
        self.admin(
            "ec2",
            &[
                ("Action", "AuthorizeSecurityGroupIngress"),
                ("GroupId", &self.group),
                ("IpPermissions.1.IpProtocol", "tcp"),
                ("IpPermissions.1.FromPort", port),
                ("IpPermissions.1.ToPort", port),
                ("IpPermissions.1.IpRanges.1.CidrIp", network),
                ("IpPermissions.1.IpRanges.1.Description", description),
            ],
        );
    }

    fn deploy(&self, name: &str, template: &str) {
        let fields =
            [("Action", "CreateStack"), ("StackName", name), ("TemplateBody", template), ("Capabilities.member.1", "CAPABILITY_NAMED_IAM")];
        self.admin("cloudformation", &fields);
        let since = Instant::now();
        loop {
            let state = self.admin("cloudformation", &[("Action", "DescribeStacks"), ("StackName", name)]);
            match element(&state, "StackStatus") {
                "CREATE_COMPLETE" => return,
                "CREATE_IN_PROGRESS" if since.elapsed() < Duration::from_secs(60) => std::thread::sleep(Duration::from_millis(100)),
                other => panic!("{other}: {state}"),
            }
        }
    }

    /// A call of the account's root: what people do there by hand.
    fn admin(&self, service: &str, fields: &[(&str, &str)]) -> String {
        let version = match service {
            "iam" => "2010-05-08",
            "ec2" => "2016-11-15",
            _ => "2010-05-15",
        };
        let form = fields.iter().fold(FormBody::new().with("Version", version), |form, (name, value)| form.with(name, value));
        let (status, said) = self.send(service, Call::form(self.target().path("/"), form));
        assert_eq!(status, 200, "{fields:?}: {said}");
        said
    }

    fn target(&self) -> Target {
        Target::new(&Origin::parse(self.aws.url()).unwrap())
    }

    fn send(&self, service: &str, call: Call<'_>) -> (u16, String) {
        let call = sign(call, &self.root, &home(), service, SystemClock::new().now()).unwrap();
        let answer = self.runtime.block_on(self.egress.send(call.at_most(4 << 20).within(Duration::from_secs(120)))).unwrap();
        (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
    }

    /// What the group lets in, as somebody who looks sees it.
    fn let_in_now(&self) -> Vec<(String, String)> {
        let filter = [("Action", "DescribeSecurityGroupRules"), ("Filter.1.Name", "group-id"), ("Filter.1.Value.1", &self.group)];
        let found = self.admin("ec2", &filter);
        let rules = found.split("<item>").skip(1).filter(|rule| rule.contains("<isEgress>false"));
        let mut rules: Vec<_> = rules.map(|rule| (element(rule, "cidrIpv4").to_owned(), element(rule, "description").to_owned())).collect();
        rules.sort();
        rules
    }

    fn blocked(&self) -> Option<String> {
        let call = Call::get(self.target().segment(BUCKET).query("publicAccessBlock", ""));
        let (status, said) = self.send("s3", call);
        (status == 200).then(|| element(&said, "BlockPublicPolicy").to_owned())
    }

    fn is_attached(&self) -> bool {
        self.admin("iam", &[("Action", "ListAttachedRolePolicies"), ("RoleName", "deploy")]).contains(ADMIN)
    }

    /// How many sessions were asked for by now.
    fn sessions(&self) -> usize {
        let asked = self.aws.requests();
        asked.iter().filter_map(|request| request["body"].as_str()).filter(|body| body.contains("Action=AssumeRole")).count()
    }

    fn ask(&self, request: &Request) -> Result<Answer, Refusal> {
        match Client::connect(&self.place.socket(), b"").unwrap().ask(request, None) {
            Ok((answer, _)) => Ok(answer),
            Err(ClientError::Refused(refusal)) => Err(refusal),
            Err(error) => panic!("{error}"),
        }
    }

    fn apply(&self, resource: &str, action: Action) -> Result<Answer, Refusal> {
        let request = ApplyAction::new(account(), home(), Arn::new(resource).unwrap(), action).unwrap();
        self.ask(&Request::Intent(Intent::ApplyAction(request)))
    }

    fn wanted(answer: Result<Answer, Refusal>) -> Digest {
        match answer.unwrap() {
            Answer::Outcome(Outcome::ApprovalWanted { change, .. }) => change,
            other => panic!("{other:?}"),
        }
    }

    fn close_ssh(&self) -> Result<Answer, Refusal> {
        self.apply(&self.group_arn(), Action::SetIngressRule { rule: ssh(), present: false })
    }

    fn group_arn(&self) -> String {
        format!("arn:aws:ec2:eu-central-1:{AWS_ACCOUNT}:security-group/{}", self.group)
    }

    fn follow(&self, digest: Digest) -> (ChangeState, Option<Outcome>) {
        match self.ask(&Request::Control(Control::FollowChange { digest })) {
            Ok(Answer::Report(Report::Change { state, outcome, .. })) => (state, outcome.map(|outcome| *outcome)),
            other => panic!("{other:?}"),
        }
    }

    fn ends(&self, digest: Digest) -> (ChangeState, Option<Outcome>) {
        eventually("the change's end", || !matches!(self.follow(digest).0, ChangeState::Waiting | ChangeState::Approved));
        self.follow(digest)
    }

    fn say_yes(&mut self, digest: Digest) {
        // What takes protection away wants the code typed as well.
        let page = self.browser.get(&format!("/change/{digest}")).unwrap();
        let (seal, nonce) = (page.field("seal").unwrap(), page.field("nonce").unwrap());
        let typed = digest.short_code().to_string();
        let fields = [("seal", seal.as_str()), ("nonce", &nonce), ("answer", "approve"), ("typed", &typed)];
        let said = self.browser.post(&format!("/change/{digest}/decide"), &fields).unwrap();
        assert_eq!(said.status, 303, "{}", said.text);
    }

    /// Says yes to a change that is expected to be made, and gives what would undo it.
    fn approved(&mut self, digest: Digest) -> ApplyAction {
        self.say_yes(digest);
        match self.ends(digest) {
            (ChangeState::Applied, Some(Outcome::ActionApplied { undo: Some(undo), before, after })) => {
                assert_ne!(before, after);
                *undo
            }
            other => panic!("{other:?}"),
        }
    }

    fn undo(&self, undo: ApplyAction) -> Digest {
        Self::wanted(self.ask(&Request::Intent(Intent::ApplyAction(undo))))
    }

    /// Ends the broker, and judges what it recorded.
    fn close(mut self) -> (keyblind_ledger::Report, String) {
        let (code, said) = self.broker.take().unwrap().terminate();
        assert_eq!(code, Some(0), "{said}");
        let key = self.place.ask(&["ledger", "key"]);
        let export = self.place.ask(&["ledger", "export"]);
        assert!(export.status.success(), "{}", text(&export.stderr));
        let key = text(&key.stdout).trim().parse().unwrap();
        let report = keyblind_ledger::verify(&export.stdout[..], &key, &keyblind_ledger::Expected::default()).unwrap();
        assert!(report.is_sound(), "{report:?}");
        (report, text(&export.stdout).to_owned())
    }
}

fn ssh() -> SecurityGroupRule {
    SecurityGroupRule {
        protocol: TransportProtocol::Tcp,
        from: Some(Port(22)),
        to: Some(Port(22)),
        source: Source::Network(Network::new("0.0.0.0/0").unwrap()),
        description: None,
    }
}

fn snapshot(account: AccountId, services: &[Service], most_calls: u64) -> Request {
    let most_calls = Count::new(most_calls).unwrap();
    Request::Intent(Intent::SnapshotAccount(SnapshotAccount { account, regions: Vec::new(), services: services.to_vec(), most_calls }))
}

const ALL: [Service; 3] = [Service::Ec2, Service::Iam, Service::S3];

fn taken(world: &World, services: &[Service]) -> (Value, Vec<u8>, u64) {
    let mut client = Client::connect(&world.place.socket(), b"").unwrap();
    let (answer, document) = client.ask(&snapshot(account(), services, 500), None).unwrap();
    let Answer::Outcome(Outcome::AccountSnapshotted { account: of, calls, failed, .. }) = answer else { panic!("{answer:?}") };
    assert_eq!(of, account());
    assert!(calls.get() > 3);
    let bytes = document.unwrap().read(1 << 24).unwrap();
    (serde_json::from_slice(&bytes).unwrap(), bytes, failed.get())
}

fn answers<'v>(document: &'v Value, call: &str) -> Vec<&'v Value> {
    document["calls"].as_array().unwrap().iter().filter(|entry| entry["call"] == call).collect()
}

#[test]
fn an_account_is_read_into_one_document_without_secrets() {
    let world = World::new(Peer::ministack());
    world.admin(
        "ec2",
        &[("Action", "CreateTags"), ("ResourceId.1", &world.group), ("Tag.1.Key", "deploy-token"), ("Tag.1.Value", "hunter2")],
    );
    let doctor = world.place.ask(&["doctor"]);
    let said = text(&doctor.stdout);
    let sound = |subject: &str| said.lines().any(|line| line.starts_with("sound") && line.ends_with(subject));
    assert!(sound("AWS: the broker's own keys") && sound("AWS account production: the role that reads demands its external id"), "{said}");
    assert!(!said.contains("theirs"), "another tenant's is neither looked at nor named: {said}");
    let connections = world.ask(&Request::Control(Control::ListConnections)).unwrap();
    let Answer::Report(Report::Connections { connections }) = connections else { panic!("{connections:?}") };
    assert_eq!(connections.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["production"], "another tenant's isn't told");
    let (document, bytes, _) = taken(&world, &ALL);
    assert_eq!(keyblind_intent::canonical(&document).unwrap(), bytes, "it is in canonical form");
    let groups = answers(&document, "ec2:DescribeSecurityGroups");
    assert_eq!(groups.len(), 2, "one a region: {groups:?}");
    let found = groups.iter().flat_map(|entry| entry["answer"]["securityGroupInfo"].as_array()).flatten();
    let web = found.filter(|group| group["groupId"] == world.group.as_str()).collect::<Vec<_>>();
    assert!(web[0]["ipPermissions"].to_string().contains("0.0.0.0/0"), "{web:?}");
    assert_eq!(answers(&document, "s3:GetBucketVersioning")[0]["bucket"], BUCKET);
    let blocks = answers(&document, "s3:GetBucketPublicAccessBlock");
    assert_eq!((blocks.len(), &blocks[0]["answer"]["BlockPublicPolicy"]), (1, &json!("false")));
    assert_eq!(answers(&document, "s3:GetBucketPolicy")[0]["answer"], Value::Null, "that there is none is an answer");
    let people = answers(&document, "iam:GetAccountAuthorizationDetails")[0]["answer"].to_string();
    assert!(people.contains("deploy") && people.contains(ADMIN), "{people}");
    assert!(document["scrubbed"].as_u64().unwrap() > 0);
    for secret in [world.secret.as_str(), "hunter2", AWS_SECRET_KEY] {
        assert!(!text(&bytes).contains(secret));
    }
    // The same account in the same state is the same document.
    assert_eq!(taken(&world, &ALL).1, bytes);
    // That there is no password policy is an answer.
    assert_eq!(answers(&document, "iam:GetAccountPasswordPolicy")[0]["answer"], Value::Null);
    // What is larger than is taken isn't asked for again, and doesn't end the rest. EC2 is asked for pages.
    let seen = world.aws.requests().len();
    world.aws.fail(&json!({"path": "", "matching": "Action=DescribeInstances", "status": 200, "bytes": (16 << 20) + 1, "times": 9}));
    let (large, ..) = taken(&world, &ALL);
    let of_instances = answers(&large, "ec2:DescribeInstances");
    assert_eq!(of_instances.iter().map(|entry| &entry["failed"]).collect::<Vec<_>>(), ["too-large", "too-large"], "one a region");
    assert!(answers(&large, "ec2:DescribeVpcs").iter().all(|entry| entry["failed"].is_null()));
    let asked = world.aws.requests();
    let asked: Vec<_> =
        asked.iter().skip(seen).filter_map(|request| request["body"].as_str()).filter(|body| body.contains("=Describe")).collect();
    assert_eq!(asked.iter().filter(|body| body.contains("DescribeInstances")).count(), 2, "once in each region");
    assert!(asked.iter().all(|body| body.contains("MaxResults=")), "{asked:?}");
    world.aws.heal();
    let (less, _, failed) = taken(&world, &[Service::S3, Service::Rds]);
    assert_eq!((&less["unread"], answers(&less, "ec2:DescribeVpcs").len()), (&json!(["rds"]), 0));
    assert!(failed > 0, "what can't be read is counted");
    let (report, _) = world.close();
    assert_eq!((report.writes, report.approvals), (0, 0));
}

#[test]
fn a_rule_is_closed_after_a_persons_yes_and_opened_again_after_another() {
    let mut world = World::new(Peer::ministack());
    let both = [("0.0.0.0/0", "from everywhere"), ("10.0.0.0/8", "inside")].map(|(network, said)| (network.to_owned(), said.to_owned()));
    let digest = World::wanted(world.close_ssh());
    assert_eq!(world.let_in_now(), both, "nothing is done before the yes");
    let page = world.browser.get(&format!("/change/{digest}")).unwrap();
    for shown in
        ["Change what a security group lets in", &world.group, "0.0.0.0/0", "No network interface uses this group now", "The same call"]
    {
        assert!(page.text.contains(shown), "no {shown} in {}", page.text);
    }
    let undo = world.approved(digest);
    assert_eq!(world.let_in_now(), both[1..]);
    // What was written beside it comes back with it.
    let Action::SetIngressRule { rule, present: true } = undo.action() else { panic!("{undo:?}") };
    assert_eq!(rule.description, Some(Line::new("from everywhere").unwrap()));
    let again = world.undo(undo);
    let page = world.browser.get(&format!("/change/{again}")).unwrap();
    assert!(page.text.contains("takes protection away"), "{}", page.text);
    world.approved(again);
    assert_eq!(world.let_in_now(), both);
    let (report, export) = world.close();
    assert_eq!((report.writes, report.approvals), (2, 2), "{report:?}");
    assert!(export.contains("policy-dead") || export.contains("dies"), "the record says how sessions end");
}

#[test]
fn a_bucket_is_blocked_and_a_policy_detached_and_both_undone() {
    let mut world = World::new(Peer::ministack());
    let all =
        PublicAccessBlock { block_public_acls: true, ignore_public_acls: true, block_public_policy: true, restrict_public_buckets: true };
    let block = Action::SetBucketPublicAccessBlock { block: Some(all) };
    let bucket = format!("arn:aws:s3:::{BUCKET}");
    let digest = World::wanted(world.apply(&bucket, block.clone()));
    assert_eq!(world.blocked().as_deref(), Some("false"));
    let undo = world.approved(digest);
    assert_eq!(world.blocked().as_deref(), Some("true"));
    // As it is already: there is nothing to say yes to.
    assert_eq!(world.apply(&bucket, block), Err(Refusal::StaleState));
    let digest = world.undo(undo);
    world.approved(digest);
    assert_eq!(world.blocked().as_deref(), Some("false"));
    let detach = Action::SetPolicyAttached { policy: Arn::new(ADMIN).unwrap(), attached: false };
    let digest = World::wanted(world.apply(ROLE, detach));
    let page = world.browser.get(&format!("/change/{digest}")).unwrap();
    assert!(page.text.contains("allows everything on everything"), "{}", page.text);
    let undo = world.approved(digest);
    assert!(!world.is_attached());
    let digest = world.undo(undo);
    world.approved(digest);
    assert!(world.is_attached());
    assert_eq!(world.close().0.writes, 4);
}

/// A key is switched off after a yes, and on again after another.
fn a_key(aws: Peer, path: &str) {
    let mut world = World::new(aws);
    world.admin("iam", &[("Action", "CreateUser"), ("UserName", "ada"), ("Path", path)]);
    let made = world.admin("iam", &[("Action", "CreateAccessKey"), ("UserName", "ada")]);
    let key = element(&made, "AccessKeyId").to_owned();
    let is_active = |world: &World| world.admin("iam", &[("Action", "ListAccessKeys"), ("UserName", "ada")]).contains(">Active<");
    let user = format!("arn:aws:iam::{AWS_ACCOUNT}:user{path}ada");
    let set = |active| Action::SetAccessKeyActive { key: key.parse().unwrap(), active };
    let digest = World::wanted(world.apply(&user, set(false)));
    let page = world.browser.get(&format!("/change/{digest}")).unwrap();
    for shown in ["Switch an access key", &key, "The key was made on 20", "The user has no other key that can be used."] {
        assert!(page.text.contains(shown), "no {shown} in {}", page.text);
    }
    assert!(is_active(&world), "nothing is done before the yes");
    let undo = world.approved(digest);
    assert!(!is_active(&world));
    assert_eq!(world.apply(&user, set(false)), Err(Refusal::StaleState), "there is nothing to do");
    let again = world.undo(undo);
    world.approved(again);
    assert!(is_active(&world));
    assert_eq!(world.follow(digest).0, ChangeState::Undone);
    // Another's key isn't this user's.
    let other = Action::SetAccessKeyActive { key: AWS_KEY_ID.parse().unwrap(), active: false };
    let answer = world.apply(&user, other);
    assert!(matches!(answer, Ok(Answer::Outcome(Outcome::Failed { failure: Failure::NotFound, .. }))), "{answer:?}");
    assert_eq!(world.close().0.writes, 2);
}

#[test]
fn a_key_is_switched_off_and_on_again() {
    // It judges by names without their path.
    a_key(Peer::ministack(), "/");
}

#[test]
fn a_key_is_switched_off_and_on_again_at_moto() {
    a_key(Peer::moto(), "/people/");
}

/// `MiniStack` knows nothing of it.
#[test]
fn new_volumes_are_encrypted_by_default_and_not_any_more() {
    let mut world = World::new(Peer::moto());
    let is_on = |world: &World| world.admin("ec2", &[("Action", "GetEbsEncryptionByDefault")]).contains(">true<");
    let root = format!("arn:aws:iam::{AWS_ACCOUNT}:root");
    let on = Action::SetVolumeEncryptionByDefault { enabled: true };
    let digest = World::wanted(world.apply(&root, on.clone()));
    let page = world.browser.get(&format!("/change/{digest}")).unwrap();
    assert!(page.text.contains("made in eu-central-1 from then on"), "{}", page.text);
    let undo = world.approved(digest);
    assert!(is_on(&world));
    assert_eq!(world.apply(&root, on.clone()), Err(Refusal::StaleState));
    let again = world.undo(undo);
    world.approved(again);
    assert!(!is_on(&world));
    // It is a region's, although it is asked for with the account.
    let elsewhere = ApplyAction::new(account(), Region::new("eu-west-1").unwrap(), Arn::new(root).unwrap(), on).unwrap();
    let answer = world.ask(&Request::Intent(Intent::ApplyAction(elsewhere)));
    assert!(matches!(answer, Ok(Answer::Outcome(Outcome::NotConfigured { .. }))), "{answer:?}");
    assert_eq!(world.close().0.writes, 2);
}

#[test]
fn what_is_refused_altered_or_somebody_elses_is_not_done() {
    let mut world = World::new(Peer::ministack());
    let before = world.let_in_now();
    let refused = World::wanted(world.close_ssh());
    assert_eq!(world.browser.decide(&refused.to_string(), "refuse").unwrap().status, 303);
    assert_eq!(world.follow(refused), (ChangeState::Denied, None));
    let stale = World::wanted(world.close_ssh());
    world.let_in("8080", "192.0.2.0/24", "new");
    let altered = world.let_in_now();
    world.browser.decide(&stale.to_string(), "approve").unwrap();
    assert_eq!(world.ends(stale), (ChangeState::Stale, Some(Outcome::Refused(Refusal::StaleState))));
    assert_eq!(world.let_in_now(), altered);
    assert_eq!(altered.len(), before.len() + 1);
    // Another tenant's account, one that nobody configured, and Keyblind's own role: no session is as much as asked for.
    let sessions = world.sessions();
    for id in ["444455556666", "999988887777"] {
        let id = AccountId::new(id).unwrap();
        let resource = Arn::new(format!("arn:aws:ec2:eu-central-1:{id}:security-group/{}", world.group)).unwrap();
        let action = Action::SetIngressRule { rule: ssh(), present: false };
        let theirs = ApplyAction::new(id.clone(), home(), resource, action).unwrap();
        assert_eq!(world.ask(&Request::Intent(Intent::ApplyAction(theirs))), Err(Refusal::OtherTenant));
        assert_eq!(world.ask(&snapshot(id, &ALL, 10)), Err(Refusal::OtherTenant));
    }
    let detach = Action::SetPolicyAttached { policy: Arn::new(ADMIN).unwrap(), attached: false };
    // IAM's calls name a role without its path, and don't look at the case of its letters.
    for own in ["keyblind-change", "elsewhere/keyblind-change", "Keyblind-READ"] {
        let own = format!("arn:aws:iam::{AWS_ACCOUNT}:role/{own}");
        assert_eq!(world.apply(&own, detach.clone()), Err(Refusal::Guarded), "{own}");
    }
    let not_yet = Action::SetKeyRotation { enabled: true };
    let key = format!("arn:aws:kms:eu-central-1:{AWS_ACCOUNT}:key/11111111-2222-3333-4444-555555555555");
    assert_eq!(world.apply(&key, not_yet), Err(Refusal::NotOffered));
    assert_eq!(world.sessions(), sessions);
    // A snapshot ends with its budget.
    assert_eq!(world.ask(&snapshot(account(), &ALL, 2)), Err(Refusal::BeyondLimit));
    let absent = SecurityGroupRule { from: Some(Port(23)), to: Some(Port(23)), ..ssh() };
    let answer = world.apply(&world.group_arn(), Action::SetIngressRule { rule: absent, present: false });
    assert!(matches!(answer, Ok(Answer::Outcome(Outcome::Failed { failure: Failure::NotFound, .. }))), "{answer:?}");
    let report = world.close().0;
    assert_eq!((report.writes, report.approvals), (0, 1), "{report:?}");
}

#[test]
fn a_stop_voids_what_waits_and_lends_nothing() {
    let world = World::new(Peer::ministack());
    let digest = World::wanted(world.close_ssh());
    let killed = world.place.ask(&["kill"]);
    assert!(text(&killed.stdout).starts_with("stopped (stop 1)"), "{}", text(&killed.stderr));
    assert_eq!(world.follow(digest), (ChangeState::Halted, None));
    let sessions = world.sessions();
    assert_eq!(world.ask(&snapshot(account(), &ALL, 10)), Err(Refusal::Halted));
    // Nor does the set-up's own examination take a role now.
    assert!(text(&world.place.ask(&["doctor"]).stdout).contains("not checked AWS: the broker's own keys and the accounts' roles"));
    assert_eq!(world.sessions(), sessions);
    assert_eq!(world.let_in_now().len(), 2);
    world.close();
}

/// `MiniStack` knows nothing of trying a call; `moto` does, and checks nobody's rights.
#[test]
fn a_call_is_tried_before_it_is_made() {
    let mut world = World::new(Peer::moto());
    let digest = World::wanted(world.close_ssh());
    world.approved(digest);
    assert_eq!(world.let_in_now().len(), 1);
    let asked = world.aws.requests();
    let revoked: Vec<bool> = asked
        .iter()
        .filter_map(|request| request["body"].as_str())
        .filter(|body| body.contains("Action=RevokeSecurityGroupIngress"))
        .map(|body| body.contains("DryRun=true"))
        .collect();
    assert_eq!(revoked, [true, false]);
    let (document, ..) = taken(&world, &ALL);
    assert_eq!(answers(&document, "s3:GetBucketAcl")[0]["bucket"], BUCKET);
    let again: Arc<[Value]> = answers(&document, "ec2:DescribeVpcs").into_iter().cloned().collect();
    assert!(again.iter().all(|entry| entry["failed"].is_null()), "{again:?}");
    world.close();
}
