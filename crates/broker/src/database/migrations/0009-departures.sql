-- Whether all that its person has at the provider ends with a refresh token: after a stop, and of somebody who has left.
ALTER TABLE door_grant ADD COLUMN whole INTEGER NOT NULL DEFAULT 0 CHECK (whole IN (0, 1));
