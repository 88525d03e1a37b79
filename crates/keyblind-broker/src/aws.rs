//! What an operator needs at AWS before the broker can act there.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use keyblind_broker::providers::aws::setup::{Claim, Format, IssuerAddress, PrincipalName, Setup, Trust, named};
use keyblind_broker::providers::aws::{ACTIONS, ExternalId};
use keyblind_intent::{AccountId, ActionId, Region, Service};

use crate::configuration::Configuration;
use crate::opened::{Store, aws as opened};
use crate::run;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: AwsCommand,
}

#[derive(Debug, Subcommand)]
enum AwsCommand {
    /// Print the roles that an account gives to the broker: one that reads, and one for the changes that are named.
    Setup(Box<SetupArguments>),
    /// Print what must be published at the address of [aws.issuer], by its path there. While no broker runs.
    Issuer,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("trust").required(true).args(["account", "oidc_issuer"]))]
struct SetupArguments {
    /// The account that the broker's own keys are of.
    #[arg(long, value_name = "ID", requires = "external_id")]
    account: Option<AccountId>,
    /// The role or user that the broker's own keys are of.
    #[arg(long, value_name = "role/NAME", default_value = "role/keyblind-broker", conflicts_with = "oidc_issuer")]
    principal: PrincipalName,
    /// What the broker must say to take the roles: a random text of your own, the same in the broker's configuration.
    #[arg(long, value_name = "TEXT", value_parser = external_id, conflicts_with = "oidc_issuer")]
    external_id: Option<ExternalId>,
    /// The identity provider whose tokens take the roles, instead of keys: its address as the tokens name it.
    #[arg(long, value_name = "URL", requires = "audience")]
    oidc_issuer: Option<IssuerAddress>,
    /// For whom the tokens are.
    #[arg(long, value_name = "TEXT", conflicts_with = "account")]
    audience: Option<Claim>,
    /// Who the tokens are about.
    #[arg(long, value_name = "TEXT", default_value = "keyblind-broker", conflicts_with = "account")]
    subject: Claim,
    /// Read only this service (again for more). Without it, all that Keyblind knows.
    #[arg(long = "service", value_name = "NAME", value_parser = service)]
    services: Vec<Service>,
    /// Allow this change (again for more, or `all`). Without it, nothing can be changed. `set-policy-attached` is never meant by `all`:
    /// a role that may attach policies can make itself whatever it likes.
    #[arg(long = "action", value_name = "NAME", value_parser = actions)]
    actions: Vec<Vec<ActionId>>,
    /// Only in this region (again for more). Without it, in all.
    #[arg(long = "region", value_name = "NAME")]
    regions: Vec<Region>,
    /// How to write them.
    #[arg(long, value_enum, default_value_t = Written::Terraform)]
    format: Written,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Written {
    /// Terraform and OpenTofu.
    Terraform,
    /// CloudFormation.
    Cloudformation,
}

fn external_id(text: &str) -> Result<ExternalId, String> {
    ExternalId::new(text).map_err(|error| error.to_string())
}

fn service(name: &str) -> Result<Service, String> {
    named(name).ok_or_else(|| "this is no service that a snapshot reads, like `s3` or `access-analyzer`".to_owned())
}

fn actions(name: &str) -> Result<Vec<ActionId>, String> {
    if name == "all" {
        return Ok(ACTIONS.into_iter().filter(|action| *action != ActionId::SetPolicyAttached).collect());
    }
    named(name).map(|action| vec![action]).ok_or_else(|| "this is no action, like `set-key-rotation`".to_owned())
}

pub(crate) fn run(configuration: &Configuration, arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        AwsCommand::Setup(arguments) => set_up(*arguments),
        AwsCommand::Issuer => issuer(configuration),
    }
}

/// What AWS reads to check the broker's word.
fn issuer(configuration: &Configuration) -> anyhow::Result<ExitCode> {
    let settings = configuration.aws.as_ref().context("there is no [aws] in the configuration")?;
    let (_lock, _hardened) = run::enter(configuration, &[])?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let documents = runtime.block_on(async {
        let store = Store::open(configuration).await?;
        let kept = store.vault.get(&opened::identity_key()?).await;
        let (_, pem) = kept.context("the key that signs isn't kept: `keyblind-broker keep aws-identity-key < KEY.pem`")?;
        let issuer =
            opened::own_issuer(settings, &pem, Arc::clone(&store.clock))?.context("there is no [aws.issuer] in the configuration")?;
        let documents =
            format!("/.well-known/openid-configuration\n{}\n/.well-known/jwks.json\n{}\n", issuer.metadata(), issuer.published_keys()?);
        store.database.close().await;
        anyhow::Ok(documents)
    })?;
    crate::print(&documents)?;
    Ok(ExitCode::SUCCESS)
}

fn set_up(arguments: SetupArguments) -> anyhow::Result<ExitCode> {
    let format = match arguments.format {
        Written::Terraform => Format::Terraform,
        Written::Cloudformation => Format::Cloudformation,
    };
    let setup = Setup {
        trust: match (arguments.account, arguments.external_id, arguments.oidc_issuer, arguments.audience) {
            (Some(account), Some(external_id), None, None) => Trust::Principal { account, principal: arguments.principal, external_id },
            (None, None, Some(issuer), Some(audience)) => Trust::WebIdentity { issuer, audience, subject: arguments.subject },
            _ => anyhow::bail!("name either --account and --external-id, or --oidc-issuer and --audience"),
        },
        services: arguments.services,
        actions: arguments.actions.into_iter().flatten().collect(),
        regions: arguments.regions,
    };
    crate::print(&setup.render(format).context("these roles can't be written")?)?;
    Ok(ExitCode::SUCCESS)
}
