//! Reading the wiring for a command: the config, or all complaints as one failure.

use std::path::{Path, PathBuf};

use crate::config::{Complaints, Config};
use serde_json::json;

use super::failure::{Failure, exit};
use super::terminal;

/// Reads the wiring of a folder.
pub fn load(dir: &Path, file: Option<&Path>) -> Result<Config, Failure> {
    if !dir.is_dir() {
        let failure = Failure::usage(format!("no folder {}", dir.display()), "it has to be there first");
        return Err(failure.trying(format!("mkdir -p {}", dir.display())));
    }
    Config::load(dir, file).map_err(|complaints| failure(&complaints))
}

/// The folder that the state lies in: the wiring file's.
pub fn root(dir: &Path, file: Option<&Path>) -> PathBuf {
    let root = match file.map(|file| dir.join(file)) {
        Some(file) => file.parent().map(Path::to_path_buf).unwrap_or_default(),
        None => dir.to_path_buf(),
    };
    std::fs::canonicalize(&root).unwrap_or(root)
}

fn failure(complaints: &Complaints) -> Failure {
    let color = terminal::is_stderr_coloured();
    let list: Vec<_> = complaints
        .list()
        .iter()
        .map(|one| json!({ "code": one.code, "title": one.title, "line": one.line, "column": one.column }))
        .collect();
    Failure {
        code: complaints.list().first().map_or("W100", |first| first.code).into(),
        message: complaints.summary(),
        exit: exit::WIRING,
        data: Some(Box::new(json!({ "complaints": list, "rendered": complaints.render(false) }))),
        text: Some(format!("{}\n\n{}", complaints.render(color), complaints.summary()).into()),
        ..Failure::default()
    }
}
