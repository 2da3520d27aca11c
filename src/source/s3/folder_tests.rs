//! The laws of comparing, and what single looks mean.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn stamp(size: u64) -> Stamp {
    Stamp { size, mtime: 1_000, inode: size + 1 }
}

fn known(key: &str, size: u64) -> Known {
    let (etag, sequencer, extra) = (format!("e{size}"), Sequencer::default(), Extra::default());
    Known { key: key.into(), stamp: stamp(size), etag, sequencer, extra }
}

fn found(key: &str, size: u64) -> Found {
    Found { key: key.into(), stamp: Some(stamp(size)) }
}

/// Compares with both streams read in pieces of these sizes.
fn compare(files: Vec<Found>, objects: Vec<Known>, pieces: (usize, usize)) -> Vec<String> {
    let (mut files, mut objects) = (files.into_iter().peekable(), objects.into_iter().peekable());
    let (mut comparison, mut keys) = (Comparison::default(), Vec::new());
    loop {
        keys.extend(comparison.differences(&(i64::MAX..=i64::MAX)));
        if comparison.all_found && comparison.all_known {
            return keys;
        }
        if comparison.found.is_empty() {
            comparison.found.extend(files.by_ref().take(pieces.0));
            comparison.all_found = files.peek().is_none();
        }
        if comparison.known.is_empty() {
            comparison.known.extend(objects.by_ref().take(pieces.1));
            comparison.all_known = objects.peek().is_none();
        }
    }
}

/// A folder's files or a bucket's objects: few keys, so that they meet; some below one folder.
fn contents() -> impl Strategy<Value = BTreeMap<String, u64>> {
    let key = prop_oneof!["[a-d]{1,2}", "b/[a-c]", "b/x/[a-b]", "b[!0]", "[a-z é]{1,4}"];
    proptest::collection::btree_map(key, 0..3u64, 0..30)
}

proptest! {
    #[test]
    fn looking_at_all_differences_makes_the_index_the_folder(
        folder in contents(), index in contents(), pieces in (1..7usize, 1..7usize),
    ) {
        let files = folder.iter().map(|(key, size)| found(key, *size)).collect();
        let objects = index.iter().map(|(key, size)| known(key, *size)).collect();
        let differences = compare(files, objects, pieces);
        let mut after = index.clone();
        for key in &differences {
            prop_assert!(folder.get(key) != index.get(key), "{key} does not differ");
            let sight = folder.get(key).map_or(Sight::Gone, |size| Sight::Object(stamp(*size), format!("e{size}")));
            let before = after.get(key).map(|size| known(key, *size));
            match judge(&sight, before.as_ref(), true) {
                Verdict::Written => { after.insert(key.clone(), folder[key]); }
                Verdict::Removed => { after.remove(key); }
                other => prop_assert!(false, "{key}: {other:?}"),
            }
        }
        prop_assert_eq!(after, folder);
    }

    #[test]
    fn what_is_below_an_unreadable_folder_stays(
        index in contents(), pieces in (1..7usize, 1..7usize),
    ) {
        let blocked = Found { key: "b/".into(), stamp: None };
        let objects = index.iter().map(|(key, size)| known(key, *size)).collect();
        let differences = compare(vec![blocked], objects, pieces);
        let expected: Vec<String> = index.keys().filter(|key| !key.starts_with("b/")).cloned().collect();
        prop_assert_eq!(differences, expected);
    }
}

#[test]
fn young_files_and_files_of_unknown_state() {
    let objects = || vec![known("a", 1), known("b", 2)];
    let mut comparison = Comparison { found: [found("a", 1), found("b", 2)].into(), ..Comparison::default() };
    comparison.known = objects().into();
    (comparison.all_found, comparison.all_known) = (true, true);
    assert_eq!(comparison.differences(&(1_000..=2_000)), ["a", "b"]);
    let unknown = Found { key: "a".into(), stamp: None };
    assert_eq!(compare(vec![unknown, found("b", 2)], objects(), (1, 1)), Vec::<String>::new());
}

fn check_judged(sight: Sight, before: Option<&Known>, first: Verdict, second: Verdict) {
    assert_eq!(judge(&sight, before, false), first, "{sight:?}");
    assert_eq!(judge(&sight, before, true), second, "{sight:?} after it was gone");
}

#[test]
fn what_a_look_means() {
    use Verdict::{Again, Nothing, Removed, Written};
    let object = |size, etag: &str| Sight::Object(stamp(size), etag.into());
    let (before, unread) = (known("k", 1), Known { etag: String::new(), ..known("k", 1) });
    check_judged(object(1, "e1"), Some(&before), Nothing, Nothing);
    check_judged(object(1, "e1"), None, Written, Written);
    check_judged(object(2, "e2"), Some(&before), Written, Written);
    // Written twice in one tick of the clock: only the content tells.
    check_judged(object(1, "other"), Some(&before), Written, Written);
    check_judged(object(1, "any"), Some(&unread), Nothing, Nothing);
    // The hash of the content is not the eTag of what came in parts.
    let in_parts = Known { etag: "e1-3".into(), ..known("k", 1) };
    check_judged(object(1, "any"), Some(&in_parts), Nothing, Nothing);
    check_judged(object(2, "any"), Some(&in_parts), Written, Written);
    for gone in [Sight::Gone, Sight::Folder, Sight::Other("a symbolic link")] {
        check_judged(gone.clone(), Some(&before), Again(Reason::Gone), Removed);
        check_judged(gone, None, Nothing, Nothing);
    }
    check_judged(Sight::Busy, Some(&before), Again(Reason::Busy), Again(Reason::Busy));
    check_judged(Sight::Refused("no".into()), Some(&before), Again(Reason::Refused), Again(Reason::Refused));
}

#[test]
fn when_a_file_is_finished() {
    let second = 1_000_000_000;
    let state = |size, closed, ctime| State { stamp: Stamp { size, mtime: 0, inode: 1 }, ctime, closed };
    let check = |state: State, hint, settled, expected| {
        assert_eq!(
            is_finished(&state, hint, settled, 10 * second),
            expected,
            "{state:?} {hint:?} {settled:?}"
        );
    };
    check(state(0, false, 10 * second), Hint::Finished, None, true);
    check(state(5, true, 10 * second), Hint::Found, None, true);
    check(state(5, false, 10 * second), Hint::Found, None, false);
    check(state(5, false, 7 * second), Hint::Found, None, true);
    check(state(5, false, 99 * second), Hint::Found, None, false);
    check(state(5, false, 99 * second), Hint::Found, Some(state(5, false, 0).stamp), true);
    check(state(0, true, 10 * second), Hint::Found, None, false);
    check(state(0, true, 9 * second), Hint::Found, None, true);
}

#[test]
fn what_is_ignored_is_so_in_every_part_of_a_key() {
    assert!(key_is_ignored(&[".git".into()], "a/.git/b"));
    assert!(key_is_ignored(&[], "a/.dropwire-put-1"));
    assert!(!key_is_ignored(&["*.tmp".into()], "a.tmp.d/x"));
}

#[test]
fn keys_that_leave_the_folder_are_refused() {
    for key in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a/.", "a\0b"] {
        assert!(refusal(key).is_some(), "{key:?}");
    }
    assert!(refusal(&"k".repeat(256)).is_some());
    assert!(refusal(&format!("{}/x", "k/".repeat(512))).is_some());
    for key in ["a", "a b/ü%+\n.txt", "..a/b..", "\u{10ffff}"] {
        assert_eq!(refusal(key), None, "{key:?}");
    }
}
