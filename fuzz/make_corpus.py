#!/usr/bin/env python3
"""Seeds the corpora from recorded messages, the vectors, the originals and the contracts; small files, one of a kind.

Run again when captures or vectors are added: it adds, and removes nothing that the fuzzer found.
"""

import hashlib
import json
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent / "tests"
LARGEST = 8_000
PER_OPERATION = 2


def put(target: str, data: bytes) -> None:
    directory = HERE / "corpus" / target
    directory.mkdir(parents=True, exist_ok=True)
    (directory / hashlib.sha1(data).hexdigest()[:16]).write_bytes(data)


def captures():
    """Bodies of recorded HTTP messages, the smallest of each kind of message first."""
    kinds: dict[str, list[bytes]] = {}
    for path in sorted((TESTS / "captures").glob("*.http")):
        body = path.read_bytes().partition(b"\r\n\r\n")[2]
        root = re.search(rb"<(?:\w+:)?Body[^>]*>\s*<(?:\w+:)?(\w+)", body)
        if root and len(body) <= LARGEST:
            kinds.setdefault(root[1].decode(), []).append(body)
    for kind, bodies in kinds.items():
        for body in sorted(bodies, key=len)[:PER_OPERATION]:
            yield kind, body


def payload(body: bytes) -> bytes:
    """The Body's child alone: shorter, so that the fuzzer gets further."""
    return re.search(rb"<(?:\w+:)?Body[^>]*>(.*)</(?:\w+:)?Body>", body, re.S)[1].strip()


def samples(contract: str):
    """One message of each kind, with the element names that the contract file has."""
    text = (HERE.parent / "wsdl" / "contract" / contract).read_text()
    namespace = re.search(r'targetNamespace="([^"]+)"', text)[1]
    types = {
        match[1]: re.findall(r'<xs:element[^>]* name="(\w+)"[^>]* type="([^"]+)"', match[2])
        for match in re.finditer(r'<xs:complexType name="(\w+)">(.*?)</xs:complexType>', text, re.S)
    }
    values = {"int": "7", "long": "7", "boolean": "true", "dateTime": "2026-11-20T12:00:00.000Z"}

    def fields(kind: str, depth: int = 0) -> str:
        inside = ""
        for name, inner in types.get(kind, []):
            local = inner.split(":")[-1]
            value = fields(local, depth + 1) if local in types and depth < 4 else values.get(local, "x")
            inside += f"<n:{name}>{value}</n:{name}>"
        return inside

    for name, kind in re.findall(r'<xs:element name="(\w+)" type="\w+:(\w+)"\s*/>', text):
        if kind in types:
            yield f'<n:{name} xmlns:n="{namespace}">{fields(kind)}</n:{name}>'.encode()


def door():
    """Requests at the EC2 API's door: the shortest that was recorded for each action and each way of signing it, and
    one message of each kind in the contract."""
    recorded: dict[tuple, list[bytes]] = {}
    for line in (TESTS / "vectors" / "ec2-clients.jsonl").read_text().splitlines():
        request = json.loads(line)
        head = "\n".join([request["request_line"], *(f"{name}: {value}" for name, value in request["headers"])])
        text = f"{head}\n\n{request['body']}"
        way = re.findall(r"SignatureVersion=\d|AWS4-HMAC-SHA256|BinarySecurityToken", text)[:1]
        recorded.setdefault((request["action"], *way), []).append(text.encode())
    yield from (min(texts, key=len) for texts in recorded.values())
    for message in samples("ec2.wsdl"):
        if re.match(rb"<n:[A-Z]\w+(?<!Response) ", message):
            yield b"POST / HTTP/1.1\nContent-Type: text/xml\n\n" + message


for kind, body in captures():
    put("envelope", body)
    put("verifier", body)
    put("nc_messages" if kind.startswith("nc") else "cc_messages", payload(body))
for path in (TESTS / "vectors" / "wssec").glob("*.xml"):
    put("envelope", path.read_bytes())
    put("verifier", path.read_bytes())
for path in (HERE / "originals").glob("*.xml"):
    put("envelope", path.read_bytes())
    put("verifier", path.read_bytes())
for contract, targets in {
    "eucalyptus_nc.wsdl": ["nc_messages"],
    "eucalyptus_cc.wsdl": ["cc_messages"],
    "ironbark.wsdl": ["nc_messages", "cc_messages"],
}.items():
    for message in samples(contract):
        for target in targets:
            put(target, message)
for request in door():
    if len(request) <= LARGEST:
        put("front", request)
