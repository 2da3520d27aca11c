//! The request documents that belong to no configuration: making buckets, deleting many, completing uploads. Pure.

use super::read::{Element, document};
use crate::aws::AwsError;
use crate::clock::Timestamp;
use crate::source::s3::api::errors;
use crate::source::s3::api::meta::ALGORITHMS;
use crate::source::s3::api::tags::{self, Tag};

/// Objects in one DeleteObjects.
const DELETES_MAX: usize = 1000;
/// Parts of an upload.
const PARTS_MAX: usize = 10_000;

/// What CreateBucket says beyond the name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CreateBucket {
    /// The region, as the caller wrote it.
    pub location: Option<String>,
    /// The tags the bucket begins with.
    pub tags: Vec<Tag>,
}

impl CreateBucket {
    /// Reads a body, which may be empty.
    pub fn read(body: &[u8]) -> Result<CreateBucket, AwsError> {
        if body.is_empty() {
            return Ok(CreateBucket::default());
        }
        let root = document(body, "CreateBucketConfiguration")?;
        if root.child("Location").is_some() || root.child("Bucket").is_some() {
            return Err(errors::part_not_built("CreateBucketConfiguration for directory buckets"));
        }
        let location = root.text_of("LocationConstraint")?.filter(|text| !text.is_empty());
        let tags = match root.one("Tags")? {
            Some(tags) => tags::of_set(tags, tags::Of::Bucket)?,
            None => Vec::new(),
        };
        Ok(CreateBucket { location: location.map(str::to_owned), tags })
    }
}

/// DeleteObjects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delete {
    /// What to delete, in the order of the answer.
    pub objects: Vec<Doomed>,
    /// Whether only failures are told.
    pub quiet: bool,
}

/// One object to delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Doomed {
    /// The key.
    pub key: String,
    /// The version, if one is meant.
    pub version: Option<String>,
    /// Delete it only if it has this entity tag.
    pub etag: Option<String>,
    /// Delete it only if it was written then.
    pub modified: Option<Timestamp>,
    /// Delete it only if it has as many bytes.
    pub size: Option<i64>,
}

impl Delete {
    /// Reads a body.
    pub fn read(body: &[u8]) -> Result<Delete, AwsError> {
        let root = document(body, "Delete")?;
        let objects = root.all("Object").map(doomed).collect::<Result<Vec<_>, _>>()?;
        if objects.is_empty() || objects.len() > DELETES_MAX {
            return Err(errors::malformed_xml());
        }
        Ok(Delete { objects, quiet: root.flag("Quiet")?.unwrap_or_default() })
    }
}

fn doomed(element: &Element) -> Result<Doomed, AwsError> {
    let key = element.needed("Key")?;
    if key.is_empty() {
        return Err(errors::malformed_xml());
    }
    let owned = |name: &str| -> Result<Option<String>, AwsError> {
        Ok(element.text_of(name)?.filter(|text| !text.is_empty()).map(str::to_owned))
    };
    let modified = match owned("LastModifiedTime")? {
        Some(text) => {
            let time = Timestamp::parse(&text).or_else(|| super::super::dates::read(&text));
            Some(time.ok_or_else(errors::malformed_xml)?)
        }
        None => None,
    };
    Ok(Doomed {
        key: key.to_owned(),
        version: owned("VersionId")?,
        etag: owned("ETag")?.map(|etag| unquoted(&etag).to_owned()),
        modified,
        size: element.number("Size")?,
    })
}

/// An entity tag without its quotes.
pub fn unquoted(etag: &str) -> &str {
    let etag = etag.trim();
    etag.strip_prefix('"').and_then(|etag| etag.strip_suffix('"')).unwrap_or(etag)
}

/// CompleteMultipartUpload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Complete {
    /// The parts, ascending.
    pub parts: Vec<Completed>,
}

/// One part as the caller remembers it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completed {
    /// From 1.
    pub number: u32,
    /// Without quotes.
    pub etag: String,
    /// Algorithm (`CRC32`) and value, in base64.
    pub checksums: Vec<(&'static str, String)>,
}

impl Complete {
    /// Reads a body; the upload's id is for the failures.
    pub fn read(body: &[u8], upload: &str) -> Result<Complete, AwsError> {
        let root = document(body, "CompleteMultipartUpload")?;
        let parts = root.all("Part").map(completed).collect::<Result<Vec<_>, _>>()?;
        if parts.is_empty() || parts.len() > PARTS_MAX {
            return Err(errors::malformed_xml());
        }
        if parts.windows(2).any(|pair| pair[0].number >= pair[1].number) {
            return Err(errors::invalid_part_order(upload));
        }
        Ok(Complete { parts })
    }
}

fn completed(element: &Element) -> Result<Completed, AwsError> {
    let number = element.number("PartNumber")?.ok_or_else(errors::malformed_xml)?;
    let number =
        u32::try_from(number).ok().filter(|number| (1..=10_000).contains(number)).ok_or_else(|| {
            let message = "Part number must be an integer between 1 and 10000, inclusive";
            errors::invalid_argument(message, "partNumber", number.to_string())
        })?;
    let etag = unquoted(element.needed("ETag")?).to_owned();
    let mut checksums = Vec::new();
    for algorithm in ALGORITHMS {
        if let Some(value) = element.text_of(&format!("Checksum{algorithm}"))? {
            checksums.push((algorithm, value.to_owned()));
        }
    }
    Ok(Completed { number, etag, checksums })
}

/// Whether a bucket keeps versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Versioning {
    /// Every write makes a version.
    Enabled,
    /// Writes replace the version `null`.
    Suspended,
}

impl Versioning {
    /// AWS's word.
    pub fn word(self) -> &'static str {
        match self {
            Versioning::Enabled => "Enabled",
            Versioning::Suspended => "Suspended",
        }
    }

    /// Reads a VersioningConfiguration.
    pub fn read(body: &[u8]) -> Result<Versioning, AwsError> {
        let root = document(body, "VersioningConfiguration")?;
        if root.text_of("MfaDelete")?.is_some_and(|text| text == "Enabled") {
            return Err(errors::part_not_built("MfaDelete"));
        }
        match root.text_of("Status")? {
            Some("Enabled") => Ok(Versioning::Enabled),
            Some("Suspended") => Ok(Versioning::Suspended),
            Some(_) => Err(errors::malformed_xml()),
            None => Err(AwsError::new(
                400,
                "IllegalVersioningConfigurationException",
                "The Versioning element must be specified",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: std::fmt::Debug>(read: Result<T, AwsError>, expected: &str) {
        let said = read.map_or_else(|error| error.code.to_owned(), |value| format!("{value:?}"));
        assert!(said.contains(expected), "{said} should have {expected}");
    }

    #[test]
    fn a_bucket_may_be_somewhere() {
        check(CreateBucket::read(b""), "location: None");
        let with = |inner: &str| {
            CreateBucket::read(
                format!("<CreateBucketConfiguration>{inner}</CreateBucketConfiguration>").as_bytes(),
            )
        };
        check(with("<LocationConstraint>eu-west-1</LocationConstraint>"), "Some(\"eu-west-1\")");
        check(with("<Unknown/>"), "location: None");
        check(with("<Tags><Tag><Key>a</Key><Value>b</Value></Tag></Tags>"), "key: \"a\", value: \"b\"");
        check(with("<Bucket><Type>Directory</Type></Bucket>"), "NotImplemented");
        check(CreateBucket::read(b"<Other/>"), "MalformedXML");
    }

    #[test]
    fn deletes_are_a_thousand_at_most() {
        let of = |count| {
            Delete::read(
                format!("<Delete>{}</Delete>", "<Object><Key>k</Key></Object>".repeat(count)).as_bytes(),
            )
        };
        check(of(0), "MalformedXML");
        check(of(1), "quiet: false");
        check(of(1001), "MalformedXML");
        assert_eq!(of(1000).map(|delete| delete.objects.len()).ok(), Some(1000));
        check(Delete::read(b"<Delete><Quiet>true</Quiet><Object><Key> a&#10;</Key><VersionId>v</VersionId></Object></Delete>"), "key: \" a\\n\", version: Some(\"v\")");
        check(
            Delete::read(b"<Delete><Quiet>maybe</Quiet><Object><Key>a</Key></Object></Delete>"),
            "MalformedXML",
        );
        check(Delete::read(b"<Delete><Object/></Delete>"), "MalformedXML");
        check(Delete::read(b""), "MissingRequestBodyError");
    }

    #[test]
    fn parts_ascend() {
        let part = |number: &str| {
            format!("<Part><PartNumber>{number}</PartNumber><ETag>&quot;e&quot;</ETag></Part>")
        };
        let of = |numbers: &[&str]| {
            let parts: String = numbers.iter().map(|number| part(number)).collect();
            Complete::read(
                format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").as_bytes(),
                "u",
            )
        };
        check(of(&["1", "3"]), "number: 3, etag: \"e\"");
        check(of(&["2", "1"]), "InvalidPartOrder");
        check(of(&["1", "1"]), "InvalidPartOrder");
        check(of(&["0"]), "InvalidArgument");
        check(of(&["10001"]), "InvalidArgument");
        check(of(&["x"]), "MalformedXML");
        check(of(&[]), "MalformedXML");
        let body = b"<CompleteMultipartUpload><Part><ETag>e</ETag><ChecksumCRC32>AA==</ChecksumCRC32><PartNumber>1</PartNumber></Part></CompleteMultipartUpload>";
        check(Complete::read(body, "u"), "(\"CRC32\", \"AA==\")");
    }

    #[test]
    fn versioning_is_enabled_or_suspended() {
        let of = |inner: &str| {
            Versioning::read(format!("<VersioningConfiguration>{inner}</VersioningConfiguration>").as_bytes())
        };
        check(of("<Status>Enabled</Status>"), "Enabled");
        check(of("<Status>Suspended</Status><MfaDelete>Disabled</MfaDelete>"), "Suspended");
        check(of("<Status>enabled</Status>"), "MalformedXML");
        check(of(""), "IllegalVersioningConfigurationException");
        check(of("<Status>Enabled</Status><MfaDelete>Enabled</MfaDelete>"), "NotImplemented");
    }
}
