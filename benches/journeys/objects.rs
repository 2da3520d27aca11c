//! Objects of 1 KiB put and got over the S3 API, beside other servers that speak it, whose addresses the environment
//! names: `DROPWIRE_BENCH_S3=moto=127.0.0.1:5000,s3rver=127.0.0.1:5001`. And a large object beside a plain copy.

use std::time::{Duration, Instant};

use md5::Digest;

use super::s3_client::Asker;
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
        Asker::of(address).request("PUT", "/bench", b"");
    }
    for (_, address) in &all {
        let mut asker = Asker::of(address);
        for path in (0..CLIENTS[1]).flat_map(|client| (0..50).map(move |n| format!("/bench/{client}/{n}"))) {
            assert_eq!(asker.request("PUT", &path, &[b'x'; 1024]).0, 200, "{path}");
        }
    }
    for method in ["PUT", "GET"] {
        for clients in CLIENTS {
            let mut figures: Vec<Vec<(f64, f64)>> = vec![Vec::new(); all.len()];
            for turn in 1..=TURNS {
                for (at, (_, address)) in all.iter().enumerate() {
                    let turn = turn * CLIENTS[1] + clients;
                    let load = || load(address, method, (clients, turn));
                    figures[at].push(tokio::task::block_in_place(load));
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
        // Nobody pays for what others have not brought to the disk yet, nor for memory that a virtual machine has to be
        // given first: what this file filled is free and at hand.
        std::fs::write(&to, &content).expect("a file");
        std::fs::remove_file(&to).expect("removed");
        nix::unistd::sync();
        let begun = Instant::now();
        what();
        LARGE as f64 / begun.elapsed().as_secs_f64() / 1e6
    };
    let copied = timed(&mut || assert_eq!(std::fs::copy(&from, &to).expect("a copy"), LARGE as u64));
    let put =
        timed(&mut || assert_eq!(Asker::of(address).request("PUT", "/bench/large", &content), (200, 0)));
    let got = timed(&mut || assert_eq!(Asker::of(address).request("GET", "/bench/large", b""), (200, LARGE)));
    // No answer to a put can come before that: its eTag is this.
    let hashed = timed(&mut || assert_eq!(std::hint::black_box(md5::Md5::digest(&content)).len(), 16));
    println!(
        "1 GiB: put {put:.0} MB/s, get {got:.0} MB/s, plain copy {copied:.0} MB/s, MD5 alone {hashed:.0} MB/s"
    );
}

/// The median and the rate of so many clients; `turn` tells their objects from those of others.
fn load(address: &str, method: &str, (clients, turn): (usize, usize)) -> (f64, f64) {
    let threads: Vec<_> = (0..clients)
        .map(|client| {
            let (address, method) = (address.to_owned(), method.to_owned());
            std::thread::spawn(move || calls(&address, &method, (client, turn)))
        })
        .collect();
    let all: Vec<f64> = threads.into_iter().flat_map(|thread| thread.join().expect("a client")).collect();
    let rate = all.len() as f64 / MEASURED.as_secs_f64();
    (median(all), rate)
}

fn calls(address: &str, method: &str, (client, turn): (usize, usize)) -> Vec<f64> {
    let content = vec![b'x'; if method == "PUT" { 1024 } else { 0 }];
    let (mut asker, mut figures, begun) = (Asker::of(address), Vec::new(), Instant::now());
    while begun.elapsed() < MEASURED {
        // What is put is new: a file system takes its time over what was removed a moment ago.
        let number = if method == "PUT" { turn * 1_000_000 + figures.len() } else { figures.len() % 50 };
        let path = format!("/bench/{client}/{number}");
        let sent = Instant::now();
        let answered = asker.request(method, &path, &content);
        figures.push(sent.elapsed().as_secs_f64() * 1e3);
        // The objects were all put before any is got.
        let length = if method == "PUT" { answered.1 } else { 1024 };
        assert_eq!(answered, (200, length), "{method} {path}");
    }
    figures
}
