//! However we end, no process of a function is left.

use super::*;

const FOLDER: &str = "DROPWIRE_TEST_FOLDER";

#[tokio::test]
async fn nothing_is_left_when_we_are_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut parent = std::process::Command::new(std::env::current_exe().expect("this test"))
        .args(["--ignored", "--exact", "function::tests::left_behind::the_one_that_is_killed"])
        .env(FOLDER, folder.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("it starts");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap_or_default();
    until("the tree of processes stands", || !read("grandchild").trim().is_empty()).await;
    let ids = [read("child"), read("grandchild")];
    assert!(ids.iter().all(|id| runs(id)), "{ids:?}");
    parent.kill().expect("killed");
    parent.wait().expect("reaped");
    until("all of it is gone", || ids.iter().all(|id| !runs(id))).await;
}

#[tokio::test]
#[ignore = "a part of nothing_is_left_when_we_are_killed"]
async fn the_one_that_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let script = "echo $$ > child; sh -c 'echo $$ > grandchild; exec sleep 1000' & wait";
    let mut bench = Bench::script(script);
    bench.spec.folder = folder.into();
    bench.invoke("1").await;
}
