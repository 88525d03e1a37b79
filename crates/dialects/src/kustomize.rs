//! Kustomizations: what `kustomize build` makes of manifests, with every value's way.
//!
//! A kustomization that no other one uses is a root. Its objects are those of its resources and bases, changed by its
//! patches and fields in Kustomize's own order. A base that is used is judged through its users only; what a patch or a
//! field set says so in its origin. What would have to be fetched or run is said and left out.

mod build;
mod fields;
mod generators;
mod json_patch;
mod merge;
mod read;
mod replacements;
mod select;

use std::sync::Arc;

use keyblind_resource::Value;
use keyblind_syntax::{FileId, Site};

use crate::kubernetes::object::Object;

pub(crate) use build::{Library, build};
pub(crate) use read::{Files, file_in, has_name, kustomization};

/// A kustomization as it was read, with everything that it names beside other kustomizations.
#[derive(Debug)]
pub(crate) struct Kustomization {
    pub(crate) id: FileId,
    pub(crate) path: Arc<str>,
    pub(crate) directory: Arc<str>,
    pub(crate) is_component: bool,
    /// Whether something that it names couldn't be read, so that objects are missing.
    pub(crate) is_partial: bool,
    pub(crate) resources: Vec<Named>,
    pub(crate) components: Vec<Named>,
    pub(crate) patches: Vec<Patch>,
    pub(crate) generated: Vec<Generated>,
    pub(crate) replacements: Vec<Value>,
    /// Files that say how something is done: no objects.
    pub(crate) read_elsewhere: Vec<String>,
    pub(crate) body: Value,
}

/// What an entry of `resources` or `components` names.
#[derive(Debug)]
pub(crate) enum Named {
    File { path: Arc<str>, id: FileId },
    Directory { path: Arc<str>, site: Site },
}

/// A patch, or several in one file.
#[derive(Debug)]
pub(crate) struct Patch {
    /// The entry of the kustomization.
    pub(crate) site: Site,
    /// The file that it stands in, unless it stands in the kustomization.
    pub(crate) file: Option<Arc<str>>,
    pub(crate) documents: Vec<Value>,
    pub(crate) form: PatchForm,
    /// Whether it comes behind names and labels: what stands under `patchesJson6902` does.
    pub(crate) is_late: bool,
    pub(crate) target: Option<Value>,
    pub(crate) may_change_name: bool,
    pub(crate) may_change_kind: bool,
}

/// The forms of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchForm {
    /// It looks like a part of the object.
    StrategicMerge,
    /// It is a list of operations.
    Operations,
    /// Its content tells.
    Either,
}

/// What a generator made.
#[derive(Debug)]
pub(crate) struct Generated {
    pub(crate) object: Object,
    pub(crate) behavior: Behavior,
}

/// What a generator does if there is an object of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behavior {
    Create,
    Merge,
    Replace,
}

impl Kustomization {
    /// All files beside resources that it reads, so that they are no objects by themselves.
    pub(crate) fn consumed(&self) -> impl Iterator<Item = &str> {
        let patches = self.patches.iter().filter_map(|patch| patch.file.as_deref());
        patches.chain(self.read_elsewhere.iter().map(String::as_str)).chain([&*self.path])
    }

    /// The directories of other kustomizations that it uses.
    pub(crate) fn used(&self) -> impl Iterator<Item = &Arc<str>> {
        self.resources.iter().chain(&self.components).filter_map(|named| match named {
            Named::Directory { path, .. } => Some(path),
            Named::File { .. } => None,
        })
    }
}
