//! Manifests and kustomizations, evaluated.

mod kustomizations;
mod manifests;
mod support;
