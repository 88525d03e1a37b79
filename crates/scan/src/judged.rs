//! Judges the resources of one root module, template or plan.

use std::sync::Arc;

use globset::GlobSet;
use keyblind_resource::{Resource, ResourceGraph, ResourceId};
use keyblind_rule_language::glob_matches;
use keyblind_rules::suppressions::{Form, Policy, Subject, Suppressions};
use keyblind_rules::{Evidence, Failure, Judgement, RuleId, RuleTable, Selection, UnknownCause, Verdict, judge};
use keyblind_syntax::{Diagnostic, Site, SourceMap};

use crate::fingerprint;
use crate::limits::MOST_NEIGHBOURS;
use crate::merge::{Counted, Rank};
use crate::outcome::{Cause, Direction, Neighbour, Proof, ScanResult, Status, SuppressedBy, Suppression};
use crate::pipeline::{Floor, Ignore, Keep};
use crate::redact;
use crate::unused::{self, Uses};

/// What judging goes by.
pub(crate) struct Judging<'a> {
    pub(crate) table: &'a RuleTable,
    pub(crate) selection: &'a Selection,
    pub(crate) directives: &'a Suppressions,
    pub(crate) ignores: &'a [Ignore],
    pub(crate) policy: Option<&'a Policy>,
    pub(crate) floor: Option<&'a Floor>,
    /// What the repository excludes; only a floor brings results from there.
    pub(crate) exclude: &'a GlobSet,
    pub(crate) sources: &'a SourceMap,
    pub(crate) keep: Keep,
    pub(crate) uses: Uses,
}

/// What one root module came to.
#[derive(Default)]
pub(crate) struct Judged {
    /// Every verdict, also those of which only the number is wanted.
    pub(crate) verdicts: Vec<Counted>,
    /// The resources that were judged.
    pub(crate) resources: Vec<(Arc<str>, Site)>,
    /// What could not be evaluated.
    pub(crate) diagnostics: Vec<Diagnostic>,
}

impl Judging<'_> {
    /// Judges all resources whose head is `wanted`.
    pub(crate) fn judge(&self, graph: &ResourceGraph, root: &Arc<str>, wanted: &dyn Fn(Site) -> bool) -> Judged {
        let judgements = judge(self.table, self.selection, graph);
        let is_wanted: Vec<bool> = graph.resources.iter().map(|resource| wanted(resource.header)).collect();
        for (resource, _) in graph.resources.iter().zip(&is_wanted).filter(|(_, wanted)| **wanted) {
            self.directives.meet(resource);
            if self.policy.is_some_and(|policy| policy.foreign) {
                self.uses.meet(resource);
            }
        }
        let is_left_out = |judgement: &Judgement| {
            let path = &self.sources.file(graph.resources[judgement.resource].header.file).path;
            self.floor.is_some_and(|floor| !floor.wants(judgement.rule, path, self.exclude))
        };
        let verdicts = judgements
            .into_iter()
            .filter(|judgement| is_wanted[judgement.resource] && !is_left_out(judgement))
            .map(|judgement| self.counted(judgement, graph, root));
        let resources = graph.resources.iter().zip(&is_wanted).filter(|(_, wanted)| **wanted);
        Judged {
            verdicts: verdicts.collect(),
            resources: resources.map(|(resource, _)| (resource.address.clone(), resource.header)).collect(),
            diagnostics: Vec::new(),
        }
    }

    fn counted(&self, judgement: Judgement, graph: &ResourceGraph, root: &Arc<str>) -> Counted {
        let resource = &graph.resources[judgement.resource];
        let meta = self.table.meta(judgement.rule);
        let result = |status, evidence: Vec<Proof>, site: Option<Site>, message: String| {
            Box::new(ScanResult {
                rule: judgement.rule.0 as usize,
                status,
                dialect: resource.dialect,
                address: resource.address.clone(),
                label: resource.label(),
                header: resource.header,
                site: site.unwrap_or(resource.header),
                calls: resource.calls.clone(),
                root: root.clone(),
                message,
                evidence,
                fingerprint: String::new(),
                neighbours: Vec::new(),
                neighbours_left_out: 0,
            })
        };
        let (rank, word, result) = match judgement.verdict {
            Verdict::NotApplicable => (Rank::NotApplicable, "", None),
            Verdict::Pass => {
                let kept = self.keep.passed.then(|| result(Status::Passed, Vec::new(), None, meta.title.to_string()));
                (Rank::Passed, "", kept)
            }
            Verdict::Unknown(causes) => {
                let code = causes.first().map_or("unknown", |cause| cause.reason.code());
                let site = causes.iter().filter(|cause| cause.resource.is_none()).find_map(|cause| cause.site);
                match self.silenced(judgement.rule, resource, &[site.unwrap_or(resource.header)]) {
                    Some(suppression) => {
                        let word = suppression.by.name();
                        (Rank::Suppressed, word, Some(result(Status::Suppressed(suppression), Vec::new(), site, meta.title.to_string())))
                    }
                    None => {
                        let causes = causes.into_iter().map(cause).collect();
                        let kept = self.keep.unknown.then(|| result(Status::Unknown(causes), Vec::new(), site, meta.title.to_string()));
                        (Rank::Unknown, code, kept)
                    }
                }
            }
            Verdict::Fail(Failure { message, evidence }) => {
                let site = primary(&evidence).and_then(|evidence| evidence.site);
                let suppression = self.silenced(judgement.rule, resource, &sites(&evidence, resource));
                let proofs = evidence.into_iter().map(|evidence| proof(evidence, &meta.id, resource, graph)).collect();
                match suppression {
                    Some(suppression) => {
                        (Rank::Suppressed, suppression.by.name(), Some(result(Status::Suppressed(suppression), proofs, site, message)))
                    }
                    None => {
                        let mut result = result(Status::Failed, proofs, site, message);
                        (result.neighbours, result.neighbours_left_out) = neighbours(judgement.resource, graph);
                        (Rank::Failed, "", Some(result))
                    }
                }
            }
        };
        Counted { rule: judgement.rule, address: resource.address.clone(), header: resource.header, rank, word, result }
    }

    fn silenced(&self, rule: RuleId, resource: &Resource, sites: &[Site]) -> Option<Suppression> {
        let id = &self.table.meta(rule).id;
        let allowed = self.floor.filter(|floor| floor.rules.contains(rule)).map(|floor| floor.allowed);
        if !self.directives.is_empty()
            && let Some(silenced) = self.directives.find(Subject { rule: id, resource, sites })
            && allowed.is_none_or(|allowed| allowed.comments)
        {
            let by = SuppressedBy::Directive { form: silenced.form, site: silenced.site };
            return Some(Suppression { by, reason: silenced.reason, until: silenced.until });
        }
        if let Some(skip) = self.skipped(rule, resource)
            && allowed.is_none_or(|allowed| allowed.comments)
        {
            return Some(skip);
        }
        let path = &self.sources.file(resource.header.file).path;
        let silences = |ignore: &Ignore| {
            let is_about = |pattern: &String| glob_matches(pattern, &resource.address, false);
            ignore.rules.contains(&rule)
                && ignore.paths.as_ref().is_none_or(|paths| paths.is_match(&**path))
                && (ignore.addresses.is_empty() || ignore.addresses.iter().any(is_about))
        };
        let silencing: Vec<usize> = (0..self.ignores.len()).filter(|index| silences(&self.ignores[*index])).collect();
        silencing.iter().for_each(|index| self.uses.ignore(*index));
        let own = silencing.first().filter(|_| allowed.is_none_or(|allowed| allowed.ignore)).map(|index| &self.ignores[*index]);
        let ignore = own.or_else(|| self.floor.iter().flat_map(|floor| &floor.ignores).find(|ignore| silences(ignore)))?;
        Some(Suppression { by: SuppressedBy::Configuration, reason: Some(ignore.reason.clone()), until: ignore.until })
    }

    /// What silenced nothing, though it could have: a note each. `is_whole` says whether all was judged that the
    /// configuration is about.
    pub(crate) fn unused(&self, is_whole: bool) -> Vec<Diagnostic> {
        let is_judged = |name: &str| self.table.find(name).is_some_and(|rule| self.selection.contains(rule));
        let directives = self.directives.unused(&is_judged).into_iter();
        let mut notes: Vec<Diagnostic> =
            directives.map(|(site, form)| unused::note(form.keyword(), form == Form::Keyblind, Some(site), None)).collect();
        let is_known = |id: &str| match self.table.named(id) {
            [] => false,
            rules => rules.iter().all(|rule| self.selection.contains(*rule)),
        };
        notes.extend(self.uses.unused_skips(&is_known).into_iter().map(|(site, form)| unused::note(form, false, Some(site), None)));
        for index in self.uses.unused_ignores().filter(|_| is_whole) {
            let ignore = &self.ignores[index];
            if ignore.rules.iter().all(|rule| self.selection.contains(*rule)) {
                notes.push(unused::note("[[ignore]]", true, None, Some(&ignore.place)));
            }
        }
        notes
    }

    /// What the resource's own data says about the rule, as far as that may silence anything.
    fn skipped(&self, rule: RuleId, resource: &Resource) -> Option<Suppression> {
        let policy = self.policy.filter(|policy| policy.foreign)?;
        let skip = resource.skips.iter().find(|skip| {
            let has_reason = skip.reason.as_ref().is_some_and(|reason| !reason.trim().is_empty());
            skip.ids.iter().any(|id| self.table.named(id).contains(&rule)) && (has_reason || !policy.reason_required)
        })?;
        self.uses.skip(skip.site);
        let by = SuppressedBy::Data { form: skip.form, site: skip.site };
        Some(Suppression { by, reason: skip.reason.as_deref().map(str::to_owned), until: None })
    }
}

/// The evidence that a finding points at: the first that lies in the resource itself.
fn primary(evidence: &[Evidence]) -> Option<&Evidence> {
    evidence.iter().find(|evidence| evidence.resource.is_none() && evidence.site.is_some())
}

/// The places that directives must cover to silence the finding: where the fault is, once for each time that it is there
/// (two open ports are two places; the protocol beside a port is none of its own).
fn sites(evidence: &[Evidence], resource: &Resource) -> Vec<Site> {
    let Some(first) = primary(evidence) else { return vec![resource.header] };
    let path = fingerprint::normalised_path(&first.path);
    let equal = evidence.iter().filter(|other| other.resource.is_none() && fingerprint::normalised_path(&other.path) == path);
    equal.filter_map(|other| other.site).collect()
}

/// What a resource is connected with, and how many connections are left out.
fn neighbours(resource: ResourceId, graph: &ResourceGraph) -> (Vec<Neighbour>, usize) {
    let neighbour = |direction, other: ResourceId, path: &Arc<str>| {
        let other = &graph.resources[other];
        Neighbour { direction, address: other.address.clone(), type_key: other.type_key.clone(), path: path.clone() }
    };
    let incoming = graph.incoming(resource).map(|link| neighbour(Direction::Incoming, link.from, &link.path));
    let outgoing = graph.outgoing(resource).map(|link| neighbour(Direction::Outgoing, link.to, &link.path));
    let total = graph.incoming(resource).count() + graph.outgoing(resource).count();
    (incoming.chain(outgoing).take(MOST_NEIGHBOURS).collect(), total.saturating_sub(MOST_NEIGHBOURS))
}

fn cause(cause: UnknownCause) -> Cause {
    // An address of a module is part of some reasons, and people write passwords into those.
    let message = redact::urls(&cause.reason.to_string()).into_owned();
    Cause { path: cause.path, code: cause.reason.code(), message, site: cause.site }
}

fn proof(evidence: Evidence, rule: &str, resource: &Resource, graph: &ResourceGraph) -> Proof {
    let value = evidence.value.map(|value| redact::evidence(&evidence.path, &value));
    let mut proof = Proof {
        path: evidence.path,
        resource: evidence.resource.map(|id| graph.resources[id].address.clone()),
        value,
        missing: evidence.missing,
        expected: evidence.expected,
        site: evidence.site,
        origin: evidence.origin,
        fingerprint: String::new(),
    };
    proof.fingerprint = fingerprint::fault(rule, &resource.address, &proof.fault_path(), proof.value.as_deref());
    proof
}
