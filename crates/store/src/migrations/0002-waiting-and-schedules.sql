-- What a waiting mission waits for.
ALTER TABLE missions ADD COLUMN waits_for TEXT;

-- The schedule that began it.
ALTER TABLE missions ADD COLUMN schedule TEXT;
CREATE INDEX missions_of_a_schedule ON missions (schedule, begun);

-- Whose step it is, in one word: TENANT/OWNER. The next step is looked for lane by lane, so that it costs the same however many wait.
ALTER TABLE jobs ADD COLUMN lane TEXT NOT NULL DEFAULT '';
-- Whether somebody may take it now. If not, it may be when it wakes: a pause is over, or its holder was silent for too long.
ALTER TABLE jobs ADD COLUMN is_queued BIGINT NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN wakes BIGINT NOT NULL DEFAULT 0;
UPDATE jobs SET lane = tenant || '/' || owner, wakes = COALESCE(held_until, ready);
CREATE INDEX jobs_by_lane ON jobs (is_queued, lane, begun, mission);
CREATE INDEX jobs_that_wake ON jobs (is_queued, wakes);

-- With what the application asks the broker for people who are logged in: nothing of a provider's.
CREATE TABLE handles (
    handle TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    subject TEXT NOT NULL,
    expires BIGINT NOT NULL
);
CREATE INDEX handles_of_a_person ON handles (tenant, subject, expires);

CREATE TABLE schedules (
    id TEXT NOT NULL PRIMARY KEY,
    tenant TEXT NOT NULL,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    request TEXT NOT NULL,
    step TEXT NOT NULL,
    -- When, as cron writes it, and in which zone.
    cron TEXT NOT NULL,
    zone TEXT NOT NULL,
    -- How many milliseconds each run comes later than cron says, so that not all begin at once.
    jitter BIGINT NOT NULL,
    is_paused BIGINT NOT NULL DEFAULT 0,
    begun BIGINT NOT NULL,
    -- When it runs next; nothing if it never does.
    due BIGINT,
    UNIQUE (tenant, name)
);
CREATE INDEX schedules_by_time ON schedules (is_paused, due);
