//! Globs: `*` and `?`, as file names to ignore and conditions of policies have them. Pure.

/// Whether all of `text` matches `glob`: `*` stands for any text, `?` for one character.
pub fn matches(glob: &str, text: &str) -> bool {
    let (mut glob, mut text, mut star) = (glob.chars(), text.chars(), None);
    loop {
        let (mut rest, text_before) = (glob.clone(), text.clone());
        match (glob.next(), text.next()) {
            (Some('*'), _) => {
                text = text_before;
                star = Some((glob.clone(), text.clone()));
            }
            (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {}
            (_, None) => return rest.all(|it| it == '*'),
            _ => {
                // Let the last star take one character more.
                let Some((after, taken)) = &mut star else { return false };
                taken.next();
                (glob, text) = (after.clone(), taken.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_glob_of_stars_matches_what_it_was_made_from(parts in proptest::collection::vec("[a-c.]{0,3}", 1..5)) {
            let (glob, text) = (parts.join("*"), parts.join("ab"));
            prop_assert!(matches(&glob, &text), "{glob} {text}");
        }
    }

    #[test]
    fn globs_over_texts() {
        let check =
            |glob: &str, text: &str, expected| assert_eq!(matches(glob, text), expected, "{glob} {text}");
        for (glob, text) in [
            ("*.tmp", "a.tmp"),
            ("~*", "~x"),
            ("?", "ü"),
            ("*", ""),
            ("a*b*c", "aXbYbZc"),
            (".DS_Store", ".DS_Store"),
        ] {
            check(glob, text, true);
        }
        for (glob, text) in
            [("*.tmp", "a.tmpx"), ("?", ""), ("?", "ab"), ("a*b", "ac"), ("", "a"), ("A", "a")]
        {
            check(glob, text, false);
        }
    }
}
