//! What no approval may touch: the ground that Keyblind and its people stand on.
//!
//! A change of the broker's own role, of the way in for emergencies, of what approvers log in by or of the record itself can lock
//! everybody out who could undo it. Such a change is for people, outside of Keyblind.

/// What may not be touched, as the providers name it: full ARNs, `github:owner/name`, `auth0:client/…`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    pub(super) own: Vec<String>,
    pub(super) break_glass: Vec<String>,
    pub(super) approvers: Vec<String>,
    pub(super) record: Vec<String>,
}

/// Why a target may not be touched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Guarded {
    /// The broker's own authority.
    #[error("{0} is what Keyblind itself works with: change it by hand")]
    Own(String),
    /// The way in for emergencies.
    #[error("{0} is the way in for emergencies: change it by hand")]
    BreakGlass(String),
    /// What approvers log in by.
    #[error("{0} is what approvers log in by: change it by hand")]
    Approvers(String),
    /// What records what happens.
    #[error("{0} records what happens here: change it by hand")]
    Record(String),
}

impl Guard {
    /// Whether a change may touch these targets.
    ///
    /// # Errors
    /// Names the first target that is guarded, and why.
    pub fn admit<'a>(&self, targets: impl IntoIterator<Item = &'a str>) -> Result<(), Guarded> {
        for target in targets {
            let named = || target.to_owned();
            if covers(&self.own, target) {
                return Err(Guarded::Own(named()));
            }
            if covers(&self.break_glass, target) {
                return Err(Guarded::BreakGlass(named()));
            }
            if covers(&self.approvers, target) {
                return Err(Guarded::Approvers(named()));
            }
            if covers(&self.record, target) {
                return Err(Guarded::Record(named()));
            }
        }
        Ok(())
    }
}

/// Compared without regard to case: providers differ in it, and to guard too much is the safe side. What lies beneath a guarded
/// name (`…:role/keyblind/inline-policy`) is guarded with it.
fn covers(guarded: &[String], target: &str) -> bool {
    let target = target.trim().to_lowercase();
    guarded.iter().any(|name| {
        let name = name.to_lowercase();
        match name.strip_suffix('*') {
            Some(start) => target.starts_with(start),
            None => target.strip_prefix(&name).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', ':'])),
        }
    })
}
