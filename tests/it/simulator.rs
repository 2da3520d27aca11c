//! A dropwire of the test's own: a folder, a wiring, a running [`App`] on a free port, and ways to wait *until*.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dropwire::app::{App, Options};
use dropwire::config::Config;
use dropwire::control::{BASE, TOKEN_HEADER};
use dropwire::timeline::{Moment, Timeline, Told};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tokio::sync::broadcast;

/// No story takes longer than this.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// A project folder with a wiring file.
pub struct Project {
    folder: tempfile::TempDir,
}

/// One attempt, as it was written down.
#[derive(Debug)]
pub struct Attempt {
    pub number: u32,
    pub request_id: String,
    pub error: Option<String>,
    pub result: String,
    pub log: String,
}

/// A running dropwire.
pub struct Simulator {
    pub app: Arc<App>,
    told: broadcast::Receiver<Arc<Told>>,
}

impl Project {
    /// A folder that holds `wiring` as its wiring file.
    pub fn new(wiring: &str) -> Project {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("dropwire.toml"), wiring).expect("a wiring file");
        Project { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn root(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below the folder, with the folders above it.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(path, text).expect("a file");
    }

    pub async fn start(&self) -> Simulator {
        let config = Config::load(self.root(), None).unwrap_or_else(|complaints| panic!("{complaints}"));
        let options = Options {
            config,
            port: Some(0),
            strict_port: true,
            hosts: Vec::new(),
            pair: (None, None),
            clock: None,
            seed: None,
            fresh: false,
            watch_wiring: true,
            unhurried: false,
            timeline: Timeline::default(),
            ready_since: Instant::now(),
        };
        let app = App::start(options).await.unwrap_or_else(|error| panic!("{error}"));
        let told = app.timeline().follow();
        Simulator { app, told }
    }
}

impl Simulator {
    /// The next moment for which `choose` has an answer. Fails at the deadline, saying what was told instead.
    pub async fn until<T>(&mut self, what: &str, choose: impl Fn(&Moment) -> Option<T>) -> T {
        let mut seen = Vec::new();
        let search = async {
            loop {
                match self.told.recv().await {
                    Ok(told) => match choose(&told.moment) {
                        Some(found) => return found,
                        None => seen.push(told),
                    },
                    Err(error) => panic!("the timeline broke off: {error}"),
                }
            }
        };
        let found = tokio::time::timeout(DEADLINE, search).await.ok();
        found.unwrap_or_else(|| panic!("{what} did not come; instead:\n{seen:#?}"))
    }

    /// Waits for the end of attempt `number` of this function: whether it was well, and its error.
    pub async fn until_ended(&mut self, function: &str, number: u32) -> (bool, Option<String>) {
        self.until(&format!("the end of try {number} of {function}"), |moment| match moment {
            Moment::Ended { function: f, attempt, ok, error, .. } if f == function && *attempt == number => {
                Some((*ok, error.clone()))
            }
            _ => None,
        })
        .await
    }

    /// What this function was given and took well, attempt by attempt, once there are so many. It has to answer
    /// with its event, as the builtin `echo` does.
    pub async fn until_taken(&self, function: &str, count: usize) -> Vec<Value> {
        let what = format!("{count} events for {function}");
        self.until_so(&what, async || {
            let taken = self.taken(function).await;
            if taken.len() >= count { Ok(taken) } else { Err(format!("{taken:#?}")) }
        })
        .await
    }

    /// Looks again whenever something has been told, until `look` is content; fails at the deadline with what it
    /// said last.
    pub async fn until_so<T>(&self, what: &str, look: impl AsyncFn() -> Result<T, String>) -> T {
        let mut told = self.app.timeline().follow();
        let mut last = String::new();
        let search = async {
            loop {
                match look().await {
                    Ok(found) => return found,
                    Err(instead) => last = instead,
                }
                // Whoever missed some looks all the same.
                if let Err(broadcast::error::RecvError::Closed) = told.recv().await {
                    panic!("the timeline broke off");
                }
            }
        };
        let found = tokio::time::timeout(DEADLINE, search).await.ok();
        found.unwrap_or_else(|| panic!("{what} did not come; instead: {last}"))
    }

    /// What this function was given and took well so far, in the order of its attempts.
    pub async fn taken(&self, function: &str) -> Vec<Value> {
        let attempts = self.attempts(function).await;
        let taken = attempts.iter().filter(|attempt| attempt.error.is_none());
        taken.map(|attempt| serde_json::from_str(&attempt.result).expect("an answer in JSON")).collect()
    }

    /// The attempts of this function so far.
    pub async fn attempts(&self, function: &str) -> Vec<Attempt> {
        let sql = "SELECT number, request_id, error, coalesce(result, ''), log FROM attempt WHERE function = ?1 ORDER BY id";
        let rows: Vec<(u32, String, Option<String>, String, String)> = sqlx::query_as(sql)
            .bind(function)
            .fetch_all(self.app.queue().store().read())
            .await
            .expect("attempts");
        rows.into_iter()
            .map(|(number, request_id, error, result, log)| Attempt {
                number,
                request_id,
                error,
                result,
                log,
            })
            .collect()
    }

    /// Publishes a message.
    pub async fn publish(&self, topic: &str, body: &str) -> Value {
        let fire = serde_json::json!({"kind": "topic", "topic": topic, "body": body, "subject": null, "attributes": []});
        let (status, fired) = self.post("fire", fire).await;
        assert_eq!(status, 200, "{fired}");
        fired
    }

    /// What is wrong at present, in the words that `status` shows.
    pub async fn problems(&self) -> String {
        self.app.status().await.problems.join("\n")
    }

    pub async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, String::new()).await.1
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.ask("POST", path, body.to_string()).await
    }

    async fn ask(&self, method: &str, path: &str, body: String) -> (u16, Value) {
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<bytes::Bytes>>();
        let running = self.app.running();
        let request = http::Request::builder()
            .method(method)
            .uri(format!("http://{}{BASE}/{path}", running.address))
            .header(TOKEN_HEADER, &running.token)
            .header("content-type", "application/json")
            .body(Full::from(body))
            .expect("a request");
        let answer = client.request(request).await.expect("an answer");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    pub async fn stop(self) {
        self.app.stop().await;
    }
}
