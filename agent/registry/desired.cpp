// GET /v1/nodes/{id}/desired-state, and the numbers of contents.
#include <fmt/format.h>

#include <algorithm>

#include "agent/base/text.hpp"
#include "agent/codec/json.hpp"
#include "agent/registry/admission.hpp"
#include "agent/registry/handlers.hpp"
#include "agent/registry/policy_repository.hpp"
#include "agent/registry/wire.hpp"

namespace omnitide::registry {

namespace asio = boost::asio;

namespace {

constexpr std::size_t kAtOnce = 64U << 10U;  // up to that an answer is one piece, beyond it a stream of such pieces
constexpr std::size_t kMostStreams = 256;
constexpr std::chrono::minutes kLongestStream{5};

// The node's place among those that get a large answer: one for each, so that none can take all.
class Place {
 public:
  Place(Context& context, std::string node_id) : context_(context), node_id_(std::move(node_id)) {
    context_.fetching.insert(node_id_);
  }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() { context_.fetching.erase(node_id_); }

 private:
  Context& context_;
  std::string node_id_;
};

// The whole message as pieces that follow each other.
class Pieces {
 public:
  Pieces(SetRef set, bool protobuf) : set_(std::move(set)), protobuf_(protobuf) {}

  [[nodiscard]] std::string head() const {
    v1::DesiredState out;
    out.set_version(set_->version);
    out.set_sha256(set_->sha256);
    if (protobuf_) return out.SerializeAsString();
    return fmt::format("{{\"version\":\"{}\",\"sha256\":\"{}\",\"documents\":[", out.version(),
                       base64_encode(out.sha256()));
  }
  [[nodiscard]] std::size_t count() const { return set_->documents.size(); }
  // `own` holds the piece where it is made for this answer.
  [[nodiscard]] std::string_view piece(std::size_t index, std::string& own) const {
    const ServedDocument& document = *set_->documents[index];
    if (protobuf_) return document.wire;
    v1::DesiredState one;
    if (!one.ParseFromString(document.wire)) return {};  // it is ours
    own = (index == 0 ? "" : ",") + codec::to_json(one.documents(0));
    return own;
  }
  [[nodiscard]] std::string_view tail() const { return protobuf_ ? "" : "]}"; }

  [[nodiscard]] std::string whole() const {
    std::string out = head(), own;
    for (std::size_t i = 0; i < count(); ++i)
      out += piece(i, own);
    return out += tail();
  }

 private:
  SetRef set_;
  bool protobuf_;
};

asio::awaitable<Result<>> send(Pieces pieces, std::shared_ptr<Place> /*until the end*/, io::BodyStream& out) {
  const auto give_up_at = std::chrono::steady_clock::now() + kLongestStream;
  Result<> wrote = co_await out.write(pieces.head());
  std::string own;
  for (std::size_t i = 0; i < pieces.count(); ++i) {
    std::string_view rest = pieces.piece(i, own);
    while (!rest.empty()) {
      if (wrote.has_error()) co_return wrote;
      if (std::chrono::steady_clock::now() > give_up_at)
        co_return fail(Code::deadline_exceeded, "the node is too slow");
      wrote = co_await out.write(rest.substr(0, kAtOnce));
      rest.remove_prefix(std::min(kAtOnce, rest.size()));
    }
  }
  if (wrote.has_error()) co_return wrote;
  co_return co_await out.write(pieces.tail());
}

io::HttpResponse not_modified(std::string etag) {
  io::HttpResponse out;
  out.status = 304;
  out.headers.emplace_back("ETag", std::move(etag));
  return out;
}

}  // namespace

asio::awaitable<Result<>> number_sets(Context& context, std::vector<SetRef> sets) {
  auto records = std::make_shared<std::vector<VersionRecord>>();
  for (const SetRef& set : sets) {
    records->push_back(
        {.version = 0, .sha256 = set->sha256, .documents = document_lines(*set), .created = context.now()});
  }
  Writer::Work work = [records](Database& database) -> Result<> {
    for (VersionRecord& record : *records) {
      const Result<std::uint64_t> given = number_version(database, record);
      if (given.has_error()) return given.error();
      record.version = *given;
    }
    return {};
  };
  Writer::Apply apply = [&context, held = std::move(sets), records] {
    for (std::size_t i = 0; i < held.size(); ++i) {
      held[i]->version = (*records)[i].version;
      context.desired.numbered(held[i]->sha256, held[i]->version);
    }
  };
  co_return co_await context.writer.run(std::move(work), std::move(apply));
}

asio::awaitable<io::HttpResponse> desired_state(Context& context, io::HttpRequest& request) {
  const std::string node_id = parameter(request, "id");
  const NodeRecord* node = context.nodes.find(node_id);
  if (node == nullptr) co_return refuse(no_such_node(node_id));
  if (const std::optional<Error> refusal = refusal_of(*node)) co_return refuse(*refusal);
  const SetRef set = context.desired.of(*node);
  if (!set->stated()) {
    std::vector<SetRef> one(1, set);
    const Result<> numbered = co_await number_sets(context, std::move(one));
    if (numbered.has_error()) co_return refuse(numbered.error());
  }
  std::string etag = fmt::format("\"{}\"", hex_encode(set->sha256));
  if (request.header("if-none-match").find(etag) != std::string_view::npos) {
    ++context.counters.desired_unchanged;
    co_return not_modified(std::move(etag));
  }
  if (set->bytes > kMostDesired) {
    co_return refuse(fail(Code::failed_precondition, fmt::format("the documents for this node have {}, more than {}",
                                                                 human_bytes(set->bytes), human_bytes(kMostDesired)))
                         .with_hint("narrow the node selectors of documents, or delete some"));
  }
  ++context.counters.desired_fetches;
  const bool protobuf = wants_protobuf(request);
  Pieces pieces(set, protobuf);
  io::HttpResponse response;
  response.content_type = protobuf ? "application/x-protobuf" : "application/json";
  response.headers.emplace_back("ETag", std::move(etag));
  if (set->bytes <= kAtOnce) {
    response.body = pieces.whole();
    co_return response;
  }
  if (context.fetching.size() >= kMostStreams || context.fetching.contains(node_id)) {
    co_return refuse(fail(Code::resource_exhausted, "too many nodes fetch their desired state now"));
  }
  auto place = std::make_shared<Place>(context, node_id);
  response.stream = [pieces = std::move(pieces), place = std::move(place)](io::BodyStream& out) {
    return send(pieces, place, out);
  };
  co_return response;
}

}  // namespace omnitide::registry
