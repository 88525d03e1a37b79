-- The sealed store. What is secret lies only in `wrapped_key` and `sealed`; all columns are bound to them and to the manifest.
CREATE TABLE vault_store (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    store BLOB NOT NULL CHECK (length(store) = 16),
    -- Rises with each change, so that an older state is known as one.
    counter INTEGER NOT NULL CHECK (counter >= 0),
    key_id BLOB NOT NULL CHECK (length(key_id) = 16),
    -- How the key is derived from a passphrase; null for other keys.
    derivation TEXT,
    wrapped_manifest_key BLOB NOT NULL,
    manifest BLOB NOT NULL CHECK (length(manifest) = 32)
) STRICT;

CREATE TABLE vault_records (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant TEXT NOT NULL,
    subject TEXT NOT NULL,
    kind TEXT NOT NULL,
    label TEXT NOT NULL,
    version INTEGER NOT NULL CHECK (version >= 1),
    changed INTEGER NOT NULL,
    wrapped_key BLOB NOT NULL,
    sealed BLOB NOT NULL,
    UNIQUE (tenant, subject, kind, label)
) STRICT, WITHOUT ROWID;
