//! Versions and what is said about them (<https://developer.hashicorp.com/terraform/language/expressions/version-constraints>).

use std::cmp::Ordering;

use keyblind_intent::{ModuleVersion, ModuleVersions};

/// The newest that fits. Unfinished versions (`1.2.3-beta`) are meant only where one is named exactly.
pub(super) fn newest(all: impl Iterator<Item = ModuleVersion>, constraint: &ModuleVersions) -> Option<ModuleVersion> {
    let conditions: Vec<Condition<'_>> = constraint.as_str().split(',').map(Condition::parse).collect::<Option<_>>()?;
    let named = conditions.iter().find(|condition| condition.operator == "=").map(|condition| condition.version.rest);
    let fits = |version: &ModuleVersion| {
        let Some(parsed) = Parsed::of(version.as_str()) else { return false };
        let is_meant = !parsed.is_unfinished() || named.is_some_and(|named| named == parsed.rest);
        is_meant && conditions.iter().all(|condition| condition.holds(&parsed))
    };
    all.filter(fits).max_by(|a, b| match (Parsed::of(a.as_str()), Parsed::of(b.as_str())) {
        (Some(a), Some(b)) => a.compare(&b),
        _ => Ordering::Equal,
    })
}

struct Condition<'c> {
    operator: &'static str,
    version: Parsed<'c>,
}

struct Parsed<'v> {
    numbers: [u64; 3],
    /// How many of these were written.
    written: usize,
    /// From the first `-` or `+` on.
    rest: &'v str,
}

impl<'v> Parsed<'v> {
    fn of(text: &'v str) -> Option<Self> {
        let (core, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
        let mut numbers = [0; 3];
        let mut written = 0;
        for part in core.split('.') {
            *numbers.get_mut(written)? = part.parse().ok()?;
            written += 1;
        }
        Some(Self { numbers, written, rest })
    }

    fn is_unfinished(&self) -> bool {
        self.rest.starts_with('-')
    }

    /// Semantic versioning, 11: an unfinished version is older than its finished one, and what is built (`+…`) doesn't count.
    fn compare(&self, other: &Self) -> Ordering {
        let unfinished = |version: &Self| version.rest.split('+').next().unwrap_or_default().strip_prefix('-').map(str::to_owned);
        self.numbers.cmp(&other.numbers).then_with(|| match (unfinished(self), unfinished(other)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(ours), Some(theirs)) => compare_parts(&ours, &theirs),
        })
    }
}

fn compare_parts(ours: &str, theirs: &str) -> Ordering {
    let (mut ours, mut theirs) = (ours.split('.'), theirs.split('.'));
    loop {
        let order = match (ours.next(), theirs.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(a), Some(b)) => match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                // Numbers come before words.
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                (Err(_), Err(_)) => a.cmp(b),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

impl<'c> Condition<'c> {
    fn parse(text: &'c str) -> Option<Self> {
        let text = text.trim();
        let operator = ["!=", ">=", "<=", "~>", "=", ">", "<"].into_iter().find(|operator| text.starts_with(operator));
        let version = Parsed::of(operator.map_or(text, |operator| &text[operator.len()..]).trim())?;
        Some(Self { operator: operator.unwrap_or("="), version })
    }

    fn holds(&self, version: &Parsed<'_>) -> bool {
        let order = version.compare(&self.version);
        match self.operator {
            "=" => order == Ordering::Equal,
            "!=" => order != Ordering::Equal,
            ">" => order == Ordering::Greater,
            ">=" => order != Ordering::Less,
            "<" => order == Ordering::Less,
            "<=" => order != Ordering::Greater,
            // Only the last number that was written may rise.
            _ => {
                let fixed = self.version.written.saturating_sub(1);
                order != Ordering::Less && version.numbers[..fixed] == self.version.numbers[..fixed]
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_fits_is_meant() {
        let all = ["0.9.0", "1.0.0", "1.2.0", "1.2.9", "1.10.0", "2.0.0-beta.2", "2.0.0-beta.11", "1.9.0+build"];
        for (constraint, expected) in [
            ("1.2.0", Some("1.2.0")),
            ("= 1.0", Some("1.0.0")),
            (">= 1.0", Some("1.10.0")),
            ("~> 1.2", Some("1.10.0")),
            ("~> 1.2.0", Some("1.2.9")),
            ("~> 1", Some("1.10.0")),
            (">= 1.0, < 1.10", Some("1.9.0+build")),
            (">1.0,!=1.10.0,<=1.2.9", Some("1.2.9")),
            ("2.0.0-beta.11", Some("2.0.0-beta.11")),
            (">= 2.0", None),
            ("3.0.0", None),
        ] {
            let versions = all.iter().map(|version| ModuleVersion::new(*version).unwrap());
            let constraint = ModuleVersions::new(constraint).unwrap();
            assert_eq!(newest(versions, &constraint).as_ref().map(ModuleVersion::as_str), expected, "{constraint}");
        }
        let unfinished = ["2.0.0-beta.2", "2.0.0-beta.11", "2.0.0-alpha"].map(|version| Parsed::of(version).unwrap());
        assert_eq!(unfinished[0].compare(&unfinished[1]), Ordering::Less);
        assert_eq!(unfinished[2].compare(&unfinished[0]), Ordering::Less);
        for wrong in ["", "latest", "1.2.3.4", ">= ", "1.x", "1.0,", "~ 1", "1.0-"] {
            assert!(ModuleVersions::new(wrong).is_err(), "{wrong}");
        }
    }
}
