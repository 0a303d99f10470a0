#include "ebpf/loader/packed_object.hpp"

#include <catch2/catch.hpp>
#include <cstring>
#include <string_view>

namespace omnitide::ebpf {

namespace {

// `printf elf | gzip -9n`
constexpr unsigned char kPacked[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x4b, 0xcd,
                                     0x49, 0x03, 0x00, 0x1f, 0x30, 0xc4, 0xdc, 0x03, 0x00, 0x00, 0x00};

std::span<const std::byte> bytes_of(const unsigned char* data, std::size_t size) {
  return {reinterpret_cast<const std::byte*>(data), size};
}

}  // namespace

TEST_CASE("a packed object is what was packed") {
  const auto out = unpack({bytes_of(kPacked, sizeof kPacked)});
  REQUIRE(out.has_value());
  CHECK(std::string_view(reinterpret_cast<const char*>(out->data()), out->size()) == "elf");
}

TEST_CASE("a packed object that is cut off or changed is named, wherever it is") {
  for (std::size_t size = 0; size < sizeof kPacked; ++size)
    CHECK(unpack({bytes_of(kPacked, size)}).has_error());
  for (std::size_t at = 10; at < sizeof kPacked; ++at) {  // behind the header, some of which says nothing
    if (at == 14) continue;                               // ends with bits that fill the byte up
    unsigned char changed[sizeof kPacked];
    std::memcpy(changed, kPacked, sizeof kPacked);
    changed[at] ^= 0x40;
    INFO(at);
    CHECK(unpack({bytes_of(changed, sizeof changed)}).has_error());
  }
}

}  // namespace omnitide::ebpf
