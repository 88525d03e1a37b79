//! Finds cloud misconfigurations in infrastructure code, explains them and proves fixes. Never opens a socket.
//!
//! Arguments and wiring only: what is found is `keyblind-scan`'s business, how it looks `keyblind-report`'s.

mod arguments;
#[cfg(target_os = "linux")]
mod beside;
#[cfg_attr(not(target_os = "linux"), path = "broker/elsewhere.rs")]
mod broker;
mod commands;
mod exit;
mod interrupt;
#[cfg_attr(not(target_os = "linux"), path = "leaf/elsewhere.rs")]
mod leaf;
mod models;
mod output;
mod progress;
mod settings;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Cli;
use crate::exit::Exit;

/// The system's allocator is slow where it is musl's, and evaluation allocates a lot. Huge pages are off: a scan is over
/// before they pay, and with them every thread's few small objects take megabytes.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Clean };
            // Should not even this be writable, the code says it all.
            let _ = error.print();
            return exit.into();
        }
    };
    match commands::run(cli) {
        Ok(exit) => exit.into(),
        Err(error) => terminal::report_error(&error).into(),
    }
}
