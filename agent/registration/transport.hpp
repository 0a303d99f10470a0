// Carries a Step of the machine to the registry over HTTPS and brings back its Outcome. Protobuf on the wire.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "agent/io/http_client.hpp"
#include "agent/model/identity.hpp"
#include "agent/registration/desired.hpp"
#include "agent/registration/identity.hpp"
#include "agent/registration/machine.hpp"

namespace omnitide::registration {

// What the node says of itself in a request.
struct Statement {
  model::Incarnation incarnation;
  std::string hostname, agent_version;
  std::map<std::string, std::string> labels;  // from the config
  std::string facts, conditions;              // serialised, as hashed
  std::string facts_sha256, conditions_sha256;
  DesiredRef held;  // what this node has of the desired state
  AppliedState applied;
};

class Transport {
 public:
  struct Options {
    std::string endpoint;
    std::string token_file;  // read anew for each join, so that an operator may put it there later
    std::chrono::milliseconds timeout{10'000};
  };
  // `identity` must outlive the transport.
  Transport(boost::asio::io_context& context, Options options, Identity& identity);

  // Never fails by itself: what went wrong is a Failed. Credentials that come are stored before this returns.
  [[nodiscard]] boost::asio::awaitable<Outcome> perform(Step step, std::shared_ptr<const Statement> statement,
                                                        WallTime judged);
  // Asks for a lease of a restart of the node. An error: no registry has said anything of it.
  [[nodiscard]] boost::asio::awaitable<Result<RebootAnswer>> lease_reboot(std::string boot_id, WallTime judged);
  [[nodiscard]] bool has_token() const;
  [[nodiscard]] std::string why_no_token() const;  // a sentence; empty when there is one
  // Time spent on the join's keys, certificates and TLS handshakes in this process.
  [[nodiscard]] std::chrono::nanoseconds certificate_time() const { return certificate_time_; }
  void set_options(Options options) { options_ = std::move(options); }
  void cancel();  // ends the request under way; the next one fails

 private:
  enum class Trust : std::uint8_t { none, pinned, known_ca, mutual };
  [[nodiscard]] boost::asio::awaitable<Outcome> join(std::shared_ptr<const Statement> statement, WallTime judged);
  [[nodiscard]] boost::asio::awaitable<Outcome> rejoin(std::shared_ptr<const Statement> statement, WallTime judged);
  [[nodiscard]] boost::asio::awaitable<Outcome> renew(WallTime judged);
  [[nodiscard]] boost::asio::awaitable<Outcome> put(Step step, std::shared_ptr<const Statement> statement,
                                                    WallTime judged);
  [[nodiscard]] boost::asio::awaitable<Outcome> heartbeat(Step step, std::shared_ptr<const Statement> statement,
                                                          WallTime judged);
  [[nodiscard]] boost::asio::awaitable<Outcome> fetch(std::shared_ptr<const Statement> statement, WallTime judged);
  [[nodiscard]] Result<> keep(const std::string& certificate, std::vector<std::string> cas);
  [[nodiscard]] Result<> use(Trust trust, const std::string& pin, WallTime judged);
  [[nodiscard]] boost::asio::awaitable<Result<std::string>> nonce();
  [[nodiscard]] boost::asio::awaitable<Result<io::HttpResponse>> post(std::string method, std::string path,
                                                                      std::string body);
  struct Proof {
    std::string csr, signature;
  };
  [[nodiscard]] Result<Proof> prove(const char* purpose, const std::string& nonce);

  boost::asio::io_context& context_;
  Options options_;
  Identity& identity_;
  std::unique_ptr<io::HttpClient> client_;
  Trust trust_ = Trust::none;
  std::chrono::nanoseconds certificate_time_{};
};

}  // namespace omnitide::registration
