//! The Lambda Runtime API over HTTP: one listener for each environment, on this machine only. The Extensions and
//! Telemetry APIs are on the same one.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Piece;
use super::desk::{Desk, Next};
use super::event::{Answer, Handed, Refusal};
use super::output::Output;
use super::telemetry::Telemetry;
use crate::config::LogFormat;

mod body;
mod extension;

pub use body::RESPONSE_MAX;
use body::{Body, Midway, STREAM_MAX, error_type, failed_midway, forward, read};

const RUNTIME: &str = "/2018-06-01/runtime/";
const EXTENSION: &str = "/2020-01-01/extension/";
/// The Telemetry API, and the Logs API before it.
const TELEMETRY: [&str; 2] = ["/2022-07-01/telemetry", "/2020-08-15/logs"];
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";

/// Whom a Runtime API serves.
pub struct Guests {
    /// Where they meet us.
    pub desk: Arc<Desk>,
    /// Where calls that are refused are told; nowhere if their process is not ours.
    pub output: Option<Arc<Output>>,
    /// What they can subscribe to; nothing if their process is not ours.
    pub telemetry: Option<Arc<Telemetry>>,
    /// What extensions are told when they register: name, version, handler, account.
    pub about: About,
}

/// What extensions are told when they register.
#[derive(Default)]
pub struct About {
    /// The function's name.
    pub function: String,
    /// Its version.
    pub version: String,
    /// Its handler.
    pub handler: String,
    /// The account's id.
    pub account: String,
    /// The environment's id.
    pub environment: String,
    /// How its log is written.
    pub format: LogFormat,
}

/// A listening Runtime API. It ends when this is dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    connections: watch::Receiver<usize>,
    _server: JoinSet<()>,
}

impl RuntimeApi {
    /// Listens for these on this port, 0 for any free one.
    pub async fn listen(guests: Guests, port: u16) -> io::Result<RuntimeApi> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let (sender, connections) = watch::channel(0);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::new(guests), sender));
        Ok(RuntimeApi { address, connections, _server: server })
    }

    /// Where it listens: the value of `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until no connection is open: what a process sent before it ended has then been read.
    pub async fn until_unconnected(&self) {
        // An error means that the server ended, and all connections with it.
        self.connections.clone().wait_for(|open| *open == 0).await.ok();
    }
}

async fn serve(listener: TcpListener, guests: Arc<Guests>, open: watch::Sender<usize>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    open.send_modify(|count| *count += 1);
                    connections.spawn(converse(stream, Arc::clone(&guests)));
                }
                // Out of file descriptors, most likely: the next try may fare better.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => open.send_modify(|count| *count -= 1),
        }
    }
}

async fn converse(stream: TcpStream, guests: Arc<Guests>) {
    stream.set_nodelay(true).ok();
    // A second handle, to see whether who waits is still there.
    let connection = stream.as_fd().try_clone_to_owned().ok().map(|fd| Arc::new(fd.into()));
    let service = service_fn(|request| {
        let (guests, connection) = (Arc::clone(&guests), connection.clone());
        async move { Ok::<_, Infallible>(reply(&guests, connection, request).await) }
    });
    // Names in the case that the real service uses: scripts compare them as text.
    let connection = hyper::server::conn::http1::Builder::new()
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    // How a connection ends says nothing: clients hang up as they like.
    connection.await.ok();
}

type Connection = Option<Arc<std::net::TcpStream>>;

async fn reply(guests: &Guests, connection: Connection, request: Request<Incoming>) -> Response<Full<Bytes>> {
    if request.method() == Method::GET
        && request.uri().path().strip_prefix(RUNTIME) == Some("invocation/next")
    {
        return next(&guests.desk, connection).await;
    }
    let (path, method) = (request.uri().path().to_owned(), request.method().clone());
    let response = answer(guests, &path, request).await;
    if !response.status().is_success()
        && let Some(output) = &guests.output
    {
        // In the function's log, where whoever wrote the client looks.
        output.note(&format!("dropwire answered {} to {method} {path}", response.status()));
    }
    response
}

async fn answer(guests: &Guests, path: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let desk = &guests.desk;
    let call = path.strip_prefix(EXTENSION);
    if call.is_some() || TELEMETRY.contains(&path) {
        if guests.telemetry.is_none() {
            // Somebody else's process: nobody would tell its extensions anything.
            read(request.into_body(), RESPONSE_MAX).await.ok();
            return not_found(path);
        }
        return match call {
            Some(call) => extension::reply(guests, call, request).await,
            None => extension::subscribe(guests, request).await,
        };
    }
    let Some(call) = path.strip_prefix(RUNTIME) else {
        return if path.ends_with("/ping") { text(StatusCode::OK, "pong") } else { not_found(path) };
    };
    if request.method() != Method::POST {
        return not_found(path);
    }
    if call == "init/error" {
        return init_error(desk, request).await;
    }
    match call.strip_prefix("invocation/").and_then(|rest| rest.rsplit_once('/')) {
        Some((id, "response")) => response(desk, id, request).await,
        Some((id, "error")) => error(desk, id, request).await,
        _ => {
            read(request.into_body(), RESPONSE_MAX).await.ok();
            not_found(path)
        }
    }
}

async fn next(desk: &Desk, connection: Connection) -> Response<Full<Bytes>> {
    match desk.next(connection) {
        Next::Now(handed) => event(&handed),
        Next::Later(receiver) => match receiver.await {
            Ok(handed) => event(&handed),
            Err(_) => {
                refused(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", "Internal Server Error")
            }
        },
    }
}

fn event(handed: &Handed) -> Response<Full<Bytes>> {
    let event = &handed.event;
    let mut response = Response::new(Full::new(event.payload.clone()));
    let headers = response.headers_mut();
    headers.reserve(8);
    // The official Python and Node clients crash without a content type.
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    put(headers, "lambda-runtime-aws-request-id", &event.request_id);
    put(headers, "lambda-runtime-deadline-ms", &handed.deadline.as_millis().to_string());
    put(headers, "lambda-runtime-invoked-function-arn", &event.arn);
    put(headers, "lambda-runtime-trace-id", &event.trace_id);
    if let Some(context) = &event.client_context {
        put(headers, "lambda-runtime-client-context", context);
    }
    response
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

async fn response(desk: &Arc<Desk>, id: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    const TO: &str = "InvocationResponse";
    if let Err(refusal) = desk.check_answer(id, TO) {
        read(request.into_body(), RESPONSE_MAX).await.ok();
        return refuse(&refusal);
    }
    let streaming = match request.headers().get(RESPONSE_MODE).map(HeaderValue::as_bytes) {
        None => false,
        Some(mode) if mode.eq_ignore_ascii_case(b"streaming") => true,
        Some(_) => {
            // Unread, it would take the connection with it.
            read(request.into_body(), RESPONSE_MAX).await.ok();
            let message = "Invalid function response mode";
            return refused(StatusCode::BAD_REQUEST, "InvalidFunctionResponseMode", message);
        }
    };
    let midway = Midway::new(desk, id);
    let ended = match desk.in_work().filter(|_| streaming).and_then(|event| event.take_stream()) {
        Some(stream) => {
            let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
            let kind = kind.unwrap_or("application/octet-stream").to_owned();
            stream.send(Piece::ContentType(kind)).await.ok();
            let trailers = forward(request.into_body(), stream).await;
            trailers.map(|trailers| trailers.map_or(Body::TooLarge, |end| Body::Whole(Bytes::new(), end)))
        }
        None => read(request.into_body(), if streaming { STREAM_MAX } else { RESPONSE_MAX }).await,
    };
    let Ok(ended) = ended else { return truncated() };
    midway.end();
    match ended {
        Body::Whole(body, trailers) => {
            let answer = failed_midway(&trailers).unwrap_or(Answer::Response(body));
            accept(desk.answer(id, TO, answer))
        }
        Body::TooLarge => match desk.answer(id, TO, Answer::TooLarge) {
            Ok(()) => too_large(),
            Err(refusal) => refuse(&refusal),
        },
    }
}

async fn error(desk: &Desk, id: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    const TO: &str = "InvocationErrorResponse";
    if let Err(refusal) = desk.check_answer(id, TO) {
        read(request.into_body(), RESPONSE_MAX).await.ok();
        return refuse(&refusal);
    }
    let kind = error_type(request.headers());
    match read(request.into_body(), RESPONSE_MAX).await {
        Ok(Body::Whole(body, _)) => accept(desk.answer(id, TO, Answer::Error(body, kind))),
        Ok(Body::TooLarge) => too_large(),
        Err(_) => truncated(),
    }
}

async fn init_error(desk: &Desk, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let kind = error_type(request.headers());
    match read(request.into_body(), RESPONSE_MAX).await {
        Ok(Body::Whole(body, _)) => accept(desk.fail_init(Answer::InitError(body, kind))),
        Ok(Body::TooLarge) => too_large(),
        Err(_) => truncated(),
    }
}

fn accept(done: Result<(), Refusal>) -> Response<Full<Bytes>> {
    match done {
        Ok(()) => json(StatusCode::ACCEPTED, Bytes::from_static(b"{\"status\":\"OK\"}\n")),
        Err(refusal) => refuse(&refusal),
    }
}

fn refuse(refusal: &Refusal) -> Response<Full<Bytes>> {
    match refusal {
        Refusal::UnknownId => refused(StatusCode::BAD_REQUEST, "InvalidRequestID", "Invalid request ID"),
        Refusal::Transition(from, to) => {
            let message = format!(
                "State transition from {from} to {to} failed for runtime. Error: State transition is not allowed"
            );
            refused(StatusCode::FORBIDDEN, "InvalidStateTransition", &message)
        }
    }
}

fn too_large() -> Response<Full<Bytes>> {
    let message = format!("Exceeded maximum allowed payload size ({RESPONSE_MAX} bytes).");
    refused(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", &message)
}

fn truncated() -> Response<Full<Bytes>> {
    refused(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", "HTTP request detected as truncated")
}

fn refused(status: StatusCode, kind: &str, message: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "errorMessage": message, "errorType": kind });
    json(status, Bytes::from(body.to_string()))
}

fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn text(status: StatusCode, body: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = status;
    response
}

fn not_found(path: &str) -> Response<Full<Bytes>> {
    let message = format!("the Runtime API has no call {path}");
    refused(StatusCode::NOT_FOUND, "NotFound", &message)
}
