-- What the S3 API knows of an object beyond its file. A file that people write has none of it.
ALTER TABLE s3_object ADD COLUMN version TEXT NOT NULL DEFAULT '';  -- its version's id; empty: the null version
ALTER TABLE s3_object ADD COLUMN hidden INTEGER NOT NULL DEFAULT 0; -- 1: no file in the folder can have its name
ALTER TABLE s3_object ADD COLUMN blob TEXT;                         -- its content in the state folder, if there
ALTER TABLE s3_object ADD COLUMN meta TEXT;                         -- headers, metadata, tags, checksums as JSON

-- Versions that are not the current one, and delete markers, the current one too.
CREATE TABLE s3_version (
    bucket    TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    sequencer TEXT    NOT NULL, -- of its write, 18 hex digits: orders the versions of a key
    version   TEXT    NOT NULL, -- its id; empty: the null version
    marker    INTEGER NOT NULL, -- 1: a delete marker
    size      INTEGER NOT NULL, -- bytes
    etag      TEXT    NOT NULL,
    blob      TEXT,             -- its content in the state folder
    meta      TEXT,
    PRIMARY KEY (bucket, key, sequencer)
) STRICT, WITHOUT ROWID;

-- Multipart uploads under way.
CREATE TABLE s3_upload (
    bucket  TEXT NOT NULL,
    key     TEXT NOT NULL,
    upload  TEXT NOT NULL,      -- its id
    created INTEGER NOT NULL,   -- microseconds since 1970, simulated
    meta    TEXT,               -- what its object will have
    PRIMARY KEY (bucket, key, upload)
) STRICT, WITHOUT ROWID;

CREATE TABLE s3_part (
    upload   TEXT    NOT NULL,
    number   INTEGER NOT NULL,
    size     INTEGER NOT NULL,  -- bytes
    etag     TEXT    NOT NULL,
    checksum TEXT,              -- JSON: algorithm and value
    blob     TEXT    NOT NULL,  -- its content in the state folder
    modified INTEGER NOT NULL,  -- microseconds since 1970, simulated
    PRIMARY KEY (upload, number)
) STRICT, WITHOUT ROWID;

-- What a bucket was told through the API: versioning, cors, lifecycle, notification, …
CREATE TABLE s3_setting (
    bucket TEXT NOT NULL,
    name   TEXT NOT NULL,
    body   TEXT NOT NULL,       -- JSON
    PRIMARY KEY (bucket, name)
) STRICT, WITHOUT ROWID;

-- What is to be done with files because of what is committed. Done again after a crash; doing it twice is harmless.
CREATE TABLE s3_deed (
    bucket TEXT    NOT NULL,
    id     INTEGER NOT NULL,    -- orders them
    deed   TEXT    NOT NULL,    -- JSON
    PRIMARY KEY (bucket, id)
) STRICT, WITHOUT ROWID;
