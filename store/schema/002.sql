-- What expires soon is counted and listed without reading all.
CREATE INDEX certificate_not_after ON certificate (not_after);
