//! Tags: labels that users hang on things. What a tag may be, which things can have some, and the
//! three actions on them.

use super::filters::{Filtered, Filters, Values};
use super::{Done, Page};
use crate::error::{Code, Ec2Error};
use crate::front::{Action, Params, Reply, Writer};

/// Tags that one thing can have (EC2's limit).
pub const MAX_TAGS: usize = 50;
/// Characters of a key and of a value (EC2's limits).
const MAX_KEY: usize = 127;
const MAX_VALUE: usize = 256;
/// Things that one CreateTags or DeleteTags names (EC2's limit).
const MAX_RESOURCES: usize = 1000;

/// A label: a name and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name, at most 127 characters.
    pub key: String,
    /// Its value, at most 256 characters; may be empty.
    pub value: String,
}

impl Tag {
    /// The tags that a request wants on the things of one kind it makes:
    /// `TagSpecification.N.{ResourceType,Tag.M.{Key,Value}}`.
    ///
    /// # Errors
    /// `MissingParameter`, `InvalidParameterValue`, `TagLimitExceeded`.
    pub fn specified(params: &Params, made: ResourceType) -> Result<Vec<Tag>, Ec2Error> {
        Self::specified_beside(params, made, &[])
    }

    /// [`Tag::specified`] where EC2 would make other things as well, of which there are none here:
    /// their tags are let pass.
    ///
    /// # Errors
    /// As [`Tag::specified`].
    pub fn specified_beside(params: &Params, made: ResourceType, others: &[&str]) -> Result<Vec<Tag>, Ec2Error> {
        let mut tags = Vec::new();
        for specification in params.groups("TagSpecification") {
            let resource_type = specification.required("ResourceType")?;
            if resource_type == made.name() {
                tags.extend(Tag::list(&specification)?);
            } else if !others.contains(&resource_type) {
                let problem = format!(
                    "It is not a valid taggable resource type for this operation, which makes a {}.",
                    made.name()
                );
                return Err(specification.invalid("ResourceType", resource_type, &problem));
            }
        }
        checked(tags)
    }

    /// The tags `Tag.N.{Key,Value}`, each with a value, be it empty.
    fn list(params: &Params) -> Result<Vec<Tag>, Ec2Error> {
        let tag = |group: Params| {
            let key = key(&group)?;
            let value = group.given("Value").ok_or_else(|| {
                group.invalid("Value", "null", "A tag's value cannot be left out; use an empty text instead.")
            })?;
            if value.chars().count() > MAX_VALUE {
                return Err(group.invalid("Value", value, &format!("It must have at most {MAX_VALUE} characters.")));
            }
            Ok(Tag { key, value: value.to_string() })
        };
        params.groups("Tag").into_iter().map(tag).collect()
    }

    /// Writes `tagSet` if there is a tag. Of things without one, EC2 leaves it out where this is used,
    /// and scripts look for that.
    pub fn write_any(tags: &[Tag], w: &mut Writer) {
        if !tags.is_empty() {
            Tag::write_set(tags, w);
        }
    }

    /// Writes `tagSet`, which the contract has since 2010-08-31.
    pub fn write_set(tags: &[Tag], w: &mut Writer) {
        w.since("2010-08-31", |w| {
            w.set("tagSet", tags, |w, tag| {
                w.text("key", &tag.key);
                w.text("value", &tag.value);
            });
        });
    }
}

fn key(params: &Params) -> Result<String, Ec2Error> {
    let key = params.required("Key")?;
    if key.chars().count() > MAX_KEY {
        return Err(params.invalid("Key", key, &format!("It must have at most {MAX_KEY} characters.")));
    }
    if key.starts_with("aws:") {
        return Err(params.invalid("Key", key, "Keys that begin with aws: are reserved; choose another."));
    }
    Ok(key.to_string())
}

/// No more than a thing can have, and each key once: which of two values was meant?
fn checked(tags: Vec<Tag>) -> Result<Vec<Tag>, Ec2Error> {
    let mut keys = std::collections::HashSet::new();
    if let Some(twice) = tags.iter().find(|tag| !keys.insert(&tag.key)) {
        return Err(Ec2Error::invalid("Tag.N.Key", &twice.key, "Duplicate tag key: give each key once."));
    }
    if tags.len() > MAX_TAGS {
        return Err(too_many(tags.len()));
    }
    Ok(tags)
}

fn too_many(count: usize) -> Ec2Error {
    let text = format!("A thing can have at most {MAX_TAGS} tags, and the request has {count}");
    Ec2Error::new(Code::TagLimitExceeded, text)
}

/// A kind of thing that can have tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResourceType {
    Instance,
    Image,
    KeyPair,
    SecurityGroup,
    SecurityGroupRule,
    ElasticIp,
    PlacementGroup,
}

impl ResourceType {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::Instance,
        Self::Image,
        Self::KeyPair,
        Self::SecurityGroup,
        Self::SecurityGroupRule,
        Self::ElasticIp,
        Self::PlacementGroup,
    ];

    /// EC2's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Image => "image",
            Self::KeyPair => "key-pair",
            Self::SecurityGroup => "security-group",
            Self::SecurityGroupRule => "security-group-rule",
            Self::ElasticIp => "elastic-ip",
            Self::PlacementGroup => "placement-group",
        }
    }

    /// What ids of such things begin with.
    fn prefixes(self) -> &'static [&'static str] {
        match self {
            Self::Instance => &["i-"],
            Self::Image => &["emi-", "eki-", "eri-", "ami-", "aki-", "ari-"],
            Self::KeyPair => &["key-"],
            Self::SecurityGroup => &["sg-"],
            Self::SecurityGroupRule => &["sgr-"],
            Self::ElasticIp => &["eipalloc-"],
            Self::PlacementGroup => &["pg-"],
        }
    }

    /// The kind of a thing with that id: a prefix, and 8 or 17 hexadecimal digits.
    pub fn of_id(id: &str) -> Option<Self> {
        let is_digits = |rest: &str| matches!(rest.len(), 8 | 17) && rest.bytes().all(|b| b.is_ascii_hexdigit());
        let fits = |kind: &Self| kind.prefixes().iter().any(|prefix| id.strip_prefix(prefix).is_some_and(is_digits));
        Self::ALL.into_iter().find(fits)
    }
}

/// A thing that tags are hung on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    pub kind: ResourceType,
    pub id: String,
}

/// `ResourceId.N`, each once.
fn resources(params: &Params) -> Result<Vec<Resource>, Ec2Error> {
    let ids = params.required_list("ResourceId")?;
    if ids.len() > MAX_RESOURCES {
        let text = format!("A request can name at most {MAX_RESOURCES} things, and this one names {}", ids.len());
        return Err(Ec2Error::new(Code::InvalidParameterValue, text));
    }
    let mut resources: Vec<Resource> = Vec::with_capacity(ids.len());
    for id in ids {
        let kind = ResourceType::of_id(&id).ok_or_else(|| {
            let shown: String = id.chars().take(60).collect();
            Ec2Error::new(Code::InvalidId, format!("The ID '{shown}' is not valid"))
        })?;
        let resource = Resource { kind, id };
        if !resources.contains(&resource) {
            resources.push(resource);
        }
    }
    Ok(resources)
}

/// Hangs tags on things, or gives those that are there other values: on all of them, or on none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateTags {
    /// At least one.
    pub resources: Vec<Resource>,
    /// At least one, each key once.
    pub tags: Vec<Tag>,
}

impl Action for CreateTags {
    const NAME: &'static str = "CreateTags";
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let resources = resources(params)?;
        let tags = checked(Tag::list(params)?)?;
        if tags.is_empty() {
            return Err(Ec2Error::missing("Tag"));
        }
        Ok(Self { resources, tags })
    }
}

/// Takes tags from things. One that is not there is no error (EC2's rule).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteTags {
    /// At least one.
    pub resources: Vec<Resource>,
    /// Which; all of them if empty.
    pub tags: Vec<Doomed>,
}

/// A tag to be taken away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Doomed {
    pub key: String,
    /// Only if it has this value, which may be empty; whatever it has if absent.
    pub value: Option<String>,
}

impl Action for DeleteTags {
    const NAME: &'static str = "DeleteTags";
    type Response = Done;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        let doomed = |group: Params| Ok(Doomed { key: key(&group)?, value: group.given("Value").map(str::to_string) });
        let tags = params.groups("Tag").into_iter().map(doomed).collect::<Result<_, Ec2Error>>()?;
        Ok(Self { resources: resources(params)?, tags })
    }
}

/// A tag and the thing it hangs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaggedResource {
    pub resource: Resource,
    /// In a list of one: what filters see.
    pub tag: [Tag; 1],
}

impl TaggedResource {
    fn tag(&self) -> &Tag {
        &self.tag[0]
    }
}

impl Filtered for TaggedResource {
    const TAGGED: bool = true;

    fn field(name: &str) -> Option<Values<Self>> {
        let values: Values<Self> = match name {
            "key" => |it| vec![it.tag().key.clone()],
            "value" => |it| vec![it.tag().value.clone()],
            "resource-id" => |it| vec![it.resource.id.clone()],
            "resource-type" => |it| vec![it.resource.kind.name().to_string()],
            _ => return None,
        };
        Some(values)
    }

    fn tags(&self) -> &[Tag] {
        &self.tag
    }
}

/// Which tags hang on the caller's things.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DescribeTags {
    pub filters: Filters,
    pub page: Page,
}

impl Action for DescribeTags {
    const NAME: &'static str = "DescribeTags";
    type Response = DescribeTagsResponse;

    fn parse(params: &Params) -> Result<Self, Ec2Error> {
        Ok(Self { filters: Filters::parse::<TaggedResource>(params)?, page: Page::parse(params)? })
    }
}

impl DescribeTags {
    /// The answer out of all tags of the caller's things: filtered, in a stable order, in pages.
    pub fn answer(&self, mut all: Vec<TaggedResource>) -> DescribeTagsResponse {
        all.retain(|tagged| self.filters.pass(tagged));
        let key = |tagged: &TaggedResource| format!("{} {}", tagged.resource.id, tagged.tag().key);
        let (tags, next_token) = self.page.cut(all, key);
        DescribeTagsResponse { tags, next_token }
    }
}

/// The tags that were asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribeTagsResponse {
    pub tags: Vec<TaggedResource>,
    /// Leads to the next page, if there is one.
    pub next_token: Option<String>,
}

impl Reply for DescribeTagsResponse {
    fn write(&self, w: &mut Writer) {
        w.set("tagSet", &self.tags, |w, tagged| {
            w.text("resourceId", &tagged.resource.id);
            w.text("resourceType", tagged.resource.kind.name());
            w.text("key", &tagged.tag().key);
            w.text("value", &tagged.tag().value);
        });
        w.query_only(|w| w.optional("nextToken", self.next_token.as_deref()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(pairs: &[(&str, &str)]) -> Result<CreateTags, Ec2Error> {
        CreateTags::parse(&Params::try_from(pairs)?)
    }

    #[test]
    fn limits_and_slips_are_named() {
        let with = |key: &str, value: &str| {
            create(&[("ResourceId.1", "i-1A2B3C4D"), ("Tag.1.Key", key), ("Tag.1.Value", value)]).map_err(|e| e.code)
        };
        assert!(with(&"é".repeat(127), &"é".repeat(256)).is_ok());
        assert!(with("stage", "").is_ok());
        assert_eq!(with(&"k".repeat(128), ""), Err(Code::InvalidParameterValue));
        assert_eq!(with("k", &"v".repeat(257)), Err(Code::InvalidParameterValue));
        assert_eq!(with("aws:x", "y"), Err(Code::InvalidParameterValue));
        assert_eq!(with("", "y"), Err(Code::MissingParameter));
        let twice = [
            ("ResourceId.1", "i-1A2B3C4D"),
            ("Tag.1.Key", "a"),
            ("Tag.1.Value", "1"),
            ("Tag.2.Key", "a"),
            ("Tag.2.Value", "2"),
        ];
        assert_eq!(create(&twice).unwrap_err().code, Code::InvalidParameterValue);
        assert_eq!(create(&twice[..2]).unwrap_err().code, Code::InvalidParameterValue, "no value at all");
        assert_eq!(create(&twice[..1]).unwrap_err().code, Code::MissingParameter);
        assert_eq!(create(&twice[1..3]).unwrap_err().code, Code::MissingParameter);
        for id in ["ami-blah", "blah-blah", "i-123", "i-1234567g"] {
            assert_eq!(create(&[("ResourceId.1", id)]).unwrap_err().code, Code::InvalidId, "{id}");
        }
    }

    #[test]
    fn one_tag_more_than_a_thing_can_have() {
        let names: Vec<String> =
            (0..=MAX_TAGS).flat_map(|n| [format!("Tag.{n}.Key"), format!("Tag.{n}.Value")]).collect();
        let mut pairs = vec![("ResourceId.1", "i-1A2B3C4D")];
        pairs.extend(names.iter().map(|name| (name.as_str(), name.as_str())));
        assert_eq!(create(&pairs).unwrap_err().code, Code::TagLimitExceeded);
    }

    #[test]
    fn no_value_and_an_empty_one_differ_when_tags_are_deleted() {
        let pairs: &[(&str, &str)] =
            &[("ResourceId.1", "i-1A2B3C4D"), ("Tag.1.Key", "a"), ("Tag.2.Key", "b"), ("Tag.2.Value", "")];
        let request = DeleteTags::parse(&Params::try_from(pairs).unwrap()).unwrap();
        let values: Vec<Option<&str>> = request.tags.iter().map(|tag| tag.value.as_deref()).collect();
        assert_eq!(values, [None, Some("")]);
    }

    #[test]
    fn tags_are_wanted_on_what_is_made() {
        let specified = |kind: &str| {
            let pairs = [
                ("TagSpecification.1.ResourceType", kind),
                ("TagSpecification.1.Tag.1.Key", "a"),
                ("TagSpecification.1.Tag.1.Value", "b"),
            ];
            let params = Params::try_from(&pairs[..]).unwrap();
            Tag::specified_beside(&params, ResourceType::Instance, &["volume"]).map_err(|error| error.code)
        };
        assert_eq!(specified("instance").unwrap().len(), 1);
        assert_eq!(specified("volume").unwrap().len(), 0);
        assert_eq!(specified("key-pair"), Err(Code::InvalidParameterValue));
    }
}
