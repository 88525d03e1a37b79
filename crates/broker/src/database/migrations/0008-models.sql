-- How many tokens each tenant has had of each model on a day (days since 1970, UTC).
CREATE TABLE model_use (
    tenant TEXT NOT NULL,
    model TEXT NOT NULL,
    day INTEGER NOT NULL,
    tokens INTEGER NOT NULL CHECK (tokens >= 0),
    PRIMARY KEY (tenant, model, day)
) STRICT, WITHOUT ROWID;
