//! Logarithm, exponential and power of 64-bit floats, bit for bit as Go computes them on common machines: the last digit of
//! Terraform's `log` and `pow` shows the method.
//!
//! Sources: FreeBSD's `e_log.c` (fdlibm) for the logarithm; Shibata, "Efficient evaluation methods of elementary functions
//! suitable for SIMD computation" (2010) for the exponential; repeated squaring for the power.

use std::f64::consts::{FRAC_1_SQRT_2, LOG2_E};

#[allow(clippy::excessive_precision, reason = "the constants are written as the sources have them")]
const LN2_HIGH: f64 = 6.93147180369123816490e-01;
#[allow(clippy::excessive_precision, reason = "the constants are written as the sources have them")]
const LN2_LOW: f64 = 1.90821492927058770002e-10;

/// The natural logarithm.
#[allow(clippy::excessive_precision, reason = "the constants are written as the sources have them")]
pub(super) fn log(x: f64) -> f64 {
    const L1: f64 = 6.666666666666735130e-01;
    const L2: f64 = 3.999999999940941908e-01;
    const L3: f64 = 2.857142874366239149e-01;
    const L4: f64 = 2.222219843214978396e-01;
    const L5: f64 = 1.818357216161805012e-01;
    const L6: f64 = 1.531383769920937332e-01;
    const L7: f64 = 1.479819860511658591e-01;
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    if x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 {
        return f64::NEG_INFINITY;
    }
    let (mut fraction, mut exponent) = split(x);
    if fraction < FRAC_1_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let f = fraction - 1.0;
    let k = f64::from(exponent);
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let t1 = s2 * (L1 + s4 * (L3 + s4 * (L5 + s4 * L7)));
    let t2 = s4 * (L2 + s4 * (L4 + s4 * L6));
    let r = t1 + t2;
    let half_square = 0.5 * f * f;
    k * LN2_HIGH - ((half_square - (s * (half_square + r) + k * LN2_LOW)) - f)
}

/// e to the power of x, for arguments that neither overflow nor vanish.
#[allow(clippy::excessive_precision, reason = "the constants are written as the sources have them")]
fn exp(x: f64) -> f64 {
    const LN2_UPPER: f64 = 0.69314718055966295651160180568695068359375;
    const LN2_LOWER: f64 = 0.28235290563031577122588448175013436025525412068e-12;
    const TAYLOR: [f64; 8] = [
        2.4801587301587301587e-5,
        1.9841269841269841270e-4,
        1.3888888888888888889e-3,
        8.3333333333333333333e-3,
        4.1666666666666666667e-2,
        1.6666666666666666667e-1,
        0.5,
        1.0,
    ];
    let exponent = (LOG2_E * x).round_ties_even();
    let mut reduced = (-exponent).mul_add(LN2_UPPER, x);
    reduced = (-exponent).mul_add(LN2_LOWER, reduced);
    reduced *= 0.0625;
    let series = TAYLOR[1..].iter().fold(TAYLOR[0], |sum, term| sum.mul_add(reduced, *term));
    let mut result = reduced * series;
    for _ in 0..3 {
        result *= result + 2.0;
    }
    result = (result + 2.0).mul_add(result, 1.0);
    scale(result, exponent as i64)
}

/// x to the power of y.
pub(super) fn pow(x: f64, y: f64) -> f64 {
    if y == 0.0 || x == 1.0 {
        return 1.0;
    }
    if y == 1.0 {
        return x;
    }
    if x.is_nan() || y.is_nan() {
        return f64::NAN;
    }
    if x == 0.0 || x.is_infinite() || y.is_infinite() {
        return x.powf(y);
    }
    if y == 0.5 {
        return x.sqrt();
    }
    if y == -0.5 {
        return 1.0 / x.sqrt();
    }
    let (mut whole, mut part) = (y.abs().trunc(), y.abs().fract());
    if part != 0.0 && x < 0.0 {
        return f64::NAN;
    }
    if whole >= 2.0_f64.powi(63) {
        return if x == -1.0 {
            1.0
        } else if (x.abs() < 1.0) == (y > 0.0) {
            0.0
        } else {
            f64::INFINITY
        };
    }
    let mut result = 1.0;
    let mut result_exponent = 0_i64;
    if part != 0.0 {
        if part > 0.5 {
            part -= 1.0;
            whole += 1.0;
        }
        result = exp(part * log(x));
    }
    let (mut base, base_exponent) = split(x);
    let mut base_exponent = i64::from(base_exponent);
    let mut remaining = whole as i64;
    while remaining != 0 {
        if base_exponent.abs() > 1 << 12 {
            // It overflows or vanishes whatever the rest is.
            result_exponent += base_exponent;
            break;
        }
        if remaining & 1 == 1 {
            result *= base;
            result_exponent += base_exponent;
        }
        base *= base;
        base_exponent <<= 1;
        if base < 0.5 {
            base += base;
            base_exponent -= 1;
        }
        remaining >>= 1;
    }
    if y < 0.0 {
        result = 1.0 / result;
        result_exponent = -result_exponent;
    }
    scale(result, result_exponent)
}

/// Splits a finite number other than zero into a fraction (0.5 ≤ |f| < 1) and a power of two.
fn split(x: f64) -> (f64, i32) {
    let (x, correction) = if x.abs() < f64::MIN_POSITIVE { (x * 2.0_f64.powi(54), -54) } else { (x, 0) };
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32 - 1022;
    (f64::from_bits(bits & !(0x7ff << 52) | 1022 << 52), exponent + correction)
}

/// `x × 2^exponent`, without an intermediate overflow.
fn scale(x: f64, exponent: i64) -> f64 {
    let mut result = x;
    let mut remaining = exponent.clamp(-4000, 4000);
    while remaining > 1000 {
        result *= 2.0_f64.powi(1000);
        remaining -= 1000;
    }
    // Downwards in one step at the end, so that a subnormal result is rounded once.
    while remaining < -1000 && result.abs() > 1.0 {
        result *= 2.0_f64.powi(-1000);
        remaining += 1000;
    }
    if remaining < -1000 {
        result * 2.0_f64.powi(-1000) * 2.0_f64.powi((remaining + 1000) as i32)
    } else {
        result * 2.0_f64.powi(remaining as i32)
    }
}
