-- What the identity provider says of somebody beside who they are: for the application's pages, never for a decision here.
ALTER TABLE door_session ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE door_session ADD COLUMN groups TEXT NOT NULL DEFAULT '[]';

-- Codes that browsers carry to the application's pages, once, within a minute.
CREATE TABLE door_code (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    -- What the application sent the browser with.
    state BLOB NOT NULL CHECK (length(state) = 32),
    session BLOB NOT NULL CHECK (length(session) = 32),
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- For whom the application may ask.
CREATE TABLE door_handle (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    -- What the ledger calls it.
    id BLOB NOT NULL CHECK (length(id) = 16),
    session BLOB NOT NULL CHECK (length(session) = 32),
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    tenant TEXT NOT NULL,
    -- Who, as the ledger names them.
    who TEXT NOT NULL,
    born INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX door_handle_of_person ON door_handle (issuer, subject, born);
CREATE INDEX door_handle_of_session ON door_handle (session);
CREATE INDEX door_handle_by_end ON door_handle (expires);
