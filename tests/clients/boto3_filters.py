"""Filters and pages of everything that is described, through boto3, unchanged. usage: boto3_filters.py IMAGE"""
import sys
from expect import client, filters, refused

image = sys.argv[1]
ec2 = client()


def tag(kind, **tags):
    return [{"ResourceType": kind, "Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}]


def keys(**by):
    return [key["KeyName"] for key in ec2.describe_key_pairs(Filters=filters(**by))["KeyPairs"]]


# Wildcards, escapes, case; values of one name are alternatives, names come on top of each other.
for name in ("web-1", "web-2", "db-1", "we*b", "Web-1"):
    ec2.create_key_pair(KeyName=name, KeyType="ed25519", TagSpecifications=tag("key-pair", stage=name[:2], empty=""))
assert sorted(keys(key_name="web-*")) == ["web-1", "web-2"]
assert sorted(keys(key_name="we?-1")) == ["web-1"] and keys(key_name="WEB-1") == []
assert keys(key_name="we\\*b") == ["we*b"] and sorted(keys(key_name=["db-?", "Web*"])) == ["Web-1", "db-1"]
assert sorted(keys(**{"key-name": "*-1", "tag:stage": ["we", "db"]})) == ["db-1", "web-1"]
assert len(keys(**{"tag:empty": ""})) == 5 and keys(**{"tag:stage": ""}) == []
assert keys(**{"tag:sta*": "We"}) == ["Web-1"] and keys(tag_key="Stage") == [] and len(keys(tag_value="we")) == 3
pair = ec2.describe_key_pairs(KeyNames=["db-1"])["KeyPairs"][0]
assert keys(fingerprint=pair["KeyFingerprint"]) == keys(key_pair_id=pair["KeyPairId"]) == ["db-1"]

# What is wrong is refused, never passed over.
for call in (ec2.describe_instances, ec2.describe_images, ec2.describe_key_pairs, ec2.describe_security_groups, ec2.describe_tags,
             ec2.describe_addresses, ec2.describe_availability_zones, ec2.describe_regions, ec2.describe_instance_types,
             ec2.describe_instance_status, ec2.describe_security_group_rules):
    message = refused("InvalidParameterValue", call, Filters=filters(colour="red"))
    assert message == "The filter 'colour' is invalid", message
    assert "'null'" in refused("InvalidParameterValue", call, Filters=[{"Values": ["red"]}])
refused("MissingParameter", ec2.describe_instances, Filters=[{"Name": "image-id", "Values": []}])
refused("MissingParameter", ec2.describe_key_pairs, Filters=[{"Name": "key-name"}])
refused("FilterLimitExceeded", ec2.describe_instances, Filters=filters(image_id=["x"] * 201))

# Several names: all of them, or an error.
assert [pair["KeyName"] for pair in ec2.describe_key_pairs(KeyNames=["web-2", "db-1"])["KeyPairs"]] == ["db-1", "web-2"]
refused("InvalidKeyPair.NotFound", ec2.describe_key_pairs, KeyNames=["web-1", "none"])
refused("InvalidAMIID.NotFound", ec2.describe_images, ImageIds=[image, "emi-00000000"])
refused("InvalidAMIID.Malformed", ec2.describe_images, ImageIds=[image, "none"])
refused("InvalidInstanceID.Malformed", ec2.describe_instances, InstanceIds=[""])
refused("InvalidInstanceID.Malformed", ec2.terminate_instances, InstanceIds=[""])
refused("InvalidParameterCombination", ec2.terminate_instances, InstanceIds=[])
refused("InvalidParameterValue", ec2.describe_availability_zones, ZoneNames=["cluster1", "none"])

# Zones and regions.
zones = lambda **by: [zone["ZoneName"] for zone in ec2.describe_availability_zones(Filters=filters(**by))["AvailabilityZones"]]
assert zones(state="available", zone_name="cluster?") == ["cluster1"] and zones(state="unavailable") == []
region = ec2.describe_regions()["Regions"][0]["RegionName"]
assert zones(region_name=region) == ["cluster1"] and zones(parent_zone_name="*") == []
assert len(ec2.describe_regions(Filters=filters(region_name=region))["Regions"]) == 1

# Pages cover everything once, in an order that stays, whatever comes and goes between them.
groups = [ec2.create_security_group(GroupName=f"group-{number:02}", Description="x")["GroupId"] for number in range(11)]
first = ec2.describe_security_groups(MaxResults=5, Filters=filters(group_name="group-*"))
assert [group["GroupName"] for group in first["SecurityGroups"]] == [f"group-{number:02}" for number in range(5)], first
ec2.delete_security_group(GroupId=groups[4])
ec2.create_security_group(GroupName="group-00a", Description="x")
rest, token = [], first["NextToken"]
while token:
    page = ec2.describe_security_groups(MaxResults=5, NextToken=token, Filters=filters(group_name="group-*"))
    rest += [group["GroupName"] for group in page["SecurityGroups"]]
    token = page.get("NextToken")
assert rest == [f"group-{number:02}" for number in range(5, 11)], rest
for call in (ec2.describe_security_groups, ec2.describe_tags, ec2.describe_instances, ec2.describe_images, ec2.describe_instance_types):
    refused("InvalidParameterValue", call, MaxResults=4)
    refused("InvalidParameterValue", call, MaxResults=1001)
    refused("InvalidNextToken", call, NextToken="none of ours!")
refused("InvalidParameterValue", ec2.describe_instance_types, MaxResults=101)
assert "NextToken" not in ec2.describe_instance_types(MaxResults=100)
print("ok i-" + str(len(rest)))
