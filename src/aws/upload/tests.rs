//! Bodies that are what was said of them, and bodies that are not.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{HeaderName, HeaderValue};
use hyper::body::Frame;

use super::*;
use crate::aws::sigv4::{self, Keys};
use crate::clock::Timestamp;

/// A body in pieces, which breaks off at a `None`.
struct Pieces(VecDeque<Option<&'static str>>);

impl Body for Pieces {
    type Data = Bytes;
    type Error = &'static str;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
        let next = self.0.pop_front();
        Poll::Ready(next.map(|piece| piece.map(|piece| Frame::data(piece.into())).ok_or("hung up")))
    }
}

const BOTH: Wanted = Wanted { md5: true, checksum: Some(Algorithm::Crc64Nvme) };
const NOTHING: Wanted = Wanted { md5: false, checksum: None };

/// Size, MD5 and checksum, or the error.
async fn read(
    headers: &str,
    body: &[Option<&'static str>],
    wanted: Wanted,
) -> Result<(String, Received), AwsError> {
    let mut request = http::Request::put("/bucket/key").body(()).expect("a request");
    for line in headers.lines() {
        let (name, value) = line.split_once(':').expect("a header");
        let name = HeaderName::from_bytes(name.trim().as_bytes()).expect("a name");
        request.headers_mut().append(name, HeaderValue::from_str(value.trim()).expect("a value"));
    }
    let head = request.into_parts().0;
    let admitted = sigv4::admit(&head, &Keys::any(), Timestamp::default())?;
    let body = Pieces(body.iter().copied().collect());
    let mut upload = Upload::new(body, admitted.payload, &head.headers, wanted)?;
    let mut text = String::new();
    loop {
        match upload.next().await? {
            Piece::Bytes(bytes) => text.push_str(&String::from_utf8_lossy(&bytes)),
            Piece::End(received) => return Ok((text, received)),
        }
    }
}

/// `hello` in two pieces with these headers.
async fn check(headers: &str, expected: &str) {
    check_body(headers, &[Some("hel"), Some("lo")], expected).await;
}

async fn check_body(headers: &str, body: &[Option<&'static str>], expected: &str) {
    let said = match read(headers, body, NOTHING).await {
        Ok((text, received)) => {
            assert_eq!(received.size, text.len() as u64);
            let checksum =
                received.checksum.map(|(algorithm, value)| format!(" {} {value}", algorithm.name()));
            format!("{text}{}", checksum.unwrap_or_default())
        }
        Err(error) => format!("{} {error}", error.status.as_u16()),
    };
    assert_eq!(said, expected, "{headers}");
}

#[tokio::test]
async fn what_is_wanted_is_computed_and_nothing_else() {
    let body = [Some("hel"), Some(""), Some("lo")];
    let (text, received) = read("", &body, BOTH).await.expect("received");
    assert_eq!((text.as_str(), received.size), ("hello", 5));
    assert_eq!(received.md5.map(hex::encode).as_deref(), Some("5d41402abc4b2a76b9719d911017c592"));
    assert_eq!(received.checksum, Some((Algorithm::Crc64Nvme, Algorithm::Crc64Nvme.of(b"hello"))));
    let (_, received) = read("", &body, NOTHING).await.expect("received");
    assert_eq!(received, Received { size: 5, md5: None, checksum: None });
    let (_, received) = read("x-amz-checksum-crc32: NhCmhg==", &body, BOTH).await.expect("received");
    assert_eq!(received.checksum, Some((Algorithm::Crc32, "NhCmhg==".into())), "the client's goes first");
}

#[tokio::test]
async fn a_body_is_as_long_as_it_says() {
    const CUT: &str = "400 IncompleteBody: The request body terminated unexpectedly";
    check("content-length: 5", "hello").await;
    check("content-length: 6", CUT).await;
    check("content-length: 4", CUT).await;
    check_body("", &[Some("hel"), None], CUT).await;
    check_body("", &[], "").await;
}

#[tokio::test]
async fn hashes_are_checked() {
    let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    check(&format!("x-amz-content-sha256: {sha256}"), "hello").await;
    check(
        &format!("x-amz-content-sha256: {}", sha256.replace('2', "3")),
        "400 XAmzContentSHA256Mismatch: The provided 'x-amz-content-sha256' header does not match what was computed.",
    )
    .await;
    check("content-md5: XUFAKrxLKna5cZ2REBfFkg==", "hello").await;
    check(
        "content-md5: XUFAKrxLKna5cZ2REBfFkQ==",
        "400 BadDigest: The Content-MD5 you specified did not match what we received.",
    )
    .await;
    for bad in ["", "hello", "aGVsbG8="] {
        check(
            &format!("content-md5: {bad}"),
            "400 InvalidDigest: The Content-MD5 you specified was invalid.",
        )
        .await;
    }
}

#[tokio::test]
async fn checksums_are_checked() {
    for one in Algorithm::ALL {
        let (header, name, value) = (one.header(), one.name(), one.of(b"hello"));
        check(&format!("{header}: {value}"), &format!("hello {name} {value}")).await;
        let wrong = format!("400 BadDigest: The {name} you specified did not match the calculated checksum.");
        check(&format!("{header}: {}", one.of(b"hallo")), &wrong).await;
        let invalid = format!("400 InvalidRequest: Value for {header} header is invalid.");
        check(&format!("{header}: {value}-1"), &invalid).await;
        check(&format!("x-amz-sdk-checksum-algorithm: {name}"), &format!("hello {name} {value}")).await;
    }
    let several = "400 InvalidRequest: Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
    check("x-amz-checksum-crc32: NhCmhg==\nx-amz-checksum-crc32c: mnG7TA==", several).await;
    let invalid = "400 InvalidRequest: Value for x-amz-sdk-checksum-algorithm header is invalid.";
    check("x-amz-sdk-checksum-algorithm: CRC32C\nx-amz-checksum-crc32: NhCmhg==", invalid).await;
    check("x-amz-sdk-checksum-algorithm: MD5", invalid).await;
    let unknown = "501 NotImplemented: A header you provided implies functionality that is not implemented";
    check("x-amz-checksum-xxhash64: AAAAAAAAAAA=", unknown).await;
    check("x-amz-checksum-type: FULL_OBJECT", "hello").await;
}

#[tokio::test]
async fn trailers_are_checked() {
    let headers = "x-amz-content-sha256: STREAMING-UNSIGNED-PAYLOAD-TRAILER\nx-amz-decoded-content-length: 5\n\
                   content-length: 999\nx-amz-trailer: x-amz-checksum-crc32";
    let check = async |end: &'static str, expected: &str| {
        check_body(headers, &[Some("3\r\nhel\r\n2"), Some("\r\nlo\r\n0\r\n"), Some(end)], expected).await;
    };
    check("x-amz-checksum-crc32:NhCmhg==\r\n\r\n", "hello CRC32 NhCmhg==").await;
    let wrong = "400 BadDigest: The CRC32 you specified did not match the calculated checksum.";
    check("x-amz-checksum-crc32:AAAAAA==\r\n\r\n", wrong).await;
    let invalid = "400 InvalidRequest: Value for x-amz-checksum-crc32 header is invalid.";
    check("x-amz-checksum-crc32:AAAA\r\n\r\n", invalid).await;
    let malformed = malformed_trailer();
    let malformed = format!("400 {malformed}");
    check("\r\n", &malformed).await;
    check("x-amz-checksum-crc32c:AAAAAA==\r\n\r\n", &malformed).await;
    check("x-amz-checksum-crc32:NhCmhg==\r\nx-amz-other:1\r\n\r\n", &malformed).await;
    check(
        "x-amz-checksum-crc32:NhCmhg==\r\n",
        "400 IncompleteBody: The request body terminated unexpectedly",
    )
    .await;
    super::tests::check("x-amz-trailer: x-amz-checksum-crc32", &malformed).await;
    let both = format!("{headers}\nx-amz-checksum-sha1: {}", Algorithm::Sha1.of(b"hello"));
    let several = "400 InvalidRequest: Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
    super::tests::check(&both, several).await;
}

#[tokio::test]
async fn what_is_hashed_beside_comes_to_what_is_hashed_at_once() {
    let piece = "0123456789abcdef".repeat(4096);
    let piece: &'static str = Box::leak(piece.into_boxed_str());
    for count in [1, 7, 8, 9, 40] {
        let whole = piece.repeat(count);
        let (_, received) = read("", &vec![Some(piece); count], BOTH).await.expect("read");
        let md5: [u8; 16] = Md5::digest(whole.as_bytes()).into();
        assert_eq!(received.md5, Some(md5), "{count} pieces");
        let checksum = (Algorithm::Crc64Nvme, Algorithm::Crc64Nvme.of(whole.as_bytes()));
        assert_eq!(received.checksum, Some(checksum), "{count} pieces");
    }
    // Pieces too small and too many to wait for a whole batch of them.
    let (_, received) = read("", &vec![Some("x"); 5000], BOTH).await.expect("read");
    let md5: [u8; 16] = Md5::digest("x".repeat(5000)).into();
    assert_eq!((received.size, received.md5), (5000, Some(md5)));
}
