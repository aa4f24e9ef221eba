/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * IPv4: where its upper layer begins, and what a guest says to the network rather than to another guest. Behind these,
 * the stages are those of IPv6: an IPv4 address stands in the frame and in the maps as an IPv4-mapped one, which IPv6
 * packets may not have.
 */
#pragma once

#include "../frame.h"
#include "punt.h"
#include "segment.h"
#include "upper.h"

#define FRAGMENT_MORE 0x2000
#define FRAGMENT_OFFSET 0x1fff

#define IGMP_QUERY 0x11
#define ICMP_REDIRECT 5
#define ICMP_ROUTER_ADVERTISEMENT 9

#define DHCPV4_SERVER 67
#define DHCPV4_CLIENT 68

struct ipv4 {
	__u8 version_len; /* the length in words */
	__u8 service;
	__u16 total_len; /* as on the wire, as the next two */
	__u16 id;
	__u16 fragment; /* flags and offset */
	__u8 hop_limit;
	__u8 proto;
	__u16 checksum;
	__u8 source[IPV4_ADDR_LEN];
	__u8 destination[IPV4_ADDR_LEN];
};
_Static_assert(sizeof(struct ipv4) == IPV4_LEN, "as on the wire");

/* What of a frame is read in one step. */
struct ipv4_first {
	struct ipv4 ip;
	__u8 head[ND_LEN];
} __attribute__((aligned(4)));

STAGE int parse_ipv4(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct ipv4_first first;
	struct ipv4 *ip = &first.ip;
	__u32 len, fragment;
	int verdict;

	if (!f)
		return V_INTERNAL;
	if (!f->at_once && bpf_skb_load_bytes(skb, ETH_LEN, &f->ip, IPV4_LEN) < 0)
		return V_MALFORMED;
	/* A copy: the addresses are written over it. */
	first = *(const struct ipv4_first *)&f->ip;
	if (ip->version_len >> 4 != 4)
		return V_MALFORMED;
	len = (ip->version_len & 0xf) * 4;
	f->proto = ip->proto;
	f->l4 = ETH_LEN + len;
	f->end = ETH_LEN + ntohs(ip->total_len);
	if (len < IPV4_LEN || f->end < f->l4 || f->end > skb->len)
		return V_MALFORMED;
	/* IGMP must have one (RFC 3376 section 4), and ends here. */
	if (len > IPV4_LEN && ip->proto != PROTO_IGMP)
		return V_IPV4_OPTIONS;
	fragment = ntohs(ip->fragment);
	f->fragment = fragment & FRAGMENT_OFFSET ? LATER : fragment & FRAGMENT_MORE ? FIRST : WHOLE;
	if (f->fragment != WHOLE && fragment_part(f, (fragment & FRAGMENT_OFFSET) * 8, f->end - f->l4,
						  fragment & FRAGMENT_MORE, len))
		return V_MALFORMED;
	f->fragment_id = (__u32)ip->proto << 16 | ip->id;
	map_ipv4(f->ip.source, ip->source);
	map_ipv4(f->ip.destination, ip->destination);
	if (f->at_once && len == IPV4_LEN && f->end >= ETH_LEN + sizeof(first) && f->fragment != LATER) {
		__builtin_memcpy(f->head, first.head, ND_LEN);
	} else {
		verdict = upper(skb);
		if (verdict)
			return verdict;
	}
	return wire_len(skb, f) > f->port.mtu ? V_TOO_BIG : NEXT;
}

/*
 * DHCPv4 is the agent's wherever it is sent to and whatever it comes from: a client that renews its lease may send it
 * by a router, or from an address that the port has no more. The answer goes to that port alone. Where another server, on the
 * physical segment, is to answer it goes there.
 */
STAGE int udp_ipv4(struct __sk_buff *skb)
{
	struct frame *f = frame();
	__u16 port;
	__u32 nobody;

	if (!f)
		return V_INTERNAL;
	port = f->head[2] << 8 | f->head[3];
	if (port == DHCPV4_CLIENT)
		return guarded(f) ? V_DHCPV4_SERVER : NEXT;
	if (port != DHCPV4_SERVER || f->nested)
		return NEXT;
	if (f->port.flags & PORT_OUTSIDE_DHCPV4) {
		nobody = *(__u32 *)(f->ip.source + ADDR_LEN - IPV4_ADDR_LEN);
		if (guarded(f) && nobody && !source_row(f, f->ip.source))
			return V_SOURCE_SPOOFED;
		return f->fragment == WHOLE ? to_segment(skb, V_UNKNOWN_UNICAST) : V_FRAGMENTED_CONTROL;
	}
	return f->fragment == WHOLE ? punt(skb, R_DHCPV4) : V_FRAGMENTED_CONTROL;
}

INLINE int control_ipv4(struct __sk_buff *skb, const struct frame *f)
{
	__u32 port = f->head[2] << 8 | f->head[3];

	if (f->proto == PROTO_IGMP && f->head[0] != IGMP_QUERY)
		return !guarded(f) || source_row(f, f->ip.source) ? to_segment(skb, V_IGMP_CONSUMED) : V_IGMP_CONSUMED;
	switch (f->proto) {
	case PROTO_UDP:
		return port == DHCPV4_SERVER || port == DHCPV4_CLIENT ? udp_ipv4(skb) : NEXT;
	case PROTO_IGMP:
		return guarded(f) ? V_IGMP_QUERY : NEXT;
	case PROTO_ICMP:
		if (!guarded(f))
			return NEXT;
		if (f->head[0] == ICMP_REDIRECT)
			return V_REDIRECT;
		return f->head[0] == ICMP_ROUTER_ADVERTISEMENT ? V_ROUTER_ADVERTISEMENT : NEXT;
	default:
		return NEXT;
	}
}
