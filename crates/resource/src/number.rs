//! Numbers as Terraform has them: binary floats of 512 bits, so that `0.1 + 0.2` prints `0.3` and no integer is rounded.
//!
//! Source: the cty type system (zclconf/go-cty), which keeps numbers in Go's `big.Float` and reads texts with a
//! precision of 512 bits, rounding to nearest even.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;
use dashu_int::IBig;

/// Bits of precision.
const PRECISION: usize = 512;
/// The longest text that is read as a number; longer ones would only cost time.
const MAX_TEXT: usize = 4096;
/// The largest decimal exponent that is read or printed.
const MAX_EXPONENT: i64 = 4096;

type Float = FBig<HalfEven, 2>;

/// A number. Small whole numbers, nearly all that occur, cost nothing extra.
#[derive(Clone, Debug)]
pub struct Number(Repr);

#[derive(Clone, Debug)]
enum Repr {
    Int(i64),
    Big(Arc<Float>),
}

/// What a computation with numbers can fail at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not a decimal number.
    #[error("a number is required")]
    NotANumber,
    /// Division (or remainder) by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// Larger than this program computes with.
    #[error("the number is too large")]
    TooLarge,
}

impl Number {
    /// Zero.
    pub const ZERO: Self = Self(Repr::Int(0));

    /// The number, if it is whole and fits.
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Repr::Int(value) => Some(*value),
            Repr::Big(value) if value.repr().is_int() => i64::try_from(value.to_int().value()).ok(),
            Repr::Big(_) => None,
        }
    }

    /// The nearest 64-bit float.
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            Repr::Int(value) => *value as f64,
            Repr::Big(value) => value.to_f64().value(),
        }
    }

    /// The nearest number to a 64-bit float; `None` for infinities and NaN.
    pub fn from_f64(value: f64) -> Option<Self> {
        if value.fract() == 0.0 && value.abs() < 9e15 {
            return Some(Self(Repr::Int(value as i64)));
        }
        Some(Self::big(Float::try_from(value).ok()?))
    }

    /// Whether it has no fraction.
    pub fn is_whole(&self) -> bool {
        match &self.0 {
            Repr::Int(_) => true,
            Repr::Big(value) => value.repr().is_int(),
        }
    }

    /// Whether it is below zero.
    pub fn is_negative(&self) -> bool {
        *self < Self::ZERO
    }

    /// The largest whole number that is not above it.
    #[must_use]
    pub fn floor(&self) -> Self {
        match &self.0 {
            Repr::Int(_) => self.clone(),
            Repr::Big(value) => Self::big(value.floor()),
        }
    }

    /// The smallest whole number that is not below it.
    #[must_use]
    pub fn ceil(&self) -> Self {
        match &self.0 {
            Repr::Int(_) => self.clone(),
            Repr::Big(value) => Self::big(value.ceil()),
        }
    }

    /// The whole part, towards zero.
    #[must_use]
    pub fn trunc(&self) -> Self {
        if self.is_negative() { self.ceil() } else { self.floor() }
    }

    /// The number with the other sign.
    #[must_use]
    pub fn negated(&self) -> Self {
        match &self.0 {
            Repr::Int(value) => value.checked_neg().map_or_else(|| Self::big(-self.to_float()), Self::from),
            Repr::Big(value) => Self::big(-(**value).clone()),
        }
    }

    /// The sum.
    pub fn add(&self, other: &Self) -> Result<Self, NumberError> {
        self.combine(other, i64::checked_add, |a, b| a + b)
    }

    /// The difference.
    pub fn subtract(&self, other: &Self) -> Result<Self, NumberError> {
        self.combine(other, i64::checked_sub, |a, b| a - b)
    }

    /// The product.
    pub fn multiply(&self, other: &Self) -> Result<Self, NumberError> {
        self.combine(other, i64::checked_mul, |a, b| a * b)
    }

    /// The quotient.
    pub fn divide(&self, other: &Self) -> Result<Self, NumberError> {
        if *other == Self::ZERO {
            return Err(NumberError::DivisionByZero);
        }
        self.combine(other, |a, b| if a % b == 0 { a.checked_div(b) } else { None }, |a, b| a / b)
    }

    /// The remainder of the division that rounds towards zero; it has the sign of `self`.
    pub fn remainder(&self, other: &Self) -> Result<Self, NumberError> {
        if *other == Self::ZERO {
            return Err(NumberError::DivisionByZero);
        }
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0) {
            return Ok(Self::from(a.checked_rem(*b).unwrap_or(0)));
        }
        let quotient = self.divide(other)?.trunc();
        self.subtract(&quotient.multiply(other)?)
    }

    fn combine(
        &self,
        other: &Self,
        small: impl Fn(i64, i64) -> Option<i64>,
        big: impl Fn(Float, Float) -> Float,
    ) -> Result<Self, NumberError> {
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0)
            && let Some(result) = small(*a, *b)
        {
            return Ok(Self::from(result));
        }
        let result = big(self.to_float(), other.to_float());
        // Two exponents within bounds can't overflow dashu's; the result must stay printable.
        if exponent_of(&result).abs() > MAX_EXPONENT * 4 { Err(NumberError::TooLarge) } else { Ok(Self::big(result)) }
    }

    fn to_float(&self) -> Float {
        match &self.0 {
            Repr::Int(value) => Float::from(IBig::from(*value)).with_precision(PRECISION).value(),
            Repr::Big(value) => (**value).clone(),
        }
    }

    fn big(value: Float) -> Self {
        if value.repr().is_int()
            && exponent_of(&value) < 64
            && let Ok(small) = i64::try_from(value.to_int().value())
        {
            return Self(Repr::Int(small));
        }
        Self(Repr::Big(Arc::new(value.with_precision(PRECISION).value())))
    }
}

/// The binary exponent of the highest bit.
fn exponent_of(value: &Float) -> i64 {
    use dashu_base::BitTest;
    let repr = value.repr();
    repr.exponent() as i64 + repr.significand().bit_len() as i64
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(Repr::Int(value))
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        Self(Repr::Int(i64::try_from(value).unwrap_or(i64::MAX)))
    }
}

/// Reads `12`, `-1.5`, `1e3`. Neither white space nor a leading `+` is accepted.
impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        if let Ok(small) = text.parse::<i64>()
            && !text.starts_with('+')
        {
            return Ok(Self::from(small));
        }
        if text.len() > MAX_TEXT {
            return Err(NumberError::TooLarge);
        }
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => {
                let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
                if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(NumberError::NotANumber);
                }
                (mantissa, exponent.parse::<i64>().map_err(|_| NumberError::TooLarge)?)
            }
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let digits_only = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits_only(whole) || !digits_only(fraction) {
            return Err(NumberError::NotANumber);
        }
        if exponent.abs() > MAX_EXPONENT {
            return Err(NumberError::TooLarge);
        }
        let fraction = fraction.trim_end_matches('0');
        let significand: IBig = format!("{whole}{fraction}").parse().map_err(|_| NumberError::NotANumber)?;
        let scale = exponent - fraction.len() as i64;
        let power = Float::from(IBig::from(10).pow(scale.unsigned_abs() as usize));
        // Exact operands (precision 0) keep the one rounding at the division.
        let exact = Float::from(significand);
        let value = if scale >= 0 {
            (exact * power).with_precision(PRECISION).value()
        } else {
            exact.with_precision(0).value().with_precision(PRECISION).value() / power
        };
        Ok(Self::big(if text.starts_with('-') { -value } else { value }))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Int(a), Repr::Int(b)) => a.cmp(b),
            _ => self.to_float().cmp(&other.to_float()),
        }
    }
}

/// The shortest decimal form that reads back as the same number, never with an exponent.
impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match &self.0 {
            Repr::Int(value) => return value.fmt(f),
            Repr::Big(value) if value.repr().is_int() => return value.to_int().value().fmt(f),
            Repr::Big(value) => value,
        };
        // 512 bits are 154.1 decimal digits; at most 156 are needed to tell two neighbours apart.
        for digits in 154..=156 {
            let decimal = (**value).clone().with_base_and_precision::<10>(digits).value();
            let text = plain_decimal(decimal.repr().significand(), decimal.repr().exponent());
            if text.parse::<Number>().is_ok_and(|back| back == *self) || digits == 156 {
                return f.write_str(&text);
            }
        }
        Ok(())
    }
}

fn plain_decimal(significand: &IBig, exponent: isize) -> String {
    let text = significand.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    if exponent >= 0 {
        return format!("{sign}{digits}{}", "0".repeat(exponent as usize));
    }
    let places = exponent.unsigned_abs();
    let padded = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Number {
        text.parse().expect(text)
    }

    #[test]
    fn decimals_print_as_terraform_prints_them() {
        assert_eq!(number("0.1").add(&number("0.2")).unwrap().to_string(), "0.3");
        assert_eq!(number("1.50").to_string(), "1.5");
        assert_eq!(number("-2.5e-3").to_string(), "-0.0025");
        assert_eq!(number("1e3").to_string(), "1000");
        assert_eq!(number("9223372036854775807").add(&Number::from(1_i64)).unwrap().to_string(), "9223372036854775808");
        assert!(number("1").divide(&number("3")).unwrap().to_string().starts_with("0.33333333333333333333333333333"));
    }

    #[test]
    fn division_keeps_whole_numbers_whole() {
        assert_eq!(number("10").divide(&number("4")).unwrap().to_string(), "2.5");
        assert_eq!(number("-7").remainder(&number("3")).unwrap().to_string(), "-1");
        assert_eq!(number("7.5").remainder(&number("2")).unwrap().to_string(), "1.5");
        assert_eq!(number("1").divide(&Number::ZERO), Err(NumberError::DivisionByZero));
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for text in ["", "+1", "0x10", "1_000", " 1", "1.", ".5", "1e", "NaN", "inf", "1e99999999"] {
            assert!(text.parse::<Number>().is_err(), "{text:?}");
        }
    }
}
