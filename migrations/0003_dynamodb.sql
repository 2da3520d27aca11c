-- Whose state this is: files with tables name it as the owner of their change log.
CREATE TABLE dynamodb_owner (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    token TEXT NOT NULL
) STRICT;

-- The stream of each table.
CREATE TABLE dynamodb_stream (
    source  TEXT    PRIMARY KEY,      -- the table's ARN
    label   TEXT    NOT NULL,         -- when it was made, as its ARN says it
    ordinal INTEGER NOT NULL          -- how many records it has had
) STRICT;

-- How far each change log has been read. A log is that of one file, until the file turns out to be an older copy.
CREATE TABLE dynamodb_cursor (
    file  TEXT    NOT NULL,           -- the token in the file
    tbl   TEXT    NOT NULL,
    epoch INTEGER NOT NULL,           -- how often the file turned out to be another copy
    seq   INTEGER NOT NULL,           -- the last row read; 0 for none
    nonce INTEGER NOT NULL,           -- what tells that row from another of its number
    PRIMARY KEY (file, tbl)
) STRICT;
