//! Cold calls beside bare spawns of the same program, and what very many calls leave in memory.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::client;
use super::world::{Folder, median};

/// How many functions are called for the first time.
const COLD: usize = 40;
/// How many calls must leave nothing behind, and after how many it is first looked.
const MANY: usize = 100_000;
const FIRST: usize = 1_000;
const CLIENTS: usize = 8;

pub async fn run() {
    let folder = Folder::new().await;
    let program = std::env::current_exe().expect("this program").display().to_string();
    let function =
        |name: String| format!("[function.{name}]\nrun = \"{program} {}\"\nconcurrency = 4\n", client::WORD);
    let wiring: String = (0..COLD).map(|number| function(format!("cold{number}"))).collect();
    folder.write(1, &wiring);
    let running = folder.start().await;
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for number in 0..COLD {
        ours.push(tokio::task::block_in_place(|| one_call(&running.address, &format!("cold{number}"))));
        bare.push(tokio::task::block_in_place(|| one_spawn(&program)));
    }
    let (ours, bare) = (median(ours), median(bare));
    println!("cold call                 median {ours:.2} ms");
    println!(
        "spawn to first answer     median {bare:.2} ms   ours takes {:.2} ms more   (same program)",
        ours - bare
    );
    let mut calls = Calls::begin(&running.address, "cold0");
    calls.make(FIRST / CLIENTS);
    let first = running.memory().0;
    calls.make((MANY - FIRST) / CLIENTS);
    let last = running.memory().0;
    println!(
        "resident memory           {first} KiB after {FIRST} calls, {last} KiB after {MANY}: {:+.1} %",
        (last as f64 / first as f64 - 1.0) * 100.0
    );
}

/// A process that asks a bare server for its first event and answers it.
fn one_spawn(program: &str) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let api = listener.local_addr().expect("an address").to_string();
    let begun = Instant::now();
    let mut child = Command::new(program)
        .arg(client::WORD)
        .env("AWS_LAMBDA_RUNTIME_API", api)
        .stdin(Stdio::null())
        .spawn()
        .expect("the client starts");
    let (mut stream, _) = listener.accept().expect("the client comes");
    let mut buffer = [0; 4096];
    assert!(stream.read(&mut buffer).expect("it asks") > 0);
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r\r\nContent-Length: 2\r\n\r\n{}")
        .expect("an event");
    assert!(stream.read(&mut buffer).expect("it answers") > 0);
    let took = begun.elapsed().as_secs_f64() * 1e3;
    child.kill().expect("it ends");
    child.wait().expect("it has ended");
    took
}

fn one_call(address: &str, function: &str) -> f64 {
    let begun = Instant::now();
    let mut stream = connection(address);
    call(&mut stream, address, function);
    begun.elapsed().as_secs_f64() * 1e3
}

/// Clients that call one function side by side.
struct Calls {
    address: String,
    function: String,
    streams: Vec<BufReader<TcpStream>>,
}

impl Calls {
    fn begin(address: &str, function: &str) -> Calls {
        let streams = (0..CLIENTS).map(|_| connection(address)).collect();
        Calls { address: address.to_owned(), function: function.to_owned(), streams }
    }

    /// So many calls of each client.
    fn make(&mut self, each: usize) {
        let (address, function) = (&self.address, &self.function);
        std::thread::scope(|scope| {
            for stream in &mut self.streams {
                scope.spawn(move || (0..each).for_each(|_| call(stream, address, function)));
            }
        });
    }
}

fn connection(address: &str) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).expect("the server");
    stream.set_nodelay(true).expect("no delay");
    BufReader::new(stream)
}

fn call(stream: &mut BufReader<TcpStream>, address: &str, function: &str) {
    let request = format!(
        "POST /2015-03-31/functions/{function}/invocations HTTP/1.1\r\nHost: {address}\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    stream.get_mut().write_all(request.as_bytes()).expect("sent");
    let (mut line, mut length, mut first) = (String::new(), 0, true);
    loop {
        line.clear();
        stream.read_line(&mut line).expect("a line");
        assert!(!first || line.starts_with("HTTP/1.1 200"), "{line}");
        first = false;
        let lower = line.trim_end().to_ascii_lowercase();
        if lower.is_empty() {
            break;
        }
        if let Some(text) = lower.strip_prefix("content-length:") {
            length = text.trim().parse().expect("a number");
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
}
