//! `keyblind apply`: asks for one reversible call on a live account. It is made by the broker, after people's yes.

mod following;

use clap::{Args, Subcommand};
use keyblind_intent::{
    AccessKeyId, AccountId, Action, Answer, ApplyAction, Arn, ChangeState, Control, Digest, Intent, Network, Outcome, Port,
    PublicAccessBlock, Region, Report, Request, SecurityGroupId, SecurityGroupRule, Source, TransportProtocol,
};

use self::following::{ending, follow};
use super::account::Account;
use super::moment;
use crate::arguments::Global;
use crate::broker::{Broker, unwelcome};
use crate::exit::{Exit, UsageError};
use crate::interrupt::Interrupt;
use crate::output;

/// What is asked for.
#[derive(Clone, Debug, Args)]
pub(crate) struct ApplyArguments {
    #[command(subcommand)]
    what: Asked,
    /// Say where people decide, and don't wait for it.
    #[arg(long, global = true)]
    no_wait: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum Asked {
    /// Close one rule by which a security group lets traffic in.
    CloseIngress {
        #[command(flatten)]
        place: Place,
        /// The security group.
        #[arg(long, value_name = "sg-ID")]
        group: SecurityGroupId,
        /// Which traffic: tcp, udp, icmp, icmpv6 or all.
        #[arg(long, value_name = "NAME", value_parser = protocol)]
        protocol: TransportProtocol,
        /// Which ports: one, or the first and the last (`8000-8080`). None for protocols without ports.
        #[arg(long, value_name = "PORTS", value_parser = ports)]
        ports: Option<(Port, Port)>,
        /// From where: a network (`0.0.0.0/0`), another group, or another account's (`123456789012/sg-ID`).
        #[arg(long, value_name = "SOURCE", value_parser = source)]
        from: Source,
    },
    /// Block all public access to a bucket.
    BlockBucket {
        #[command(flatten)]
        place: Place,
        /// The bucket.
        #[arg(long, value_name = "NAME")]
        bucket: String,
    },
    /// Detach a managed policy from a role, a user or a group.
    DetachPolicy {
        #[command(flatten)]
        place: Place,
        /// The policy.
        #[arg(long, value_name = "ARN")]
        policy: Arn,
        /// From what: `role/NAME`, `user/NAME` or `group/NAME`, with its path.
        #[arg(long, value_name = "KIND/NAME")]
        from: String,
    },
    /// Switch off an access key of a user.
    SwitchOffKey {
        #[command(flatten)]
        place: Place,
        /// The user, with the path: `ada`, or `people/ada`.
        #[arg(long, value_name = "NAME")]
        user: String,
        /// The key's public id.
        #[arg(long, value_name = "AKIA…")]
        key: AccessKeyId,
    },
    /// Have new volumes of a region encrypted without anybody asking for it.
    EncryptVolumes {
        #[command(flatten)]
        place: Place,
    },
    /// Take back what was applied before: one more change, for one more yes.
    Undo {
        /// The change, as it was named when it was applied.
        #[arg(value_name = "CHANGE")]
        change: Digest,
    },
}

/// Where it lies.
#[derive(Clone, Debug, Args)]
struct Place {
    /// The account, by its name in the broker's configuration or by its number.
    #[arg(long, value_name = "NAME")]
    account: String,
    /// The region.
    #[arg(long, value_name = "NAME")]
    region: Region,
}

fn protocol(text: &str) -> Result<TransportProtocol, String> {
    Ok(match text {
        "tcp" => TransportProtocol::Tcp,
        "udp" => TransportProtocol::Udp,
        "icmp" => TransportProtocol::Icmp,
        "icmpv6" => TransportProtocol::Icmpv6,
        "all" => TransportProtocol::All,
        _ => return Err("write tcp, udp, icmp, icmpv6 or all".to_owned()),
    })
}

fn ports(text: &str) -> Result<(Port, Port), String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.parse(), to.parse()) {
        (Ok(from), Ok(to)) if from <= to => Ok((Port(from), Port(to))),
        _ => Err("write one port, or the first and the last like `8000-8080`".to_owned()),
    }
}

fn source(text: &str) -> Result<Source, String> {
    if text.starts_with("sg-") {
        return SecurityGroupId::new(text).map(Source::Group).map_err(|error| error.to_string());
    }
    // As EC2 itself writes another account's.
    if let Some((account, group)) = text.split_once('/').filter(|(_, group)| group.starts_with("sg-")) {
        let account = AccountId::new(account).map_err(|error| error.to_string())?;
        let group = SecurityGroupId::new(group).map_err(|error| error.to_string())?;
        return Ok(Source::GroupOf { account, group });
    }
    Network::new(text).map(Source::Network).map_err(|error| error.to_string())
}

pub(super) fn run(arguments: &ApplyArguments, global: Global) -> anyhow::Result<Exit> {
    let mut broker = Broker::connect()?;
    let request = arguments.what.request(&mut broker)?;
    let answer = broker.ask(&Request::Intent(Intent::ApplyAction(request.clone())))?;
    let (change, code, wanted, expires, page) = match answer {
        Answer::Outcome(Outcome::ApprovalWanted { change, code, wanted, expires, page }) => (change, code, wanted, expires, page),
        Answer::Outcome(outcome) => return Err(unwelcome(&outcome)),
        Answer::Report(report) => anyhow::bail!("the broker answered something else than was asked ({report:?})"),
    };
    anyhow::ensure!(
        change.short_code() == code,
        "the broker gave a code that isn't that of the change: don't approve it, and have a look at the broker"
    );
    let page = page.as_ref().map_or("on your phone, or on the broker's own pages", |page| page.as_str());
    let people = if wanted.get() == 1 { "one yes is".to_owned() } else { format!("{wanted} people are") };
    let asked = format!(
        "apply    {}\non       {}\napprove  {page}\ncompare  {code}\nuntil    {} ({people} wanted)\nchange   {change}\n",
        in_words(request.action()),
        request.resource(),
        moment(expires)
    );
    output::print_with(|out| out.write_all(asked.as_bytes()))?;
    if arguments.no_wait {
        return Ok(Exit::Clean);
    }
    let interrupt = Interrupt::watch()?;
    let Some(report) = follow(broker, change, expires, &interrupt, global)? else {
        let left = format!("The request stands. `keyblind-broker` goes on without this program.\nchange   {change}\n");
        return output::print_with(|out| out.write_all(left.as_bytes())).map(|()| Exit::Interrupted);
    };
    let (words, exit) = ending(change, &report);
    output::print_with(|out| out.write_all(words.as_bytes())).map(|()| exit)
}

impl Asked {
    fn request(&self, broker: &mut Broker) -> anyhow::Result<ApplyAction> {
        let (place, resource, action) = match self {
            Self::Undo { change } => return undo(broker, *change),
            Self::CloseIngress { place, group, protocol, ports, from } => {
                let (first, last) = ports.map_or((None, None), |(first, last)| (Some(first), Some(last)));
                let has_ports = matches!(protocol, TransportProtocol::Tcp | TransportProtocol::Udp);
                if has_ports != first.is_some() {
                    return Err(UsageError::new("tcp and udp have ports, and nothing else has: name them with `--ports`").into());
                }
                let rule = SecurityGroupRule { protocol: *protocol, from: first, to: last, source: from.clone(), description: None };
                let action = Action::SetIngressRule { rule, present: false };
                (place, format!("ec2:{}:ACCOUNT:security-group/{group}", place.region), action)
            }
            Self::BlockBucket { place, bucket } => {
                let all = PublicAccessBlock {
                    block_public_acls: true,
                    ignore_public_acls: true,
                    block_public_policy: true,
                    restrict_public_buckets: true,
                };
                (place, format!("s3:::{bucket}"), Action::SetBucketPublicAccessBlock { block: Some(all) })
            }
            Self::DetachPolicy { place, policy, from } => {
                (place, format!("iam::ACCOUNT:{from}"), Action::SetPolicyAttached { policy: policy.clone(), attached: false })
            }
            Self::SwitchOffKey { place, user, key } => {
                (place, format!("iam::ACCOUNT:user/{user}"), Action::SetAccessKeyActive { key: key.clone(), active: false })
            }
            Self::EncryptVolumes { place } => {
                (place, "iam::ACCOUNT:root".to_owned(), Action::SetVolumeEncryptionByDefault { enabled: true })
            }
        };
        let account = place.account.parse::<Account>()?.number(broker)?;
        let arn = format!("arn:{}:{}", partition(&place.region), resource.replace("ACCOUNT", account.as_str()));
        let wrong = |error: &dyn std::fmt::Display| UsageError::new(format_args!("`{}`: {error}", arn.escape_debug()));
        let resource = Arn::new(arn.clone()).map_err(|error| wrong(&error))?;
        Ok(ApplyAction::new(account, place.region.clone(), resource, action).map_err(|error| wrong(&error))?)
    }
}

/// Which of AWS's separate worlds a region lies in.
fn partition(region: &Region) -> &'static str {
    match region.as_str() {
        region if region.starts_with("cn-") => "aws-cn",
        region if region.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    }
}

/// What would take back a change that was applied, or was called and then overtaken, as the broker recorded it.
fn undo(broker: &mut Broker, change: Digest) -> anyhow::Result<ApplyAction> {
    let (state, outcome) = match broker.ask(&Request::Control(Control::FollowChange { digest: change }))? {
        Answer::Report(Report::Change { digest, state, outcome, .. }) if digest == change => (state, outcome.map(|outcome| *outcome)),
        Answer::Outcome(outcome) => return Err(unwelcome(&outcome)),
        Answer::Report(report) => anyhow::bail!("the broker answered something else than was asked ({report:?})"),
    };
    let words = match (state, outcome) {
        (ChangeState::Applied, Some(Outcome::ActionApplied { undo: Some(undo), .. }))
        | (ChangeState::Failed, Some(Outcome::ActionOvertaken { undo, .. })) => return Ok(*undo),
        (ChangeState::Applied, _) => "there is nothing that would undo that change",
        (ChangeState::Undone, _) => "that change is undone already",
        _ => "that change wasn't applied: there is nothing to undo",
    };
    Err(UsageError::new(words).into())
}

/// What an action does, in a line.
fn in_words(action: &Action) -> String {
    let ports = |rule: &SecurityGroupRule| match (rule.from, rule.to) {
        (Some(from), Some(to)) if from == to => format!(" {}", from.0),
        (Some(from), Some(to)) => format!(" {}-{}", from.0, to.0),
        _ => String::new(),
    };
    let source = |rule: &SecurityGroupRule| match &rule.source {
        Source::Network(network) => network.to_string(),
        Source::Group(group) => group.to_string(),
        Source::GroupOf { account, group } => format!("{account}/{group}"),
    };
    match action {
        Action::SetIngressRule { rule, present } => {
            let verb = if *present { "let in" } else { "close" };
            format!("{verb} {:?}{} from {}", rule.protocol, ports(rule), source(rule)).to_lowercase()
        }
        Action::SetBucketPublicAccessBlock { block: Some(_) } => "set what is blocked of public access".to_owned(),
        Action::SetBucketPublicAccessBlock { block: None } => "delete what is blocked of public access".to_owned(),
        Action::SetPolicyAttached { policy, attached: true } => format!("attach {policy}"),
        Action::SetPolicyAttached { policy, attached: false } => format!("detach {policy}"),
        Action::SetAccessKeyActive { key, active } => format!("switch {} {key}", if *active { "on" } else { "off" }),
        Action::SetVolumeEncryptionByDefault { enabled: true } => "encrypt new volumes".to_owned(),
        Action::SetVolumeEncryptionByDefault { enabled: false } => "encrypt no new volumes by default".to_owned(),
        other => format!("{:?}", other.id()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_one_call() {
        assert_eq!(ports("22"), Ok((Port(22), Port(22))));
        assert_eq!(ports("8000-8080"), Ok((Port(8_000), Port(8_080))));
        for wrong in ["", "-", "8080-8000", "70000", "a"] {
            assert!(ports(wrong).is_err(), "{wrong}");
        }
        assert!(matches!(source("0.0.0.0/0"), Ok(Source::Network(_))));
        assert!(matches!(source("sg-0123456789abcdef0"), Ok(Source::Group(_))));
        assert!(matches!(source("444455556666/sg-0123456789abcdef0"), Ok(Source::GroupOf { .. })));
        source("4444/sg-0123456789abcdef0").unwrap_err();
        assert!(source("10.0.0.1/8").is_err() && source("sg-x").is_err());
        assert_eq!(partition(&Region::new("us-gov-west-1").unwrap()), "aws-us-gov");
        let rule = SecurityGroupRule {
            protocol: TransportProtocol::Tcp,
            from: Some(Port(22)),
            to: Some(Port(22)),
            source: source("0.0.0.0/0").unwrap(),
            description: None,
        };
        assert_eq!(in_words(&Action::SetIngressRule { rule, present: false }), "close tcp 22 from 0.0.0.0/0");
    }
}
