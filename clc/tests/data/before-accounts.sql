-- A cloud.db as the program made it before there were accounts (schema 2), with two users.
CREATE TABLE users (
    name    TEXT PRIMARY KEY,
    admin   INTEGER NOT NULL CHECK (admin IN (0, 1)),
    created INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- The secret is readable: HMAC needs it. The file's mode (0600) is what protects it.
CREATE TABLE access_keys (
    access_key_id TEXT PRIMARY KEY,
    user_name     TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    secret        TEXT NOT NULL,
    created       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_keys_of_user ON access_keys (user_name);

-- fingerprint: SHA-256 of the DER, lower-case hex.
CREATE TABLE certificates (
    fingerprint TEXT PRIMARY KEY,
    user_name   TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    pem         TEXT NOT NULL,
    created     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_of_user ON certificates (user_name);

CREATE TABLE key_pairs (
    owner       TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    key_name    TEXT NOT NULL,
    key_pair_id TEXT NOT NULL UNIQUE,
    key_type    TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    public_key  TEXT NOT NULL,
    created     INTEGER NOT NULL,
    PRIMARY KEY (owner, key_name)
) STRICT, WITHOUT ROWID;

CREATE TABLE images (
    image_id         TEXT PRIMARY KEY,
    owner            TEXT NOT NULL REFERENCES users (name),
    kind             TEXT NOT NULL CHECK (kind IN ('machine', 'kernel', 'ramdisk')),
    name             TEXT NOT NULL,
    description      TEXT,
    location         TEXT NOT NULL,
    sha256           TEXT,
    architecture     TEXT NOT NULL,
    kernel_id        TEXT,
    ramdisk_id       TEXT,
    root_device_name TEXT,
    public           INTEGER NOT NULL CHECK (public IN (0, 1)),
    created          INTEGER NOT NULL,
    UNIQUE (owner, name)
) STRICT, WITHOUT ROWID;

-- url and certificate of a cluster controller; its name is the availability zone.
CREATE TABLE clusters (
    name        TEXT PRIMARY KEY,
    url         TEXT NOT NULL,
    certificate TEXT NOT NULL,
    created     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What a launch needs is copied here, so that it goes on although image or key are deleted.
CREATE TABLE reservations (
    reservation_id   TEXT PRIMARY KEY,
    owner            TEXT NOT NULL REFERENCES users (name),
    cluster          TEXT NOT NULL REFERENCES clusters (name),
    request_id       TEXT NOT NULL,
    min_count        INTEGER NOT NULL,
    image_id         TEXT NOT NULL,
    image_url        TEXT NOT NULL,
    kernel_id        TEXT,
    kernel_url       TEXT,
    ramdisk_id       TEXT,
    ramdisk_url      TEXT,
    architecture     TEXT NOT NULL,
    root_device_name TEXT,
    type_name        TEXT NOT NULL,
    memory_mb        INTEGER NOT NULL,
    cores            INTEGER NOT NULL,
    disk_gb          INTEGER NOT NULL,
    key_name         TEXT,
    public_key       TEXT NOT NULL,
    group_names      TEXT NOT NULL,
    user_data        BLOB NOT NULL,
    client_token     TEXT,
    created          INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- wish and observed: the words of lifecycle.rs. epoch: grows with each change of the wish.
CREATE TABLE instances (
    instance_id    TEXT PRIMARY KEY,
    reservation_id TEXT NOT NULL REFERENCES reservations (reservation_id),
    launch_index   INTEGER NOT NULL,
    owner          TEXT NOT NULL REFERENCES users (name),
    cluster        TEXT NOT NULL REFERENCES clusters (name),
    wish           TEXT NOT NULL,
    observed       TEXT NOT NULL,
    force          INTEGER NOT NULL DEFAULT 0 CHECK (force IN (0, 1)),
    epoch          INTEGER NOT NULL DEFAULT 1,
    request_id     TEXT NOT NULL,
    reason_code    TEXT,
    reason_text    TEXT,
    node           TEXT,
    private_ip     TEXT,
    public_ip      TEXT,
    boot_count     INTEGER,
    last_reboot    TEXT,
    launched       INTEGER NOT NULL,
    since          INTEGER NOT NULL,
    ended          INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX instances_of_owner ON instances (owner);
CREATE INDEX instances_of_reservation ON instances (reservation_id);
CREATE INDEX instances_of_cluster ON instances (cluster) WHERE ended IS NULL;
CREATE INDEX instances_by_wish ON instances (wish, observed);
CREATE INDEX instances_ended ON instances (ended) WHERE ended IS NOT NULL;

-- digest: SHA-256 of the request's parameters. No reference: a token outlives its reservation.
CREATE TABLE client_tokens (
    owner          TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    token          TEXT NOT NULL,
    digest         TEXT NOT NULL,
    reservation_id TEXT NOT NULL,
    created        INTEGER NOT NULL,
    PRIMARY KEY (owner, token)
) STRICT, WITHOUT ROWID;

CREATE TABLE tags (
    resource_id TEXT NOT NULL,
    key         TEXT NOT NULL,
    value       TEXT NOT NULL,
    PRIMARY KEY (resource_id, key)
) STRICT, WITHOUT ROWID;

-- The requests answered, for history and for the right to see a trace. No reference: a user may go.
CREATE TABLE requests (
    request_id  TEXT PRIMARY KEY,
    user_name   TEXT NOT NULL,
    action      TEXT NOT NULL,
    outcome     TEXT NOT NULL,
    received    INTEGER NOT NULL,
    duration_us INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX requests_by_time ON requests (received);
ALTER TABLE clusters ADD COLUMN profile TEXT NOT NULL DEFAULT 'strict';
INSERT INTO users VALUES ('admin', 1, 1), ('alice', 0, 2);
INSERT INTO access_keys VALUES ('AKIBGONE', 'alice', 'DeletedLongAgo!', 1), ('AKIBOLD', 'alice', 'ReadableOfOld', 2);
DELETE FROM access_keys WHERE access_key_id = 'AKIBGONE';
PRAGMA user_version = 2;
