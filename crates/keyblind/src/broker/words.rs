//! What the broker refuses and what doesn't come about, in words that say what to do.

use keyblind_intent::{ConnectionState, Failure, Missing, Outcome, Provider, Refusal, Setting};

use crate::exit::UsageError;

/// Why the broker didn't do it, as an error; one of wrong usage where asking differently, or mending something, would help.
pub(crate) fn refused(refusal: Refusal) -> anyhow::Error {
    let mendable = |what: &str| UsageError::new(what).into();
    match refusal {
        Refusal::UnknownPeer => mendable("the broker doesn't know this user: add a [[peer]] to its configuration"),
        Refusal::BadToken => mendable("the broker wants a one-time token from this user: it was made for other programs"),
        Refusal::NotAllowed => mendable("the broker doesn't let this user ask for that"),
        Refusal::BadCode | Refusal::NotLoggedIn => mendable("whoever it is for isn't logged in there any more: log in again"),
        Refusal::OtherTenant => mendable("that is somebody else's: the broker doesn't let this user ask for it"),
        Refusal::Halted => mendable("the broker is stopped: `keyblind-broker arm` takes up work again"),
        Refusal::Busy => mendable("the broker is busy: try again"),
        Refusal::ShuttingDown => mendable("the broker is stopping: try again when it runs"),
        Refusal::TimedOut => mendable("it took the broker too long: try again"),
        Refusal::BeyondLimit => mendable("that is more than the broker or its policy takes: ask for less, or later"),
        Refusal::StaleState => mendable("the target isn't what it was when it was read: run the command again"),
        Refusal::NotApproved => mendable("nobody approved it: the broker's policy says who may"),
        Refusal::NoRule => mendable("no rule of the approval policy covers such a change: its owners can add one"),
        Refusal::RequesterUnknown => mendable("the approval policy doesn't know you, or not for this: its owners can add your identity"),
        Refusal::Guarded => mendable("the approval policy guards that target: nothing is done to it by anybody's yes"),
        Refusal::WrittenByPeople => {
            mendable("people have pushed to that branch, which isn't touched then: merge or delete it, then run the command again")
        }
        Refusal::SaidNoBefore => {
            mendable("a pull request with exactly these fixes was closed before, which counts as a no: reopen it, or choose other fixes")
        }
        Refusal::NotOffered => mendable("this broker doesn't offer that"),
        Refusal::LockMismatch => mendable("what is there isn't what was locked"),
        Refusal::HoldsSecret => mendable("what was to be sent to a model holds something that looks like a secret: nothing was sent"),
        Refusal::TooMuchAuthority => {
            mendable("the provider lent more than was asked for, so nothing was done: `keyblind-broker doctor` says what to set")
        }
        Refusal::BroadAuthority => mendable(
            "only an account that somebody connected could be used for it, which reaches more than this repository: the approval policy \
             accepts that under `broad-authority`, or install the GitHub App there",
        ),
        Refusal::LedgerUnavailable => mendable("the broker's ledger can't be written, so nothing was done: see to its disk"),
        Refusal::Cancelled => mendable("nobody waited for it any more: try again"),
        Refusal::Malformed | Refusal::BadFrame | Refusal::NoGreeting | Refusal::Replayed | Refusal::BadBulk => {
            anyhow::anyhow!("the broker didn't understand what it was asked ({refusal:?}): use programs of the same release")
        }
        Refusal::Internal => anyhow::anyhow!("the broker failed in itself: its log says more"),
    }
}

/// Why an outcome isn't what was hoped for, as an error.
pub(crate) fn unwelcome(outcome: &Outcome) -> anyhow::Error {
    match outcome {
        Outcome::Refused(refusal) => refused(*refusal),
        Outcome::NotConfigured { missing } => {
            UsageError::new(format_args!("not configured: the broker has no {}", lacking(*missing))).into()
        }
        Outcome::NotReady { provider, state } => UsageError::new(not_ready(*provider, *state)).into(),
        Outcome::Failed { failure, status, retry_after_seconds, said } => {
            let status = status.map(|status| format!(" (status {status})")).unwrap_or_default();
            let later = retry_after_seconds.map(|seconds| format!("; in {seconds} seconds")).unwrap_or_default();
            let said = said.as_ref().map(|said| format!("; it says: {}", said.for_terminal())).unwrap_or_default();
            anyhow::anyhow!("the provider didn't do it{status}: {}{later}{said}", failed(*failure))
        }
        other => anyhow::anyhow!("the broker answered something else than was asked ({other:?})"),
    }
}

fn failed(failure: Failure) -> &'static str {
    match failure {
        Failure::Unreachable => "it couldn't be reached; try again",
        Failure::TimedOut => "it didn't answer in time; try again",
        Failure::NotFound => {
            "there is no such repository, branch or commit, or the connection doesn't see it; check the name and what the connection may read"
        }
        Failure::Forbidden => "the connection isn't allowed to; grant it the permission, or ask who runs the forge",
        Failure::RateLimited => "it asks to wait; try again later",
        Failure::Conflict => "something is there already, or was changed meanwhile; run the command again",
        Failure::Rejected => "it didn't take what was sent",
        Failure::Unintelligible => "it answered something that isn't its protocol; `keyblind-broker doctor` looks at the set-up",
        Failure::TooLarge => "it answered more than is taken",
        Failure::Broken => "it failed in itself; try again later",
        Failure::Lost => "its answer is lost, so that it may have been done; look there before you run the command again",
    }
}

fn not_ready(provider: Provider, state: ConnectionState) -> String {
    let (name, command) = (name(provider), command_name(provider));
    match state {
        ConnectionState::NotConnected => format!("{name} isn't connected: `keyblind connect {command}`"),
        ConnectionState::Expired => format!("{name} must be connected again: `keyblind connect {command}`"),
        ConnectionState::SignedOut => {
            format!("your login at the broker is over, so {name} can't be used: `keyblind connect {command}`, and log in there")
        }
        ConnectionState::ScopeMissing => {
            format!("the connection with {name} lacks a permission: `keyblind connect {command}`, and grant what the page names")
        }
        ConnectionState::SecondFactorRequired => format!(
            "the identity provider wants a second factor for each token of {name}, which nobody can give here: whoever runs the broker changes that (`keyblind-broker doctor login`)"
        ),
        ConnectionState::RateLimited => format!("{name} asks to wait: try again later"),
        ConnectionState::OperatorError => format!("the set-up at {name} is wrong: `keyblind-broker doctor` says where"),
        ConnectionState::Connected => format!("{name} is connected, and yet it didn't work: try again"),
    }
}

fn lacking(missing: Missing) -> String {
    match missing {
        Missing::Provider(provider) => format!("{} set up", name(provider)),
        Missing::Connection => "connection of that name".to_owned(),
        Missing::Channel => "channel of that name".to_owned(),
        Missing::ModelRole => "model for that".to_owned(),
        Missing::Registry => "module registry of that name".to_owned(),
        Missing::Approvals => "way to approve".to_owned(),
        Missing::Door => "pages of its own".to_owned(),
        Missing::Setting(setting) => match setting {
            Setting::KillSwitch => "kill switch".to_owned(),
            Setting::SealedStore => "sealed store".to_owned(),
            Setting::AccountScopes => {
                "connected account that may do this: its `scopes` lack it, or only a GitHub App can (check runs)".to_owned()
            }
            Setting::Administrator => "administrator's client at the identity provider".to_owned(),
            Setting::Ledger => "ledger".to_owned(),
        },
    }
}

fn name(provider: Provider) -> &'static str {
    match provider {
        Provider::Github => "GitHub",
        Provider::Aws => "AWS",
        Provider::Slack => "Slack",
        Provider::Auth0 => "Auth0",
        Provider::Oidc => "OpenID provider",
        Provider::Model => "model",
    }
}

fn command_name(provider: Provider) -> &'static str {
    match provider {
        Provider::Github => "github",
        Provider::Aws => "aws",
        Provider::Slack => "slack",
        Provider::Auth0 => "auth0",
        Provider::Oidc => "oidc",
        Provider::Model => "model",
    }
}
