//! Dates as HTTP writes them. Pure.

use crate::clock::Timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// `Wed, 12 Oct 2009 17:50:00 GMT`, in whole seconds.
pub fn http(time: Timestamp) -> String {
    let iso = time.iso_seconds();
    // Years before 0 or after 9999 have other widths; a bucket has none.
    let part = |range: std::ops::Range<usize>| iso.get(range).unwrap_or("00");
    let month = part(5..7).parse::<usize>().ok().and_then(|month| MONTHS.get(month.wrapping_sub(1)));
    let day = usize::try_from(time.as_seconds().div_euclid(86_400).rem_euclid(7)).unwrap_or(0);
    format!(
        "{}, {} {} {} {} GMT",
        DAYS[day % 7],
        part(8..10),
        month.unwrap_or(&"Jan"),
        part(0..4),
        part(11..19)
    )
}

/// Reads the three forms of HTTP, and RFC 3339, which AWS takes as well. None if it is no date.
pub fn read(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Some(time) = Timestamp::parse(text) {
        return Some(time);
    }
    let words: Vec<&str> = text.split([' ', '-', ',']).filter(|word| !word.is_empty()).collect();
    let (day, month, year, clock) = match words.as_slice() {
        [_, day, month, year, clock, "GMT" | "UTC" | "+0000"] => (*day, *month, *year, *clock),
        [_, month, day, clock, year] => (*day, *month, *year, *clock),
        _ => return None,
    };
    let month = 1 + MONTHS.iter().position(|known| known.eq_ignore_ascii_case(month))?;
    let year: u32 = match year.len() {
        // RFC 850 has two digits: the nearest year that ends in them.
        2 => year.parse::<u32>().ok().map(|year| if year < 70 { 2000 + year } else { 1900 + year })?,
        4 => year.parse().ok()?,
        _ => return None,
    };
    let day: u32 = day.parse().ok()?;
    Timestamp::parse(&format!("{year:04}-{month:02}-{day:02}T{clock}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_and_written() {
        let at = Timestamp::from_millis(784_111_777_123);
        assert_eq!(http(at), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(http(Timestamp::from_millis(0)), "Thu, 01 Jan 1970 00:00:00 GMT");
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(read(text).map(Timestamp::as_seconds), expected, "{text}");
        };
        check("Sun, 06 Nov 1994 08:49:37 GMT", Some(784_111_777));
        check("Sunday, 06-Nov-94 08:49:37 GMT", Some(784_111_777));
        check("Sun Nov  6 08:49:37 1994", Some(784_111_777));
        check("1994-11-06T08:49:37.000Z", Some(784_111_777));
        check("Sun, 31 Feb 1994 08:49:37 GMT", None);
        check("yesterday", None);
        check("", None);
        check("Sun, é Nov 1994 08:49:37 GMT", None);
    }
}
