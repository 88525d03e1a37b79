-- The ledger: only ever appended to. The triggers are against our own faults; against others there is the chain.
CREATE TABLE ledger (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    instance TEXT NOT NULL
) STRICT;

CREATE TABLE ledger_entries (
    sequence INTEGER PRIMARY KEY CHECK (sequence >= 1),
    hash BLOB NOT NULL CHECK (length(hash) = 32),
    -- The canonical bytes that the hash is made of.
    entry BLOB NOT NULL,
    tenant TEXT,
    subject TEXT,
    mission TEXT
) STRICT;
CREATE INDEX ledger_entries_by_subject ON ledger_entries (tenant, subject, sequence) WHERE subject IS NOT NULL;
CREATE INDEX ledger_entries_by_mission ON ledger_entries (mission, sequence) WHERE mission IS NOT NULL;

CREATE TABLE ledger_checkpoints (
    sequence INTEGER PRIMARY KEY REFERENCES ledger_entries (sequence),
    checkpoint BLOB NOT NULL
) STRICT;

CREATE TRIGGER ledger_entries_stay BEFORE UPDATE ON ledger_entries BEGIN SELECT raise(ABORT, 'the ledger is never changed'); END;
CREATE TRIGGER ledger_entries_remain BEFORE DELETE ON ledger_entries BEGIN SELECT raise(ABORT, 'nothing is deleted from the ledger'); END;
CREATE TRIGGER ledger_checkpoints_stay BEFORE UPDATE ON ledger_checkpoints BEGIN SELECT raise(ABORT, 'the ledger is never changed'); END;
CREATE TRIGGER ledger_checkpoints_remain BEFORE DELETE ON ledger_checkpoints BEGIN SELECT raise(ABORT, 'nothing is deleted from the ledger'); END;
