//! What a bucket says to people, each thing once.

use std::collections::HashSet;
use std::sync::Arc;

use super::Bucket;
use super::survey::Root;
use super::walk::Remark;

/// How many different remarks are told before the rest stays unsaid.
const REMARKS_MAX: usize = 500;

/// What has been said of one bucket.
pub struct Said {
    bucket: Arc<Bucket>,
    remarks: HashSet<Remark>,
    /// The bucket's folder cannot be reached.
    lost: bool,
    polled: bool,
}

impl Said {
    /// Nothing yet.
    pub fn nothing(bucket: Arc<Bucket>) -> Said {
        Said { bucket, remarks: HashSet::new(), lost: false, polled: false }
    }
    /// Says it, unless it was said.
    pub fn remark(&mut self, remark: Remark) {
        if self.remarks.len() > REMARKS_MAX || self.remarks.contains(&remark) {
            return;
        }
        let path = self.bucket.spec.folder.join(&remark.key);
        let text = format!("{} {}", path.display(), remark.text);
        self.remarks.insert(remark);
        if self.remarks.len() > REMARKS_MAX {
            self.bucket.notice("info", "more is passed by, which is not named any more".into());
        } else {
            self.bucket.notice("info", text);
        }
    }
    /// Says why the folder is looked through every second.
    pub fn polled(&mut self, why: &str) {
        if !self.polled {
            self.polled = true;
            self.bucket.notice("warning", format!("{why}; it is looked through every second instead"));
        }
    }
    /// Says when the bucket's own folder vanishes and when it is back. True if it is there.
    pub fn root(&mut self, root: &Root) -> bool {
        let folder = self.bucket.spec.folder.display();
        let there = *root == Root::There;
        let text = match root {
            Root::There => format!("the folder {folder} is back"),
            Root::Missing => {
                format!("the folder {folder} is gone, and its objects with it; make it again to go on")
            }
            Root::Closed(why) => format!(
                "the folder {folder} cannot be read: {why}; its objects are taken to be unchanged until it can"
            ),
        };
        if there == self.lost {
            self.lost = !there;
            self.bucket.notice(if there { "info" } else { "warning" }, text);
        }
        there
    }
}

impl Remark {
    /// Something that is no object.
    pub fn other(key: &str, what: &str) -> Remark {
        let text = match what {
            "a symbolic link" => "is a symbolic link and is not followed".to_owned(),
            "a fifo, socket or device" => "is a fifo, socket or device, which is no object".to_owned(),
            what => format!("is {what}, which is not followed"),
        };
        Remark { key: key.to_owned(), text }
    }
    /// Something whose path is too long.
    pub fn too_long(key: &str) -> Remark {
        let text = "is longer than 1,024 bytes, the longest key that S3 has; it is passed by".to_owned();
        Remark { key: key.to_owned(), text }
    }
    /// Something whose name is no text.
    pub fn no_key(shown: &str) -> Remark {
        let text = "has a name that is no UTF-8, which no key can have; it is passed by".to_owned();
        Remark { key: shown.to_owned(), text }
    }
    /// Something that cannot be read.
    pub fn refused(key: &str, why: &str) -> Remark {
        Remark { key: key.to_owned(), text: format!("cannot be read: {why}; it is tried again") }
    }
    /// A file that somebody keeps open.
    pub fn open(key: &str) -> Remark {
        let text = "is still open for writing; its event comes when it is closed".to_owned();
        Remark { key: key.to_owned(), text }
    }
}
