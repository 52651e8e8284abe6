//! What a user may do: the roles, from least to most. A role is given to a group of users; a user
//! has the highest of its groups' roles, and none without a group. What each action asks for is
//! said where it is declared ([`crate::front::Access`]).

use std::fmt;
use std::str::FromStr;

/// A role. The order is that of power: each may do what those below it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sees the account's resources, and changes nothing.
    Reader,
    /// Does everything with the account's resources.
    Operator,
    /// Also manages the account's users, groups and credentials.
    AccountAdministrator,
    /// Manages the cloud: its clusters, its accounts, everybody's instances.
    CloudAdministrator,
}

impl Role {
    /// Every role, from least to most.
    pub const ALL: [Role; 4] = [Role::Reader, Role::Operator, Role::AccountAdministrator, Role::CloudAdministrator];

    /// The role as it is written: `account-administrator`.
    pub fn name(self) -> &'static str {
        match self {
            Role::Reader => "reader",
            Role::Operator => "operator",
            Role::AccountAdministrator => "account-administrator",
            Role::CloudAdministrator => "cloud-administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no role.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is no role")]
pub struct UnknownRole(String);

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Role::ALL.into_iter().find(|role| role.name() == text).ok_or_else(|| UnknownRole(text.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_ordered_by_what_they_may_do_and_their_names_go_round() {
        assert!(Role::ALL.is_sorted());
        for role in Role::ALL {
            assert_eq!(role.name().parse::<Role>().unwrap(), role);
        }
        assert!("root".parse::<Role>().is_err());
    }
}
