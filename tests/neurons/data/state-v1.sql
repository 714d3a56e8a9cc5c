-- The state of a validator as release 0.1.0 wrote it.
CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE scores (
    hotkey TEXT PRIMARY KEY, uid INTEGER NOT NULL, registered_at INTEGER NOT NULL, average REAL NOT NULL,
    rounds INTEGER NOT NULL, passed INTEGER NOT NULL, caught INTEGER NOT NULL, penalty INTEGER NOT NULL
) STRICT;
CREATE TABLE memory (
    hotkey TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (hotkey, key)
) STRICT;
CREATE TABLE rounds (
    number INTEGER PRIMARY KEY, block INTEGER NOT NULL, block_hash TEXT NOT NULL, epoch INTEGER NOT NULL,
    status TEXT NOT NULL, report TEXT
) STRICT;
CREATE TABLE secrets (
    epoch INTEGER PRIMARY KEY, commitment TEXT NOT NULL, secret BLOB NOT NULL, revealed INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE vectors (
    id INTEGER PRIMARY KEY, network TEXT NOT NULL, netuid INTEGER NOT NULL, epoch INTEGER NOT NULL,
    hotkey TEXT NOT NULL, weights TEXT NOT NULL, block INTEGER NOT NULL, status TEXT NOT NULL
) STRICT;
CREATE UNIQUE INDEX one_vector ON vectors (network, netuid, epoch, hotkey) WHERE status != 'refused';
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY, vector INTEGER NOT NULL REFERENCES vectors (id), block INTEGER NOT NULL,
    outcome TEXT NOT NULL, detail TEXT NOT NULL
) STRICT;
PRAGMA application_id = 1380011606;
PRAGMA user_version = 1;
INSERT INTO facts VALUES ('owner', 'local 1 me');
INSERT INTO scores VALUES ('a', 3, 7, 0.5, 4, 3, 0, 0);
INSERT INTO memory VALUES ('a', 'seen', '4');
INSERT INTO rounds VALUES (1, 10, '0xaa', 0, 'done', '{}');
INSERT INTO secrets VALUES (0, 'cc', x'0102', 0);
INSERT INTO vectors VALUES (1, 'local', 1, 12, 'me', '{"a": 65535, "b": 7}', 13, 'landed');
INSERT INTO vectors VALUES (2, 'local', 1, 25, 'me', '{"a": 65535}', 26, 'intended');
INSERT INTO attempts VALUES (1, 1, 14, 'included', '0xbb');
INSERT INTO attempts VALUES (2, 1, 14, 'landed', 'read back');
