//! Code that a request brings or names: a zip in its body, or an object of a bucket.

use std::path::{Component, Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::Lambda;
use super::archive::{ArchiveError, UNZIPPED_MAX};
use super::check::Constraints;
use super::code::Hold;
use super::errors::{broken, invalid};
use super::requested::refused;
use super::shapes::BUCKET;
use crate::aws::AwsError;

/// Where the code of a request is.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct CodeRequest {
    /// base64 of a zip file.
    pub zip_file: Option<String>,
    /// The bucket of an object.
    #[serde(rename = "S3Bucket")]
    pub bucket: Option<String>,
    /// Its key.
    #[serde(rename = "S3Key")]
    pub key: Option<String>,
    /// Its version.
    #[serde(rename = "S3ObjectVersion")]
    pub object_version: Option<String>,
    /// A container image.
    pub image_uri: Option<String>,
    /// Everything else: nothing is taken that would then be ignored.
    #[serde(flatten)]
    pub rest: Map<String, Value>,
}

/// A zip in a request is at most this long, in bytes.
const ZIPPED_MAX: usize = 52_428_800;
/// The one text for whatever is wrong with a zip.
const NO_ZIP: &str = "Could not unzip uploaded file. Please check your file, then try to upload again.";

impl CodeRequest {
    /// The rules that need no look at the code; `field` is what its members are called: `code.`, or nothing.
    pub fn check(&self, field: &str) -> Result<(), AwsError> {
        let mut constraints = Constraints::new();
        constraints.length(&format!("{field}s3Bucket"), self.bucket.as_deref(), 3, 63);
        constraints.shape(&format!("{field}s3Bucket"), self.bucket.as_deref(), &BUCKET);
        constraints.length(&format!("{field}s3Key"), self.key.as_deref(), 1, 1024);
        constraints.finish()?;
        if self.image_uri.is_some() && field.is_empty() {
            return Err(invalid(
                "Please don't provide ImageUri when updating a function with packageType Zip.",
            ));
        }
        if self.image_uri.is_some() {
            return Err(invalid(
                "dropwire does not take ImageUri: functions here are made of zip files, not of container images",
            ));
        }
        super::requested::nothing_else(&self.rest)?;
        if self.object_version.is_some() {
            return Err(invalid(
                "dropwire does not take S3ObjectVersion: the buckets here keep no versions of their objects yet",
            ));
        }
        match (&self.zip_file, &self.bucket, &self.key) {
            (Some(_), None, None) | (None, Some(_), Some(_)) => Ok(()),
            (Some(_), ..) => {
                Err(invalid("Please do not provide other FunctionCode parameters when providing a ZipFile."))
            }
            _ => Err(invalid("Please provide a source for function code.")),
        }
    }
}

impl Lambda {
    /// Keeps the code that a request brings, for this owner. It was checked before.
    pub(super) async fn package(&self, owner: &str, code: CodeRequest) -> Result<Hold, AwsError> {
        let source = match (code.zip_file, code.bucket, code.key) {
            (Some(zip), ..) => Source::Body(zip),
            (None, Some(bucket), Some(key)) => {
                let folder = self.registry.world().around.buckets.get(&bucket).cloned();
                let missing = || not_got("NoSuchBucket", "The specified bucket does not exist");
                Source::Object(folder.ok_or_else(missing)?, key)
            }
            _ => return Err(refused("Code")),
        };
        let (store, of) = (self.code.clone(), owner.to_owned());
        let kept = tokio::task::spawn_blocking(move || {
            let zip = source.read()?;
            Ok::<_, AwsError>(store.keep_zip(&of, &zip))
        });
        let kept =
            kept.await.map_err(|_| broken("the code could not be unpacked; dropwire is stopping"))??;
        kept.map_err(|error| self.not_kept(owner, error))
    }

    /// Why code was not kept, as the caller hears it; the timeline hears the reason.
    pub(super) fn not_kept(&self, owner: &str, error: ArchiveError) -> AwsError {
        match error {
            ArchiveError::Bad(reason) => {
                let text = format!("the zip file for `{owner}` is refused: {reason}");
                self.ground.timeline.notice(self.ground.clock.now(), "warning", text);
                invalid(NO_ZIP)
            }
            ArchiveError::Large => {
                invalid(format!("Unzipped size must be smaller than {UNZIPPED_MAX} bytes"))
            }
            ArchiveError::Disk(error) => {
                let folder = self.ground.folder.display();
                broken(format!("cannot keep the code of `{owner}` in {folder}: {error}; is the disk full?"))
            }
        }
    }
}

enum Source {
    /// base64 of the zip.
    Body(String),
    /// A bucket's folder, and a key.
    Object(PathBuf, String),
}

impl Source {
    fn read(self) -> Result<Vec<u8>, AwsError> {
        match self {
            Source::Body(text) => {
                let zip = STANDARD.decode(text.as_bytes()).map_err(|error| {
                    let why =
                        format!("Could not parse request body into json: ZipFile is no base64: {error}");
                    AwsError::new(400, "SerializationException", why)
                })?;
                if zip.len() > ZIPPED_MAX {
                    let message = format!("Zipped size must be smaller than {ZIPPED_MAX} bytes");
                    return Err(AwsError::new(413, "RequestEntityTooLargeException", message));
                }
                Ok(zip)
            }
            Source::Object(folder, key) => {
                let path = object(&folder, &key)
                    .ok_or_else(|| not_got("NoSuchKey", "The specified key does not exist."))?;
                let size = path.metadata().map_or(0, |found| found.len());
                if size > UNZIPPED_MAX {
                    return Err(invalid(format!("Unzipped size must be smaller than {UNZIPPED_MAX} bytes")));
                }
                std::fs::read(&path).map_err(|error| {
                    broken(format!("cannot read {}: {error}; is it readable by you?", path.display()))
                })
            }
        }
    }
}

/// The file of an object; None if there is none, or if it lies outside of the bucket's folder.
fn object(folder: &Path, key: &str) -> Option<PathBuf> {
    let plain = Path::new(key).components().all(|part| matches!(part, Component::Normal(_)));
    if key.contains('\0') || !plain {
        return None;
    }
    let path = folder.join(key).canonicalize().ok()?;
    let inside = path.starts_with(folder.canonicalize().ok()?);
    (inside && path.is_file()).then_some(path)
}

fn not_got(code: &str, message: &str) -> AwsError {
    invalid(format!("Error occurred while GetObject. S3 Error Code: {code}. S3 Error Message: {message}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_lies_in_its_bucket() {
        let root = tempfile::tempdir().expect("a folder");
        let folder = root.path().join("bucket");
        std::fs::create_dir_all(folder.join("a")).expect("a folder");
        std::fs::write(folder.join("a/code.zip"), "x").expect("a file");
        std::fs::write(root.path().join("secret"), "x").expect("a file");
        std::os::unix::fs::symlink(root.path().join("secret"), folder.join("link")).expect("a link");
        let check = |key: &str, there: bool| assert_eq!(object(&folder, key).is_some(), there, "{key}");
        check("a/code.zip", true);
        check("a", false);
        check("b", false);
        check("../secret", false);
        check("a/../../secret", false);
        check("/etc/passwd", false);
        check("link", false);
    }
}
