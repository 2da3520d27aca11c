-- The message attributes of a dead letter, as JSON; NULL for records.
ALTER TABLE dead ADD COLUMN attributes TEXT;

-- How often a delivery was sent again from the dead letters: such a one gets a try whatever its age.
ALTER TABLE delivery ADD COLUMN redriven INTEGER NOT NULL DEFAULT 0;
