//! What is blocked of public access to one bucket: its own setting, whole.

use hyper::Method;
use keyblind_intent::{Action, ApplyAction, PublicAccessBlock};
use serde_json::{Value, json};

use super::{At, Found, NOTHING_TO_DO, Trouble};
use crate::providers::aws::xml::text;
use crate::providers::aws::{ApiError, Asking, AwsError, Form, Interface};

const SETTING: &str = "publicAccessBlock";
const ROOT: &str = "PublicAccessBlockConfiguration";
/// The four switches, in the order in which S3 writes them.
const SWITCHES: [&str; 4] = ["BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"];

pub(super) async fn look(at: &At<'_>, request: &ApplyAction, block: Option<PublicAccessBlock>) -> Result<Found, Trouble> {
    let before = read(at, request).await?;
    if before == block {
        return Err(NOTHING_TO_DO);
    }
    Ok(Found {
        state: written(request, before),
        after: written(request, block),
        reach: reach(at, request).await?,
        inverse: Action::SetBucketPublicAccessBlock { block: before },
    })
}

pub(super) async fn state(at: &At<'_>, request: &ApplyAction) -> Result<Value, Trouble> {
    Ok(written(request, read(at, request).await?))
}

pub(super) async fn act(at: &At<'_>, request: &ApplyAction, block: Option<PublicAccessBlock>) -> Result<(), Trouble> {
    let asking = match block {
        Some(block) => asking(request, Method::PUT, SETTING, Some(body(block))),
        None => asking(request, Method::DELETE, SETTING, None),
    };
    at.api.write(at.keys, &asking).await?;
    Ok(())
}

async fn read(at: &At<'_>, request: &ApplyAction) -> Result<Option<PublicAccessBlock>, Trouble> {
    let answered = match at.api.read(at.keys, &asking(request, Method::GET, SETTING, None)).await {
        Ok(answered) => answered.of(ROOT)?,
        Err(ApiError::NotSet) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let switch = |name| match text(&answered, name) {
        Some("true") => Ok(true),
        // S3 leaves out what is off, in some answers.
        Some("false") | None => Ok(false),
        Some(_) => Err(ApiError::from(AwsError::Unintelligible)),
    };
    let [block_public_acls, ignore_public_acls, block_public_policy, restrict_public_buckets] = SWITCHES;
    Ok(Some(PublicAccessBlock {
        block_public_acls: switch(block_public_acls)?,
        ignore_public_acls: switch(ignore_public_acls)?,
        block_public_policy: switch(block_public_policy)?,
        restrict_public_buckets: switch(restrict_public_buckets)?,
    }))
}

/// Whether anybody reads the bucket without logging in, as far as its settings say.
async fn reach(at: &At<'_>, request: &ApplyAction) -> Result<Vec<String>, Trouble> {
    let mut reach = Vec::new();
    let website = at.api.read(at.keys, &asking(request, Method::GET, "website", None)).await;
    reach.push(match website.and_then(|answered| answered.of("WebsiteConfiguration")) {
        Ok(_) => "It is set up as a website: whoever reads it there loses access.".to_owned(),
        Err(ApiError::NotSet) => "It isn’t set up as a website.".to_owned(),
        Err(error) if is_about_the_bucket(error) => return Err(error.into()),
        Err(_) => "Whether it is set up as a website couldn’t be read.".to_owned(),
    });
    let policy = at.api.read(at.keys, &asking(request, Method::GET, "policyStatus", None)).await;
    reach.push(match policy.and_then(|answered| answered.of("PolicyStatus")).map(|status| text(&status, "IsPublic") == Some("true")) {
        Ok(true) => "Its policy lets everybody in: that ends where the block says so.".to_owned(),
        Ok(false) => "Its policy lets nobody in without logging in.".to_owned(),
        Err(ApiError::NotSet) => "It has no policy.".to_owned(),
        Err(error) if is_about_the_bucket(error) => return Err(error.into()),
        Err(_) => "Whether its policy lets everybody in couldn’t be read.".to_owned(),
    });
    Ok(reach)
}

/// Whether a refusal isn't about the one setting, which people can do without.
fn is_about_the_bucket(error: ApiError) -> bool {
    matches!(error, ApiError::Gone | ApiError::Elsewhere | ApiError::Aws(AwsError::Egress(_) | AwsError::Throttled { .. }))
}

fn asking<'a>(request: &'a ApplyAction, method: Method, setting: &'static str, body: Option<String>) -> Asking<'a> {
    Asking {
        interface: Interface::S3,
        region: request.region(),
        account: request.account(),
        form: Form::Bucket { method, bucket: Some(request.resource().resource()), query: vec![(setting, String::new())], body },
        lists: &[],
    }
}

fn written(request: &ApplyAction, block: Option<PublicAccessBlock>) -> Value {
    json!({"bucket": request.resource().resource(), "block": block})
}

fn body(block: PublicAccessBlock) -> String {
    let values = [block.block_public_acls, block.ignore_public_acls, block.block_public_policy, block.restrict_public_buckets];
    let switches: String = SWITCHES.iter().zip(values).map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
    format!("<{ROOT} xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{switches}</{ROOT}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_setting_is_sent() {
        let block = PublicAccessBlock {
            block_public_acls: true,
            ignore_public_acls: false,
            block_public_policy: true,
            restrict_public_buckets: true,
        };
        let document = crate::providers::aws::xml::read(body(block).as_bytes(), &[]).unwrap();
        assert_eq!(document.root, ROOT);
        let expected =
            json!({"BlockPublicAcls": "true", "IgnorePublicAcls": "false", "BlockPublicPolicy": "true", "RestrictPublicBuckets": "true"});
        assert_eq!(document.value, expected);
    }
}
