//! Access keys' secrets at rest. HMAC needs them as they are, so they cannot be hashed; they are
//! sealed (AES-256-GCM) with a key in a file of its own beside the records. A copy of the records
//! alone gives no secret away; a copy of both does.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use rusqlite::Connection;
use rusqlite::functions::FunctionFlags;

use super::StoreError;

/// The key's file, beside the records.
const FILE: &str = "secrets.key";
/// Bytes of the key.
const KEY_LEN: usize = 32;

/// What seals and opens secrets. Not `Debug`: it is a key.
pub(super) struct Vault(RandomizedNonceKey);

impl Vault {
    /// The vault beside the records at `database`. Its key is made if there is none, but only while
    /// `empty`, that is, while nothing is sealed: otherwise what is sealed would be lost.
    pub(super) fn open(database: &Path, empty: bool) -> Result<Self, StoreError> {
        let path = database.with_file_name(FILE);
        let failed = |source| StoreError::Open { path: path.clone(), source };
        let key = match read(&path)? {
            Some(key) => key,
            None if empty => {
                make(&path).map_err(failed)?;
                // Who made it does not matter: another process may have been faster.
                read(&path)?.ok_or_else(|| failed(io::Error::from(io::ErrorKind::NotFound)))?
            }
            None => return Err(StoreError::NoSecretsKey(path)),
        };
        Self::new(&key)
    }

    fn new(key: &[u8; KEY_LEN]) -> Result<Self, StoreError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, key);
        key.map(Self).map_err(|_| StoreError::Corrupt("the key of the secrets cannot be used".to_string()))
    }

    /// Seals the secret of that access key, and of no other: nonce, then text and tag.
    pub(super) fn seal(&self, access_key_id: &str, secret: &str) -> Result<Vec<u8>, StoreError> {
        let mut text = secret.as_bytes().to_vec();
        let nonce = self.0.seal_in_place_append_tag(Aad::from(access_key_id), &mut text);
        let nonce = nonce.map_err(|_| StoreError::Corrupt("no random numbers".to_string()))?;
        Ok([&nonce.as_ref()[..], &text].concat())
    }

    /// The secret of that access key.
    pub(super) fn unseal(&self, access_key_id: &str, sealed: &[u8]) -> Result<String, StoreError> {
        let wrong = || StoreError::Unsealable(access_key_id.to_string());
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN).ok_or_else(wrong)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| wrong())?;
        let mut text = text.to_vec();
        let secret = self.0.open_in_place(nonce, Aad::from(access_key_id), &mut text).map_err(|_| wrong())?;
        String::from_utf8(secret.to_vec()).map_err(|_| wrong())
    }

    /// Lets a migration seal what was readable: `seal(access_key_id, secret)`.
    pub(super) fn lend(self: &Arc<Self>, connection: &Connection) -> Result<(), StoreError> {
        let vault = self.clone();
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;
        connection.create_scalar_function("seal", 2, flags, move |values| {
            let (id, secret): (String, String) = (values.get(0)?, values.get(1)?);
            vault.seal(&id, &secret).map_err(|error| rusqlite::Error::UserFunctionError(error.into()))
        })?;
        Ok(())
    }

    /// Fails if this is not the key that the secrets were sealed with: better at the start than at
    /// every request.
    pub(super) fn check(&self, connection: &Connection) -> Result<(), StoreError> {
        let mut select = connection.prepare("SELECT access_key_id, sealed FROM access_keys LIMIT 1")?;
        let mut rows = select.query([])?;
        if let Some(row) = rows.next()? {
            let (id, sealed): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
            self.unseal(&id, &sealed)?;
        }
        Ok(())
    }
}

/// True if nothing is sealed yet.
pub(super) fn is_empty(connection: &Connection) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_info('access_keys') WHERE name = 'sealed')";
    let sealed: bool = connection.query_row(sql, [], |row| row.get(0))?;
    if !sealed {
        return Ok(true);
    }
    Ok(connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM access_keys)", [], |row| row.get(0))?)
}

fn read(path: &Path) -> Result<Option<[u8; KEY_LEN]>, StoreError> {
    let failed = |source| StoreError::Open { path: path.to_path_buf(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(StoreError::Readable { path: path.to_path_buf(), mode });
    }
    let mut key = Vec::new();
    file.take(KEY_LEN as u64 + 1).read_to_end(&mut key).map_err(failed)?;
    let wrong = |_| StoreError::Corrupt(format!("{} has not {KEY_LEN} bytes: it is no key of secrets", path.display()));
    key.try_into().map(Some).map_err(wrong)
}

/// Makes the file with a new key, whole or not at all, unless there is one.
fn make(path: &Path) -> io::Result<()> {
    let mut key = [0; KEY_LEN];
    rand::fill(&mut key).map_err(|_| io::Error::other("no random numbers"))?;
    let draft: PathBuf = path.with_extension(format!("new{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&key)?;
    file.sync_all()?;
    // Unlike a rename, a link never replaces the key of another process.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(dir)?.sync_all()
}

#[cfg(test)]
impl Vault {
    /// One whose key every test knows.
    pub(super) fn for_tests() -> Arc<Self> {
        Arc::new(Self::new(&[7; KEY_LEN]).unwrap())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_for_its_own_key_only() {
        let vault = Vault::for_tests();
        let sealed = vault.seal("AKIB1", "secret").unwrap();
        assert!(!sealed.windows(6).any(|window| window == b"secret"));
        assert_ne!(sealed, vault.seal("AKIB1", "secret").unwrap(), "each with a nonce of its own");
        assert_eq!(vault.unseal("AKIB1", &sealed).unwrap(), "secret");
        assert!(vault.unseal("AKIB2", &sealed).is_err(), "it cannot be moved to another key");
        assert!(Vault::new(&[8; KEY_LEN]).unwrap().unseal("AKIB1", &sealed).is_err());
        for at in 0..sealed.len() {
            let mut spoiled = sealed.clone();
            spoiled[at] ^= 1;
            assert!(vault.unseal("AKIB1", &spoiled).is_err());
            assert!(vault.unseal("AKIB1", &sealed[..at]).is_err());
        }
    }

    #[test]
    fn a_key_is_made_once_and_never_when_one_is_missing() {
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("cloud.db");
        let sealed = Vault::open(&database, true).unwrap().seal("A", "s").unwrap();
        assert_eq!(Vault::open(&database, true).unwrap().unseal("A", &sealed).unwrap(), "s");
        let path = dir.path().join(FILE);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o640)).unwrap();
        assert!(matches!(Vault::open(&database, false), Err(StoreError::Readable { .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(Vault::open(&database, false), Err(StoreError::NoSecretsKey(_))));
        assert!(!path.exists());
        fs::write(&path, "short").unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        assert!(matches!(Vault::open(&database, true), Err(StoreError::Corrupt(_))));
    }
}
