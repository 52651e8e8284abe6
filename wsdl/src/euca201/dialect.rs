//! Text as 2.0.1's parser (guththila, of Axis2/C) can read it: ASCII, the five named entities, no
//! CDATA, no attributes. It stops at a non-ASCII byte and loses what follows, keeps `&#66;` as it is,
//! and its structs cut what is too long, all without a word (recorded: `tests/captures/text-*`). So a
//! request that would arrive damaged is not sent, and the error names the field; an answer is always
//! sent, for one instance's text must not hide all others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::envelope::Limits;
use crate::envelope::events::{Event, Events};
use crate::service::Service;

/// Why a request is not sent to an old peer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Untellable {
    /// A character that is not ASCII.
    #[error(
        "{path}: a peer of Eucalyptus 2.0.1 reads ASCII only, and this has U+{code:04X}; write it in ASCII or base64"
    )]
    Character {
        /// The field, `ncRunInstance/userData`.
        path: String,
        /// The code point.
        code: u32,
    },
    /// Longer than the old peer's memory for it.
    #[error("{path}: a peer of Eucalyptus 2.0.1 keeps {most} bytes of this, and it has {length}; make it shorter")]
    TooLong {
        /// The field.
        path: String,
        /// How long it may be.
        most: usize,
        /// How long it is.
        length: usize,
    },
    /// Not a message of ours.
    #[error("the message cannot be read again: {0}")]
    Malformed(String),
}

/// A request's body in the old dialect.
///
/// # Errors
/// [`Untellable`] names the field that would not arrive as it is.
pub fn request(service: Service, body: &str) -> Result<String, Untellable> {
    rewrite(body, |path, value| {
        let name = path.join("/");
        if let Some(found) = value.chars().find(|found| !found.is_ascii()) {
            return Err(Untellable::Character { path: name, code: found.into() });
        }
        match longest(service, path) {
            Some(most) if value.len() > most => Err(Untellable::TooLong { path: name, most, length: value.len() }),
            Some(_) | None => Ok(text(value)),
        }
    })
}

/// An answer's body in the old dialect. What is not ASCII goes as `?`; user data, which is nobody's
/// to change, as the `data:;base64,` URI that other bytes go as too.
///
/// # Errors
/// [`Untellable::Malformed`] only.
pub fn answer(body: &str) -> Result<String, Untellable> {
    rewrite(body, |path, value| {
        Ok(match path.last() {
            Some(&"userData") if !value.is_ascii() => format!("data:;base64,{}", STANDARD.encode(value)),
            Some(_) | None => text(value),
        })
    })
}

/// Text with the entities that the old writer uses; `?` for what is not ASCII.
pub fn text(value: &str) -> String {
    let mut written = String::with_capacity(value.len());
    for found in value.chars() {
        match found {
            '&' => written.push_str("&amp;"),
            '<' => written.push_str("&lt;"),
            '>' => written.push_str("&gt;"),
            '"' => written.push_str("&quot;"),
            found if found.is_ascii() => written.push(found),
            _ => written.push('?'),
        }
    }
    written
}

/// How many bytes of a text the old peer keeps, where that is known: its C structs less the final NUL
/// (nodes: util/data.h:66-137; clusters: cluster/handlers.h:81-113).
fn longest(service: Service, path: &[&str]) -> Option<usize> {
    let field = *path.last()?;
    match (service, field) {
        (Service::Nc, "keyName") => Some(2047),
        (Service::Nc, "userData") => Some(5119),
        (Service::Nc, "privateMacAddress" | "privateIp" | "publicIp") => Some(23),
        (Service::Nc, "imageURL" | "kernelURL" | "ramdiskURL" | "userId" | "remoteDev" | "platform") => Some(511),
        (Service::Cc, "keyName") => Some(1023),
        (Service::Cc, "userData") => Some(4095),
        (Service::Cc, "imageURL" | "kernelURL" | "ramdiskURL") => Some(511),
        (Service::Cc, "imageId" | "kernelId" | "ramdiskId" | "reservationId" | "instanceId" | "instanceIds") => {
            Some(15)
        }
        // It becomes the instances' owner.
        (Service::Cc, "userId") if path.first() == Some(&"RunInstances") => Some(15),
        (Service::Cc, "launchIndex" | "platform") => Some(63),
        (Service::Cc, "netNames" | "netName") => Some(31),
        (Service::Nc | Service::Cc, "name" | "deviceName" | "virtualName") => Some(63),
        (Service::Nc | Service::Cc | Service::Ironbark, _) => None,
    }
}

/// Writes a message of ours again as the old peers do: the prefix `n` declared once, `<x></x>` for
/// what is empty, each text as `value` makes it.
fn rewrite(
    body: &str,
    mut value: impl FnMut(&[&str], &str) -> Result<String, Untellable>,
) -> Result<String, Untellable> {
    let malformed = |error: crate::envelope::events::Malformed| Untellable::Malformed(error.to_string());
    let limits = Limits { bytes: usize::MAX, canonical: usize::MAX, ..Limits::default() };
    let mut events = Events::document(body.as_bytes(), &limits).map_err(malformed)?;
    let mut written = String::with_capacity(body.len());
    let mut path: Vec<&str> = Vec::new();
    let (mut content, mut leaf) = (String::new(), false);
    loop {
        match events.next().map_err(malformed)? {
            Event::Start(tag) => {
                written.push_str("<n:");
                written.push_str(tag.local);
                if path.is_empty() {
                    let namespace = tag.namespace.as_deref().unwrap_or_default();
                    written.push_str(&format!(" xmlns:n=\"{}\"", text(namespace)));
                }
                written.push('>');
                path.push(tag.local);
                content.clear();
                leaf = true;
            }
            Event::Text(more) => content.push_str(&more),
            Event::End => {
                if std::mem::take(&mut leaf) {
                    written.push_str(&value(&path, &content)?);
                }
                if let Some(name) = path.pop() {
                    written.push_str(&format!("</n:{name}>"));
                }
            }
            Event::Eof => return Ok(written),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "<x:ncRunInstance xmlns:x=\"http://eucalyptus.ucsb.edu/\"><x:userId>alice</x:userId>\
         <x:netParams><x:vlan>1</x:vlan></x:netParams><x:keyName /><x:userData>VALUE</x:userData></x:ncRunInstance>";

    #[test]
    fn messages_are_written_as_the_old_peers_write_them() {
        let body = BODY.replace("VALUE", "a&#xD;\n\t&lt;b&gt; &amp; 'c' \"d\"&#66;<![CDATA[<]]>");
        let expected = "<n:ncRunInstance xmlns:n=\"http://eucalyptus.ucsb.edu/\"><n:userId>alice</n:userId>\
             <n:netParams><n:vlan>1</n:vlan></n:netParams><n:keyName></n:keyName>\
             <n:userData>a\r\n\t&lt;b&gt; &amp; 'c' &quot;d&quot;B&lt;</n:userData></n:ncRunInstance>";
        assert_eq!(request(Service::Nc, &body).as_deref(), Ok(expected));
        assert_eq!(answer(&body).as_deref(), Ok(expected));
    }

    #[test]
    fn a_request_that_would_arrive_damaged_is_not_sent() {
        let error = request(Service::Nc, &BODY.replace("VALUE", "gr\u{fc}n")).expect_err("not ASCII");
        assert_eq!(error, Untellable::Character { path: "ncRunInstance/userData".to_string(), code: 0xfc });
        let long = BODY.replace("VALUE", &"x".repeat(5120));
        assert!(matches!(request(Service::Nc, &long), Err(Untellable::TooLong { most: 5119, length: 5120, .. })));
        assert!(request(Service::Nc, &BODY.replace("VALUE", &"x".repeat(5119))).is_ok());
        assert!(matches!(
            request(Service::Cc, &BODY.replace("VALUE", &"x".repeat(4096))),
            Err(Untellable::TooLong { .. })
        ));
    }

    #[test]
    fn an_answer_is_always_sent() {
        let body = BODY.replace("VALUE", "gr\u{fc}n").replace("alice", "\u{e4}lice");
        let written = answer(&body).expect("an answer");
        assert!(written.is_ascii());
        assert!(written.contains("<n:userId>?lice</n:userId>"), "{written}");
        let data = written.split("<n:userData>").nth(1).and_then(|rest| rest.split('<').next()).expect("user data");
        assert_eq!(crate::marshal::bytes_carried(data), "gr\u{fc}n".as_bytes());
    }
}
