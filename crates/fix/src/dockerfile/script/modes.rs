//! File modes as `chmod` takes them.

/// A mode in which others may not write, and nothing runs with its owner's rights: `Some(None)` if nothing is left of it,
/// `None` if it is none, or has neither fault.
pub(super) fn without_fault(mode: &str) -> Option<Option<String>> {
    let is_octal = matches!(mode.len(), 3 | 4) && mode.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let better = if is_octal { Some(octal(mode)) } else { symbolic(mode)? };
    (better.as_deref() != Some(mode)).then_some(better)
}

fn octal(mode: &str) -> String {
    let without = |digit: u8, bits: u8| b'0' + ((digit - b'0') & !bits);
    let mut digits = mode.as_bytes().to_vec();
    // The first of four holds set-user-ID, set-group-ID and the sticky bit.
    if let [special, _, _, _] = &mut digits[..] {
        *special = without(*special, 6);
    }
    if let Some(others) = digits.last_mut() {
        *others = without(*others, 2);
    }
    digits.into_iter().map(char::from).collect()
}

fn symbolic(mode: &str) -> Option<Option<String>> {
    let mut clauses = Vec::new();
    for clause in mode.split(',') {
        let at = clause.find(['+', '=', '-'])?;
        let (who, operator, bits) = (&clause[..at], &clause[at..=at], &clause[at + 1..]);
        let is_clause = who.bytes().all(|byte| b"ugoa".contains(&byte)) && bits.bytes().all(|byte| b"rwxXst".contains(&byte));
        if !is_clause || bits.is_empty() {
            return None;
        }
        if operator == "-" {
            clauses.push(clause.to_owned());
            continue;
        }
        let bits: String = bits.chars().filter(|bit| *bit != 's').collect();
        let reaches_others = who.is_empty() || who.contains(['o', 'a']);
        if !reaches_others || !bits.contains('w') {
            if !bits.is_empty() {
                clauses.push([who, operator, &bits].concat());
            }
            continue;
        }
        let own = match who {
            "" => "u".to_owned(),
            who if who.contains('a') => "ug".to_owned(),
            who => who.replace('o', ""),
        };
        let others: String = bits.chars().filter(|bit| *bit != 'w').collect();
        if !own.is_empty() {
            clauses.push([&own, operator, &bits].concat());
        }
        if !others.is_empty() {
            clauses.push(["o", operator, &others].concat());
        }
    }
    Some((!clauses.is_empty()).then(|| clauses.join(",")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_lose_the_right_to_write() {
        let better = |mode: &str| without_fault(mode).map(|mode| mode.unwrap_or_default());
        assert_eq!(better("777").as_deref(), Some("775"));
        assert_eq!(better("0666").as_deref(), Some("0664"));
        assert_eq!(better("4755").as_deref(), Some("0755"));
        assert_eq!(better("1777").as_deref(), Some("1775"));
        assert_eq!(better("a+rwx").as_deref(), Some("ug+rwx,o+rx"));
        assert_eq!(better("o+w").as_deref(), Some(""));
        assert_eq!(better("+w").as_deref(), Some("u+w"));
        assert_eq!(better("ugo+rwX").as_deref(), Some("ug+rwX,o+rX"));
        assert_eq!(better("u+s").as_deref(), Some(""));
        assert_eq!(better("u+xs").as_deref(), Some("u+x"));
        assert_eq!(better("755"), None);
        assert_eq!(better("o-w"), None);
        assert_eq!(better("/srv/app"), None);
    }
}
