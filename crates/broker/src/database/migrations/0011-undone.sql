-- Changes that were made and are undone: by themselves, because something else was there than was approved, or by a later change.

CREATE TABLE change_undone (
    change BLOB PRIMARY KEY CHECK (length(change) = 32),
    tenant TEXT NOT NULL,
    undone_by BLOB NOT NULL CHECK (length(undone_by) = 32),
    recorded INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
