//! Whether new volumes of a region are encrypted without anybody asking for it.

use keyblind_intent::{Action, ApplyAction};
use serde_json::{Value, json};

use super::{At, Found, NOTHING_TO_DO, Trouble};
use crate::providers::aws::xml::text;
use crate::providers::aws::{ApiError, AwsError};

pub(super) async fn look(at: &At<'_>, request: &ApplyAction, enabled: bool) -> Result<Found, Trouble> {
    if read(at, request).await? == enabled {
        return Err(NOTHING_TO_DO);
    }
    Ok(Found {
        state: written(request, !enabled),
        after: written(request, enabled),
        reach: vec![format!(
            "It counts for volumes that are made in {} from then on; those that are there stay as they are.",
            request.region()
        )],
        inverse: Action::SetVolumeEncryptionByDefault { enabled: !enabled },
    })
}

pub(super) async fn state(at: &At<'_>, request: &ApplyAction) -> Result<Value, Trouble> {
    Ok(written(request, read(at, request).await?))
}

pub(super) async fn act(at: &At<'_>, request: &ApplyAction, enabled: bool) -> Result<(), Trouble> {
    let name = if enabled { "EnableEbsEncryptionByDefault" } else { "DisableEbsEncryptionByDefault" };
    super::tried_and_done(at, request, name, Vec::new()).await
}

async fn read(at: &At<'_>, request: &ApplyAction) -> Result<bool, Trouble> {
    let asking = super::of_ec2(request, "GetEbsEncryptionByDefault", Vec::new());
    let found = at.api.read(at.keys, &asking).await?.of("GetEbsEncryptionByDefaultResponse")?;
    match text(&found, "ebsEncryptionByDefault") {
        Some("true") => Ok(true),
        Some("false") => Ok(false),
        _ => Err(ApiError::from(AwsError::Unintelligible).into()),
    }
}

fn written(request: &ApplyAction, enabled: bool) -> Value {
    json!({"region": request.region(), "encrypted": enabled})
}
