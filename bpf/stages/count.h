/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/* Counters per port and verdict. A full table has the newest pairs counted together, by verdict. */
#pragma once

#include "../frame.h"

STAGE int count(struct __sk_buff *skb, __u32 verdict)
{
	struct frame *f = frame();
	struct counter_key key = { .verdict = verdict };
	struct counter *counter;

	if (!f)
		return V_INTERNAL;
	key.port = f->port.port;
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
			return NEXT;
	}
	counter->packets += 1;
	counter->bytes += skb->len;
	return NEXT;
}
