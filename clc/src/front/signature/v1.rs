//! Signature version 1: HMAC-SHA1 over the parameters' names and values, one behind the other. With
//! nothing between them two different requests can have the same signature: whoever sees one can
//! make the other. It is accepted only where the administrator says so, for tools that know no other
//! (boto 1.9 and euca2ools 1 on it).

use super::v2::{Method, window};
use super::{Claim, Refused, Scheme};
use crate::front::params::Params;

/// Reads a request whose parameters hold a V1 signature.
pub(super) fn from_params(params: &Params) -> Result<Claim, Refused> {
    let field = |name: &str| {
        params.optional(name).ok_or_else(|| Refused::Malformed(format!("The parameter {name} is missing")))
    };
    // By name without regard to case, which is the reason why it cannot be the order of V2.
    let mut pairs: Vec<(&str, &str)> = params.iter().filter(|(name, _)| *name != "Signature").collect();
    pairs.sort_by_key(|(name, _)| name.to_ascii_lowercase());
    Ok(Claim {
        access_key_id: field("AWSAccessKeyId")?.to_string(),
        presigned: false,
        scheme: Scheme::Parameters(Method::HmacSha1),
        strings: vec![pairs.into_iter().flat_map(|(name, value)| [name, value]).collect()],
        signature: field("Signature")?.to_string(),
        window: window(params)?,
    })
}
