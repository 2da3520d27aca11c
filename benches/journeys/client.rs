//! The function of the journeys: a compiled Runtime API client on one plain socket. It tells when it got an
//! event, before it does anything else, and answers null.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

/// The first argument that makes this program the function.
pub const WORD: &str = "run-as-function";

/// Nanoseconds of the machine's clock, which both ends of a journey share.
#[expect(clippy::disallowed_methods, reason = "a measurement between two processes")]
pub fn nanos() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|d| d.as_nanos() as u64).unwrap_or_default()
}

#[expect(clippy::disallowed_methods, reason = "a function gets its settings this way")]
fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

pub fn run() {
    let tell = variable("TELL");
    let mut told = (!tell.is_empty()).then(|| TcpStream::connect(&tell).expect("somebody listens"));
    if let Some(told) = &told {
        told.set_nodelay(true).expect("no delay");
    }
    let api = variable("AWS_LAMBDA_RUNTIME_API");
    let mut stream = TcpStream::connect(&api).expect("the Runtime API");
    stream.set_nodelay(true).expect("no delay");
    let next = format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: {api}\r\n\r\n");
    let mut buffer = Vec::new();
    loop {
        stream.write_all(next.as_bytes()).expect("asked");
        let Some((head, body)) = answer(&mut stream, &mut buffer) else { return };
        if let Some(told) = &mut told {
            let records =
                body.windows(13).filter(|w| w == b"\"eventSource\"" || w == b"\"EventSource\"").count();
            let message = format!("{} {} {records}\n", nanos(), hash(&body));
            told.write_all(message.as_bytes()).ok();
        }
        let id = header(&head, "lambda-runtime-aws-request-id");
        let post = format!(
            "POST /2018-06-01/runtime/invocation/{id}/response HTTP/1.1\r\nHost: {api}\r\nContent-Length: 4\r\n\r\nnull"
        );
        stream.write_all(post.as_bytes()).expect("answered");
        if answer(&mut stream, &mut buffer).is_none() {
            return;
        }
    }
}

/// What tells one event from another.
fn hash(body: &[u8]) -> u64 {
    body.iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Vec<u8>)> {
    buffer.clear();
    let mut chunk = [0; 16384];
    loop {
        let end = buffer.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
            let length: usize = header(&head, "content-length").parse().unwrap_or(0);
            if buffer.len() >= end + 4 + length {
                return Some((head, buffer[end + 4..end + 4 + length].to_vec()));
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(read) => buffer.extend_from_slice(&chunk[..read]),
        }
    }
}

fn header(head: &str, name: &str) -> String {
    let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}
