"""Calls a CC or NC from the WSDL that it serves, with zeep and xmlsec, signed as the profile `strict` asks.
usage: zeep_tiers.py nc|cc URL KEY CERT PEER-CERT"""
import datetime
import sys
import uuid
import xmlsec
from lxml import etree
from zeep import Client, Settings
from zeep.wsse import utils
from zeep.wsse.signature import BinarySignature

tier, url, key, cert, peer = sys.argv[1:6]
WSA = "http://www.w3.org/2005/08/addressing"
SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


class Strict(BinarySignature):
    """Signs To, Action, MessageID, Timestamp and Body; verifies the answer against the pinned certificate."""

    def apply(self, envelope, headers):
        header = envelope.find("{%s}Header" % SOAP)
        if header is None:
            header = etree.Element("{%s}Header" % SOAP)
            envelope.insert(0, header)
        action = headers["SOAPAction"].strip('"')
        self.message = "urn:uuid:%s" % uuid.uuid4()
        for name, text in (("To", url), ("Action", action), ("MessageID", self.message)):
            old = header.find("{%s}%s" % (WSA, name))
            if old is not None:
                header.remove(old)
            etree.SubElement(header, etree.QName(WSA, name)).text = text
        security = utils.get_security_header(envelope)
        stamp = etree.SubElement(security, etree.QName(utils.ns.WSU, "Timestamp"))
        now = datetime.datetime.now(datetime.timezone.utc)
        for name, at in (("Created", now), ("Expires", now + datetime.timedelta(minutes=5))):
            etree.SubElement(stamp, etree.QName(utils.ns.WSU, name)).text = at.strftime("%Y-%m-%dT%H:%M:%SZ")
        sign(envelope, header, security, stamp)
        return envelope, headers

    def verify(self, envelope):
        verify(envelope)
        related = envelope.findtext("{%s}Header/{%s}RelatesTo" % (SOAP, WSA))
        assert related == self.message, f"the answer is to {related}, not {self.message}"
        return envelope


def sign(envelope, header, security, stamp):
    signature = xmlsec.template.create(envelope, xmlsec.Transform.EXCL_C14N, xmlsec.Transform.ECDSA_SHA256)
    info = xmlsec.template.ensure_key_info(signature)
    token = etree.Element(etree.QName(utils.ns.WSSE, "BinarySecurityToken"), {
        "ValueType": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-x509-token-profile-1.0#X509v3",
        "EncodingType": "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-soap-message-security-1.0#Base64Binary"})
    pem = open(cert).read()
    token.text = "".join(line for line in pem.splitlines() if "CERTIFICATE" not in line)
    security.insert(0, token)
    token_id = utils.ensure_id(token)
    reference = etree.SubElement(etree.SubElement(info, etree.QName(utils.ns.WSSE, "SecurityTokenReference")),
                                 etree.QName(utils.ns.WSSE, "Reference"))
    reference.set("URI", "#" + token_id)
    reference.set("ValueType", token.get("ValueType"))
    security.append(signature)
    body = envelope.find("{%s}Body" % SOAP)
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_file(key, xmlsec.KeyFormat.PEM)
    for node in [body, stamp] + [header.find("{%s}%s" % (WSA, name)) for name in ("To", "Action", "MessageID")]:
        node_id = utils.ensure_id(node)
        context.register_id(node, "Id", utils.ns.WSU)
        part = xmlsec.template.add_reference(signature, xmlsec.Transform.SHA256, uri="#" + node_id)
        xmlsec.template.add_transform(part, xmlsec.Transform.EXCL_C14N)
    context.sign(signature)


def verify(envelope):
    security = envelope.find("{%s}Header/{%s}Security" % (SOAP, utils.ns.WSSE))
    signature = security.find("{http://www.w3.org/2000/09/xmldsig#}Signature")
    context = xmlsec.SignatureContext()
    for node in envelope.iter():
        if isinstance(node.tag, str) and node.get(etree.QName(utils.ns.WSU, "Id")):
            context.register_id(node, "Id", utils.ns.WSU)
    context.key = xmlsec.Key.from_file(peer, xmlsec.KeyFormat.CERT_PEM)
    context.verify(signature)


client = Client(url + "?wsdl", wsse=Strict(key, cert), settings=Settings(strict=True))
if tier == "nc":
    resource = client.service.ncDescribeResource(userId="eucalyptus")
    assert resource["return"] and resource.nodeStatus == "OK" and resource.memorySizeMax > 0, resource
    instances = client.service.ncDescribeInstances(userId="eucalyptus")
    assert instances["return"], instances
    refused = client.service.ncRebootInstance(userId="eucalyptus", instanceId="i-00000000")
    assert refused["return"] is False, refused
    print("ok", len(instances.instances or []))
else:
    types = [{"name": "m1.small", "memory": 128, "cores": 1, "disk": 10}]
    resources = client.service.DescribeResources(userId="eucalyptus", instanceTypes=types)
    assert resources["return"] and resources.resources[0].maxInstances >= 1, resources
    instances = client.service.DescribeInstances(userId="eucalyptus")
    assert instances["return"], instances
    refused = client.service.RebootInstances(userId="eucalyptus", instanceIds=["i-00000000"])
    assert refused["return"] is False and "i-00000000" in refused.statusMessage, refused
    print("ok", len(instances.instances or []))
