-- What came of a change that was approved.

CREATE TABLE change_outcome (
    change BLOB PRIMARY KEY CHECK (length(change) = 32),
    tenant TEXT NOT NULL,
    outcome TEXT NOT NULL,
    recorded INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
