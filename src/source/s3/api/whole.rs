//! What the caller of CompleteMultipartUpload says of the whole object, held against what its parts have given. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;

use super::errors;
use super::meta::Checksum;
use crate::aws::AwsError;
use crate::aws::checksum::Algorithm;

/// A failure if the object is not as large as the caller says, in bytes, or has another checksum.
pub fn check(headers: &HeaderMap, size: u64, known: Option<&Checksum>) -> Result<(), AwsError> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(said) = text("x-amz-mp-object-size").filter(|said| **said != size.to_string()) {
        return Err(errors::invalid_request(format!(
            "The provided 'x-amz-mp-object-size' header value {said} does not match what was computed: {size}"
        )));
    }
    let Some(known) = known else { return Ok(()) };
    match text("x-amz-checksum-type") {
        Some(kind) if !["COMPOSITE", "FULL_OBJECT"].contains(&kind) => {
            return Err(invalid("x-amz-checksum-type"));
        }
        Some(kind) if kind != known.kind => {
            return Err(errors::invalid_request(format!(
                "The upload was created using the {} checksum mode. The complete request must use the same checksum mode.",
                known.kind
            )));
        }
        _ => {}
    }
    let said = headers.iter().filter(|(name, _)| {
        let last = name.as_str().strip_prefix("x-amz-checksum-");
        last.is_some_and(|last| !["type", "algorithm", "mode"].contains(&last))
    });
    let said: Vec<_> = said.map(|(name, value)| (name.as_str(), value.to_str().unwrap_or("?"))).collect();
    match said.as_slice() {
        [] => Ok(()),
        [(header, value)] => check_value((header, value), known),
        _ => Err(errors::invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.",
        )),
    }
}

fn check_value((header, said): (&str, &str), known: &Checksum) -> Result<(), AwsError> {
    let algorithm = Algorithm::of_header(header).ok_or_else(|| errors::header_not_built(header))?;
    if algorithm.name() != known.algorithm {
        return Err(errors::invalid_request(format!(
            "Checksum Type mismatch occurred, expected checksum Type: {}, actual checksum Type: {}",
            known.algorithm.to_lowercase(),
            algorithm.name().to_lowercase()
        )));
    }
    // That of a composite one may come without the number of the parts.
    let (plain, count) = said.split_once('-').map_or((said, None), |(plain, count)| (plain, Some(count)));
    let plain = algorithm.read(plain).map(|bytes| STANDARD.encode(bytes)).ok_or_else(|| invalid(header))?;
    let (value, parts) =
        known.value.split_once('-').map_or((known.value.as_str(), None), |(v, parts)| (v, Some(parts)));
    match plain == value && (count.is_none() || count == parts) {
        true => Ok(()),
        false => Err(errors::bad_checksum(algorithm.name())),
    }
}

fn invalid(header: &str) -> AwsError {
    errors::invalid_request(format!("Value for {header} header is invalid."))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    /// Headers as `name: value`, one a line; the upload's checksum as `CRC32 value kind`.
    fn check_said(headers: &str, known: &str, expected: &str) {
        let headers: HeaderMap = headers
            .lines()
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| {
                let name = name.parse::<HeaderName>().expect("a name");
                (name, HeaderValue::from_str(value).expect("a value"))
            })
            .collect();
        let words: Vec<String> = known.split(' ').map(str::to_owned).collect();
        let [algorithm, value, kind] = words.try_into().expect("three words");
        let said = match check(&headers, 10, Some(&Checksum { algorithm, value, kind })) {
            Ok(()) => "200".to_owned(),
            Err(error) => error.to_string(),
        };
        assert!(said.starts_with(expected), "{headers:?} of {known}: {said}");
    }

    #[test]
    fn a_whole_is_what_its_writer_says() {
        let full = "CRC32 NhCmhg== FULL_OBJECT";
        check_said("", full, "200");
        check_said("x-amz-checksum-crc32: NhCmhg==", full, "200");
        check_said("x-amz-checksum-crc32: NhCmhg==\nx-amz-checksum-type: FULL_OBJECT", full, "200");
        check_said("x-amz-checksum-crc32: AAAAAA==", full, "BadDigest: The CRC32");
        check_said("x-amz-checksum-crc32: NhCmhg==-2", full, "BadDigest");
        check_said("x-amz-checksum-crc32: hello", full, "InvalidRequest: Value for x-amz-checksum-crc32");
        check_said(
            "x-amz-checksum-type: COMPOSITE",
            full,
            "InvalidRequest: The upload was created using the FULL",
        );
        check_said("x-amz-checksum-type: HALF", full, "InvalidRequest: Value for x-amz-checksum-type");
        check_said("x-amz-checksum-crc32c: NhCmhg==", full, "InvalidRequest: Checksum Type mismatch");
        check_said(
            "x-amz-checksum-crc32: NhCmhg==\nx-amz-checksum-crc32c: NhCmhg==",
            full,
            "InvalidRequest: Expecting",
        );
        check_said("x-amz-checksum-xxhash64: AAAAAAAAAAA=", full, "NotImplemented");
        check_said("x-amz-mp-object-size: 10", full, "200");
        check_said("x-amz-mp-object-size: 11", full, "InvalidRequest: The provided");
        let composite = "CRC32 NhCmhg==-2 COMPOSITE";
        check_said("x-amz-checksum-crc32: NhCmhg==-2", composite, "200");
        check_said("x-amz-checksum-crc32: NhCmhg==", composite, "200");
        check_said("x-amz-checksum-crc32: NhCmhg==-3", composite, "BadDigest");
        check_said("x-amz-checksum-crc32: AAAAAA==-2", composite, "BadDigest");
    }
}
