PRAGMA application_id=1330660930;
PRAGMA user_version=1;
BEGIN TRANSACTION;
CREATE TABLE decision (
    number INTEGER PRIMARY KEY,
    time TEXT NOT NULL,
    action TEXT NOT NULL CHECK (action IN ('register', 'challenge', 'promote', 'keep', 'rollback')),
    automatic INTEGER NOT NULL CHECK (automatic IN (0, 1)),
    reason TEXT NOT NULL,
    champion TEXT NOT NULL REFERENCES prompt (id), -- from now on
    running TEXT REFERENCES experiment (id), -- from now on
    experiment TEXT REFERENCES experiment (id), -- what was decided about
    numbers TEXT NOT NULL CHECK (json_valid(numbers))
) STRICT;
INSERT INTO "decision" VALUES(1,'2026-11-28T15:25:17.437149+00:00','register',0,'the first prompt','old',NULL,NULL,'{}');
INSERT INTO "decision" VALUES(2,'2026-11-28T15:25:17.458156+00:00','challenge',0,'by hand','old','07c2f2440757259f','07c2f2440757259f','{"share": 0.5, "alpha": 0.05, "harm": 0.05, "max_users": 20000, "max_days": 28.0}');
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
    after INTEGER NOT NULL -- the number of the last outcome before it
) STRICT;
INSERT INTO "experiment" VALUES('07c2f2440757259f','old','new',0.5,0.05,0.05,20000,28.0,'2026-11-28T15:25:17.458004+00:00',0);
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
    metadata TEXT CHECK (metadata IS NULL OR json_valid(metadata))
) STRICT;
INSERT INTO "outcome" VALUES(1,'x0','new','user 0','asked 0','said',0.0,NULL,'2026-01-02T03:04:05.000000+00:00',NULL);
INSERT INTO "outcome" VALUES(2,'x1','old','user 1','asked 1','said',1.0,NULL,'2026-01-02T03:04:05.000000+00:00',NULL);
INSERT INTO "outcome" VALUES(3,'x2','new','user 2','asked 2','said',0.0,NULL,'2026-01-02T03:04:05.000000+00:00',NULL);
INSERT INTO "outcome" VALUES(4,'x3','old','user 3','asked 3','said',1.0,NULL,'2026-01-02T03:04:05.000000+00:00',NULL);
INSERT INTO "outcome" VALUES(5,'x4','new','user 4','asked 4','said',0.0,NULL,'2026-01-02T03:04:05.000000+00:00',NULL);
INSERT INTO "outcome" VALUES(6,'x5','old','user 5','asked 5','said',1.0,NULL,'2026-01-02T03:04:05.000000+00:00',NULL);
INSERT INTO "outcome" VALUES(7,'x6','old','user 6','asked 6','said',0.0,NULL,'2026-01-02T03:04:05.000000+00:00',NULL);
INSERT INTO "outcome" VALUES(8,'x7','new','user 7','asked 7','said',1.0,NULL,'2026-01-02T03:04:05.000000+00:00',NULL);
INSERT INTO "outcome" VALUES(9,'x8','new','user 8','asked 8','said',0.0,NULL,'2026-01-02T03:04:05.000000+00:00',NULL);
INSERT INTO "outcome" VALUES(10,'x9','new','user 9','asked 9','said',1.0,NULL,'2026-01-02T03:04:05.000000+00:00',NULL);
INSERT INTO "outcome" VALUES(11,'x10','old','user 10','asked 10','said',0.0,NULL,'2026-01-02T03:04:05.000000+00:00',NULL);
INSERT INTO "outcome" VALUES(12,'x11','new','user 11','asked 11','said',1.0,NULL,'2026-01-02T03:04:05.000000+00:00',NULL);
CREATE TABLE prompt (
    id TEXT PRIMARY KEY,
    text TEXT NOT NULL UNIQUE,
    source TEXT NOT NULL,
    added_at TEXT NOT NULL
) STRICT;
INSERT INTO "prompt" VALUES('old','The old words','by hand','2026-11-28T15:25:17.437060+00:00');
INSERT INTO "prompt" VALUES('new','The new words','by hand','2026-11-28T15:25:17.456924+00:00');
CREATE INDEX outcome_of_prompt ON outcome (prompt, time, score);
CREATE INDEX outcome_with_target ON outcome (time) WHERE target IS NOT NULL;
COMMIT;
