//! Listings, to the letter.

use super::*;

fn body(document: &str) -> &str {
    document.split_once("2006-03-01/\">").map_or("", |(_, body)| body)
}

fn page() -> Page {
    Page {
        bucket: "b".into(),
        prefix: "a b/".into(),
        delimiter: Some("/".into()),
        max: 1000,
        encoding: Encoding::Url,
        common_prefixes: vec!["a b/c+/".into()],
        ..Page::default()
    }
}

fn listed() -> Listed {
    Listed {
        key: "a b/ü".into(),
        modified: Timestamp::from_millis(1_700_000_000_999),
        etag: "e".into(),
        checksum: Some(("CRC32".into(), "FULL_OBJECT".into())),
        size: 3,
        class: "STANDARD".into(),
        owner: None,
    }
}

const CONTENTS: &str = "<Key>a+b/%C3%BC</Key><LastModified>2023-11-14T22:13:20.000Z</LastModified>\
                        <ETag>&quot;e&quot;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>\
                        <ChecksumType>FULL_OBJECT</ChecksumType><Size>3</Size><StorageClass>STANDARD</StorageClass>";
const PREFIXES: &str = "<CommonPrefixes><Prefix>a+b/c%2B/</Prefix></CommonPrefixes>";

#[test]
fn objects_are_listed_in_the_old_way() {
    let list = Objects { page: page(), contents: vec![listed()], ..Objects::default() };
    let expected = format!(
        "<Name>b</Name><Prefix>a+b/</Prefix><Marker></Marker><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter>\
         <EncodingType>url</EncodingType><IsTruncated>false</IsTruncated><Contents>{CONTENTS}</Contents>{PREFIXES}\
         </ListBucketResult>"
    );
    assert_eq!(body(&list.document()), expected);
}

#[test]
fn objects_are_listed_in_the_new_way() {
    let list = ObjectsV2 {
        page: page(),
        start_after: Some("a b".into()),
        next_continuation_token: Some("t".into()),
        contents: vec![listed()],
        ..ObjectsV2::default()
    };
    let expected = format!(
        "<Name>b</Name><Prefix>a+b/</Prefix><StartAfter>a+b</StartAfter>\
         <NextContinuationToken>t</NextContinuationToken><KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys>\
         <Delimiter>/</Delimiter><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>\
         <Contents>{CONTENTS}</Contents>{PREFIXES}</ListBucketResult>"
    );
    assert_eq!(body(&list.document()), expected);
}

#[test]
fn versions_and_markers_are_listed_together() {
    let plain = Listed { checksum: None, owner: Some(Owner::of("1")), ..listed() };
    let versions = vec![
        Version { object: plain.clone(), id: "v2".into(), is_latest: true, is_marker: true },
        Version { object: plain, id: "v1".into(), is_latest: false, is_marker: false },
    ];
    let list = Versions {
        page: Page { bucket: "b".into(), max: 2, ..Page::default() },
        versions,
        ..Versions::default()
    };
    let owner = format!("<Owner><ID>{}</ID></Owner>", Owner::of("1").id);
    let expected = format!(
        "<Name>b</Name><Prefix></Prefix><KeyMarker></KeyMarker><VersionIdMarker></VersionIdMarker><MaxKeys>2</MaxKeys>\
         <IsTruncated>false</IsTruncated><DeleteMarker><Key>a b/ü</Key><VersionId>v2</VersionId>\
         <IsLatest>true</IsLatest><LastModified>2023-11-14T22:13:20.000Z</LastModified>{owner}</DeleteMarker>\
         <Version><Key>a b/ü</Key><VersionId>v1</VersionId><IsLatest>false</IsLatest>\
         <LastModified>2023-11-14T22:13:20.000Z</LastModified><ETag>&quot;e&quot;</ETag><Size>3</Size>{owner}\
         <StorageClass>STANDARD</StorageClass></Version></ListVersionsResult>"
    );
    assert_eq!(body(&list.document()), expected);
}

#[test]
fn parts_have_their_checksums() {
    let checksum = Checksum { algorithm: "SHA256".into(), value: "AA==".into(), kind: "COMPOSITE".into() };
    let part = Part { number: 1, etag: "e".into(), size: 5, checksum: Some(checksum), ..Part::default() };
    let list = Parts { bucket: "b".into(), max: 1000, parts: vec![part], next_marker: 1, ..Parts::default() };
    let expected = "<Part><PartNumber>1</PartNumber><LastModified>1970-01-01T00:00:00.000Z</LastModified>\
                    <ETag>&quot;e&quot;</ETag><Size>5</Size><ChecksumSHA256>AA==</ChecksumSHA256></Part>";
    assert!(list.document().contains(expected), "{}", list.document());
}
