//! Deeds: what was committed is done to files, once, however often it is told.

use std::fs;

use super::super::vault::{Deed, Vault};

#[test]
fn a_deed_done_twice_does_no_more_than_once() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("buckets/b");
    fs::create_dir_all(&folder).expect("made");
    let vault = Vault::open(&home.path().join("state"), "b", &folder).expect("a vault");
    let drafted = |number: u64, text: &str| {
        let mut draft = vault.draft(number).expect("a draft");
        draft.stay();
        fs::write(draft.path(), text).expect("written");
        draft.path().to_owned()
    };
    let show = Deed::Show(drafted(1, "shown"), "in/here".into());
    let keep = Deed::Keep(drafted(2, "kept"), "ab12".into());
    for deed in [&show, &keep] {
        vault.perform(deed).expect("done");
        vault.perform(deed).expect("done already");
    }
    assert_eq!(fs::read_to_string(folder.join("in/here")).expect("a file"), "shown");
    let kept = vault.open_blob("ab12").and_then(std::io::read_to_string).expect("a blob");
    assert_eq!(kept, "kept");
    // Somebody removed what was shown, with its folder, and then the bucket's own: it does not come back.
    fs::remove_dir_all(folder.join("in")).expect("removed");
    vault.perform(&show).expect("done already");
    assert!(!folder.join("in").exists());
    fs::remove_dir_all(&folder).expect("removed");
    vault.perform(&show).expect("done already");
    assert!(!folder.exists());
    // What is not done yet needs the folder, and its draft stays until there is one.
    let late = drafted(3, "late");
    vault.perform(&Deed::Show(late.clone(), "late".into())).expect_err("nowhere to show it");
    fs::create_dir_all(&folder).expect("made");
    vault.perform(&Deed::Show(late.clone(), "late".into())).expect("done");
    assert!(!late.exists() && folder.join("late").exists());
}
