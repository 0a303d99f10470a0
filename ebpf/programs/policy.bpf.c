/* Network policy: every packet of an endpoint gets a verdict with a reason. docs/adr/0006-policy-data-path.md. */
#include "ebpf/programs/policy/track.h"

/* Counts, tells what is new or dropped, and turns the reason into what the kernel does. */
static __always_inline int conclude(struct __sk_buff *skb, const struct policy_endpoint *e, const struct packet *p, struct outcome *o) {
  const int dropped = is_drop(o->reason);
  count(o->direction, o->reason, skb->len);
  if (e->flags & POLICY_AUDIT) o->flags |= POLICY_EVENT_AUDIT;
  if (dropped || (o->reason != POLICY_REASON_CONNECTION && o->reason != POLICY_REASON_NEIGHBOUR &&
                  o->reason != POLICY_REASON_DEFERRED && o->reason != POLICY_REASON_NOT_OURS))
    report(skb, p, o);
  return dropped && !(e->flags & POLICY_AUDIT) ? DROP : PASS;
}

/* Of an endpoint that could not be read as a whole nothing is known: closed. */
static __always_inline int conclude_torn(struct __sk_buff *skb, struct policy_endpoint *e, struct packet *p, struct outcome *o) {
  e->flags = 0;
  __builtin_memset(p, 0, sizeof(*p));
  return conclude(skb, e, p, o);
}

/* The verdict on a packet that waited for address translation. 0, or why it is dropped, which has been told already.
 * `client` says who sent it; `e` is room for the sender's endpoint. */
static __noinline int redeem(struct __sk_buff *skb, const struct packet *p, struct policy_endpoint *e, struct client *client) {
  const __u32 index = ticket_of(skb);
  const __u64 now = clock_now();
  struct outcome o = {.direction = POLICY_EGRESS, .rule = POLICY_NO_RULE, .reason = POLICY_REASON_TICKET};
  const struct policy_ticket *ticket = bpf_map_lookup_elem(&tickets, &index);
  /* A ticket that was issued anew while its packet waited for a neighbour's answer is another pod's. */
  if (!ticket || now - ticket->issued_ns > 5ULL * 1000000000 || ticket->connection.protocol != p->protocol ||
      read_endpoint(ticket->ifindex, POLICY_POD, e) != ENDPOINT_FOUND ||
      (!same_address(&p->source, &ticket->connection.local) && identity_of(&p->source, e->epoch) & POLICY_POD_BIT)) {
    count(POLICY_EGRESS, POLICY_REASON_TICKET, skb->len);
    report(skb, p, &o);
    return POLICY_REASON_TICKET;
  }
  const struct policy_connection_key *key = &ticket->connection;
  client->ifindex = o.ifindex = ticket->ifindex;
  client->identity = o.source_identity = e->identity;
  client->address = key->local;
  o.set = e->egress_set;
  struct place place;
  const int known = find_connection(key, hash_of(key), &place);
  if (p->flags & PACKET_LATER_FRAGMENT) {
    if (known && place.connection.state != POLICY_CONNECTION_DEFERRED) return 0;
    o.reason = POLICY_REASON_FRAGMENT_WITHOUT_FIRST;
    return conclude(skb, e, p, &o) == DROP ? o.reason : 0;
  }
  if (e->egress_set) {
    o.destination_identity = identity_of(&p->destination, e->epoch);
    const int self = is_own(e, &p->destination);
    const __u32 verdict = self ? POLICY_NO_RULE | VERDICT_ACCEPT
                               : judge_end(e, POLICY_EGRESS, o.destination_identity, p->protocol, p->destination_port);
    o.rule = (__u16)verdict;
    o.reason = self ? POLICY_REASON_SELF : (__u8)verdict_reason(verdict);
    if (conclude(skb, e, p, &o) == DROP) {
      if (known) forget_connection(key);
      return o.reason;
    }
  }
  if (!known) return 0;
  if (e->egress_set) {
    place.connection.audit = is_drop(o.reason);
    place.connection.epoch = e->epoch;
  }
  if (place.connection.translated == NOT_SEEN_BEHIND_NAT) place.connection.translated = JUDGED_BEHIND_NAT;
  /* Also of a pod that may send anything: the first policy for it judges its connections by where they went. */
  if (!same_address(&p->destination, &key->remote) || p->destination_port != key->remote_port) {
    const struct policy_translation became = {.remote = p->destination, .remote_port = p->destination_port};
    bpf_map_update_elem(&translations, key, &became, BPF_ANY);
    place.connection.translated = ADDRESS_CHANGED;
  }
  if (place.connection.state == POLICY_CONNECTION_DEFERRED) place.connection.state = POLICY_CONNECTION_NEW;
  write_state(&place);
  return 0;
}

/* Connection or verdict; the packet is parsed and no forgery. */
static __always_inline int track(struct __sk_buff *skb, struct scratch *s, struct outcome *o) {
  struct policy_endpoint *e = &s->endpoint;
  struct packet *p = &s->packet;
  const int to_endpoint = o->direction == POLICY_INGRESS;
  if (p->flags & (PACKET_FIRST_FRAGMENT | PACKET_LATER_FRAGMENT)) {
    o->reason = (__u8)resolve_fragment(p, e->id);
    if (o->reason) return conclude(skb, e, p, o);
  }
  if (p->flags & PACKET_ICMP_ERROR) {
    o->reason = is_related(skb, s, e->id, to_endpoint) ? POLICY_REASON_RELATED : POLICY_REASON_UNRELATED_ICMP;
    return conclude(skb, e, p, o);
  }
  connection_key(&s->key, e->id, p, to_endpoint);
  const __u64 now = clock_now();
  const __u64 hash = hash_of(&s->key);
  struct place place;
  const int known = find_connection(&s->key, hash, &place);
  o->reason = 0;
  if (known && !is_idle(&place, policy_seen(now)))
    o->reason = (__u8)continue_connection(skb, e, p, &s->key, &place, o->direction, now);
  if (!o->reason) open_connection(skb, e, p, &s->key, hash, &place, known, &s->client, o, now);
  return conclude(skb, e, p, o);
}

/* Neighbour discovery with a destination that the node would forward to where nobody judges. */
static __always_inline int may_be_routed(const struct packet *p, __u32 epoch) {
  const struct policy_address *to = &p->destination;
  if (to->bytes[0] == 0xff || is_link_local(to) || is_nodes(to)) return 0;
  return !(identity_of(to, epoch) & POLICY_POD_BIT); /* a pod's device sees that the hop limit fell */
}

static __always_inline int pod(struct __sk_buff *skb, __u32 direction) {
  struct scratch *scratch = get_scratch();
  if (!scratch) return DROP; /* cannot be */
  struct policy_endpoint *e = &scratch->endpoint;
  struct packet *p = &scratch->packet;
  const int found = read_endpoint(skb->ifindex, POLICY_POD, e);
  if (found == ENDPOINT_NONE) return PASS;
  const int from = direction == POLICY_EGRESS;
  struct outcome o = {.ifindex = skb->ifindex, .direction = (__u8)direction, .rule = POLICY_NO_RULE};
  o.reason = POLICY_REASON_TORN;
  if (found == ENDPOINT_TORN) return conclude_torn(skb, e, p, &o);
  if (from && ticket_of(skb)) clear_ticket(skb); /* not the pod's to give */
  o.reason = (__u8)parse_frame(skb, e, from, p);
  if (o.reason) return conclude(skb, e, p, &o);
  if (from && p->flags & PACKET_NEIGHBOUR && may_be_routed(p, e->epoch)) p->flags &= ~PACKET_NEIGHBOUR;
  if (from && is_spoofed(skb, e, p)) o.reason = POLICY_REASON_SPOOFED_SOURCE;
  else if (p->flags & PACKET_NEIGHBOUR) o.reason = POLICY_REASON_NEIGHBOUR;
  else if (e->flags & POLICY_CLOSED) o.reason = POLICY_REASON_CLOSED;
  if (o.reason) return conclude(skb, e, p, &o);
  const int waiting = !from && ticket_of(skb);
  if (waiting && redeem(skb, p, &scratch->sender, &scratch->client)) return DROP;
  const int verdict = track(skb, scratch, &o);
  if (waiting) clear_ticket(skb);
  return verdict;
}

/* tc ingress of a pod's device on the node. */
SEC("tc")
int policy_from_endpoint(struct __sk_buff *skb) { return pod(skb, POLICY_EGRESS); }

/* tc egress of a pod's device on the node. */
SEC("tc")
int policy_to_endpoint(struct __sk_buff *skb) { return pod(skb, POLICY_INGRESS); }

static __always_inline int is_denied(const struct policy_address *address) {
  const struct policy_prefix key = {.length = 128, .address = *address};
  return bpf_map_lookup_elem(&deny, &key) != 0;
}

static __always_inline int is_group(const struct packet *p) {
  const __u8 *d = p->destination.bytes;
  return p->flags & PACKET_V4 ? d[12] >= 224 : d[0] == 0xff;
}

/* Traffic of the node itself over an uplink. What it forwards is not judged, but followed, so that replies to a
 * masqueraded pod are no strangers. */
static __always_inline int host(struct __sk_buff *skb, struct scratch *scratch, __u32 direction) {
  struct policy_endpoint *e = &scratch->endpoint;
  const struct packet *p = &scratch->packet;
  const int ingress = direction == POLICY_INGRESS;
  struct outcome o = {.ifindex = skb->ifindex, .direction = (__u8)direction, .rule = POLICY_NO_RULE};
  if (p->flags & PACKET_NEIGHBOUR) return PASS;
  if (is_denied(ingress ? &p->source : &p->destination)) {
    o.reason = POLICY_REASON_DENY_LIST;
    return conclude(skb, e, p, &o);
  }
  if (ingress && !is_nodes(&p->destination) && !is_group(p)) return PASS;
  if (!ingress && !is_nodes(&p->source)) return PASS;
  if (!ingress && !is_from_own_node(skb)) e->egress_set = 0;
  scratch->client.identity = 0; /* known to its pod's policy; here it is the node */
  return track(skb, scratch, &o);
}

/* tc ingress of an uplink under HostPolicy. */
SEC("tc")
int policy_enter(struct __sk_buff *skb) {
  struct scratch *scratch = get_scratch();
  if (!scratch) return PASS; /* cannot be */
  struct policy_endpoint *e = &scratch->endpoint;
  struct packet *p = &scratch->packet;
  const int found = read_endpoint(skb->ifindex, POLICY_HOST, e);
  if (found == ENDPOINT_NONE) return PASS;
  struct outcome o = {.ifindex = skb->ifindex, .direction = POLICY_INGRESS, .rule = POLICY_NO_RULE, .reason = POLICY_REASON_TORN};
  if (found == ENDPOINT_TORN) return conclude_torn(skb, e, p, &o);
  o.reason = (__u8)parse_frame(skb, e, 0, p);
  if (o.reason == POLICY_REASON_NEIGHBOUR || o.reason == POLICY_REASON_UNKNOWN_ETHERTYPE) return PASS;
  if (o.reason) return conclude(skb, e, p, &o);
  return host(skb, scratch, POLICY_INGRESS);
}

/* tc egress of every device that is no pod's: verdicts that waited for address translation, and the node's own traffic. */
SEC("tc")
int policy_leave(struct __sk_buff *skb) {
  struct scratch *scratch = get_scratch();
  if (!scratch) return DROP; /* cannot be */
  struct policy_endpoint *e = &scratch->endpoint;
  struct packet *p = &scratch->packet;
  const int waiting = ticket_of(skb) != 0;
  const int found = read_endpoint(skb->ifindex, POLICY_HOST | POLICY_NO_L2 | POLICY_BRIDGE, e);
  struct outcome o = {.ifindex = skb->ifindex, .direction = POLICY_EGRESS, .rule = POLICY_NO_RULE, .reason = POLICY_REASON_TORN};
  if (found == ENDPOINT_TORN) return conclude_torn(skb, e, p, &o);
  if (found == ENDPOINT_NONE) e->flags = 0;
  if (!waiting && !(e->flags & POLICY_HOST)) return PASS;
  o.reason = (__u8)parse_frame(skb, e, 0, p);
  if (o.reason == POLICY_REASON_NEIGHBOUR || (o.reason == POLICY_REASON_UNKNOWN_ETHERTYPE && !waiting)) return PASS;
  if (o.reason) return conclude(skb, e, p, &o);
  if (waiting) {
    if (redeem(skb, p, &scratch->sender, &scratch->client)) return DROP;
    if (!(e->flags & POLICY_BRIDGE)) clear_ticket(skb);
  }
  return e->flags & POLICY_HOST ? host(skb, scratch, POLICY_EGRESS) : PASS;
}

/* Verdicts that waited and end in a socket of the node. The packet begins with its IP header; 1 lets it pass. */
SEC("cgroup_skb/ingress")
int policy_deliver(struct __sk_buff *skb) {
  if (!ticket_of(skb)) return 1;
  struct policy_endpoint e = {.flags = POLICY_NO_L2};
  struct packet p;
  struct client client = {};
  if (parse_frame(skb, &e, 0, &p)) return 0;
  return redeem(skb, &p, &e, &client) == 0;
}

/* The hosts' deny list before anything else, for floods. */
SEC("xdp")
int policy_xdp_deny(struct xdp_md *ctx) {
  const __u8 *data = (const __u8 *)(long)ctx->data;
  const __u8 *end = (const __u8 *)(long)ctx->data_end;
  if (data + ETH_HLEN + 40 > end && data + ETH_HLEN + 20 > end) return XDP_PASS;
  const __u16 type = *(const __u16 *)(const void *)(data + 12);
  struct policy_prefix key = {.length = 128};
  if (type == bpf_htons(ETH_P_IP)) {
    map_v4(&key.address, *(const __u32 *)(const void *)(data + ETH_HLEN + 12));
  } else if (type == bpf_htons(ETH_P_IPV6) && data + ETH_HLEN + 40 <= end) {
    key.address = *(const struct policy_address *)(const void *)(data + ETH_HLEN + 8);
  } else {
    return XDP_PASS;
  }
  if (!bpf_map_lookup_elem(&deny, &key)) return XDP_PASS;
  count(POLICY_INGRESS, POLICY_REASON_DENY_LIST, (__u32)(ctx->data_end - ctx->data));
  return XDP_DROP;
}

char policy_license[] SEC("license") = "GPL";
