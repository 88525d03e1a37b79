//! Texts that Terraform takes for numbers.

use keyblind_resource::Number;

/// Reads a text as the conversion from string to number does, which is more generous than the literal syntax:
/// a leading `+`, a missing digit before or behind the point, and a binary exponent (`1p4`) are fine.
pub(crate) fn parse_number(text: &str) -> Option<Number> {
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let (negative, unsigned) = match text.as_bytes().first()? {
        b'+' => (false, &text[1..]),
        b'-' => (true, &text[1..]),
        _ => (false, text),
    };
    let (mantissa, exponent) = match unsigned.find(['e', 'E', 'p', 'P']) {
        Some(at) => unsigned.split_at(at),
        None => (unsigned, ""),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() || !(whole.bytes().chain(fraction.bytes())).all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut plain = format!("{}{}.{}", if negative { "-" } else { "" }, or_zero(whole), or_zero(fraction));
    match exponent.strip_prefix(['p', 'P']) {
        Some(binary) => {
            let binary = binary.strip_prefix('+').unwrap_or(binary);
            let binary = binary.parse::<i32>().ok().filter(|_| !binary.starts_with('+'))?;
            plain.parse::<Number>().ok()?.scaled_by_power_of_two(binary).ok()
        }
        None => {
            plain.push_str(exponent);
            plain.parse().ok()
        }
    }
}

fn or_zero(digits: &str) -> &str {
    if digits.is_empty() { "0" } else { digits }
}

#[cfg(test)]
mod tests {
    use super::parse_number;

    #[test]
    fn texts_are_read_as_go_reads_them() {
        for (text, expected) in
            [("+5", "5"), ("1.", "1"), (".5", "0.5"), ("-.5", "-0.5"), ("1p4", "16"), ("1p-1", "0.5"), ("1E+5", "100000"), ("+1.e1", "10")]
        {
            assert_eq!(parse_number(text).map(|number| number.to_string()).as_deref(), Some(expected), "{text:?}");
        }
        for text in ["", "+", "-", ".", "+-5", "--5", " 5", "0x10", "1_000", "inf", "1e", "1p", "1p++4", "e5", "١"] {
            assert!(parse_number(text).is_none(), "{text:?}");
        }
    }
}
