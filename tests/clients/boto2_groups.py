"""Security groups and tags through boto 2.49, unchanged, in the forms of its time. usage: boto2_groups.py IMAGE"""
import os
import sys
from urllib.parse import urlparse
import boto
from boto.ec2.regioninfo import RegionInfo
from boto.exception import EC2ResponseError

url = urlparse(os.environ["EC2_URL"])
region = RegionInfo(name="eucalyptus", endpoint=url.hostname)
ec2 = boto.connect_ec2(os.environ["EC2_ACCESS_KEY"], os.environ["EC2_SECRET_KEY"], is_secure=False, region=region,
                       port=url.port, path=url.path)


def refused(code, call, *arguments, **more):
    try:
        call(*arguments, **more)
    except EC2ResponseError as error:
        assert error.error_code == code and error.status < 500, error
        return
    raise AssertionError(f"{call.__name__} was not refused with {code}")


web = ec2.create_security_group("web", "web servers")
db = ec2.create_security_group("db", "databases")
refused("InvalidGroup.Duplicate", ec2.create_security_group, "web", "again")
assert [group.name for group in ec2.get_all_security_groups()] == ["db", "default", "web"]
assert ec2.get_all_security_groups(groupnames=["web"])[0].id == web.id

assert web.authorize("tcp", 80, 80, "0.0.0.0/0")
assert db.authorize(src_group=web)
assert ec2.authorize_security_group_deprecated("web", ip_protocol="tcp", from_port=22, to_port=22, cidr_ip="10.0.0.0/8")
refused("InvalidPermission.Duplicate", ec2.authorize_security_group, "web", ip_protocol="tcp", from_port=22, to_port=22,
        cidr_ip="10.0.0.0/8")
rules = ec2.get_all_security_groups(groupnames=["web", "db"])
shown = {group.name: [(rule.ip_protocol, rule.from_port, rule.to_port, [str(grant) for grant in rule.grants])
                      for rule in group.rules] for group in rules}
assert shown["web"] == [("tcp", "80", "80", ["0.0.0.0/0"]), ("tcp", "22", "22", ["10.0.0.0/8"])], shown
assert [rule[:3] for rule in shown["db"]] == [("tcp", "0", "65535"), ("udp", "0", "65535"), ("icmp", "-1", "-1")], shown
refused("DependencyViolation", web.delete)

instance = ec2.run_instances(sys.argv[1], instance_type="m1.small", security_groups=["web"]).instances[0]
assert [group.name for group in instance.groups] == ["web"], instance.groups
instance.add_tag("Name", "old <&> friend")
assert ec2.get_only_instances(filters={"tag:Name": "old*", "group-name": "web"})[0].tags == {"Name": "old <&> friend"}
instance.remove_tag("Name")
assert ec2.get_all_tags(filters={"resource-id": instance.id}) == []
instance.terminate()

assert web.revoke("tcp", 80, 80, "0.0.0.0/0")
refused("InvalidPermission.NotFound", web.revoke, "tcp", 80, 80, "0.0.0.0/0")
assert db.delete()
print("ok", instance.id)
