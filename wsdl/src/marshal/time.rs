//! `xs:dateTime` as the wire has it: UTC, milliseconds.

use std::fmt;
use std::io::{Read, Write};
use std::str::FromStr;

use jiff::tz::Offset;
use jiff::{Timestamp, civil};
use yaserde::{YaDeserialize, YaSerialize};

/// A moment, to the millisecond: that is what the wire carries (`2026-11-20T10:21:23.756Z`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime(Timestamp);

impl DateTime {
    /// The present moment.
    pub fn now() -> Self {
        Timestamp::now().into()
    }

    /// The moment as jiff's type.
    pub fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl From<Timestamp> for DateTime {
    /// Cuts what is below the millisecond, so that a value equals itself after its journey.
    fn from(moment: Timestamp) -> Self {
        Self(Timestamp::from_millisecond(moment.as_millisecond()).unwrap_or(moment))
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

impl FromStr for DateTime {
    type Err = jiff::Error;

    /// With `Z` or an offset; without one it is UTC, as all of 2.0.1's are.
    fn from_str(text: &str) -> Result<Self, jiff::Error> {
        let moment = text.parse::<Timestamp>().or_else(|error| {
            let local: civil::DateTime = if text.contains('T') { text.parse()? } else { return Err(error) };
            Offset::UTC.to_timestamp(local)
        })?;
        Ok(moment.into())
    }
}

impl YaSerialize for DateTime {
    fn serialize<W: Write>(&self, writer: &mut yaserde::ser::Serializer<W>) -> yaserde::Result<()> {
        yaserde::primitives::serialize_primitives(self, "dateTime", writer, ToString::to_string)
    }

    fn serialize_attributes(
        &self,
        attributes: Vec<xml::attribute::OwnedAttribute>,
        namespace: xml::namespace::Namespace,
    ) -> yaserde::Result<(Vec<xml::attribute::OwnedAttribute>, xml::namespace::Namespace)> {
        Ok((attributes, namespace))
    }
}

impl YaDeserialize for DateTime {
    fn deserialize<R: Read>(reader: &mut yaserde::de::Deserializer<R>) -> yaserde::Result<Self> {
        yaserde::primitives::deserialize_primitives(reader, |text| text.trim().parse().map_err(yaserde::Error::custom))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utc_with_milliseconds() {
        for (text, written) in [
            ("2026-11-20T10:21:23.756Z", "2026-11-20T10:21:23.756Z"),
            ("2026-11-20T10:21:23Z", "2026-11-20T10:21:23.000Z"),
            ("2026-11-20T11:21:23.7569+01:00", "2026-11-20T10:21:23.756Z"),
            ("2026-11-20T10:21:23", "2026-11-20T10:21:23.000Z"),
        ] {
            let moment: DateTime = text.parse().expect("a date and time");
            assert_eq!(moment.to_string(), written);
            assert_eq!(written.parse::<DateTime>().expect("our own text"), moment);
        }
        for text in ["", "yesterday", "2026-11-20", "2026-13-20T10:21:23Z"] {
            assert!(text.parse::<DateTime>().is_err(), "{text}");
        }
        assert_eq!(DateTime::default().to_string(), "1970-01-01T00:00:00.000Z");
    }
}
