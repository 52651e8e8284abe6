"""Security groups through boto3, unchanged. usage: boto3_groups.py IMAGE"""
import sys
from expect import client, filters, refused

image = sys.argv[1]
ec2 = client()
EVERYTHING = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}], "Ipv6Ranges": [], "PrefixListIds": [],
              "UserIdGroupPairs": []}


def rule(protocol, first, last, *cidrs, **more):
    return {"IpProtocol": protocol, "FromPort": first, "ToPort": last, "IpRanges": [{"CidrIp": each} for each in cidrs], **more}


def group(group_id):
    return ec2.describe_security_groups(GroupIds=[group_id])["SecurityGroups"][0]


def names(**by):
    return [each["GroupName"] for each in ec2.describe_security_groups(Filters=filters(**by))["SecurityGroups"]]


# Every account has one.
default = ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]
assert default["Description"] == "default group" and default["IpPermissionsEgress"] == [EVERYTHING], default
assert default["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"] == default["GroupId"], default
refused("CannotDelete", ec2.delete_security_group, GroupName="default")

# Made, shown, refused.
tags = [{"Key": "team", "Value": "x"}]
made = ec2.create_security_group(GroupName="web", Description="web servers", TagSpecifications=[
    {"ResourceType": "security-group", "Tags": tags}])
web = made["GroupId"]
assert made["Tags"] == tags, made
shown = group(web)
assert shown["IpPermissions"] == [] and shown["IpPermissionsEgress"] == [EVERYTHING] and shown["Tags"] == tags, shown
assert shown["OwnerId"] == default["OwnerId"] and "VpcId" not in shown, shown
refused("InvalidGroup.Duplicate", ec2.create_security_group, GroupName="web", Description="again")
refused("InvalidParameterValue", ec2.create_security_group, GroupName='name%"', Description="x")
refused("InvalidParameterValue", ec2.create_security_group, GroupName="other", Description="é")
refused("InvalidVpcID.NotFound", ec2.create_security_group, GroupName="other", Description="x", VpcId="vpc-12345678")
refused("MissingParameter", ec2.create_security_group, GroupName="other", Description="")
refused("InvalidGroup.NotFound", ec2.describe_security_groups, GroupNames=["web", "other"])
refused("InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=["sg-12345678"])
refused("InvalidGroupId.Malformed", ec2.describe_security_groups, GroupIds=["web"])
refused("InvalidGroup.NotFound", ec2.delete_security_group, GroupName="other")

# Rules: grouped by their traffic, each with an id.
added = ec2.authorize_security_group_ingress(GroupId=web, IpPermissions=[
    rule("tcp", 80, 80, "0.0.0.0/0", "10.1.2.3/8", Ipv6Ranges=[{"CidrIpv6": "::/0", "Description": "all of it"}]),
    rule("icmp", -1, -1, "10.0.0.0/8"),
])
assert added["Return"] is True and len(added["SecurityGroupRules"]) == 4, added
assert all(each["SecurityGroupRuleId"].startswith("sgr-") and not each["IsEgress"] for each in added["SecurityGroupRules"])
ec2.authorize_security_group_ingress(GroupName="web", IpProtocol="tcp", FromPort=22, ToPort=22, CidrIp="192.0.2.7/32")
ec2.authorize_security_group_ingress(GroupId=web, IpPermissions=[
    rule("tcp", 22, 22, UserIdGroupPairs=[{"GroupId": default["GroupId"], "Description": "from inside"}])])
tcp80, icmp, ssh = group(web)["IpPermissions"]
assert [each["CidrIp"] for each in tcp80["IpRanges"]] == ["0.0.0.0/0", "10.0.0.0/8"], tcp80
assert tcp80["Ipv6Ranges"] == [{"CidrIpv6": "::/0", "Description": "all of it"}], tcp80
assert (icmp["IpProtocol"], icmp["FromPort"], icmp["ToPort"]) == ("icmp", -1, -1), icmp
assert ssh["IpRanges"] == [{"CidrIp": "192.0.2.7/32"}], ssh
pair = ssh["UserIdGroupPairs"][0]
assert (pair["GroupId"], pair["UserId"], pair["Description"]) == (default["GroupId"], default["OwnerId"], "from inside"), pair
refused("InvalidPermission.Duplicate", ec2.authorize_security_group_ingress, GroupId=web,
        IpPermissions=[rule("tcp", 443, 443, "0.0.0.0/0"), rule("tcp", 80, 80, "10.0.0.0/8")])
for bad in (rule("tcp", 80, 22, "0.0.0.0/0"), rule("tcp", 1, 70000, "0.0.0.0/0"), rule("gopher", 70, 70, "0.0.0.0/0"),
            rule("tcp", 80, 80, "10.0.0.0"), rule("tcp", 80, 80, "10.0.0.0/33"), rule("tcp", 81, 81, "::/0"),
            rule("udp", 53, 53, "10.0.0.0/8", "10.0.0.0/8")):
    refused("InvalidParameterValue", ec2.authorize_security_group_ingress, GroupId=web, IpPermissions=[bad])
refused("MissingParameter", ec2.authorize_security_group_ingress, GroupId=web, IpPermissions=[rule("tcp", 80, 80)])
refused("MissingParameter", ec2.authorize_security_group_ingress, GroupId=web)
refused("InvalidGroup.NotFound", ec2.authorize_security_group_ingress, GroupId="sg-12345678", IpPermissions=[icmp])
refused("InvalidGroup.NotFound", ec2.authorize_security_group_ingress, GroupId=web,
        IpPermissions=[rule("tcp", 1, 1, UserIdGroupPairs=[{"GroupName": "none"}])])
refused("DryRunOperation", ec2.authorize_security_group_ingress, GroupId=web, IpPermissions=[rule("tcp", 1, 1, "10.0.0.0/8")],
        DryRun=True)
assert len(group(web)["IpPermissions"]) == 3

# What is sent.
ec2.revoke_security_group_egress(GroupId=web, IpPermissions=[EVERYTHING])
assert group(web)["IpPermissionsEgress"] == []
ec2.authorize_security_group_egress(GroupId=web, IpPermissions=[rule("udp", 53, 53, "10.0.0.0/8")])
assert len(group(web)["IpPermissionsEgress"]) == 1 and len(group(web)["IpPermissions"]) == 3

# Found by what they are and by their rules.
ec2.create_security_group(GroupName="db", Description="databases")
assert names() == ["db", "default", "web"]
assert names(**{"group-name": ["w*", "d?"]}) == ["db", "web"]
assert names(**{"ip-permission.from-port": ["22"], "ip-permission.cidr": ["192.0.2.7/32"]}) == ["web"]
assert names(**{"ip-permission.group-name": ["default"], "description": ["web servers"]}) == ["web"]
assert names(**{"egress.ip-permission.protocol": ["udp"]}) == ["web"]
assert names(**{"tag:team": ["x"]}) == ["web"] and names(**{"vpc-id": ["*"]}) == []
refused("InvalidParameterValue", ec2.describe_security_groups, Filters=filters(colour=["red"]))
pages = ec2.get_paginator("describe_security_groups").paginate(PaginationConfig={"PageSize": 5})
assert [each["GroupName"] for page in pages for each in page["SecurityGroups"]] == ["db", "default", "web"]
refused("InvalidParameterCombination", ec2.describe_security_groups, GroupIds=[web], MaxResults=5)

# The rules one by one, with tags.
rules = ec2.describe_security_group_rules(Filters=filters(**{"group-id": [web]}))["SecurityGroupRules"]
assert len(rules) == 7 and sum(each["IsEgress"] for each in rules) == 1, rules
ssh = next(each for each in rules if each.get("CidrIpv4") == "192.0.2.7/32")
ec2.create_tags(Resources=[ssh["SecurityGroupRuleId"]], Tags=tags)
tagged = ec2.describe_security_group_rules(Filters=filters(**{"tag:team": ["x"]}))["SecurityGroupRules"]
assert [each["SecurityGroupRuleId"] for each in tagged] == [ssh["SecurityGroupRuleId"]], tagged
refused("InvalidSecurityGroupRuleId.NotFound", ec2.describe_security_group_rules, SecurityGroupRuleIds=["sgr-12345678"])

# Revoked by what they say, as they were shown, or by id: all or none.
refused("InvalidPermission.NotFound", ec2.revoke_security_group_ingress, GroupId=web,
        IpPermissions=[icmp, rule("tcp", 99, 99, "10.0.0.0/8")])
assert len(group(web)["IpPermissions"]) == 3
gone = ec2.revoke_security_group_ingress(GroupId=web, IpPermissions=[tcp80, icmp])
assert gone["Return"] is True and len(gone["RevokedSecurityGroupRules"]) == 4, gone
ec2.revoke_security_group_ingress(GroupId=web, SecurityGroupRuleIds=[ssh["SecurityGroupRuleId"]])
refused("InvalidPermission.NotFound", ec2.revoke_security_group_ingress, GroupId=web, IpPermissions=[icmp])
assert len(group(web)["IpPermissions"]) == 1

# Instances in groups, which stay as long as they are needed.
run = dict(ImageId=image, MinCount=1, MaxCount=1)
refused("InvalidGroup.NotFound", ec2.run_instances, **run, SecurityGroups=["none"])
refused("InvalidGroup.NotFound", ec2.run_instances, **run, SecurityGroupIds=["sg-12345678"])
refused("InvalidGroupId.Malformed", ec2.run_instances, **run, SecurityGroupIds=["web"])
instance = ec2.run_instances(**run, SecurityGroups=["db"], SecurityGroupIds=[web])["Instances"][0]
assert sorted(each["GroupName"] for each in instance["SecurityGroups"]) == ["db", "web"], instance
instance = instance["InstanceId"]
other = ec2.run_instances(**run)["Instances"][0]
assert other["SecurityGroups"] == [{"GroupId": default["GroupId"], "GroupName": "default"}], other
found = ec2.describe_instances(Filters=filters(**{"instance.group-id": [web]}))["Reservations"]
assert [each["InstanceId"] for each in found[0]["Instances"]] == [instance], found
refused("DependencyViolation", ec2.delete_security_group, GroupId=web)
ec2.terminate_instances(InstanceIds=[instance, other["InstanceId"]])
ec2.get_waiter("instance_terminated").wait(InstanceIds=[instance], WaiterConfig={"Delay": 1, "MaxAttempts": 150})
ec2.authorize_security_group_ingress(GroupName="db", IpPermissions=[
    rule("tcp", 5432, 5432, UserIdGroupPairs=[{"GroupName": "web"}])])
refused("DependencyViolation", ec2.delete_security_group, GroupId=web)
ec2.delete_security_group(GroupName="db")
assert ec2.delete_security_group(GroupId=web)["GroupId"] == web
refused("InvalidGroup.NotFound", ec2.describe_security_groups, GroupIds=[web])
assert ec2.describe_tags(Filters=filters(key=["team"]))["Tags"] == []
print("ok", instance)
