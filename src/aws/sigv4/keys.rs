//! Whose signatures are good. Pure.

use std::fmt;

/// Whose signatures are good: anybody's, or one pair's.
#[derive(Clone, Default)]
pub struct Keys(Option<Pair>);

/// An access key and its secret.
#[derive(Clone)]
pub(super) struct Pair {
    pub access_key: String,
    pub secret: String,
}

impl Keys {
    /// Any credentials are welcome, and none as well.
    pub fn any() -> Keys {
        Keys(None)
    }
    /// Only this access key, with signatures that its secret made.
    pub fn only(access_key: impl Into<String>, secret: impl Into<String>) -> Keys {
        Keys(Some(Pair { access_key: access_key.into(), secret: secret.into() }))
    }
    /// Whether signatures are checked.
    pub fn are_checked(&self) -> bool {
        self.0.is_some()
    }
    /// The pair whose signatures are good; None if everybody is welcome.
    pub(super) fn pair(&self) -> Option<&Pair> {
        self.0.as_ref()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The secret stays one.
        match &self.0 {
            Some(pair) => write!(f, "Keys::only({:?}, …)", pair.access_key),
            None => write!(f, "Keys::any()"),
        }
    }
}
