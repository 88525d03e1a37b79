-- Who is logged in. A session's secret is in the browser's cookie only: a stolen database opens none.
CREATE TABLE sessions (
    digest TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    handle TEXT,
    begun BIGINT NOT NULL,
    seen BIGINT NOT NULL,
    ends BIGINT NOT NULL
);

CREATE INDEX sessions_of_a_subject ON sessions (tenant, subject);

-- Links that log somebody in, once.
CREATE TABLE login_links (
    digest TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    ends BIGINT NOT NULL
);

-- What programs show instead of a session.
CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    tenant TEXT NOT NULL,
    subject TEXT NOT NULL,
    name TEXT NOT NULL,
    scopes TEXT NOT NULL,
    begun BIGINT NOT NULL,
    ends BIGINT NOT NULL,
    used BIGINT
);

CREATE INDEX tokens_of_a_tenant ON tokens (tenant, begun, id);
CREATE INDEX missions_by_state ON missions (tenant, state, begun, id);
