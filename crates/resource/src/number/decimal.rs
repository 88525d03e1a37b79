//! Decimal digits of binary floats, rounded and laid out as Go's `strconv` and `math/big` do it.

use std::fmt::Write as _;

use dashu_base::{BitTest, Sign, UnsignedAbs};
use dashu_int::{IBig, UBig};

/// `0.d₁d₂d₃… × 10^point` without a sign. The first and the last digit aren't zero; zero has no digits.
#[derive(Clone, Debug)]
pub(super) struct Decimal {
    digits: Vec<u8>,
    point: i64,
}

impl Decimal {
    /// All digits of `significand × 2^exponent`.
    pub(super) fn exact(significand: &IBig, exponent: isize) -> Self {
        let (_, magnitude): (Sign, UBig) = significand.clone().into_parts();
        Self::of_magnitude(magnitude, exponent)
    }

    fn of_magnitude(magnitude: UBig, exponent: isize) -> Self {
        let (whole, places) = if exponent >= 0 {
            (magnitude << exponent as usize, 0)
        } else {
            // m / 2^k = m × 5^k / 10^k
            let places = exponent.unsigned_abs();
            (magnitude * UBig::from(5_u8).pow(places), places)
        };
        let digits = whole.to_string().into_bytes();
        Self::new(digits, places)
    }

    fn new(digits: Vec<u8>, places: usize) -> Self {
        let point = digits.len() as i64 - places as i64;
        let mut decimal = Self { digits, point };
        decimal.trim();
        decimal
    }

    fn trim(&mut self) {
        while self.digits.last() == Some(&b'0') {
            self.digits.pop();
        }
        if self.digits.is_empty() {
            self.point = 0;
        }
    }

    /// The fewest digits that lie closer to this float than to its neighbours of the same precision.
    ///
    /// Digit by digit as Go's `roundShortest`, so that of several shortest forms the same one is taken.
    pub(super) fn shortest(significand: &IBig, exponent: isize, precision: usize) -> Self {
        let exact = Self::exact(significand, exponent);
        let magnitude = significand.clone().unsigned_abs();
        let bits = magnitude.bit_len();
        if bits == 0 || bits > precision {
            return exact;
        }
        // One bit more than the precision: the lowest is half a unit in the last place.
        let shift = precision + 1 - bits;
        let widened = magnitude << shift;
        let exponent = exponent - shift as isize;
        let lower = Self::of_magnitude(&widened - UBig::ONE, exponent);
        let upper = Self::of_magnitude(&widened + UBig::ONE, exponent);
        let inclusive = !widened.bit(1);
        let digit = |decimal: &Self, index: usize| decimal.digits.get(index).copied().unwrap_or(b'0');
        for (index, &middle) in exact.digits.iter().enumerate() {
            let (low, high) = (digit(&lower, index), digit(&upper, index));
            let may_go_down = low != middle || inclusive && index + 1 == lower.digits.len();
            let may_go_up = middle != high && (inclusive || middle + 1 < high || index + 1 < upper.digits.len());
            match (may_go_down, may_go_up) {
                (true, true) => return exact.rounded(index + 1),
                (true, false) => return exact.cut(index + 1),
                (false, true) => return exact.cut(index + 1).incremented(index + 1),
                (false, false) => {}
            }
        }
        exact
    }

    /// How many digits there are.
    pub(super) fn digits(&self) -> usize {
        self.digits.len()
    }

    /// How many places behind the point it takes to write all digits.
    pub(super) fn places(&self) -> usize {
        usize::try_from(self.digits.len() as i64 - self.point).unwrap_or(0)
    }

    /// Rounded to so many digits, half to even.
    pub(super) fn rounded(&self, digits: usize) -> Self {
        let Some(&next) = self.digits.get(digits) else { return self.clone() };
        let exactly_half = next == b'5' && digits + 1 == self.digits.len();
        let up = if exactly_half { digits > 0 && (self.digits[digits - 1] - b'0') % 2 == 1 } else { next >= b'5' };
        match (up, digits) {
            // All digits are rounded away, upwards: `0.6` becomes `1`.
            (true, 0) => Self { digits: vec![b'1'], point: self.point + 1 },
            (true, _) => self.cut(digits).incremented(digits),
            (false, _) => self.cut(digits),
        }
    }

    /// Rounded to so many places behind the point, half to even.
    pub(super) fn rounded_to_places(&self, places: usize) -> Self {
        match usize::try_from(self.point + places as i64) {
            Ok(digits) => self.rounded(digits),
            Err(_) => Self { digits: Vec::new(), point: 0 },
        }
    }

    fn cut(&self, digits: usize) -> Self {
        let mut cut = Self { digits: self.digits[..digits.min(self.digits.len())].to_vec(), point: self.point };
        cut.trim();
        cut
    }

    /// One more in the place of that many digits, at least one of which isn't zero (those behind it are gone, also trailing
    /// zeros before it may be).
    fn incremented(mut self, digits: usize) -> Self {
        self.digits.resize(digits, b'0');
        for index in (0..digits).rev() {
            if self.digits[index] < b'9' {
                self.digits[index] += 1;
                self.digits.truncate(index + 1);
                return self;
            }
        }
        Self { digits: vec![b'1'], point: self.point + 1 }
    }

    /// `12.50` with so many places; digits behind them must be rounded away before.
    pub(super) fn fixed(&self, places: usize) -> String {
        let mut text = String::new();
        if self.point <= 0 {
            text.push('0');
        }
        for index in 0..self.point {
            text.push(self.digit_at(index));
        }
        if places > 0 {
            text.push('.');
            for place in 0..places as i64 {
                text.push(self.digit_at(self.point + place));
            }
        }
        text
    }

    fn digit_at(&self, index: i64) -> char {
        usize::try_from(index).ok().and_then(|index| self.digits.get(index)).map_or('0', |&digit| char::from(digit))
    }

    /// `1.25e+01` with so many places.
    pub(super) fn scientific(&self, places: usize) -> String {
        let mut text = String::from(self.digit_at(0));
        if places > 0 {
            text.push('.');
            for place in 1..=places as i64 {
                text.push(self.digit_at(place));
            }
        }
        let exponent = if self.digits.is_empty() { 0 } else { self.point - 1 };
        // Writing to a String can't fail.
        let _ = write!(text, "e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs());
        text
    }

    /// `%g`: fixed while the exponent is small against the number of digits asked for.
    pub(super) fn general(&self, digits: usize, shortest: bool) -> String {
        let mut largest = digits as i64;
        if largest > self.digits.len() as i64 && self.digits.len() as i64 >= self.point {
            largest = self.digits.len() as i64;
        }
        if shortest {
            // Without a number of digits, the exponent that switches the form is as if 6 were asked for.
            largest = 6;
        }
        let exponent = self.point - 1;
        if !self.digits.is_empty() && (exponent < -4 || exponent >= largest) {
            self.scientific(self.digits.len() - 1)
        } else {
            self.fixed(self.places())
        }
    }
}
