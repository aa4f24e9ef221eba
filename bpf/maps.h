/* SPDX-License-Identifier: Apache-2.0 OR BSD-2-Clause OR GPL-2.0-only */
/*
 * The maps: the contract between the agent and the program. Each struct has a Rust mirror in the agent's
 * kernel/maps/raw.rs; a test holds both against this file's BTF. A change here is a new schema version.
 *
 * Numbers are in host byte order, addresses as on the wire, those of IPv4 mapped into IPv6. `net` is the network's VNI. Maps that the agent writes are
 * plain hashes: a full one refuses the newest row and never evicts a live one.
 */
#pragma once

#include "helpers.h"

#define ADDR_LEN 16
#define MAC_LEN 6

enum verdict {
#define VERDICT(value, name, kind, why) V_##name = value,
#include "verdicts.def"
#undef VERDICT
	VERDICT_MAX = 128,
};

enum punt_reason {
#define REASON(value, name, why) R_##name = value,
#include "reasons.def"
#undef REASON
};

/* Of struct port. */
#define PORT_ADMIN_UP 1u
#define PORT_UNGUARDED 2u
/* The link is a veth pair whose other end is in another namespace than the host's: frames go right there. */
#define PORT_DIRECT 4u
/* Of struct port, where the network is a physical segment: what the guest is to hear of others there. */
#define PORT_OUTSIDE_RA 0x100u
#define PORT_OUTSIDE_DHCPV6 0x200u
#define PORT_OUTSIDE_DHCPV4 0x400u
/* Of struct port: the network has a row in uplinks. */
#define PORT_UPLINK 0x800u
/* Of struct source: other guests must not see it, another port of the network holds it. */
#define SOURCE_LOCAL_ONLY 1u
/* The guest formed it by itself: its use is noted. */
#define SOURCE_LEARNED 2u
/* Set by the program when it passes a frame from a learned source, cleared by the agent when that has seen it. */
#define SOURCE_USED 4u
/* Of struct neighbour: the answer's R flag. */
#define NEIGHBOUR_ROUTER 1u

struct port {
	__u32 port; /* number, never used again; at least 1 */
	__u32 net;
	__u32 flags;
	__u32 mtu; /* largest IP packet, bytes */
	__u8 mac[MAC_LEN];
	__u8 pad[2];
};
_Static_assert(sizeof(struct port) == 24, "no hidden padding");

struct source_key {
	__u32 port;
	__u8 addr[ADDR_LEN];
};
_Static_assert(sizeof(struct source_key) == 20, "no hidden padding");

struct source {
	__u32 flags;
};

/* Of which prefixes a port's guest may form addresses: the port, then the prefix. */
struct learnable_key {
	__u32 prefix_len; /* bits, with the 32 of the port */
	__u32 port;
	__u8 addr[ADDR_LEN];
};
_Static_assert(sizeof(struct learnable_key) == 24, "no hidden padding");
#define LEARNABLE_BITS(bits) (32 + (bits))

struct learnable {
	__u32 flags; /* none so far */
};

struct neighbour_key {
	__u32 net;
	__u8 addr[ADDR_LEN];
};
_Static_assert(sizeof(struct neighbour_key) == 20, "no hidden padding");

struct neighbour {
	__u8 mac[MAC_LEN];
	__u8 pad[2];
	__u32 port; /* whose it is; 0: the service's */
	__u32 flags;
};
_Static_assert(sizeof(struct neighbour) == 16, "no hidden padding");

struct fdb_key {
	__u32 net;
	__u8 mac[MAC_LEN];
	__u8 pad[2];
};
_Static_assert(sizeof(struct fdb_key) == 12, "no hidden padding");

struct fdb {
	__u32 ifindex;
};

/* A network's ports, in chunks 0, 1, ... without gaps: only the last may have fewer than MEMBERS_PER_CHUNK. */
#define MEMBERS_PER_CHUNK 64
#define MEMBER_CHUNKS 16
struct members_key {
	__u32 net;
	__u32 chunk;
};
struct members {
	__u32 count;
	__u32 ifindex[MEMBERS_PER_CHUNK];
};
_Static_assert(sizeof(struct members) == 4 + 4 * MEMBERS_PER_CHUNK, "no hidden padding");

/* The groups that a port's guest listens to, of those that are sent to listeners alone. */
#define GROUPS_MAX 32
struct group {
	__u64 reported; /* ns of CLOCK_MONOTONIC; as old as group_horizon, or 0: the place is free */
	__u8 addr[ADDR_LEN];
};
_Static_assert(sizeof(struct group) == 24, "no hidden padding");
struct listener {
	__u64 since; /* whatever is reported from then on is here; the agent asks the guest at that time */
	__u64 reported; /* when something was reported last; 0: never */
	__u64 all; /* when it last was to hear every group: it has no place for one, or routes multicast */
	struct group groups[GROUPS_MAX];
};
_Static_assert(sizeof(struct listener) == 24 + 24 * GROUPS_MAX, "no hidden padding");

/* The NIC that leads to the physical segment that a network is. */
struct uplink {
	__u32 ifindex;
	__u8 mac[MAC_LEN]; /* the host's own there */
	__u8 pad[2];
};
_Static_assert(sizeof(struct uplink) == 12, "no hidden padding");

/* The same from the other side: the network that a NIC leads to. */
struct nic {
	__u32 net;
	__u32 mtu; /* of the network, bytes: guests get nothing larger */
	__u32 flags; /* the agent's own notes */
};

/* Of a port's first fragments, in sets (stages/fragment.h). */
#define FRAGMENT_SET_BITS 3
#define FRAGMENT_WAYS 4
struct fragment_key {
	__u32 port;
	__u32 place; /* below FRAGMENT_WAYS << FRAGMENT_SET_BITS */
};

struct fragment {
	__u64 until; /* ns of CLOCK_MONOTONIC */
	__u64 used; /* the same: when one of its packet came last */
	__u32 end; /* offset behind what the first fragment holds */
	__u32 id; /* as on the wire */
	__u8 source[ADDR_LEN];
	__u8 destination[ADDR_LEN];
};
_Static_assert(sizeof(struct fragment) == 56, "no hidden padding");

/* What a port may show to the agent: when its next frame is due, ns of CLOCK_MONOTONIC (stages/punt.h). */
struct budget {
	__u64 due;
	__u64 scarce; /* the same while room is scarce in the ring */
};

/* Stands for a network's physical segment where a port's number stands else; ports' numbers stay below. */
#define SEGMENT 0x80000000u

/* What ports counted that are gone, kept by the agent so that sums never fall. */
#define DEPARTED 0x7fffffffu

/* What was counted while the table had no room for another port and verdict. The agent makes these rows beforehand. */
#define UNATTRIBUTED 0x7ffffffeu

struct counter_key {
	__u32 port; /* 0: the link has no row in ports; SEGMENT and the network: of its physical segment; DEPARTED; UNATTRIBUTED */
	__u32 verdict;
};
struct counter {
	__u64 packets;
	__u64 bytes;
};

/* The head of a punt record; `length` bytes of the frame follow. */
struct punt_head {
	__u64 ktime; /* ns of CLOCK_MONOTONIC */
	__u32 ifindex;
	__u32 port;
	__u32 net;
	__u32 reason; /* enum punt_reason */
	__u32 length; /* bytes of the frame in this record */
	__u32 whole; /* bytes of the whole frame; more than length only for a first frame */
};
_Static_assert(sizeof(struct punt_head) == 32, "no hidden padding");
#define PUNT_SMALL (256 - sizeof(struct punt_head))
#define PUNT_LARGE (2048 - sizeof(struct punt_head))
struct punt_small {
	struct punt_head head;
	__u8 frame[PUNT_SMALL];
};
struct punt_large {
	struct punt_head head;
	__u8 frame[PUNT_LARGE];
};

/* The stages, in their order: where a frame's verdict came from. */
enum stage {
	STAGE_NONE,
	STAGE_ADMIT,
	STAGE_PARSE,
	STAGE_CONTROL,
	STAGE_GUARD,
	STAGE_DELIVER,
};

/* What was decided about the last frame on this CPU, where the loader asks for it (`trace`). */
struct trace {
	__u32 verdict;
	__u32 target; /* ifindex of the redirect; 0: none */
	__u32 reason; /* of the last punt record; 0: none */
	__u32 copies; /* multicast copies made */
	__u32 stage; /* enum stage that decided; the last one reached */
	__u32 proto; /* upper layer, where parse got so far */
	__u32 extensions; /* headers walked */
	__u32 fragment; /* enum fragment_state */
};

#define MAP(map_name, map_type, key_type, value_type, entries, flags) \
	struct { \
		__uint(type, map_type); \
		__uint(max_entries, entries); \
		__uint(map_flags, flags); \
		__type(key, key_type); \
		__type(value, value_type); \
	} map_name SEC(".maps")

/* Written by the agent. Key of ports: the ifindex of the link's host end. */
MAP(ports, BPF_MAP_TYPE_HASH, __u32, struct port, 16384, 0);
MAP(sources, BPF_MAP_TYPE_HASH, struct source_key, struct source, 65536, 0);
MAP(learnable, BPF_MAP_TYPE_LPM_TRIE, struct learnable_key, struct learnable, 65536, BPF_F_NO_PREALLOC);
MAP(neigh, BPF_MAP_TYPE_HASH, struct neighbour_key, struct neighbour, 262144, BPF_F_NO_PREALLOC);
MAP(fdb, BPF_MAP_TYPE_HASH, struct fdb_key, struct fdb, 262144, BPF_F_NO_PREALLOC);
MAP(members, BPF_MAP_TYPE_HASH, struct members_key, struct members, 16384, BPF_F_NO_PREALLOC);

/* Rows by the agent, groups in them by the program. Key: the port's number. */
MAP(listeners, BPF_MAP_TYPE_HASH, __u32, struct listener, 16384, BPF_F_NO_PREALLOC);
/* What was reported before this time is over: ns of CLOCK_MONOTONIC. Moved on by an agent that asks, and by no other. */
MAP(group_horizon, BPF_MAP_TYPE_ARRAY, __u32, __u64, 1, 0);

/* Key of uplinks: the network; of nics: the ifindex. */
MAP(uplinks, BPF_MAP_TYPE_HASH, __u32, struct uplink, 1024, BPF_F_NO_PREALLOC);
MAP(nics, BPF_MAP_TYPE_HASH, __u32, struct nic, 1024, BPF_F_NO_PREALLOC);

/* Written by the program, cleared by the agent. Key of seen and budget: the port's number. */
MAP(seen, BPF_MAP_TYPE_HASH, __u32, __u64, 16384, BPF_F_NO_PREALLOC);
MAP(budget, BPF_MAP_TYPE_HASH, __u32, struct budget, 16384, BPF_F_NO_PREALLOC);
MAP(first_fragments, BPF_MAP_TYPE_HASH, struct fragment_key, struct fragment, 524288, BPF_F_NO_PREALLOC);
MAP(counters, BPF_MAP_TYPE_PERCPU_HASH, struct counter_key, struct counter, 262144, BPF_F_NO_PREALLOC);

/* Written by the program only. When somebody on a physical segment last advertised an address that no port of this host has: ns of CLOCK_MONOTONIC. */
MAP(objections, BPF_MAP_TYPE_LRU_HASH, struct neighbour_key, __u64, 8192, 0);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} punt_ring SEC(".maps");

MAP(traces, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct trace, 1, 0);

/* Set by the loader. */
const volatile __u32 punt_per_second = 200; /* frames of one port shown to the agent, each second */
const volatile __u32 punt_burst = 400; /* and at once */
const volatile __u32 trace_enabled = 0;
const volatile __u32 dry_run = 0; /* nothing leaves: a copy is counted, not made */
