//! Ways to misuse an identity policy.

use keyblind_resource::Value;
use keyblind_rule_language::EscalationKind;

/// The ways of a kind that a policy opens.
pub(crate) fn escalations(_value: &Value, _kind: EscalationKind) -> Option<Value> {
    None
}
