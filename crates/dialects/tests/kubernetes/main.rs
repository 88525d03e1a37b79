//! Manifests and kustomizations, evaluated.

mod hostile;
mod kustomizations;
mod manifests;
mod support;
