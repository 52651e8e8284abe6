"""Elastic addresses through boto3, unchanged, in a cloud with three of them whose cluster cannot put them on instances.
usage: boto3_addresses.py IMAGE"""
import sys
from expect import WAIT, client, filters, refused

image = sys.argv[1]
ec2 = client()


def ips(**by):
    return [address["PublicIp"] for address in ec2.describe_addresses(Filters=filters(**by))["Addresses"]]


assert ec2.describe_addresses()["Addresses"] == []
tags = [{"Key": "team", "Value": "x"}]
first = ec2.allocate_address(Domain="vpc", TagSpecifications=[{"ResourceType": "elastic-ip", "Tags": tags}])
assert first["PublicIp"] == "192.0.2.10" and first["Domain"] == "vpc", first
assert first["AllocationId"].startswith("eipalloc-"), first
second = ec2.allocate_address(Domain="standard")
assert second["Domain"] == "standard" and second["PublicIp"] == "192.0.2.11", second
refused("InvalidParameterValue", ec2.allocate_address, Domain="mars")
refused("InvalidParameterValue", ec2.allocate_address, Address="192.0.2.11")
refused("InvalidAddress.NotFound", ec2.allocate_address, Address="198.51.100.1")
refused("DryRunOperation", ec2.allocate_address, DryRun=True)
third = ec2.allocate_address(Address="192.0.2.12")
refused("InsufficientAddressCapacity", ec2.allocate_address)

shown = ec2.describe_addresses(AllocationIds=[first["AllocationId"]])["Addresses"][0]
assert shown["Tags"] == tags and shown["Domain"] == "vpc" and "InstanceId" not in shown, shown
assert ips() == ["192.0.2.10", "192.0.2.11", "192.0.2.12"]
assert ips(domain="standard", public_ip="192.0.2.1?") == ["192.0.2.11", "192.0.2.12"]
assert ips(**{"tag:team": "x"}) == ["192.0.2.10"] and ips(allocation_id=third["AllocationId"]) == ["192.0.2.12"]
assert ips(instance_id="*") == []
refused("InvalidParameterValue", ec2.describe_addresses, Filters=filters(colour="red"))
refused("InvalidAddress.NotFound", ec2.describe_addresses, PublicIps=["192.0.2.10", "192.0.2.99"])
refused("InvalidAllocationID.NotFound", ec2.describe_addresses, AllocationIds=["eipalloc-12345678"])
ec2.create_tags(Resources=[second["AllocationId"]], Tags=tags)
assert ips(**{"tag-key": "team"}) == ["192.0.2.10", "192.0.2.11"]

instance = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=WAIT)
on = dict(InstanceId=instance)
refused("InvalidAddress.NotFound", ec2.associate_address, PublicIp="192.0.2.99", **on)
refused("InvalidAllocationID.NotFound", ec2.associate_address, AllocationId="eipalloc-12345678", **on)
refused("InvalidInstanceID.NotFound", ec2.associate_address, PublicIp="192.0.2.10", InstanceId="i-00000000")
refused("InvalidParameterCombination", ec2.associate_address, PublicIp="192.0.2.10", AllocationId=first["AllocationId"], **on)
refused("MissingParameter", ec2.associate_address, **on)
refused("MissingParameter", ec2.associate_address, PublicIp="192.0.2.10")
# What the cluster cannot do is refused, not pretended.
message = refused("UnsupportedOperation", ec2.associate_address, PublicIp="192.0.2.10", **on)
assert "SYSTEM" in message, message
ec2.disassociate_address(PublicIp="192.0.2.10")
refused("InvalidAssociationID.NotFound", ec2.disassociate_address, AssociationId="eipassoc-12345678")
assert ips(instance_id="*") == []

ec2.release_address(AllocationId=first["AllocationId"])
ec2.release_address(PublicIp="192.0.2.11")
refused("InvalidAddress.NotFound", ec2.release_address, PublicIp="192.0.2.11")
refused("InvalidAllocationID.NotFound", ec2.release_address, AllocationId=first["AllocationId"])
refused("MissingParameter", ec2.release_address)
assert ips() == ["192.0.2.12"]
assert ec2.allocate_address()["PublicIp"] == "192.0.2.10"
for ip in ips():
    ec2.release_address(PublicIp=ip)
# Asked in one breath: equal requests, which want three addresses and not one.
assert sorted(ec2.allocate_address()["PublicIp"] for _ in range(3)) == ["192.0.2.10", "192.0.2.11", "192.0.2.12"]
for ip in ips():
    ec2.release_address(PublicIp=ip)
ec2.terminate_instances(InstanceIds=[instance])
print("ok", instance)
