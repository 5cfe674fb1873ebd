-- Production feedback. Prompts, outcomes and experiments are only ever added; the last decision says who is champion
-- and which experiment runs. Times are UTC, ISO 8601 with microseconds, so that they sort as text. A row's
-- digest covers its other columns, and the seal all digests (sealed.py).
CREATE TABLE prompt (
    id TEXT PRIMARY KEY,
    text TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    added_at TEXT NOT NULL,
    digest BLOB NOT NULL CHECK (length(digest) = 32)
) STRICT;

CREATE TABLE outcome (
    number INTEGER PRIMARY KEY, -- the order of commit: what a look has seen stays a prefix of what the next one sees
    id TEXT UNIQUE, -- the service's own, if it has one: an outcome logged twice is stored once
    prompt TEXT NOT NULL REFERENCES prompt (id),
    user TEXT,
    input TEXT NOT NULL,
    output TEXT NOT NULL,
    score REAL NOT NULL CHECK (score >= 0 AND score <= 1),
    target TEXT,
    time TEXT NOT NULL CHECK (length(time) = 32),
    metadata TEXT CHECK (metadata IS NULL OR json_valid(metadata)),
    digest BLOB NOT NULL CHECK (length(digest) = 32)
) STRICT;

CREATE INDEX outcome_of_prompt ON outcome (prompt, time, score);
CREATE INDEX outcome_with_target ON outcome (time) WHERE target IS NOT NULL;

CREATE TABLE experiment (
    id TEXT PRIMARY KEY,
    champion TEXT NOT NULL REFERENCES prompt (id),
    challenger TEXT NOT NULL REFERENCES prompt (id) CHECK (challenger <> champion),
    share REAL NOT NULL CHECK (share > 0 AND share < 1),
    alpha REAL NOT NULL CHECK (alpha > 0 AND alpha < 1),
    harm REAL NOT NULL CHECK (harm > 0 AND harm < 1),
    max_users INTEGER NOT NULL CHECK (max_users > 0),
    max_days REAL NOT NULL CHECK (max_days > 0),
    started_at TEXT NOT NULL,
    after INTEGER NOT NULL, -- the number of the last outcome before it
    digest BLOB NOT NULL CHECK (length(digest) = 32)
) STRICT;

CREATE TABLE decision (
    number INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('register', 'challenge', 'promote', 'keep', 'rollback')),
    automatic INTEGER NOT NULL CHECK (automatic IN (0, 1)),
    reason TEXT NOT NULL,
    champion TEXT NOT NULL REFERENCES prompt (id), -- from now on
    running TEXT REFERENCES experiment (id), -- from now on
    experiment TEXT REFERENCES experiment (id), -- what was decided about
    numbers TEXT NOT NULL CHECK (json_valid(numbers)),
    digest BLOB NOT NULL CHECK (length(digest) = 32)
) STRICT;

CREATE TABLE seal (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL, -- transactions so far
    prompt BLOB NOT NULL CHECK (length(prompt) = 32), -- the sum of a table's row digests
    outcome BLOB NOT NULL CHECK (length(outcome) = 32),
    experiment BLOB NOT NULL CHECK (length(experiment) = 32),
    decision BLOB NOT NULL CHECK (length(decision) = 32),
    digest BLOB NOT NULL CHECK (length(digest) = 32) -- of the columns above
) STRICT;

-- The seal of an empty store.
INSERT INTO seal VALUES (1, 0, zeroblob(32), zeroblob(32), zeroblob(32), zeroblob(32),
    X'47b6f8d7269e32054206a28ab950fe92106f4be438153f21d997c8bf45467d43');
