//! A warm invocation beside a bare loop: the same client against a server that keeps nothing.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use dropwire::arn::Place;
use dropwire::clock::Clock;
use dropwire::config::{Config, FunctionSpec};
use dropwire::delivery::Outcome;
use dropwire::function::{Functions, Invocation};
use dropwire::random::Random;
use dropwire::timeline::Timeline;

use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;

use super::client::WORD;
use super::world::median;

const ROUNDS: usize = 2000;
const WARM_UP: usize = 200;
const TURNS: usize = 5;

pub async fn run() {
    let payload = format!("{{\"body\":\"{}\"}}", "x".repeat(800));
    let (mut ours, mut bare, mut wire) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TURNS {
        // On a worker, as deliveries are: the main thread would have to be woken for every answer.
        let mut task = tokio::task::JoinSet::new();
        let event = payload.clone();
        task.spawn(async move { invocations(&event).await });
        ours.extend(task.join_next().await.and_then(Result::ok));
        bare.push(served(&payload).await);
        wire.push(tokio::task::block_in_place(|| loops(&payload)));
    }
    let (ours, bare, wire) = (median(ours), median(bare), median(wire));
    println!("warm invocation           median {ours:.3} ms");
    println!(
        "bare HTTP server          median {bare:.3} ms   ratio {:.2}   (same client, keeps nothing)",
        ours / bare
    );
    println!(
        "bare bytes on a socket    median {wire:.3} ms   ratio {:.2}   (no HTTP server at all)",
        ours / wire
    );
}

/// The least that an HTTP server can do: answer `next` with an event, take the answer, note the time between.
async fn served(payload: &str) -> f64 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let api = listener.local_addr().expect("an address").to_string();
    let program = std::env::current_exe().expect("this program");
    let mut child =
        Command::new(program).arg(WORD).env("AWS_LAMBDA_RUNTIME_API", api).spawn().expect("the client");
    let (stream, _) = listener.accept().await.expect("the client comes");
    stream.set_nodelay(true).expect("no delay");
    let payload = bytes::Bytes::from(payload.to_owned());
    let begun = Arc::new(Mutex::new(Instant::now()));
    let (sender, mut figures) = tokio::sync::mpsc::unbounded_channel();
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (payload, begun, sender) = (payload.clone(), begun.clone(), sender.clone());
        async move {
            let answer = if request.method() == hyper::Method::GET {
                *begun.lock().expect("a lock") = Instant::now();
                let answer = hyper::Response::builder().header("lambda-runtime-aws-request-id", "r");
                answer.body(Full::new(payload))
            } else {
                request.into_body().collect().await.expect("an answer");
                sender.send(begun.lock().expect("a lock").elapsed().as_secs_f64() * 1e3).ok();
                hyper::Response::builder().status(202).body(Full::new(bytes::Bytes::from_static(b"{}")))
            };
            Ok::<_, std::convert::Infallible>(answer.expect("an answer"))
        }
    });
    let mut server = tokio::task::JoinSet::new();
    server.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    let mut all = Vec::new();
    while all.len() < ROUNDS + WARM_UP {
        all.extend(figures.recv().await);
    }
    child.kill().expect("the client ends");
    child.wait().expect("the client has ended");
    median(all.split_off(WARM_UP))
}

async fn invocations(payload: &str) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let functions = Functions::new(
        Place::default(),
        Clock::system(),
        Timeline::default(),
        Random::seeded(1),
        folder.path().to_owned(),
    );
    functions.replace([("f".to_owned(), function(folder.path()))].into()).await;
    let mut figures = Vec::new();
    for round in 0..ROUNDS + WARM_UP {
        let begun = Instant::now();
        let outcome =
            functions.invoke("f", Invocation::of(payload.to_owned().into(), &format!("r-{round}"))).await;
        figures.push(begun.elapsed().as_secs_f64() * 1e3);
        assert!(matches!(outcome, Some(Outcome::Done(_))), "{outcome:?}");
    }
    functions.stop().await;
    median(figures.split_off(WARM_UP))
}

fn function(folder: &std::path::Path) -> FunctionSpec {
    let program = std::env::current_exe().expect("this program");
    let wiring = format!("[function.f]\nrun = \"{} {WORD}\"\n", program.display());
    let config = Config::parse(folder, "dropwire.toml", &wiring).expect("a good wiring");
    config.functions["f"].clone()
}

/// The least that a server can do: write an event, read the answer, note the time.
fn loops(payload: &str) -> f64 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let api = listener.local_addr().expect("an address").to_string();
    let program = std::env::current_exe().expect("this program");
    let mut child = Command::new(program)
        .arg(WORD)
        .env("AWS_LAMBDA_RUNTIME_API", api)
        .stdin(Stdio::null())
        .spawn()
        .expect("the client starts");
    let (mut stream, _) = listener.accept().expect("the client comes");
    stream.set_nodelay(true).expect("no delay");
    let event = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: r\r\nContent-Length: {}\r\n\r\n{payload}",
        payload.len()
    );
    let taken = "HTTP/1.1 202 Accepted\r\nContent-Length: 15\r\n\r\n{\"status\":\"OK\"}";
    let (mut figures, mut buffer) = (Vec::new(), [0; 16384]);
    let mut read =
        |stream: &mut std::net::TcpStream| assert!(stream.read(&mut buffer).expect("a request") > 0);
    read(&mut stream);
    for _ in 0..ROUNDS + WARM_UP {
        let begun = Instant::now();
        stream.write_all(event.as_bytes()).expect("the event");
        read(&mut stream);
        figures.push(begun.elapsed().as_secs_f64() * 1e3);
        stream.write_all(taken.as_bytes()).expect("the acknowledgement");
        read(&mut stream);
    }
    child.kill().expect("the client ends");
    child.wait().expect("the client has ended");
    median(figures.split_off(WARM_UP))
}
