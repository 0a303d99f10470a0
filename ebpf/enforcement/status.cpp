#include "ebpf/enforcement/status.hpp"

#include "ebpf/abi/policy.h"

namespace omnitide::enforcement {

std::string_view role_name(RoleKind kind) {
  switch (kind) {
    case RoleKind::pod: return "pod";
    case RoleKind::closed: return "closed";
    case RoleKind::host: return "host";
    case RoleKind::other: break;
  }
  return "other";
}

std::string_view reason_name(std::uint8_t reason) {
  switch (static_cast<policy_reason>(reason)) {
    case POLICY_REASON_NONE: return "none";
    case POLICY_REASON_OPEN: return "open";
    case POLICY_REASON_RULE: return "rule";
    case POLICY_REASON_DEFAULT: return "default";
    case POLICY_REASON_CONNECTION: return "connection";
    case POLICY_REASON_RELATED: return "related";
    case POLICY_REASON_OWN_NODE: return "own_node";
    case POLICY_REASON_NEIGHBOUR: return "neighbour";
    case POLICY_REASON_DEFERRED: return "deferred";
    case POLICY_REASON_NOT_OURS: return "not_ours";
    case POLICY_REASON_SELF: return "self";
    case POLICY_REASON_POLICY_DENIED: return "policy_denied";
    case POLICY_REASON_NO_RULE: return "no_rule";
    case POLICY_REASON_SPOOFED_SOURCE: return "spoofed_source";
    case POLICY_REASON_CLOSED: return "closed";
    case POLICY_REASON_TRUNCATED: return "truncated";
    case POLICY_REASON_BAD_HEADER: return "bad_header";
    case POLICY_REASON_SOURCE_ROUTE: return "source_route";
    case POLICY_REASON_TINY_FRAGMENT: return "tiny_fragment";
    case POLICY_REASON_FRAGMENT_WITHOUT_FIRST: return "fragment_without_first";
    case POLICY_REASON_EXTENSION_HEADERS: return "extension_headers";
    case POLICY_REASON_UNKNOWN_ETHERTYPE: return "unknown_ethertype";
    case POLICY_REASON_VLAN_DEPTH: return "vlan_depth";
    case POLICY_REASON_INVALID_CONNECTION: return "invalid_connection";
    case POLICY_REASON_UNRELATED_ICMP: return "unrelated_icmp";
    case POLICY_REASON_CONNECTION_LIMIT: return "connection_limit";
    case POLICY_REASON_TICKET: return "ticket";
    case POLICY_REASON_UNCONFIRMED: return "unconfirmed";
    case POLICY_REASON_DENY_LIST: return "deny_list";
    case POLICY_REASON_TORN: return "torn";
    case POLICY_REASON_REVOKED: return "revoked";
    case POLICY_REASON_LAST: break;
  }
  return "unknown";
}

}  // namespace omnitide::enforcement
