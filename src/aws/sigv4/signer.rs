//! What a request says of who signed it. Pure.
//!
//! What a signature is made of has to be well formed even where any credentials are welcome, so that a client that is
//! set up wrongly hears of it here and not first in the cloud.

use crate::aws::AwsError;

/// Who signed a request, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer {
    /// `AKIA…`
    pub access_key: String,
    /// `us-east-1`
    pub region: String,
    /// `lambda`
    pub service: String,
}

/// What a signature of version 4 says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub signer: Signer,
    /// `20261125`
    pub day: String,
    /// The names of the signed headers, in small letters.
    pub headers: Vec<String>,
    /// 64 hex digits, if it is right.
    pub signature: String,
}

impl Claim {
    /// `20261125/us-east-1/s3/aws4_request`
    pub fn scope(&self) -> String {
        format!("{}/{}/{}/aws4_request", self.day, self.signer.region, self.signer.service)
    }

    /// The claim that these parts make: `KEY/DAY/REGION/SERVICE/aws4_request`, `host;x-amz-date`, and a signature.
    pub fn of(credential: &str, headers: &str, signature: &str) -> Result<Claim, AwsError> {
        let (signer, day) = scope(credential)?;
        let headers = headers.split(';').map(str::to_ascii_lowercase).collect();
        Ok(Claim { signer, day, headers, signature: signature.to_owned() })
    }
}

pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Who signed this request, in its header or its query. None for one that is not signed.
pub fn signer(authorization: Option<&str>, query: &[(String, String)]) -> Result<Option<Signer>, AwsError> {
    if let Some(text) = authorization {
        return of_header(text).map(|claim| Some(claim.signer));
    }
    let find = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    match (find("X-Amz-Algorithm"), find("X-Amz-Credential")) {
        (None, None) => Ok(None),
        (Some(ALGORITHM), Some(credential)) => scope(credential).map(|(signer, _)| Some(signer)),
        _ => {
            Err(incomplete("a presigned request needs X-Amz-Algorithm=AWS4-HMAC-SHA256 and X-Amz-Credential"))
        }
    }
}

/// The claim of an `Authorization` header.
pub(super) fn of_header(text: &str) -> Result<Claim, AwsError> {
    let (algorithm, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    if algorithm != ALGORITHM {
        let says = format!(
            "Unsupported authorization '{algorithm}': requests are signed with {ALGORITHM} (signature version 4)"
        );
        return Err(incomplete(&says));
    }
    let part = |name: &str| {
        rest.split(',')
            .find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('='))
            .filter(|value| !value.is_empty())
    };
    for needed in ["Credential", "SignedHeaders", "Signature"] {
        if part(needed).is_none() {
            return Err(incomplete(&format!(
                "Authorization header requires '{needed}' parameter. Authorization={algorithm}"
            )));
        }
    }
    let found = |name| part(name).unwrap_or_default();
    Claim::of(found("Credential"), found("SignedHeaders"), found("Signature"))
}

/// `AKID/20261125/us-east-1/lambda/aws4_request`
pub(super) fn scope(credential: &str) -> Result<(Signer, String), AwsError> {
    let parts: Vec<&str> = credential.rsplitn(5, '/').collect();
    match parts.as_slice() {
        ["aws4_request", service, region, date, key]
            if date.len() == 8 && date.bytes().all(|b| b.is_ascii_digit()) && !key.is_empty() =>
        {
            let (access_key, region, service) = ((*key).into(), (*region).into(), (*service).into());
            Ok((Signer { access_key, region, service }, (*date).to_owned()))
        }
        _ => Err(incomplete(&format!(
            "Credential must have 5 slash-delimited elements, KEY/YYYYMMDD/REGION/SERVICE/aws4_request, and is '{credential}'"
        ))),
    }
}

pub(super) fn incomplete(message: &str) -> AwsError {
    AwsError::new(403, "IncompleteSignatureException", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(authorization: &str, expected: Result<(&str, &str), &str>) {
        let found = signer(Some(authorization), &[]);
        match expected {
            Ok((service, region)) => {
                let signer = found.expect("well formed").expect("signed");
                assert_eq!((signer.service.as_str(), signer.region.as_str()), (service, region));
            }
            Err(words) => {
                let error = found.expect_err("refused");
                assert!(error.message.contains(words), "{error}");
            }
        }
    }

    #[test]
    fn a_signature_says_for_whom_it_is() {
        let good = "AWS4-HMAC-SHA256 Credential=test/20261125/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00";
        check(good, Ok(("lambda", "us-east-1")));
        check("AWS AKID:signature", Err("signature version 4"));
        check(
            "AWS4-HMAC-SHA256 Credential=test/20261125/us-east-1/lambda/aws4_request",
            Err("'SignedHeaders'"),
        );
        check("AWS4-HMAC-SHA256 Credential=test, SignedHeaders=host, Signature=00", Err("5 slash-delimited"));
    }

    #[test]
    fn an_unsigned_request_has_no_signer() {
        assert_eq!(signer(None, &[]), Ok(None));
        let query =
            [("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Credential", "k/20261125/r/s3/aws4_request")];
        let query = query.map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(signer(None, &query).expect("good").expect("signed").service, "s3");
        assert!(signer(None, &query[..1]).is_err());
    }
}
