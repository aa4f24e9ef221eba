/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * Source guard: the source address is one of the port's, unless the port is unguarded. The Ethernet source was checked on
 * admission.
 */
#pragma once

#include "../frame.h"

STAGE int guard(void)
{
	struct frame *f = frame();
	struct source *source;
	struct fragment_key key = {};
	struct fragment *first;

	if (!f)
		return V_INTERNAL;
	if (!guarded(f))
		return NEXT;
	source = source_row(f, f->ip.source);
	if (!source)
		return V_SOURCE_SPOOFED;
	if (source->flags & SOURCE_LOCAL_ONLY)
		return V_SOURCE_LOCAL_ONLY;
	if (f->fragment != LATER)
		return NEXT;
	key.port = f->port.port;
	key.id = f->fragment_id;
	copy_addr(key.source, f->ip.source);
	copy_addr(key.destination, f->ip.destination);
	first = bpf_map_lookup_elem(&first_fragments, &key);
	if (!first || first->until <= bpf_ktime_get_ns())
		return V_ORPHAN_FRAGMENT;
	/* The first was judged by its headers, which must not be written over. */
	return f->part < first->end ? V_OVERLAPPING_FRAGMENT : NEXT;
}
