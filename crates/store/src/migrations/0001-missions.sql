CREATE TABLE missions (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    kind TEXT NOT NULL,
    request TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'waiting', 'done', 'failed', 'cancelled')),
    step TEXT NOT NULL,
    checkpoint TEXT,
    is_cancelled BIGINT NOT NULL DEFAULT 0,
    events BIGINT NOT NULL DEFAULT 0,
    idempotency TEXT,
    begun BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE UNIQUE INDEX missions_idempotency ON missions (tenant, owner, idempotency);
CREATE INDEX missions_of_a_tenant ON missions (tenant, begun, id);

CREATE TABLE mission_events (
    mission TEXT NOT NULL REFERENCES missions (id),
    number BIGINT NOT NULL,
    occurred BIGINT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    PRIMARY KEY (mission, number)
);

-- One job a mission at most: its next step.
CREATE TABLE jobs (
    mission TEXT NOT NULL PRIMARY KEY REFERENCES missions (id),
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    step TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    begun BIGINT NOT NULL,
    ready BIGINT NOT NULL,
    ticket TEXT,
    holder TEXT,
    held_until BIGINT
);

CREATE INDEX jobs_of_a_tenant ON jobs (tenant, begun, mission);
CREATE INDEX jobs_that_are_held ON jobs (ticket, tenant, owner);

-- Whose turn it is: the tenant that was served longest ago goes first.
CREATE TABLE turns (
    tenant TEXT NOT NULL PRIMARY KEY,
    number BIGINT NOT NULL
);

-- One row. Who takes a job holds it, so that limits are exact with any number of workers.
CREATE TABLE claims (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    number BIGINT NOT NULL
);

INSERT INTO claims (id, number) VALUES (1, 0);

CREATE TABLE audit (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    occurred BIGINT NOT NULL,
    who TEXT NOT NULL,
    what TEXT NOT NULL,
    mission TEXT
);

CREATE INDEX audit_of_a_tenant ON audit (tenant, occurred, id);

-- What a mission made, like a report: beside the events, which stay small.
CREATE TABLE documents (
    mission TEXT NOT NULL REFERENCES missions (id),
    name TEXT NOT NULL,
    digest TEXT NOT NULL,
    bytes {BYTES} NOT NULL,
    PRIMARY KEY (mission, name)
);
