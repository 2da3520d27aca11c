//! Real programs in stories: the built `dropwire` as a child process, shells, and who is not installed here.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::Value;

use crate::simulator::DEADLINE;

/// Runs a script in this folder, which must succeed.
pub fn sh(folder: &Path, script: &str) -> String {
    let output = Command::new("sh").arg("-euc").arg(script).current_dir(folder).output().expect("sh");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// Whether this program answers to `--version` here; if not, says that what needs it is skipped.
pub fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        skipped(&format!("{program} is not installed"));
    }
    found
}

/// Says that a test is not run, and why, also where the test harness keeps a test's words to itself.
pub fn skipped(why: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    writeln!(std::io::stderr(), "skipped: {test}: {why}").ok();
}

/// Whether we are root, to whom no folder is unreadable.
pub fn is_root() -> bool {
    sh(Path::new("/"), "id -u").trim() == "0"
}

/// Waits until this is so; fails at the deadline. For what no timeline tells of: other processes.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < DEADLINE, "{what} did not come");
        std::thread::yield_now();
    }
}

/// Whether a process runs (a zombie does not).
pub fn is_alive(pid: i32) -> bool {
    let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok();
    match state.as_deref().and_then(|text| text.rsplit(") ").next()).and_then(|rest| rest.chars().next()) {
        Some(state) => state != 'Z' && state != 'X',
        // Where there is no /proc, signal 0 has to do.
        None => {
            !Path::new("/proc/self").exists()
                && nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok()
        }
    }
}

/// The command line with these words, for this folder.
pub fn dropwire(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dropwire"));
    command.args(words).arg("--dir").arg(folder).current_dir(folder);
    command.stdin(Stdio::null()).env_remove("RUST_LOG").env("NO_COLOR", "1");
    command
}

/// Runs it to its end: exit code, stdout, stderr.
pub fn run(folder: &Path, words: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = dropwire(folder, words).output().expect("dropwire runs");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code().unwrap_or(-1), text(stdout), text(stderr))
}

/// `dropwire up` as a child process that is killed at the end, however the test ends.
pub struct Up {
    child: Child,
    folder: PathBuf,
    lines: Receiver<String>,
    /// What it had printed by the time it could be asked.
    said: Vec<String>,
}

impl Up {
    /// Starts it on a free port; returns when it can be asked.
    pub fn start(folder: &Path) -> Up {
        Up::start_with(folder, &["--port", "0"])
    }

    /// The same with these flags instead of a free port.
    pub fn start_with(folder: &Path, words: &[&str]) -> Up {
        Up::start_in(folder, words, &[])
    }

    /// The same with these variables set.
    pub fn start_in(folder: &Path, words: &[&str], variables: &[(&str, &str)]) -> Up {
        let mut command = dropwire(folder, &[&["up", "-o", "plain"], words].concat());
        command.envs(variables.iter().copied());
        Up::begin(folder, command)
    }

    /// Starts it on a free port where this shell script has forbidden something to it, in namespaces of its own.
    pub fn start_without(folder: &Path, script: &str) -> Up {
        let inner = dropwire(folder, &["up", "-o", "plain", "--port", "0"]);
        let mut command = Command::new("unshare");
        let script = format!("{script}; exec \"$@\"");
        command.args(["--user", "--map-root-user", "sh", "-euc", &script, "sh"]);
        command.arg(inner.get_program()).args(inner.get_args()).current_dir(folder).stdin(Stdio::null());
        Up::begin(folder, command)
    }

    fn begin(folder: &Path, mut command: Command) -> Up {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dropwire starts");
        let (sender, lines) = channel();
        let outputs: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().expect("its output")),
            Box::new(child.stderr.take().expect("its errors")),
        ];
        for output in outputs {
            let sender = sender.clone();
            // Ends with the pipe, that is, with the process.
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    sender.send(line).ok();
                }
            });
        }
        let mut up = Up { child, folder: folder.to_owned(), lines, said: Vec::new() };
        let running = folder.join(".dropwire").join("running.json");
        until("an answer of `dropwire up`", || {
            up.said.extend(up.lines.try_iter());
            if let Ok(Some(status)) = up.child.try_wait() {
                panic!("dropwire ended with {status}:\n{}", up.said.join("\n"));
            }
            let known: Value = serde_json::from_slice(&std::fs::read(&running).ok()?).ok()?;
            (known["pid"] == up.child.id()).then_some(())
        });
        up
    }

    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id")
    }

    /// Where its control API listens, and the token.
    pub fn door(&self) -> (String, String) {
        let text = std::fs::read(self.folder.join(".dropwire/running.json")).expect("running.json");
        let running: Value = serde_json::from_slice(&text).expect("JSON");
        let text = |key: &str| running[key].as_str().expect("text").to_owned();
        (text("address"), text("token"))
    }

    /// The first line with these words that it has printed, or prints.
    pub fn line_with(&self, words: &str) -> String {
        let mut said = self.said.clone();
        loop {
            if let Some(line) = said.iter().find(|line| line.contains(words)) {
                return line.clone();
            }
            match self.lines.recv_timeout(DEADLINE) {
                Ok(line) => said.push(line),
                Err(error) => panic!("{words}: {error}; it said {said:#?}"),
            }
        }
    }

    /// The port.
    pub fn port(&self) -> String {
        self.door().0.rsplit(':').next().unwrap_or_default().to_owned()
    }

    /// What a command answers in JSON; it must succeed.
    pub fn ask(&self, words: &[&str]) -> Value {
        let (code, stdout, stderr) = run(&self.folder, &[words, &["--json"]].concat());
        assert_eq!(code, 0, "{words:?}: {stdout}{stderr}");
        let envelope: Value = serde_json::from_str(&stdout).expect("JSON");
        envelope["data"].clone()
    }

    /// As power goes: no signal that it could catch.
    pub fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("it is gone");
    }

    /// Asks it to end, and waits for it.
    pub fn down(mut self) {
        let (code, stdout, stderr) = run(&self.folder, &["down"]);
        assert_eq!(code, 0, "{stdout}{stderr}");
        assert!(self.child.wait().expect("it ended").success());
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Sends these bytes and returns the answer's status.
pub fn raw(address: &str, request: &str) -> u16 {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    line.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}
