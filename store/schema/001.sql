-- Times are UTC microseconds. Rows that last carry the node and the boot that wrote them.
CREATE TABLE meta (
	key TEXT PRIMARY KEY,
	value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE subject (
	id INTEGER PRIMARY KEY,
	uuid TEXT NOT NULL UNIQUE,
	kind TEXT NOT NULL,
	name TEXT NOT NULL COLLATE NOCASE,
	profile TEXT NOT NULL,
	owner TEXT NOT NULL DEFAULT '',
	ward TEXT NOT NULL DEFAULT '',
	enabled INTEGER NOT NULL DEFAULT 1,
	created INTEGER NOT NULL,
	node TEXT NOT NULL,
	boot INTEGER NOT NULL,
	UNIQUE (kind, name)
);

CREATE TABLE identifier (
	subject INTEGER NOT NULL REFERENCES subject (id),
	type TEXT NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (subject, type, value)
) WITHOUT ROWID;

CREATE TABLE credential (
	id INTEGER PRIMARY KEY,
	subject INTEGER NOT NULL REFERENCES subject (id),
	kind TEXT NOT NULL,
	salt BLOB NOT NULL,
	hash BLOB NOT NULL,
	uses INTEGER NOT NULL,
	uses_left INTEGER NOT NULL CHECK (uses_left >= 0),
	expires INTEGER NOT NULL,
	created INTEGER NOT NULL,
	revoked INTEGER NOT NULL DEFAULT 0,
	node TEXT NOT NULL,
	boot INTEGER NOT NULL
);
CREATE INDEX credential_subject ON credential (subject, kind);

CREATE TABLE generation (
	ref INTEGER PRIMARY KEY,
	name TEXT NOT NULL,
	gen INTEGER NOT NULL,
	parent INTEGER NOT NULL,
	key_alg TEXT NOT NULL,
	key_id BLOB NOT NULL,
	cert BLOB NOT NULL,
	not_before INTEGER NOT NULL,
	not_after INTEGER NOT NULL,
	crl_number INTEGER NOT NULL DEFAULT 0,
	crl_this INTEGER NOT NULL DEFAULT 0,
	crl_next INTEGER NOT NULL DEFAULT 0,
	responder_key BLOB,
	responder_cert BLOB,
	responder_not_before INTEGER NOT NULL DEFAULT 0,
	responder_not_after INTEGER NOT NULL DEFAULT 0,
	node TEXT NOT NULL,
	boot INTEGER NOT NULL,
	UNIQUE (name, gen)
);

CREATE TABLE profile (
	digest BLOB PRIMARY KEY,
	name TEXT NOT NULL,
	canonical BLOB NOT NULL,
	active INTEGER NOT NULL,
	loaded INTEGER NOT NULL,
	actor TEXT NOT NULL,
	node TEXT NOT NULL,
	boot INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE intent (
	ref INTEGER NOT NULL,
	serial BLOB NOT NULL,
	subject INTEGER NOT NULL,
	purpose TEXT NOT NULL,
	created INTEGER NOT NULL,
	node TEXT NOT NULL,
	boot INTEGER NOT NULL,
	PRIMARY KEY (ref, serial)
) WITHOUT ROWID;

CREATE TABLE certificate (
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
	boot INTEGER NOT NULL,
	UNIQUE (serial, ref)
);
CREATE INDEX certificate_subject ON certificate (subject, not_after);
CREATE INDEX certificate_spki ON certificate (substr(spki, 1, 8));

-- A profile version's short number, so that a certificate's row stays small.
CREATE TABLE profile_number (
	number INTEGER PRIMARY KEY,
	digest BLOB NOT NULL UNIQUE REFERENCES profile (digest)
);
CREATE TABLE node (
	number INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE
);

CREATE TABLE status (
	ref INTEGER NOT NULL,
	serial BLOB NOT NULL,
	state INTEGER NOT NULL,
	reason INTEGER NOT NULL,
	revoked_at INTEGER NOT NULL,
	not_after INTEGER NOT NULL,
	seq INTEGER NOT NULL,
	PRIMARY KEY (ref, serial)
) WITHOUT ROWID;
CREATE UNIQUE INDEX status_seq ON status (seq);
CREATE INDEX status_revoked ON status (ref, serial) WHERE state = 1;

CREATE TABLE blocked_key (
	spki BLOB PRIMARY KEY,
	why TEXT NOT NULL,
	since INTEGER NOT NULL,
	node TEXT NOT NULL,
	boot INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE audit (
	seq INTEGER PRIMARY KEY,
	record TEXT NOT NULL,
	hash BLOB NOT NULL
);
CREATE INDEX certificate_request ON certificate (request, issued) WHERE request IS NOT NULL;
