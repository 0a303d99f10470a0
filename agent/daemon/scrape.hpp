// The answer to a scrape: one collection as text, in the form that the scraper asks for.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <memory>
#include <span>

#include "agent/io/http.hpp"
#include "agent/io/worker_pool.hpp"
#include "agent/model/sample_batch.hpp"

namespace omnitide::daemon {

class Scrape {
 public:
  explicit Scrape(io::WorkerPool& pool);

  // Format by Accept, gzip by Accept-Encoding. `batches` belong to `owner` and do not change. The text of a large
  // collection is made on a worker; all who ask for the same form of the same collection share one text, so that a
  // hundred scrapers, also ones that never read, hold no more than one does.
  [[nodiscard]] boost::asio::awaitable<io::HttpResponse> answer(const io::HttpRequest& request,
                                                                std::shared_ptr<const void> owner,
                                                                std::span<const model::SampleBatch* const> batches);

 private:
  class Texts;
  io::WorkerPool& pool_;
  std::shared_ptr<Texts> texts_;
};

}  // namespace omnitide::daemon
