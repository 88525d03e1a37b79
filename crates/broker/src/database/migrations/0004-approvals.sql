-- Requests for approval, the words that counted, and what makes each of them count once.

CREATE TABLE approval_request (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    tenant TEXT NOT NULL,
    change BLOB NOT NULL,
    proposal TEXT NOT NULL,
    raised INTEGER NOT NULL,
    shown_from INTEGER NOT NULL,
    expires INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('waiting', 'approved', 'refused', 'expired', 'void', 'used')),
    used_at INTEGER,
    CHECK ((state = 'used') = (used_at IS NOT NULL))
) STRICT;
CREATE INDEX approval_request_of_tenant ON approval_request (tenant, raised);

CREATE INDEX approval_request_open ON approval_request (expires) WHERE state IN ('waiting', 'approved');

CREATE TABLE approval_word (
    digest BLOB NOT NULL REFERENCES approval_request (digest),
    person TEXT NOT NULL,
    answer TEXT NOT NULL,
    channel TEXT NOT NULL,
    solo INTEGER NOT NULL,
    said_at INTEGER NOT NULL,
    PRIMARY KEY (digest, person)
) STRICT, WITHOUT ROWID;

-- What a word came with is taken once: a page's number, a device's request, a signature.
CREATE TABLE approval_nonce (
    nonce BLOB PRIMARY KEY CHECK (length(nonce) = 32),
    used_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The bytes that a change names by digest, for as long as it can be approved: what people are shown.
CREATE TABLE approval_material (
    digest BLOB NOT NULL REFERENCES approval_request (digest),
    part BLOB NOT NULL CHECK (length(part) = 32),
    bytes BLOB NOT NULL,
    PRIMARY KEY (digest, part)
) STRICT;

CREATE TABLE approval_policy (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    text TEXT NOT NULL,
    proposed_at INTEGER NOT NULL,
    in_force_at INTEGER
) STRICT;

CREATE TABLE approval_policy_agreement (
    digest BLOB NOT NULL REFERENCES approval_policy (digest),
    person TEXT NOT NULL,
    agreed_at INTEGER NOT NULL,
    PRIMARY KEY (digest, person)
) STRICT, WITHOUT ROWID;

CREATE TABLE passkey (
    id BLOB PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    public_key BLOB NOT NULL,
    algorithm INTEGER NOT NULL,
    counter INTEGER NOT NULL,
    registered_at INTEGER NOT NULL
) STRICT;

-- Sessions and one-time links are known by the digest of their secret only.
CREATE TABLE door_session (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    tenant TEXT NOT NULL,
    present_at INTEGER NOT NULL,
    begun_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE door_link (
    digest BLOB PRIMARY KEY CHECK (length(digest) = 32),
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    tenant TEXT NOT NULL,
    expires INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
