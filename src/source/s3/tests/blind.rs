//! A bucket on a file system that takes `Foo` and `foo` for one name: a real exFAT, on a device of its own.

use std::io::Write as _;
use std::process::{Command, Output};

use super::*;
use crate::source::s3::look::stamp_of;
use crate::source::s3::vault::Deed;

/// An exFAT file system, mounted until it is dropped.
struct Volume {
    at: PathBuf,
    device: String,
}

impl Volume {
    /// Mounts one on the folder that the world's bucket lies in; None, and a word of it, if that cannot be done here.
    fn below(world: &World) -> Option<Volume> {
        std::fs::remove_dir(&world.spec.folder).expect("is empty");
        Volume::on(world.spec.folder.parent()?.to_owned(), world)
    }

    fn on(at: PathBuf, world: &World) -> Option<Volume> {
        let image = world.dir.path().join("image");
        std::fs::File::create(&image).and_then(|file| file.set_len(16 << 20)).expect("makes an image");
        let mounting = || {
            said(Command::new("mkfs.exfat").arg(&image))?;
            let device = said(Command::new("losetup").args(["--find", "--show"]).arg(&image))?;
            let volume = Volume { at: at.clone(), device: device.trim().to_owned() };
            said(Command::new("mount.exfat-fuse").arg(&volume.device).arg(&at))?;
            Ok::<_, String>(volume)
        };
        match mounting() {
            Ok(volume) => {
                std::fs::create_dir_all(&world.spec.folder).expect("makes the folder");
                Some(volume)
            }
            Err(why) => {
                // Only root mounts, and not everywhere; where it can, what is missing is worth a word that counts.
                let may = Path::new("/dev/loop-control").exists()
                    && std::fs::File::options().write(true).open("/dev/fuse").is_ok();
                let word = if may { "skipped" } else { "cannot be done here" };
                let told = writeln!(std::io::stderr(), "{word}: a test of exFAT: {why}");
                told.expect("stderr is open");
                None
            }
        }
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        Command::new("umount").arg("--lazy").arg(&self.at).output().ok();
        Command::new("losetup").arg("--detach").arg(&self.device).output().ok();
    }
}

fn said(command: &mut Command) -> Result<String, String> {
    let name = command.get_program().display().to_string();
    let Output { status, stdout, stderr } = command.output().map_err(|error| format!("{name}: {error}"))?;
    match status.success() {
        true => Ok(String::from_utf8_lossy(&stdout).into_owned()),
        false => Err(format!("{name}: {}", String::from_utf8_lossy(&stderr))),
    }
}

/// The names of everything below the bucket's folder, and of the folders.
fn names(world: &World) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![world.spec.folder.clone()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("reads") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(&world.spec.folder).expect("is below").display().to_string();
            found.push(name);
            if path.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn keys_that_differ_in_case_are_two_objects_where_files_are_one() {
    let mut world = World::new().await;
    let Some(_volume) = Volume::below(&world) else { return };
    world.start().await;
    world.write("foo", "dropped");
    world.until("it is told", |events| events == ["Put foo"]).await;
    world.put_object("Foo", "put").await;
    assert_eq!(names(&world), ["foo"]);
    assert_eq!(world.open("foo").await.as_deref(), Some("dropped"));
    assert_eq!(world.open("Foo").await.as_deref(), Some("put"));
    // Whoever renames it has removed the one and written the other.
    std::fs::rename(world.path("foo"), world.path("FOO")).expect("renames");
    world.until("both are told", |events| events.len() == 4).await;
    assert_eq!(world.open("FOO").await.as_deref(), Some("dropped"));
    assert_eq!(world.open("foo").await, None);
    world.delete_object("foo", None).await;
    world.delete_object("Foo", None).await;
    assert_eq!(names(&world), ["FOO"]);
    world.check(&["Put foo", "Put Foo", "Put FOO", "Delete foo", "Delete foo", "Delete Foo"]).await;
    world.kill().await;
}

#[tokio::test]
async fn what_comes_at_once_is_kept_apart_there() {
    let mut world = World::new().await;
    let Some(_volume) = Volume::below(&world) else { return };
    world.start().await;
    // The last three are names that this file system holds for nobody.
    let keys =
        ["a/x", "A/y", "a/X", "A", "q", "Q", "ä", "Ä", "n", "N/m", "k/é", "k/e\u{301}", "a:b", "a?", "b\\c"];
    let puts = keys.map(|key| world.order(key, world.put_act(key)));
    for (key, put) in keys.iter().zip(futures_util::future::join_all(puts).await) {
        put.unwrap_or_else(|error| panic!("{key}: {error:?}"));
    }
    let mut told = keys.map(|key| format!("Put {key}"));
    told.sort();
    assert_eq!(world.all().await, told);
    for key in keys {
        assert_eq!(world.open(key).await.as_deref(), Some(key));
    }
    assert_eq!(names(&world), ["a", "a/x", "k", "k/e\u{301}", "k/é", "n", "q", "ä"]);
    // And so it is for the next one who looks.
    world.kill().await;
    world.start().await;
    assert_eq!(world.all().await, told);
    for key in keys {
        world.delete_object(key, None).await;
    }
    assert_eq!(names(&world), ["a", "k"]);
    world.kill().await;
}

#[tokio::test]
async fn a_folder_that_is_renamed_takes_its_objects_along_there() {
    let mut world = World::new().await;
    let Some(_volume) = Volume::below(&world) else { return };
    world.mkdir("d/e");
    world.write("d/e/f", "here before");
    world.start().await;
    std::fs::rename(world.path("d"), world.path("D")).expect("renames");
    world.until("both are told", |events| events.len() == 2).await;
    world.kill().await;
    // While nobody looks, too.
    std::fs::rename(world.path("D"), world.path("d")).expect("renames");
    world.start().await;
    world.until("both are told", |events| events.len() == 4).await;
    assert_eq!(world.all().await, ["Delete D/e/f", "Delete d/e/f", "Put D/e/f", "Put d/e/f"]);
    let refused = world.bucket().put("D/e/F", Content::Bytes(b"x".to_vec())).await.expect_err("is taken");
    assert!(refused.to_string().contains("takes it for d/e/f, which is there"), "{refused}");
    let refused = world.bucket().put("D/g", Content::Bytes(b"x".to_vec())).await.expect_err("is taken");
    assert!(refused.to_string().contains("stands for D there is written otherwise"), "{refused}");
    let refused = world.bucket().delete("d/e/F").await.expect_err("is no such object");
    assert!(refused.to_string().contains("takes it for d/e/f"), "{refused}");
    // The file of another name is nobody's to remove.
    let file = world.bucket().vault.open_file("d/e/f").expect("opens");
    let stamp = stamp_of(&nix::sys::stat::fstat(&file).expect("is there"));
    drop(file);
    for key in ["D/e/f", "d/E/f", "d/e/F"] {
        world.bucket().vault.perform(&Deed::remove(key, stamp)).expect("leaves it");
    }
    assert_eq!(names(&world), ["d", "d/e", "d/e/f"]);
    world.bucket().vault.perform(&Deed::remove("d/e/f", stamp)).expect("removes it");
    assert_eq!(names(&world), ["d", "d/e"]);
    world.kill().await;
}

#[tokio::test]
async fn a_bucket_that_is_a_file_system_of_its_own_keeps_its_drafts_in_itself() {
    let mut world = World::new().await;
    let Some(_volume) = Volume::on(world.spec.folder.clone(), &world) else { return };
    world.start().await;
    world.put_object("a/b", "one").await;
    world.write("c", "by hand");
    world.put_object("a/B", "two").await;
    world.check(&["Put a/b", "Put a/B", "Put c"]).await;
    assert_eq!(world.open("a/b").await.as_deref(), Some("one"));
    assert_eq!(world.open("a/B").await.as_deref(), Some("two"));
    assert_eq!(names(&world), [".dropwire-put-drafts", "a", "a/b", "c"]);
    world.kill().await;
}
