// Calls the cloud as an EC2 user does, from the WSDL that the cloud serves, signed with the user's
// EC2_PRIVATE_KEY and EC2_CERT: with SHA-1, which is what tools of that time do, and with SHA-256.
// usage: client URL INSTANCE      (INSTANCE runs; it is terminated)
#include "AmazonEC2Binding.nsmap"
#include "caller.h"

int main(int count, char **arguments) {
    const char *key = std::getenv("EC2_PRIVATE_KEY"), *cert = std::getenv("EC2_CERT");
    if (count != 3 || !key || !cert) fail("usage: EC2_PRIVATE_KEY=FILE EC2_CERT=FILE client URL INSTANCE");
    Caller ec2(arguments[1], key, cert);
    const std::string instance = arguments[2];

    ns1__InstanceIdType id;
    id.instanceId = instance;
    ns1__InstanceIdSetType ids;
    ids.item.push_back(&id);
    for (int algorithm : {SOAP_SMD_SIGN_RSA_SHA1, SOAP_SMD_SIGN_RSA_SHA256}) {
        ec2.algorithm(algorithm);

        ns1__DescribeInstancesType which;
        ns1__DescribeInstancesResponseType found;
        which.instancesSet = &ids;
        ec2.call(soap_call___ns1__DescribeInstances, "DescribeInstances", which, found);
        expect(found.reservationSet && found.reservationSet->item.size() == 1, "one reservation is described");
        const auto &instances = found.reservationSet->item[0]->instancesSet->item;
        expect(instances.size() == 1 && instances[0]->instanceId == instance, "its one instance is " + instance);
        expect(instances[0]->instanceState->name == "running", "it is running");

        ns1__RebootInstancesSetType set;
        set.item.push_back(&id);
        ns1__RebootInstancesType reboot;
        ns1__RebootInstancesResponseType answer;
        reboot.instancesSet = &set;
        ec2.call(soap_call___ns1__RebootInstances, "RebootInstances", reboot, answer);
        expect(answer.return_ && !answer.requestId.empty(), "RebootInstances returns true, with a request id");
    }

    // What the contract has beyond instances: tags, groups, and what there is none of.
    ns1__ResourceIdType resource;
    resource.resourceId = instance;
    ns1__ResourceIdSetType resources;
    resources.item.push_back(&resource);
    ns1__ResourceTagType tag;
    tag.key = "Name";
    tag.value = "gsoap";
    ns1__TagSetType tags;
    tags.item.push_back(&tag);
    ns1__CreateTagsType hang;
    ns1__CreateTagsResponseType hung;
    hang.resourcesSet = &resources;
    hang.tagSet = &tags;
    ec2.call(soap_call___ns1__CreateTags, "CreateTags", hang, hung);
    expect(hung.return_, "CreateTags returns true");
    ns1__DescribeTagsType ask;
    ns1__DescribeTagsResponseType told;
    ec2.call(soap_call___ns1__DescribeTags, "DescribeTags", ask, told);
    expect(told.tagSet && told.tagSet->item.size() == 1, "there is one tag");
    const auto *first = told.tagSet->item[0];
    expect(first->resourceId && *first->resourceId == instance, "it is of our instance");
    expect(first->value && *first->value == "gsoap", "it says what we hung there");

    ns1__SecurityGroupNameSetType names;
    ns1__DescribeSecurityGroupsType groups;
    ns1__DescribeSecurityGroupsResponseType shown;
    groups.securityGroupSet = &names;
    ec2.call(soap_call___ns1__DescribeSecurityGroups, "DescribeSecurityGroups", groups, shown);
    expect(shown.securityGroupInfo && shown.securityGroupInfo->item.size() == 1, "there is one group");
    expect(shown.securityGroupInfo->item[0]->groupName == "default", "it is the default one");

    ns1__VolumeIdSetType none;
    ns1__DescribeVolumesType volumes;
    ns1__DescribeVolumesResponseType empty;
    volumes.volumeSet = &none;
    ec2.call(soap_call___ns1__DescribeVolumes, "DescribeVolumes", volumes, empty);
    expect(!empty.volumeSet || empty.volumeSet->item.empty(), "there are no volumes");

    ns1__TerminateInstancesType end;
    ns1__TerminateInstancesResponseType ended;
    end.instancesSet = &ids;
    ec2.call(soap_call___ns1__TerminateInstances, "TerminateInstances", end, ended);
    expect(ended.instancesSet && ended.instancesSet->item.size() == 1, "one instance is ended");
    expect(ended.instancesSet->item[0]->instanceId == instance, "it is " + instance);
    std::printf("ok %s\n", instance.c_str());
}
