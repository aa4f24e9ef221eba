/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/* Counters per port and verdict. A full table has the newest pairs counted together, by verdict. */
#pragma once

#include "../frame.h"

/* One packet more. */
INLINE void add(struct __sk_buff *skb, const struct frame *f, __u32 verdict)
{
	struct counter_key key = { .port = f->port.port, .verdict = verdict };
	struct counter *counter;

	counter = bpf_map_lookup_elem(&counters, &key);
	if (!counter) {
		struct counter fresh = {};

		bpf_map_update_elem(&counters, &key, &fresh, BPF_NOEXIST);
		counter = bpf_map_lookup_elem(&counters, &key);
		if (!counter) {
			key.port = UNATTRIBUTED;
			counter = bpf_map_lookup_elem(&counters, &key);
		}
		if (!counter)
			return;
	}
	counter->packets += 1;
	counter->bytes += skb->len;
}

/* The same for a stage. */
STAGE int count(struct __sk_buff *skb, __u32 verdict)
{
	struct frame *f = frame();

	if (!f)
		return V_INTERNAL;
	add(skb, f, verdict);
	return NEXT;
}
