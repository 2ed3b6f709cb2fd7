-- A key that others know must be in a CRL at once: whether one is not yet, without reading all that is revoked.
CREATE INDEX status_compromised ON status (ref, revoked_at) WHERE state = 1 AND reason IN (1, 2);
