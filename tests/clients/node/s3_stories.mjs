// Stories of S3, told with the AWS SDK for JavaScript: `node s3_stories.mjs STORY ENDPOINT FOLDER`.
//
// Each one asserts what AWS would answer. FOLDER is the project folder of the dropwire at ENDPOINT; the bucket
// `uploads` is its folder `buckets/uploads`.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import { createRequire } from "node:module";
import path from "node:path";
import { Readable } from "node:stream";

const installed = createRequire(new URL("../../../target/clients/node/", import.meta.url));
const sdk = installed("@aws-sdk/client-s3");
const { Upload } = installed("@aws-sdk/lib-storage");
const { getSignedUrl } = installed("@aws-sdk/s3-request-presigner");
const { createPresignedPost } = installed("@aws-sdk/s3-presigned-post");

const [STORY, ENDPOINT, FOLDER] = process.argv.slice(2);
const Bucket = "uploads";
const PART = 5 << 20;

function client(more) {
  const credentials = { accessKeyId: "test", secretAccessKey: "test" };
  const usual = { endpoint: ENDPOINT, region: "us-east-1", credentials, maxAttempts: 1, forcePathStyle: true };
  return new sdk.S3({ ...usual, ...more });
}

const file = (key) => path.join(FOLDER, "buckets/uploads", key);
const md5 = (bytes) => createHash("md5").update(bytes).digest();
const text = async (answer) => answer.Body.transformToString();

/** The call is refused with an error of this name, which is also its class where the SDK has one. */
async function refused(name, call, status) {
  const error = await call.then(() => assert.fail(`it was not refused with ${name}`), (error) => error);
  assert.equal(error.name, name, error);
  if (sdk[name]) assert(error instanceof sdk[name], error);
  if (status) assert.equal(error.$metadata.httpStatusCode, status);
  return error;
}

/** Everything that the pages of a listing have under this name. */
async function gathered(pages, name) {
  const all = [];
  for await (const page of pages) all.push(...(page[name] ?? []));
  return all;
}

/** The headers of each request that a client sends from now on. */
function overheard(s3) {
  const heard = [];
  const listen = (next) => (call) => {
    heard.push(call.request.headers);
    return next(call);
  };
  s3.middlewareStack.add(listen, { step: "finalizeRequest", priority: "low" });
  return heard;
}

const stories = {
  /** What is put is a file, and comes back whole and in parts. */
  async files(s3) {
    const put = await s3.putObject({ Bucket, Key: "a/b c+ü.txt", Body: "hello", Metadata: { colour: "blue" } });
    assert.equal(put.ETag, '"5d41402abc4b2a76b9719d911017c592"');
    assert.equal(put.ChecksumCRC32, "NhCmhg==");
    assert.equal(readFileSync(file("a/b c+ü.txt"), "utf8"), "hello");
    const got = await s3.getObject({ Bucket, Key: "a/b c+ü.txt" });
    assert.deepEqual([got.ChecksumCRC32, got.ContentLength, got.Metadata], ["NhCmhg==", 5, { colour: "blue" }]);
    assert.equal(await text(got), "hello");
    const range = await s3.getObject({ Bucket, Key: "a/b c+ü.txt", Range: "bytes=1-3" });
    assert.equal(range.ContentRange, "bytes 1-3/5");
    assert.equal(await text(range), "ell");
    const end = await s3.getObject({ Bucket, Key: "a/b c+ü.txt", Range: "bytes=-2" });
    assert.equal(await text(end), "lo");
    for (const algorithm of ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]) {
      await s3.putObject({ Bucket, Key: algorithm, Body: "checked", ChecksumAlgorithm: algorithm });
      const head = await s3.headObject({ Bucket, Key: algorithm, ChecksumMode: "ENABLED" });
      assert(head[`Checksum${algorithm}`], JSON.stringify(head));
      assert.equal(await text(await s3.getObject({ Bucket, Key: algorithm })), "checked");
    }
    await s3.deleteObject({ Bucket, Key: "a/b c+ü.txt" });
    assert(!existsSync(file("a/b c+ü.txt")));
  },

  /** A body of known length whose checksum comes after it. */
  async streams(s3) {
    const heard = overheard(s3);
    const bytes = randomBytes(300_001);
    const Body = Readable.from([bytes.subarray(0, 7), bytes.subarray(7, 200_000), bytes.subarray(200_000)]);
    const said = { ContentLength: bytes.length, ContentEncoding: "gzip" };
    const put = await s3.putObject({ Bucket, Key: "stream", Body, ...said });
    assert.equal(heard[0]["x-amz-trailer"], "x-amz-checksum-crc32");
    assert.match(heard[0]["content-encoding"], /aws-chunked/);
    assert.equal(put.ETag, `"${md5(bytes).toString("hex")}"`);
    assert(bytes.equals(readFileSync(file("stream"))));
    const got = await s3.getObject({ Bucket, Key: "stream" });
    assert.equal(got.ContentEncoding, "gzip");
    assert(bytes.equals(await got.Body.transformToByteArray()));
    const empty = { Bucket, Key: "empty", Body: Readable.from([]), ContentLength: 0 };
    await s3.putObject(empty);
    assert.equal(readFileSync(file("empty")).length, 0);
    // A checksum that is sent beside its object, and is wrong.
    await refused("BadDigest", s3.putObject({ Bucket, Key: "bad", Body: "x", ChecksumCRC32: "AAAAAA==" }), 400);
    assert(!existsSync(file("bad")));
  },

  /** Errors have the names that the SDK has classes for. */
  async refusals(s3) {
    await s3.putObject({ Bucket, Key: "there", Body: "one" });
    await refused("NoSuchKey", s3.getObject({ Bucket, Key: "nothing" }), 404);
    await refused("NotFound", s3.headObject({ Bucket, Key: "nothing" }), 404);
    await refused("NotFound", s3.headBucket({ Bucket: "nobody" }), 404);
    await refused("NoSuchBucket", s3.listObjectsV2({ Bucket: "nobody" }), 404);
    await refused("InvalidRange", s3.getObject({ Bucket, Key: "there", Range: "bytes=9-" }), 416);
    await refused("PreconditionFailed", s3.putObject({ Bucket, Key: "there", Body: "two", IfNoneMatch: "*" }), 412);
    await s3.putObject({ Bucket, Key: "fresh", Body: "two", IfNoneMatch: "*" });
    const { ETag } = await s3.headObject({ Bucket, Key: "there" });
    await s3.putObject({ Bucket, Key: "there", Body: "two", IfMatch: ETag });
    await refused("PreconditionFailed", s3.putObject({ Bucket, Key: "there", Body: "three", IfMatch: ETag }), 412);
    await refused("NoSuchKey", s3.putObject({ Bucket, Key: "nothing", Body: "", IfMatch: ETag }), 404);
    const known = `"${md5("two").toString("hex")}"`;
    // An answer without a body has no name.
    await refused("Unknown", s3.getObject({ Bucket, Key: "there", IfNoneMatch: known }), 304);
    await refused("NoSuchUpload", s3.listParts({ Bucket, Key: "there", UploadId: "nothing" }), 404);
    const elsewhere = client({ region: "eu-west-1" });
    await refused("IllegalLocationConstraintException", elsewhere.createBucket({ Bucket: "far" }), 400);
    // Where S3 began, making a bucket that one has is no mistake.
    await s3.createBucket({ Bucket });
    await refused("InvalidObjectState", s3.putObject({ Bucket, Key: "cold", Body: "x", StorageClass: "GLACIER" })
      .then(() => s3.getObject({ Bucket, Key: "cold" })), 403);
    assert.equal(readFileSync(file("there"), "utf8"), "two");
  },

  /** A stream whose length nobody knows goes up in parts. */
  async uploads(s3) {
    const big = randomBytes(2 * PART + 12_345);
    const pieces = function* () {
      for (let at = 0; at < big.length; at += 100_000) yield big.subarray(at, at + 100_000);
    };
    const params = { Bucket, Key: "big.bin", Body: Readable.from(pieces()), ContentType: "video/mp4" };
    const done = await new Upload({ client: s3, params, partSize: PART }).done();
    const parts = [0, 1, 2].map((at) => big.subarray(at * PART, (at + 1) * PART));
    assert.equal(done.ETag, `"${md5(Buffer.concat(parts.map(md5))).toString("hex")}-3"`);
    assert.deepEqual([done.Bucket, done.Key, done.Location], [Bucket, "big.bin", `${ENDPOINT}/uploads/big.bin`]);
    assert(big.equals(readFileSync(file("big.bin"))));
    // A look at its file takes nothing of it away.
    await new Promise((then) => setTimeout(then, 500));
    const got = await s3.getObject({ Bucket, Key: "big.bin" });
    assert.deepEqual([got.ContentType, got.ETag], ["video/mp4", done.ETag]);
    assert(big.equals(await got.Body.transformToByteArray()));
    const second = await s3.getObject({ Bucket, Key: "big.bin", PartNumber: 2 });
    assert.deepEqual([second.PartsCount, second.ContentLength], [3, PART]);
    assert(parts[1].equals(await second.Body.transformToByteArray()));
    const small = { Bucket, Key: "small", Body: Readable.from(["o", "ne"]) };
    await new Upload({ client: s3, params: small }).done();
    assert.equal(readFileSync(file("small"), "utf8"), "one");
    // One that is given up leaves nothing.
    const endless = new Upload({ client: s3, params: { ...params, Key: "gone", Body: Readable.from(pieces()) } });
    endless.on("httpUploadProgress", () => endless.abort());
    await assert.rejects(endless.done(), { name: "AbortError" });
    assert(!existsSync(file("gone")));
  },

  /** An upload by hand, and what can be asked about it before and after. */
  async parts(s3) {
    const by = { Bucket, Key: "m", ChecksumAlgorithm: "SHA256" };
    const { UploadId } = await s3.createMultipartUpload(by);
    const bodies = [randomBytes(PART), randomBytes(PART), Buffer.from("end")];
    const sent = [];
    for (const [at, Body] of bodies.entries()) {
      const { ETag, ChecksumSHA256 } = await s3.uploadPart({ ...by, UploadId, PartNumber: at + 1, Body });
      assert.equal(ETag, `"${md5(Body).toString("hex")}"`);
      assert.equal(ChecksumSHA256, createHash("sha256").update(Body).digest("base64"));
      sent.push({ PartNumber: at + 1, ETag, ChecksumSHA256 });
    }
    const first = await s3.listParts({ Bucket, Key: "m", UploadId, MaxParts: 2 });
    assert.deepEqual([first.IsTruncated, first.NextPartNumberMarker, first.ChecksumAlgorithm], [true, "2", "SHA256"]);
    const rest = await s3.listParts({ Bucket, Key: "m", UploadId, PartNumberMarker: "2" });
    assert.deepEqual([rest.IsTruncated, rest.PartNumberMarker, rest.NextPartNumberMarker], [false, "2", "3"]);
    const all = [...first.Parts, ...rest.Parts];
    assert.deepEqual(all.map(({ PartNumber, ETag, ChecksumSHA256 }) => ({ PartNumber, ETag, ChecksumSHA256 })), sent);
    assert.deepEqual(all.map((part) => part.Size), [PART, PART, 3]);
    const complete = (Parts) => s3.completeMultipartUpload({ Bucket, Key: "m", UploadId, MultipartUpload: { Parts } });
    await refused("InvalidPartOrder", complete([sent[1], sent[0]]), 400);
    const done = await complete(sent);
    assert.match(done.ChecksumSHA256, /-3$/);
    assert.equal(done.ChecksumType, "COMPOSITE");
    await refused("NoSuchUpload", s3.listParts({ Bucket, Key: "m", UploadId }));
    const wanted = ["ETag", "Checksum", "ObjectParts", "StorageClass", "ObjectSize"];
    const said = await s3.getObjectAttributes({ Bucket, Key: "m", ObjectAttributes: wanted, MaxParts: 2 });
    assert.deepEqual([said.ETag, said.ObjectSize], [done.ETag.replaceAll('"', ""), 2 * PART + 3]);
    assert.equal(said.Checksum.ChecksumSHA256, done.ChecksumSHA256.replace("-3", ""));
    const { TotalPartsCount, IsTruncated, NextPartNumberMarker, Parts } = said.ObjectParts;
    assert.deepEqual([TotalPartsCount, IsTruncated, NextPartNumberMarker], [3, true, "2"]);
    assert.deepEqual(Parts.map((part) => [part.PartNumber, part.Size, part.ChecksumSHA256]),
      sent.slice(0, 2).map((part) => [part.PartNumber, PART, part.ChecksumSHA256]));
    const last = await s3.getObjectAttributes({ Bucket, Key: "m", ObjectAttributes: wanted, PartNumberMarker: "2" });
    assert.deepEqual(last.ObjectParts.Parts.map((part) => part.PartNumber), [3]);
  },

  /** Uploads that are going on, page by page. */
  async unfinished(s3) {
    const begun = [];
    for (const Key of ["a/1", "a/2", "b", "b", "b", "c +ü/1", "d"]) {
      begun.push([Key, (await s3.createMultipartUpload({ Bucket, Key })).UploadId]);
    }
    const paged = async (asked) => {
      const pages = [];
      let markers = {};
      do {
        const page = await s3.listMultipartUploads({ Bucket, ...asked, ...markers });
        markers = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker };
        pages.push(page);
        assert(pages.length < 20, "the pages do not end");
      } while (pages.at(-1).IsTruncated);
      return pages;
    };
    const whole = (await s3.listMultipartUploads({ Bucket })).Uploads.map((one) => [one.Key, one.UploadId]);
    assert.deepEqual(whole.map(([key]) => key), begun.map(([key]) => key));
    assert.deepEqual([...whole].sort(), [...begun].sort());
    for (const MaxUploads of [1, 2, 3, 4, 1000]) {
      const pages = await paged({ MaxUploads });
      const seen = pages.flatMap((page) => page.Uploads.map((one) => [one.Key, one.UploadId]));
      assert.deepEqual(seen, whole, `pages of ${MaxUploads}`);
      assert.equal(pages.length, Math.ceil(begun.length / MaxUploads));
    }
    for (const MaxUploads of [1, 2, 1000]) {
      const pages = await paged({ MaxUploads, Delimiter: "/" });
      const prefixes = pages.flatMap((page) => (page.CommonPrefixes ?? []).map((one) => one.Prefix));
      assert.deepEqual(prefixes, ["a/", "c +ü/"], `pages of ${MaxUploads}`);
      assert.deepEqual(pages.flatMap((page) => (page.Uploads ?? []).map((one) => one.Key)), ["b", "b", "b", "d"]);
    }
    const within = await s3.listMultipartUploads({ Bucket, Prefix: "a/", EncodingType: "url" });
    assert.deepEqual(within.Uploads.map((one) => one.Key), ["a/1", "a/2"]);
    const [Key, UploadId] = whole[3];
    const after = await s3.listMultipartUploads({ Bucket, KeyMarker: Key, UploadIdMarker: UploadId });
    assert.deepEqual(after.Uploads.map((one) => one.UploadId), whole.slice(4).map(([, id]) => id));
    for (const [Key, UploadId] of begun) await s3.abortMultipartUpload({ Bucket, Key, UploadId });
    assert.equal((await s3.listMultipartUploads({ Bucket })).Uploads, undefined);
  },

  /** Presigned addresses, through fetch. */
  async signed(s3) {
    const Key = "f ü+&=.txt";
    const sign = (command, more) => getSignedUrl(s3, command, { expiresIn: 60, ...more });
    const sent = await sign(new sdk.PutObjectCommand({ Bucket, Key, ContentType: "text/x" }));
    const put = await fetch(sent, { method: "PUT", body: "hello", headers: { "content-type": "text/x" } });
    assert.equal(put.status, 200, await put.text());
    assert.equal(readFileSync(file(Key), "utf8"), "hello");
    const shown = { ResponseContentDisposition: 'attachment; filename="x"', ResponseContentType: "text/y" };
    const got = await fetch(await sign(new sdk.GetObjectCommand({ Bucket, Key, ...shown })));
    assert.equal(await got.text(), "hello");
    assert.equal(got.headers.get("content-disposition"), 'attachment; filename="x"');
    assert.equal(got.headers.get("content-type"), "text/y");
    const signingDate = new Date(Date.now() - 3_600_000);
    const late = await fetch(await sign(new sdk.GetObjectCommand({ Bucket, Key }), { signingDate }));
    assert.equal(late.status, 403);
    assert.match(await late.text(), /<Code>AccessDenied<\/Code><Message>Request has expired<\/Message>/);
  },

  /** Presigned forms, through fetch. */
  async forms(s3) {
    const Conditions = [["content-length-range", 1, 3], ["starts-with", "$x-amz-meta-by", "a"]];
    const Fields = { success_action_status: "201" };
    const form = await createPresignedPost(s3, { Bucket, Key: "post/${filename}", Conditions, Fields });
    const posted = async (content, more) => {
      const body = new FormData();
      for (const [name, value] of Object.entries({ ...form.fields, ...more })) body.append(name, value);
      body.append("file", new Blob([content]), "x.txt");
      return fetch(form.url, { method: "POST", body });
    };
    const taken = await posted("abc", { "x-amz-meta-by": "ann" });
    assert.equal(taken.status, 201);
    assert.match(await taken.text(), /<Key>post\/x.txt<\/Key>/);
    assert.equal(readFileSync(file("post/x.txt"), "utf8"), "abc");
    assert.equal((await s3.headObject({ Bucket, Key: "post/x.txt" })).Metadata.by, "ann");
    assert.match(await (await posted("abcd", { "x-amz-meta-by": "ann" })).text(), /<Code>EntityTooLarge</);
    assert.match(await (await posted("abc", { "x-amz-meta-by": "bob" })).text(), /<Code>AccessDenied</);
  },

  /** Odd keys are listed, copied and deleted like others. */
  async listings(s3) {
    const keys = ["a b", "a+b", "a%2Fb", "a&b<c>'\"", "dir/one", "dir/ü +/two", "tail ", "ü", "日本/語", "😀", "\ue000"];
    for (const Key of keys) await s3.putObject({ Bucket, Key, Body: Key });
    const ordered = [...keys].sort((one, other) => Buffer.compare(Buffer.from(one), Buffer.from(other)));
    for (const EncodingType of [undefined, "url"]) {
      const asked = { Bucket, EncodingType };
      const objects = await gathered(sdk.paginateListObjectsV2({ client: s3, pageSize: 2 }, asked), "Contents");
      const plain = objects.map((one) => (EncodingType ? decodeURIComponent(one.Key.replaceAll("+", " ")) : one.Key));
      assert.deepEqual(plain, ordered, `encoded: ${EncodingType}`);
      assert.deepEqual(objects.map((one) => one.Size), ordered.map((key) => Buffer.byteLength(key)));
    }
    for (const Key of keys) assert.equal(await text(await s3.getObject({ Bucket, Key })), Key);
    const rolling = sdk.paginateListObjectsV2({ client: s3, pageSize: 1 }, { Bucket, Delimiter: "/" });
    const rolled = await gathered(rolling, "CommonPrefixes");
    assert.deepEqual(rolled.map((one) => one.Prefix), ["dir/", "日本/"]);
    const counted = await s3.listObjectsV2({ Bucket, Prefix: "dir/", StartAfter: "dir/one", FetchOwner: true });
    assert.deepEqual([counted.KeyCount, counted.Contents[0].Key], [1, "dir/ü +/two"]);
    assert(counted.Contents[0].Owner.ID);
    for (const Key of keys) {
      const CopySource = encodeURIComponent(`${Bucket}/${Key}`);
      const copied = await s3.copyObject({ Bucket, Key: `copy/${Key}`, CopySource });
      assert.equal(copied.CopyObjectResult.ETag, `"${md5(Key).toString("hex")}"`);
      assert.equal(await text(await s3.getObject({ Bucket, Key: `copy/${Key}` })), Key);
    }
    const onto = { Bucket, Key: "ü", CopySource: `${Bucket}/%C3%BC` };
    await refused("InvalidRequest", s3.copyObject(onto), 400);
    await s3.copyObject({ ...onto, MetadataDirective: "REPLACE", Metadata: { is: "new" } });
    assert.deepEqual((await s3.headObject({ Bucket, Key: "ü" })).Metadata, { is: "new" });
    await refused("NoSuchKey", s3.copyObject({ ...onto, CopySource: `${Bucket}/nothing` }), 404);
    const Objects = [...keys, "never"].map((Key) => ({ Key }));
    const gone = await s3.deleteObjects({ Bucket, Delete: { Objects } });
    assert.deepEqual(gone.Deleted.map((one) => one.Key), [...keys, "never"]);
    const left = await s3.listObjectsV2({ Bucket });
    assert.equal(left.Contents.length, keys.length);
    assert(left.Contents.every((one) => one.Key.startsWith("copy/")));
    const quiet = { Quiet: true, Objects: left.Contents.map(({ Key, ETag }) => ({ Key, ETag })) };
    const { Deleted, Errors } = await s3.deleteObjects({ Bucket, Delete: quiet });
    assert.deepEqual([Deleted, Errors], [undefined, undefined]);
    assert.equal((await s3.listObjectsV2({ Bucket })).KeyCount, 0);
  },

  /** The bucket stands in the path, or in the name of the host. */
  async hosts() {
    const { port } = new URL(ENDPOINT);
    // Not every system knows that each name below localhost is this machine.
    const here = { address: "127.0.0.1", family: 4 };
    const lookup = (_, { all }, done) => (all ? done(null, [here]) : done(null, here.address, here.family));
    const requestHandler = { httpAgent: new http.Agent({ lookup }) };
    for (const [at, host] of ["localhost", "s3.localhost", "s3.us-east-1.localhost"].entries()) {
      const endpoint = `http://${host}:${port}`;
      for (const forcePathStyle of [true, false]) {
        const s3 = client({ endpoint, forcePathStyle, requestHandler });
        const Key = `by host/${at} ${forcePathStyle}`;
        await s3.putObject({ Bucket, Key, Body: "hello" });
        assert.equal(readFileSync(file(Key), "utf8"), "hello");
        assert.equal(await text(await s3.getObject({ Bucket, Key })), "hello");
        const listed = await s3.listObjectsV2({ Bucket, Prefix: Key });
        assert.deepEqual([listed.Name, listed.Contents.length], [Bucket, 1]);
        const { UploadId } = await s3.createMultipartUpload({ Bucket, Key });
        const { ETag } = await s3.uploadPart({ Bucket, Key, UploadId, PartNumber: 1, Body: "part" });
        const MultipartUpload = { Parts: [{ PartNumber: 1, ETag }] };
        const done = await s3.completeMultipartUpload({ Bucket, Key, UploadId, MultipartUpload });
        const address = forcePathStyle ? `${endpoint}/${Bucket}` : `http://${Bucket}.${host}:${port}`;
        assert.equal(decodeURIComponent(done.Location), `${address}/${Key}`);
        await refused("NotFound", s3.headObject({ Bucket, Key: "nothing" }));
        const made = `made-${at}-${forcePathStyle}`;
        await s3.createBucket({ Bucket: made });
        assert((await s3.listBuckets({})).Buckets.some((one) => one.Name === made));
        await s3.deleteBucket({ Bucket: made });
      }
    }
  },

  /** Pages of other sites may do what the bucket's rules say. */
  async pages(s3) {
    const asked = async (origin, method, more) => {
      const headers = { origin, "access-control-request-method": method, ...more };
      return fetch(`${ENDPOINT}/uploads/f`, { method: "OPTIONS", headers });
    };
    await refused("NoSuchCORSConfiguration", s3.getBucketCors({ Bucket }), 404);
    const unruled = await asked("https://shop.example", "GET");
    assert.equal(unruled.status, 403);
    assert.match(await unruled.text(), /CORS is not enabled for this bucket/);
    const CORSRules = [
      { ID: "shop", AllowedMethods: ["GET", "PUT"], AllowedOrigins: ["https://*.example"], AllowedHeaders: ["x-amz-*"],
        ExposeHeaders: ["ETag"], MaxAgeSeconds: 600 },
      { AllowedMethods: ["GET"], AllowedOrigins: ["*"] },
    ];
    await s3.putBucketCors({ Bucket, CORSConfiguration: { CORSRules } });
    assert.deepEqual((await s3.getBucketCors({ Bucket })).CORSRules, CORSRules);
    const heads = ["origin", "methods", "headers", "credentials"].map((name) => `access-control-allow-${name}`);
    const told = (answer) => [answer.status, ...heads.map((name) => answer.headers.get(name))];
    const wanted = { "access-control-request-headers": "X-Amz-Date, x-amz-acl" };
    const shop = await asked("https://shop.example", "PUT", wanted);
    assert.deepEqual(told(shop), [200, "https://shop.example", "GET, PUT", "x-amz-date, x-amz-acl", "true"]);
    assert.equal(shop.headers.get("access-control-max-age"), "600");
    assert.equal(shop.headers.get("access-control-expose-headers"), "ETag");
    assert.match(shop.headers.get("vary"), /Origin/);
    assert.deepEqual(told(await asked("https://other.test", "GET")), [200, "*", "GET", null, null]);
    const others = [["https://other.test", "PUT"], ["https://shop.example", "DELETE"],
      ["https://shop.example", "PUT", { "access-control-request-headers": "authorization" }]];
    for (const [origin, method, more] of others) {
      const answer = await asked(origin, method, more);
      assert.deepEqual(told(answer), [403, null, null, null, null], `${method} from ${origin}`);
      assert.match(await answer.text(), /<Code>AccessForbidden<\/Code>/);
    }
    await s3.putObject({ Bucket, Key: "f", Body: "hello" });
    const headers = { origin: "https://shop.example" };
    const got = await fetch(await getSignedUrl(s3, new sdk.GetObjectCommand({ Bucket, Key: "f" })), { headers });
    assert.deepEqual([got.status, await got.text()], [200, "hello"]);
    assert.equal(got.headers.get("access-control-allow-origin"), "https://shop.example");
    await s3.deleteBucketCors({ Bucket });
    assert.equal((await asked("https://shop.example", "GET")).status, 403);
  },
};

assert(stories[STORY], `no such story: ${STORY}`);
await stories[STORY](client());
console.log("told to the end");
