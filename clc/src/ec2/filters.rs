//! Filters of Describe actions: which of many things a client wants to see. Names are AND-ed, the
//! values of one name OR-ed; `*` stands for any run, `?` for one character, `\` takes the next
//! one as it is (EC2's rules). It knows no noun: each noun says what fields it has.

use crate::error::{Code, Ec2Error};
use crate::front::Params;

use super::Tag;

/// Values of all filters of one request (EC2's limit), and characters of each: what bounds the
/// work of matching.
const MAX_VALUES: usize = 200;
const MAX_VALUE: usize = 256;

/// The values of one field of a thing; none if it has no such value.
pub type Values<T> = fn(&T) -> Vec<String>;

/// What can be filtered.
pub trait Filtered {
    /// True if it can have tags: then `tag:KEY`, `tag-key` and `tag-value` are filters too.
    const TAGGED: bool = false;

    /// How to get the values of the field that a filter names; `None` if there is no such filter.
    fn field(name: &str) -> Option<Values<Self>>
    where
        Self: Sized;

    /// Its tags.
    fn tags(&self) -> &[Tag] {
        &[]
    }
}

/// The filters of one request, checked against a noun's fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filters(Vec<Filter>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Filter {
    name: String,
    patterns: Vec<String>,
}

impl Filters {
    /// Reads `Filter.N.Name` and `Filter.N.Value.M` for the noun `T`.
    ///
    /// # Errors
    /// `InvalidParameterValue` for a name that the noun does not have, `MissingParameter` for one
    /// without values: to ignore it would show, or terminate, more than was asked for.
    pub fn parse<T: Filtered>(params: &Params) -> Result<Self, Ec2Error> {
        let mut filters = Vec::new();
        for group in params.groups("Filter") {
            // EC2's own words for a filter without a name.
            let name = group.text("Name").unwrap_or_else(|| "null".to_string());
            if !known::<T>(&name) {
                let shown: String = name.chars().take(60).collect();
                return Err(Ec2Error::new(Code::InvalidParameterValue, format!("The filter '{shown}' is invalid")));
            }
            // An empty value looks for tags without one.
            let patterns = group.list_given("Value");
            if patterns.is_empty() {
                return Err(group.missing("Value"));
            }
            filters.push(Filter { name, patterns });
        }
        let lengths =
            || filters.iter().flat_map(|filter| filter.patterns.iter().chain([&filter.name]).map(String::len));
        if lengths().count() > MAX_VALUES || lengths().any(|length| length > MAX_VALUE) {
            let text = format!("At most {MAX_VALUES} filter values of at most {MAX_VALUE} characters are taken");
            return Err(Ec2Error::new(Code::FilterLimitExceeded, text));
        }
        Ok(Self(filters))
    }

    /// True if everything passes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if `thing` passes every filter.
    pub fn pass<T: Filtered>(&self, thing: &T) -> bool {
        self.0.iter().all(|filter| {
            let values = values_of(thing, &filter.name);
            filter.patterns.iter().any(|pattern| values.iter().any(|value| like(pattern, value)))
        })
    }
}

fn known<T: Filtered>(name: &str) -> bool {
    let tag = T::TAGGED && (name.starts_with("tag:") || name == "tag-key" || name == "tag-value");
    tag || T::field(name).is_some()
}

fn values_of<T: Filtered>(thing: &T, name: &str) -> Vec<String> {
    let tags = thing.tags();
    if let Some(key) = name.strip_prefix("tag:") {
        return tags.iter().filter(|tag| like(key, &tag.key)).map(|tag| tag.value.clone()).collect();
    }
    match name {
        "tag-key" => tags.iter().map(|tag| tag.key.clone()).collect(),
        "tag-value" => tags.iter().map(|tag| tag.value.clone()).collect(),
        _ => T::field(name).map(|values| values(thing)).unwrap_or_default(),
    }
}

/// True if `text` is like `pattern`, case and all. Linear in practice, and never worse than the
/// product of the two lengths: the last `*` is the only place to go back to.
fn like(pattern: &str, text: &str) -> bool {
    let pattern = tokens(pattern);
    let text: Vec<char> = text.chars().collect();
    let (mut at, mut read) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(Token::Any) => {
                retry = Some((at + 1, read));
                at += 1;
            }
            Some(Token::One) => (at, read) = (at + 1, read + 1),
            Some(Token::Exactly(c)) if *c == text[read] => (at, read) = (at + 1, read + 1),
            Some(Token::Exactly(_)) | None => {
                let Some((after, from)) = retry else { return false };
                retry = Some((after, from + 1));
                (at, read) = (after, from + 1);
            }
        }
    }
    pattern[at..].iter().all(|token| matches!(token, Token::Any))
}

enum Token {
    Any,
    One,
    Exactly(char),
}

fn tokens(pattern: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut characters = pattern.chars();
    while let Some(c) = characters.next() {
        tokens.push(match c {
            '*' => Token::Any,
            '?' => Token::One,
            '\\' => Token::Exactly(characters.next().unwrap_or('\\')),
            _ => Token::Exactly(c),
        });
    }
    tokens
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing(&'static str, Vec<Tag>);

    impl Filtered for Thing {
        const TAGGED: bool = true;
        fn field(name: &str) -> Option<Values<Self>> {
            match name {
                "name" => Some(|thing| vec![thing.0.to_string()]),
                "nothing" => Some(|_| Vec::new()),
                _ => None,
            }
        }
        fn tags(&self) -> &[Tag] {
            &self.1
        }
    }

    fn pass(pairs: &[(&str, &str)], thing: &Thing) -> bool {
        Filters::parse::<Thing>(&Params::try_from(pairs).unwrap()).unwrap().pass(thing)
    }

    #[test]
    fn wildcards_follow_ec2() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("?", "", false),
            ("a*c", "abbc", true),
            ("a*c", "abbcd", false),
            ("*a*a*", "banana", true),
            ("b?d", "bad", true),
            ("b?d", "baad", false),
            ("\\*", "*", true),
            ("\\*", "x", false),
            ("A", "a", false),
            ("*é", "café", true),
            ("end\\", "end\\", true),
        ] {
            assert_eq!(like(pattern, text), expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_time() {
        assert!(!like(&"*a".repeat(2000), &"b".repeat(2000)));
        assert!(!like(&format!("{}b", "a*".repeat(500)), &"a".repeat(4000)));
    }

    #[test]
    fn names_are_anded_and_values_ored() {
        let tag = |key: &str, value: &str| Tag { key: key.into(), value: value.into() };
        let thing = Thing("web-1", vec![tag("stage", "test"), tag("Name", "front")]);
        assert!(pass(
            &[("Filter.1.Name", "name"), ("Filter.1.Value.1", "db-*"), ("Filter.1.Value.3", "web-*")],
            &thing
        ));
        assert!(!pass(
            &[
                ("Filter.1.Name", "name"),
                ("Filter.1.Value.1", "*"),
                ("Filter.2.Name", "nothing"),
                ("Filter.2.Value.1", "*")
            ],
            &thing
        ));
        assert!(pass(&[("Filter.1.Name", "tag:st*"), ("Filter.1.Value.1", "te?t")], &thing));
        assert!(!pass(&[("Filter.1.Name", "tag-key"), ("Filter.1.Value.1", "name")], &thing));
    }

    #[test]
    fn unknown_names_are_refused() {
        let pairs: &[(&str, &str)] = &[("Filter.1.Name", "colour"), ("Filter.1.Value.1", "red")];
        let error = Filters::parse::<Thing>(&Params::try_from(pairs).unwrap()).unwrap_err();
        assert!(error.message.starts_with("The filter 'colour' is invalid"), "{error}");
    }

    #[test]
    fn a_filter_needs_a_name_and_values_and_an_empty_value_is_one() {
        let parse = |pairs: &[(&str, &str)]| Filters::parse::<Thing>(&Params::try_from(pairs).unwrap());
        assert_eq!(parse(&[("Filter.1.Name", "name")]).unwrap_err().code, Code::MissingParameter);
        let nameless = parse(&[("Filter.1.Value.1", "x")]).unwrap_err();
        assert_eq!(nameless.message, "The filter 'null' is invalid");
        let empty = parse(&[("Filter.1.Name", "tag:stage"), ("Filter.1.Value.1", "")]).unwrap();
        let tagged = |value: &str| Thing("x", vec![Tag { key: "stage".into(), value: value.into() }]);
        assert!(empty.pass(&tagged("")) && !empty.pass(&tagged("test")) && !empty.pass(&Thing("x", Vec::new())));
    }

    #[test]
    fn there_is_an_end_to_what_can_be_asked() {
        let parse = |pairs: &[(&str, &str)]| Filters::parse::<Thing>(&Params::try_from(pairs).unwrap());
        let long = "*".repeat(MAX_VALUE + 1);
        let error = parse(&[("Filter.1.Name", "name"), ("Filter.1.Value.1", &long)]).unwrap_err();
        assert_eq!(error.code, Code::FilterLimitExceeded);
        let names: Vec<String> = (0..=MAX_VALUES).map(|n| format!("Filter.1.Value.{n}")).collect();
        let mut pairs: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "x")).collect();
        pairs.push(("Filter.1.Name", "name"));
        assert_eq!(parse(&pairs).unwrap_err().code, Code::FilterLimitExceeded);
    }
}
