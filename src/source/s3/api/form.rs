//! Uploads by HTML forms: multipart/form-data, read piece by piece as it comes. Pure.
//!
//! ```text
//! Preamble ─▶ Edge ─▶ Head ─▶ Field ─▶ Edge …
//!              │        └───▶ File ─▶ Rest (S3 does not look at what follows the file)
//!              └─▶ Done (no file came)
//! ```

use http::{HeaderMap, HeaderName, HeaderValue};

use super::errors;
use super::tags::{self, Tag};
use crate::aws::AwsError;

/// Bytes before the content of the file.
const FIELDS_MAX: usize = 20 * 1024;
/// Characters in a boundary.
const BOUNDARY_MAX: usize = 70;

/// A form that is being read.
pub struct Form {
    /// A line end, two hyphens and the boundary.
    edge: Vec<u8>,
    stage: Stage,
    /// What came and is not read yet.
    rest: Vec<u8>,
    /// Bytes read before the file.
    read: usize,
    fields_max: usize,
    fields: Fields,
}

enum Stage {
    Preamble,
    Edge,
    Head,
    Field { name: String },
    File,
    Rest,
    Done,
}

/// What a form says before its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// In their order, as they were written.
    pub fields: Vec<(String, String)>,
    /// What the file was called where it comes from; empty if that is not told.
    pub filename: String,
}

impl Form {
    /// The form of a request with this `content-type`.
    pub fn new(content_type: &str) -> Result<Form, AwsError> {
        let kind = content_type.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("multipart/form-data") {
            let condition = "Bucket POST must be of the enclosure-type multipart/form-data";
            return Err(errors::precondition_failed(condition));
        }
        let boundary = parameter(content_type, "boundary").unwrap_or_default();
        if !(1..=BOUNDARY_MAX).contains(&boundary.len()) || boundary.contains(['\r', '\n']) {
            return Err(errors::malformed_post());
        }
        Ok(Form {
            edge: format!("\r\n--{boundary}").into_bytes(),
            stage: Stage::Preamble,
            // The first boundary may stand at the very start, as if after a line end.
            rest: b"\r\n".to_vec(),
            read: 0,
            fields_max: FIELDS_MAX + 2,
            fields: Fields::default(),
        })
    }

    /// Takes what came, and gives what of it is the file's.
    pub fn push(&mut self, piece: &[u8]) -> Result<Vec<u8>, AwsError> {
        let mut content = Vec::new();
        if !matches!(self.stage, Stage::Rest | Stage::Done) {
            self.rest.extend_from_slice(piece);
            while self.step(&mut content)? {}
            let is_before = !matches!(self.stage, Stage::File | Stage::Rest | Stage::Done);
            if is_before && self.read + self.rest.len() > self.fields_max {
                return Err(errors::post_fields_too_large(FIELDS_MAX));
            }
        }
        Ok(content)
    }

    /// What came before the file, once its content begins.
    pub fn fields(&self) -> Option<&Fields> {
        matches!(self.stage, Stage::File | Stage::Rest).then_some(&self.fields)
    }

    /// The end of the body: was that all of a file?
    pub fn finish(self) -> Result<Fields, AwsError> {
        match self.stage {
            Stage::Rest => Ok(self.fields),
            Stage::Done => {
                let message = "POST requires exactly one file upload per request.";
                Err(errors::invalid_argument(message, "file", "0"))
            }
            _ => Err(errors::malformed_post()),
        }
    }

    /// One stage on; false where more has to come first.
    fn step(&mut self, content: &mut Vec<u8>) -> Result<bool, AwsError> {
        match &self.stage {
            Stage::Preamble => {
                let Some(at) = find(&self.rest, &self.edge) else { return Ok(false) };
                self.take(at + self.edge.len())?;
                self.stage = Stage::Edge;
            }
            Stage::Edge => return self.after_edge(),
            Stage::Head => {
                let Some(at) = find(&self.rest, b"\r\n\r\n") else { return Ok(false) };
                let head = self.take(at + 4)?;
                self.stage = self.part(&head)?;
            }
            Stage::Field { name } => {
                let Some(at) = find(&self.rest, &self.edge) else { return Ok(false) };
                let name = name.clone();
                let mut value = self.take(at + self.edge.len())?;
                value.truncate(at);
                let value = String::from_utf8(value).map_err(|_| errors::malformed_post())?;
                self.fields.fields.push((name, value));
                self.stage = Stage::Edge;
            }
            Stage::File => match find(&self.rest, &self.edge) {
                Some(at) => {
                    content.extend_from_slice(&self.rest[..at]);
                    self.rest = Vec::new();
                    self.stage = Stage::Rest;
                }
                None => {
                    // The last bytes may be the beginning of an edge.
                    let sure = self.rest.len().saturating_sub(self.edge.len() - 1);
                    content.extend(self.rest.drain(..sure));
                    return Ok(false);
                }
            },
            Stage::Rest | Stage::Done => return Ok(false),
        }
        Ok(true)
    }

    /// After a boundary: two hyphens, or the end of the line.
    fn after_edge(&mut self) -> Result<bool, AwsError> {
        let blanks = self.rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let tail = self.rest.get(blanks..).unwrap_or_default();
        match (blanks, tail) {
            (0, [b'-', b'-', ..]) => {
                self.take(2)?;
                self.stage = Stage::Done;
                Ok(true)
            }
            (_, [b'\r', b'\n', ..]) => {
                // The line end stays: it may be half of the blank line that ends an empty head.
                self.take(blanks)?;
                self.stage = Stage::Head;
                Ok(true)
            }
            (_, [] | [b'\r']) | (0, [b'-']) => Ok(false),
            // Two bytes tell where the first alone would have done; a limit between them must tell first.
            (0, [b'-', ..]) | (_, [b'\r', ..]) => self.take(blanks + 2).and(Err(errors::malformed_post())),
            _ => self.take(blanks + 1).and(Err(errors::malformed_post())),
        }
    }

    /// What the head of a part announces.
    fn part(&mut self, head: &[u8]) -> Result<Stage, AwsError> {
        let head = std::str::from_utf8(head).map_err(|_| errors::malformed_post())?;
        let mut name = None;
        for line in head.split("\r\n").filter(|line| !line.is_empty()) {
            let (header, value) = line.split_once(':').ok_or_else(errors::malformed_post)?;
            if header.trim().eq_ignore_ascii_case("content-disposition") {
                name = parameter(value, "name");
                self.fields.filename = parameter(value, "filename").unwrap_or_default();
            }
        }
        match name {
            None => Err(errors::malformed_post()),
            Some(name) if name.eq_ignore_ascii_case("file") => Ok(Stage::File),
            Some(name) => Ok(Stage::Field { name }),
        }
    }

    /// The next bytes, which are counted before anyone looks at what they say.
    fn take(&mut self, count: usize) -> Result<Vec<u8>, AwsError> {
        self.read += count;
        if self.read > self.fields_max {
            return Err(errors::post_fields_too_large(FIELDS_MAX));
        }
        Ok(self.rest.drain(..count.min(self.rest.len())).collect())
    }
}

impl Fields {
    /// The first field of this name, in whatever case.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The key, with the file's name where the form wants it.
    pub fn key(&self) -> Result<String, AwsError> {
        let Some(key) = self.get("key").filter(|key| !key.is_empty()) else {
            let message = "Bucket POST must contain a field named 'key'.  If it is specified, please check the order \
                           of the fields.";
            return Err(errors::invalid_argument(message, "key", ""));
        };
        let name = self.filename.rsplit(['/', '\\']).next().unwrap_or_default();
        let key = key.replace("${filename}", name);
        match key.as_str() {
            "" => Err(errors::invalid_argument("User key must have a length greater than 0.", "key", "")),
            // No address could name it.
            key if key.contains('\0') => {
                Err(errors::invalid_argument("The specified key is not valid.", "key", key))
            }
            key => super::route::check_length(key),
        }?;
        Ok(key)
    }

    /// The tags that the form gives, if it does: a document, which no header could carry.
    pub fn tags(&self) -> Result<Option<Vec<Tag>>, AwsError> {
        self.get("tagging").map(|text| tags::read(text.as_bytes(), tags::Of::Object)).transpose()
    }

    /// The fields that say what headers of PutObject would say, as such headers.
    pub fn headers(&self) -> HeaderMap {
        let plain = ["content-type", "cache-control", "content-disposition", "content-encoding", "expires"];
        let mut headers = HeaderMap::new();
        for (name, value) in &self.fields {
            let name = name.to_ascii_lowercase();
            let name = match name.as_str() {
                "acl" => "x-amz-acl",
                other if other.starts_with("x-amz-") || plain.contains(&other) => other,
                _ => continue,
            };
            if let (Ok(name), Ok(value)) =
                (name.parse::<HeaderName>(), HeaderValue::from_bytes(value.as_bytes()))
            {
                headers.append(name, value);
            }
        }
        headers
    }
}

/// `x` of `…; name="x"; …`, in quotes or not, with `\` before a quote in it.
fn parameter(value: &str, name: &str) -> Option<String> {
    let (_, mut rest) = value.split_once(';')?;
    loop {
        let (known, after) = rest.split_once('=')?;
        let mut found = String::new();
        let mut chars = after.trim_start().chars();
        match chars.clone().next() {
            Some('"') => {
                chars.next();
                loop {
                    match chars.next()? {
                        '"' => break,
                        // Only a quote is ever escaped: Windows writes paths with backslashes.
                        '\\' if chars.as_str().starts_with('"') => found.extend(chars.next()),
                        other => found.push(other),
                    }
                }
            }
            _ => found = chars.as_str().split(';').next().unwrap_or_default().trim().to_owned(),
        }
        if known.trim().eq_ignore_ascii_case(name) {
            return Some(found);
        }
        let (_, next) = chars.as_str().split_once(';')?;
        rest = next;
    }
}

/// Where the needle begins.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + hay.get(from..)?.iter().position(|byte| *byte == first)?;
        if hay[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
#[path = "form_tests.rs"]
mod tests;
