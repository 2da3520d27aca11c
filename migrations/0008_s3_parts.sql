-- The parts of an object apart from all else that is known of it: a listing reads that of a thousand objects, and ten
-- thousand parts are a megabyte. Behind all other columns, so that nobody reads it who does not ask for it.
ALTER TABLE s3_object ADD COLUMN parts TEXT;  -- JSON; NULL: it came in one piece
ALTER TABLE s3_version ADD COLUMN parts TEXT;
UPDATE s3_object SET parts = meta ->> '$.parts', meta = json_remove(meta, '$.parts')
    WHERE json_valid(meta) AND json_type(meta, '$.parts') IS NOT NULL;
UPDATE s3_version SET parts = meta ->> '$.parts', meta = json_remove(meta, '$.parts')
    WHERE json_valid(meta) AND json_type(meta, '$.parts') IS NOT NULL;
