-- Direct invocations are looked up by their request id.
CREATE INDEX attempt_direct ON attempt (request_id) WHERE wire = 0;
