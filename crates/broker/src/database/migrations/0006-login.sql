-- A browser on its way to a provider and back: to log in, or to connect an account. The browser's cookie is the key to all of it:
-- state, nonce and verifier are made from it, and what the provider said for us alone is encrypted with it.
CREATE TABLE door_trip (
    browser BLOB PRIMARY KEY CHECK (length(browser) = 32),
    kind TEXT NOT NULL CHECK (kind IN ('login', 'connect')),
    -- The session that began it: whoever comes back must be the same person.
    session BLOB CHECK (length(session) = 32),
    -- What it is about: how old the login may be, or which connection.
    about TEXT NOT NULL,
    -- Where on our own pages it goes on.
    place TEXT NOT NULL,
    sealed BLOB,
    begun INTEGER NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX door_trip_by_end ON door_trip (expires);

-- What logins have left us with: one refresh token each, which lies in the sealed store under the same id.
CREATE TABLE door_grant (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    tenant TEXT NOT NULL,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    -- ending: to be revoked. unrevoked: the provider can't revoke it, and we have forgotten it.
    state TEXT NOT NULL CHECK (state IN ('live', 'ending', 'unrevoked')),
    kept_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt INTEGER NOT NULL DEFAULT 0,
    last_failure TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX door_grant_of_person ON door_grant (issuer, subject, tenant);
CREATE INDEX door_grant_by_state ON door_grant (state, next_attempt);
