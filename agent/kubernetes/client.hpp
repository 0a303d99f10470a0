// A client of one Kubernetes API server: requests with their errors as the server words them, and server-side apply.
// Watching is watcher.hpp.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/base/error.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/kubernetes/access.hpp"
#include "agent/kubernetes/resource.hpp"

namespace omnitide::kubernetes {

struct Request {
  std::string method = "GET", path;  // path with its query
  std::string accept = "application/json";
  std::string content_type{}, body{};
  std::chrono::milliseconds timeout{30'000};         // of one attempt; of a stream from byte to byte
  std::function<bool(std::string_view)> on_bytes{};  // as io::Http2Request has it
};

struct Traffic {               // since the start
  std::uint64_t requests = 0;  // attempts, watches included
  std::uint64_t failures = 0;  // without an answer, or with one beyond 2xx
  std::uint64_t received = 0;  // bytes of bodies
};

// A field that server-side apply was not to take from its owner.
struct Conflict {
  std::string field, manager;  // ".metadata.labels.omnitide.io/gpus", "kubectl-label"
};

// What went wrong, as far as it decides what to do next.
struct Fault {
  unsigned status = 0;   // HTTP's; 0: no answer came
  std::string reason{};  // Kubernetes' word: "Expired", "Invalid"
  Error error{};
  std::optional<std::chrono::seconds> retry_after{};
  std::vector<Conflict> conflicts{};  // of an apply that was refused for them
};

struct Body {
  std::string content_type, text;
};

// Makes the object, or changes of it what `json` says and nothing else (server-side apply). The fields belong to
// `manager` then; without `force` those that another one owns are a conflict (409). `subresource`: as "status", empty
// for the object itself.
[[nodiscard]] Request apply_request(const Resource& resource, const Name& name, std::string json,
                                    std::string_view manager, bool force, std::string_view subresource = {});

class Client {
 public:
  // `workers` looks names up, and outlives this, as the context does.
  Client(boost::asio::io_context& context, io::WorkerPool& workers, Access access);
  ~Client();  // as close()
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // One attempt, and a second one with the token as it is now when the first was refused with 401. A status beyond 2xx
  // is a Fault.
  [[nodiscard]] boost::asio::awaitable<boost::system::result<Body, Fault>> ask(Request request);
  // As ask(), and again when the server says after how long (429, 503), at most three times and within a minute.
  [[nodiscard]] boost::asio::awaitable<Result<Body>> send(Request request);

  // send() of an apply_request().
  [[nodiscard]] boost::asio::awaitable<Result<Body>> apply(Resource resource, Name name, std::string json,
                                                           std::string manager, bool force = true,
                                                           std::string subresource = {});
  [[nodiscard]] boost::asio::awaitable<Result<Body>> get(Resource resource, Name name);
  [[nodiscard]] boost::asio::awaitable<Result<Body>> remove(Resource resource, Name name);

  // Calls when the server does again what it is asked for after it was out of reach, until what is returned is gone:
  // who waits with another try need not wait any longer.
  [[nodiscard]] std::shared_ptr<void> on_return(std::function<void()> call);

  void close();  // ends all connections; whoever waits gets Code::aborted
  [[nodiscard]] bool http1() const;
  [[nodiscard]] std::uint64_t connections() const;  // made so far
  [[nodiscard]] const Traffic& traffic() const;
  [[nodiscard]] const std::string& default_namespace() const;

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace omnitide::kubernetes
