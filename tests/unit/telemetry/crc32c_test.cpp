#include "agent/telemetry/crc32c.hpp"

#include <string>

#include "agent/base/random.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::telemetry;

TEST_CASE("the checksum is that of RFC 3720, with the processor's instruction and without") {
  std::string rising(32, '\0');
  for (std::size_t i = 0; i < rising.size(); ++i)
    rising[i] = static_cast<char>(i);
  const std::string falling(rising.rbegin(), rising.rend());
  for (const auto checksum : {crc32c, crc32c_portable}) {
    CHECK(checksum(0, "") == 0);
    CHECK(checksum(0, "123456789") == 0xE3069283);
    CHECK(checksum(0, std::string(32, '\0')) == 0x8A9136AA);
    CHECK(checksum(0, std::string(32, '\xff')) == 0x62A8AB43);
    CHECK(checksum(0, rising) == 0x46DD794E);
    CHECK(checksum(0, falling) == 0x113FDB5C);
  }
}

TEST_CASE("the checksum goes on from a seed, and both ways agree at every length and alignment") {
  const std::string bytes = random_bytes(300);
  for (std::size_t begin = 0; begin < 9; ++begin) {
    for (std::size_t length = 0; length + begin < bytes.size(); ++length) {
      const std::string_view part = std::string_view(bytes).substr(begin, length);
      const std::uint32_t whole = crc32c(0x12345678, part);
      REQUIRE(whole == crc32c_portable(0x12345678, part));
      REQUIRE(whole == crc32c(crc32c_portable(0x12345678, part.substr(0, length / 3)), part.substr(length / 3)));
    }
  }
}
