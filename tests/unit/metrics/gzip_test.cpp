#include "agent/metrics/gzip.hpp"

#include <zlib.h>

#include <random>
#include <string>
#include <vector>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using metrics::Gzip;

namespace {

// As zlib reads it, which checks the checksum and the length too; "?" if it does not.
std::string inflated(const std::string& bytes, std::size_t most) {
  z_stream stream{};
  REQUIRE(::inflateInit2(&stream, 15 + 16) == Z_OK);
  std::string out(most + 1, '\0');
  std::string in = bytes;
  stream.next_in = reinterpret_cast<unsigned char*>(in.data());
  stream.avail_in = static_cast<unsigned>(in.size());
  stream.next_out = reinterpret_cast<unsigned char*>(out.data());
  stream.avail_out = static_cast<unsigned>(out.size());
  const int result = ::inflate(&stream, Z_FINISH);
  const bool whole = result == Z_STREAM_END && stream.avail_in == 0;
  out.resize(stream.total_out);
  ::inflateEnd(&stream);
  return whole ? out : "?";
}

std::string metrics_text(int series) {
  std::string out =
      "# HELP node_cpu_seconds_total Seconds the CPUs spent in each mode.\n# TYPE node_cpu_seconds_total counter\n";
  for (int i = 0; i < series; ++i)
    out += "node_cpu_seconds_total{cpu=\"" + std::to_string(i) + "\",mode=\"idle\"} " +
           std::to_string(i * 7919 % 10007) + ".25\n";
  return out;
}

void check(Gzip& gzip, const std::string& text, std::size_t piece) {
  for (std::size_t at = 0; at < text.size(); at += piece)
    gzip.write(std::string_view(text).substr(at, piece));
  const std::string bytes = gzip.finish();
  INFO(text.size() << " bytes in pieces of " << piece);
  CHECK((inflated(bytes, text.size()) == text));
  CHECK(bytes.size() <= text.size() * 7 / 4 + 256);
}

}  // namespace

TEST_CASE("what is compressed reads back as it was, whatever it is and however it comes") {
  Gzip gzip;  // one for all: nothing of a text is left in the next
  std::minstd_rand random(7);
  std::string noise, runs, every;
  for (int i = 0; i < 100'000; ++i)
    noise += static_cast<char>(random());
  while (runs.size() < 100'000)  // of all lengths, some as far back as can be
    runs.append(random() % 600, static_cast<char>('a' + random() % 3));
  for (int i = 0; i < 256; ++i)
    every.append(static_cast<std::size_t>(i) + 1, static_cast<char>(i));
  const std::string far = noise.substr(0, 300) + std::string(32'000, 'x') + noise.substr(0, 300);
  std::vector<std::string> texts{"",
                                 "a",
                                 "abc",
                                 "abcd",
                                 "aaaa",
                                 std::string(258, 'a'),
                                 std::string(259, 'a'),
                                 std::string(70'000, 'b'),
                                 noise,
                                 runs,
                                 every,
                                 far,
                                 metrics_text(2000)};
  for (const std::string& text : texts)
    for (const std::size_t piece : {text.size() + 1, std::size_t{32'768}, std::size_t{1'000}})
      check(gzip, text, piece);
  for (std::size_t size = 0; size < 300; ++size)
    check(gzip, noise.substr(size, size) + runs.substr(size, size) + noise.substr(size, size / 2), 4096);
}

TEST_CASE("text of metrics gets small") {
  Gzip gzip;
  const std::string text = metrics_text(500);
  gzip.write(text);
  CHECK(gzip.finish().size() < text.size() / 5);
}
