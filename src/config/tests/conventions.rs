//! Folders without a wiring file, and how the file is found.

use std::path::{Path, PathBuf};

use super::{make_executable, write};
use crate::config::{Config, From, FunctionKind};

/// Loads a folder in which these (empty) files lie; a name with `/` at its end is a folder.
fn load(files: &[&str]) -> (tempfile::TempDir, Config) {
    let root = tempfile::tempdir().expect("a folder for the test");
    for file in files {
        match file.strip_suffix('/') {
            Some(folder) => std::fs::create_dir_all(root.path().join(folder)).expect("a folder"),
            None => write(root.path(), file),
        }
    }
    let config = Config::load(root.path(), None).expect("folders are never an error");
    (root, config)
}

/// The wires of such a folder as `BUCKET → FUNCTION`, and a part of each remark.
fn check(files: &[&str], wires: &[&str], remarks: &[&str]) {
    let (_root, config) = load(files);
    let shown = config.wires.iter().map(|wire| match &wire.from {
        From::Bucket { bucket, .. } => format!("{bucket} → {}", wire.function),
        other => format!("{other:?}"),
    });
    assert_eq!(shown.collect::<Vec<_>>(), wires, "{files:?}");
    assert_eq!(config.remarks.len(), remarks.len(), "{:?}", config.remarks);
    for (remark, part) in config.remarks.iter().zip(remarks) {
        assert!(remark.contains(part), "{remark:?} does not say {part:?}");
    }
}

#[test]
fn an_empty_folder_is_an_empty_config() {
    check(&[], &[], &[]);
    check(&["buckets/", "functions/"], &[], &[]);
}

#[test]
fn one_bucket_and_one_function_are_wired() {
    let remark = "wired by convention: s3 inbox → hello (write it down: dropwire init --wiring)";
    check(&["buckets/inbox/", "functions/hello/app.py"], &["inbox → hello"], &[remark]);
}

#[test]
fn more_are_not_guessed() {
    check(
        &["buckets/inbox/", "buckets/outbox/", "functions/hello/app.py"],
        &[],
        &["2 buckets and 1 function: which belongs to which is not guessed"],
    );
    check(
        &["buckets/inbox/", "functions/a/app.py", "functions/b/main.sh"],
        &[],
        &["[function.b]\n  on = \"s3:inbox\""],
    );
    check(&["functions/a/app.py", "functions/b/app.py"], &[], &[]);
}

#[test]
fn what_cannot_be_used_is_said() {
    check(
        &["buckets/My_Files/", "buckets/.hidden/", "functions/empty/", "template.yaml"],
        &[],
        &[
            "buckets/My_Files is left alone",
            "functions/empty is left alone: it holds none of",
            "template.yaml",
        ],
    );
    #[cfg(unix)]
    check(&["functions/f/bootstrap"], &[], &["chmod +x functions/f/bootstrap"]);
}

/// What a function is if this file is in its folder.
fn check_kind(file: &str, expected: impl Fn(PathBuf) -> FunctionKind) {
    let root = tempfile::tempdir().expect("a folder for the test");
    write(root.path(), &format!("functions/f/{file}"));
    make_executable(&root.path().join("functions/f").join(file));
    let config = Config::load(root.path(), None).expect("folders are never an error");
    let folder = root.path().join("functions/f");
    assert_eq!(config.functions["f"].kind, expected(folder.clone()), "{file}");
    assert_eq!(config.functions["f"].folder, folder);
}

#[test]
fn a_function_is_what_its_folder_holds() {
    let handler = |runtime: &'static str, handler: &'static str| {
        move |code| FunctionKind::Handler { runtime: runtime.into(), handler: handler.into(), code }
    };
    for file in ["index.js", "index.mjs", "index.cjs"] {
        check_kind(file, handler("nodejs", "index.handler"));
    }
    check_kind("app.py", handler("python3", "app.handler"));
    check_kind("lambda_function.py", handler("python3", "lambda_function.lambda_handler"));
    check_kind("main.sh", |_| FunctionKind::Exec { command: vec!["sh".into(), "main.sh".into()] });
    check_kind("bootstrap", |folder| FunctionKind::Run {
        command: vec![folder.join("bootstrap").to_string_lossy().into_owned()],
        build: None,
        watch: Vec::new(),
    });
}

#[test]
fn with_a_wiring_file_the_folders_say_nothing() {
    let root = tempfile::tempdir().expect("a folder for the test");
    write(root.path(), "functions/hello/app.py");
    write(root.path(), "dropwire.toml");
    let config = Config::load(root.path(), None).expect("an empty file is fine");
    assert!(config.functions.is_empty());
    assert_eq!(config.file, Some(root.path().join("dropwire.toml")));
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let root = tempfile::tempdir().expect("a folder for the test");
    write(root.path(), "sub/other.toml");
    let config = Config::load(root.path(), Some(Path::new("sub/other.toml"))).expect("an empty file is fine");
    assert_eq!(config.root, root.path().join("sub"));
    assert_eq!(config.file, Some(root.path().join("sub/other.toml")));
}

#[test]
fn a_file_that_cannot_be_read_is_one_complaint() {
    let root = tempfile::tempdir().expect("a folder for the test");
    let complaints = Config::load(root.path(), Some(Path::new("none.toml"))).expect_err("there is none");
    assert_eq!((complaints.list()[0].code, complaints.list()[0].line), ("W108", 0));
    assert!(complaints.to_string().contains("cannot read the wiring file `none.toml`"), "{complaints}");
    std::fs::write(root.path().join("dropwire.toml"), b"a = \"\xff\"").expect("a file");
    let complaints = Config::load(root.path(), None).expect_err("it is not UTF-8");
    assert!(
        complaints.to_string().contains("it is not UTF-8: byte 5 is the first wrong one"),
        "{complaints}"
    );
}
