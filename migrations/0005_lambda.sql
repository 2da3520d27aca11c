-- What was made through the Lambda API: functions, versions, aliases, policies, mappings, layers. One row a thing.
CREATE TABLE lambda_thing (
    kind TEXT NOT NULL,               -- version, alias, policy, …
    name TEXT NOT NULL,               -- the function's or layer's name, the mapping's id
    part TEXT NOT NULL,               -- which of its versions, aliases, qualifiers; empty for the thing itself
    body TEXT NOT NULL,               -- its members, as JSON
    PRIMARY KEY (name, kind, part)
) STRICT, WITHOUT ROWID;
