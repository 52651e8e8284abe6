//! SOAP bodies as parameters: walks the canonical, verified body once and names every leaf as the
//! Query door would (`instancesSet/item/instanceId` is `InstanceId.1`), so that each action is
//! parsed once. The rules: a name's first letter is upper-cased, levels are joined by dots, `item`
//! is a number; one table of the names that are irregular; and the attribute that a request describes
//! or resets, which it names by an empty element, is the parameter `Attribute`. But for that, only a
//! `value` may be empty.

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};

use super::params::Params;
use crate::error::{Code, Ec2Error};

/// An element whose Query name is not its own.
struct Irregular {
    element: &'static str,
    /// Its Query name.
    name: &'static str,
    /// The child that adds no name of its own: the list is one of plain values.
    value: Option<&'static str>,
}

const fn list(element: &'static str, value: &'static str, name: &'static str) -> Irregular {
    Irregular { element, name, value: Some(value) }
}

const fn renamed(element: &'static str, name: &'static str) -> Irregular {
    Irregular { element, name, value: None }
}

/// The irregular names of the 2010-08-31 contract.
const IRREGULAR: &[Irregular] = &[
    list("instancesSet", "instanceId", "InstanceId"),
    list("imagesSet", "imageId", "ImageId"),
    list("ownersSet", "owner", "Owner"),
    list("executableBySet", "user", "ExecutableBy"),
    list("keySet", "keyName", "KeyName"),
    list("groupSet", "groupId", "SecurityGroup"),
    list("availabilityZoneSet", "zoneName", "ZoneName"),
    list("regionSet", "regionName", "RegionName"),
    list("resourcesSet", "resourceId", "ResourceId"),
    list("securityGroupSet", "groupName", "GroupName"),
    list("publicIpsSet", "publicIp", "PublicIp"),
    list("volumeSet", "volumeId", "VolumeId"),
    list("snapshotSet", "snapshotId", "SnapshotId"),
    list("restorableBySet", "user", "RestorableBy"),
    list("bundlesSet", "bundleId", "BundleId"),
    list("vpcSet", "vpcId", "VpcId"),
    list("subnetSet", "subnetId", "SubnetId"),
    list("placementGroupSet", "groupName", "GroupName"),
    list("reservedInstancesSet", "reservedInstancesId", "ReservedInstancesId"),
    list("reservedInstancesOfferingsSet", "reservedInstancesOfferingId", "ReservedInstancesOfferingId"),
    list("spotInstanceRequestIdSet", "spotInstanceRequestId", "SpotInstanceRequestId"),
    list("valueSet", "value", "Value"),
    list("userData", "data", "UserData"),
    renamed("filterSet", "Filter"),
    renamed("tagSet", "Tag"),
];

/// One open element.
struct Level {
    /// What it adds to the names of what is in it; nothing for the root and for plain values.
    name: Option<String>,
    /// The child that adds nothing.
    value: Option<&'static str>,
    /// The `item`s begun in it.
    items: u32,
    /// Characters directly in it.
    text: String,
    /// True if it has elements in it.
    parent: bool,
    /// True of a request in which an empty element names an attribute.
    names_attribute: bool,
    /// True if it says something even when it is empty, as a tag's value does.
    blank: bool,
}

impl Level {
    fn new(name: Option<String>, value: Option<&'static str>) -> Self {
        Self { name, value, items: 0, text: String::new(), parent: false, names_attribute: false, blank: false }
    }

    /// The level of the request itself.
    fn root(local: &str) -> Self {
        let names_attribute =
            local.ends_with("Attribute") && ["Describe", "Reset"].iter().any(|verb| local.starts_with(verb));
        Self { names_attribute, ..Self::new(None, None) }
    }

    /// The level of the child `local`.
    fn child(&mut self, local: &str) -> Level {
        self.parent = true;
        if local == "item" {
            self.items += 1;
            return Level::new(Some(self.items.to_string()), self.value);
        }
        let level = match IRREGULAR.iter().find(|irregular| irregular.element == local) {
            _ if self.value == Some(local) => Level::new(None, None),
            Some(irregular) => Level::new(Some(irregular.name.to_string()), irregular.value),
            None => Level::new(Some(capitalised(local)), None),
        };
        Level { blank: local == "value", ..level }
    }
}

fn capitalised(local: &str) -> String {
    let mut characters = local.chars();
    let first = characters.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(characters).collect()
}

/// The parameters that a SOAP body holds. `body` is the Body's child in canonical form.
///
/// # Errors
/// `InvalidRequest` if it is no XML; a leaf that is there twice.
pub(super) fn flatten(body: &str) -> Result<Params, Ec2Error> {
    let mut reader = Reader::from_str(body);
    let mut params = Params::default();
    let mut levels: Vec<Level> = Vec::new();
    loop {
        match reader.read_event().map_err(unreadable)? {
            Event::Start(start) => {
                let level = match levels.last_mut() {
                    Some(parent) => parent.child(local_name(start.name().as_ref())?),
                    None => Level::root(local_name(start.name().as_ref())?),
                };
                levels.push(level);
            }
            Event::Empty(start) => {
                if let Some(parent) = levels.last_mut() {
                    parent.child(local_name(start.name().as_ref())?);
                }
            }
            Event::Text(text) => put(&mut levels, &text.xml10_content()),
            Event::GeneralRef(reference) => put(&mut levels, &resolve(&reference)?),
            Event::End(end) => {
                if let [root, leaf] = &levels[..]
                    && root.names_attribute
                    && !leaf.parent
                    && leaf.text.is_empty()
                {
                    params.insert("Attribute", local_name(end.name().as_ref())?)?;
                }
                let names: Vec<&str> = levels.iter().filter_map(|level| level.name.as_deref()).collect();
                let name = names.join(".");
                if let Some(leaf) = levels.pop()
                    && !leaf.parent
                    && !name.is_empty()
                    && (!leaf.text.is_empty() || leaf.blank)
                {
                    params.insert(name, leaf.text)?;
                }
            }
            Event::Eof => return Ok(params),
            // Canonical text has none of these.
            Event::CData(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {
                return Err(Ec2Error::new(Code::InvalidRequest, "The SOAP body is not in canonical form"));
            }
        }
    }
}

fn put(levels: &mut [Level], text: &str) {
    if let Some(level) = levels.last_mut() {
        level.text.push_str(text);
    }
}

fn local_name(name: &str) -> Result<&str, Ec2Error> {
    Ok(name.rsplit_once(':').map_or(name, |(_, local)| local))
}

fn resolve(reference: &BytesRef<'_>) -> Result<String, Ec2Error> {
    if let Some(character) = reference.resolve_char_ref().map_err(unreadable)? {
        return Ok(character.to_string());
    }
    let known = resolve_predefined_entity(reference);
    known.map(str::to_string).ok_or_else(|| Ec2Error::new(Code::InvalidRequest, "The SOAP body has an unknown entity"))
}

fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Ec2Error {
    Ec2Error::new(Code::InvalidRequest, "The SOAP body cannot be read as XML").because(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> Vec<(String, String)> {
        let params = flatten(body).unwrap();
        params.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn check(body: &str, expected: &[(&str, &str)]) {
        let expected: Vec<(String, String)> = expected.iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
        assert_eq!(names(body), expected);
    }

    #[test]
    fn lists_become_numbered_parameters() {
        check(
            "<e:RebootInstances xmlns:e=\"x\">\n <e:instancesSet>\n<e:item><e:instanceId>i-1</e:instanceId></e:item>\
             <e:item><e:instanceId>i-2</e:instanceId></e:item></e:instancesSet></e:RebootInstances>",
            &[("InstanceId.1", "i-1"), ("InstanceId.2", "i-2")],
        );
    }

    #[test]
    fn a_run_request_becomes_what_query_clients_send() {
        check(
            "<RunInstances><imageId>emi-1</imageId><minCount>1</minCount><groupSet><item><groupId>default</groupId></item></groupSet>\
             <userData encoding=\"base64\" version=\"1.0\"><data>aGk=</data></userData>\
             <placement><availabilityZone>cluster1</availabilityZone></placement>\
             <blockDeviceMapping><item><deviceName>sdb</deviceName><ebs><volumeSize>1</volumeSize></ebs></item></blockDeviceMapping>\
             <monitoring><enabled>false</enabled></monitoring></RunInstances>",
            &[
                ("BlockDeviceMapping.1.DeviceName", "sdb"),
                ("BlockDeviceMapping.1.Ebs.VolumeSize", "1"),
                ("ImageId", "emi-1"),
                ("MinCount", "1"),
                ("Monitoring.Enabled", "false"),
                ("Placement.AvailabilityZone", "cluster1"),
                ("SecurityGroup.1", "default"),
                ("UserData", "aGk="),
            ],
        );
    }

    #[test]
    fn filters_keep_their_two_levels() {
        check(
            "<D><filterSet><item><name>image-id</name><valueSet><item><value>a</value></item><item><value>b</value></item></valueSet></item></filterSet></D>",
            &[("Filter.1.Name", "image-id"), ("Filter.1.Value.1", "a"), ("Filter.1.Value.2", "b")],
        );
    }

    #[test]
    fn text_is_taken_whole_and_empty_elements_are_absent() {
        check(
            "<D><keyName>a&amp;b&#xD;\n</keyName><instancesSet></instancesSet><kernelId></kernelId></D>",
            &[("KeyName", "a&b\r\n")],
        );
        check(
            "<D><tagSet><item><key>a</key><value></value></item><item><key>b</key></item></tagSet></D>",
            &[("Tag.1.Key", "a"), ("Tag.1.Value", ""), ("Tag.2.Key", "b")],
        );
    }

    #[test]
    fn an_empty_element_names_the_attribute() {
        check(
            "<ResetImageAttribute><imageId>emi-1</imageId><launchPermission></launchPermission></ResetImageAttribute>",
            &[("Attribute", "launchPermission"), ("ImageId", "emi-1")],
        );
        check(
            "<n:DescribeInstanceAttribute xmlns:n=\"x\"><n:instanceId>i-1</n:instanceId>\
             <n:userData xmlns:i=\"y\" i:nil=\"true\"></n:userData></n:DescribeInstanceAttribute>",
            &[("Attribute", "userData"), ("InstanceId", "i-1")],
        );
        check(
            "<ModifyImageAttribute><imageId>emi-1</imageId><launchPermission><add><item><group>all</group></item></add>\
             </launchPermission></ModifyImageAttribute>",
            &[("ImageId", "emi-1"), ("LaunchPermission.Add.1.Group", "all")],
        );
    }

    #[test]
    fn a_leaf_that_is_there_twice_is_refused() {
        assert!(flatten("<D><keyName>a</keyName><keyName>b</keyName></D>").is_err());
    }
}
