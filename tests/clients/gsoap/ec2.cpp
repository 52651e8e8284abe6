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

    ns1__TerminateInstancesType end;
    ns1__TerminateInstancesResponseType ended;
    end.instancesSet = &ids;
    ec2.call(soap_call___ns1__TerminateInstances, "TerminateInstances", end, ended);
    expect(ended.instancesSet && ended.instancesSet->item.size() == 1, "one instance is ended");
    expect(ended.instancesSet->item[0]->instanceId == instance, "it is " + instance);
    std::printf("ok %s\n", instance.c_str());
}
