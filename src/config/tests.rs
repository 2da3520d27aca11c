//! Stories of whole wiring files, each in a small folder made for it.

use std::path::Path;

use tempfile::TempDir;

use super::{Complaints, Config};

mod conventions;
mod destinations;
mod good_files;
mod laws;
mod mockups;
mod refusals;

/// A folder with the code that the files of these stories name.
fn project() -> TempDir {
    let root = tempfile::tempdir().expect("a folder for the test");
    for file in [
        "functions/thumbnail/index.mjs",
        "functions/audit/app.py",
        "functions/f/app.py",
        "functions/f/index.js",
        "functions/single.py",
        "functions/plain/notes.txt",
        "seed/orders.jsonl",
    ] {
        write(root.path(), file);
    }
    for program in ["bin/report", "functions/custom/bootstrap"] {
        write(root.path(), program);
        make_executable(&root.path().join(program));
    }
    for folder in ["buckets/uploads", "data", "elsewhere/inner"] {
        std::fs::create_dir_all(root.path().join(folder)).expect("a folder");
    }
    root
}

fn write(root: &Path, file: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    std::fs::write(path, "").expect("a file");
}

#[cfg(unix)]
fn make_executable(program: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(program, std::fs::Permissions::from_mode(0o755)).expect("a mode");
}

#[cfg(not(unix))]
fn make_executable(_program: &Path) {}

/// What is wrong with this text; panics if nothing is.
fn complaints(root: &TempDir, text: &str) -> Complaints {
    Config::parse(root.path(), "bad.toml", text).expect_err("something is wrong with it")
}
