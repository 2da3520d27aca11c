//! The answers that list: buckets, objects, versions, uploads, parts. Pure.

use super::write::{Document, Encoding};
use crate::clock::Timestamp;
use crate::source::s3::api::acl::Owner;
use crate::source::s3::api::meta::Checksum;

/// ListAllMyBucketsResult.
#[derive(Clone, Debug, Default)]
pub struct Buckets {
    /// Whose they are.
    pub owner: Owner,
    /// Name, when it was made, region.
    pub buckets: Vec<(String, Timestamp, String)>,
    /// What to ask with for more.
    pub continuation_token: Option<String>,
    /// The prefix that was asked for.
    pub prefix: Option<String>,
}

impl Buckets {
    /// The document.
    pub fn document(&self) -> String {
        Document::of("ListAllMyBucketsResult", |xml| {
            self.owner.write("Owner", xml);
            xml.within("Buckets", |xml| {
                for (name, created, region) in &self.buckets {
                    xml.within("Bucket", |xml| {
                        xml.text("Name", name);
                        xml.time("CreationDate", *created);
                        xml.text("BucketRegion", region);
                    });
                }
            });
            xml.maybe("ContinuationToken", self.continuation_token.as_deref());
            xml.maybe("Prefix", self.prefix.as_deref());
        })
    }
}

/// What every listing of a bucket has.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The bucket.
    pub bucket: String,
    /// As asked for; empty if not.
    pub prefix: String,
    /// As asked for.
    pub delimiter: Option<String>,
    /// How many there may be.
    pub max: u32,
    /// Whether there are more.
    pub is_truncated: bool,
    /// Whether keys are url-encoded.
    pub encoding: Encoding,
    /// What keys have in common up to the delimiter.
    pub common_prefixes: Vec<String>,
}

impl Page {
    fn key(&self, name: &str, key: &str, xml: &mut Document) {
        xml.text(name, &self.encoding.of(key));
    }

    fn maybe_key(&self, name: &str, key: Option<&str>, xml: &mut Document) {
        if let Some(key) = key {
            self.key(name, key, xml);
        }
    }

    fn head(&self, xml: &mut Document) {
        xml.text("Name", &self.bucket);
        self.key("Prefix", &self.prefix, xml);
    }

    fn form(&self, xml: &mut Document) {
        self.maybe_key("Delimiter", self.delimiter.as_deref(), xml);
        if self.encoding == Encoding::Url {
            xml.text("EncodingType", "url");
        }
    }

    fn tail(&self, xml: &mut Document) {
        for prefix in &self.common_prefixes {
            xml.within("CommonPrefixes", |xml| self.key("Prefix", prefix, xml));
        }
    }
}

/// An object, or a version of one, as listings show it.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// The key.
    pub key: String,
    /// When it was written.
    pub modified: Timestamp,
    /// Without quotes.
    pub etag: String,
    /// `CRC32`, and `FULL_OBJECT` or `COMPOSITE`.
    pub checksum: Option<(String, String)>,
    /// Bytes.
    pub size: u64,
    /// `STANDARD`
    pub class: String,
    /// Whose it is, where that is told.
    pub owner: Option<Owner>,
}

impl Listed {
    fn content(&self, xml: &mut Document) {
        xml.etag(&self.etag);
        if let Some((algorithm, kind)) = &self.checksum {
            xml.text("ChecksumAlgorithm", algorithm);
            xml.text("ChecksumType", kind);
        }
        xml.value("Size", self.size);
    }

    fn write(&self, page: &Page, xml: &mut Document) {
        xml.within("Contents", |xml| {
            page.key("Key", &self.key, xml);
            xml.time("LastModified", self.modified);
            self.content(xml);
            if let Some(owner) = &self.owner {
                owner.write("Owner", xml);
            }
            xml.text("StorageClass", &self.class);
        });
    }
}

/// ListBucketResult of ListObjects.
#[derive(Clone, Debug, Default)]
pub struct Objects {
    /// What all listings have.
    pub page: Page,
    /// As asked for; empty if not.
    pub marker: String,
    /// Only told with a delimiter, and only if there are more.
    pub next_marker: Option<String>,
    /// The objects. S3 tells their owner here.
    pub contents: Vec<Listed>,
}

impl Objects {
    /// The document.
    pub fn document(&self) -> String {
        let page = &self.page;
        Document::of("ListBucketResult", |xml| {
            page.head(xml);
            page.key("Marker", &self.marker, xml);
            page.maybe_key("NextMarker", self.next_marker.as_deref(), xml);
            xml.value("MaxKeys", page.max);
            page.form(xml);
            xml.value("IsTruncated", page.is_truncated);
            self.contents.iter().for_each(|object| object.write(page, xml));
            page.tail(xml);
        })
    }
}

/// ListBucketResult of ListObjectsV2.
#[derive(Clone, Debug, Default)]
pub struct ObjectsV2 {
    /// What all listings have.
    pub page: Page,
    /// As asked for.
    pub start_after: Option<String>,
    /// As asked for.
    pub continuation_token: Option<String>,
    /// What to ask with for more.
    pub next_continuation_token: Option<String>,
    /// The objects, with their owner if `fetch-owner` asked for it.
    pub contents: Vec<Listed>,
}

impl ObjectsV2 {
    /// The document.
    pub fn document(&self) -> String {
        let page = &self.page;
        Document::of("ListBucketResult", |xml| {
            page.head(xml);
            page.maybe_key("StartAfter", self.start_after.as_deref(), xml);
            xml.maybe("ContinuationToken", self.continuation_token.as_deref());
            xml.maybe("NextContinuationToken", self.next_continuation_token.as_deref());
            xml.value("KeyCount", self.contents.len() + page.common_prefixes.len());
            xml.value("MaxKeys", page.max);
            page.form(xml);
            xml.value("IsTruncated", page.is_truncated);
            self.contents.iter().for_each(|object| object.write(page, xml));
            page.tail(xml);
        })
    }
}

/// One line of ListObjectVersions.
#[derive(Clone, Debug, Default)]
pub struct Version {
    /// The object; of a delete marker only key, time and owner are told.
    pub object: Listed,
    /// `null`, or what the bucket made up.
    pub id: String,
    /// Whether it is what GetObject sees.
    pub is_latest: bool,
    /// Whether it says that the object is gone.
    pub is_marker: bool,
}

/// ListVersionsResult.
#[derive(Clone, Debug, Default)]
pub struct Versions {
    /// What all listings have.
    pub page: Page,
    /// As asked for; empty if not.
    pub key_marker: String,
    /// As asked for; empty if not.
    pub version_id_marker: String,
    /// Where to go on.
    pub next_key_marker: Option<String>,
    /// Where to go on.
    pub next_version_id_marker: Option<String>,
    /// Versions and markers, in the order of keys, the latest first.
    pub versions: Vec<Version>,
}

impl Versions {
    /// The document.
    pub fn document(&self) -> String {
        let page = &self.page;
        Document::of("ListVersionsResult", |xml| {
            page.head(xml);
            page.key("KeyMarker", &self.key_marker, xml);
            xml.text("VersionIdMarker", &self.version_id_marker);
            page.maybe_key("NextKeyMarker", self.next_key_marker.as_deref(), xml);
            xml.maybe("NextVersionIdMarker", self.next_version_id_marker.as_deref());
            xml.value("MaxKeys", page.max);
            page.form(xml);
            xml.value("IsTruncated", page.is_truncated);
            for version in &self.versions {
                let object = &version.object;
                xml.within(if version.is_marker { "DeleteMarker" } else { "Version" }, |xml| {
                    page.key("Key", &object.key, xml);
                    xml.text("VersionId", &version.id);
                    xml.value("IsLatest", version.is_latest);
                    xml.time("LastModified", object.modified);
                    if !version.is_marker {
                        object.content(xml);
                    }
                    if let Some(owner) = &object.owner {
                        owner.write("Owner", xml);
                    }
                    if !version.is_marker {
                        xml.text("StorageClass", &object.class);
                    }
                });
            }
            page.tail(xml);
        })
    }
}

/// An upload under way.
#[derive(Clone, Debug, Default)]
pub struct Upload {
    /// The key.
    pub key: String,
    /// The upload's id.
    pub id: String,
    /// When it began.
    pub initiated: Timestamp,
    /// `STANDARD`
    pub class: String,
    /// Whose it is.
    pub owner: Owner,
    /// `CRC32`, and `FULL_OBJECT` or `COMPOSITE`.
    pub checksum: Option<(String, String)>,
}

/// ListMultipartUploadsResult.
#[derive(Clone, Debug, Default)]
pub struct Uploads {
    /// What all listings have.
    pub page: Page,
    /// As asked for; empty if not.
    pub key_marker: String,
    /// As asked for; empty if not.
    pub upload_id_marker: String,
    /// Where to go on.
    pub next_key_marker: String,
    /// Where to go on.
    pub next_upload_id_marker: String,
    /// In the order of keys, then of time.
    pub uploads: Vec<Upload>,
}

impl Uploads {
    /// The document.
    pub fn document(&self) -> String {
        let page = &self.page;
        Document::of("ListMultipartUploadsResult", |xml| {
            xml.text("Bucket", &page.bucket);
            page.key("KeyMarker", &self.key_marker, xml);
            xml.text("UploadIdMarker", &self.upload_id_marker);
            page.key("NextKeyMarker", &self.next_key_marker, xml);
            page.key("Prefix", &page.prefix, xml);
            page.maybe_key("Delimiter", page.delimiter.as_deref(), xml);
            xml.text("NextUploadIdMarker", &self.next_upload_id_marker);
            xml.value("MaxUploads", page.max);
            if page.encoding == Encoding::Url {
                xml.text("EncodingType", "url");
            }
            xml.value("IsTruncated", page.is_truncated);
            for upload in &self.uploads {
                xml.within("Upload", |xml| {
                    page.key("Key", &upload.key, xml);
                    xml.text("UploadId", &upload.id);
                    upload.owner.write("Initiator", xml);
                    upload.owner.write("Owner", xml);
                    xml.text("StorageClass", &upload.class);
                    xml.time("Initiated", upload.initiated);
                    if let Some((algorithm, kind)) = &upload.checksum {
                        xml.text("ChecksumAlgorithm", algorithm);
                        xml.text("ChecksumType", kind);
                    }
                });
            }
            page.tail(xml);
        })
    }
}

/// One part of an upload or an object.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// When it was written.
    pub modified: Timestamp,
    /// Without quotes.
    pub etag: String,
    /// Bytes.
    pub size: u64,
    /// Its checksum, if it has one.
    pub checksum: Option<Checksum>,
}

/// ListPartsResult.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// The bucket.
    pub bucket: String,
    /// The upload they belong to.
    pub upload: Upload,
    /// As asked for; 0 if not.
    pub marker: u32,
    /// The last part shown; 0 if there is none.
    pub next_marker: u32,
    /// How many there may be.
    pub max: u32,
    /// Whether there are more.
    pub is_truncated: bool,
    /// Ascending.
    pub parts: Vec<Part>,
}

impl Parts {
    /// The document.
    pub fn document(&self) -> String {
        Document::of("ListPartsResult", |xml| {
            xml.text("Bucket", &self.bucket);
            xml.text("Key", &self.upload.key);
            xml.text("UploadId", &self.upload.id);
            self.upload.owner.write("Initiator", xml);
            self.upload.owner.write("Owner", xml);
            xml.text("StorageClass", &self.upload.class);
            xml.value("PartNumberMarker", self.marker);
            xml.value("NextPartNumberMarker", self.next_marker);
            xml.value("MaxParts", self.max);
            xml.value("IsTruncated", self.is_truncated);
            if let Some((algorithm, kind)) = &self.upload.checksum {
                xml.text("ChecksumAlgorithm", algorithm);
                xml.text("ChecksumType", kind);
            }
            for part in &self.parts {
                xml.within("Part", |xml| {
                    xml.value("PartNumber", part.number);
                    xml.time("LastModified", part.modified);
                    xml.etag(&part.etag);
                    xml.value("Size", part.size);
                    super::answers::value_of(part.checksum.as_ref(), xml);
                });
            }
        })
    }
}

#[cfg(test)]
#[path = "listings_tests.rs"]
mod tests;
