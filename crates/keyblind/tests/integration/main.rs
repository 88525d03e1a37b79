//! The real program on real folders: what a user does, and what a user sees.

mod accounts;
mod action;
mod baselines;
mod commands;
mod connecting;
mod diff;
mod endings;
mod fix_runs;
mod fixes;
mod formats;
mod hostile;
mod imports;
mod ledger;
mod own_roles;
mod proposing;
mod referee;
mod relay;
mod reported_fixes;
mod reports;
mod sandbox;
mod secrets;
mod settings;
mod stacks;
mod support;
mod suppressions;
mod targets;
