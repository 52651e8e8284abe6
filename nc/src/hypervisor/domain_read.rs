//! What we read out of libvirt's XML of a domain: its disks and our mark. Pure; libvirt is trusted to write whole XML.

use std::path::PathBuf;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::AttachedDisk;

/// The mark in a domain's metadata that makes it ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    pub instance: String,
    pub owner: String,
}

/// The disks of a domain, in the XML's order; a drive without a target is left out. `Err` holds the parser's text.
pub fn disks_of(xml: &str) -> Result<Vec<AttachedDisk>, String> {
    let mut disks: Vec<AttachedDisk> = Vec::new();
    walk(xml, |path, found| {
        // Only direct children of <disk> count: <source> appears again inside <backingStore> and <mirror>.
        let ["domain", "devices", "disk", below @ ..] = path else { return };
        match (below, found) {
            ([], Found::Element(_)) => {
                disks.push(AttachedDisk { target: String::new(), source: None, serial: None });
            }
            (["target"], Found::Element(tag)) => {
                if let (Some(disk), Some(target)) = (disks.last_mut(), attribute(tag, "dev")) {
                    disk.target = target;
                }
            }
            (["source"], Found::Element(tag)) => {
                if let Some(disk) = disks.last_mut() {
                    disk.source = attribute(tag, "file").or_else(|| attribute(tag, "dev")).map(PathBuf::from);
                }
            }
            (["serial"], Found::Text(text)) => {
                if let Some(disk) = disks.last_mut() {
                    disk.serial = Some(text.to_owned());
                }
            }
            (_, Found::Element(_) | Found::Text(_)) => {}
        }
    })?;
    disks.retain(|disk| !disk.target.is_empty());
    Ok(disks)
}

/// Our mark, from the element that virDomainGetMetadata returns for our namespace: it has asked for the namespace
/// already, and takes its declaration off. `None` when it is not what we write.
pub fn mark_of(element: &str) -> Option<Mark> {
    let mut mark = None;
    let read = walk(element, |path, found| {
        if let ([name], Found::Element(tag)) = (path, found)
            && name.rsplit(':').next() == Some("instance")
            && let (Some(instance), Some(owner)) = (attribute(tag, "id"), attribute(tag, "owner"))
        {
            mark = Some(Mark { instance, owner });
        }
    });
    read.ok().and(mark)
}

enum Found<'a> {
    Element(&'a BytesStart<'a>),
    /// Trimmed and not empty.
    Text(&'a str),
}

/// Calls `visit` with the path of element names for each element and each text.
fn walk(xml: &str, mut visit: impl FnMut(&[&str], Found)) -> Result<(), String> {
    let mut reader = Reader::from_str(xml);
    reader.config_mut().expand_empty_elements = true;
    let mut path: Vec<String> = Vec::new();
    loop {
        match reader.read_event().map_err(|e| e.to_string())? {
            Event::Start(tag) => {
                path.push(tag.name().as_ref().to_owned());
                visit(&names(&path), Found::Element(&tag));
            }
            Event::Text(text) if !text.trim().is_empty() => visit(&names(&path), Found::Text(text.trim())),
            Event::End(_) => drop(path.pop()),
            Event::Eof => return Ok(()),
            // Blank text, comments, declarations, and entities, which none of the values we read contain.
            _ => {}
        }
    }
}

fn names(path: &[String]) -> Vec<&str> {
    path.iter().map(String::as_str).collect()
}

fn attribute(tag: &BytesStart, name: &str) -> Option<String> {
    let attribute = tag.try_get_attribute(name).ok()??;
    Some(attribute.normalized_value(XmlVersion::Implicit1_0).ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_are_found_with_their_own_sources() {
        let xml = "<domain><devices>
            <disk type='file' device='disk'><source file='/i/a&amp;b' index='1'/>
              <backingStore type='file'><source file='/cache/base'/></backingStore>
              <target dev='vda' bus='virtio'/><serial>root</serial></disk>
            <disk type='block'><source dev='/dev/loop0'/><target dev='vdb'/></disk>
            <disk type='file' device='cdrom'><target dev='hda'/></disk>
            <interface><target dev='tap0'/></interface></devices></domain>";
        let disk = |target: &str, source: Option<&str>, serial: Option<&str>| AttachedDisk {
            target: target.into(),
            source: source.map(PathBuf::from),
            serial: serial.map(str::to_owned),
        };
        assert_eq!(
            disks_of(xml),
            Ok(vec![
                disk("vda", Some("/i/a&b"), Some("root")),
                disk("vdb", Some("/dev/loop0"), None),
                disk("hda", None, None)
            ])
        );
    }

    #[test]
    fn the_mark_is_read_as_libvirt_returns_it() {
        let ours = Some(Mark { instance: "i-1".into(), owner: "<n>".into() });
        assert_eq!(mark_of("<instance id='i-1' owner='&lt;n&gt;'/>\n"), ours);
        for other in
            ["<instance id='i-1'/>", "<other id='i-1' owner='n'/>", "<a><instance id='i' owner='n'/></a>", "<a"]
        {
            assert_eq!(mark_of(other), None, "{other}");
        }
    }
}
