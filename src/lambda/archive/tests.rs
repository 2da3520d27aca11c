//! Zip files that attack, and zip files that do not.

use super::*;

fn zip(make: impl FnOnce(&mut ZipWriter<Cursor<Vec<u8>>>)) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    make(&mut writer);
    writer.finish().expect("a zip").into_inner()
}

fn file(name: &str, content: &[u8]) -> Vec<u8> {
    zip(|writer| {
        writer.start_file(name, SimpleFileOptions::DEFAULT).expect("a file");
        writer.write_all(content).expect("its content");
    })
}

fn unpacked(bytes: &[u8]) -> (tempfile::TempDir, Result<u64, String>) {
    let folder = tempfile::tempdir().expect("a folder");
    let result = unpack(bytes, folder.path()).map_err(|error| match error {
        ArchiveError::Bad(why) => why,
        ArchiveError::Large => "large".into(),
        ArchiveError::Disk(error) => format!("disk: {error}"),
    });
    (folder, result)
}

fn check_refused(bytes: &[u8], words: &str) {
    let (folder, result) = unpacked(bytes);
    let why = result.expect_err(words);
    assert!(why.contains(words), "{why}: {words}");
    let above = folder.path().parent().expect("a folder above");
    assert!(!above.join("escaped").exists());
}

#[test]
fn what_is_no_zip_is_refused() {
    check_refused(b"", "");
    check_refused(b"not a zip at all", "");
    let good = file("a", b"hello hello hello hello");
    check_refused(&good[..good.len() - 10], "");
    let mut broken = file("a", &[7; 1000]);
    // The content: deflated data that is none.
    broken[31..40].fill(0xff);
    check_refused(&broken, "");
}

#[test]
fn no_path_leaves_the_folder() {
    for name in ["../escaped", "a/../../escaped", "/escaped", "a/./../../escaped"] {
        // The writer may tidy names, so the bytes are changed afterwards.
        let placeholder = "x".repeat(name.len());
        let mut bytes = file(&placeholder, b"x");
        while let Some(at) = bytes.windows(name.len()).position(|part| part == placeholder.as_bytes()) {
            bytes[at..at + name.len()].copy_from_slice(name.as_bytes());
        }
        check_refused(&bytes, "leads out of the folder");
    }
}

#[test]
fn no_link_leaves_the_folder() {
    let link = |name: &str, target: &str| {
        zip(|writer| {
            writer.add_symlink(name, target, SimpleFileOptions::DEFAULT).expect("a link");
        })
    };
    check_refused(&link("l", "../escaped"), "the link l leads to ../escaped");
    check_refused(&link("l", "/etc/passwd"), "the link l leads to /etc/passwd");
    check_refused(&link("a/b/l", "../../../escaped"), "leads to");
    check_refused(&link("l", "a/../../escaped"), "leads to");
    let through = zip(|writer| {
        writer.add_symlink("l", "a", SimpleFileOptions::DEFAULT).expect("a link");
        writer.start_file("l/x", SimpleFileOptions::DEFAULT).expect("a file");
    });
    check_refused(&through, "lies behind a link");
    let (folder, result) = unpacked(&zip(|writer| {
        writer.start_file("lib/real.js", SimpleFileOptions::DEFAULT).expect("a file");
        writer.add_symlink("bin/tool", "../lib/real.js", SimpleFileOptions::DEFAULT).expect("a link");
    }));
    assert_eq!(result, Ok(0));
    assert!(folder.path().join("bin/tool").exists());
}

#[test]
fn bombs_do_not_go_off() {
    // 300 MB of nothing are 300 KB of zip.
    let large = zip(|writer| {
        writer.start_file("a", SimpleFileOptions::DEFAULT).expect("a file");
        let zeros = vec![0; 1_000_000];
        (0..300).for_each(|_| writer.write_all(&zeros).expect("zeros"));
    });
    check_refused(&large, "large");
    // The same, saying that it is small.
    let mut liar = large;
    let size = 300_000_000_u32.to_le_bytes();
    while let Some(at) = liar.windows(4).position(|part| part == size) {
        liar[at..at + 4].copy_from_slice(&1000_u32.to_le_bytes());
    }
    let (folder, result) = unpacked(&liar);
    assert!(result.is_err(), "{result:?}");
    let written = folder.path().join("a").metadata().map_or(0, |found| found.len());
    assert!(written <= UNZIPPED_MAX, "{written}");
}

#[test]
fn nothing_is_written_twice() {
    let mut twice = zip(|writer| {
        writer.start_file("aa", SimpleFileOptions::DEFAULT).expect("a file");
        writer.start_file("ab", SimpleFileOptions::DEFAULT).expect("a file");
    });
    while let Some(at) = twice.windows(2).position(|part| part == b"ab") {
        twice[at + 1] = b'a';
    }
    check_refused(&twice, "twice");
    let spelled = zip(|writer| {
        writer.start_file("a/b", SimpleFileOptions::DEFAULT).expect("a file");
        writer.start_file("a/", SimpleFileOptions::DEFAULT).ok();
        writer.start_file("a//b", SimpleFileOptions::DEFAULT).expect("a file");
    });
    let (_folder, result) = unpacked(&spelled);
    assert!(result.is_err(), "{result:?}");
}

#[test]
fn devices_are_refused_and_programs_stay_programs() {
    let mut device = zip(|writer| {
        writer.start_file("d", SimpleFileOptions::DEFAULT.unix_permissions(0o644)).expect("a file");
    });
    // The mode's high bits in the central directory: a character device.
    let at = device.windows(4).position(|part| part == b"PK\x01\x02").expect("a directory") + 38;
    device[at..at + 4].copy_from_slice(&((0o020_644_u32) << 16).to_le_bytes());
    check_refused(&device, "neither file, folder nor link");
    let (folder, result) = unpacked(&zip(|writer| {
        writer.start_file("bootstrap", SimpleFileOptions::DEFAULT.unix_permissions(0o755)).expect("a file");
        writer.write_all(b"#!/bin/sh\n").expect("its content");
        writer.add_directory("empty", SimpleFileOptions::DEFAULT).expect("a folder");
        writer.start_file("private", SimpleFileOptions::DEFAULT.unix_permissions(0o400)).expect("a file");
    }));
    assert_eq!(result, Ok(10));
    let mode = |name: &str| folder.path().join(name).metadata().expect("a file").permissions().mode() & 0o777;
    assert_eq!((mode("bootstrap"), mode("private")), (0o755, 0o644));
    assert!(folder.path().join("empty").is_dir());
}

#[test]
fn damaged_files_do_no_harm() {
    let good = zip(|writer| {
        writer.start_file("lib/a.js", SimpleFileOptions::DEFAULT.unix_permissions(0o755)).expect("a file");
        writer.write_all(&[b'a'; 500]).expect("its content");
        writer.add_symlink("bin/a", "../lib/a.js", SimpleFileOptions::DEFAULT).expect("a link");
        writer.add_directory("empty", SimpleFileOptions::DEFAULT).expect("a folder");
    });
    let random = crate::random::Random::seeded(3);
    for _ in 0..1500 {
        let mut bytes = good.clone();
        for _ in 0..=random.number() % 3 {
            let at = random.number() as usize % bytes.len();
            bytes[at] = random.number() as u8;
        }
        let above = tempfile::tempdir().expect("a folder");
        let folder = above.path().join("inside");
        fs::create_dir(&folder).expect("a folder");
        // Whether it is refused or not: nothing is outside, and what is inside is no way out.
        let _outcome = unpack(&bytes, &folder);
        assert_eq!(fs::read_dir(above.path()).expect("a folder").count(), 1);
        for (path, _) in files(&folder).expect("files") {
            if let Ok(real) = path.canonicalize() {
                assert!(real.starts_with(folder.canonicalize().expect("a folder")), "{}", path.display());
            }
        }
    }
}

#[test]
fn a_folder_goes_into_a_zip_and_out_again() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::create_dir(folder.path().join("lib")).expect("a folder");
    fs::write(folder.path().join("lib/b.py"), "b").expect("a file");
    fs::write(folder.path().join("a.py"), "a").expect("a file");
    let bytes = pack(&[folder.path().to_owned()]).expect("a zip");
    assert_eq!(bytes, pack(&[folder.path().to_owned()]).expect("a zip"), "the same files make the same zip");
    let (again, result) = unpacked(&bytes);
    assert_eq!(result, Ok(2));
    assert_eq!(fs::read_to_string(again.path().join("lib/b.py")).expect("a file"), "b");
}
