//! Functions in a debugger: nothing is timed out or frozen, and the debugger is there after the code has changed too.

use std::path::PathBuf;
use std::process::Command;

use crate::clients::installed;
use crate::program::{Up, has, run, skipped};
use crate::simulator::Project;

/// Tells a story of `tests/clients/python/debugger_stories.py` of the function `f` of this project.
fn tell(project: &Project, story: &str) {
    let Some(python) = installed("python/bin/python") else { return };
    let up = Up::start_with(project.root(), &["--port", "0", "--no-timeouts"]);
    let stories = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/clients/python/debugger_stories.py");
    let mut command = Command::new(python);
    command.arg(stories).arg(story).arg(format!("http://{}", up.door().0)).arg(project.root());
    let output = command.output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && said.contains("told to the end"), "{said}\n{complained}");
    up.down();
}

/// A function `f` with a timeout of a second, which its debugger does not keep to.
fn project(lines: &str) -> Project {
    Project::new(&format!("[function.f]\ncode = \".\"\ntimeout = \"1s\"\nconcurrency = 1\n{lines}\n"))
}

/// A port that nobody had a moment ago: a debugger is told a fixed one.
fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

#[test]
fn a_node_function_is_paused_and_goes_on() {
    if !has("node") {
        return;
    }
    let port = free_port();
    let project = project(&format!(
        "runtime = \"nodejs20.x\"\nhandler = \"index.handler\"\nenv = {{ NODE_OPTIONS = \"--inspect={port}\" }}"
    ));
    project.write(
        "index.js",
        "exports.handler = async (event) => {\n  let doubled = event.n * 2;\n  return { doubled };\n};\n",
    );
    tell(&project, "node");
}

#[test]
fn a_python_function_is_paused_and_goes_on() {
    let Some(python) = installed("python/bin/python") else { return };
    let find = "import sysconfig, debugpy; print(sysconfig.get_path(\"purelib\"), end=\"\")";
    let found = Command::new(python).args(["-c", find]).output().expect("python runs");
    if !has("python3") || !found.status.success() {
        return skipped("debugpy is not installed; .ci/run installs it");
    }
    let packages = String::from_utf8(found.stdout).expect("a path");
    let port = free_port();
    let project = project(&format!(
        "runtime = \"python3.12\"\nhandler = \"app.handler\"\nenv = {{ PYTHONPATH = \"{packages}\" }}"
    ));
    let listen =
        format!("import debugpy\nprint('debugpy waits at', debugpy.listen(('127.0.0.1', {port}))[1])\n");
    let handler =
        "def handler(event, context):\n    doubled = event['n'] * 2\n    return {'doubled': doubled}\n";
    project.write("app.py", &(listen + handler));
    tell(&project, "python");
}

#[test]
fn a_process_that_an_ide_starts_is_invited_and_answers() {
    let Some(python) = installed("python/bin/python") else { return };
    let project = Project::new("[function.f]\nattach = true\n");
    project.write("app.py", "def handler(event, context):\n    return {'doubled': event['n'] * 2}\n");
    let up = Up::start(project.root());
    let invitation = up.line_with("AWS_LAMBDA_RUNTIME_API=");
    let address = invitation.rsplit('=').next().expect("an address").trim_end_matches('"').to_owned();
    assert_eq!(up.ask(&["show", "f"])["runtime_api"], address.as_str());
    let (_, listed, _) = run(project.root(), &["list", "functions"]);
    assert!(listed.contains(&format!("AWS_LAMBDA_RUNTIME_API={address}")), "{listed}");
    let mut client = Command::new(python)
        .args(["-m", "awslambdaric", "app.handler"])
        .env("AWS_LAMBDA_RUNTIME_API", &address)
        .current_dir(project.root())
        .spawn()
        .expect("it starts");
    let (code, said, complained) = run(project.root(), &["invoke", "f", "{\"n\":21}"]);
    client.kill().expect("killed");
    client.wait().expect("it is gone");
    assert!(code == 0 && said.contains("{\"doubled\": 42}"), "{said}{complained}");
    up.down();
}
