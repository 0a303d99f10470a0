#include "ebpf/enforcement/encode.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "tests/harness/catch.hpp"

using namespace omnitide;
using namespace omnitide::enforcement;

namespace {

// The bits that a row says, as the programs read it.
policy::Bits read(const policy_row& row, const WordRows& words) {
  std::map<std::uint32_t, std::uint64_t> all;
  for (std::uint32_t word = 0; word < POLICY_ROW_WORDS; ++word) {
    if ((row.summary[word / 64] >> (word % 64) & 1U) == 0) continue;
    if (word == row.first) all[word] = row.word;
    for (std::size_t i = 0; i < words.size(); ++i) {
      if (words.keys[i].row == row.row && words.keys[i].word == word) all[word] = words.values[i];
    }
    REQUIRE(all[word] != 0);
  }
  policy::Bits out;
  for (const auto& [word, bits] : all) {
    for (std::uint32_t bit = 0; bit < 64; ++bit) {
      if ((bits >> bit & 1U) != 0) out.push_back(static_cast<std::uint16_t>(word * 64 + bit));
    }
  }
  return out;
}

}  // namespace

TEST_CASE("a row says its bits, whatever words they are in") {
  RowIds ids;
  std::mt19937 random(1);
  for (const policy::Bits& bits :
       {policy::Bits{}, policy::Bits{0}, policy::Bits{63}, policy::Bits{64}, policy::Bits{0, 63, 64, 16383},
        policy::Bits{16383}, policy::Bits{4095, 4096, 8191, 8192}}) {
    WordRows words;
    const policy_row row = encode_row(bits, ids, words);
    CHECK(read(row, words) == bits);
    CHECK((row.row != 0) == (words.size() > 0));
    std::vector<policy_word_key> keys;
    append_words(row, keys);
    REQUIRE(keys.size() == words.size());
    for (std::size_t i = 0; i < keys.size(); ++i)
      CHECK((keys[i].row == words.keys[i].row && keys[i].word == words.keys[i].word));
  }
  for (int i = 0; i < 100; ++i) {
    std::set<std::uint16_t> some;
    for (int n = 0; n < 50; ++n)
      some.insert(static_cast<std::uint16_t>(random() % policy::kMostRules));
    WordRows words;
    const policy_row row = encode_row({some.begin(), some.end()}, ids, words);
    CHECK(read(row, words) == policy::Bits(some.begin(), some.end()));
  }
}

TEST_CASE("a row of one word takes no number, and numbers are given out again") {
  RowIds ids;
  WordRows words;
  CHECK(encode_row({1, 2, 63}, ids, words).row == 0);
  const std::uint32_t first = encode_row({1, 64}, ids, words).row;
  const std::uint32_t second = encode_row({1, 64}, ids, words).row;
  CHECK(first != 0);
  CHECK(second != first);
  ids.give_back(first);
  CHECK(encode_row({1, 64}, ids, words).row == first);
}

TEST_CASE("port rows have the keys that the programs look for") {
  const policy_port_key anything = exact_key(7, port_key({0, 0, 0, {}}));
  CHECK((anything.set == 7 && anything.kind == 0 && anything.protocol == 0 && anything.port == 0));
  const policy_port_key protocol = exact_key(7, port_key({17, 0, 0, {}}));
  CHECK((protocol.kind == 1 && protocol.protocol == 17 && protocol.port == 0));
  const policy_port_key port = exact_key(7, port_key({6, 443, 16, {}}));
  CHECK((port.kind == 2 && port.protocol == 6 && port.port == 443));
  CHECK_FALSE(port_key({6, 443, 16, {}}).is_range());
  REQUIRE(port_key({6, 0x1f00, 5, {}}).is_range());
  const policy_port_range_key range = range_key(7, port_key({6, 0x1f00, 5, {}}));
  CHECK(range.length == 45);
  CHECK(range.set_be == __builtin_bswap32(7));
  CHECK((range.protocol == 6 && range.port_be[0] == 0x1f && range.port_be[1] == 0 && range.reserved == 0));
}

TEST_CASE("an endpoint's flags say which port rows its set has") {
  policy::RuleSet set;
  set.rules = {{.decision = policy::Decision::accept}, {.decision = policy::Decision::deny}};
  CHECK(set_flags(set) == POLICY_SET_DENY);
  set.otherwise = policy::Decision::accept;
  CHECK(set_flags(set) == 0);
  set.ports = {{0, 0, 0, {}}};
  CHECK(set_flags(set) == 0);
  set.ports.push_back({6, 0, 0, {}});
  CHECK(set_flags(set) == POLICY_SET_PROTOCOLS);
  set.ports.push_back({6, 80, 16, {}});
  CHECK(set_flags(set) == (POLICY_SET_PROTOCOLS | POLICY_SET_PORTS));
  set.ports.push_back({6, 0x8000, 1, {}});
  CHECK(set_flags(set) == (POLICY_SET_PROTOCOLS | POLICY_SET_PORTS | POLICY_SET_RANGES));
}

TEST_CASE("an endpoint's flags say whether every rule of its set accepts") {
  policy::RuleSet set;
  set.otherwise = policy::Decision::accept;
  set.rules = {{.decision = policy::Decision::accept}, {.decision = policy::Decision::accept}};
  CHECK(set_flags(set) == POLICY_SET_ACCEPTS);
  const auto other = GENERATE(policy::Decision::deny, policy::Decision::pass);
  set.rules.push_back({.decision = other, .pass_to = 4});
  CHECK(set_flags(set) == 0);
}

TEST_CASE("addresses and prefixes are sixteen bytes in network order, and come back") {
  const Address four = *parse_address("192.0.2.1"), six = *parse_address("fd00::1");
  CHECK(encode(four).bytes[10] == 0xff);
  CHECK(encode(four).bytes[12] == 192);
  CHECK(decode(encode(four)) == four);
  CHECK(decode(encode(six)) == six);
  const Prefix prefix = *parse_prefix("10.0.0.0/8");
  CHECK(encode(prefix).length == 104);
  CHECK(decode(encode(prefix)) == prefix);
}

TEST_CASE("a deny list of IPv6 denies no IPv4, although the trie has both") {
  const auto denies = [](const std::set<Prefix>& entries, const char* text) {
    const Address address = *parse_address(text);
    return std::any_of(entries.begin(), entries.end(), [&address](const Prefix& entry) {  // by bits, as the trie does
      return make_prefix(address, entry.length).address == entry.address;
    });
  };
  for (const char* wide : {"::/0", "::/1", "::/79", "::/80"}) {
    INFO(wide);
    const std::set<Prefix> entries = deny_entries(std::vector<Prefix>{*parse_prefix(wide)});
    CHECK(entries.size() == 96U - parse_prefix(wide)->length);
    for (const char* four : {"0.0.0.0", "10.0.0.1", "127.255.255.255", "128.0.0.0", "255.255.255.255"})
      CHECK_FALSE(denies(entries, four));
    for (const char* six : {"::", "::1", "::fffe:ffff:ffff", "::1:0:0:0", "fd00::1",
                            "2001:db8::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"})
      CHECK(denies(entries, six) == parse_prefix(wide)->contains(*parse_address(six)));
  }
  const std::vector<Prefix> plain{*parse_prefix("0.0.0.0/0"), *parse_prefix("10.0.0.0/8"), *parse_prefix("fd00::/8"),
                                  *parse_prefix("8000::/1"), *parse_prefix("::1/128")};
  CHECK(deny_entries(plain) == std::set<Prefix>(plain.begin(), plain.end()));
}
