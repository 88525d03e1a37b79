//! One request to GitHub's interface.

use hyper::Method;
use hyper::header::{ACCEPT, HeaderName};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::pace::Pacing;
use super::{Github, GithubError};
use crate::egress::{Answer, Authorization, Call, EgressError, Target};

const VERSION: HeaderName = HeaderName::from_static("x-github-api-version");
/// How often a request is sent that GitHub turned away because of the pace, or a read that failed.
const TRIES: u32 = 3;

impl Github {
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        authorization: Authorization<'_>,
        target: Target,
        most: usize,
    ) -> Result<T, GithubError> {
        Ok(self.send(Method::GET, authorization, target, None::<&()>, most, Pacing::Read).await?.json()?)
    }

    /// The same, with `None` for what isn't there.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        authorization: Authorization<'_>,
        target: Target,
        most: usize,
    ) -> Result<Option<T>, GithubError> {
        match self.get(authorization, target, most).await {
            Ok(found) => Ok(Some(found)),
            Err(GithubError::NotFound) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) async fn write<T: DeserializeOwned>(
        &self,
        method: Method,
        authorization: Authorization<'_>,
        target: Target,
        body: &impl Serialize,
    ) -> Result<T, GithubError> {
        Ok(self.send(method, authorization, target, Some(body), 4 << 20, Pacing::Write).await?.json()?)
    }

    /// Sends a request. What was turned away unread is sent again in its time; a write whose outcome isn't known never is.
    pub(super) async fn send<B: Serialize>(
        &self,
        method: Method,
        authorization: Authorization<'_>,
        target: Target,
        body: Option<&B>,
        most: usize,
        pacing: Pacing,
    ) -> Result<Answer, GithubError> {
        let reads = pacing == Pacing::Read;
        for attempt in 1.. {
            let turn = self.pace.turn(pacing).await?;
            let mut call = self.prepared(method.clone(), authorization, target.clone()).at_most(most);
            if let Some(body) = body {
                call = call.json(body)?;
            }
            let answer = self.egress.send(call).await;
            drop(turn);
            let answer = match answer {
                Ok(answer) => answer,
                Err(EgressError::Protocol | EgressError::TimedOut) if reads && attempt < TRIES => continue,
                Err(error) => return Err(error.into()),
            };
            let status = answer.status().as_u16();
            // The next turn waits as long as GitHub asks, or fails with that time.
            match self.pace.heed(pacing, &answer, self.clock.now()) {
                Some(_) if attempt < TRIES => continue,
                Some(wait) => return Err(GithubError::RateLimited { wait }),
                None => {}
            }
            if reads && status >= 500 && attempt < TRIES {
                continue;
            }
            return judged(answer);
        }
        Err(GithubError::Broken { status: 0 })
    }

    pub(super) fn prepared<'s>(&self, method: Method, authorization: Authorization<'s>, target: Target) -> Call<'s> {
        Call::new(method, target).authorized(authorization).header(ACCEPT, "application/vnd.github+json").header(VERSION, "2022-11-28")
    }
}

fn judged(answer: Answer) -> Result<Answer, GithubError> {
    let status = answer.status().as_u16();
    match status {
        200..=299 => Ok(answer),
        401 => Err(GithubError::Unauthorized),
        403 => Err(GithubError::Forbidden),
        404 | 410 => Err(GithubError::NotFound),
        409 => Err(GithubError::Conflict),
        413 => Err(GithubError::BeyondLimit),
        500.. => Err(GithubError::Broken { status }),
        _ => Err(GithubError::Rejected { status }),
    }
}
