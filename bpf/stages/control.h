/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * What a guest says to the network rather than to another guest: Neighbour Discovery, MLD, DHCP. All of it ends here:
 * answered, shown to the agent, sent to the physical segment that the network is, or dropped. None reaches another guest,
 * but what an unguarded one says as a router or a server, and what comes from behind it.
 *
 * Checksums are not verified: a guest with checksum offload leaves them to be filled in, and the answer goes to the
 * sender alone.
 */
#pragma once

#include "../frame.h"
#include "ipv4.h"
#include "mld.h"
#include "punt.h"
#include "segment.h"

#define ND_RS 133
#define ND_RA 134
#define ND_NS 135
#define ND_NA 136
#define ND_REDIRECT 137
#define ROUTER_RENUMBERING 138
#define INVERSE_ND_SOLICITATION 141
#define INVERSE_ND_ADVERTISEMENT 142
#define CERTIFICATION_PATH_SOLICITATION 148
#define CERTIFICATION_PATH_ADVERTISEMENT 149
#define MULTICAST_ROUTER_ADVERTISEMENT 151
#define MULTICAST_ROUTER_TERMINATION 153

#define DHCPV6_CLIENT 546
#define DHCPV6_SERVER 547

#define OPTION_SLLA 1
#define OPTION_TLLA 2
#define OPTIONS_MAX 8
#define HOP_LIMIT_ND 255

#define NA_LEN (ND_LEN + 8) /* with a target link-layer address */
#define NA_ROUTER 0x80
#define NA_SOLICITED 0x40
#define NA_OVERRIDE 0x20

/* What follows the fixed part of the message: well formed, and no link-layer address but the port's. */
STAGE int nd_options(struct __sk_buff *skb, __u32 fixed)
{
	struct frame *f = frame();
	__u8 option[8];
	__u32 offset;

	if (!f)
		return V_INTERNAL;
	offset = f->l4 + fixed;
	for (int i = 0; i < OPTIONS_MAX; i++) {
		if (offset == f->end)
			return NEXT;
		if (offset + sizeof(option) > f->end || bpf_skb_load_bytes(skb, offset, option, sizeof(option)) < 0 ||
		    option[1] == 0)
			return V_ND_MALFORMED;
		if (option[0] == OPTION_SLLA || option[0] == OPTION_TLLA) {
			/* RFC 4861 section 7.1.1: none from the unspecified address. */
			if (option[1] != 1 || is_unspecified(f->ip.source))
				return V_ND_MALFORMED;
			if (guarded(f) && !same_mac(option + 2, f->port.mac))
				return V_ND_SPOOFED;
		}
		offset += option[1] * 8;
	}
	return offset == f->end ? NEXT : V_ND_MALFORMED;
}

/* What every ND message of a host must be (RFC 4861 sections 6.1.1, 7.1.1, 7.1.2). */
INLINE int nd_valid(struct __sk_buff *skb, const struct frame *f, __u32 fixed)
{
	if (f->ip.hop_limit != HOP_LIMIT_ND || f->head[1] != 0 || f->end - f->l4 < fixed)
		return V_ND_MALFORMED;
	return nd_options(skb, fixed);
}

/* The answer, in place of the question. */
struct answer {
	struct ethernet eth;
	__u8 ip[IPV6_LEN];
	__u8 na[NA_LEN];
} __attribute__((packed));
_Static_assert(sizeof(struct answer) == 86, "as on the wire");

/* What the checksum covers (RFC 8200 section 8.1). */
struct covered {
	__u8 source[ADDR_LEN];
	__u8 destination[ADDR_LEN];
	__u32 length;
	__u32 next;
	__u8 na[NA_LEN];
};
_Static_assert(sizeof(struct covered) == 72, "whole words");

struct answer_scratch {
	struct covered covered;
	struct answer answer;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct answer_scratch);
} answers SEC(".maps");

INLINE __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* A solicited Neighbor Advertisement with override (RFC 4861 section 7.2.4), back on the link that asked. */
STAGE int nd_answer(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct neighbour_key key = {};
	struct neighbour *holder;
	struct answer_scratch *s;
	__u32 zero = 0;
	__u16 checksum;

	s = bpf_map_lookup_elem(&answers, &zero);
	if (!f || !s)
		return V_INTERNAL;
	key.net = f->port.net;
	copy_addr(key.addr, f->head + 8);
	holder = bpf_map_lookup_elem(&neigh, &key);
	if (!holder)
		return V_INTERNAL;
	__builtin_memset(s, 0, sizeof(*s));
	copy_addr(s->covered.source, key.addr);
	copy_addr(s->covered.destination, f->ip.source);
	s->covered.length = htonl(NA_LEN);
	s->covered.next = htonl(PROTO_ICMPV6);
	s->covered.na[0] = ND_NA;
	s->covered.na[4] = NA_SOLICITED | NA_OVERRIDE | (holder->flags & NEIGHBOUR_ROUTER ? NA_ROUTER : 0);
	copy_addr(s->covered.na + 8, key.addr);
	s->covered.na[24] = OPTION_TLLA;
	s->covered.na[25] = 1;
	__builtin_memcpy(s->covered.na + 26, holder->mac, MAC_LEN);
	checksum = fold(bpf_csum_diff(0, 0, (__u32 *)&s->covered, sizeof(s->covered), 0));
	__builtin_memcpy(s->covered.na + 2, &checksum, sizeof(checksum));

	__builtin_memcpy(s->answer.eth.destination, f->eth.source, MAC_LEN);
	__builtin_memcpy(s->answer.eth.source, holder->mac, MAC_LEN);
	s->answer.eth.type = htons(ETHERTYPE_IPV6);
	s->answer.ip[0] = 0x60;
	s->answer.ip[5] = NA_LEN;
	s->answer.ip[6] = PROTO_ICMPV6;
	s->answer.ip[7] = HOP_LIMIT_ND;
	copy_addr(s->answer.ip + 8, key.addr);
	copy_addr(s->answer.ip + 24, f->ip.source);
	__builtin_memcpy(s->answer.na, s->covered.na, NA_LEN);
	if (bpf_skb_change_tail(skb, sizeof(s->answer), 0) < 0 ||
	    bpf_skb_store_bytes(skb, 0, &s->answer, sizeof(s->answer), BPF_F_INVALIDATE_HASH) < 0)
		return V_INTERNAL;
	f->target = skb->ifindex;
	return V_ND_ANSWERED;
}

/*
 * Whether a known row, or else that the guest may form it and the agent learn it, stands behind an address: the packet's
 * source, or the target of Neighbour Discovery.
 */
enum standing { FOREIGN, LEARNABLE, KNOWN };
enum of { SOURCE, TARGET };
STAGE int standing(__u32 of)
{
	struct frame *f = frame();
	const __u8 *addr;

	if (!f)
		return FOREIGN;
	addr = of == SOURCE ? f->ip.source : f->head + 8;
	if (source_row(f, addr))
		return KNOWN;
	if (is_link_local(addr))
		return is_service_link_local(addr, f->port.net) ? FOREIGN : LEARNABLE;
	return is_learnable(f, addr) ? LEARNABLE : FOREIGN;
}

/*
 * A duplicate-address probe. The physical segment sees it, too, unless another port has the address or the guest may not
 * take it: whoever checks the same address at that moment gives it up.
 */
STAGE int nd_probe(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct neighbour_key key = {};
	struct neighbour *holder;

	if (!f)
		return V_INTERNAL;
	if (is_multicast(f->head + 8) || is_ipv4_mapped(f->head + 8) || !is_multicast(f->ip.destination))
		return V_ND_MALFORMED;
	if (f->nested)
		return NEXT;
	key.net = f->port.net;
	copy_addr(key.addr, f->head + 8);
	holder = bpf_map_lookup_elem(&neigh, &key);
	if ((!holder || holder->port == f->port.port) && standing(TARGET) != FOREIGN)
		segment_copies(skb);
	return punt(skb, R_NS_DAD);
}

STAGE int nd_solicit_neighbour(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct neighbour_key key = {};
	struct neighbour *holder;
	int source;

	if (!f)
		return V_INTERNAL;
	if (is_multicast(f->head + 8) || is_ipv4_mapped(f->head + 8))
		return V_ND_MALFORMED;
	source = guarded(f) ? standing(SOURCE) : KNOWN;
	if (source == FOREIGN)
		return V_SOURCE_SPOOFED;
	/* The agent answers once it has learned the address, or found whose it is. */
	if (source == LEARNABLE)
		return punt(skb, R_NS_SOURCE);
	if (source_row(f, f->head + 8))
		return V_ND_OWN_ADDRESS;
	key.net = f->port.net;
	copy_addr(key.addr, f->head + 8);
	holder = bpf_map_lookup_elem(&neigh, &key);
	if (!holder && f->nested)
		return NEXT;
	if (!holder)
		return f->port.flags & PORT_UPLINK ? to_segment(skb, V_UNKNOWN_UNICAST) : punt(skb, R_NS_TARGET);
	return holder->port == f->port.port ? V_ND_OWN_ADDRESS : nd_answer(skb);
}

STAGE int nd_advertise_neighbour(struct __sk_buff *skb)
{
	struct frame *f = frame();
	int target;

	if (!f)
		return V_INTERNAL;
	if (is_multicast(f->head + 8) || is_ipv4_mapped(f->head + 8))
		return V_ND_MALFORMED;
	if (standing(SOURCE) == FOREIGN)
		return V_SOURCE_SPOOFED;
	target = standing(TARGET);
	if (target == FOREIGN)
		return V_ND_SPOOFED;
	/* To the service: it answers a question of the agent, which asks now and then whether an address is still in use. */
	if (target == LEARNABLE || is_service_link_local(f->ip.destination, f->port.net))
		return punt(skb, R_NA);
	return source_row(f, f->ip.source) ? to_segment(skb, V_NA_CONSUMED) : V_NA_CONSUMED;
}

STAGE int nd(struct __sk_buff *skb)
{
	struct frame *f = frame();
	int verdict;

	if (!f)
		return V_INTERNAL;
	if (!guarded(f) && (f->head[0] == ND_RA || f->head[0] == ND_REDIRECT || f->head[0] == ND_NA))
		return NEXT;
	if (f->head[0] == ND_RA)
		return V_ROUTER_ADVERTISEMENT;
	if (f->head[0] == ND_REDIRECT)
		return V_REDIRECT;
	if (f->fragment != WHOLE)
		return V_FRAGMENTED_CONTROL;
	if (f->extensions)
		return V_EXTENDED_CONTROL;
	verdict = nd_valid(skb, f, f->head[0] == ND_RS ? RS_LEN : ND_LEN);
	if (verdict)
		return verdict;
	if (f->head[0] == ND_NS)
		return is_unspecified(f->ip.source) ? nd_probe(skb) : nd_solicit_neighbour(skb);
	if (f->head[0] == ND_NA)
		return nd_advertise_neighbour(skb);
	if (f->nested)
		return NEXT;
	if (guarded(f) && !is_unspecified(f->ip.source) && standing(SOURCE) == FOREIGN)
		return V_SOURCE_SPOOFED;
	if (f->port.flags & PORT_OUTSIDE_RA && is_multicast(f->ip.destination))
		segment_copies(skb);
	return punt(skb, R_RS);
}

/* What the guest listens to: noted, and told to the segment, whose switches may send groups only where they are reported. */
STAGE int mld(struct __sk_buff *skb)
{
	struct frame *f = frame();
	int verdict;

	if (!f)
		return V_INTERNAL;
	if (f->fragment != WHOLE)
		return V_FRAGMENTED_CONTROL;
	if (!is_unspecified(f->ip.source) && !is_link_local(f->ip.source))
		return V_MLD_MALFORMED;
	if (guarded(f) && !is_unspecified(f->ip.source) && standing(SOURCE) == FOREIGN)
		return V_SOURCE_SPOOFED;
	verdict = mld_listen(skb);
	return verdict ? verdict : to_segment(skb, V_MLD_CONSUMED);
}

STAGE int icmpv6(struct __sk_buff *skb)
{
	struct frame *f = frame();

	if (!f)
		return V_INTERNAL;
	switch (f->head[0]) {
	case MLD_QUERY:
		return mld_query(skb);
	case MLD_REPORT_1:
	case MLD_DONE_1:
	case MLD_REPORT_2:
		return mld(skb);
	case ND_RS ... ND_REDIRECT:
		return nd(skb);
	case ROUTER_RENUMBERING:
	case INVERSE_ND_SOLICITATION ... INVERSE_ND_ADVERTISEMENT:
	case CERTIFICATION_PATH_SOLICITATION ... CERTIFICATION_PATH_ADVERTISEMENT:
	case MULTICAST_ROUTER_ADVERTISEMENT ... MULTICAST_ROUTER_TERMINATION:
		return guarded(f) ? V_NDP_OTHER : NEXT;
	default:
		return NEXT;
	}
}

/* ff02::1:2, All_DHCP_Relay_Agents_and_Servers (RFC 9915 section 7.1). */
INLINE int is_all_dhcp_servers(const __u8 *addr)
{
	return addr[0] == 0xff && addr[1] == 0x02 && !addr[2] && !addr[3] && !addr[4] && !addr[5] && !addr[6] &&
	       !addr[7] && !addr[8] && !addr[9] && !addr[10] && !addr[11] && !addr[12] && addr[13] == 1 &&
	       !addr[14] && addr[15] == 2;
}

STAGE int udp(struct __sk_buff *skb)
{
	struct frame *f = frame();
	__u16 port;

	if (!f)
		return V_INTERNAL;
	port = f->head[2] << 8 | f->head[3];
	/* By the destination port: a rogue server need not answer from 547. */
	if (port == DHCPV6_CLIENT)
		return guarded(f) ? V_DHCPV6_SERVER : NEXT;
	if (port != DHCPV6_SERVER || f->nested ||
	    !(is_all_dhcp_servers(f->ip.destination) || is_service_link_local(f->ip.destination, f->port.net)))
		return NEXT;
	if (f->fragment != WHOLE)
		return V_FRAGMENTED_CONTROL;
	if (f->extensions)
		return V_EXTENDED_CONTROL;
	if (guarded(f) && standing(SOURCE) == FOREIGN)
		return V_SOURCE_SPOOFED;
	if (f->port.flags & PORT_OUTSIDE_DHCPV6 && is_multicast(f->ip.destination))
		segment_copies(skb);
	return punt(skb, R_DHCPV6);
}

INLINE int control(struct __sk_buff *skb, const struct frame *f)
{
	__u32 port;

	if (f->fragment == LATER || is_arp(f))
		return NEXT;
	if (f->ipv4)
		return control_ipv4(skb, f);
	if (f->proto == PROTO_ICMPV6)
		return f->head[0] >= MLD_QUERY ? icmpv6(skb) : NEXT;
	port = f->head[2] << 8 | f->head[3];
	return f->proto == PROTO_UDP && (port == DHCPV6_CLIENT || port == DHCPV6_SERVER) ? udp(skb) : NEXT;
}
