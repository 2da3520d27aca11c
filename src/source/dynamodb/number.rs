//! Decimal numbers as DynamoDB writes them, exact to the last digit. Pure.

/// A number in DynamoDB's canonical text: no exponent, no leading or trailing zeros, no `+`, no `-0`.
///
/// Two numbers are the same when their texts are. DynamoDB refuses more than 38 significant digits and
/// magnitudes beyond 9.99e125; we keep what the table holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(String);

/// Beyond this exponent a text is no number for us: written out, it would be longer than any double.
const EXPONENT_MAX: i64 = 400;
/// The largest size of a number, in bytes.
const SIZE_MAX: usize = 21;

impl Number {
    /// Reads `12`, `-3.50`, `1e3`, `.5`. None if it is no number, or its exponent is out of all bounds.
    pub fn parse(text: &str) -> Option<Number> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits = [whole, fraction].concat();
        let is_decimal = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        if !is_decimal || exponent.abs() > EXPONENT_MAX {
            return None;
        }
        Some(Number(written(negative, &digits, whole.len() as i64 + exponent)))
    }

    /// The double nearest to what SQLite holds, with as few digits as tell it from all others. None if it is not finite.
    pub fn of_double(value: f64) -> Option<Number> {
        value.is_finite().then(|| Number::parse(&format!("{value}"))).flatten()
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its size in bytes, as DynamoDB counts: one, one for each two digits aligned on the decimal point, and
    /// one for a minus sign; 21 at the most.
    pub fn size(&self) -> usize {
        let (negative, unsigned) = match self.0.strip_prefix('-') {
            Some(rest) => (1, rest),
            None => (0, self.0.as_str()),
        };
        if unsigned == "0" {
            return 1;
        }
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let left_pad = if whole.len() % 2 == 1 { "0" } else { "" };
        let right_pad = if fraction.len() % 2 == 1 { "0" } else { "" };
        let digits = [left_pad, whole, fraction, right_pad].concat();
        let pairs: Vec<&[u8]> = digits.as_bytes().chunks(2).collect();
        let first = pairs.iter().position(|pair| *pair != b"00").unwrap_or(0);
        let last = pairs.iter().rposition(|pair| *pair != b"00").unwrap_or(0);
        (1 + (last + 1 - first) + negative).min(SIZE_MAX)
    }
}

/// The exponent's value; out of bounds counts as just that.
fn exponent(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(i64::MAX))
}

/// The number `0.DIGITS × 10^point`, written out.
fn written(negative: bool, digits: &str, point: i64) -> String {
    let significant = digits.trim_start_matches('0');
    let point = point - (digits.len() - significant.len()) as i64;
    let significant = significant.trim_end_matches('0');
    if significant.is_empty() {
        return "0".to_owned();
    }
    let sign = if negative { "-" } else { "" };
    let length = significant.len() as i64;
    if point <= 0 {
        return format!("{sign}0.{}{significant}", "0".repeat(point.unsigned_abs() as usize));
    }
    if point >= length {
        return format!("{sign}{significant}{}", "0".repeat((point - length) as usize));
    }
    let (whole, fraction) = significant.split_at(point as usize);
    format!("{sign}{whole}.{fraction}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_dynamodb_writes_them() {
        for (given, expected) in [
            ("12", "12"),
            ("-3.50", "-3.5"),
            ("0", "0"),
            ("-0.00", "0"),
            ("007", "7"),
            ("1e3", "1000"),
            ("1.5E-3", "0.0015"),
            ("120", "120"),
            ("0.10", "0.1"),
            (".5", "0.5"),
            ("5.", "5"),
            ("+4", "4"),
            ("1e30", "1000000000000000000000000000000"),
            ("12.5e1", "125"),
            ("12.34e1", "123.4"),
            ("0e99", "0"),
            ("12345678901234567890123456789012345678", "12345678901234567890123456789012345678"),
        ] {
            assert_eq!(Number::parse(given).as_ref().map(Number::as_str), Some(expected), "{given}");
        }
        for text in [
            "",
            "-",
            "+",
            ".",
            "e5",
            "1e",
            "1e+",
            "1x",
            "0x10",
            "1e999999999999999999999",
            "1e401",
            "Inf",
            "--1",
            "1.2.3",
        ] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }

    #[test]
    fn doubles_have_their_shortest_text() {
        let text = |value: f64| Number::of_double(value).map(|n| n.as_str().to_owned());
        assert_eq!(text(0.1 + 0.2).as_deref(), Some("0.30000000000000004"));
        assert_eq!(text(1.0).as_deref(), Some("1"));
        assert_eq!(text(1e21).as_deref(), Some("1000000000000000000000"));
        assert_eq!(text(f64::INFINITY), None);
    }

    #[test]
    fn a_number_takes_one_byte_for_two_digits() {
        for (text, size) in [
            ("0", 1),
            ("1", 2),
            ("12", 2),
            ("123", 3),
            ("100", 2),
            ("1000", 2),
            ("1001", 3),
            ("-1", 3),
            ("0.5", 2),
            ("0.001", 2),
            ("123.45", 4),
            ("1723213300", 5),
            ("1689335427", 6),
            ("-0.15", 3),
            ("12345678901234567890123456789012345678", 20),
            ("1234567890123456789012345678901234567.5", 21),
            ("-12345678901234567890123456789012345678.9", 21),
        ] {
            assert_eq!(Number::parse(text).map(|n| n.size()), Some(size), "{text}");
        }
    }
}
