//! Writing an answer's document: escaping, the declaration, the namespace, and keys as `encoding-type=url` wants them. Pure.

use super::read::is_lawful;
use crate::clock::Timestamp;

/// The namespace of S3's documents.
const NAMESPACE: &str = "http://s3.amazonaws.com/doc/2006-03-01/";

/// A document that grows.
pub struct Document {
    text: String,
}

impl Document {
    /// The document with this root and what `inside` writes.
    pub fn of(root: &str, inside: impl FnOnce(&mut Document)) -> String {
        let text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<{root} xmlns=\"{NAMESPACE}\">");
        let mut document = Document { text };
        inside(&mut document);
        document.text + "</" + root + ">"
    }
    /// An element with elements in it.
    pub fn within(&mut self, name: &str, inside: impl FnOnce(&mut Document)) {
        self.tag("<", name);
        inside(self);
        self.tag("</", name);
    }
    /// An element with a text.
    pub fn text(&mut self, name: &str, text: &str) {
        self.tag("<", name);
        self.push(text);
        self.tag("</", name);
    }
    /// The same if there is a text.
    pub fn maybe(&mut self, name: &str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }
    /// The same for a number or a flag.
    pub fn value(&mut self, name: &str, value: impl std::fmt::Display) {
        self.text(name, &value.to_string());
    }
    /// An entity tag: in quotes, as S3 shows them.
    pub fn etag(&mut self, etag: &str) {
        self.text("ETag", &format!("\"{etag}\""));
    }
    /// A time. S3 keeps whole seconds and shows milliseconds.
    pub fn time(&mut self, name: &str, time: Timestamp) {
        self.text(name, &Timestamp::from_millis(time.as_seconds() * 1000).iso_millis());
    }
    /// Something written before.
    pub fn raw(&mut self, text: &str) {
        self.text.push_str(text);
    }
    /// Text between elements.
    pub fn push(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\r' => self.text.push_str("&#13;"),
                c if is_lawful(c) => self.text.push(c),
                // XML 1.0 has no way to write it, not even as a reference.
                _ => self.text.push('\u{fffd}'),
            }
        }
    }

    fn tag(&mut self, start: &str, name: &str) {
        self.text.push_str(start);
        self.text.push_str(name);
        self.text.push('>');
    }
}

/// Whether the keys of a listing are url-encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Encoding {
    /// As they are.
    #[default]
    Plain,
    /// As `encoding-type=url` wants them.
    Url,
}

impl Encoding {
    /// A key in this encoding.
    pub fn of(self, key: &str) -> String {
        match self {
            Encoding::Plain => key.to_owned(),
            Encoding::Url => url_encoded(key),
        }
    }
}

/// As a form is encoded, with `/` as it is: a blank becomes `+`.
fn url_encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' | b'/' => {
                encoded.push(char::from(byte))
            }
            b' ' => encoded.push('+'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_escaped_and_never_break_the_document() {
        let check = |text: &str, expected: &str| {
            let written = Document::of("A", |document| document.text("B", text));
            let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
                        <A xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
            assert_eq!(written, format!("{head}<B>{expected}</B></A>"));
        };
        check("a<b>&\"c\"", "a&lt;b&gt;&amp;&quot;c&quot;");
        check("\u{1}\u{fffe}\0\t\n\r", "\u{fffd}\u{fffd}\u{fffd}\t\n&#13;");
        check("ü😀", "ü😀");
    }

    #[test]
    fn keys_are_encoded_as_the_clients_decode_them() {
        let check = |key: &str, expected: &str| assert_eq!(Encoding::Url.of(key), expected);
        check("a b/c+d", "a+b/c%2Bd");
        check("ü~*\u{1}", "%C3%BC%7E*%01");
        assert_eq!(Encoding::Plain.of("a b"), "a b");
    }
}
