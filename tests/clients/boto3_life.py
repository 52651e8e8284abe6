"""An instance's whole life through boto3, unchanged. usage: boto3_life.py IMAGE [CONSOLE-TEXT]"""
import sys

from expect import WAIT, client, refused

image = sys.argv[1]
text = sys.argv[2] if len(sys.argv) > 2 else None
ec2 = client()

zones = ec2.describe_availability_zones()["AvailabilityZones"]
assert zones[0]["ZoneName"] == "cluster1" and zones[0]["State"] == "available", zones
assert ec2.describe_regions()["Regions"], "no region"
types = ec2.describe_instance_types(InstanceTypes=["m1.small"])["InstanceTypes"]
assert types[0]["VCpuInfo"]["DefaultVCpus"] == 1, types

pair = ec2.create_key_pair(KeyName="boto3-key")
assert pair["KeyMaterial"].startswith("-----BEGIN"), "no private key"
refused("InvalidKeyPair.Duplicate", ec2.create_key_pair, KeyName="boto3-key")
assert [k["KeyName"] for k in ec2.describe_key_pairs(KeyNames=["boto3-key"])["KeyPairs"]] == ["boto3-key"]

found = ec2.describe_images(ImageIds=[image])["Images"]
assert found[0]["ImageId"] == image, found

run = dict(ImageId=image, MinCount=1, MaxCount=1, KeyName="boto3-key", InstanceType="m1.small", ClientToken="boto3-life")
reservation = ec2.run_instances(**run)
instance = reservation["Instances"][0]["InstanceId"]
again = ec2.run_instances(**run)
assert again["Instances"][0]["InstanceId"] == instance, "the same ClientToken made another instance"
refused("IdempotentParameterMismatch", ec2.run_instances, **{**run, "InstanceType": "c1.medium"})
refused("InvalidAMIID.NotFound", ec2.run_instances, ImageId="emi-00000000", MinCount=1, MaxCount=1)
refused("InvalidKeyPair.NotFound", ec2.run_instances, ImageId=image, MinCount=1, MaxCount=1, KeyName="nobody")
refused("InvalidParameterValue", ec2.run_instances, ImageId=image, MinCount=2, MaxCount=1)

ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=WAIT)
if text:
    import time
    for _ in range(600):
        if text in ec2.get_console_output(InstanceId=instance).get("Output", ""):
            break
        time.sleep(0.2)
    else:
        raise AssertionError(f"no '{text}' on the console: {ec2.get_console_output(InstanceId=instance)}")

refused("InvalidInstanceID.NotFound", ec2.reboot_instances, InstanceIds=[instance, "i-00000000"])
refused("InvalidInstanceID.Malformed", ec2.describe_instances, InstanceIds=["nonsense"])
answer = ec2.reboot_instances(InstanceIds=[instance])
print("reboot", answer["ResponseMetadata"]["RequestId"])

change = ec2.stop_instances(InstanceIds=[instance], Force=True)["StoppingInstances"][0]
assert change["CurrentState"]["Name"] in ("stopping", "stopped"), change
ec2.get_waiter("instance_stopped").wait(InstanceIds=[instance], WaiterConfig=WAIT)
refused("IncorrectInstanceState", ec2.reboot_instances, InstanceIds=[instance])
ec2.start_instances(InstanceIds=[instance])
ec2.get_waiter("instance_running").wait(InstanceIds=[instance], WaiterConfig=WAIT)
ec2.terminate_instances(InstanceIds=[instance])
ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig=WAIT)
ec2.delete_key_pair(KeyName="boto3-key")
print("ok", instance)
