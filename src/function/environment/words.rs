//! The command of a function's process: which program, where, and why it cannot be started.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::config::{FunctionKind, FunctionSpec};
use crate::function::interpreter;
use crate::function::world::World;

/// The words that start a process of this function.
pub async fn words(world: &World, spec: &FunctionSpec) -> Result<Vec<OsString>, String> {
    match &spec.kind {
        FunctionKind::Handler { runtime, code, .. } => {
            if !code.exists() {
                let code = code.display();
                return Err(format!(
                    "function {} has no code: {code} does not exist; correct `code`",
                    spec.name
                ));
            }
            world
                .interpreters
                .command(runtime, code)
                .await
                .map_err(|error| format!("function {}: {error}", spec.name))
        }
        FunctionKind::Run { command, .. } | FunctionKind::Exec { command } => {
            let Some((program, rest)) = command.split_first() else {
                return Err(format!("function {} names no program to start", spec.name));
            };
            let found =
                find(program, &spec.folder).map_err(|error| format!("function {}: {error}", spec.name))?;
            Ok([found.into_os_string()].into_iter().chain(rest.iter().map(OsString::from)).collect())
        }
        _ => Err(format!("function {} is no process of ours", spec.name)),
    }
}

/// The program that a word names: a path, from `folder` if it is relative, or a name on PATH.
fn find(program: &str, folder: &Path) -> Result<PathBuf, String> {
    let here = folder.join(program);
    if program.contains('/') {
        return match here.metadata() {
            _ if interpreter::is_program(&here) => Ok(here),
            Ok(_) => Err(format!("{} is not a program; make it executable (chmod +x)", here.display())),
            Err(error) => {
                Err(format!("cannot start {}: {error}; build it, or correct the path", here.display()))
            }
        };
    }
    interpreter::on_path(program).into_iter().next().ok_or_else(|| {
        let hint = if interpreter::is_program(&here) {
            format!("; write ./{program} for the one in {}", folder.display())
        } else {
            String::new()
        };
        format!("there is no program {program} on PATH; install it, or give its path{hint}")
    })
}

/// A command of these words with nothing of our environment.
pub fn command(words: &[OsString], folder: &Path) -> Result<Command, String> {
    let Some((program, rest)) = words.split_first() else {
        return Err("there is no program to start".to_owned());
    };
    if !folder.is_dir() {
        return Err(format!("cannot start in {}: there is no such folder", folder.display()));
    }
    let mut command = Command::new(program);
    command.args(rest).current_dir(folder).env_clear();
    Ok(command)
}

/// Why a program could not be started.
pub fn cannot_run(words: &[OsString], error: &io::Error) -> String {
    let program = words.first().map(|word| word.to_string_lossy().into_owned()).unwrap_or_default();
    let hint = match error.raw_os_error() {
        Some(libc::ENOEXEC) => "; is it built for this machine, and does a script begin with #!?",
        Some(libc::EACCES) => "; make it executable (chmod +x)",
        Some(libc::ENOENT) => "; does it exist, and the interpreter that its first line names?",
        _ => "",
    };
    format!("cannot start {program}: {error}{hint}")
}
