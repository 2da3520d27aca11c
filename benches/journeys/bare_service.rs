//! What dropwire's Invoke is measured against: an HTTP server that hands calls to runtimes and answers back to callers,
//! and keeps nothing, checks nothing and writes no log.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The first argument that makes this program the server.
pub const WORD: &str = "run-as-bare-service";

#[derive(Default)]
struct Desk {
    next: u64,
    calls: VecDeque<(String, Bytes)>,
    runtimes: VecDeque<oneshot::Sender<(String, Bytes)>>,
    callers: HashMap<String, oneshot::Sender<Bytes>>,
}

/// Serves on a free port, which it prints.
pub fn run() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address"));
        let desk = Arc::new(Mutex::new(Desk::default()));
        let mut connections = tokio::task::JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).ok();
            let desk = desk.clone();
            let service = service_fn(move |request| {
                let desk = desk.clone();
                async move { Ok::<_, Infallible>(answer(&desk, request).await) }
            });
            let serve =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            connections.spawn(serve);
        }
    });
}

async fn answer(desk: &Mutex<Desk>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let lock = || desk.lock().unwrap_or_else(PoisonError::into_inner);
    let path = request.uri().path().to_owned();
    if path.ends_with("/next") {
        let waiting = {
            let mut desk = lock();
            match desk.calls.pop_front() {
                Some(call) => Ok(call),
                None => {
                    let (sender, receiver) = oneshot::channel();
                    desk.runtimes.push_back(sender);
                    Err(receiver)
                }
            }
        };
        let (id, payload) = match waiting {
            Ok(call) => call,
            Err(receiver) => receiver.await.unwrap_or_default(),
        };
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("lambda-runtime-aws-request-id", id)
            .header("lambda-runtime-deadline-ms", "9999999999999");
        return response.body(Full::new(payload)).expect("a response");
    }
    let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    if let Some(id) =
        path.strip_prefix("/2018-06-01/runtime/invocation/").and_then(|rest| rest.split('/').next())
    {
        let caller = lock().callers.remove(id);
        if let Some(caller) = caller {
            caller.send(body).ok();
        }
        return Response::builder()
            .status(202)
            .body(Full::new(Bytes::from_static(b"{}")))
            .expect("a response");
    }
    let (sender, receiver) = oneshot::channel();
    {
        let mut desk = lock();
        desk.next += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", desk.next);
        desk.callers.insert(id.clone(), sender);
        let mut call = Some((id, body));
        while let Some(runtime) = desk.runtimes.pop_front() {
            let Some(given) = call.take() else { break };
            match runtime.send(given) {
                Ok(()) => break,
                Err(back) => call = Some(back),
            }
        }
        desk.calls.extend(call);
    }
    Response::new(Full::new(receiver.await.unwrap_or_default()))
}
