// The readers under the parser: JSON by RFC 8259, and YAML twice, which must tell the same.
#include <fmt/format.h>

#include "agent/policy/events.hpp"
#include "agent/policy/words.hpp"
#include "tests/harness/catch.hpp"

using namespace omnitide::policy;
using Texts = std::vector<std::string>;

namespace {

// Events in short: "{1" "p2 word" "q2 quoted" "0" "."
class Recorder final : public Events {
 public:
  void open_map(std::uint32_t line) override { told.push_back(fmt::format("{{{}", line)); }
  void open_list(std::uint32_t line) override { told.push_back(fmt::format("[{}", line)); }
  void close() override { told.emplace_back("."); }
  void scalar(std::uint32_t line, std::string_view text, Style style) override {
    told.push_back(style == Style::null ? "0" : fmt::format("{}{} {}", style == Style::plain ? 'p' : 'q', line, text));
  }
  void odd(std::uint32_t, std::string_view what) override { told.push_back("! " + std::string(what)); }
  [[nodiscard]] bool stopped() const override { return false; }
  Texts told;
};

Texts json(std::string_view text) {
  Recorder recorder;
  Cursor cursor{.text = text};
  const auto broken = read_json(cursor, recorder);
  if (broken) return {fmt::format("{}: {}", broken->line, broken->message)};
  return recorder.told;
}
std::string json_text(std::string_view literal) {
  const Texts told = json(literal);
  return told.size() == 1 && told[0].starts_with("q1 ") ? told[0].substr(3) : fmt::format("{}", fmt::join(told, "|"));
}

// What the quick reader tells, once it is sure that yaml-cpp tells the same; "left" when it leaves the text.
Texts yaml(std::string_view text) {
  Recorder quick, whole;
  if (!read_block_yaml(text, 1, quick)) return {"left"};
  const auto broken = read_yaml(text, 1, whole);
  CHECK_FALSE(broken);
  if (!(quick.told.empty() && whole.told == Texts{"0"})) CHECK(quick.told == whole.told);
  return quick.told;
}

}  // namespace

TEST_CASE("JSON: values, lines and several of them") {
  CHECK(json("{\"a\": [1, -2.5e+3, true, false, null, \"x\"],\n \"b\": {}, \"c\": []}") ==
        Texts{"{1", "q1 a", "[1", "p1 1", "p1 -2.5e+3", "p1 true", "p1 false", "0", "q1 x", ".", "q2 b", "{2", ".",
              "q2 c", "[2", ".", "."});
  CHECK(json("  ") == Texts{});
  Recorder recorder;
  Cursor cursor{.text = "{}\n[1]\n"};
  CHECK_FALSE(read_json(cursor, recorder));
  CHECK_FALSE(read_json(cursor, recorder));
  CHECK(recorder.told == Texts{"{1", ".", "[2", "p2 1", "."});
  CHECK(cursor.line == 2);
}

TEST_CASE("JSON: strings") {
  CHECK(json_text(R"("a\/b\\\"\b\f\n\r\t")") == "a/b\\\"\b\f\n\r\t");
  CHECK(json_text(R"("\u0041\u00e9\u20ac\ud83d\ude00")") == "A\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  CHECK(json_text(R"("\uD83D\uDE00")") == "\xf0\x9f\x98\x80");
  CHECK(json_text("\"\xf0\x9f\x98\x80\"") == "\xf0\x9f\x98\x80");
  for (const char* bad :
       {R"("\ud83d")", R"("\ude00")", R"("\ud83d\u0041")", R"("\ud83dx")", R"("\x41")", R"("\u12")", R"("\u00zz")",
        R"("\u+123")", R"("\u0x12")", "\"a\nb\"", "\"a\tb\"", "\"a", R"("\)", R"("\u)"}) {
    CAPTURE(bad);
    CHECK(json_text(bad).find("is not valid JSON") != std::string::npos);
  }
}

TEST_CASE("JSON: what is none is told with its line") {
  CHECK(json("{\n\"a\": }") == Texts{"2: is not valid JSON: a value should be here"});
  CHECK(json("{\"a\" 1}") == Texts{"1: is not valid JSON: a colon should be here"});
  CHECK(json("{\"a\": 1\n\"b\": 2}") == Texts{"2: is not valid JSON: a comma or } should be here"});
  CHECK(json("[1 2]") == Texts{"1: is not valid JSON: a comma or ] should be here"});
  CHECK(json("{\"a\": [1") == Texts{"1: is not valid JSON: it ends where a comma or ] should be"});
  CHECK(json("{\"a\"") == Texts{"1: is not valid JSON: it ends where a colon should be"});
  for (const char* bad :
       {"{",      "[",        "}",      "]",   "{]",  "[}",   "{,}",      "[,]",      "[1,]", "{\"a\":1,}",
        "{a: 1}", "{'a': 1}", "{1: 2}", "tru", "nul", "True", "NaN",      "01",       "-",    "+1",
        "1.",     ".5",       "1e",     "1e+", "0x1", "1_0",  "// c\n{}", "\"a\" : b"}) {
    CAPTURE(bad);
    const Texts told = json(bad);
    if (std::string_view(bad) == "\"a\" : b") {
      CHECK(told == Texts{"q1 a"});
    } else {
      REQUIRE(told.size() == 1);
      CHECK(told[0].find("is not valid JSON") != std::string::npos);
    }
  }
  for (const char* good : {"0", "-0", "10", "1.0", "1e5", "1E-5", "0.1e+10"})
    CHECK(json(good) == Texts{fmt::format("p1 {}", good)});
}

TEST_CASE("YAML: the quick reader tells what yaml-cpp tells") {
  CHECK(yaml("a: b\nc:\n  d: e\n  f:\n  - g\n  - h: i\n    j: k\n  -\n  - - l\nm:\n") ==
        Texts{"{1",   "p1 a", "p1 b", "p2 c", "{3", "p3 d", "p3 e", "p4 f", "[5", "p5 g",  "{6", "p6 h", "p6 i",
              "p7 j", "p7 k", ".",    "0",    "[9", "p9 l", ".",    ".",    ".",  "p10 m", "0",  "."});
  CHECK(yaml("a: {b: c, 'd': [e, \"f\"], g: {}}\nh: []  # end\n") == Texts{"{1", "p1 a", "{1", "p1 b", "p1 c", "q1 d",
                                                                           "[1", "p1 e", "q1 f", ".", "p1 g", "{1", ".",
                                                                           ".", "p2 h", "[2", ".", "."});
  CHECK(yaml("a: b  # c\n# d\n\n'e': \"f\\n\\t\\u00e4\\\"\" # g\nh: 'i''j'\nk: http://l#m\nn: fd00::/8\n") ==
        Texts{"{1", "p1 a", "p1 b", "q4 e", "q4 f\n\t\xc3\xa4\"", "p5 h", "q5 i'j", "p6 k", "p6 http://l#m", "p7 n",
              "p7 fd00::/8", "."});
  CHECK(yaml("a: one\n  two\n\n  three\nb: 'one\n\n  two '\nc: \"one \n  two\"\n") ==
        Texts{"{1", "p1 a", "p1 one two\nthree", "p5 b", "q5 one\ntwo ", "p8 c", "q8 one two", "."});
  CHECK(yaml("a: |\n  one\n    two\n\n  # three\nb: >-\n  one\n  two\n\n  three\nc: |+\n  one\n\nd: |-\n  one\n\n") ==
        Texts{"{1", "p1 a", "q1 one\n  two\n\n# three\n", "p6 b", "q6 one two\nthree", "p11 c", "q11 one\n\n", "p14 d",
              "q14 one", "."});
  CHECK(yaml("---\na: ~\nb: null\nc: NULL\nd: -1\ne: --x\n") ==
        Texts{"{2", "p2 a", "0", "p3 b", "0", "p4 c", "0", "p5 d", "p5 -1", "p6 e", "p6 --x", "."});
  CHECK(yaml("# nothing\n\n") == Texts{});
  CHECK(yaml("a:\n  b\n") == Texts{"{1", "p1 a", "p2 b", "."});
  CHECK(yaml("a: [b,\n  c,\n\n  {d: e,\n f:\n  g}\n ]\nh: \"one \\\n  two\\\n  \\ three\"\ni: |2-\n   one\n  two\n- "
             "x\n") == Texts{"left"});
  CHECK(yaml("a: [b,\n  c,\n\n  {d: e,\n f:\n  g}\n ]\nh: \"one \\\n  two\\\n  \\ three\"\ni: |2-\n   one\n  two\n") ==
        Texts{"{1", "p1 a", "[1", "p1 b", "p2 c", "{4", "p4 d", "p4 e", "p5 f", "p6 g", ".", ".", "p8 h",
              "q8 one two three", "p11 i", "q11  one\ntwo", "."});
  CHECK(yaml("a:\n# c\n- b\n# d\n- e\n") == Texts{"{1", "p1 a", "[3", "p3 b", "p5 e", ".", "."});
}

TEST_CASE("YAML: what the quick reader does not know for sure it leaves") {
  for (const char* text : {"a: &x b",
                           "a: *x",
                           "a: !t b",
                           "? a\n: b",
                           "a:\tb",
                           "\ta: b",
                           "a: b\r\n",
                           "- a",
                           "word",
                           "'a'",
                           "{a: b}",
                           "a: {b: c",
                           "a: {b}",
                           "a: [b: c]",
                           "a: [b,\nc]",
                           "a: [b,]",
                           "a: b: c",
                           "a: 'b",
                           "a: \"\\x41\"",

                           "a: \"b\\\n\n  c\"",
                           "a: [b # c\n ]",
                           "a: >\n  b\n   c\n",
                           "a: b\n c: d",
                           "a:\n  b: c\n d: e",
                           "a: b\n  - c",
                           "a: 'b' c",
                           "a: - b",
                           "a : b",
                           "a: b\n...\n",
                           "%YAML 1.2\n---\na: b",
                           "a: |\n  no end of line",
                           "a: \"\\ud83d\"",
                           "~: a",
                           "a: @b",
                           "a: [a, {b c}]",
                           "a: b # c\n  d",
                           "--- a: b",
                           "\xef\xbb\xbf"
                           "a: b"}) {
    CAPTURE(text);
    CHECK(yaml(text) == Texts{"left"});
  }
}

TEST_CASE("YAML: anchors, aliases and tags are told by yaml-cpp") {
  Recorder recorder;
  CHECK_FALSE(read_yaml("a: &x b\nc: *x\nd: !t e\nf: !!str g\n", 5, recorder));
  CHECK(recorder.told == Texts{"{5", "p5 a", "! an anchor (&name)", "p5 b", "p6 c", "! an alias (*name)", "0", "p7 d",
                               "! the tag !t", "p7 e", "p8 f", "q8 g", "."});
}

TEST_CASE("YAML: what yaml-cpp would hold in memory is bounded") {
  // One flow collection of 4 MB that might still become a key: all its tokens would wait for that.
  std::string text = "- {\"a\": [";
  while (text.size() < (4U << 20U))
    text += "1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,";
  text += "1]}\n";
  Recorder recorder;
  const auto broken = read_yaml(text, 1, recorder);
  REQUIRE(broken);
  CHECK(broken->message == "has too large a value in one piece");
  CHECK(recorder.told.size() < 200'000);
  text.insert(0, 16U << 20U, '\n');
  const auto longer = read_yaml(text, 1, recorder);
  REQUIRE(longer);
  CHECK(longer->message == "is longer than 16 MiB and not in plain block style");
}

TEST_CASE("words are typed as Kubernetes' YAML types them") {
  for (const char* word : {"true", "True", "yes", "on", "No", "OFF"})
    CHECK(type_of_word(word) == WordType::boolean);
  for (const char* word : {"", "~", "null", "Null", "NULL"})
    CHECK(type_of_word(word) == WordType::null);
  for (const char* word : {"0", "80", "-1", "+1", "0x1F", "0o17", "017", "0b11", "1_000", "9223372036854775807"})
    CHECK(type_of_word(word) == WordType::integer);
  for (const char* word : {"1.5", "1e3", ".5", "5.", "-1.5E+3", ".inf", "-.INF", ".nan", "08", "9223372036854775808"})
    CHECK(type_of_word(word) == WordType::fraction);
  for (const char* word : {"y", "N", "a", "tRue", "nil", "12:30", "2026-01-31", "1.2.3", "10.0.0.0/8", "0x", "0xg",
                           "--1", "1e", "-", "+", ".", "0x0x1", "1 2", "_1a"})
    CHECK(type_of_word(word) == WordType::text);
  CHECK(integer_of("0x1F") == 31);
  CHECK(integer_of("017") == 15);
  CHECK(integer_of("0b11") == 3);
  CHECK(integer_of("-1_000") == -1000);
  CHECK(boolean_of("y") == true);
  CHECK(boolean_of("Off") == false);
  CHECK_FALSE(boolean_of("tRUE"));
}

TEST_CASE("text is UTF-8 without control characters") {
  CHECK(first_bad_byte("plain text that is longer than eight bytes\twith \r\n line ends") == std::string_view::npos);
  CHECK(first_bad_byte("\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80 and more of it, \xc3\xa4") == std::string_view::npos);
  for (const char* bad : {"12345678\x01", "12345678\x80", "12345678\xc3", "12345678\xc1\x81", "12345678\xe0\x80\x80",
                          "12345678\xed\xa0\x80", "12345678\xf4\x90\x80\x80", "12345678\xe2\x82", "12345678\x1f after"})
    CHECK(first_bad_byte(bad) == 8);
  // A byte's place in its word does not matter.
  for (std::size_t i = 0; i < 24; ++i) {
    std::string text(24, 'a');
    text[i] = '\x02';
    CHECK(first_bad_byte(text) == i);
  }
}

TEST_CASE("names have the syntax that Kubernetes demands") {
  CHECK(wrong_subdomain("a.b-c.1").empty());
  CHECK(wrong_label_name("a-1").empty());
  CHECK_FALSE(wrong_label_name("a.b").empty());
  CHECK(wrong_label_key("example.com/A_b.c-d").empty());
  CHECK_FALSE(wrong_label_key("a/b/c").empty());
  CHECK_FALSE(wrong_label_key("/a").empty());
  CHECK_FALSE(wrong_label_key("").empty());
  CHECK(wrong_label_value("").empty());
  CHECK_FALSE(wrong_label_value(".a").empty());
  CHECK(wrong_port_name("http-2").empty());
  CHECK_FALSE(wrong_port_name("80").empty());
  CHECK(wrong_interface("eth0.100").empty());
  CHECK_FALSE(wrong_interface("..").empty());
  CHECK_FALSE(wrong_interface("w\xC3\xB6lan").empty());
}
