//! Laws of reading and writing, over random documents.

use proptest::prelude::*;

use super::read::{document, is_lawful};
use super::requests::{Complete, CreateBucket, Delete, Versioning};
use super::write::Document;

proptest! {
    #[test]
    fn no_document_is_too_odd(body in "(<[/?!]?[A-Za-z:]{0,6}[ \"='xmlns:]{0,6}/?>|&[#a-z0-9;]{0,6}|\\PC{0,4}|<!\\[CDATA\\[|\\]\\]>|<!--|-->){0,12}") {
        let _ = document(body.as_bytes(), "A");
        let _ = Delete::read(body.as_bytes());
    }

    #[test]
    fn no_bytes_are_too_odd(body in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = document(&body, "A");
    }

    #[test]
    fn odd_requests_are_read_or_refused(
        parts in proptest::collection::vec("</?(Object|Key|Part|PartNumber|ETag|Quiet|Status|LocationConstraint)>|[a-z0-9]{0,5}", 0..12),
        root in "Delete|CompleteMultipartUpload|VersioningConfiguration|CreateBucketConfiguration",
    ) {
        let body = format!("<{root}>{}</{root}>", parts.concat());
        let _ = Delete::read(body.as_bytes());
        let _ = Complete::read(body.as_bytes(), "u");
        let _ = Versioning::read(body.as_bytes());
        let _ = CreateBucket::read(body.as_bytes());
    }

    #[test]
    fn what_is_written_is_read_again(text in any::<String>()) {
        let written = Document::of("A", |xml| xml.text("B", &text));
        let expected: String = text.chars().map(|c| if is_lawful(c) { c } else { '\u{fffd}' }).collect();
        let read = document(written.as_bytes(), "A").expect("it is well-formed");
        prop_assert_eq!(read.needed("B").ok(), Some(expected.as_str()));
    }
}
