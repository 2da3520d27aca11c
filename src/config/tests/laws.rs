//! Whatever the input: an answer, never a panic, and complaints that point into the file.

use proptest::prelude::*;

use super::good_files::EVERYTHING;
use super::project;
use crate::config::Config;

/// Parses and renders; complaints have places in the file and codes that are explained.
fn check(text: &str) {
    let root = project();
    let Err(complaints) = Config::parse(root.path(), "any.toml", text) else {
        return;
    };
    assert!(!complaints.list().is_empty());
    for one in complaints.list() {
        assert!(one.line <= text.split('\n').count() && one.line > 0, "{} at line {}", one.code, one.line);
        assert!(crate::config::explain(one.code).is_some(), "{}", one.code);
    }
    assert!(!complaints.render(false).is_empty() && !complaints.render(true).is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_answered(text in any::<String>()) {
        check(&text);
    }

    #[test]
    fn any_bytes_are_answered(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn a_file_with_anything_put_into_it_is_answered(
        place in 0..EVERYTHING.len(),
        length in 0..60usize,
        insert in "[\\PC\\[\\]=\"'{}#,.:*\r\n\t]{0,6}",
    ) {
        let start = EVERYTHING.floor_char_boundary(place);
        let end = EVERYTHING.floor_char_boundary(place + length).max(start);
        check(&format!("{}{insert}{}", &EVERYTHING[..start], &EVERYTHING[end..]));
    }

    #[test]
    fn any_value_of_any_setting_is_answered(
        line in 0..EVERYTHING.lines().count(),
        value in prop_oneof![
            Just("3".to_owned()), Just("-1".to_owned()), Just("1e400".to_owned()), Just("true".to_owned()),
            Just("[]".to_owned()), Just("[[]]".to_owned()), Just("{}".to_owned()), Just("2026-01-05".to_owned()),
            Just("\"\"".to_owned()), Just("9223372036854775807".to_owned()), Just("\"\\u0000\"".to_owned()),
            Just("\"\"\"\n\n\"\"\"".to_owned()), Just("[\"\", 1, {a = 2}]".to_owned()), Just("\"s3:ä/ö*ü ß\"".to_owned()),
            Just("\"ä\\tö\"".to_owned()), Just("{ x.y = 1 }".to_owned()),
            "\"[a-z0-9:*/ .]{0,20}\"",
        ],
    ) {
        let changed: Vec<String> = EVERYTHING.lines().enumerate().map(|(number, text)| {
            match text.split_once('=').filter(|_| number == line) {
                Some((key, _)) => format!("{key}= {value}"),
                None => text.to_owned(),
            }
        }).collect();
        check(&changed.join("\n"));
    }
}

#[test]
fn deep_nesting_and_long_files_are_answered() {
    let deep = 100_000;
    for (open, close) in [("[", "]"), ("{ a = ", " }")] {
        check(&format!("x = {}{}\n", open.repeat(deep), close.repeat(deep)));
        check(&format!("[function.f]\non = {}\n", open.repeat(deep)));
    }
    check(&format!("x{} = 1\n", ".a".repeat(deep)));
    check(&format!("[function.f]\nexec = \"{}\"\n", "é".repeat(deep)));
}
