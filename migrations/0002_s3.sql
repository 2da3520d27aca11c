-- One row a bucket: the folder whose files its objects are.
CREATE TABLE s3_bucket (
    bucket TEXT    PRIMARY KEY,
    folder TEXT    NOT NULL,   -- absolute; another folder is seen for the first time
    seen   INTEGER NOT NULL,   -- 1: it was surveyed to its end once
    floor  TEXT    NOT NULL    -- the highest sequencer of an object removed: later ones of that key are higher
) STRICT, WITHOUT ROWID;

-- The objects told of, each with the stamp its file had then.
CREATE TABLE s3_object (
    bucket    TEXT    NOT NULL,
    key       TEXT    NOT NULL,
    size      INTEGER NOT NULL, -- bytes
    mtime     INTEGER NOT NULL, -- nanoseconds since 1970, this machine's time
    inode     INTEGER NOT NULL, -- the 64 bits as a signed number
    etag      TEXT    NOT NULL, -- MD5 in hex; empty: was there before us, never read
    sequencer TEXT    NOT NULL, -- of its last write, 18 hex digits
    PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;
