//! Spanned JSON.
