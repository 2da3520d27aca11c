//! A small HTTP client for S3 servers: one connection, kept where the server keeps it, begun anew where it does not.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Whom to ask, and the connection to it.
pub struct Asker {
    address: String,
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

impl Asker {
    /// Nobody is asked yet.
    pub fn of(address: &str) -> Asker {
        Asker { address: address.to_owned(), stream: None, buffer: vec![0; 256 << 10] }
    }

    /// One request and its whole answer: the status, and how many bytes its body had.
    pub fn request(&mut self, method: &str, path: &str, content: &[u8]) -> (u16, usize) {
        let mut stream = self.stream.take().unwrap_or_else(|| {
            let stream = TcpStream::connect(&self.address).expect("the server");
            stream.set_nodelay(true).expect("no delay");
            stream
        });
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential=S3RVER/20261125/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0000\r\n\
             X-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nContent-Length: {}\r\n\r\n",
            self.address,
            content.len()
        );
        match content.len() {
            // In one piece, as clients send what is small.
            0..65_536 => stream.write_all(&[head.as_bytes(), content].concat()).expect("sent"),
            _ => {
                stream.write_all(head.as_bytes()).expect("sent");
                stream.write_all(content).expect("sent");
            }
        }
        let answer = Answer::begin(&mut stream, &mut self.buffer);
        let (status, closes) = (answer.status, answer.closes);
        let length = if method == "HEAD" { 0 } else { answer.finish(&mut stream, &mut self.buffer) };
        if !closes {
            self.stream = Some(stream);
        }
        (status, length)
    }
}

/// The head of an answer, and how much of what follows has been read with it.
struct Answer {
    status: u16,
    closes: bool,
    length: Option<usize>,
    chunked: bool,
    rest: Vec<u8>,
}

impl Answer {
    fn begin(stream: &mut TcpStream, buffer: &mut [u8]) -> Answer {
        let mut read = 0;
        loop {
            let count = stream.read(&mut buffer[read..]).expect("an answer");
            assert!(count > 0, "the connection ended before an answer");
            read += count;
            if let Some(end) = buffer[..read].windows(4).position(|window| window == b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&buffer[..end]).to_lowercase();
                let value = |name: &str| head.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
                let status = head.split(' ').nth(1).and_then(|text| text.parse().ok()).expect("a status");
                let keeps = value("connection:") == Some("keep-alive");
                return Answer {
                    status,
                    closes: value("connection:") == Some("close") || head.starts_with("http/1.0") && !keeps,
                    length: value("content-length:").and_then(|text| text.parse().ok()),
                    chunked: value("transfer-encoding:") == Some("chunked"),
                    rest: buffer[end + 4..read].to_vec(),
                };
            }
        }
    }

    /// Reads the body to its end; how many bytes it had.
    fn finish(mut self, stream: &mut TcpStream, buffer: &mut [u8]) -> usize {
        let mut have = self.rest.len();
        loop {
            let is_whole = match (self.chunked, self.length) {
                (true, _) => self.rest.ends_with(b"0\r\n\r\n"),
                (false, Some(length)) => have >= length,
                (false, None) => matches!(self.status, 204 | 304),
            };
            if is_whole {
                break;
            }
            let count = stream.read(buffer).expect("the rest");
            if count == 0 {
                assert!(self.closes && self.length.is_none(), "the connection ended in an answer");
                break;
            }
            have += count;
            if self.chunked {
                self.rest.extend_from_slice(&buffer[..count]);
            }
        }
        if self.chunked { unchunked(&self.rest) } else { have }
    }
}

/// How many bytes these chunks hold.
fn unchunked(mut chunks: &[u8]) -> usize {
    let mut total = 0;
    while let Some(end) = chunks.windows(2).position(|window| window == b"\r\n") {
        let size = String::from_utf8_lossy(&chunks[..end]).into_owned();
        let size = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        total += size;
        chunks = chunks.get(end + 2 + size + 2..).unwrap_or_default();
    }
    total
}
