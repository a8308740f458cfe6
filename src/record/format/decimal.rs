//! Decimal numbers as text, exact: what a scale showed or a vial holds is never rounded. Knows comparison
//! and addition, no other arithmetic and no units.

use std::{cmp::Ordering, fmt};

use super::{FormatError, demand, is_digits};

/// A decimal number: `-12.50`. At most 38 digits, no exponent, no leading zeroes, no plus sign.
pub fn check_decimal(text: &str) -> Result<(), FormatError> {
    Decimal::parse(text).map(drop)
}

/// A decimal number, exact. `1.0` and `1.00` are equal: they are one number, written twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Decimal {
    /// Never set on zero, so that equality of the fields is equality of the numbers.
    negative: bool,
    whole: u128,
    /// In units of 10^-38, below [`ONE`].
    fraction: u128,
}

/// 10^38: any 38 digits are below it, and twice it is below 2^128.
const ONE: u128 = 10_u128.pow(38);

impl Decimal {
    /// Nought.
    pub const ZERO: Self = Self {
        negative: false,
        whole: 0,
        fraction: 0,
    };

    /// Parses a decimal number.
    pub fn parse(text: &str) -> Result<Self, FormatError> {
        let negative = text.starts_with('-');
        let magnitude = text.strip_prefix('-').unwrap_or(text);
        let (whole, fraction) = magnitude.split_once('.').unwrap_or((magnitude, ""));
        let ends_at_point = magnitude.ends_with('.');
        demand(
            !whole.is_empty() && !ends_at_point && is_digits(whole) && is_digits(fraction),
            "DECIMAL_FORMAT",
            "write digits, a point and digits, such as 0.5 or -12.50: no exponent, no plus sign, no spaces",
        )?;
        demand(
            whole == "0" || !whole.starts_with('0'),
            "DECIMAL_LEADING_ZERO",
            "leave out the leading zeroes",
        )?;
        let too_long =
            FormatError::new("DECIMAL_TOO_LONG", "a decimal number has at most 38 digits");
        if 38 < whole.len().saturating_add(fraction.len()) {
            return Err(too_long);
        }
        let number = Self {
            negative,
            whole: whole.parse().ok().ok_or(too_long)?,
            fraction: fraction_of(fraction).ok_or(too_long)?,
        };
        demand(
            !negative || number.whole != 0 || number.fraction != 0,
            "DECIMAL_NEGATIVE_ZERO",
            "write zero without a sign",
        )?;
        Ok(number)
    }

    /// Below zero.
    pub const fn is_negative(self) -> bool {
        self.negative
    }

    /// Above zero.
    pub fn is_positive(self) -> bool {
        self > Self::ZERO
    }

    /// The exact sum, unless it needs more than 38 digits before the point.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        let (larger, smaller) = if self.magnitude() < other.magnitude() {
            (other, self)
        } else {
            (self, other)
        };
        let (whole, fraction) = if larger.negative == smaller.negative {
            let fraction = larger.fraction.checked_add(smaller.fraction)?;
            let carry = u128::from(ONE <= fraction);
            (
                larger
                    .whole
                    .checked_add(smaller.whole)?
                    .checked_add(carry)?,
                fraction % ONE,
            )
        } else {
            let borrow = u128::from(larger.fraction < smaller.fraction);
            let fraction = larger.fraction.checked_add(borrow.checked_mul(ONE)?)?;
            let whole = larger
                .whole
                .checked_sub(smaller.whole)?
                .checked_sub(borrow)?;
            (whole, fraction.checked_sub(smaller.fraction)?)
        };
        let negative = larger.negative && (whole, fraction) != (0, 0);
        (whole < ONE).then_some(Self {
            negative,
            whole,
            fraction,
        })
    }

    /// The exact difference, unless it needs more than 38 digits before the point.
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        let negative = !other.negative && other != Self::ZERO;
        self.checked_add(Self { negative, ..other })
    }

    const fn magnitude(self) -> (u128, u128) {
        (self.whole, self.fraction)
    }
}

/// The digits behind the point, in units of 10^-38.
fn fraction_of(digits: &str) -> Option<u128> {
    if digits.is_empty() {
        return Some(0);
    }
    let places = u32::try_from(digits.len()).ok()?;
    let unit = 10_u128.checked_pow(38_u32.checked_sub(places)?)?;
    digits.parse::<u128>().ok()?.checked_mul(unit)
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude().cmp(&other.magnitude()),
            (true, true) => other.magnitude().cmp(&self.magnitude()),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The number without needless zeroes; of a sum, at most 38 digits on each side of the point.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.negative { "-" } else { "" };
        write!(f, "{sign}{}", self.whole)?;
        if self.fraction == 0 {
            return Ok(());
        }
        let fraction = format!("{:038}", self.fraction);
        write!(f, ".{}", fraction.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap()
    }

    #[test]
    fn a_decimal_is_printed_as_the_number_that_it_is() {
        for (text, printed) in [
            ("0", "0"),
            ("0.00", "0"),
            ("1.50", "1.5"),
            ("-0.05", "-0.05"),
            ("120000000", "120000000"),
            (
                "0.0000000000000000000000000000000000001",
                "0.0000000000000000000000000000000000001",
            ),
        ] {
            assert_eq!(decimal(text).to_string(), printed);
        }
    }

    #[test]
    fn a_difference_is_exact() {
        for (from, taken, left) in [
            ("1", "1", "0"),
            ("1", "0", "1"),
            ("0", "1", "-1"),
            ("0.3", "0.1", "0.2"),
            ("-1", "-3", "2"),
            ("2", "-0.5", "2.5"),
        ] {
            let difference = decimal(from).checked_sub(decimal(taken)).unwrap();
            assert_eq!(difference, decimal(left), "{from} - {taken}");
        }
    }

    #[test]
    fn a_decimal_has_one_plain_spelling() {
        for text in [
            "0",
            "0.0",
            "1",
            "-1",
            "12.50",
            "-0.001",
            "10",
            "100.5",
            "99999999999999999999999999999999999999",
            "0.0000000000000000000000000000000000001",
        ] {
            assert_eq!(check_decimal(text), Ok(()), "{text}");
        }
        for (text, rule) in [
            ("", "DECIMAL_FORMAT"),
            ("-", "DECIMAL_FORMAT"),
            (".", "DECIMAL_FORMAT"),
            (".5", "DECIMAL_FORMAT"),
            ("5.", "DECIMAL_FORMAT"),
            ("+5", "DECIMAL_FORMAT"),
            ("--5", "DECIMAL_FORMAT"),
            ("1.2.3", "DECIMAL_FORMAT"),
            ("1,5", "DECIMAL_FORMAT"),
            ("1e6", "DECIMAL_FORMAT"),
            ("1E-6", "DECIMAL_FORMAT"),
            ("0x1", "DECIMAL_FORMAT"),
            ("1 000", "DECIMAL_FORMAT"),
            ("NaN", "DECIMAL_FORMAT"),
            ("inf", "DECIMAL_FORMAT"),
            ("１", "DECIMAL_FORMAT"),
            ("1.-5", "DECIMAL_FORMAT"),
            ("01", "DECIMAL_LEADING_ZERO"),
            ("00.5", "DECIMAL_LEADING_ZERO"),
            ("-01", "DECIMAL_LEADING_ZERO"),
            ("-0", "DECIMAL_NEGATIVE_ZERO"),
            ("-0.00", "DECIMAL_NEGATIVE_ZERO"),
            (
                "100000000000000000000000000000000000000",
                "DECIMAL_TOO_LONG",
            ),
            (
                "0.00000000000000000000000000000000000001",
                "DECIMAL_TOO_LONG",
            ),
        ] {
            assert_eq!(
                check_decimal(text).map_err(|error| error.rule),
                Err(rule),
                "{text:?}"
            );
        }
    }

    #[test]
    fn decimals_compare_as_numbers() {
        let ordered = [
            "-100",
            "-99.5",
            "-1",
            "-0.10",
            "-0.01",
            "0",
            "0.01",
            "0.1",
            "0.9",
            "1",
            "9",
            "10",
            "99.99",
            "100.5",
            "99999999999999999999999999999999999999",
        ];
        for (i, a) in ordered.iter().enumerate() {
            for (j, b) in ordered.iter().enumerate() {
                assert_eq!(decimal(a).cmp(&decimal(b)), i.cmp(&j), "{a} {b}");
            }
            assert_eq!(decimal(a).is_negative(), i < 5, "{a}");
            assert_eq!(decimal(a).is_positive(), 5 < i, "{a}");
        }
        assert_eq!(decimal("1.0"), decimal("1.00"));
    }

    #[test]
    fn sums_are_exact() {
        for (a, b, sum) in [
            ("0.1", "0.2", "0.3"),
            ("99.9", "0.6", "100.5"),
            ("1", "-1", "0"),
            ("-0.5", "0.25", "-0.25"),
            ("0.25", "-1", "-0.75"),
            ("-1.75", "-0.25", "-2"),
            (
                "0.9999999999999999999999999999999999999",
                "0.0000000000000000000000000000000000001",
                "1",
            ),
        ] {
            assert_eq!(
                decimal(a).checked_add(decimal(b)),
                Some(decimal(sum)),
                "{a} + {b}"
            );
            assert_eq!(
                decimal(b).checked_add(decimal(a)),
                Some(decimal(sum)),
                "{b} + {a}"
            );
        }
        let largest = decimal("99999999999999999999999999999999999999");
        assert_eq!(largest.checked_add(decimal("1")), None);
        assert_eq!(
            largest.checked_add(decimal("-1")).map(Decimal::is_positive),
            Some(true)
        );
    }

    proptest! {
        #[test]
        fn thousandths_behave_like_integers(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
            let thousandths = |n: i64| {
                let sign = if n < 0 { "-" } else { "" };
                decimal(&format!("{sign}{}.{:03}", n.abs() / 1000, n.abs() % 1000))
            };
            prop_assert_eq!(thousandths(a).cmp(&thousandths(b)), a.cmp(&b));
            prop_assert_eq!(thousandths(a).checked_add(thousandths(b)), Some(thousandths(a + b)));
        }
    }
}
