-- Greedy completions of all runs. `key` is a digest over everything that decides the answer, `digest` covers key and
-- payload. `total` is kept by triggers, so that the size is known without reading every row; a row counts its payload
-- and 160 bytes for keys and indexes.
CREATE TABLE completion (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE CHECK (length(key) = 32),
    payload BLOB NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    used INTEGER NOT NULL
) STRICT;

CREATE INDEX completion_used ON completion (used);

CREATE TABLE total (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    completions INTEGER NOT NULL,
    bytes INTEGER NOT NULL
) STRICT;

INSERT INTO total VALUES (1, 0, 0);

CREATE TRIGGER completion_added AFTER INSERT ON completion BEGIN
    UPDATE total SET completions = completions + 1, bytes = bytes + length(new.payload) + 160;
END;

CREATE TRIGGER completion_removed AFTER DELETE ON completion BEGIN
    UPDATE total SET completions = completions - 1, bytes = bytes - length(old.payload) - 160;
END;
