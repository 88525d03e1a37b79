//! Values that a rule states.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A value written in a rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Literal {
    /// `null`, which is the same as "not set".
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other decimal number, as written.
    Decimal(Box<str>),
    /// A text.
    Text(Box<str>),
    /// A list.
    List(Vec<Literal>),
    /// A mapping.
    Map(Vec<(Box<str>, Literal)>),
}

impl Literal {
    /// What a plain scalar of YAML's core schema stands for. Numbers with leading zeros stay texts: they are file modes or
    /// account ids, and `0644` isn't 644.
    pub fn from_plain(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::Null,
            "true" | "True" | "TRUE" => return Self::Bool(true),
            "false" | "False" | "FALSE" => return Self::Bool(false),
            _ => {}
        }
        if !is_decimal(text) {
            return Self::Text(text.into());
        }
        text.parse().map_or_else(|_| Self::Decimal(text.into()), Self::Int)
    }
}

fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    // The bound keeps a hostile rule from stating a number that takes long to compute with.
    text.len() <= 100 && digits(whole) && digits(fraction) && (whole == "0" || !whole.starts_with('0'))
}

/// As JSON.
impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Decimal(text) => f.write_str(text),
            Self::Text(text) => write!(f, "{text:?}"),
            Self::List(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Map(entries) => {
                f.write_str("{")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    write!(f, "{}{key:?}: {value}", if index > 0 { ", " } else { "" })?;
                }
                f.write_str("}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_scalars_follow_the_core_schema() {
        assert_eq!(Literal::from_plain("true"), Literal::Bool(true));
        assert_eq!(Literal::from_plain("yes"), Literal::Text("yes".into()));
        assert_eq!(Literal::from_plain("-12"), Literal::Int(-12));
        assert_eq!(Literal::from_plain("1.2"), Literal::Decimal("1.2".into()));
        assert_eq!(Literal::from_plain("0644"), Literal::Text("0644".into()));
        assert_eq!(Literal::from_plain("~"), Literal::Null);
    }
}
