// One function a route. A failure becomes the project's error body; see routes.cpp for the table.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/io/http.hpp"
#include "agent/registry/context.hpp"
#include "omnitide/node/v1/policy.pb.h"
#include "omnitide/node/v1/registration.pb.h"
#include "omnitide/node/v1/registry.pb.h"

namespace omnitide::registry {

namespace v1 = omnitide::node::v1;
template <class T>
using Answer = boost::asio::awaitable<Result<T>>;

// Devices.
[[nodiscard]] Answer<v1::NonceResponse> issue_nonce(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::JoinResponse> join(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::CertificateResponse> renew(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::CertificateResponse> rejoin(Context& context, io::HttpRequest& request);
[[nodiscard]] boost::asio::awaitable<io::HttpResponse> put_node(Context& context, io::HttpRequest& request);
[[nodiscard]] boost::asio::awaitable<io::HttpResponse> heartbeat(Context& context, io::HttpRequest& request);
[[nodiscard]] boost::asio::awaitable<io::HttpResponse> desired_state(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::RebootLease> lease_reboot(Context& context, io::HttpRequest& request);

// Operators.
[[nodiscard]] Answer<v1::NodeList> list_nodes(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Node> show_node(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Empty> remove_node(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Node> approve_node(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Node> quarantine_node(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Node> ban_node(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Node> label_node(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Node> replace_node(Context& context, io::HttpRequest& request);
[[nodiscard]] boost::asio::awaitable<io::HttpResponse> watch_nodes(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::TokenList> list_tokens(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Token> make_token(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Token> revoke_token(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::OperatorList> list_operators(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Operator> make_operator(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Operator> revoke_operator(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::CertificateAuthorityList> list_authorities(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::CertificateAuthority> make_next_authority(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::CertificateAuthority> activate_authority(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::PolicyDocumentList> list_policies(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::PolicyDocument> show_policy(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::PolicyDocumentList> list_revisions(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::PolicyDocument> put_policy(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Empty> remove_policy(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::DesiredStateVersionList> list_desired_states(Context& context, io::HttpRequest& request);
[[nodiscard]] boost::asio::awaitable<io::HttpResponse> back_up(Context& context, io::HttpRequest& request);
[[nodiscard]] Answer<v1::Empty> restore_online(Context& context, io::HttpRequest& request);

// Gives sets that have not been stated yet their numbers, durably, in one commit. Their versions are then set.
[[nodiscard]] boost::asio::awaitable<Result<>> number_sets(Context& context, std::vector<SetRef> sets);

// The text of /metrics.
struct ServerView {
  std::uint64_t accepted = 0, refused_full = 0, handshake_failures = 0, bad_requests = 0, timeouts = 0;
  std::size_t open = 0;
};
[[nodiscard]] std::string render_metrics(const Context& context, const ServerView& server);

// The value that {name} matched; empty when the route has none.
[[nodiscard]] const std::string& parameter(const io::HttpRequest& request, const char* name);
[[nodiscard]] std::string query(const io::HttpRequest& request, const char* name);
[[nodiscard]] Error no_such_node(std::string_view node_id);

}  // namespace omnitide::registry
