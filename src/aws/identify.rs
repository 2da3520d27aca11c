//! Which service a request is for. Pure.

use http::HeaderMap;

use super::sigv4;

/// The service that a request is for, as signatures name it: by the scope of its signature, else by its target, else
/// by its path. None if nothing says it.
pub fn service(path: &str, query: &[(String, String)], headers: &HeaderMap) -> Option<String> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Ok(Some(signer)) = sigv4::signer(text("authorization"), query) {
        return Some(signer.service);
    }
    if let Some(target) = text("x-amz-target") {
        let name = target.split(['.', '_']).next().unwrap_or_default();
        let known = TARGETS.iter().find(|(prefix, _)| *prefix == name);
        return known.map(|(_, service)| (*service).to_owned());
    }
    if is_lambda(path) {
        return Some("lambda".to_owned());
    }
    // Everything else that names something is a bucket, or an object in one.
    let is_bucket = text("host").is_some_and(|host| host.contains(".localhost"));
    (path != "/" || is_bucket).then(|| "s3".to_owned())
}

/// The first word of `X-Amz-Target`, and the service.
const TARGETS: [(&str, &str); 6] = [
    ("AmazonSQS", "sqs"),
    ("DynamoDB", "dynamodb"),
    ("DynamoDBStreams", "dynamodb"),
    ("Logs", "logs"),
    ("AWSEvents", "events"),
    ("Kinesis", "kinesis"),
];

/// Lambda's paths begin with the date of an API version and one of these.
fn is_lambda(path: &str) -> bool {
    const SECOND: [&str; 6] =
        ["functions", "event-source-mappings", "layers", "tags", "account-settings", "code-signing-configs"];
    let mut parts = path.trim_start_matches('/').split('/');
    let date = parts.next().unwrap_or_default();
    let is_date = date.len() == 10
        && date
            .bytes()
            .enumerate()
            .all(|(at, b)| if at == 4 || at == 7 { b == b'-' } else { b.is_ascii_digit() });
    is_date && parts.next().is_some_and(|second| SECOND.contains(&second))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, headers: &[(&'static str, &str)], expected: Option<&str>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a value"));
        }
        assert_eq!(service(path, &[], &map).as_deref(), expected, "{path}");
    }

    #[test]
    fn the_signature_the_target_and_the_path_tell_the_service() {
        let signed =
            "AWS4-HMAC-SHA256 Credential=k/20261125/us-east-1/sns/aws4_request, SignedHeaders=h, Signature=0";
        check("/", &[("authorization", signed)], Some("sns"));
        check("/", &[("x-amz-target", "DynamoDB_20120810.PutItem")], Some("dynamodb"));
        check("/", &[("x-amz-target", "AmazonSQS.SendMessage")], Some("sqs"));
        check("/2015-03-31/functions/f/invocations", &[], Some("lambda"));
        check("/2015-03-31/functions", &[], Some("lambda"));
        check("/2015-03-31/else", &[], Some("s3"));
        check("/bucket/key", &[], Some("s3"));
        check("/", &[("host", "127.0.0.1:4566")], None);
        check("/", &[("host", "bucket.s3.localhost:4566")], Some("s3"));
    }
}
