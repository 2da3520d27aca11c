//! Deeds: what was committed is done to files, once, however often it is told.

use std::fs;

use super::super::vault::{Deed, Vault};
use super::*;
use crate::source::s3::index;

#[test]
fn a_deed_done_twice_does_no_more_than_once() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("buckets/b");
    fs::create_dir_all(&folder).expect("made");
    let vault = Vault::open(&home.path().join("state"), "b", &folder).expect("a vault");
    let drafted = |number: u64, text: &str| {
        let mut draft = vault.draft(number).expect("a draft").close();
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

#[tokio::test]
async fn one_deed_that_cannot_be_done_keeps_no_other() {
    let mut world = World::running().await;
    let left = |text: &str| {
        let mut draft = world.bucket().draft().expect("a draft").close();
        draft.stay();
        fs::write(draft.path(), text).expect("writes");
        draft.path().to_owned()
    };
    let (blocked, free, stray) = (left("blocked"), left("free"), left("stray"));
    world.kill().await;
    let blobs = world.dir.path().join("s3/inbox/blobs");
    fs::write(blobs.join("ab"), "in the way").expect("writes");
    let deeds = [Deed::Keep(blocked.clone(), "ab01".into()), Deed::Keep(free.clone(), "cd01".into())];
    let address = format!("sqlite:{}", world.store.path().display());
    let mut connection =
        <sqlx::SqliteConnection as sqlx::Connection>::connect(&address).await.expect("connects");
    for (id, deed) in (100_i64..).zip(&deeds) {
        sqlx::query("INSERT INTO s3_deed (bucket, id, deed) VALUES ('inbox', ?1, ?2)")
            .bind(id)
            .bind(serde_json::to_string(deed).expect("JSON"))
            .execute(&mut connection)
            .await
            .expect("writes");
    }
    drop(connection);
    let due = async |world: &World| -> Vec<i64> {
        let deeds = index::deeds(world.store.read(), "inbox").await.expect("reads");
        deeds.into_iter().map(|(id, _)| id).collect()
    };
    world.start().await;
    assert_eq!(due(&world).await, [100]);
    assert_eq!(fs::read_to_string(blobs.join("cd/cd01")).expect("a blob"), "free");
    assert_eq!((blocked.exists(), free.exists(), stray.exists()), (true, false, false));
    world.kill().await;
    fs::remove_file(blobs.join("ab")).expect("removes");
    world.start().await;
    assert_eq!(due(&world).await, [0; 0]);
    assert_eq!(fs::read_to_string(blobs.join("ab/ab01")).expect("a blob"), "blocked");
    assert!(!blocked.exists());
}

#[tokio::test]
async fn nothing_is_done_to_a_file_that_somebody_else_removed() {
    let world = World::running().await;
    world.write("f", "x");
    world.until("it is told", |events| events == ["Put f"]).await;
    std::fs::rename(world.path("f"), world.dir.path().join("elsewhere")).expect("moves it away");
    world.until("that is told", |events| events.len() == 2).await;
    // It may be back by now, and is as it was.
    let due = sqlx::query("SELECT deed FROM s3_deed").fetch_all(world.store.read()).await.expect("reads");
    assert!(due.is_empty(), "{} are due", due.len());
}

#[tokio::test]
async fn what_cannot_be_read_stays_written_down_and_is_complained_of() {
    let mut world = World::running().await;
    world.kill().await;
    let draft = world.dir.path().join("s3/inbox/drafts/0123456789abcdef");
    std::fs::write(&draft, "what it is about").expect("writes");
    let sql = "INSERT INTO s3_deed (bucket, id, deed) VALUES ('inbox', 7, '{\"Paint\":\"red\"}')";
    let pool = sqlx::SqlitePool::connect(&format!("sqlite:{}", world.store.path().display())).await;
    sqlx::query(sql).execute(&pool.expect("opens")).await.expect("writes");
    world.start().await;
    let said = world.notice("cannot read what was written down").await;
    assert!(said.contains("`{\"Paint\":\"red\"}`") && said.contains("stays so"), "{said}");
    world.put_object("k", "x").await;
    world.check(&["Put k"]).await;
    let left = sqlx::query("SELECT id FROM s3_deed WHERE id = 7").fetch_all(world.store.read()).await;
    assert_eq!(left.expect("reads").len(), 1);
    assert!(draft.exists());
}
