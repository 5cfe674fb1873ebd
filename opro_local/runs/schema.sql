-- One run. The calls are the truth: config and completions are all that is needed to continue. Solutions, rejections
-- and the result are derived from them and kept for readers. `seal` covers every row of every table (seal.py).
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL, -- JSON
    digest BLOB NOT NULL CHECK (length(digest) = 32)
) STRICT;

CREATE TABLE call (
    id INTEGER PRIMARY KEY,
    label TEXT NOT NULL UNIQUE,
    role TEXT NOT NULL CHECK (role IN ('optimizer', 'scorer', 'judge', 'program', 'embedder')),
    requests INTEGER NOT NULL CHECK (requests > 0),
    request_digest BLOB NOT NULL CHECK (length(request_digest) = 32),
    payload_digest BLOB NOT NULL CHECK (length(payload_digest) = 32),
    seconds REAL NOT NULL CHECK (seconds >= 0),
    prompt_tokens INTEGER NOT NULL,
    cached_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    known INTEGER NOT NULL, -- completions that the cache gave, and their tokens
    known_prompt_tokens INTEGER NOT NULL,
    known_completion_tokens INTEGER NOT NULL,
    finished_at TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32), -- of the columns above
    payload BLOB NOT NULL -- last, so that the others are read without it
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

CREATE TABLE seal (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL, -- transactions so far
    meta BLOB NOT NULL CHECK (length(meta) = 32), -- the sum of a table's row digests
    call BLOB NOT NULL CHECK (length(call) = 32),
    solution BLOB NOT NULL CHECK (length(solution) = 32),
    rejection BLOB NOT NULL CHECK (length(rejection) = 32),
    digest BLOB NOT NULL CHECK (length(digest) = 32) -- of the columns above
) STRICT;

-- The seal of an empty store.
INSERT INTO seal VALUES (1, 0, zeroblob(32), zeroblob(32), zeroblob(32), zeroblob(32),
    X'47b6f8d7269e32054206a28ab950fe92106f4be438153f21d997c8bf45467d43');
