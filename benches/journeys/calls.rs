//! Warm synchronous calls through the Lambda API, beside a server that keeps nothing: the same load client, the same
//! function client, in the same run, for compiled, Python and Node functions.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::world::{Folder, median};
use super::{bare_service, client};

/// How many environments a function has, on both sides.
const ENVIRONMENTS: usize = 4;
const WARM_UP: Duration = Duration::from_millis(700);
const MEASURED: Duration = Duration::from_millis(2000);
const TURNS: usize = 3;
/// One client tells the median, more of them the rate.
const CLIENTS: [usize; 3] = [1, 8, 32];

/// A kind of function: its wiring, and the words and variables that start the same client for the bare server.
struct Kind {
    name: &'static str,
    wiring: String,
    words: Vec<String>,
    variables: Vec<(&'static str, String)>,
}

pub async fn run() {
    let folder = Folder::new().await;
    let kinds = kinds(folder.root());
    let wiring: String = kinds.iter().map(|kind| kind.wiring.clone()).collect();
    folder.write(1, &wiring);
    let running = folder.start().await;
    println!("calls through the Lambda API, {ENVIRONMENTS} environments     dropwire           bare server");
    for kind in &kinds {
        let bare = Bare::start(kind);
        for clients in CLIENTS {
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            for _ in 0..TURNS {
                ours.push(tokio::task::block_in_place(|| load(&running.address, kind.name, clients)));
                theirs.push(tokio::task::block_in_place(|| load(&bare.address, kind.name, clients)));
            }
            let both = |figures: &[(f64, f64)]| {
                let medians = median(figures.iter().map(|(median, _)| *median).collect());
                (medians, median(figures.iter().map(|(_, rate)| *rate).collect()))
            };
            let ((our_median, our_rate), (median, rate)) = (both(&ours), both(&theirs));
            println!(
                "{:<9} {clients:>2} clients   median {our_median:.3} ms {our_rate:>6.0}/s   median {median:.3} ms \
                 {rate:>6.0}/s   ratio {:.2}, rate {:.2}",
                kind.name,
                our_median / median,
                our_rate / rate
            );
        }
    }
    println!("resident memory of dropwire after all of it: {} MiB", running.memory().0 / 1024);
}

fn kinds(root: &Path) -> Vec<Kind> {
    let program = std::env::current_exe().expect("this program").display().to_string();
    let mut kinds = vec![Kind {
        name: "compiled",
        wiring: format!(
            "[function.compiled]\nrun = \"{program} {}\"\nconcurrency = {ENVIRONMENTS}\n",
            client::WORD
        ),
        words: vec![program, client::WORD.into()],
        variables: Vec::new(),
    }];
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/function/runtimes");
    for (name, runtime, interpreter, shim, file, code) in [
        (
            "python",
            "python3.12",
            "python3",
            "python.py",
            "app.py",
            "def handler(event, context):\n    return None\n",
        ),
        ("node", "nodejs20.x", "node", "node.cjs", "app.js", "exports.handler = async () => null;\n"),
    ] {
        let Some(interpreter) = real_path(interpreter) else {
            println!("{name} is not installed: not measured");
            continue;
        };
        let code_folder = root.join(name);
        std::fs::create_dir_all(&code_folder).expect("a folder");
        std::fs::write(code_folder.join(file), code).expect("code");
        kinds.push(Kind {
            name,
            wiring: format!(
                "[function.{name}]\nruntime = \"{runtime}\"\nhandler = \"app.handler\"\ncode = \"{name}\"\n\
                 concurrency = {ENVIRONMENTS}\n"
            ),
            words: vec![interpreter, sources.join(shim).display().to_string()],
            variables: vec![
                ("_HANDLER", "app.handler".into()),
                ("LAMBDA_TASK_ROOT", code_folder.display().to_string()),
                ("AWS_LAMBDA_FUNCTION_NAME", name.into()),
            ],
        });
    }
    kinds
}

/// Where an interpreter really is, behind scripts that look for it.
fn real_path(interpreter: &str) -> Option<String> {
    let asks = if interpreter == "node" {
        ["-e", "console.log(process.execPath)"]
    } else {
        ["-c", "import sys; print(sys.executable)"]
    };
    let said = Command::new(interpreter).args(asks).output().ok()?;
    Some(String::from_utf8_lossy(&said.stdout).trim().to_owned()).filter(|path| !path.is_empty())
}

/// A bare server with its functions, ended with the measurement.
struct Bare {
    children: Vec<Child>,
    address: String,
}

impl Bare {
    fn start(kind: &Kind) -> Bare {
        let program = std::env::current_exe().expect("this program");
        let mut server =
            Command::new(program).arg(bare_service::WORD).stdout(Stdio::piped()).spawn().expect("the server");
        let mut address = String::new();
        let mut said = BufReader::new(server.stdout.take().expect("its output"));
        said.read_line(&mut address).expect("its address");
        let address = address.trim().to_owned();
        let mut children = vec![server];
        for _ in 0..ENVIRONMENTS {
            let mut function = Command::new(&kind.words[0]);
            function.args(&kind.words[1..]).env("AWS_LAMBDA_RUNTIME_API", &address);
            function.envs(kind.variables.iter().map(|(name, value)| (*name, value)));
            children.push(function.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("a function"));
        }
        Bare { children, address }
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        for child in self.children.iter_mut().rev() {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// So many clients, each with one call after the other on its own connection: the median of a call in ms, and how many
/// calls a second there were of all of them.
fn load(address: &str, function: &str, clients: usize) -> (f64, f64) {
    let threads: Vec<_> = (0..clients)
        .map(|_| {
            let (address, function) = (address.to_owned(), function.to_owned());
            std::thread::spawn(move || calls(&address, &function))
        })
        .collect();
    let all: Vec<f64> = threads.into_iter().flat_map(|thread| thread.join().expect("a client")).collect();
    let rate = all.len() as f64 / MEASURED.as_secs_f64();
    (median(all), rate)
}

fn calls(address: &str, function: &str) -> Vec<f64> {
    let payload = format!("{{\"body\":\"{}\"}}", "x".repeat(800));
    let request = format!(
        "POST /2015-03-31/functions/{function}/invocations HTTP/1.1\r\nHost: {address}\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=test/20261125/us-east-1/lambda/aws4_request, SignedHeaders=host;x-amz-date, Signature=0000\r\n\
         X-Amz-Date: 20261125T000000Z\r\nContent-Length: {}\r\n\r\n{payload}",
        payload.len()
    );
    let mut stream = TcpStream::connect(address).expect("the server");
    stream.set_nodelay(true).expect("no delay");
    let (begun, mut figures, mut buffer) = (Instant::now(), Vec::new(), vec![0; 16384]);
    while begun.elapsed() < WARM_UP + MEASURED {
        let sent = Instant::now();
        stream.write_all(request.as_bytes()).expect("sent");
        let mut read = 0;
        loop {
            let count = stream.read(&mut buffer[read..]).expect("an answer");
            assert!(count > 0, "the connection ended");
            read += count;
            let end = buffer[..read].windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
                assert!(head.starts_with("http/1.1 200"), "{head}");
                let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
                let length: usize = length.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
                if read >= end + 4 + length {
                    assert_eq!(&buffer[end + 4..end + 4 + length], b"null");
                    break;
                }
            }
        }
        if sent.duration_since(begun) >= WARM_UP {
            figures.push(sent.elapsed().as_secs_f64() * 1e3);
        }
    }
    figures
}
