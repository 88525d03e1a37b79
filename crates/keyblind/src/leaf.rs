//! The leaf: one sandboxed process a job. Here is what both sides know; [`mod@inside`] runs in it, [`outside`] starts it.
//!
//! A leaf has an empty environment, a descriptor of one directory, and two pipes: jobs and answers come in by the one, what it finds, says and
//! asks for goes out by the other. What it may no longer do is `keyblind-harden`'s business; docs/sandbox.md tells people about it.

mod archive;
mod inert;
pub(crate) mod inside;
mod messages;
pub(crate) mod outside;

pub(crate) use self::inside::{Inside, inside};

use keyblind_harden::Limits;

/// The descriptors that a leaf begins with. What it may read beside its tree follows.
mod descriptor {
    pub(super) const GIVEN: i32 = 0;
    pub(super) const EVENTS: i32 = 1;
    pub(super) const NOTHING: i32 = 2;
    pub(super) const TREE: i32 = 3;
    pub(super) const FURTHER: i32 = 4;
}

/// What a leaf that reads may use. Address space is not memory: allocators and thread stacks reserve much of it that is never used.
const READING: Limits = Limits { address_space: 16 << 30, processor_seconds: 3_600, file_size: 0, open_files: 1_024, processes: None };

/// What a leaf that unpacks may use: no file is larger than the largest that a scan would read.
const UNPACKING: Limits = Limits {
    address_space: 1 << 30,
    processor_seconds: 600,
    file_size: keyblind_scan::limits::LARGEST_PLAN,
    open_files: 64,
    processes: None,
};

/// Most paths that a leaf may read beside its tree.
const MOST_FURTHER: u32 = 48;

/// Most bytes that are taken from a leaf for reports.
const MOST_REPORTED: u64 = 4 << 30;
