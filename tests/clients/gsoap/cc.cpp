// Calls a cluster controller as its cloud controller does, from the WSDL that the cluster serves.
// usage: client URL KEY CERT PEER-CERT INSTANCE      (INSTANCE runs there, no other; it is terminated)
#include "EucalyptusCCBinding.nsmap"
#include "caller.h"

int main(int count, char **arguments) {
    if (count != 6) fail("usage: client URL KEY CERT PEER-CERT INSTANCE");
    StrictCaller cc(arguments[1], arguments[2], arguments[3], arguments[4], "EucalyptusCC#");
    const std::string instance = arguments[5], unknown = "i-00000000";

    int memory = 128, cores = 1, disk = 10;
    ns1__virtualMachineType type;
    type.name = cc.text("m1.small");
    type.memory = &memory;
    type.cores = &cores;
    type.disk = &disk;
    ns1__DescribeResourcesType types;
    ns1__DescribeResourcesResponseType room;
    types.userId = cc.text("eucalyptus");
    types.instanceTypes.push_back(&type);
    cc.call(soap_call___ns1__DescribeResources, "DescribeResources", types, room);
    expect(room.return_ && *room.return_, "DescribeResources returns true");
    expect(room.resources.size() == 1, "the one type is answered");
    const ns1__ccResourceType &small = *room.resources[0];
    expect(small.instanceType && small.instanceType->name && *small.instanceType->name == "m1.small", "it is m1.small");
    expect(small.maxInstances && small.availableInstances && *small.availableInstances < *small.maxInstances,
           "there is room, but less than in an empty cluster");

    ns1__DescribeInstancesType which;
    ns1__DescribeInstancesResponseType found;
    which.userId = cc.text("eucalyptus");
    cc.call(soap_call___ns1__DescribeInstances, "DescribeInstances", which, found);
    expect(found.return_ && *found.return_, "DescribeInstances returns true");
    expect(found.instances.size() == 1, "one instance is described");
    const ns1__ccInstanceType &shown = *found.instances[0];
    expect(shown.instanceId && *shown.instanceId == instance, "it is " + instance);
    expect(shown.stateName && *shown.stateName == "Extant", "it is Extant");

    for (const std::string &id : {instance, unknown}) {
        ns1__RebootInstancesType reboot;
        ns1__RebootInstancesResponseType answer;
        reboot.userId = cc.text("eucalyptus");
        reboot.instanceIds.push_back(id);
        cc.call(soap_call___ns1__RebootInstances, "RebootInstances", reboot, answer);
        const char *expected = id == instance ? "true" : "false";
        expect(answer.return_ && *answer.return_ == (id == instance), "the reboot of " + id + " returns " + expected);
        if (id == unknown) {
            expect(answer.statusMessage && answer.statusMessage->find(unknown) != std::string::npos,
                   "statusMessage names " + unknown);
        }
    }

    ns1__TerminateInstancesType end;
    ns1__TerminateInstancesResponseType ended;
    end.userId = cc.text("eucalyptus");
    end.instanceIds.push_back(instance);
    cc.call(soap_call___ns1__TerminateInstances, "TerminateInstances", end, ended);
    expect(ended.return_ && *ended.return_, "TerminateInstances returns true");
    expect(ended.isTerminated.size() == 1 && ended.isTerminated[0], instance + " is terminated");
    std::printf("ok %s\n", instance.c_str());
}
