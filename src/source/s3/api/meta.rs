//! What is kept with an object beside its content. Pure.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::acl::Grant;
use super::tags::Tag;

/// The checksums of S3, as element names end and as `x-amz-checksum-algorithm` has them.
pub const ALGORITHMS: [&str; 10] =
    ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5", "XXHASH64", "XXHASH3", "XXHASH128"];

/// What is kept with an object: what its writer said, and what we reckoned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Meta {
    /// `content-type` and its like, by the header's name in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The user's own, without `x-amz-meta-`, in lower case.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user: BTreeMap<String, String>,
    /// The tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Who may do what; None is `private`: the owner alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grants: Option<Vec<Grant>>,
    /// None is `STANDARD`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class: Option<String>,
    /// The checksum of the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
    /// The parts of an upload in parts; empty for what came in one piece.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<MetaPart>,
    /// The id of the upload in parts that it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upload: Option<String>,
}

impl Meta {
    /// The storage class, which every object has.
    pub fn class(&self) -> &str {
        self.class.as_deref().unwrap_or("STANDARD")
    }
    /// Whether nothing is said that the content would not say itself.
    pub fn is_plain(&self) -> bool {
        *self == Meta::default()
    }
}

/// A checksum.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// `CRC32`
    pub algorithm: String,
    /// In base64; that of a composite one ends in `-` and the number of its parts.
    pub value: String,
    /// `FULL_OBJECT` or `COMPOSITE`; empty for a part.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

/// One part that an object was put together from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetaPart {
    /// The number its writer gave it.
    pub number: u32,
    /// Bytes.
    pub size: u64,
    /// Its checksum, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checksum: Option<Checksum>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_not_kept() {
        let text = |meta: &Meta| serde_json::to_string(meta).expect("it has only texts");
        assert_eq!(text(&Meta::default()), "{}");
        assert_eq!(serde_json::from_str::<Meta>("{}").ok(), Some(Meta::default()));
        let mut meta = Meta { class: Some("GLACIER".into()), ..Meta::default() };
        meta.user.insert("a".into(), "ü".into());
        meta.parts.push(MetaPart { number: 1, size: 5, checksum: None });
        assert_eq!(text(&meta), r#"{"user":{"a":"ü"},"class":"GLACIER","parts":[{"number":1,"size":5}]}"#);
        assert_eq!(serde_json::from_str(&text(&meta)).ok(), Some(meta));
    }
}
