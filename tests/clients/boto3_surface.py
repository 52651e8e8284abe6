"""The EC2 surface through boto3, case by case: shapes, filters, pages, and every kind of bad parameter.
usage: boto3_surface.py IMAGE"""
import base64
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
import uuid

import boto3
from botocore.exceptions import ClientError

from expect import CONFIG, WAIT, Cases, client, filters, refused

image = sys.argv[1]
ec2 = client()
case = Cases()
NOBODY = "i-00000000"


def run(**more):
    return ec2.run_instances(**{"ImageId": image, "MinCount": 1, "MaxCount": 1, "InstanceType": "m1.small", **more})


def run_refused(code, **more):
    return refused(code, ec2.run_instances, **{"ImageId": image, "MinCount": 1, "MaxCount": 1, **more})


def without(name):
    arguments = {"ImageId": image, "MinCount": 1, "MaxCount": 1}
    del arguments[name]
    return arguments


def one(instance_id):
    return ec2.describe_instances(InstanceIds=[instance_id])["Reservations"][0]["Instances"][0]


def ids_of(**arguments):
    reservations = ec2.describe_instances(**arguments)["Reservations"]
    return sorted(i["InstanceId"] for r in reservations for i in r["Instances"])


def end(*instances):
    ec2.terminate_instances(InstanceIds=list(instances))
    ec2.get_waiter("instance_terminated").wait(InstanceIds=list(instances), WaiterConfig=WAIT)


# One reservation of two that most cases look at.
key = ec2.create_key_pair(KeyName="surface")
token = str(uuid.uuid4())
first = run(MinCount=2, MaxCount=2, KeyName="surface", ClientToken=token, UserData=b"hello\x00\xff")
A, B = (i["InstanceId"] for i in first["Instances"])
ec2.get_waiter("instance_running").wait(InstanceIds=[A, B], WaiterConfig=WAIT)


# Zones, regions, types.

@case
def zones_by_name_and_filter():
    zone = ec2.describe_availability_zones(ZoneNames=["cluster1"])["AvailabilityZones"][0]
    assert zone["State"] == "available" and zone["RegionName"] and zone["ZoneId"], zone
    assert ec2.describe_availability_zones(Filters=filters(state="unavailable"))["AvailabilityZones"] == []
    refused("InvalidParameterValue", ec2.describe_availability_zones, ZoneNames=["mars"])
    refused("InvalidParameterValue", ec2.describe_availability_zones, Filters=filters(colour="red"))


@case
def regions_by_name_and_filter():
    region = ec2.describe_regions()["Regions"][0]
    assert ec2.describe_regions(RegionNames=[region["RegionName"]])["Regions"] == [region]
    assert ec2.describe_regions(Filters=filters(region_name="nowhere-*"))["Regions"] == []
    refused("InvalidParameterValue", ec2.describe_regions, RegionNames=["mars-1"])


@case
def types_have_what_clients_read():
    small = ec2.describe_instance_types(InstanceTypes=["m1.small"])["InstanceTypes"][0]
    assert small["VCpuInfo"]["DefaultVCpus"] == 1 and small["MemoryInfo"]["SizeInMiB"] > 0, small
    assert small["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"] and small["InstanceStorageSupported"], small
    assert small["BurstablePerformanceSupported"] is False and small["BareMetal"] is False, small
    everything = ec2.describe_instance_types()["InstanceTypes"]
    assert len(everything) == 5, everything
    big = ec2.describe_instance_types(Filters=filters(**{"vcpu-info.default-vcpus": "4"}))["InstanceTypes"]
    assert [t["InstanceType"] for t in big] == ["c1.xlarge"], big
    refused("InvalidInstanceType", ec2.describe_instance_types, InstanceTypes=["m1.small", "p5.huge"])
    refused("InvalidParameterValue", ec2.describe_instance_types, Filters=filters(colour="red"))
    refused("InvalidParameterCombination", ec2.describe_instance_types, InstanceTypes=["m1.small"], MaxResults=5)


@case
def types_are_offered_in_the_zone_and_the_region():
    where = lambda **more: ec2.describe_instance_type_offerings(**more)["InstanceTypeOfferings"]
    assert len(where()) == 5 and {o["LocationType"] for o in where()} == {"region"}
    offered = where(LocationType="availability-zone", Filters=filters(instance_type="m1.*", location="cluster1"))
    assert sorted(o["InstanceType"] for o in offered) == ["m1.large", "m1.small", "m1.xlarge"], offered
    refused("InvalidParameterValue", ec2.describe_instance_type_offerings, LocationType="planet")
    refused("InvalidParameterValue", ec2.describe_instance_type_offerings, Filters=filters(colour="red"))


# Keys.

@case
def a_key_pair_has_all_its_parts():
    assert key["KeyMaterial"].startswith("-----BEGIN RSA PRIVATE KEY-----") and key["KeyPairId"].startswith("key-"), key
    assert len(key["KeyFingerprint"].split(":")) == 20, key["KeyFingerprint"]
    listed = ec2.describe_key_pairs(KeyNames=["surface"])["KeyPairs"][0]
    assert listed["KeyFingerprint"] == key["KeyFingerprint"] and listed["KeyType"] == "rsa", listed
    assert ec2.describe_key_pairs(KeyPairIds=[key["KeyPairId"]])["KeyPairs"] == [listed]
    assert ec2.describe_key_pairs(Filters=filters(key_name="surf*"))["KeyPairs"] == [listed]
    assert ec2.describe_key_pairs(Filters=filters(fingerprint="00:00"))["KeyPairs"] == []


@case
def ssh_reads_the_private_keys():
    for kind in ["rsa", "ed25519"]:
        made = ec2.create_key_pair(KeyName=kind, KeyType=kind)
        file = os.path.join(tempfile.mkdtemp(), kind)
        with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w") as opened:
            opened.write(made["KeyMaterial"])
        public = subprocess.run(["ssh-keygen", "-y", "-f", file], capture_output=True, text=True, check=True).stdout
        assert public.startswith(f"ssh-{kind} "), public
        # What was made here is known again when it is brought.
        ec2.import_key_pair(KeyName=f"{kind}-again", PublicKeyMaterial=public.encode())
        ec2.delete_key_pair(KeyName=kind)
        ec2.delete_key_pair(KeyName=f"{kind}-again")


@case
def key_pairs_that_are_not_there_or_there_already():
    refused("InvalidKeyPair.Duplicate", ec2.create_key_pair, KeyName="surface")
    refused("InvalidKeyPair.NotFound", ec2.describe_key_pairs, KeyNames=["surface", "nobody"])
    refused("MissingParameter", ec2.create_key_pair, KeyName="")
    refused("InvalidParameterValue", ec2.create_key_pair, KeyName="x" * 256)
    refused("InvalidParameterValue", ec2.describe_key_pairs, Filters=filters(colour="red"))
    assert ec2.delete_key_pair(KeyName="nobody")["ResponseMetadata"]["HTTPStatusCode"] == 200, "deleting nothing is fine"


@case
def keys_are_imported():
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBGfYbJFKdMSAYYOSHnCI4xIwKpvVSPQSUjfJIMj3Ua8 me@home"
    imported = ec2.import_key_pair(KeyName="imported", PublicKeyMaterial=line.encode())
    assert imported["KeyFingerprint"] and imported["KeyName"] == "imported", imported
    refused("InvalidKeyPair.Duplicate", ec2.import_key_pair, KeyName="imported", PublicKeyMaterial=line.encode())
    refused("InvalidKey.Format", ec2.import_key_pair, KeyName="broken", PublicKeyMaterial=b"ssh-rsa AAAA")
    refused("InvalidKey.Format", ec2.import_key_pair, KeyName="broken", PublicKeyMaterial=b"hello")
    ssh2 = "---- BEGIN SSH2 PUBLIC KEY ----\nComment: me\n%s\n---- END SSH2 PUBLIC KEY ----\n"
    again = ec2.import_key_pair(KeyName="ssh2", PublicKeyMaterial=(ssh2 % line.split()[1]).encode())
    assert again["KeyFingerprint"] == imported["KeyFingerprint"], again
    refused("InvalidKey.Format", ec2.import_key_pair, KeyName="broken", PublicKeyMaterial=(ssh2 % "AAAA").encode())
    ec2.delete_key_pair(KeyName="ssh2")
    ec2.delete_key_pair(KeyName="imported")


# Instances as they are shown.

@case
def an_instance_has_what_clients_read():
    shown = one(A)
    assert shown["State"] == {"Code": 16, "Name": "running"}, shown
    assert shown["ImageId"] == image and shown["KeyName"] == "surface" and shown["InstanceType"] == "m1.small", shown
    assert shown["Placement"]["AvailabilityZone"] == "cluster1" and shown["Placement"]["Tenancy"] == "default", shown
    assert shown["Architecture"] == "x86_64" and shown["VirtualizationType"] == "hvm", shown
    assert shown["RootDeviceType"] == "instance-store" and shown["Hypervisor"], shown
    assert shown["Monitoring"] == {"State": "disabled"} and shown["EbsOptimized"] is False, shown
    assert shown["BlockDeviceMappings"] == [] and shown["NetworkInterfaces"] == [], shown
    assert shown["ClientToken"] == token and shown["AmiLaunchIndex"] == 0 and one(B)["AmiLaunchIndex"] == 1, shown
    assert shown["StateTransitionReason"] == "" and "StateReason" not in shown, shown
    assert [g["GroupName"] for g in shown["SecurityGroups"]] == ["default"], shown
    assert shown["EnclaveOptions"] == {"Enabled": False} and shown["HibernationOptions"] == {"Configured": False}, shown
    assert shown["LaunchTime"].tzinfo is not None
    assert "Tags" not in shown, "as EC2 tells of no tags"


@case
def a_reservation_is_one():
    answer = ec2.describe_instances(InstanceIds=[B, A])
    assert len(answer["Reservations"]) == 1, answer
    reservation = answer["Reservations"][0]
    assert reservation["ReservationId"] == first["ReservationId"] and len(reservation["OwnerId"]) == 12, reservation
    assert [i["InstanceId"] for i in reservation["Instances"]] == [A, B], "in the order of the launch"


@case
def ids_that_are_wrong_are_told_from_those_that_are_gone():
    refused("InvalidInstanceID.NotFound", ec2.describe_instances, InstanceIds=[A, NOBODY])
    for bad in ["nonsense", "i-", "i-xyz", "i-123", "ami-12345678", "i-1234567890"]:
        refused("InvalidInstanceID.Malformed", ec2.describe_instances, InstanceIds=[A, bad])
    assert ids_of(InstanceIds=[A.lower()]) == [A], "digits in lower case are the same id"
    assert ids_of(InstanceIds=[A, A]) == [A]


@case
def filters_choose_instances():
    both = sorted([A, B])
    for name, value, expected in [
        ("instance-id", [A, B], both), ("instance-id", "i-*", None), ("instance-state-name", "running", None),
        ("instance-state-code", "16", None), ("instance-type", "m1.s*", None), ("image-id", image, None),
        ("key-name", "surface", both), ("reservation-id", first["ReservationId"], both),
        ("availability-zone", "cluster?", None), ("client-token", token, both), ("launch-index", "1", [B]),
        ("architecture", "x86_64", None), ("root-device-type", "instance-store", None), ("monitoring-state", "enabled", []),
        ("owner-id", "000000000000", []), ("tenancy", "default", None), ("vpc-id", "vpc-1", []), ("platform", "windows", []),
        ("group-name", "default", None), ("hypervisor", "kvm", None), ("instance-lifecycle", "spot", []),
        ("network-interface.addresses.private-ip-address", "*", []), ("tag:Name", "*", []), ("tag-key", "none", []),
        ("instance-state-name", ["stopped", "stopping"], []), ("key-name", "SURFACE", []), ("ebs-optimized", "true", []),
        ("block-device-mapping.volume-id", "vol-*", []), ("iam-instance-profile.arn", "*", []), ("reason", "", None),
    ]:
        found = ids_of(Filters=filters(**{name: value}))
        if expected is None:
            assert set(both) <= set(found), f"{name}={value} shows {found}"
        else:
            assert [i for i in found if i in both] == expected, f"{name}={value} shows {found}"
    assert ids_of(Filters=filters(key_name="surface", launch_index="0")) == [A], "filters are and-ed"
    assert ids_of(InstanceIds=[B], Filters=filters(launch_index="0")) == [], "ids and filters are and-ed"
    refused("InvalidParameterValue", ec2.describe_instances, Filters=filters(colour="red"))
    refused("InvalidParameterValue", ec2.describe_instances, Filters=filters(**{"Instance-Id": A}))


@case
def instances_come_in_pages():
    more = [run(ClientToken=f"page-{n}-{uuid.uuid4()}")["Instances"][0]["InstanceId"] for n in range(6)]
    pages = ec2.get_paginator("describe_instances").paginate(PaginationConfig={"PageSize": 5})
    seen = [i["InstanceId"] for page in pages for r in page["Reservations"] for i in r["Instances"]]
    assert len(seen) == len(set(seen)) and set(more) | {A, B} <= set(seen), seen
    answer = ec2.describe_instances(MaxResults=5)
    assert len(answer["Reservations"]) == 5 and answer["NextToken"], answer
    refused("InvalidParameterValue", ec2.describe_instances, MaxResults=4)
    refused("InvalidParameterValue", ec2.describe_instances, MaxResults=1001)
    refused("InvalidNextToken", ec2.describe_instances, NextToken="nonsense!")
    refused("InvalidParameterCombination", ec2.describe_instances, InstanceIds=[A], MaxResults=5)
    end(*more)
    shown = one(more[0])
    assert shown["State"] == {"Code": 48, "Name": "terminated"}, "what ended stays to be seen for a while"
    assert shown["StateReason"]["Code"] == "Client.UserInitiatedShutdown", shown
    assert shown["StateTransitionReason"].startswith("User initiated"), shown
    assert "PrivateIpAddress" not in shown, "addresses go to others"


# Status.

@case
def status_shows_what_runs():
    status = ec2.describe_instance_status(InstanceIds=[A])["InstanceStatuses"][0]
    assert status["InstanceState"]["Name"] == "running" and status["AvailabilityZone"] == "cluster1", status
    assert status["SystemStatus"]["Status"] == status["InstanceStatus"]["Status"] == "ok", status
    assert status["SystemStatus"]["Details"] == [{"Name": "reachability", "Status": "passed"}], status
    ec2.get_waiter("instance_status_ok").wait(InstanceIds=[A, B], WaiterConfig=WAIT)
    ec2.get_waiter("system_status_ok").wait(InstanceIds=[A, B], WaiterConfig=WAIT)
    every = ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
    assert {"running", "terminated"} <= {s["InstanceState"]["Name"] for s in every} | {"terminated"}, every
    running = ec2.describe_instance_status()["InstanceStatuses"]
    assert {s["InstanceState"]["Name"] for s in running} == {"running"}, running
    by = lambda **by: {s["InstanceId"] for s in ec2.describe_instance_status(Filters=filters(**by))["InstanceStatuses"]}
    assert {A, B} <= by(**{"instance-status.status": "ok"}) and by(**{"system-status.reachability": "failed"}) == set()
    refused("InvalidInstanceID.NotFound", ec2.describe_instance_status, InstanceIds=[NOBODY])
    refused("InvalidInstanceID.Malformed", ec2.describe_instance_status, InstanceIds=["x"])
    refused("InvalidParameterValue", ec2.describe_instance_status, Filters=filters(colour="red"))
    refused("InvalidParameterValue", ec2.describe_instance_status, MaxResults=2)
    refused("InvalidParameterCombination", ec2.describe_instance_status, InstanceIds=[A], MaxResults=5)


# Attributes.

@case
def every_attribute_is_shown():
    show = lambda name: ec2.describe_instance_attribute(InstanceId=A, Attribute=name)
    assert show("instanceType")["InstanceType"] == {"Value": "m1.small"}
    assert base64.b64decode(show("userData")["UserData"]["Value"]) == b"hello\x00\xff"
    assert show("disableApiTermination")["DisableApiTermination"] == {"Value": False}
    assert show("disableApiStop")["DisableApiStop"] == {"Value": False}
    assert show("instanceInitiatedShutdownBehavior")["InstanceInitiatedShutdownBehavior"] == {"Value": "stop"}
    assert show("kernel")["KernelId"]["Value"].startswith("eki-") and show("ramdisk")["RamdiskId"]["Value"].startswith("eri-")
    assert show("blockDeviceMapping")["BlockDeviceMappings"] == [] and show("productCodes")["ProductCodes"] == []
    assert [g["GroupId"][:3] for g in show("groupSet")["Groups"]] == ["sg-"]
    assert show("sourceDestCheck")["SourceDestCheck"] == {"Value": False}
    assert show("ebsOptimized")["EbsOptimized"] == {"Value": False}
    assert show("enaSupport")["EnaSupport"] == {"Value": False} and "Value" not in show("sriovNetSupport")["SriovNetSupport"]
    assert show("enclaveOptions")["EnclaveOptions"] == {"Enabled": False}
    assert show("rootDeviceName")["InstanceId"] == A
    refused("InvalidParameterValue", ec2.describe_instance_attribute, InstanceId=A, Attribute="colour")
    refused("MissingParameter", ec2.describe_instance_attribute, InstanceId=A)
    refused("MissingParameter", ec2.describe_instance_attribute, Attribute="userData")
    refused("InvalidInstanceID.NotFound", ec2.describe_instance_attribute, InstanceId=NOBODY, Attribute="userData")
    refused("InvalidInstanceID.Malformed", ec2.describe_instance_attribute, InstanceId="x", Attribute="userData")


@case
def protection_protects_all_that_was_named_with_it():
    ec2.modify_instance_attribute(InstanceId=B, DisableApiTermination={"Value": True})
    ec2.modify_instance_attribute(InstanceId=B, DisableApiStop={"Value": True})
    text = refused("OperationNotPermitted", ec2.terminate_instances, InstanceIds=[A, B])
    assert B in text and "disableApiTermination" in text, text
    refused("OperationNotPermitted", ec2.stop_instances, InstanceIds=[A, B])
    assert one(A)["State"]["Name"] == one(B)["State"]["Name"] == "running"
    ec2.modify_instance_attribute(InstanceId=B, Attribute="disableApiTermination", Value="false")
    ec2.modify_instance_attribute(InstanceId=B, Attribute="disableApiStop", Value="false")
    shown = ec2.describe_instance_attribute(InstanceId=B, Attribute="disableApiTermination")
    assert shown["DisableApiTermination"] == {"Value": False}, shown


@case
def attributes_that_cannot_be_changed_are_refused():
    modify = ec2.modify_instance_attribute
    refused("IncorrectInstanceState", modify, InstanceId=A, InstanceType={"Value": "m1.large"})
    refused("InvalidInstanceAttributeValue", modify, InstanceId=A, InstanceType={"Value": "p5.huge"})
    refused("IncorrectInstanceState", modify, InstanceId=A, UserData={"Value": b"other"})
    refused("InvalidParameterCombination", modify, InstanceId=A)
    refused("InvalidParameterCombination", modify, InstanceId=A, EbsOptimized={"Value": True}, DisableApiStop={"Value": True})
    refused("InvalidParameterValue", modify, InstanceId=A, InstanceInitiatedShutdownBehavior={"Value": "explode"})
    refused("InvalidParameterValue", modify, InstanceId=A, Attribute="colour", Value="red")
    refused("InvalidParameterCombination", modify, InstanceId=A, Groups=["sg-00000000"])
    refused("UnsupportedOperation", modify, InstanceId=A, SourceDestCheck={"Value": True})
    refused("InvalidInstanceID.NotFound", modify, InstanceId=NOBODY, DisableApiStop={"Value": True})
    refused("InvalidInstanceID.Malformed", modify, InstanceId="i-", DisableApiStop={"Value": True})
    modify(InstanceId=A, InstanceType={"Value": "m1.small"})
    ec2.reset_instance_attribute(InstanceId=A, Attribute="kernel")
    refused("InvalidParameterValue", ec2.reset_instance_attribute, InstanceId=A, Attribute="userData")


@case
def monitoring_is_kept_for_all_or_none():
    on = ec2.monitor_instances(InstanceIds=[A, B])["InstanceMonitorings"]
    assert [(m["InstanceId"], m["Monitoring"]["State"]) for m in on] == [(A, "enabled"), (B, "enabled")], on
    assert one(B)["Monitoring"]["State"] == "enabled"
    refused("InvalidInstanceID.NotFound", ec2.unmonitor_instances, InstanceIds=[A, NOBODY])
    assert one(A)["Monitoring"]["State"] == "enabled", "all or none"
    off = ec2.unmonitor_instances(InstanceIds=[A, B])["InstanceMonitorings"]
    assert {m["Monitoring"]["State"] for m in off} == {"disabled"}, off
    refused("InvalidParameterCombination", ec2.monitor_instances, InstanceIds=[])


# Consoles.

@case
def consoles_and_passwords_are_read():
    console = ec2.get_console_output(InstanceId=A)
    assert console["InstanceId"] == A and console["Timestamp"], console
    assert ec2.get_console_output(InstanceId=A, Latest=True)["InstanceId"] == A
    assert ec2.get_password_data(InstanceId=A)["PasswordData"] == "", "it has said none"
    for call in (ec2.get_console_output, ec2.get_password_data):
        refused("InvalidInstanceID.NotFound", call, InstanceId=NOBODY)
        refused("InvalidInstanceID.Malformed", call, InstanceId="console")
        refused("MissingParameter", call)


# What this cloud has none of.

@case
def what_there_is_none_of_is_empty_and_not_an_error():
    for call, answer, ids, code in [
        (ec2.describe_vpcs, "Vpcs", {"VpcIds": ["vpc-1"]}, "InvalidVpcID.NotFound"),
        (ec2.describe_subnets, "Subnets", {"SubnetIds": ["subnet-1"]}, "InvalidSubnetID.NotFound"),
        (ec2.describe_network_interfaces, "NetworkInterfaces", {"NetworkInterfaceIds": ["eni-1"]},
         "InvalidNetworkInterfaceID.NotFound"),
        (ec2.describe_volumes, "Volumes", {"VolumeIds": ["vol-1"]}, "InvalidVolume.NotFound"),
        (ec2.describe_snapshots, "Snapshots", {"SnapshotIds": ["snap-1"]}, "InvalidSnapshot.NotFound"),
        (ec2.describe_spot_instance_requests, "SpotInstanceRequests", {"SpotInstanceRequestIds": ["sir-1"]},
         "InvalidSpotInstanceRequestID.NotFound"),
        (ec2.describe_reserved_instances, "ReservedInstances", {"ReservedInstancesIds": ["x"]}, "InvalidReservationID.NotFound"),
        (ec2.describe_placement_groups, "PlacementGroups", {"GroupNames": ["x"]}, "InvalidPlacementGroup.Unknown"),
        (ec2.describe_bundle_tasks, "BundleTasks", {"BundleIds": ["bun-1"]}, "InvalidBundleID.NotFound"),
        (ec2.describe_iam_instance_profile_associations, "IamInstanceProfileAssociations", {"AssociationIds": ["iip-assoc-1"]},
         "InvalidAssociationID.NotFound"),
    ]:
        assert call()[answer] == [], answer
        refused(code, call, **ids)
        refused("InvalidParameterValue", call, Filters=filters(colour="red"))
    assert ec2.describe_reserved_instances_offerings()["ReservedInstancesOfferings"] == []
    assert ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"] == []
    assert ec2.describe_instance_credit_specifications()["InstanceCreditSpecifications"] == []
    refused("UnsupportedOperation", ec2.describe_instance_credit_specifications, InstanceIds=[A])
    refused("InvalidInstanceID.NotFound", ec2.describe_instance_credit_specifications, InstanceIds=[NOBODY])


@case
def the_account_has_its_attributes():
    names = {a["AttributeName"] for a in ec2.describe_account_attributes()["AccountAttributes"]}
    assert {"supported-platforms", "default-vpc"} <= names, names
    refused("InvalidParameterValue", ec2.describe_account_attributes, AttributeNames=["colour"])


# Reboot, stop, start, terminate.

@case
def changes_name_every_instance_they_are_about():
    for call in (ec2.reboot_instances, ec2.stop_instances, ec2.start_instances, ec2.terminate_instances):
        refused("InvalidParameterCombination", call, InstanceIds=[])
        refused("InvalidInstanceID.NotFound", call, InstanceIds=[A, NOBODY])
        refused("InvalidInstanceID.Malformed", call, InstanceIds=[A, "i-zzz"])
    assert one(A)["State"]["Name"] == "running", "all or none"


@case
def dry_runs_do_nothing():
    for call in (ec2.reboot_instances, ec2.stop_instances, ec2.terminate_instances):
        try:
            call(InstanceIds=[A], DryRun=True)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "DryRunOperation", error
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 412, error
        else:
            raise AssertionError("a dry run was carried out")
    before = len(ids_of())
    message = run_refused("DryRunOperation", DryRun=True)
    assert "zone cluster1 has room for 1" in message, message
    try:
        run(DryRun=True, MinCount=500, MaxCount=500)
    except ClientError as error:
        assert error.response["Error"]["Code"] == "InsufficientInstanceCapacity", error
        assert "1 node has too" in error.response["Error"]["Message"], error
    else:
        raise AssertionError("500 instances were started")
    assert len(ids_of()) == before and one(A)["State"]["Name"] == "running"
    run_refused("MissingParameter", ImageId="", DryRun=True)


@case
def stop_and_start_keep_the_instance():
    refused("UnsupportedOperation", ec2.stop_instances, InstanceIds=[B], Hibernate=True)
    change = ec2.stop_instances(InstanceIds=[B], Force=True)["StoppingInstances"][0]
    assert change["InstanceId"] == B and change["PreviousState"]["Code"] == 16, change
    ec2.get_waiter("instance_stopped").wait(InstanceIds=[B], WaiterConfig=WAIT)
    shown = one(B)
    assert shown["State"] == {"Code": 80, "Name": "stopped"}, shown
    assert shown["StateReason"]["Code"] == "Client.UserInitiatedShutdown", shown
    again = ec2.stop_instances(InstanceIds=[B])["StoppingInstances"][0]
    assert again["CurrentState"]["Name"] == again["PreviousState"]["Name"] == "stopped", "a repeat is fine"
    refused("IncorrectInstanceState", ec2.reboot_instances, InstanceIds=[A, B])
    status = ec2.describe_instance_status(InstanceIds=[B], IncludeAllInstances=True)["InstanceStatuses"][0]
    assert status["InstanceStatus"]["Status"] == "not-applicable", status
    ec2.modify_instance_attribute(InstanceId=B, InstanceType={"Value": "c1.medium"})
    refused("UnsupportedOperation", ec2.modify_instance_attribute, InstanceId=B, UserData={"Value": b"other"})
    change = ec2.start_instances(InstanceIds=[B])["StartingInstances"][0]
    assert change["PreviousState"]["Name"] == "stopped" and change["CurrentState"]["Name"] in ("pending", "running"), change
    ec2.get_waiter("instance_running").wait(InstanceIds=[B], WaiterConfig=WAIT)
    assert ec2.start_instances(InstanceIds=[B])["StartingInstances"][0]["CurrentState"]["Name"] == "running"
    assert "StateReason" not in one(B) and one(B)["InstanceType"] == "c1.medium", one(B)
    assert one(B)["CpuOptions"]["CoreCount"] == 2 and one(A)["InstanceType"] == "m1.small"


@case
def reboot_is_no_change_of_state():
    ec2.reboot_instances(InstanceIds=[A, B])
    assert one(A)["State"]["Name"] == one(B)["State"]["Name"] == "running"


# Images.

def image_ids(**arguments):
    return [i["ImageId"] for i in ec2.describe_images(**arguments)["Images"]]


def register(**more):
    return ec2.register_image(**{"ImageLocation": "http://127.0.0.1:1/x.img", "Name": f"x-{uuid.uuid4()}", **more})


@case
def an_image_has_what_clients_read():
    shown = ec2.describe_images(ImageIds=[image.lower()])["Images"][0]
    assert shown["ImageId"] == image and shown["State"] == "available" and shown["Public"] is True, shown
    assert shown["Architecture"] == "x86_64" and shown["ImageType"] == "machine", shown
    assert shown["KernelId"].startswith("eki-") and shown["RamdiskId"].startswith("eri-"), shown
    assert shown["RootDeviceType"] == "instance-store" and shown["VirtualizationType"] == "hvm", shown
    assert shown["BlockDeviceMappings"] == [] and shown["CreationDate"].endswith("Z"), shown
    assert len(shown["OwnerId"]) == 12 and shown["Name"] == "root.img", shown
    assert ec2.describe_images(ImageIds=[shown["KernelId"]])["Images"][0]["ImageType"] == "kernel"


@case
def filters_choose_images():
    for name, value, expected in [
        ("image-id", image, True), ("name", "root.*", True), ("name", "ROOT.img", False), ("state", "available", True),
        ("state", "failed", False), ("is-public", "true", True), ("is-public", "false", False), ("architecture", "arm64", False),
        ("image-type", "machine", True), ("image-type", "kernel", False), ("root-device-type", "ebs", False),
        ("virtualization-type", "hvm", True), ("kernel-id", "eki-*", True), ("owner-alias", "amazon", False),
        ("manifest-location", "file:*", True), ("platform", "windows", False), ("ena-support", "false", True),
        ("block-device-mapping.volume-size", "8", False), ("product-code", "*", False), ("hypervisor", "kvm", True),
    ]:
        assert (image in image_ids(Filters=filters(**{name: value}))) is expected, f"{name}={value}"
    refused("InvalidParameterValue", ec2.describe_images, Filters=filters(colour="red"))


@case
def images_are_asked_for_by_owner_and_user():
    owner = ec2.describe_images(ImageIds=[image])["Images"][0]["OwnerId"]
    for owners, expected in [(["self"], True), ([owner], True), (["amazon"], False), (["000000000000"], False), (["all"], True)]:
        assert (image in image_ids(Owners=owners)) is expected, owners
    assert image in image_ids(ExecutableUsers=["self"]) and image in image_ids(ExecutableUsers=["all"])
    refused("InvalidUserID.Malformed", ec2.describe_images, Owners=["12345"])
    refused("InvalidAMIID.NotFound", ec2.describe_images, ImageIds=[image, "emi-00000000"])
    refused("InvalidAMIID.NotFound", ec2.describe_images, ImageIds=["ami-0123456789abcdef0"])
    for bad in ["nonsense", "ami-", "emi-12", "i-12345678"]:
        refused("InvalidAMIID.Malformed", ec2.describe_images, ImageIds=[bad])


@case
def images_are_registered_once_by_a_name():
    name = f"again-{uuid.uuid4()}"
    made = register(Name=name, Description="mine", Architecture="i386")["ImageId"]
    shown = ec2.describe_images(ImageIds=[made])["Images"][0]
    assert (shown["Name"], shown["Description"], shown["Architecture"]) == (name, "mine", "i386"), shown
    refused("InvalidAMIName.Duplicate", register, Name=name)
    refused("InvalidAMIName.Malformed", register, Name="x")
    refused("MissingParameter", ec2.register_image, Name="nowhere")
    refused("InvalidParameterValue", register, ImageLocation="ftp://host/file")
    refused("InvalidParameterValue", register, Architecture="vax")
    refused("InvalidParameterValue", register, VirtualizationType="paravirtual")
    refused("InvalidAMIID.NotFound", register, KernelId="eki-00000000")
    refused("InvalidParameterValue", register, KernelId=image)
    refused("InvalidAMIID.Malformed", register, KernelId="linux")
    refused("Unsupported", register, BlockDeviceMappings=[{"DeviceName": "sda1", "Ebs": {"SnapshotId": "snap-1"}}])
    ec2.deregister_image(ImageId=made)
    refused("InvalidAMIID.NotFound", ec2.deregister_image, ImageId=made)
    refused("InvalidAMIID.Malformed", ec2.deregister_image, ImageId="x")
    refused("MissingParameter", ec2.deregister_image)


@case
def image_attributes_are_shown_and_changed():
    made = register()["ImageId"]
    show = lambda name: ec2.describe_image_attribute(ImageId=made, Attribute=name)
    assert show("launchPermission")["LaunchPermissions"] == [{"Group": "all"}], "an administrator's is everybody's"
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Remove": [{"Group": "all"}]})
    assert show("launchPermission")["LaunchPermissions"] == []
    assert ec2.describe_images(ImageIds=[made])["Images"][0]["Public"] is False
    ec2.modify_image_attribute(ImageId=made, Attribute="launchPermission", OperationType="add", UserGroups=["all"])
    assert ec2.describe_images(ImageIds=[made])["Images"][0]["Public"] is True
    ec2.reset_image_attribute(ImageId=made, Attribute="launchPermission")
    assert show("launchPermission")["LaunchPermissions"] == []
    owner = ec2.describe_images(ImageIds=[made])["Images"][0]["OwnerId"]
    ec2.modify_image_attribute(ImageId=made, LaunchPermission={"Add": [{"UserId": owner}]})
    assert show("launchPermission")["LaunchPermissions"] == [{"UserId": owner}]
    ec2.modify_image_attribute(ImageId=made, Description={"Value": "new"})
    assert show("description")["Description"] == {"Value": "new"}
    assert "Value" not in show("kernel").get("KernelId", {}) and show("blockDeviceMapping")["BlockDeviceMappings"] == []
    modify = ec2.modify_image_attribute
    refused("InvalidAMIAttributeItemValue", modify, ImageId=made, LaunchPermission={"Add": [{"UserId": "bob"}]})
    refused("InvalidAMIAttributeItemValue", modify, ImageId=made, LaunchPermission={"Add": [{"UserId": "000000000000"}]})
    refused("InvalidAMIAttributeItemValue", modify, ImageId=made, LaunchPermission={"Add": [{"Group": "some"}]})
    refused("InvalidParameterCombination", modify, ImageId=made)
    refused("InvalidParameterValue", modify, ImageId=made, Attribute="colour", Value="red")
    refused("InvalidParameterValue", modify, ImageId=made, Attribute="kernel", Value="eki-00000000")
    refused("InvalidAMIID.NotFound", modify, ImageId="emi-00000000", Description={"Value": "x"})
    refused("InvalidParameterValue", ec2.describe_image_attribute, ImageId=made, Attribute="colour")
    refused("InvalidParameterValue", ec2.reset_image_attribute, ImageId=made, Attribute="description")
    ec2.deregister_image(ImageId=made)


# Runs.

@case
def a_run_must_name_its_parts():
    for name in ("ImageId", "MinCount", "MaxCount"):
        text = refused("MissingParameter", ec2.run_instances, **without(name))
        assert name in text, text


@case
def counts_have_bounds():
    for counts in [dict(MinCount=0), dict(MinCount=-1), dict(MaxCount=0), dict(MinCount=2, MaxCount=1), dict(MaxCount=100000),
                   dict(MinCount="x"), dict(MaxCount="1.5")]:
        run_refused("InvalidParameterValue", **counts)


@case
def what_a_run_names_must_be_there():
    run_refused("InvalidAMIID.NotFound", ImageId="emi-00000000")
    run_refused("InvalidAMIID.NotFound", ImageId="ami-0123456789abcdef0")
    for bad in ["nonsense", "ami-", "i-12345678", "emi-1234567"]:
        run_refused("InvalidAMIID.Malformed", ImageId=bad)
    run_refused("InvalidKeyPair.NotFound", KeyName="nobody")
    run_refused("InvalidGroup.NotFound", SecurityGroups=["nobody"])
    run_refused("InvalidParameterValue", InstanceType="p5.huge")
    run_refused("InvalidParameterValue", Placement={"AvailabilityZone": "mars"})
    run_refused("InvalidAMIID.NotFound", KernelId="eki-00000000")
    run_refused("InvalidAMIID.Malformed", RamdiskId="ramdisk")
    run_refused("InvalidParameterValue", KernelId=image)
    kernel = one(A)["KernelId"]
    run_refused("InvalidParameterValue", ImageId=kernel)


@case
def user_data_has_a_size_and_a_form():
    text = run_refused("InvalidParameterValue", UserData=b"x" * (16 * 1024 + 1))
    assert "UserData" in text and "16384" in text, text
    whole = bytes(range(256)) * 64
    made = run(UserData=whole)["Instances"][0]["InstanceId"]
    shown = ec2.describe_instance_attribute(InstanceId=made, Attribute="userData")["UserData"]["Value"]
    assert base64.b64decode(shown) == whole
    end(made)


@case
def what_this_cloud_does_not_have_is_refused_in_ec2s_codes():
    for code, more in [
        ("InvalidSubnetID.NotFound", dict(SubnetId="subnet-12345678")),
        ("InvalidSubnetID.NotFound", dict(NetworkInterfaces=[{"DeviceIndex": 0, "SubnetId": "subnet-12345678"}])),
        ("InvalidNetworkInterfaceID.NotFound", dict(NetworkInterfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": "eni-1"}])),
        ("InvalidParameterCombination", dict(PrivateIpAddress="10.0.0.9")),
        ("Unsupported", dict(Ipv6AddressCount=1)),
        ("InvalidPlacementGroup.Unknown", dict(Placement={"GroupName": "tight"})),
        ("Unsupported", dict(Placement={"Tenancy": "dedicated"})),
        ("InvalidParameterValue", dict(Placement={"Tenancy": "shared"})),
        ("Unsupported", dict(EbsOptimized=True)),
        ("Unsupported", dict(BlockDeviceMappings=[{"DeviceName": "sdb", "Ebs": {"VolumeSize": 1}}])),
        ("InvalidBlockDeviceMapping", dict(BlockDeviceMappings=[{"DeviceName": "sdb"}])),
        ("InvalidBlockDeviceMapping", dict(BlockDeviceMappings=[{"DeviceName": "sdb", "VirtualName": "disk"}])),
        ("MissingParameter", dict(BlockDeviceMappings=[{"VirtualName": "ephemeral0"}])),
        ("InvalidParameterValue", dict(IamInstanceProfile={"Name": "web"})),
        ("InvalidParameterValue", dict(IamInstanceProfile={"Arn": "arn:aws:iam::123456789012:instance-profile/web"})),
        ("InvalidLaunchTemplateId.NotFound", dict(LaunchTemplate={"LaunchTemplateId": "lt-12345678"})),
        ("InvalidLaunchTemplateName.NotFoundException", dict(LaunchTemplate={"LaunchTemplateName": "web"})),
        ("Unsupported", dict(InstanceMarketOptions={"MarketType": "spot"})),
        ("InvalidParameterCombination", dict(CreditSpecification={"CpuCredits": "unlimited"})),
        ("Unsupported", dict(CpuOptions={"CoreCount": 1, "ThreadsPerCore": 1})),
        ("Unsupported", dict(HibernationOptions={"Configured": True})),
        ("Unsupported", dict(EnclaveOptions={"Enabled": True})),
        ("Unsupported", dict(MetadataOptions={"HttpEndpoint": "enabled"})),
        ("InvalidParameterValue", dict(MetadataOptions={"HttpTokens": "maybe"})),
        ("InvalidParameterValue", dict(InstanceInitiatedShutdownBehavior="explode")),
        ("InvalidParameterValue", dict(ClientToken="x" * 65)),
    ]:
        run_refused(code, **more)


@case
def what_asks_for_nothing_special_is_taken():
    made = run(EbsOptimized=False, Placement={"AvailabilityZone": "cluster1", "Tenancy": "default"}, SecurityGroups=["default"],
               Monitoring={"Enabled": True}, DisableApiTermination=True, InstanceInitiatedShutdownBehavior="terminate",
               MetadataOptions={"HttpTokens": "required"}, EnclaveOptions={"Enabled": False},
               HibernationOptions={"Configured": False}, BlockDeviceMappings=[{"DeviceName": "sdb", "NoDevice": ""}],
               CapacityReservationSpecification={"CapacityReservationPreference": "open"}, AdditionalInfo="x",
               MaintenanceOptions={"AutoRecovery": "default"})["Instances"][0]
    assert made["State"] == {"Code": 0, "Name": "pending"} and made["Monitoring"]["State"] == "enabled", made
    made = made["InstanceId"]
    behavior = ec2.describe_instance_attribute(InstanceId=made, Attribute="instanceInitiatedShutdownBehavior")
    assert behavior["InstanceInitiatedShutdownBehavior"] == {"Value": "terminate"}, behavior
    refused("OperationNotPermitted", ec2.terminate_instances, InstanceIds=[made])
    ec2.modify_instance_attribute(InstanceId=made, DisableApiTermination={"Value": False})
    end(made)


@case
def a_client_token_makes_one_reservation():
    again = run(MinCount=2, MaxCount=2, KeyName="surface", ClientToken=token, UserData=b"hello\x00\xff")
    assert again["ReservationId"] == first["ReservationId"], again
    assert [i["InstanceId"] for i in again["Instances"]] == [A, B], again
    run_refused("IdempotentParameterMismatch", ClientToken=token)
    run_refused("IdempotentParameterMismatch", MinCount=2, MaxCount=2, KeyName="surface", ClientToken=token,
                InstanceType="m1.small", UserData=b"other")


@case
def a_run_gives_what_it_was_asked_for():
    made = run(MinCount=1, MaxCount=3)
    assert [i["AmiLaunchIndex"] for i in made["Instances"]] == [0, 1, 2], made
    assert {i["State"]["Name"] for i in made["Instances"]} == {"pending"}, made
    assert made["OwnerId"] == ec2.describe_images(ImageIds=[image])["Images"][0]["OwnerId"], made
    end(*[i["InstanceId"] for i in made["Instances"]])


@case
def a_spread_group_keeps_its_instances_apart():
    made = ec2.create_placement_group(GroupName="apart", Strategy="spread")["PlacementGroup"]
    assert (made["GroupName"], made["Strategy"], made["State"]) == ("apart", "spread", "available"), made
    refused("InvalidPlacementGroup.Duplicate", ec2.create_placement_group, GroupName="apart", Strategy="spread")
    refused("UnsupportedOperation", ec2.create_placement_group, GroupName="parts", Strategy="partition")
    assert ec2.describe_placement_groups(Filters=filters(strategy="spread"))["PlacementGroups"] == [made]
    member = run(Placement={"GroupName": "apart"})["Instances"][0]
    assert member["Placement"]["GroupName"] == "apart", member
    ec2.get_waiter("instance_running").wait(InstanceIds=[member["InstanceId"]], WaiterConfig=WAIT)
    try:
        raise AssertionError(run(Placement={"GroupName": "apart"}))
    except ClientError as error:
        # EC2 answers it with 500, so it is none of the client's own faults.
        assert error.response["Error"]["Code"] == "InsufficientInstanceCapacity", error
        assert "1 node has an instance of its placement group" in str(error), error
    refused("InvalidPlacementGroup.InUse", ec2.delete_placement_group, GroupName="apart")
    end(member["InstanceId"])
    ec2.delete_placement_group(GroupName="apart")
    refused("InvalidPlacementGroup.Unknown", ec2.delete_placement_group, GroupName="apart")


@case
def terminating_twice_is_fine():
    made = run()["Instances"][0]["InstanceId"]
    change = ec2.terminate_instances(InstanceIds=[made])["TerminatingInstances"][0]
    assert change["CurrentState"]["Name"] in ("shutting-down", "terminated"), change
    ec2.get_waiter("instance_terminated").wait(InstanceIds=[made], WaiterConfig=WAIT)
    change = ec2.terminate_instances(InstanceIds=[made])["TerminatingInstances"][0]
    assert change["PreviousState"]["Name"] == change["CurrentState"]["Name"] == "terminated", change
    for call in (ec2.reboot_instances, ec2.stop_instances, ec2.start_instances):
        refused("IncorrectInstanceState", call, InstanceIds=[made])


# Envelopes and signatures.

@case
def answers_bear_their_request_id():
    answer = ec2.describe_regions()
    uuid.UUID(answer["ResponseMetadata"]["RequestId"])
    try:
        ec2.describe_instances(InstanceIds=["x"])
    except ClientError as error:
        uuid.UUID(error.response["ResponseMetadata"]["RequestId"])


@case
def presigned_urls_read_and_change_nothing():
    url = ec2.generate_presigned_url("describe_regions", HttpMethod="GET", ExpiresIn=60)
    body = urllib.request.urlopen(url).read().decode()
    assert '<DescribeRegionsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/">' in body, body
    url = ec2.generate_presigned_url("terminate_instances", Params={"InstanceIds": [A]}, HttpMethod="GET", ExpiresIn=60)
    try:
        urllib.request.urlopen(url)
        raise AssertionError("a URL that anybody may click has ended an instance")
    except urllib.error.HTTPError as error:
        assert error.code == 403, error
    assert one(A)["State"]["Name"] == "running"


@case
def strangers_get_nothing():
    keys = dict(aws_access_key_id=os.environ["AWS_ACCESS_KEY_ID"], aws_secret_access_key="wrong")
    for wrong in (keys, {**keys, "aws_access_key_id": "AKIANOBODY"}):
        try:
            boto3.client("ec2", config=CONFIG, **wrong).describe_instances()
            raise AssertionError("a stranger was let in")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "AuthFailure", error
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 401, error


@case
def what_is_no_action_is_refused():
    refused("InvalidAction", ec2.create_vpc, CidrBlock="10.0.0.0/16")


instances = case.run()
end(A, B)
ec2.delete_key_pair(KeyName="surface")
print("ok", A, f"{instances} cases")
