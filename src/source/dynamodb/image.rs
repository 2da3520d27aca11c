//! Row images: what the triggers write of a row, and how it is read. Pure.
//!
//! A line with the columns' names as a JSON array, then the values: a TEXT as `t`, its length in bytes, `:` and
//! the text; everything else as the SQL literal that `quote()` makes, and a comma. So every value is exact, zero
//! bytes and broken UTF-8 included. SQL functions for JSON would be simpler, but SQLite before 3.41 runs no
//! JSON function in a trigger where the schema is not trusted, and the user's own write would fail.

use super::attribute::Attribute;
use super::triggers::{identifier, literal};

/// The SQL expression of the image of a row with these columns, in a scope where their names stand for their values.
pub fn expression(columns: &[String]) -> String {
    let names = serde_json::Value::from(columns).to_string();
    let value = |name: &String| {
        let column = identifier(name);
        format!(
            "CASE typeof({column}) WHEN 'text' THEN 't' || length(CAST({column} AS BLOB)) || ':' || {column} \
             ELSE quote({column}) || ',' END"
        )
    };
    let mut parts = vec![literal(&format!("{names}\n"))];
    parts.extend(columns.iter().map(value));
    concatenated(&parts)
}

/// SQLite parses expressions up to a depth of 1000, and tables may have 2000 columns: a tree, not a chain.
fn concatenated(parts: &[String]) -> String {
    match parts.len() {
        0..=8 => parts.join(" || "),
        count => {
            let (left, right) = parts.split_at(count / 2);
            format!("({}) || ({})", concatenated(left), concatenated(right))
        }
    }
}

/// The columns of a row with their values. None if this is no image.
pub fn read(image: &[u8]) -> Option<Vec<(String, Attribute)>> {
    let end = image.iter().position(|b| *b == b'\n')?;
    let names: Vec<String> = serde_json::from_slice(&image[..end]).ok()?;
    let mut rest = &image[end + 1..];
    let mut found = Vec::with_capacity(names.len());
    for name in names {
        let value;
        (value, rest) = next_value(rest)?;
        found.push((name, value));
    }
    rest.is_empty().then_some(found)
}

/// The first value, and what follows it.
fn next_value(bytes: &[u8]) -> Option<(Attribute, &[u8])> {
    let until = |mark: u8| bytes.iter().position(|b| *b == mark);
    if bytes.first() == Some(&b't') {
        let start = until(b':')? + 1;
        let length: usize = std::str::from_utf8(&bytes[1..start - 1]).ok()?.parse().ok()?;
        let text = bytes.get(start..start.checked_add(length)?)?;
        return Some((Attribute::S(String::from_utf8_lossy(text).into_owned()), &bytes[start + length..]));
    }
    let end = until(b',')?;
    let literal = std::str::from_utf8(&bytes[..end]).ok()?;
    Some((Attribute::from_literal(literal), &bytes[end + 1..]))
}

/// The image of these columns: SQL literals, texts after a `t`.
#[cfg(test)]
pub fn of(columns: &[(&str, &str)]) -> Vec<u8> {
    let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
    let value = |(_, value): &(&str, &str)| match value.strip_prefix('t') {
        Some(text) => format!("t{}:{text}", text.len()),
        None => format!("{value},"),
    };
    let values: String = columns.iter().map(value).collect();
    format!("{}\n{values}", serde_json::json!(names)).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_read_as_it_was_written() {
        let columns =
            [("a", "1"), ("b,\n\"", "t,:\n\0é"), ("c", "NULL"), ("d", "X'00'"), ("e", "t"), ("f", "2.5")];
        let read = read(&of(&columns)).expect("an image");
        let shown: Vec<(&str, String)> =
            read.iter().map(|(name, value)| (name.as_str(), value.shown())).collect();
        let expected = [
            ("a", "1"),
            ("b,\n\"", ",:\n\0é"),
            ("c", "{\"NULL\":true}"),
            ("d", "AA=="),
            ("e", ""),
            ("f", "2.5"),
        ];
        assert_eq!(shown, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn broken_text_is_replaced_and_a_broken_image_is_none() {
        let mut image = of(&[("a", "txy"), ("b", "1")]);
        let at = image.iter().rposition(|b| *b == b'x').expect("x");
        image[at] = 0xff;
        let read_back = read(&image).map(|found| found[0].1.shown());
        assert_eq!(read_back.as_deref(), Some("\u{fffd}y"));
        for cut in 0..image.len() {
            assert_eq!(read(&image[..cut]), None, "cut at {cut}");
        }
        assert_eq!(read(b"[\"a\"]\nt99999999999999999999:x"), None);
        assert_eq!(read(b"[\"a\"]\nt18446744073709551615:x"), None);
    }
}
