//! True, false, unknown.

use std::ops::Not;

/// A truth value of SQL's logic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Truth {
    False,
    Unknown,
    True,
}

impl Truth {
    /// Both: false wins over unknown.
    pub(crate) fn and(self, other: Self) -> Self {
        self.min(other)
    }

    /// Either: true wins over unknown.
    pub(crate) fn or(self, other: Self) -> Self {
        self.max(other)
    }

    /// What holds whichever of two possible worlds it is.
    pub(crate) fn agree(self, other: Self) -> Self {
        if self == other { self } else { Self::Unknown }
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }
}

impl From<bool> for Truth {
    fn from(value: bool) -> Self {
        if value { Self::True } else { Self::False }
    }
}

/// How the truths of several branches become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Combine {
    /// One suffices.
    Any,
    /// All are needed.
    All,
    /// Only one of them is real, but not which is known.
    Agree,
}

impl Combine {
    /// The truth of no branch at all.
    pub(crate) fn neutral(self) -> Truth {
        if self == Self::All { Truth::True } else { Truth::False }
    }

    pub(crate) fn join(self, a: Truth, b: Truth) -> Truth {
        match self {
            Self::Any => a.or(b),
            Self::All => a.and(b),
            Self::Agree => a.agree(b),
        }
    }

    /// Whether nothing that follows can change it.
    pub(crate) fn is_settled(self, truth: Truth) -> bool {
        match self {
            Self::Any => truth == Truth::True,
            Self::All => truth == Truth::False,
            Self::Agree => truth == Truth::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Truth; 3] = [Truth::False, Truth::Unknown, Truth::True];

    #[test]
    fn the_laws_of_three_valued_logic_hold() {
        for a in ALL {
            assert_eq!(!!a, a);
            assert_eq!(a.and(Truth::True), a);
            assert_eq!(a.or(Truth::False), a);
            assert_eq!(a.and(Truth::False), Truth::False);
            assert_eq!(a.or(Truth::True), Truth::True);
            for b in ALL {
                assert_eq!(!a.and(b), (!a).or(!b), "De Morgan");
                assert_eq!(a.and(b), b.and(a));
                assert_eq!(a.agree(b), b.agree(a));
                for c in ALL {
                    assert_eq!(a.and(b.or(c)), a.and(b).or(a.and(c)), "distribution");
                    assert_eq!(a.and(b).and(c), a.and(b.and(c)));
                    assert_eq!(a.agree(b).agree(c), a.agree(b.agree(c)));
                }
            }
        }
    }

    #[test]
    fn a_settled_truth_stays() {
        for combine in [Combine::Any, Combine::All] {
            for a in ALL {
                assert_eq!(combine.join(combine.neutral(), a), a);
                for b in ALL {
                    if combine.is_settled(a) {
                        assert_eq!(combine.join(a, b), a);
                    }
                }
            }
        }
    }
}
