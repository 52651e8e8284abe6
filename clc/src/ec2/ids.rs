//! The forms of ids that clients send: checked before anybody looks them up, so that a slip of the
//! hand is told from a thing that is gone.

use crate::error::{Code, Ec2Error};
use crate::front::Params;

/// An instance id: `i-` and 8 or 17 hexadecimal digits (2.0.1 makes 8; newer clouds 17).
///
/// # Errors
/// `InvalidInstanceID.Malformed`.
pub fn instance_id(id: &str) -> Result<String, Ec2Error> {
    well_formed(id, &["i-"], Code::InvalidInstanceIdMalformed)
}

/// An image id: `emi-` (machine), `eki-` (kernel), `eri-` (ramdisk), or Amazon's `ami-`, `aki-`,
/// `ari-`, and 8 or 17 hexadecimal digits.
///
/// # Errors
/// `InvalidAMIID.Malformed`.
pub fn image_id(id: &str) -> Result<String, Ec2Error> {
    well_formed(id, &["emi-", "eki-", "eri-", "ami-", "aki-", "ari-"], Code::InvalidImageIdMalformed)
}

/// The instance ids of a request, `InstanceId.N`; none is allowed.
///
/// # Errors
/// `InvalidInstanceID.Malformed`.
pub fn instance_ids(params: &Params) -> Result<Vec<String>, Ec2Error> {
    distinct(params.list_given("InstanceId"), instance_id)
}

/// [`instance_ids`] of at least one.
///
/// # Errors
/// `InvalidParameterCombination` if there is none (EC2's code), `InvalidInstanceID.Malformed`.
pub fn some_instance_ids(params: &Params) -> Result<Vec<String>, Ec2Error> {
    let ids = instance_ids(params)?;
    if !ids.is_empty() {
        return Ok(ids);
    }
    Err(Ec2Error::new(Code::InvalidParameterCombination, "No instances specified; name them as InstanceId.1 and so on"))
}

/// The image ids of a request, `ImageId.N`; none is allowed.
///
/// # Errors
/// `InvalidAMIID.Malformed`.
pub fn image_ids(params: &Params) -> Result<Vec<String>, Ec2Error> {
    distinct(params.list_given("ImageId"), image_id)
}

/// A security group's id, `sg-` and 8 or 17 hexadecimal digits, as the records have it.
///
/// # Errors
/// `InvalidGroupId.Malformed`.
pub fn group_id(id: &str) -> Result<String, Ec2Error> {
    Ok(well_formed(id, &["sg-"], Code::InvalidGroupIdMalformed)?.to_ascii_lowercase())
}

/// The id of a rule, `sgr-` and 8 or 17 hexadecimal digits, as the records have it.
///
/// # Errors
/// `InvalidSecurityGroupRuleId.Malformed`.
pub fn rule_id(id: &str) -> Result<String, Ec2Error> {
    Ok(well_formed(id, &["sgr-"], Code::InvalidRuleIdMalformed)?.to_ascii_lowercase())
}

/// An optional image id under another name, `KernelId`.
///
/// # Errors
/// `InvalidAMIID.Malformed`.
pub fn optional_image_id(params: &Params, name: &str) -> Result<Option<String>, Ec2Error> {
    params.optional(name).map(image_id).transpose()
}

/// The ids in the order given, each once: a client may name one twice, and nobody means it. An empty
/// one is as malformed as any: without it, the request might ask for everything.
fn distinct(given: Vec<String>, check: fn(&str) -> Result<String, Ec2Error>) -> Result<Vec<String>, Ec2Error> {
    let mut ids: Vec<String> = Vec::with_capacity(given.len());
    let mut seen = std::collections::HashSet::new();
    for id in given {
        let id = check(&id)?;
        if seen.insert(id.clone()) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn well_formed(id: &str, prefixes: &[&str], code: Code) -> Result<String, Ec2Error> {
    let id = id.trim();
    let digits = prefixes.iter().find_map(|prefix| id.strip_prefix(prefix));
    match digits {
        Some(digits) if matches!(digits.len(), 8 | 17) && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(id.to_string())
        }
        _ => {
            let shown: String = id.chars().take(60).collect();
            Err(Ec2Error::new(
                code,
                format!("Invalid id: \"{shown}\" (expecting \"{}...\" and 8 hexadecimal digits)", prefixes[0]),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_malformed() {
        for id in ["i-1234567", "i-123456789", "j-12345678", "12345678", "i-1234567g", "", "i-"] {
            assert_eq!(instance_id(id).unwrap_err().code, Code::InvalidInstanceIdMalformed, "{id}");
        }
        assert_eq!(instance_id("i-1A2B3C4D").unwrap(), "i-1A2B3C4D");
        assert_eq!(instance_id("i-0123456789abcdef0").unwrap(), "i-0123456789abcdef0");
        assert_eq!(image_id("i-1A2B3C4D").unwrap_err().code, Code::InvalidImageIdMalformed);
    }

    #[test]
    fn an_empty_id_does_not_mean_everything() {
        let pairs: &[(&str, &str)] = &[("InstanceId.1", "")];
        let error = instance_ids(&Params::try_from(pairs).unwrap()).unwrap_err();
        assert_eq!(error.code, Code::InvalidInstanceIdMalformed);
    }

    #[test]
    fn an_id_named_twice_counts_once() {
        let pairs: &[(&str, &str)] = &[("InstanceId.1", "i-00000001"), ("InstanceId.2", "i-00000001")];
        assert_eq!(some_instance_ids(&Params::try_from(pairs).unwrap()).unwrap(), ["i-00000001"]);
    }
}
