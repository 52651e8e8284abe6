//! The ids the cloud makes. Those of resources are a prefix and eight upper-case hexadecimal digits,
//! as Eucalyptus 2.0.1 has them (its wire derives an instance's MAC from the digits). Whether one is taken already is
//! the store's to say.

use uuid::Uuid;

/// `i-1A2B3C4D`. Never `i-00000000`, whose MAC some old bridges take for none.
pub fn instance_id() -> String {
    with_prefix("i-")
}

/// `r-1A2B3C4D`.
pub fn reservation_id() -> String {
    with_prefix("r-")
}

/// A key pair's id, in the newer form.
pub fn key_pair_id() -> String {
    newer("key-")
}

/// A security group's id, in the newer form.
pub fn security_group_id() -> String {
    newer("sg-")
}

/// A placement group's id, in the newer form.
pub fn placement_group_id() -> String {
    newer("pg-")
}

/// The id of an elastic address's allocation to an account, in the newer form.
pub fn allocation_id() -> String {
    newer("eipalloc-")
}

/// The id of an elastic address's being on an instance, in the newer form.
pub fn association_id() -> String {
    newer("eipassoc-")
}

/// The id of a security group's rule, in the newer form.
pub fn security_group_rule_id() -> String {
    newer("sgr-")
}

/// A prefix and 17 lower-case digits, EC2's newer form: of what no client of 2.0.1's time asks for.
fn newer(prefix: &str) -> String {
    format!("{prefix}{}", &Uuid::new_v4().simple().to_string()[..17])
}

/// An image's id, with the prefix of its kind: `emi-`, `eki-`, `eri-`.
pub fn image_id(prefix: &str) -> String {
    with_prefix(prefix)
}

/// An account's id: 12 digits, as EC2's owner ids.
pub fn account_id() -> String {
    let number = 100_000_000_000 + Uuid::new_v4().as_u64_pair().0 % 900_000_000_000;
    number.to_string()
}

/// A user's id: `AIDA` and 16 characters, as IAM has it.
pub fn user_id() -> String {
    format!("AIDA{}", &Uuid::new_v4().simple().to_string().to_ascii_uppercase()[..16])
}

/// The id as the store keeps it: clients may write the digits in lower case.
pub fn canonical(id: &str) -> String {
    match id.split_once('-') {
        Some((prefix, digits)) => format!("{}-{}", prefix.to_ascii_lowercase(), digits.to_ascii_uppercase()),
        None => id.to_string(),
    }
}

/// The MAC of an instance: `d0:0d:` and the digits of its id. A 2.0.1 cluster computes it so,
/// whatever it is sent.
pub fn mac(instance_id: &str) -> String {
    let digits: Vec<char> = instance_id.chars().skip(2).map(|c| c.to_ascii_lowercase()).collect();
    let pairs: Vec<String> = digits.chunks(2).map(|pair| pair.iter().collect()).collect();
    format!("d0:0d:{}", pairs.join(":"))
}

fn with_prefix(prefix: &str) -> String {
    loop {
        let (digits, _, _, _) = Uuid::new_v4().as_fields();
        if digits != 0 {
            return format!("{prefix}{digits:08X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_forms() {
        let id = instance_id();
        assert_eq!(id.len(), 10);
        assert!(id[2..].bytes().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(&b)), "{id}");
        assert_eq!(canonical("i-1a2b3c4d"), "i-1A2B3C4D");
        let account = account_id();
        assert!(account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit()), "{account}");
        assert_eq!(mac("i-46E208C2"), "d0:0d:46:e2:08:c2");
    }
}
