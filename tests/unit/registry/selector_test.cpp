#include "agent/registry/selector.hpp"

#include <string>
#include <vector>

#include "tests/harness/catch.hpp"

using omnitide::registry::Labels;
using omnitide::registry::Selector;

TEST_CASE("selectors choose by Kubernetes' rules") {
  const Labels labels{{"site", "lab"}, {"tier", "edge"}, {"omnitide.io/gpu", ""}};
  struct Row {
    const char* text;
    bool matches;
  };
  const std::vector<Row> rows{
      {"", true},
      {"site=lab", true},
      {"site==lab", true},
      {"site=home", false},
      {"site!=lab", false},
      {"zone!=a", true},
      {"site", true},
      {"!site", false},
      {"!zone", true},
      {"omnitide.io/gpu", true},
      {"omnitide.io/gpu=", true},
      {"site in (home,lab)", true},
      {"site in (home, office)", false},
      {"zone in (a)", false},
      {"site notin (home)", true},
      {"site notin (lab)", false},
      {"zone notin (a)", true},
      {"site=lab,tier=edge", true},
      {" site = lab , tier in ( edge ) ", true},
      {"site=lab,tier=core", false},
      {"in", false},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    const auto selector = Selector::parse(row.text);
    REQUIRE(selector.has_value());
    CHECK(selector->matches(labels) == row.matches);
  }
}

TEST_CASE("a wrong selector is refused with the place and the field") {
  for (const char* text :
       {",", "a=b,", "=x", "a in b", "a in (b", "a ! b", "a=b c=d", "a in ()x", "-a", "a=(b)", "a>1", "\x1b"}) {
    INFO(text);
    const auto selector = Selector::parse(text);
    REQUIRE(selector.has_error());
    CHECK(selector.error().code == omnitide::Code::invalid_argument);
    CHECK(selector.error().field == "labelSelector");
    CHECK(selector.error().message.find('\x1b') == std::string::npos);
  }
  CHECK(Selector::parse(std::string(5000, 'a')).has_error());
  std::string many = "a";
  for (int i = 0; i < 64; ++i)
    many += ",a";
  CHECK(Selector::parse(many).has_error());
}

TEST_CASE("labels are checked, encoded and merged: agent before token before registry") {
  using namespace omnitide::registry;
  CHECK(check_labels({{"a", "b"}, {"x.io/y", "1.2"}, {"e", ""}}).has_value());
  for (const Labels& bad : std::vector<Labels>{{{"", "x"}},
                                               {{"a b", "x"}},
                                               {{"a", "b\n"}},
                                               {{"a", "-b"}},
                                               {{"/a", "b"}},
                                               {{"X.io/a", "b"}},
                                               {{std::string(64, 'a'), "b"}}}) {
    CHECK(check_labels(bad).has_error());
  }
  Labels many;
  for (int i = 0; i < 65; ++i)
    many["k" + std::to_string(i)] = "v";
  CHECK(check_labels(many).has_error());
  const Labels labels{{"a", "1"}, {"b", ""}};
  CHECK(decode_labels(encode_labels(labels)) == labels);
  CHECK(effective_labels("a=1\nb=1\nc=1\n", "b=2\nc=2\n", "c=3\n") == Labels{{"a", "1"}, {"b", "2"}, {"c", "3"}});
}
