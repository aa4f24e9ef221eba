/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * L2 lookup and delivery: unicast by MAC to one port, multicast to the network's other ports; where the network is a
 * physical segment, by its NIC, too. The receiving port's row is judged here, as nothing runs on the way out.
 */
#pragma once

#include "../frame.h"
#include "fragment.h"
#include "mld.h"
#include "segment.h"

#define MEMBERS_MAX (MEMBERS_PER_CHUNK * MEMBER_CHUNKS)

/* Whether this row is of a port of this network that is to hear what needs these flags. An old row is not. */
INLINE int is_receiver(const struct port *port, __u32 net, __u32 needs)
{
	return port && port->net == net && (port->flags & needs) == needs;
}

/* The same of the port that this link carries. A reused ifindex does not. */
INLINE int hears(__u32 ifindex, __u32 net, __u32 needs)
{
	return is_receiver(bpf_map_lookup_elem(&ports, &ifindex), net, needs);
}

/* Whether this link carries an active port of this network. */
INLINE int receives(__u32 ifindex, __u32 net)
{
	return hears(ifindex, net, PORT_ADMIN_UP);
}

struct replication {
	struct __sk_buff *skb;
	__u32 net;
	__u32 sender;
	__u32 needs; /* flags of the receiver's row */
	__u32 copies; /* not at a multiple of 8: the verifier would follow each of its values */
	__u32 failed;
	__u32 narrow; /* 1: only for who listens to the group */
};
_Static_assert(__builtin_offsetof(struct replication, copies) % 8 == 4, "see there");

/* Whether the frame is for listeners only. IPv4's groups are for all: IGMP is not followed. */
INLINE int narrow(struct frame *f)
{
	if (f->ipv4 || is_arp(f) || is_for_all(f->ip.destination))
		return 0;
	regard(f, f->ip.destination);
	return 1;
}

static long replicate_one(__u32 index, struct replication *r)
{
	struct members_key key = { .net = r->net, .chunk = index / MEMBERS_PER_CHUNK };
	__u32 place = index % MEMBERS_PER_CHUNK;
	struct members *chunk = bpf_map_lookup_elem(&members, &key);
	struct port *port;
	__u32 ifindex;

	if (!chunk || place >= chunk->count)
		return 1;
	ifindex = chunk->ifindex[place];
	if (ifindex == r->sender)
		return 0;
	port = bpf_map_lookup_elem(&ports, &ifindex);
	if (!is_receiver(port, r->net, r->needs) || (r->narrow && !listens(port->port)))
		return 0;
	if (!dry_run && bpf_clone_redirect(r->skb, ifindex, 0) < 0)
		r->failed++;
	else
		r->copies++;
	return 0;
}

/* Whether the Ethernet group is the one of the destination (RFC 2464 section 7, RFC 1112 section 6.4). */
INLINE int group_fits(const struct frame *f)
{
	const __u8 *mac = f->eth.destination;
	const __u8 *group = f->ip.destination;

	if (!f->ipv4 && !is_arp(f))
		return is_multicast(group) && mac[0] == 0x33 && mac[1] == 0x33 && mac[2] == group[12] &&
		       mac[3] == group[13] && mac[4] == group[14] && mac[5] == group[15];
	if (f->ipv4 && group[12] >> 4 == 0xe)
		return mac[0] == 0x01 && mac[1] == 0x00 && mac[2] == 0x5e && mac[3] == (group[13] & 0x7f) &&
		       mac[4] == group[14] && mac[5] == group[15];
	/* A subnet's broadcast address looks like any other: who is not meant drops it (RFC 1122 section 3.3.6). */
	return mac[0] == 0xff && mac[1] == 0xff && mac[2] == 0xff && mac[3] == 0xff && mac[4] == 0xff &&
	       mac[5] == 0xff;
}

STAGE int replicate(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct replication r = { .skb = skb, .sender = skb->ifindex, .needs = PORT_ADMIN_UP };
	struct trace *t;

	if (!f)
		return V_INTERNAL;
	if (!group_fits(f))
		return V_GROUP_MISMATCH;
	r.net = f->port.net;
	r.narrow = narrow(f);
	bpf_loop(MEMBERS_MAX, replicate_one, &r, 0);
	f->lost = r.failed;
	r.copies += segment_copies(skb);
	t = trace();
	if (t)
		t->copies = r.copies;
	return r.copies ? V_MULTICAST : V_NO_RECEIVER;
}

INLINE int unicast(struct __sk_buff *skb, struct frame *f)
{
	struct fdb_key key = {};
	struct port *receiver;
	struct fdb *row;
	__u32 ifindex;

	if (is_service_mac(f->eth.destination, f->port.net))
		return V_SERVICE_UNSERVED;
	key.net = f->port.net;
	__builtin_memcpy(key.mac, f->eth.destination, MAC_LEN);
	row = bpf_map_lookup_elem(&fdb, &key);
	if (!row)
		return segment_unicast(skb);
	ifindex = row->ifindex;
	if (ifindex == skb->ifindex)
		return V_HAIRPIN;
	receiver = bpf_map_lookup_elem(&ports, &ifindex);
	if (!is_receiver(receiver, f->port.net, PORT_ADMIN_UP))
		return V_RECEIVER_DOWN;
	f->target = ifindex;
	f->direct = !!(receiver->flags & PORT_DIRECT);
	return V_UNICAST;
}

INLINE int deliver(struct __sk_buff *skb, struct frame *f)
{
	int verdict = f->eth.destination[0] & 1 ? replicate(skb) : unicast(skb, f);

	if (f->fragment == FIRST && (verdict == V_UNICAST || verdict == V_MULTICAST || verdict == V_UPLINK ||
				     verdict == V_UPLINK_HOST))
		note_first_fragment(skb);
	return verdict;
}
