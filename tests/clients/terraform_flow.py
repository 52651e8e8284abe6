"""What terraform's aws_instance asks from plan to destroy, in its order, through boto3. usage: terraform_flow.py IMAGE"""
import base64
import sys
import uuid

from expect import WAIT, client, filters, refused

image = sys.argv[1]
ec2 = client()


def read(instance_id):
    """The provider's read of one instance."""
    found = ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]
    kind = ec2.describe_instance_types(InstanceTypes=[found["InstanceType"]])["InstanceTypes"][0]
    assert kind["BurstablePerformanceSupported"] is False, "else it asks for credit specifications"
    attribute = lambda name: ec2.describe_instance_attribute(InstanceId=instance_id, Attribute=name)
    # These two are read without asking whether they are there.
    stop = attribute("disableApiStop")["DisableApiStop"]["Value"]
    terminate = attribute("disableApiTermination")["DisableApiTermination"]["Value"]
    behavior = attribute("instanceInitiatedShutdownBehavior")["InstanceInitiatedShutdownBehavior"]["Value"]
    user_data = attribute("userData")["UserData"].get("Value")
    volumes = ec2.describe_volumes(Filters=filters(**{"attachment.instance-id": instance_id}))["Volumes"]
    assert volumes == [], "there is no volume service"
    root = ec2.describe_images(ImageIds=[found["ImageId"]])["Images"][0]
    assert root["RootDeviceType"] == found["RootDeviceType"] == "instance-store", (root, found)
    assert ec2.describe_network_interfaces(Filters=filters(**{"attachment.instance-id": instance_id}))["NetworkInterfaces"] == []
    assert ec2.describe_iam_instance_profile_associations(Filters=filters(instance_id=instance_id))[
        "IamInstanceProfileAssociations"] == []
    assert found["Placement"]["Tenancy"] == "default" and found["Monitoring"]["State"] in ("enabled", "disabled")
    assert found["MetadataOptions"]["HttpEndpoint"] == "disabled" and found["EnclaveOptions"]["Enabled"] is False
    return {"instance": found, "stop": stop, "terminate": terminate, "behavior": behavior, "user_data": user_data}


# Plan: data sources and what the provider looks at before anything is made.
attributes = {a["AttributeName"]: a for a in ec2.describe_account_attributes()["AccountAttributes"]}
assert attributes["supported-platforms"]["AttributeValues"] == [{"AttributeValue": "EC2"}], attributes
assert ec2.describe_account_attributes(AttributeNames=["default-vpc"])["AccountAttributes"][0]["AttributeValues"][0][
    "AttributeValue"] == "none"
assert ec2.describe_availability_zones(AllAvailabilityZones=False)["AvailabilityZones"][0]["ZoneType"] == "availability-zone"
assert ec2.describe_vpcs(Filters=filters(isDefault="true"))["Vpcs"] == []
assert ec2.describe_subnets(Filters=filters(**{"default-for-az": "true"}))["Subnets"] == []
assert ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=filters(instance_type="m1.small"))[
    "InstanceTypeOfferings"], "m1.small is offered nowhere"

# Create.
data = base64.b64encode(b"#!/bin/sh\n").decode()
run = {
    "ImageId": image, "InstanceType": "m1.small", "MinCount": 1, "MaxCount": 1, "ClientToken": f"terraform-{uuid.uuid4()}",
    "DisableApiTermination": True, "DisableApiStop": False, "EbsOptimized": False, "Monitoring": {"Enabled": False},
    "InstanceInitiatedShutdownBehavior": "stop", "UserData": b"#!/bin/sh\n",
    "Placement": {"AvailabilityZone": "cluster1", "Tenancy": "default"},
    "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Name", "Value": "tf"}]}],
}
instance = ec2.run_instances(**run)["Instances"][0]["InstanceId"]
ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=WAIT)
state = read(instance)
assert (state["stop"], state["terminate"], state["behavior"], state["user_data"]) == (False, True, "stop", data), state
assert {"Key": "Name", "Value": "tf"} in state["instance"]["Tags"], state
status = ec2.describe_instance_status(InstanceIds=[instance])["InstanceStatuses"][0]
assert status["InstanceStatus"]["Status"] in ("ok", "initializing"), status

# Update in place, and read again: nothing but that has changed.
ec2.monitor_instances(InstanceIds=[instance])
ec2.modify_instance_attribute(InstanceId=instance, InstanceInitiatedShutdownBehavior={"Value": "terminate"})
again = read(instance)
assert again["behavior"] == "terminate" and again["instance"]["Monitoring"]["State"] == "enabled", again
assert again["instance"]["LaunchTime"] == state["instance"]["LaunchTime"]

# Destroy: protection off, terminate, and wait until it is gone.
refused("OperationNotPermitted", ec2.terminate_instances, InstanceIds=[instance])
ec2.modify_instance_attribute(InstanceId=instance, DisableApiStop={"Value": False})
ec2.modify_instance_attribute(InstanceId=instance, DisableApiTermination={"Value": False})
ec2.terminate_instances(InstanceIds=[instance])
ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=WAIT)
print("ok", instance)
