//! The contract file against the actions: the same operations, and answers that fit its schema.

use std::fs;
use std::process::Command;

use super::*;
use crate::ec2::Version;
use crate::front::reply::success;

/// The operations that the file binds, sorted.
fn operations() -> Vec<String> {
    let binding = EC2_WSDL.split("<binding ").nth(1).unwrap();
    let mut names: Vec<String> =
        binding.split("<operation name=\"").skip(1).map(|part| part.split('"').next().unwrap().to_string()).collect();
    names.sort();
    names
}

#[test]
fn the_contract_has_the_operations_that_are_declared_for_soap() {
    assert_eq!(operations(), actions().names(Door::Soap));
    assert_eq!(operations(), crate::routes::actions().names(Door::Soap), "what the cloud really serves");
}

#[test]
fn what_soap_lacks_is_served_to_query_clients() {
    let query_only: Vec<&str> =
        actions().names(Door::Query).into_iter().filter(|name| !operations().iter().any(|op| op == name)).collect();
    let expected = [
        "AuthorizeSecurityGroupEgress",
        "DescribeClusters",
        "DescribeInstanceTypes",
        "DescribeSecurityGroupRules",
        "RevokeSecurityGroupEgress",
    ];
    assert_eq!(query_only, expected);
}

/// The file's schema as a document of its own.
fn schema() -> String {
    let from = EC2_WSDL.find("<xs:schema").unwrap();
    let to = EC2_WSDL.find("</xs:schema>").unwrap() + "</xs:schema>".len();
    EC2_WSDL[from..to].replacen(
        "<xs:schema",
        "<xs:schema xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xmlns:tns=\"http://ec2.amazonaws.com/doc/2010-08-31/\"",
        1,
    )
}

/// The fullest and the emptiest answer of each action, as the SOAP door writes it.
async fn answers() -> Vec<(String, String)> {
    async fn write<R: Sampled<Response: 'static>>(all: &mut Vec<(String, String)>) {
        for (kind, response) in [("full", R::fullest()), ("empty", R::emptiest())] {
            let version: Version = "2010-08-31".parse().unwrap();
            let id = ironbark_wsdl::RequestId::random();
            let (_, _, text) = read(success(Door::Soap, version, R::NAME, &id, Box::new(response))).await;
            let body = text.split("<soapenv:Body>").nth(1).unwrap().split("</soapenv:Body>").next().unwrap();
            all.push((format!("{}-{kind}", R::NAME), body.to_string()));
        }
    }
    let mut all = Vec::new();
    write::<RunInstances>(&mut all).await;
    write::<DescribeInstances>(&mut all).await;
    write::<RebootInstances>(&mut all).await;
    write::<TerminateInstances>(&mut all).await;
    write::<StopInstances>(&mut all).await;
    write::<StartInstances>(&mut all).await;
    write::<GetConsoleOutput>(&mut all).await;
    write::<DescribeInstanceAttribute>(&mut all).await;
    write::<ModifyInstanceAttribute>(&mut all).await;
    write::<ResetInstanceAttribute>(&mut all).await;
    write::<MonitorInstances>(&mut all).await;
    write::<UnmonitorInstances>(&mut all).await;
    write::<GetPasswordData>(&mut all).await;
    write::<DescribeVpcs>(&mut all).await;
    write::<DescribeSubnets>(&mut all).await;
    write::<DescribeVolumes>(&mut all).await;
    write::<DescribeSnapshots>(&mut all).await;
    write::<DescribeSpotInstanceRequests>(&mut all).await;
    write::<DescribeReservedInstances>(&mut all).await;
    write::<DescribeReservedInstancesOfferings>(&mut all).await;
    write::<CreatePlacementGroup>(&mut all).await;
    write::<DeletePlacementGroup>(&mut all).await;
    write::<DescribePlacementGroups>(&mut all).await;
    write::<DescribeBundleTasks>(&mut all).await;
    write::<RegisterImage>(&mut all).await;
    write::<DescribeImages>(&mut all).await;
    write::<DeregisterImage>(&mut all).await;
    write::<DescribeImageAttribute>(&mut all).await;
    write::<ModifyImageAttribute>(&mut all).await;
    write::<ResetImageAttribute>(&mut all).await;
    write::<CreateKeyPair>(&mut all).await;
    write::<ImportKeyPair>(&mut all).await;
    write::<DescribeKeyPairs>(&mut all).await;
    write::<DeleteKeyPair>(&mut all).await;
    write::<AllocateAddress>(&mut all).await;
    write::<ReleaseAddress>(&mut all).await;
    write::<DescribeAddresses>(&mut all).await;
    write::<AssociateAddress>(&mut all).await;
    write::<DisassociateAddress>(&mut all).await;
    write::<CreateSecurityGroup>(&mut all).await;
    write::<DeleteSecurityGroup>(&mut all).await;
    write::<DescribeSecurityGroups>(&mut all).await;
    write::<AuthorizeSecurityGroupIngress>(&mut all).await;
    write::<RevokeSecurityGroupIngress>(&mut all).await;
    write::<CreateTags>(&mut all).await;
    write::<DeleteTags>(&mut all).await;
    write::<DescribeTags>(&mut all).await;
    write::<DescribeAvailabilityZones>(&mut all).await;
    write::<DescribeRegions>(&mut all).await;
    all
}

#[tokio::test]
async fn answers_fit_the_schema_of_the_contract() {
    if Command::new("xmllint").arg("--version").output().is_err() {
        eprintln!("SKIPPED answers_fit_the_schema_of_the_contract: xmllint is not installed (Debian: libxml2-utils)");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let schema_file = folder.path().join("ec2.xsd");
    fs::write(&schema_file, schema()).unwrap();
    let answers = answers().await;
    assert_eq!(answers.len(), 2 * operations().len());
    let mut lint = Command::new("xmllint");
    lint.args(["--nonet", "--noout", "--schema"]).arg(&schema_file);
    for (name, text) in &answers {
        let file = folder.path().join(format!("{name}.xml"));
        fs::write(&file, text).unwrap();
        lint.arg(file);
    }
    let done = lint.output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
