//! Images: machines, kernels and ramdisks, by URL. The bytes are the nodes' to fetch.

use rusqlite::{Connection, Row, params};

use super::tags::{add_tags, forget_tags, tags_of};
use super::{Store, StoreError, is_duplicate};
use crate::ec2::Tag;
use crate::ec2::images::ImageType;

/// The kind that a stored word means.
fn kind_named(name: &str) -> Option<ImageType> {
    [ImageType::Machine, ImageType::Kernel, ImageType::Ramdisk].into_iter().find(|kind| kind.name() == name)
}

/// A registered image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// `emi-1A2B3C4D`.
    pub id: String,
    /// Whose.
    pub owner: String,
    /// What it is.
    pub kind: ImageType,
    /// Its name, one of its owner's.
    pub name: String,
    /// In its owner's words.
    pub description: Option<String>,
    /// Where nodes fetch it.
    pub location: String,
    /// SHA-256 of its bytes, lower-case hex, for nodes to check.
    pub sha256: Option<String>,
    /// `x86_64` or `i386`.
    pub architecture: String,
    /// The kernel it boots with; none: it boots by itself.
    pub kernel_id: Option<String>,
    /// The ramdisk that goes with the kernel.
    pub ramdisk_id: Option<String>,
    /// `/dev/sda1`.
    pub root_device_name: Option<String>,
    /// True if every account may see and run it.
    pub public: bool,
    /// The accounts, besides its owner, whose users may see and run it.
    pub launch_permissions: Vec<String>,
    /// When it was registered, microseconds since the epoch.
    pub created: i64,
    /// Its owner's labels.
    pub tags: Vec<Tag>,
}

/// What an owner may change of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageUpdate {
    /// Its description.
    Description(Option<String>),
    /// Who may see and run it.
    LaunchPermissions {
        /// Whether everybody may; none: as it was.
        public: Option<bool>,
        /// Accounts that may from now on.
        add: Vec<String>,
        /// Accounts that may not any more.
        remove: Vec<String>,
    },
}

/// What became of a registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registered {
    /// It is there.
    Made,
    /// Its owner has one of that name.
    NameTaken,
    /// Its id is taken: make another.
    IdTaken,
}

impl Image {
    pub(super) fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        let kind: String = row.get("kind")?;
        Ok(Self {
            id: row.get("image_id")?,
            owner: row.get("owner")?,
            // The table's CHECK allows these three words only.
            kind: kind_named(&kind).ok_or(rusqlite::Error::InvalidQuery)?,
            name: row.get("name")?,
            description: row.get("description")?,
            location: row.get("location")?,
            sha256: row.get("sha256")?,
            architecture: row.get("architecture")?,
            kernel_id: row.get("kernel_id")?,
            ramdisk_id: row.get("ramdisk_id")?,
            root_device_name: row.get("root_device_name")?,
            public: row.get("public")?,
            launch_permissions: Vec::new(),
            created: row.get("created")?,
            tags: Vec::new(),
        })
    }

    /// Where nodes fetch it, with the digest they are to check.
    pub fn url(&self) -> String {
        match &self.sha256 {
            Some(digest) => format!("{}#sha256={digest}", self.location),
            None => self.location.clone(),
        }
    }

    /// True if that account's users may see and run it.
    pub fn is_visible_to(&self, account: &str) -> bool {
        self.public || self.owner == account || self.launch_permissions.iter().any(|id| id == account)
    }
}

impl Store {
    /// Keeps a new image.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn register_image(&self, image: Image) -> Result<Registered, StoreError> {
        self.write(move |tx| {
            let taken: bool =
                tx.query_row("SELECT EXISTS (SELECT 1 FROM images WHERE image_id = ?1)", [&image.id], |row| {
                    row.get(0)
                })?;
            if taken {
                return Ok(Registered::IdTaken);
            }
            let sql = "INSERT INTO images (image_id, owner, kind, name, description, location, sha256, architecture,
                           kernel_id, ramdisk_id, root_device_name, public, created)
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
            let values = params![
                image.id,
                image.owner,
                image.kind.name(),
                image.name,
                image.description,
                image.location,
                image.sha256,
                image.architecture,
                image.kernel_id,
                image.ramdisk_id,
                image.root_device_name,
                image.public,
                image.created,
            ];
            match tx.prepare_cached(sql)?.execute(values) {
                Ok(_) => {
                    add_tags(tx, &image.id, &image.tags)?;
                    Ok(Registered::Made)
                }
                Err(error) if is_duplicate(&error) => Ok(Registered::NameTaken),
                Err(error) => Err(error.into()),
            }
        })
        .await
    }

    /// Every image, by id. Who may see which is [`Image::is_visible_to`].
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be read.
    pub async fn images(&self) -> Result<Vec<Image>, StoreError> {
        self.read(|tx| {
            let mut select = tx.prepare_cached("SELECT * FROM images ORDER BY image_id")?;
            let mut images: Vec<Image> = select.query_map([], Image::of)?.collect::<Result<_, _>>()?;
            for image in &mut images {
                image.tags = tags_of(tx, &image.id)?;
                image.launch_permissions = launch_permissions(tx, &image.id)?;
            }
            Ok(images)
        })
        .await
    }

    /// Changes what an owner may change of an image; one that is gone stays so. `Err` with the id of an
    /// account that is not there; then nothing is changed.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn update_image(&self, id: String, update: ImageUpdate) -> Result<Result<(), String>, StoreError> {
        self.write(move |tx| {
            let (public, add, remove) = match update {
                ImageUpdate::Description(text) => {
                    tx.execute("UPDATE images SET description = ?2 WHERE image_id = ?1", params![id, text])?;
                    return Ok(Ok(()));
                }
                ImageUpdate::LaunchPermissions { public, add, remove } => (public, add, remove),
            };
            for account in &add {
                let mut there = tx.prepare_cached("SELECT 1 FROM accounts WHERE account_id = ?1")?;
                if !there.exists([account])? {
                    return Ok(Err(account.clone()));
                }
            }
            tx.execute("UPDATE images SET public = coalesce(?2, public) WHERE image_id = ?1", params![id, public])?;
            for account in &remove {
                let sql = "DELETE FROM launch_permissions WHERE image_id = ?1 AND account_id = ?2";
                tx.execute(sql, [&id, account])?;
            }
            for account in &add {
                let sql = "INSERT INTO launch_permissions SELECT image_id, ?2 FROM images WHERE image_id = ?1
                           ON CONFLICT DO NOTHING";
                tx.execute(sql, [&id, account])?;
            }
            Ok(Ok(()))
        })
        .await
    }

    /// Takes an image off the list. Instances made from it go on. False if there is none.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be written.
    pub async fn deregister_image(&self, id: String) -> Result<bool, StoreError> {
        self.write(move |tx| {
            forget_tags(tx, &id)?;
            Ok(tx.execute("DELETE FROM images WHERE image_id = ?1", [&id])? > 0)
        })
        .await
    }
}

fn launch_permissions(tx: &Connection, id: &str) -> rusqlite::Result<Vec<String>> {
    let mut select =
        tx.prepare_cached("SELECT account_id FROM launch_permissions WHERE image_id = ?1 ORDER BY account_id")?;
    select.query_map([id], |row| row.get(0))?.collect()
}
