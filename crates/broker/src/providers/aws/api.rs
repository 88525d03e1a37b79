//! AWS's own interfaces, called with borrowed keys: EC2, IAM and S3, each in its own form.
//!
//! Which calls there are is written in tables ([`super::operations`]) and in the actions; here is how one of them is sent, and what
//! its answer means. What was turned away unread is sent again after a pause; a call that may have had an effect never is.

use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::BASE64;
use hyper::Method;
use hyper::header::{HeaderName, RETRY_AFTER};
use keyblind_intent::{AccountId, Failure, Region};
use serde_json::Value;

use super::answer::Leaves;
use super::xml::{self, Document};
use super::{AwsError, Partition, endpoint, signing};
use crate::clock::Clock;
use crate::egress::{Answer, Body, Call, Egress, EgressError, FormBody, Origin, Target};
use crate::secret::Secret;

/// How many bytes one answer may have.
const ANSWER: usize = 16 * 1024 * 1024;
/// How often a call is made that was turned away unread.
const TRIES: u32 = 6;
/// The first pause; it doubles, and a part of it is left to chance, so that many who were turned away don't come back at once.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

const OWNER: HeaderName = HeaderName::from_static("x-amz-expected-bucket-owner");
const ACCOUNT: HeaderName = HeaderName::from_static("x-amz-account-id");
const CHECKSUM: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");

/// One of AWS's interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Interface {
    /// EC2, in its query form.
    Ec2,
    /// IAM, in its query form. It has one place in each partition.
    Iam,
    /// S3: buckets.
    S3,
    /// S3: an account's own settings.
    S3Control,
}

impl Interface {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ec2, Self::Iam, Self::S3, Self::S3Control];

    /// Where calls for a region and an account go.
    ///
    /// # Errors
    /// [`AwsError::Partition`] if the region is of none that is known.
    pub fn origin(self, region: &Region, account: &AccountId) -> Result<Origin, AwsError> {
        match self {
            Self::Ec2 => endpoint("ec2", region),
            Self::S3 => endpoint("s3", region),
            Self::S3Control => endpoint(&format!("{account}.s3-control"), region),
            Self::Iam => {
                let host = match Partition::of(region)? {
                    Partition::Commercial => "https://iam.amazonaws.com",
                    Partition::GovCloud => "https://iam.us-gov.amazonaws.com",
                    Partition::China => "https://iam.cn-north-1.amazonaws.com.cn",
                };
                Origin::parse(host).map_err(|_| AwsError::Partition)
            }
        }
    }

    /// The region that calls are signed for.
    fn signed_for(self, region: &Region) -> Result<Region, AwsError> {
        let home = match (self, Partition::of(region)?) {
            (Self::Iam, Partition::Commercial) => "us-east-1",
            (Self::Iam, Partition::GovCloud) => "us-gov-west-1",
            (Self::Iam, Partition::China) => "cn-north-1",
            _ => return Ok(region.clone()),
        };
        Region::new(home).map_err(|_| AwsError::Partition)
    }

    const fn service(self) -> &'static str {
        match self {
            Self::Ec2 => "ec2",
            Self::Iam => "iam",
            Self::S3 | Self::S3Control => "s3",
        }
    }

    const fn version(self) -> &'static str {
        match self {
            Self::Ec2 => "2016-11-15",
            _ => "2010-05-08",
        }
    }
}

/// One call.
#[derive(Clone, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) interface: Interface,
    pub(crate) region: &'a Region,
    pub(crate) account: &'a AccountId,
    pub(crate) form: Form<'a>,
    /// Elements that repeat.
    pub(crate) lists: &'a [&'a str],
}

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) enum Form<'a> {
    /// The name of a call and its fields.
    Query(&'a str, Vec<(String, String)>),
    /// A bucket's setting (none: the bucket itself; without a bucket: the list of them).
    Bucket { method: Method, bucket: Option<&'a str>, query: Vec<(&'a str, String)>, body: Option<String> },
    /// A path of S3's control interface.
    Path(&'a str),
}

/// Why a call came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// AWS wasn't reached, or refused for a reason that isn't about this call.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// There is no such resource.
    #[error("there is no such resource")]
    Gone,
    /// The resource has no such setting, or no such rule.
    #[error("the resource has no such setting")]
    NotSet,
    /// It is there already.
    #[error("it is there already")]
    There,
    /// The session isn't allowed to.
    #[error("the session isn't allowed to make this call")]
    Denied,
    /// The call would have been made: it was only tried.
    #[error("the call would have been made")]
    WouldHave,
    /// The resource lies in another region, or is another account's.
    #[error("the resource lies elsewhere")]
    Elsewhere,
}

impl ApiError {
    /// A name for records.
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Aws(error) => error.code(),
            Self::Gone => "not-found",
            Self::NotSet => "not-set",
            Self::There => "exists-already",
            Self::Denied => "denied",
            Self::WouldHave => "only-tried",
            Self::Elsewhere => "elsewhere",
        }
    }

    /// Whether the call may have had its effect.
    pub(crate) fn may_have_happened(self) -> bool {
        matches!(self, Self::Aws(error) if error.may_have_happened())
    }

    /// What whoever asked is told.
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Aws(AwsError::Egress(EgressError::TooLarge)) => Failure::TooLarge,
            Self::Aws(AwsError::Egress(_)) => Failure::Unreachable,
            Self::Aws(AwsError::Throttled { .. }) => Failure::RateLimited,
            Self::Aws(AwsError::Broken { .. }) => Failure::Broken,
            Self::Aws(AwsError::Unintelligible) => Failure::Unintelligible,
            Self::Aws(AwsError::AccessDenied { .. }) | Self::Denied => Failure::Forbidden,
            Self::Gone | Self::NotSet | Self::Elsewhere => Failure::NotFound,
            Self::There => Failure::Conflict,
            Self::Aws(_) | Self::WouldHave => Failure::Rejected,
        }
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// Nothing but the word that it was done.
    Done,
    /// A document.
    Xml(Box<Document>),
    /// A document in JSON: a bucket's policy.
    Json(Value),
}

impl Answered {
    /// What is in the document, if its root has that name.
    pub(crate) fn of(self, root: &str) -> Result<Value, ApiError> {
        match self {
            Self::Xml(document) if document.root == root => Ok(document.value),
            _ => Err(AwsError::Unintelligible.into()),
        }
    }
}

/// AWS's interfaces.
#[derive(Clone)]
pub struct Api {
    egress: Egress,
    clock: Arc<dyn Clock>,
    /// One place for everything, instead of each region's own.
    at: Option<Origin>,
}

impl Api {
    /// Each at its own place, which must be on the list of hosts.
    pub fn new(egress: Egress, clock: Arc<dyn Clock>) -> Self {
        Self { egress, clock, at: None }
    }

    /// All at one place: an emulator's.
    #[must_use]
    pub fn at(mut self, origin: Option<Origin>) -> Self {
        self.at = origin;
        self
    }

    /// Makes a call that reads: again, if it was turned away unread, or if AWS failed.
    pub(crate) async fn read(&self, keys: &Secret, asking: &Asking<'_>) -> Result<Answered, ApiError> {
        self.ask(keys, asking, |error| {
            matches!(error, ApiError::Aws(AwsError::Throttled { .. } | AwsError::Broken { .. })) || is_lost(error)
        })
        .await
    }

    /// Makes a call that changes something: again only if it was turned away unread.
    pub(crate) async fn write(&self, keys: &Secret, asking: &Asking<'_>) -> Result<Answered, ApiError> {
        self.ask(keys, asking, |error| matches!(error, ApiError::Aws(AwsError::Throttled { .. }))).await
    }

    async fn ask(&self, keys: &Secret, asking: &Asking<'_>, may_ask_again: impl Fn(ApiError) -> bool) -> Result<Answered, ApiError> {
        let mut pause = PAUSE;
        for attempt in 1.. {
            let error = match self.send(keys, asking).await {
                Ok(answered) => return Ok(answered),
                Err(error) => error,
            };
            if attempt >= TRIES || !may_ask_again(error) {
                return Err(error);
            }
            let asked = if let ApiError::Aws(AwsError::Throttled { wait }) = error { wait } else { None };
            if asked.is_some_and(|wait| wait > LONGEST_PAUSE) {
                return Err(error);
            }
            tokio::time::sleep(asked.unwrap_or_else(|| spread(pause))).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        Err(AwsError::Throttled { wait: None }.into())
    }

    async fn send(&self, keys: &Secret, asking: &Asking<'_>) -> Result<Answered, ApiError> {
        let Asking { interface, region, account, form, lists } = asking;
        let origin = match &self.at {
            Some(origin) => origin.clone(),
            None => interface.origin(region, account)?,
        };
        let top = Target::new(&origin);
        let call = match form {
            Form::Query(action, fields) => {
                let start = FormBody::new().with("Action", action).with("Version", interface.version());
                let body = fields.iter().fold(start, |body, (name, value)| body.with(name, value));
                Call::form(top.path("/"), body)
            }
            Form::Bucket { method, bucket, query, body } => {
                let target = if let Some(bucket) = bucket { top.segment(bucket) } else { top };
                let target = query.iter().fold(target, |target, (name, value)| target.query(name, value));
                let mut call = Call::new(method.clone(), target);
                if bucket.is_some() {
                    // A bucket of that name that has become another's is left alone.
                    call = call.header(OWNER, account.as_str());
                }
                if let Some(body) = body {
                    let checksum = BASE64.encode(digest(&SHA256, body.as_bytes()).as_ref());
                    call = call.header(CHECKSUM, &checksum).body(Body::Bytes("application/xml", body.as_bytes().to_vec().into()));
                }
                call
            }
            Form::Path(path) => Call::get(top.path(path)).header(ACCOUNT, account.as_str()),
        };
        let region = interface.signed_for(region)?;
        let call = signing::sign(call.at_most(ANSWER), keys, &region, interface.service(), self.clock.now())?;
        let answer = self.egress.send(call).await.map_err(AwsError::from)?;
        judged(&answer, lists)
    }
}

/// Whether nobody knows what became of a call. An answer that is too large is too large again.
fn is_lost(error: ApiError) -> bool {
    matches!(error, ApiError::Aws(AwsError::Egress(error)) if error.may_have_happened() && error != EgressError::TooLarge)
}

/// Between half of a pause and all of it.
fn spread(pause: Duration) -> Duration {
    let mut byte = [0; 1];
    // Without chance it is the whole pause.
    if aws_lc_rs::rand::fill(&mut byte).is_err() {
        return pause;
    }
    pause / 2 + pause * u32::from(byte[0]) / 512
}

fn judged(answer: &Answer, lists: &[&str]) -> Result<Answered, ApiError> {
    let status = answer.status().as_u16();
    if status == 204 || ((200..300).contains(&status) && answer.body().is_empty()) {
        return Ok(Answered::Done);
    }
    if (200..300).contains(&status) {
        let body = answer.body().trim_ascii_start();
        if body.first() == Some(&b'{') {
            let value = serde_json::from_slice(body).map_err(|_| AwsError::Unintelligible)?;
            return Ok(Answered::Json(value));
        }
        let document = xml::read(body, lists)?;
        // Some calls say with 200 that they failed.
        return if document.root == "Error" { Err(refusal(status, answer)) } else { Ok(Answered::Xml(Box::new(document))) };
    }
    Err(refusal(status, answer))
}

fn refusal(status: u16, answer: &Answer) -> ApiError {
    let wait = answer.header(&RETRY_AFTER).and_then(|wait| wait.parse().ok()).map(Duration::from_secs);
    let leaves = Leaves::read(answer.body());
    let (code, message) = match &leaves {
        Ok(leaves) => (leaves.text("Error", "Code").unwrap_or_default(), leaves.text("Error", "Message").unwrap_or_default()),
        // What stands before AWS refuses without its XML, and some answers have no body.
        Err(_) => ("", ""),
    };
    match code {
        "DryRunOperation" => ApiError::WouldHave,
        "NoSuchBucket" | "NoSuchEntity" | "InvalidGroup.NotFound" | "InvalidGroupId.Malformed" => ApiError::Gone,
        "InvalidPermission.Duplicate" | "EntityAlreadyExists" => ApiError::There,
        "PermanentRedirect" | "TemporaryRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException" => {
            ApiError::Elsewhere
        }
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "AllAccessDisabled" => ApiError::Denied,
        _ if code.starts_with("NoSuch") || code.ends_with("NotFound") || code.ends_with("NotFoundError") => ApiError::NotSet,
        "Client.RequestLimitExceeded" | "RequestThrottled" | "BandwidthLimitExceeded" => AwsError::Throttled { wait }.into(),
        // Not turned away unread: what changes something may have been done, so it isn't sent again.
        "ServiceUnavailable" | "" if status == 503 => AwsError::Broken { status }.into(),
        _ => AwsError::refusal(status, code, message, wait).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_has_its_place_in_every_partition() {
        let account = AccountId::new("111122223333").unwrap();
        let at = |interface: Interface, region: &str| {
            let region = Region::new(region).unwrap();
            let origin = interface.origin(&region, &account).unwrap().to_string();
            (origin, interface.signed_for(&region).unwrap().to_string())
        };
        let is = |origin: &str, region: &str| (origin.to_owned(), region.to_owned());
        assert_eq!(at(Interface::Ec2, "eu-central-1"), is("https://ec2.eu-central-1.amazonaws.com", "eu-central-1"));
        assert_eq!(at(Interface::S3, "cn-north-1"), is("https://s3.cn-north-1.amazonaws.com.cn", "cn-north-1"));
        assert_eq!(at(Interface::Iam, "eu-central-1"), is("https://iam.amazonaws.com", "us-east-1"));
        assert_eq!(at(Interface::Iam, "us-gov-east-1"), is("https://iam.us-gov.amazonaws.com", "us-gov-west-1"));
        assert_eq!(at(Interface::Iam, "cn-northwest-1"), is("https://iam.cn-north-1.amazonaws.com.cn", "cn-north-1"));
        assert_eq!(
            at(Interface::S3Control, "eu-central-1"),
            is("https://111122223333.s3-control.eu-central-1.amazonaws.com", "eu-central-1")
        );
    }

    #[test]
    fn pauses_are_spread_but_never_longer() {
        for _ in 0..100 {
            let pause = spread(Duration::from_secs(1));
            assert!((Duration::from_millis(500)..=Duration::from_secs(1)).contains(&pause), "{pause:?}");
        }
    }
}
