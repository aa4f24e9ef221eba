/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * What the stages know about the frame in hand: per-CPU scratch that each stage reads again. A stage returns NEXT or the
 * verdict.
 */
#pragma once

#include "maps.h"

#define NEXT 0

#define ETH_LEN 14
#define IPV6_LEN 40
#define IPV4_LEN 20
#define IPV4_ADDR_LEN 4
#define L4_OFFSET_MIN (ETH_LEN + IPV6_LEN)

#define ETHERTYPE_IPV4 0x0800
#define ETHERTYPE_ARP 0x0806
#define ETHERTYPE_VLAN 0x8100
#define ETHERTYPE_IPV6 0x86dd
#define ETHERTYPE_QINQ 0x88a8
#define ETHERTYPE_MIN 0x0600 /* below: a length (IEEE 802.3) */

#define PROTO_HOP_BY_HOP 0
#define PROTO_ICMP 1
#define PROTO_IGMP 2
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ROUTING 43
#define PROTO_FRAGMENT 44
#define PROTO_AH 51
#define PROTO_ICMPV6 58
#define PROTO_NONE 59
#define PROTO_DESTINATION 60
#define PROTO_MOBILITY 135
#define PROTO_HIP 139
#define PROTO_SHIM6 140

enum fragment_state {
	WHOLE,
	ATOMIC, /* a fragment header, yet the whole packet (RFC 6946) */
	FIRST,
	LATER,
};

struct ethernet {
	__u8 destination[MAC_LEN];
	__u8 source[MAC_LEN];
	__u16 type; /* as on the wire */
};
_Static_assert(sizeof(struct ethernet) == ETH_LEN, "as on the wire");

struct ipv6 {
	__u8 version_class_flow[4];
	__u16 payload_len; /* as on the wire */
	__u8 next;
	__u8 hop_limit;
	__u8 source[ADDR_LEN];
	__u8 destination[ADDR_LEN];
};
_Static_assert(sizeof(struct ipv6) == IPV6_LEN, "as on the wire");

#define PACKET_MAX 65535 /* bytes behind the IPv6 header, or of an IPv4 packet, put together again */
#define ND_LEN 24 /* Neighbor Solicitation and Advertisement without options (RFC 4861 sections 4.3, 4.4) */
#define FIRST_LEN (L4_OFFSET_MIN + ND_LEN) /* as much of a frame as decides about most */
#define RS_LEN 8
#define ICMPV6_LEN 8
#define UDP_LEN 8
#define TCP_LEN 20

struct frame {
	struct port port;
	__u16 pad; /* what follows it lies as in the frame, its addresses aligned */
	union {
		__u8 first[FIRST_LEN];
		struct {
			struct ethernet eth;
			struct ipv6 ip; /* of IPv4 only the addresses, mapped (RFC 4291 section 2.5.5.2) */
			__u8 head[ND_LEN]; /* the first bytes of the upper layer; zero where there are fewer */
		};
	};
	__u32 at_once; /* 1: all of `first` was read in one step */
	__u32 ipv4; /* 1: it is an IPv4 packet */
	__u32 nested; /* 1: not from the port's own MAC, which an unguarded port may */
	__u32 l4; /* offset of the upper-layer header */
	__u32 end; /* offset behind the packet */
	__u32 fragment; /* enum fragment_state */
	__u32 fragment_id; /* as on the wire */
	__u32 part, part_end; /* what of the whole a fragment holds: offsets, bytes */
	__u32 extensions; /* headers walked, the fragment header included */
	__u32 proto;
	__u32 target; /* ifindex chosen by a stage */
	__u32 direct; /* 1: what that link's other end is to get goes right there */
	__u32 lost; /* copies that the kernel refused */
	struct punt_head punt; /* of the record in the making */
	__u64 group[2]; /* the group that is meant */
	__u64 now, over; /* the time; until when reports of groups are over */
};

_Static_assert(__builtin_offsetof(struct frame, ip) % 8 == 0, "addresses are aligned");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct frame);
} scratch SEC(".maps");

INLINE struct frame *frame(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

INLINE struct trace *trace(void)
{
	__u32 zero = 0;

	return trace_enabled ? bpf_map_lookup_elem(&traces, &zero) : 0;
}

/* Whether the port's guest is held to its MAC and addresses, and to what hosts say rather than routers and servers. */
INLINE int guarded(const struct frame *f)
{
	return !(f->port.flags & PORT_UNGUARDED);
}

INLINE int is_arp(const struct frame *f)
{
	return f->eth.type == htons(ETHERTYPE_ARP);
}

/* Notes how far the frame came. Nothing where nobody traces: the constant is known when the program is loaded. */
INLINE void reach(__u32 stage)
{
	struct trace *t = trace();

	if (t)
		t->stage = stage;
}

/* Bytes that are aligned to four, or to two, as one. */
typedef __u32 __attribute__((may_alias)) word;
typedef __u16 __attribute__((may_alias)) half_word;

INLINE int same_mac(const __u8 *a, const __u8 *b)
{
	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3] && a[4] == b[4] && a[5] == b[5];
}

/* Whether it is from the port's MAC. Both are aligned. */
INLINE int is_own_mac(const struct frame *f)
{
	const half_word *source = (const half_word *)f->eth.source;
	const half_word *own = (const half_word *)f->port.mac;

	return source[0] == own[0] && source[1] == own[1] && source[2] == own[2];
}

/* `a` and `b` are aligned to four bytes or less; compared by bytes so that no alignment is assumed. */
INLINE int same_addr(const __u8 *a, const __u8 *b)
{
	__u8 differs = 0;

#pragma unroll
	for (int i = 0; i < ADDR_LEN; i++)
		differs |= a[i] ^ b[i];
	return !differs;
}

INLINE void copy_addr(__u8 *to, const __u8 *from)
{
#pragma unroll
	for (int i = 0; i < ADDR_LEN; i++)
		to[i] = from[i];
}

INLINE int is_unspecified(const __u8 *addr)
{
	__u8 set = 0;

#pragma unroll
	for (int i = 0; i < ADDR_LEN; i++)
		set |= addr[i];
	return !set;
}

INLINE int is_link_local(const __u8 *addr)
{
	return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

INLINE int is_multicast(const __u8 *addr)
{
	return addr[0] == 0xff;
}

/* ::ffff:a.b.c.d: how an IPv4 address stands in the frame and in the maps. `to` is aligned to four bytes. */
INLINE void map_ipv4(__u8 *to, const __u8 *from)
{
	word *words = (word *)to;

	words[0] = 0;
	words[1] = 0;
	words[2] = htonl(0xffff);
	__builtin_memcpy(to + 12, from, IPV4_ADDR_LEN);
}

/* `addr` is aligned to four bytes. */
INLINE int is_ipv4_mapped(const __u8 *addr)
{
	const word *words = (const word *)addr;

	return !(words[0] | words[1] | (words[2] ^ htonl(0xffff)));
}

/* The network's service address: 02:68:78 and the VNI; its EUI-64 link-local. The agent has the same rule. */
INLINE int is_service_mac(const __u8 *mac, __u32 net)
{
	return mac[0] == 0x02 && mac[1] == 0x68 && mac[2] == 0x78 && mac[3] == (__u8)(net >> 16) &&
	       mac[4] == (__u8)(net >> 8) && mac[5] == (__u8)net;
}

INLINE int is_service_link_local(const __u8 *addr, __u32 net)
{
	return addr[0] == 0xfe && addr[1] == 0x80 && !addr[2] && !addr[3] && !addr[4] && !addr[5] && !addr[6] &&
	       !addr[7] && addr[8] == 0x00 && addr[9] == 0x68 && addr[10] == 0x78 && addr[11] == 0xff &&
	       addr[12] == 0xfe && addr[13] == (__u8)(net >> 16) && addr[14] == (__u8)(net >> 8) &&
	       addr[15] == (__u8)net;
}

/*
 * What of the whole a fragment holds, or a verdict: RFC 8200 section 4.5 has receivers discard what ends beyond the largest
 * packet, and what is no whole number of eight octets with more to come. `headers`: what the whole has before it, bytes.
 */
INLINE int fragment_part(struct frame *f, __u32 offset, __u32 length, int more, __u32 headers)
{
	f->part = offset;
	f->part_end = offset + length;
	if (headers + f->part_end > PACKET_MAX || (more && length % 8) || (offset && !length))
		return V_MALFORMED;
	return NEXT;
}

/* The port's row for this address, which is aligned to four bytes; none: the port may not use it. */
INLINE struct source *source_row(const struct frame *f, const __u8 *addr)
{
	struct source_key key = { .port = f->port.port };

#pragma unroll
	for (int i = 0; i < ADDR_LEN / 4; i++)
		((word *)key.addr)[i] = ((const word *)addr)[i];
	return bpf_map_lookup_elem(&sources, &key);
}

/* Whether the port's guest may form this address by itself, and the agent learn it. */
INLINE int is_learnable(const struct frame *f, const __u8 *addr)
{
	struct learnable_key key = { .prefix_len = LEARNABLE_BITS(8 * ADDR_LEN), .port = f->port.port };

	copy_addr(key.addr, addr);
	return bpf_map_lookup_elem(&learnable, &key) != 0;
}
