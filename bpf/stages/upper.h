/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/* The first bytes of the upper layer, and the size that leaves: the same for both families. */
#pragma once

#include "../frame.h"

/* How much of the upper layer must be there for the frame to be judged. */
INLINE __u32 upper_len(__u32 proto)
{
	if (proto == PROTO_NONE)
		return 0;
	return proto == PROTO_TCP ? TCP_LEN : ICMPV6_LEN;
}

STAGE int upper(struct __sk_buff *skb)
{
	struct frame *f = frame();
	__u32 have, want;

	if (!f)
		return V_INTERNAL;
	__builtin_memset(f->head, 0, sizeof(f->head));
	if (f->fragment == LATER)
		return NEXT;
	have = f->end - f->l4;
	want = upper_len(f->proto);
	if (have < want)
		return f->fragment == FIRST ? V_TINY_FRAGMENT : V_MALFORMED;
	if (have >= ND_LEN)
		return bpf_skb_load_bytes(skb, f->l4, f->head, ND_LEN) < 0 ? V_MALFORMED : NEXT;
	if (have >= TCP_LEN)
		return bpf_skb_load_bytes(skb, f->l4, f->head, TCP_LEN) < 0 ? V_MALFORMED : NEXT;
	if (have >= ICMPV6_LEN)
		return bpf_skb_load_bytes(skb, f->l4, f->head, ICMPV6_LEN) < 0 ? V_MALFORMED : NEXT;
	return NEXT;
}

/*
 * Whether the kernel may cut this IPv4 datagram of a guest into fragments (VIRTIO_NET_HDR_GSO_UDP), of which the size counts the
 * UDP header, rather than into datagrams, of which it does not. The program is not told. Fragments are of whole eight octets, and
 * only of what comes by a tap the kernel does not count the segments.
 */
INLINE int fragments_datagrams(const struct __sk_buff *skb, const struct frame *f)
{
	return f->ipv4 && f->proto == PROTO_UDP && !skb->gso_segs && skb->gso_size % 8 == 0;
}

/*
 * The size that leaves: of a GSO packet each segment, else the frame without its Ethernet header. A fragment of IPv6 has a header
 * as long as UDP's.
 */
INLINE __u32 wire_len(struct __sk_buff *skb, const struct frame *f)
{
	__u32 header = UDP_LEN;

	if (!skb->gso_size)
		return skb->len - ETH_LEN;
	if (f->proto == PROTO_TCP)
		header = (f->head[12] >> 4) * 4;
	else if (fragments_datagrams(skb, f))
		header = 0;
	return f->l4 - ETH_LEN + header + skb->gso_size;
}
