"""An instance's life through zeep, strict, from the WSDL that the cloud serves, signed by WS-Security X.509.
usage: zeep_life.py IMAGE [sha1|sha256]"""
import base64
import sys
import time
from zeep import xsd
from zeep.exceptions import Fault
from zeep_ec2 import connect

_, ec2 = connect(sha256="sha256" in sys.argv[2:])


def ids(instance):
    return {"item": [{"instanceId": instance}]}


def await_state(instance, state):
    for _ in range(600):
        found = ec2.DescribeInstances(instancesSet=ids(instance)).reservationSet.item[0].instancesSet.item[0]
        if found.instanceState.name == state:
            return found
        time.sleep(0.2)
    raise AssertionError(f"{instance} is {found.instanceState.name}, not {state}")


zones = ec2.DescribeAvailabilityZones(availabilityZoneSet={"item": []}).availabilityZoneInfo.item
assert zones[0].zoneName == "cluster1", zones
run = ec2.RunInstances(imageId=sys.argv[1], minCount=1, maxCount=1, groupSet={"item": []}, instanceType="m1.small",
                       userData={"data": base64.b64encode(b"#!/bin/sh\n").decode(), "version": "1.0", "encoding": "base64"})
instance = run.instancesSet.item[0].instanceId
await_state(instance, "running")
ec2.CreateTags(resourcesSet={"item": [{"resourceId": instance}]},
               tagSet={"item": [{"key": "Name", "value": "zeep"}, {"key": "empty", "value": ""}]})
assert {tag.key: tag.value for tag in await_state(instance, "running").tagSet.item} == {"Name": "zeep", "empty": None}
ec2.DeleteTags(resourcesSet={"item": [{"resourceId": instance}]}, tagSet={"item": [{"key": "Name", "value": "other"}]})
tags = ec2.DescribeTags(filterSet={"item": [{"name": "resource-type", "valueSet": {"item": [{"value": "instance"}]}}]})
assert [tag.key for tag in tags.tagSet.item] == ["Name", "empty"], tags

ec2.CreateSecurityGroup(groupName="zeep", groupDescription="of a SOAP client")
rule = {"ipProtocol": "tcp", "fromPort": 22, "toPort": 22, "groups": {"item": [{"userId": run.ownerId, "groupName": "default"}]},
        "ipRanges": {"item": [{"cidrIp": "10.0.0.0/8"}]}}
rules = dict(userId="", groupName="zeep", ipPermissions={"item": [rule]})
ec2.AuthorizeSecurityGroupIngress(**rules)
named = {"item": [{"groupName": "zeep"}]}
group = ec2.DescribeSecurityGroups(securityGroupSet=named).securityGroupInfo.item[0]
shown = group.ipPermissions.item[0]
assert shown.fromPort == 22 and shown.ipRanges.item[0].cidrIp == "10.0.0.0/8", group
assert shown.groups.item[0].groupName == "default", group
ec2.RevokeSecurityGroupIngress(**rules)
# An empty set is an empty element, which zeep gives as None.
assert ec2.DescribeSecurityGroups(securityGroupSet=named).securityGroupInfo.item[0].ipPermissions is None
ec2.DeleteSecurityGroup(groupName="zeep")
assert run.groupSet.item[0].groupId == "default", run

answer = ec2.RebootInstances(instancesSet=ids(instance))
assert getattr(answer, "return") is True if hasattr(answer, "return") else answer["return"], answer
assert ec2.GetConsoleOutput(instanceId=instance).instanceId == instance
try:
    ec2.RebootInstances(instancesSet=ids("i-00000000"))
    raise AssertionError("an unknown instance was rebooted")
except Fault as fault:
    assert "InvalidInstanceID.NotFound" in fault.code, fault.code
# A choice is named by an empty element; answers are parsed strictly.
shown = ec2.DescribeInstanceAttribute(instanceId=instance, userData=xsd.Nil)
assert base64.b64decode(shown.userData.value) == b"#!/bin/sh\n", shown
ec2.ModifyInstanceAttribute(instanceId=instance, disableApiTermination={"value": True})
try:
    ec2.TerminateInstances(instancesSet=ids(instance))
    raise AssertionError("a protected instance was terminated")
except Fault as fault:
    assert "OperationNotPermitted" in fault.code, fault.code
ec2.ModifyInstanceAttribute(instanceId=instance, disableApiTermination={"value": False})
assert ec2.MonitorInstances(instancesSet=ids(instance)).instancesSet.item[0].monitoring.state == "enabled"
assert ec2.GetPasswordData(instanceId=instance).instanceId == instance
permission = ec2.DescribeImageAttribute(imageId=sys.argv[1], launchPermission=xsd.Nil).launchPermission
assert permission.item[0].group == "all", permission
ec2.DescribeVolumes(volumeSet={"item": []})
ec2.DescribeSpotInstanceRequests(spotInstanceRequestIdSet={"item": []})
ec2.StopInstances(instancesSet=ids(instance), force=True)
await_state(instance, "stopped")
ec2.StartInstances(instancesSet=ids(instance))
await_state(instance, "running")
ec2.TerminateInstances(instancesSet=ids(instance))
await_state(instance, "terminated")
print("ok", instance)
