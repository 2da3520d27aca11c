//! Whether what a function starts is there: programs, code folders, handler modules. Looks, never writes.

use std::path::{Path, PathBuf};

use super::FunctionKind;
use super::complaint::Complaint;
use super::reader::{Placed, Reader, Section};

/// What a runtime's name says about how its code is started.
#[derive(Clone, Copy, PartialEq)]
enum Family {
    Python,
    Node,
    Provided,
}

/// The command with its program as an absolute path if it was written as a path.
pub(super) fn placed(reader: &Reader, command: &Placed<Vec<String>>) -> Vec<String> {
    let mut words = command.value.clone();
    if let Some(program) = words.first_mut().filter(|program| is_path(program)) {
        *program = reader.path(program).to_string_lossy().into_owned();
    }
    words
}

/// The same, and W110 if there is no such program. `key` is `run` or `exec`.
pub(super) fn checked(reader: &mut Reader, command: &Placed<Vec<String>>, key: &str) -> Option<Vec<String>> {
    let words = placed(reader, command);
    let (written, program) = (command.value.first()?, words.first()?);
    let found = if is_path(written) { Some(PathBuf::from(program)) } else { in_path(program) };
    let found = found.filter(|path| path.is_file());
    if let Some(found) = &found
        && executable(found)
    {
        return Some(words);
    }
    let complaint = match found {
        Some(_) => Complaint::new("W110", format!("cannot run `{written}`"))
            .at(&command.span, "the file is there but is not executable")
            .help(format!(
                "`chmod +x {written}`, or start it by its interpreter: `{key} = \"sh {written}\"`"
            )),
        None if !is_path(written) => Complaint::new("W110", format!("no program called `{written}`"))
            .at(&command.span, "not found in PATH")
            .help(format!("for a file next to the wiring file write `./{written}`")),
        None => {
            let complaint = Complaint::new("W110", format!("no program at `{written}`"));
            let in_target = Path::new(written).components().any(|part| part.as_os_str() == "target");
            let name = Path::new(written).file_name().unwrap_or_default().to_string_lossy();
            let label = match in_target {
                true => format!("not built yet; `cargo build --bin {name}`?"),
                false => "no such file".to_owned(),
            };
            let complaint = complaint.at(&command.span, label).note(format!("looked for {program}"));
            match in_target {
                true => complaint
                    .help(format!("or let dropwire build it: `build = \"cargo build --bin {name}\"`")),
                false => complaint,
            }
        }
    };
    reader.complain(complaint);
    None
}

/// `runtime`, `handler` and `code`: the function's kind and its folder.
pub(super) fn handler(reader: &mut Reader, section: &Section) -> Option<(FunctionKind, PathBuf)> {
    let handler_setting = section.get("handler");
    let handler = handler_setting.as_ref().and_then(|setting| reader.text(setting));
    let Some(runtime_setting) = section.get("runtime") else {
        let complaint = Complaint::new("W104", format!("{} has a handler but no runtime", section.what));
        let span = handler_setting.map_or(section.span.clone(), |setting| setting.key_span);
        let help = "add `runtime = \"python3.12\"` or `runtime = \"nodejs20.x\"`";
        reader.complain(complaint.at(&span, "run by what?").help(help));
        return None;
    };
    let runtime = reader.text(&runtime_setting)?;
    let family = family(reader, &runtime);
    let code = code(reader, section);
    let (family, code) = (family?, code?);
    if family == Family::Provided {
        return bootstrap(reader, &runtime, &code);
    }
    let Some(handler) = handler else {
        if !section.has("handler") {
            let example = if family == Family::Python { "app.handler" } else { "index.handler" };
            let title = format!("{} has a runtime but no handler", section.what);
            let complaint =
                Complaint::new("W104", title).at(&runtime_setting.key_span, "which function of which file?");
            reader.complain(complaint.help(format!(
                "add `handler = \"{example}\"`: a file without its ending, a dot, a function in it"
            )));
        }
        return None;
    };
    module_exists(reader, family, &handler, &code)?;
    let folder = if code.value.is_dir() { code.value.clone() } else { parent(&code.value) };
    Some((FunctionKind::Handler { runtime: runtime.value, handler: handler.value, code: code.value }, folder))
}

/// `provided*`: the code folder brings its own program.
fn bootstrap(
    reader: &mut Reader,
    runtime: &Placed<String>,
    code: &Placed<PathBuf>,
) -> Option<(FunctionKind, PathBuf)> {
    let program = code.value.join("bootstrap");
    let problem = match (program.is_file(), executable(&program)) {
        (true, true) => {
            let command = vec![program.to_string_lossy().into_owned()];
            return Some((FunctionKind::Run { command, build: None, watch: Vec::new() }, code.value.clone()));
        }
        (true, false) => "`bootstrap` is there but is not executable",
        (false, _) => "there is no `bootstrap` in it",
    };
    let title = format!("runtime `{}` starts `bootstrap` of the code folder", runtime.value);
    reader.complain(
        Complaint::new("W112", title)
            .at(&code.span, problem)
            .note(format!("looked for {}", program.display()))
            .help("build it there, or name your program with `run` instead of `runtime`"),
    );
    None
}

/// The family of a runtime; W107 if it is not one we start.
fn family(reader: &mut Reader, runtime: &Placed<String>) -> Option<Family> {
    let name = runtime.value.as_str();
    let numbered = |rest: &str| rest.is_empty() || rest.starts_with(|sign: char| sign.is_ascii_digit());
    if name == "python3" || name.strip_prefix("python3.").is_some_and(numbered) {
        return Some(Family::Python);
    }
    if name.strip_prefix("nodejs").is_some_and(numbered) {
        return Some(Family::Node);
    }
    if name == "provided" || name.starts_with("provided.") {
        return Some(Family::Provided);
    }
    let complaint = Complaint::new("W107", format!("dropwire does not start runtime `{name}`"));
    let elsewhere = ["java", "ruby", "dotnet", "go"].iter().any(|family| name.starts_with(family));
    let near = super::names::nearest(name, &["python3.12", "nodejs20.x", "provided.al2023"]);
    reader.complain(match near.filter(|_| !elsewhere) {
        Some(near) => complaint.at(&runtime.span, format!("did you mean `{near}`?")),
        None => complaint
            .at(&runtime.span, "not `python3.…`, `nodejs…` or `provided…`")
            .help("start it with `run = \"…\"`: any program that speaks the Lambda Runtime API, such as the runtime \
                   client of that language")
            .help("or with `exec = \"…\"`: the event on its standard input, the result on its standard output"),
    });
    None
}

/// The code folder or file, `functions/NAME` by default; W111 if it is not there.
fn code(reader: &mut Reader, section: &Section) -> Option<Placed<PathBuf>> {
    let setting = section.get("code");
    let (written, span) = match &setting {
        Some(setting) => {
            let text = reader.text_like(setting, "a folder")?;
            (text.value, text.span)
        }
        None => (format!("functions/{}", section.name), section.span.clone()),
    };
    let path = reader.path(&written);
    let problem = match path.metadata() {
        Ok(found) if found.is_dir() => return Some(Placed { value: path, span }),
        Ok(_) if is_source(&path) => return Some(Placed { value: path, span }),
        Ok(_) => "neither a folder nor a .py, .js, .mjs or .cjs file",
        Err(_) => "no such folder",
    };
    let title = format!("{}: no code in `{written}`", section.what);
    let complaint =
        Complaint::new("W111", title).at(&span, problem).note(format!("looked at {}", path.display()));
    reader.complain(match setting {
        Some(_) => complaint,
        None => complaint.help("say where the code is: `code = \"…\"`; `functions/NAME` is only the default"),
    });
    None
}

/// W111 unless the handler's module is in the code folder; where to look for it is Lambda's rule.
fn module_exists(
    reader: &mut Reader,
    family: Family,
    handler: &Placed<String>,
    code: &Placed<PathBuf>,
) -> Option<()> {
    let Some(module) = module_path(family, &handler.value) else {
        let title = format!("handler `{}` names no function", handler.value);
        let help =
            "write the file without its ending, a dot, and the function: `index.handler`, `src/app.main`";
        reader.complain(
            Complaint::new("W111", title).at(&handler.span, "no dot with a name on both sides").help(help),
        );
        return None;
    };
    let endings: &[&str] = match family {
        Family::Python => &[".py", "/__init__.py"],
        _ => &[".js", ".mjs", ".cjs"],
    };
    let folder = if code.value.is_dir() { code.value.clone() } else { parent(&code.value) };
    let candidates: Vec<PathBuf> =
        endings.iter().map(|ending| folder.join(format!("{module}{ending}"))).collect();
    let is_it = |path: &&PathBuf| path.is_file() && (code.value.is_dir() || **path == code.value);
    if candidates.iter().any(|path| is_it(&path)) {
        return Some(());
    }
    let title = format!("no module for handler `{}`", handler.value);
    let wanted: Vec<String> = endings.iter().map(|ending| format!("`{module}{ending}`")).collect();
    let label = format!("no {} there", wanted.join(" or "));
    reader.complain(
        Complaint::new("W111", title)
            .at(&handler.span, label)
            .note(format!("looked in {}", code.value.display())),
    );
    None
}

/// The path of the module below the code folder, without its ending.
fn module_path(family: Family, handler: &str) -> Option<String> {
    let (module, function) = match family {
        // The last dot parts module and function; other dots part packages.
        Family::Python => {
            handler.rsplit_once('.').map(|(module, function)| (module.replace('.', "/"), function))?
        }
        // In the last part of the path, the first dot parts module and (perhaps nested) function.
        _ => {
            let (folder, base) =
                handler.rsplit_once('/').map_or(("", handler), |(folder, base)| (folder, base));
            let (module, function) = base.split_once('.')?;
            let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
            (if module.is_empty() { String::new() } else { format!("{folder}{module}") }, function)
        }
    };
    let usable =
        !module.is_empty() && !module.ends_with('/') && !function.is_empty() && !module.contains('\0');
    usable.then_some(module)
}

/// The first program of that name in PATH. Asks the environment that our children inherit: where they would be found.
fn in_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file() && executable(file))
}

fn is_path(program: &str) -> bool {
    program.contains('/')
}

fn is_source(path: &Path) -> bool {
    path.extension()
        .and_then(|ending| ending.to_str())
        .is_some_and(|ending| ["py", "js", "mjs", "cjs"].contains(&ending))
}

fn parent(path: &Path) -> PathBuf {
    path.parent().unwrap_or(path).to_owned()
}

#[cfg(unix)]
pub(super) fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata().is_ok_and(|found| found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
pub(super) fn executable(path: &Path) -> bool {
    path.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_module(family: Family, handler: &str, expected: Option<&str>) {
        assert_eq!(module_path(family, handler).as_deref(), expected, "{handler}");
    }

    #[test]
    fn a_handler_names_a_module_as_lambda_reads_it() {
        check_module(Family::Python, "app.handler", Some("app"));
        check_module(Family::Python, "pkg.app.handler", Some("pkg/app"));
        check_module(Family::Python, "src/app.handler", Some("src/app"));
        check_module(Family::Node, "index.handler", Some("index"));
        check_module(Family::Node, "src/index.handler", Some("src/index"));
        check_module(Family::Node, "lib.v2/index.api.handler", Some("lib.v2/index"));
        for wrong in ["", "handler", ".handler", "app."] {
            check_module(Family::Python, wrong, None);
            check_module(Family::Node, wrong, None);
        }
    }
}
