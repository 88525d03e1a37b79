//! What can be told of an attribute that only a provider knows, by its name and the type of its resource.

use keyblind_resource::{Fragment, Reason, Reference, Unknown};

use crate::matchers::type_of;

/// Texts that stand for everybody or everything. No provider gives such a name, number or address to a resource.
const EVERYTHING: &[&str] = &["*", "allUsers", "allAuthenticatedUsers", "0.0.0.0/0", "::/0"];
/// Types whose attributes hold what somebody put into them.
const PASSED_THROUGH: &[&str] = &["terraform_data", "null_resource", "data.null_data_source", "data.external", "data.http"];
/// Attributes that name or number a resource, whoever reads them.
const NAMES: &[&str] = &["id", "name", "unique_id", "account_id", "number", "email", "member", "Ref", "Id", "Name"];

/// Whether an unknown is nothing but itself: of no known part, none of some values, no document.
pub(crate) fn is_bare(unknown: &Unknown) -> bool {
    unknown.fragments.is_empty() && unknown.candidates.is_empty() && unknown.document.is_none()
}

/// The attribute that an unknown is, if it is that of one resource or data source and nothing else.
fn attribute_of(unknown: &Unknown) -> Option<&Reference> {
    let is_attribute = matches!(unknown.reason, Reason::AfterApply { .. } | Reason::DataSource { .. } | Reason::Undeclared { .. });
    match &unknown.references[..] {
        [reference] if is_attribute && is_bare(unknown) => Some(reference),
        _ => None,
    }
}

fn is_arn(attribute: &str) -> bool {
    attribute == "arn" || attribute.ends_with("_arn") || attribute.ends_with("Arn")
}

/// Whether it names its resource, so that it is one text.
pub(crate) fn is_name(unknown: &Unknown) -> bool {
    attribute_of(unknown).is_some_and(|reference| NAMES.contains(&&*reference.attribute) || is_arn(&reference.attribute))
}

/// What every such attribute begins or ends with.
pub(crate) fn shape(unknown: &Unknown) -> Option<[Fragment; 2]> {
    let reference = attribute_of(unknown)?;
    let (type_key, attribute) = (type_of(&reference.address), &*reference.attribute);
    // Accounts that Google makes by itself have other domains; who reads one (`data`) may have named such a one.
    if (type_key, attribute) == ("google_service_account", "email") {
        return Some([Fragment::Unknown, Fragment::Literal(".iam.gserviceaccount.com".into())]);
    }
    let beginning = match attribute {
        arn if is_arn(arn) => "arn:",
        "member" if type_key == "google_project_service_identity" => "serviceAccount:service-",
        "email" if type_key == "google_project_service_identity" => "service-",
        "member" if type_key.contains("google_") => "serviceAccount:",
        _ => return None,
    };
    Some([Fragment::Literal(beginning.into()), Fragment::Unknown])
}

/// Whether it is certainly no text that stands for everybody or everything.
pub(crate) fn is_never_everything(unknown: &Unknown) -> bool {
    let Some(reference) = attribute_of(unknown) else {
        return is_bare(unknown)
            && matches!(&unknown.reason, Reason::AfterApply { address, .. } if !PASSED_THROUGH.contains(&type_of(address)));
    };
    let is_own = matches!(unknown.reason, Reason::AfterApply { .. });
    let is_address = reference.attribute.contains("cidr") || reference.attribute.ends_with("_ip") || &*reference.attribute == "ip_address";
    !PASSED_THROUGH.contains(&type_of(&reference.address)) && (is_own || is_name(unknown) || is_address)
}

/// Whether it certainly isn't this text.
pub(crate) fn is_never(unknown: &Unknown, text: &str) -> bool {
    EVERYTHING.contains(&text) && is_never_everything(unknown)
}

/// Whether two are the ids or ARNs of two resources: never the same.
pub(crate) fn name_different_resources(a: &Unknown, b: &Unknown) -> bool {
    let (Some(a), Some(b)) = (attribute_of(a), attribute_of(b)) else { return false };
    let is_unique = |attribute: &str| matches!(attribute, "arn" | "id" | "Arn");
    // A logical id doesn't say of what type it is; it needn't, as ARNs differ in any case.
    let is_logical_id = |reference: &Reference| !reference.address.contains('.');
    // Two data sources may read one and the same thing, and two instances of one block may be meant by one reference.
    let is_managed = |reference: &Reference| !type_of(&reference.address).starts_with("data.");
    a.attribute == b.attribute
        && is_unique(&a.attribute)
        && is_managed(a)
        && is_managed(b)
        && (type_of(&a.address) == type_of(&b.address) || is_logical_id(a) && is_logical_id(b))
        && !without_keys(&a.address).eq(without_keys(&b.address))
}

/// An address without the keys of its instances.
fn without_keys(address: &str) -> impl Iterator<Item = char> + '_ {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    address.chars().filter(move |&character| {
        let inside = depth > 0;
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' if inside => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        !inside && depth == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_blocks_have_different_arns() {
        let of = |address: &str, attribute: &str| Unknown::attribute_of(address, attribute);
        let differ = |a: &str, b: &str| name_different_resources(&of(a, "arn"), &of(b, "arn"));
        assert!(differ("aws_iam_role.a", "aws_iam_role.b"));
        assert!(differ("module.m[\"]x\"].aws_iam_role.a", "aws_iam_role.a"));
        assert!(!differ("aws_iam_role.a[0]", "aws_iam_role.a"));
        assert!(!differ("aws_iam_role.a", "aws_iam_role.a"));
        assert!(!differ("data.aws_iam_role.a", "data.aws_iam_role.b"));
        assert!(!name_different_resources(&of("aws_iam_role.a", "path"), &of("aws_iam_role.b", "path")));
    }

    #[test]
    fn nothing_computed_stands_for_everything() {
        assert!(is_never(&Unknown::attribute_of("aws_vpc.a", "cidr_block"), "0.0.0.0/0"));
        assert!(is_never(&Unknown::attribute_of("google_service_account.a", "member"), "allUsers"));
        assert!(!is_never(&Unknown::attribute_of("terraform_data.a", "output"), "*"));
        assert!(!is_never(&Unknown::attribute_of("aws_vpc.a", "cidr_block"), "10.0.0.0/8"));
    }
}
