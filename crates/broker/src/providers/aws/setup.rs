//! The roles that an account gives to the broker, as Terraform and as CloudFormation.
//!
//! One role reads, another one changes things, each with what the closed lists need and no more: they are the outer bound, within
//! which each session has a policy of its own. Nobody but the broker can take them, under names that the account's audit trail shows.

mod document;
mod hcl;
mod yaml;

use std::fmt;

use keyblind_intent::{AccountId, ActionId, Region, Service};
use serde::de::DeserializeOwned;

use self::document::{Node, list, map, text};
use super::calls::{self, Confined};
use super::marks::{ExternalId, OURS, SESSIONS};
use super::{ACTIONS, AwsError, Partition, reads};
use crate::egress::Target;

/// How many characters a managed policy may have, without spaces.
const MANAGED_POLICY_CHARACTERS: usize = 6_144;
/// What stands for the partition, the account and the identity provider until a format writes them its own way.
const PARTITION: &str = "<partition>";
const ACCOUNT: &str = "<account>";
const PROVIDER: &str = "<provider>";

/// Who may take the roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trust {
    /// A role or a user of an account, that says an external id.
    Principal {
        /// The broker's own account.
        account: AccountId,
        /// `role/NAME` or `user/NAME` in it.
        principal: PrincipalName,
        /// What must be said.
        external_id: ExternalId,
    },
    /// Whom an identity provider vouches for.
    WebIdentity {
        /// The provider.
        issuer: IssuerAddress,
        /// For whom its tokens are.
        audience: Claim,
        /// Who its tokens are about.
        subject: Claim,
    },
}

/// The roles to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Who may take them.
    pub trust: Trust,
    /// What may be read. Everything, if there is nothing.
    pub services: Vec<Service>,
    /// What may be changed. Without any there is no such role.
    pub actions: Vec<ActionId>,
    /// In which regions; in all, if there are none.
    pub regions: Vec<Region>,
}

/// How it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Terraform and `OpenTofu`.
    Terraform,
    /// CloudFormation, in YAML.
    Cloudformation,
}

/// Makes a type for a text that stands in a policy.
macro_rules! policy_text {
    ($(#[$doc:meta])* $name:ident, $rule:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(String);

        impl std::str::FromStr for $name {
            type Err = SetupError;

            fn from_str(text: &str) -> Result<Self, SetupError> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(text) { Ok(Self(text.to_owned())) } else { Err(SetupError::Text($rule)) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }
    };
}

policy_text! {
    /// A role or a user without its account.
    PrincipalName, "write `role/NAME` or `user/NAME`",
    |text| {
        let name = text.strip_prefix("role/").or_else(|| text.strip_prefix("user/")).unwrap_or_default();
        (1..=512).contains(&name.len()) && !name.starts_with('/') && !name.ends_with('/')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@/-".contains(&byte))
    }
}

policy_text! {
    /// An identity provider's address, as its tokens name it.
    IssuerAddress, "write the issuer as its tokens name it: `https://host/path`, without a query, at most 255 characters",
    |text| {
        text.len() <= 255 && text.starts_with("https://") && Target::parse(text).is_ok()
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte))
    }
}

policy_text! {
    /// What a token claims.
    Claim, "1 to 255 printable characters without spaces, `*`, `?`, `$`, quotes, backslashes and angle brackets",
    |text| (1..=255).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"*?$\"'\\<>`{}".contains(&byte))
}

impl IssuerAddress {
    /// Without its scheme: what condition keys begin with.
    fn key(&self) -> &str {
        self.0.strip_prefix("https://").unwrap_or(&self.0)
    }
}

/// Why no roles can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A text has another form.
    #[error("{0}")]
    Text(&'static str),
    /// The policy of a role would be longer than AWS takes.
    #[error("the role's policy has {characters} characters and AWS takes 6,144: name fewer regions or services")]
    TooLarge {
        /// How many it has.
        characters: usize,
    },
    /// Something isn't of AWS.
    #[error(transparent)]
    Aws(#[from] AwsError),
}

/// An action or a service by the name that it has in intents.
#[must_use]
pub fn named<T: DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(name.into()).ok()
}

/// Something to be made, in words that both formats have.
struct Role {
    /// `read` or `change`.
    kind: &'static str,
    description: &'static str,
    policy: Node,
}

impl Setup {
    /// Writes them.
    ///
    /// # Errors
    /// If a policy would be too long, or a region is of no known partition.
    pub fn render(&self, format: Format) -> Result<String, SetupError> {
        for region in &self.regions {
            Partition::of(region)?;
        }
        let mut roles = vec![Role { kind: "read", description: "Keyblind reads how this account is configured.", policy: self.reading() }];
        if !self.actions.is_empty() {
            let description = "Keyblind makes the changes of this account that people approved.";
            roles.push(Role { kind: "change", description, policy: self.changing() });
        }
        for role in &roles {
            let characters = role.policy.compact().len();
            if characters > MANAGED_POLICY_CHARACTERS {
                return Err(SetupError::TooLarge { characters });
            }
        }
        Ok(match format {
            Format::Terraform => hcl::render(&self.trust, &self.trusting(), &roles),
            Format::Cloudformation => yaml::render(&self.trust, &self.trusting(), &roles),
        })
    }

    /// Who may take the roles, and under which names.
    fn trusting(&self) -> Node {
        let (principal, action, said) = match &self.trust {
            Trust::Principal { account, principal, external_id } => {
                let arn = format!("arn:{PARTITION}:iam::{account}:{principal}");
                let said = map([("sts:ExternalId", text(external_id.as_str()))]);
                (map([("AWS", text(&arn))]), "sts:AssumeRole", said)
            }
            Trust::WebIdentity { issuer, audience, subject } => {
                let key = issuer.key();
                let said = Node::Map(vec![(format!("{key}:aud"), text(&audience.0)), (format!("{key}:sub"), text(&subject.0))]);
                (map([("Federated", text(PROVIDER))]), "sts:AssumeRoleWithWebIdentity", said)
            }
        };
        let statement = |sid: &str, action: &str, condition: Node| {
            map([
                ("Sid", text(sid)),
                ("Effect", text("Allow")),
                ("Principal", principal.clone()),
                ("Action", text(action)),
                ("Condition", condition),
            ])
        };
        // Each statement has the conditions that AWS knows for its action: an external id means nothing for tags.
        let named = map([("sts:RoleSessionName", text(&format!("{SESSIONS}*")))]);
        let whose = map([("sts:SourceIdentity", text(&format!("{OURS}*")))]);
        let tags = map([("aws:TagKeys", list(["keyblind:change", "keyblind:request"]))]);
        document([
            statement("TakeTheRole", action, map([("StringEquals", said), ("StringLike", named)])),
            statement("SayInWhoseName", "sts:SetSourceIdentity", map([("StringLike", whose)])),
            statement("SayForWhat", "sts:TagSession", map([("ForAllValues:StringEquals", tags)])),
        ])
    }

    fn reading(&self) -> Node {
        let services = if self.services.is_empty() { &Service::ALL[..] } else { &self.services };
        let mut actions: Vec<reads::Read> = services.iter().flat_map(|service| reads::of(*service)).copied().collect();
        actions.sort_by_key(|read| read.action);
        actions.dedup();
        let of = |regional| actions.iter().filter(move |read| read.is_regional == regional).map(|read| read.action).collect::<Vec<_>>();
        let statement = |sid: &str, actions: Vec<&'static str>, condition| {
            (!actions.is_empty()).then(|| allow(sid, actions, text("*"), Some(condition)))
        };
        let groups = if self.regions.is_empty() {
            [statement("ReadConfigurations", actions.iter().map(|read| read.action).collect(), own_account()), None]
        } else {
            [
                statement("ReadConfigurations", of(false), own_account()),
                statement("ReadConfigurationsOfRegions", of(true), self.in_regions()),
            ]
        };
        document(groups.into_iter().flatten())
    }

    fn changing(&self) -> Node {
        let mut actions: Vec<ActionId> = ACTIONS.into_iter().filter(|action| self.actions.contains(action)).collect();
        actions.dedup();
        let mut statements = Vec::new();
        for action in actions {
            let name = format!("{action:?}");
            let of = |wanted: Confined| {
                calls::all(action).iter().filter(move |call| call.confined == wanted).map(|call| call.action).collect::<Vec<_>>()
            };
            let on_resource = of(Confined::Resource);
            if !on_resource.is_empty() {
                let pattern = format!("arn:{PARTITION}:{}", calls::pattern(action).replace("ACCOUNT", ACCOUNT));
                statements.push(allow(&name, on_resource, text(&pattern), Some(own_account())));
            }
            let in_regions = of(Confined::Region);
            if !in_regions.is_empty() {
                let condition = if self.regions.is_empty() { own_account() } else { self.in_regions() };
                statements.push(allow(&format!("{name}InRegions"), in_regions, text("*"), Some(condition)));
            }
            let in_account = of(Confined::Account);
            if !in_account.is_empty() {
                statements.push(allow(&name, in_account, text("*"), Some(own_account())));
            }
            for (kind, word) in [("role/", "OfRoles"), ("user/", "OfUsers"), ("group/", "OfGroups")] {
                let of_kind = of(Confined::Kind(kind));
                if !of_kind.is_empty() {
                    let pattern = format!("arn:{PARTITION}:iam::{ACCOUNT}:{kind}*");
                    statements.push(allow(&format!("{name}{word}"), of_kind, text(&pattern), Some(own_account())));
                }
            }
            let on_policies = of(Confined::Policy);
            if !on_policies.is_empty() {
                // AWS's own policies are of no account.
                let pattern = format!("arn:{PARTITION}:iam::*:policy/*");
                statements.push(allow(&format!("{name}Policies"), on_policies, text(&pattern), None));
            }
            for call in calls::all(action) {
                if let Confined::Role(role) = call.confined {
                    let arn = format!("arn:{PARTITION}:iam::{ACCOUNT}:role/aws-service-role/{role}");
                    let service = role.split('/').next().unwrap_or_default();
                    let condition = map([("StringEquals", map([("iam:AWSServiceName", text(service))]))]);
                    statements.push(allow(&format!("{name}Role"), vec![call.action], text(&arn), Some(condition)));
                }
            }
        }
        document(statements)
    }

    fn in_regions(&self) -> Node {
        let regions = list(self.regions.iter().map(Region::as_str));
        map([("StringEquals", map([("aws:RequestedRegion", regions)])), ("StringEqualsIfExists", own_account_only())])
    }
}

/// Nothing of another account's, even where that account would allow it.
fn own_account() -> Node {
    map([("StringEqualsIfExists", own_account_only())])
}

fn own_account_only() -> Node {
    map([("aws:ResourceAccount", text(ACCOUNT))])
}

fn allow(sid: &str, actions: Vec<&'static str>, resource: Node, condition: Option<Node>) -> Node {
    let mut fields = vec![("Sid", text(sid)), ("Effect", text("Allow")), ("Action", list(actions)), ("Resource", resource)];
    fields.extend(condition.map(|condition| ("Condition", condition)));
    map(fields)
}

fn document(statements: impl IntoIterator<Item = Node>) -> Node {
    map([("Version", text("2012-10-17")), ("Statement", Node::List(statements.into_iter().collect()))])
}

#[cfg(test)]
mod tests;
