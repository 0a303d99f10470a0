// From text to objects: documents, lists, kinds, limits, and what is told about the part that could not be read.
#include "agent/policy/parse.hpp"

#include <fmt/format.h>

#include "tests/harness/catch.hpp"
#include "tests/harness/policy.hpp"

using namespace omnitide;
using namespace omnitide::policy;
using namespace omnitide::test;
using Texts = std::vector<std::string>;

namespace {

std::string space(std::string_view name) {
  return fmt::format("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {}\n", name);
}

}  // namespace

TEST_CASE("a file holds any number of documents") {
  const Parsed parsed = parse("# first\n" + space("a") + "---\n---\n# nothing\n--- # b\n" + space("b") + "---\n" +
                                  "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: d}\n---\n" + space("c"),
                              kFile);
  CHECK(names(parsed.objects) == Texts{"Namespace a", "Namespace b", "Namespace c"});
  CHECK(texts(parsed.faults) == Texts{});
  CHECK(parsed.skipped == 1);
  CHECK(origin_of(parsed.objects[2]).line == 19);
  for (const char* nothing : {"", "\n", "---\n", "# only a comment\n", "---\n---\n", "\xef\xbb\xbf", "~\n"}) {
    const Parsed empty = parse(nothing, kFile);
    CHECK(empty.objects.empty());
    CHECK(empty.faults.empty());
    CHECK(empty.complete);
  }
  CHECK(names(parse("\xef\xbb\xbf" + space("a"), kFile).objects) == Texts{"Namespace a"});
  std::string dos = space("a") + "---\n" + space("b");
  for (std::size_t at = 0; (at = dos.find('\n', at)) != std::string::npos; at += 2)
    dos.insert(at, "\r");
  CHECK(names(parse(dos, kFile).objects) == Texts{"Namespace a", "Namespace b"});
}

TEST_CASE("a syntax error costs its document only, and what was not read is said") {
  const Parsed parsed =
      parse(space("a") + "---\n" + space("b") + "x: [\n---\n" + space("c") + "---\nkind: {a\n", kFile);
  CHECK(names(parsed.objects) == Texts{"Namespace a", "Namespace c"});
  CHECK_FALSE(parsed.complete);
  REQUIRE(parsed.faults.size() == 2);
  CHECK(parsed.faults[0].line >= 10);
  CHECK(parsed.faults[0].message.starts_with("is not valid YAML: "));
  CHECK(parsed.faults[0].message.ends_with("; the rest of this document is not read; the next document is"));
  CHECK(parsed.faults[1].message.ends_with("; the rest of this document is not read"));

  // Items before the error are read.
  const Parsed list = parse(
      "kind: List\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n"
      "- apiVersion: v1\n  kind: Namespace\n metadata: {name: b}\n",
      kFile);
  CHECK(names(list.objects) == Texts{"Namespace a"});
  CHECK_FALSE(list.complete);

  const Parsed tabs = parse("kind: Pod\nmetadata:\n\tname: a\n", kFile);
  REQUIRE(tabs.faults.size() == 1);
  CHECK(tabs.faults[0].hint == "indent with spaces, not with tabs");
}

TEST_CASE("bytes that are no text end their document") {
  using namespace std::string_literals;
  for (const std::string& bad : {"\0"s, "\x04"s, "\x1b"s, "\xff"s, "\xc0\xaf"s, "\xed\xa0\x80"s, "\xf5\x80\x80\x80"s}) {
    const Parsed parsed = parse(space("a") + "---\n" + space("b") + "# " + bad + "\n---\n" + space("c"), kFile);
    CHECK(names(parsed.objects) == Texts{"Namespace a", "Namespace c"});
    REQUIRE(parsed.faults.size() == 1);
    CHECK(parsed.faults[0].line == 10);
    CHECK(parsed.faults[0].message.find("is not text") == 0);
    CHECK_FALSE(parsed.complete);
  }
  const Parsed json =
      parse("{\"kind\":\"Namespace\",\"apiVersion\":\"v1\",\"metadata\":{\"name\":\"a\"}}\n{\"a\":\"\xff\"}", kFile);
  CHECK(names(json.objects) == Texts{"Namespace a"});
  REQUIRE(json.faults.size() == 1);
  CHECK(json.faults[0].message == "is not text: it has the byte 0xff; what follows is not read");
  CHECK(json.faults[0].line == 2);
  // UTF-16, as some editors write it.
  CHECK_FALSE(parse(std::string_view("\xff\xfek\0i\0", 6), kFile).complete);
}

TEST_CASE("a list gives its kind to items that have none, also when it stands behind them") {
  constexpr std::string_view kItems =
      "items:\n- metadata: {name: a}\n- metadata: {name: b}\n  kind: Node\n  apiVersion: v1\n";
  for (const bool first : {true, false}) {
    const std::string head = "kind: NamespaceList\napiVersion: v1\n";
    const Parsed parsed = parse(first ? head + std::string(kItems) : std::string(kItems) + head, kFile);
    CAPTURE(first);
    CHECK(texts(parsed.faults) == Texts{});
    Texts found = names(parsed.objects);
    std::sort(found.begin(), found.end());
    CHECK(found == Texts{"Namespace a", "Node b"});
  }
  const Parsed json = parse(R"({"items":[{"metadata":{"name":"a","namespace":"x"},"spec":{"podSelector":{}}}],)"
                            R"("apiVersion":"networking.k8s.io/v1","kind":"NetworkPolicyList"})",
                            kFile);
  CHECK(names(json.objects) == Texts{"NetworkPolicy x/a"});
  CHECK(parse("items:\n- metadata: {name: a}\nkind: DeploymentList\napiVersion: apps/v1\n", kFile).skipped == 1);
  CHECK(parse("items: []\nkind: List\napiVersion: v1\n", kFile).faults.empty());
  CHECK(parse("kind: PodList\napiVersion: v1\nitems:\n", kFile).faults.empty());
}

TEST_CASE("lists that are none are told") {
  CHECK(faults_of("kind: List\napiVersion: v1\nitems:\n- metadata: {name: a}\n") ==
        Texts{"4: a: has no kind (say which kind of object it is: apiVersion and kind)"});
  CHECK(faults_of("items:\n- metadata: {name: a}\nkind: List\napiVersion: v1\n") ==
        Texts{"2: a: has no kind (say which kind of object it is: apiVersion and kind)"});
  const std::string item = "items:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n";
  CHECK(faults_of(item) == Texts{"2: has items, and its kind is none (write kind: List)"});
  const Parsed pod = parse(item + "kind: Pod\napiVersion: v1\nmetadata: {name: p}\n", kFile);
  CHECK(pod.objects.empty());
  CHECK(texts(pod.faults) == Texts{"2: has items, and its kind is Pod (write kind: List)"});
  // Another kind of object that happens to have items is none of policy's business.
  const Parsed other = parse("kind: Menu\napiVersion: food/v1\nitems:\n- {kind: Soup, apiVersion: food/v1}\n", kFile);
  CHECK(other.faults.empty());
  CHECK(other.skipped == 1);
  CHECK(faults_of("kind: List\napiVersion: v1\nitems:\n- {kind: PodList, apiVersion: v1, items: []}\n") ==
        Texts{"4: PodList: is a list inside a list (put its items into the outer one)"});
  CHECK(faults_of("kind: List\napiVersion: v1\nitems:\n- a\n- [b, [c]]\n-\n- {apiVersion: v1, kind: Namespace, "
                  "metadata: {name: a}}\n") == Texts{"4: an item is no object (an item must be a map)",
                                                     "5: an item is no object (an item must be a map)",
                                                     "6: an item is no object (an item must be a map)"});
  CHECK(faults_of("- a: b\n") ==
        Texts{"1: is a list, not an object (write one document for each object, or a kind: List)"});
  CHECK(faults_of("hello\n") == Texts{"1: is no object (a document must be a map with apiVersion and kind)"});
  const std::string twice = "kind: List\napiVersion: v1\n" + item + "items: []\n";
  CHECK(faults_of(twice) == Texts{"5: items is set a second time (keep one of the two)"});
}

TEST_CASE("kinds and versions: foreign ones are skipped, near misses are told") {
  const auto head = [](std::string_view version, std::string_view kind) {
    const Parsed parsed = parse(fmt::format("apiVersion: {}\nkind: {}\nmetadata: {{name: a}}\n", version, kind), kFile);
    return parsed.faults.empty() ? fmt::format("{} skipped", parsed.skipped) : texts(parsed.faults)[0];
  };
  CHECK(head("apps/v1", "Deployment") == "1 skipped");
  CHECK(head("v1", "Service") == "1 skipped");
  CHECK(head("crd.projectcalico.org/v1", "NetworkPolicy") == "1 skipped");
  CHECK(head("metrics.k8s.io/v1beta1", "PodMetrics") == "1 skipped");
  CHECK(head("networking.k8s.io/v1", "Ingress") == "1 skipped");
  CHECK(head("omnitide.io/v1alpha1", "Telemetry") == "1 skipped");
  CHECK(head("v2", "Pod") == "1: Pod default/a: the version v2 is not known here (write apiVersion: v1)");
  CHECK(head("extensions/v1beta1", "NetworkPolicy") ==
        "1: NetworkPolicy default/a: the version extensions/v1beta1 is not known here (write apiVersion: "
        "networking.k8s.io/v1)");
  CHECK(head("v1", "NetworkPolicy") ==
        "1: NetworkPolicy default/a: the version v1 is not known here (write apiVersion: networking.k8s.io/v1)");
  CHECK(head("policy.networking.k8s.io/v1", "ClusterNetworkPolicy") ==
        "1: ClusterNetworkPolicy a: the version policy.networking.k8s.io/v1 is not known here (write apiVersion:"
        " policy.networking.k8s.io/v1alpha2)");
  CHECK(head("networking.k8s.io/v1", "NetworkPolcy") ==
        "1: NetworkPolcy a: networking.k8s.io has no kind NetworkPolcy (did you mean NetworkPolicy?)");
  CHECK(head("policy.networking.k8s.io/v1alpha1", "AdminNetworkPolicy") ==
        "1: AdminNetworkPolicy a: AdminNetworkPolicy is not enforced (write it as a ClusterNetworkPolicy of"
        " policy.networking.k8s.io/v1alpha2)");
  CHECK(faults_of("kind: Pod\nmetadata: {name: a}\n") ==
        Texts{"1: Pod default/a: has no apiVersion (write apiVersion: v1)"});
  CHECK(faults_of("foo: bar\n") == Texts{"1: has no kind (say which kind of object it is: apiVersion and kind)"});
  CHECK(parse("kind: HostPolicy\napiVersion: omnitide.io/v2\nmetadata: {name: a}\n", kFile).refused ==
        std::vector<ObjectKey>{{ObjectKey::Kind::host_policy, "", "a"}});
  // Which of two kinds counts differs between parsers.
  CHECK_FALSE(
      faults_of("apiVersion: apps/v1\nkind: Deployment\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\n")
          .empty());
}

TEST_CASE("an object that is here twice: the first holds") {
  const Parsed parsed = parse(space("a") + "---\n" + space("b") + "---\n" + space("a"), kFile);
  CHECK(names(parsed.objects) == Texts{"Namespace a", "Namespace b"});
  CHECK(texts(parsed.faults) == Texts{"11: Namespace a: is here a second time; the first is on line 1 (keep one of the"
                                      " two; the first one holds)"});
}

TEST_CASE("anchors, aliases, tags, merges and odd keys are refused in policy objects, and ignored in others") {
  const auto policy = [](std::string_view rest) {
    return faults_of(fmt::format("apiVersion: v1\nkind: Pod\nmetadata: {{name: a}}\n{}", rest));
  };
  CHECK(policy("spec: &x {nodeName: b}\n") ==
        Texts{"4: Pod default/a: spec: an anchor (&name) is not accepted here (write the value itself)"});
  CHECK(policy("x: &x b\nspec: {nodeName: *x}\n").size() == 2);
  CHECK(policy("spec: {nodeName: !secret b}\n") ==
        Texts{"4: Pod default/a: spec.nodeName: the tag !secret is not accepted here (write the value itself)"});
  CHECK(policy("spec:\n  <<: {nodeName: b}\n") ==
        Texts{"5: Pod default/a: spec.<<: merging (<<) is not accepted here (write the values themselves)"});
  CHECK(policy("spec:\n  ? {a: b}\n  : c\n") == Texts{"5: Pod default/a: spec: a key must be a word"});
  CHECK(policy("spec: {80: a}\n") == Texts{"4: Pod default/a: spec.80: the key 80 is no text (put it in quotes)"});
  CHECK(policy("spec: {nodeName: !!str b}\n").empty());
  CHECK(policy("spec: {nodeName: a}\nspec: {}\n") ==
        Texts{"5: Pod default/a: spec: is set a second time (keep one of the two)"});
  const Parsed other = parse(
      "apiVersion: v1\nkind: ConfigMap\nx: &x [1]\ny: *x\n? [a]\n: b\n<<: {c: d}\n5: 6\n---\n" + space("a"), kFile);
  CHECK(other.faults.empty());
  CHECK(other.skipped == 1);
  CHECK(names(other.objects) == Texts{"Namespace a"});
  // Complex keys take their turn also where nothing is kept: `kind` here is a value.
  const Parsed turns = parse("apiVersion: v1\nkind: ConfigMap\n? [a]\n: kind\n? [b]\n: NetworkPolicy\n", kFile);
  CHECK(turns.faults.empty());
  CHECK(turns.skipped == 1);
}

TEST_CASE("a bomb of aliases costs nothing") {
  std::string bomb = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\na0: &a0 [x, x]\n";
  for (int i = 1; i < 30; ++i)
    bomb += fmt::format("a{0}: &a{0} [*a{1}, *a{1}]\n", i, i - 1);
  const Parsed parsed = parse(bomb, kFile);
  CHECK(parsed.objects.empty());
  CHECK_FALSE(parsed.faults.empty());
}

TEST_CASE("limits are told, and what was read before them holds") {
  ParseLimits limits;
  limits.bytes = 100;
  const Parsed bytes = parse(space("a") + space("b") + std::string(100, '#'), kFile, limits);
  CHECK(texts(bytes.faults) == Texts{"is longer than 100 B and is not read (make it several files)"});
  CHECK_FALSE(bytes.complete);

  limits = {};
  limits.objects = 2;
  const Parsed objects =
      parse(space("a") + "---\n" + space("b") + "---\n" + space("c") + "---\n" + space("d"), kFile, limits);
  CHECK(names(objects.objects) == Texts{"Namespace a", "Namespace b"});
  CHECK(texts(objects.faults) == Texts{"11: has more than 2 objects; what follows is not read"});
  CHECK_FALSE(objects.complete);

  limits = {};
  limits.object_values = 20;
  std::string big = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  x:\n";
  for (int i = 0; i < 30; ++i)
    big += "  - b\n";
  const Parsed values = parse(big + "---\n" + space("a"), kFile, limits);
  CHECK(names(values.objects) == Texts{"Namespace a"});
  CHECK(texts(values.faults) == Texts{"19: Pod default/a: spec.x: the object has more than 20 values"});
  CHECK(values.refused.size() == 1);
  // Foreign objects may be of any size.
  big.replace(big.find("Pod"), 3, "Secret");
  CHECK(parse(big, kFile, limits).faults.empty());

  limits = {};
  limits.object_bytes = 100;
  const Parsed words =
      parse("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nx: " + std::string(200, 'x') + "\n", kFile, limits);
  CHECK(texts(words.faults) == Texts{"4: Pod default/a: x: the object has more than 100 B of text"});

  limits = {};
  limits.faults = 3;
  std::string wrong;
  for (int i = 0; i < 10; ++i)
    wrong += "kind: Pod\n---\n";
  const Parsed faults = parse(wrong, kFile, limits);
  REQUIRE(faults.faults.size() == 4);
  CHECK(faults.faults[3].message == "has 7 more faults");
}

TEST_CASE("deep nesting ends in a fault, in every style and reader") {
  const auto nested = [](std::string_view open, std::string_view close, std::size_t depth) {
    std::string out = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nx: ";
    for (std::size_t i = 0; i < depth; ++i)
      out += open;
    for (std::size_t i = 0; i < depth; ++i)
      out += close;
    return parse(out + "\n", kFile);
  };
  CHECK(nested("[", "]", 50).objects.size() == 1);
  for (const std::size_t depth : {80U, 300U, 5'000U, 1'000'000U}) {
    CAPTURE(depth);
    CHECK(nested("[", "]", depth).objects.empty());
    CHECK_FALSE(nested("[", "]", depth).faults.empty());
    CHECK_FALSE(nested("{a: ", "}", std::min<std::size_t>(depth, 100'000)).faults.empty());
    std::string block = "x:\n", json = R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"x":)";
    const std::size_t levels = std::min<std::size_t>(depth, 2'000);
    for (std::size_t i = 1; i < levels; ++i)
      block += std::string(i, ' ') + "y:\n";
    CHECK_FALSE(parse("apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n" + block, kFile).faults.empty());
    for (std::size_t i = 0; i < depth; ++i)
      json += '[';
    for (std::size_t i = 0; i < depth; ++i)
      json += ']';
    CHECK_FALSE(parse(json + "}", kFile).faults.empty());
  }
}

TEST_CASE("a fault is one printable line") {
  const Fault fault{.file = "a\x1b[31m.yaml",
                    .line = 3,
                    .object = "Pod x/y",
                    .field = "spec",
                    .message = "is\nwrong",
                    .hint = "mend it"};
  CHECK(fault.text() == "a\\x1b[31m.yaml:3: Pod x/y: spec: is\\x0awrong (mend it)");
  const Texts forged = faults_of("apiVersion: v1\nkind: Pod\nmetadata: {name: \"a\\nb\\e[0m\"}\n");
  REQUIRE(forged.size() == 1);
  CHECK(forged[0].find('\n') == std::string::npos);
  CHECK(forged[0].find('\x1b') == std::string::npos);
}
