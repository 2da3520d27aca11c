//! Reads a pattern's text as JSON that remembers where each value stands, for complaints with a place. Pure.

use super::PatternError;

/// Objects and arrays may nest this deep in a pattern; deeper ones are refused rather than risk the stack.
pub(super) const MAX_DEPTH: usize = 100;

/// A value and the bytes of the text it was read from.
#[derive(Debug)]
pub(super) struct Node {
    /// Offset of the first byte.
    pub at: usize,
    /// Offset just after the last byte.
    pub end: usize,
    pub kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    /// In the text's order; a key written twice is there twice.
    Object(Vec<Member>),
    Array(Vec<Node>),
    Text(String),
    /// As written, for nobody but its user knows how exactly it is wanted.
    Number(String),
    True,
    False,
    Null,
}

#[derive(Debug)]
pub(super) struct Member {
    pub key: String,
    /// Offset of the key's opening quote.
    pub at: usize,
    pub value: Node,
}

/// Reads one JSON value. The complaints are worded like those of the parser that AWS uses.
pub(super) fn read(text: &str) -> Result<Node, PatternError> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    reader.skip_blanks();
    let node = reader.value()?;
    reader.skip_blanks();
    match reader.peek() {
        None => Ok(node),
        Some(_) => reader.unexpected("expected nothing after the end of the value"),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

const VALUES: &str = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')";

impl Reader<'_> {
    fn value(&mut self) -> Result<Node, PatternError> {
        let at = self.at;
        let kind = match self.peek() {
            Some('{') => self.nested(Self::object)?,
            Some('[') => self.nested(Self::array)?,
            Some('"') => Kind::Text(self.string()?),
            Some('-' | '0'..='9') => self.number()?,
            Some(c) if c.is_alphabetic() || c == '_' || c == '$' => self.word()?,
            Some(_) => return self.unexpected(&format!("expected a valid value {VALUES}")),
            None => return refuse(at, "Unexpected end-of-input: expected a value".to_owned()),
        };
        Ok(Node { at, end: self.at, kind })
    }

    fn nested(&mut self, read: fn(&mut Self) -> Result<Kind, PatternError>) -> Result<Kind, PatternError> {
        if self.depth == MAX_DEPTH {
            return refuse(self.at, format!("Pattern is nested more than {MAX_DEPTH} levels deep"));
        }
        self.depth += 1;
        self.at += 1;
        let kind = read(self)?;
        self.depth -= 1;
        Ok(kind)
    }

    fn object(&mut self) -> Result<Kind, PatternError> {
        let mut members = Vec::new();
        self.skip_blanks();
        if self.take('}') {
            return Ok(Kind::Object(members));
        }
        loop {
            self.skip_blanks();
            let at = self.at;
            self.expect('"', "was expecting double-quote to start field name", "Object")?;
            let key = self.string()?;
            self.skip_blanks();
            self.expect(':', "was expecting a colon to separate field name and value", "Object")?;
            self.at += 1;
            self.skip_blanks();
            let value = self.value()?;
            members.push(Member { key, at, value });
            self.skip_blanks();
            if self.take('}') {
                return Ok(Kind::Object(members));
            }
            self.expect(',', "was expecting comma to separate Object entries", "Object")?;
            self.at += 1;
        }
    }

    fn array(&mut self) -> Result<Kind, PatternError> {
        let mut items = Vec::new();
        self.skip_blanks();
        if self.take(']') {
            return Ok(Kind::Array(items));
        }
        loop {
            self.skip_blanks();
            items.push(self.value()?);
            self.skip_blanks();
            if self.take(']') {
                return Ok(Kind::Array(items));
            }
            self.expect(',', "was expecting comma to separate Array entries", "Array")?;
            self.at += 1;
        }
    }

    /// A string, from its opening quote.
    fn string(&mut self) -> Result<String, PatternError> {
        self.at += 1;
        let mut string = String::new();
        loop {
            let at = self.at;
            match self.next() {
                None => {
                    return refuse(
                        at,
                        "Unexpected end-of-input: was expecting closing quote for a string value".into(),
                    );
                }
                Some('"') => return Ok(string),
                Some('\\') => string.push(self.escape(at)?),
                Some(c) if c < ' ' => {
                    let reason = format!(
                        "Illegal unquoted character ((CTRL-CHAR, code {})): has to be escaped using backslash to be included in string value",
                        u32::from(c)
                    );
                    return refuse(at, reason);
                }
                Some(c) => string.push(c),
            }
        }
    }

    /// What an escape stands for, from after its backslash, which is at `at`. Half a surrogate pair is the replacement character.
    fn escape(&mut self, at: usize) -> Result<char, PatternError> {
        match self.next() {
            Some(c @ ('"' | '\\' | '/')) => Ok(c),
            Some('b') => Ok('\u{8}'),
            Some('f') => Ok('\u{c}'),
            Some('n') => Ok('\n'),
            Some('r') => Ok('\r'),
            Some('t') => Ok('\t'),
            Some('u') => {
                let unit = self.hex(at)?;
                let high = (0xd800..0xdc00).contains(&unit);
                if !high || !self.text[self.at..].starts_with("\\u") {
                    return Ok(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                self.at += 2;
                let low = self.hex(at)?;
                let pair = low.checked_sub(0xdc00).map(|low| 0x10000 + ((unit - 0xd800) << 10) + low);
                Ok(pair.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER))
            }
            Some(c) => refuse(at, format!("Unrecognized character escape {}", shown(c))),
            None => refuse(at, "Unexpected end-of-input in character escape sequence".to_owned()),
        }
    }

    fn hex(&mut self, at: usize) -> Result<u32, PatternError> {
        let digits = self.text.get(self.at..self.at + 4);
        let hex = digits.filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(unit) = hex.and_then(|d| u32::from_str_radix(d, 16).ok()) else {
            return refuse(
                at,
                "Unexpected character: expected a hex-digit for character escape sequence".to_owned(),
            );
        };
        self.at += 4;
        Ok(unit)
    }

    fn number(&mut self) -> Result<Kind, PatternError> {
        let at = self.at;
        self.take('-');
        let whole = self.digits("following '-' sign")?;
        if whole > 1 && self.text[at..].trim_start_matches('-').starts_with('0') {
            return refuse(at, "Invalid numeric value: Leading zeroes not allowed".to_owned());
        }
        if self.take('.') {
            self.digits("following a decimal point")?;
        }
        if self.take('e') || self.take('E') {
            let _sign = self.take('+') || self.take('-');
            self.digits("following an exponent indicator")?;
        }
        Ok(Kind::Number(self.text[at..self.at].to_owned()))
    }

    fn digits(&mut self, place: &str) -> Result<usize, PatternError> {
        let rest = &self.text[self.at..];
        let count = rest.bytes().take_while(u8::is_ascii_digit).count();
        self.at += count;
        match (count, self.peek()) {
            (0, None) => refuse(self.at, "Unexpected end-of-input in a Number value".to_owned()),
            (0, Some(c)) => {
                let reason = format!(
                    "Unexpected character ({}) in numeric value: expected digit (0-9) {place}",
                    shown(c)
                );
                refuse(self.at, reason)
            }
            _ => Ok(count),
        }
    }

    fn word(&mut self) -> Result<Kind, PatternError> {
        let at = self.at;
        let rest = &self.text[at..];
        let long = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(rest.len());
        self.at += long;
        match &rest[..long] {
            "true" => Ok(Kind::True),
            "false" => Ok(Kind::False),
            "null" => Ok(Kind::Null),
            word => refuse(at, format!("Unrecognized token '{word}': was expecting {VALUES}")),
        }
    }

    fn expect(&self, wanted: char, otherwise: &str, inside: &str) -> Result<(), PatternError> {
        match self.peek() {
            Some(c) if c == wanted => Ok(()),
            Some(_) => self.unexpected(otherwise),
            None => refuse(self.at, format!("Unexpected end-of-input: expected close marker for {inside}")),
        }
    }

    fn unexpected<T>(&self, expectation: &str) -> Result<T, PatternError> {
        let c = self.peek().unwrap_or(' ');
        refuse(self.at, format!("Unexpected character ({}): {expectation}", shown(c)))
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += c.len_utf8();
        Some(c)
    }

    fn take(&mut self, wanted: char) -> bool {
        let there = self.peek() == Some(wanted);
        if there {
            self.at += wanted.len_utf8();
        }
        there
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start_matches([' ', '\t', '\r', '\n']).len();
    }
}

fn shown(c: char) -> String {
    format!("'{c}' (code {})", u32::from(c))
}

fn refuse<T>(offset: usize, reason: String) -> Result<T, PatternError> {
    Err(PatternError { reason, offset })
}
