//! The tables, and how an older file becomes a newer one. A migration, once released, is never
//! changed: a new one follows it. `PRAGMA user_version` counts those that were applied.
//!
//! Rules: ids are made by the program; times are microseconds since the Unix epoch; booleans are 0
//! and 1; nothing is stored that can be computed (an instance's EC2 state is not).

use rusqlite::Connection;

use super::StoreError;

/// Every migration, in order.
const MIGRATIONS: &[&str] = &[FIRST, PROFILES];

const FIRST: &str = "
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
";

/// How messages to a cluster are secured: there are clusters of Eucalyptus 2.0.1.
const PROFILES: &str = "ALTER TABLE clusters ADD COLUMN profile TEXT NOT NULL DEFAULT 'strict'";

/// Brings the file to the newest schema; each migration is one transaction with its count.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let found: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = i64::try_from(MIGRATIONS.len()).expect("few migrations");
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (number, migration) in (1_i64..).zip(MIGRATIONS) {
        if number > found {
            let transaction = connection.transaction()?;
            transaction.execute_batch(migration)?;
            transaction.pragma_update(None, "user_version", number)?;
            transaction.commit()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn migrating_twice_changes_nothing_and_a_newer_file_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(migrate(&mut connection), Err(StoreError::Newer { found: 99, .. })));
    }
}
