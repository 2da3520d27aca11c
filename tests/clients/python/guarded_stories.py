"""Where callers have to sign: `guarded_stories.py ENDPOINT`, with the pair in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.

The dropwire at ENDPOINT is called `box.lan` as well, has the bucket `uploads`, and a function `copier` that puts an object
`out.txt` there with an SDK of its own.
"""
import json
import os
import socket
import sys
import urllib.error
import urllib.request

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
from botocore import UNSIGNED
from botocore.exceptions import ClientError

ENDPOINT = sys.argv[1]
PORT = ENDPOINT.rsplit(":", 1)[1]
PAIR = (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])

# The names that a network would know.
ask_network = socket.getaddrinfo


def resolve(host, *rest, **more):
    text = host.decode() if isinstance(host, bytes) else host
    is_ours = text.endswith("box.lan") or text.endswith(".localhost")
    return ask_network("127.0.0.1" if is_ours else host, *rest, **more)


socket.getaddrinfo = resolve


def client(service, pair=PAIR, endpoint=ENDPOINT, **more):
    config = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=60, **more)
    return boto3.client(service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id=pair[0],
                        aws_secret_access_key=pair[1], config=config)


def refused(code, call, **asked):
    try:
        call(**asked)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, error
        return
    raise AssertionError("%s was not refused with %s" % (asked, code))


def status(request, data=None, headers=None):
    try:
        asked = urllib.request.Request(request, data=data, headers=headers or {})
        return urllib.request.urlopen(asked, timeout=30).status
    except urllib.error.HTTPError as error:
        return error.code


def buckets():
    s3 = client("s3")
    s3.put_object(Bucket="uploads", Key="a b+ü", Body=b"hello", Metadata={"colour": "blue"})
    assert s3.get_object(Bucket="uploads", Key="a b+ü")["Body"].read() == b"hello"
    s3.upload_file(__file__, "uploads", "file.py")
    named = client("s3", endpoint="http://box.lan:" + PORT, s3={"addressing_style": "virtual"})
    assert named.get_object(Bucket="uploads", Key="a b+ü")["Body"].read() == b"hello"
    asked = dict(Bucket="uploads", Key="a b+ü")
    refused("SignatureDoesNotMatch", client("s3", (PAIR[0], "another-secret")).get_object, **asked)
    refused("InvalidAccessKeyId", client("s3", ("another", PAIR[1])).get_object, **asked)
    refused("AccessDenied", client("s3", signature_version=UNSIGNED).get_object, **asked)
    refused("AccessDenied", client("s3", signature_version=UNSIGNED).put_object, Body=b"x", **asked)
    url = s3.generate_presigned_url("get_object", Params=asked)
    assert urllib.request.urlopen(url, timeout=30).read() == b"hello"
    assert status(url.replace("b%2B", "c%2B")) == 403
    assert status(url.split("?")[0]) == 403


def forms():
    """A form is let in by its policy, and none without one."""
    for version in ["s3", "s3v4"]:
        post = client("s3", signature_version=version).generate_presigned_post("uploads", "form.txt")
        name = next(name for name in post["fields"] if name.endswith("signature"))
        wrong = {**post["fields"], name: post["fields"][name][::-1]}
        for fields, expected in [(post["fields"], 204), ({"key": "form.txt"}, 403), (wrong, 403)]:
            parts = ['--b\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % pair for pair in fields.items()]
            parts.append('--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--b--\r\n')
            kind = {"content-type": "multipart/form-data; boundary=b"}
            said = status(post["url"], "".join(parts).encode(), kind)
            assert said == expected, (fields, said)


def functions():
    known = client("lambda")
    assert [one["FunctionName"] for one in known.list_functions()["Functions"]] == ["copier"]
    refused("InvalidSignatureException", client("lambda", (PAIR[0], "another-secret")).list_functions)
    refused("UnrecognizedClientException", client("lambda", ("another", PAIR[1])).list_functions)
    assert status(ENDPOINT + "/2015-03-31/functions/") == 403
    # The function's own calls are signed with the pair.
    invoked = known.invoke(FunctionName="copier", Payload=b"{}")
    assert "FunctionError" not in invoked, invoked["Payload"].read()
    assert client("s3").get_object(Bucket="uploads", Key="out.txt")["Body"].read() == b"from the function"
    url = known.create_function_url_config(FunctionName="copier", AuthType="AWS_IAM")["FunctionUrl"]
    assert ".lambda-url.us-east-1.box.lan:" in url, url
    for secret, expected in [(PAIR[1], 200), ("another-secret", 403)]:
        request = botocore.awsrequest.AWSRequest("GET", url)
        credentials = botocore.credentials.Credentials(PAIR[0], secret)
        botocore.auth.SigV4Auth(credentials, "lambda", "us-east-1").add_auth(request)
        assert status(url, headers=dict(request.headers)) == expected, secret
    assert status(url) == 403
    location = known.get_function(FunctionName="copier")["Code"].get("Location")
    assert location.startswith("http://box.lan:"), location
    assert status(location) == 200


def own_api():
    """What is read is guarded as well, and so is every other path."""
    assert status(ENDPOINT + "/_dropwire/v1/status") == 403
    assert status(ENDPOINT + "/") in (403, 404)
    for page in ["http://evil.example", "http://box.lan:1"]:
        assert status(ENDPOINT + "/uploads/file.py", headers={"origin": page}) == 403


buckets()
forms()
functions()
own_api()
print("told to the end")
