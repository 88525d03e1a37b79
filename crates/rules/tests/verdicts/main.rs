//! The verdict engine by its public face: rules as texts, resources as values.

mod conditions;
mod evidence;
mod laws;
mod links;
mod matchers;
mod policies;
mod support;
mod tables;
mod unknowns;
