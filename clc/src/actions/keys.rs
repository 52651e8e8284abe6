//! Key pairs: make, import, show, forget.

use std::sync::Arc;

use ironbark_wsdl::Context;

use crate::cloud::Cloud;
use crate::convert;
use crate::credentials::{import_key, new_key_pair};
use crate::ec2::Done;
use crate::ec2::keys::{
    CreateKeyPair, CreateKeyPairResponse, DeleteKeyPair, DescribeKeyPairs, DescribeKeyPairsResponse, ImportKeyPair,
    ImportKeyPairResponse, KeyRef,
};
use crate::error::{Code, Ec2Error};
use crate::front::Caller;
use crate::ids;
use crate::store::KeyPair;

/// Makes a key pair; the private half is in the answer and nowhere else.
///
/// # Errors
/// `InvalidKeyPair.Duplicate`.
pub async fn create_key_pair(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: CreateKeyPair,
) -> Result<CreateKeyPairResponse, Ec2Error> {
    // First the quick look: making the key takes a tenth of a second.
    let keys = cloud.store.key_pairs(caller.account.clone()).await?;
    if keys.iter().any(|key| key.name == request.key_name) {
        return Err(duplicate(&request.key_name));
    }
    let (key_type, comment) = (request.key_type, format!("{}@{}", caller.user, cloud.settings.region));
    let made =
        tokio::task::spawn_blocking(move || new_key_pair(key_type, &comment)).await.map_err(Ec2Error::internal)??;
    let key = KeyPair {
        owner: caller.account,
        name: request.key_name,
        id: ids::key_pair_id(),
        key_type,
        fingerprint: made.fingerprint,
        public_key: made.public_key,
        created: cloud.now(),
        tags: request.tags,
    };
    keep(&cloud, &key).await?;
    Ok(CreateKeyPairResponse { key_pair: convert::key_pair(key), key_material: made.private_pem })
}

/// Makes a key pair known whose private half stays with the user.
///
/// # Errors
/// `InvalidKey.Format`, `InvalidKeyPair.Duplicate`.
pub async fn import_key_pair(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: ImportKeyPair,
) -> Result<ImportKeyPairResponse, Ec2Error> {
    let imported = import_key(&request.public_key)?;
    let key = KeyPair {
        owner: caller.account,
        name: request.key_name,
        id: ids::key_pair_id(),
        key_type: imported.key_type,
        fingerprint: imported.fingerprint,
        public_key: imported.public_key,
        created: cloud.now(),
        tags: request.tags,
    };
    keep(&cloud, &key).await?;
    Ok(ImportKeyPairResponse { key_pair: convert::key_pair(key) })
}

async fn keep(cloud: &Cloud, key: &KeyPair) -> Result<(), Ec2Error> {
    if cloud.store.add_key_pair(key.clone()).await? { Ok(()) } else { Err(duplicate(&key.name)) }
}

fn duplicate(name: &str) -> Ec2Error {
    let shown: String = name.chars().take(60).collect();
    Ec2Error::new(
        Code::InvalidKeyPairDuplicate,
        format!("The keypair '{shown}' already exists; choose another name, or delete it"),
    )
}

/// The caller's key pairs.
///
/// # Errors
/// `InvalidKeyPair.NotFound` if one that was named is not there.
pub async fn describe_key_pairs(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DescribeKeyPairs,
) -> Result<DescribeKeyPairsResponse, Ec2Error> {
    let keys = cloud.store.key_pairs(caller.account).await?;
    request.answer(keys.into_iter().map(convert::key_pair).collect())
}

/// Forgets a key pair. One that is not there is no error (EC2's rule).
///
/// # Errors
/// Only if the records cannot be written.
pub async fn delete_key_pair(
    cloud: Arc<Cloud>,
    _: Context,
    caller: Caller,
    request: DeleteKeyPair,
) -> Result<Done, Ec2Error> {
    let (KeyRef::Name(key) | KeyRef::Id(key)) = request.key;
    cloud.store.delete_key_pair(caller.account, key).await?;
    Ok(Done)
}
