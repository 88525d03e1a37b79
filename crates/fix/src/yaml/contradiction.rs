//! Changes that the platform would refuse, or that nobody means, although the rule would pass.

use keyblind_resource::{Dialect, Value};
use keyblind_rule_language::Literal;
use keyblind_rules::{Change, Key, Remedy, Subject, Wanted, Wish};
use keyblind_scan::Trial;

use super::HOST_PATH;
use crate::examples::at;
use crate::hindrance::Hindrance;

/// Kubernetes refuses the first (with its value) beside the second (with its value).
///
/// Source: Kubernetes API reference, "SecurityContext"; kubelet, "container's runAsUser breaks non-root policy".
const REFUSED: &[(&str, bool, &str, &str)] =
    &[("runAsNonRoot", true, "runAsUser", "0"), ("allowPrivilegeEscalation", false, "privileged", "true")];

/// Fields of Kubernetes' objects that whatever holds them can't be without.
const REQUIRED: &[&str] = &["path", "name", "kind", "image", "verbs", "apiVersion", "mountPath", "key", "roleRef", "containerPort"];

/// What CloudFormation calls who may do what.
const POLICIES: &[&str] = &["Statement", "Policies", "PolicyDocument", "AssumeRolePolicyDocument", "ManagedPolicyArns", "Users"];

/// What tells elements apart isn't what is wrong with one: another element is meant.
const TELLING_APART: &[&str] = &["FromPort", "ToPort", "IpProtocol", "containerPort", "Family", "Engine", "kind", "type", "name"];

/// Why a remedy is not to be followed.
pub(super) fn of(trial: &Trial, remedy: &Remedy) -> Option<Hindrance> {
    remedy.wishes.iter().find_map(|wish| {
        let Subject::Resource(id) = wish.subject else { return None };
        let resource = &trial.graph.resources[id];
        let is_policy = wish.path.iter().any(|key| matches!(key, Key::Name(name) if POLICIES.contains(&&**name)));
        let names = |list: &[&str]| matches!(wish.path.last(), Some(Key::Name(name)) if list.contains(&&**name));
        // Whom a role is bound to isn't told apart by the name: it is the name.
        let is_subject = wish.path.iter().any(|key| matches!(key, Key::Name(name) if &**name == "subjects"));
        let is_in_element = !is_subject && wish.path.iter().any(|key| matches!(key, Key::Index(_)));
        match (resource.dialect, &wish.change) {
            (_, Change::Set(_)) if names(TELLING_APART) && is_in_element && at(&resource.body, &wish.path).is_some() => {
                Some(Hindrance::NeedsDecision)
            }
            // GitHub's own keys have hyphens.
            (Dialect::GithubActions, _) if is_computed(wish) => Some(Hindrance::NeedsDecision),
            // When something runs is for whoever wrote it to say; an example's condition is about something else.
            (Dialect::GithubActions, Change::Set(_)) if names(&["if"]) => Some(Hindrance::NeedsDecision),
            // Others know a step or job by it.
            (Dialect::GithubActions, _) if names(&["id", "name"]) => Some(Hindrance::NeedsDecision),
            // What a policy allows somebody may need: it isn't taken away, nor made up.
            (Dialect::CloudFormation, Change::Remove) if is_policy => Some(Hindrance::NeedsDecision),
            (Dialect::Kubernetes, Change::Remove) if names(REQUIRED) && !is_host_path(&wish.path) => Some(Hindrance::NeedsDecision),
            (Dialect::Kubernetes, Change::Set(Wanted::Literal(Literal::Bool(value)))) => {
                is_refused(&resource.body, wish, *value, remedy).then_some(Hindrance::NeedsDecision)
            }
            _ => None,
        }
    })
}

/// Whether a wish is about what is computed: what has an underscore, or the kind of what is there.
fn is_computed(wish: &Wish) -> bool {
    let names = |key: Option<&Key>, of: &dyn Fn(&str) -> bool| matches!(key, Some(Key::Name(name)) if of(name));
    names(wish.path.first(), &|name| name.contains('_')) || names(wish.path.last(), &|name| name == "kind")
}

/// Whether something of a volume of the node's is meant: it is emptied as a whole.
fn is_host_path(path: &[Key]) -> bool {
    path.iter().any(|key| matches!(key, Key::Name(name) if &**name == HOST_PATH))
}

fn is_refused(body: &Value, wish: &Wish, value: bool, remedy: &Remedy) -> bool {
    let Some((Key::Name(name), parent)) = wish.path.split_last() else { return false };
    let mut of_name = REFUSED.iter().filter(|(refused, with, ..)| *refused == &**name && *with == value);
    of_name.any(|(_, _, other, text)| {
        let changes_other = remedy.wishes.iter().any(|also| {
            also.path.split_last().is_some_and(|(last, of)| of == parent && matches!(last, Key::Name(name) if &**name == *other))
        });
        let there = at(body, parent).and_then(|parent| parent.get(other));
        !changes_other
            && there.is_some_and(|there| {
                there.as_number().is_some_and(|number| number.to_string() == *text)
                    || there.as_bool().is_some_and(|flag| flag.to_string() == *text)
            })
    })
}
