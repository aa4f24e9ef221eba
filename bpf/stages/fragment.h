/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * Which first fragments were passed, so that later ones may follow. Each port has places of its own, in sets: of one set the
 * least recently used place is taken again, so that a guest can push out its own fragments alone.
 */
#pragma once

#include "../frame.h"

#define FRAGMENT_NS 30000000000ull /* how long later fragments may follow their first */

INLINE __u32 low_word(const __u8 *addr)
{
	__u32 word;

	__builtin_memcpy(&word, addr + ADDR_LEN - sizeof(word), sizeof(word));
	return word;
}

/* The row of the frame's first fragment; none: `key` is where it would stand. */
INLINE struct fragment *fragment_row(const struct frame *f, struct fragment_key *key)
{
	/* Fibonacci hashing: the highest bits depend on all. */
	__u32 hash = (f->fragment_id ^ low_word(f->ip.source) ^ low_word(f->ip.destination)) * 0x9e3779b1u;
	__u32 set = (hash >> (32 - FRAGMENT_SET_BITS)) * FRAGMENT_WAYS;
	__u64 oldest = ~0ull;
	__u32 place = set;
	struct fragment *row;

	key->port = f->port.port;
#pragma unroll
	for (int way = 0; way < FRAGMENT_WAYS; way++) {
		key->place = set + way;
		row = bpf_map_lookup_elem(&first_fragments, key);
		if (row && row->id == f->fragment_id && same_addr(row->source, f->ip.source) &&
		    same_addr(row->destination, f->ip.destination))
			return row;
		if (oldest && (!row || row->used < oldest)) {
			oldest = row ? row->used : 0;
			place = key->place;
		}
	}
	key->place = place;
	return 0;
}

/* Later fragments of the frame's packet may follow. */
STAGE int note_first_fragment(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct fragment_key key = {};
	struct fragment value = {};

	if (!skb || !f)
		return V_INTERNAL;
	fragment_row(f, &key);
	value.used = bpf_ktime_get_ns();
	value.until = value.used + FRAGMENT_NS;
	value.end = f->part_end;
	value.id = f->fragment_id;
	copy_addr(value.source, f->ip.source);
	copy_addr(value.destination, f->ip.destination);
	bpf_map_update_elem(&first_fragments, &key, &value, BPF_ANY);
	return NEXT;
}

/* Whether a later fragment follows a first one that was passed, and leaves it as it was judged. */
STAGE int follows_first(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct fragment_key key = {};
	struct fragment *first;
	__u64 now = bpf_ktime_get_ns();

	if (!skb || !f)
		return V_INTERNAL;
	first = fragment_row(f, &key);
	if (!first || first->until <= now)
		return V_ORPHAN_FRAGMENT;
	first->used = now;
	/* The first was judged by its headers, which must not be written over. */
	return f->part < first->end ? V_OVERLAPPING_FRAGMENT : NEXT;
}
