//! A WSDL file as data: which operations there are, and what each message consists of. Reads
//! only what our own three contract files use (named types, sequences, extension); it is no
//! general WSDL reader and never sees a peer's bytes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::service::Service;

/// What a contract file says.
#[derive(Debug, Default)]
pub struct Contract {
    /// Its targetNamespace.
    pub namespace: String,
    /// Its operations, in the order of its port types.
    pub operations: Vec<Operation>,
    /// Global elements: the bodies' children, to the name of their type.
    elements: BTreeMap<String, String>,
    types: BTreeMap<String, Complex>,
}

/// One operation of a port type.
#[derive(Debug)]
pub struct Operation {
    /// The port type that has it.
    pub port_type: String,
    /// Its name, which is also the request's element.
    pub name: String,
    /// Its SOAPAction.
    pub action: String,
}

/// A type with children: those of its base type, then its own.
#[derive(Debug, Default)]
struct Complex {
    base: Option<String>,
    fields: Vec<Field>,
}

/// One child of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its element's local name.
    pub name: String,
    /// What is in it.
    pub kind: Kind,
    /// True if it must occur.
    pub mandatory: bool,
    /// How often it may occur; `None` = without bound.
    pub max: Option<u32>,
}

/// What an element holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `xs:string`: any text, every blank of it kept.
    Text,
    /// `xs:int`, 32 bits.
    Int,
    /// `xs:long`, 64 bits.
    Long,
    /// `xs:boolean`.
    Boolean,
    /// `xs:dateTime`.
    DateTime,
    /// Children, as the type of this name says.
    Complex(String),
}

static NC: LazyLock<Contract> = LazyLock::new(|| Contract::own(Service::Nc));
static CC: LazyLock<Contract> = LazyLock::new(|| Contract::own(Service::Cc));
static IRONBARK: LazyLock<Contract> = LazyLock::new(|| Contract::own(Service::Ironbark));

impl Contract {
    /// The contract of a service, read once.
    pub fn of(service: Service) -> &'static Contract {
        match service {
            Service::Nc => &NC,
            Service::Cc => &CC,
            Service::Ironbark => &IRONBARK,
        }
    }

    /// The contract file of a service, as it is served at `?wsdl`.
    pub fn text(service: Service) -> &'static str {
        match service {
            Service::Nc => include_str!("../../contract/eucalyptus_nc.wsdl"),
            Service::Cc => include_str!("../../contract/eucalyptus_cc.wsdl"),
            Service::Ironbark => include_str!("../../contract/ironbark.wsdl"),
        }
    }

    fn own(service: Service) -> Contract {
        Contract::read(Self::text(service)).expect("the conformance tests read every contract file of this program")
    }

    /// The children of a message, in the contract's order, those of the base type first; `None`
    /// for a name that is no message's.
    pub fn message(&self, element: &str) -> Option<Vec<&Field>> {
        self.elements.get(element).map(|name| self.fields(name))
    }

    /// The children of a named type; none for a name that the contract does not have.
    pub fn fields(&self, name: &str) -> Vec<&Field> {
        let Some(complex) = self.types.get(name) else { return Vec::new() };
        let mut fields = complex.base.as_deref().map_or_else(Vec::new, |base| self.fields(base));
        fields.extend(&complex.fields);
        fields
    }

    /// Names of all global elements.
    pub fn messages(&self) -> impl Iterator<Item = &str> {
        self.elements.keys().map(String::as_str)
    }

    /// Reads a contract file.
    ///
    /// # Errors
    /// A sentence that names what the file has and this reader does not know.
    pub fn read(text: &str) -> Result<Contract, String> {
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        let mut contract = Contract::default();
        let mut place = Place::default();
        loop {
            match reader.read_event().map_err(|error| error.to_string())? {
                Event::Start(start) => contract.take(&mut place, &start)?,
                Event::Eof => return Ok(contract),
                Event::End(end) if end.local_name().as_ref() == "complexType" => place.complex = None,
                Event::End(_) | Event::Empty(_) | Event::Text(_) | Event::CData(_) | Event::Comment(_) => {}
                Event::Decl(_) | Event::PI(_) | Event::DocType(_) | Event::GeneralRef(_) => {}
            }
        }
    }

    fn take(&mut self, place: &mut Place, start: &BytesStart) -> Result<(), String> {
        let local = start.local_name();
        match local.as_ref() {
            "definitions" => self.namespace = attribute(start, "targetNamespace")?,
            "complexType" => {
                let name = attribute(start, "name")?;
                self.types.insert(name.clone(), Complex::default());
                place.complex = Some(name);
            }
            "extension" => {
                let base = unprefixed(&attribute(start, "base")?).to_string();
                self.open(place)?.base = Some(base);
            }
            "element" => {
                let (name, of) = (attribute(start, "name")?, attribute(start, "type")?);
                if place.complex.is_some() {
                    let field = field(start, name, &of)?;
                    self.open(place)?.fields.push(field);
                } else {
                    self.elements.insert(name, unprefixed(&of).to_string());
                }
            }
            "portType" => place.port_type = Some(attribute(start, "name")?),
            "binding" if start.name().as_ref().starts_with("wsdl:") => place.port_type = None,
            "operation" if start.name().as_ref() == "soap:operation" => {
                let action = attribute(start, "soapAction")?;
                let name = action.rsplit('#').next().unwrap_or_default().to_string();
                for operation in self.operations.iter_mut().filter(|operation| operation.name == name) {
                    operation.action.clone_from(&action);
                }
            }
            "operation" => {
                if let Some(port_type) = &place.port_type {
                    let name = attribute(start, "name")?;
                    self.operations.push(Operation { port_type: port_type.clone(), name, action: String::new() });
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The type that the reader is in.
    fn open(&mut self, place: &Place) -> Result<&mut Complex, String> {
        let name = place.complex.as_ref().ok_or("an extension or a field outside of a complexType")?;
        Ok(self.types.entry(name.clone()).or_default())
    }
}

/// Where in the file the reader is.
#[derive(Default)]
struct Place {
    complex: Option<String>,
    port_type: Option<String>,
}

fn field(start: &BytesStart, name: String, of: &str) -> Result<Field, String> {
    let kind = match of {
        "xs:string" => Kind::Text,
        "xs:int" => Kind::Int,
        "xs:long" => Kind::Long,
        "xs:boolean" => Kind::Boolean,
        "xs:dateTime" => Kind::DateTime,
        other if other.starts_with("tns:") => Kind::Complex(unprefixed(other).to_string()),
        other => return Err(format!("element {name}: type {other} is not known here")),
    };
    let max = match optional(start, "maxOccurs")?.as_deref() {
        None => Some(1),
        Some("unbounded") => None,
        Some(number) => Some(number.parse().map_err(|_| format!("element {name}: maxOccurs {number}"))?),
    };
    let mandatory = optional(start, "minOccurs")?.as_deref() != Some("0");
    Ok(Field { name, kind, mandatory, max })
}

fn unprefixed(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

fn optional(start: &BytesStart, name: &str) -> Result<Option<String>, String> {
    let found = start.try_get_attribute(name).map_err(|error| error.to_string())?;
    Ok(found.map(|attribute| attribute.value.to_string()))
}

fn attribute(start: &BytesStart, name: &str) -> Result<String, String> {
    optional(start, name)?.ok_or_else(|| format!("<{}> has no {name}", start.name().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_fields_come_first() {
        let fields = Contract::of(Service::Nc).message("ncRebootInstance").expect("an operation");
        let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
        assert_eq!(names, ["correlationId", "userId", "return", "nodeName", "statusMessage", "instanceId"]);
        assert!(fields[5].mandatory && !fields[0].mandatory);
        assert_eq!(fields[4].kind, Kind::Int);
    }

    #[test]
    fn occurrences_are_read() {
        let fields = Contract::of(Service::Cc).message("RunInstances").expect("an operation");
        let of = |name: &str| *fields.iter().find(|field| field.name == name).expect("a field");
        assert_eq!((of("instanceIds").mandatory, of("instanceIds").max), (true, None));
        assert_eq!((of("platform").mandatory, of("platform").max), (false, Some(1)));
        assert_eq!(of("instanceType").kind, Kind::Complex("virtualMachineType".to_string()));
    }

    #[test]
    fn unknown_types_are_named() {
        let error = Contract::read(
            r#"<x><xs:complexType name="t"><xs:element name="a" type="xs:float"/></xs:complexType></x>"#,
        )
        .expect_err("no such type");
        assert!(error.contains("xs:float"), "{error}");
    }
}
