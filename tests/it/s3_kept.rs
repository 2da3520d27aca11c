//! Objects that were answered are there after a dropwire that was killed, and nothing half-written is.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use crate::program::{Up, until};
use crate::simulator::Project;

/// How many objects are written before dropwire is killed.
const ENOUGH: usize = 200;

/// Puts one object on an open connection; false if the other end went away before it answered.
fn put(stream: &mut BufReader<TcpStream>, key: &str, content: &str) -> bool {
    let request = format!(
        "PUT /uploads/{key} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{content}",
        stream.get_ref().peer_addr().map(|address| address.to_string()).unwrap_or_default(),
        content.len()
    );
    if stream.get_mut().write_all(request.as_bytes()).is_err() {
        return false;
    }
    let (mut line, mut status) = (String::new(), None);
    while stream.read_line(&mut line).is_ok_and(|read| read > 0) {
        status = status.or_else(|| line.split(' ').nth(1)?.parse::<u16>().ok());
        if line.trim().is_empty() {
            assert_eq!(status, Some(200), "{key}");
            return true;
        }
        line.clear();
    }
    false
}

fn get(address: &str, key: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("connects");
    let request = format!("GET /uploads/{key} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("is answered");
    answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
}

/// Several clients write, each its own keys, and dropwire is killed in the middle of it.
#[test]
fn objects_that_were_answered_survive_being_killed() {
    let project = Project::new("[bucket.uploads]\n");
    let up = Up::start(project.root());
    let (address, _) = up.door();
    let (told, answered) = std::sync::mpsc::channel();
    let clients: Vec<_> = (0..4)
        .map(|client| {
            let (address, told) = (address.clone(), told.clone());
            std::thread::spawn(move || {
                let mut stream = BufReader::new(TcpStream::connect(address).expect("connects"));
                let mut number = 0;
                while put(&mut stream, &format!("{client}/{number}"), &format!("object {client}/{number}")) {
                    // Whoever counts has gone away once there are enough.
                    told.send(format!("{client}/{number}")).ok();
                    number += 1;
                }
            })
        })
        .collect();
    drop(told);
    let mut keys: Vec<String> = answered.iter().take(ENOUGH).collect();
    up.kill();
    keys.extend(answered.iter());
    clients.into_iter().for_each(|client| client.join().expect("a client ends"));
    assert!(keys.len() >= ENOUGH, "{}", keys.len());
    // What nothing stands for goes away at the start after it.
    let stray = project.path(".dropwire/s3/uploads/blobs/ab/abcd");
    std::fs::create_dir_all(stray.parent().expect("a folder")).expect("makes a folder");
    std::fs::write(&stray, "left by a crash").expect("writes");
    let written = std::fs::metadata(&stray).expect("is there").modified().expect("a time");
    until("the next second", || (written.elapsed().ok()?.as_secs() > 0).then_some(()));
    let up = Up::start(project.root());
    let (address, _) = up.door();
    assert!(!stray.exists());
    for key in &keys {
        assert_eq!(get(&address, key), format!("object {key}"), "{key}");
    }
    // What was under way is there whole or not at all, and nothing else lies around.
    let mut files = 0;
    for client in 0..4 {
        for entry in std::fs::read_dir(project.path(&format!("buckets/uploads/{client}"))).expect("reads") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let content = std::fs::read_to_string(&path).expect("reads");
            assert_eq!(content, format!("object {client}/{name}"));
            files += 1;
        }
    }
    assert!((keys.len()..=keys.len() + 4).contains(&files), "{} answered, {files} there", keys.len());
    let drafts = std::fs::read_dir(project.path(".dropwire/s3/uploads/drafts")).expect("reads").count();
    assert_eq!(drafts, 0, "drafts are cleared");
    up.down();
}

/// Whom a call told a bucket to notify hears of what is dropped while dropwire is away.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_meanwhile_comes_to_whom_a_call_named() {
    let project = Project::new("[bucket.uploads]\n[function.hello]\nbuiltin = \"echo\"\n");
    let simulator = project.start().await;
    let notification = "<NotificationConfiguration><CloudFunctionConfiguration>\
        <CloudFunction>arn:aws:lambda:us-east-1:000000000000:function:hello</CloudFunction>\
        <Event>s3:ObjectCreated:*</Event></CloudFunctionConfiguration></NotificationConfiguration>";
    let stream = TcpStream::connect(&simulator.app.running().address).expect("connects");
    let asked =
        tokio::task::spawn_blocking(move || put(&mut BufReader::new(stream), "?notification", notification));
    assert!(asked.await.expect("asks"));
    simulator.stop().await;
    project.write("buckets/uploads/meanwhile", "x");
    let simulator = project.start().await;
    let taken = simulator.until_taken("hello", 1).await;
    assert_eq!(taken[0]["Records"][0]["s3"]["object"]["key"], "meanwhile");
    simulator.stop().await;
}
