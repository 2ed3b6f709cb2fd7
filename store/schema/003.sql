-- What is kept of certificates and audit records is their difference from these (store/pack.h). None is ever removed.
CREATE TABLE dictionary (
	number INTEGER PRIMARY KEY,
	kind TEXT NOT NULL,
	content BLOB NOT NULL
);
-- A serial is unique by its status, which leads to the certificate; a request is found by its key.
ALTER TABLE status ADD COLUMN certificate INTEGER;
UPDATE status SET certificate = (SELECT id FROM certificate c WHERE c.serial = status.serial AND c.ref = status.ref);
DROP INDEX certificate_request;
CREATE TABLE certificate_003 (
	id INTEGER PRIMARY KEY,
	ref INTEGER NOT NULL REFERENCES generation (ref),
	serial BLOB NOT NULL,
	subject INTEGER NOT NULL,
	profile INTEGER NOT NULL REFERENCES profile_number (number),
	dn TEXT NOT NULL,
	not_before INTEGER NOT NULL,
	not_after INTEGER NOT NULL,
	issued INTEGER NOT NULL,
	spki BLOB NOT NULL,
	request BLOB,
	lint INTEGER NOT NULL,
	der BLOB NOT NULL,
	node INTEGER NOT NULL,
	boot INTEGER NOT NULL
);
INSERT INTO certificate_003 SELECT * FROM certificate;
DROP TABLE certificate;
ALTER TABLE certificate_003 RENAME TO certificate;
CREATE INDEX certificate_subject ON certificate (subject, not_after);
CREATE INDEX certificate_spki ON certificate (substr(spki, 1, 8));
CREATE INDEX certificate_not_after ON certificate (not_after);
