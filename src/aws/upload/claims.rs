//! What a client says of a body in headers and trailers, and what it hears when that is not so. Pure.

use super::{Algorithm, AwsError, Engine, HeaderMap, Payload, STANDARD, malformed_trailer};

/// What a client says of a body.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// How long it is, in bytes, without what chunks it.
    pub length: Option<u64>,
    pub sha256: Option<[u8; 32]>,
    pub md5: Option<[u8; 16]>,
    /// The checksum that it sends, or wants to be computed.
    pub algorithm: Option<Algorithm>,
    /// Its value, in base64.
    value: Option<String>,
    /// The names of the headers that come after the body.
    trailers: Vec<String>,
}

impl Claims {
    /// What the headers say.
    pub fn of(payload: &Payload, headers: &HeaderMap) -> Result<Claims, AwsError> {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let mut claims = Claims::default();
        let has_trailer = match payload {
            Payload::Plain { sha256 } => {
                claims.sha256 = *sha256;
                claims.length = text("content-length").and_then(|length| length.parse().ok());
                false
            }
            Payload::Chunked { length, trailer, .. } => {
                claims.length = Some(*length);
                *trailer
            }
        };
        if let Some(given) = text("content-md5") {
            let md5 = STANDARD.decode(given).ok().and_then(|bytes| bytes.try_into().ok());
            claims.md5 = Some(md5.ok_or_else(|| {
                AwsError::new(400, "InvalidDigest", "The Content-MD5 you specified was invalid.")
                    .member("Content-MD5", given)
            })?);
        }
        if let Some((algorithm, value)) = sent_checksum(headers)? {
            (claims.algorithm, claims.value) = (Some(algorithm), Some(value));
        }
        claims.announce(text("x-amz-trailer"), has_trailer)?;
        claims.name(text("x-amz-sdk-checksum-algorithm"))?;
        Ok(claims)
    }

    /// The headers that are to come after the body.
    fn announce(&mut self, names: Option<&str>, has_trailer: bool) -> Result<(), AwsError> {
        let names = names.unwrap_or_default().split(',').map(|name| name.trim().to_ascii_lowercase());
        self.trailers = names.filter(|name| !name.is_empty()).collect();
        if !has_trailer && !self.trailers.is_empty() {
            return Err(malformed_trailer());
        }
        for name in &self.trailers {
            let Some(algorithm) = Algorithm::of_header(name) else {
                let why = "The value specified in the x-amz-trailer header is not supported";
                return Err(AwsError::new(400, "InvalidRequest", why));
            };
            if self.algorithm.replace(algorithm).is_some() {
                return Err(several());
            }
        }
        Ok(())
    }

    /// The algorithm that the client's library is said to use.
    fn name(&mut self, name: Option<&str>) -> Result<(), AwsError> {
        let Some(name) = name else { return Ok(()) };
        let named = Algorithm::named(name);
        if named.is_none() || self.algorithm.is_some_and(|sent| Some(sent) != named) {
            return Err(invalid_value("x-amz-sdk-checksum-algorithm"));
        }
        self.algorithm = named;
        Ok(())
    }

    /// What the headers after the body say: those that were announced, and no others.
    pub fn take_trailers(&mut self, trailers: &[(String, String)]) -> Result<(), AwsError> {
        let is_as_announced = trailers.len() == self.trailers.len()
            && self.trailers.iter().all(|name| trailers.iter().any(|(came, _)| came == name));
        if !is_as_announced {
            return Err(malformed_trailer());
        }
        for (name, value) in trailers {
            if let Some(algorithm) = Algorithm::of_header(name) {
                self.value = Some(valid(algorithm, value)?);
            }
        }
        Ok(())
    }

    pub fn check_sha256(&self, computed: Option<[u8; 32]>) -> Result<(), AwsError> {
        match (self.sha256, computed) {
            (Some(said), Some(computed)) if said != computed => Err(AwsError::new(
                400,
                "XAmzContentSHA256Mismatch",
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )
            .member("ClientComputedContentSHA256", hex::encode(said))
            .member("S3ComputedContentSHA256", hex::encode(computed))),
            _ => Ok(()),
        }
    }

    pub fn check_md5(&self, computed: Option<[u8; 16]>) -> Result<(), AwsError> {
        match (self.md5, computed) {
            (Some(said), Some(computed)) if said != computed => Err(AwsError::new(
                400,
                "BadDigest",
                "The Content-MD5 you specified did not match what we received.",
            )
            .member("ExpectedDigest", STANDARD.encode(said))
            .member("CalculatedDigest", STANDARD.encode(computed))),
            _ => Ok(()),
        }
    }

    pub fn check_value(&self, computed: Option<&(Algorithm, String)>) -> Result<(), AwsError> {
        match (&self.value, computed) {
            (Some(said), Some((algorithm, computed))) if said != computed => {
                let name = algorithm.name();
                let why = format!("The {name} you specified did not match the calculated checksum.");
                Err(AwsError::new(400, "BadDigest", why))
            }
            _ => Ok(()),
        }
    }
}

/// The checksum that headers hold: one at most.
pub fn sent_checksum(headers: &HeaderMap) -> Result<Option<(Algorithm, String)>, AwsError> {
    let mut found = None;
    for (name, value) in headers {
        let Some(last) = name.as_str().strip_prefix("x-amz-checksum-") else { continue };
        if ["type", "algorithm", "mode"].contains(&last) {
            continue;
        }
        let Some(algorithm) = Algorithm::of_header(name.as_str()) else {
            let why = "A header you provided implies functionality that is not implemented";
            return Err(AwsError::new(501, "NotImplemented", why).member("Header", name.as_str()));
        };
        let value = valid(algorithm, value.to_str().unwrap_or("?"))?;
        if found.replace((algorithm, value)).is_some() {
            return Err(several());
        }
    }
    Ok(found)
}

/// The value as we would write it ourselves.
fn valid(algorithm: Algorithm, value: &str) -> Result<String, AwsError> {
    algorithm.read(value).map(|bytes| STANDARD.encode(bytes)).ok_or_else(|| invalid_value(algorithm.header()))
}

fn invalid_value(header: &str) -> AwsError {
    AwsError::new(400, "InvalidRequest", format!("Value for {header} header is invalid."))
}

fn several() -> AwsError {
    let why = "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.";
    AwsError::new(400, "InvalidRequest", why)
}
