//! From the act to the first line of a warm function.

use std::io::{Read, Write};
use std::net::TcpStream;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};

use super::client::nanos;
use super::world::{Folder, Running, median};

const ROUNDS: usize = 300;
const WARM_UP: usize = 20;

pub async fn run() {
    let folder = Folder::new().await;
    folder.write(
        1,
        "on = [\"s3:uploads\", \"topic:news\"]\n[function.tell.wire.rows]\ntable = \"orders\"\n[table.orders]\nkey = \"id:S\"\nsqlite = \"shop.db\"\n",
    );
    let running = folder.start().await;
    report("close of a file → first line", files(&folder).await);
    report("commit of a row → first line", rows(&folder).await);
    report("publish request → first line", messages(&folder, &running).await);
}

fn report(what: &str, figures: Vec<f64>) {
    let mut sorted = figures.clone();
    sorted.sort_by(f64::total_cmp);
    let p99 = sorted[sorted.len() * 99 / 100];
    println!("{what}   median {:.3} ms   p99 {p99:.3} ms   ({} rounds)", median(figures), sorted.len());
}

/// The time from `done` to what the function tells next, in milliseconds.
async fn since(folder: &Folder, done: u64) -> f64 {
    let (at, _, _) = folder.told().await.expect("the function ran");
    at.saturating_sub(done) as f64 / 1e6
}

async fn files(folder: &Folder) -> Vec<f64> {
    let mut figures = Vec::new();
    for round in 0..ROUNDS + WARM_UP {
        let path = folder.path(&format!("buckets/uploads/{round}.txt"));
        let mut file = std::fs::File::create(path).expect("a file");
        file.write_all(&[b'x'; 1000]).expect("written");
        drop(file);
        figures.push(since(folder, nanos()).await);
    }
    figures.split_off(WARM_UP)
}

async fn rows(folder: &Folder) -> Vec<f64> {
    let options = SqliteConnectOptions::new().filename(folder.path("shop.db"));
    let mut connection = SqliteConnection::connect_with(&options).await.expect("the table's file");
    let mut figures = Vec::new();
    for round in 0..ROUNDS + WARM_UP {
        let insert = sqlx::query("INSERT INTO orders (id, item) VALUES (?1, '{\"status\":\"new\"}')");
        insert.bind(format!("o-{round}")).execute(&mut connection).await.expect("a row");
        figures.push(since(folder, nanos()).await);
    }
    figures.split_off(WARM_UP)
}

async fn messages(folder: &Folder, running: &Running) -> Vec<f64> {
    let mut stream = TcpStream::connect(&running.address).expect("the control API");
    stream.set_nodelay(true).expect("no delay");
    let body = r#"{"kind":"topic","topic":"news","body":"hello","subject":null,"attributes":[]}"#;
    let request = format!(
        "POST /_dropwire/v1/fire HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nx-dropwire-token: {}\r\nContent-Length: {}\r\n\r\n{body}",
        running.address,
        running.token,
        body.len()
    );
    let (mut figures, mut answer) = (Vec::new(), [0; 4096]);
    for _ in 0..ROUNDS + WARM_UP {
        let begun = nanos();
        stream.write_all(request.as_bytes()).expect("asked");
        figures.push(since(folder, begun).await);
        let read = stream.read(&mut answer).expect("answered");
        assert!(answer[..read].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..read]));
    }
    figures.split_off(WARM_UP)
}
