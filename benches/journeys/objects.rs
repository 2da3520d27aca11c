//! Objects of 1 KiB put and got over the S3 API, beside other servers that speak it, whose addresses the environment
//! names: `DROPWIRE_BENCH_S3=moto=127.0.0.1:5000,s3rver=127.0.0.1:5001`. And a large object beside a plain copy.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::world::{Folder, median};

const MEASURED: Duration = Duration::from_millis(1500);
const TURNS: usize = 3;
const CLIENTS: [usize; 2] = [1, 32];
/// Bytes of the large object.
const LARGE: usize = 1 << 30;

#[expect(clippy::disallowed_methods, reason = "where other servers are is said from outside")]
pub async fn run() {
    let folder = Folder::new().await;
    folder.write(1, "[bucket.bench]\n");
    let running = folder.start().await;
    let peers = std::env::var("DROPWIRE_BENCH_S3").unwrap_or_default();
    let peers = peers.split(',').filter_map(|peer| peer.split_once('='));
    let mut all = vec![("dropwire", running.address.clone())];
    all.extend(peers.map(|(name, address)| (name, address.to_owned())));
    for (_, address) in &all {
        // Some need their bucket made; where it is there already, that is well.
        request(&mut connect(address), "PUT", "/bench", b"");
    }
    for method in ["PUT", "GET"] {
        for clients in CLIENTS {
            let mut figures: Vec<Vec<(f64, f64)>> = vec![Vec::new(); all.len()];
            for _ in 0..TURNS {
                for (at, (_, address)) in all.iter().enumerate() {
                    figures[at].push(tokio::task::block_in_place(|| load(address, method, clients)));
                }
            }
            for ((name, _), figures) in all.iter().zip(figures) {
                let rate = median(figures.iter().map(|(_, rate)| *rate).collect());
                let middle = median(figures.iter().map(|(median, _)| *median).collect());
                println!(
                    "{method} 1 KiB {clients:>2} clients   {name:<9} median {middle:.3} ms {rate:>7.0}/s"
                );
            }
        }
    }
    tokio::task::block_in_place(|| large(&running.address, folder.root()));
    println!("resident memory of dropwire: {} MiB", running.memory().0 / 1024);
}

/// A large object put and got, beside a copy of a file of its size.
fn large(address: &str, root: &std::path::Path) {
    let content = vec![7; LARGE];
    let (from, to) = (root.join("from"), root.join("to"));
    std::fs::write(&from, &content).expect("a file");
    let timed = |what: &mut dyn FnMut()| {
        let begun = Instant::now();
        what();
        LARGE as f64 / begun.elapsed().as_secs_f64() / 1e6
    };
    let copied = timed(&mut || assert_eq!(std::fs::copy(&from, &to).expect("a copy"), LARGE as u64));
    let put = timed(&mut || assert_eq!(request(&mut connect(address), "PUT", "/bench/large", &content), 0));
    let got = timed(&mut || assert_eq!(request(&mut connect(address), "GET", "/bench/large", b""), LARGE));
    println!("1 GiB: put {put:.0} MB/s, get {got:.0} MB/s, plain copy {copied:.0} MB/s");
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the server");
    stream.set_nodelay(true).expect("no delay");
    stream
}

fn load(address: &str, method: &str, clients: usize) -> (f64, f64) {
    let threads: Vec<_> = (0..clients)
        .map(|client| {
            let (address, method) = (address.to_owned(), method.to_owned());
            std::thread::spawn(move || calls(&address, &method, client))
        })
        .collect();
    let all: Vec<f64> = threads.into_iter().flat_map(|thread| thread.join().expect("a client")).collect();
    let rate = all.len() as f64 / MEASURED.as_secs_f64();
    (median(all), rate)
}

fn calls(address: &str, method: &str, client: usize) -> Vec<f64> {
    let content = vec![b'x'; if method == "PUT" { 1024 } else { 0 }];
    let (mut stream, mut figures, begun) = (connect(address), Vec::new(), Instant::now());
    while begun.elapsed() < MEASURED {
        let path = format!("/bench/{client}/{}", figures.len() % 50);
        let sent = Instant::now();
        if method == "PUT" || figures.len() < 50 {
            request(&mut stream, method, &path, &content);
        } else {
            assert_eq!(request(&mut stream, method, &path, &content), 1024);
        }
        figures.push(sent.elapsed().as_secs_f64() * 1e3);
    }
    figures
}

/// One request and its whole answer; how many bytes its body had.
fn request(stream: &mut TcpStream, method: &str, path: &str, content: &[u8]) -> usize {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=S3RVER/20261125/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0000\r\n\
         X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nContent-Length: {}\r\n\r\n",
        stream.peer_addr().expect("an address"),
        content.len()
    );
    stream.write_all(head.as_bytes()).expect("sent");
    stream.write_all(content).expect("sent");
    let (mut buffer, mut read) = (vec![0; 256 << 10], 0);
    let (end, length) = loop {
        let count = stream.read(&mut buffer[read..]).expect("an answer");
        assert!(count > 0, "the connection ended");
        read += count;
        if let Some(end) = buffer[..read].windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            break (end + 4, length.and_then(|text| text.trim().parse().ok()).unwrap_or(0));
        }
    };
    let mut have = read - end;
    while have < length {
        have += stream.read(&mut buffer).expect("the rest");
    }
    length
}
