//! All rules in their compiled form, in the order of the folders that they lie in.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use keyblind_rule_language::{CompiledRules, Docs, Language, RuleHead, compile, read_folder};

/// A rule of the catalogue: its number in the compiled table.
pub(super) type RuleNumber = usize;

/// The rules, and where each belongs.
pub(super) struct Catalogue {
    table: CompiledRules,
    docs: Vec<Docs>,
    rules: Vec<RuleNumber>,
    /// Provider and service of each rule.
    groups: Vec<(String, String)>,
    /// The rules of each id and alias, in lower case.
    by_name: HashMap<String, Vec<RuleNumber>>,
    /// What becomes of the bad examples of each rule: dialect, and the class of the fix or what stands in its way.
    fixes: HashMap<String, Vec<(String, String)>>,
}

/// What tests of fixes found of every rule and dialect.
const FIXES: &str = "crates/fix/tests/rules-and-fixes.txt";

impl Catalogue {
    /// Compiles the rules of the repository as the program's build does, and takes their folders.
    pub(super) fn read(repository: &Path) -> Result<Self> {
        let found = read_folder(&repository.join("rules"));
        ensure!(found.errors.is_empty(), "{} faults in the rules, such as {}", found.errors.len(), found.errors[0]);
        let table = CompiledRules::read(compile(&found.rules)?)?;
        let mut folders: BTreeMap<String, (String, String)> = BTreeMap::new();
        for file in found.files {
            let parts: Vec<String> = file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
            if let [provider, service, id] = parts.as_slice() {
                folders.insert(id.clone(), (provider.clone(), service.clone()));
            }
        }
        let (mut docs, mut groups) = (Vec::new(), Vec::new());
        let mut by_name: HashMap<String, Vec<RuleNumber>> = HashMap::new();
        for (rule, head) in table.heads().iter().enumerate() {
            docs.push(table.docs(rule)?);
            let group = folders.remove(&*head.id).with_context(|| format!("no file rules/PROVIDER/SERVICE/{}.yaml", head.id))?;
            groups.push(group);
            for name in std::iter::once(&head.id).chain(&head.aliases) {
                by_name.entry(name.to_lowercase()).or_default().push(rule);
            }
        }
        let mut fixes: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for line in std::fs::read_to_string(repository.join(FIXES)).with_context(|| format!("{FIXES} can't be read"))?.lines() {
            let mut words = line.split(' ').map(str::to_owned);
            if let (Some(rule), Some(dialect), Some(class)) = (words.next(), words.next(), words.next()) {
                fixes.entry(rule).or_default().push((dialect, class));
            }
        }
        let mut rules: Vec<RuleNumber> = (0..table.heads().len()).collect();
        rules.sort_by_key(|&rule| (&groups[rule], std::cmp::Reverse(table.heads()[rule].severity), rule));
        Ok(Self { rules: rules.clone(), table, docs, groups, by_name, fixes })
    }

    /// All rules by provider and service, the most severe ones of each first.
    pub(super) fn rules(&self) -> &[RuleNumber] {
        &self.rules
    }

    pub(super) fn head(&self, rule: RuleNumber) -> &RuleHead {
        &self.table.heads()[rule]
    }

    /// The dialects of a rule, each with the class of the fix of its bad examples or what stands in its way.
    pub(super) fn fixes(&self, rule: RuleNumber) -> &[(String, String)] {
        self.fixes.get(&*self.head(rule).id).map(Vec::as_slice).unwrap_or_default()
    }

    pub(super) fn docs(&self, rule: RuleNumber) -> &Docs {
        &self.docs[rule]
    }

    /// The rules that have an id or an alias.
    pub(super) fn named(&self, name: &str) -> &[RuleNumber] {
        self.by_name.get(&name.to_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// Provider and service.
    pub(super) fn group(&self, rule: RuleNumber) -> (&str, &str) {
        let (provider, service) = &self.groups[rule];
        (provider, service)
    }

    /// The page of a rule. It doesn't depend on the rule's folder, so that a link to it stays right.
    pub(super) fn page(&self, rule: RuleNumber) -> String {
        format!("rules/{}.md", self.head(rule).id)
    }
}

/// A provider as people write it.
pub(super) fn provider_title(provider: &str) -> &str {
    match provider {
        "alicloud" => "Alibaba Cloud",
        "aws" => "AWS",
        "azure" => "Azure",
        "docker" => "Docker",
        "github-actions" => "GitHub Actions",
        "google" => "Google Cloud",
        "kubernetes" => "Kubernetes",
        "oracle" => "Oracle Cloud",
        "yandex" => "Yandex Cloud",
        other => other,
    }
}

/// A language as people write it.
pub(super) fn language_title(language: Language) -> &'static str {
    match language {
        Language::Terraform => "Terraform",
        Language::CloudFormation => "CloudFormation",
        Language::Kubernetes => "Kubernetes",
        Language::Dockerfile => "Dockerfile",
        Language::GithubActions => "GitHub Actions",
    }
}
