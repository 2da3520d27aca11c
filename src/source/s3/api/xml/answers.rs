//! The answers that are no lists: uploads, copies, deletions, attributes, places. Pure.

use super::listings::Part;
use super::requests::Versioning;
use super::write::Document;
use crate::clock::Timestamp;
use crate::source::s3::api::meta::Checksum;

/// InitiateMultipartUploadResult.
#[derive(Clone, Debug, Default)]
pub struct Initiated {
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// The upload's id.
    pub upload: String,
}

impl Initiated {
    /// The document.
    pub fn document(&self) -> String {
        Document::of("InitiateMultipartUploadResult", |xml| {
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.key);
            xml.text("UploadId", &self.upload);
        })
    }
}

/// CompleteMultipartUploadResult.
#[derive(Clone, Debug, Default)]
pub struct Completed {
    /// The object's URL.
    pub location: String,
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Without quotes.
    pub etag: String,
    /// If it has one.
    pub checksum: Option<Checksum>,
}

impl Completed {
    /// The document.
    pub fn document(&self) -> String {
        Document::of("CompleteMultipartUploadResult", |xml| {
            xml.text("Location", &self.location);
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.key);
            xml.etag(&self.etag);
            whole(self.checksum.as_ref(), xml);
        })
    }
}

/// PostResponse, for forms that ask for status 201.
#[derive(Clone, Debug, Default)]
pub struct Posted {
    /// The object's URL.
    pub location: String,
    /// The bucket.
    pub bucket: String,
    /// The key.
    pub key: String,
    /// Without quotes.
    pub etag: String,
}

impl Posted {
    /// The document.
    pub fn document(&self) -> String {
        Document::of("PostResponse", |xml| {
            xml.text("Location", &self.location);
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.key);
            xml.etag(&self.etag);
        })
    }
}

/// CopyObjectResult and CopyPartResult.
#[derive(Clone, Debug, Default)]
pub struct Copied {
    /// When the copy was written.
    pub modified: Timestamp,
    /// Without quotes.
    pub etag: String,
    /// If it has one.
    pub checksum: Option<Checksum>,
}

impl Copied {
    /// The document of a copied object.
    pub fn document(&self) -> String {
        Document::of("CopyObjectResult", |xml| {
            xml.time("LastModified", self.modified);
            xml.etag(&self.etag);
            whole(self.checksum.as_ref(), xml);
        })
    }
    /// The document of a copied part.
    pub fn part_document(&self) -> String {
        Document::of("CopyPartResult", |xml| {
            xml.time("LastModified", self.modified);
            xml.etag(&self.etag);
            value_of(self.checksum.as_ref(), xml);
        })
    }
}

/// What became of one object of DeleteObjects.
#[derive(Clone, Debug)]
pub enum Fate {
    /// It is gone, or never was.
    Deleted {
        /// The key.
        key: String,
        /// The version that was named.
        version: Option<String>,
        /// The delete marker that was made, or deleted.
        marker: Option<String>,
    },
    /// It is still there.
    Failed {
        /// The key.
        key: String,
        /// The version that was named.
        version: Option<String>,
        /// `AccessDenied`
        code: String,
        /// The text.
        message: String,
    },
}

/// DeleteResult.
#[derive(Clone, Debug, Default)]
pub struct Deleted {
    /// In the order of the request.
    pub fates: Vec<Fate>,
    /// Whether only failures are told.
    pub quiet: bool,
}

impl Deleted {
    /// The document.
    pub fn document(&self) -> String {
        Document::of("DeleteResult", |xml| {
            for fate in &self.fates {
                match fate {
                    Fate::Deleted { .. } if self.quiet => {}
                    Fate::Deleted { key, version, marker } => xml.within("Deleted", |xml| {
                        if marker.is_some() {
                            xml.text("DeleteMarker", "true");
                        }
                        xml.maybe("DeleteMarkerVersionId", marker.as_deref());
                        xml.text("Key", key);
                        xml.maybe("VersionId", version.as_deref());
                    }),
                    Fate::Failed { key, version, code, message } => xml.within("Error", |xml| {
                        xml.text("Code", code);
                        xml.text("Key", key);
                        xml.text("Message", message);
                        xml.maybe("VersionId", version.as_deref());
                    }),
                }
            }
        })
    }
}

/// VersioningConfiguration; empty for a bucket that never kept versions.
pub fn versioning(versioning: Option<Versioning>) -> String {
    Document::of("VersioningConfiguration", |xml| xml.maybe("Status", versioning.map(Versioning::word)))
}

/// LocationConstraint; us-east-1 is said by saying nothing.
pub fn location(region: &str) -> String {
    Document::of("LocationConstraint", |xml| xml.push(if region == "us-east-1" { "" } else { region }))
}

/// GetObjectAttributesResponse: only what was asked for is set.
#[derive(Clone, Debug, Default)]
pub struct Attributes {
    /// Without quotes, and so it is told here.
    pub etag: Option<String>,
    /// The object's checksum.
    pub checksum: Option<Checksum>,
    /// The object's parts.
    pub parts: Option<AttributeParts>,
    /// `STANDARD`
    pub class: Option<String>,
    /// Bytes.
    pub size: Option<u64>,
}

/// The parts of an object that was uploaded in parts.
#[derive(Clone, Debug, Default)]
pub struct AttributeParts {
    /// All of them.
    pub count: u32,
    /// A page of them; S3 has none for objects without checksums.
    pub page: Option<PartsPage>,
}

/// Some parts.
#[derive(Clone, Debug, Default)]
pub struct PartsPage {
    /// As asked for; 0 if not.
    pub marker: u32,
    /// The last part shown.
    pub next_marker: u32,
    /// How many there may be.
    pub max: u32,
    /// Whether there are more.
    pub is_truncated: bool,
    /// Ascending.
    pub parts: Vec<Part>,
}

impl Attributes {
    /// The document.
    pub fn document(&self) -> String {
        Document::of("GetObjectAttributesResponse", |xml| {
            xml.maybe("ETag", self.etag.as_deref());
            if let Some(checksum) = &self.checksum {
                // How many parts it is made of is told beside it.
                let value = checksum.value.split('-').next().unwrap_or_default().to_owned();
                let checksum = Checksum { value, ..checksum.clone() };
                xml.within("Checksum", |xml| whole(Some(&checksum), xml));
            }
            if let Some(parts) = &self.parts {
                xml.within("ObjectParts", |xml| parts.write(xml));
            }
            xml.maybe("StorageClass", self.class.as_deref());
            if let Some(size) = self.size {
                xml.value("ObjectSize", size);
            }
        })
    }
}

impl AttributeParts {
    fn write(&self, xml: &mut Document) {
        xml.value("PartsCount", self.count);
        let Some(page) = &self.page else { return };
        xml.value("PartNumberMarker", page.marker);
        xml.value("NextPartNumberMarker", page.next_marker);
        xml.value("MaxParts", page.max);
        xml.value("IsTruncated", page.is_truncated);
        for part in &page.parts {
            xml.within("Part", |xml| {
                xml.value("PartNumber", part.number);
                xml.value("Size", part.size);
                value_of(part.checksum.as_ref(), xml);
            });
        }
    }
}

/// The names that `x-amz-object-attributes` may have.
pub const ATTRIBUTES: [&str; 5] = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];

/// The checksum with its type.
fn whole(checksum: Option<&Checksum>, xml: &mut Document) {
    value_of(checksum, xml);
    if let Some(checksum) = checksum.filter(|checksum| !checksum.kind.is_empty()) {
        xml.text("ChecksumType", &checksum.kind);
    }
}

/// The checksum alone.
pub(super) fn value_of(checksum: Option<&Checksum>, xml: &mut Document) {
    if let Some(Checksum { algorithm, value, .. }) = checksum {
        xml.text(&format!("Checksum{algorithm}"), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &str, expected: &str) {
        let body = document.split_once("2006-03-01/\">").map_or("", |(_, body)| body);
        assert_eq!(body, expected);
    }

    #[test]
    fn answers_say_what_they_should() {
        check(&location("us-east-1"), "</LocationConstraint>");
        check(&location("eu-west-1"), "eu-west-1</LocationConstraint>");
        check(&versioning(None), "</VersioningConfiguration>");
        check(&versioning(Some(Versioning::Enabled)), "<Status>Enabled</Status></VersioningConfiguration>");
        let checksum =
            Some(Checksum { algorithm: "CRC32".into(), value: "A".into(), kind: "FULL_OBJECT".into() });
        let copied = Copied { modified: Timestamp::default(), etag: "e".into(), checksum };
        let start = "<LastModified>1970-01-01T00:00:00.000Z</LastModified><ETag>&quot;e&quot;</ETag><ChecksumCRC32>A</ChecksumCRC32>";
        check(
            &copied.document(),
            &format!("{start}<ChecksumType>FULL_OBJECT</ChecksumType></CopyObjectResult>"),
        );
        check(&copied.part_document(), &format!("{start}</CopyPartResult>"));
    }

    #[test]
    fn quiet_deletions_tell_failures_only() {
        let fates = vec![
            Fate::Deleted { key: "a".into(), version: None, marker: Some("m".into()) },
            Fate::Failed { key: "b".into(), version: None, code: "C".into(), message: "M".into() },
        ];
        let failed = "<Error><Code>C</Code><Key>b</Key><Message>M</Message></Error></DeleteResult>";
        let deleted = "<Deleted><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>m</DeleteMarkerVersionId><Key>a</Key></Deleted>";
        check(&Deleted { fates: fates.clone(), quiet: false }.document(), &format!("{deleted}{failed}"));
        check(&Deleted { fates, quiet: true }.document(), failed);
    }

    #[test]
    fn attributes_are_told_as_asked_for() {
        check(&Attributes::default().document(), "</GetObjectAttributesResponse>");
        let parts = AttributeParts { count: 2, page: None };
        let checksum = Checksum { algorithm: "SHA1".into(), value: "c=-2".into(), kind: "COMPOSITE".into() };
        let some = Attributes {
            etag: Some("e-2".into()),
            checksum: Some(checksum),
            parts: Some(parts),
            size: Some(9),
            ..Attributes::default()
        };
        check(
            &some.document(),
            "<ETag>e-2</ETag><Checksum><ChecksumSHA1>c=</ChecksumSHA1><ChecksumType>COMPOSITE</ChecksumType></Checksum><ObjectParts><PartsCount>2</PartsCount></ObjectParts><ObjectSize>9</ObjectSize></GetObjectAttributesResponse>",
        );
    }
}
