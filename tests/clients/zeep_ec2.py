"""What the zeep scripts share: a strict client made from the WSDL that the cloud serves, which signs by WS-Security X.509."""
import datetime
import os
import xmlsec
from lxml import etree
from zeep import Client, Plugin, Settings
from zeep.wsse import signature, utils


class Signature(signature.BinarySignature):
    """Body and a Timestamp of five minutes, as EC2 asks; EC2 does not sign its answers."""

    def apply(self, envelope, headers):
        stamp = etree.SubElement(utils.get_security_header(envelope), etree.QName(utils.ns.WSU, "Timestamp"))
        now = datetime.datetime.now(datetime.timezone.utc)
        for name, at in (("Created", now), ("Expires", now + datetime.timedelta(minutes=5))):
            etree.SubElement(stamp, etree.QName(utils.ns.WSU, name)).text = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        return super().apply(envelope, headers)

    def verify(self, envelope):
        return envelope


class EmptyForNil(Plugin):
    """zeep writes an empty element only as nil, which means that it is absent."""

    def egress(self, envelope, headers, operation, options):
        for element in envelope.iter():
            element.attrib.pop("{http://www.w3.org/2001/XMLSchema-instance}nil", None)
        return envelope, headers


def connect(sha256=False):
    """The client and its service; signatures are RSA's with SHA-1, as old clients have them, or with SHA-256."""
    method, digest = ((xmlsec.Transform.RSA_SHA256, xmlsec.Transform.SHA256) if sha256
                      else (xmlsec.Transform.RSA_SHA1, xmlsec.Transform.SHA1))
    keys = (os.environ["EC2_PRIVATE_KEY"], os.environ["EC2_CERT"])
    endpoint = os.environ["EC2_URL"]
    client = Client(endpoint + "?wsdl", wsse=Signature(*keys, signature_method=method, digest_method=digest),
                    settings=Settings(strict=True, xml_huge_tree=True), plugins=[EmptyForNil()])
    return client, client.create_service(binding(client), endpoint)


def binding(client):
    """The name of the one binding."""
    return next(name for name in client.wsdl.bindings if name.endswith("}AmazonEC2Binding"))
