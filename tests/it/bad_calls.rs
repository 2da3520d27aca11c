//! What nobody should send to the Lambda API, and functions that do not keep to the Runtime API: an honest answer to
//! each, and everything else goes on.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::program::has;
use crate::simulator::{Project, Simulator};

/// A request as bytes, and the status and body of its answer.
async fn ask(simulator: &Simulator, head: &str, body: Vec<u8>) -> (u16, String, String) {
    let address = simulator.app.running().address.clone();
    let head = head.replace("{host}", &address);
    let asked = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(&address).expect("it listens");
        let request = format!("{head}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
        stream.write_all(request.as_bytes()).expect("sent");
        // Who refuses early may close early.
        stream.write_all(&body).ok();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        String::from_utf8_lossy(&answer).into_owned()
    });
    let answer = asked.await.expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

const INVOKE: &str = "POST /2015-03-31/functions/echo/invocations HTTP/1.1\r\nHost: {host}";

fn echo() -> Project {
    Project::new("[function.echo]\nbuiltin = \"echo\"\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_none_is_refused_in_words() {
    let project = echo();
    let simulator = project.start().await;
    let check = async |head: &str, body: &[u8], status: u16, words: &str| {
        let (got, head, said) = ask(&simulator, head, body.to_vec()).await;
        assert!(
            got == status && (said.contains(words) || head.contains(words)),
            "{got} {head}\n{said}\n{words}"
        );
    };
    check(INVOKE, b"{\"a\":1}", 200, "{\"a\":1}").await;
    check(INVOKE, b"{\"a\":1}", 200, "x-amz-executed-version: $latest").await;
    check(
        INVOKE,
        b"nope",
        400,
        "Could not parse request body into json: Could not parse payload into json: ",
    )
    .await;
    let with = |header: &str| format!("{INVOKE}\r\n{header}");
    check(&with("X-Amz-Tenant-Id: t"), b"{}", 400, "dropwire does not take TenantId: ").await;
    let stream =
        INVOKE.replace("2015-03-31", "2021-11-15").replace("invocations", "response-streaming-invocations");
    let later = format!("{stream}\r\nX-Amz-Invocation-Type: Event");
    check(&later, b"{}", 400, "enum value set: [RequestResponse, DryRun]").await;
    let topics = "GET /?Action=ListTopics HTTP/1.1\r\nHost: {host}\r\nAuthorization: AWS4-HMAC-SHA256 \
                  Credential=k/20261125/us-east-1/sns/aws4_request, SignedHeaders=host, Signature=0";
    check(topics, b"", 501, "<ErrorResponse><Error><Type>Receiver</Type>").await;
    let signed = |with: &str| format!("{INVOKE}\r\nAuthorization: {with}");
    check(&signed("AWS AKID:c2lnbmF0dXJl"), b"{}", 403, "signature version 4").await;
    check(
        &signed("AWS4-HMAC-SHA256 Credential=k/20261125/us-east-1/lambda/aws4_request"),
        b"{}",
        403,
        "'SignedHeaders'",
    )
    .await;
    let good = "AWS4-HMAC-SHA256 Credential=k/20261125/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0";
    check(&signed(good), b"{}", 200, "{}").await;
    check(
        &format!("{INVOKE}\r\nX-Amz-Invocation-Type: Later"),
        b"{}",
        400,
        "Value 'Later' at 'invocationType'",
    )
    .await;
    check(&format!("{INVOKE}\r\nX-Amz-Client-Context: %%"), b"{}", 400, "valid Base64-encoded JSON object")
        .await;
    check(&format!("{INVOKE}\r\nOrigin: https://evil.example"), b"{}", 403, "are refused").await;
    check(
        "POST /2015-03-31/functions/echo/invocations HTTP/1.1\r\nHost: evil.example",
        b"{}",
        403,
        "not this dropwire",
    )
    .await;
    let sqs = "POST / HTTP/1.1\r\nHost: {host}\r\nX-Amz-Target: AmazonSQS.SendMessage";
    check(sqs, b"{}", 501, "no service `sqs`").await;
    simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_of_100_mb_is_refused_and_not_kept() {
    let project = echo();
    let simulator = project.start().await;
    let huge = vec![b' '; 100 << 20];
    let (status, _, said) = ask(&simulator, INVOKE, huge.clone()).await;
    assert!(status == 413 && said.contains("Request must be smaller than 6291456 bytes"), "{status} {said}");
    let create = "POST /2015-03-31/functions HTTP/1.1\r\nHost: {host}";
    let (status, head, said) = ask(&simulator, create, huge).await;
    let words = "Request must be smaller than 70167211 bytes for the CreateFunction operation";
    assert!(
        status == 413 && said.contains(words) && head.contains("requestentitytoolargeexception"),
        "{status} {said}"
    );
    let (status, _, _) = ask(&simulator, INVOKE, b"{}".to_vec()).await;
    assert_eq!(status, 200, "it goes on");
    simulator.stop().await;
}

/// A runtime of our own, on bare sockets, that misbehaves as it is told.
const RUNTIME: &str = r#"
import http.client, os, sys, time
how = sys.argv[1]
base = "/2018-06-01/runtime/invocation/"
def connected():
    return http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
api = connected()
count = 0
def post(path, body=b'"well"'):
    api.request("POST", base + path, body)
    answer = api.getresponse()
    said = answer.read().decode()
    print(how, answer.status, said)
    return answer.status
while True:
    api.request("GET", base + "next")
    answer = api.getresponse()
    answer.read()
    id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
    count += 1
    if count == 1:
        if how == "closes":
            api.close(); api = connected()
        if how == "twice":
            post(id + "/response")
            assert post(id + "/response", b'"again"') == 403
            continue
        if how == "another":
            assert post("00000000-0000-0000-0000-000000000000/response") == 400
        if how == "late":
            time.sleep(2)
        # The environment is begun anew after that, and counts from one again.
        if how == "breaks" and not os.path.exists("broke"):
            import socket
            open("broke", "w").close()
            s = socket.create_connection(api.host and (api.host, api.port))
            s.sendall(("POST %s%s/response HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf" % (base, id)).encode())
            s.shutdown(socket.SHUT_WR)
            s.recv(4096)
            s.close()
    post(id + "/response")
"#;

/// Calls such a function twice: the payloads and errors of both.
async fn misbehaving(how: &str) -> Vec<(bool, Value, String)> {
    let timeout = if how == "late" { "1s" } else { "20s" };
    let wiring = format!(
        "[function.bad]\nrun = \"python3 runtime.py {how}\"\ntimeout = \"{timeout}\"\nmemory = \"256MB\"\nconcurrency = 1\n"
    );
    let project = Project::new(&wiring);
    project.write("runtime.py", RUNTIME);
    let simulator = project.start().await;
    let mut said = Vec::new();
    for _ in 0..2 {
        let (status, invoked) = simulator.post("invoke/bad", serde_json::json!({})).await;
        assert_eq!(status, 200, "{invoked}");
        let payload = serde_json::from_str(invoked["payload"].as_str().expect("text")).unwrap_or_default();
        let log = invoked["log"].as_str().expect("text").to_owned();
        said.push((invoked["ok"] == true, payload, log));
    }
    simulator.stop().await;
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_that_misbehave_are_answered_and_replaced() {
    if !has("python3") {
        return;
    }
    for how in ["closes", "twice", "another"] {
        let said = misbehaving(how).await;
        assert!(said.iter().all(|(ok, payload, _)| *ok && payload == "well"), "{how}: {said:#?}");
    }
    let said = misbehaving("late").await;
    assert_eq!(said[0].1["errorType"], "Sandbox.Timedout", "{said:#?}");
    assert!(said[0].2.contains("Task timed out after 1.00 seconds"), "{said:#?}");
    assert_eq!(said[1].1["errorType"], "Sandbox.Timedout", "a new process begins at one again: {said:#?}");
    let said = misbehaving("breaks").await;
    assert_eq!(said[0].1["errorType"], "Runtime.TruncatedResponse", "{said:#?}");
    assert!(said[1].0 && said[1].1 == "well", "the next event is handled: {said:#?}");
}
