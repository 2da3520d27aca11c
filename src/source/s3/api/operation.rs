//! Every operation of S3, and the sub-resource of the query that names it. Pure.

use Operation::*;
use http::Method;

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are AWS's own")]
pub enum Operation {
    ListBuckets,
    CreateBucket,
    DeleteBucket,
    HeadBucket,
    GetBucketLocation,
    ListObjects,
    ListObjectsV2,
    ListObjectVersions,
    GetBucketVersioning,
    PutBucketVersioning,
    GetBucketCors,
    PutBucketCors,
    DeleteBucketCors,
    GetBucketLifecycle,
    PutBucketLifecycle,
    DeleteBucketLifecycle,
    GetBucketNotification,
    PutBucketNotification,
    GetBucketAcl,
    PutBucketAcl,
    GetBucketTagging,
    PutBucketTagging,
    DeleteBucketTagging,
    DeleteObjects,
    ListMultipartUploads,
    PostObject,
    GetObject,
    HeadObject,
    PutObject,
    CopyObject,
    DeleteObject,
    GetObjectAttributes,
    GetObjectTagging,
    PutObjectTagging,
    DeleteObjectTagging,
    GetObjectAcl,
    PutObjectAcl,
    CreateMultipartUpload,
    UploadPart,
    UploadPartCopy,
    ListParts,
    CompleteMultipartUpload,
    AbortMultipartUpload,
    /// `OPTIONS`, as browsers ask before they ask.
    Preflight,
    /// An operation of S3 that we do not have, by its name.
    NotBuilt(&'static str),
}

/// What one sub-resource means to each method.
pub(super) struct Resource {
    pub(super) name: &'static str,
    pub(super) get: Option<Operation>,
    pub(super) put: Option<Operation>,
    pub(super) post: Option<Operation>,
    pub(super) delete: Option<Operation>,
}

impl Resource {
    /// What this method does with it.
    pub(super) fn operation(&self, method: &Method) -> Option<Operation> {
        match *method {
            Method::GET => self.get,
            Method::PUT => self.put,
            Method::POST => self.post,
            Method::DELETE => self.delete,
            _ => None,
        }
    }
}

const fn read(name: &'static str, get: Operation) -> Resource {
    Resource { name, get: Some(get), put: None, post: None, delete: None }
}

const fn kept(name: &'static str, get: Operation, put: Operation) -> Resource {
    Resource { name, get: Some(get), put: Some(put), post: None, delete: None }
}

const fn full(name: &'static str, get: Operation, put: Operation, delete: Operation) -> Resource {
    Resource { name, get: Some(get), put: Some(put), post: None, delete: Some(delete) }
}

const fn put(name: &'static str, put: Operation) -> Resource {
    Resource { name, get: None, put: Some(put), post: None, delete: None }
}

const fn post(name: &'static str, post: Operation) -> Resource {
    Resource { name, get: None, put: None, post: Some(post), delete: None }
}

const fn made(name: &'static str, get: Operation, post: Operation, delete: Operation) -> Resource {
    Resource { name, get: Some(get), put: None, post: Some(post), delete: Some(delete) }
}

/// The sub-resources of buckets.
pub(super) const OF_BUCKETS: &[Resource] = &[
    read("location", GetBucketLocation),
    read("versions", ListObjectVersions),
    read("uploads", ListMultipartUploads),
    kept("versioning", GetBucketVersioning, PutBucketVersioning),
    kept("notification", GetBucketNotification, PutBucketNotification),
    kept("acl", GetBucketAcl, PutBucketAcl),
    full("cors", GetBucketCors, PutBucketCors, DeleteBucketCors),
    full("lifecycle", GetBucketLifecycle, PutBucketLifecycle, DeleteBucketLifecycle),
    full("tagging", GetBucketTagging, PutBucketTagging, DeleteBucketTagging),
    post("delete", DeleteObjects),
    read("session", NotBuilt("CreateSession")),
    read("policyStatus", NotBuilt("GetBucketPolicyStatus")),
    full("policy", NotBuilt("GetBucketPolicy"), NotBuilt("PutBucketPolicy"), NotBuilt("DeleteBucketPolicy")),
    full(
        "website",
        NotBuilt("GetBucketWebsite"),
        NotBuilt("PutBucketWebsite"),
        NotBuilt("DeleteBucketWebsite"),
    ),
    full(
        "encryption",
        NotBuilt("GetBucketEncryption"),
        NotBuilt("PutBucketEncryption"),
        NotBuilt("DeleteBucketEncryption"),
    ),
    full(
        "replication",
        NotBuilt("GetBucketReplication"),
        NotBuilt("PutBucketReplication"),
        NotBuilt("DeleteBucketReplication"),
    ),
    full(
        "ownershipControls",
        NotBuilt("GetBucketOwnershipControls"),
        NotBuilt("PutBucketOwnershipControls"),
        NotBuilt("DeleteBucketOwnershipControls"),
    ),
    full(
        "publicAccessBlock",
        NotBuilt("GetPublicAccessBlock"),
        NotBuilt("PutPublicAccessBlock"),
        NotBuilt("DeletePublicAccessBlock"),
    ),
    full(
        "analytics",
        NotBuilt("GetBucketAnalyticsConfiguration"),
        NotBuilt("PutBucketAnalyticsConfiguration"),
        NotBuilt("DeleteBucketAnalyticsConfiguration"),
    ),
    full(
        "inventory",
        NotBuilt("GetBucketInventoryConfiguration"),
        NotBuilt("PutBucketInventoryConfiguration"),
        NotBuilt("DeleteBucketInventoryConfiguration"),
    ),
    full(
        "metrics",
        NotBuilt("GetBucketMetricsConfiguration"),
        NotBuilt("PutBucketMetricsConfiguration"),
        NotBuilt("DeleteBucketMetricsConfiguration"),
    ),
    full(
        "intelligent-tiering",
        NotBuilt("GetBucketIntelligentTieringConfiguration"),
        NotBuilt("PutBucketIntelligentTieringConfiguration"),
        NotBuilt("DeleteBucketIntelligentTieringConfiguration"),
    ),
    kept(
        "accelerate",
        NotBuilt("GetBucketAccelerateConfiguration"),
        NotBuilt("PutBucketAccelerateConfiguration"),
    ),
    kept("logging", NotBuilt("GetBucketLogging"), NotBuilt("PutBucketLogging")),
    kept("requestPayment", NotBuilt("GetBucketRequestPayment"), NotBuilt("PutBucketRequestPayment")),
    kept("object-lock", NotBuilt("GetObjectLockConfiguration"), NotBuilt("PutObjectLockConfiguration")),
    kept("abac", NotBuilt("GetBucketAbac"), NotBuilt("PutBucketAbac")),
    made(
        "metadataConfiguration",
        NotBuilt("GetBucketMetadataConfiguration"),
        NotBuilt("CreateBucketMetadataConfiguration"),
        NotBuilt("DeleteBucketMetadataConfiguration"),
    ),
    made(
        "metadataTable",
        NotBuilt("GetBucketMetadataTableConfiguration"),
        NotBuilt("CreateBucketMetadataTableConfiguration"),
        NotBuilt("DeleteBucketMetadataTableConfiguration"),
    ),
    put("metadataInventoryTable", NotBuilt("UpdateBucketMetadataInventoryTableConfiguration")),
    put("metadataJournalTable", NotBuilt("UpdateBucketMetadataJournalTableConfiguration")),
    put("metadataAnnotationTable", NotBuilt("UpdateBucketMetadataAnnotationTableConfiguration")),
];

/// The sub-resources of objects.
pub(super) const OF_OBJECTS: &[Resource] = &[
    read("attributes", GetObjectAttributes),
    kept("acl", GetObjectAcl, PutObjectAcl),
    full("tagging", GetObjectTagging, PutObjectTagging, DeleteObjectTagging),
    post("uploads", CreateMultipartUpload),
    read("torrent", NotBuilt("GetObjectTorrent")),
    kept("legal-hold", NotBuilt("GetObjectLegalHold"), NotBuilt("PutObjectLegalHold")),
    kept("retention", NotBuilt("GetObjectRetention"), NotBuilt("PutObjectRetention")),
    post("restore", NotBuilt("RestoreObject")),
    post("select", NotBuilt("SelectObjectContent")),
    put("renameObject", NotBuilt("RenameObject")),
    put("encryption", NotBuilt("UpdateObjectEncryption")),
    full(
        "annotation",
        NotBuilt("GetObjectAnnotation"),
        NotBuilt("PutObjectAnnotation"),
        NotBuilt("DeleteObjectAnnotation"),
    ),
];
