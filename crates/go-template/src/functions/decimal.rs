//! Exact decimal arithmetic under `addf`, `subf`, `mulf` and `divf`.

use num_bigint::BigInt;
use num_traits::{Signed as _, Zero as _};

use super::floats::Digits;

/// Decimal places of a quotient.
const QUOTIENT_PLACES: i32 = 16;

/// `coefficient * 10^exponent`.
#[derive(Debug, Clone)]
pub(crate) struct Decimal {
    coefficient: BigInt,
    exponent: i32,
}

/// One of the four operations on floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Add,
    Subtract,
    Multiply,
    Divide,
}

/// Why there is no result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecimalError {
    #[error("Cannot create a Decimal from {0}")]
    NoNumber(&'static str),
    #[error("decimal division by 0")]
    DivisionByZero,
}

impl Decimal {
    /// Returns the shortest decimal that reads back as the float.
    pub(crate) fn of(float: f64) -> Result<Self, DecimalError> {
        if float.is_nan() {
            return Err(DecimalError::NoNumber("NaN"));
        }
        if float.is_infinite() {
            return Err(DecimalError::NoNumber(if float > 0.0 { "+Inf" } else { "-Inf" }));
        }
        let Digits { is_negative, digits, exponent } = Digits::of(float);
        let magnitude: BigInt = digits.parse().unwrap_or_default();
        let places = i32::try_from(digits.len()).unwrap_or(0) - 1;
        let coefficient = if is_negative { -magnitude } else { magnitude };
        Ok(Self { coefficient, exponent: exponent - places })
    }

    /// Returns the nearest float.
    pub(crate) fn to_float(&self) -> f64 {
        format!("{}e{}", self.coefficient, self.exponent).parse().unwrap_or(0.0)
    }

    /// Applies the operation.
    pub(crate) fn apply(&self, operation: Operation, other: &Self) -> Result<Self, DecimalError> {
        match operation {
            Operation::Add => Ok(self.combine(other, |a, b| a + b)),
            Operation::Subtract => Ok(self.combine(other, |a, b| a - b)),
            Operation::Multiply => Ok(Self {
                coefficient: &self.coefficient * &other.coefficient,
                exponent: self.exponent.saturating_add(other.exponent),
            }),
            Operation::Divide => self.divide(other),
        }
    }

    fn combine(&self, other: &Self, join: impl Fn(BigInt, BigInt) -> BigInt) -> Self {
        let exponent = self.exponent.min(other.exponent);
        Self { coefficient: join(self.scaled_to(exponent), other.scaled_to(exponent)), exponent }
    }

    fn scaled_to(&self, exponent: i32) -> BigInt {
        &self.coefficient * power_of_ten(self.exponent.saturating_sub(exponent))
    }

    /// Rounds half away from zero.
    fn divide(&self, other: &Self) -> Result<Self, DecimalError> {
        if other.coefficient.is_zero() {
            return Err(DecimalError::DivisionByZero);
        }
        let shift = self.exponent.saturating_sub(other.exponent).saturating_add(QUOTIENT_PLACES);
        let dividend = &self.coefficient * power_of_ten(shift);
        let divisor = &other.coefficient * power_of_ten(shift.saturating_neg());
        let mut quotient = &dividend / &divisor;
        let rest = &dividend % &divisor;
        if rest.abs() * 2 >= divisor.abs() {
            quotient += if dividend.is_negative() == divisor.is_negative() { 1 } else { -1 };
        }
        Ok(Self { coefficient: quotient, exponent: -QUOTIENT_PLACES })
    }
}

/// 1 for negative exponents.
fn power_of_ten(exponent: i32) -> BigInt {
    BigInt::from(10).pow(u32::try_from(exponent).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_and_quotients_are_decimal() {
        let apply = |a: f64, operation, b: f64| {
            Decimal::of(a).unwrap().apply(operation, &Decimal::of(b).unwrap()).map(|result| result.to_float())
        };
        assert_eq!(apply(0.1, Operation::Add, 0.2), Ok(0.3));
        assert_eq!(apply(1.1, Operation::Subtract, 1.0), Ok(0.1));
        assert_eq!(apply(1.1, Operation::Multiply, 1.1), Ok(1.21));
        assert_eq!(apply(1.0, Operation::Divide, 3.0), Ok(0.333_333_333_333_333_3));
        assert_eq!(apply(-2.0, Operation::Divide, 3.0), Ok(-0.666_666_666_666_666_7));
        assert_eq!(apply(1.0, Operation::Divide, 0.0), Err(DecimalError::DivisionByZero));
        assert_eq!(Decimal::of(f64::NAN).unwrap_err().to_string(), "Cannot create a Decimal from NaN");
    }
}
