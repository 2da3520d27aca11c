//! Ten thousand and a hundred thousand files copied into a watched folder: all delivered, none twice, how fast.

use std::collections::HashSet;
use std::time::Instant;

use super::world::Folder;

pub async fn run() {
    for count in [10_000, 10_000, 10_000, 100_000] {
        burst(count).await;
    }
}

async fn burst(count: usize) {
    let folder = Folder::new().await;
    folder.write(4, "on = \"s3:uploads\"\n");
    let running = folder.start().await;
    let target = folder.path("buckets/uploads");
    let begun = Instant::now();
    let writer = std::thread::spawn(move || {
        for i in 0..count {
            std::fs::write(target.join(format!("{i}.txt")), format!("file {i}")).expect("a file");
        }
        begun.elapsed()
    });
    let (mut seen, mut twice) = (HashSet::new(), 0);
    while seen.len() < count {
        let Some((_, what, _)) = folder.told().await else { break };
        twice += usize::from(!seen.insert(what));
    }
    let took = begun.elapsed();
    let written = writer.join().expect("written");
    let (now, highest) = running.memory();
    println!(
        "{count} files   {} delivered, {twice} twice   {:.0}/s   ({:.2} s in all, {:.2} s to write them)   memory {} MiB now, {} MiB at most",
        seen.len(),
        seen.len() as f64 / took.as_secs_f64(),
        took.as_secs_f64(),
        written.as_secs_f64(),
        now / 1024,
        highest / 1024,
    );
}
