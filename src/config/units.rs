//! The small notations of the wiring file: times, memory sizes, shell words, the start of the clock.

use std::time::Duration;

use toml_edit::Item;

use super::ClockStart;
use crate::clock::Timestamp;

/// `"10s"`, `"500ms"`, `"5m"`, `"6h"`, `"7d"`, or a whole number of seconds.
pub(super) fn duration(item: &Item) -> Option<Duration> {
    match item.as_integer() {
        Some(seconds) => u64::try_from(seconds).ok().map(Duration::from_secs),
        None => duration_text(item.as_str()?),
    }
}

pub(super) fn duration_text(text: &str) -> Option<Duration> {
    let (number, unit) = amount(text)?;
    let millis: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

/// A duration as the file would write it: `3s`, `6h`, `500ms`.
pub(super) fn short(duration: Duration) -> String {
    let millis = duration.as_millis();
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    match units.iter().find(|(length, _)| millis > 0 && millis.is_multiple_of(*length)) {
        Some((length, unit)) => format!("{}{unit}", millis / length),
        None if millis == 0 => "0s".into(),
        None => format!("{millis}ms"),
    }
}

/// `"256MB"`, `"1GB"`, or a whole number of MB.
pub(super) fn memory_mb(item: &Item) -> Option<u32> {
    let megabytes = match (item.as_integer(), item.as_str()) {
        (Some(number), _) => u64::try_from(number).ok()?,
        (None, Some(text)) => match amount(text)? {
            (number, "MB") => number,
            (number, "GB") => number.checked_mul(1024)?,
            _ => return None,
        },
        (None, None) => return None,
    };
    u32::try_from(megabytes).ok()
}

/// `"real"`, `"frozen"`, a time, or `"x60"`.
pub(super) fn clock_start(text: &str) -> Option<ClockStart> {
    match text {
        "real" => return Some(ClockStart::Real),
        "frozen" => return Some(ClockStart::Frozen),
        _ => {}
    }
    let Some(rate) = text.strip_prefix('x') else {
        return Timestamp::parse(text).map(ClockStart::At);
    };
    // Digits only: a float would also read "inf", "nan" and "1e9".
    let plain = rate.starts_with(|first: char| first.is_ascii_digit())
        && rate.chars().all(|sign| sign.is_ascii_digit() || sign == '.');
    let rate: f64 = rate.parse().ok().filter(|_| plain)?;
    (0.001..=100_000.0).contains(&rate).then_some(ClockStart::Scaled(rate))
}

/// Splits a command as a shell does: blanks part words, quotes keep them, a backslash takes the next character
/// as it is (between double quotes only before `"`, `\`, `$` and a backtick). None if a quote stays open.
pub(super) fn shell_words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut signs = text.chars().peekable();
    while let Some(sign) = signs.next() {
        match sign {
            blank if blank.is_whitespace() => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match signs.next()? {
                        '\'' => break,
                        sign => word.push(sign),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match signs.next()? {
                        '"' => break,
                        '\\' if signs.peek().is_some_and(|next| "\"\\$`".contains(*next)) => {
                            word.extend(signs.next());
                        }
                        sign => word.push(sign),
                    }
                }
            }
            '\\' => word.get_or_insert_default().push(signs.next()?),
            sign => word.get_or_insert_default().push(sign),
        }
    }
    words.extend(word);
    Some(words)
}

/// Digits and the letters behind them.
fn amount(text: &str) -> Option<(u64, &str)> {
    let digits = text.find(|sign: char| !sign.is_ascii_digit())?;
    let number = text[..digits].parse().ok()?;
    Some((number, text[digits..].trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_duration(text: &str, expected: Option<u64>) {
        assert_eq!(duration_text(text).map(|time| time.as_millis() as u64), expected, "{text}");
    }

    #[test]
    fn times_carry_a_unit() {
        check_duration("500ms", Some(500));
        check_duration("10s", Some(10_000));
        check_duration("10 s", Some(10_000));
        check_duration("7d", Some(604_800_000));
        for wrong in
            ["", "10", "s", "-1s", "1.5s", "10 parsecs", "99999999999999999999s", "18446744073709551615d"]
        {
            check_duration(wrong, None);
        }
    }

    fn check_short(text: &str) {
        assert_eq!(duration_text(text).map(short).as_deref(), Some(text));
    }

    #[test]
    fn times_are_shown_as_the_file_would_write_them() {
        for text in ["0s", "1s", "1m", "6h", "7d", "1500ms"] {
            check_short(text);
        }
    }

    fn check_clock(text: &str, expected: Option<ClockStart>) {
        assert_eq!(clock_start(text), expected, "{text}");
    }

    #[test]
    fn the_clock_starts_in_four_ways() {
        check_clock("real", Some(ClockStart::Real));
        check_clock("frozen", Some(ClockStart::Frozen));
        check_clock("2026-01-05T09:00:00Z", Timestamp::parse("2026-01-05T09:00:00Z").map(ClockStart::At));
        check_clock("x60", Some(ClockStart::Scaled(60.0)));
        check_clock("x0.5", Some(ClockStart::Scaled(0.5)));
        for wrong in ["", "x", "x0", "x-1", "xinf", "xnan", "x1e3", "slow", "2026-13-05"] {
            check_clock(wrong, None);
        }
    }

    fn check_words(text: &str, expected: Option<&[&str]>) {
        assert_eq!(
            shell_words(text).as_deref(),
            expected.map(|words| words.to_vec()).map(owned).as_deref(),
            "{text}"
        );
    }

    fn owned(words: Vec<&str>) -> Vec<String> {
        words.into_iter().map(str::to_owned).collect()
    }

    #[test]
    fn commands_split_like_in_a_shell() {
        check_words("sh run.sh", Some(&["sh", "run.sh"]));
        check_words("  python3  -m 'my app' ", Some(&["python3", "-m", "my app"]));
        check_words(r#"echo "a \"b\" c" d\ e ''"#, Some(&["echo", "a \"b\" c", "d e", ""]));
        check_words("a'b'c", Some(&["abc"]));
        check_words("", Some(&[]));
        check_words("sh 'open", None);
        check_words("sh \"open", None);
        check_words("sh \\", None);
    }
}
