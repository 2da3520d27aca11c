//! Chunked bodies whole, in any pieces, and broken.

use http::Request;
use proptest::prelude::*;

use super::*;
use crate::aws::sigv4::{self, Keys, Payload};
use crate::clock::Timestamp;

/// The payload and the trailers, or the error's code, of a body in pieces of these sizes, repeated.
type Decoded = Result<(Vec<u8>, Vec<(String, String)>), &'static str>;

fn decode(mut decoder: Decoder, body: &[u8], sizes: &[usize]) -> Decoded {
    let whole = Bytes::copy_from_slice(body);
    let (mut payload, mut at) = (Vec::new(), 0);
    let mut sizes = sizes.iter().cycle();
    while at < whole.len() {
        let size = (*sizes.next().unwrap_or(&usize::MAX)).clamp(1, whole.len() - at);
        let mut input = whole.slice(at..at + size);
        at += size;
        while let Some(piece) = decoder.decode(&mut input).map_err(|error| error.code)? {
            payload.extend_from_slice(&piece);
        }
        assert!(decoder.line.capacity() <= 2 * LINE_MAX, "a line is bounded");
    }
    decoder.finish().map(|trailers| (payload, trailers)).map_err(|error| error.code)
}

/// Decodes a body of unsigned chunks with a trailer.
fn check(body: &str, length: u64, expected: Result<(&str, &str), &str>) {
    let found = decode(Decoder::new(None, true, length), body.as_bytes(), &[]);
    let found = found.map(|(payload, trailers)| {
        let trailers: Vec<_> = trailers.iter().map(|(name, value)| format!("{name}={value}")).collect();
        (String::from_utf8(payload).expect("text"), trailers.join(" "))
    });
    let expected = expected.map(|(payload, trailers)| (payload.to_owned(), trailers.to_owned()));
    assert_eq!(found, expected, "{body}");
}

#[test]
fn chunks_are_put_together_and_headers_may_follow() {
    check("5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", 11, Ok(("hello world", "")));
    check("0\r\n\r\n", 0, Ok(("", "")));
    check("A;x=y\r\n0123456789\r\n0\r\nX-Amz-A: b \r\n\r\n", 10, Ok(("0123456789", "x-amz-a=b")));
    check("2\r\n\r\n\r\n0\r\na:b\n\r\n\r\n", 2, Ok(("\r\n", "a=b")));
}

#[test]
fn what_is_cut_too_long_or_malformed_is_refused() {
    let incomplete = Err("IncompleteBody");
    let whole = "5\r\nhello\r\n0\r\nx:y\r\n\r\n";
    check(whole, 5, Ok(("hello", "x=y")));
    for end in 0..whole.len() {
        check(&whole[..end], 5, incomplete);
    }
    check(whole, 4, incomplete);
    check(whole, 6, incomplete);
    check(&format!("{whole}more"), 5, incomplete);
    for size in ["", "+5", "-5", "0x5", "g", "€", "10000000000000005", " 5"] {
        check(&format!("{size}\r\nhello\r\n0\r\n\r\n"), 5, incomplete);
    }
    check("ffffffffffffffff\r\n", u64::MAX, incomplete);
    check("5\r\nhello!\r\n0\r\n\r\n", 5, incomplete);
    check(&format!("{}\r\n", "0".repeat(2000)), 5, incomplete);
    let bad = Err("MalformedTrailerError");
    check("0\r\nno colon\r\n\r\n", 0, bad);
    check("0\r\n:v\r\n\r\n", 0, bad);
    check("0\r\nx-amz-trailer-signature:a\r\nx:y\r\n\r\n", 0, bad);
    check(&format!("0\r\nx:{}\r\n\r\n", "y".repeat(2000)), 0, bad);
    check(&format!("0\r\n{}\r\n", "x:y\r\n".repeat(17)), 0, bad);
    let found = decode(Decoder::new(None, false, 0), b"0\r\nx:y\r\n\r\n", &[]);
    assert_eq!(found, Err("MalformedTrailerError"), "none was announced");
}

/// The published example of S3's reference: 66560 times `a` in chunks of 65536 bytes, and the signatures.
const SEED: &str = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const SIGNATURES: [&str; 3] = [
    "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
    "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
    "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
];

fn signer() -> ChunkSigner {
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, SignedHeaders=\
         content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;\
         x-amz-storage-class, Signature={SEED}"
    );
    let request = Request::put("/examplebucket/chunkObject.txt")
        .header("host", "s3.amazonaws.com")
        .header("x-amz-date", "20130524T000000Z")
        .header("x-amz-storage-class", "REDUCED_REDUNDANCY")
        .header("authorization", authorization)
        .header("x-amz-content-sha256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD")
        .header("content-encoding", "aws-chunked")
        .header("x-amz-decoded-content-length", "66560")
        .header("content-length", "66824");
    let (head, ()) = request.body(()).expect("a request").into_parts();
    let keys = Keys::only(
        sigv4::Pair::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY").expect("a pair"),
    );
    let now = Timestamp::parse("2013-05-24T00:00:00Z").expect("a time");
    match sigv4::admit(&head, &keys, now).expect("let in").payload {
        Payload::Chunked { signatures: Some(signer), trailer: false, length: 66_560 } => signer,
        payload => panic!("{payload:?}"),
    }
}

fn signed(chunks: &[(usize, &str)]) -> Vec<u8> {
    let mut body = Vec::new();
    for (size, signature) in chunks {
        body.extend_from_slice(format!("{size:x};chunk-signature={signature}\r\n").as_bytes());
        body.extend(std::iter::repeat_n(b'a', *size));
        body.extend_from_slice(b"\r\n");
    }
    body
}

#[test]
fn every_chunk_is_signed_where_that_is_checked() {
    let [one, two, last] = SIGNATURES;
    let check = |chunks: &[(usize, &str)], expected: Result<usize, &str>| {
        let found = decode(Decoder::new(Some(signer()), false, 66_560), &signed(chunks), &[1000]);
        assert_eq!(found.map(|(payload, _)| payload.len()), expected, "{chunks:?}");
    };
    check(&[(65_536, one), (1024, two), (0, last)], Ok(66_560));
    let wrong = Err("SignatureDoesNotMatch");
    check(&[(65_536, one), (1024, one), (0, last)], wrong);
    check(&[(65_536, one), (1024, two), (0, two)], wrong);
    check(&[(65_535, one)], wrong);
    check(&[(65_536, "")], wrong);
    check(&[(65_536, one), (1024, two)], Err("IncompleteBody"));
    let mut unsigned = Decoder::new(Some(signer()), false, 66_560);
    let sent = unsigned.decode(&mut Bytes::from_static(b"1\r\na\r\n"));
    assert!(sent.is_ok_and(|piece| piece.is_some_and(|piece| piece == "a")), "not yet known to be wrong");
}

#[test]
fn small_chunks_are_the_last() {
    // Signed by a signer of the same state, as a client does it.
    let mut client = signer();
    let mut sign = |text: &[u8]| {
        let mut other = client.clone();
        other.signs_chunk(Sha256::new_with_prefix(text), "");
        client = other.clone();
        other.before().to_owned()
    };
    let (one, two) = (sign(b"aaa"), sign(b"aa"));
    let body = signed(&[(3, &one), (2, &two)]);
    assert_eq!(decode(Decoder::new(Some(signer()), false, 5), &body, &[]), Err("InvalidChunkSizeError"));
    // Without signatures any size goes.
    assert_eq!(
        decode(Decoder::new(None, false, 5), &body, &[]),
        Err("IncompleteBody"),
        "only its end is missing"
    );
}

#[test]
fn headers_after_the_last_chunk_are_signed_too() {
    let mut client = signer();
    client.signs_chunk(Sha256::new(), "");
    let zero = client.before().to_owned();
    client.signs_trailer("x-amz-checksum-crc32:AAAAAA==\n", "");
    let good = client.before().to_owned();
    let check = |value: &str, signature: &str, expected: Result<(), &str>| {
        let body = format!(
            "0;chunk-signature={zero}\r\nx-amz-checksum-crc32:{value}\r\nx-amz-trailer-signature:{signature}\r\n\r\n"
        );
        let found = decode(Decoder::new(Some(signer()), true, 0), body.as_bytes(), &[7]);
        assert_eq!(found.map(drop), expected);
    };
    check("AAAAAA==", &good, Ok(()));
    check("AAAAAQ==", &good, Err("SignatureDoesNotMatch"));
    check("AAAAAA==", &zero, Err("SignatureDoesNotMatch"));
    let body = format!("0;chunk-signature={zero}\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n");
    let found = decode(Decoder::new(Some(signer()), true, 0), body.as_bytes(), &[]);
    assert_eq!(found, Err("SignatureDoesNotMatch"));
}

/// Something like a chunked body, often broken.
fn bodies() -> impl Strategy<Value = (Vec<u8>, u64)> {
    let part = prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| {
            [format!("{:x}\r\n", bytes.len()).as_bytes(), &bytes, b"\r\n"].concat()
        }),
        1 => "[0-9a-f;:\r\n]{0,8}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..8),
        1 => Just(b"0\r\n".to_vec()),
        1 => Just(b"x-amz-a:b\r\n".to_vec()),
        1 => (900..1100_usize).prop_map(|size| vec![b'1'; size]),
    ];
    (proptest::collection::vec(part, 0..6), 0..120_u64, any::<bool>()).prop_map(|(parts, length, whole)| {
        let mut body = parts.concat();
        if whole {
            body.extend_from_slice(b"0\r\nx-amz-a:b\r\n\r\n");
        }
        (body, length)
    })
}

proptest! {
    #[test]
    fn any_split_gives_the_same((body, length) in bodies(), sizes in proptest::collection::vec(1..9_usize, 1..5)) {
        let whole = decode(Decoder::new(None, true, length), &body, &[]);
        let split = decode(Decoder::new(None, true, length), &body, &sizes);
        prop_assert_eq!(&whole, &split);
        if let Ok((payload, _)) = whole {
            prop_assert_eq!(payload.len() as u64, length);
        }
    }

    #[test]
    fn what_is_encoded_is_decoded(pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..300), 0..6),
        sizes in proptest::collection::vec(1..50_usize, 1..5)) {
        let payload = pieces.concat();
        let mut body = Vec::new();
        for piece in &pieces {
            body.extend_from_slice(&[format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat());
        }
        body.extend_from_slice(b"0\r\nx-amz-a:b\r\n\r\n");
        let decoded = decode(Decoder::new(None, true, payload.len() as u64), &body, &sizes);
        prop_assert_eq!(decoded, Ok((payload, vec![("x-amz-a".to_owned(), "b".to_owned())])));
    }
}
