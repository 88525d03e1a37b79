//! Who may say yes to what, and which yes has been said to what exactly.

pub mod policy;
