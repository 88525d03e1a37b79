//! What Terraform configuration evaluates to, as a reader of the files would expect.

mod modules;
mod origins;
mod resources;
mod support;
mod unknowns;
