//! Listings of objects, in both versions of the call, and of versions.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::super::api::acl::Owner;
use super::super::api::errors;
use super::super::api::xml::listings::{self, Listed, Objects, ObjectsV2, Versions};
use super::super::api::xml::write::Encoding;
use super::super::list::{Asked, Page};
use super::super::object::Object;
use super::objects::meta_of;
use super::{Ask, S3Api, document, number};
use crate::aws::{Answer, AwsError};

/// How many keys a page has at most.
const KEYS_MAX: u32 = 1000;

/// What all listings are asked.
fn asked(ask: &Ask<'_>, after: String) -> Result<Asked, AwsError> {
    let text = |name: &str| ask.query(name).unwrap_or_default().to_owned();
    let max = number(ask, "max-keys", KEYS_MAX)?;
    Ok(Asked { prefix: text("prefix"), delimiter: text("delimiter"), after, max: max as usize })
}

pub fn encoding(ask: &Ask<'_>) -> Result<Encoding, AwsError> {
    match ask.query("encoding-type") {
        None | Some("") => Ok(Encoding::Plain),
        Some("url") => Ok(Encoding::Url),
        Some(other) => Err(errors::invalid_argument(
            "Invalid Encoding Method specified in Request",
            "encoding-type",
            other,
        )),
    }
}

fn head(ask: &Ask<'_>, asked: &Asked, page: &Page) -> Result<listings::Page, AwsError> {
    Ok(listings::Page {
        bucket: ask.bucket.spec.name.clone(),
        prefix: asked.prefix.clone(),
        delimiter: Some(asked.delimiter.clone()).filter(|delimiter| !delimiter.is_empty()),
        max: u32::try_from(asked.max).unwrap_or(KEYS_MAX),
        is_truncated: page.next.is_some(),
        encoding: encoding(ask)?,
        common_prefixes: page.prefixes.clone(),
    })
}

fn listed(object: &Object, owner: Option<&Owner>) -> Result<Listed, AwsError> {
    let meta = meta_of(object.meta.as_deref())?;
    Ok(Listed {
        key: object.key.clone(),
        modified: object.modified,
        etag: object.etag.clone(),
        class: meta.class().to_owned(),
        checksum: meta.checksum.map(|checksum| (checksum.algorithm, checksum.kind)),
        size: object.size,
        owner: owner.cloned(),
    })
}

impl S3Api {
    pub(super) async fn list_objects(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let marker = ask.query("marker").unwrap_or_default().to_owned();
        let asked = asked(ask, marker.clone())?;
        ask.bucket.catch_up().await;
        let page = ask.bucket.list(&asked).await?;
        let owner = self.owner();
        let contents = page.objects.iter().map(|object| listed(object, Some(&owner)));
        let told = Objects {
            page: head(ask, &asked, &page)?,
            marker,
            contents: contents.collect::<Result<_, _>>()?,
            // Without a delimiter the last key says it.
            next_marker: page.next.map(|next| next.key).filter(|_| !asked.delimiter.is_empty()),
        };
        Ok(document(told.document()))
    }

    pub(super) async fn list_objects_v2(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let start_after = ask.query("start-after").map(str::to_owned);
        let token = ask.query("continuation-token").map(str::to_owned);
        let after = match &token {
            Some(token) => read_token(token)
                .ok_or_else(|| errors::bad_argument("The continuation token provided is incorrect"))?,
            None => start_after.clone().unwrap_or_default(),
        };
        let mut asked = asked(ask, after)?;
        if token.is_none() && asked.after.ends_with(&asked.delimiter) && !asked.delimiter.is_empty() {
            // Only a page's own end stands for all that begins with it.
            asked.after.push('\0');
        }
        ask.bucket.catch_up().await;
        let page = ask.bucket.list(&asked).await?;
        let owner = self.owner();
        let owner = (ask.query("fetch-owner") == Some("true")).then_some(&owner);
        let contents = page.objects.iter().map(|object| listed(object, owner));
        let told = ObjectsV2 {
            page: head(ask, &asked, &page)?,
            start_after,
            continuation_token: token,
            contents: contents.collect::<Result<_, _>>()?,
            next_continuation_token: page.next.map(|next| URL_SAFE_NO_PAD.encode(next.key)),
        };
        Ok(document(told.document()))
    }

    pub(super) async fn list_object_versions(&self, ask: &Ask<'_>) -> Result<Answer, AwsError> {
        let text = |name: &str| ask.query(name).unwrap_or_default().to_owned();
        let (key_marker, version_id_marker) = (text("key-marker"), text("version-id-marker"));
        if key_marker.is_empty() && !version_id_marker.is_empty() {
            let message = "A version-id marker cannot be specified without a key marker.";
            return Err(errors::invalid_argument(message, "version-id-marker", version_id_marker));
        }
        let asked = asked(ask, key_marker.clone())?;
        let after = match version_id_marker.as_str() {
            "" => None,
            version => {
                let message = "Invalid version id specified";
                let refused = || errors::invalid_argument(message, "version-id-marker", version);
                Some(ask.bucket.sequencer_of(&key_marker, version).await?.ok_or_else(refused)?)
            }
        };
        ask.bucket.catch_up().await;
        let page = ask.bucket.list_versions(&asked, after).await?;
        let owner = self.owner();
        let versions = page.objects.iter().map(|object| {
            Ok(listings::Version {
                object: listed(object, Some(&owner))?,
                id: object.version.clone().unwrap_or_else(|| "null".to_owned()),
                is_latest: object.latest,
                is_marker: object.marker,
            })
        });
        let next = page.next.clone();
        let told = Versions {
            page: head(ask, &asked, &page)?,
            key_marker,
            version_id_marker,
            versions: versions.collect::<Result<_, AwsError>>()?,
            next_version_id_marker: next.as_ref().and_then(|next| next.version.clone()),
            next_key_marker: next.map(|next| next.key),
        };
        Ok(document(told.document()))
    }
}

fn read_token(token: &str) -> Option<String> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}
