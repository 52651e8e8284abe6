"""Every operation of the WSDL through zeep, strict: each is called, and each answer fits the schema.
usage: zeep_every.py IMAGE"""
import base64
import sys
import time
from zeep import xsd
from zeep.exceptions import Fault
from zeep_ec2 import binding, connect

image = sys.argv[1]
client, ec2 = connect()
called = set()


def call(operation, **arguments):
    called.add(operation)
    return getattr(ec2, operation)(**arguments)


def refused(code, operation, **arguments):
    try:
        call(operation, **arguments)
    except Fault as fault:
        assert fault.code.endswith("Client." + code), fault.code
        return
    raise AssertionError(f"{operation}({arguments}) was not refused")


def some(**fields):
    """One or none, as a set: some(instanceId="i-1") is {"item": [{"instanceId": "i-1"}]}."""
    return {"item": [fields] if fields else []}


def await_state(state):
    for _ in range(600):
        found = call("DescribeInstances", instancesSet=some(instanceId=i)).reservationSet.item[0].instancesSet.item[0]
        if found.instanceState.name == state:
            return
        time.sleep(0.2)
    raise AssertionError(f"{i} is {found.instanceState.name}, not {state}")


assert call("DescribeAvailabilityZones", availabilityZoneSet=some(zoneName="cluster1")).availabilityZoneInfo.item
assert call("DescribeRegions", regionSet=some()).regionInfo.item[0].regionName == "ironbark"

# Keys.
assert call("CreateKeyPair", keyName="soap").keyMaterial.startswith("-----BEGIN RSA PRIVATE KEY-----")
line = b"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBGfYbJFKdMSAYYOSHnCI4xIwKpvVSPQSUjfJIMj3Ua8 me@home"
assert call("ImportKeyPair", keyName="brought", publicKeyMaterial=base64.b64encode(line).decode()).keyFingerprint
assert [key.keyName for key in call("DescribeKeyPairs", keySet=some()).keySet.item] == ["brought", "soap"]
call("DeleteKeyPair", keyName="brought")

# Groups.
call("CreateSecurityGroup", groupName="soap", groupDescription="every operation")
rule = {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "groups": some(), "ipRanges": some(cidrIp="10.0.0.0/8")}
rules = dict(userId="", groupName="soap", ipPermissions={"item": [rule]})
call("AuthorizeSecurityGroupIngress", **rules)
group = call("DescribeSecurityGroups", securityGroupSet=some(groupName="soap")).securityGroupInfo.item[0]
assert group.ipPermissions.item[0].toPort == 22, group
call("RevokeSecurityGroupIngress", **rules)

# Placement groups.
call("CreatePlacementGroup", groupName="apart", strategy="spread")
group = call("DescribePlacementGroups", placementGroupSet=some()).placementGroupSet.item[0]
assert (group.groupName, group.strategy, group.state) == ("apart", "spread", "available"), group
call("DeletePlacementGroup", groupName="apart")
refused("InvalidPlacementGroup.Unknown", "DeletePlacementGroup", groupName="apart")

# Images.
spare = call("RegisterImage", imageLocation="http://images.example/spare.img", name="spare", description="old").imageId
shown = call("DescribeImages", imagesSet=some(imageId=spare)).imagesSet.item[0]
assert shown.name == "spare" and shown.tagSet is None, shown
call("ModifyImageAttribute", imageId=spare, description={"value": "new"})
assert call("DescribeImageAttribute", imageId=spare, description=xsd.Nil).description.value == "new"
call("ResetImageAttribute", imageId=spare, launchPermission=xsd.Nil)
assert call("DescribeImageAttribute", imageId=spare, launchPermission=xsd.Nil).launchPermission is None
call("DeregisterImage", imageId=spare)
refused("InvalidAMIID.NotFound", "DeregisterImage", imageId=spare)

# An instance.
run = call("RunInstances", imageId=image, minCount=1, maxCount=1, groupSet=some(groupId="soap"), instanceType="m1.small",
           keyName="soap", monitoring={"enabled": True}, instanceInitiatedShutdownBehavior="terminate", clientToken="soap")
i = run.instancesSet.item[0].instanceId
await_state("running")
ids = dict(instancesSet=some(instanceId=i))
call("CreateTags", resourcesSet=some(resourceId=i), tagSet=some(key="Name", value="soap"))
assert call("DescribeTags").tagSet.item[0].value == "soap"
call("DeleteTags", resourcesSet=some(resourceId=i), tagSet=some(key="Name"))
assert call("DescribeTags").tagSet is None
behavior = call("DescribeInstanceAttribute", instanceId=i, instanceInitiatedShutdownBehavior=xsd.Nil)
assert behavior.instanceInitiatedShutdownBehavior.value == "terminate", behavior
call("ModifyInstanceAttribute", instanceId=i, instanceInitiatedShutdownBehavior={"value": "stop"})
assert call("UnmonitorInstances", **ids).instancesSet.item[0].monitoring.state == "disabled"
assert call("MonitorInstances", **ids).instancesSet.item[0].monitoring.state == "enabled"
assert call("GetConsoleOutput", instanceId=i).instanceId == i
assert call("GetPasswordData", instanceId=i).passwordData is None
call("RebootInstances", **ids)

# Addresses, which this cluster cannot put on instances.
ip = call("AllocateAddress").publicIp
assert call("DescribeAddresses", publicIpsSet=some()).addressesSet.item[0].publicIp == ip
refused("UnsupportedOperation", "AssociateAddress", publicIp=ip, instanceId=i)
call("DisassociateAddress", publicIp=ip)
call("ReleaseAddress", publicIp=ip)

# What there is none of: empty sets.
for name, answer, arguments in [
    ("DescribeVpcs", "vpcSet", {}),
    ("DescribeSubnets", "subnetSet", {}),
    ("DescribeVolumes", "volumeSet", dict(volumeSet=some())),
    ("DescribeSnapshots", "snapshotSet", dict(snapshotSet=some())),
    ("DescribePlacementGroups", "placementGroupSet", dict(placementGroupSet=some())),
    ("DescribeBundleTasks", "bundleInstanceTasksSet", dict(bundlesSet=some())),
    ("DescribeReservedInstances", "reservedInstancesSet", {}),
    ("DescribeReservedInstancesOfferings", "reservedInstancesOfferingsSet", {}),
    ("DescribeSpotInstanceRequests", "spotInstanceRequestSet", dict(spotInstanceRequestIdSet=some())),
]:
    assert getattr(call(name, **arguments), answer) is None, name

# Its end.
call("StopInstances", force=True, **ids)
await_state("stopped")
call("ResetInstanceAttribute", instanceId=i, kernel=xsd.Nil)
call("StartInstances", **ids)
await_state("running")
change = call("TerminateInstances", **ids).instancesSet.item[0]
assert (change.previousState.name, change.currentState.name) == ("running", "shutting-down"), change
await_state("terminated")
call("DeleteSecurityGroup", groupName="soap")
call("DeleteKeyPair", keyName="soap")

served = set(client.wsdl.bindings[binding(client)].all())
assert called == served, f"not called: {served - called}"
print("ok", i, len(called))
