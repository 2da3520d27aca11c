//! What nobody has read of a request's body: it is read and dropped, so that its sender hears the answer and the
//! connection can go on. Where that is too much, the answer says that the connection ends.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};

use crate::clock::real;

/// How much is read and dropped at most, in bytes.
const DROPPED_MAX: u64 = 64 << 20;
/// How long that may take.
const DROP_MAX: Duration = Duration::from_secs(10);

/// A body of which it is known how far it was read.
pub struct Watched<B> {
    body: B,
    /// Whether anybody has asked for it: a sender that waits to be told so has been told.
    is_begun: bool,
    is_over: bool,
}

impl<B> Watched<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    /// A body that nobody has read yet.
    pub fn new(body: B) -> Watched<B> {
        Watched { is_begun: false, is_over: body.is_end_stream(), body }
    }

    /// Reads the rest and drops it. False if there is more than anybody should wait for, or if the sender has been told
    /// in time not to send it: then nothing can follow on this connection.
    pub async fn drop_rest(mut self, headers: &HeaderMap) -> bool {
        let has_waited = !self.is_begun && headers.contains_key(EXPECT);
        match self.is_over || self.body.is_end_stream() {
            true => true,
            false if has_waited || self.body.size_hint().lower() > DROPPED_MAX => false,
            false => real::within(DROP_MAX, self.dropped()).await.unwrap_or(false),
        }
    }

    async fn dropped(&mut self) -> bool {
        let mut left = DROPPED_MAX;
        while let Some(frame) = self.body.frame().await {
            let size = frame.map(|frame| frame.data_ref().map_or(0, |bytes| bytes.len() as u64));
            match size.ok().and_then(|size| left.checked_sub(size)) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    }
}

impl<B> HttpBody for Watched<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.get_mut();
        this.is_begun = true;
        let polled = Pin::new(&mut this.body).poll_frame(context);
        this.is_over |= matches!(polled, Poll::Ready(None));
        polled
    }
    fn is_end_stream(&self) -> bool {
        self.is_over || self.body.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
