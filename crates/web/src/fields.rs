//! Forms: read only if they come from a page of ours that this session was given.

use std::collections::BTreeMap;

use axum::Form;
use axum::extract::{FromRequest, FromRequestParts as _, Request};

use crate::Web;
use crate::failure::{Failure, PageFailure};
use crate::secrets::is_same;
use crate::visitor::Visitor;

/// The name of the field that ties a form to its session.
const TOKEN: &str = "form_token";

/// A form that its session's owner sent.
pub(crate) struct Signed {
    pub(crate) visitor: Visitor,
    fields: BTreeMap<String, String>,
}

impl Signed {
    /// A field's text without space around it; empty if it isn't there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", |text| text.trim())
    }

    /// Whether a box is ticked.
    pub(crate) fn is_ticked(&self, name: &str) -> bool {
        self.fields.contains_key(name)
    }
}

impl FromRequest<Web> for Signed {
    type Rejection = PageFailure;

    async fn from_request(request: Request, web: &Web) -> Result<Self, PageFailure> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, web).await?;
        let form = Form::<BTreeMap<String, String>>::from_request(Request::from_parts(parts, body), web).await;
        let Form(fields) = form.map_err(|_| Failure::Wrong("The form can’t be read.".to_owned()))?;
        if !is_same(fields.get(TOKEN).map_or("", String::as_str), &visitor.form_token) {
            let reason = "This form belongs to another session. Load the page again. Nothing was done.";
            return Err(Failure::Forbidden(reason.to_owned()).into());
        }
        Ok(Self { visitor, fields })
    }
}
