//! From the start of the process to its first answer, and what it costs to do nothing.

use std::time::Duration;

use dropwire::clock::real;

use super::world::{Folder, median};

const ROUNDS: usize = 7;
const FUNCTIONS: usize = 1000;

pub async fn run() {
    let mut empty = Vec::new();
    for _ in 0..ROUNDS {
        let folder = Folder::new().await;
        folder.write(1, "on = [\"s3:uploads\", \"topic:news\"]\n");
        empty.push(folder.start().await.answered.as_secs_f64() * 1e3);
    }
    println!("start with an empty state       median {:.0} ms to the first answer", median(empty));
    let folder = Folder::new().await;
    folder.write(1, "on = [\"s3:uploads\", \"topic:news\"]\n");
    drop(folder.start().await);
    let mut existing = Vec::new();
    for _ in 0..ROUNDS {
        existing.push(folder.start().await.answered.as_secs_f64() * 1e3);
    }
    println!("start with an existing state    median {:.0} ms", median(existing));
    idle(&folder).await;
    many_functions().await;
    known_files(&folder).await;
}

/// The functions of the wiring file, each with a wire.
async fn many_functions() {
    let folder = Folder::new().await;
    let function = |i| format!("[function.f{i}]\nrun = \"true\"\non = \"s3:uploads\"\n");
    folder.write(1, &(0..FUNCTIONS).map(function).collect::<String>());
    drop(folder.start().await);
    let mut started = Vec::new();
    for _ in 0..ROUNDS {
        started.push(folder.start().await.answered.as_secs_f64() * 1e3);
    }
    println!("start with {FUNCTIONS} functions      median {:.0} ms", median(started));
    idle(&folder).await;
}

async fn idle(folder: &Folder) {
    let running = folder.start().await;
    let before = running.processor_ms();
    real::sleep(Duration::from_secs(5)).await;
    let used = running.processor_ms() - before;
    println!("idle   {} KiB resident, {used} ms of processor time in 5 s", running.memory().0);
}

async fn known_files(folder: &Folder) {
    let target = folder.path("buckets/uploads");
    for i in 0..100_000 {
        let sub = target.join(format!("{:02}", i % 100));
        if i < 100 {
            std::fs::create_dir_all(&sub).expect("a folder");
        }
        std::fs::write(sub.join(format!("{i}.txt")), b"x").expect("a file");
    }
    // The first start after that takes them in; `existing` files of a known folder are events.
    let running = folder.start().await;
    let mut delivered = 0;
    while delivered < 100_000 && folder.told().await.is_some() {
        delivered += 1;
    }
    drop(running);
    let mut known = Vec::new();
    for _ in 0..3 {
        known.push(folder.start().await.answered.as_secs_f64() * 1e3);
    }
    println!("start with 100,000 known files  median {:.0} ms ({delivered} delivered before)", median(known));
}
