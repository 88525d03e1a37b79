//! Texts that somebody proposes: said what they change, and shown to every check that a derived fix passes, and to more.

use std::collections::BTreeMap;
use std::ops::Range;
use std::rc::Rc;

use keyblind_dialects::terraform::is_configuration;
use keyblind_resource::{Dialect, Origin, ResourceId};
use keyblind_rules::{Failure, Verdict};
use keyblind_scan::Trial;
use keyblind_syntax::Site;

use super::{Fix, Fixer, Ground, Subject, declared_too_often};
use crate::dockerfile;
use crate::draft::Draft;
use crate::impact;
use crate::proof::proposed::{self, Proposed};
use crate::proof::{Check, Disproof};

/// The most steps of a value's way that are looked at.
const MOST_HOPS: usize = 16;

/// A part of a file that a finding is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surrounding {
    /// The file, relative to the trust root.
    pub path: String,
    /// The bytes of it.
    pub range: Range<usize>,
    /// Whether it is the resource itself; else a place that the deciding value came through.
    pub is_resource: bool,
}

impl Fixer<'_> {
    /// Proves a text that somebody proposes for one file, on the ground of all accepted fixes. What it may change is what the rule is about in
    /// the resource that fails, and where the deciding value is written; what it may be made of stands in the files or in the rule already.
    ///
    /// # Errors
    /// The first check that it doesn't pass.
    pub fn propose(&mut self, subject: &Subject<'_>, path: &str, text: &str) -> Result<Fix, Disproof> {
        let Some(address) = self.address_now(subject) else {
            return Err(Disproof::new(Check::FaultGone, "there is no such finding any more"));
        };
        let subject = &Subject { address: &address, ..subject.clone() };
        let old = self.text(path).map_err(|reason| Disproof::new(Check::EditsFit, reason))?;
        let mut draft = Draft { texts: BTreeMap::from([(path.to_owned(), text.to_owned())]), ..Draft::default() };
        proposed::check_size(path, &old, text)?;
        let (before, after, resource) = self.both(subject, &draft)?;
        draft.stated = proposed::stated(path, (&old, text), (&before, &after), resource)?;
        self.check_proposed(subject, &draft)?;
        let type_key = before.graph.resources[resource].type_key.clone();
        let effects = draft
            .stated
            .iter()
            .filter(|stated| *stated.type_key == *type_key)
            .filter_map(|stated| impact::of_change(&type_key, &stated.path));
        let mut effects: Vec<_> = effects.collect();
        effects.sort_unstable();
        effects.dedup();
        let mut fix = self.prove(subject, &Ground { draft, effects }).map_err(|(disproof, _)| disproof)?;
        fix.proof.checks.splice(0..0, Check::OF_PROPOSALS.iter().copied());
        fix.proof.proposed = true;
        Ok(fix)
    }

    /// The checks that only proposed texts must pass.
    ///
    /// # Errors
    /// The first that it doesn't pass.
    pub(super) fn check_proposed(&mut self, subject: &Subject<'_>, draft: &Draft) -> Result<(), Disproof> {
        let [(path, text)] = draft.texts.iter().collect::<Vec<_>>()[..] else {
            return Err(Disproof::new(Check::Small, "it isn't about one file"));
        };
        let old = self.text(path).map_err(|reason| Disproof::new(Check::EditsFit, reason))?;
        proposed::check_size(path, &old, text)?;
        let (before, after, resource) = self.both(subject, draft)?;
        let evidence = failure(&before, resource, subject).map(|failure| failure.evidence.clone()).unwrap_or_default();
        let sites: Vec<Site> = evidence.iter().flat_map(|evidence| places(&evidence.origin)).collect();
        let proposed = Proposed {
            table: self.table,
            rule: subject.rule,
            path,
            texts: (&old, text),
            before: &before,
            after: &after,
            resource,
            evidence: &evidence,
            sites: &sites,
            stated: &draft.stated,
        };
        proposed::check_literals(&proposed)?;
        proposed::check_confined(&proposed)
    }

    /// The parts of files that a finding is about: the resource first, then the way of the deciding value.
    pub fn surroundings(&mut self, subject: &Subject<'_>) -> Vec<Surrounding> {
        let Some(address) = self.address_now(subject) else { return Vec::new() };
        let subject = &Subject { address: &address, ..subject.clone() };
        let Some((trial, resource)) = self.failing(subject) else { return Vec::new() };
        let evidence = failure(&trial, resource, subject).map(|failure| failure.evidence.clone()).unwrap_or_default();
        let own = trial.graph.resources[resource].block;
        let beside = evidence.iter().filter_map(|evidence| Some(trial.graph.resources.get(evidence.resource?)?.block));
        let hops = evidence
            .iter()
            .flat_map(|evidence| places(&evidence.origin))
            .filter(|site| site.file != own.file || !own.range.contains(site.range));
        let mut found: Vec<Surrounding> = Vec::new();
        for (number, site) in std::iter::once(own).chain(beside).chain(hops).enumerate() {
            let part = Surrounding {
                path: trial.sources.file(site.file).path.to_string(),
                range: site.range.as_usize(),
                is_resource: number == 0,
            };
            if !found.contains(&part) {
                found.push(part);
            }
        }
        found
    }

    /// Where a resource lies that is evaluated together with that of a finding.
    pub fn beside(&mut self, subject: &Subject<'_>, address: &str) -> Option<Surrounding> {
        let now = self.address_now(subject)?;
        let (trial, _) = self.failing(&Subject { address: &now, ..subject.clone() })?;
        let resource = trial.graph.resources.iter().find(|resource| *resource.address == *address)?;
        let path = trial.sources.file(resource.block.file).path.to_string();
        Some(Surrounding { path, range: resource.block.range.as_usize(), is_resource: false })
    }

    fn address_now(&self, subject: &Subject<'_>) -> Option<String> {
        match self.moved.now(subject.root, subject.address) {
            dockerfile::Place::Same => Some(subject.address.to_owned()),
            dockerfile::Place::At(address) => Some(address),
            dockerfile::Place::Gone => None,
        }
    }

    /// What a finding's root module is before and with a change, and the resource in it.
    fn both(&mut self, subject: &Subject<'_>, draft: &Draft) -> Result<(Rc<Trial>, Trial, ResourceId), Disproof> {
        let gone = || Disproof::new(Check::FaultGone, format!("`{}` doesn't fail", subject.address));
        let (before, resource) = self.failing(subject).ok_or_else(gone)?;
        if let Some(refusal) = declared_too_often(&before, subject) {
            return Err(refusal.disproofs.into_iter().next().unwrap_or_else(gone));
        }
        let confined = |what: &str| Disproof::new(Check::Confined, what.to_owned());
        for path in draft.texts.keys() {
            let is_read = before.sources.iter().any(|(_, file)| *file.path == **path);
            let is_edited =
                before.dialect != Dialect::Terraform || is_configuration(path) && !path.ends_with(".json") || path.ends_with(".tfvars");
            if !is_read || !is_edited || path.split('/').any(|part| part == ".terraform") {
                return Err(confined("it is about a file that isn't edited for this finding"));
            }
        }
        let mut whole = self.changed.clone();
        whole.extend(draft.texts.iter().map(|(path, text)| (path.clone(), text.as_str().into())));
        for job in self.trials.of_root(subject.root) {
            let Some(state) = self.state(job) else { continue };
            if !Rc::ptr_eq(&state, &before) {
                continue;
            }
            let values = self.values(job, &[]);
            let after = self.trials.run(self.table, job, &whole, &values);
            return after
                .map(|after| (before, after, resource))
                .ok_or_else(|| Disproof::new(Check::Parses, "the evaluator failed".to_owned()));
        }
        Err(gone())
    }
}

/// Why the rule fails the resource.
fn failure<'t>(trial: &'t Trial, resource: ResourceId, subject: &Subject<'_>) -> Option<&'t Failure> {
    trial.judgements.iter().filter(|judgement| judgement.resource == resource && judgement.rule == subject.rule).find_map(|judgement| {
        match &judgement.verdict {
            Verdict::Fail(failure) => Some(failure),
            _ => None,
        }
    })
}

/// The places that a value came through.
fn places(origin: &Origin) -> Vec<Site> {
    origin.hops().take(MOST_HOPS).map(|hop| hop.site).chain(origin.written_at()).collect()
}
