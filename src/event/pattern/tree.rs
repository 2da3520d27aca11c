//! Holds one way to satisfy a pattern, as a tree of keys, against an event. Pure.
//!
//! Keys that share an array of objects must be met by one and the same element of it. Walking pattern and
//! event together gives that for free, and visits every part of the event at most once for each key.

use serde_json::{Map, Value};

use super::matcher::Matcher;
use super::rules::Leaf;

/// Arrays that nest deeper than this in an event are taken for empty, lest a hostile event eats the stack.
const MAX_NESTING: usize = 256;

/// What the keys at and below a place want.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tree {
    leaf: Option<usize>,
    children: Vec<(String, Tree)>,
    /// Whether all leaves below this place, its own left out, would accept to be missing.
    children_optional: bool,
}

/// What came of looking for the keys below a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// At least one is there, and all are as wanted.
    Present,
    /// None is there, and all accept that.
    Absent,
    Failed,
}

impl Found {
    fn and(self, other: Found) -> Found {
        match (self, other) {
            (Found::Failed, _) | (_, Found::Failed) => Found::Failed,
            (Found::Absent, Found::Absent) => Found::Absent,
            _ => Found::Present,
        }
    }

    fn absent_if(optional: bool) -> Found {
        if optional { Found::Absent } else { Found::Failed }
    }
}

/// A value that an event offers for a place. Its key may have run ahead: for the place `a`, the event
/// `{"a.b":1}` offers 1 with `b` still to go.
#[derive(Clone, Copy)]
struct Offer<'e> {
    rest: Option<&'e str>,
    value: &'e Value,
}

impl Tree {
    /// The tree of the chosen leaves; a later leaf takes the place of an earlier one for the same path.
    pub fn new(leaves: &[Leaf], chosen: &[usize]) -> Tree {
        let mut root = Tree::default();
        for leaf in chosen {
            let mut place = &mut root;
            for key in leaves[*leaf].path.split('.') {
                place = place.child(key);
            }
            place.leaf = Some(*leaf);
        }
        root.mark_optional(leaves);
        root
    }

    /// Whether the event has everything as wanted.
    pub fn holds(&self, leaves: &[Leaf], event: &Value) -> bool {
        event.is_object() && Walk { leaves }.value(self, event, 0) != Found::Failed
    }

    fn child(&mut self, key: &str) -> &mut Tree {
        let at = self.children.iter().position(|(name, _)| name == key).unwrap_or(self.children.len());
        if at == self.children.len() {
            self.children.push((key.to_owned(), Tree::default()));
        }
        &mut self.children[at].1
    }

    fn mark_optional(&mut self, leaves: &[Leaf]) -> bool {
        let mut all = true;
        for (_, child) in &mut self.children {
            all &= child.mark_optional(leaves);
        }
        self.children_optional = all;
        all && self.leaf.is_none_or(|leaf| leaves[leaf].optional)
    }
}

struct Walk<'p> {
    leaves: &'p [Leaf],
}

impl Walk<'_> {
    fn value(&self, tree: &Tree, value: &Value, nesting: usize) -> Found {
        let own = match tree.leaf {
            Some(leaf) => self.leaf(leaf, [value], nesting),
            None => Found::Absent,
        };
        if own == Found::Failed || tree.children.is_empty() {
            return own;
        }
        own.and(self.children(tree, value, nesting))
    }

    fn missing(&self, tree: &Tree) -> Found {
        let own = tree.leaf.is_none_or(|leaf| self.leaves[leaf].optional);
        Found::absent_if(own && tree.children_optional)
    }

    fn leaf<'e>(&self, leaf: usize, values: impl IntoIterator<Item = &'e Value>, nesting: usize) -> Found {
        let leaf = &self.leaves[leaf];
        let mut seen = false;
        if values.into_iter().any(|value| takes(leaf, value, nesting, &mut seen)) {
            return Found::Present;
        }
        Found::absent_if(leaf.optional && !seen)
    }

    fn children(&self, tree: &Tree, value: &Value, nesting: usize) -> Found {
        match value {
            Value::Object(object) => self.object(tree, object, nesting),
            Value::Array(items) if nesting < MAX_NESTING => {
                self.any_element(tree, items, |item| self.children(tree, item, nesting + 1))
            }
            _ => Found::absent_if(tree.children_optional),
        }
    }

    /// One element must have all the keys; or none has any, and that is accepted.
    fn any_element<'e>(&self, tree: &Tree, items: &'e [Value], look: impl Fn(&'e Value) -> Found) -> Found {
        let mut optional = tree.children_optional;
        for item in items {
            match look(item) {
                Found::Present => return Found::Present,
                Found::Absent => {}
                Found::Failed => optional = false,
            }
        }
        Found::absent_if(optional)
    }

    fn object(&self, tree: &Tree, object: &Map<String, Value>, nesting: usize) -> Found {
        let dotted = object.keys().any(|key| key.contains('.'));
        let mut all = Found::Absent;
        for (key, child) in &tree.children {
            let found = if dotted {
                let mut offers = Vec::new();
                offer(object, key, &mut offers);
                self.offers(child, offers, nesting)
            } else {
                object.get(key).map_or_else(|| self.missing(child), |value| self.value(child, value, nesting))
            };
            all = all.and(found);
            if all == Found::Failed {
                break;
            }
        }
        all
    }

    /// Like `value`, when an event with dots in its keys offers several values for one place.
    fn offers(&self, tree: &Tree, offers: Vec<Offer>, nesting: usize) -> Found {
        match offers.as_slice() {
            [] => return self.missing(tree),
            [Offer { rest: None, value }] => return self.value(tree, value, nesting),
            _ => {}
        }
        let whole = offers.iter().filter(|offer| offer.rest.is_none()).map(|offer| offer.value);
        let own = tree.leaf.map_or(Found::Absent, |leaf| self.leaf(leaf, whole, nesting));
        if own == Found::Failed || tree.children.is_empty() {
            return own;
        }
        own.and(self.offered_children(tree, &offers, nesting))
    }

    fn offered_children(&self, tree: &Tree, offers: &[Offer], nesting: usize) -> Found {
        let arrays = offers.iter().filter(|offer| offer.rest.is_none() && offer.value.is_array()).count();
        let array = offers.iter().position(|offer| offer.rest.is_none() && offer.value.is_array());
        if let (1, Some(at), true) = (arrays, array, nesting < MAX_NESTING)
            && let Value::Array(items) = offers[at].value
            && !items.is_empty()
        {
            return self.any_element(tree, items, |item| {
                let mut offers = offers.to_vec();
                offers[at].value = item;
                self.offered_children(tree, &offers, nesting + 1)
            });
        }
        let mut all = Found::Absent;
        for (key, child) in &tree.children {
            let mut inner = Vec::new();
            for Offer { rest, value } in offers {
                match rest {
                    Some(rest) => inner.extend(ahead(rest, key, value)),
                    None => offer_within(value, key, &mut inner, nesting),
                }
            }
            all = all.and(self.offers(child, inner, nesting + 1));
            if all == Found::Failed {
                break;
            }
        }
        all
    }
}

/// Whether the value, or an element of the array, is one that the leaf takes; `seen` becomes true if there was any.
fn takes(leaf: &Leaf, value: &Value, nesting: usize, seen: &mut bool) -> bool {
    match value {
        Value::Object(_) => false,
        Value::Array(items) => {
            nesting < MAX_NESTING && items.iter().any(|item| takes(leaf, item, nesting + 1, seen))
        }
        value => {
            *seen = true;
            leaf.any.iter().any(|matcher| *matcher != Matcher::Missing && matcher.takes(value))
        }
    }
}

/// Adds what the object offers for a key: the value of that key, and those of keys that run ahead of it.
fn offer<'e>(object: &'e Map<String, Value>, key: &str, offers: &mut Vec<Offer<'e>>) {
    if let Some(value) = object.get(key) {
        offers.push(Offer { rest: None, value });
    }
    for (name, value) in object.iter().filter(|(name, _)| name.as_str() != key) {
        offers.extend(ahead(name, key, value));
    }
}

/// Like `offer`, for a value that may be an array of objects. Several arrays offer for one place only if an
/// event writes one path both nested and dotted; which element each key comes from is then left open.
fn offer_within<'e>(value: &'e Value, key: &str, offers: &mut Vec<Offer<'e>>, nesting: usize) {
    match value {
        Value::Object(object) => offer(object, key, offers),
        Value::Array(items) if nesting < MAX_NESTING => {
            items.iter().for_each(|item| offer_within(item, key, offers, nesting + 1));
        }
        _ => {}
    }
}

/// What is offered for `key` under a name that may run ahead of it.
fn ahead<'e>(name: &'e str, key: &str, value: &'e Value) -> Option<Offer<'e>> {
    match name.strip_prefix(key)? {
        "" => Some(Offer { rest: None, value }),
        rest => rest.strip_prefix('.').map(|rest| Offer { rest: Some(rest), value }),
    }
}
