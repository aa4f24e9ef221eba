/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * The fast path. `guest` runs where a guest's frames come in (the host's end of a veth, or a tap), and judges for the
 * receiving port too; no frame goes on into the host's own stack. `uplink` runs on a NIC that leads to a physical
 * segment, both ways: what comes in from there, and what the host itself sends there.
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
#include "stages/segment.h"
#include "stages/uplink.h"

#define PACKET_HOST 0 /* linux/if_packet.h */
#define TC_ACT_SHOT 2
#define TC_ACT_UNSPEC -1 /* as if this program were not there */

char licence[] SEC("license") = "Dual BSD/GPL";

INLINE int judge(struct __sk_buff *skb, struct frame *f)
{
	int verdict;

	reach(STAGE_ADMIT);
	verdict = admit(skb, f);
	if (verdict)
		return verdict;
	reach(STAGE_PARSE);
	verdict = parse(skb, f);
	if (verdict)
		return verdict;
	reach(STAGE_CONTROL);
	verdict = control(skb, f);
	if (verdict)
		return verdict;
	reach(STAGE_GUARD);
	verdict = guard(skb, f);
	if (verdict)
		return verdict;
	reach(STAGE_DELIVER);
	return deliver(skb, f);
}

/*
 * To the other end of this link's pair at once: neither by the host's end nor by the queue of what the CPU has received.
 * Linux before 6.15 does not see to it that the frame, whose MAC is not that of the link it came in by, is one for the receiver.
 */
INLINE int hand_over(struct __sk_buff *skb, __u32 ifindex)
{
	bpf_skb_change_type(skb, PACKET_HOST);
	return bpf_redirect_peer(ifindex, 0);
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
	f->direct = 0;
	f->lost = 0;
	if (t)
		__builtin_memset(t, 0, sizeof(*t));
	verdict = judge(skb, f);
	add(skb, f, verdict);
	if (f->lost)
		count(skb, V_COPY_FAILED);
	/* Looked up again: the verifier does not follow a test that the compiler keeps for later. */
	t = trace();
	if (t) {
		t->verdict = verdict;
		t->target = f->target;
		if (t->stage > STAGE_PARSE) {
			t->proto = f->proto;
			t->extensions = f->extensions;
			t->fragment = f->fragment;
		}
	}
	if (verdict == V_UPLINK_HOST || (verdict == V_UPLINK && f->target)) {
		skb->mark = FROM_GUEST;
		return bpf_redirect(f->target, verdict == V_UPLINK_HOST ? BPF_F_INGRESS : 0);
	}
	if (f->direct)
		return hand_over(skb, f->target);
	if (verdict == V_UNICAST || verdict == V_ND_ANSWERED || verdict == V_ARP_ANSWERED)
		return bpf_redirect(f->target, 0);
	return TC_ACT_SHOT;
}

SEC("classifier")
int uplink(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ifindex, tagged = skb->vlan_present, tci = skb->vlan_tci;
	struct frame *f = frame();
	struct trace *t = trace();
	struct nic *nic;
	int verdict;

	if (skb->mark == FROM_GUEST) {
		skb->mark = 0;
		return TC_ACT_UNSPEC;
	}
	nic = bpf_map_lookup_elem(&nics, &ifindex);
	if (!f || !nic)
		return TC_ACT_UNSPEC;
	__builtin_memset(&f->port, 0, sizeof(f->port));
	f->port.port = SEGMENT | nic->net;
	f->port.net = nic->net;
	f->port.mtu = nic->mtu;
	f->target = 0;
	f->lost = 0;
	if (t)
		__builtin_memset(t, 0, sizeof(*t));
	verdict = segment_judge(skb);
	count(skb, verdict);
	if (f->lost)
		count(skb, V_COPY_FAILED);
	if (t) {
		t->verdict = verdict;
		t->target = f->target;
	}
	if (verdict == V_SEGMENT_UNICAST)
		return bpf_redirect(f->target, 0);
	/* The host, or the wire, gets the frame as it was. */
	if (tagged && !skb->vlan_present)
		bpf_skb_vlan_push(skb, htons(ETHERTYPE_VLAN), tci);
	/* Only what is for a guest alone is kept from the host, or from the wire. */
	return f->target ? TC_ACT_SHOT : TC_ACT_UNSPEC;
}
