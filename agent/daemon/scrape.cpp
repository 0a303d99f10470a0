#include "agent/daemon/scrape.hpp"

#include <array>
#include <memory>
#include <mutex>
#include <string>

#include "agent/metrics/gzip.hpp"
#include "agent/metrics/negotiate.hpp"
#include "agent/metrics/render.hpp"

namespace omnitide::daemon {

namespace asio = boost::asio;

namespace {

using Batches = std::span<const model::SampleBatch* const>;
using Text = std::shared_ptr<const std::string>;

constexpr std::chrono::seconds kPatience{5};
// As many samples are written in a good half of a millisecond. The way to a worker and back takes a tenth of one, and a
// CPU that sleeps meanwhile.
constexpr std::size_t kSmall = 4096;

struct Form {
  metrics::TextFormat format = metrics::TextFormat::prometheus;
  bool gzip = false;
  [[nodiscard]] std::size_t index() const {
    return (format == metrics::TextFormat::openmetrics ? 2U : 0U) + (gzip ? 1U : 0U);
  }
};

}  // namespace

// The last text of each form, as long as an answer holds it. For any thread; who comes second waits for the first.
class Scrape::Texts {
 public:
  Text get(const std::shared_ptr<const void>& owner, Batches batches, Form form) {
    const std::lock_guard lock(mutex_);
    Kept& kept = kept_.at(form.index());
    const Text known = kept.owner.lock() == owner ? kept.text.lock() : nullptr;
    if (known) return known;
    const Text made = std::make_shared<const std::string>(make(batches, form));
    kept = {owner, made};
    return made;
  }

 private:
  std::string make(Batches batches, Form form) {
    std::string out;
    if (!form.gzip) {
      metrics::render(batches, form.format, [&out](std::string_view piece) { out += piece; });
      return out;
    }
    // Kept for the next one: its 260 KB would be touched anew each time. Not when half a text is left in it.
    std::unique_ptr<metrics::Gzip> gzip = gzip_ ? std::move(gzip_) : std::make_unique<metrics::Gzip>();
    metrics::render(batches, form.format, [&gzip](std::string_view piece) { gzip->write(piece); });
    out = gzip->finish();
    gzip_ = std::move(gzip);
    return out;
  }

  struct Kept {
    std::weak_ptr<const void> owner;
    std::weak_ptr<const std::string> text;
  };
  std::mutex mutex_;
  std::array<Kept, 4> kept_;
  std::unique_ptr<metrics::Gzip> gzip_;
};

Scrape::Scrape(io::WorkerPool& pool) : pool_(pool), texts_(std::make_shared<Texts>()) {}

asio::awaitable<io::HttpResponse> Scrape::answer(const io::HttpRequest& request, std::shared_ptr<const void> owner,
                                                 Batches batches) {
  const Form form{metrics::choose_format(request.header("accept")),
                  metrics::takes_gzip(request.header("accept-encoding"))};
  std::size_t samples = 0;
  for (const model::SampleBatch* batch : batches)
    samples += batch->size();
  Text text;
  if (samples > kSmall) {
    std::function<Result<Text>()> job = [texts = texts_, owner, batches, form]() -> Result<Text> {
      return texts->get(owner, batches, form);
    };
    const Result<Text> made = co_await pool_.run_for<Text>(std::move(job), kPatience);
    if (made.has_value()) text = *made;
  }
  // Also when no worker is free: the scrape costs the loop a few milliseconds then, rather than the scraper its values.
  if (!text) text = texts_->get(owner, batches, form);
  io::HttpResponse out;
  out.content_type = std::string(metrics::content_type(form.format));
  out.headers.emplace_back("Vary", "Accept, Accept-Encoding");
  if (form.gzip) out.headers.emplace_back("Content-Encoding", "gzip");
  out.shared_body = std::move(text);
  co_return out;
}

}  // namespace omnitide::daemon
