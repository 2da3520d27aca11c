//! Serving function URLs: a request to the URL's host is an invocation, and its result the answer.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::invoke::{self, Invoker, SYNC_MAX};
use super::names::Target;
use super::url_event::{self, Setting};
use super::{Cors, UrlConfig};
use crate::aws::sigv4::Signer;
use crate::aws::{Answer, AwsError, Body, Call, rest_json};
use crate::delivery::Outcome;
use crate::function::{Invocation, Piece};

/// The content type of a streamed response that begins with its status and headers.
const WITH_PRELUDE: &str = "application/vnd.awslambda.http-integration-response";
/// What stands between the prelude and the body.
const PRELUDE_END: [u8; 8] = [0; 8];
/// How many pieces may wait for a slow reader.
const PIECES_MAX: usize = 16;

/// All function URLs.
pub struct FunctionUrls {
    invoker: Invoker,
}

impl FunctionUrls {
    /// The URLs of these functions.
    pub fn new(invoker: Invoker) -> FunctionUrls {
        FunctionUrls { invoker }
    }

    /// How large a request may be, in bytes, and what is said of a larger one.
    pub fn body_max(&self) -> (usize, AwsError) {
        (SYNC_MAX, AwsError::new(413, "RequestTooLargeException", "Request Too Large"))
    }

    /// Answers a request to the URL of this id; `signer` is who signed it well.
    pub async fn call(&self, id: &str, (call, raw_query): (&Call, &str), signer: Option<Signer>) -> Answer {
        let Some(url) = self.invoker.parts().lambda.url(id) else {
            return forbidden();
        };
        let origin = call.header("origin").map(str::to_owned);
        if let (Some(cors), Some(origin)) = (&url.cors, &origin)
            && call.method == Method::OPTIONS
            && call.header("access-control-request-method").is_some()
        {
            return preflight(cors, origin);
        }
        let signer = signer.filter(|_| needs_signature(&url));
        let answered = match needs_signature(&url) && signer.is_none() {
            true => Err(forbidden()),
            false => self.invoke((id, &url), (call, raw_query), signer.as_ref()).await,
        };
        let mut answer = answered.unwrap_or_else(|refusal| refusal);
        if let (Some(cors), Some(origin)) = (&url.cors, &origin) {
            allow(&mut answer, cors, origin);
        }
        answer
    }

    async fn invoke(
        &self,
        (id, url): (&str, &UrlConfig),
        (call, raw_query): (&Call, &str),
        signer: Option<&Signer>,
    ) -> Result<Answer, Answer> {
        let parts = self.invoker.parts();
        let failure = |error: AwsError| rest_json::failure(&error);
        let target = Target { name: url.name.clone(), qualifier: url.qualifier.clone() };
        let resolved = self.invoker.ready(&target).await.map_err(failure)?;
        let trace_id = self.invoker.trace_id(call);
        let setting = Setting {
            id,
            place: parts.lambda.place(),
            now: parts.clock.now(),
            trace_id: &trace_id,
            access_key: signer.map(|signer| signer.access_key.as_str()),
        };
        let event = url_event::event(call, raw_query, &setting);
        let mut invocation = Invocation::of(Bytes::from(event.to_string()), &call.request_id);
        invocation.arn = Some(resolved.invoked_arn.as_str().to_owned());
        invocation.trace_id = Some(trace_id.clone());
        let answer = if url.streaming {
            self.streamed(&resolved, invocation).await
        } else {
            let outcome = self.invoker.run(&resolved, invocation).await;
            ended(outcome, &call.request_id)
        };
        Ok(answer.with("x-amzn-trace-id", invoke::root_of(&trace_id)))
    }

    /// A response that is passed on while it is written.
    async fn streamed(&self, resolved: &super::Resolved, invocation: Invocation) -> Answer {
        let request_id = invocation.request_id.clone();
        let (mut pieces, outcome) = self.invoker.streaming(resolved, invocation);
        let mut outcome = Box::pin(outcome);
        let (mut opening, mut running) = (Opening::default(), true);
        let answer = loop {
            tokio::select! {
                biased;
                Some(piece) = pieces.recv() => if let Some(answer) = opening.take(piece) { break answer },
                outcome = outcome.as_mut() => {
                    // All of it may have come while the pieces were looked at.
                    let late = std::iter::from_fn(|| pieces.try_recv().ok()).find_map(|piece| opening.take(piece));
                    if let Some(answer) = late {
                        running = false;
                        break answer;
                    }
                    // What ended before it began to stream is answered as a whole.
                    return match opening.rest() {
                        rest if rest.is_empty() => ended(outcome, &request_id),
                        rest => rest_json::raw(StatusCode::OK, rest, "application/octet-stream"),
                    };
                }
            }
        };
        let (sender, body) = mpsc::channel(PIECES_MAX);
        let first = opening.rest();
        self.invoker.parts().abandoned.spawn(async move {
            let mut outcome = pin!(outcome);
            if !first.is_empty() {
                sender.send(first).await.ok();
            }
            loop {
                tokio::select! {
                    biased;
                    piece = pieces.recv() => match piece {
                        Some(Piece::Bytes(bytes)) => drop(sender.send(bytes).await),
                        Some(Piece::ContentType(_)) => {}
                        None => break,
                    },
                    _ = outcome.as_mut(), if running => running = false,
                }
            }
            if running {
                outcome.await;
            }
        });
        Answer { body: Body::Stream(body), ..answer }
    }
}

/// The longest prelude, in bytes: statuses, headers and cookies are not longer.
const PRELUDE_MAX: usize = 64 * 1024;

/// The beginning of a streamed response: its content type, and perhaps a prelude with status and headers.
#[derive(Default)]
struct Opening {
    content_type: Option<String>,
    gathered: BytesMut,
    /// So many bytes of it hold no end of a prelude.
    looked_through: usize,
}

impl Opening {
    /// One piece more. The head of the answer, as soon as it is known.
    fn take(&mut self, piece: Piece) -> Option<Answer> {
        match piece {
            Piece::ContentType(kind) => self.content_type = Some(kind),
            Piece::Bytes(bytes) => self.gathered.extend_from_slice(&bytes),
        }
        let kind = self.content_type.as_deref()?;
        if kind != WITH_PRELUDE {
            return Some(Answer::empty(StatusCode::OK).with("content-type", kind));
        }
        // The end may have begun in the piece before.
        let from = self.looked_through.saturating_sub(PRELUDE_END.len() - 1);
        self.looked_through = self.gathered.len();
        let mut windows = self.gathered[from..].windows(PRELUDE_END.len());
        let Some(end) = windows.position(|window| window == PRELUDE_END) else {
            return (self.gathered.len() > PRELUDE_MAX).then(url_event::failed);
        };
        let end = from + end;
        let prelude = self.gathered.split_to(end);
        drop(self.gathered.split_to(PRELUDE_END.len()));
        let prelude: Value = serde_json::from_slice(&prelude).unwrap_or_default();
        let head = prelude.as_object().and_then(url_event::head);
        Some(head.unwrap_or_else(url_event::failed))
    }

    /// What was gathered and is not part of the head.
    fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.gathered).freeze()
    }
}

fn ended(outcome: Outcome, request_id: &str) -> Answer {
    match invoke::finished(outcome, request_id) {
        Ok((payload, false, _)) => url_event::answer(&payload),
        Ok((_, true, _)) => url_event::failed(),
        Err(error) => rest_json::failure(&error),
    }
}

/// What a URL says that is not there, or to whom it is not open.
fn forbidden() -> Answer {
    let message = "Forbidden. For troubleshooting Function URL authorization issues, see: \
                   https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html";
    Answer::json(StatusCode::FORBIDDEN, &json!({ "Message": message }))
        .with("x-amzn-errortype", "AccessDeniedException")
}

fn needs_signature(url: &UrlConfig) -> bool {
    url.auth == "AWS_IAM"
}

/// The answer to a browser that asks before it sends.
fn preflight(cors: &Cors, origin: &str) -> Answer {
    let mut answer = Answer::empty(StatusCode::OK);
    allow(&mut answer, cors, origin);
    if answer.headers.contains_key(header::ACCESS_CONTROL_ALLOW_ORIGIN) {
        put_list(&mut answer, header::ACCESS_CONTROL_ALLOW_METHODS, cors.allow_methods.as_deref());
        put_list(&mut answer, header::ACCESS_CONTROL_ALLOW_HEADERS, cors.allow_headers.as_deref());
        if let Some(seconds) = cors.max_age {
            put(&mut answer, header::ACCESS_CONTROL_MAX_AGE, &seconds.to_string());
        }
    }
    answer
}

/// The headers that let a page of this origin read the answer; the function's own are replaced.
fn allow(answer: &mut Answer, cors: &Cors, origin: &str) {
    answer.headers.remove(header::ACCESS_CONTROL_ALLOW_ORIGIN);
    let origins = cors.allow_origins.as_deref().unwrap_or_default();
    let (all, credentials) = (origins.iter().any(|known| known == "*"), cors.allow_credentials == Some(true));
    if !all && !origins.iter().any(|known| known == origin) {
        return;
    }
    put(answer, header::ACCESS_CONTROL_ALLOW_ORIGIN, if all && !credentials { "*" } else { origin });
    put(answer, header::VARY, "Origin");
    if credentials {
        put(answer, header::ACCESS_CONTROL_ALLOW_CREDENTIALS, "true");
    }
    put_list(answer, header::ACCESS_CONTROL_EXPOSE_HEADERS, cors.expose_headers.as_deref());
}

fn put_list(answer: &mut Answer, name: HeaderName, values: Option<&[String]>) {
    put(answer, name, &values.unwrap_or_default().join(","));
}

fn put(answer: &mut Answer, name: HeaderName, value: &str) {
    if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_str(value)) {
        answer.headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_opens_with_its_type_or_its_prelude() {
        let mut plain = Opening::default();
        let answer = plain.take(Piece::ContentType("text/html".into())).expect("known at once");
        assert_eq!(answer.headers["content-type"], "text/html");
        let mut staged = Opening::default();
        assert!(staged.take(Piece::ContentType(WITH_PRELUDE.into())).is_none());
        assert!(staged.take(Piece::Bytes(Bytes::from_static(b"{\"statusCode\":201}\0\0\0\0"))).is_none());
        let answer = staged.take(Piece::Bytes(Bytes::from_static(b"\0\0\0\0body"))).expect("complete");
        assert_eq!((answer.status.as_u16(), staged.rest()), (201, Bytes::from_static(b"body")));
        let mut endless = Opening::default();
        assert!(endless.take(Piece::Bytes(Bytes::from(vec![b' '; PRELUDE_MAX]))).is_none());
        assert!(endless.take(Piece::ContentType(WITH_PRELUDE.into())).is_none());
        let answer = endless.take(Piece::Bytes(Bytes::from_static(b" "))).expect("given up");
        assert_eq!(answer.status.as_u16(), 502);
    }

    #[test]
    fn only_the_origins_that_are_named_may_read() {
        let cors = Cors {
            allow_origins: Some(vec!["https://a".into()]),
            allow_credentials: Some(true),
            ..Cors::default()
        };
        let check = |origin: &str| {
            let mut answer =
                Answer::empty(StatusCode::OK).with("access-control-allow-origin", "https://function");
            allow(&mut answer, &cors, origin);
            answer
                .headers
                .get("access-control-allow-origin")
                .map(|value| value.to_str().expect("text").to_owned())
        };
        assert_eq!((check("https://a").as_deref(), check("https://b")), (Some("https://a"), None));
        let open = Cors {
            allow_origins: Some(vec!["*".into()]),
            allow_methods: Some(vec!["GET".into()]),
            max_age: Some(9),
            ..Cors::default()
        };
        let answer = preflight(&open, "https://x");
        assert_eq!(answer.headers["access-control-allow-origin"], "*");
        assert_eq!(answer.headers["access-control-max-age"], "9");
    }
}
