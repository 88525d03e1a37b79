//! Numbers as Terraform has them: binary floats of 512 bits, so that `0.1 + 0.2` prints `0.3` and no integer is rounded.
//!
//! What Terraform computes with 64-bit floats (`log`, `pow`) keeps their 53 bits of precision, which decides how it prints.
//!
//! Source: the cty type system (zclconf/go-cty), which keeps numbers in Go's `big.Float` and reads texts with a
//! precision of 512 bits, rounding to nearest even.

mod decimal;
mod float64;

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use dashu_base::{BitTest, Sign, UnsignedAbs};
use dashu_float::FBig;
use dashu_float::round::mode::HalfEven;
use dashu_int::IBig;

use decimal::Decimal;

/// Bits of precision.
const PRECISION: usize = 512;
/// The longest text that is read as a number; longer ones would only cost time.
const MAX_TEXT: usize = 4096;
/// The largest decimal exponent that is read or printed.
const MAX_EXPONENT: i64 = 1024;

type Float = FBig<HalfEven, 2>;

/// A number. Small whole numbers, nearly all that occur, cost nothing extra.
#[derive(Clone, Debug)]
pub struct Number(Repr);

#[derive(Clone, Debug)]
enum Repr {
    Int(i64),
    /// The context's precision is the number's own.
    Big(Arc<Float>),
}

/// What a computation with numbers can fail at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not a decimal number.
    #[error("a number is required")]
    NotANumber,
    /// Division by zero.
    #[error("division by zero")]
    DivisionByZero,
    /// Larger than this program computes with, infinite, or the root or logarithm of a number that has none.
    #[error("the number is too large, or not a real number")]
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

    /// The same number as a 64-bit float, with its precision; `None` for infinities and NaN.
    pub fn from_f64(value: f64) -> Option<Self> {
        if value.fract() == 0.0 && value.abs() < 9e15 {
            return Some(Self(Repr::Int(value as i64)));
        }
        if !value.is_finite() {
            return None;
        }
        Some(Self(Repr::Big(Arc::new(Float::try_from(value).ok()?.with_precision(53).value()))))
    }

    /// Reads a whole number in a base from 2 to 62 (digits `0-9a-z`, then `A-Z`; up to base 36 case doesn't matter), with an
    /// optional sign.
    ///
    /// # Errors
    /// Fails where a character is no digit of that base, and for overlong texts.
    pub fn from_digits(text: &str, base: u32) -> Result<Self, NumberError> {
        if !(2..=62).contains(&base) {
            return Err(NumberError::NotANumber);
        }
        if text.len() > MAX_TEXT {
            return Err(NumberError::TooLarge);
        }
        let (negative, digits) = match text.as_bytes() {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        if digits.is_empty() {
            return Err(NumberError::NotANumber);
        }
        let mut total = IBig::ZERO;
        for byte in digits {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'z' => byte - b'a' + 10,
                b'A'..=b'Z' if base <= 36 => byte - b'A' + 10,
                b'A'..=b'Z' => byte - b'A' + 36,
                _ => return Err(NumberError::NotANumber),
            };
            if u32::from(digit) >= base {
                return Err(NumberError::NotANumber);
            }
            total = total * base + digit;
        }
        Ok(Self::whole(if negative { -total } else { total }))
    }

    /// The digits of the whole part in a base from 2 to 36, with `-` where it is negative.
    pub fn whole_digits(&self, base: u8) -> String {
        match &self.0 {
            Repr::Int(value) => IBig::from(*value),
            Repr::Big(value) => value.trunc().to_int().value(),
        }
        .in_radix(base)
        .to_string()
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
        match &self.0 {
            Repr::Int(value) => *value < 0,
            Repr::Big(value) => value.repr().significand() < &IBig::ZERO,
        }
    }

    /// The largest whole number that is not above it.
    #[must_use]
    pub fn floor(&self) -> Self {
        match &self.0 {
            Repr::Int(_) => self.clone(),
            Repr::Big(value) => Self::whole(value.floor().to_int().value()),
        }
    }

    /// The smallest whole number that is not below it.
    #[must_use]
    pub fn ceil(&self) -> Self {
        match &self.0 {
            Repr::Int(_) => self.clone(),
            Repr::Big(value) => Self::whole(value.ceil().to_int().value()),
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

    /// The number without its sign.
    #[must_use]
    pub fn abs(&self) -> Self {
        if self.is_negative() { self.negated() } else { self.clone() }
    }

    /// The sum.
    ///
    /// # Errors
    /// Fails where the result is too large.
    pub fn add(&self, other: &Self) -> Result<Self, NumberError> {
        self.combine(other, i64::checked_add, |a, b| rounded(&a, &b, exact(&a) + exact(&b)))
    }

    /// The difference.
    ///
    /// # Errors
    /// Fails where the result is too large.
    pub fn subtract(&self, other: &Self) -> Result<Self, NumberError> {
        self.combine(other, i64::checked_sub, |a, b| rounded(&a, &b, exact(&a) - exact(&b)))
    }

    /// The product.
    ///
    /// # Errors
    /// Fails where the result is too large.
    pub fn multiply(&self, other: &Self) -> Result<Self, NumberError> {
        self.combine(other, i64::checked_mul, |a, b| {
            // The product is exact where 512 bits hold it, also of two numbers of less precision.
            let product = (exact(&a) * exact(&b)).with_precision(PRECISION).value();
            let needed = product.repr().significand().bit_len();
            product.with_precision(a.precision().max(b.precision()).max(needed)).value()
        })
    }

    /// The quotient.
    ///
    /// # Errors
    /// Fails for a divisor of zero.
    pub fn divide(&self, other: &Self) -> Result<Self, NumberError> {
        if *other == Self::ZERO {
            return Err(NumberError::DivisionByZero);
        }
        self.combine(
            other,
            |a, b| if a.checked_rem(b)? == 0 { a.checked_div(b) } else { None },
            |a, b| {
                let sign = a.repr().sign() * b.repr().sign();
                let (dividend, divisor) = (a.repr().significand().clone().unsigned_abs(), b.repr().significand().clone().unsigned_abs());
                let magnitude = quotient(dividend.into(), divisor.into());
                let scaled = magnitude << (a.repr().exponent() - b.repr().exponent());
                rounded(&a, &b, if sign == Sign::Negative { -scaled } else { scaled })
            },
        )
    }

    /// The remainder of the division that rounds towards zero; it has the sign of `self`. The remainder of a division by
    /// zero is the number itself, as Terraform has it.
    ///
    /// # Errors
    /// Fails where an intermediate result is too large.
    pub fn remainder(&self, other: &Self) -> Result<Self, NumberError> {
        if *other == Self::ZERO {
            return Ok(self.clone());
        }
        if let (Repr::Int(a), Repr::Int(b)) = (&self.0, &other.0) {
            return Ok(Self::from(a.checked_rem(*b).unwrap_or(0)));
        }
        let quotient = self.divide(other)?.trunc();
        self.subtract(&quotient.multiply(other)?)
    }

    /// The number times a power of two.
    ///
    /// # Errors
    /// Fails where the result is too large.
    pub fn scaled_by_power_of_two(&self, exponent: i32) -> Result<Self, NumberError> {
        if i64::from(exponent).abs() > MAX_EXPONENT * 4 {
            return Err(NumberError::TooLarge);
        }
        let scaled = self.to_float() << exponent as isize;
        if exponent_of(&scaled).abs() > MAX_EXPONENT * 4 { Err(NumberError::TooLarge) } else { Ok(Self::big(scaled)) }
    }

    /// The logarithm in a base, computed with 64-bit floats as Terraform does.
    ///
    /// # Errors
    /// Fails where there is no such logarithm.
    pub fn logarithm(&self, base: &Self) -> Result<Self, NumberError> {
        Self::from_f64(float64::log(self.to_f64()) / float64::log(base.to_f64())).ok_or(NumberError::TooLarge)
    }

    /// The power, computed with 64-bit floats as Terraform does.
    ///
    /// # Errors
    /// Fails where it is too large or not real.
    pub fn power(&self, exponent: &Self) -> Result<Self, NumberError> {
        Self::from_f64(float64::pow(self.to_f64(), exponent.to_f64())).ok_or(NumberError::TooLarge)
    }

    /// Decimal with exactly so many places behind the point (`%.2f`).
    pub fn to_fixed(&self, places: usize) -> String {
        self.signed(&self.decimal().rounded_to_places(places).fixed(places))
    }

    /// One digit, the point, so many places, and an exponent (`%.2e`); the shortest exact form without a number of places.
    pub fn to_scientific(&self, places: Option<usize>) -> String {
        let decimal = match places {
            Some(places) => self.decimal().rounded(places + 1),
            None => self.shortest(),
        };
        let places = places.unwrap_or_else(|| decimal.digits().saturating_sub(1));
        self.signed(&decimal.scientific(places))
    }

    /// At most so many digits, with an exponent for large and small numbers (`%.3g`).
    pub fn to_general(&self, digits: usize) -> String {
        let decimal = self.decimal().rounded(digits.max(1));
        self.signed(&decimal.general(digits.max(1), false))
    }

    /// The shortest digits that name this number, with an exponent for large and small numbers (`%g`).
    pub fn to_shortest_general(&self) -> String {
        let decimal = self.shortest();
        self.signed(&decimal.general(6, true))
    }

    fn signed(&self, unsigned: &str) -> String {
        if self.is_negative() { format!("-{unsigned}") } else { unsigned.to_owned() }
    }

    /// All decimal digits without the sign: a binary float has finitely many.
    fn decimal(&self) -> Decimal {
        match &self.0 {
            Repr::Int(value) => Decimal::exact(&IBig::from(*value), 0),
            Repr::Big(value) => Decimal::exact(value.repr().significand(), value.repr().exponent()),
        }
    }

    fn shortest(&self) -> Decimal {
        match &self.0 {
            Repr::Int(_) => self.decimal(),
            Repr::Big(value) => Decimal::shortest(value.repr().significand(), value.repr().exponent(), value.precision()),
        }
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

    fn whole(value: IBig) -> Self {
        match i64::try_from(&value) {
            Ok(small) => Self(Repr::Int(small)),
            Err(_) => {
                let precision = value.bit_len().max(PRECISION);
                Self(Repr::Big(Arc::new(Float::from(value).with_precision(precision).value())))
            }
        }
    }

    /// Keeps the value's precision. Small whole numbers print the same whatever their precision is.
    fn big(value: Float) -> Self {
        let exponent = exponent_of(&value);
        if value.repr().is_int()
            && (exponent <= 53 || value.precision() >= PRECISION && exponent < 64)
            && let Ok(small) = i64::try_from(value.to_int().value())
        {
            return Self(Repr::Int(small));
        }
        Self(Repr::Big(Arc::new(value)))
    }
}

/// The same number as a float whose operations don't round. Exponents are bounded, so that sums stay small.
fn exact(value: &Float) -> Float {
    value.clone().with_precision(0).value()
}

/// An exact result rounded once, to the precision of the more precise operand.
fn rounded(a: &Float, b: &Float, result: Float) -> Float {
    result.with_precision(a.precision().max(b.precision())).value()
}

/// The binary exponent of the highest bit.
fn exponent_of(value: &Float) -> i64 {
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

impl From<u128> for Number {
    fn from(value: u128) -> Self {
        Self::whole(IBig::from(value))
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
        if significand == IBig::ZERO {
            return Ok(Self::ZERO);
        }
        let scale = exponent - fraction.len() as i64;
        let power = IBig::from(10).pow(scale.unsigned_abs() as usize);
        let value = if scale >= 0 { Float::from(significand * power) } else { quotient(significand, power) };
        let value = value.with_precision(PRECISION).value();
        Ok(Self::big(if text.starts_with('-') { -value } else { value }))
    }
}

/// A quotient of whole numbers above zero, so exact that rounding it to the precision of numbers is the only rounding.
fn quotient(dividend: IBig, divisor: IBig) -> Float {
    let shift = (PRECISION + 2 + divisor.bit_len()).saturating_sub(dividend.bit_len());
    let shifted = dividend << shift;
    let (whole, rest) = (&shifted / &divisor, &shifted % &divisor);
    // The remainder stays visible as one bit below all that count.
    let sticky = (whole << 1) + IBig::from(u8::from(rest != IBig::ZERO));
    Float::from(sticky) >> (shift as isize + 1)
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
        match &self.0 {
            Repr::Int(value) => value.fmt(f),
            Repr::Big(_) => {
                let decimal = self.shortest();
                f.write_str(&self.signed(&decimal.fixed(decimal.places())))
            }
        }
    }
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
        let third = number("1").divide(&number("3")).unwrap().to_string();
        assert_eq!(third, format!("0.{}5", "3".repeat(154)), "the last digit is the shortest that tells it from its neighbours");
        assert_eq!(number("10").divide(&number("3")).unwrap().to_string(), format!("3.{}2", "3".repeat(153)));
    }

    #[test]
    fn division_keeps_whole_numbers_whole() {
        assert_eq!(number("10").divide(&number("4")).unwrap().to_string(), "2.5");
        assert_eq!(number("-7").remainder(&number("3")).unwrap().to_string(), "-1");
        assert_eq!(number("7.5").remainder(&number("2")).unwrap().to_string(), "1.5");
        assert_eq!(number("1").divide(&Number::ZERO), Err(NumberError::DivisionByZero));
        assert_eq!(number("5").remainder(&Number::ZERO).unwrap().to_string(), "5");
        assert_eq!(number("-9223372036854775808").divide(&number("-1")).unwrap().to_string(), "9223372036854775808");
    }

    #[test]
    fn floats_of_64_bits_keep_their_precision() {
        let root = number("2").power(&number("0.5")).unwrap();
        assert_eq!(root.to_string(), "1.4142135623730951");
        assert_eq!(root.multiply(&number("1")).unwrap().to_string(), "1.4142135623730951454746218587388284504413604736328125");
        assert_eq!(root.add(&root).unwrap().to_string(), "2.8284271247461903");
        assert_eq!(root.multiply(&root).unwrap().to_string(), "2.00000000000000027343234630647693");
        assert_eq!(number("2").power(&number("64")).unwrap().to_string(), "18446744073709550000");
        assert_eq!(number("2").power(&number("53")).unwrap().add(&number("1")).unwrap().to_string(), "9007199254740993");
        assert_eq!(number("50").logarithm(&number("10")).unwrap().to_string(), "1.6989700043360185");
        assert_eq!(number("0").logarithm(&number("10")), Err(NumberError::TooLarge));
    }

    #[test]
    fn digits_of_every_base_are_read_and_printed() {
        assert_eq!(Number::from_digits("-zZ", 62).unwrap().to_string(), "-2231");
        assert_eq!(Number::from_digits("FF", 16).unwrap().to_string(), "255");
        assert_eq!(number("-255").whole_digits(16), "-ff");
        for (text, base) in [("", 10), ("2", 2), ("0x1", 16), ("1_0", 10), ("1", 1), ("1", 63)] {
            assert!(Number::from_digits(text, base).is_err(), "{text:?} in base {base}");
        }
    }

    #[test]
    fn numbers_print_with_places_and_exponents() {
        assert_eq!(number("1234567").to_general(3), "1.23e+06");
        assert_eq!(number("0.00001").to_shortest_general(), "1e-05");
        assert_eq!(number("100000").to_shortest_general(), "100000");
        assert_eq!(number("1e20").to_shortest_general(), "1e+20");
        assert_eq!(number("2.5").to_fixed(0), "2");
        assert_eq!(number("-0.999").to_fixed(2), "-1.00");
        assert_eq!(number("0.001").to_fixed(3), "0.001", "which is a little less than written");
        assert_eq!(number("0.0004").to_fixed(3), "0.000");
        assert_eq!(number("0.6").to_fixed(0), "1");
        assert_eq!(number("0").to_scientific(Some(6)), "0.000000e+00");
        assert_eq!(number("1234567").to_scientific(Some(2)), "1.23e+06");
    }

    #[test]
    fn what_is_not_a_number_is_refused() {
        for text in ["", "+1", "0x10", "1_000", " 1", "1.", ".5", "1e", "NaN", "inf", "1e99999999"] {
            assert!(text.parse::<Number>().is_err(), "{text:?}");
        }
    }
}
