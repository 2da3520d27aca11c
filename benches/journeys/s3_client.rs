//! A small HTTP client for S3 servers: one connection, kept where the server keeps it, begun anew where it does not.
//! It signs what it asks (version 4, the body left out), since some servers want that.

use std::io::{Read, Write};
use std::net::TcpStream;

use dropwire::clock::real;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

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
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n{}\r\n",
            self.address,
            content.len(),
            self.signature(method, path)
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

impl Asker {
    /// The headers that sign a request for `path`, which needs no encoding.
    fn signature(&self, method: &str, path: &str) -> String {
        let now = real::now();
        let date: String = now.iso_millis().chars().filter(|letter| !"-:".contains(*letter)).collect();
        let date = format!("{}Z", date.split('.').next().unwrap_or_default());
        let day = date.get(..8).unwrap_or_default();
        let scope = format!("{day}/us-east-1/s3/aws4_request");
        let names = "host;x-amz-content-sha256;x-amz-date";
        let request = format!(
            "{method}\n{path}\n\nhost:{}\nx-amz-content-sha256:UNSIGNED-PAYLOAD\nx-amz-date:{date}\n\n{names}\nUNSIGNED-PAYLOAD",
            self.address
        );
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex::encode(Sha256::digest(request)));
        let mut key = format!("AWS4{PAIR}").into_bytes();
        for part in [day, "us-east-1", "s3", "aws4_request"] {
            key = mac(&key, part);
        }
        format!(
            "X-Amz-Date: {date}\r\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\r\nAuthorization: AWS4-HMAC-SHA256 \
             Credential={PAIR}/{scope}, SignedHeaders={names}, Signature={}\r\n",
            hex::encode(mac(&key, &text))
        )
    }
}

/// What s3rver has as its access key and as its secret; the others take any.
const PAIR: &str = "S3RVER";

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key is good");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
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
