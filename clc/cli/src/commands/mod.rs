//! The list of commands, and what they have in common: parameters, one request, one printing.

mod addresses;
mod admin;
mod attributes;
mod doctor;
mod groups;
mod history;
mod identity;
mod image_attributes;
mod images;
mod instances;
mod keys;
mod logs;
mod password;
mod placement_groups;
mod schedule;
mod status;
mod tags;
mod trace;
mod zones;

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{CommandFactory, Subcommand};

use crate::connection::{Parameters, Settings};
use crate::output::{Form, columns, print};
use crate::tree::Element;

/// Every command; names and options as euca2ools 3.4 has them.
#[derive(Subcommand)]
pub enum Command {
    /// Start one or more instances of an image.
    RunInstances(instances::Run),
    /// Show instances and their reservations.
    DescribeInstances(instances::Describe),
    /// Reboot instances: the guest is asked, and reset if it does not obey.
    RebootInstances(instances::Ids),
    /// Terminate instances; their disks are deleted.
    TerminateInstances(instances::Ids),
    /// Stop instances; their disks are kept.
    StopInstances(instances::Stop),
    /// Start stopped instances.
    StartInstances(instances::Ids),
    /// Show what an instance wrote to its console.
    GetConsoleOutput(instances::Console),
    /// Show what an instance left for its owner, sealed with the key pair it was started with.
    GetPasswordData(password::Sealed),
    /// Show what an instance left for its owner, opened with the private key of its key pair.
    GetPassword(password::Opened),
    /// Show how instances are, as the cloud sees them from outside.
    DescribeInstanceStatus(status::Describe),
    /// Show one attribute of an instance.
    DescribeInstanceAttribute(attributes::Describe),
    /// Change one attribute of an instance.
    ModifyInstanceAttribute(attributes::Modify),
    /// Give an attribute of an instance its default value.
    ResetInstanceAttribute(attributes::Reset),
    /// Wish instances to be monitored.
    MonitorInstances(status::Monitoring),
    /// Wish them not to be.
    UnmonitorInstances(status::Monitoring),
    /// Show what the account may have.
    DescribeAccountAttributes(status::AccountAttributes),
    /// Register an image, kernel or ramdisk by its URL.
    Register(images::Register),
    /// Show images.
    DescribeImages(images::Describe),
    /// Forget an image; its instances run on.
    Deregister(images::Deregister),
    /// Show one attribute of an image.
    DescribeImageAttribute(image_attributes::Describe),
    /// Change one attribute of an image.
    ModifyImageAttribute(image_attributes::Modify),
    /// Leave an image to its owner alone.
    ResetImageAttribute(image_attributes::Reset),
    /// Make a key pair; the private key is shown this once.
    #[command(visible_alias = "add-keypair")]
    CreateKeypair(keys::Create),
    /// Bring your own public key.
    ImportKeypair(keys::Import),
    /// Show key pairs.
    DescribeKeypairs(keys::Describe),
    /// Delete a key pair.
    DeleteKeypair(keys::Delete),
    /// Tag resources; a tag of the same key is replaced.
    CreateTags(tags::Change),
    /// Delete tags of resources.
    DeleteTags(tags::Change),
    /// Show tags.
    DescribeTags(tags::Describe),
    /// Make a security group.
    #[command(visible_alias = "add-group")]
    CreateGroup(groups::Create),
    /// Delete a security group.
    DeleteGroup(groups::Delete),
    /// Show security groups and their rules.
    #[command(visible_alias = "describe-group")]
    DescribeGroups(groups::Describe),
    /// Show rules of security groups one by one, with their ids.
    DescribeSecurityGroupRules(groups::DescribeRules),
    /// Add a rule to a security group.
    Authorize(groups::Rule),
    /// Take a rule from a security group.
    Revoke(groups::Rule),
    /// Make a placement group.
    CreatePlacementGroup(placement_groups::Create),
    /// Delete a placement group without instances.
    DeletePlacementGroup(placement_groups::Delete),
    /// Show placement groups.
    DescribePlacementGroups(placement_groups::Describe),
    /// Take an elastic address.
    AllocateAddress(addresses::Allocate),
    /// Give an elastic address back.
    ReleaseAddress(addresses::Release),
    /// Put an elastic address on an instance.
    AssociateAddress(addresses::Associate),
    /// Take an elastic address from its instance.
    DisassociateAddress(addresses::Disassociate),
    /// Show elastic addresses.
    DescribeAddresses(addresses::Describe),
    /// Show availability zones; `verbose` also shows their capacity.
    DescribeAvailabilityZones(zones::Zones),
    /// Show regions.
    DescribeRegions(zones::Regions),
    /// Show instance types.
    DescribeInstanceTypes(zones::Types),
    /// Show which instance types there are where.
    DescribeInstanceTypeOfferings(zones::Offerings),
    /// Show what happened to a request, tier by tier, and how long each step took.
    Trace(trace::Trace),
    /// Show the lines of a request in the logs of all tiers.
    Logs(logs::Logs),
    /// Show what was done with an instance: when, by whom, in which request, and what came of it.
    History(history::History),
    /// Show why instances were placed where they were, or where they would be now.
    #[command(subcommand)]
    Schedule(schedule::Schedule),
    /// Look for what does not fit together in the whole cloud, and repair it.
    Doctor(doctor::Doctor),
    /// Administer the cloud: clusters, nodes, accounts, users, credentials.
    #[command(subcommand)]
    Admin(admin::Admin),
    /// Make `euca-COMMAND` links to this program in a directory.
    Links {
        /// The directory; links of ours that are there are replaced.
        directory: PathBuf,
    },
}

/// One action, ready to be asked, and how to print its answer.
pub struct Call {
    action: &'static str,
    parameters: Parameters,
    text: fn(&Element) -> Vec<String>,
}

/// One action whose answer only says yes: what is printed then is known beforehand, and tells what
/// was done as euca2ools does.
pub struct Deed {
    action: &'static str,
    parameters: Parameters,
    lines: Vec<String>,
}

impl Deed {
    async fn run(self, settings: &Settings, form: Form) -> Result<()> {
        let answer = settings.cloud()?.ask(self.action, self.parameters).await?;
        print(form, &answer, |_| self.lines);
        Ok(())
    }
}

/// Runs a command to its end.
///
/// # Errors
/// In words for one line.
pub async fn run(command: Command, settings: &Settings, form: Form) -> Result<()> {
    let call = match command {
        Command::RunInstances(run) => run.call()?,
        Command::DescribeInstances(describe) => describe.call()?,
        Command::RebootInstances(ids) => ids.reboot(),
        Command::TerminateInstances(ids) => ids.terminate(),
        Command::StartInstances(ids) => ids.start(),
        Command::StopInstances(stop) => stop.call(),
        Command::GetConsoleOutput(console) => return console.run(&settings.cloud()?, form).await,
        Command::GetPasswordData(password) => password.call(),
        Command::GetPassword(password) => return password.run(&settings.cloud()?, form).await,
        Command::DescribeInstanceStatus(describe) => describe.call()?,
        Command::DescribeInstanceAttribute(describe) => describe.call(),
        Command::ModifyInstanceAttribute(modify) => modify.call()?,
        Command::ResetInstanceAttribute(reset) => reset.call(),
        Command::MonitorInstances(monitoring) => monitoring.on(),
        Command::UnmonitorInstances(monitoring) => monitoring.off(),
        Command::DescribeAccountAttributes(attributes) => attributes.call(),
        Command::Register(register) => register.call(),
        Command::DescribeImages(describe) => describe.call()?,
        Command::Deregister(deregister) => return deregister.deed().run(settings, form).await,
        Command::DescribeImageAttribute(describe) => describe.call(),
        Command::ModifyImageAttribute(modify) => return modify.deed()?.run(settings, form).await,
        Command::ResetImageAttribute(reset) => return reset.deed().run(settings, form).await,
        Command::CreateKeypair(create) => return create.run(&settings.cloud()?, form).await,
        Command::ImportKeypair(import) => import.call()?,
        Command::DescribeKeypairs(describe) => describe.call()?,
        Command::DeleteKeypair(delete) => return delete.deed().run(settings, form).await,
        Command::CreateTags(change) => return change.create()?.run(settings, form).await,
        Command::DeleteTags(change) => return change.delete()?.run(settings, form).await,
        Command::DescribeTags(describe) => describe.call()?,
        Command::CreateGroup(create) => return create.run(&settings.cloud()?, form).await,
        Command::DeleteGroup(delete) => delete.call(),
        Command::DescribeGroups(describe) => describe.call()?,
        Command::DescribeSecurityGroupRules(describe) => describe.call()?,
        Command::Authorize(rule) => return rule.authorize()?.run(settings, form).await,
        Command::Revoke(rule) => return rule.revoke()?.run(settings, form).await,
        Command::CreatePlacementGroup(create) => create.call(),
        Command::DeletePlacementGroup(delete) => delete.call(),
        Command::DescribePlacementGroups(describe) => describe.call()?,
        Command::AllocateAddress(allocate) => allocate.call(),
        Command::ReleaseAddress(release) => return release.deed().run(settings, form).await,
        Command::AssociateAddress(associate) => return associate.deed().run(settings, form).await,
        Command::DisassociateAddress(disassociate) => return disassociate.deed().run(settings, form).await,
        Command::DescribeAddresses(describe) => describe.call()?,
        Command::DescribeAvailabilityZones(zones) => zones.call()?,
        Command::DescribeRegions(regions) => regions.call()?,
        Command::DescribeInstanceTypes(types) => types.call()?,
        Command::DescribeInstanceTypeOfferings(offerings) => offerings.call()?,
        Command::Trace(trace) => trace.call()?,
        Command::Logs(logs) => logs.call()?,
        Command::History(history) => history.call(),
        Command::Schedule(schedule) => schedule.call()?,
        Command::Doctor(doctor) => doctor.call(),
        Command::Admin(admin) => return admin::run(admin, &settings.cloud()?.telling(), form).await,
        Command::Links { directory } => return links(&directory),
    };
    let answer = settings.cloud()?.ask(call.action, call.parameters).await?;
    print(form, &answer, call.text);
    Ok(())
}

/// `Prefix.1`, `Prefix.2`, ... as Query numbers its lists.
fn numbered(prefix: &str, values: impl IntoIterator<Item = String>) -> Parameters {
    let number = |(at, value)| (format!("{prefix}.{}", at + 1), value);
    values.into_iter().enumerate().map(number).collect()
}

/// `name=value` filters; several of one name are alternatives.
fn filters(given: &[String]) -> Result<Parameters> {
    let mut parsed: Vec<(&str, Vec<&str>)> = Vec::new();
    for filter in given {
        let (name, value) =
            filter.split_once('=').with_context(|| format!("'{filter}' is no filter: write NAME=VALUE"))?;
        match parsed.iter_mut().find(|(known, _)| *known == name) {
            Some((_, values)) => values.push(value),
            None => parsed.push((name, vec![value])),
        }
    }
    let mut parameters = Parameters::new();
    for (at, (name, values)) in parsed.into_iter().enumerate() {
        parameters.push((format!("Filter.{}.Name", at + 1), name.to_string()));
        let prefix = format!("Filter.{}.Value", at + 1);
        parameters.extend(numbered(&prefix, values.into_iter().map(str::to_string)));
    }
    Ok(parameters)
}

/// A request's id as a person has it: with or without `req-`.
fn request_parameter(typed: &str) -> Parameters {
    let bare = typed.trim().trim_start_matches("req-").to_string();
    vec![("RequestId".to_string(), bare)]
}

/// The parameter, if there is a value for it.
fn optional(name: &str, value: Option<String>) -> Option<(String, String)> {
    value.map(|value| (name.to_string(), value))
}

/// What is printed of an answer that only says yes.
fn accepted(answer: &Element) -> Vec<String> {
    vec![columns(["RETURN", answer.at("return")])]
}

fn links(directory: &std::path::Path) -> Result<()> {
    let program = std::env::current_exe().context("this program's own path is not known")?;
    let commands = crate::Cli::command();
    let names = commands.get_subcommands().flat_map(|command| command.get_name_and_visible_aliases());
    for name in names.filter(|name| !matches!(*name, "links" | "admin" | "help")) {
        let link = directory.join(format!("euca-{name}"));
        if link.is_symlink() {
            std::fs::remove_file(&link).with_context(|| format!("{} cannot be replaced", link.display()))?;
        }
        std::os::unix::fs::symlink(&program, &link).with_context(|| format!("{} cannot be made", link.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_of_one_name_are_one_filter() {
        let given = ["a=1", "b=x", "a=2"].map(str::to_string);
        let text: Vec<String> =
            filters(&given).unwrap().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(
            text,
            ["Filter.1.Name=a", "Filter.1.Value.1=1", "Filter.1.Value.2=2", "Filter.2.Name=b", "Filter.2.Value.1=x"]
        );
        assert!(filters(&["nonsense".to_string()]).is_err());
    }
}
