//! Presigned requests of signature version 2, which only S3 has. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;

use super::canonical::{hmac_sha1, same, values};
use super::keys::Pair;
use super::refusal::{Voice, Wrong, denied};
use super::signer::Signer;
use crate::aws::{AwsError, find};
use crate::clock::Timestamp;

/// The parameters that are part of what is asked for, and so are signed.
const SIGNED: [&str; 37] = [
    "accelerate",
    "acl",
    "analytics",
    "cors",
    "delete",
    "encryption",
    "inventory",
    "legal-hold",
    "lifecycle",
    "location",
    "logging",
    "metrics",
    "notification",
    "object-lock",
    "partNumber",
    "policy",
    "policyStatus",
    "publicAccessBlock",
    "replication",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "retention",
    "tagging",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "versions",
    "website",
    "torrent",
    "select",
];

/// What a signature of version 2 says of itself.
pub(super) struct Claim {
    access_key: String,
    signature: String,
    /// As it was given, and read: seconds since 1970.
    expires: (String, Timestamp),
}

/// Whether a query is signed like that.
pub(super) fn is_in(query: &[(String, String)]) -> bool {
    find(query, "AWSAccessKeyId").is_some() || find(query, "Signature").is_some()
}

impl Claim {
    pub fn of(query: &[(String, String)]) -> Result<Claim, AwsError> {
        let parts = ["AWSAccessKeyId", "Signature", "Expires"].map(|name| find(query, name));
        let [Some(access_key), Some(signature), Some(expires)] = parts else {
            return Err(denied(
                "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters",
            ));
        };
        let micros = expires.parse().ok().and_then(|seconds: i64| seconds.checked_mul(1_000_000));
        let Some(micros) = micros else {
            return Err(denied(format!("Invalid date (should be seconds since epoch): {expires}")));
        };
        Ok(Claim {
            access_key: access_key.to_owned(),
            signature: signature.to_owned(),
            expires: (expires.to_owned(), Timestamp::from_micros(micros)),
        })
    }

    /// Who signed. This version names no region.
    pub fn signer(self) -> Signer {
        Signer { access_key: self.access_key, region: "us-east-1".into(), service: "s3".into() }
    }

    /// Whether its time is not over.
    pub fn check(&self, now: Timestamp) -> Result<(), AwsError> {
        let until = self.expires.1;
        if now > until { Err(Voice::S3.expired(None, until, now)) } else { Ok(()) }
    }

    /// Checks the signature.
    pub fn verify(&self, head: &Parts, query: &[(String, String)], pair: &Pair) -> Result<(), AwsError> {
        if !same(&self.access_key, &pair.access_key) {
            return Err(Voice::S3.unknown_key(&self.access_key));
        }
        let signed = text_to_sign(head, query, &self.expires.0);
        let right = STANDARD.encode(hmac_sha1(pair.secret.as_bytes(), &signed));
        if same(&right, &self.signature) {
            return Ok(());
        }
        let (access_key, given) = (&self.access_key, &self.signature);
        Err(Voice::S3.wrong_signature(&Wrong { access_key, signed: &signed, given, request: "" }))
    }
}

fn text_to_sign(head: &Parts, query: &[(String, String)], expires: &str) -> String {
    // What a signer put into the query counts as if it were a header.
    let header = |name: &str| match values(&head.headers, name) {
        absent if absent.is_empty() => find(query, name).unwrap_or_default().to_owned(),
        given => given,
    };
    let (md5, kind) = (header("content-md5"), header("content-type"));
    let in_head = head.headers.keys().map(|name| name.as_str().to_owned());
    let in_query = query.iter().map(|(name, _)| name.to_ascii_lowercase());
    let mut amazon: Vec<String> = in_head.chain(in_query).filter(|name| name.starts_with("x-amz-")).collect();
    amazon.sort();
    amazon.dedup();
    let mut text = format!("{}\n{md5}\n{kind}\n{expires}\n", head.method);
    for name in amazon {
        text.push_str(&format!("{name}:{}\n", header(&name)));
    }
    text.push_str(&bucket_in_host(head));
    text.push_str(head.uri.path());
    let mut signed: Vec<_> = query.iter().filter(|(name, _)| SIGNED.contains(&name.as_str())).collect();
    signed.sort();
    let parts = signed.iter().map(|(name, value)| match value.as_str() {
        "" => name.clone(),
        value => format!("{name}={value}"),
    });
    let parts: Vec<String> = parts.collect();
    if parts.is_empty() { text } else { format!("{text}?{}", parts.join("&")) }
}

/// `/photos` for the host `photos.s3.localhost:4566`; nothing for a host that names no bucket.
fn bucket_in_host(head: &Parts) -> String {
    let host = values(&head.headers, "host");
    let name = host.split_once(':').map_or(host.as_str(), |(name, _)| name);
    let bucket = [".s3.", ".s3-"].iter().find_map(|mark| name.split_once(mark)).map(|(bucket, _)| bucket);
    let bucket = bucket.or_else(|| name.strip_suffix(".localhost")).filter(|bucket| *bucket != "s3");
    bucket.map(|bucket| format!("/{bucket}")).unwrap_or_default()
}
