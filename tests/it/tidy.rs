//! The house rules that a machine can check: sizes, names, first lines, and who may use whom.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::statements::rust_files;

/// Lines in a file, its own tests included.
const LINES_MAX: usize = 400;
/// Lines in a file that holds nothing but tests.
const TEST_LINES_MAX: usize = 600;
/// Lines in a function.
const FUNCTION_LINES_MAX: usize = 60;

/// Files that are longer, and why that is better than two.
const LONG_FILES: &[(&str, &str)] = &[
    ("src/app/mod.rs", "the one place that puts every part together; two would each know half of the order"),
    ("src/clock.rs", "the clock with the paces it can have, and their tests"),
];

/// Functions that are longer, and why.
const LONG_FUNCTIONS: &[(&str, &str)] = &[
    ("src/source/s3/api/lifecycle_tests.rs what_s3_refuses_is_refused", "a table of refusals, one a line"),
    ("src/app/mod.rs start", "one line a part, in the order in which they need each other"),
    ("src/function/tests/kinds.rs a_process_of_somebody_else_is_attached", "one story, and both sides of it"),
];

/// Which modules a module may use besides itself.
const DIRECTION: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("random", &[]),
    ("arn", &[]),
    ("glob", &[]),
    ("identity", &[]),
    ("event", &["clock", "arn", "random"]),
    ("wire", &["clock", "arn", "random", "event", "delivery"]),
    ("timeline", &["clock", "arn", "event"]),
    ("store", &["clock"]),
    ("delivery", &["clock", "random", "arn", "event", "wire", "timeline", "store"]),
    ("aws", &["arn", "clock"]),
    ("function", &["clock", "random", "arn", "glob", "delivery", "timeline", "store", "config"]),
    (
        "lambda",
        &[
            "clock", "random", "arn", "aws", "config", "delivery", "event", "function", "glob", "store",
            "timeline", "wire",
        ],
    ),
    (
        "source",
        &[
            "aws", "clock", "random", "arn", "event", "glob", "identity", "wire", "timeline", "store",
            "delivery", "config",
        ],
    ),
    ("config", &["clock", "arn", "event", "wire", "delivery"]),
    ("history", &["clock", "event", "wire", "timeline", "delivery", "control"]),
    ("state", &["clock", "store", "control"]),
    ("housekeeping", &["clock", "store", "delivery"]),
    ("edits", &["app", "clock", "config", "identity"]),
    ("server", &["app", "aws", "clock", "control", "source"]),
    (
        "control",
        &[
            "app", "clock", "arn", "config", "delivery", "event", "function", "history", "lambda", "source",
            "store", "timeline", "wire",
        ],
    ),
    ("cli", &["app", "clock", "config", "control", "source", "timeline"]),
];

/// Words that say nothing, in names of files and modules.
const EMPTY_WORDS: &[&str] = &[
    "util", "utils", "helper", "helpers", "common", "misc", "manager", "data", "info", "types", "stuff",
    "base",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file of ours: its path below the project, and its text.
fn sources() -> Vec<(String, String)> {
    let root = root();
    let folders = ["src", "tests", "benches"].map(|folder| root.join(folder));
    let files = folders.iter().filter(|folder| folder.is_dir()).flat_map(|folder| rust_files(folder));
    let named = files.map(|path| {
        let name = path.strip_prefix(&root).expect("below").to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).expect("text"))
    });
    named.filter(|(name, _)| !name.contains("/target/")).collect()
}

fn is_test(name: &str) -> bool {
    name.starts_with("tests/")
        || name.contains("/tests/")
        || name.ends_with("tests.rs")
        || name.ends_with("simulation.rs")
}

/// The text without what tests need.
fn without_tests(text: &str) -> &str {
    text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default()
}

/// The top-level module that a file belongs to.
fn module(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("src/")?;
    let first = rest.split('/').next()?;
    Some(first.strip_suffix(".rs").unwrap_or(first))
}

/// The modules that a text names by `crate::`.
fn used(text: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    let code =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    for rest in code.split("crate::").skip(1) {
        let of_a_list = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map(|(list, _)| list);
        let names = of_a_list.map_or_else(|| vec![rest], |list| list.split(',').collect());
        for name in names {
            let end = |c: char| !(c.is_alphanumeric() || c == '_');
            used.insert(name.trim().split(end).next().unwrap_or_default().to_owned());
        }
    }
    used.remove("");
    used
}

/// Name, first line and length of every function in a text that rustfmt has formatted.
fn functions(text: &str) -> Vec<(String, usize)> {
    let lines: Vec<&str> = text.lines().collect();
    let mut found = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = &line[..line.len() - code.len()];
        let words = ["pub ", "pub(super) ", "pub(crate) ", "async ", "const ", "unsafe "];
        let code = words.iter().fold(code, |code, word| code.strip_prefix(word).unwrap_or(code));
        let Some(name) = code.strip_prefix("fn ") else { continue };
        let name = name.split(['(', '<']).next().unwrap_or_default();
        let close = format!("{indent}}}");
        let end = lines[start..]
            .iter()
            .position(|line| **line == close || line.ends_with(" }") || line.ends_with(';'));
        let length = lines[start..].iter().position(|line| **line == close).map_or(1, |end| end + 1);
        // A declaration, or a body in one line, ends where it begins.
        let is_short = end == Some(0);
        found.push((name.to_owned(), if is_short { 1 } else { length }));
    }
    found
}

#[test]
fn every_file_begins_with_what_it_is_for() {
    let bad: Vec<String> = sources()
        .into_iter()
        .filter(|(_, text)| {
            !text.lines().next().is_some_and(|line| line.starts_with("//! ") && line.len() > 12)
        })
        .map(|(name, _)| name)
        .collect();
    assert_eq!(bad, [""; 0]);
}

#[test]
fn files_are_short_or_say_why_not() {
    let mut long = Vec::new();
    for (name, text) in sources() {
        let (lines, most) = (text.lines().count(), if is_test(&name) { TEST_LINES_MAX } else { LINES_MAX });
        let excused = LONG_FILES.iter().any(|(file, _)| *file == name);
        match (lines > most, excused) {
            (true, false) => long.push(format!("{name} has {lines} lines, {most} are the most")),
            (false, true) => long.push(format!("{name} needs no exception any more")),
            _ => {}
        }
    }
    assert_eq!(long, [""; 0]);
}

#[test]
fn functions_are_short_or_say_why_not() {
    let mut long = Vec::new();
    for (name, text) in sources() {
        for (function, lines) in functions(&text) {
            let id = format!("{name} {function}");
            if lines > FUNCTION_LINES_MAX && !LONG_FUNCTIONS.iter().any(|(excused, _)| *excused == id) {
                long.push(format!("{id} has {lines} lines"));
            }
        }
    }
    assert_eq!(long, [""; 0]);
}

#[test]
fn modules_use_only_what_they_may() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let Some(module) = module(&name).filter(|module| !["app", "lib", "main"].contains(module)) else {
            continue;
        };
        if is_test(&name) {
            continue;
        }
        let Some((_, may)) = DIRECTION.iter().find(|(of, _)| *of == module) else {
            wrong.push(format!("{name}: the table does not know `{module}`"));
            continue;
        };
        for other in used(without_tests(&text)) {
            let is_module = other == "app" || DIRECTION.iter().any(|(of, _)| *of == other);
            if is_module && other != module && !may.contains(&other.as_str()) {
                wrong.push(format!("{name}: {module} must not use {other}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn no_source_knows_another() {
    let sources_of_events = ["s3", "dynamodb", "sns"];
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let Some(rest) = name.strip_prefix("src/source/") else { continue };
        let me = rest.split(['/', '.']).next().unwrap_or_default();
        for other in sources_of_events.iter().filter(|other| **other != me && sources_of_events.contains(&me))
        {
            let paths =
                [format!("source::{other}"), format!("super::{other}::"), format!("super::super::{other}::")];
            if paths.iter().any(|path| text.contains(path)) {
                wrong.push(format!("{name} names {other}"));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn names_say_something() {
    let bad: Vec<String> = sources()
        .into_iter()
        .map(|(name, _)| name)
        .filter(|name| {
            let mut words = name.trim_end_matches(".rs").split(['/', '_']);
            words.any(|word| EMPTY_WORDS.contains(&word))
        })
        .collect();
    assert_eq!(bad, [""; 0]);
}

#[test]
fn nothing_names_a_path_of_one_machine() {
    let folders = ["work", "root", "home", "Users", "farm"].map(|folder| format!("/{folder}/"));
    let mut bad = Vec::new();
    let mut texts = sources();
    for file in ["README.md", "Cargo.toml", ".ci/run"] {
        texts.extend(fs::read_to_string(root().join(file)).ok().map(|text| (file.to_owned(), text)));
    }
    for (name, text) in texts {
        for line in text.lines() {
            let begins = |folder: &String| {
                // Part of a longer path it is nobody's home.
                line.match_indices(folder.as_str()).any(|(at, _)| {
                    !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-}$".contains(c))
                })
            };
            if !name.ends_with("tidy.rs") && folders.iter().any(begins) {
                bad.push(format!("{name}: {line}"));
            }
        }
    }
    assert_eq!(bad, [""; 0]);
}

#[test]
fn tests_wait_until_and_not_for() {
    let naps = ["thread::sleep(", "time::sleep("].map(|nap| nap.to_owned());
    let mut bad = Vec::new();
    for (name, text) in sources() {
        if name.starts_with("tests/")
            && !name.ends_with("tidy.rs")
            && naps.iter().any(|nap| text.contains(nap.as_str()))
        {
            bad.push(name);
        }
    }
    assert_eq!(bad, [""; 0]);
}

#[test]
fn the_checks_see_what_they_look_for() {
    let text = "use crate::{app::App, clock};\nuse crate::store::Store;\n// crate::cli\nfn a() {\n    b();\n}\nfn b() { c() }\nfn c();\n";
    let names: Vec<String> = used(text).into_iter().collect();
    assert_eq!(names, ["app", "clock", "store"]);
    assert_eq!(functions(text), [("a".to_owned(), 3), ("b".to_owned(), 1), ("c".to_owned(), 1)]);
    assert!(Path::new(&root()).join("src/lib.rs").exists());
}
