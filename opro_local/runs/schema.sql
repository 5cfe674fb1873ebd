-- One run. The calls are the truth: config and completions are all that is needed to continue. Solutions, rejections
-- and the result are derived from them and kept for readers.
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE call (
    id INTEGER PRIMARY KEY,
    label TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('optimizer', 'scorer', 'judge', 'program', 'embedder')),
    requests INTEGER NOT NULL CHECK (requests > 0),
    request_digest BLOB NOT NULL CHECK (length(request_digest) = 32),
    payload BLOB NOT NULL,
    payload_digest BLOB NOT NULL CHECK (length(payload_digest) = 32),
    seconds REAL NOT NULL CHECK (seconds >= 0),
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    finished_at TEXT NOT NULL
) STRICT;

CREATE TABLE solution (
    split TEXT NOT NULL CHECK (split IN ('train', 'validation', 'test')),
    step INTEGER NOT NULL CHECK (step >= 0),
    position INTEGER NOT NULL CHECK (position >= 0),
    key TEXT NOT NULL,
    text TEXT NOT NULL,
    demonstrations TEXT NOT NULL, -- JSON: ids of train rows, in order
    score REAL NOT NULL,
    n INTEGER NOT NULL CHECK (n > 0),
    partial INTEGER NOT NULL CHECK (partial IN (0, 1)),
    extraction_failures INTEGER NOT NULL,
    truncated INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    similarity REAL NOT NULL,
    fingerprint TEXT NOT NULL,
    PRIMARY KEY (split, step, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE rejection (
    id INTEGER PRIMARY KEY,
    step INTEGER NOT NULL,
    text TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT;
