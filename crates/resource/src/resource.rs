//! One instance of something that was declared.

use std::fmt;
use std::sync::Arc;

use keyblind_syntax::Site;

use crate::value::Value;

/// A language that infrastructure is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Dialect {
    /// Terraform and OpenTofu configuration.
    Terraform,
    /// A plan, as `terraform show -json` prints it; judged by Terraform's rules.
    TerraformPlan,
    /// A live account, read through its provider's interface; judged by Terraform's rules.
    Live,
    /// AWS CloudFormation templates, those of SAM among them.
    CloudFormation,
    /// Kubernetes manifests, also as Kustomize makes them.
    Kubernetes,
    /// Dockerfiles.
    Dockerfile,
    /// Workflows and actions of GitHub Actions.
    GithubActions,
    /// What a scan itself goes by: its configuration, a team's rules, a baseline.
    Policy,
}

impl Dialect {
    /// The kebab-case name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Terraform => "terraform",
            Self::TerraformPlan => "terraform-plan",
            Self::Live => "live",
            Self::CloudFormation => "cloudformation",
            Self::Kubernetes => "kubernetes",
            Self::Dockerfile => "dockerfile",
            Self::GithubActions => "github-actions",
            Self::Policy => "policy",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What kind of declaration a resource is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BlockKind {
    /// Something that is created.
    Managed,
    /// Something that is read.
    Data,
    /// A provider's configuration.
    Provider,
    /// A call of a module.
    Module,
    /// A call of a module that isn't there: what it declares isn't known, it may hold any companion of what it is given.
    UnreadModule,
}

/// One instance after evaluation.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its full name: `module.net["a"].aws_security_group.web[0]`, `data.aws_ami.x`, `provider.aws.west`, `module.net`.
    pub address: Arc<str>,
    /// What it was written in.
    pub dialect: Dialect,
    /// What kind of declaration it is.
    pub kind: BlockKind,
    /// What rules are looked up by: `aws_s3_bucket`, `data.aws_iam_policy_document`, `provider.aws`, `module`.
    pub type_key: Arc<str>,
    /// The name it was given (`web`), without type and instance key.
    pub name: Arc<str>,
    /// The evaluated body: an object. All blocks of one name are a tuple of objects under that name.
    pub body: Value,
    /// The head of the block: what a finding points at when there is no better place.
    pub header: Site,
    /// The whole block.
    pub block: Site,
    /// The module calls that lead here, outermost first: the whole `module` blocks.
    pub calls: Arc<[Site]>,
    /// What its own data says not to look for.
    pub skips: Vec<Skip>,
}

/// Rules that a resource's own data (an annotation, a `Metadata` entry) asks to be silent about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skip {
    /// The form it has, as users know it: `checkov.io/skip`, `Metadata.checkov.skip`.
    pub form: &'static str,
    /// Ids or aliases of rules, as written.
    pub ids: Vec<Arc<str>>,
    /// Why, in the author's words.
    pub reason: Option<Arc<str>>,
    /// Where it stands.
    pub site: Site,
}

impl Resource {
    /// The name by which users of other scanners know it: the address, in which a data source of configuration doesn't
    /// say `data.`, and a provider's configuration is `aws.default` or `aws.west`; in a template, type and logical id;
    /// in a Dockerfile, the instruction, and nothing for the whole file;
    /// in a workflow, the job and the number and name of the step.
    pub fn label(&self) -> String {
        match (self.kind, self.dialect) {
            (BlockKind::Data, Dialect::Terraform) => self.address.replacen("data.", "", 1),
            (BlockKind::Provider, _) => {
                let name = self.address.replacen("provider.", "", 1);
                if self.name.contains('.') { name } else { format!("{name}.default") }
            }
            (_, Dialect::Dockerfile) if &*self.type_key == "dockerfile" => String::new(),
            (_, Dialect::Dockerfile | Dialect::GithubActions) => self.name.to_string(),
            // The kind of what makes nothing by itself is part of its address.
            (BlockKind::Managed | BlockKind::UnreadModule, Dialect::CloudFormation) => format!("{}.{}", self.type_key, self.address),
            _ => self.address.to_string(),
        }
    }
}
