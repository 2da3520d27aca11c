//! Who is let in by the signature of a request: version 4 in a header or a query, version 2 in a query. Pure.
//!
//! ```text
//! head ─▶ Claim: who says so, when, until when ─▶ in time? ─▶ signed by the pair? ─▶ Admission { signer, payload }
//! ```
//! Where any credentials are welcome a claim has to be well formed and in time, and that is all. The time is that of
//! the simulated world, so without a pair only what expires is judged by it: a clock that was moved would otherwise
//! shut every client out.

use http::request::Parts;
use sha2::{Digest, Sha256};

use crate::aws::{self, AwsError, identify};
use crate::clock::Timestamp;
use refusal::{SKEW_MAX, Voice, Wrong, denied};
use signer::Claim;

pub use form::{Policy, admit_form};
pub use keys::{Keys, Pair};
pub use payload::{ChunkSigner, Payload};
pub use signer::{Signer, signer};

mod canonical;
mod form;
mod keys;
mod payload;
mod presigned;
mod refusal;
mod signer;
mod version2;

/// A request that is let in.
#[derive(Clone, Debug)]
pub struct Admission {
    /// Who signed it, if anybody did.
    pub signer: Option<Signer>,
    /// How its body is sent.
    pub payload: Payload,
}

/// Lets a request in by its head. Its body is still to be read, and to be what [`Payload`] says.
///
/// What signs a body that its head does not tell the hash of (no service but S3 sends it) needs [`admit_whole`].
pub fn admit(head: &Parts, keys: &Keys, now: Timestamp) -> Result<Admission, AwsError> {
    Request::of(head).admit(None, keys, now)
}

/// Lets a request in whose whole body was read.
pub fn admit_whole(head: &Parts, body: &[u8], keys: &Keys, now: Timestamp) -> Result<Admission, AwsError> {
    Request::of(head).admit(Some(body), keys, now)
}

/// A request that asks to be let in.
struct Request<'a> {
    head: &'a Parts,
    query: Vec<(String, String)>,
    voice: Voice,
}

/// What a request shows to be let in.
enum Shown {
    Nothing,
    Header(Claim),
    Presigned(Claim, presigned::Times),
    Version2(version2::Claim),
}

impl<'a> Request<'a> {
    fn of(head: &'a Parts) -> Request<'a> {
        let query = head.uri.query().map(aws::query_of).unwrap_or_default();
        let service = identify::service(head.uri.path(), &query, &head.headers);
        Request { head, query, voice: Voice::of(service.as_deref()) }
    }

    fn admit(&self, body: Option<&[u8]>, keys: &Keys, now: Timestamp) -> Result<Admission, AwsError> {
        let mut chunks = None;
        let signer = match (self.shown()?, keys.pair()) {
            (Shown::Nothing, Some(_)) => return Err(self.voice.unsigned()),
            (Shown::Nothing, None) => None,
            (Shown::Header(claim), pair) => {
                if let Some(pair) = pair {
                    let date = self.date(&claim, now)?;
                    chunks = Some(self.verify((&claim, &date), &self.hash(body, &claim)?, pair)?);
                }
                Some(claim.signer)
            }
            (Shown::Presigned(claim, times), pair) => {
                times.check(self.voice, now)?;
                if let Some(pair) = pair {
                    times.check_start(self.voice, now)?;
                    let payload = self.presigned_hash(body, &claim);
                    chunks = Some(self.verify((&claim, &times.text), &payload, pair)?);
                }
                Some(claim.signer)
            }
            (Shown::Version2(claim), pair) => {
                claim.check(now)?;
                if let Some(pair) = pair {
                    claim.verify(self.head, &self.query, pair)?;
                }
                Some(claim.signer())
            }
        };
        let payload = payload::of(&self.head.headers, self.voice, chunks)?;
        Ok(Admission { signer, payload })
    }

    /// What the request shows, well formed; never two things.
    fn shown(&self) -> Result<Shown, AwsError> {
        let authorization = self.text("authorization");
        let is_presigned = self.query.iter().any(|(name, _)| name.starts_with("X-Amz-"))
            && ["X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature"]
                .iter()
                .any(|name| aws::find(&self.query, name).is_some());
        let is_version2 = self.voice == Voice::S3 && version2::is_in(&self.query);
        if let Some(given) = authorization.filter(|_| is_presigned || is_version2) {
            let error = AwsError::new(
                400,
                "InvalidArgument",
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string \
                 parameter or the Authorization header should be specified",
            );
            return Err(error.member("ArgumentName", "Authorization").member("ArgumentValue", given));
        }
        if self.head.headers.contains_key("authorization") {
            // What is no text has no parts either.
            let claim = signer::of_header(authorization.unwrap_or("?"));
            return claim.map(Shown::Header).map_err(|error| self.voice.malformed(error));
        }
        if is_presigned {
            let (claim, times) = presigned::read(&self.query, self.voice)?;
            return Ok(Shown::Presigned(claim, times));
        }
        if is_version2 {
            return version2::Claim::of(&self.query).map(Shown::Version2);
        }
        Ok(Shown::Nothing)
    }

    /// The date that a header's signature is of, which has to be about now.
    fn date(&self, claim: &Claim, now: Timestamp) -> Result<String, AwsError> {
        let given = match self.text("x-amz-date") {
            Some(text) => refusal::of_basic(text),
            None => self.text("date").and_then(of_rfc2822),
        };
        let Some(date) = given else {
            let why = "AWS authentication requires a valid Date or x-amz-date header";
            return Err(match self.voice {
                Voice::S3 => denied(why),
                Voice::Other => signer::incomplete(why),
            });
        };
        if (date.as_seconds() - now.as_seconds()).abs() > SKEW_MAX {
            return Err(self.voice.skewed(date, now));
        }
        let text = refusal::basic(date);
        if text.get(..8) != Some(claim.day.as_str()) {
            let day = text.get(..8).unwrap_or_default();
            return Err(self.voice.malformed(signer::incomplete(&format!(
                "Invalid credential date \"{}\". This date is not the same as X-Amz-Date: \"{day}\".",
                claim.day
            ))));
        }
        Ok(text)
    }

    /// What the signature of a header says of the body: the header's word, or its hash.
    fn hash(&self, body: Option<&[u8]>, claim: &Claim) -> Result<String, AwsError> {
        let signed = self.text("x-amz-content-sha256").filter(|_| signs(claim, "x-amz-content-sha256"));
        match (signed, body, self.voice) {
            (Some(word), _, Voice::S3) => Ok(word.to_owned()),
            (_, Some(body), Voice::Other) => Ok(hex::encode(Sha256::digest(body))),
            (None, _, Voice::S3) => Err(AwsError::new(
                400,
                "InvalidRequest",
                "Missing required header for this request: x-amz-content-sha256",
            )),
            (Some(word), None, Voice::Other) => Ok(word.to_owned()),
            (None, None, Voice::Other) => Ok(canonical::EMPTY.to_owned()),
        }
    }

    /// The same for a presigned request, which as a rule is signed before there is a body.
    fn presigned_hash(&self, body: Option<&[u8]>, claim: &Claim) -> String {
        let signed = self.text("x-amz-content-sha256").filter(|_| signs(claim, "x-amz-content-sha256"));
        match (signed.or_else(|| aws::find(&self.query, "X-Amz-Content-Sha256")), body, self.voice) {
            (Some(word), _, Voice::S3) => word.to_owned(),
            (None, _, Voice::S3) => "UNSIGNED-PAYLOAD".to_owned(),
            (_, body, Voice::Other) => hex::encode(Sha256::digest(body.unwrap_or_default())),
        }
    }

    /// Checks the signature; what is given back signs the chunks of the body.
    fn verify(
        &self,
        (claim, date): (&Claim, &str),
        payload: &str,
        pair: &Pair,
    ) -> Result<ChunkSigner, AwsError> {
        let access_key = &claim.signer.access_key;
        if !canonical::same(access_key, &pair.access_key) {
            return Err(self.voice.unknown_key(access_key));
        }
        self.verify_headers(claim)?;
        let request = canonical::request(self.head, claim, payload);
        let signed = canonical::text_to_sign(date, &claim.scope(), &request);
        let key = canonical::key(&pair.secret, claim);
        let right = hex::encode(canonical::hmac(&key, &signed));
        if !canonical::same(&right, &claim.signature) {
            let given = &claim.signature;
            return Err(self.voice.wrong_signature(&Wrong {
                access_key,
                signed: &signed,
                given,
                request: &request,
            }));
        }
        Ok(ChunkSigner::new(key, date, &claim.scope(), right))
    }

    /// The host and every header of Amazon's has to be signed: nobody else may have added it.
    fn verify_headers(&self, claim: &Claim) -> Result<(), AwsError> {
        let is_presigned = !self.head.headers.contains_key("authorization");
        let names = self.head.headers.keys().map(http::HeaderName::as_str);
        let amazon = names.filter(|name| {
            // A presigned request says it in its query, if at all.
            name.starts_with("x-amz-") && !(is_presigned && *name == "x-amz-content-sha256")
        });
        let unsigned: Vec<&str> = amazon.chain(["host"]).filter(|name| !signs(claim, name)).collect();
        if unsigned.is_empty() {
            return Ok(());
        }
        let why = "There were headers present in the request which were not signed";
        match self.voice {
            Voice::S3 => Err(denied(why).member("HeadersNotSigned", unsigned.join(", "))),
            // They ask for the host, and for those of Amazon's that are there.
            Voice::Other => Err(AwsError::new(
                403,
                "InvalidSignatureException",
                format!("'{}' must be a 'SignedHeader' in the AWS Authorization.", unsigned.join("', '")),
            )),
        }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.head.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

fn signs(claim: &Claim, name: &str) -> bool {
    claim.headers.iter().any(|signed| signed == name)
}

/// Reads `Wed, 25 Nov 2026 14:00:00 GMT`.
fn of_rfc2822(text: &str) -> Option<Timestamp> {
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    Some(Timestamp::from_micros(date.timestamp().as_microsecond()))
}

#[cfg(test)]
mod tests;
