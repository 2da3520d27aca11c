//! The binary messages in which AWS streams (`application/vnd.amazon.eventstream`). Pure.
//!
//! ```text
//! total length u32 │ headers length u32 │ CRC-32 of these 8 bytes │ headers │ payload │ CRC-32 of all before
//! ```
//! A header is its name's length (u8), the name, the type 7 (text), the value's length (u16) and the value; numbers
//! are big-endian. Source: the smithy specification of event streams.

/// One message with text headers.
pub fn message(headers: &[(&str, &str)], payload: &[u8]) -> Vec<u8> {
    const TEXT: u8 = 7;
    let mut block = Vec::new();
    for (name, value) in headers {
        // Names and values are ours, and short.
        block.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
        block.extend_from_slice(name.as_bytes());
        block.push(TEXT);
        block.extend_from_slice(&u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes());
        block.extend_from_slice(value.as_bytes());
    }
    let total = 12 + block.len() + payload.len() + 4;
    let mut message = Vec::with_capacity(total);
    message.extend_from_slice(&u32::try_from(total).unwrap_or(u32::MAX).to_be_bytes());
    message.extend_from_slice(&u32::try_from(block.len()).unwrap_or(u32::MAX).to_be_bytes());
    message.extend_from_slice(&crc32(&message).to_be_bytes());
    message.extend_from_slice(&block);
    message.extend_from_slice(payload);
    message.extend_from_slice(&crc32(&message).to_be_bytes());
    message
}

/// An event of this type.
pub fn event(kind: &str, content_type: &str, payload: &[u8]) -> Vec<u8> {
    message(&[(":event-type", kind), (":content-type", content_type), (":message-type", "event")], payload)
}

/// CRC-32 as in zip and PNG.
pub fn crc32(bytes: &[u8]) -> u32 {
    let crc = bytes.iter().fold(u32::MAX, |crc, byte| TABLE[usize::from((crc as u8) ^ byte)] ^ (crc >> 8));
    !crc
}

const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let (mut value, mut bit) = (at as u32, 0);
        while bit < 8 {
            value = if value & 1 == 1 { 0xedb8_8320 ^ (value >> 1) } else { value >> 1 };
            bit += 1;
        }
        table[at] = value;
        at += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_everybody() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_message_has_its_lengths_and_checksums() {
        let bytes = event("PayloadChunk", "application/octet-stream", b"abc");
        let number = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        assert_eq!(number(0) as usize, bytes.len());
        assert_eq!(number(8), crc32(&bytes[..8]));
        assert_eq!(number(bytes.len() - 4), crc32(&bytes[..bytes.len() - 4]));
        assert_eq!(&bytes[12 + number(4) as usize..bytes.len() - 4], b"abc");
        assert_eq!(&bytes[12..25], b"\x0b:event-type\x07");
    }
}
