//! Whole journeys: from a closed file, a committed row, a published message to the first line of a warm function,
//! and how many of each a second; start-up, memory, and a warm invocation beside a bare loop.
//!
//! Run with `cargo bench --bench journeys`; name one or more of `latency`, `files`, `start`, `invoke`, `calls`,
//! `cold`, `objects`, `puts` to run only those. The function is this program itself, started again as a Runtime API client, so nothing else is needed.

mod bare;
mod bare_service;
mod calls;
mod client;
mod cold;
mod files;
mod latency;
mod objects;
mod puts;
mod s3_client;
mod start;
mod world;

fn main() {
    let mut words = std::env::args().skip(1).filter(|word| !word.starts_with('-'));
    let first = words.next();
    if first.as_deref() == Some(client::WORD) {
        return client::run();
    }
    if first.as_deref() == Some(bare_service::WORD) {
        return bare_service::run();
    }
    let chosen: Vec<String> = first.into_iter().chain(words).collect();
    let wanted = |name: &str| chosen.is_empty() || chosen.iter().any(|word| word == name);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        if wanted("latency") {
            latency::run().await;
        }
        if wanted("invoke") {
            bare::run().await;
        }
        if wanted("calls") {
            calls::run().await;
        }
        if wanted("cold") {
            cold::run().await;
        }
        if wanted("objects") {
            objects::run().await;
        }
        if wanted("puts") {
            puts::run().await;
        }
        if wanted("start") {
            start::run().await;
        }
        if wanted("files") {
            files::run().await;
        }
    });
}
