#include "tests/bench/load_check.hpp"

#include <fmt/format.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <unordered_map>

#include "agent/base/file.hpp"
#include "agent/io/http_client.hpp"
#include "omnitide/node/v1/registry.pb.h"

namespace omnitide::bench {

namespace asio = boost::asio;
namespace v1 = node::v1;

namespace {

constexpr std::size_t kShowEvery = 100;
using Known = std::unordered_map<std::string, v1::Node>;

Result<io::TlsContext> operator_context(const std::string& folder) {
  const Result<std::string> ca = read_file(folder + "/ca.crt");
  const Result<std::string> certificate = read_file(folder + "/operator/operator.crt");
  const Result<std::string> key_text = read_file(folder + "/operator/operator.key");
  for (const auto* one : {&ca, &certificate, &key_text}) {
    if (one->has_error()) return one->error();
  }
  Result<std::vector<std::string>> cas = io::certificates_from_pem(*ca);
  Result<std::vector<std::string>> own = io::certificates_from_pem(*certificate);
  Result<io::PrivateKey> key = io::PrivateKey::from_pem(*key_text);
  if (cas.has_error()) return std::move(cas).error();
  if (own.has_error() || own->empty()) return fail(Code::data_loss, "the operator's certificate is not readable");
  if (key.has_error()) return std::move(key).error();
  return io::TlsContext::client({.trusted_cas = std::move(*cas),
                                 .ca_pin = {},
                                 .certificate = own->front(),
                                 .key = std::move(*key),
                                 .judged_at = wall_now()});
}

template <class Message>
asio::awaitable<Result<Message>> get(io::HttpClient& client, io::HttpRequest request) {
  request.headers = {{"Accept", "application/x-protobuf"}};
  const Result<io::HttpResponse> response = co_await client.send(std::move(request));
  if (response.has_error()) co_return response.error();
  if (response->status != 200) co_return io::error_from_response(*response);
  Message message;
  if (!message.ParseFromString(response->body)) co_return fail(Code::data_loss, "the answer is not of the contract");
  co_return message;
}

asio::awaitable<Result<Known>> list(io::HttpClient& client) {
  Known out;
  std::string page;
  do {
    io::HttpRequest request;
    request.path = "/v1/nodes";
    request.query = {{"pageSize", "500"}};
    if (!page.empty()) request.query["pageToken"] = page;
    auto running = get<v1::NodeList>(client, std::move(request));
    const Result<v1::NodeList> answer = co_await std::move(running);
    if (answer.has_error()) co_return answer.error();
    for (const v1::Node& node : answer->items())
      out.emplace(node.node_id(), node);
    page = answer->next_page_token();
  } while (!page.empty());
  co_return out;
}

void compare_one(const Node& node, const Known& known, const Contract& contract, Comparison& out) {
  if (node.acknowledged() == 0) return;
  const auto found = known.find(node.node_id());
  if (found == known.end() || found->second.state() != v1::NODE_STATE_APPROVED) {
    ++out.missing;
    return;
  }
  const std::uint64_t held = found->second.generation();
  if (held < node.acknowledged() || held > node.generation()) ++out.stale;
  // Only the newest generation's facts are known here; an older one was replaced by a change under way.
  if (held == node.generation() && found->second.facts_sha256() != node.facts_sha256(contract)) ++out.wrong_facts;
}

asio::awaitable<Result<Comparison>> compare_all(io::HttpClient& client, const std::deque<Node>& nodes,
                                                const Contract& contract) {
  const Result<Known> known = co_await list(client);
  if (known.has_error()) co_return known.error();
  Comparison out;
  out.listed = known->size();
  for (const Node& node : nodes)
    compare_one(node, *known, contract, out);
  for (std::size_t i = 0; i < nodes.size(); i += kShowEvery) {
    io::HttpRequest request;
    request.path = "/v1/nodes/" + nodes[i].node_id();
    auto running = get<v1::Node>(client, std::move(request));
    const Result<v1::Node> shown = co_await std::move(running);
    if (shown.has_error()) co_return shown.error();
    ++out.shown;
    const std::string revision = fmt::format("revision {}", shown->generation());
    if (shown->facts().system().kernel_version() != revision) ++out.wrong_facts;
  }
  co_return out;
}

}  // namespace

Result<Comparison> compare(const std::string& folder, std::uint16_t port, const std::deque<Node>& nodes,
                           const Contract& contract) {
  Result<io::TlsContext> tls = operator_context(folder);
  if (tls.has_error()) return std::move(tls).error();
  asio::io_context loop(1);
  io::ClientOptions options;
  options.endpoint = fmt::format("https://127.0.0.1:{}", port);
  options.tls = *tls;
  io::HttpClient client(loop, std::move(options));
  Result<Comparison> out = fail(Code::internal, "the comparison did not run");
  const auto work = [&]() -> asio::awaitable<void> { out = co_await compare_all(client, nodes, contract); };
  asio::co_spawn(loop, work, asio::detached);
  loop.run();
  return out;
}

}  // namespace omnitide::bench
