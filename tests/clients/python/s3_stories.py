"""Stories of S3, told with boto3: `s3_stories.py STORY ENDPOINT FOLDER`.

Each one asserts what AWS would answer. FOLDER is the project folder of the dropwire at ENDPOINT; the bucket `uploads`
is its folder `buckets/uploads`.
"""
import base64
import concurrent.futures
import hashlib
import io
import os
import pathlib
import re
import socket
import sys
import urllib.error
import urllib.request
import zipfile
import zlib

import boto3
import botocore.config
from botocore.exceptions import ClientError


def client(service="s3", **more):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=60, **more)
    return boto3.client(service, endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id="test",
                        aws_secret_access_key="test", config=config)


def refused(code, call, **asked):
    try:
        call(**asked)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return error.response
    raise AssertionError("%s was not refused with %s" % (asked, code))


def raw(content):
    return zlib.crc32(content).to_bytes(4, "big")


def checksum(content):
    return base64.b64encode(raw(content)).decode()


def files(s3):
    """What is put is a file, and what is dropped is an object."""
    put = s3.put_object(Bucket="uploads", Key="a/b c+ü.txt", Body=b"hello", ContentType="text/plain",
                        Metadata={"colour": "blue"}, Tagging="k=v")
    assert put["ETag"] == '"5d41402abc4b2a76b9719d911017c592"', put
    file = FOLDER / "buckets/uploads/a/b c+ü.txt"
    assert file.read_text() == "hello"
    got = s3.get_object(Bucket="uploads", Key="a/b c+ü.txt")
    assert got["Body"].read() == b"hello"
    assert (got["ContentType"], got["Metadata"], got["TagCount"]) == ("text/plain", {"colour": "blue"}, 1), got
    (FOLDER / "buckets/uploads/dropped.txt").write_text("dropped")
    listed = [each["Key"] for each in s3.list_objects_v2(Bucket="uploads")["Contents"]]
    assert listed == ["a/b c+ü.txt", "dropped.txt"], listed
    got = s3.get_object(Bucket="uploads", Key="dropped.txt", Range="bytes=1-3")
    assert (got["Body"].read(), got["ContentRange"]) == (b"rop", "bytes 1-3/7"), got
    assert s3.head_object(Bucket="uploads", Key="dropped.txt")["ContentType"] == "binary/octet-stream"
    # What people change is another object, without what the call had said of it.
    file.write_text("by hand")
    got = s3.get_object(Bucket="uploads", Key="a/b c+ü.txt")
    assert (got["Body"].read(), got["Metadata"]) == (b"by hand", {}), got
    s3.delete_object(Bucket="uploads", Key="a/b c+ü.txt")
    assert not file.exists()
    refused("NoSuchKey", s3.get_object, Bucket="uploads", Key="a/b c+ü.txt")
    refused("InvalidRange", s3.get_object, Bucket="uploads", Key="dropped.txt", Range="bytes=9-")
    refused("404", s3.head_object, Bucket="uploads", Key="nothing")
    refused("304", s3.get_object, Bucket="uploads", Key="dropped.txt",
            IfNoneMatch=s3.head_object(Bucket="uploads", Key="dropped.txt")["ETag"])
    refused("PreconditionFailed", s3.put_object, Bucket="uploads", Key="dropped.txt", Body=b"", IfNoneMatch="*")
    refused("BadDigest", s3.put_object, Bucket="uploads", Key="bad", Body=b"x", ChecksumCRC32="AAAAAA==")
    assert sorted(path.name for path in (FOLDER / "buckets/uploads").rglob("*")) == ["a", "dropped.txt"]


def odd_keys(s3):
    """Keys that no file can have never leave the bucket."""
    s3.put_object(Bucket="uploads", Key="n", Body=b"n")
    odd = ["n/m", "a//b", "dir/", "x" * 1024]
    for key in odd:
        s3.put_object(Bucket="uploads", Key=key, Body=key.encode())
    for key in odd:
        assert s3.get_object(Bucket="uploads", Key=key)["Body"].read() == key.encode(), key
    listed = [one["Key"] for one in s3.list_objects_v2(Bucket="uploads")["Contents"]]
    assert listed == sorted(odd + ["n"]), listed
    refused("KeyTooLongError", s3.put_object, Bucket="uploads", Key="x" * 1025, Body=b"")
    for path in ("..%2Fout", "%2e%2e/out", "a/%2e%2e/%2e%2e/%2e%2e/out", "..%2f..%2f..%2fetc%2fpasswd"):
        request = urllib.request.Request("%s/uploads/%s" % (ENDPOINT, path), data=b"out", method="PUT")
        assert urllib.request.urlopen(request).status == 200, path
    assert not list(FOLDER.rglob("out")) and not list(FOLDER.parent.glob("out"))
    link = FOLDER / "buckets/uploads/link"
    link.symlink_to(FOLDER)
    s3.put_object(Bucket="uploads", Key="link/planted", Body=b"x")
    assert not (FOLDER / "planted").exists()
    assert s3.get_object(Bucket="uploads", Key="link/planted")["Body"].read() == b"x"


def parts(s3):
    """boto3's transfer manager, and uploads by hand."""
    big = os.urandom(12 << 20)
    s3.upload_fileobj(io.BytesIO(big), "uploads", "big.bin")
    assert (FOLDER / "buckets/uploads/big.bin").read_bytes() == big
    back = io.BytesIO()
    s3.download_fileobj("uploads", "big.bin", back)
    assert back.getvalue() == big
    head = s3.head_object(Bucket="uploads", Key="big.bin")
    halves = [hashlib.md5(big[:8 << 20]).digest(), hashlib.md5(big[8 << 20:]).digest()]
    assert head["ETag"] == '"%s-2"' % hashlib.md5(b"".join(halves)).hexdigest(), head
    assert s3.head_object(Bucket="uploads", Key="big.bin", PartNumber=2)["ContentLength"] == 4 << 20
    upload = s3.create_multipart_upload(Bucket="uploads", Key="m")["UploadId"]
    by = {"Bucket": "uploads", "Key": "m", "UploadId": upload}
    small = s3.upload_part(PartNumber=1, Body=b"x", **by)["ETag"]
    copied = s3.upload_part_copy(PartNumber=2, CopySource={"Bucket": "uploads", "Key": "big.bin"},
                                 CopySourceRange="bytes=0-9", **by)["CopyPartResult"]["ETag"]
    assert [part["Size"] for part in s3.list_parts(**by)["Parts"]] == [1, 10]
    assert [one["Key"] for one in s3.list_multipart_uploads(Bucket="uploads")["Uploads"]] == ["m"]
    both = {"Parts": [{"PartNumber": 1, "ETag": small}, {"PartNumber": 2, "ETag": copied}]}
    refused("EntityTooSmall", s3.complete_multipart_upload, MultipartUpload=both, **by)
    refused("InvalidPart", s3.complete_multipart_upload,
            MultipartUpload={"Parts": [{"PartNumber": 3, "ETag": small}]}, **by)
    second = {"Parts": both["Parts"][1:]}
    refused("InvalidRequest", s3.complete_multipart_upload, MultipartUpload=second, MpuObjectSize=11, **by)
    done = s3.complete_multipart_upload(MultipartUpload=second, MpuObjectSize=10, **by)
    # Whoever did not hear the answer gets it once more.
    again = s3.complete_multipart_upload(MultipartUpload=second, **by)
    assert (again["ETag"], again["Location"]) == (done["ETag"], done["Location"]), again
    assert (FOLDER / "buckets/uploads/m").read_bytes() == big[:10]
    refused("NoSuchUpload", s3.abort_multipart_upload, **by)
    refused("NoSuchUpload", s3.upload_part, PartNumber=1, Body=b"x", **by)
    # Who completes an upload may say which checksum the whole has.
    for kind, said in (("FULL_OBJECT", checksum(big[:12])), ("COMPOSITE", checksum(raw(big[:12])) + "-1")):
        upload = s3.create_multipart_upload(Bucket="uploads", Key="s", ChecksumAlgorithm="CRC32", ChecksumType=kind)
        by = {"Bucket": "uploads", "Key": "s", "UploadId": upload["UploadId"]}
        part = s3.upload_part(PartNumber=1, Body=big[:12], ChecksumAlgorithm="CRC32", **by)
        by["MultipartUpload"] = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
        refused("BadDigest", s3.complete_multipart_upload, ChecksumCRC32="AAAAAA==", **by)
        other = "FULL_OBJECT" if kind == "COMPOSITE" else "COMPOSITE"
        refused("InvalidRequest", s3.complete_multipart_upload, ChecksumType=other, **by)
        assert s3.complete_multipart_upload(ChecksumCRC32=said, ChecksumType=kind, **by)["ChecksumCRC32"] == said
    for size in (0, 1, 64 << 10, (64 << 10) + 1, (1 << 20) - 1, 1 << 20, (3 << 20) + 17):
        s3.put_object(Bucket="uploads", Key="size", Body=big[:size])
        assert (FOLDER / "buckets/uploads/size").read_bytes() == big[:size], size
        assert s3.get_object(Bucket="uploads", Key="size")["Body"].read() == big[:size], size
    assert "Uploads" not in s3.list_multipart_uploads(Bucket="uploads")


def buckets(s3):
    """Buckets made by calls, with versions, tags, access lists and rules."""
    s3.create_bucket(Bucket="made")
    assert [one["Name"] for one in s3.list_buckets()["Buckets"]] == ["made", "uploads"]
    s3.put_object(Bucket="uploads", Key="from", Body=b"one", Metadata={"a": "b"})
    s3.copy_object(Bucket="made", Key="k", CopySource={"Bucket": "uploads", "Key": "from"})
    assert s3.head_object(Bucket="made", Key="k")["Metadata"] == {"a": "b"}
    refused("InvalidRequest", s3.copy_object, Bucket="made", Key="k", CopySource={"Bucket": "made", "Key": "k"})
    s3.put_bucket_versioning(Bucket="made", VersioningConfiguration={"Status": "Enabled"})
    two = s3.put_object(Bucket="made", Key="k", Body=b"two")["VersionId"]
    marker = s3.delete_object(Bucket="made", Key="k")
    assert marker["DeleteMarker"]
    refused("NoSuchKey", s3.get_object, Bucket="made", Key="k")
    assert s3.get_object(Bucket="made", Key="k", VersionId="null")["Body"].read() == b"one"
    assert s3.get_object(Bucket="made", Key="k", VersionId=two)["Body"].read() == b"two"
    versions = s3.list_object_versions(Bucket="made")
    assert [one["VersionId"] for one in versions["Versions"]] == [two, "null"], versions
    s3.delete_object(Bucket="made", Key="k", VersionId=marker["VersionId"])
    assert s3.get_object(Bucket="made", Key="k")["Body"].read() == b"two"
    s3.put_object_tagging(Bucket="made", Key="k", Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
    assert s3.get_object_tagging(Bucket="made", Key="k")["TagSet"] == [{"Key": "x", "Value": "y"}]
    s3.delete_object_tagging(Bucket="made", Key="k")
    # Of a file that people dropped nothing is known; so it is again when its tags are gone.
    (FOLDER / "buckets/uploads/dropped").write_text("x")
    s3.put_object_tagging(Bucket="uploads", Key="dropped", Tagging={"TagSet": [{"Key": "x", "Value": "y"}]})
    s3.delete_object_tagging(Bucket="uploads", Key="dropped")
    assert s3.get_object_tagging(Bucket="uploads", Key="dropped")["TagSet"] == []
    assert "dropped" in [one["Key"] for one in s3.list_objects_v2(Bucket="uploads")["Contents"]]
    s3.delete_object(Bucket="uploads", Key="dropped")
    refused("PreconditionFailed", s3.delete_object, Bucket="made", Key="k", VersionId="null",
            IfMatch=s3.head_object(Bucket="made", Key="k")["ETag"])
    s3.put_object_acl(Bucket="made", Key="k", ACL="public-read")
    assert len(s3.get_object_acl(Bucket="made", Key="k")["Grants"]) == 2
    refused("AccessDenied", s3.get_object, Bucket="made", Key="k",
            ExpectedBucketOwner="111111111111")
    s3.get_object(Bucket="made", Key="k", ExpectedBucketOwner="000000000000")
    s3.put_object(Bucket="uploads", Key="cold", Body=b"x", StorageClass="GLACIER")
    refused("InvalidObjectState", s3.get_object, Bucket="uploads", Key="cold")
    assert s3.head_object(Bucket="uploads", Key="cold")["StorageClass"] == "GLACIER"
    gone = s3.delete_objects(Bucket="uploads", Delete={"Objects": [{"Key": "cold", "Size": 2}]})
    assert gone["Errors"][0]["Code"] == "PreconditionFailed", gone
    s3.delete_objects(Bucket="uploads", Delete={"Objects": [{"Key": "cold", "Size": 1}]})
    refused("NotImplemented", s3.create_bucket, Bucket="locked", ObjectLockEnabledForBucket=True)
    refused("NotImplemented", s3.create_bucket, Bucket="locked", ObjectOwnership="BucketOwnerEnforced")
    refused("NoSuchLifecycleConfiguration", s3.get_bucket_lifecycle_configuration, Bucket="made")
    refused("NotImplemented", s3.get_bucket_policy, Bucket="made")
    refused("NoSuchBucket", s3.list_objects_v2, Bucket="nobody")
    refused("BucketNotEmpty", s3.delete_bucket, Bucket="made")
    for one in s3.list_object_versions(Bucket="made")["Versions"]:
        s3.delete_object(Bucket="made", Key="k", VersionId=one["VersionId"])
    (FOLDER / "buckets/made/a/b").mkdir(parents=True)
    (FOLDER / "buckets/made/a/b/c").write_text("just dropped")
    refused("BucketNotEmpty", s3.delete_bucket, Bucket="made")
    s3.delete_object(Bucket="made", Key="a/b/c", VersionId="null")
    for one in s3.list_object_versions(Bucket="made").get("Versions", []):
        s3.delete_object(Bucket="made", Key=one["Key"], VersionId=one["VersionId"])
    s3.delete_bucket(Bucket="made")
    assert not (FOLDER / "buckets/made").exists()
    gone = s3.delete_objects(Bucket="uploads", Delete={"Objects": [{"Key": "from"}, {"Key": "never"}]})
    assert [one["Key"] for one in gone["Deleted"]] == ["from", "never"], gone
    # The wiring file declares it.
    refused("AccessDenied", s3.delete_bucket, Bucket="uploads")


def copies(s3):
    """What a copy takes over, and from where."""
    s3.put_object(Bucket="uploads", Key="from", Body=b"from", ContentType="text/plain", WebsiteRedirectLocation="/old")
    source = {"Bucket": "uploads", "Key": "from"}
    s3.copy_object(Bucket="uploads", Key="to", CopySource=source)
    to = s3.head_object(Bucket="uploads", Key="to")
    assert to["ContentType"] == "text/plain" and "WebsiteRedirectLocation" not in to, to
    s3.copy_object(Bucket="uploads", Key="from", CopySource=source, WebsiteRedirectLocation="/new")
    assert s3.head_object(Bucket="uploads", Key="from")["WebsiteRedirectLocation"] == "/new"
    secret = {"SSECustomerAlgorithm": "AES256", "SSECustomerKey": "k" * 32}
    for call in (s3.get_object, s3.head_object):
        code = "InvalidRequest" if call == s3.get_object else "400"
        refused(code, call, Bucket="uploads", Key="to", **secret)
    refused("NotImplemented", s3.put_object, Bucket="uploads", Key="secret", Body=b"x", **secret)
    refused("InvalidRequest", s3.copy_object, Bucket="uploads", Key="secret", CopySource=source,
            CopySourceSSECustomerAlgorithm="AES256", CopySourceSSECustomerKey="k" * 32)
    s3.put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
    version = s3.put_object(Bucket="uploads", Key="from", Body=b"x")["VersionId"]
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Expiration": {"Days": 3},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 2}}
    s3.put_bucket_lifecycle_configuration(Bucket="uploads", LifecycleConfiguration={"Rules": [rule]})
    upload = s3.create_multipart_upload(Bucket="uploads", Key="parts")
    assert upload["AbortRuleId"] == "r" and upload["AbortDate"], upload
    by = {"Bucket": "uploads", "Key": "parts", "UploadId": upload["UploadId"]}
    assert s3.list_parts(**by)["AbortDate"] == upload["AbortDate"]
    part = s3.upload_part_copy(PartNumber=1, CopySource=source, **by)
    assert part["CopySourceVersionId"] == version, part
    # Only what is current will expire.
    assert "Expiration" in s3.head_object(Bucket="uploads", Key="from", VersionId=version)
    s3.put_object(Bucket="uploads", Key="from", Body=b"y")
    assert "Expiration" not in s3.head_object(Bucket="uploads", Key="from", VersionId=version)


def markers(s3):
    """What is said of objects that are marked as deleted, and of those that are not there."""
    s3.put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
    first = s3.put_object(Bucket="uploads", Key="k", Body=b"x")["VersionId"]
    marker = s3.delete_object(Bucket="uploads", Key="k")["VersionId"]
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    key = {"Bucket": "uploads", "Key": "k"}
    for named in ({}, {"VersionId": marker}):
        said = refused("MethodNotAllowed", s3.put_object_tagging, Tagging=tags, **key, **named)
        assert said["ResponseMetadata"]["HTTPHeaders"]["x-amz-delete-marker"] == "true", said
        refused("MethodNotAllowed", s3.delete_object_tagging, **key, **named)
        refused("MethodNotAllowed", s3.put_object_acl, ACL="public-read", **key, **named)
        code = "MethodNotAllowed" if named else "NoSuchKey"
        refused(code, s3.get_object_tagging, **key, **named)
        refused(code, s3.get_object_acl, **key, **named)
        refused(code, s3.get_object, **key, **named)
    s3.put_object_tagging(Tagging=tags, VersionId=first, **key)
    s3.delete_object(VersionId=first, **key)
    refused("NoSuchVersion", s3.put_object_tagging, Tagging=tags, VersionId=first, **key)
    refused("NoSuchVersion", s3.get_object_tagging, VersionId=first, **key)
    for call in (s3.get_object, s3.delete_object, s3.get_object_tagging):
        said = refused("InvalidArgument", call, VersionId="no-version", **key)["Error"]
        assert (said["Message"], said["ArgumentName"]) == ("Invalid version id specified", "versionId"), said
    refused("InvalidArgument", s3.copy_object, CopySource=dict(key, VersionId="no-version"), **key)
    refused("NoSuchKey", s3.put_object_tagging, Tagging=tags, Bucket="uploads", Key="never")
    s3.put_object(Bucket="uploads", Key="empty", Body=b"")
    empty = s3.get_object(Bucket="uploads", Key="empty", PartNumber=1)
    assert (empty["ResponseMetadata"]["HTTPStatusCode"], empty["Body"].read()) == (200, b""), empty
    assert "ContentRange" not in empty, empty
    refused("InvalidRequest", s3.get_object, Bucket="uploads", Key="empty", PartNumber=1, Range="bytes=0-1")


def deletions(s3):
    """Objects that go only if they are the right ones."""
    written = s3.put_object(Bucket="uploads", Key="k", Body=b"12345")
    modified = s3.head_object(Bucket="uploads", Key="k")["LastModified"]
    long_ago = modified.replace(year=1999)
    key = {"Bucket": "uploads", "Key": "k"}
    refused("PreconditionFailed", s3.delete_object, IfMatchSize=4, **key)
    refused("PreconditionFailed", s3.delete_object, IfMatchSize=5, IfMatchLastModifiedTime=long_ago, **key)
    refused("PreconditionFailed", s3.delete_object, IfMatchSize=5, IfMatch='"x"', **key)
    s3.delete_object(IfMatchSize=5, IfMatchLastModifiedTime=modified, IfMatch=written["ETag"], **key)
    refused("NoSuchKey", s3.delete_object, IfMatchSize=5, **key)
    refused("NoSuchKey", s3.get_object, **key)
    s3.put_object(Body=b"x", **key)
    gone = s3.delete_objects(Bucket="uploads", Delete={"Objects": [{"Key": "x" * 1025}, {"Key": "k"}]})
    assert [one["Code"] for one in gone["Errors"]] == ["KeyTooLongError"], gone
    assert [one["Key"] for one in gone["Deleted"]] == ["k"], gone
    body = b"<Delete><Object><Key>k</Key></Object></Delete>"
    try:
        urllib.request.urlopen(urllib.request.Request(ENDPOINT + "/uploads?delete", data=body, method="POST"))
        raise AssertionError("what nobody vouches for was done")
    except urllib.error.HTTPError as error:
        assert error.code == 400 and b"Content-MD5" in error.read()


def posted(fields, content, filename="x"):
    """The status of a form, and what is said of it."""
    lines = [b'--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (name.encode(), value.encode())
             for name, value in fields.items()]
    lines.append(b'--b\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n--b--\r\n'
                 % (filename.encode(), content))
    request = urllib.request.Request(ENDPOINT + "/uploads", data=b"".join(lines), method="POST",
                                     headers={"Content-Type": "multipart/form-data; boundary=b"})
    try:
        return urllib.request.urlopen(request).status, ""
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def forms(s3):
    """What the forms of web pages say beside their file."""
    tagging = "<Tagging><TagSet><Tag><Key>a</Key><Value>b</Value></Tag></TagSet></Tagging>"
    content = os.urandom(3 << 20)
    said = {"key": "k", "tagging": tagging, "x-amz-checksum-crc32": checksum(content)}
    assert posted(said, content) == (204, "")
    assert (FOLDER / "buckets/uploads/k").read_bytes() == content
    assert s3.get_object_tagging(Bucket="uploads", Key="k")["TagSet"] == [{"Key": "a", "Value": "b"}]
    head = s3.head_object(Bucket="uploads", Key="k", ChecksumMode="ENABLED")
    assert head["ChecksumCRC32"] == checksum(content), head
    for wrong, code in (({"x-amz-checksum-crc32": checksum(b"x")}, "BadDigest"),
                        ({"x-amz-checksum-crc32": "?"}, "InvalidRequest"),
                        ({"tagging": "<Tagging>"}, "MalformedXML"),
                        ({"key": "a\0b"}, "InvalidArgument")):
        status, text = posted({"key": "bad", **wrong}, b"content")
        assert status == 400 and "<Code>%s</Code>" % code in text, (wrong, text)
    refused("404", s3.head_object, Bucket="uploads", Key="bad")


def signed(s3):
    """Presigned addresses, forms, and pages of other sites."""
    (FOLDER / "buckets/uploads/f").write_text("f")
    address = s3.generate_presigned_url("get_object", Params={"Bucket": "uploads", "Key": "f"}, ExpiresIn=60)
    assert urllib.request.urlopen(address).read() == b"f"
    newer = client(signature_version="s3v4")
    late = newer.generate_presigned_url("get_object", Params={"Bucket": "uploads", "Key": "f"}, ExpiresIn=60)
    assert urllib.request.urlopen(late).read() == b"f"
    late = re.sub("20[0-9]{2}([01][0-9][0-3][0-9](T|%2F))", r"2001\1", late)
    try:
        urllib.request.urlopen(late)
        raise AssertionError("an address of the last century still works")
    except urllib.error.HTTPError as error:
        assert error.code == 403 and b"Request has expired" in error.read()
    post = s3.generate_presigned_post("uploads", "post-${filename}", Conditions=[["content-length-range", 1, 3]])
    for content, status in ((b"abc", 204), (b"abcd", 400)):
        found, _ = posted(post["fields"], content)
        assert found == status, (content, found)
    assert (FOLDER / "buckets/uploads/post-x").read_bytes() == b"abc"
    page = {"Origin": "https://shop.example"}
    object_of = "%s/uploads/f" % ENDPOINT
    try:
        urllib.request.urlopen(urllib.request.Request(object_of, headers=page))
        raise AssertionError("a page of another site was let in")
    except urllib.error.HTTPError as error:
        assert error.code == 403, error
    rule = {"AllowedMethods": ["GET"], "AllowedOrigins": ["https://shop.example"]}
    s3.put_bucket_cors(Bucket="uploads", CORSConfiguration={"CORSRules": [rule]})
    answer = urllib.request.urlopen(urllib.request.Request(object_of, headers=page))
    assert answer.headers["Access-Control-Allow-Origin"] == "https://shop.example", answer.headers


def listings(s3):
    """Pages of objects, rolled up at a delimiter."""
    for key in ("a/1", "a/2", "b", "c/1", "ü +"):
        s3.put_object(Bucket="uploads", Key=key, Body=b"")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="uploads", Delimiter="/",
                                                         PaginationConfig={"PageSize": 1})
    seen = [one.get("Key") or one.get("Prefix") for page in pages
            for one in page.get("Contents", []) + page.get("CommonPrefixes", [])]
    assert seen == ["a/", "b", "c/", "ü +"], seen
    pages = s3.get_paginator("list_objects").paginate(Bucket="uploads", PaginationConfig={"PageSize": 2})
    assert [one["Key"] for page in pages for one in page["Contents"]] == ["a/1", "a/2", "b", "c/1", "ü +"]
    after = s3.list_objects_v2(Bucket="uploads", StartAfter="a/2", MaxKeys=1)
    assert ([one["Key"] for one in after["Contents"]], after["IsTruncated"]) == (["b"], True)


def emptied(s3):
    """A bucket with more versions than a page has is emptied page by page, while it is listed."""
    s3.put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        keys = ["a/%d" % number for number in range(600)] + ["k"] * 600
        ids = list(pool.map(lambda key: s3.put_object(Bucket="uploads", Key=key)["VersionId"], keys))
    one = s3.list_object_versions(Bucket="uploads", MaxKeys=1000)
    last = one["Versions"][-1]
    assert (one["NextKeyMarker"], one["NextVersionIdMarker"]) == ("k", last["VersionId"]), last
    rest = s3.list_object_versions(Bucket="uploads", KeyMarker="k", VersionIdMarker=last["VersionId"])
    assert {each["VersionId"] for each in one["Versions"] + rest["Versions"]} == set(ids)
    refused("InvalidArgument", s3.list_object_versions, Bucket="uploads", KeyMarker="k", VersionIdMarker="?")
    said = s3.delete_objects(Bucket="uploads", Delete={"Objects": [
        {"Key": "k", "VersionId": "impossible"}, {"Key": "a/0", "VersionId": ids[0]}]})
    assert [each["Key"] for each in said["Deleted"]] == ["a/0"], said
    assert [(each["Key"], each["Code"]) for each in said["Errors"]] == [("k", "NoSuchVersion")], said
    ids = ids[1:]
    bucket = boto3.resource("s3", endpoint_url=ENDPOINT, region_name="us-east-1", aws_access_key_id="test",
                            aws_secret_access_key="test").Bucket("uploads")
    deleted = sum(len(answer["Deleted"]) for answer in bucket.object_versions.delete())
    assert deleted == len(ids), deleted
    left = s3.list_object_versions(Bucket="uploads")
    assert "Versions" not in left and "DeleteMarkers" not in left, left


# Tells a listener the key of the object that it hears of.
TELLER = """
import os, socket
def handler(event, context):
    with socket.create_connection(("127.0.0.1", int(os.environ["PORT"]))) as listener:
        listener.sendall(event["Records"][0]["s3"]["object"]["key"].encode())
"""


def functions_let_buckets_in(s3, rule):
    """A function that was made by a call is notified by the buckets that it lets in."""
    functions = client("lambda")
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("app.py", TELLER)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(60)
    functions.create_function(FunctionName="written", Runtime="python3.12", Handler="app.handler",
                              Role="arn:aws:iam::000000000000:role/r", Code={"ZipFile": code.getvalue()},
                              Environment={"Variables": {"PORT": str(listener.getsockname()[1])}})
    wanted = {"LambdaFunctionConfigurations": [rule]}
    arn = rule["LambdaFunctionArn"]

    def shut_out(arn=arn):
        said = refused("InvalidArgument", s3.put_bucket_notification_configuration, Bucket="made",
                       NotificationConfiguration={"LambdaFunctionConfigurations": [
                           dict(rule, LambdaFunctionArn=arn)]})["Error"]
        assert said["Message"] == "Unable to validate the following destination configurations", said
        assert said["ArgumentName1"] == arn + ", null", said
        assert said["ArgumentValue1"] == "Not authorized to invoke function [%s]" % arn, said

    shut_out()
    let = {"FunctionName": "written", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    functions.add_permission(StatementId="other", SourceArn="arn:aws:s3:::other", **let)
    shut_out()
    s3.put_bucket_notification_configuration(Bucket="made", NotificationConfiguration=wanted,
                                             SkipDestinationValidation=True)
    functions.add_permission(StatementId="made", SourceArn="arn:aws:s3:::made", **let)
    s3.put_bucket_notification_configuration(Bucket="made", NotificationConfiguration=wanted)
    functions.remove_permission(FunctionName="written", StatementId="made")
    shut_out()
    s3.put_object(Bucket="made", Key="in/out", Body=b"x")
    functions.add_permission(StatementId="made", SourceArn="arn:aws:s3:::made", **let)
    s3.put_object(Bucket="made", Key="in/let", Body=b"x")
    with listener.accept()[0] as told:
        assert told.recv(64) == b"in/let"
    # An alias has a policy of its own.
    version = functions.publish_version(FunctionName="written")["Version"]
    functions.create_alias(FunctionName="written", Name="live", FunctionVersion=version)
    shut_out(arn + ":live")
    functions.add_permission(StatementId="made", SourceArn="arn:aws:s3:::made", Qualifier="live", **let)
    s3.put_bucket_notification_configuration(
        Bucket="made", NotificationConfiguration={"LambdaFunctionConfigurations": [
            dict(rule, LambdaFunctionArn=arn + ":live")]})
    functions.remove_permission(FunctionName="written", StatementId="made")
    s3.put_object(Bucket="made", Key="in/live", Body=b"x")
    with listener.accept()[0] as told:
        assert told.recv(64) == b"in/live"
    functions.remove_permission(FunctionName="written", StatementId="made", Qualifier="live")
    s3.put_object(Bucket="made", Key="in/shut", Body=b"x")


def notifications(s3):
    """A bucket is told whom to notify, by a call."""
    function = "arn:aws:lambda:us-east-1:000000000000:function:hello"
    rule = {"Id": "mine", "LambdaFunctionArn": function, "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}}}
    s3.create_bucket(Bucket="made")
    s3.put_bucket_notification_configuration(
        Bucket="made", NotificationConfiguration={"LambdaFunctionConfigurations": [rule]})
    said = s3.get_bucket_notification_configuration(Bucket="made")["LambdaFunctionConfigurations"][0]
    assert said["Filter"]["Key"]["FilterRules"] == [{"Name": "Prefix", "Value": "in/"}], said
    nobody = dict(rule, LambdaFunctionArn=function.replace("hello", "nobody"))
    refused("InvalidArgument", s3.put_bucket_notification_configuration, Bucket="made",
            NotificationConfiguration={"LambdaFunctionConfigurations": [nobody]})
    for elsewhere, why in [
        (function.replace("us-east-1", "eu-west-1"), "The notification destination service region is not valid for "
                                                     "the bucket location constraint"),
        (function.replace("000000000000", "111111111111"), "Unable to validate the following destination "
                                                           "configurations"),
    ]:
        said = refused("InvalidArgument", s3.put_bucket_notification_configuration, Bucket="made",
                       NotificationConfiguration={"LambdaFunctionConfigurations": [
                           dict(rule, LambdaFunctionArn=elsewhere)]})["Error"]
        assert said["Message"] == why, said
    functions_let_buckets_in(s3, dict(rule, LambdaFunctionArn=function.replace("hello", "written")))


if __name__ == "__main__":
    ENDPOINT, FOLDER = sys.argv[2], pathlib.Path(sys.argv[3])
    globals()[sys.argv[1]](client())
    print("told to the end")
