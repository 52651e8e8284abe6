//! The API version a client speaks: it gives the answer's namespace and decides its shape.

use std::convert::Infallible;
use std::str::FromStr;

/// The version that our SOAP contract is written in.
pub const CONTRACT: &str = "2010-08-31";

/// An API version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Version {
    /// A date, `2010-08-31`. Dates that EC2 never published are answered in the shape of the
    /// newest version before them.
    Dated(String),
    /// Anything else: Eucalyptus's administrators' tools send `eucalyptus`.
    Eucalyptus,
}

impl Version {
    /// The namespace of answers. EC2's ends in a slash, and libcloud compares it to the letter.
    pub fn namespace(&self) -> String {
        match self {
            Version::Dated(date) => format!("http://ec2.amazonaws.com/doc/{date}/"),
            Version::Eucalyptus => "http://msgs.eucalyptus.com".to_string(),
        }
    }

    /// The version whose namespace this is, with or without the slash.
    pub fn of_namespace(namespace: &str) -> Option<Self> {
        let date = namespace.strip_prefix("http://ec2.amazonaws.com/doc/")?.trim_end_matches('/');
        is_date(date).then(|| Version::Dated(date.to_string()))
    }

    /// True from the version of that date on.
    pub fn at_least(&self, date: &str) -> bool {
        match self {
            Version::Dated(own) => own.as_str() >= date,
            Version::Eucalyptus => true,
        }
    }
}

impl FromStr for Version {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if is_date(text) { Version::Dated(text.to_string()) } else { Version::Eucalyptus })
    }
}

/// Ten characters `dddd-dd-dd`: also what keeps a client's text out of our XML.
fn is_date(text: &str) -> bool {
    text.len() == 10
        && text.bytes().enumerate().all(|(at, byte)| match at {
            4 | 7 => byte == b'-',
            _ => byte.is_ascii_digit(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_ends_in_a_slash() {
        let version: Version = "2016-11-15".parse().unwrap();
        assert_eq!(version.namespace(), "http://ec2.amazonaws.com/doc/2016-11-15/");
        assert_eq!(Version::of_namespace("http://ec2.amazonaws.com/doc/2016-11-15"), Some(version.clone()));
        assert!(version.at_least("2010-08-31") && !version.at_least("2016-11-16"));
    }

    #[test]
    fn what_is_no_date_never_reaches_the_answer() {
        for text in ["eucalyptus", "\"><evil", "2010-8-31", "2010-08-3é"] {
            assert_eq!(text.parse::<Version>().unwrap(), Version::Eucalyptus);
        }
        assert_eq!(Version::of_namespace("http://ec2.amazonaws.com/doc/now/"), None);
    }
}
