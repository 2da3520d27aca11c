//! Objects that dropwire writes and removes itself.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_put_is_one_write_and_a_delete_one_removal() {
    let world = World::running().await;
    let bucket = world.bucket();
    bucket.put("a/b c/k", Content::Bytes(b"hello".to_vec())).await.expect("puts");
    world.write("../from.txt", "from a file");
    bucket.put("top", Content::File(world.path("../from.txt"))).await.expect("puts");
    world.check(&["Put a/b c/k", "Put top"]).await;
    assert_eq!(std::fs::read_to_string(world.path("top")).expect("reads"), "from a file");
    bucket.put("top", Content::Bytes(b"from a file".to_vec())).await.expect("puts");
    bucket.delete("a/b c/k").await.expect("deletes");
    world.check(&["Put a/b c/k", "Put top", "Put top", "Delete a/b c/k"]).await;
    let left: Vec<_> = std::fs::read_dir(world.path(".."))
        .expect("lists")
        .map(|e| e.expect("an entry").file_name())
        .collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("dropwire-put")), "{left:?}");
}

async fn check_refused(world: &World, key: &str, word: &str) {
    let error = world.bucket().put(key, Content::Bytes(b"x".to_vec())).await.expect_err(key).0;
    assert!(error.contains(word) && error.contains("inbox"), "{key}: {error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_is_written_outside_the_folder() {
    let world = World::running().await;
    world.sh("mkdir ../outside d; printf x >../outside/kept; ln -s ../outside planted; ln -s ../outside/kept link; printf x >file");
    for key in ["../x", "/x", "a/../../x", "a//b", "", "a/", "x\0y"] {
        assert!(world.bucket().put(key, Content::Bytes(Vec::new())).await.is_err(), "{key:?}");
        assert!(world.bucket().delete(key).await.is_err(), "{key:?}");
    }
    check_refused(&world, "planted/x", "folder").await;
    check_refused(&world, "file/x", "file").await;
    check_refused(&world, "d", "is a folder").await;
    check_refused(&world, "x.tmp", "ignore").await;
    assert!(world.bucket().delete("planted/kept").await.is_err());
    assert!(world.bucket().delete("nothing").await.is_err());
    let missing = Content::File(world.path("missing"));
    assert!(world.bucket().put("k", missing).await.is_err());
    // A link under the key itself is replaced, not written through.
    world.bucket().put("link", Content::Bytes(b"new".to_vec())).await.expect("puts");
    assert_eq!(std::fs::read_to_string(world.path("../outside/kept")).expect("reads"), "x");
    assert_eq!(std::fs::read_dir(world.path("../outside")).expect("lists").count(), 1);
    world.check(&["Put file", "Put link"]).await;
}
