/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * Who sent the frame, and where its upper layer begins. Nothing is passed that cannot be parsed within the bound: what a
 * receiver might read otherwise than we do is how guests get round a guard (RFC 7113).
 *
 * Headers are read by bpf_skb_load_bytes, so that it does not matter which part of the frame is linear.
 */
#pragma once

#include "../frame.h"
#include "arp.h"
#include "count.h"
#include "ipv4.h"
#include "punt.h"
#include "upper.h"

#define EXTENSIONS_MAX 8

/*
 * Reads the Ethernet header, and of most frames in the same step what follows it: the headers of IPv6 and of the upper layer. Where
 * these are something else they are read anew.
 */
INLINE long read_first(struct __sk_buff *skb, struct frame *f)
{
	f->at_once = skb->len >= FIRST_LEN;
	return f->at_once ? bpf_skb_load_bytes(skb, 0, f->first, FIRST_LEN) :
			    bpf_skb_load_bytes(skb, 0, &f->eth, ETH_LEN);
}

/* The port's guest has begun to speak: the agent is to know. */
STAGE int begin(struct __sk_buff *skb)
{
	struct frame *f = frame();
	__u64 now = bpf_ktime_get_ns();
	int first;

	if (!f)
		return V_INTERNAL;
	/* Of several CPUs one succeeds. */
	if (bpf_map_update_elem(&seen, &f->port.port, &now, BPF_NOEXIST) == 0) {
		first = punt(skb, R_FIRST_FRAME);
		if (first != V_PUNTED)
			bpf_map_delete_elem(&seen, &f->port.port);
		count(skb, first == V_PUNTED ? V_FIRST_FRAME : V_FIRST_FRAME_UNSEEN);
	}
	return NEXT;
}

/* The link's port, whether it may speak at all, and whether its guest has just begun to. */
INLINE int admit(struct __sk_buff *skb, struct frame *f)
{
	__u32 ifindex = skb->ifindex;
	struct port *port;

	port = bpf_map_lookup_elem(&ports, &ifindex);
	if (!port)
		return V_NO_PORT;
	f->port = *port;
	if (!(port->flags & PORT_ADMIN_UP))
		return V_PORT_DOWN;
	if (read_first(skb, f) < 0)
		return V_MALFORMED;
	f->nested = !is_own_mac(f);
	if (f->nested && (guarded(f) || f->eth.source[0] & 1))
		return V_MAC_SPOOFED;
	return f->nested || bpf_map_lookup_elem(&seen, &f->port.port) ? NEXT : begin(skb);
}

/* Ethernet II with IPv6, IPv4 or ARP and no tag in the frame. */
INLINE int ethertype(const struct frame *f)
{
	__u16 type = ntohs(f->eth.type);

	if (type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ)
		return V_VLAN_TAG;
	if (type == ETHERTYPE_IPV6 || type == ETHERTYPE_IPV4 || type == ETHERTYPE_ARP)
		return NEXT;
	return type < ETHERTYPE_MIN ? V_LLC : V_ETHERTYPE;
}

/*
 * Whether a header of this protocol is followed by another (RFC 7045 section 4, but ESP, behind which nothing can be read, and
 * the experimental ones, whose form nobody knows).
 */
INLINE int is_extension(__u32 proto)
{
	return proto == PROTO_HOP_BY_HOP || proto == PROTO_ROUTING || proto == PROTO_FRAGMENT || proto == PROTO_AH ||
	       proto == PROTO_DESTINATION || proto == PROTO_MOBILITY || proto == PROTO_HIP || proto == PROTO_SHIM6;
}

/* One step along the header chain: the length of the header at f->l4, or a negative verdict. 0: the upper layer. */
INLINE int extension(struct __sk_buff *skb, struct frame *f)
{
	__u8 head[8];
	__u32 offset;

	if (!is_extension(f->proto))
		return 0;
	/* RFC 8200 section 4.1: hop-by-hop options only directly behind the IPv6 header. */
	if (f->proto == PROTO_HOP_BY_HOP && f->extensions)
		return -V_MALFORMED;
	if (f->l4 + sizeof(head) > f->end || bpf_skb_load_bytes(skb, f->l4, head, sizeof(head)) < 0)
		return f->fragment == FIRST ? -V_TINY_FRAGMENT : -V_MALFORMED;
	if (f->proto == PROTO_ROUTING && head[2] == 0)
		return -V_ROUTING_HEADER_0;
	if (f->proto == PROTO_FRAGMENT) {
		if (f->fragment != WHOLE)
			return -V_MALFORMED;
		offset = (head[2] << 8 | head[3]) & 0xfff8;
		f->fragment_id = *(__u32 *)(head + 4);
		f->fragment = offset ? LATER : head[3] & 1 ? FIRST : ATOMIC;
		f->proto = head[0];
		if (fragment_part(f, offset, f->end - f->l4 - 8, head[3] & 1, f->l4 - L4_OFFSET_MIN))
			return -V_MALFORMED;
		return 8;
	}
	offset = f->proto == PROTO_AH ? (head[1] + 2) * 4 : (head[1] + 1) * 8;
	f->proto = head[0];
	return offset;
}

/* The header chain, and the first bytes of the upper layer. */
STAGE int walk(struct __sk_buff *skb)
{
	struct frame *f = frame();
	int step;

	if (!f)
		return V_INTERNAL;
	for (int i = 0; i <= EXTENSIONS_MAX; i++) {
		step = extension(skb, f);
		if (step < 0)
			return -step;
		if (step == 0)
			return NEXT;
		f->l4 += step;
		f->extensions++;
		if (f->l4 > f->end)
			return f->fragment == FIRST ? V_TINY_FRAGMENT : V_MALFORMED;
		if (f->fragment == LATER)
			return NEXT;
	}
	return V_EXTENSION_LIMIT;
}

INLINE int parse_ipv6(struct __sk_buff *skb, struct frame *f)
{
	int verdict;

	if (!f->at_once && bpf_skb_load_bytes(skb, ETH_LEN, &f->ip, IPV6_LEN) < 0)
		return V_MALFORMED;
	if (f->ip.version_class_flow[0] >> 4 != 6)
		return V_MALFORMED;
	/* The rows of IPv4 stand under these; no host sends them (RFC 4942 section 2.2). */
	if (is_ipv4_mapped(f->ip.source) || is_ipv4_mapped(f->ip.destination))
		return V_IPV4_MAPPED;
	f->proto = f->ip.next;
	f->l4 = L4_OFFSET_MIN;
	f->end = L4_OFFSET_MIN + ntohs(f->ip.payload_len);
	if (!f->ip.payload_len && f->proto == PROTO_HOP_BY_HOP)
		return V_JUMBOGRAM;
	if (f->end > skb->len)
		return V_MALFORMED;
	if (is_extension(f->proto)) {
		verdict = walk(skb);
		if (verdict)
			return verdict;
	}
	/* Else it was read with the rest. */
	if (!f->at_once || f->l4 != L4_OFFSET_MIN || f->end < FIRST_LEN) {
		verdict = upper(skb);
		if (verdict)
			return verdict;
	}
	return wire_len(skb, f) > f->port.mtu ? V_TOO_BIG : NEXT;
}

INLINE int parse(struct __sk_buff *skb, struct frame *f)
{
	int verdict;

	f->extensions = 0;
	f->fragment = WHOLE;
	f->target = 0;
	f->ipv4 = f->eth.type == htons(ETHERTYPE_IPV4);
	/* Nor one that the kernel has taken off. */
	verdict = skb->vlan_present ? V_VLAN_TAG : ethertype(f);
	if (verdict)
		return verdict;
	if (is_arp(f))
		return arp(skb);
	return f->ipv4 ? parse_ipv4(skb) : parse_ipv6(skb, f);
}
