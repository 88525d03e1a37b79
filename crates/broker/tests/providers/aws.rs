//! AWS over the wire. MiniStack checks signatures and enforces policies, trust policies and session policies of `AssumeRole`; moto
//! answers in AWS's shapes; `iam-simulate` proves policies against IAM's rules and its catalogue of actions. What none of them enforces
//! is played by a stand-in of ours (`stand_in`).

mod account;
mod errors;
mod kms;
mod leases;
mod proofs;
mod sessions;
mod signatures;
mod stand_in;
mod web_identity;

use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;
use keyblind_broker::clock::{Clock as _, SystemClock, Timestamp};
use keyblind_broker::egress::{AllowedHost, Body, Call, Egress, FormBody, Origin, Target};
use keyblind_broker::providers::aws::setup::{Format, Setup, Trust};
use keyblind_broker::providers::aws::{
    ACTIONS, AwsAuthority, Base, ExternalId, LinkedAccount, Marks, Role, SessionPolicy, SessionScope, Sts, keys, sign,
};
use keyblind_broker::secret::Secret;
use keyblind_intent::{
    AccountId, Action, ActionId, ApplyAction, Arn, ConnectionName, PublicAccessBlock, Region, RequestId, SubjectId, TenantId,
};
use keyblind_testkit::{AWS_ACCOUNT, AWS_KEY_ID, AWS_SECRET_KEY, Peer};

const EXTERNAL_ID: &str = "acme-5f2a9c";
const BLOCK: &str = "<PublicAccessBlockConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><BlockPublicAcls>true</BlockPublicAcls>\
    <IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy><RestrictPublicBuckets>true</RestrictPublicBuckets>\
    </PublicAccessBlockConfiguration>";

const BUCKET: &str = "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
    <LocationConstraint>eu-central-1</LocationConstraint></CreateBucketConfiguration>";

/// An account at MiniStack, with the roles that `keyblind-broker aws setup` prints, and a user that may take them.
struct World {
    peer: Peer,
    egress: Egress,
    /// The account's root: what an administrator does.
    root: Secret,
    /// The keys of the user `keyblind-broker`.
    broker: Option<Secret>,
}

fn region(name: &str) -> Region {
    Region::new(name).unwrap()
}

fn home() -> Region {
    region("eu-central-1")
}

fn account() -> AccountId {
    AccountId::new(AWS_ACCOUNT).unwrap()
}

fn role(kind: &str) -> Role {
    format!("arn:aws:iam::{AWS_ACCOUNT}:role/keyblind-{kind}").parse().unwrap()
}

fn marks() -> Marks {
    static NEXT: std::sync::atomic::AtomicU8 = std::sync::atomic::AtomicU8::new(0);
    let id = RequestId::from_bytes([NEXT.fetch_add(1, std::sync::atomic::Ordering::SeqCst); 16]);
    Marks::of_read(id, &TenantId::new("acme").unwrap(), &SubjectId::new("auth0|ada").unwrap())
}

fn text_of<'t>(text: &'t str, element: &str) -> &'t str {
    let (open, close) = (format!("<{element}>"), format!("</{element}>"));
    text.split_once(&open).and_then(|(_, rest)| rest.split_once(&close)).unwrap_or_else(|| panic!("no {element} in {text}")).0
}

fn block(bucket: &str) -> ApplyAction {
    let block =
        PublicAccessBlock { block_public_acls: true, ignore_public_acls: true, block_public_policy: true, restrict_public_buckets: true };
    let resource = Arn::new(format!("arn:aws:s3:::{bucket}")).unwrap();
    ApplyAction::new(account(), home(), resource, Action::SetBucketPublicAccessBlock { block: Some(block) }).unwrap()
}

fn egress(peer: &Peer) -> Egress {
    Egress::new([AllowedHost::private(Origin::parse(peer.url()).unwrap())], b"").unwrap()
}

/// Makes a signed call as anybody, and gives the status and the text of the answer.
async fn send(egress: &Egress, call: Call<'_>, keys: &Secret, region: &Region, service: &str) -> (u16, String) {
    let call = sign(call, keys, region, service, SystemClock::new().now()).unwrap();
    let answer = egress.send(call.at_most(4 << 20)).await.unwrap();
    (answer.status().as_u16(), String::from_utf8_lossy(answer.body()).into_owned())
}

impl World {
    /// An account with nothing in it.
    fn empty() -> Self {
        let peer = Peer::ministack();
        let egress = egress(&peer);
        Self { peer, egress, root: keys(AWS_KEY_ID, AWS_SECRET_KEY.as_bytes(), None).unwrap(), broker: None }
    }

    /// An account with two buckets, the roles for these actions, and the user that takes them.
    async fn with(actions: &[ActionId]) -> Self {
        let mut world = Self::empty();
        world.broker = Some(world.user("keyblind-broker").await);
        let trust = Trust::Principal {
            account: account(),
            principal: "user/keyblind-broker".parse().unwrap(),
            external_id: ExternalId::new(EXTERNAL_ID).unwrap(),
        };
        let setup = Setup { trust, services: Vec::new(), actions: actions.to_vec(), regions: Vec::new() };
        world.deploy(&setup.render(Format::Cloudformation).unwrap()).await;
        for bucket in ["logs-a", "logs-b"] {
            let (status, text) = world.s3(Method::PUT, bucket, None, &world.root, BUCKET).await;
            assert_eq!(status, 200, "{text}");
        }
        world
    }

    /// A user that may take Keyblind's roles, and its keys.
    async fn user(&self, name: &str) -> Secret {
        self.admin("iam", &[("Action", "CreateUser"), ("UserName", name)]).await;
        let policy = format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":["sts:AssumeRole","sts:SetSourceIdentity","sts:TagSession"],"Resource":"arn:aws:iam::{AWS_ACCOUNT}:role/*"}}]}}"#
        );
        self.admin("iam", &[("Action", "PutUserPolicy"), ("UserName", name), ("PolicyName", "roles"), ("PolicyDocument", &policy)]).await;
        let made = self.admin("iam", &[("Action", "CreateAccessKey"), ("UserName", name)]).await;
        keys(text_of(&made, "AccessKeyId"), text_of(&made, "SecretAccessKey").as_bytes(), None).unwrap()
    }

    /// Makes a CloudFormation stack.
    async fn deploy(&self, template: &str) {
        let capability = ("Capabilities.member.1", "CAPABILITY_NAMED_IAM");
        self.admin("cloudformation", &[("Action", "CreateStack"), ("StackName", "keyblind"), ("TemplateBody", template), capability]).await;
        let since = Instant::now();
        loop {
            let state = self.admin("cloudformation", &[("Action", "DescribeStacks"), ("StackName", "keyblind")]).await;
            match text_of(&state, "StackStatus") {
                "CREATE_COMPLETE" => return,
                "CREATE_IN_PROGRESS" if since.elapsed() < Duration::from_secs(60) => tokio::time::sleep(Duration::from_millis(100)).await,
                other => panic!("{other}: {state}"),
            }
        }
    }

    /// What an administrator does.
    async fn admin(&self, service: &str, fields: &[(&str, &str)]) -> String {
        let (status, text) = self.query(service, &home(), &self.root, fields).await;
        assert_eq!(status, 200, "{fields:?}: {text}");
        text
    }

    async fn query(&self, service: &str, region: &Region, keys: &Secret, fields: &[(&str, &str)]) -> (u16, String) {
        let version = match service {
            "iam" => "2010-05-08",
            "sts" => "2011-06-15",
            "ec2" => "2016-11-15",
            _ => "2010-05-15",
        };
        let form = fields.iter().fold(FormBody::new().with("Version", version), |form, (name, value)| form.with(name, value));
        let target = Target::new(&Origin::parse(self.peer.url()).unwrap()).path("/");
        send(&self.egress, Call::form(target, form), keys, region, service).await
    }

    async fn s3(&self, method: Method, bucket: &str, setting: Option<&str>, keys: &Secret, body: &'static str) -> (u16, String) {
        let mut target = Target::new(&Origin::parse(self.peer.url()).unwrap()).segment(bucket);
        if let Some(setting) = setting {
            target = target.query(setting, "");
        }
        let mut call = Call::new(method, target);
        if !body.is_empty() {
            call = call.body(Body::Bytes("application/xml", body.as_bytes().to_vec().into()));
        }
        send(&self.egress, call, keys, &home(), "s3").await
    }

    fn sts(&self) -> Sts {
        Sts::new(self.egress.clone(), Arc::new(SystemClock::new()), home()).unwrap().at(Origin::parse(self.peer.url()).unwrap())
    }

    fn authority(&mut self) -> AwsAuthority {
        AwsAuthority::new(self.sts(), Arc::new(Base::keys(self.broker.take().unwrap())))
    }
}

fn linked() -> LinkedAccount {
    LinkedAccount {
        name: ConnectionName::new("production").unwrap(),
        account: account(),
        read_role: role("read"),
        change_role: Some(role("change")),
        external_id: Some(ExternalId::new(EXTERNAL_ID).unwrap()),
        says_whose: true,
    }
}

fn to_change(policy: SessionPolicy) -> SessionScope {
    linked().scope(&role("change"), policy, marks())
}

fn to_read(policy: SessionPolicy) -> SessionScope {
    linked().scope(&role("read"), policy, marks())
}

/// Waits until a session is dead, and a moment longer.
async fn wait_for(moment: Timestamp) {
    let left = moment.saturating_duration_since(SystemClock::new().now());
    tokio::time::sleep(left + Duration::from_millis(1_200)).await;
}
