-- The kill switch's epoch: odd while stopped, even while armed; it only rises.
CREATE TABLE lease_epoch (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    epoch INTEGER NOT NULL CHECK (epoch >= 0),
    changed INTEGER NOT NULL
) STRICT;
CREATE TRIGGER lease_epoch_rises BEFORE UPDATE ON lease_epoch WHEN new.epoch <= old.epoch
BEGIN SELECT raise(ABORT, 'the epoch only rises'); END;
CREATE TRIGGER lease_epoch_remains BEFORE DELETE ON lease_epoch BEGIN SELECT raise(ABORT, 'the epoch only rises'); END;

-- Every lease from before its token is asked for until it is known to be dead.
CREATE TABLE leases (
    id BLOB NOT NULL PRIMARY KEY CHECK (length(id) = 16),
    tenant TEXT NOT NULL,
    subject TEXT NOT NULL,
    mission TEXT,
    provider TEXT NOT NULL,
    -- How the provider ends it: revoke, policy, expiry.
    ending TEXT NOT NULL CHECK (ending IN ('revoke', 'policy', 'expiry')),
    state TEXT NOT NULL CHECK (state IN ('announced', 'live', 'ending', 'revoked', 'dead', 'unrevoked', 'unborn')),
    -- When it is dead whatever happens.
    dies_at INTEGER NOT NULL,
    -- Milliseconds from the announcement to that.
    lifetime INTEGER NOT NULL CHECK (lifetime >= 0),
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt INTEGER NOT NULL DEFAULT 0,
    last_failure TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX leases_by_state ON leases (state, next_attempt);
