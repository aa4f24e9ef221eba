/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * Source guard: the source address is one of the port's, unless the port is unguarded. The Ethernet source was checked on
 * admission. The agent is shown what comes from an address that the guest may form but that was not seen to be checked
 * (RFC 6620 section 3.2.3).
 */
#pragma once

#include "../frame.h"
#include "fragment.h"
#include "punt.h"

INLINE int guard(struct __sk_buff *skb, struct frame *f)
{
	struct source *source;

	if (!guarded(f))
		return NEXT;
	source = source_row(f, f->ip.source);
	if (!source) {
		if (!is_learnable(f, f->ip.source))
			return V_SOURCE_SPOOFED;
		punt(skb, R_SOURCE);
		return V_SOURCE_UNPROVEN;
	}
	if (source->flags & SOURCE_LOCAL_ONLY)
		return V_SOURCE_LOCAL_ONLY;
	/* Written once between two looks of the agent. By one instruction, as the row may be another's by then. */
	if ((source->flags & (SOURCE_LEARNED | SOURCE_USED)) == SOURCE_LEARNED)
		__sync_fetch_and_or(&source->flags, SOURCE_USED);
	return f->fragment == LATER ? follows_first(skb) : NEXT;
}
