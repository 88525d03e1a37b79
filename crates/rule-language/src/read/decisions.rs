//! Decisions.

use super::Reader;
use crate::condition::Condition;
use crate::decision::{Case, Decision, Outcome, Ruling};
use crate::pattern::TypePattern;
use crate::rule::Language;
use crate::yaml::{Node, NodeKind};

/// The keys of a decision.
pub(crate) const DECISION_KEYS: &[&str] = &["resources", "when", "fail", "pass", "decide", "otherwise", "message"];
/// What `workloads` stands for in decisions about Kubernetes: all kinds that hold a pod.
const WORKLOADS: &[&str] = &[
    "CronJob",
    "DaemonSet",
    "Deployment",
    "DeploymentConfig",
    "Job",
    "Pod",
    "PodTemplate",
    "ReplicaSet",
    "ReplicationController",
    "StatefulSet",
];
const CASE_KEYS: &[&str] = &["pass", "fail", "unknown", "not-applicable", "message"];

impl Reader {
    /// One decision or a list of them.
    pub(super) fn decisions(&mut self, node: &Node, language: Language) -> Vec<Decision> {
        let mut decisions: Vec<Decision> = match &node.kind {
            NodeKind::List(items) => {
                if items.is_empty() {
                    self.error(&node.at, "the list of decisions is empty");
                }
                items.iter().filter_map(|item| self.decision(item)).collect()
            }
            _ => self.decision(node).into_iter().collect(),
        };
        if language == Language::Kubernetes {
            for decision in &mut decisions {
                if let Some(at) = decision.resources.iter().position(|pattern| &*pattern.0 == "workloads") {
                    decision.resources.splice(at..=at, WORKLOADS.iter().map(|kind| TypePattern((*kind).into())));
                }
            }
        }
        decisions
    }

    fn decision(&mut self, node: &Node) -> Option<Decision> {
        let entries = self.map(node, "a decision (a mapping with `resources` and `fail`, `pass` or `decide`)")?;
        let errors = self.errors.len();
        let mut resources = None;
        let (mut when, mut message, mut outcome, mut otherwise): (Option<Condition>, _, Option<Outcome>, Option<Ruling>) =
            (None, None, None, None);
        let mut outcomes = 0;
        for entry in entries {
            match entry.key.as_str() {
                "resources" => resources = Some(self.types(&entry.value)),
                "when" => when = self.condition(&entry.value),
                "message" => message = self.text(&entry.value, "a text").map(Box::from),
                "fail" => {
                    outcomes += 1;
                    outcome = self.condition(&entry.value).map(Outcome::Fail);
                }
                "pass" => {
                    outcomes += 1;
                    outcome = self.condition(&entry.value).map(Outcome::Pass);
                }
                "decide" => {
                    outcomes += 1;
                    outcome = self.cases(&entry.value).map(|cases| Outcome::Cases(cases, Ruling::Unknown));
                }
                "otherwise" => otherwise = self.word(&entry.value, "a verdict"),
                _ => self.unknown_key(entry, "key of a decision", DECISION_KEYS),
            }
        }
        if resources.is_none() {
            self.error(&node.at, "`resources` is missing");
        }
        if outcomes != 1 {
            self.error(&node.at, "a decision has exactly one of `fail`, `pass` and `decide`");
        }
        match (&mut outcome, otherwise) {
            (Some(Outcome::Cases(_, rest)), Some(ruling)) => *rest = ruling,
            (Some(Outcome::Cases(..)), None) => self.error(&node.at, "`otherwise` is missing: the verdict if nothing in `decide` is true"),
            (Some(_), Some(_)) => self.error(&node.at, "`otherwise` goes only with `decide`"),
            _ => {}
        }
        if self.errors.len() > errors {
            return None;
        }
        Some(Decision { resources: resources?, when, outcome: outcome?, message })
    }

    fn cases(&mut self, node: &Node) -> Option<Vec<Case>> {
        let NodeKind::List(items) = &node.kind else {
            self.expected(node, "a list of cases");
            return None;
        };
        let cases: Vec<_> = items.iter().map(|item| self.case(item)).collect();
        cases.into_iter().collect()
    }

    fn case(&mut self, node: &Node) -> Option<Case> {
        let entries = self.map(node, "a case (`pass:`, `fail:`, `unknown:` or `not-applicable:` with a condition)")?;
        let (mut decided, mut message) = (Vec::new(), None);
        for entry in entries {
            match entry.key.as_str() {
                "message" => message = Some(self.text(&entry.value, "a text")?.into()),
                key => match key.parse::<Ruling>() {
                    Ok(ruling) => decided.push((ruling, self.condition(&entry.value)?)),
                    Err(_) => self.unknown_key(entry, "key of a case", CASE_KEYS),
                },
            }
        }
        if decided.len() != 1 {
            self.error(&node.at, "a case has exactly one of `pass`, `fail`, `unknown` and `not-applicable`");
        }
        let (ruling, condition) = decided.pop()?;
        Some(Case { ruling, condition, message })
    }
}
