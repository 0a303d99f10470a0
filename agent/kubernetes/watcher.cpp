#include "agent/kubernetes/watcher.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json.hpp>
#include <utility>

#include "agent/base/random.hpp"
#include "agent/kubernetes/json.hpp"
#include "agent/kubernetes/status.hpp"

namespace omnitide::kubernetes {

namespace asio = boost::asio;

namespace {

struct JsonPage {
  boost::json::value whole;
  std::string version{}, continuation{};
  [[nodiscard]] const boost::json::array& items() const {
    return whole.get_object().find("items")->value().get_array();
  }
};

Result<JsonPage> json_page(std::string_view text) {
  boost::system::error_code problem;
  JsonPage out{.whole = boost::json::parse(boost::json::string_view(text.data(), text.size()), problem)};
  const boost::json::object* list = problem ? nullptr : out.whole.if_object();
  const boost::json::value* items = list == nullptr ? nullptr : list->if_contains("items");
  const boost::json::object* meta = list == nullptr ? nullptr : object_member(*list, "metadata");
  if (items == nullptr || !items->is_array() || meta == nullptr)
    return fail(Code::data_loss, "the list is not readable");
  out.version = text_member(*meta, "resourceVersion");
  out.continuation = text_member(*meta, "continue");
  return out;
}

Fault unreadable(Error error) {
  Fault out;
  out.error = std::move(error);
  return out;
}

}  // namespace

class Watcher::Impl {
 public:
  Impl(asio::io_context& context, Client& client, Receiver& receiver, Options options)
      : client_(client),
        receiver_(receiver),
        options_(std::move(options)),
        reflector_(options_.limits, options_.from),
        timer_(context),
        return_(client.on_return([this] {
          if (reflector_.returned()) timer_.cancel();
        })) {}

  asio::awaitable<void> run() {
    while (!stopped_) {
      const Step step = reflector_.next(random_u64());
      if (step.begins) receiver_.begin();
      if (step.kind == Step::Kind::wait) {
        timer_.expires_after(step.time);
        co_await timer_.async_wait(asio::as_tuple(asio::use_awaitable));
      } else if (step.kind == Step::Kind::stream) {
        co_await stream(step);
      } else {
        co_await page(step);
      }
      followed_.has_state = reflector_.has_state();
      followed_.lists_only = reflector_.lists();
    }
  }

  void stop() {
    stopped_ = true;
    timer_.cancel();
  }
  [[nodiscard]] const Followed& followed() const { return followed_; }
  [[nodiscard]] const Reflector& reflector() const { return reflector_; }

 private:
  Request request_of(const Step& step) const {
    Request out;
    out.path =
        collection_path(options_.resource, options_.scope.space) + "?" + step.query + selectors_of(options_.scope);
    out.accept = options_.resource.built_in ? kProtobufType : kJsonType;
    out.timeout = step.time;
    return out;
  }

  asio::awaitable<void> stream(Step step) {
    ++followed_.streams;
    WatchReader reader;
    std::optional<Fault> fault;
    Request request = request_of(step);
    request.on_bytes = [this, &reader, &fault](std::string_view bytes) {
      if (stopped_) return false;
      // The head: the server has let the watch in, and may have nothing to say for long.
      if (bytes.empty()) followed_.problem.reset();
      if (!bytes.empty()) followed_.heard = std::chrono::steady_clock::now();
      const Result<> fed = reader.feed(bytes, [this, &fault](const WatchFrame& frame) { return take(frame, fault); });
      if (fed.has_error()) fault = unreadable(fed.error());
      return !fed.has_error() && !reader.ended();
    };
    const SteadyTime begin = std::chrono::steady_clock::now();
    const boost::system::result<Body, Fault> answer = co_await client_.ask(std::move(request));
    const bool in_stream = fault.has_value() && fault->status != 0;
    if (!fault && answer.has_error()) fault = answer.error();
    followed_.problem.reset();
    if (stopped_) co_return;
    if (fault) {
      refused(*fault, in_stream);
    } else {
      const auto lasted = std::chrono::steady_clock::now() - begin;
      reflector_.stream_ended(std::chrono::duration_cast<std::chrono::milliseconds>(lasted));
    }
  }

  void refused(const Fault& fault, bool in_stream) {
    if (fault.status == 410) ++followed_.expired;
    followed_.problem = fault.error;
    reflector_.refused(fault, in_stream);
  }

  // Whether the stream goes on.
  bool take(const WatchFrame& frame, std::optional<Fault>& fault) {
    if (frame.change == Change::error) {
      fault = fault_of_status(frame.object);
      return false;
    }
    ++followed_.events;
    std::string_view object = frame.object;
    if (frame.encoding == Encoding::protobuf) object = unwrap(object).value_or(std::string_view());
    const Result<Head> head = decode_head(object, frame.encoding);
    if (head.has_error()) {
      ++followed_.unreadable;
      return true;
    }
    const Effect effect = reflector_.event(frame.change, *head);
    followed_.has_state = reflector_.has_state();
    if (effect == Effect::put) put(object, frame.encoding);
    if (effect == Effect::remove) receiver_.remove(head->name);
    if (effect == Effect::whole) receiver_.whole();
    return true;
  }

  void put(std::string_view object, Encoding encoding) {
    if (receiver_.put(object, encoding).has_error()) ++followed_.unreadable;
  }

  asio::awaitable<void> page(Step step) {
    ++followed_.lists;
    ListReader reader;
    std::optional<Fault> fault;
    Request request = request_of(step);
    if (options_.resource.built_in)
      request.on_bytes = [this, &reader, &fault](std::string_view bytes) {
        const Result<> fed = reader.feed(bytes, [this](std::string_view item) { put(item, Encoding::protobuf); });
        if (fed.has_error()) fault = unreadable(fed.error());
        return !fed.has_error() && !stopped_;
      };
    boost::system::result<Body, Fault> answer = co_await client_.ask(std::move(request));
    if (stopped_) co_return;
    if (!fault && answer.has_error()) fault = answer.error();
    std::string version(reader.resource_version()), continuation(reader.continuation());
    if (!fault && options_.resource.built_in && !reader.whole())
      fault = unreadable(fail(Code::data_loss, "the list ended within an object"));
    if (!fault && !options_.resource.built_in) {
      Result<JsonPage> read = json_page(answer->text);
      if (read.has_error()) {
        fault = unreadable(read.error());
      } else {
        for (const boost::json::value& item : read->items())
          put(boost::json::serialize(item), Encoding::json);
        version = std::move(read->version);
        continuation = std::move(read->continuation);
      }
    }
    if (fault) {
      refused(*fault, false);
      co_return;
    }
    followed_.problem.reset();
    followed_.heard = std::chrono::steady_clock::now();
    if (reflector_.page(version, continuation) == Effect::whole) receiver_.whole();
  }

  Client& client_;
  Receiver& receiver_;
  Options options_;
  Reflector reflector_;
  asio::steady_timer timer_;
  std::shared_ptr<void> return_;
  Followed followed_;
  bool stopped_ = false;
};

Watcher::Watcher(asio::io_context& context, Client& client, Receiver& receiver, Options options)
    : impl_(std::make_shared<Impl>(context, client, receiver, std::move(options))) {}
Watcher::~Watcher() { stop(); }

asio::awaitable<void> Watcher::run() {
  const std::shared_ptr<Impl> impl = impl_;
  co_await impl->run();
}
void Watcher::stop() { impl_->stop(); }
const Followed& Watcher::followed() const { return impl_->followed(); }
const std::string& Watcher::resource_version() const { return impl_->reflector().resource_version(); }

}  // namespace omnitide::kubernetes
