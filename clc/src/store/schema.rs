//! The tables, and how an older file becomes a newer one. A migration, once released, is never
//! changed: a new one follows it. `PRAGMA user_version` counts those that were applied.
//!
//! Rules: ids are made by the program; times are microseconds since the Unix epoch; booleans are 0
//! and 1; nothing is stored that can be computed (an instance's EC2 state is not).

use rusqlite::Connection;

use super::StoreError;

/// Every migration, in order.
const MIGRATIONS: &[&str] = &[
    FIRST,
    PROFILES,
    ACCOUNTS,
    QUOTAS,
    ATTRIBUTES,
    LAUNCH_PERMISSIONS,
    SECURITY_GROUPS,
    SEALED,
    RESIZED,
    ADDRESSES,
    HISTORY,
    ZONE_CHOICES,
    PLACEMENT_GROUPS,
    GLOBAL_IDS,
];

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

-- wish and observed: the words of lifecycle.rs. epoch: grows with each change of the wish, and with each reboot.
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

/// Accounts, users in them, groups with roles. A user of before becomes an account of its own, with
/// one user, both of its name: what it owned stays as far from others as it was. Owners are told by
/// the account's id. The tables that name an owner are not made anew: renaming the table of users
/// renames their references with it.
const ACCOUNTS: &str = "
ALTER TABLE users RENAME TO accounts;
ALTER TABLE accounts RENAME COLUMN name TO account_id;
ALTER TABLE accounts ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN new_id TEXT NOT NULL DEFAULT '';
UPDATE accounts SET name = account_id, new_id = printf('%d', 100000000000 + abs(random() % 900000000000));
CREATE UNIQUE INDEX accounts_by_name ON accounts (name);

-- user_id: AIDA and 16 characters, IAM's form. account_id everywhere: 12 digits.
CREATE TABLE users (
    user_id    TEXT PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    UNIQUE (account_id, name)
) STRICT, WITHOUT ROWID;
INSERT INTO users SELECT 'AIDA' || hex(randomblob(8)), account_id, name, created FROM accounts;

-- The words of role.rs.
CREATE TABLE user_groups (
    account_id TEXT NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    name       TEXT NOT NULL,
    role       TEXT NOT NULL,
    created    INTEGER NOT NULL,
    PRIMARY KEY (account_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE group_members (
    account_id TEXT NOT NULL,
    group_name TEXT NOT NULL,
    user_id    TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    PRIMARY KEY (account_id, group_name, user_id),
    FOREIGN KEY (account_id, group_name) REFERENCES user_groups (account_id, name) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX group_members_by_user ON group_members (user_id);

DROP INDEX access_keys_of_user;
ALTER TABLE access_keys RENAME TO old_access_keys;
CREATE TABLE access_keys (
    access_key_id TEXT PRIMARY KEY,
    user_id       TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    secret        TEXT NOT NULL,
    active        INTEGER NOT NULL CHECK (active IN (0, 1)),
    created       INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX access_keys_of_user ON access_keys (user_id);
INSERT INTO access_keys
    SELECT k.access_key_id, u.user_id, k.secret, 1, k.created FROM old_access_keys k JOIN users u ON u.name = k.user_name;
DROP TABLE old_access_keys;

DROP INDEX certificates_of_user;
ALTER TABLE certificates RENAME TO old_certificates;
CREATE TABLE certificates (
    fingerprint TEXT PRIMARY KEY,
    user_id     TEXT NOT NULL REFERENCES users (user_id) ON DELETE CASCADE,
    pem         TEXT NOT NULL,
    active      INTEGER NOT NULL CHECK (active IN (0, 1)),
    created     INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX certificates_of_user ON certificates (user_id);
INSERT INTO certificates
    SELECT c.fingerprint, u.user_id, c.pem, 1, c.created FROM old_certificates c JOIN users u ON u.name = c.user_name;
DROP TABLE old_certificates;

-- References are checked at the end of the transaction, when all sides have the new ids.
PRAGMA defer_foreign_keys = ON;
UPDATE users SET account_id = (SELECT new_id FROM accounts a WHERE a.account_id = users.account_id);
UPDATE key_pairs SET owner = (SELECT new_id FROM accounts WHERE account_id = owner);
UPDATE images SET owner = (SELECT new_id FROM accounts WHERE account_id = owner);
UPDATE reservations SET owner = (SELECT new_id FROM accounts WHERE account_id = owner);
UPDATE instances SET owner = (SELECT new_id FROM accounts WHERE account_id = owner);
UPDATE client_tokens SET owner = (SELECT new_id FROM accounts WHERE account_id = owner);
UPDATE accounts SET account_id = new_id;

INSERT INTO user_groups
    SELECT account_id, 'administrators', iif(admin, 'cloud-administrator', 'account-administrator'), created FROM accounts;
INSERT INTO group_members SELECT account_id, 'administrators', user_id FROM users;
ALTER TABLE accounts DROP COLUMN new_id;
ALTER TABLE accounts DROP COLUMN admin;

ALTER TABLE requests ADD COLUMN account_id TEXT NOT NULL DEFAULT '';
UPDATE requests SET account_id = coalesce((SELECT a.account_id FROM accounts a WHERE a.name = user_name), '');
";

/// What accounts may have. account_id: an account's, or `default`; most: NULL for as much as there is.
const QUOTAS: &str = "
CREATE TABLE quotas (
    account_id TEXT NOT NULL,
    quantity   TEXT NOT NULL,
    most       INTEGER,
    PRIMARY KEY (account_id, quantity)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER quotas_of_account AFTER DELETE ON accounts BEGIN
    DELETE FROM quotas WHERE account_id = old.account_id;
END;
";

/// What an owner sets of an instance without changing what runs. shutdown_behavior: EC2's words.
const ATTRIBUTES: &str = "
ALTER TABLE instances ADD COLUMN disable_api_termination INTEGER NOT NULL DEFAULT 0 CHECK (disable_api_termination IN (0, 1));
ALTER TABLE instances ADD COLUMN disable_api_stop INTEGER NOT NULL DEFAULT 0 CHECK (disable_api_stop IN (0, 1));
ALTER TABLE instances ADD COLUMN shutdown_behavior TEXT NOT NULL DEFAULT 'stop' CHECK (shutdown_behavior IN ('stop', 'terminate'));
ALTER TABLE instances ADD COLUMN monitored INTEGER NOT NULL DEFAULT 0 CHECK (monitored IN (0, 1));
";

/// The accounts that may see and run another's image; images.public is for everybody.
const LAUNCH_PERMISSIONS: &str = "
CREATE TABLE launch_permissions (
    image_id   TEXT NOT NULL REFERENCES images (image_id) ON DELETE CASCADE,
    account_id TEXT NOT NULL REFERENCES accounts (account_id) ON DELETE CASCADE,
    PRIMARY KEY (image_id, account_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX launch_permissions_of_account ON launch_permissions (account_id);
";

/// Security groups, with the group `default` of every account there is; instances of before are in it.
/// A rule has one peer: addresses (CIDR, IPv4 or IPv6) or a group. `number`: the order of making.
const SECURITY_GROUPS: &str = "
CREATE TABLE security_groups (
    group_id    TEXT PRIMARY KEY,
    owner       TEXT NOT NULL REFERENCES accounts (account_id),
    name        TEXT NOT NULL,
    description TEXT NOT NULL,
    created     INTEGER NOT NULL,
    UNIQUE (owner, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE security_group_rules (
    number      INTEGER PRIMARY KEY,
    rule_id     TEXT NOT NULL UNIQUE,
    group_id    TEXT NOT NULL REFERENCES security_groups (group_id),
    egress      INTEGER NOT NULL CHECK (egress IN (0, 1)),
    protocol    TEXT NOT NULL,
    from_port   INTEGER,
    to_port     INTEGER,
    cidr        TEXT,
    peer_group  TEXT REFERENCES security_groups (group_id),
    description TEXT,
    CHECK ((cidr IS NULL) <> (peer_group IS NULL))
) STRICT;
CREATE INDEX security_group_rules_of_group ON security_group_rules (group_id);
CREATE INDEX security_group_rules_by_peer ON security_group_rules (peer_group) WHERE peer_group IS NOT NULL;
CREATE TABLE reservation_groups (
    reservation_id TEXT NOT NULL REFERENCES reservations (reservation_id) ON DELETE CASCADE,
    group_id       TEXT NOT NULL REFERENCES security_groups (group_id),
    PRIMARY KEY (reservation_id, group_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX reservation_groups_by_group ON reservation_groups (group_id);

INSERT INTO security_groups SELECT 'sg-' || substr(lower(hex(randomblob(9))), 1, 17), account_id, 'default',
    'default group', created FROM accounts;
INSERT INTO security_group_rules (rule_id, group_id, egress, protocol, cidr)
    SELECT 'sgr-' || substr(lower(hex(randomblob(9))), 1, 17), group_id, 1, '-1', '0.0.0.0/0' FROM security_groups;
INSERT INTO security_group_rules (rule_id, group_id, egress, protocol, peer_group)
    SELECT 'sgr-' || substr(lower(hex(randomblob(9))), 1, 17), group_id, 0, '-1', group_id FROM security_groups;
INSERT INTO reservation_groups SELECT reservation_id, group_id FROM reservations JOIN security_groups USING (owner);
ALTER TABLE reservations DROP COLUMN group_names;
";

/// Secrets are sealed (`vault`), which lends the function.
const SEALED: &str = "
ALTER TABLE access_keys ADD COLUMN sealed BLOB NOT NULL DEFAULT x'';
UPDATE access_keys SET sealed = seal(access_key_id, secret);
ALTER TABLE access_keys DROP COLUMN secret;
";

/// What an instance was given since its launch instead of its reservation's type; NULL: that one.
const RESIZED: &str = "
ALTER TABLE instances ADD COLUMN type_name TEXT;
ALTER TABLE instances ADD COLUMN memory_mb INTEGER;
ALTER TABLE instances ADD COLUMN cores INTEGER;
";

/// Elastic addresses that accounts have. Where one is wished to be stays until its cluster has undone it,
/// although the instance may be forgotten by then: so instance and cluster are no references.
const ADDRESSES: &str = "
CREATE TABLE addresses (
    public_ip      TEXT PRIMARY KEY,
    allocation_id  TEXT NOT NULL UNIQUE,
    owner          TEXT NOT NULL REFERENCES accounts (account_id),
    domain         TEXT NOT NULL CHECK (domain IN ('standard', 'vpc')),
    association_id TEXT UNIQUE,
    instance_id    TEXT,
    cluster        TEXT,
    private_ip     TEXT,
    created        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX addresses_of_owner ON addresses (owner);
";

/// What was done with each instance. No references: it outlives instance and user. goal: what ends an
/// open row, the words of `history`; boots: how often the instance had booted when the row was written.
const HISTORY: &str = "
CREATE TABLE history (
    number      INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL,
    owner       TEXT NOT NULL,
    action      TEXT NOT NULL,
    detail      TEXT,
    actor       TEXT NOT NULL,
    request_id  TEXT,
    goal        TEXT,
    boots       INTEGER,
    began       INTEGER NOT NULL,
    ended       INTEGER,
    result      TEXT,
    CHECK (goal IS NOT NULL OR ended IS NOT NULL)
) STRICT;
CREATE INDEX history_of_instance ON history (instance_id, began);
CREATE INDEX history_open ON history (instance_id) WHERE ended IS NULL;
CREATE INDEX history_by_time ON history (began);
";

/// Which zones a launch was sent to and why. No references to what it is about: it outlives that.
const ZONE_CHOICES: &str = "
CREATE TABLE zone_choices (
    request_id TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    owner      TEXT NOT NULL,
    named      INTEGER NOT NULL CHECK (named IN (0, 1)),
    at         INTEGER NOT NULL,
    declined   TEXT,
    PRIMARY KEY (request_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX zone_choices_by_time ON zone_choices (at);
CREATE TABLE zone_verdicts (
    request_id TEXT NOT NULL,
    attempt    INTEGER NOT NULL,
    zone       TEXT NOT NULL,
    chosen     INTEGER NOT NULL CHECK (chosen IN (0, 1)),
    sentence   TEXT NOT NULL,
    PRIMARY KEY (request_id, attempt, zone),
    FOREIGN KEY (request_id, attempt) REFERENCES zone_choices (request_id, attempt) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
";

/// A reservation's group is no reference: the group may be deleted when its instances have ended.
const PLACEMENT_GROUPS: &str = "
CREATE TABLE placement_groups (
    group_id TEXT PRIMARY KEY,
    owner    TEXT NOT NULL REFERENCES accounts (account_id),
    name     TEXT NOT NULL,
    strategy TEXT NOT NULL CHECK (strategy IN ('cluster', 'spread')),
    created  INTEGER NOT NULL,
    UNIQUE (owner, name)
) STRICT, WITHOUT ROWID;
ALTER TABLE reservations ADD COLUMN placement_group TEXT;
CREATE INDEX reservations_by_placement_group ON reservations (placement_group) WHERE placement_group IS NOT NULL;
";

const GLOBAL_IDS: &str = "
ALTER TABLE requests ADD COLUMN global TEXT;
CREATE INDEX requests_by_global ON requests (global) WHERE global IS NOT NULL;
";

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
    if (1..known).contains(&found) {
        // What an older schema kept, such as readable secrets, must not linger in free pages or in
        // the log.
        connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::vault::Vault;
    use super::*;

    #[test]
    fn migrating_twice_changes_nothing_and_a_newer_file_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        Vault::for_tests().lend(&connection).unwrap();
        migrate(&mut connection).unwrap();
        migrate(&mut connection).unwrap();
        connection.pragma_update(None, "user_version", 99).unwrap();
        assert!(matches!(migrate(&mut connection), Err(StoreError::Newer { found: 99, .. })));
    }

    /// A file as the first version of the program left it, with something of everything.
    const BEFORE_ACCOUNTS: &str = "
        INSERT INTO users VALUES ('admin', 1, 1), ('alice', 0, 2);
        INSERT INTO access_keys VALUES ('AKIB1', 'admin', 's1', 1), ('AKIB2', 'alice', 's2', 2);
        INSERT INTO certificates VALUES ('f2', 'alice', 'pem', 2);
        INSERT INTO key_pairs VALUES ('alice', 'k', 'key-1', 'rsa', 'f', 'ssh-rsa', 2);
        INSERT INTO images VALUES
            ('emi-1', 'admin', 'machine', 'n', NULL, 'file:/x', NULL, 'x86_64', NULL, NULL, NULL, 1, 1);
        INSERT INTO clusters VALUES ('c', 'http://c', '', 1, 'strict');
        INSERT INTO reservations VALUES ('r-1', 'alice', 'c', 'q', 1, 'emi-1', 'u', NULL, NULL, NULL, NULL, 'x86_64',
            NULL, 'm1.small', 128, 1, 10, NULL, '', 'default', x'', NULL, 2);
        INSERT INTO instances (instance_id, reservation_id, launch_index, owner, cluster, wish, observed, request_id,
            launched, since) VALUES ('i-1', 'r-1', 0, 'alice', 'c', 'run', 'running', 'q', 2, 2);
        INSERT INTO client_tokens VALUES ('alice', 't', 'd', 'r-1', 2);
        INSERT INTO requests VALUES ('q', 'alice', 'RunInstances', 'ok', 2, 1), ('p', 'gone', 'X', 'ok', 2, 1);";

    #[test]
    fn users_of_before_become_accounts_with_all_that_they_owned() {
        let mut connection = Connection::open_in_memory().unwrap();
        let vault = Vault::for_tests();
        vault.lend(&connection).unwrap();
        connection.pragma_update(None, "foreign_keys", true).unwrap();
        for migration in [FIRST, PROFILES, BEFORE_ACCOUNTS] {
            connection.execute_batch(migration).unwrap();
        }
        connection.pragma_update(None, "user_version", 2).unwrap();
        migrate(&mut connection).unwrap();
        let text = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, String>(0)).unwrap();
        let alice = text("SELECT account_id FROM accounts WHERE name = 'alice'");
        assert!(alice.len() == 12 && alice.bytes().all(|byte| byte.is_ascii_digit()), "{alice}");
        for (table, owner) in [
            ("key_pairs", "owner"),
            ("reservations", "owner"),
            ("instances", "owner"),
            ("client_tokens", "owner"),
            ("users WHERE name = 'alice'", "account_id"),
            ("requests WHERE request_id = 'q'", "account_id"),
        ] {
            assert_eq!(text(&format!("SELECT {owner} FROM {table}")), alice, "{table}");
        }
        assert_eq!(text("SELECT a.name FROM images JOIN accounts a ON a.account_id = owner"), "admin");
        let role = |name: &str| {
            text(&format!(
                "SELECT role FROM user_groups JOIN group_members m ON m.account_id = user_groups.account_id
                 JOIN users USING (user_id) WHERE users.name = '{name}'"
            ))
        };
        assert_eq!((role("admin"), role("alice")), ("cloud-administrator".into(), "account-administrator".into()));
        let of = |table: &str| text(&format!("SELECT u.name FROM {table} JOIN users u USING (user_id) WHERE active"));
        assert_eq!(of("(SELECT * FROM access_keys WHERE access_key_id = 'AKIB2')"), "alice");
        assert_eq!(of("certificates"), "alice");
        let group = "security_groups g JOIN reservation_groups USING (group_id) WHERE reservation_id = 'r-1'";
        assert_eq!(
            (text(&format!("SELECT g.owner FROM {group}")), text(&format!("SELECT g.name FROM {group}"))),
            (alice, "default".into())
        );
        let sql = "SELECT sealed FROM access_keys WHERE access_key_id = 'AKIB2'";
        let sealed: Vec<u8> = connection.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(vault.unseal("AKIB2", &sealed).unwrap(), "s2");
        let broken: i64 =
            connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0)).unwrap();
        assert_eq!(broken, 0);
        // The references followed the table: nobody else may own a thing.
        assert!(connection.execute("UPDATE images SET owner = 'alice'", []).is_err());
    }
}
