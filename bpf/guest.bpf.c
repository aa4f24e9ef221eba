/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * The fast path of a guest link: runs where the guest's frames come in (the host's end of a veth, or a tap), and judges
 * for the receiving port too. No frame goes on into the host's own stack.
 *
 * Loads on Linux 6.1 and later by any loader: UAPI headers only.
 */
#include "frame.h"
#include "maps.h"
#include "stages/control.h"
#include "stages/count.h"
#include "stages/deliver.h"
#include "stages/guard.h"
#include "stages/parse.h"

#define TC_ACT_SHOT 2

char licence[] SEC("license") = "Dual BSD/GPL";

INLINE int judge(struct __sk_buff *skb)
{
	int verdict = admit(skb);

	if (!verdict)
		verdict = parse(skb);
	if (!verdict)
		verdict = control(skb);
	if (!verdict)
		verdict = guard();
	if (!verdict)
		verdict = deliver(skb);
	return verdict;
}

SEC("classifier")
int guest(struct __sk_buff *skb)
{
	struct frame *f = frame();
	struct trace *t = trace();
	int verdict;

	if (!f)
		return TC_ACT_SHOT;
	f->port.port = 0;
	f->target = 0;
	if (t)
		__builtin_memset(t, 0, sizeof(*t));
	verdict = judge(skb);
	count(skb, verdict);
	if (t) {
		t->verdict = verdict;
		t->target = f->target;
	}
	if (verdict == V_UNICAST || verdict == V_ND_ANSWERED || verdict == V_ARP_ANSWERED)
		return bpf_redirect(f->target, 0);
	return TC_ACT_SHOT;
}
