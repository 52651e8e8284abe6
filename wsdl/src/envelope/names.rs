//! The namespaces and identifiers of SOAP 1.1, WS-Addressing, WS-Security and XML Signature that
//! the wire uses. Constants only.

/// SOAP 1.1 envelopes.
pub const SOAP: &str = "http://schemas.xmlsoap.org/soap/envelope/";
/// SOAP 1.2 envelopes, which are answered with VersionMismatch.
pub const SOAP12: &str = "http://www.w3.org/2003/05/soap-envelope";
/// WS-Addressing 1.0.
pub const WSA: &str = "http://www.w3.org/2005/08/addressing";
/// WS-Security 1.0 header and token elements.
pub const WSSE: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd";
/// WS-Security 1.0 `Id` attribute and `Timestamp`.
pub const WSU: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd";
/// XML Signature.
pub const DS: &str = "http://www.w3.org/2000/09/xmldsig#";
/// XML Schema instance, for `xsi:nil`.
pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
/// Ironbark's own header blocks and messages.
pub const IRONBARK: &str = "urn:ironbark:1";
/// The namespace that the prefix `xml` is bound to without a declaration.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// The namespace of declarations themselves; nothing may be bound to it.
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";

/// Exclusive XML canonicalisation 1.0 without comments, also the namespace of its parameters.
pub const EXC_C14N: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
/// BinarySecurityToken value type: one X.509 certificate, DER.
pub const X509V3: &str = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3";
/// BinarySecurityToken encoding: base64.
pub const BASE64: &str =
    "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary";

/// Digest SHA-1.
pub const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";
/// Digest SHA-256.
pub const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
/// RSASSA-PKCS1-v1_5 with SHA-1.
pub const RSA_SHA1: &str = "http://www.w3.org/2000/09/xmldsig#rsa-sha1";
/// RSASSA-PKCS1-v1_5 with SHA-256.
pub const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
/// ECDSA with SHA-256; the value is r and s, 32 bytes each (RFC 4050, XML Signature 1.1).
pub const ECDSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256";
