//! The parameters of one request as a flat map of names to texts (`Filter.1.Value.2`), the form
//! into which both doors bring a request, and the only form that actions are parsed from. Every
//! accessor names the parameter in its error. It knows no action and no door.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use crate::error::{Code, Ec2Error};

/// Parameters of one request. Far more than any client sends; past it the request is refused.
pub const MAX_PARAMETERS: usize = 4096;

/// The parameters of a request, or of one of its groups (`Filter.2`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    values: BTreeMap<String, String>,
    /// `Filter.2.` within that group: errors give the full name.
    within: String,
}

impl Params {
    /// Adds a parameter.
    ///
    /// # Errors
    /// The same name twice (the signer might have seen the first and we the last), or too many.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) -> Result<(), Ec2Error> {
        let name = name.into();
        if self.values.len() >= MAX_PARAMETERS {
            let text = format!("The request has more than {MAX_PARAMETERS} parameters");
            return Err(Ec2Error::new(Code::MalformedQueryString, text));
        }
        if self.values.contains_key(&name) {
            let shown: String = name.chars().take(100).collect();
            return Err(Ec2Error::new(
                Code::MalformedQueryString,
                format!("The parameter {shown} is given more than once"),
            ));
        }
        self.values.insert(name, value.into());
        Ok(())
    }

    /// True if there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All names and values, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.values.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of a parameter as it was given, even if it is empty: for values that are cleared so.
    pub fn given(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// The value of a parameter; an empty one counts as absent, because SOAP toolkits and shells
    /// send empty fields for what was not given. `InstanceId.1` is accepted for `InstanceId`,
    /// as boto 2 sends it where one id is expected.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .or_else(|| self.values.get(&format!("{name}.1")))
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// [`Params::optional`] as an owned text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.optional(name).map(str::to_string)
    }

    /// The value of a parameter that must be there.
    ///
    /// # Errors
    /// `MissingParameter`.
    pub fn required(&self, name: &str) -> Result<&str, Ec2Error> {
        self.optional(name).ok_or_else(|| self.missing(name))
    }

    /// A whole number within `range`.
    ///
    /// # Errors
    /// `InvalidParameterValue` if it is no number or outside the range.
    pub fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Ec2Error> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        match text.trim().parse::<i64>() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let problem = format!("It must be a whole number from {} to {}.", range.start(), range.end());
                Err(self.invalid(name, text, &problem))
            }
        }
    }

    /// [`Params::integer`] that must be there.
    ///
    /// # Errors
    /// `MissingParameter`, `InvalidParameterValue`.
    pub fn required_integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<i64, Ec2Error> {
        self.integer(name, range)?.ok_or_else(|| self.missing(name))
    }

    /// `true`, `false`, `1` or `0` (XML Schema's forms), in any case.
    ///
    /// # Errors
    /// `InvalidParameterValue` for anything else.
    pub fn boolean(&self, name: &str) -> Result<Option<bool>, Ec2Error> {
        let Some(text) = self.optional(name) else { return Ok(None) };
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(Some(true)),
            "false" | "0" => Ok(Some(false)),
            _ => Err(self.invalid(name, text, "It must be true or false.")),
        }
    }

    /// The values of `NAME.1`, `NAME.2`, ... in the order of their numbers, whatever numbers are
    /// left out; a bare `NAME` counts as the first. Empty values are left out.
    pub fn list(&self, name: &str) -> Vec<String> {
        self.list_given(name).into_iter().filter(|value| !value.is_empty()).collect()
    }

    /// [`Params::list`] with the empty values that were sent.
    pub fn list_given(&self, name: &str) -> Vec<String> {
        let mut found: BTreeMap<u32, &String> = BTreeMap::new();
        if let Some(bare) = self.values.get(name) {
            found.insert(0, bare);
        }
        for (rest, value) in self.under(name) {
            if let Ok(number) = rest.parse() {
                found.insert(number, value);
            }
        }
        found.into_values().cloned().collect()
    }

    /// [`Params::list`] of at least one value.
    ///
    /// # Errors
    /// `MissingParameter`.
    pub fn required_list(&self, name: &str) -> Result<Vec<String>, Ec2Error> {
        let list = self.list(name);
        if list.is_empty() { Err(self.missing(name)) } else { Ok(list) }
    }

    /// The groups `NAME.1.*`, `NAME.2.*`, ... in the order of their numbers.
    pub fn groups(&self, name: &str) -> Vec<Params> {
        let mut found: BTreeMap<u32, Params> = BTreeMap::new();
        for (rest, value) in self.under(name) {
            let Some((number, member)) = rest.split_once('.') else { continue };
            let Ok(index) = number.parse::<u32>() else { continue };
            let group = found.entry(index).or_default();
            group.within = format!("{}{name}.{number}.", self.within);
            group.values.insert(member.to_string(), value.clone());
        }
        found.into_values().collect()
    }

    /// A `MissingParameter` about this parameter under its full name.
    pub fn missing(&self, name: &str) -> Ec2Error {
        Ec2Error::missing(&self.full(name))
    }

    /// An `InvalidParameterValue` about this parameter under its full name.
    pub fn invalid(&self, name: &str, value: &str, problem: &str) -> Ec2Error {
        Ec2Error::invalid(&self.full(name), value, problem)
    }

    /// What stands behind `NAME.`.
    fn under<'a>(&'a self, name: &str) -> impl Iterator<Item = (&'a str, &'a String)> {
        let prefix = format!("{name}.");
        self.values.range(prefix.clone()..).take_while(move |(key, _)| key.starts_with(&prefix)).map({
            let skip = name.len() + 1;
            move |(key, value)| (&key[skip..], value)
        })
    }

    fn full(&self, name: &str) -> String {
        format!("{}{name}", self.within)
    }
}

/// Parameters from pairs, for tests and for the doors.
impl<'a> TryFrom<&[(&'a str, &'a str)]> for Params {
    type Error = Ec2Error;

    fn try_from(pairs: &[(&'a str, &'a str)]) -> Result<Self, Ec2Error> {
        let mut params = Params::default();
        for (name, value) in pairs {
            params.insert(*name, *value)?;
        }
        Ok(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> Params {
        Params::try_from(pairs).unwrap()
    }

    #[test]
    fn lists_are_in_the_order_of_their_numbers_and_may_have_holes() {
        let p = params(&[("Id.10", "ten"), ("Id.2", "two"), ("Id.7", ""), ("Id.x", "no"), ("Idle.1", "no")]);
        assert_eq!(p.list("Id"), ["two", "ten"]);
        assert_eq!(params(&[("Id", "bare")]).list("Id"), ["bare"]);
        assert_eq!(p.required_list("Name").unwrap_err().message, "The request must contain the parameter Name");
    }

    #[test]
    fn groups_keep_their_full_names_for_errors() {
        let p = params(&[
            ("Filter.2.Name", "a"),
            ("Filter.2.Value.1", "x"),
            ("Filter.2.Value.3", "y"),
            ("Filter.9.Value.1", "z"),
        ]);
        let groups = p.groups("Filter");
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].list("Value"), ["x", "y"]);
        assert!(groups[1].required("Name").unwrap_err().message.ends_with("Filter.9.Name"));
    }

    #[test]
    fn numbers_and_booleans_are_checked() {
        let p = params(&[("Min", "0"), ("Max", "x"), ("Force", "TRUE"), ("Dry", "yes"), ("Gone", "")]);
        assert!(p.integer("Min", 1..=9).unwrap_err().message.contains("Min"));
        assert_eq!(p.integer("Max", 1..=9).unwrap_err().code, Code::InvalidParameterValue);
        assert_eq!(p.required_integer("Gone", 1..=9).unwrap_err().code, Code::MissingParameter);
        assert_eq!(p.boolean("Force").unwrap(), Some(true));
        assert!(p.boolean("Dry").is_err());
    }

    #[test]
    fn one_id_may_come_as_the_first_of_a_list() {
        assert_eq!(params(&[("InstanceId.1", "i-1")]).optional("InstanceId"), Some("i-1"));
    }

    #[test]
    fn a_name_given_twice_is_refused() {
        let mut p = params(&[("A", "1")]);
        assert!(p.insert("A", "1").is_err());
    }
}
