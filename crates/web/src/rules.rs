//! What rules there are, as the scanner tells it: this program holds none of them.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::sync::OnceCell;
use utoipa::ToSchema;

use crate::failure::Failure;

/// How long the scanner may take to tell.
const LONGEST: Duration = Duration::from_secs(30);

/// A rule.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Rule {
    /// Its name.
    pub(crate) id: String,
    /// What other scanners call it.
    #[serde(default)]
    pub(crate) aliases: Vec<String>,
    /// What is wrong where it fails.
    pub(crate) title: String,
    /// How bad that is: critical, high, medium, low or info.
    pub(crate) severity: String,
    /// How sure it is.
    pub(crate) confidence: String,
    /// In which languages it judges.
    pub(crate) dialects: Vec<String>,
    /// Numbers of controls that it belongs to.
    #[serde(default)]
    pub(crate) controls: Vec<String>,
}

/// The rules, asked for once.
#[derive(Debug)]
pub(crate) struct Rules {
    scanner: PathBuf,
    all: OnceCell<Arc<[Rule]>>,
}

impl Rules {
    pub(crate) fn new(scanner: PathBuf) -> Self {
        Self { scanner, all: OnceCell::new() }
    }

    /// All rules, by their names.
    pub(crate) async fn all(&self) -> Result<Arc<[Rule]>, Failure> {
        self.all.get_or_try_init(|| self.ask()).await.cloned()
    }

    /// What the scanner says of one rule, as text for people.
    pub(crate) async fn explain(&self, id: &str) -> Result<String, Failure> {
        // Only a name that is in the list ever becomes an argument.
        let rules = self.all().await?;
        let rule = rules.iter().find(|rule| rule.id == id).ok_or(Failure::Unknown)?;
        let bytes = self.run(&["explain", &rule.id, "--color", "never"]).await?;
        String::from_utf8(bytes).map_err(|_| Failure::Broken("the scanner’s explanation isn’t UTF-8".to_owned()))
    }

    async fn ask(&self) -> Result<Arc<[Rule]>, Failure> {
        let bytes = self.run(&["rules", "list", "--format", "json"]).await?;
        let rules: Vec<Rule> = serde_json::from_slice(&bytes)
            .map_err(|error| Failure::Broken(format!("the scanner’s list of rules can’t be read: {error}")))?;
        Ok(rules.into())
    }

    async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, Failure> {
        let broken = |error: std::io::Error| Failure::Broken(format!("`{}` can’t be asked for its rules: {error}", self.scanner.display()));
        let mut command = Command::new(&self.scanner);
        command.args(arguments).env_clear().current_dir("/").kill_on_drop(true);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let output = tokio::time::timeout(LONGEST, command.output()).await;
        let output = output.map_err(|_| Failure::Broken("the scanner doesn’t tell its rules".to_owned()))?.map_err(broken)?;
        if !output.status.success() {
            return Err(Failure::Broken(format!("the scanner doesn’t tell its rules: {}", output.status)));
        }
        Ok(output.stdout)
    }
}
