/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * ARP (RFC 826): answered here for known addresses of the network and for the service. The rest goes to the physical
 * segment, where the network is one, and else no further. No ARP of a guarded guest reaches another guest, none the agent.
 */
#pragma once

#include "../frame.h"
#include "segment.h"

#define ARP_ETHERNET 1
#define ARP_REQUEST 1
#define ARP_REPLY 2

struct arp {
	__u16 hardware; /* as on the wire, as the next and the operation */
	__u16 protocol;
	__u8 hardware_len;
	__u8 protocol_len;
	__u16 operation;
	__u8 sender_mac[MAC_LEN];
	__u8 sender[IPV4_ADDR_LEN];
	__u8 target_mac[MAC_LEN];
	__u8 target[IPV4_ADDR_LEN];
} __attribute__((packed));
_Static_assert(sizeof(struct arp) == 28, "as on the wire");

struct arp_frame {
	struct ethernet eth;
	struct arp arp;
} __attribute__((packed));
_Static_assert(sizeof(struct arp_frame) == 42, "as on the wire");

/* The answer in place of the question, which the caller has seen to be one. Padding behind it stays. */
STAGE int arp_answer(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct neighbour_key key = {};
	struct neighbour *holder;
	struct arp_frame a;
	__u8 asker[IPV4_ADDR_LEN], asker_mac[MAC_LEN];

	if (!f || bpf_skb_load_bytes(skb, 0, &a, sizeof(a)) < 0)
		return V_INTERNAL;
	key.net = f->port.net;
	map_ipv4(key.addr, a.arp.target);
	holder = bpf_map_lookup_elem(&neigh, &key);
	if (!holder)
		return V_INTERNAL;
	__builtin_memcpy(a.eth.destination, f->eth.source, MAC_LEN);
	__builtin_memcpy(a.eth.source, holder->mac, MAC_LEN);
	a.arp.operation = htons(ARP_REPLY);
	__builtin_memcpy(asker, a.arp.sender, IPV4_ADDR_LEN);
	__builtin_memcpy(a.arp.sender, a.arp.target, IPV4_ADDR_LEN);
	__builtin_memcpy(a.arp.target, asker, IPV4_ADDR_LEN);
	__builtin_memcpy(asker_mac, a.arp.sender_mac, MAC_LEN);
	__builtin_memcpy(a.arp.sender_mac, holder->mac, MAC_LEN);
	__builtin_memcpy(a.arp.target_mac, asker_mac, MAC_LEN);
	if (bpf_skb_store_bytes(skb, 0, &a, sizeof(a), BPF_F_INVALIDATE_HASH) < 0)
		return V_INTERNAL;
	f->target = skb->ifindex;
	return V_ARP_ANSWERED;
}

/*
 * What nobody here has an answer for: a guarded guest tells it the physical segment, where there is one, an unguarded one
 * the network's other guests besides.
 */
STAGE int arp_of_nobody(struct __sk_buff *skb, __u32 verdict)
{
	struct frame *f = frame();

	if (!f)
		return V_INTERNAL;
	if (guarded(f))
		return to_segment(skb, verdict);
	return skb->len - ETH_LEN > f->port.mtu ? V_TOO_BIG : NEXT;
}

STAGE int arp(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct neighbour_key key = {};
	struct neighbour *holder;
	struct arp a;
	int probe;

	if (!f)
		return V_INTERNAL;
	if (bpf_skb_load_bytes(skb, ETH_LEN, &a, sizeof(a)) < 0 || a.hardware != htons(ARP_ETHERNET) ||
	    a.protocol != htons(ETHERTYPE_IPV4) || a.hardware_len != MAC_LEN || a.protocol_len != IPV4_ADDR_LEN)
		return V_ARP_MALFORMED;
	/* RFC 5227 section 2.1.1: who checks an address before using it sends from nobody's. */
	probe = !(a.sender[0] | a.sender[1] | a.sender[2] | a.sender[3]);
	map_ipv4(key.addr, a.sender);
	if (guarded(f) && (!same_mac(a.sender_mac, f->port.mac) || (!probe && !source_row(f, key.addr))))
		return V_ARP_SPOOFED;
	if (a.operation == htons(ARP_REPLY))
		return probe ? V_ARP_MALFORMED : arp_of_nobody(skb, V_ARP_CONSUMED);
	if (a.operation != htons(ARP_REQUEST))
		return V_ARP_MALFORMED;
	/* An announcement, or a check of its own address, which must not fail. */
	map_ipv4(key.addr, a.target);
	if (source_row(f, key.addr))
		return arp_of_nobody(skb, V_ARP_CONSUMED);
	key.net = f->port.net;
	holder = bpf_map_lookup_elem(&neigh, &key);
	/* Who checks an address that is not its port's would make the check of whoever it belongs to fail. */
	if (!holder)
		return probe && guarded(f) ? V_ARP_UNKNOWN : arp_of_nobody(skb, V_ARP_UNKNOWN);
	return holder->port == f->port.port ? V_ARP_CONSUMED : arp_answer(skb);
}
