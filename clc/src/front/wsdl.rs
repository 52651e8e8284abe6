//! The SOAP contract as it is served at `?wsdl`, with the address where this cloud really is.

use super::xml::escape_into;

/// The contract, version 2010-08-31.
pub const EC2_WSDL: &str = include_str!("../../../wsdl/contract/ec2.wsdl");

/// The address in the file, to be replaced.
const PLACEHOLDER: &str = "http://localhost:8773/services/Eucalyptus";

/// The contract of a cloud whose API is at `url`.
pub(super) fn at(url: &str) -> String {
    let mut address = String::new();
    escape_into(&mut address, url);
    EC2_WSDL.replace(PLACEHOLDER, &address)
}
