//! What S3's clients see on the wire, which no library shows: connections that go on or end, and pages of other sites.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use sqlx::Connection;

use crate::simulator::{DEADLINE, Project, Simulator};

/// One connection.
struct Line(BufReader<TcpStream>);

/// What came back.
struct Heard {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Heard {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Line {
    fn to(simulator: &Simulator) -> Line {
        let stream = TcpStream::connect(&simulator.app.running().address).expect("it listens");
        stream.set_read_timeout(Some(DEADLINE)).expect("a limit");
        Line(BufReader::new(stream))
    }

    /// Sends a head, whose lines are separated by line feeds, and a body that it announces.
    fn send(&mut self, head: &str, body: &[u8]) {
        let address = self.0.get_ref().peer_addr().expect("connected");
        let host = if head.contains("\nHost:") { String::new() } else { format!("\r\nHost: {address}") };
        let (first, rest) = head.split_once('\n').unwrap_or((head, ""));
        let rest: String = rest.lines().map(|line| format!("\r\n{line}")).collect();
        let length = body.len();
        let head = format!("{first} HTTP/1.1{host}{rest}\r\nContent-Length: {length}\r\n\r\n");
        self.0.get_mut().write_all(head.as_bytes()).expect("sent");
        self.0.get_mut().write_all(body).expect("sent to its end");
    }

    /// The head of the next answer.
    fn head(&mut self) -> Heard {
        let mut heard = Heard { status: 0, headers: BTreeMap::new(), body: Vec::new() };
        loop {
            let mut line = String::new();
            self.0.read_line(&mut line).expect("a line in time");
            match line.trim_end().split_once(": ") {
                Some((name, value)) => {
                    heard.headers.insert(name.to_ascii_lowercase(), value.to_owned());
                }
                None if line.trim().is_empty() => return heard,
                None => {
                    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
                    heard.status = status.expect("a status");
                }
            }
        }
    }

    /// The next answer, of a request that was no HEAD.
    fn hear(&mut self) -> Heard {
        let mut heard = self.head();
        heard.body = vec![0; heard.header("content-length").parse().unwrap_or_default()];
        self.0.read_exact(&mut heard.body).expect("a body in time");
        heard
    }

    fn ask(&mut self, head: &str, body: &[u8]) -> Heard {
        self.send(head, body);
        self.hear()
    }

    /// Whether the other end has nothing more to say.
    fn is_over(&mut self) -> bool {
        self.0.read(&mut [0]).is_ok_and(|read| read == 0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_heard_and_the_connection_goes_on() {
    let project = Project::new("[bucket.uploads]\n");
    let simulator = project.start().await;
    let mut line = Line::to(&simulator);
    let large = vec![b'x'; 30 << 20];
    assert_eq!(line.ask("PUT /nobody/k", &large).status, 404);
    assert_eq!(line.ask("PUT /uploads/k", b"one").status, 200);
    let refused = line.ask("PUT /uploads/k\nIf-None-Match: *", &large);
    assert_eq!((refused.status, refused.header("connection")), (412, ""));
    assert_eq!(line.ask("PUT /uploads/k\nContent-MD5: nonsense", b"two").status, 400);
    assert_eq!(line.ask("GET /uploads/k", b"").text(), "one");
    simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_first_need_not_send_what_is_refused() {
    let project = Project::new("[bucket.uploads]\n");
    let simulator = project.start().await;
    let mut line = Line::to(&simulator);
    // The body is never sent: the answer must not wait for it, and nothing can follow it.
    let address = simulator.app.running().address.clone();
    let head = "PUT /nobody/k HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 5";
    line.0.get_mut().write_all(format!("{head}\r\nHost: {address}\r\n\r\n").as_bytes()).expect("sent");
    let refused = line.hear();
    assert_eq!((refused.status, refused.header("connection")), (404, "close"));
    assert!(line.is_over());
    let mut line = Line::to(&simulator);
    line.send("PUT /uploads/k\nExpect: 100-continue", b"hello");
    assert_eq!((line.hear().status, line.hear().status), (100, 200));
    assert_eq!(line.ask("GET /uploads/k", b"").text(), "hello");
    simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_see_failures_too() {
    let project = Project::new("[bucket.uploads]\n");
    let simulator = project.start().await;
    let mut line = Line::to(&simulator);
    let rules = b"<CORSConfiguration><CORSRule><AllowedOrigin>https://shop.example</AllowedOrigin>\
                  <AllowedMethod>GET</AllowedMethod></CORSRule></CORSConfiguration>";
    assert_eq!(line.ask("PUT /uploads?cors", rules).status, 200);
    for (origin, allowed) in [("https://shop.example", "https://shop.example"), ("https://else.example", "")]
    {
        let heard = line.ask(&format!("GET /uploads/missing\nOrigin: {origin}"), b"");
        let status = if allowed.is_empty() { 403 } else { 404 };
        assert_eq!((heard.status, heard.header("access-control-allow-origin")), (status, allowed));
    }
    simulator.stop().await;
}

/// Clients that do not read what they asked for keep nobody else waiting, even where they are more than the threads
/// that wait for disks.
#[test]
fn answers_that_nobody_reads_hold_up_nobody() {
    let project = Project::new("[bucket.uploads]\n");
    project.write("buckets/uploads/small", "small");
    let large = std::fs::File::create(project.path("buckets/uploads/large")).expect("makes a file");
    large.set_len(64 << 20).expect("makes it large");
    drop(large);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.enable_all().max_blocking_threads(8).build().expect("a runtime");
    let simulator = runtime.block_on(project.start());
    let lines: Vec<Line> = (0..32)
        .map(|_| {
            let mut line = Line::to(&simulator);
            line.send("GET /uploads/large", b"");
            assert_eq!(line.head().header("content-length"), (64 << 20).to_string());
            line
        })
        .collect();
    let mut line = Line::to(&simulator);
    assert_eq!(line.ask("PUT /uploads/k", b"one").status, 200);
    assert_eq!(line.ask("GET /uploads/small", b"").text(), "small");
    // And those who read late get everything.
    for mut line in lines.into_iter().take(2) {
        let mut body = vec![1; 64 << 20];
        line.0.read_exact(&mut body).expect("a body in time");
        assert!(body.iter().all(|byte| *byte == 0));
    }
    runtime.block_on(simulator.stop());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_with_a_host_of_its_own_has_every_key() {
    let project = Project::new("[bucket.uploads]\n");
    let simulator = project.start().await;
    let mut line = Line::to(&simulator);
    let port = simulator.app.running().address.rsplit_once(':').map(|(_, port)| port.to_owned());
    let host = format!("\nHost: uploads.localhost:{}", port.expect("a port"));
    for key in ["_dropwire/v1/status", "_dropwire/code/x", "2015-03-31/functions/f", "k"] {
        assert_eq!(line.ask(&format!("PUT /{key}{host}"), key.as_bytes()).status, 200, "{key}");
        assert_eq!(line.ask(&format!("GET /uploads/{key}"), b"").text(), key);
        assert_eq!(line.ask(&format!("GET /{key}{host}"), b"").text(), key);
    }
    // A name that is no bucket's takes nothing away.
    let other = host.replace("uploads", "console");
    let status = line.ask(&format!("GET /_dropwire/v1/status{other}"), b"");
    assert!(!status.text().contains("NoSuchBucket"), "{}", status.text());
    simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_hears_that_it_is_a_target() {
    let wiring =
        "[bucket.uploads]\n[topic.alerts]\n[function.hear]\nbuiltin = \"echo\"\non = \"topic:alerts\"\n";
    let project = Project::new(wiring);
    let simulator = project.start().await;
    let rule = |topic: &str| {
        format!(
            "<NotificationConfiguration><TopicConfiguration><Id>i</Id>\
             <Topic>arn:aws:sns:us-east-1:000000000000:{topic}</Topic><Event>s3:ObjectCreated:*</Event>\
             </TopicConfiguration></NotificationConfiguration>"
        )
    };
    let mut line = Line::to(&simulator);
    assert_eq!(line.ask("PUT /uploads?notification", rule("nobody").as_bytes()).status, 400);
    let skip = "PUT /uploads?notification\nx-amz-skip-destination-validation: true";
    assert_eq!(line.ask(skip, rule("alerts").as_bytes()).status, 200);
    let set = line.ask("PUT /uploads?notification", rule("alerts").as_bytes());
    assert_eq!(set.status, 200, "{}", set.text());
    assert_eq!(line.ask("PUT /uploads/k", b"k").status, 200);
    let heard = simulator.until_taken("hear", 2).await;
    let test = &heard[0]["Records"][0]["Sns"];
    assert_eq!(test["Subject"], "Amazon S3 Notification");
    let told: serde_json::Value =
        serde_json::from_str(test["Message"].as_str().expect("text")).expect("JSON");
    assert_eq!((&told["Event"], &told["Bucket"]), (&"s3:TestEvent".into(), &"uploads".into()), "{told}");
    assert_eq!(told["RequestId"], set.header("x-amz-request-id"));
    assert!(
        heard[1]["Records"][0]["Sns"]["Message"]
            .as_str()
            .is_some_and(|text| text.contains("ObjectCreated:Put"))
    );
    simulator.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_that_could_not_be_kept_are_not_lived_by() {
    let project = Project::new("[bucket.uploads]\n");
    let simulator = project.start().await;
    let mut line = Line::to(&simulator);
    let rules = b"<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter/>\
                  <Expiration><Days>9</Days></Expiration></Rule></LifecycleConfiguration>";
    let state = format!("sqlite://{}", simulator.app.queue().store().path().display());
    let mut other = sqlx::SqliteConnection::connect(&state).await.expect("opens");
    let mut rename = async |from: &str, to: &str| {
        let sql = format!("ALTER TABLE {from} RENAME TO {to}");
        sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut other).await.expect("renames");
    };
    rename("s3_setting", "s3_setting_away").await;
    assert_eq!(line.ask("PUT /uploads?lifecycle", rules).status, 500);
    rename("s3_setting_away", "s3_setting").await;
    assert_eq!(line.ask("PUT /uploads/k", b"k").header("x-amz-expiration"), "");
    assert_eq!(line.ask("PUT /uploads?lifecycle", rules).status, 200);
    assert!(line.ask("PUT /uploads/k", b"k").header("x-amz-expiration").contains("rule-id=\"r\""));
    rename("s3_setting", "s3_setting_away").await;
    assert_eq!(line.ask("DELETE /uploads?lifecycle", b"").status, 500);
    rename("s3_setting_away", "s3_setting").await;
    assert!(line.ask("PUT /uploads/k", b"k").header("x-amz-expiration").contains("rule-id=\"r\""));
    simulator.stop().await;
}
