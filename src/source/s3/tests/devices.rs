//! A bucket's folder on another file system than the state.

use std::os::unix::fs::MetadataExt;

use super::*;

/// A world whose folder lies on another file system than its state; None, and a word of it, if there is none here.
async fn apart() -> Option<(World, TempDir)> {
    let mut world = World::new().await;
    let other = Path::new("/dev/shm");
    let device = |path: &Path| std::fs::metadata(path).map(|found| found.dev()).ok();
    let here = device(world.dir.path());
    if device(other).is_none_or(|there| Some(there) == here) {
        eprintln!("cannot be done here: a test of two file systems: /dev/shm is none of its own");
        return None;
    }
    let folder = tempfile::tempdir_in(other).expect("a folder");
    world.spec.folder = folder.path().join("buckets/inbox");
    std::fs::create_dir_all(&world.spec.folder).expect("makes the folder");
    Some((world, folder))
}

#[tokio::test]
async fn objects_move_between_two_file_systems() {
    let Some((mut world, folder)) = apart().await else { return };
    world.start().await;
    world.put_object("a/b", "file").await;
    world.put_object("a", "beside the folder").await;
    world.put_object("a/b", "file again").await;
    assert_eq!(world.open("a/b").await.as_deref(), Some("file again"));
    assert_eq!(world.open("a").await.as_deref(), Some("beside the folder"));
    world.keep_versions(Versioning::Enabled).await;
    let first = world.put_object("k", "first").await.expect("a version");
    world.put_object("k", "second").await;
    world.write("k", "by hand");
    world.until("it is told", |events| events.iter().filter(|event| *event == "Put k").count() == 3).await;
    let old = world.bucket().object("k", Some(&first)).await.expect("reads").expect("is there");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut old.open().expect("opens"), &mut text).expect("reads");
    assert_eq!(text, "first");
    // What a version is brought back from lies on the one, and where it is shown on the other.
    let (marker, marked) = world.delete_object("k", None).await;
    assert!(marked && !world.path("k").exists());
    world.delete_object("k", marker.as_deref()).await;
    assert_eq!(world.content("k").as_deref(), Some("by hand"));
    world.kill().await;
    world.start().await;
    assert_eq!(world.open("a/b").await.as_deref(), Some("file again"));
    let drafts = std::fs::read_dir(folder.path().join("buckets/.dropwire-put-inbox")).expect("reads");
    assert_eq!(drafts.count(), 0);
}
