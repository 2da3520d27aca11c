//! What was made by calls of the Lambda API is there after a dropwire that was killed, and nothing half-made is.

use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use crate::program::{Up, has};
use crate::simulator::Project;

/// A call of the Lambda API: status and body. None if the other end went away.
fn call(address: &str, method: &str, path: &str, body: &Value) -> Option<(u16, Value)> {
    let mut stream = TcpStream::connect(address).ok()?;
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// A request that creates a Python function which answers with this word.
fn function(name: &str, word: &str) -> Value {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("app.py", SimpleFileOptions::default()).expect("a file");
    write!(zip, "def handler(event, context):\n    return '{word}'\n").expect("written");
    let zip = zip.finish().expect("a zip").into_inner();
    json!({
        "FunctionName": name,
        "Runtime": "python3.12",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Handler": "app.handler",
        "Code": { "ZipFile": STANDARD.encode(zip) },
    })
}

const FUNCTIONS: &str = "/2015-03-31/functions";

#[test]
fn functions_versions_and_aliases_survive_being_killed() {
    if !has("python3") {
        return;
    }
    let project = Project::new("");
    let up = Up::start(project.root());
    let (address, _) = up.door();
    let must = |address: &str, method: &str, path: &str, body: Value| {
        let (status, answer) = call(address, method, path, &body).expect("an answer");
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer}");
        answer
    };
    must(&address, "POST", FUNCTIONS, function("f", "first"));
    must(&address, "POST", &format!("{FUNCTIONS}/f/invocations"), json!({}));
    must(&address, "POST", &format!("{FUNCTIONS}/f/versions"), json!({}));
    must(
        &address,
        "POST",
        &format!("{FUNCTIONS}/f/aliases"),
        json!({ "Name": "live", "FunctionVersion": "1" }),
    );
    let code = function("f", "second")["Code"].clone();
    must(&address, "PUT", &format!("{FUNCTIONS}/f/code"), code);
    up.kill();
    let up = Up::start(project.root());
    let (address, _) = up.door();
    let shown = must(&address, "GET", &format!("{FUNCTIONS}/f"), Value::Null);
    assert_eq!(shown["Configuration"]["LastUpdateStatus"], "Successful", "{shown}");
    assert_eq!(must(&address, "POST", &format!("{FUNCTIONS}/f/invocations"), json!({})), "second");
    assert_eq!(must(&address, "POST", &format!("{FUNCTIONS}/f:live/invocations"), json!({})), "first");
    up.down();
}

#[test]
fn what_was_answered_is_there_and_nothing_half_made() {
    let project = Project::new("");
    let mut answered = Vec::new();
    for round in 0..4 {
        let up = Up::start(project.root());
        let (address, _) = up.door();
        // Killed in the middle of the calls: sooner in each round.
        let killer = std::thread::spawn({
            let folder = project.path(".dropwire/functions");
            move || {
                crate::program::until("some functions", || {
                    let count = folder.read_dir().map_or(0, Iterator::count);
                    (count > 12 - 3 * round).then_some(())
                });
                up.kill();
            }
        });
        for number in 0.. {
            let name = format!("f{round}x{number}");
            match call(&address, "POST", FUNCTIONS, &function(&name, &name)) {
                Some((201, _)) => answered.push(name),
                Some(other) => panic!("{other:?}"),
                None => break,
            }
        }
        killer.join().expect("killed");
    }
    let up = Up::start(project.root());
    let (address, _) = up.door();
    for name in &answered {
        let (status, shown) =
            call(&address, "GET", &format!("{FUNCTIONS}/{name}"), &Value::Null).expect("an answer");
        assert_eq!((status, &shown["Configuration"]["State"]), (200, &json!("Active")), "{name}: {shown}");
    }
    let (_, listed) =
        call(&address, "GET", &format!("{FUNCTIONS}?MaxItems=50"), &Value::Null).expect("an answer");
    assert!(
        listed["Functions"].as_array().is_some_and(|all| all.len() >= answered.len().min(50)),
        "{listed}"
    );
    for entry in project.path(".dropwire/functions").read_dir().expect("a folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        let (status, _) =
            call(&address, "GET", &format!("{FUNCTIONS}/{name}"), &Value::Null).expect("an answer");
        assert_eq!(status, 200, "{name} is a leftover");
    }
    up.down();
}
