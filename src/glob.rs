//! Globs: `*` and `?`, as file names to ignore and conditions of policies have them. Pure.

/// Whether all of `text` matches `glob`: `*` stands for any text, `?` for one character.
pub fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    let (mut g, mut n, mut star) = (0, 0, None);
    while n < text.len() {
        match glob.get(g) {
            Some('*') => {
                star = Some((g, n));
                g += 1;
            }
            Some(c) if *c == '?' || *c == text[n] => {
                g += 1;
                n += 1;
            }
            _ => {
                // Let the last star take one character more.
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                g = at + 1;
                n = taken + 1;
            }
        }
    }
    glob[g..].iter().all(|c| *c == '*')
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
