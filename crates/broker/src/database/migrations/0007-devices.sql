-- Whom the identity provider was asked to ask on their own device, about which change, and how far that is. What such a question is
-- polled with lies in the sealed store.
CREATE TABLE device_question (
    change BLOB NOT NULL CHECK (length(change) = 32),
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    tenant TEXT NOT NULL,
    -- asking: the provider is about to be asked, or couldn't be. asked: the device shows it. over: nothing more comes of it.
    state TEXT NOT NULL CHECK (state IN ('asking', 'asked', 'over')),
    -- How it is over, in a word.
    outcome TEXT,
    -- What was asked in detail, as it was sent.
    details TEXT,
    -- Seconds between polls, as the provider wants it.
    every INTEGER,
    expires INTEGER NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (change, issuer, subject)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_question_by_state ON device_question (state, subject);
