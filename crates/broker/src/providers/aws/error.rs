//! What can go wrong with AWS, each as a state of its own with what to do.

use std::time::Duration;

use crate::egress::EgressError;
use crate::jws::JwsError;

/// A permission that a trust policy, or the policy of who asks, can lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StsPermission {
    /// To take the role at all.
    AssumeRole,
    /// To take the role with a token of an identity provider.
    AssumeRoleWithWebIdentity,
    /// To mark the session with tags.
    TagSession,
    /// To say in whose name.
    SetSourceIdentity,
}

impl StsPermission {
    /// As policies write it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AssumeRole => "sts:AssumeRole",
            Self::AssumeRoleWithWebIdentity => "sts:AssumeRoleWithWebIdentity",
            Self::TagSession => "sts:TagSession",
            Self::SetSourceIdentity => "sts:SetSourceIdentity",
        }
    }

    /// The one that a refusal is about. Nothing else of its words is kept.
    fn named_in(message: &str) -> Option<Self> {
        // The longer name first: the shorter one is a part of it.
        [Self::AssumeRoleWithWebIdentity, Self::AssumeRole, Self::TagSession, Self::SetSourceIdentity]
            .into_iter()
            .find(|permission| message.contains(permission.as_str()))
    }
}

/// Why AWS gave nothing. None of these carries what AWS said in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AwsError {
    /// There was no answer.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// What should be keys isn't.
    #[error(
        "these aren't keys of AWS: two lines are needed, the access key's id and the secret key, and for a session its token as a third"
    )]
    Keys,
    /// The sealed store gives no keys.
    #[error("the broker's keys for AWS can't be read from the sealed store: put them there, or name another record")]
    NoKeys,
    /// This machine has no date to sign with.
    #[error("this machine's clock was never set: requests to AWS are dated")]
    Clock,
    /// AWS has another time than this machine.
    #[error("AWS has another time than this machine: set its clock (NTP), requests are refused from five minutes on")]
    ClockSkew,
    /// The region isn't one of a known partition.
    #[error("the region is of no partition that is known: commercial, GovCloud and China regions are")]
    Partition,
    /// It isn't the ARN of a role.
    #[error("this is no role: write `arn:aws:iam::123456789012:role/name`")]
    Role,
    /// A name for a session, a source identity, an external id or a tag has other letters than AWS takes.
    #[error("an external id has 2 to 1,224 letters, digits and `+=,.@:/-`")]
    ExternalId,
    /// Who asks, or the role's trust policy, doesn't allow it.
    #[error("AWS refuses {}: the role's trust policy must allow it to the broker, with this external id, and the broker's own policy to take this role", permission.map_or("the role", StsPermission::as_str))]
    AccessDenied {
        /// Which permission is missing, if AWS names one that we know.
        permission: Option<StsPermission>,
    },
    /// AWS doesn't know the access key.
    #[error("AWS doesn't know the broker's access key: it was deleted, or is of another partition")]
    UnknownKey,
    /// The secret key isn't that of the access key.
    #[error("the broker's secret key isn't that of its access key: store both again")]
    WrongSecret,
    /// The broker's own keys are of a session that is over.
    #[error("the broker's own keys have expired: sign in again, or store keys that last")]
    ExpiredKeys,
    /// The identity provider's token is over.
    #[error("the identity token has expired: the provider must issue it right before its use")]
    ExpiredIdentity,
    /// The identity provider's token isn't acceptable.
    #[error(
        "AWS can't check the identity token: the provider's address in IAM must be the token's issuer, and its keys must be published there"
    )]
    InvalidIdentity,
    /// The identity provider's token doesn't fulfil the trust policy.
    #[error("AWS rejects what the identity token claims: its audience and subject must be those of the trust policy")]
    RejectedIdentity,
    /// AWS can't reach the identity provider.
    #[error("AWS can't reach the identity provider: its metadata and keys must be public")]
    IdentityUnreachable,
    /// There is no identity token.
    #[error("there is no identity token to take the role with: {0}")]
    NoIdentity(&'static str),
    /// Too many requests.
    #[error("AWS asks to wait")]
    Throttled {
        /// For how long, if it says.
        wait: Option<Duration>,
    },
    /// The policy of a session would be longer than AWS takes.
    #[error("the policy of the session has {characters} characters and AWS takes 2,048: ask for less at once")]
    PolicyTooLarge {
        /// How many it has.
        characters: usize,
    },
    /// Policy and tags are too large in the form that AWS packs them into.
    #[error("the session's policy and tags are too large once AWS has packed them: ask for less at once")]
    PackedPolicyTooLarge,
    /// AWS doesn't take the policy.
    #[error("AWS doesn't take the session's policy: this is a fault of the broker's")]
    MalformedPolicy,
    /// The inverse is about something else.
    #[error("a change's inverse is about the same resource as the change")]
    OtherInverse,
    /// STS isn't switched on in that region.
    #[error("STS isn't switched on in this region: an administrator of the account can activate it, or choose another region")]
    RegionDisabled,
    /// A parameter isn't what AWS takes.
    #[error("AWS doesn't take a parameter of the request: the role may allow only shorter sessions")]
    Invalid,
    /// The lifetime is none that a session can have.
    #[error("authority is lent for at least one second and at most an hour")]
    Lifetime,
    /// What AWS gave isn't what was asked for.
    #[error("AWS gave another session than the one that was asked for")]
    OtherThanAsked,
    /// The answer isn't STS's.
    #[error("the answer isn't one of AWS's")]
    Unintelligible,
    /// AWS failed in itself.
    #[error("AWS failed ({status})")]
    Broken {
        /// The status of its answer.
        status: u16,
    },
    /// It refused in a way that we don't know.
    #[error("AWS refused ({status})")]
    Refused {
        /// The status of its answer.
        status: u16,
    },
    /// Our own token couldn't be signed.
    #[error(transparent)]
    Jws(#[from] JwsError),
}

impl AwsError {
    /// A refusal by its code, and by what of its words decides between two states.
    pub(super) fn refusal(status: u16, code: &str, message: &str, wait: Option<Duration>) -> Self {
        match code {
            "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
                Self::AccessDenied { permission: StsPermission::named_in(message) }
            }
            "InvalidClientTokenId" | "UnrecognizedClientException" | "InvalidAccessKeyId" | "AuthFailure" => Self::UnknownKey,
            // One code for two things: only the words tell a wrong time from a wrong key.
            "SignatureDoesNotMatch" | "InvalidSignatureException"
                if message.starts_with("Signature expired") || message.starts_with("Signature not yet current") =>
            {
                Self::ClockSkew
            }
            "SignatureDoesNotMatch" | "InvalidSignatureException" => Self::WrongSecret,
            "RequestTimeTooSkewed" | "RequestExpired" => Self::ClockSkew,
            "ExpiredToken" => Self::ExpiredKeys,
            "ExpiredTokenException" => Self::ExpiredIdentity,
            "InvalidIdentityToken" => Self::InvalidIdentity,
            "IDPRejectedClaim" => Self::RejectedIdentity,
            "IDPCommunicationError" => Self::IdentityUnreachable,
            "MalformedPolicyDocument" => Self::MalformedPolicy,
            "PackedPolicyTooLarge" => Self::PackedPolicyTooLarge,
            "RegionDisabledException" => Self::RegionDisabled,
            "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" | "SlowDown" => {
                Self::Throttled { wait }
            }
            "ValidationError" | "InvalidParameterValue" => Self::Invalid,
            _ if status == 429 || (status == 503 && wait.is_some()) => Self::Throttled { wait },
            _ if status >= 500 => Self::Broken { status },
            _ => Self::Refused { status },
        }
    }

    /// A name for records.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Egress(error) => error.code(),
            Self::Keys => "keys-malformed",
            Self::NoKeys => "keys-missing",
            Self::Clock => "clock-not-set",
            Self::ClockSkew => "clock-skew",
            Self::Partition => "partition-unknown",
            Self::Role => "role-malformed",
            Self::ExternalId => "external-id-malformed",
            Self::AccessDenied { permission: Some(StsPermission::TagSession) } => "tags-denied",
            Self::AccessDenied { permission: Some(StsPermission::SetSourceIdentity) } => "source-identity-denied",
            Self::AccessDenied { .. } => "role-denied",
            Self::UnknownKey => "key-unknown",
            Self::WrongSecret => "secret-wrong",
            Self::ExpiredKeys => "keys-expired",
            Self::ExpiredIdentity => "identity-expired",
            Self::InvalidIdentity => "identity-invalid",
            Self::RejectedIdentity => "identity-rejected",
            Self::IdentityUnreachable => "identity-provider-unreachable",
            Self::NoIdentity(_) => "identity-missing",
            Self::Throttled { .. } => "rate-limited",
            Self::PolicyTooLarge { .. } => "policy-too-large",
            Self::PackedPolicyTooLarge => "packed-policy-too-large",
            Self::MalformedPolicy => "policy-malformed",
            Self::OtherInverse => "inverse-of-another",
            Self::RegionDisabled => "region-disabled",
            Self::Invalid => "parameter-refused",
            Self::Lifetime => "lifetime-out-of-bounds",
            Self::OtherThanAsked => "other-than-asked",
            Self::Unintelligible => "unintelligible",
            Self::Broken { .. } => "provider-broken",
            Self::Refused { .. } => "refused",
            Self::Jws(_) => "signature-failed",
        }
    }

    /// Whether AWS may have made a session although there is none to use.
    #[must_use]
    pub fn may_have_happened(self) -> bool {
        match self {
            Self::Egress(error) => error.may_have_happened(),
            Self::OtherThanAsked | Self::Unintelligible | Self::Broken { .. } => true,
            _ => false,
        }
    }

    /// Whether asking again in a moment may help.
    pub(super) fn is_passing(self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::IdentityUnreachable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_is_a_state_of_its_own() {
        let denied = |permission| AwsError::AccessDenied { permission };
        let told = [
            (
                "AccessDenied",
                "User: x is not authorized to perform: sts:AssumeRole on resource: y",
                denied(Some(StsPermission::AssumeRole)),
            ),
            (
                "AccessDenied",
                "Not authorized to perform sts:AssumeRoleWithWebIdentity",
                denied(Some(StsPermission::AssumeRoleWithWebIdentity)),
            ),
            ("AccessDenied", "not authorized to perform: sts:TagSession on", denied(Some(StsPermission::TagSession))),
            ("AccessDenied", "not authorized to perform: sts:SetSourceIdentity on", denied(Some(StsPermission::SetSourceIdentity))),
            ("AccessDenied", "Roles may not be assumed by root accounts.", denied(None)),
            ("SignatureDoesNotMatch", "Signature expired: 20261122T120000Z is now earlier than", AwsError::ClockSkew),
            ("SignatureDoesNotMatch", "Signature not yet current: 20261122T120000Z", AwsError::ClockSkew),
            ("SignatureDoesNotMatch", "The request signature we calculated does not match", AwsError::WrongSecret),
            ("InvalidClientTokenId", "", AwsError::UnknownKey),
            ("ExpiredToken", "", AwsError::ExpiredKeys),
            ("ExpiredTokenException", "", AwsError::ExpiredIdentity),
            ("IDPRejectedClaim", "", AwsError::RejectedIdentity),
            ("IDPCommunicationError", "", AwsError::IdentityUnreachable),
            ("InvalidIdentityToken", "", AwsError::InvalidIdentity),
            ("PackedPolicyTooLarge", "", AwsError::PackedPolicyTooLarge),
            ("MalformedPolicyDocument", "", AwsError::MalformedPolicy),
            ("RegionDisabledException", "", AwsError::RegionDisabled),
            ("Throttling", "", AwsError::Throttled { wait: None }),
            ("SomethingNew", "", AwsError::Refused { status: 400 }),
        ];
        for (code, message, state) in told {
            assert_eq!(AwsError::refusal(400, code, message, None), state, "{code}: {message}");
        }
        let wait = Some(Duration::from_secs(7));
        assert_eq!(AwsError::refusal(429, "", "", wait), AwsError::Throttled { wait });
        assert_eq!(AwsError::refusal(503, "", "", None), AwsError::Broken { status: 503 });
        assert!(AwsError::Broken { status: 503 }.may_have_happened());
        assert!(!AwsError::UnknownKey.may_have_happened());
    }
}
