//! The Lambda Runtime API over HTTP: one listener for each environment, on this machine only.
//!
//! The Extensions and Telemetry APIs answer 404, as AWS's own emulator does when they are switched off.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use base64::Engine;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::desk::{Answer, Desk, Handed, Next, Refusal};

/// The largest response that the Runtime API takes, in bytes: 6 MiB and 100.
pub const RESPONSE_MAX: usize = 6_291_556;
/// The largest streamed response, in bytes.
const STREAM_MAX: usize = 200 << 20;

const RUNTIME: &str = "/2018-06-01/runtime/";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";

/// A listening Runtime API. It ends when this is dropped.
pub struct RuntimeApi {
    address: SocketAddr,
    connections: watch::Receiver<usize>,
    _server: JoinSet<()>,
}

impl RuntimeApi {
    /// Listens for the runtime of `desk` on this port, 0 for any free one.
    pub async fn listen(desk: Arc<Desk>, port: u16) -> io::Result<RuntimeApi> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        let address = listener.local_addr()?;
        let (sender, connections) = watch::channel(0);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, desk, sender));
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

async fn serve(listener: TcpListener, desk: Arc<Desk>, open: watch::Sender<usize>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    open.send_modify(|count| *count += 1);
                    connections.spawn(converse(stream, Arc::clone(&desk)));
                }
                // Out of file descriptors, most likely: the next try may fare better.
                Err(_) => tokio::task::yield_now().await,
            },
            Some(_) = connections.join_next() => open.send_modify(|count| *count -= 1),
        }
    }
}

async fn converse(stream: TcpStream, desk: Arc<Desk>) {
    stream.set_nodelay(true).ok();
    let service = service_fn(|request| {
        let desk = Arc::clone(&desk);
        async move { Ok::<_, Infallible>(reply(&desk, request).await) }
    });
    // Names in the case that the real service uses: scripts compare them as text.
    let connection = hyper::server::conn::http1::Builder::new()
        .title_case_headers(true)
        .serve_connection(TokioIo::new(stream), service);
    // How a connection ends says nothing: clients hang up as they like.
    connection.await.ok();
}

async fn reply(desk: &Desk, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    let Some(call) = path.strip_prefix(RUNTIME) else {
        return if path.ends_with("/ping") { text(StatusCode::OK, "pong") } else { not_found(&path) };
    };
    if call == "invocation/next" && request.method() == Method::GET {
        return next(desk).await;
    }
    if call == "init/error" && request.method() == Method::POST {
        return init_error(desk, request).await;
    }
    let answer = call.strip_prefix("invocation/").and_then(|rest| rest.rsplit_once('/'));
    match answer {
        Some((id, "response")) if request.method() == Method::POST => response(desk, id, request).await,
        Some((id, "error")) if request.method() == Method::POST => error(desk, id, request).await,
        _ => not_found(&path),
    }
}

async fn next(desk: &Desk) -> Response<Full<Bytes>> {
    match desk.next() {
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
    response
}

fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

async fn response(desk: &Desk, id: &str, request: Request<Incoming>) -> Response<Full<Bytes>> {
    const TO: &str = "InvocationResponse";
    if let Err(refusal) = desk.check_answer(id, TO) {
        read(request.into_body(), RESPONSE_MAX).await.ok();
        return refuse(&refusal);
    }
    let streaming = match request.headers().get(RESPONSE_MODE).map(HeaderValue::as_bytes) {
        None => false,
        Some(mode) if mode.eq_ignore_ascii_case(b"streaming") => true,
        Some(_) => {
            let message = "Invalid function response mode";
            return refused(StatusCode::BAD_REQUEST, "InvalidFunctionResponseMode", message);
        }
    };
    let limit = if streaming { STREAM_MAX } else { RESPONSE_MAX };
    match read(request.into_body(), limit).await {
        Ok(Body::Whole(body, trailers)) => {
            let answer = failed_midway(&trailers).unwrap_or(Answer::Response(body));
            accept(desk.answer(id, TO, answer))
        }
        Ok(Body::TooLarge) => {
            if let Err(refusal) = desk.answer(id, TO, Answer::TooLarge) {
                return refuse(&refusal);
            }
            too_large()
        }
        Err(_) => truncated(),
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

/// What the trailers of a streamed response say, if it failed midway.
fn failed_midway(trailers: &HeaderMap) -> Option<Answer> {
    let kind = error_type(trailers);
    trailers.get(ERROR_TYPE)?;
    let body = trailers.get(ERROR_BODY).map(|value| base64::engine::general_purpose::STANDARD.decode(value));
    Some(Answer::Error(Bytes::from(body.and_then(Result::ok).unwrap_or_default()), kind))
}

/// The error type as it is kept for the log: `Runtime.Xyz`, `Function.Xyz`, or unknown.
fn error_type(headers: &HeaderMap) -> String {
    let said = headers.get(ERROR_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let name = said.strip_prefix("Runtime.").or_else(|| said.strip_prefix("Function."));
    let letters = name.is_some_and(|name| {
        name.len() > 1
            && name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.bytes().all(|b| b.is_ascii_alphabetic())
    });
    match said {
        _ if letters => said.to_owned(),
        _ if said.starts_with("Function.") => "Function.Unknown".to_owned(),
        _ => "Runtime.Unknown".to_owned(),
    }
}

enum Body {
    Whole(Bytes, HeaderMap),
    TooLarge,
}

/// Reads a body to its end. One that is too large is read all the same, and dropped: a client that is still
/// sending would not see our answer.
async fn read(mut body: Incoming, limit: usize) -> hyper::Result<Body> {
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    let (mut trailers, mut length) = (HeaderMap::new(), 0);
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(piece) => {
                length += piece.len();
                if length > limit {
                    (first, rest) = (Bytes::new(), BytesMut::new());
                } else if first.is_empty() && rest.is_empty() {
                    // Most bodies are one piece, which is passed on as it is.
                    first = piece;
                } else {
                    if rest.is_empty() {
                        rest.extend_from_slice(&std::mem::take(&mut first));
                    }
                    rest.extend_from_slice(&piece);
                }
            }
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let whole = if rest.is_empty() { first } else { rest.freeze() };
    Ok(if length > limit { Body::TooLarge } else { Body::Whole(whole, trailers) })
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
    let message =
        format!("the Runtime API has no call {path}; the Extensions and Telemetry APIs are switched off");
    refused(StatusCode::NOT_FOUND, "NotFound", &message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_types_are_kept_when_they_are_well_formed() {
        for (said, kept) in [
            ("Runtime.ExitError", "Runtime.ExitError"),
            ("Function.Oops", "Function.Oops"),
            ("Function.oops2", "Function.Unknown"),
            ("ValueError", "Runtime.Unknown"),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ERROR_TYPE, HeaderValue::from_static(said));
            assert_eq!(error_type(&headers), kept);
        }
    }
}
