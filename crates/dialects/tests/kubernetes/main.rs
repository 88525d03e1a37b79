//! Manifests and kustomizations, evaluated.

mod manifests;
mod support;
