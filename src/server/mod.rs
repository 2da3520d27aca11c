//! One port for everything: dropwire's own API, function URLs, and the services of AWS.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::aws::sigv4::{self, Keys};
use crate::aws::{self, Answer, AwsError, AwsService, Call, identify, rest_json, xml};
use crate::clock::real;
use crate::control::{self, BASE, CODE};
use crate::source::s3::{Peer, S3Api};
use door::{Door, Visit};

pub use listen::{Listening, Place, Reach, listen};

mod door;
mod listen;

/// How much of a body that is too large is read and dropped, in bytes, so that its sender hears why.
const DROPPED_MAX: usize = 1 << 30;
/// How long answers that are under way may take when dropwire stops.
const STOP_MAX: Duration = Duration::from_secs(1);

/// What answers on the port of one running dropwire.
pub struct Server {
    app: Arc<App>,
    door: Door,
    control: TowerToHyperService<axum::Router>,
    services: Vec<Arc<dyn AwsService>>,
    s3: S3Api,
    keys: Keys,
}

impl Server {
    /// The server that answers for `app`, with these services of AWS.
    pub fn new(app: Arc<App>, services: Vec<Arc<dyn AwsService>>, s3: S3Api) -> Server {
        Server {
            door: Door::new(&app.running().token, app.reach().clone()),
            keys: app.keys().clone(),
            control: TowerToHyperService::new(control::server::router(app.clone())),
            app,
            services,
            s3,
        }
    }

    /// Answers until `stop`, and then, for a moment, what is still being answered.
    pub async fn run(self, listening: Listening, stop: CancellationToken) {
        let server = Arc::new(self);
        let each =
            listening.sockets.into_iter().map(|socket| Arc::clone(&server).accept(socket, stop.clone()));
        futures_util::future::join_all(each).await;
    }

    async fn accept(self: Arc<Server>, socket: TcpListener, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = socket.accept() => match accepted {
                    Ok((stream, peer)) => {
                        connections.spawn(Arc::clone(&self).converse((stream, peer), stop.clone()));
                    }
                    // Out of file descriptors, most likely: the next try may fare better.
                    Err(_) => tokio::task::yield_now().await,
                },
                Some(_) = connections.join_next() => {}
                () = stop.cancelled() => break,
            }
        }
        drop(socket);
        real::within(STOP_MAX, async { while connections.join_next().await.is_some() {} }).await;
    }

    async fn converse(self: Arc<Server>, (stream, peer): (TcpStream, SocketAddr), stop: CancellationToken) {
        stream.set_nodelay(true).ok();
        let service = service_fn(|request| {
            let server = Arc::clone(&self);
            async move { Ok::<_, Infallible>(server.respond(request, peer).await) }
        });
        let connection = hyper::server::conn::http1::Builder::new()
            .timer(TokioTimer::new())
            .serve_connection(TokioIo::new(stream), service);
        let mut connection = pin!(connection);
        tokio::select! {
            // How a connection ends says nothing: clients hang up as they like.
            _ = connection.as_mut() => {}
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await.ok();
            }
        }
    }

    async fn respond(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        match self.door.visit(request.headers()) {
            Visit::Refused(why) => control::server::forbidden(why).into_response(),
            Visit::FunctionUrl(id) => self.function_url(&id, request).await,
            // Before all others: a key may be called like any path here.
            Visit::Here if self.s3.owns(&request) => {
                let from = Peer { address: peer.ip().to_string(), is_foreign_page: false };
                render(self.s3.answer(request, &from).await, None)
            }
            Visit::Here if request.uri().path().starts_with(BASE) => {
                match self.door.without_token(request.method(), request.headers()) {
                    Some(why) => control::server::forbidden(why).into_response(),
                    None => self.control(request).await,
                }
            }
            Visit::Here if request.uri().path().starts_with(CODE) => self.code(request.uri().path()).await,
            Visit::Here => self.aws(request, peer).await,
            // Of what other pages ask, a bucket's CORS rules let pass what they name; the rest is refused.
            Visit::Foreign(origin) => match self.is_for_s3(&request) {
                true => {
                    let from = Peer { address: peer.ip().to_string(), is_foreign_page: true };
                    render(self.s3.answer(request, &from).await, None)
                }
                false => control::server::forbidden(format!("requests from `{origin}` are refused"))
                    .into_response(),
            },
        }
    }

    async fn control(&self, request: Request<Incoming>) -> Response<Body> {
        match self.control.call(request.map(Body::new)).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }

    /// Whether S3 answers it.
    fn is_for_s3(&self, request: &Request<Incoming>) -> bool {
        let path = request.uri().path();
        let query = request.uri().query().map(aws::query_of).unwrap_or_default();
        let is_own = path.starts_with(BASE) || path.starts_with(CODE);
        self.s3.owns(request)
            || !is_own && identify::service(path, &query, request.headers()).as_deref() == Some("s3")
    }

    /// A call of an AWS service.
    async fn aws(&self, request: Request<Incoming>, peer: SocketAddr) -> Response<Body> {
        let request_id = self.app.random().uuid(4);
        let query = request.uri().query().map(aws::query_of).unwrap_or_default();
        let asked = identify::service(request.uri().path(), &query, request.headers());
        let Some(asked) = asked else { return self.control(request).await };
        if asked == "s3" {
            let from = Peer { address: peer.ip().to_string(), is_foreign_page: false };
            return render(self.s3.answer(request, &from).await, None);
        }
        let answer = match self.services.iter().find(|service| service.name() == asked) {
            None if xml::speaks(&asked) => xml::failure(&asked, &unknown_service(&asked), &request_id),
            None => rest_json::failure(&unknown_service(&asked)),
            Some(service) => {
                let (method, path) = (request.method().clone(), request.uri().path().to_owned());
                let limit = service.body_max(&method, &path);
                let answered = async {
                    let (head, body) = read(request, limit).await?;
                    sigv4::admit_whole(&head, &body, &self.keys, self.app.clock().now())?;
                    service.call(call_of(head, query, (body, &request_id))).await
                };
                answered.await.unwrap_or_else(|error| service.failure(&error))
            }
        };
        render(answer, Some(&request_id))
    }

    async fn function_url(&self, id: &str, request: Request<Incoming>) -> Response<Body> {
        let request_id = self.app.random().uuid(4);
        let query = request.uri().query().map(aws::query_of).unwrap_or_default();
        let urls = self.app.function_urls();
        let answered = async {
            let raw_query = request.uri().query().unwrap_or_default().to_owned();
            let (head, body) = read(request, urls.body_max()).await?;
            // Whether a signature is needed is the URL's word.
            let admitted = sigv4::admit_whole(&head, &body, &self.keys, self.app.clock().now());
            let signer = admitted.ok().and_then(|admission| admission.signer);
            let call = call_of(head, query, (body, &request_id));
            Ok::<_, AwsError>(urls.call(id, (&call, &raw_query), signer).await)
        };
        let answer = answered.await.unwrap_or_else(|error| rest_json::failure(&error));
        render(answer, Some(&request_id))
    }

    /// The code of a function, by the address that GetFunction gave.
    async fn code(&self, path: &str) -> Response<Body> {
        let token = path.trim_start_matches(CODE).trim_start_matches('/');
        match self.app.lambda().code_of(token).await {
            Some(zip) => ([(header::CONTENT_TYPE, "application/zip")], zip).into_response(),
            None => (StatusCode::FORBIDDEN, "this address is not valid, or not any more").into_response(),
        }
    }
}

/// What a body may be at most, in bytes, and what is said of a larger one.
pub type BodyMax = (usize, AwsError);

fn unknown_service(name: &str) -> AwsError {
    AwsError::new(
        501,
        "UnknownOperationException",
        format!(
            "dropwire has no service `{name}`: it answers for lambda and s3; tables and topics are declared in the wiring file"
        ),
    )
}

/// The whole request. A body that is too large is read and dropped, so that its sender hears why.
async fn read(request: Request<Incoming>, (limit, refusal): BodyMax) -> Result<(Parts, Bytes), AwsError> {
    let (head, mut body) = request.into_parts();
    let announced = body.size_hint().lower();
    if announced > limit as u64 {
        drop_rest(&mut body).await;
        return Err(refusal);
    }
    match Limited::new(&mut body, limit).collect().await {
        Ok(read) => Ok((head, read.to_bytes())),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => {
            drop_rest(&mut body).await;
            Err(refusal)
        }
        Err(error) => Err(AwsError::new(400, "IncompleteBody", format!("the request broke off: {error}"))),
    }
}

fn call_of(head: Parts, query: Vec<(String, String)>, (body, request_id): (Bytes, &str)) -> Call {
    let (method, headers) = (head.method, head.headers);
    let (path, request_id) = (head.uri.path().to_owned(), request_id.to_owned());
    Call { method, path, query, headers, body, request_id }
}

async fn drop_rest(body: &mut Incoming) {
    let mut dropped = 0;
    while let Some(Ok(frame)) = body.frame().await {
        dropped += frame.data_ref().map_or(0, Bytes::len);
        if dropped > DROPPED_MAX {
            return;
        }
    }
}

fn render(answer: Answer, request_id: Option<&str>) -> Response<Body> {
    let body = match answer.body {
        aws::Body::Whole(bytes) => Body::from(bytes),
        aws::Body::Stream(pieces) => Body::from_stream(stream::unfold(pieces, async |mut pieces| {
            pieces.recv().await.map(|piece| (Ok::<_, Infallible>(piece), pieces))
        })),
        aws::Body::Taken(pieces) => Body::from_stream(pieces.map(Ok::<_, Infallible>)),
    };
    let mut response = Response::new(body);
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    if let Some(Ok(id)) = request_id.map(HeaderValue::from_str) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}
