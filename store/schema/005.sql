-- ACME: accounts, orders and authorizations. States are the numbers of ra/acme.h: 1 pending, 2 ready, 3 processing, 4 valid,
-- 5 invalid, 6 deactivated, 7 expired, 8 revoked. A key that binds an account to a subject:
CREATE TABLE acme_eab (
	id INTEGER PRIMARY KEY,
	subject INTEGER NOT NULL REFERENCES subject (id),
	kid TEXT NOT NULL UNIQUE,
	key BLOB NOT NULL,
	realm TEXT NOT NULL,
	uses INTEGER NOT NULL,
	used INTEGER NOT NULL DEFAULT 0,
	expires INTEGER NOT NULL,
	created INTEGER NOT NULL,
	disabled INTEGER NOT NULL DEFAULT 0,
	node TEXT NOT NULL,
	boot INTEGER NOT NULL
);
CREATE INDEX acme_eab_subject ON acme_eab (subject);

CREATE TABLE acme_account (
	id INTEGER PRIMARY KEY,
	realm TEXT NOT NULL,
	state INTEGER NOT NULL,
	subject INTEGER NOT NULL REFERENCES subject (id),
	eab INTEGER NOT NULL,
	spki BLOB NOT NULL,
	thumbprint BLOB NOT NULL,
	key BLOB NOT NULL,
	contacts TEXT NOT NULL,
	terms TEXT NOT NULL,
	created INTEGER NOT NULL,
	changed INTEGER NOT NULL,
	node TEXT NOT NULL,
	boot INTEGER NOT NULL
);
CREATE UNIQUE INDEX acme_account_key ON acme_account (spki, realm);
CREATE INDEX acme_account_subject ON acme_account (subject);
CREATE INDEX acme_account_dead ON acme_account (changed) WHERE state <> 4;

-- due: when the clock looks at it next. open: how many of its authorizations are not valid yet. names: they, and by which
-- authorization each is. replaced: the certificate that it takes the place of.
CREATE TABLE acme_order (
	id INTEGER PRIMARY KEY,
	account INTEGER NOT NULL,
	state INTEGER NOT NULL,
	open INTEGER NOT NULL,
	due INTEGER NOT NULL,
	expires INTEGER NOT NULL,
	profile TEXT NOT NULL,
	names BLOB NOT NULL,
	replaces TEXT,
	replaced INTEGER,
	csr BLOB,
	certificate INTEGER,
	error INTEGER,
	error_detail TEXT,
	error_name TEXT
);
CREATE INDEX acme_order_account ON acme_order (account) WHERE state <> 5;
CREATE INDEX acme_order_due ON acme_order (due);
CREATE INDEX acme_order_certificate ON acme_order (certificate) WHERE certificate IS NOT NULL;
CREATE INDEX acme_order_replaced ON acme_order (replaced) WHERE replaced IS NOT NULL;

-- With the one challenge that was started. They live and go with the order that made them.
CREATE TABLE acme_authorization (
	id INTEGER PRIMARY KEY,
	account INTEGER NOT NULL,
	made_by INTEGER NOT NULL,
	state INTEGER NOT NULL,
	challenge INTEGER NOT NULL,
	method INTEGER NOT NULL,
	name TEXT NOT NULL,
	token BLOB NOT NULL,
	expires INTEGER NOT NULL,
	validated INTEGER,
	error INTEGER,
	error_detail TEXT
);
CREATE INDEX acme_authorization_name ON acme_authorization (account, state, name) WHERE state IN (1, 4);
