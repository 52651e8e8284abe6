// Calls a node controller as its cluster controller does, from the WSDL that the node serves.
// usage: client URL KEY CERT PEER-CERT INSTANCE      (INSTANCE runs there, and no other)
#include "EucalyptusNCBinding.nsmap"
#include "caller.h"

int main(int count, char **arguments) {
    if (count != 6) fail("usage: client URL KEY CERT PEER-CERT INSTANCE");
    StrictCaller nc(arguments[1], arguments[2], arguments[3], arguments[4], "EucalyptusNC#");
    const std::string instance = arguments[5];

    ns1__ncDescribeResourceType what;
    ns1__ncDescribeResourceResponseType resource;
    what.userId = nc.text("eucalyptus");
    nc.call(soap_call___ns1__ncDescribeResource, "ncDescribeResource", what, resource);
    expect(resource.return_ && *resource.return_, "ncDescribeResource returns true");
    expect(resource.nodeStatus == "OK" && resource.memorySizeMax > 0, "the node is well and has memory");
    expect(resource.numberOfCoresAvailable < resource.numberOfCoresMax, "the instance has taken its cores");

    ns1__ncDescribeInstancesType which;
    ns1__ncDescribeInstancesResponseType found;
    which.userId = nc.text("eucalyptus");
    nc.call(soap_call___ns1__ncDescribeInstances, "ncDescribeInstances", which, found);
    expect(found.return_ && *found.return_, "ncDescribeInstances returns true");
    expect(found.instances.size() == 1, "one instance is described");
    expect(found.instances[0]->instanceId == instance, "it is " + instance);
    expect(found.instances[0]->stateName == "Extant", "it is Extant");
    expect(found.instances[0]->instanceType->cores && *found.instances[0]->instanceType->cores > 0, "it has cores");

    for (const std::string &id : {instance, std::string("i-00000000")}) {
        ns1__ncRebootInstanceType reboot;
        ns1__ncRebootInstanceResponseType answer;
        reboot.userId = nc.text("eucalyptus");
        reboot.instanceId = id;
        nc.call(soap_call___ns1__ncRebootInstance, "ncRebootInstance", reboot, answer);
        const char *expected = id == instance ? "true" : "false";
        expect(answer.return_ && *answer.return_ == (id == instance), "the reboot of " + id + " returns " + expected);
    }
    std::printf("ok %s\n", instance.c_str());
}
