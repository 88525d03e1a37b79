//! The compact form of many rules.
//!
//! A program that starts reads only the heads: what is needed to find the rules that a resource concerns. Each rule's
//! decisions are decoded when the first resource asks for them, its documentation when somebody wants to read it.
//!
//! Layout: magic, version, length of the heads (u32, little endian), the heads, then all bodies.

use std::borrow::Cow;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::decision::Decision;
use crate::pattern::TypePattern;
use crate::rule::{Confidence, Docs, Language, Persona, Rule, Severity};

const MAGIC: &[u8; 4] = b"KBRT";
/// Raised with every change of the model, so that a stale table is refused instead of misread.
const VERSION: u32 = 3;
const PREAMBLE: usize = 12;

/// What is read of every rule at start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RuleHead {
    /// The id.
    pub id: Box<str>,
    /// The problem in one line.
    pub title: Box<str>,
    /// How bad it is.
    pub severity: Severity,
    /// How sure a fail is.
    pub confidence: Confidence,
    /// Who wants to see it.
    pub persona: Persona,
    /// Ids of other tools with the same meaning.
    pub aliases: Vec<Box<str>>,
    /// Ids of broader or narrower ones.
    pub related: Vec<Box<str>>,
    /// The types that the rule's decisions are about, without repetition.
    pub types: Vec<(Language, Vec<TypePattern>)>,
    decisions: Range<u32>,
    docs: Range<u32>,
}

/// Why a compiled table can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CompiledError {
    /// It isn't one, or it is of another version.
    #[error("not a table of rules of this version")]
    Foreign,
    /// Its bytes are damaged.
    #[error("the table of rules is damaged: {0}")]
    Damaged(String),
}

/// Many rules in their compact form.
#[derive(Debug)]
pub struct CompiledRules {
    heads: Vec<RuleHead>,
    bytes: Cow<'static, [u8]>,
    bodies: usize,
}

/// Turns rules into their compact form.
///
/// # Errors
/// If the table would be larger than 4 GiB.
pub fn compile(rules: &[Rule]) -> Result<Vec<u8>, CompiledError> {
    let damaged = |error: &dyn std::fmt::Display| CompiledError::Damaged(error.to_string());
    let mut bodies = Vec::new();
    let mut append = |bytes: &[u8]| -> Result<Range<u32>, CompiledError> {
        let start = u32::try_from(bodies.len()).map_err(|error| damaged(&error))?;
        bodies.extend_from_slice(bytes);
        Ok(start..u32::try_from(bodies.len()).map_err(|error| damaged(&error))?)
    };
    let mut heads = Vec::new();
    for rule in rules {
        let decisions = append(&postcard::to_stdvec(&rule.decisions).map_err(|error| damaged(&error))?)?;
        let docs = append(&postcard::to_stdvec(&rule.docs).map_err(|error| damaged(&error))?)?;
        heads.push(RuleHead {
            id: rule.id.clone(),
            title: rule.title.clone(),
            severity: rule.severity,
            confidence: rule.confidence,
            persona: rule.persona,
            aliases: rule.aliases.clone(),
            related: rule.related.clone(),
            types: rule.decisions.iter().map(|(language, decisions)| (*language, types_of(decisions))).collect(),
            decisions,
            docs,
        });
    }
    let heads = postcard::to_stdvec(&heads).map_err(|error| damaged(&error))?;
    let mut bytes = Vec::with_capacity(PREAMBLE + heads.len() + bodies.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&u32::try_from(heads.len()).map_err(|error| damaged(&error))?.to_le_bytes());
    bytes.extend_from_slice(&heads);
    bytes.extend_from_slice(&bodies);
    Ok(bytes)
}

fn types_of(decisions: &[Decision]) -> Vec<TypePattern> {
    let mut types: Vec<TypePattern> = Vec::new();
    for pattern in decisions.iter().flat_map(|decision| &decision.resources) {
        if !types.contains(pattern) {
            types.push(pattern.clone());
        }
    }
    types
}

impl CompiledRules {
    /// Reads the heads of a table that [`compile`] made.
    ///
    /// # Errors
    /// If the bytes aren't such a table.
    pub fn read(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, CompiledError> {
        let bytes = bytes.into();
        let number = |at: usize| bytes.get(at..at + 4).and_then(|four| Some(u32::from_le_bytes(four.try_into().ok()?)));
        if bytes.get(..4) != Some(MAGIC) || number(4) != Some(VERSION) {
            return Err(CompiledError::Foreign);
        }
        let bodies = PREAMBLE + number(8).ok_or(CompiledError::Foreign)? as usize;
        let heads = bytes.get(PREAMBLE..bodies).ok_or_else(|| CompiledError::Damaged("it ends too early".to_owned()))?;
        let heads = postcard::from_bytes(heads).map_err(|error| CompiledError::Damaged(error.to_string()))?;
        Ok(Self { heads, bytes, bodies })
    }

    /// The heads, in the order of compiling.
    pub fn heads(&self) -> &[RuleHead] {
        &self.heads
    }

    /// Decodes a rule's decisions.
    ///
    /// # Errors
    /// If the table is damaged or has no such rule.
    pub fn decisions(&self, index: usize) -> Result<Vec<(Language, Vec<Decision>)>, CompiledError> {
        self.decode(self.heads.get(index).map(|head| &head.decisions))
    }

    /// Decodes a rule's documentation.
    ///
    /// # Errors
    /// If the table is damaged or has no such rule.
    pub fn docs(&self, index: usize) -> Result<Docs, CompiledError> {
        self.decode(self.heads.get(index).map(|head| &head.docs))
    }

    fn decode<T: for<'a> Deserialize<'a>>(&self, range: Option<&Range<u32>>) -> Result<T, CompiledError> {
        let bytes = range.and_then(|range| self.bytes.get(self.bodies + range.start as usize..self.bodies + range.end as usize));
        let bytes = bytes.ok_or_else(|| CompiledError::Damaged("a rule's body isn't there".to_owned()))?;
        postcard::from_bytes(bytes).map_err(|error| CompiledError::Damaged(error.to_string()))
    }
}
