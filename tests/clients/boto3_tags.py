"""Tags through boto3, unchanged, on everything that can have some. usage: boto3_tags.py IMAGE"""
import sys
from expect import client, filters, refused

image = sys.argv[1]
ec2 = client()


def tag(key, value=""):
    return {"Key": key, "Value": value}


def specified(kind, *tags):
    return [{"ResourceType": kind, "Tags": list(tags)}]


def found(**by):
    return [(each["ResourceId"], each["Key"], each["Value"]) for each in ec2.describe_tags(Filters=filters(**by))["Tags"]]


# At creation.
pair = ec2.create_key_pair(KeyName="tagged", TagSpecifications=specified("key-pair", tag("team", "a & <b>")))
key = pair["KeyPairId"]
assert pair["Tags"] == [tag("team", "a & <b>")], pair
instance = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, TagSpecifications=specified(
    "instance", tag("Name", "web-1"), tag("empty")))["Instances"][0]
assert sorted(each["Key"] for each in instance["Tags"]) == ["Name", "empty"], instance
instance = instance["InstanceId"]
refused("InvalidParameterValue", ec2.create_key_pair, KeyName="other", TagSpecifications=specified("instance", tag("a")))
refused("InvalidParameterValue", ec2.create_key_pair, KeyName="other", TagSpecifications=specified("key-pair", tag("a"), tag("a")))
refused("InvalidKeyPair.NotFound", ec2.describe_key_pairs, KeyNames=["other"])

# Afterwards, on several things at once; a new value replaces the old one.
ec2.create_tags(Resources=[instance, image, key], Tags=[tag("stage", "test"), tag("team", "x")])
ec2.create_tags(Resources=[image], Tags=[tag("stage", "prod")])
assert found(key=["stage"]) == sorted([(image, "stage", "prod"), (instance, "stage", "test"), (key, "stage", "test")])
assert found(resource_id=[key]) == [(key, "stage", "test"), (key, "team", "x")]
assert {each[0] for each in found(resource_type=["image"])} == {image}
assert found(value=["te?t"], resource_type=["instance", "key-pair"]) == [(instance, "stage", "test"), (key, "stage", "test")]
assert found(**{"tag:stage": ["prod"]}) == [(image, "stage", "prod")]
assert found(key=["empty"], value=[""]) == [(instance, "empty", "")]
assert found(key=["Stage"]) == []

# In every Describe.
described = ec2.describe_instances(Filters=filters(**{"tag:Name": ["web-*"], "tag-key": ["stage"]}))["Reservations"]
assert [each["InstanceId"] for each in described[0]["Instances"]] == [instance], described
assert tag("stage", "test") in described[0]["Instances"][0]["Tags"]
assert ec2.describe_instances(Filters=filters(**{"tag:Name": ["db-*"]}))["Reservations"] == []
assert [each["ImageId"] for each in ec2.describe_images(Filters=filters(**{"tag:stage": ["prod"]}))["Images"]] == [image]
assert [each["KeyPairId"] for each in ec2.describe_key_pairs(Filters=filters(**{"tag-value": ["x"]}))["KeyPairs"]] == [key]

# Pages.
pages = [page["Tags"] for page in ec2.get_paginator("describe_tags").paginate(PaginationConfig={"PageSize": 5})]
assert [len(page) for page in pages] == [5, 3], pages
refused("InvalidParameterValue", ec2.describe_tags, MaxResults=4)
refused("InvalidParameterValue", ec2.describe_tags, Filters=filters(colour=["red"]))
refused("MissingParameter", ec2.describe_tags, Filters=[{"Name": "key", "Values": []}])

# What is refused changes nothing.
refused("InvalidID", ec2.create_tags, Resources=["blah-blah"], Tags=[tag("a")])
refused("InvalidInstanceID.NotFound", ec2.create_tags, Resources=[key, "i-00000000"], Tags=[tag("a")])
refused("InvalidParameterValue", ec2.create_tags, Resources=[key], Tags=[tag("aws:a")])
refused("InvalidParameterValue", ec2.create_tags, Resources=[key], Tags=[tag("k" * 128)])
refused("InvalidParameterValue", ec2.create_tags, Resources=[key], Tags=[tag("k", "v" * 257)])
refused("InvalidParameterValue", ec2.create_tags, Resources=[key], Tags=[tag("a", "1"), tag("a", "2")])
refused("InvalidParameterValue", ec2.create_tags, Resources=[key], Tags=[{"Key": "a"}])
refused("MissingParameter", ec2.create_tags, Resources=[], Tags=[tag("a")])
refused("MissingParameter", ec2.create_tags, Resources=[key], Tags=[])
refused("TagLimitExceeded", ec2.create_tags, Resources=[key], Tags=[tag(str(n)) for n in range(51)])
refused("TagLimitExceeded", ec2.create_tags, Resources=[key], Tags=[tag(str(n)) for n in range(49)])
refused("DryRunOperation", ec2.create_tags, Resources=[key], Tags=[tag("a")], DryRun=True)
assert len(found(resource_id=[key])) == 2

# Deleted by key, by value, and all of them.
ec2.delete_tags(Resources=[instance], Tags=[tag("Name", "other"), {"Key": "team"}, tag("empty", ""), {"Key": "none"}])
assert found(resource_id=[instance]) == [(instance, "Name", "web-1"), (instance, "stage", "test")]
ec2.delete_tags(Resources=[instance, image])
assert found(resource_id=[instance, image]) == []
refused("MissingParameter", ec2.delete_tags, Resources=[], Tags=[tag("a")])
ec2.delete_key_pair(KeyPairId=key)
assert found() == []

ec2.terminate_instances(InstanceIds=[instance])
print("ok", instance)
