//! Whose signatures are good. Pure.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose signatures are good: anybody's, or one pair's.
#[derive(Clone, Debug, Default)]
pub struct Keys(Option<Pair>);

/// An access key and its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// `AKIAIOSFODNN7EXAMPLE`: what a signature names.
    pub access_key: String,
    /// What signatures are made with.
    pub secret: String,
}

/// The fewest and the most characters of an access key; AWS's have 16 and more.
const ACCESS_KEY_LENGTHS: std::ops::RangeInclusive<usize> = 3..=128;
/// A secret that is shorter can be guessed.
const SECRET_MIN: usize = 8;

impl Pair {
    /// This pair, if it can be one: why not, otherwise. Both go into signatures, headers and the lines of a shell.
    pub fn new(access_key: &str, secret: &str) -> Result<Pair, String> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
        if !ACCESS_KEY_LENGTHS.contains(&access_key.len()) || !access_key.bytes().all(is_word) {
            return Err("an access key has 3 to 128 letters, digits, `_`, `-` or `.`".to_owned());
        }
        if secret.len() < SECRET_MIN || !secret.bytes().all(|byte| is_word(byte) || b"/+=".contains(&byte)) {
            return Err(
                "a secret key has 8 or more letters, digits, `_`, `-`, `.`, `/`, `+` or `=`".to_owned()
            );
        }
        Ok(Pair { access_key: access_key.to_owned(), secret: secret.to_owned() })
    }
}

impl Keys {
    /// Any credentials are welcome, and none as well.
    pub fn any() -> Keys {
        Keys(None)
    }
    /// Only this access key, with signatures that its secret made.
    pub fn only(pair: Pair) -> Keys {
        Keys(Some(pair))
    }
    /// Whether signatures are checked.
    pub fn are_checked(&self) -> bool {
        self.0.is_some()
    }
    /// The pair whose signatures are good; None if everybody is welcome.
    pub fn pair(&self) -> Option<&Pair> {
        self.0.as_ref()
    }
}

impl fmt::Debug for Pair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret stays one.
        write!(f, "Pair({:?}, …)", self.access_key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_two_words_that_fit_everywhere() {
        let pair =
            Pair::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("one");
        assert_eq!(format!("{pair:?}"), "Pair(\"AKIAIOSFODNN7EXAMPLE\", …)", "the secret is not shown");
        let check = |access_key: &str, secret: &str, words: &str| {
            let why = Pair::new(access_key, secret).expect_err("refused");
            assert!(why.contains(words), "{why}");
        };
        check("a/b/c", "long enough", "access key");
        check("ab", "long-enough", "access key");
        check("team", "short", "secret key");
        check("team", "$(reboot)", "secret key");
    }
}
