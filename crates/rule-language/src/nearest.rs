//! "Did you mean": the nearest of some names.

/// The name that is nearest to `word`, if one is near enough to be a slip of the pen.
pub fn nearest<'a>(word: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Names are short; a long word is no slip, and would only cost time.
    if word.len() > 128 {
        return None;
    }
    let allowed = (word.chars().count() / 3).clamp(1, 4);
    names
        .into_iter()
        .map(|name| (distance(&word.to_lowercase(), &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// How many characters must be put in, taken out, replaced or swapped with their neighbour (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before = vec![0; to.len() + 1];
    let mut previous: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut current = vec![i + 1; to.len() + 1];
        for (j, b) in to.iter().enumerate() {
            current[j + 1] = (previous[j] + usize::from(a != b)).min(previous[j + 1] + 1).min(current[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                current[j + 1] = current[j + 1].min(before[j - 1] + 1);
            }
        }
        before = std::mem::replace(&mut previous, current);
    }
    previous[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        assert_eq!(nearest("equal", ["equals", "exists", "empty"]), Some("equals"));
        assert_eq!(nearest("strats-with", ["starts-with", "ends-with"]), Some("starts-with"));
        assert_eq!(nearest("Severity", ["severity", "title"]), Some("severity"));
        assert_eq!(nearest("banana", ["equals", "exists"]), None);
        assert_eq!(distance("ab", "ba"), 1);
    }
}
