//! All rules that there are.

use std::collections::HashMap;
use std::sync::OnceLock;

use keyblind_resource::Dialect;
use keyblind_rule_language::{
    CompiledError, CompiledRules, Condition, Decision, Docs, Language, Outcome, Rule, RuleHead, Ruling, TypePattern, compile, nearest,
};

/// The rules of the workspace's `rules` folder, compiled by this crate's build script.
static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/rules.bin"));

/// Names a rule of one [`RuleTable`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(pub u32);

/// What a rule is, without its documentation.
pub type RuleMeta = RuleHead;

/// What a rule says to people.
pub type RuleDocs = Docs;

/// All rules, sorted by id.
#[derive(Debug)]
pub struct RuleTable {
    sources: Vec<CompiledRules>,
    entries: Vec<Entry>,
    /// For each language (by its number): rules by exact type, then those with a wildcard.
    by_type: Vec<HashMap<Box<str>, Vec<RuleId>>>,
    by_pattern: Vec<Vec<(TypePattern, RuleId)>>,
    by_name: OnceLock<HashMap<String, Vec<RuleId>>>,
}

#[derive(Debug)]
struct Entry {
    source: usize,
    index: usize,
    decisions: OnceLock<Vec<(Language, Vec<Decision>)>>,
    docs: OnceLock<Docs>,
}

/// Why a table can't be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TableError {
    /// The compiled form can't be made or read.
    #[error(transparent)]
    Compiled(#[from] CompiledError),
    /// A team's rule has the name of another rule.
    #[error("the rule `{rule}` can't be used: its id or alias `{name}` is taken by `{other}`; choose another")]
    NameTaken {
        /// The team's rule.
        rule: String,
        /// The name.
        name: String,
        /// The rule that has it.
        other: String,
    },
}

impl RuleTable {
    /// The rules that are built in.
    ///
    /// # Errors
    /// Only if the program itself is damaged.
    pub fn embedded() -> Result<Self, TableError> {
        Self::from_sources(vec![CompiledRules::read(EMBEDDED)?])
    }

    /// The rules that are built in, and a team's own.
    ///
    /// # Errors
    /// If one of them has the name of another.
    pub fn with_team_rules(rules: &[Rule]) -> Result<Self, TableError> {
        Self::from_sources(vec![CompiledRules::read(EMBEDDED)?, CompiledRules::read(compile(rules)?)?])
    }

    /// Only the given rules.
    ///
    /// # Errors
    /// If one of them has the name of another.
    pub fn of(rules: &[Rule]) -> Result<Self, TableError> {
        Self::from_sources(vec![CompiledRules::read(compile(rules)?)?])
    }

    fn from_sources(sources: Vec<CompiledRules>) -> Result<Self, TableError> {
        let mut places: Vec<(usize, usize)> =
            sources.iter().enumerate().flat_map(|(source, rules)| (0..rules.heads().len()).map(move |index| (source, index))).collect();
        // What is built in is sorted already.
        places.sort_by(|&a, &b| sources[a.0].heads()[a.1].id.cmp(&sources[b.0].heads()[b.1].id));
        let entries =
            places.into_iter().map(|(source, index)| Entry { source, index, decisions: OnceLock::new(), docs: OnceLock::new() }).collect();
        let languages = Language::ALL.len();
        let mut table = Self {
            sources,
            entries,
            by_type: vec![HashMap::new(); languages],
            by_pattern: vec![Vec::new(); languages],
            by_name: OnceLock::new(),
        };
        table.index_types();
        if table.sources.len() > 1 {
            table.check_names()?;
        }
        Ok(table)
    }

    fn index_types(&mut self) {
        for number in 0..self.entries.len() {
            let id = RuleId(number as u32);
            let head = &self.sources[self.entries[number].source].heads()[self.entries[number].index];
            for (language, patterns) in &head.types {
                for pattern in patterns {
                    match pattern.exact() {
                        Some(exact) => match self.by_type[*language as usize].get_mut(exact) {
                            Some(rules) => rules.push(id),
                            None => drop(self.by_type[*language as usize].insert(exact.into(), vec![id])),
                        },
                        None => self.by_pattern[*language as usize].push((pattern.clone(), id)),
                    }
                }
            }
        }
    }

    /// Ids and aliases within one source were checked when it was read; here they meet those of another. Two rules may have an
    /// alias together if they have no dialect together.
    fn check_names(&self) -> Result<(), TableError> {
        let mut owners: HashMap<String, Vec<RuleId>> = HashMap::new();
        for source in 0..self.sources.len() {
            for (id, meta) in self.iter().filter(|(id, _)| self.entries[id.0 as usize].source == source) {
                for name in std::iter::once(&meta.id).chain(&meta.aliases) {
                    let others = owners.entry(name.to_lowercase()).or_default();
                    let clashes = |other: &RuleMeta| {
                        name.eq_ignore_ascii_case(&other.id) || name.eq_ignore_ascii_case(&meta.id) || shares_dialect(meta, other)
                    };
                    if let Some(other) = others.iter().find(|other| **other != id && clashes(self.meta(**other))) {
                        let other = self.meta(*other).id.to_string();
                        return Err(TableError::NameTaken { rule: meta.id.to_string(), name: name.to_string(), other });
                    }
                    others.push(id);
                }
            }
        }
        Ok(())
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All rules, sorted by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (RuleId, &RuleMeta)> {
        (0..self.entries.len()).map(|number| (RuleId(number as u32), self.meta(RuleId(number as u32))))
    }

    /// What a rule of this table is.
    pub fn meta(&self, id: RuleId) -> &RuleMeta {
        let entry = &self.entries[id.0 as usize];
        &self.sources[entry.source].heads()[entry.index]
    }

    /// What a rule of this table says to people.
    pub fn docs(&self, id: RuleId) -> &RuleDocs {
        let entry = &self.entries[id.0 as usize];
        entry.docs.get_or_init(|| self.sources[entry.source].docs(entry.index).unwrap_or_default())
    }

    /// Whether the rule isn't built in but a team's own.
    pub fn is_team_rule(&self, id: RuleId) -> bool {
        self.entries[id.0 as usize].source > 0
    }

    /// The rule of an id or an alias; case doesn't count. Of an alias with a meaning in each of several dialects it is one of
    /// the rules: who asks for what people wrote asks [`Self::named`].
    pub fn find(&self, name: &str) -> Option<RuleId> {
        self.named(name).first().copied()
    }

    /// All rules of an id or an alias; case doesn't count. They are several if an alias has a meaning in each of several dialects.
    pub fn named(&self, name: &str) -> &[RuleId] {
        let by_name = self.by_name.get_or_init(|| {
            let mut names: HashMap<String, Vec<RuleId>> = HashMap::new();
            for (id, meta) in self.iter() {
                for name in std::iter::once(&meta.id).chain(&meta.aliases) {
                    names.entry(name.to_lowercase()).or_default().push(id);
                }
            }
            names
        });
        by_name.get(&name.to_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// The id or alias that is nearest to a name that isn't one.
    pub fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.iter().flat_map(|(_, meta)| std::iter::once(&*meta.id).chain(meta.aliases.iter().map(|alias| &**alias))))
    }

    /// Whether some resource can pass the rule: one that says "there should be none" has only fails.
    pub fn can_pass(&self, id: RuleId) -> bool {
        let never = |decision: &Decision| match &decision.outcome {
            Outcome::Fail(condition) => *condition == Condition::Always(true),
            Outcome::Pass(condition) => *condition == Condition::Always(false),
            Outcome::Cases(cases, otherwise) => *otherwise != Ruling::Pass && cases.iter().all(|case| case.ruling != Ruling::Pass),
        };
        !self.all_decisions(id).iter().flat_map(|(_, decisions)| decisions).all(never)
    }

    /// The rules with a decision about a type key, sorted.
    pub(crate) fn concerning(&self, language: Language, type_key: &str) -> Vec<RuleId> {
        let mut rules = self.by_type[language as usize].get(type_key).cloned().unwrap_or_default();
        let patterns = &self.by_pattern[language as usize];
        rules.extend(patterns.iter().filter(|(pattern, _)| pattern.matches(type_key)).map(|(_, rule)| *rule));
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    /// A rule's decisions about a type key, in the rule's order.
    pub(crate) fn decisions(&self, id: RuleId, language: Language, type_key: &str) -> Vec<&Decision> {
        let of_language = self.all_decisions(id).iter().filter(|(of, _)| *of == language).flat_map(|(_, decisions)| decisions);
        of_language.filter(|decision| decision.resources.iter().any(|pattern| pattern.matches(type_key))).collect()
    }

    fn all_decisions(&self, id: RuleId) -> &[(Language, Vec<Decision>)] {
        let entry = &self.entries[id.0 as usize];
        entry.decisions.get_or_init(|| {
            // The table was made by this program; should its bytes be damaged, the verdicts are unknown, not gone.
            self.sources[entry.source].decisions(entry.index).unwrap_or_else(|_| undecidable(self.meta(id)))
        })
    }
}

fn shares_dialect(one: &RuleMeta, other: &RuleMeta) -> bool {
    one.types.iter().any(|(language, _)| other.types.iter().any(|(theirs, _)| theirs == language))
}

fn undecidable(meta: &RuleMeta) -> Vec<(Language, Vec<Decision>)> {
    let decision = |types: &[TypePattern]| Decision {
        resources: types.to_vec(),
        when: None,
        outcome: Outcome::Cases(Vec::new(), Ruling::Unknown),
        message: None,
    };
    meta.types.iter().map(|(language, types)| (*language, vec![decision(types)])).collect()
}

/// The language whose decisions judge a dialect's resources.
pub(crate) fn language_of(dialect: Dialect) -> Option<Language> {
    match dialect {
        Dialect::Terraform | Dialect::TerraformPlan | Dialect::Live => Some(Language::Terraform),
        Dialect::CloudFormation => Some(Language::CloudFormation),
        Dialect::Kubernetes => Some(Language::Kubernetes),
        Dialect::Dockerfile => Some(Language::Dockerfile),
        Dialect::GithubActions => Some(Language::GithubActions),
        _ => None,
    }
}

/// The dialect that a language's examples are in.
pub fn dialect_of(language: Language) -> Dialect {
    match language {
        Language::Terraform => Dialect::Terraform,
        Language::CloudFormation => Dialect::CloudFormation,
        Language::Kubernetes => Dialect::Kubernetes,
        Language::Dockerfile => Dialect::Dockerfile,
        Language::GithubActions => Dialect::GithubActions,
    }
}

/// Which rules of a table are to judge.
#[derive(Clone, Debug)]
pub struct Selection {
    chosen: Vec<bool>,
}

impl Selection {
    /// All of them.
    pub fn all(table: &RuleTable) -> Self {
        Self { chosen: vec![true; table.len()] }
    }

    /// Those for which the question is answered with yes.
    pub fn of(table: &RuleTable, mut choose: impl FnMut(RuleId, &RuleMeta) -> bool) -> Self {
        Self { chosen: table.iter().map(|(id, meta)| choose(id, meta)).collect() }
    }

    /// Whether a rule is chosen.
    pub fn contains(&self, id: RuleId) -> bool {
        self.chosen.get(id.0 as usize).copied().unwrap_or(false)
    }

    /// How many are chosen.
    pub fn len(&self) -> usize {
        self.chosen.iter().filter(|&&chosen| chosen).count()
    }

    /// Whether none is chosen.
    pub fn is_empty(&self) -> bool {
        !self.chosen.contains(&true)
    }
}
