#include "agent/io/rate_limit.hpp"

#include <algorithm>
#include <cmath>

namespace omnitide::io {

std::optional<std::chrono::milliseconds> RateLimiter::refuse(const std::string& key, SteadyTime now) {
  auto found = buckets_.find(key);
  if (found == buckets_.end()) {
    if (buckets_.size() >= limit_ && !by_age_.empty()) {
      buckets_.erase(by_age_.front());
      by_age_.pop_front();
    }
    by_age_.push_back(key);
    found = buckets_.emplace(key, Bucket{burst_, now, std::prev(by_age_.end())}).first;
  } else {
    by_age_.splice(by_age_.end(), by_age_, found->second.age);
  }
  Bucket& bucket = found->second;
  const std::chrono::duration<double> passed = now - bucket.updated;
  bucket.tokens = std::min(burst_, bucket.tokens + passed.count() * rate_);
  bucket.updated = now;
  if (bucket.tokens >= 1) {
    bucket.tokens -= 1;
    return std::nullopt;
  }
  return std::chrono::milliseconds{static_cast<std::int64_t>(std::ceil((1 - bucket.tokens) / rate_ * 1000))};
}

}  // namespace omnitide::io
