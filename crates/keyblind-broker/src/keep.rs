//! `keyblind-broker keep`: puts a secret into the sealed store, while no broker runs.

use std::io::Read as _;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use keyblind_broker::jws::SigningKey;
use keyblind_broker::providers::aws::pasted_keys;
use keyblind_broker::secret::Secret;
use keyblind_broker::vault::LARGEST_SECRET;
use zeroize::Zeroize as _;

use crate::configuration::{Authentication, AwsSettings, Configuration};
use crate::opened::{Store, app_key, aws, client_credential};
use crate::{print, run};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What it is. It is read from standard input.
    what: What,
    /// For which part of the configuration it is, where there can be several: the name of a [[slack]], a [[model]] or a [[registry]].
    name: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The private key of the configured GitHub App, in PEM.
    GithubAppKey,
    /// What proves the configured client to the OpenID provider: its secret, or its private key in PEM.
    ClientCredential,
    /// The address of a channel's incoming webhook, as Slack shows it.
    SlackWebhook,
    /// The key of a model's endpoint.
    ModelKey,
    /// The secret of the administrator's client at the identity provider, which ends what somebody who left still has there.
    AdministratorCredential,
    /// The token of a module registry.
    RegistryToken,
    /// The broker's own keys at AWS: the access key's id and the secret key, each on a line of its own.
    AwsKeys,
    /// The private key (P-256, in PEM) that signs the broker's own word for AWS.
    AwsIdentityKey,
}

pub(crate) fn keep(configuration: &Configuration, arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let (_lock, _hardened) = run::enter(configuration, &[])?;
    let mut secret = read()?;
    if arguments.name.is_some()
        && matches!(arguments.what, What::GithubAppKey | What::ClientCredential | What::AwsKeys | What::AwsIdentityKey)
    {
        anyhow::bail!("there is only one of these: leave the name out");
    }
    let name = match arguments.what {
        What::GithubAppKey => {
            let github = configuration.github.as_ref().context("there is no [github] in the configuration: set `app` and `slug` first")?;
            let app = github.app.as_ref().context("there is no App under [github] in the configuration: set `app` and `slug` first")?;
            SigningKey::from_pem(&secret, None).context("this is no private key in PEM, as GitHub hands it out for an App")?;
            app_key(app.id)?
        }
        What::ClientCredential => {
            let login =
                configuration.login.as_ref().context("there is no [login] in the configuration: set `issuer` and `client` first")?;
            if login.authentication == Authentication::PrivateKey {
                SigningKey::from_pem(&secret, None).context("this is no private key in PEM that can sign")?;
            }
            client_credential(&login.client)?
        }
        What::SlackWebhook => {
            secret = on_one_line(&secret);
            configuration.services.hook(named(arguments)?, &secret)?
        }
        What::ModelKey => {
            secret = on_one_line(&secret);
            configuration.services.model_key(named(arguments)?, &secret)?
        }
        What::AdministratorCredential => {
            let login = configuration.login.as_ref().and_then(|login| login.administrator.as_ref());
            client_credential(login.context("there is no [login.administrator] in the configuration: set its `client` first")?)?
        }
        What::RegistryToken => {
            secret = on_one_line(&secret);
            configuration.services.registry_token(named(arguments)?, &secret)?
        }
        What::AwsKeys => {
            aws_settings(configuration)?;
            secret = pasted_keys(&secret)?;
            aws::kept_keys()?
        }
        What::AwsIdentityKey => {
            let clock = Arc::new(keyblind_broker::clock::SystemClock::new());
            aws::own_issuer(aws_settings(configuration)?, &secret, clock)?
                .context("there is no [aws.issuer] in the configuration: set `address` and `audience` first")?;
            aws::identity_key()?
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::open(configuration).await?;
        store.vault.put(&name, &secret).await?;
        store.database.close().await;
        print("kept in the sealed store: the file that it came from can be deleted\n")
    })?;
    Ok(ExitCode::SUCCESS)
}

/// Without the line feed that a terminal or an editor puts at its end.
fn on_one_line(secret: &Secret) -> Secret {
    secret.expose(|bytes| {
        let bytes = bytes.trim_ascii();
        Secret::filled(bytes.len(), |target| target.copy_from_slice(bytes))
    })
}

fn named(arguments: &Arguments) -> anyhow::Result<&str> {
    arguments.name.as_deref().context("say for which one: its `name` in the configuration")
}

fn aws_settings(configuration: &Configuration) -> anyhow::Result<&AwsSettings> {
    configuration.aws.as_ref().context("there is no [aws] in the configuration: set `region` and the accounts first")
}

/// Reads the secret into a buffer that never grows, and from there into locked memory.
fn read() -> anyhow::Result<Secret> {
    let mut buffer = vec![0; LARGEST_SECRET + 1];
    let mut filled = 0;
    let mut input = std::io::stdin().lock();
    let result = loop {
        match input.read(&mut buffer[filled..]) {
            Ok(0) => break Ok(()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => break Err(error),
        }
        if filled == buffer.len() {
            break Ok(());
        }
    };
    let secret = (1..=LARGEST_SECRET).contains(&filled).then(|| Secret::filled(filled, |bytes| bytes.copy_from_slice(&buffer[..filled])));
    buffer.zeroize();
    result?;
    secret.with_context(|| format!("standard input must hold the secret, of at most {LARGEST_SECRET} bytes"))
}
