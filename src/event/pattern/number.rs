//! Numbers of patterns and events, compared exactly whatever their notation. Pure.

use std::cmp::Ordering;

/// A number: `1`, `1.0` and `1e0` are the same one.
///
/// Both sides of a comparison come through the same reader, so a decimal that has no exact double is
/// rounded to the same one on both.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Whole(i128),
    /// Finite, and either with a fraction or too large for `Whole`.
    Part(f64),
}

/// Doubles below this size with no fraction fit an `i128` exactly.
const WHOLE_LIMIT: f64 = 1e38;

impl Number {
    /// A number as it stands in an event.
    pub fn of(number: &serde_json::Number) -> Option<Number> {
        if let Some(whole) = number.as_i64() {
            return Some(Number::Whole(whole.into()));
        }
        if let Some(whole) = number.as_u64() {
            return Some(Number::Whole(whole.into()));
        }
        let float = number.as_f64().filter(|f| f.is_finite())?;
        let fits = float.fract() == 0.0 && float.abs() < WHOLE_LIMIT;
        Some(if fits { Number::Whole(float as i128) } else { Number::Part(float) })
    }

    /// Reads a JSON number. None if it is too large for a double, or so small that only zero would be left.
    pub fn read(text: &str) -> Option<Number> {
        let number = Number::of(&serde_json::from_str(text).ok()?)?;
        let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
        let vanished =
            matches!(number, Number::Whole(0)) && mantissa.bytes().any(|b| (b'1'..=b'9').contains(&b));
        (!vanished).then_some(number)
    }

    pub fn compare(self, other: Number) -> Ordering {
        match (self, other) {
            (Number::Whole(a), Number::Whole(b)) => a.cmp(&b),
            (Number::Part(a), Number::Part(b)) => a.total_cmp(&b),
            (Number::Whole(a), Number::Part(b)) => whole_to_part(a, b),
            (Number::Part(a), Number::Whole(b)) => whole_to_part(b, a).reverse(),
        }
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Number) -> bool {
        self.compare(*other) == Ordering::Equal
    }
}

fn whole_to_part(whole: i128, part: f64) -> Ordering {
    if part.abs() >= WHOLE_LIMIT {
        return if part > 0.0 { Ordering::Less } else { Ordering::Greater };
    }
    // The part has a fraction, so it lies strictly above its floor.
    if whole <= part.floor() as i128 { Ordering::Less } else { Ordering::Greater }
}

/// A stretch of numbers; an end is None where it is open-ended, and `true` beside the bound includes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Range {
    pub bottom: Option<(Number, bool)>,
    pub top: Option<(Number, bool)>,
}

impl Range {
    pub fn contains(&self, number: Number) -> bool {
        let within = |bound: &Option<(Number, bool)>, outside: Ordering| match bound {
            None => true,
            Some((bound, included)) => match number.compare(*bound) {
                Ordering::Equal => *included,
                order => order != outside,
            },
        };
        within(&self.bottom, Ordering::Less) && within(&self.top, Ordering::Greater)
    }
}
