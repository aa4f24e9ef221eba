/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * A network that is a physical segment (flat): what guests send there. The host itself is on the segment by the same NIC,
 * and hears guests as it hears everybody else there.
 */
#pragma once

#include "../frame.h"

/* On frames of guests that pass the NIC on their way out or to the host: its program knows them by it and takes it off. */
#define FROM_GUEST 0x68780001

INLINE struct uplink *uplink_of(const struct frame *f)
{
	__u32 net = f->port.net;

	return f->port.flags & PORT_UPLINK ? bpf_map_lookup_elem(&uplinks, &net) : 0;
}

/* Multicast: a copy for the segment and one for the host. How many were made. */
STAGE int segment_copies(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct uplink *uplink;
	__u32 ifindex;
	int copies = 0;

	if (!f)
		return 0;
	uplink = uplink_of(f);
	if (!uplink)
		return 0;
	ifindex = uplink->ifindex;
	skb->mark = FROM_GUEST;
	copies += dry_run || bpf_clone_redirect(skb, ifindex, 0) >= 0;
	copies += dry_run || bpf_clone_redirect(skb, ifindex, BPF_F_INGRESS) >= 0;
	skb->mark = 0;
	f->lost += 2 - copies;
	return copies;
}

/* Unicast to a MAC that no port of this host has. */
STAGE int segment_unicast(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct uplink *uplink;

	if (!skb || !f)
		return V_INTERNAL;
	uplink = uplink_of(f);
	if (!uplink)
		return V_UNKNOWN_UNICAST;
	f->target = uplink->ifindex;
	return same_mac(f->eth.destination, uplink->mac) ? V_UPLINK_HOST : V_UPLINK;
}

/*
 * What a guest says about itself or asks of the segment: there, and never to another guest. `otherwise` is what becomes
 * of it where the network is no segment, or it is sent to a port of this host or to the service.
 */
STAGE int to_segment(struct __sk_buff *skb, int otherwise)
{
	struct frame *f = frame();
	struct fdb_key key = {};

	if (!f)
		return V_INTERNAL;
	if (!(f->port.flags & PORT_UPLINK))
		return otherwise;
	if (f->eth.destination[0] & 1)
		return segment_copies(skb) ? V_UPLINK : V_NO_RECEIVER;
	key.net = f->port.net;
	__builtin_memcpy(key.mac, f->eth.destination, MAC_LEN);
	if (is_service_mac(f->eth.destination, f->port.net) || bpf_map_lookup_elem(&fdb, &key))
		return otherwise;
	return segment_unicast(skb);
}
