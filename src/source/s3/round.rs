//! Which orders are carried out together.

use std::collections::HashSet;

use super::order::{Act, Order};
use super::spelling::Ways;

/// What orders that are carried out together have to do with: no key comes twice among them, none needs a folder where
/// another has its file, and what concerns the whole bucket comes alone.
#[derive(Default)]
pub struct Round {
    ways: Ways,
    keys: HashSet<String>,
    folders: HashSet<String>,
    is_full: bool,
}

impl Round {
    fn takes(&mut self, order: &Order, others: &[&Round]) -> bool {
        match order.act {
            _ if self.is_full => false,
            // What concerns the whole bucket comes alone.
            Act::Close(_) | Act::KeepVersions(_) => self.takes_alone(others),
            _ => self.takes_key(&order.key, others),
        }
    }

    fn takes_alone(&mut self, others: &[&Round]) -> bool {
        self.is_full = self.keys.is_empty() && others.is_empty();
        self.is_full
    }

    fn takes_key(&mut self, key: &str, others: &[&Round]) -> bool {
        if self.is_full || others.iter().any(|other| other.is_full) {
            return false;
        }
        // Nobody but the file system knows which others it takes for this one.
        let Some(key) = self.ways.folded(key) else { return self.takes_alone(others) };
        let file = key.trim_end_matches('/');
        if self.has_to_do_with(file) || others.iter().any(|other| other.has_to_do_with(file)) {
            return false;
        }
        self.folders.extend(folders_of(file).map(str::to_owned));
        self.keys.insert(file.to_owned());
        true
    }

    fn has_to_do_with(&self, file: &str) -> bool {
        self.keys.contains(file)
            || self.folders.contains(file)
            || folders_of(file).any(|it| self.keys.contains(it))
    }
}

fn folders_of(file: &str) -> impl Iterator<Item = &str> {
    file.match_indices('/').map(|(at, _)| &file[..at])
}

/// The orders that are carried out first, beside `others` that are under way, and those that come after them.
pub fn first(orders: Vec<Order>, ways: Ways, others: &[&Round]) -> (Round, Vec<Order>, Vec<Order>) {
    let mut round = Round { ways, ..Round::default() };
    let (first, later) = orders.into_iter().partition(|order| round.takes(order, others));
    (round, first, later)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ways: Ways, keys: &[&str], taken: &[&str]) {
        let mut round = Round { ways, ..Round::default() };
        let took: Vec<&str> = keys.iter().copied().filter(|key| round.takes_key(key, &[])).collect();
        assert_eq!(took, taken, "{keys:?}");
    }

    #[test]
    fn no_key_comes_twice_nor_as_a_file_and_as_a_folder() {
        let all = Ways::default();
        check(all, &["a", "b", "a", "A"], &["a", "b", "A"]);
        check(all, &["n", "n/m", "n/m/o", "n!"], &["n", "n!"]);
        check(all, &["n/m/o", "n/m", "n", "n/p"], &["n/m/o", "n/p"]);
        check(all, &["d/", "d", "d/e"], &["d/"]);
        check(all, &["a//b", "a/", "a/b"], &["a//b", "a/b"]);
    }

    #[test]
    fn nothing_is_taken_that_others_have_to_do_with() {
        let mut other = Round::default();
        assert!(other.takes_key("n/m", &[]));
        let mut round = Round::default();
        let taken = ["n", "n/m", "n/m/o", "n/p", "q"].map(|key| round.takes_key(key, &[&other]));
        assert_eq!(taken, [false, false, false, true, true]);
        let mut alone = Round::default();
        assert!(!alone.takes_alone(&[&other]) && alone.takes_alone(&[]));
        assert!(!Round::default().takes_key("q", &[&alone]));
    }

    #[test]
    fn what_the_file_system_takes_for_one_key_is_one() {
        let blind = Ways { is_blind: true, ..Ways::default() };
        check(blind, &["a", "A", "b/x", "B/y", "B"], &["a", "b/x", "B/y"]);
        for beyond in ["ä", "a/ä", "\u{212a}", "ß"] {
            check(blind, &[beyond, "ä", "a", "k", "ss"], &[beyond]);
            check(blind, &["a", "k", "ss", beyond], &["a", "k", "ss"]);
        }
    }
}
