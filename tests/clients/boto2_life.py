"""An instance's life through boto 2.49, unchanged. usage: boto2_life.py IMAGE"""
import os
import sys
import time
from urllib.parse import urlparse
import boto
from boto.ec2.regioninfo import RegionInfo

url = urlparse(os.environ["EC2_URL"])
region = RegionInfo(name="eucalyptus", endpoint=url.hostname)
ec2 = boto.connect_ec2(os.environ["EC2_ACCESS_KEY"], os.environ["EC2_SECRET_KEY"], is_secure=url.scheme == "https", region=region,
                       port=url.port, path=url.path)


def await_state(instance, state):
    for _ in range(600):
        instance.update()
        if instance.state == state:
            return
        time.sleep(0.2)
    raise AssertionError(f"{instance.id} is {instance.state}, not {state}")


assert ec2.get_all_zones()[0].name == "cluster1"
assert ec2.get_all_images([sys.argv[1]])[0].id == sys.argv[1]
instance = ec2.run_instances(sys.argv[1], instance_type="m1.small").instances[0]
await_state(instance, "running")
assert ec2.get_all_instances([instance.id])[0].instances[0].id == instance.id
assert ec2.reboot_instances([instance.id])
assert ec2.get_console_output(instance.id).instance_id == instance.id
ec2.stop_instances([instance.id], force=True)
await_state(instance, "stopped")
ec2.start_instances([instance.id])
await_state(instance, "running")
ec2.terminate_instances([instance.id])
await_state(instance, "terminated")
print("ok", instance.id)
