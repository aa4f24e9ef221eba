/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * Showing a frame to the agent: a budget for each port, then a record in the ring. Records wait there for the next agent
 * when there is none.
 */
#pragma once

#include "../frame.h"

#define SECOND 1000000000ull

/* Of the burst, what frames may use up that only show a source: the rest is kept for what asks for an answer. */
#define SOURCE_SHARE 4

/*
 * The ring is everybody's. While half of it waits for the agent, which is busy then, or away, each port has this besides:
 * those who say much leave room for those who say little.
 */
#define SCARCE_PER_SECOND 2
#define SCARCE_BURST 8

/*
 * Takes one frame of a rate, or 0. The generic cell rate algorithm (ITU-T I.371): `due` is the time at which the next frame
 * is due at the steady rate, which may lie a burst ahead.
 */
INLINE int take(__u64 *due, __u64 interval, __u64 tolerance, __u64 now)
{
	/* Another CPU may take a frame at the same moment; whoever loses four times has lost. */
	for (int i = 0; i < 4; i++) {
		__u64 old = *(volatile __u64 *)due;
		__u64 start = old > now ? old : now;

		if (start > now + tolerance)
			return 0;
		if (__sync_val_compare_and_swap(due, old, start + interval) == old)
			return 1;
	}
	return 0;
}

/* One frame of the port's budget: NEXT, or why not. */
INLINE int spend(__u32 port, __u32 reason, __u64 now)
{
	__u64 interval = SECOND / (punt_per_second ? punt_per_second : 1);
	__u64 tolerance = interval * (punt_burst ? punt_burst - 1 : 0);
	struct budget *row = bpf_map_lookup_elem(&budget, &port);

	if (reason == R_SOURCE)
		tolerance /= SOURCE_SHARE;
	if (!row) {
		struct budget fresh = {};

		bpf_map_update_elem(&budget, &port, &fresh, BPF_NOEXIST);
		row = bpf_map_lookup_elem(&budget, &port);
		if (!row)
			return V_PUNT_BUDGET;
	}
	if (!take(&row->due, interval, tolerance, now))
		return V_PUNT_BUDGET;
	if (bpf_ringbuf_query(&punt_ring, BPF_RB_AVAIL_DATA) <= bpf_ringbuf_query(&punt_ring, BPF_RB_RING_SIZE) / 2)
		return NEXT;
	interval = SECOND / SCARCE_PER_SECOND;
	return take(&row->scarce, interval, interval * (SCARCE_BURST - 1), now) ? NEXT : V_PUNT_FULL;
}

STAGE int punt_small(struct __sk_buff *skb, __u32 length)
{
	struct frame *f = frame();
	__u32 rest = length - 1; /* bounded, plus one: so that Linux 6.1 sees a size of at least 1 */
	struct punt_small *record;

	OPAQUE(rest);
	if (!f || rest > PUNT_SMALL - 1)
		return V_INTERNAL;
	record = bpf_ringbuf_reserve(&punt_ring, sizeof(*record), 0);
	if (!record)
		return V_PUNT_FULL;
	record->head = f->punt;
	if (bpf_skb_load_bytes(skb, 0, record->frame, rest + 1) < 0) {
		bpf_ringbuf_discard(record, 0);
		return V_INTERNAL;
	}
	bpf_ringbuf_submit(record, 0);
	return V_PUNTED;
}

STAGE int punt_large(struct __sk_buff *skb, __u32 length)
{
	struct frame *f = frame();
	__u32 rest = length - 1;
	struct punt_large *record;

	OPAQUE(rest);
	if (!f || rest > PUNT_LARGE - 1)
		return V_INTERNAL;
	record = bpf_ringbuf_reserve(&punt_ring, sizeof(*record), 0);
	if (!record)
		return V_PUNT_FULL;
	record->head = f->punt;
	if (bpf_skb_load_bytes(skb, 0, record->frame, rest + 1) < 0) {
		bpf_ringbuf_discard(record, 0);
		return V_INTERNAL;
	}
	bpf_ringbuf_submit(record, 0);
	return V_PUNTED;
}

/* The whole frame, but what fits a small record of one that says no more than that the guest is there, or its source. */
STAGE int punt(struct __sk_buff *skb, __u32 reason)
{
	struct frame *f = frame();
	__u32 length = skb->len;
	struct trace *t;
	__u64 now;
	int verdict;

	if (!f)
		return V_INTERNAL;
	if ((reason == R_FIRST_FRAME || reason == R_SOURCE) && length > PUNT_SMALL)
		length = PUNT_SMALL;
	if (length > PUNT_LARGE)
		return V_PUNT_TOO_LONG;
	now = bpf_ktime_get_ns();
	verdict = spend(f->port.port, reason, now);
	if (verdict)
		return verdict;
	f->punt.ktime = now;
	f->punt.ifindex = skb->ifindex;
	f->punt.port = f->port.port;
	f->punt.net = f->port.net;
	f->punt.reason = reason;
	f->punt.length = length;
	f->punt.whole = skb->len;
	verdict = length <= PUNT_SMALL ? punt_small(skb, length) : punt_large(skb, length);
	t = trace();
	if (t && verdict == V_PUNTED)
		t->reason = reason;
	return verdict;
}
