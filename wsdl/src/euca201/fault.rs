//! The faults that a 2.0.1 server answers with, code and text as recorded. An old client can see
//! nothing else of why it was refused; our own sentence goes into the detail, which it passes over.

use quick_xml::escape::escape;

/// Why a 2.0.1 server refuses a message. `docs/PROTOCOL.md` has the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OldFault {
    /// No SOAP envelope in the body of the request: no XML, a DOCTYPE, an empty entity.
    NoEnvelope,
    /// SOAP 1.2, or a content type other than SOAP 1.1's.
    SoapVersion,
    /// A header block that must be understood is not.
    HeaderNotUnderstood,
    /// A WS-Addressing header twice.
    RepeatedAddressing,
    /// wsa:To names another service.
    ServiceNotFound,
    /// wsa:Action names no operation that old callers have.
    OperationNotFound,
    /// The Body's child is not what wsa:Action says, or is not as the contract has it.
    NotOfContract,
    /// No wsse:Security.
    NotSecured,
    /// A Timestamp, which this profile does not have.
    TimestampSent,
    /// A signature without KeyInfo.
    NoKeyInfo,
    /// KeyInfo names its token in another way than by direct reference.
    NoDirectReference,
    /// KeyInfo's direct reference leads to no token.
    TokenNotFound,
    /// Another signature algorithm than RSA with SHA-1.
    WrongAlgorithm,
    /// The signature does not hold, or covers nothing that counts.
    NotVerified,
    /// A valid signature by somebody else.
    ForeignCertificate,
    /// Something broke here.
    Server,
}

impl OldFault {
    /// The fault code with its prefix, as the old server writes it.
    pub fn code(self) -> &'static str {
        match self {
            OldFault::NoEnvelope | OldFault::SoapVersion | OldFault::NotSecured => "soapenv:Client",
            OldFault::HeaderNotUnderstood => "soapenv:MustUnderstand",
            OldFault::ServiceNotFound | OldFault::OperationNotFound | OldFault::Server => "soapenv:Server",
            // The old server puts WS-Addressing's sub-codes into this one as elements, which SOAP 1.1
            // does not have.
            OldFault::RepeatedAddressing | OldFault::NotOfContract | OldFault::ForeignCertificate => "soapenv:Sender",
            OldFault::TimestampSent => "wsse:InvalidSecurityToken",
            OldFault::NoKeyInfo
            | OldFault::NoDirectReference
            | OldFault::TokenNotFound
            | OldFault::WrongAlgorithm
            | OldFault::NotVerified => "wsse:InvalidSecurity",
        }
    }

    /// The fault string, blanks and all.
    pub fn text(self) -> &'static str {
        match self {
            OldFault::NoEnvelope => "SOAP message does not contain a SOAP envelope element",
            OldFault::SoapVersion => "Transport identified SOAP version does not match with SOAP message version",
            OldFault::HeaderNotUnderstood => "Header not understood",
            OldFault::RepeatedAddressing => {
                "A header representing a Message Addressing Property is not valid and the message cannot be processed"
            }
            OldFault::ServiceNotFound => "Service Not Found",
            OldFault::OperationNotFound => "Operation Not Found",
            OldFault::NotOfContract => "Data element of the OM Node is NULL",
            OldFault::NotSecured => "No Error",
            OldFault::TimestampSent => "Timestamp should not be in the message ",
            OldFault::NoKeyInfo => "Key Info node is not in the message .",
            OldFault::NoDirectReference => "Token is not in the message .",
            OldFault::TokenNotFound => "Processing Direct Reference Failed .",
            OldFault::WrongAlgorithm => "Signed with Invalid algorithm",
            OldFault::NotVerified => "Signature Verification failed.",
            OldFault::ForeignCertificate => "Unknown Error :(",
            OldFault::Server => "Server Error",
        }
    }

    /// The whole answer, with `sentence` for whoever reads the traffic.
    pub fn envelope(self, sentence: &str) -> String {
        let sentence: String = sentence.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
        format!(
            "<soapenv:Envelope xmlns:soapenv=\"{soap}\"><soapenv:Body><soapenv:Fault xmlns:wsse=\"{wsse}\">\
             <faultcode>{code}</faultcode><faultstring>{text}</faultstring>\
             <detail><fault>{detail}</fault></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>",
            soap = crate::envelope::names::SOAP,
            wsse = crate::envelope::names::WSSE,
            code = self.code(),
            text = self.text(),
            detail = escape(sentence),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentence_is_quoted_in_ascii() {
        let answer = OldFault::NotVerified.envelope("caf\u{e9} <x> & \u{1}\"y\"");
        assert!(answer.contains("<fault>caf? &lt;x&gt; &amp; ?&quot;y&quot;</fault>"), "{answer}");
        assert!(answer.is_ascii());
    }
}
