//! Chats, models and registries in the configuration.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use keyblind_broker::egress::{AllowedHost, Origin, Target};
use keyblind_broker::providers::models::{Model, Style};
use keyblind_broker::providers::modules::Registry;
use keyblind_broker::providers::slack::is_hook;
use keyblind_broker::secret::Secret;
use keyblind_broker::vault::RecordName;
use keyblind_broker::work::{OfferedModel, OfferedRegistry, SlackChannel, hook_name, model_key_name, registry_token_name};
use keyblind_intent::{ChannelName, ConnectionName, ModelRole, TenantId, limits};
use serde::Deserialize;

use super::ConfigurationError;

/// Where Slack's hooks lie.
const SLACK: &str = "https://hooks.slack.com";
/// What a model may cost unless the configuration says otherwise.
const REQUEST_BYTES: u64 = 256 * 1024;
const REQUEST_TOKENS: u64 = 8_000;
const DAILY_TOKENS: u64 = 2_000_000;
const SECONDS: u64 = 120;
/// The longest that a socket's client may be told to wait for.
const MOST_SECONDS: u64 = 600;

/// Chats, models and registries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Services {
    /// The channels, and whether their hosts have private addresses.
    pub(crate) channels: Vec<(SlackChannel, bool)>,
    /// The models.
    pub(crate) models: Vec<OfferedModel>,
    /// Origins of models that have private addresses.
    private: BTreeSet<Origin>,
    /// The registries.
    pub(crate) registries: Vec<OfferedRegistry>,
    /// Where archives of everybody's repositories lie.
    pub(crate) public_archives: Option<Origin>,
    /// Every host of registries and archives.
    module_hosts: Vec<AllowedHost>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct RegistryFile {
    name: ConnectionName,
    host: String,
    tenants: BTreeSet<TenantId>,
    #[serde(default)]
    archives: Vec<String>,
    #[serde(default)]
    token: bool,
    #[serde(default)]
    private: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ModulesFile {
    public_archives: Option<String>,
    #[serde(default)]
    private: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct SlackFile {
    name: ChannelName,
    tenant: TenantId,
    host: Option<String>,
    #[serde(default)]
    private: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ModelFile {
    name: ConnectionName,
    role: ModelRole,
    tenants: BTreeSet<TenantId>,
    endpoint: String,
    style: Style,
    model: String,
    #[serde(default = "yes")]
    key: bool,
    #[serde(default = "yes")]
    schema: bool,
    request_bytes: Option<u64>,
    request_tokens: Option<u64>,
    daily_tokens: Option<u64>,
    seconds: Option<u64>,
    #[serde(default)]
    private: bool,
}

fn yes() -> bool {
    true
}

impl Services {
    pub(super) fn complete(
        slack: Vec<SlackFile>,
        models: Vec<ModelFile>,
        registries: Vec<RegistryFile>,
        modules: ModulesFile,
    ) -> Result<Self, ConfigurationError> {
        let mut services = Self::default();
        let mut names = BTreeSet::new();
        for SlackFile { name, tenant, host, private } in slack {
            let host = host.unwrap_or_else(|| SLACK.to_owned());
            let origin =
                Origin::parse(&host).map_err(|error| ConfigurationError::Unfit(format!("`host` of the channel {name}: {error}")))?;
            if !names.insert(name.clone()) {
                return Err(ConfigurationError::Unfit(format!("two channels are called {name}: give each a name of its own")));
            }
            services.channels.push((SlackChannel { name, tenant, origin }, private));
        }
        let mut names = BTreeSet::new();
        let mut roles = BTreeMap::new();
        for file in models {
            let model = services.model(file)?;
            if !names.insert(model.name.clone()) {
                return Err(ConfigurationError::Unfit(format!("two models are called {}: give each a name of its own", model.name)));
            }
            for tenant in &model.tenants {
                // An enum without data: its place in the source tells them apart.
                if let Some(other) = roles.insert((tenant.clone(), model.role == ModelRole::Analyst), model.name.clone()) {
                    let message = format!("the models {other} and {} have the same role for {tenant}: one of them is enough", model.name);
                    return Err(ConfigurationError::Unfit(message));
                }
            }
            services.models.push(model);
        }
        services.modules(registries, modules)?;
        Ok(services)
    }

    fn modules(&mut self, registries: Vec<RegistryFile>, modules: ModulesFile) -> Result<(), ConfigurationError> {
        let allowed = |origin: &Origin, is_private| match is_private {
            true => AllowedHost::private(origin.clone()),
            false => AllowedHost::public(origin.clone()),
        };
        let mut names = BTreeSet::new();
        for RegistryFile { name, host, tenants, archives, token, private } in registries {
            let unfit = |what: String| ConfigurationError::Unfit(format!("the registry {name}: {what}"));
            let origin = |key: &str, text: &str| Origin::parse(text).map_err(|error| unfit(format!("`{key}`: {error}")));
            let host = origin("host", &host)?;
            if tenants.is_empty() {
                return Err(unfit("`tenants` says who may ask it: name at least one".to_owned()));
            }
            if !names.insert(name.clone()) {
                return Err(unfit("another one has the same name: give each a name of its own".to_owned()));
            }
            self.module_hosts.push(allowed(&host, private));
            for text in &archives {
                self.module_hosts.push(allowed(&origin("archives", text)?, private));
            }
            self.registries.push(OfferedRegistry { name, registry: Registry { origin: host }, tenants, needs_token: token });
        }
        if let Some(text) = modules.public_archives {
            let wrong = |error| ConfigurationError::Unfit(format!("`public-archives` under [modules]: {error}"));
            let origin = Origin::parse(&text).map_err(wrong)?;
            self.module_hosts.push(allowed(&origin, modules.private));
            self.public_archives = Some(origin);
        }
        Ok(())
    }

    /// Every host of registries and archives: modules come from no other.
    pub(crate) fn module_hosts(&self) -> Vec<AllowedHost> {
        self.module_hosts.clone()
    }

    /// Under which name a registry's token is kept, if that can be one.
    pub(crate) fn registry_token(&self, name: &str, token: &Secret) -> anyhow::Result<RecordName> {
        let offered = self.registries.iter().find(|offered| offered.name.as_str() == name);
        let offered = offered.with_context(|| format!("there is no [[registry]] with the name `{name}` in the configuration"))?;
        anyhow::ensure!(offered.needs_token, "the registry `{name}` is asked without a token: set `token = true` first");
        let is_token = token.expose(|bytes| bytes.len() >= 8 && bytes.iter().all(u8::is_ascii_graphic));
        anyhow::ensure!(is_token, "this is no token: it must stand alone, on one line, without anything around it");
        Ok(registry_token_name(&offered.name)?)
    }

    fn model(&mut self, file: ModelFile) -> Result<OfferedModel, ConfigurationError> {
        let name = file.name;
        let unfit = |what: &str| ConfigurationError::Unfit(format!("the model {name}: {what}"));
        let endpoint = Target::parse(file.endpoint.trim_end_matches('/'));
        let endpoint = endpoint.ok().filter(|_| !file.endpoint.contains(['?', '#', '@']));
        let endpoint = endpoint.ok_or_else(|| unfit("`endpoint` is an address like `https://api.example.com/v1`"))?;
        let is_id = (1..=200).contains(&file.model.len()) && file.model.bytes().all(|byte| byte.is_ascii_graphic());
        if !is_id {
            return Err(unfit("`model` is what the endpoint calls it: 1 to 200 printable characters"));
        }
        if file.tenants.is_empty() {
            return Err(unfit("`tenants` says for whom it is switched on: name at least one"));
        }
        let within = |value: Option<u64>, usual: u64, most: u64, key: &str| {
            let value = value.unwrap_or(usual.min(most));
            let wrong = || unfit(&format!("`{key}` is 1 to {most}"));
            (1..=most).contains(&value).then_some(value).ok_or_else(wrong)
        };
        let most_bytes = within(file.request_bytes, REQUEST_BYTES, 4 << 20, "request-bytes")?;
        let most_tokens = within(file.request_tokens, REQUEST_TOKENS, limits::ANSWER_TOKENS, "request-tokens")?;
        let daily_tokens = within(file.daily_tokens, DAILY_TOKENS, limits::LARGEST_INTEGER, "daily-tokens")?;
        let seconds = within(file.seconds, SECONDS, MOST_SECONDS, "seconds")?;
        if file.private {
            self.private.insert(endpoint.origin().clone());
        }
        let model =
            Model { endpoint, style: file.style, id: file.model, takes_schema: file.schema, deadline: Duration::from_secs(seconds) };
        Ok(OfferedModel { name, role: file.role, tenants: file.tenants, model, needs_key: file.key, most_bytes, most_tokens, daily_tokens })
    }

    /// The channels alone.
    pub(crate) fn channels(&self) -> Vec<SlackChannel> {
        self.channels.iter().map(|(channel, _)| channel.clone()).collect()
    }

    /// The hosts that are talked to for them.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = AllowedHost> {
        let host = |origin: &Origin, is_private| match is_private {
            true => AllowedHost::private(origin.clone()),
            false => AllowedHost::public(origin.clone()),
        };
        let channels = self.channels.iter().map(move |(channel, is_private)| host(&channel.origin, *is_private));
        let models = self.models.iter().map(move |model| host(model.model.origin(), self.private.contains(model.model.origin())));
        channels.chain(models).chain(self.module_hosts.iter().cloned())
    }

    /// Under which name a channel's hook is kept, if that is one.
    pub(crate) fn hook(&self, name: &str, hook: &Secret) -> anyhow::Result<RecordName> {
        let channel = self.channels.iter().map(|(channel, _)| channel).find(|channel| channel.name.as_str() == name);
        let channel = channel.with_context(|| format!("there is no [[slack]] with the name `{name}` in the configuration"))?;
        anyhow::ensure!(
            is_hook(&channel.origin, hook),
            "this is no hook's address at {}: copy it whole, as Slack shows it beneath \"Incoming Webhooks\"",
            channel.origin
        );
        Ok(hook_name(&channel.tenant, &channel.name)?)
    }

    /// Under which name a model's key is kept, if that can be one.
    pub(crate) fn model_key(&self, name: &str, key: &Secret) -> anyhow::Result<RecordName> {
        let model = self.models.iter().find(|model| model.name.as_str() == name);
        let model = model.with_context(|| format!("there is no [[model]] with the name `{name}` in the configuration"))?;
        anyhow::ensure!(model.needs_key, "the model `{name}` has `key = false` in the configuration: it is asked without one");
        let is_key = key.expose(|bytes| bytes.len() >= 8 && bytes.iter().all(u8::is_ascii_graphic));
        anyhow::ensure!(is_key, "this is no key: it must stand alone, on one line, without anything around it");
        Ok(model_key_name(&model.name)?)
    }
}

impl fmt::Display for Services {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (SlackChannel { name, tenant, origin }, _) in &self.channels {
            writeln!(formatter, "slack    {name} of {tenant} at {origin}")?;
        }
        for offered in &self.models {
            let OfferedModel { name, role, model, needs_key, most_bytes, most_tokens, daily_tokens, tenants } = offered;
            let tenants: Vec<&str> = tenants.iter().map(TenantId::as_str).collect();
            let key = if *needs_key { "" } else { ", without a key" };
            let role = if *role == ModelRole::Analyst { "analyst" } else { "coordinator" };
            writeln!(formatter, "model    {name}: {} at {}, as {role} for {}{key}", model.id, model.endpoint.url(), tenants.join(", "))?;
            writeln!(formatter, "         {most_bytes} bytes and {most_tokens} tokens a request, {daily_tokens} tokens a day")?;
        }
        for OfferedRegistry { name, registry, tenants, needs_token } in &self.registries {
            let tenants: Vec<&str> = tenants.iter().map(TenantId::as_str).collect();
            let token = if *needs_token { ", with a token" } else { "" };
            writeln!(formatter, "registry {name} at {} for {}{token}", registry.origin, tenants.join(", "))?;
        }
        if let Some(origin) = &self.public_archives {
            writeln!(formatter, "modules  of public repositories from {origin}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize)]
    struct File {
        #[serde(default)]
        slack: Vec<SlackFile>,
        #[serde(default)]
        model: Vec<ModelFile>,
        #[serde(default)]
        registry: Vec<RegistryFile>,
        #[serde(default)]
        modules: ModulesFile,
    }

    fn read(text: &str) -> Result<Services, String> {
        let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        Services::complete(file.slack, file.model, file.registry, file.modules).map_err(|error| error.to_string())
    }

    const WHOLE: &str = r#"
[[slack]]
name = "security"
tenant = "octo"

[[model]]
name = "deep"
role = "analyst"
tenants = ["octo"]
endpoint = "https://api.anthropic.com/v1/"
style = "anthropic"
model = "claude-sonnet-4-5"
request-tokens = 4000

[[model]]
name = "own"
role = "coordinator"
tenants = ["octo", "labs"]
endpoint = "http://127.0.0.1:11434/v1"
style = "openai-compatible"
model = "llama3.3:70b"
key = false
private = true

[[registry]]
name = "terraform"
host = "https://registry.terraform.io"
tenants = ["octo"]

[[registry]]
name = "own"
host = "https://modules.example.com"
tenants = ["octo"]
archives = ["https://archives.example.com"]
token = true
private = true

[modules]
public-archives = "https://codeload.github.com"
"#;

    #[test]
    fn they_are_what_the_configuration_says() {
        let services = read(WHOLE).unwrap();
        assert_eq!(
            services.to_string(),
            "slack    security of octo at https://hooks.slack.com\n\
             model    deep: claude-sonnet-4-5 at https://api.anthropic.com/v1, as analyst for octo\n\
             \x20        262144 bytes and 4000 tokens a request, 2000000 tokens a day\n\
             model    own: llama3.3:70b at http://127.0.0.1:11434/v1, as coordinator for labs, octo, without a key\n\
             \x20        262144 bytes and 8000 tokens a request, 2000000 tokens a day\n\
             registry terraform at https://registry.terraform.io for octo\n\
             registry own at https://modules.example.com for octo, with a token\n\
             modules  of public repositories from https://codeload.github.com\n"
        );
        let hosts: Vec<String> = services.hosts().map(|host| host.to_string()).collect();
        let of_modules = [
            "https://registry.terraform.io",
            "https://modules.example.com (private)",
            "https://archives.example.com (private)",
            "https://codeload.github.com",
        ];
        assert_eq!(hosts[..3], ["https://hooks.slack.com", "https://api.anthropic.com", "http://127.0.0.1:11434 (private)"]);
        assert_eq!(hosts[3..], of_modules);
        assert_eq!(services.module_hosts().iter().map(ToString::to_string).collect::<Vec<_>>(), of_modules);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (from, to, expected) in [
            ("name = \"own\"", "name = \"deep\"", "two models are called deep"),
            ("role = \"coordinator\"", "role = \"analyst\"", "the models deep and own have the same role for octo"),
            ("tenants = [\"octo\"]", "tenants = []", "the model deep: `tenants` says for whom it is switched on"),
            ("tenants = [\"octo\"]\n", "", "missing field `tenants`"),
            ("https://api.anthropic.com/v1/", "https://key@api.anthropic.com/v1", "the model deep: `endpoint` is an address like"),
            ("\"llama3.3:70b\"", "\"llama\\n\"", "the model own: `model` is what the endpoint calls it"),
            ("request-tokens = 4000", "request-tokens = 0", "the model deep: `request-tokens` is 1 to 64000"),
            ("tenant = \"octo\"", "tenant = \"octo\"\nhost = \"hooks.slack.com\"", "`host` of the channel security: this names no host"),
            ("[[slack]]", "[[slack]]\nname = \"security\"\ntenant = \"labs\"\n[[slack]]", "two channels are called security"),
            ("name = \"terraform\"", "name = \"own\"", "the registry own: another one has the same name"),
            ("host = \"https://modules", "host = \"modules", "the registry own: `host`: this names no host"),
            ("https://codeload", "codeload", "`public-archives` under [modules]: this names no host"),
            ("style = \"anthropic\"", "style = \"other\"", "unknown variant `other`"),
        ] {
            let error = read(&WHOLE.replacen(from, to, 1)).unwrap_err();
            assert!(error.contains(expected), "{to}: {error}");
        }
    }

    #[test]
    fn a_secret_is_kept_for_what_is_configured_only() {
        let services = read(WHOLE).unwrap();
        let secret = |text: &str| Secret::from_string(text.to_owned());
        let hook = secret("https://hooks.slack.com/services/T000/B000/XXXX");
        assert_eq!(services.hook("security", &hook).unwrap().label(), "security");
        assert!(services.hook("other", &hook).unwrap_err().to_string().contains("no [[slack]]"));
        let elsewhere = services.hook("security", &secret("https://hooks.example.com/services/T000/B000/XXXX"));
        assert!(elsewhere.unwrap_err().to_string().contains("no hook's address at https://hooks.slack.com"));
        assert!(services.model_key("deep", &secret("a-key-of-a-model")).is_ok());
        assert!(services.model_key("deep", &secret("two lines\nof it")).is_err());
        assert!(services.model_key("own", &secret("a-key-of-a-model")).unwrap_err().to_string().contains("key = false"));
    }
}
