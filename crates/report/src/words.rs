//! Words and numbers for people.

use std::fmt::Write;

pub(crate) use keyblind_explain::clean;

/// `1 file`, `2 files`
pub(crate) fn count(number: u64, thing: &str) -> String {
    let ending = match number {
        1 => "",
        _ if thing.ends_with(['s', 'x']) => "es",
        _ => "s",
    };
    if let (Some(stem), true) = (thing.strip_suffix('y'), number != 1) {
        return format!("{number} {stem}ies");
    }
    format!("{number} {thing}{ending}")
}

/// `a, b and c`
pub(crate) fn list(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A reason's code as people say it.
pub(crate) fn reason(code: &str) -> &str {
    match code {
        "no-value" => "on a variable without a value",
        "after-apply" => "on what is known only after apply",
        "data-source" => "on a data source that only the provider can read",
        "module-not-installed" => "on a module that isn't installed",
        "budget" => "on a value that took too long to compute",
        "impure-function" => "on a function without a fixed result",
        "file-not-readable" => "on a file that can't be read",
        "invalid-expression" => "on an expression that is wrong",
        "undeclared" => "on a name that nothing declares",
        "cycle" => "on a value that depends on itself",
        "plan-unknown" => "on what the plan doesn't know",
        "not-in-snapshot" => "on what the snapshot of the account doesn't tell",
        "unsupported" => "on something that isn't evaluated",
        "rule" => "on a rule that can't tell",
        other => other,
    }
}

/// Breaks a text into lines of at most `width` columns, at spaces. Characters that steer terminals are replaced.
pub(crate) fn wrap(text: &str, width: usize) -> String {
    let mut wrapped = String::new();
    let mut column = 0;
    for word in clean(text).split_whitespace() {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > width.max(20) {
            wrapped.push('\n');
            column = 0;
        } else if column > 0 {
            wrapped.push(' ');
            column += 1;
        }
        wrapped.push_str(word);
        column += length;
    }
    wrapped
}

/// A line of source as it stands, tabs and all, without what steers terminals or turns the direction of writing.
pub(crate) fn clean_line(line: &str) -> String {
    keyblind_explain::clean_text(line)
}

/// A text of at most so many characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Numbers by name, the largest first: `12 yaml, 3 dockerfile`.
pub(crate) fn tally<'n>(numbers: impl IntoIterator<Item = (&'n str, u64)>) -> String {
    let mut numbers: Vec<_> = numbers.into_iter().collect();
    numbers.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    let mut text = String::new();
    for (index, (name, number)) in numbers.iter().enumerate() {
        // Writing to a text can't fail.
        let _ = write!(text, "{}{number} {name}", if index == 0 { "" } else { ", " });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_counted_as_people_do() {
        assert_eq!(
            [count(1, "file"), count(2, "file"), count(0, "directory"), count(1, "directory")].join(", "),
            "1 file, 2 files, 0 directories, 1 directory"
        );
        assert_eq!(list(&["a".into(), "b".into(), "c".into()]), "a, b and c");
        assert_eq!(tally([("yaml", 2), ("json", 12)]), "12 json, 2 yaml");
    }

    #[test]
    fn lines_are_broken_at_spaces_and_terminals_are_not_steered() {
        assert_eq!(wrap("one two three four five six", 20), "one two three four\nfive six");
        assert_eq!(wrap("\u{1b}[31mred\u{202e}", 40), "\u{fffd}[31mred\u{fffd}");
        assert_eq!(shortened("abcdef", 4), "abc…");
    }
}
