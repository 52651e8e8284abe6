//! The commands of `euca admin` about who may ask, and for how much: accounts, quotas, users, groups and their roles, access
//! keys and certificates. Each is one request.

use clap::{Args, Subcommand, ValueEnum};

use super::admin::rows;
use super::{Call, numbered, optional};
use crate::connection::Parameters;
use crate::output::table;
use crate::tree::Element;

#[derive(Subcommand)]
pub enum Identity {
    /// Make an account with a first user, admin, who administers it.
    CreateAccount {
        /// Name of the account.
        name: String,
    },
    /// Delete an account with its users; refused while it owns instances or images.
    DeleteAccount {
        /// Name or id of the account.
        name: String,
    },
    /// Show the accounts.
    DescribeAccounts,
    /// Show what an account may have, and what it has.
    DescribeQuotas(Of),
    /// Set what an account may have; without --account the default of all accounts.
    SetQuotas(Quotas),
    /// Make a user.
    CreateUser {
        /// Name of the user.
        name: String,
        /// A group to be in; may be given several times. Without one a user may do nothing.
        #[arg(long, value_name = "GROUP")]
        group: Vec<String>,
        #[command(flatten)]
        of: Of,
    },
    /// Delete a user and its credentials.
    DeleteUser {
        /// Name of the user.
        name: String,
        #[command(flatten)]
        of: Of,
    },
    /// Show the users.
    DescribeUsers(Of),
    /// Make a group, whose members get a role.
    CreateGroup {
        /// Name of the group.
        name: String,
        /// reader, operator, account-administrator or cloud-administrator.
        role: String,
        #[command(flatten)]
        of: Of,
    },
    /// Delete a group; its members lose its role.
    DeleteGroup {
        /// Name of the group.
        name: String,
        #[command(flatten)]
        of: Of,
    },
    /// Show the groups with their roles and members.
    DescribeGroups(Of),
    /// Put a user into a group.
    AddUserToGroup(Membership),
    /// Take a user out of a group.
    RemoveUserFromGroup(Membership),
    /// Make an access key; its secret is shown this once.
    CreateAccessKey(Whose),
    /// Show access keys.
    DescribeAccessKeys(Whose),
    /// Let an access key sign, or not.
    UpdateAccessKey {
        /// Its id.
        id: String,
        /// Whether it may sign.
        status: Status,
    },
    /// Withdraw an access key.
    DeleteAccessKey {
        /// Its id.
        id: String,
    },
    /// Show signing certificates.
    DescribeSigningCertificates(Whose),
    /// Let a signing certificate sign, or not.
    UpdateSigningCertificate {
        /// Its fingerprint.
        id: String,
        /// Whether it may sign.
        status: Status,
    },
    /// Withdraw a signing certificate.
    DeleteSigningCertificate {
        /// Its fingerprint.
        id: String,
    },
}

/// Of which account.
#[derive(Args)]
pub struct Of {
    /// Name or id of the account; yours if it is not given.
    #[arg(long)]
    account: Option<String>,
}

/// Whose credentials.
#[derive(Args)]
pub struct Whose {
    /// Name of the user; you if it is not given.
    user: Option<String>,
    #[command(flatten)]
    of: Of,
}

#[derive(Args)]
pub struct Membership {
    /// Name of the group.
    group: String,
    /// Name of the user.
    user: String,
    #[command(flatten)]
    of: Of,
}

/// Each is a number, `unlimited`, or `default`; what is not given stays.
#[derive(Args)]
pub struct Quotas {
    /// Instances that have not ended.
    #[arg(long, value_name = "N")]
    instances: Option<String>,
    /// Their virtual cores.
    #[arg(long, value_name = "N")]
    cores: Option<String>,
    /// Their memory in MB.
    #[arg(long, value_name = "N")]
    memory_mb: Option<String>,
    /// Elastic addresses.
    #[arg(long, value_name = "N")]
    addresses: Option<String>,
    #[command(flatten)]
    of: Of,
}

#[derive(Clone, Copy, ValueEnum)]
pub enum Status {
    Active,
    Inactive,
}

impl Identity {
    /// The request, and how its answer is shown.
    pub fn call(self) -> Call {
        let pair = |name: &str, value: String| (name.to_string(), value);
        let none = Parameters::new();
        let (action, parameters) = match self {
            Identity::DescribeAccounts => return listing("DescribeAccounts", none, accounts),
            Identity::DescribeUsers(of) => return listing("DescribeUsers", of.with(none), users),
            Identity::DescribeGroups(of) => return listing("DescribeGroups", of.with(none), groups),
            Identity::CreateAccessKey(whose) => return listing("CreateAccessKey", whose.parameters(), new_key),
            Identity::DescribeAccessKeys(whose) => return listing("DescribeAccessKeys", whose.parameters(), keys),
            Identity::DescribeSigningCertificates(whose) => {
                return listing("DescribeSigningCertificates", whose.parameters(), certificates);
            }
            Identity::CreateAccount { name } => {
                return listing("CreateAccount", vec![pair("AccountName", name)], new_account);
            }
            Identity::DeleteAccount { name } => ("DeleteAccount", vec![pair("AccountName", name)]),
            Identity::DescribeQuotas(of) => return listing("DescribeQuotas", of.with(none), quotas),
            Identity::SetQuotas(quotas) => ("ModifyQuotas", quotas.parameters()),
            Identity::CreateUser { name, group, of } => {
                let named = [vec![pair("UserName", name)], numbered("GroupName", group)].concat();
                ("CreateUser", of.with(named))
            }
            Identity::DeleteUser { name, of } => ("DeleteUser", of.with(vec![pair("UserName", name)])),
            Identity::CreateGroup { name, role, of } => {
                ("CreateGroup", of.with(vec![pair("GroupName", name), pair("Role", role)]))
            }
            Identity::DeleteGroup { name, of } => ("DeleteGroup", of.with(vec![pair("GroupName", name)])),
            Identity::AddUserToGroup(membership) => ("AddUserToGroup", membership.parameters()),
            Identity::RemoveUserFromGroup(membership) => ("RemoveUserFromGroup", membership.parameters()),
            Identity::UpdateAccessKey { id, status } => {
                ("UpdateAccessKey", vec![pair("AccessKeyId", id), status.parameter()])
            }
            Identity::DeleteAccessKey { id } => ("DeleteAccessKey", vec![pair("AccessKeyId", id)]),
            Identity::UpdateSigningCertificate { id, status } => {
                ("UpdateSigningCertificate", vec![pair("CertificateId", id), status.parameter()])
            }
            Identity::DeleteSigningCertificate { id } => ("DeleteSigningCertificate", vec![pair("CertificateId", id)]),
        };
        // Done is done: the answer has nothing to print.
        listing(action, parameters, |_| Vec::new())
    }
}

fn listing(action: &'static str, parameters: Parameters, text: fn(&Element) -> Vec<String>) -> Call {
    Call { action, parameters, text }
}

impl Of {
    fn with(self, mut parameters: Parameters) -> Parameters {
        parameters.extend(optional("AccountName", self.account));
        parameters
    }
}

impl Whose {
    fn parameters(self) -> Parameters {
        self.of.with(optional("UserName", self.user).into_iter().collect())
    }
}

impl Membership {
    fn parameters(self) -> Parameters {
        self.of.with(vec![("GroupName".to_string(), self.group), ("UserName".to_string(), self.user)])
    }
}

impl Quotas {
    fn parameters(self) -> Parameters {
        let given = [
            ("Instances", self.instances),
            ("Cores", self.cores),
            ("MemoryMb", self.memory_mb),
            ("Addresses", self.addresses),
        ];
        self.of.with(given.into_iter().filter_map(|(name, value)| optional(name, value)).collect())
    }
}

impl Status {
    fn parameter(self) -> (String, String) {
        let value = match self {
            Status::Active => "Active",
            Status::Inactive => "Inactive",
        };
        ("Status".to_string(), value.to_string())
    }
}

fn accounts(answer: &Element) -> Vec<String> {
    table(&["ACCOUNT", "NAME"], &rows(answer, "accountSet", &["accountId", "accountName"]))
}

fn new_account(answer: &Element) -> Vec<String> {
    vec![format!("ACCOUNT\t{}\t{}", answer.at("account/accountId"), answer.at("account/accountName"))]
}

fn quotas(answer: &Element) -> Vec<String> {
    table(&["QUANTITY", "LIMIT", "USED", "SOURCE"], &rows(answer, "quotaSet", &["quantity", "limit", "used", "source"]))
}

fn users(answer: &Element) -> Vec<String> {
    let fields = ["accountName", "accountId", "userName", "role", "groups", "accessKeys", "certificates"];
    let titles = ["ACCOUNT", "ACCOUNT ID", "USER", "ROLE", "GROUPS", "ACCESS KEYS", "CERTIFICATES"];
    table(&titles, &rows(answer, "userSet", &fields))
}

fn groups(answer: &Element) -> Vec<String> {
    table(&["GROUP", "ROLE", "USERS"], &rows(answer, "groupSet", &["groupName", "role", "users"]))
}

fn keys(answer: &Element) -> Vec<String> {
    let rows = rows(answer, "accessKeySet", &["accessKeyId", "userName", "status", "createDate"]);
    table(&["ACCESS KEY", "USER", "STATUS", "MADE"], &rows)
}

fn new_key(answer: &Element) -> Vec<String> {
    vec![format!("ACCESSKEY\t{}\t{}", answer.at("accessKey/accessKeyId"), answer.at("accessKey/secretAccessKey"))]
}

fn certificates(answer: &Element) -> Vec<String> {
    let rows = rows(answer, "certificateSet", &["certificateId", "userName", "status", "createDate"]);
    table(&["CERTIFICATE", "USER", "STATUS", "MADE"], &rows)
}
