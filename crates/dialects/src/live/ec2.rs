//! Networks and machines.

use std::sync::Arc;

use keyblind_resource::{Data, Value};
use keyblind_syntax::json::Node;

use super::{Body, Call, Live, address, answers, attribute, items, member, text};

pub(super) fn read(live: &mut Live<'_>, calls: &[Call<'_>]) {
    for (_, answer) in answers(calls, "ec2:DescribeSecurityGroups") {
        for group in items(member(answer, "securityGroupInfo")) {
            security_group(live, group);
        }
    }
    for (_, answer) in answers(calls, "ec2:DescribeNetworkInterfaces") {
        for interface in items(member(answer, "networkInterfaceSet")) {
            network_interface(live, interface);
        }
    }
    for (_, answer) in answers(calls, "ec2:DescribeInstances") {
        for reservation in items(member(answer, "reservationSet")) {
            for instance in items(member(reservation, "instancesSet")) {
                self::instance(live, instance);
            }
        }
    }
    for (_, answer) in answers(calls, "ec2:DescribeVolumes") {
        for volume in items(member(answer, "volumeSet")) {
            self::volume(live, volume);
        }
    }
    for (_, answer) in answers(calls, "ec2:DescribeVpcs") {
        for vpc in items(member(answer, "vpcSet")) {
            self::vpc(live, vpc);
        }
    }
    for (_, answer) in answers(calls, "ec2:DescribeFlowLogs") {
        for log in items(member(answer, "flowLogSet")) {
            flow_log(live, log);
        }
    }
    for (call, answer) in answers(calls, "ec2:GetEbsEncryptionByDefault") {
        let enabled = live.switch(answer, "ebsEncryptionByDefault");
        live.push(call.node, "aws_ebs_encryption_by_default", call.region, vec![attribute("enabled", enabled)]);
    }
}

const DEFAULT_GROUP: &str = "aws_default_security_group";
const GROUP: &str = "aws_security_group";

fn security_group(live: &mut Live<'_>, node: &Node) {
    let Some(id) = text(node, "groupId").cloned() else { return };
    let is_default = text(node, "groupName").is_some_and(|name| &**name == "default");
    let rules = |list: &str| match member(node, list) {
        Some(found) => live.list(found, items(Some(found)).iter().map(|permission| rule(live, permission, &id)).collect()),
        None => Value::tuple(Vec::new()),
    };
    let body = vec![
        attribute("id", live.text(node, "groupId")),
        attribute("name", live.text(node, "groupName")),
        attribute("description", live.text(node, "groupDescription")),
        attribute("owner_id", live.text(node, "ownerId")),
        attribute("vpc_id", vpc_of(live, node)),
        attribute("ingress", rules("ipPermissions")),
        attribute("egress", rules("ipPermissionsEgress")),
        attribute("tags", live.tags(node, "tagSet", "key", "value")),
    ];
    live.push(node, if is_default { DEFAULT_GROUP } else { GROUP }, &id, body);
}

/// One set of protocol and ports with all its sources.
fn rule(live: &Live<'_>, node: &Node, own: &str) -> Value {
    let every = text(node, "ipProtocol").is_some_and(|protocol| &**protocol == "-1");
    // Terraform writes no ports as zero.
    let port = |name: &str| if every { Value::int(0) } else { live.number(node, name) };
    let sources = |list: &str, name: &'static str| {
        let Some(found) = member(node, list) else { return Value::tuple(Vec::new()) };
        live.list(found, items(Some(found)).iter().map(|source| live.text(source, name)).collect())
    };
    let groups = items(member(node, "groups"));
    let named = |group: &&Node| text(group, "groupId").is_some_and(|id| &**id != own);
    let others = groups.iter().filter(named).filter_map(|group| Some(group_of(live, group, text(group, "groupId")?))).collect();
    let is_own = groups.iter().any(|group| text(group, "groupId").is_some_and(|id| &**id == own));
    let described = ["ipRanges", "ipv6Ranges", "prefixListIds", "groups"]
        .iter()
        .flat_map(|list| items(member(node, list)))
        .find(|source| text(source, "description").is_some());
    live.object(
        node,
        vec![
            attribute("protocol", live.text(node, "ipProtocol")),
            attribute("from_port", port("fromPort")),
            attribute("to_port", port("toPort")),
            attribute("cidr_blocks", sources("ipRanges", "cidrIp")),
            attribute("ipv6_cidr_blocks", sources("ipv6Ranges", "cidrIpv6")),
            attribute("prefix_list_ids", sources("prefixListIds", "prefixListId")),
            attribute("security_groups", live.list(node, others)),
            attribute("self", live.told(node, Data::Bool(is_own))),
            attribute("description", described.map_or_else(Value::null, |source| live.text(source, "description"))),
        ],
    )
}

fn group_of(live: &Live<'_>, node: &Node, id: &Arc<str>) -> Value {
    live.reference(node, id, address(GROUP, id), "id")
}

fn vpc_of(live: &Live<'_>, node: &Node) -> Value {
    match member(node, "vpcId").and_then(|found| Some((found, text(node, "vpcId")?))) {
        Some((found, id)) => live.reference(found, id, address("aws_vpc", id), "id"),
        None => Value::null(),
    }
}

/// The groups of an interface or a machine.
fn groups(live: &Live<'_>, node: &Node) -> Value {
    let Some(found) = member(node, "groupSet") else { return Value::null() };
    let groups = items(Some(found)).iter().filter_map(|group| Some(group_of(live, group, text(group, "groupId")?)));
    live.list(found, groups.collect())
}

fn network_interface(live: &mut Live<'_>, node: &Node) {
    let Some(id) = text(node, "networkInterfaceId").cloned() else { return };
    let body = vec![
        attribute("id", live.text(node, "networkInterfaceId")),
        attribute("description", live.text(node, "description")),
        attribute("interface_type", live.text(node, "interfaceType")),
        attribute("security_groups", groups(live, node)),
        attribute("source_dest_check", live.switch(node, "sourceDestCheck")),
        attribute("subnet_id", live.text(node, "subnetId")),
        attribute("tags", live.tags(node, "tagSet", "key", "value")),
    ];
    live.push(node, "aws_network_interface", &id, body);
}

fn instance(live: &mut Live<'_>, node: &Node) {
    let Some(id) = text(node, "instanceId").cloned() else { return };
    let is = |node: Option<&Node>, name: &str, wanted: &str| node.and_then(|node| text(node, name)).is_some_and(|found| &**found == wanted);
    // One that was ended is told for another hour.
    if is(member(node, "instanceState"), "name", "terminated") {
        return;
    }
    let public = text(node, "ipAddress").is_some();
    let metadata: Body = member(node, "metadataOptions").map_or_else(Vec::new, |options| {
        vec![
            attribute("http_endpoint", live.text(options, "httpEndpoint")),
            attribute("http_tokens", live.text(options, "httpTokens")),
            attribute("http_put_response_hop_limit", live.number(options, "httpPutResponseHopLimit")),
        ]
    });
    let metadata = match member(node, "metadataOptions") {
        Some(options) => live.block(options, metadata),
        None => live.absent(node, "the metadata service's options"),
    };
    let profile = member(node, "iamInstanceProfile").map_or_else(Value::null, |profile| live.text(profile, "arn"));
    let unread = |what| live.absent(node, what);
    let body = vec![
        attribute("id", live.text(node, "instanceId")),
        attribute("ami", live.text(node, "imageId")),
        attribute("instance_type", live.text(node, "instanceType")),
        attribute("associate_public_ip_address", live.told(node, Data::Bool(public))),
        attribute("ebs_optimized", live.switch(node, "ebsOptimized")),
        attribute("iam_instance_profile", profile),
        attribute("metadata_options", metadata),
        attribute("monitoring", live.told(node, Data::Bool(is(member(node, "monitoring"), "state", "enabled")))),
        attribute("subnet_id", live.text(node, "subnetId")),
        attribute("vpc_security_group_ids", groups(live, node)),
        attribute("tags", live.tags(node, "tagSet", "key", "value")),
        // Volumes are resources of their own; what a machine runs at its start is never read.
        attribute("root_block_device", unread("a machine's disks")),
        attribute("ebs_block_device", unread("a machine's disks")),
        attribute("user_data", unread("what a machine runs at its start")),
        attribute("user_data_base64", unread("what a machine runs at its start")),
    ];
    live.push(node, "aws_instance", &id, body);
}

fn volume(live: &mut Live<'_>, node: &Node) {
    let Some(id) = text(node, "volumeId").cloned() else { return };
    let body = vec![
        attribute("id", live.text(node, "volumeId")),
        attribute("availability_zone", live.text(node, "availabilityZone")),
        attribute("encrypted", live.switch(node, "encrypted")),
        attribute("kms_key_id", live.text(node, "kmsKeyId")),
        attribute("size", live.number(node, "size")),
        attribute("tags", live.tags(node, "tagSet", "key", "value")),
    ];
    live.push(node, "aws_ebs_volume", &id, body);
}

fn vpc(live: &mut Live<'_>, node: &Node) {
    let Some(id) = text(node, "vpcId").cloned() else { return };
    let body = vec![
        attribute("id", live.text(node, "vpcId")),
        attribute("cidr_block", live.text(node, "cidrBlock")),
        attribute("tags", live.tags(node, "tagSet", "key", "value")),
    ];
    live.push(node, "aws_vpc", &id, body);
}

fn flow_log(live: &mut Live<'_>, node: &Node) {
    let (Some(id), Some(of)) = (text(node, "flowLogId").cloned(), text(node, "resourceId").cloned()) else { return };
    let (name, value) = match &*of {
        of if of.starts_with("vpc-") => ("vpc_id", live.reference(node, of, address("aws_vpc", of), "id")),
        of if of.starts_with("subnet-") => ("subnet_id", live.text(node, "resourceId")),
        _ => ("eni_id", live.reference(node, &of, address("aws_network_interface", &of), "id")),
    };
    let body = vec![
        attribute("id", live.text(node, "flowLogId")),
        attribute(name, value),
        attribute("log_destination", live.text(node, "logDestination")),
        attribute("log_destination_type", live.text(node, "logDestinationType")),
        attribute("traffic_type", live.text(node, "trafficType")),
    ];
    live.push(node, "aws_flow_log", &id, body);
}
