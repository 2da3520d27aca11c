//! The client of the control API: finds the dropwire that runs for a folder, and talks to it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::real;
use crate::control::{BASE, Listed, RUNNING_FILE, Refusal, Running, Status, TOKEN_HEADER};
use crate::timeline::Told;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as Http;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use super::told;

/// Where a folder keeps its state.
pub const STATE_FOLDER: &str = ".dropwire";
/// A dropwire that does not say how it is within this is none.
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(3);
/// The longest line of a stream that is read.
const LINE_MAX: usize = 16 * 1024 * 1024;

/// A running dropwire.
#[derive(Clone)]
pub struct Client {
    /// How to reach it.
    pub running: Running,
    http: Http<HttpConnector, Full<Bytes>>,
}

impl Client {
    /// The dropwire that runs for this folder or the nearest one above it.
    pub async fn find(dir: &Path) -> Result<Client, Failure> {
        let dir = std::fs::canonicalize(dir)
            .map_err(|error| Failure::usage(format!("no folder {}: {error}", dir.display()), ""))?;
        let mut folders = dir.ancestors();
        let found = folders.find(|folder| running_file(folder).is_file());
        Client::of(found.ok_or_else(Failure::no_server)?).await.ok_or_else(Failure::no_server)
    }

    /// The dropwire that runs for exactly this folder, if one answers.
    pub async fn of(folder: &Path) -> Option<Client> {
        let text = std::fs::read(running_file(folder)).ok()?;
        let running = serde_json::from_slice(&text).ok()?;
        let client = Client { running, http: Http::builder(TokioExecutor::new()).build_http() };
        let status = real::within(FIRST_ANSWER_MAX, client.status()).await?.ok()?;
        // After a crash, another program may have taken the address.
        (status.pid == client.running.pid).then_some(client)
    }

    /// How it is.
    pub async fn status(&self) -> Result<Status, Failure> {
        self.get("status").await
    }

    /// Asks. `path` is below the API's base and already encoded.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let response = self.send(Method::GET, path, Bytes::new()).await?;
        self.with_nearest(read(response).await).await
    }

    /// Asks for a change.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, Failure> {
        let body = serde_json::to_vec(body).map_err(anyhow::Error::from)?;
        self.post_bytes(path, body.into()).await
    }

    /// Asks for a change with a body that is sent as it is.
    pub async fn post_bytes<T: DeserializeOwned>(&self, path: &str, body: Bytes) -> Result<T, Failure> {
        let response = self.send(Method::POST, path, body).await?;
        self.with_nearest(read(response).await).await
    }

    /// Where there is nothing of a name, the hint becomes the nearest name that there is.
    async fn with_nearest<T>(&self, answer: Result<T, Failure>) -> Result<T, Failure> {
        let Err(mut failure) = answer else { return answer };
        let kind = failure.try_.iter().find_map(|command| command.strip_prefix("dropwire list "));
        if &*failure.code == "E404"
            && let (Some(kind), Some(name)) = (kind, quoted_name(&failure.message))
            && let Ok(response) = self.send(Method::GET, &format!("list?kind={kind}"), Bytes::new()).await
            && let Ok(listed) = read::<Vec<Listed>>(response).await
            && let Some(near) = nearest(name, listed.iter().map(|one| one.name.as_str()))
        {
            failure.hint = format!("did you mean `{near}`?");
        }
        Err(failure)
    }

    /// Asks it to stop. It may be gone before the answer is.
    pub async fn stop(&self) -> Result<(), Failure> {
        let response = self.send(Method::POST, "stop", Bytes::new()).await?;
        match response.status().is_success() {
            true => Ok(()),
            false => read::<serde_json::Value>(response).await.map(|_| ()),
        }
    }

    /// Everything that is told from now on.
    pub async fn follow(&self) -> Result<Lines, Failure> {
        let response = self.send(Method::GET, "follow", Bytes::new()).await?;
        if !response.status().is_success() {
            return Err(read::<serde_json::Value>(response).await.err().unwrap_or_else(gone));
        }
        Ok(Lines { body: response.into_body(), buffer: Vec::new(), searched: 0 })
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Response<Incoming>, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{}{BASE}/{path}", self.running.address))
            .header(TOKEN_HEADER, &self.running.token)
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))
            .map_err(|error| Failure::usage(format!("that cannot be asked: {error}"), ""))?;
        self.http.request(request).await.map_err(|_| gone())
    }
}

/// The lines of a stream, one moment each.
pub struct Lines {
    body: Incoming,
    buffer: Vec<u8>,
    /// How much of the buffer is known to hold no line end.
    searched: usize,
}

impl Lines {
    /// The next moment; none when the server ended. What is no moment is passed over. Safe to be dropped and
    /// called again.
    pub async fn next(&mut self) -> Option<Arc<Told>> {
        loop {
            while let Some(line) = self.line() {
                if let Some(told) = told::read(&line) {
                    return Some(Arc::new(told));
                }
            }
            if self.buffer.len() > LINE_MAX {
                return None;
            }
            let frame = self.body.frame().await?.ok()?;
            if let Ok(piece) = frame.into_data() {
                self.buffer.extend_from_slice(&piece);
            }
        }
    }

    fn line(&mut self) -> Option<Vec<u8>> {
        let fresh = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(end) = fresh.iter().position(|byte| *byte == b'\n') else {
            self.searched = self.buffer.len();
            return None;
        };
        let end = self.searched + end + 1;
        self.searched = 0;
        Some(self.buffer.drain(..end).collect())
    }
}

/// A path or query component with everything but letters, digits and `-._~` encoded.
pub fn encoded(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => safe.push(byte.into()),
            _ => safe.push_str(&format!("%{byte:02X}")),
        }
    }
    safe
}

/// The event's id of an attempt's: every id printed is accepted by every command.
pub fn event_id(id: &str) -> &str {
    id.split_once('.').map_or(id, |(event, _)| event)
}

/// The name in a message such as "there is no bucket `uplods`".
fn quoted_name(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once('`')?;
    rest.split_once('`').map(|(name, _)| name)
}

/// The name that was probably meant; none if all are far off.
fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let far = name.chars().count().max(3) / 3;
    let distances = known.map(|known| (strsim::damerau_levenshtein(name, known), known));
    distances.filter(|(distance, _)| *distance <= far).min().map(|(_, known)| known)
}

fn running_file(folder: &Path) -> PathBuf {
    folder.join(STATE_FOLDER).join(RUNNING_FILE)
}

async fn read<T: DeserializeOwned>(response: Response<Incoming>) -> Result<T, Failure> {
    let status = response.status();
    let body = response.into_body().collect().await.map_err(|_| gone())?.to_bytes();
    if !status.is_success() {
        return Err(match serde_json::from_slice::<Refusal>(&body) {
            Ok(refusal) => refusal.into(),
            Err(_) => Failure::broken(format!("the server answered {status}"), ""),
        });
    }
    serde_json::from_slice(&body).map_err(|error| {
        let message = format!("the server's answer is not what this version reads: {error}");
        Failure::broken(message, "`dropwire down` and `dropwire up` again, if dropwire was updated")
    })
}

fn gone() -> Failure {
    Failure { message: "the server went away before it answered".into(), ..Failure::no_server() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        assert_eq!(encoded(text), expected);
    }

    #[test]
    fn names_are_encoded_for_a_path() {
        check("hello-1.2_x~", "hello-1.2_x~");
        check("a b/c?d&e=ä", "a%20b%2Fc%3Fd%26e%3D%C3%A4");
    }

    #[test]
    fn a_slip_of_the_finger_finds_the_name() {
        let known = ["uploads", "archive"];
        let near = |message| nearest(quoted_name(message).expect("a name"), known.into_iter());
        assert_eq!(near("there is no bucket `uplods`"), Some("uploads"));
        assert_eq!(near("there is no bucket `orders`"), None);
    }

    #[test]
    fn attempts_name_their_event() {
        assert_eq!(event_id("e7k2.1"), "e7k2");
        assert_eq!(event_id("e7k2"), "e7k2");
    }
}
