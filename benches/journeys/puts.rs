//! Ten thousand objects put over the S3 API: all delivered to a function, none twice, how fast; and `aws s3 sync` of as
//! many files, and what share of the time dropwire's processor has.

use std::collections::HashSet;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use super::s3_client::Asker;
use super::world::{Folder, median};

const COUNT: usize = 10_000;
const CLIENTS: usize = 16;
const TURNS: usize = 3;

pub async fn run() {
    // Folders stay until all is measured: a file system takes its time over what was removed a moment ago.
    let (mut rates, mut folders) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        let folder = Folder::new().await;
        rates.push(burst(&folder).await);
        folders.push(folder);
    }
    println!("{COUNT} objects put → function   median {:.0}/s", median(rates));
    let aws = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/clients/python/bin/aws");
    match aws.exists() {
        true => sync(&aws, &Folder::new().await).await,
        false => println!("aws s3 sync: skipped, {} is not there", aws.display()),
    }
}

async fn burst(folder: &Folder) -> f64 {
    folder.write(4, "on = \"s3:uploads\"\n");
    let running = folder.start().await;
    let begun = Instant::now();
    let writers: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let mut asker = Asker::of(&running.address);
            std::thread::spawn(move || {
                for n in (client..COUNT).step_by(CLIENTS) {
                    let path = format!("/uploads/{n}.txt");
                    assert_eq!(
                        asker.request("PUT", &path, format!("object {n}").as_bytes()).0,
                        200,
                        "{path}"
                    );
                }
                begun.elapsed()
            })
        })
        .collect();
    let (mut seen, mut twice) = (HashSet::new(), 0);
    while seen.len() < COUNT {
        let Some((_, what, _)) = folder.told().await else { break };
        twice += usize::from(!seen.insert(what));
    }
    let took = begun.elapsed().as_secs_f64();
    let written = writers.into_iter().map(|writer| writer.join().expect("written").as_secs_f64());
    let written = written.fold(0.0, f64::max);
    let rate = seen.len() as f64 / took;
    println!(
        "{COUNT} objects put   {} delivered, {twice} twice   {rate:.0}/s   ({took:.2} s in all, {written:.2} s to put them)",
        seen.len()
    );
    rate
}

async fn sync(aws: &Path, folder: &Folder) {
    folder.write(1, "[bucket.bench]\n");
    let running = folder.start().await;
    let from = folder.path("from");
    std::fs::create_dir(&from).expect("a folder");
    (0..COUNT)
        .for_each(|n| std::fs::write(from.join(format!("{n}.txt")), format!("file {n}")).expect("a file"));
    let before = running.processor_ms();
    let begun = Instant::now();
    let mut command = Command::new(aws);
    command.args(["--endpoint-url", &format!("http://{}", running.address), "s3", "sync", "--quiet"]);
    command.arg(&from).arg("s3://bench/").stdout(Stdio::null());
    for (name, value) in
        [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_DEFAULT_REGION", "us-east-1")]
    {
        command.env(name, value);
    }
    let ended = tokio::task::block_in_place(|| command.status()).expect("aws runs");
    let (took, used) = (begun.elapsed().as_secs_f64(), (running.processor_ms() - before) as f64 / 1e3);
    let there = std::fs::read_dir(folder.path("buckets/bench")).expect("the bucket").count();
    println!(
        "aws s3 sync of {COUNT} files   {ended}, {there} there   {took:.1} s, of which dropwire's processor time {used:.1} s ({:.0} %)",
        100.0 * used / took
    );
}
