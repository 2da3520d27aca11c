//! Sizes, times and counts in the words that people use, and the same read back.

use std::time::Duration;

use crate::clock::Timestamp;

/// A request id as it is shown where there is little room: its first eight digits.
pub fn short_id(request_id: &str) -> &str {
    request_id.split('-').next().unwrap_or(request_id)
}

/// `42 B`, `47.1 kB`, `3.0 MB`.
pub fn size(bytes: u64) -> String {
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut value = bytes as f64 / 1000.0;
    for unit in ["kB", "MB", "GB"] {
        if value < 999.95 {
            return format!("{value:.1} {unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.1} TB")
}

/// How long something took, given in milliseconds: `0.4 ms`, `212 ms`, `1.4 s`.
pub fn took(millis: f64) -> String {
    match millis {
        nothing if nothing < 0.05 => "0 ms".into(),
        tiny if tiny < 9.95 => format!("{tiny:.1} ms"),
        short if short < 999.5 => format!("{short:.0} ms"),
        long => format!("{:.1} s", long / 1000.0),
    }
}

/// How far off something is: `0.8 s`, `1 s`, `11 h 57 min`, `2 d 3 h`.
pub fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => {
            let tenths = (duration.as_millis() + 50) / 100;
            match tenths % 10 {
                0 => format!("{} s", tenths / 10),
                rest => format!("{}.{rest} s", tenths / 10),
            }
        }
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

/// `1 function`, `4 functions`.
pub fn count(number: usize, what: &str) -> String {
    match (number, what) {
        (1, _) => format!("1 {what}"),
        (_, "try") => format!("{number} tries"),
        _ => format!("{number} {what}s"),
    }
}

/// `14:02:11.402` of an RFC 3339 time, which is in UTC.
pub fn time_of_day(iso: &str) -> &str {
    iso.get(11..23).unwrap_or(iso)
}

/// `2026-11-22 14:05:10 UTC` of an RFC 3339 time.
pub fn date_and_time(iso: &str) -> String {
    match (iso.get(..10), iso.get(11..19)) {
        (Some(date), Some(time)) => format!("{date} {time} UTC"),
        _ => iso.to_owned(),
    }
}

/// How long from one RFC 3339 time to a later one; nothing if either is none.
pub fn between(earlier: &str, later: &str) -> Duration {
    match (Timestamp::parse(earlier), Timestamp::parse(later)) {
        (Some(earlier), Some(later)) => later.since(earlier),
        _ => Duration::ZERO,
    }
}

/// The text, or its beginning and `…`, so that it is at most `width` characters.
pub fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Text that somebody else wrote, on one line and without codes that would steer the terminal.
pub fn harmless(text: &str) -> String {
    let shown = |sign: char| if sign.is_control() { ' ' } else { sign };
    text.chars().map(shown).collect()
}

/// Reads `12h`, `1h30m`, `500ms`, `90s`, or a number of seconds.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write 500ms, 90s, 5m, 12h or 1h30m");
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    let mut rest = text;
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|sign: char| !sign.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let after = &rest[digits..];
        let letters = after.find(|sign: char| sign.is_ascii_digit()).unwrap_or(after.len());
        let millis: u64 = match &after[..letters] {
            "ms" => 1,
            "s" => 1000,
            "m" | "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        total = number.checked_mul(millis).and_then(|more| total.checked_add(more)).ok_or_else(wrong)?;
        rest = &after[letters..];
    }
    match text.is_empty() {
        true => Err(wrong()),
        false => Ok(Duration::from_millis(total)),
    }
}

fn two(big: u64, big_unit: &str, small: u64, small_unit: &str) -> String {
    match small {
        0 => format!("{big} {big_unit}"),
        _ => format!("{big} {big_unit} {small} {small_unit}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_size(bytes: u64, expected: &str) {
        assert_eq!(size(bytes), expected);
    }

    fn check_span(millis: u64, expected: &str) {
        assert_eq!(span(Duration::from_millis(millis)), expected);
    }

    fn check_parse(text: &str, expected: Option<u64>) {
        let millis = parse_duration(text).ok().map(|duration| duration.as_millis() as u64);
        assert_eq!(millis, expected, "{text}");
    }

    #[test]
    fn sizes_read_as_people_say_them() {
        check_size(0, "0 B");
        check_size(999, "999 B");
        check_size(47_104, "47.1 kB");
        check_size(999_990, "1.0 MB");
        check_size(3_000_000_000, "3.0 GB");
    }

    #[test]
    fn spans_have_two_units_at_the_most() {
        check_span(800, "0.8 s");
        check_span(1000, "1 s");
        check_span(61_000, "1 min 1 s");
        check_span(43_020_000, "11 h 57 min");
        check_span(172_800_000, "2 d");
    }

    #[test]
    fn durations_are_read_back() {
        check_parse("12h", Some(43_200_000));
        check_parse("1h30m", Some(5_400_000));
        check_parse("500ms", Some(500));
        check_parse("7", Some(7000));
        check_parse("", None);
        check_parse("soon", None);
        check_parse("5", Some(5000));
        check_parse("99999999999999999999d", None);
    }

    #[test]
    fn what_others_wrote_cannot_steer_the_terminal() {
        assert_eq!(harmless("a\u{1b}[2Jb\nc"), "a [2Jb c");
    }

    #[test]
    fn long_text_is_cut_with_a_sign_of_it() {
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
