/* What happens to a parsed packet of an endpoint: its connection if it has one, else a verdict. */
#pragma once

#include "ebpf/programs/policy/connection.h"

enum { PASS = -1, DROP = 2 }; /* TCX_NEXT and TC_ACT_UNSPEC, TCX_DROP and TC_ACT_SHOT */

/* `translated` of a connection. */
enum {
  JUDGED_AS_SENT = 0,
  JUDGED_BEHIND_NAT = 1,
  ADDRESS_CHANGED = 2,
  NOT_SEEN_BEHIND_NAT = 3, /* by nobody: a socket of the node has it, and policy_deliver was not needed */
};

static __always_inline __u32 verdict_reason(__u32 verdict) {
  const __u32 no_rule = (verdict & VERDICT_RULE) == POLICY_NO_RULE;
  if (verdict & VERDICT_ACCEPT) return no_rule ? POLICY_REASON_DEFAULT : POLICY_REASON_RULE;
  return no_rule ? POLICY_REASON_NO_RULE : POLICY_REASON_POLICY_DENIED;
}

/* Judges a connection's first packet: its remote end and the port that was asked for. */
static __always_inline __u32 judge_end(const struct policy_endpoint *e, __u32 direction, __u32 identity, __u8 protocol, __u16 port) {
  const __u32 set = direction == POLICY_INGRESS ? e->ingress_set : e->egress_set;
  if (!set) return POLICY_NO_RULE | VERDICT_ACCEPT;
  return judge(set, direction == POLICY_INGRESS ? e->ingress_flags : e->egress_flags, identity, protocol, port);
}

/* An entry of the same addresses and ports, of an attempt that is repeated or a connection that is over, is used again. */
static __always_inline int remember(const struct policy_connection_key *key, __u64 hash, struct policy_connection *fresh,
                                    struct place *place, int known, __u64 now) {
  fresh->tag = policy_tag_of(hash);
  fresh->tcp = key->protocol == PROTOCOL_TCP;
  if (known) {
    place->connection = *fresh;
    place->bucket->seen[place->way & (POLICY_WAYS - 1)] = policy_seen(now);
    write_state(place);
    return 0;
  }
  if (!place->bucket || !within_budget(key->scope, now)) return POLICY_REASON_CONNECTION_LIMIT;
  enter_connection(place->bucket, key, hash, fresh, policy_seen(now));
  return 0;
}

/* Judges a live connection again, after its endpoint's policy or a peer's labels changed. */
static __noinline int judge_again(const struct policy_endpoint *e, const struct policy_connection_key *key,
                                  struct policy_connection *connection) {
  struct policy_address remote = key->remote;
  __u16 port = connection->direction == POLICY_INGRESS ? key->local_port : key->remote_port;
  if (connection->translated == NOT_SEEN_BEHIND_NAT && e->egress_set) return POLICY_REASON_UNCONFIRMED;
  if (connection->translated == ADDRESS_CHANGED) {
    const struct policy_translation *translation = bpf_map_lookup_elem(&translations, key);
    if (!translation) return POLICY_REASON_UNCONFIRMED;
    remote = translation->remote;
    if (connection->direction == POLICY_EGRESS) port = translation->remote_port;
  }
  const __u32 verdict = is_own(e, &remote) /* through a Service */
                            ? POLICY_NO_RULE | VERDICT_ACCEPT
                            : judge_end(e, connection->direction, identity_of(&remote, e->epoch), key->protocol, port);
  if (!(verdict & VERDICT_ACCEPT)) return POLICY_REASON_REVOKED;
  connection->audit = 0;
  connection->epoch = e->epoch;
  return POLICY_REASON_CONNECTION;
}

/* Made by the node itself: a socket sent it, and no device received it. A bridged frame keeps its sender's socket, a
 * masqueraded one has the node's address: neither is enough. */
static __always_inline int is_from_own_node(const struct __sk_buff *skb) {
  return skb->ingress_ifindex == 0 && skb->sk && !ticket_of(skb);
}

/* The connection that an ICMP error quotes a packet of: that packet went the other way. An error of the node itself (too
 * big for the next link, no route) comes before the verdict behind address translation. */
static __always_inline int is_related(struct __sk_buff *skb, struct scratch *s, __u32 scope, int to_endpoint) {
  __builtin_memset(&s->quoted, 0, sizeof(s->quoted));
  if (parse_quoted(skb, s->packet.transport + 8, s->packet.flags & PACKET_V4, &s->quoted)) return 0;
  connection_key(&s->key, scope, &s->quoted, !to_endpoint);
  const struct policy_endpoint *e = &s->endpoint;
  struct place place;
  if (!find_connection(&s->key, hash_of(&s->key), &place) || is_idle(&place, policy_seen(clock_now()))) return 0;
  struct policy_connection *connection = &place.connection;
  if (connection->state == POLICY_CONNECTION_DEFERRED) return is_from_own_node(skb);
  if (connection->epoch == e->epoch || connection->own_node || e->flags & POLICY_KEEP_ESTABLISHED) return 1;
  if (judge_again(e, &s->key, connection) != POLICY_REASON_CONNECTION) return 0;
  write_state(&place);
  return 1;
}

/* A packet of a connection that is known, whose state may change in `connection`. 0: it opens a new one. */
static __always_inline int follow_connection(struct __sk_buff *skb, const struct policy_endpoint *e, const struct packet *p,
                                             const struct policy_connection_key *key, struct place *place, __u32 direction,
                                             __u64 now) {
  struct policy_connection *connection = &place->connection;
  const struct policy_connection before = *connection;
  const int reply = connection->direction != direction;
  if (p->protocol == PROTOCOL_TCP && (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN) return 0;
  if (connection->state == POLICY_CONNECTION_DEFERRED && !e->egress_set) connection->state = POLICY_CONNECTION_NEW;
  if (connection->state == POLICY_CONNECTION_DEFERRED) {
    if (reply) return POLICY_REASON_UNCONFIRMED;
    issue_ticket(skb, key, now);
    touch(place, policy_seen(now));
    return POLICY_REASON_DEFERRED;
  }
  if (connection->epoch != e->epoch && !connection->own_node && !(e->flags & POLICY_KEEP_ESTABLISHED && !connection->audit)) {
    const int reason = judge_again(e, key, connection);
    if (reason == POLICY_REASON_UNCONFIRMED && connection->direction == POLICY_EGRESS) {
      connection->state = POLICY_CONNECTION_DEFERRED;
      if (reply) return POLICY_REASON_UNCONFIRMED;
      issue_ticket(skb, key, now);
      return POLICY_REASON_DEFERRED;
    }
    if (reason != POLICY_REASON_CONNECTION) {
      if (e->flags & POLICY_AUDIT) {
        connection->audit = 1;
        connection->epoch = e->epoch;
        return reason;
      }
      forget_connection(key);
      *connection = before;
      return reason;
    }
  }
  const __u32 age = age_of(seen_of(place), policy_seen(now));
  const int asked_again = connection->translated && p->protocol != PROTOCOL_TCP;
  /* Address translation of UDP may choose anew while the connection lives: its choice is judged once a second. */
  if (!reply && asked_again && age >= POLICY_SEEN_SECOND) issue_ticket(skb, key, now);
  /* A reply leaves the time to the next request, which has to see that a second passed. */
  if (!reply || !asked_again || age > 30 * POLICY_SEEN_SECOND) touch(place, policy_seen(now));
  follow_tcp(connection, p, reply);
  return POLICY_REASON_CONNECTION;
}

static __always_inline int continue_connection(struct __sk_buff *skb, const struct policy_endpoint *e, const struct packet *p,
                                               const struct policy_connection_key *key, struct place *place, __u32 direction,
                                               __u64 now) {
  const __u64 before = word_of(&place->connection);
  const int reason = follow_connection(skb, e, p, key, place, direction, now);
  if (word_of(&place->connection) != before) write_state(place);
  return reason;
}

/* A TCP packet that opens nothing and whose connection is not known: one from before this node was enforced, or one
 * that was pushed out. It passes when either end might have opened it. */
static __always_inline __u32 judge_midstream(const struct policy_endpoint *e, const struct packet *p, __u32 identity,
                                             __u32 direction, struct policy_connection *fresh) {
  const __u32 verdict = judge_end(e, direction, identity, p->protocol, p->destination_port);
  fresh->state = POLICY_CONNECTION_REPLIED;
  if (verdict & VERDICT_ACCEPT) return verdict;
  fresh->direction = !direction;
  return judge_end(e, !direction, identity, p->protocol, p->source_port);
}

/* Tunnels take their packets before any socket's filter, so that policy_deliver never sees them. */
static __always_inline int is_tunnel(const struct packet *p) {
  const __u16 port = p->destination_port;
  return p->protocol == PROTOCOL_UDP && (port == 4500 || port == 4789 || port == 6081 || port == 8472 || port == 51820) &&
         is_nodes(&p->destination);
}

static __always_inline __u64 judge_opening(const struct policy_endpoint *e, const struct packet *p, const struct policy_address *remote,
                                           __u32 set, int perhaps_service, __u32 identity, int ingress) {
  const __u64 *address = (const __u64 *)(const void *)remote;
  const __u32 flags = ingress ? e->ingress_flags : e->egress_flags;
  const __u32 what = (perhaps_service ? ONLY_PODS : 0) | flags << 24 | (__u32)p->protocol << 16 | p->destination_port;
  return policy_judge_opening(address[0], address[1], (__u64)set << 32 | e->epoch, what, identity);
}

/* A packet that opens a connection. Fills the outcome. */
static __always_inline void open_connection(struct __sk_buff *skb, const struct policy_endpoint *e, const struct packet *p,
                                            const struct policy_connection_key *key, __u64 hash, struct place *place,
                                            int known, const struct client *client, struct outcome *o, __u64 now) {
  struct policy_connection fresh = {.epoch = e->epoch, .direction = o->direction};
  const int ingress = o->direction == POLICY_INGRESS;
  __u32 verdict = POLICY_NO_RULE | VERDICT_ACCEPT;
  o->set = ingress ? e->ingress_set : e->egress_set;
  const int ported = p->protocol == PROTOCOL_TCP || p->protocol == PROTOCOL_UDP || p->protocol == PROTOCOL_SCTP;
  const int opens = p->protocol != PROTOCOL_TCP || (p->tcp_flags & (TCP_SYN | TCP_ACK)) == TCP_SYN;
  const int perhaps_service = !ingress && !(e->flags & POLICY_HOST) && ported && !is_tunnel(p);
  const __u64 judged = judge_opening(e, p, &key->remote, opens ? o->set : 0, perhaps_service, client->identity, ingress);
  const __u32 identity = (__u32)(judged >> 32);
  o->source_identity = ingress ? identity : e->identity;
  o->destination_identity = ingress ? e->identity : identity;
  o->reason = POLICY_REASON_OPEN;
  if (client->ifindex == e->id && client->ifindex) {
    o->reason = POLICY_REASON_SELF;
  } else if (ingress && is_from_own_node(skb) && !(e->flags & POLICY_HOST)) {
    fresh.own_node = 1;
    o->reason = POLICY_REASON_OWN_NODE;
  } else if (perhaps_service && !(identity & POLICY_POD_BIT)) {
    /* Perhaps a Service: the destination is not known yet, and with masquerade the source will not be either. Unless it
     * answers somebody who may connect to the pod. */
    if (e->egress_set && !opens && judge_end(e, POLICY_INGRESS, identity, p->protocol, p->source_port) & VERDICT_ACCEPT) {
      fresh.direction = POLICY_INGRESS;
      fresh.state = POLICY_CONNECTION_REPLIED;
      o->reason = POLICY_REASON_RULE;
    } else {
      if (e->egress_set) {
        fresh.state = POLICY_CONNECTION_DEFERRED;
        o->reason = POLICY_REASON_DEFERRED;
      }
      fresh.translated = NOT_SEEN_BEHIND_NAT;
      issue_ticket(skb, key, now);
    }
  } else if (o->set) {
    verdict = opens ? (__u32)judged : judge_midstream(e, p, identity, o->direction, &fresh);
    o->reason = (__u8)verdict_reason(verdict);
    if (!opens && is_drop(o->reason)) o->reason = POLICY_REASON_INVALID_CONNECTION;
  }
  o->rule = (__u16)verdict;
  if (client->identity && !same_address(&client->address, &key->remote)) {
    const struct policy_translation was = {.remote = client->address};
    bpf_map_update_elem(&translations, key, &was, BPF_ANY);
    fresh.translated = ADDRESS_CHANGED;
  }
  if (is_drop(o->reason)) {
    if (!(e->flags & POLICY_AUDIT)) return;
    fresh.audit = 1;
  }
  const int full = remember(key, hash, &fresh, place, known, now);
  /* The node shares one budget with all that it forwards and all that reaches it: what is beyond it was judged, and is not
   * remembered. A flood must not lock the operator out. */
  if (full && !(e->flags & POLICY_HOST)) o->reason = (__u8)full;
}
