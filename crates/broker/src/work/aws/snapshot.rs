//! How an account is configured, as one document: what AWS answered to a closed list of reads, without what people must not hand on.
//!
//! The same account in the same state gives the same bytes: entries are in order, times aren't told, and the whole is in canonical
//! form (RFC 8785):
//!
//! ```json
//! {"account":"123456789012","calls":[
//!   {"answer":{…},"call":"ec2:DescribeSecurityGroups","page":0,"region":"eu-central-1"},
//!   {"answer":null,"bucket":"logs","call":"s3:GetBucketPolicy","page":0,"region":"eu-central-1"},
//!   {"bucket":"other","call":"s3:GetBucketAcl","failed":"denied","page":0,"region":"eu-central-1"}],
//!  "format":1,"partition":"aws","regions":["eu-central-1"],"scrubbed":0,"unread":["rds"]}
//! ```
//!
//! An answer of `null` says that the setting isn't there; what couldn't be read says so. Whether something of all that is wrong,
//! nobody here decides.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use hyper::Method;
use keyblind_intent::{Count, Failure, Missing, Outcome, Refusal, Region, RequestId, Service, SnapshotAccount, limits};
use serde_json::{Value, json};

use super::{AwsAccount, AwsWork, FAULT, finish, purpose, refused};
use crate::dispatch::Reply;
use crate::egress::EgressError;
use crate::leases::lease::{CallFailure, LendError, ReadLease};
use crate::ledger::{Code, Who};
use crate::providers::aws::operations::{self, Each, Operation, OperationForm, Paging};
use crate::providers::aws::scrub::scrub;
use crate::providers::aws::xml::{items, text};
use crate::providers::aws::{Answered, ApiError, Asking, AwsError, Form, Marks, Partition, SessionPolicy, reads_of};
use crate::providers::code;
use crate::secret::Secret;
use crate::socket::BulkFile;
use crate::work::{failed, told};

/// How long reading may borrow authority.
const LIFETIME: Duration = Duration::from_secs(900);
/// The longest name of a bucket.
const LONGEST_BUCKET: usize = 255;
/// How deep an answer may be: what is nested deeper has no place in any of AWS's.
const DEEPEST: usize = 48;

/// An entry's place: call, region, bucket, page.
type Place = (&'static str, String, String, u32);

/// A snapshot that is being taken.
struct Taking<'w> {
    work: &'w AwsWork,
    account: &'w AwsAccount,
    regions: Vec<Region>,
    entries: BTreeMap<Place, Vec<u8>>,
    bytes: u64,
    calls: u64,
    failed: u64,
    scrubbed: u64,
}

/// For what one call is made.
#[derive(Clone, Copy)]
struct For<'a> {
    region: &'a Region,
    bucket: Option<&'a str>,
}

impl AwsWork {
    /// Takes a snapshot.
    pub(super) async fn snapshot(&self, who: &Who, id: RequestId, mut request: SnapshotAccount) -> Result<Reply, Outcome> {
        let account = self.reached(&who.tenant, &request.account)?;
        if request.regions.is_empty() {
            request.regions.clone_from(&account.regions);
        }
        request.regions.sort();
        request.regions.dedup();
        if request.regions.iter().any(|region| !account.regions.contains(region)) {
            return Err(Outcome::NotConfigured { missing: Missing::Connection });
        }
        let asked: BTreeSet<Service> = request.services.iter().copied().collect();
        let unread: Vec<Service> = asked.iter().copied().filter(|service| operations::of(*service).is_none()).collect();
        request.services = asked.into_iter().filter(|service| operations::of(*service).is_some()).collect();
        let budget = request.most_calls.get();
        let policies = SessionPolicy::of_snapshot(&request).map_err(|error| refused(error.code()))?;
        let regions = request.regions.clone();
        let mut taking = Taking {
            work: self,
            account,
            regions,
            entries: BTreeMap::new(),
            bytes: 0,
            calls: 0,
            // What nobody can read yet isn't passed over in silence.
            failed: unread.len() as u64,
            scrubbed: 0,
        };
        for policy in policies {
            let left = u32::try_from(budget.saturating_sub(taking.calls)).unwrap_or(u32::MAX);
            taking.with_session(who, id, policy, left).await?;
        }
        let outcome = |snapshot| Outcome::AccountSnapshotted {
            account: request.account.clone(),
            snapshot,
            calls: Count::saturating(taking.calls),
            failed: Count::saturating(taking.failed),
        };
        let document = taking.document(&unread)?;
        let attached = tokio::task::spawn_blocking(move || BulkFile::from_bytes(&document)).await;
        let attached = attached.ok().and_then(Result::ok).ok_or(FAULT)?;
        Ok(Reply { outcome: outcome(attached.bulk()), attached: Some(attached) })
    }
}

impl Taking<'_> {
    /// Borrows a session for some services, and reads them.
    async fn with_session(&mut self, who: &Who, id: RequestId, policy: SessionPolicy, calls: u32) -> Result<(), Outcome> {
        let services = policy.services().to_vec();
        let operations: BTreeSet<Code> = services.iter().flat_map(|service| reads_of(*service)).filter_map(|read| read.code()).collect();
        let linked = &self.account.linked;
        let scope = linked.scope(&linked.read_role, policy, Marks::of_read(id, &who.tenant, &who.subject));
        let purpose = purpose(who, "aws-snapshot", &format!("account {}", linked.account), LIFETIME).ok_or(FAULT)?;
        let lease = self.work.lender.read(operations, calls, &self.work.authority, &scope, purpose).await;
        let mut lease = lease.map_err(|error| told(&error, refused))?;
        let mut read = Ok(());
        for service in services {
            read = self.service(&mut lease, service).await;
            if read.is_err() {
                break;
            }
        }
        finish(lease).await?;
        read
    }

    async fn service(&mut self, lease: &mut ReadLease, service: Service) -> Result<(), Outcome> {
        let regions = self.regions.clone();
        let Some(home) = regions.first() else { return Err(FAULT) };
        let table = operations::of(service).unwrap_or_default();
        for operation in table {
            match operation.each {
                Each::Account => drop(self.pages(lease, operation, For { region: home, bucket: None }).await?),
                Each::Region => {
                    for region in &regions {
                        self.pages(lease, operation, For { region, bucket: None }).await?;
                    }
                }
                Each::Bucket => {}
            }
        }
        if service == Service::S3 {
            self.buckets(lease, home, table).await?;
        }
        Ok(())
    }

    /// The settings of every bucket, each asked for where it lies.
    async fn buckets(&mut self, lease: &mut ReadLease, home: &Region, table: &'static [Operation]) -> Result<(), Outcome> {
        let pages = self.pages(lease, &operations::BUCKETS, For { region: home, bucket: None }).await?;
        let listed = pages.iter().filter_map(|page| page.get("Buckets")).flat_map(|buckets| items(buckets, "Bucket"));
        let found: Vec<(String, Option<String>)> = listed
            .filter_map(|bucket| Some((text(bucket, "Name")?.to_owned(), text(bucket, "BucketRegion").map(ToOwned::to_owned))))
            .filter(|(name, _)| (1..=LONGEST_BUCKET).contains(&name.len()))
            .collect();
        for (bucket, told) in found {
            let region = match told {
                Some(region) => Some(region),
                None => {
                    let pages = self.pages(lease, &operations::LOCATION, For { region: home, bucket: Some(&bucket) }).await?;
                    pages.first().map(|page| page.as_str().unwrap_or("us-east-1").to_owned())
                }
            };
            // It couldn't be read, and its entry says so.
            let Some(region) = region else { continue };
            // The oldest buckets name a region as it was called then.
            let region = if region == "EU" { "eu-west-1" } else { region.as_str() };
            let Some(region) = self.regions.iter().find(|known| known.as_str() == region).cloned() else {
                self.failed(operations::LOCATION.permission, For { region: home, bucket: Some(&bucket) }, "other-region")?;
                continue;
            };
            for operation in table.iter().filter(|operation| operation.each == Each::Bucket) {
                self.pages(lease, operation, For { region: &region, bucket: Some(&bucket) }).await?;
            }
        }
        Ok(())
    }

    /// All pages of a call. What can't be read is an entry that says so; with nothing to go on with, there are no pages.
    async fn pages(&mut self, lease: &mut ReadLease, operation: &'static Operation, about: For<'_>) -> Result<Vec<Value>, Outcome> {
        let mut pages = Vec::new();
        let mut next: Option<String> = None;
        for number in 0.. {
            let page = match self.call(lease, operation, about, next.as_deref()).await? {
                Ok(page) => page,
                Err(error) => {
                    self.failed(operation.permission, about, error.code())?;
                    break;
                }
            };
            next = match operation.paging {
                Paging::By(_, told) => text(&page, told).map(ToOwned::to_owned),
                Paging::Whole => None,
            };
            let mut answer = page.clone();
            if let (Some(fields), Paging::By(_, told)) = (answer.as_object_mut(), operation.paging) {
                fields.remove(told);
            }
            self.keep(operation.permission, about, number, answer)?;
            pages.push(page);
            if next.is_none() {
                break;
            }
        }
        Ok(pages)
    }

    /// One call of the lease. What AWS doesn't hand over isn't the end of the snapshot; a lease that is over is, and a session that isn't
    /// taken any more.
    async fn call(
        &mut self,
        lease: &mut ReadLease,
        operation: &'static Operation,
        about: For<'_>,
        next: Option<&str>,
    ) -> Result<Result<Value, ApiError>, Outcome> {
        let name = reads_name(operation).ok_or(FAULT)?;
        let work = self.work;
        let asking = Asking {
            interface: operation.interface,
            region: about.region,
            account: &self.account.linked.account,
            form: form(operation, about.bucket, next),
            lists: operation.lists,
        };
        self.calls += 1;
        let mut failure = None;
        let answered = lease
            .call(name, async |keys: &Secret| match work.api.read(keys, &asking).await {
                // That a setting isn't there is an answer.
                Err(ApiError::NotSet) => Ok(None),
                Err(ApiError::Gone) if operation.is_gone_an_answer => Ok(None),
                Ok(answered) => Ok(Some(answered)),
                Err(error) => {
                    failure = Some(error);
                    Err(CallFailure::Failed(code(error.code())))
                }
            })
            .await;
        match (answered, failure) {
            (Ok(None), _) => Ok(Ok(Value::Null)),
            (Ok(Some(answered)), _) => Ok(value(operation, answered)),
            (Err(LendError::Failed(_)), Some(error)) => match error {
                // The next ones may be smaller.
                ApiError::Aws(AwsError::Egress(EgressError::TooLarge)) => Ok(Err(error)),
                ApiError::Aws(AwsError::Egress(_)) => Err(failed(Failure::Unreachable)),
                ApiError::Aws(AwsError::ExpiredKeys | AwsError::UnknownKey | AwsError::WrongSecret | AwsError::ClockSkew) => {
                    Err(refused(error.code()))
                }
                error => Ok(Err(error)),
            },
            (Err(error), _) => Err(told(&error, refused)),
        }
    }

    fn keep(&mut self, call: &'static str, about: For<'_>, page: u32, mut answer: Value) -> Result<(), Outcome> {
        if depth(&answer) > DEEPEST {
            return self.failed(call, about, "unintelligible");
        }
        without_passing(&mut answer);
        self.scrubbed += scrub(&mut answer);
        self.put(call, about, page, json!({"answer": answer}))
    }

    fn failed(&mut self, call: &'static str, about: For<'_>, reason: &str) -> Result<(), Outcome> {
        self.failed += 1;
        self.put(call, about, u32::MAX, json!({"failed": reason}))
    }

    fn put(&mut self, call: &'static str, about: For<'_>, page: u32, mut entry: Value) -> Result<(), Outcome> {
        entry["call"] = call.into();
        entry["region"] = about.region.as_str().into();
        if let Some(bucket) = about.bucket {
            entry["bucket"] = bucket.into();
        }
        if page != u32::MAX {
            entry["page"] = page.into();
        }
        let bytes = keyblind_intent::canonical(&entry).map_err(|_| FAULT)?;
        self.bytes += bytes.len() as u64 + 1;
        if self.bytes > limits::SNAPSHOT_BYTES {
            return Err(Outcome::Refused(Refusal::BeyondLimit));
        }
        let place = (call, about.region.to_string(), about.bucket.unwrap_or_default().to_owned(), page);
        self.entries.insert(place, bytes);
        Ok(())
    }

    /// The whole, in canonical form: its names are in order, and each entry is canonical already.
    fn document(&self, unread: &[Service]) -> Result<Vec<u8>, Outcome> {
        let text = |value: &Value| keyblind_intent::canonical(value).map_err(|_| FAULT);
        let Some(home) = self.regions.first() else { return Err(FAULT) };
        let partition = Partition::of(home).map_err(|error| refused(error.code()))?.as_str();
        let account = &self.account.linked.account;
        let mut document = format!("{{\"account\":\"{account}\",\"calls\":[").into_bytes();
        document.reserve(usize::try_from(self.bytes).unwrap_or_default());
        for (index, entry) in self.entries.values().enumerate() {
            if index > 0 {
                document.push(b',');
            }
            document.extend_from_slice(entry);
        }
        document.extend_from_slice(b"],");
        let rest = json!({
            "format": 1, "partition": partition, "regions": self.regions, "scrubbed": self.scrubbed, "unread": unread,
        });
        document.extend_from_slice(text(&rest)?.get(1..).unwrap_or_default());
        Ok(document)
    }
}

/// Takes out what is another thing at every look, by the look itself: the request's own number, and when a role was used last.
fn without_passing(answer: &mut Value) {
    match answer {
        Value::Object(fields) => {
            fields.remove("requestId");
            fields.remove("RoleLastUsed");
            fields.values_mut().for_each(without_passing);
        }
        Value::Array(values) => values.iter_mut().for_each(without_passing),
        _ => {}
    }
}

/// The name of a call for leases and for the ledger.
fn reads_name(operation: &Operation) -> Option<Code> {
    Service::ALL.into_iter().flat_map(reads_of).find(|read| read.action == operation.permission)?.code()
}

fn form<'a>(operation: &'a Operation, bucket: Option<&'a str>, next: Option<&str>) -> Form<'a> {
    let next = match operation.paging {
        Paging::By(asked, _) => next.map(|next| (asked, next.to_owned())),
        Paging::Whole => None,
    };
    match operation.form {
        OperationForm::Query(name, fixed) => {
            let fixed = fixed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Form::Query(name, fixed.chain(next.map(|(name, value)| (name.to_owned(), value))).collect())
        }
        OperationForm::Setting(setting) => Form::Bucket { method: Method::GET, bucket, query: vec![(setting, String::new())], body: None },
        OperationForm::Buckets => {
            let query = [("max-buckets", "1000".to_owned())].into_iter().chain(next).collect();
            Form::Bucket { method: Method::GET, bucket: None, query, body: None }
        }
        OperationForm::Path(path) => Form::Path(path),
    }
}

/// What was asked for, out of the answer around it.
fn value(operation: &Operation, answered: Answered) -> Result<Value, ApiError> {
    match (operation.root, answered) {
        ("", Answered::Json(value)) => Ok(value),
        ("", _) => Err(AwsError::Unintelligible.into()),
        (root, answered) => {
            let value = answered.of(root)?;
            match operation.within {
                Some(within) => value.get(within).cloned().ok_or(AwsError::Unintelligible.into()),
                None => Ok(value),
            }
        }
    }
}

/// How deep lists and objects lie in each other. What is read as XML has a most; a bucket's policy comes as JSON, which has another.
fn depth(value: &Value) -> usize {
    let mut deepest = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, depth)) = open.pop() {
        deepest = deepest.max(depth);
        match value {
            Value::Array(values) => open.extend(values.iter().map(|value| (value, depth + 1))),
            Value::Object(fields) => open.extend(fields.values().map(|value| (value, depth + 1))),
            _ => {}
        }
    }
    deepest
}
