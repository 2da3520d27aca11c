//! How a signature is refused: S3 has words of its own, the other services share theirs. Pure.

use super::signer::incomplete;
use crate::aws::AwsError;
use crate::clock::Timestamp;

/// By how much the clock of a client may differ, in seconds.
pub(super) const SKEW_MAX: i64 = 15 * 60;

/// In whose words a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    S3,
    Other,
}

impl Voice {
    /// The words of this service; a request that names none can only be for S3.
    pub fn of(service: Option<&str>) -> Voice {
        if matches!(service, None | Some("s3")) { Voice::S3 } else { Voice::Other }
    }

    /// Something in the `Authorization` header is not as it should be; `error` says what.
    pub fn malformed(self, error: AwsError) -> AwsError {
        match self {
            Voice::S3 if error.message.starts_with("Unsupported") => AwsError::new(
                400,
                "InvalidRequest",
                "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.",
            ),
            Voice::S3 => AwsError::new(
                400,
                "AuthorizationHeaderMalformed",
                format!("The authorization header is malformed; {}", error.message),
            ),
            Voice::Other => error,
        }
    }

    /// A parameter of a presigned request is not as it should be.
    pub fn bad_query(self, why: &str) -> AwsError {
        match self {
            Voice::S3 => AwsError::new(400, "AuthorizationQueryParametersError", why),
            Voice::Other => incomplete(why),
        }
    }

    /// Nobody signed, where somebody has to.
    pub fn unsigned(self) -> AwsError {
        match self {
            Voice::S3 => denied("Access Denied"),
            Voice::Other => {
                AwsError::new(403, "MissingAuthenticationTokenException", "Missing Authentication Token")
            }
        }
    }

    /// No such access key.
    pub fn unknown_key(self, access_key: &str) -> AwsError {
        match self {
            Voice::S3 => AwsError::new(
                403,
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
            )
            .member("AWSAccessKeyId", access_key),
            Voice::Other => AwsError::new(
                403,
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ),
        }
    }

    /// The signature is not the one that the secret key makes of this text.
    pub fn wrong_signature(self, wrong: &Wrong<'_>) -> AwsError {
        match self {
            Voice::S3 => AwsError::new(
                403,
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. \
                 Check your key and signing method.",
            )
            .member("AWSAccessKeyId", wrong.access_key)
            .member("StringToSign", wrong.signed)
            .member("SignatureProvided", wrong.given)
            .member("CanonicalRequest", wrong.request),
            Voice::Other => AwsError::new(
                403,
                "InvalidSignatureException",
                format!(
                    "The request signature we calculated does not match the signature you provided. Check your AWS \
                     Secret Access Key and signing method. Consult the service documentation for details.\n\nThe \
                     Canonical String for this request should have been\n'{}'\n\nThe String-to-Sign should have \
                     been\n'{}'\n",
                    wrong.request, wrong.signed
                ),
            ),
        }
    }

    /// The client's clock is too far from ours.
    pub fn skewed(self, date: Timestamp, now: Timestamp) -> AwsError {
        match self {
            Voice::S3 => AwsError::new(
                403,
                "RequestTimeTooSkewed",
                "The difference between the request time and the current time is too large.",
            )
            .member("RequestTime", basic(date))
            .member("ServerTime", now.iso_seconds())
            .member("MaxAllowedSkewMilliseconds", SKEW_MAX * 1000),
            Voice::Other => {
                let (is, than) = if date < now {
                    ("Signature expired", "earlier")
                } else {
                    ("Signature not yet current", "later")
                };
                let (date, now) = (basic(date), basic(now));
                AwsError::new(
                    403,
                    "InvalidSignatureException",
                    format!("{is}: {date} is now {than} than {now}"),
                )
            }
        }
    }

    /// A presigned request came too late; `seconds` is how long it was good for, if it says that.
    pub fn expired(self, seconds: Option<i64>, until: Timestamp, now: Timestamp) -> AwsError {
        match (self, seconds) {
            (Voice::Other, _) => self.skewed(until, now),
            (Voice::S3, seconds) => {
                let mut error = denied("Request has expired");
                if let Some(seconds) = seconds {
                    error = error.member("X-Amz-Expires", seconds);
                }
                error.member("Expires", until.iso_seconds()).member("ServerTime", now.iso_seconds())
            }
        }
    }
}

/// A signature that is not right.
pub(super) struct Wrong<'a> {
    pub access_key: &'a str,
    pub signed: &'a str,
    pub given: &'a str,
    pub request: &'a str,
}

/// `AccessDenied` with this text.
pub(super) fn denied(why: impl Into<String>) -> AwsError {
    AwsError::new(403, "AccessDenied", why)
}

/// `20261125T140000Z`
pub(super) fn basic(date: Timestamp) -> String {
    date.iso_seconds().replace(['-', ':'], "")
}

/// Reads `20261125T140000Z`. None if it is no such date.
pub(super) fn of_basic(text: &str) -> Option<Timestamp> {
    let digits =
        |from: usize, to: usize| text.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()));
    if text.len() != 16 || text.get(8..9) != Some("T") || text.get(15..) != Some("Z") {
        return None;
    }
    let (year, month, day) = (digits(0, 4)?, digits(4, 6)?, digits(6, 8)?);
    let (hour, minute, second) = (digits(9, 11)?, digits(11, 13)?, digits(13, 15)?);
    Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_in_their_basic_form_only() {
        let date = of_basic("20261125T140000Z").expect("a date");
        assert_eq!(
            (date.iso_seconds().as_str(), basic(date).as_str()),
            ("2026-11-25T14:00:00Z", "20261125T140000Z")
        );
        for bad in [
            "",
            "2026-11-25T14:00:00Z",
            "20261325T140000Z",
            "20261125T140000+",
            "20261125 140000Z",
            "2026112€T1400Z",
        ] {
            assert_eq!(of_basic(bad), None, "{bad}");
        }
    }
}
