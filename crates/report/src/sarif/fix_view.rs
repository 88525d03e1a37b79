//! Fixes as SARIF has them, and what it has no member for.

use keyblind_scan::RuleCard;
use serde::Serialize;

use super::{ArtifactLocation, ROOT, Region, Text, uri};
use crate::fixes::{FileChange, Proven, Remedy};

/// A fix (SARIF 3.55).
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FixView<'r> {
    description: Text,
    artifact_changes: Vec<ArtifactChange<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactChange<'r> {
    artifact_location: ArtifactLocation,
    replacements: Vec<Replacement<'r>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Replacement<'r> {
    deleted_region: Region,
    #[serde(skip_serializing_if = "Option::is_none")]
    inserted_content: Option<Content<'r>>,
}

#[derive(Serialize)]
struct Content<'r> {
    text: &'r str,
}

/// What the standard has no member for: what a fix asks, or why there is none.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FixProperties {
    #[serde(skip_serializing_if = "Option::is_none")]
    fix_class: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    fix_effects: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix_hindrance: Option<&'static str>,
}

impl FixProperties {
    pub(super) fn of(remedy: &Remedy) -> Self {
        match remedy {
            Remedy::Proven(proven) => Self {
                fix_class: Some(proven.class.name()),
                fix_effects: proven.effects.iter().map(|effect| effect.name()).collect(),
                fix_hindrance: None,
            },
            Remedy::Hindered(hindrance) => Self { fix_class: None, fix_effects: Vec::new(), fix_hindrance: Some(hindrance.name()) },
        }
    }
}

impl<'r> FixView<'r> {
    pub(super) fn of(rule: &RuleCard, proven: &'r Proven) -> Self {
        let conditions: String = proven.conditions().iter().map(|condition| format!(" {condition}")).collect();
        Self {
            description: Text::of(format!("{} ({}, proven){conditions}", rule.fix, proven.class.name())),
            artifact_changes: proven.files.iter().map(ArtifactChange::of).collect(),
        }
    }
}

impl<'r> ArtifactChange<'r> {
    fn of(file: &'r FileChange) -> Self {
        let replacements = file.edits.iter().map(|edit| Replacement {
            deleted_region: Region {
                start_line: edit.from.line,
                start_column: edit.from.column,
                end_line: edit.to.line,
                end_column: edit.to.column,
            },
            inserted_content: (!edit.replacement.is_empty()).then_some(Content { text: &edit.replacement }),
        });
        Self { artifact_location: ArtifactLocation { uri: uri(&file.path), uri_base_id: ROOT }, replacements: replacements.collect() }
    }
}
