//! What calls wrote a moment ago. The kernel tells of it as of any other file; it need not be read to be known. Pure.

use std::collections::{HashMap, VecDeque};

use super::folder::Stamp;

/// How many writes are remembered: those whose notice is still on its way.
const KEPT: usize = 4096;

/// The files that we wrote last, and the stamps we gave them.
#[derive(Debug, Default)]
pub struct Ours {
    stamps: HashMap<String, Stamp>,
    order: VecDeque<String>,
}

impl Ours {
    /// We wrote this file.
    pub fn wrote(&mut self, key: &str, stamp: Stamp) {
        if self.stamps.insert(key.to_owned(), stamp).is_none() {
            self.order.push_back(key.to_owned());
        }
        if self.order.len() > KEPT
            && let Some(oldest) = self.order.pop_front()
        {
            self.stamps.remove(&oldest);
        }
    }
    /// Somebody else did something to it.
    pub fn forget(&mut self, key: &str) {
        if self.stamps.remove(key).is_some() {
            self.order.retain(|known| known != key);
        }
    }
    /// The stamp that we gave this file last, if it was a moment ago.
    pub fn of(&self, key: &str) -> Option<Stamp> {
        self.stamps.get(key).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_writes_are_remembered() {
        let stamp = |size| Stamp { size, mtime: 1, inode: 2 };
        let mut ours = Ours::default();
        ours.wrote("a", stamp(1));
        ours.wrote("a", stamp(2));
        assert_eq!((ours.of("a"), ours.of("b")), (Some(stamp(2)), None));
        ours.wrote("b", stamp(3));
        ours.forget("b");
        assert_eq!((ours.of("a"), ours.of("b")), (Some(stamp(2)), None));
        (0..KEPT as u64).for_each(|n| ours.wrote(&format!("k{n}"), stamp(n)));
        assert_eq!((ours.of("a"), ours.of("k0")), (None, Some(stamp(0))));
    }
}
