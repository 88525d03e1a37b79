//! HCL as Terraform and OpenTofu write it: native syntax with every node's byte range.
//!
//! The parser keeps going: what it can't read costs that block or attribute and is reported in [`File::errors`].

pub mod ast;

pub use ast::{Comment, File, SyntaxError};
