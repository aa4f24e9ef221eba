/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * What others on a physical segment send: those behind the NIC, and the host itself. Guests get what is for them; the
 * host's own traffic on the NIC is not touched.
 *
 * Guests are as safe from this side as from each other: nobody speaks in the name of a port of this host, routers and
 * DHCP servers are heard by those ports alone that are to hear them, and a solicitation reaches only the port that is
 * solicited. Checksums are the guests' to verify.
 */
#pragma once

#include "../frame.h"
#include "arp.h"
#include "control.h"
#include "deliver.h"
#include "parse.h"
#include "punt.h"

#define VLAN_NUMBER 0x0fff /* of a tag's 16 bits */

/* The network's row for an address that a port of this host has, or the service. */
INLINE struct neighbour *held(const struct frame *f, const __u8 *addr)
{
	struct neighbour_key key = { .net = f->port.net };

	copy_addr(key.addr, addr);
	return bpf_map_lookup_elem(&neigh, &key);
}

INLINE struct fdb *led_to(const struct frame *f, const __u8 *mac)
{
	struct fdb_key key = { .net = f->port.net };

	__builtin_memcpy(key.mac, mac, MAC_LEN);
	return bpf_map_lookup_elem(&fdb, &key);
}

/* The link of the port of this host that has this address; 0: none has. */
INLINE __u32 link_of(const struct frame *f, const __u8 *addr)
{
	struct neighbour *holder = held(f, addr);
	struct fdb *row = holder && holder->port ? led_to(f, holder->mac) : 0;

	return row ? row->ifindex : 0;
}

/* To the port that has the MAC, or to all, as far as they hear it. `withheld` where nobody does. */
STAGE int hand(struct __sk_buff *skb, __u32 needs, int withheld)
{
	struct frame *f = frame();
	struct replication r = { .skb = skb, .needs = PORT_ADMIN_UP | needs };
	struct trace *t;

	if (!f)
		return V_INTERNAL;
	if (!(f->eth.destination[0] & 1))
		return hears(f->target, f->port.net, r.needs) ? V_SEGMENT_UNICAST : withheld;
	r.net = f->port.net;
	r.narrow = narrow(f);
	bpf_loop(MEMBERS_MAX, replicate_one, &r, 0);
	f->lost = r.failed;
	t = trace();
	if (t)
		t->copies = r.copies;
	return r.copies ? V_SEGMENT_MULTICAST : withheld;
}

/* A question about an address, though sent to all: to the link of the port that has it, if one has. */
STAGE int ask(struct __sk_buff *skb, __u32 ifindex)
{
	struct frame *f = frame();
	struct trace *t;

	if (!f)
		return V_INTERNAL;
	if (!(f->eth.destination[0] & 1))
		return hand(skb, 0, V_RECEIVER_DOWN);
	if (!ifindex || !receives(ifindex, f->port.net))
		return V_HOST;
	if (bpf_clone_redirect(skb, ifindex, 0) < 0) {
		f->lost = 1;
		return V_HOST;
	}
	t = trace();
	if (t)
		t->copies = 1;
	return V_SEGMENT_MULTICAST;
}

STAGE int segment_arp(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct arp a;
	word addr[ADDR_LEN / 4], sender[ADDR_LEN / 4];

	if (!f)
		return V_INTERNAL;
	if (bpf_skb_load_bytes(skb, ETH_LEN, &a, sizeof(a)) < 0 || a.hardware != htons(ARP_ETHERNET) ||
	    a.protocol != htons(ETHERTYPE_IPV4) || a.hardware_len != MAC_LEN || a.protocol_len != IPV4_ADDR_LEN)
		return V_ARP_MALFORMED;
	map_ipv4((__u8 *)sender, a.sender);
	map_ipv4((__u8 *)addr, a.target);
	if (held(f, (__u8 *)sender) || led_to(f, a.sender_mac))
		return V_SEGMENT_SPOOFED;
	/* An announcement is for all who know the old MAC. */
	if (a.operation != htons(ARP_REQUEST) || same_addr((__u8 *)sender, (__u8 *)addr))
		return hand(skb, 0, V_HOST);
	return ask(skb, link_of(f, (__u8 *)addr));
}

/* Whoever advertises an address there has it. A guest may not heed that; the agent looks here before it is learned. */
INLINE void object(const struct frame *f, const __u8 *addr)
{
	struct neighbour_key key = { .net = f->port.net };
	__u64 now = bpf_ktime_get_ns();

	copy_addr(key.addr, addr);
	bpf_map_update_elem(&objections, &key, &now, BPF_ANY);
}

STAGE int segment_nd(struct __sk_buff *skb)
{
	struct frame *f = frame();
	__u8 kind;

	if (!f)
		return V_INTERNAL;
	kind = f->head[0];
	if (f->fragment != WHOLE)
		return V_FRAGMENTED_CONTROL;
	if (f->extensions)
		return V_EXTENDED_CONTROL;
	if (f->ip.hop_limit != HOP_LIMIT_ND)
		return V_ND_MALFORMED;
	if (kind == ND_RS)
		return V_HOST;
	if (kind == ND_RA)
		punt(skb, R_SEGMENT_RA);
	if (kind == ND_RA || kind == ND_REDIRECT)
		return hand(skb, PORT_OUTSIDE_RA, V_SEGMENT_ROUTER);
	if (f->end - f->l4 < ND_LEN)
		return V_ND_MALFORMED;
	if (kind == ND_NA) {
		if (held(f, f->head + 8))
			return V_SEGMENT_SPOOFED;
		object(f, f->head + 8);
		return hand(skb, 0, V_HOST);
	}
	return ask(skb, link_of(f, f->head + 8));
}

STAGE int segment_icmpv6(struct __sk_buff *skb)
{
	struct frame *f = frame();

	if (!f)
		return V_INTERNAL;
	switch (f->head[0]) {
	case MLD_REPORT_1:
	case MLD_DONE_1:
	case MLD_REPORT_2:
		return V_HOST;
	case ND_RS ... ND_REDIRECT:
		return segment_nd(skb);
	case ROUTER_RENUMBERING:
	case INVERSE_ND_SOLICITATION ... INVERSE_ND_ADVERTISEMENT:
	case CERTIFICATION_PATH_SOLICITATION ... CERTIFICATION_PATH_ADVERTISEMENT:
	case MULTICAST_ROUTER_ADVERTISEMENT ... MULTICAST_ROUTER_TERMINATION:
		return V_NDP_OTHER;
	default:
		return hand(skb, 0, V_HOST);
	}
}

/* Clients ask servers, which guests are not; servers answer by the client's port, from whichever. */
STAGE int segment_udp(struct __sk_buff *skb)
{
	struct frame *f = frame();
	__u32 needs = PORT_OUTSIDE_DHCPV6;
	__u16 port, client = DHCPV6_CLIENT, server = DHCPV6_SERVER;

	if (!f)
		return V_INTERNAL;
	if (f->ipv4) {
		needs = PORT_OUTSIDE_DHCPV4;
		client = DHCPV4_CLIENT;
		server = DHCPV4_SERVER;
	}
	port = f->head[2] << 8 | f->head[3];
	if (port == server && f->eth.destination[0] & 1)
		return V_HOST;
	if (port != client)
		return hand(skb, 0, V_HOST);
	return f->fragment == WHOLE ? hand(skb, needs, V_SEGMENT_DHCP) : V_FRAGMENTED_CONTROL;
}

STAGE int segment_icmp(struct __sk_buff *skb)
{
	struct frame *f = frame();

	if (!f)
		return V_INTERNAL;
	if (f->head[0] == ICMP_REDIRECT || f->head[0] == ICMP_ROUTER_ADVERTISEMENT)
		return V_SEGMENT_ROUTER;
	return hand(skb, 0, V_HOST);
}

/*
 * Whether the kernel has taken off a tag that makes the frame one of a VLAN. Number 0 says a priority alone: the frame is the
 * segment's (IEEE 802.1Q-2014 sections 6.9.1, 9.6).
 */
INLINE int is_of_vlan(const struct __sk_buff *skb)
{
	return skb->vlan_present && (skb->vlan_proto != htons(ETHERTYPE_VLAN) || skb->vlan_tci & VLAN_NUMBER);
}

/* Who it is for, and whether who sent it may say so. */
STAGE int segment_parse(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct fdb *row;
	int verdict;

	if (!f)
		return V_INTERNAL;
	if (read_first(skb, f) < 0)
		return V_HOST;
	f->extensions = 0;
	f->nested = 0;
	f->fragment = WHOLE;
	f->ipv4 = f->eth.type == htons(ETHERTYPE_IPV4);
	verdict = is_of_vlan(skb) ? V_VLAN_TAG : ethertype(f);
	/* VLANs of the NIC are the host's. */
	if (verdict == V_VLAN_TAG)
		return V_HOST;
	if (!(f->eth.destination[0] & 1)) {
		row = led_to(f, f->eth.destination);
		if (!row)
			return V_HOST;
		f->target = row->ifindex;
	} else if (verdict) {
		return V_HOST;
	}
	if (verdict)
		return verdict;
	if (led_to(f, f->eth.source) || is_service_mac(f->eth.source, f->port.net))
		return V_SEGMENT_SPOOFED;
	return NEXT;
}

STAGE int segment_judge(struct __sk_buff *skb)
{
	struct frame *f = frame();
	int verdict;

	if (!f)
		return V_INTERNAL;
	verdict = segment_parse(skb);
	if (verdict)
		return verdict;
	/* No guest gets a tag. */
	if (skb->vlan_present)
		bpf_skb_vlan_pop(skb);
	if (f->eth.type == htons(ETHERTYPE_ARP))
		return segment_arp(skb);
	verdict = f->ipv4 ? parse_ipv4(skb) : parse_ipv6(skb, f);
	if (verdict)
		return verdict;
	if (held(f, f->ip.source))
		return V_SEGMENT_SPOOFED;
	if (f->eth.destination[0] & 1 && !group_fits(f))
		return V_GROUP_MISMATCH;
	if (f->fragment == LATER)
		return hand(skb, 0, V_HOST);
	if (f->proto == PROTO_UDP)
		return segment_udp(skb);
	if (f->ipv4)
		return f->proto == PROTO_ICMP ? segment_icmp(skb) : hand(skb, 0, V_HOST);
	return f->proto == PROTO_ICMPV6 ? segment_icmpv6(skb) : hand(skb, 0, V_HOST);
}
