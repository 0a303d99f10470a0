// gzip (RFC 1952) of text as it comes, quickly rather than tightly.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace omnitide::metrics {

class Gzip {
 public:
  Gzip();  // throws std::bad_alloc when there is no memory for its 260 KB
  ~Gzip();
  Gzip(const Gzip&) = delete;
  Gzip& operator=(const Gzip&) = delete;

  void write(std::string_view piece);
  [[nodiscard]] std::string finish();  // all that was written; what is written next begins another text

 private:
  struct State;
  void run(int flush);
  std::unique_ptr<State> state_;
};

}  // namespace omnitide::metrics
