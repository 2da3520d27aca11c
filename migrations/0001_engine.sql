-- What happened: one row an event.
CREATE TABLE event (
    no      INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: people look events up by it
    natural BLOB    NOT NULL UNIQUE,  -- what happened, 16 bytes: the same happening cannot be stored twice
    source  TEXT    NOT NULL,         -- ARN
    name    TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    at      INTEGER NOT NULL,         -- simulated time, microseconds
    lane    TEXT,
    cause   TEXT,
    form    INTEGER NOT NULL,         -- 0: element of Records, 1: whole
    record  TEXT    NOT NULL
) STRICT;

-- Every wire that ever was, so that what waits for it is not lost while it is not declared.
CREATE TABLE wire (
    no      INTEGER PRIMARY KEY,
    id      TEXT    NOT NULL UNIQUE,
    horizon INTEGER NOT NULL DEFAULT 0 -- 1 once it has what its stream kept before it was declared
) STRICT;

-- One event on its way to one target.
CREATE TABLE delivery (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    event      INTEGER NOT NULL,
    wire       INTEGER NOT NULL,
    state      INTEGER NOT NULL,      -- 0 waiting, 1 claimed by the running process, 2 done, 3 given up
    due        INTEGER NOT NULL,      -- waiting: not before then; its number less 2^62 (long past) for at once, and in a stream always
    attempts   INTEGER NOT NULL DEFAULT 0,
    refusals   INTEGER NOT NULL DEFAULT 0,
    cohort     INTEGER,
    not_before INTEGER NOT NULL DEFAULT 0, -- streams: the batch waits until then
    reason     TEXT                   -- why it was given up
) STRICT;
CREATE INDEX delivery_waiting ON delivery (wire, due, id) WHERE state = 0;
CREATE INDEX delivery_claimed ON delivery (state) WHERE state = 1;
CREATE INDEX delivery_by_event ON delivery (event);
CREATE INDEX delivery_given_up ON delivery (state) WHERE state = 3;

-- Each attempt, with what was measured and what the function wrote.
CREATE TABLE attempt (
    id         INTEGER PRIMARY KEY,
    wire       INTEGER NOT NULL,
    first      INTEGER NOT NULL,      -- the first and the last event it carried
    last       INTEGER NOT NULL,
    number     INTEGER NOT NULL,      -- 1 for the first try
    request_id TEXT    NOT NULL,
    function   TEXT    NOT NULL,
    at         INTEGER NOT NULL,      -- simulated time of its end
    duration   INTEGER NOT NULL,      -- real microseconds
    init       INTEGER,               -- real microseconds, cold starts only
    error      TEXT,                  -- in short; NULL for success
    retry_at   INTEGER,
    result     TEXT,                  -- the function's answer, cut at 16 KiB
    log        TEXT    NOT NULL
) STRICT;
CREATE INDEX attempt_by_wire ON attempt (wire, last);
CREATE INDEX attempt_by_function ON attempt (function, id);

-- What could not be delivered, and the failure records that wires asked for.
CREATE TABLE dead (
    id         INTEGER PRIMARY KEY,
    queue      TEXT    NOT NULL,
    wire       INTEGER NOT NULL,
    deliveries TEXT    NOT NULL,      -- JSON array of delivery ids: what a redrive sends again
    first      INTEGER NOT NULL,      -- the first event of them
    at         INTEGER NOT NULL,
    reason     TEXT    NOT NULL,
    error      TEXT    NOT NULL,
    body       TEXT    NOT NULL       -- the event as it was delivered, or the failure record
) STRICT;
CREATE INDEX dead_by_queue ON dead (queue, id);

-- Small facts about this state: its seed, its age, who made it.
CREATE TABLE fact (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;
