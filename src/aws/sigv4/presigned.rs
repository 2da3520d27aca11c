//! What a presigned request of version 4 says in its query, and how long it is good. Pure.

use std::time::Duration;

use super::refusal::{SKEW_MAX, Voice, basic, denied, of_basic};
use super::signer::{ALGORITHM, Claim};
use crate::aws::{AwsError, find};
use crate::clock::Timestamp;

/// How long a presigned request may be good, in seconds.
const EXPIRES_MAX: i64 = 604_800;
/// How long one is good that does not say it, in seconds; S3 wants it said.
const EXPIRES_DEFAULT: i64 = 900;

/// From when and until when it is good.
pub(super) struct Times {
    /// As it is signed.
    pub text: String,
    date: Timestamp,
    seconds: i64,
}

impl Times {
    /// Whether its time is not over.
    pub fn check(&self, voice: Voice, now: Timestamp) -> Result<(), AwsError> {
        let until = self.date.plus(Duration::from_secs(self.seconds.unsigned_abs()));
        if now > until { Err(voice.expired(Some(self.seconds), until, now)) } else { Ok(()) }
    }

    /// Whether its time has come.
    pub fn check_start(&self, voice: Voice, now: Timestamp) -> Result<(), AwsError> {
        match voice {
            _ if self.date.as_seconds() - now.as_seconds() <= SKEW_MAX => Ok(()),
            Voice::S3 => Err(denied("Request is not valid yet")),
            Voice::Other => Err(voice.skewed(self.date, now)),
        }
    }
}

/// What the query says, well formed.
pub(super) fn read(query: &[(String, String)], voice: Voice) -> Result<(Claim, Times), AwsError> {
    let needed = ["Algorithm", "Credential", "Signature", "Date", "SignedHeaders"]
        .map(|name| find(query, &format!("X-Amz-{name}")));
    let [Some(algorithm), Some(credential), Some(signature), Some(date), Some(headers)] = needed else {
        return Err(voice.bad_query(INCOMPLETE));
    };
    if algorithm != ALGORITHM {
        return Err(voice.bad_query("X-Amz-Algorithm only supports \"AWS4-HMAC-SHA256\""));
    }
    let seconds = match (find(query, "X-Amz-Expires"), voice) {
        (Some(text), _) => seconds(text).map_err(|why| voice.bad_query(why))?,
        (None, Voice::S3) => return Err(voice.bad_query(INCOMPLETE)),
        (None, Voice::Other) => EXPIRES_DEFAULT,
    };
    let claim = Claim::of(credential, headers, signature).map_err(|error| voice.bad_query(&error.message))?;
    let date = of_basic(date).ok_or_else(|| {
        voice.bad_query("X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
    })?;
    let text = basic(date);
    if text.get(..8) != Some(claim.day.as_str()) {
        let why = format!(
            "Invalid credential date \"{}\". This date is not the same as X-Amz-Date: \"{}\".",
            claim.day,
            text.get(..8).unwrap_or_default()
        );
        return Err(voice.bad_query(&why));
    }
    Ok((claim, Times { text, date, seconds }))
}

const INCOMPLETE: &str = "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, \
     X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.";

fn seconds(text: &str) -> Result<i64, &'static str> {
    match text.parse() {
        Err(_) => Err("X-Amz-Expires should be a number"),
        Ok(seconds) if seconds < 1 => Err("X-Amz-Expires must be non-negative"),
        Ok(seconds) if seconds > EXPIRES_MAX => Err(
            "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than \
             604800 seconds",
        ),
        Ok(seconds) => Ok(seconds),
    }
}
