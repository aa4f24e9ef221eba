/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * Who listens to which group (RFC 2710, RFC 3810), as a switch finds it out (RFC 4541 section 3): from the guests' reports. They are
 * read here, so that joining takes effect with the report, whether the agent is there or not, and costs nobody but the
 * guest. The agent asks the guests, as their querier.
 *
 * Whatever is not known to be unwanted is delivered: to a guest that never reported, or was not asked yet, to one with more
 * groups than there are places, and to one that routes multicast.
 */
#pragma once

#include "../frame.h"
#include "count.h"

#define MLD_QUERY 130
#define MLD_REPORT_1 131
#define MLD_DONE_1 132
#define MLD_REPORT_2 143
#define MLD_1_LEN 24 /* RFC 2710 section 3 */
#define MLD_2_LEN 8 /* RFC 3810 section 5.2, without records */
#define MLD_RECORDS_MAX 512 /* of one report: more than the packets of any guest have */
#define HOP_LIMIT_MLD 1

/* RFC 3810 section 5.2.12. */
#define MODE_IS_INCLUDE 1
#define MODE_IS_EXCLUDE 2
#define CHANGE_TO_INCLUDE 3
#define CHANGE_TO_EXCLUDE 4
#define ALLOW_NEW_SOURCES 5

/* How long a guest has for its answer to the agent's first question: three times the time that the question gives it. */
#define SETTLED_NS 3000000000ull

struct mld_record {
	__u8 type;
	__u8 aux; /* words behind the sources */
	__u16 sources; /* how many; as on the wire */
	__u8 group[ADDR_LEN];
};
_Static_assert(sizeof(struct mld_record) == 20, "as on the wire");

/*
 * Groups that every port gets: what is never reported (RFC 2710 section 5: all nodes, and scopes below the link's), routers'
 * and solicited nodes', on which Neighbour Discovery depends.
 */
INLINE int is_for_all(const __u8 *group)
{
	__u8 set = 0;

	if ((group[1] & 0xf) < 2)
		return 1;
	if (group[1] != 2)
		return 0;
#pragma unroll
	for (int i = 2; i < 11; i++)
		set |= group[i];
	if (set)
		return 0;
	if (group[11])
		return group[11] == 1 && group[12] == 0xff;
	return !group[12] && !group[13] && !group[14] && (group[15] == 1 || group[15] == 2);
}

/* All MLDv2 routers and all PIM routers: who listens there wants every group's traffic (RFC 4541 section 2.1.1). */
INLINE int is_routers(const __u8 *group)
{
	__u8 set = group[1] ^ 2;

#pragma unroll
	for (int i = 2; i < 15; i++)
		set |= group[i];
	return !set && (group[15] == 0x16 || group[15] == 0x0d);
}

INLINE int same_group(const struct group *g, const struct frame *f)
{
	const __u64 *words = (const __u64 *)g->addr;

	return words[0] == f->group[0] && words[1] == f->group[1];
}

/* The group that is meant from now on, and the times that decide about it. */
INLINE void regard(struct frame *f, const __u8 *group)
{
	__u32 zero = 0;
	__u64 *over = bpf_map_lookup_elem(&group_horizon, &zero);

	__builtin_memcpy(f->group, group, ADDR_LEN);
	f->now = bpf_ktime_get_ns();
	f->over = over ? *over : 0;
}

/* Whether the guest of this port is to get what is sent to the group. */
STAGE int listens(__u32 port)
{
	struct frame *f = frame();
	struct listener *l = bpf_map_lookup_elem(&listeners, &port);

	if (!f || !l || !l->reported || l->since + SETTLED_NS > f->now || l->all > f->over)
		return 1;
	for (int i = 0; i < GROUPS_MAX; i++)
		if (l->groups[i].reported > f->over && same_group(&l->groups[i], f))
			return 1;
	return 0;
}

/* The port's guest listens to the group: 0 when there was no place for that. Of several CPUs that want one place, one gets it. */
STAGE int join(__u32 port)
{
	struct frame *f = frame();
	struct listener *l = bpf_map_lookup_elem(&listeners, &port);
	__u64 old;

	if (!f || !l)
		return 1;
	if (is_routers((const __u8 *)f->group))
		l->all = f->now;
	if (is_for_all((const __u8 *)f->group))
		return 1;
	for (int i = 0; i < GROUPS_MAX; i++) {
		if (same_group(&l->groups[i], f)) {
			l->groups[i].reported = f->now;
			return 1;
		}
	}
	for (int i = 0; i < GROUPS_MAX; i++) {
		old = *(volatile __u64 *)&l->groups[i].reported;
		if (old <= f->over && __sync_val_compare_and_swap(&l->groups[i].reported, old, f->now) == old) {
			__builtin_memcpy(l->groups[i].addr, f->group, ADDR_LEN);
			return 1;
		}
	}
	l->all = f->now;
	return 0;
}

/*
 * The port's guest listens no more: at once, as it is the only one. Behind an unguarded port there may be several: what one
 * leaves another may still want, so it is forgotten by its age.
 */
STAGE int leave(__u32 port)
{
	struct frame *f = frame();
	struct listener *l = bpf_map_lookup_elem(&listeners, &port);

	if (!f || !l || !guarded(f))
		return 0;
	for (int i = 0; i < GROUPS_MAX; i++) {
		if (same_group(&l->groups[i], f)) {
			l->groups[i].reported = 0;
			return 0;
		}
	}
	return 0;
}

/* A report in the reading. */
struct report {
	struct __sk_buff *skb;
	__u32 offset, end;
	__u32 records; /* that it says it has */
	__u32 full;
	__u32 malformed;
};

/* One record of a report (RFC 3810 section 5.2). A listener of some sources is one of the group. */
static long read_record(__u32 index, struct report *r)
{
	struct mld_record record;
	struct frame *f = frame();

	if (!f || index >= r->records)
		return 1;
	r->malformed = r->offset + sizeof(record) > r->end ||
		       bpf_skb_load_bytes(r->skb, r->offset, &record, sizeof(record)) < 0;
	if (r->malformed)
		return 1;
	r->offset += sizeof(record) + ntohs(record.sources) * ADDR_LEN + record.aux * 4;
	r->malformed = r->offset > r->end || !is_multicast(record.group);
	if (r->malformed)
		return 1;
	regard(f, record.group);
	switch (record.type) {
	case MODE_IS_INCLUDE:
	case CHANGE_TO_INCLUDE:
	case ALLOW_NEW_SOURCES:
		if (!record.sources) {
			leave(f->port.port);
			return 0;
		}
		break;
	case MODE_IS_EXCLUDE:
	case CHANGE_TO_EXCLUDE:
		break;
	default:
		return 0;
	}
	if (!join(f->port.port))
		r->full = 1;
	return 0;
}

/* Notes what a guest says of the groups that it listens to. */
STAGE int mld_listen(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct report r = { .skb = skb };
	struct listener *l;
	__u32 kind, length;

	if (!f)
		return V_INTERNAL;
	kind = f->head[0];
	length = f->end - f->l4;
	if (f->ip.hop_limit != HOP_LIMIT_MLD || length < (kind == MLD_REPORT_2 ? MLD_2_LEN : MLD_1_LEN) ||
	    (kind != MLD_REPORT_2 && !is_multicast(f->head + 8)))
		return V_MLD_MALFORMED;
	l = bpf_map_lookup_elem(&listeners, &f->port.port);
	if (!l)
		return NEXT;
	if (kind == MLD_REPORT_2) {
		r.offset = f->l4 + MLD_2_LEN;
		r.end = f->end;
		r.records = f->head[6] << 8 | f->head[7];
		bpf_loop(MLD_RECORDS_MAX, read_record, &r, 0);
		if (r.records > MLD_RECORDS_MAX) {
			l->all = bpf_ktime_get_ns();
			r.full = 1;
		}
	} else {
		regard(f, f->head + 8);
		if (kind == MLD_DONE_1)
			leave(f->port.port);
		else if (!join(f->port.port))
			r.full = 1;
	}
	if (r.malformed)
		return V_MLD_MALFORMED;
	l->reported = bpf_ktime_get_ns();
	if (r.full)
		count(skb, V_MLD_FULL);
	return NEXT;
}

/* A querier that may speak, behind a port without port security: it routes multicast. */
STAGE int mld_query(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct listener *l;

	if (!skb || !f)
		return V_INTERNAL;
	if (guarded(f))
		return V_MLD_QUERY;
	l = bpf_map_lookup_elem(&listeners, &f->port.port);
	if (l)
		l->all = bpf_ktime_get_ns();
	return NEXT;
}
